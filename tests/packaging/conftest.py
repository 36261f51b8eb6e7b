"""The package as others get it: built once, and installed outside the checkout."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.egg-info", ".snakemake")


@pytest.fixture(scope="session")
def distributions(tmp_path_factory):
    """Folder with the wheel and the source archive, built from a copy."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("neuroana", "data", "pipelines"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=NOT_COPIED)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, copy / name)
    built = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", built, copy]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return built


@pytest.fixture(scope="session")
def wheel(distributions):
    """Path of the wheel."""
    return next(distributions.glob("*.whl"))


@pytest.fixture(scope="session")
def installed_python(wheel, tmp_path_factory):
    """Python of an environment that has the wheel, and no checkout in sight.

    Its other packages are those of the running environment, read through a path file
    (which passes by the editable install there); nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("installed with spaces") / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    windows = sys.platform == "win32"
    python = folder / ("Scripts/python.exe" if windows else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", python]
    install = ["install", "--quiet", "--no-deps", "--no-index", wheel]
    done = subprocess.run([*pip, *install], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    asked = subprocess.run(
        [python, "-c", where], capture_output=True, text=True, check=True
    )
    shared = sysconfig.get_path("purelib")
    Path(asked.stdout.strip(), "shared.pth").write_text(shared + "\n")
    return python
