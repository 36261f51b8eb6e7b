"""What all tests share: where real recordings lie, and the rules of a test run.

No test reaches the network, none uses more than one thread for its arithmetic, and
one that works for more than five seconds says so with the marker ``slow``.
"""

import ipaddress
import os
import socket
import sys
import time
from pathlib import Path

import hypothesis
import pytest


ROOT = Path(__file__).resolve().parents[1]
ORACLES = Path(__file__).resolve().parent / "oracles"
SLOW = 5.0  # seconds above which a test has to carry the marker
LENIENCE = 6.0  # the first test to import or compile a thing pays for all of them

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("NEUROANA_PROGRESS", "0")

hypothesis.settings.register_profile(
    "ci", max_examples=25, derandomize=True, deadline=None, database=None
)
hypothesis.settings.register_profile("dev", max_examples=100, deadline=None)
hypothesis.settings.register_profile("fuzz", max_examples=10_000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def realdata():
    """Folder of real recordings beside the checkout; the test skips without it."""
    folder = Path(os.environ.get("NEUROANA_REALDATA", ROOT.parent / "shared/realdata"))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder} (set NEUROANA_REALDATA)")
    return folder


@pytest.fixture(scope="session")
def oracles():
    """Folder of the stored numerical oracles."""
    return ORACLES


# --- no network ----------------------------------------------------------------------

CONNECT = socket.socket.connect


def connect_here(self, address):
    """Connect within this machine only."""
    if self.family in (socket.AF_INET, socket.AF_INET6) and not is_here(address[0]):
        raise OSError(f"tests reach no network, not even {address[0]}")
    return CONNECT(self, address)


def is_here(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")


socket.socket.connect = connect_here


@pytest.fixture(autouse=True)
def _network_and_threads(request, monkeypatch):
    if request.node.get_closest_marker("network"):
        monkeypatch.setattr(socket.socket, "connect", CONNECT)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


# --- no slow test without the marker -------------------------------------------------


def clocks():
    """Seconds on the wall, and those that this process and its children worked."""
    return time.perf_counter(), sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    start = clocks()
    outcome = yield
    # The smaller of the two: neither waiting nor a crowded machine is the test's work.
    took = min(end - begin for begin, end in zip(start, clocks(), strict=True))
    if took > LENIENCE * SLOW and not item.get_closest_marker("slow"):
        pytest.fail(f"took {took:.1f} s: make it faster or mark it slow", pytrace=False)
    return outcome
