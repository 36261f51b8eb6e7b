import numpy as np
import pandas as pd
import pytest

from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.recording import from_array
from neuroana.core.recordings import Recordings


def subject(name, n_samples=20, run="1"):
    rng = np.random.default_rng(int(name))
    return from_array(
        rng.standard_normal((n_samples, 2)),
        "fmri",
        sampling_rate=0.5,
        attrs={"subject": name, "task": "rest", "run": run},
    )


@pytest.fixture
def many():
    people = pd.DataFrame({"participant_id": ["sub-01", "sub-02"], "site": ["a", "b"]})
    items = [subject("01"), subject("01", run="2"), subject("02", 30)]
    return Recordings(items, participants=people)


def test_table_has_entities_and_participant_columns(many):
    assert many.table["site"].tolist() == ["a", "a", "b"]
    assert many.table["n_samples"].tolist() == [20, 20, 30]


def test_index_returns_one_recording_and_slices_a_collection(many):
    assert many[2].attrs["subject"] == "02"
    assert isinstance(many[:2], Recordings)
    assert len(many[np.array([True, False, True])]) == 2


def test_select_keeps_matching_recordings_and_names_wrong_columns(many):
    assert len(many.select(subject="01", run=["1"])) == 1
    with pytest.raises(ParameterError, match="did you mean 'subject'"):
        many.select(subjct="01")
    with pytest.raises(ParameterError, match="none for"):
        many.select(subject="99")


def test_datatree_round_trip_is_exact(many):
    tree = many.to_datatree()
    assert "/sub-01/task-rest_run-2" in tree.groups
    for mine, back in zip(many, Recordings.from_datatree(tree)):
        assert mine.identical(back)


def test_folder_round_trip_is_exact_and_lazy(many, tmp_path):
    back = Recordings.open(many.save(tmp_path))
    pd.testing.assert_frame_equal(
        many.table.astype(object), back.table.astype(object), check_dtype=False
    )
    for mine, other in zip(many, back):
        assert mine.identical(other)


def test_open_names_missing_files(many, tmp_path):
    many.save(tmp_path)
    next(tmp_path.glob("sub-02*.nc")).unlink()
    with pytest.raises(SchemaError, match="sub-02"):
        Recordings.open(tmp_path)


def test_map_keeps_participant_columns(many):
    doubled = many.map(lambda rec: rec.isel(time=slice(0, 10)))
    assert doubled.table["n_samples"].tolist() == [10, 10, 10]
    assert doubled.table["site"].tolist() == ["a", "a", "b"]


def test_works_in_cross_val_score_with_groups(many):
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import GroupKFold, cross_val_score

    class Length(BaseEstimator):
        def fit(self, X, y=None):
            return self

        def score(self, X, y=None):
            return float(sum(rec.sizes["time"] for rec in X))

    scores = cross_val_score(
        Length(), many, cv=GroupKFold(2), groups=many.groups("subject")
    )
    assert sorted(scores) == [30.0, 40.0]


def test_an_empty_collection_is_an_error():
    with pytest.raises(ParameterError, match="at least one"):
        Recordings([])
