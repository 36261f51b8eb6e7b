"""History bases: orientation, causality, boundaries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroana.core.errors import ParameterError
from neuroana.switching.history import (
    BoxcarHistory,
    ExponentialHistory,
    RaisedCosineHistory,
    RawHistory,
    drive,
)


BASES = [
    ExponentialHistory(4, 0.7),
    RaisedCosineHistory(15, 4),
    RaisedCosineHistory(5, 1),
    BoxcarHistory(7, 3),
    RawHistory(3),
]


def test_exponential_history_has_the_published_kernel():
    np.testing.assert_allclose(
        ExponentialHistory(5, 1.0).kernel()[0],
        [0.6364, 0.2341, 0.0861, 0.0317, 0.0117],
        atol=5e-5,
    )


@pytest.mark.parametrize("basis", BASES, ids=repr)
def test_kernels_sum_to_one_and_are_not_negative(basis):
    kernel = basis.kernel()

    np.testing.assert_allclose(kernel.sum(axis=1), 1.0)
    assert (kernel >= 0).all()
    assert np.linalg.matrix_rank(kernel) == len(kernel)


@pytest.mark.parametrize("basis", BASES, ids=repr)
def test_drive_of_a_spike_is_the_kernel_from_the_next_bin(basis):
    kernel = basis.kernel()
    x = np.zeros((kernel.shape[1] + 3, 2))
    x[1, 0] = 1.0

    h = drive(x, kernel)

    np.testing.assert_array_equal(h[:2], 0.0)
    np.testing.assert_array_equal(h[:, 1], 0.0)
    np.testing.assert_allclose(h[2 : 2 + kernel.shape[1], 0], kernel.T)


@given(t=st.integers(0, 29), seed=st.integers(0, 2**20), basis=st.sampled_from(BASES))
def test_drive_never_looks_ahead(t, seed, basis):
    x = np.random.default_rng(seed).random((30, 2))
    changed = x.copy()
    changed[t] += 1.0

    before, after = drive(x, basis.kernel()), drive(changed, basis.kernel())

    np.testing.assert_array_equal(before[: t + 1], after[: t + 1])


@pytest.mark.parametrize(
    "basis",
    [
        ExponentialHistory(0),
        ExponentialHistory(3, -1.0),
        RaisedCosineHistory(3, 4),
        BoxcarHistory(2, 3),
        RawHistory(0),
    ],
    ids=repr,
)
def test_kernel_rejects_what_makes_no_basis(basis):
    with pytest.raises(ParameterError):
        basis.kernel()
