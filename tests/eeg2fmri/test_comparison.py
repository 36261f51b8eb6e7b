"""One table for all models, whatever the protocol; no fold lets its parts touch."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.core.store import read_netcdf, write_netcdf
from neuroana.eeg2fmri import (
    BandPowerRidge,
    EEGToFMRI,
    NearestNeighbour,
    as_windows,
    compare_models,
    default_models,
    region_scores,
    simulate_eeg_fmri,
    summary,
)
from neuroana.eeg2fmri.comparison import folds_of
from neuroana.learn import check_leakage


CHANNELS = ("FZ", "CZ", "C3", "OZ")


@pytest.fixture(scope="module")
def windows():
    runs, _ = simulate_eeg_fmri(
        4, 2, n_volumes=120, channels=CHANNELS, null_regions=1, random_state=0
    )
    for number, run in enumerate(runs):
        run["eeg"].attrs["task"] = ("rest", "oddball")[number % 2]
        run["eeg"].attrs["run"] = ""
    return as_windows(runs)


CASES = [
    ("intra-scan", {"n_splits": 2}, 2, 1.0),
    ("chronological", {}, 1, 0.0),
    ("inter-subject", {"n_splits": 2}, 2, 1.0),
    ("cross-condition", {"n_splits": 2, "train": "rest", "test": "oddball"}, 2, 0.5),
    ("fine-tune", {"n_splits": 2, "train": "rest", "test": "oddball"}, 2, 0.0),
]


@pytest.mark.parametrize(
    ("protocol", "options", "n_folds", "tested"), CASES, ids=[c[0] for c in CASES]
)
def test_every_protocol_gives_one_labelled_table(
    protocol, options, n_folds, tested, windows
):
    models = {"ridge": BandPowerRidge(alphas=[1e4]), "near": NearestNeighbour()}
    made = compare_models(windows, models, protocol=protocol, **options)
    assert made.prediction.dims == ("model", "volume", "roi")
    assert made.attrs["n_folds"] == n_folds
    volumes = list(zip(made.label.values, made.number.values))
    assert len(set(volumes)) == len(volumes)
    if tested:
        assert len(volumes) == tested * len(windows)
    scores = region_scores(made)
    assert set(scores.model) == {"ridge", "near"}
    assert set(scores.roi) == set(windows.rois)
    assert {"n_volumes", "r", "mse", "mse_constant", "testable"} <= set(scores)
    assert len(summary(scores)) == 2 * 5


@pytest.mark.parametrize(("protocol", "options"), [c[:2] for c in CASES])
def test_no_fold_lets_its_parts_touch(protocol, options, windows):
    given = {"train": None, "test": None, "by": "task", "n_splits": 2, **options}
    for fold in folds_of(windows, protocol, gap=36.0, seed=0, **given):
        seen = np.concatenate([fold["train"], fold["validation"], fold["adapt"]])
        apart = "subject" if protocol in ("inter-subject", "cross-condition") else "run"
        gap = 36.0 if protocol in ("intra-scan", "fine-tune") else 20.0
        check_leakage(windows, seen, fold["test"], gap=gap, apart=apart)
        table = windows.table
        if protocol in ("cross-condition", "fine-tune"):
            assert set(table.task.iloc[fold["test"]]) == {"oddball"}
            assert set(table.task.iloc[fold["train"]]) == {"rest"}


def test_results_survive_a_file_and_are_reproducible(windows, tmp_path):
    options = {"protocol": "inter-subject", "n_splits": 2, "random_state": 3}
    made = compare_models(windows, BandPowerRidge(alphas=[1e4]), **options)
    again = compare_models(windows, BandPowerRidge(alphas=[1e4]), **options)
    np.testing.assert_array_equal(made.prediction, again.prediction)
    assert read_netcdf(write_netcdf(made, tmp_path / "a.nc")).prediction.equals(
        made.prediction
    )


def test_the_default_models_share_one_table(windows):
    models = default_models()
    models["convolutional net"].set_params(epochs=2)
    models["network"] = EEGToFMRI.small(dim=16, depth=1, epochs=1, random_state=0)
    few = windows[windows.run < 4]
    made = compare_models(few, models, protocol="chronological")
    assert made.sizes["model"] == 10
    assert np.isfinite(made.prediction).all()
    scores = region_scores(made)
    assert scores[scores.model == "mean"].r.isna().all()


def test_fine_tuning_uses_partial_fit_where_there_is_one(windows, monkeypatch):
    calls = []
    plain = EEGToFMRI.partial_fit
    monkeypatch.setattr(
        EEGToFMRI, "partial_fit",
        lambda self, X, **k: calls.append(len(X)) or plain(self, X, **k),
    )  # fmt: skip
    model = EEGToFMRI.small(dim=16, depth=1, epochs=1, random_state=0)
    compare_models(windows, model, protocol="fine-tune", n_splits=2, train="rest",
                   test="oddball")  # fmt: skip
    assert len(calls) == 2


def test_impossible_protocols_are_named(windows):
    ridge = BandPowerRidge()
    with pytest.raises(ParameterError, match="train="):
        compare_models(windows, ridge, protocol="fine-tune")
    with pytest.raises(ParameterError, match="people"):
        compare_models(windows, ridge, protocol="inter-subject", n_splits=9)
    with pytest.raises(ParameterError, match="'inter-subject'"):
        compare_models(windows, ridge, protocol="inter-subjects")
    with pytest.raises(ParameterError, match="a model"):
        compare_models(windows, {})


def test_scores_of_unequal_runs_are_not_mixed(windows):
    made = compare_models(
        windows, BandPowerRidge(alphas=[1e4]), protocol="inter-subject", n_splits=2
    )
    scores = region_scores(made)
    one = scores.iloc[0]
    at = (made.label.values == one.label) & (made.fold.values == one.fold)
    p = made.prediction.values[0, at, 0]
    y = made.truth.values[at, 0]
    assert one.r == pytest.approx(np.corrcoef(p, y)[0, 1])
    assert one.mse == pytest.approx(((p - y) ** 2).mean())
    assert one.mse_constant == pytest.approx(y.var())
