"""Requirement files are what setup.cfg says, and the lock can be trusted."""

import importlib.util
import re
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements" / "lock.txt").read_text()


@pytest.fixture(scope="module")
def lock():
    described = importlib.util.spec_from_file_location("lock", ROOT / "tools/lock.py")
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["base.in", "dev.in"])
def test_inputs_are_those_of_setup_cfg(lock, name):
    text = (ROOT / "requirements" / name).read_text()
    assert text == lock.inputs()[name], "setup.cfg has changed: make lock"


def test_every_input_is_locked_with_hashes(lock):
    locked = {
        re.sub("[-_.]+", "-", n.lower()) for n in re.findall(r"^(\S+)==", LOCK, re.M)
    }
    for text in lock.inputs().values():
        for line in text.splitlines():
            name = re.sub("[-_.]+", "-", re.match(r"[\w.-]+", line)[0].lower())
            assert name in locked or name == "torch"
    entries = re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)


def test_lock_passes_its_own_check(lock):
    lock.check(LOCK)


def test_torch_is_pinned_outside_the_lock():
    assert "torch==" not in re.findall(r"^torch==", LOCK, re.M)
    assert (ROOT / "requirements/torch.txt").read_text() == "torch==2.13.0\n"


def test_cuda_libraries_are_stripped_with_their_hashes(lock):
    text = (
        "a==1 \\\n    --hash=sha256:00\n"
        "nvidia-cublas==13 ; sys_platform == 'linux' \\\n    --hash=sha256:11\n"
        "triton==3 \\\n    --hash=sha256:22\n"
        "z==1 \\\n    --hash=sha256:33\n"
    )
    expected = "a==1 \\\n    --hash=sha256:00\nz==1 \\\n    --hash=sha256:33\n"
    assert lock.strip_cuda(text) == expected


@pytest.mark.parametrize(
    "line",
    ["nvidia-cublas==13", "--index-url file://mirror", "nilearn==0.13.1"],
)
def test_bad_lock_is_refused(lock, line):
    with pytest.raises(SystemExit):
        lock.check(LOCK.replace("nilearn==0.14.1", line))
