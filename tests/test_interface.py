"""The public interface: nothing changes unnoticed, and the three scripts run."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))


def run_example(name, folder, *arguments):
    script = ROOT / "examples" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_public_signatures_are_those_of_the_page():
    import interface

    assert interface.page() == interface.PAGE.read_text(encoding="utf-8"), (
        "a public signature changed: run `python tools/interface.py` and say so in "
        "CHANGELOG.md"
    )


def test_every_public_name_has_a_docstring_with_an_example():
    import importlib
    import inspect

    import interface

    without = []
    for package in interface.PACKAGES:
        module = importlib.import_module(package)
        for name in interface.public_names(package):
            obj = getattr(module, name)
            if not inspect.ismodule(obj) and ">>>" not in (obj.__doc__ or ""):
                without.append(f"{package}.{name}")
    assert not without


@pytest.mark.parametrize("name", ["eeg_alpha_states", "fmri_study", "calcium_states"])
def test_scripts_have_at_most_fifteen_lines(name):
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    code = re.sub(r'^""".*?"""', "", text, flags=re.S)
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 15


@pytest.mark.slow
@pytest.mark.ci
def test_script_from_an_edf_file_to_a_figure(tmp_path):
    edfio = pytest.importorskip("edfio")
    rng = np.random.default_rng(0)
    rate, n_seconds = 128, 60
    time = np.arange(rate * n_seconds) / rate
    slow = np.repeat(rng.uniform(5, 40, n_seconds // 5), 5 * rate)
    signals = [
        edfio.EdfSignal(
            slow * np.sin(2 * np.pi * 10 * time + phase) + rng.normal(0, 5, time.size),
            sampling_frequency=rate,
            label=name,
            physical_dimension="uV",
            physical_range=(-500, 500),
        )
        for phase, name in enumerate(["EEG O1", "EEG O2", "EEG Pz"])
    ]
    edfio.Edf(signals).write(tmp_path / "rest.edf")
    run_example("eeg_alpha_states", tmp_path, "rest.edf")
    assert (tmp_path / "alpha_states.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.ci
def test_script_from_region_tables_to_a_cluster(tmp_path):
    (tmp_path / "tables").mkdir()
    for number in range(3):
        rng = np.random.default_rng(number)
        np.savetxt(
            tmp_path / "tables" / f"sub-{number:02d}.tsv",
            rng.standard_normal((90, 4)),
            delimiter="\t",
            header="a\tb\tc\td",
            comments="",
        )
    out = run_example("fmri_study", tmp_path, "tables")
    assert "sub-02" in out
    assert (tmp_path / "states" / "state.tsv").is_file() or list(
        (tmp_path / "states").glob("*.tsv")
    )


@pytest.mark.slow
@pytest.mark.ci
def test_script_from_calcium_to_figure_and_table(tmp_path):
    run_example("calcium_states", tmp_path)
    assert (tmp_path / "song_states.png").is_file()
    table = (tmp_path / "tables" / "song_states.tsv").read_text()
    assert table.startswith("time\t")


@pytest.mark.slow
@pytest.mark.ci
def test_example_of_the_readme_runs(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "states.png").is_file()
