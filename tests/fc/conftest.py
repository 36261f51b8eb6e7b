"""What the tests of connectivity share."""

import gzip

import numpy as np
import pandas as pd
import pytest

import neuroana as na
from neuroana.fc import registry
from neuroana.fc.registry import load_operators


@pytest.fixture(scope="session")
def oracle(oracles):
    """Samples (400, 6) and the results of other libraries on them."""
    with np.load(oracles / "fc_operators.npz", allow_pickle=False) as file:
        return {k: file[k] for k in file.files}


@pytest.fixture(scope="session")
def x(oracle):
    """Samples (time, roi) of an autoregression whose graph is known."""
    return oracle["x"]


@pytest.fixture
def own():
    """Operators that a test registers are forgotten afterwards."""
    before = dict(load_operators())
    yield
    registry.OPERATORS.clear()
    registry.OPERATORS.update(before)


@pytest.fixture(scope="session")
def adults(realdata):
    """Six resting recordings of 200 regions at two rates; one has a constant region."""
    folder = realdata / "fmri_roi" / "abide_cc200_adults"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    files = sorted((folder / "cc200").glob("*.1D.gz"))
    step = len(files) // 6
    return [read_adult(path) for path in files[::step][:6]]


def read_adult(path):
    with gzip.open(path, "rt") as file:
        table = pd.read_csv(file, sep="\t")
    rate = 1 / 1.67 if len(table) > 240 else 0.5
    return na.from_array(
        table.to_numpy(float), "fmri", sampling_rate=rate, units="1",
        names=[c.strip("# ") for c in table], attrs={"subject": path.stem},
    )  # fmt: skip
