"""The switching pipeline end to end, on small recordings made up for it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import neuroana as na
from neuroana import workflow
from neuroana.core.errors import FailedRunError, ParameterError
from neuroana.core.store import read_netcdf, read_tree
from neuroana.workflow import default_config, pipelines_folder, read_config


pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).resolve().parents[2]
FAST = {
    "fit": {"n_states": 2, "n_init": 2, "history": None, "max_iter": 20},
    "score": {"cv": 2, "n_null": 3, "n_init": 1},
}


def write_tables(folder, n_subjects, n_samples=80):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n_subjects):
        rng = np.random.default_rng(number)
        state = (np.arange(n_samples) // 20) % 2
        values = rng.standard_normal((n_samples, 3)) + 2.0 * state[:, None]
        np.savetxt(
            folder / f"sub-{number:02d}_timeseries.tsv",
            values,
            delimiter="\t",
            header="a\tb\tc",
            comments="",
        )


def study(folder, n_subjects):
    write_tables(folder / "data", n_subjects)
    return {
        **FAST,
        "pattern": "data/*.tsv",
        "read": {"modality": "fmri", "options": {"t_r": 2.0}},
    }


def results_of(folder):
    """Bytes of every result of a run, by name."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.suffix in (".nc", ".json", ".html")
    }


def test_default_config_is_complete_yaml():
    config = yaml.safe_load(default_config("switching"))
    assert config["fit"]["n_init"] == 8
    assert {"read", "prepare", "fit", "score"} <= set(config)


def test_a_misspelt_key_of_the_configuration_is_named(tmp_path):
    with pytest.raises(ParameterError, match="did you mean 'n_states'"):
        read_config("switching", {"pattern": "*.tsv", "fit": {"n_stats": 3}})
    with pytest.raises(ParameterError, match="did you mean 'pattern'"):
        read_config("switching", {"patern": "*.tsv"})
    with pytest.raises(ParameterError, match="either path or sample"):
        read_config("switching", {"recordings": {"a": {"modality": "eeg"}}})


def test_a_pattern_that_no_file_fits_is_an_error(tmp_path):
    config = study(tmp_path, 1) | {"pattern": "x/*.tsv"}
    with pytest.raises(ParameterError, match="files that fit it"):
        na.run("switching", config, folder=tmp_path)


def test_two_files_of_one_name_are_an_error(tmp_path):
    config = study(tmp_path, 1)
    write_tables(tmp_path / "data" / "again", 1)
    config["pattern"] = "data/**/*.tsv"
    with pytest.raises(ParameterError, match="both called 'sub-00_timeseries'"):
        na.run("switching", config, folder=tmp_path)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_a_killed_process_that_nobody_reaped_holds_no_lock():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert workflow._is_alive(child.pid, patience=0.0)
    child.kill()
    assert not workflow._is_alive(child.pid)
    child.wait()


def test_profiles_name_rules_that_exist():
    slurm = yaml.safe_load(
        (pipelines_folder() / "profiles/slurm/config.yaml").read_text("utf-8")
    )
    rules = "".join(
        p.read_text("utf-8") for p in pipelines_folder().glob("*/workflow/rules/*.smk")
    )
    for rule in slurm["set-resources"]:
        assert f"rule {rule}:" in rules


@pytest.mark.slow
@pytest.mark.ci
def test_run_goes_from_files_to_a_report_and_then_has_nothing_to_do(tmp_path):
    outcome = na.run("switching", study(tmp_path, 2), folder=tmp_path)
    assert outcome.report is not None
    assert not outcome.failed
    states = read_tree(outcome.results / "states/sub-00_timeseries.nc")
    assert any("path" in node.data_vars for node in states.subtree)
    before = results_of(outcome.results)
    again = na.run("switching", tmp_path / "config.yaml")
    assert "Nothing to be done" in again.log
    assert results_of(outcome.results) == before


