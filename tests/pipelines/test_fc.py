"""The connectivity pipeline end to end, on small recordings made up for it."""

import numpy as np
import pytest
import yaml

import neuroana as na
from neuroana.core.errors import ParameterError
from neuroana.workflow import default_config, read_config


pytestmark = pytest.mark.timeout(600)


def study(folder, n_people=4):
    (folder / "data").mkdir(parents=True, exist_ok=True)
    recordings, _ = na.fc.simulate_people(n_people, n_roi=4, n_samples=80,
                                          random_state=0)  # fmt: skip
    for rec in recordings:
        name = f"sub-{rec.attrs['subject']}.npz"
        np.savez(folder / "data" / name, x=rec["signal"].values)
    return {
        "recordings": {
            f"sub-{r.attrs['subject']}": {
                "path": f"data/sub-{r.attrs['subject']}.npz",
                "attrs": {"subject": r.attrs["subject"]},
            }
            for r in recordings
        },
        "read": {"modality": "fmri",
                 "options": {"sampling_rate": 0.5, "variable": "x",
                             "dims": ["time", "roi"]}},
        "benchmark": {"operators": ["pearson", "partial", "noise"], "n_boot": 20,
                      "n_null": 19},
        "coreset": {"fraction": 0.5},
        "preserve": {"n_repeat": 5, "fractions": [0.5]},
    }  # fmt: skip


def results_of(folder):
    """Bytes of what the run made, but for matrices and rows, which hold times."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.name in ("plan.json", "coreset.json", "preserved.tsv")
    }


def test_default_config_is_complete_yaml():
    config = yaml.safe_load(default_config("fc"))
    assert config["benchmark"]["n_boot"] == 1000
    assert {"coreset", "preserve"} <= set(config)


def test_a_misspelt_parameter_is_named():
    with pytest.raises(ParameterError, match="did you mean 'fraction'"):
        read_config("fc", {"pattern": "*", "coreset": {"fractions": 0.3}})


@pytest.mark.slow
@pytest.mark.ci
def test_run_goes_from_files_to_a_leaderboard_and_then_has_nothing_to_do(tmp_path):
    outcome = na.run("fc", study(tmp_path), folder=tmp_path)
    assert not outcome.failed
    page = (outcome.results / "leaderboard.html").read_text("utf-8")
    assert "partial" in page
    assert "operators in" in outcome.report.read_text("utf-8")
    before = results_of(outcome.results)
    store = {p: p.stat().st_mtime_ns for p in (outcome.results / "store").rglob("*.nc")}
    again = na.run("fc", tmp_path / "config.yaml")
    assert "Nothing to be done" in again.log
    (outcome.results / "scores.nc").unlink()
    na.run("fc", tmp_path / "config.yaml")
    assert results_of(outcome.results) == before
    assert store == {p: p.stat().st_mtime_ns
                     for p in (outcome.results / "store").rglob("*.nc")}  # fmt: skip
