"""The Makefile and the CI script say what they do, and do it anywhere."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z][a-z-]*):", MAKEFILE, flags=re.MULTILINE)

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is missing")


def make(*arguments):
    """What make prints when nobody has set anything, though make may run the tests."""
    ours = ("MAKE", "MFLAGS", "PYTHON", "VENV")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    command = ["make", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=clean, check=True
    ).stdout


def test_bare_make_lists_every_target_with_what_it_does():
    listed = re.findall(r"^  ([a-z-]+) +\S", make(), flags=re.MULTILINE)
    assert listed == TARGETS


def test_every_target_runs_whatever_files_there_are():
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, flags=re.MULTILINE)
    assert sorted(phony[1].replace("\\", "").split()) == sorted(TARGETS)


@pytest.mark.parametrize(
    "target", ["demo", "test", "test-fast", "test-all", "test-gpu", "lint", "docs"]
)
def test_the_environment_comes_first(target):
    first = make("-n", target).splitlines()[0]
    assert first == '"python3" tools/bootstrap.py'


def test_folders_with_spaces_are_quoted():
    lines = make("-n", "demo", "VENV=my envs/a", "PYTHON=/my tools/python")
    assert lines.splitlines() == [
        '"/my tools/python" tools/bootstrap.py',
        '"my envs/a/bin/python" tools/demo.py',
    ]


def test_default_suite_leaves_out_what_needs_time_or_machines():
    assert '-m "(not slow or ci) and not gpu and not network"' in make("-n", "test")
    assert '-m "not gpu and not network"' in make("-n", "test-all")


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("=== 421 passed, 1 warning in 66.24s (0:01:06) ===", True),
        ("=== 1 failed, 3 passed in 1.00s ===", True),
        ("=== no tests ran in 0.01s ===", False),
        ("print('12 passed in 3s')", False),
    ],
)
def test_ci_ends_with_the_closing_line_of_pytest(line, counts):
    script = (ROOT / ".ci" / "run").read_text()
    pattern = re.search(r"grep -E '(.*)' build/test\.log \| tail -n 1\n$", script)[1]
    assert bool(re.search(pattern, line)) == counts