@pytest.mark.slow
def test_numbers_of_states_and_folds_are_jobs_and_subjects_have_their_own(tmp_path):
    config = study(tmp_path, 2)
    config["pool"] = "subject"
    config["recordings"] = {
        "again": {"path": "data/sub-00_timeseries.tsv", "attrs": {"subject": "01"}}
    }
    config["select"] = {"n_states": [1, 2], "cv": 2}
    outcome = na.run("switching", config, folder=tmp_path)
    results = outcome.results
    assert not outcome.failed
    groups = sorted(p.name for p in (results / "folds").iterdir())
    assert groups == ["sub-00", "sub-01"]
    assert sorted(p.stem for p in (results / "folds/sub-01").iterdir()) == [
        "1-0", "1-1", "2-0", "2-1",
    ]  # fmt: skip
    table = read_netcdf(results / "selection/sub-01.nc")
    assert table.attrs["chosen"] == table.attrs["best_bic"] == 2
    assert len(read_tree(results / "states/sub-01.nc").children) == 2
    assert not (results / "fits").exists()


@pytest.mark.slow
def test_a_changed_parameter_reruns_only_what_depends_on_it(tmp_path):
    config = study(tmp_path, 1)
    na.run("switching", config, folder=tmp_path)
    config["score"] = {**config["score"], "n_null": 4}
    results = tmp_path / "results"
    before = {p: p.stat().st_mtime_ns for p in results.rglob("*.*")}
    na.run("switching", config, folder=tmp_path)
    changed = [p for p in results.rglob("*.*") if p.stat().st_mtime_ns != before.get(p)]
    made = {p.relative_to(results).parts[0] for p in changed if p.suffix != ".log"}
    assert {"scores", "sections", "report.html"} <= made
    assert not made & {"recordings", "prepared", "fits", "states"}


@pytest.mark.slow
@pytest.mark.ci
def test_a_damaged_recording_is_recorded_and_the_others_go_on(tmp_path):
    config = study(tmp_path, 2)
    (tmp_path / "data" / "sub-01_timeseries.tsv").write_text("a\tb\nx\ty\n")
    with pytest.raises(FailedRunError, match="sub-01"):
        na.run("switching", config, folder=tmp_path)
    results = tmp_path / "results"
    assert "sub-01" in (results / "status.tsv").read_text()
    assert read_netcdf(results / "fits" / "sub-00_timeseries.nc").sizes["state"] == 2
    assert "sub-01" in (results / "report.html").read_text()
    write_tables(tmp_path / "data", 2)
    outcome = na.run("switching", tmp_path / "config.yaml", retry_failed=True)
    assert not outcome.failed


@pytest.mark.slow
@pytest.mark.ci
def test_dry_run_with_the_slurm_profile_does_nothing(tmp_path):
    pytest.importorskip("snakemake_executor_plugin_slurm")
    config = study(tmp_path, 2)
    outcome = na.run(
        "switching", config, folder=tmp_path, profile="slurm", dry_run=True
    )
    assert "sub-01_timeseries" in outcome.log
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_second_run_beside_the_first_is_refused(tmp_path):
    config = study(tmp_path, 1)
    lock = tmp_path / ".neuroana.lock"
    import socket

    lock.write_text(f"{os.getpid()} {socket.gethostname()}")
    with pytest.raises(ParameterError, match="no other run"):
        na.run("switching", config, folder=tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_killed_at_any_moment_ends_as_one_that_was_not(tmp_path):
    n_kills = int(os.environ.get("NEUROANA_KILLS", "50"))
    config = study(tmp_path / "whole", 1)
    expected = results_of(
        na.run("switching", config, folder=tmp_path / "whole").results
    )
    rng = np.random.default_rng(0)
    command = [sys.executable, "-m", "neuroana", "run", "switching", "-q"]
    folder = tmp_path / "killed"
    killed = 0
    while killed < n_kills:
        shutil.rmtree(folder, ignore_errors=True)
        study(folder, 1)
        (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        for _ in range(5):
            child = subprocess.Popen(
                command,
                cwd=folder,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                child.wait(timeout=rng.uniform(1.0, 25.0))
                break
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                killed += 1
                if killed == n_kills:
                    break
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert results_of(folder / "results") == expected
