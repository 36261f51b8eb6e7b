"""Kernels and derivatives against an independent loop, and what they must keep."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from neuroana.connectome.affinity import (
    affinity,
    check_kernel,
    fold,
    of_pairs,
    pair_indices,
    phase_coherence,
    sources,
    window_correlation,
)
from neuroana.connectome.derivative import derivative, robust_scale
from neuroana.core.errors import ParameterError


KERNELS = ("geomean", "product", "rise", "fall", "min", "anti")


@pytest.fixture(scope="module")
def stored(oracle_folder):
    with np.load(oracle_folder / "connectome_affinity.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture
def z():
    return np.random.default_rng(0).normal(size=(50, 6))


@pytest.mark.realdata
def test_derivative_is_that_of_the_oracle(stored):
    for w in range(3):
        found = derivative(stored["traces"][:, :, w], 0.5, sigma=0.75)
        np.testing.assert_allclose(found, stored["derivative"][:, :, w], atol=1e-10)


@pytest.mark.realdata
def test_scale_is_that_of_the_oracle(stored):
    for w in range(3):
        found = robust_scale(stored["derivative"][:, :, w])
        known = ~found.is_constant
        np.testing.assert_allclose(
            found.scale[known], stored["scale_floored"][known, w], rtol=1e-9
        )
        assert np.flatnonzero(found.is_constant).tolist() == [[8], [4], []][w]


@pytest.mark.realdata
@pytest.mark.parametrize("kind", KERNELS)
def test_kernel_is_that_of_the_oracle(stored, kind):
    i, j = pair_indices(10)
    np.testing.assert_array_equal(i, stored["pair_i"])
    np.testing.assert_array_equal(j, stored["pair_j"])
    for w in range(3):
        z = stored["scaled_derivative"][:, :, w]
        found, wanted = affinity(z, kind).T, stored[f"affinity_{kind}"][:, :, w]
        floored = (i == 8) | (j == 8) if w == 0 else np.zeros(45, bool)
        np.testing.assert_allclose(found[~floored], wanted[~floored], atol=1e-9)


@pytest.mark.realdata
def test_worm_of_the_oracle_from_traces_to_affinities(stored):
    d = derivative(stored["worm_traces"], 0.6, sigma=0.75)
    z = d / robust_scale(d).scale
    np.testing.assert_allclose(z, stored["worm_scaled_derivative"], atol=1e-9)
    for kind in ("geomean", "rise", "product"):
        np.testing.assert_allclose(
            affinity(z, kind).T, stored[f"worm_affinity_{kind}"], atol=1e-9
        )


def test_derivative_equals_scipy_and_never_bridges_a_gap():
    x = np.random.default_rng(0).normal(size=(80, 3)).cumsum(axis=0)
    found = derivative(x, 0.5, sigma=0.75)
    wanted = gaussian_filter1d(x, 1.5, axis=0, order=1, mode="reflect") / 0.5
    np.testing.assert_allclose(found, wanted, atol=1e-10)
    x[40, 1] = np.nan
    gap = np.isnan(derivative(x, 0.5, sigma=0.75))
    assert gap[:, [0, 2]].sum() == 0
    assert np.flatnonzero(gap[:, 1]).tolist() == list(range(34, 47))


@pytest.mark.parametrize("method", ["gaussian", "savgol", "diff"])
def test_every_derivative_returns_the_slope_of_a_ramp(method):
    ramp = 3.0 * np.arange(60.0)[:, None] * 0.5
    inner = derivative(ramp, 0.5, method=method, sigma=0.75)[20:40]
    np.testing.assert_allclose(inner, 3.0, rtol=1e-3)


def test_geomean_is_rise_plus_fall(z):
    both = affinity(z, "rise") + affinity(z, "fall")
    np.testing.assert_allclose(affinity(z, "geomean"), both, atol=1e-12)


def test_product_minus_its_opposite_is_the_plain_product(z):
    i, j = pair_indices(6)
    opposite = np.maximum(-z[:, i] * z[:, j], 0.0)
    np.testing.assert_allclose(
        affinity(z, "product") - opposite, z[:, i] * z[:, j], atol=1e-12
    )


def test_geomean_of_a_trace_with_itself_is_its_size(z):
    np.testing.assert_allclose(of_pairs(z, z, "geomean"), np.abs(z))


def test_signed_swaps_its_halves_when_a_trace_is_negated(z):
    flipped = z * [-1, 1, 1, 1, 1, 1]
    i, _ = pair_indices(6)
    before = affinity(z, "signed").reshape(50, 2, -1)
    after = affinity(flipped, "signed").reshape(50, 2, -1)
    np.testing.assert_allclose(after[:, :, i == 0], before[:, ::-1, i == 0])


@pytest.mark.parametrize("kind", ["geomean", "product", "rise", "fall"])
def test_sources_multiply_to_the_affinity(z, kind):
    i, j = pair_indices(6)
    total = sum(s[:, i] * s[:, j] for s in sources(z, kind))
    np.testing.assert_allclose(total, affinity(z, kind), atol=1e-12)


@pytest.mark.parametrize("kind", KERNELS)
def test_kernel_is_symmetric_and_not_negative(z, kind):
    there, back = of_pairs(z, z[::-1], kind), of_pairs(z[::-1], z, kind)
    np.testing.assert_array_equal(there, back)
    assert (there >= 0).all()


def test_fold_is_symmetric_with_an_empty_diagonal():
    matrix = fold(np.arange(1.0, 7.0))
    assert (matrix == matrix.T).all()
    assert (np.diag(matrix) == 0).all()


def test_a_kernel_that_is_not_symmetric_is_refused(z):
    check_kernel(lambda a, b: np.abs(a * b), z, np.random.default_rng(0))
    for bad in (lambda a, b: np.abs(a - 2 * b), lambda a, b: a * b, lambda a, b: 1.0):
        with pytest.raises(ParameterError, match="symmetric and >= 0"):
            check_kernel(bad, z, np.random.default_rng(0))


def test_window_correlation_is_that_of_the_window():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    x[100:, 1] = x[100:, 0]
    found = window_correlation(x, 8.0)
    w = np.exp(-0.5 * ((np.arange(200) - 100) / 8.0) ** 2)
    centred = x - x.mean(axis=0)
    wanted = np.cov(centred.T, aweights=w, ddof=0)
    wanted = wanted[0, 1] / np.sqrt(wanted[0, 0] * wanted[1, 1])
    assert found[100, 0] == pytest.approx(max(wanted, 0), abs=2e-3)
    assert found[190, 0] > 0.99


def test_phase_coherence_knows_a_quarter_of_a_cycle():
    t = np.arange(400) * 2 * np.pi / 40
    x = np.stack([np.sin(t), np.sin(t + np.pi / 3), -np.sin(t)], axis=1)
    middle = phase_coherence(x)[200]
    np.testing.assert_allclose(middle, [0.5, 0.0, 0.0], atol=1e-6)
