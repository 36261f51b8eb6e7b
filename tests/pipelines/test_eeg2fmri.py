"""The pipeline from EEG and BOLD to a report, on simulated runs."""

import pandas as pd
import pytest
import yaml

import neuroana as na
from neuroana.core.errors import ParameterError
from neuroana.core.store import read_json, read_netcdf, write_netcdf
from neuroana.eeg2fmri import simulate_eeg_fmri
from neuroana.workflow import default_config, read_config


pytestmark = pytest.mark.timeout(600)
CHANNELS = ("FZ", "CZ", "C3", "OZ")
MODELS = ["band-power-ridge", "neurobolt"]


def study(folder, n_runs=2, n_volumes=100):
    (folder / "data").mkdir(parents=True, exist_ok=True)
    runs, _ = simulate_eeg_fmri(
        n_runs, n_volumes=n_volumes, channels=CHANNELS, random_state=0
    )
    for run in runs:
        name = f"sub-{run['eeg'].attrs['subject']}_task-rest"
        for kind in ("eeg", "bold"):
            ds = run[kind].to_dataset()
            ds = ds.drop_vars("clean", errors="ignore")
            write_netcdf(ds, folder / "data" / f"{name}_{kind}.nc")
    return {
        "pattern": "data/*.nc",
        "statistics": {"n_surrogates": 99},
        "split": {"protocol": "inter-subject", "n_splits": 2},
        "train": {
            "models": MODELS, "epochs": 1, "size": "small",
            "options": {"dim": 16, "depth": 1},
        },
    }  # fmt: skip


def results_of(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.suffix in (".nc", ".json", ".html", ".tsv")
    }


def test_default_config_is_complete_yaml():
    config = yaml.safe_load(default_config("eeg2fmri"))
    assert config["split"]["protocol"] == "intra-scan"
    assert {"read", "prepare", "pair", "split", "train", "statistics"} <= set(config)


def test_a_misspelt_parameter_is_named():
    with pytest.raises(ParameterError, match="did you mean 'n_splits'"):
        read_config("eeg2fmri", {"pattern": "*", "split": {"n_split": 3}})
    with pytest.raises(ParameterError, match="models"):
        read_config("eeg2fmri", {"pattern": "*", "train": {"models": ["ridge"]}})


@pytest.mark.slow
@pytest.mark.ci
def test_run_goes_from_files_to_a_report_and_then_has_nothing_to_do(tmp_path):
    outcome = na.run("eeg2fmri", study(tmp_path), folder=tmp_path)
    assert not outcome.failed
    predictions = read_netcdf(outcome.results / "predictions.nc")
    assert predictions.model.values.tolist() == MODELS
    assert predictions.sizes["volume"] == 2 * 92
    scores = pd.read_csv(outcome.results / "scores.tsv", sep="\t")
    assert set(scores.model) == set(MODELS)
    section = read_json(outcome.results / "sections/eeg2fmri/study.json")
    assert section["synthetic"]
    assert "mean R" in section["lead"]
    before = results_of(outcome.results)
    again = na.run("eeg2fmri", tmp_path / "config.yaml")
    assert results_of(again.results) == before
