"""Fixtures shared by all tests: real recordings and oracles, where they are."""

import os
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[1]
ORACLES = Path(__file__).resolve().parent / "oracles"


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
