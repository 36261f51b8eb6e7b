"""The connectome pipeline end to end, on small recordings made up for it."""

import numpy as np
import pytest
import yaml

import neuroana as na
from neuroana.connectome import simulate_motifs
from neuroana.core.errors import ParameterError
from neuroana.core.store import read_netcdf
from neuroana.workflow import default_config, read_config


pytestmark = pytest.mark.timeout(600)


def study(folder, n_recordings):
    (folder / "data").mkdir(parents=True, exist_ok=True)
    recordings, _ = simulate_motifs(n_neurons=10, n_samples=120, random_state=0,
                                    n_animals=n_recordings)  # fmt: skip
    for number, rec in enumerate(recordings):
        np.savez(folder / "data" / f"worm-{number}.npz",
                 traces=rec["signal"].values, names=rec["neuron"].values)  # fmt: skip
    return {
        "pattern": "data/*.npz",
        "read": {"modality": "calcium",
                 "options": {"sampling_rate": 1.0, "variable": "traces",
                             "dims": ["time", "neuron"]}},
        "rank": {"rank": 2, "n_init": 2},
        "factorize": {"n_init": 2, "tol": 1e-4},
        "communities": {"n_start": 3, "n_null": 2, "n_consensus": 0},
        "nulls": {"n": 2},
    }  # fmt: skip


def results_of(folder):
    """Bytes of every result of a run, by name."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.suffix in (".nc", ".json", ".html")
    }


def test_default_config_is_complete_yaml():
    config = yaml.safe_load(default_config("connectome"))
    assert config["factorize"]["n_init"] == 30
    assert {"affinity", "rank", "communities", "nulls"} <= set(config)


def test_a_misspelt_parameter_is_named():
    with pytest.raises(ParameterError, match="did you mean 'n_start'"):
        read_config("connectome", {"pattern": "*", "communities": {"n_starts": 3}})


@pytest.mark.slow
@pytest.mark.ci
def test_run_goes_from_files_to_a_report_and_then_has_nothing_to_do(tmp_path):
    outcome = na.run("connectome", study(tmp_path, 1), folder=tmp_path)
    assert not outcome.failed
    assert "motifs of" in outcome.report.read_text("utf-8")
    before = results_of(outcome.results)
    again = na.run("connectome", tmp_path / "config.yaml")
    assert "Nothing to be done" in again.log
    assert results_of(outcome.results) == before


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_step_starts_again_where_its_result_is_gone(tmp_path):
    outcome = na.run("connectome", study(tmp_path, 1), folder=tmp_path)
    before = results_of(outcome.results)
    steps = ("affinity", "rank", "motifs", "communities", "nulls")
    for number in range(len(steps)):
        for name in (*steps[number:], "sections/connectome"):
            for path in (outcome.results / name).glob("*"):
                path.unlink()
        outcome.report.unlink()
        again = na.run("connectome", tmp_path / "config.yaml")
        assert results_of(outcome.results) == before
        assert "Read worm-0" not in again.log


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_several_recordings_share_their_motifs(tmp_path):
    config = study(tmp_path, 3) | {"pool": True}
    outcome = na.run("connectome", config, folder=tmp_path)
    motifs = read_netcdf(outcome.results / "motifs" / "all.nc")
    assert motifs.sizes["animal"] == 3
