"""What is in the wheel and in the source archive, and that it works alone."""

import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def mapped(folder, package):
    """Files of a folder beside the package, by their name in the wheel."""
    files = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    relative = [path.relative_to(ROOT / folder) for path in files]
    kept = [p for p in relative if not {"__pycache__", ".snakemake"} & set(p.parts)]
    return {f"neuroana/{package}/{path.as_posix()}" for path in kept}


@pytest.mark.parametrize("pattern", ["*.py", "*.pyi", "py.typed", "*.html", "*.css"])
def test_wheel_has_every_file_of_the_package(names, pattern):
    files = {path.relative_to(ROOT).as_posix() for path in package_files(pattern)}
    missing = files - names
    assert not missing, (
        f"name their packages in setup.cfg, [options] packages: {missing}"
    )


def package_files(pattern):
    return (ROOT / "neuroana").rglob(pattern)


def test_wheel_has_the_registry_and_the_samples(names):
    assert mapped("data", "_data") <= names
    assert "neuroana/_data/registry.yaml" in names


@pytest.mark.skipif(not (ROOT / "pipelines").is_dir(), reason="no pipelines yet")
def test_wheel_has_the_pipelines(names):
    assert mapped("pipelines", "_pipelines") <= names


def test_wheel_has_nothing_else(names):
    ours = ("neuroana/", "neuroana-")
    assert [name for name in names if not name.startswith(ours)] == []
    parts = {part for name in names for part in name.split("/")}
    assert not {part for part in parts if part == "tests" or part.startswith("test_")}


def test_wheel_has_the_licences(names):
    texts = {name.split("/licenses/")[1] for name in names if "/licenses/" in name}
    assert texts == {"LICENSE", "data/samples/LICENSES.txt"}


def test_source_archive_has_what_the_wheel_is_built_from(distributions):
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    wanted = {"setup.cfg", "pyproject.toml", "LICENSE", "data/registry.yaml"}
    wanted |= {path.relative_to(ROOT).as_posix() for path in package_files("*.py")}
    assert wanted <= names


def test_wheel_loads_its_samples_outside_the_checkout(installed_python, tmp_path):
    script = (
        "import neuroana; from neuroana.io.registry import load_sample, samples\n"
        "print(neuroana.__file__)\n"
        "print(sum(load_sample(n).attrs['synthetic'] for n in samples()))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [installed_python, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    where, synthetic = done.stdout.splitlines()
    assert Path(where).is_relative_to(Path(installed_python).parents[1])
    assert synthetic == "0"
