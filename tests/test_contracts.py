"""The import contracts are kept, and the check that says so can fail."""

import shutil
import subprocess
import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parents[1]


def lint(folder):
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command"
               " as c; c(['--no-cache'])"]  # fmt: skip
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "100"},
    )


def test_contract_is_broken_by_an_import_upward(tmp_path):
    shutil.copytree(ROOT / "neuroana", tmp_path / "neuroana")
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    assert lint(tmp_path).returncode == 0
    with open(tmp_path / "neuroana" / "core" / "checks.py", "a") as file:
        file.write("\nimport neuroana.switching.metrics  # upward\n")
    done = lint(tmp_path)
    assert done.returncode != 0
    assert "Doors open downward only" in done.stdout


def test_setup_lists_every_package():
    import configparser

    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    listed = set(metadata["options"]["packages"].split())
    folders = {
        ".".join(p.parent.relative_to(ROOT).parts)
        for p in (ROOT / "neuroana").rglob("__init__.py")
    }
    assert listed == folders | {"neuroana._data", "neuroana._pipelines"}
