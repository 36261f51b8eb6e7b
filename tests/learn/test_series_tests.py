"""Tests of correlations between series with memory: size, exactness, brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import false_discovery_control

from neuroana.core.errors import ShapeError
from neuroana.learn.series_tests import (
    autocorrelation,
    bartlett_test,
    effective_samples,
    filled,
    phase_test,
    sign_flip_test,
    standardized,
    surrogate_correlations,
)


def ar1(rng, n, n_columns, phi=0.85):
    """Stationary AR(1) series, as BOLD after a low-pass."""
    burn = 100
    e = rng.standard_normal((n + burn, n_columns))
    return lfilter([1.0], [1.0, -phi], e, axis=0)[burn:]


def test_surrogates_in_the_spectrum_are_those_made_in_time():
    rng = np.random.default_rng(0)
    for n in (50, 51):
        a, b = standardized(ar1(rng, n, 3)), standardized(ar1(rng, n, 3))
        found = surrogate_correlations(a, b, 7, np.random.default_rng(1))
        n_free = (n - 1) // 2
        turns = np.random.default_rng(1).uniform(0, 2 * np.pi, (7, n_free))
        for row, turn in zip(found, turns):
            freqs = np.fft.rfft(a, axis=0)
            freqs[1 : n_free + 1] *= np.exp(1j * turn)[:, None]
            drawn = np.fft.irfft(freqs, n=n, axis=0)
            np.testing.assert_allclose(row, (drawn * b).sum(axis=0), atol=1e-12)


def test_autocorrelation_is_that_of_the_formula():
    x = ar1(np.random.default_rng(0), 40, 2)
    c = x - x.mean(axis=0)
    wanted = (c[3:] * c[:-3]).sum(0) / (c * c).sum(0) / (1 - 3 / 40)
    np.testing.assert_allclose(autocorrelation(x, 5)[2], wanted)


def test_effective_samples_of_ar1_are_those_of_theory():
    rng = np.random.default_rng(0)
    phi, n = 0.7, 4000
    found = effective_samples(ar1(rng, n, 20, phi), ar1(rng, n, 20, phi)).mean()
    assert found == pytest.approx(n * (1 - phi**2) / (1 + phi**2), rel=0.1)


@pytest.mark.parametrize("n", [100, 240])
def test_true_nulls_are_rejected_as_often_as_they_should(n):
    rng = np.random.default_rng(n)
    x, y = ar1(rng, n, 1500), ar1(rng, n, 1500)
    phase = phase_test([(x, y)], 199, seed=0)
    _, bartlett = bartlett_test([(x, y)])
    assert 0.03 <= np.mean(phase.p <= 0.05) <= 0.07
    assert 0.03 <= np.mean(bartlett <= 0.05) <= 0.07
    naive = np.abs(np.arctanh(phase.r)) * np.sqrt(n - 3) > 1.96
    assert naive.mean() > 0.2


def test_the_family_of_regions_is_kept_at_its_level():
    rng = np.random.default_rng(3)
    hits = 0
    for seed in range(200):
        x, y = ar1(rng, 120, 20), ar1(rng, 120, 20)
        x += 1.5 * ar1(rng, 120, 1)  # regions go together
        hits += (phase_test([(x, y)], 99, seed=seed).p_family <= 0.05).any()
    assert hits / 200 <= 0.09


def test_a_real_relation_is_found_over_several_spans():
    rng = np.random.default_rng(0)
    spans = []
    for _ in range(4):
        x = ar1(rng, 80, 3)
        y = ar1(rng, 80, 3)
        y[:, 0] += 1.5 * x[:, 0]
        spans.append((x, y))
    found = phase_test(spans, 499, seed=0)
    assert found.p_family[0] == pytest.approx(0.002)
    assert (found.p_family[1:] > 0.05).all()
    assert bartlett_test(spans)[1][0] < 1e-4


def test_offsets_between_spans_change_nothing():
    rng = np.random.default_rng(0)
    spans = [(ar1(rng, 60, 2), ar1(rng, 60, 2)) for _ in range(3)]
    moved = [(x + 10 * i, 3 * y - i) for i, (x, y) in enumerate(spans)]
    one, two = phase_test(spans, 50, seed=1), phase_test(moved, 50, seed=1)
    np.testing.assert_allclose(one.null, two.null, atol=1e-9)
    np.testing.assert_allclose(one.r, two.r, atol=1e-9)


def test_a_series_that_does_not_vary_is_not_tested():
    x = ar1(np.random.default_rng(0), 60, 2)
    y = x.copy()
    y[:, 1] = 3.0
    found = phase_test([(x, y)], 19, seed=0)
    assert np.isnan(found.p[1])
    assert np.isnan(found.r[1])
    assert found.p[0] == pytest.approx(0.05)


def test_gaps_are_bridged():
    x = np.arange(10.0)[:, None]
    x[4:6] = np.nan
    np.testing.assert_allclose(filled(x).ravel(), np.arange(10.0))


def test_sign_flips_of_six_people_are_exact():
    z = np.array([[0.3], [0.2], [0.5], [0.1], [0.4], [-0.05]])
    signs = np.array(np.meshgrid(*[[1, -1]] * 6)).reshape(6, -1)
    means = np.abs(z[:, 0] @ signs)
    wanted = (means >= abs(z.sum()) - 1e-12).mean()
    assert sign_flip_test(z)[0][0] == pytest.approx(wanted)


def test_sign_flips_keep_their_level():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((9, 3000))
    p, family = sign_flip_test(z)
    assert 0.03 <= (p <= 0.05).mean() <= 0.07
    assert (family <= 0.05).sum() <= 3
    many, _ = sign_flip_test(rng.standard_normal((20, 1000)), 1000, seed=0)
    assert 0.03 <= (many <= 0.05).mean() <= 0.07


def test_false_discoveries_are_a_small_share_of_a_mixture():
    rng = np.random.default_rng(0)
    shares = []
    for seed in range(20):
        x, y = ar1(rng, 200, 60), ar1(rng, 200, 60)
        y[:, :20] += 1.2 * x[:, :20]
        q = false_discovery_control(phase_test([(x, y)], 999, seed=seed).p)
        found = np.flatnonzero(q <= 0.05)
        shares.append((found >= 20).sum() / max(len(found), 1))
        assert len(found) >= 15
    assert np.mean(shares) <= 0.07


@given(st.integers(0, 50))
def test_same_seed_gives_the_same_surrogates(seed):
    rng = np.random.default_rng(seed)
    spans = [(ar1(rng, 40, 2), ar1(rng, 40, 2))]
    one, two = phase_test(spans, 20, seed=seed), phase_test(spans, 20, seed=seed)
    np.testing.assert_array_equal(one.null, two.null)


@pytest.mark.parametrize("spans", [[], [(np.zeros((5, 1)), np.zeros((4, 1)))]])
def test_spans_that_do_not_fit_are_refused(spans):
    with pytest.raises(ShapeError):
        phase_test(spans)
    with pytest.raises(ShapeError):
        bartlett_test(spans)
