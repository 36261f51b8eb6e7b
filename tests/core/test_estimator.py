import json

import numpy as np
import pytest
import xarray as xr

import neuroana as na
from neuroana.core.errors import CorruptFileError, SchemaError, ShapeError
from neuroana.core.estimator import Estimator, as_sequences, decode, encode
from neuroana.core.recording import from_array
from neuroana.core.recordings import Recordings
from neuroana.core.step import parse
from neuroana.core.store import write_netcdf
from neuroana.switching import (
    HMMGLM,
    ExponentialHistory,
    GaussianPrior,
    RawHistory,
)
from neuroana.switching.steps import FitParameters


def recording(n_samples=20, names=("a", "b"), rate=2.0, **attrs):
    rng = np.random.default_rng(n_samples)
    values = rng.standard_normal((n_samples, len(names)))
    return from_array(values, "fmri", sampling_rate=rate, names=names, attrs=attrs)


@pytest.fixture(scope="module")
def fitted():
    return HMMGLM(2, "gaussian", n_init=1, max_iter=5, tol=1e-2, random_state=0).fit(
        recording(60)
    )


def test_saved_estimator_loads_with_parameters_and_learned_arrays(fitted, tmp_path):
    back = na.load(fitted.save(tmp_path / "a.nc"))
    assert type(back) is HMMGLM
    assert back.get_params() == fitted.get_params()
    xr.testing.assert_identical(back.coupling_, fitted.coupling_)
    x = recording(60)
    xr.testing.assert_identical(back.predict_proba(x), fitted.predict_proba(x))


def test_saving_twice_gives_the_same_bytes(fitted, tmp_path):
    one, two = fitted.save(tmp_path / "a.nc"), fitted.save(tmp_path / "b.nc")
    assert one.read_bytes() == two.read_bytes()


def test_a_damaged_fit_is_found(fitted, tmp_path):
    path = fitted.save(tmp_path / "a.nc")
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CorruptFileError, match=r"a\.nc"):
        HMMGLM.load(path)


def test_a_recording_is_no_fit(tmp_path):
    path = write_netcdf(recording(), tmp_path / "a.nc")
    with pytest.raises(SchemaError, match="a class of neuroana"):
        na.load(path)


def test_loading_makes_no_class_of_another_package(fitted, tmp_path):
    ds = fitted.to_dataset().assign_attrs(neuroana_estimator="subprocess:Popen")
    with pytest.raises(SchemaError, match="subprocess"):
        Estimator.load(write_netcdf(ds, tmp_path / "a.nc"))
    with pytest.raises(SchemaError, match="subprocess"):
        decode({"class": "subprocess:Popen", "args": "true"})


def test_settings_keep_their_class_through_json():
    history = ExponentialHistory(n_lags=3, decay=0.5)
    assert decode(encode({"history": history}))["history"] == history


@pytest.mark.parametrize(
    "model",
    [
        HMMGLM(),
        HMMGLM(4, "gaussian", history=None, kappa=2.0, random_state=3, progress=True),
        HMMGLM(3, history=RawHistory(2), prior=GaussianPrior(0.5), n_jobs=2),
    ],
    ids=["default", "no history", "settings"],
)
def test_config_makes_the_same_model_in_a_pipeline(model):
    config = json.loads(json.dumps(model.to_config()))
    made = parse(FitParameters, config, "fit").model("fmri").get_params()
    expected = model.get_params()
    for name in ("n_jobs", "progress", "random_state"):
        if name not in config:
            made.pop(name), expected.pop(name)
    assert made == expected


def test_citation_is_bibtex(fitted):
    assert "2310.15263" in fitted.cite()


def test_sequences_come_back_in_the_kind_that_came():
    array = np.zeros((5, 2))
    kinds = {
        "array": array,
        "recording": recording(),
        "dataarray": recording().signal,
        "list": [recording(), recording(30)],
    }
    for kind, x in kinds.items():
        found = as_sequences(x)
        back = found.wrap([v[:, 0] for v in found.values])
        assert found.kind == kind
        expected = {"array": np.ndarray, "list": list}.get(kind, xr.DataArray)
        assert isinstance(back, expected)


def test_a_collection_comes_back_with_its_entities():
    many = Recordings([recording(subject="01"), recording(30, subject="02")])
    found = as_sequences(many)
    back = found.wrap([v[:, 0] for v in found.values])
    assert [b.attrs["subject"] for b in back] == ["01", "02"]
    assert found.lengths.tolist() == [20, 30]


def test_trials_come_back_with_their_dim():
    trials = xr.DataArray(np.zeros((3, 5, 2)), dims=("epoch", "time", "channel"))
    found = as_sequences(trials)
    assert len(found) == 3
    assert found.wrap([v[:, 0] for v in found.values]).dims == ("epoch", "time")


def test_excluded_samples_become_missing():
    rec = recording().assign_coords(good=("time", np.arange(20) > 4))
    found = as_sequences(rec)
    assert np.isnan(found.values[0][:5]).all()
    assert np.isfinite(found.values[0][5:]).all()


def test_different_names_are_listed():
    with pytest.raises(SchemaError, match="'c'"):
        as_sequences([recording(), recording(names=("a", "c"))])


def test_different_rates_are_an_error():
    with pytest.raises(SchemaError, match="one sampling rate"):
        as_sequences([recording(), recording(rate=4.0)])


def test_lengths_must_add_up():
    with pytest.raises(ShapeError, match="5 samples"):
        as_sequences(np.zeros((5, 2)), lengths=[2, 2])


def test_a_single_row_of_numbers_is_refused():
    with pytest.raises(ShapeError, match="Reshape your data"):
        as_sequences(np.zeros(5))
