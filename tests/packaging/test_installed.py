"""The package as a lab has it: only the wheel, an empty folder, the command line."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml


pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def call(installed_python, tmp_path):
    """Call the installed command line in an empty folder."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*arguments):
        return subprocess.run(
            [installed_python, "-m", "neuroana", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.slow
@pytest.mark.ci
def test_pipeline_runs_from_an_empty_folder_with_only_the_wheel(call, tmp_path):
    assert call("init", "switching", "study").returncode == 0
    config = tmp_path / "study" / "config.yaml"
    settings = yaml.safe_load(config.read_text())
    settings["recordings"] = {
        "rest": {"sample": "fmri_rest_31roi", "prepare": {"names": ["LPCC", "RPCC"]}}
    }
    settings["fit"].update(n_states=2, n_init=1, max_iter=20, history=None)
    settings["score"].update(cv=2, n_null=2)
    config.write_text(yaml.safe_dump(settings))
    done = call("run", "switching", "--config", "study/config.yaml")
    assert done.returncode == 0, done.stderr
    report = Path(done.stdout.strip().splitlines()[-1])
    assert "fMRI at rest" in report.read_text(encoding="utf-8")
    whole = call("verify", "study/results")
    assert whole.returncode == 0, whole.stdout
    again = call("run", "switching", "--config", "study/config.yaml")
    assert "Nothing to be done" in again.stderr


@pytest.mark.slow
@pytest.mark.ci
def test_wrong_beginnings_end_with_two_and_no_traceback(call):
    for arguments in (
        ("run", "switching"),
        ("run", "switchin"),
        ("init", "nothing", "x"),
        ("info", "none.edf"),
        ("step", "io.reed"),
    ):
        done = call(*arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert "error:" in done.stderr
        assert "Traceback" not in done.stderr
