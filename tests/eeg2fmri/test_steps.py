"""Steps have files on both ends; together they go from recordings to a section."""

import pandas as pd
import pytest

from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.step import failure_of, run
from neuroana.core.store import read_json, read_netcdf, write_netcdf
from neuroana.eeg2fmri import simulate_eeg_fmri


CHANNELS = ("FZ", "CZ", "C3", "OZ")
MODELS = ("band-power-ridge", "lagged-ridge", "convolutional-net", "neurobolt")
SMALL = {"epochs": 1, "size": "small", "options": {"dim": 16, "depth": 1}}


def write_run(folder, run, name):
    for kind in ("eeg", "bold"):
        ds = run[kind].to_dataset().drop_vars("clean", errors="ignore")
        write_netcdf(ds, folder / f"{name}_{kind}.nc")


def paired(folder, name, **options):
    run(
        "eeg2fmri.pair",
        {"eeg": folder / f"{name}_eeg.nc", "bold": folder / f"{name}_bold.nc"},
        {"run": folder / f"{name}.nc", "checks": folder / f"{name}.json"},
        options,
        record_failure=True,
    )
    return folder / f"{name}.nc"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Three paired runs and the folds of two."""
    folder = tmp_path_factory.mktemp("study")
    runs, _ = simulate_eeg_fmri(3, n_volumes=100, channels=CHANNELS, random_state=0)
    files = []
    for number, one in enumerate(runs):
        write_run(folder, one, f"sub-{number}")
        files.append(paired(folder, f"sub-{number}"))
    run("eeg2fmri.split", {"runs": files}, {"folds": folder / "folds.json"},
        {"protocol": "inter-subject", "n_splits": 2})  # fmt: skip
    return folder, files


def test_steps_lead_from_recordings_to_a_section(study):
    folder, files = study
    inputs = {"runs": files, "folds": folder / "folds.json"}
    made, models = [], []
    for model in MODELS:
        for fold in (0, 1):
            place = folder / f"{model}-{fold}.nc"
            own = {"model": model, "fold": fold}
            run("eeg2fmri.train", inputs, {"model": place}, {**own, **SMALL})
            assert not place.with_suffix(".ckpt").exists()
            target = folder / f"{model}-{fold}-predictions.nc"
            run("eeg2fmri.predict", {**inputs, "model": place},
                {"predictions": target}, own)  # fmt: skip
            made.append(target)
        models.append(folder / f"{model}-0.nc")
    run(
        "eeg2fmri.statistics",
        {"predictions": made},
        {"predictions": folder / "all.nc", "scores": folder / "scores.tsv",
         "statistics": folder / "statistics.tsv"},
        {"n_surrogates": 99, "controls": ["mu"]},
    )  # fmt: skip
    predictions = read_netcdf(folder / "all.nc")
    assert predictions.model.values.tolist() == list(MODELS)
    assert predictions.sizes["volume"] == 3 * 92
    scores = pd.read_csv(folder / "scores.tsv", sep="\t", dtype={"subject": str})
    assert len(scores) == 4 * 3 * 4
    assert set(scores.subject) == {"01", "02", "03"}
    run(
        "eeg2fmri.report",
        {"checks": [f.with_suffix(".json") for f in files],
         "predictions": folder / "all.nc", "models": models,
         "statistics": folder / "statistics.tsv"},
        {"section": folder / "section.json"},
    )  # fmt: skip
    section = read_json(folder / "section.json")
    assert section["synthetic"]
    assert "mean R" in section["lead"]
    assert {f["title"] for f in section["figures"]} > {"Models by region"}
    assert "family-wise" in section["lead"]
    assert len(section["tables"]) == 4
    assert any("NeuroBOLT" in entry for entry in section["citations"])


def test_folds_of_other_runs_are_refused(study, tmp_path):
    folder, files = study
    with pytest.raises(SchemaError, match=r"run eeg2fmri\.split again"):
        run("eeg2fmri.train", {"runs": files[:2], "folds": folder / "folds.json"},
            {"model": tmp_path / "m.nc"}, {"model": "mean"})  # fmt: skip
    with pytest.raises(ParameterError, match="n_splits"):
        run("eeg2fmri.train", {"runs": files, "folds": folder / "folds.json"},
            {"model": tmp_path / "m.nc"}, {"model": "mean", "fold": 5})  # fmt: skip


def test_a_run_that_fails_a_check_becomes_a_record_and_the_others_go_on(
    study, tmp_path
):
    _, files = study
    bad, _ = simulate_eeg_fmri(
        1, n_volumes=100, channels=CHANNELS, gradient_uv=30.0, random_state=1
    )
    write_run(tmp_path, bad[0], "bad")
    place = paired(tmp_path, "bad")
    assert "gradient residue" in failure_of(place)["error"]
    run("eeg2fmri.split", {"runs": [*files, place]},
        {"folds": tmp_path / "folds.json"},
        {"protocol": "inter-subject", "n_splits": 2})  # fmt: skip
    assert len(read_json(tmp_path / "folds.json")["labels"]) == 3
    allowed = paired(tmp_path, "bad", must_pass=False)
    assert failure_of(allowed) is None


def test_a_killed_network_goes_on_from_its_checkpoint(study, tmp_path, monkeypatch):
    from neuroana.eeg2fmri.window_batches import WindowBatches

    folder, files = study
    inputs = {"runs": files, "folds": folder / "folds.json"}
    params = {"model": "neurobolt", **SMALL, "epochs": 3}
    run("eeg2fmri.train", inputs, {"model": tmp_path / "whole.nc"}, params)
    plain, calls = WindowBatches.batch, []

    def failing(self, positions):
        calls.append(1)
        if len(calls) == 6:
            raise MemoryError("power cut")
        return plain(self, positions)

    monkeypatch.setattr(WindowBatches, "batch", failing)
    with pytest.raises(MemoryError):
        run("eeg2fmri.train", inputs, {"model": tmp_path / "again.nc"}, params)
    assert (tmp_path / "again.ckpt").exists()
    monkeypatch.setattr(WindowBatches, "batch", plain)
    run("eeg2fmri.train", inputs, {"model": tmp_path / "again.nc"}, params)
    one, two = (read_netcdf(tmp_path / f"{n}.nc") for n in ("whole", "again"))
    assert one.weights.equals(two.weights)


def test_every_model_of_the_parameters_can_be_made():
    from typing import get_args

    from neuroana.eeg2fmri.steps import Model, TrainParameters, make_model

    for name in get_args(Model):
        model = make_model(TrainParameters(model=name, epochs=7, random_state=3))
        given = model.get_params()
        assert given.get("epochs", 7) == 7
        assert given.get("random_state", 3) == 3
