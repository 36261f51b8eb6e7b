"""Kernel dependence and directed spectra beside closed forms and other libraries."""

import numpy as np
import pytest

from neuroana.fc import kernels
from neuroana.fc.registry import find
from neuroana.fc.sharing import Shared
from neuroana.fc.transfer import (
    directed_coherences,
    directed_transfer,
    of_coefficients,
    partial_coherence,
    partial_directed,
)


SONG = "hsic_biased_median_sqrt_correlation__closed_form"
OFF = ~np.eye(6, dtype=bool)


@pytest.mark.parametrize(
    ("name", "params", "key"),
    [
        ("dcor", {}, "distance_correlation__dcor"),
        ("dcor", {}, "dcorr_biasTrue__hyppo"),
        ("dcor_unbiased", {}, "distance_correlation_sqr_unbiased__dcor"),
        ("dcor_unbiased", {}, "dcorr_biasFalse__hyppo"),
        ("hsic", {}, "hsic_biased_median__closed_form"),
        ("hsic", {"correlation": True}, SONG),
    ],
)  # fmt: skip
def test_dependence_equals_other_library(oracle, x, name, params, key):
    w = find(name)(x, **params)
    np.testing.assert_allclose(w[OFF], oracle[key][OFF], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", ["dcor", "dcor_unbiased", "hsic"])
def test_blocks_of_rows_do_not_matter(x, monkeypatch, name):
    whole = find(name)(x[:90])
    monkeypatch.setattr(kernels, "ROWS", 90)
    np.testing.assert_allclose(find(name)(x[:90]), whole, rtol=1e-12, atol=1e-14)


def test_unbiased_criterion_equals_the_u_statistic(x):
    y = x[:40]
    n = len(y)
    k = [np.exp(-((c[:, None] - c) ** 2) / (2 * m**2))
         for c, m in zip(y.T, kernels.median_distances(y))]  # fmt: skip
    for matrix in k:
        np.fill_diagonal(matrix, 0.0)
    a, b = k[0], k[1]
    wanted = (np.trace(a @ b) + a.sum() * b.sum() / ((n - 1) * (n - 2))
              - 2 * (a @ b).sum() / (n - 2)) / (n * (n - 3))  # fmt: skip
    assert find("hsic")(y, unbiased=True)[0, 1] == pytest.approx(wanted, abs=1e-14)


def test_unbiased_distance_correlation_of_noise_has_mean_zero():
    x = np.random.default_rng(0).normal(size=(30, 60, 4))
    pairs = find("dcor_unbiased")(x)[:, *np.triu_indices(4, 1)].mean(axis=1)
    assert abs(pairs.mean()) < 2 * pairs.std() / np.sqrt(30)


def test_dependence_without_correlation_is_found():
    u = np.random.default_rng(0).uniform(-1, 1, size=300)
    x = np.stack([u, u**2], axis=1)
    assert abs(np.corrcoef(x.T)[0, 1]) < 0.2
    assert find("dcor")(x)[0, 1] > 0.4
    assert find("hsic")(x, correlation=True)[0, 1] > 0.4


@pytest.mark.parametrize("name", ["cross_dcor", "cross_hsic"])
def test_lagged_dependence_points_from_source_to_target(name):
    x = np.random.default_rng(0).normal(size=(150, 2))
    x[3:, 1] = x[:-3, 0] ** 2
    w = find(name)(x, lag_samples=4)
    assert w[0, 1] > 2 * w[1, 0]


def test_lag_zero_is_distance_correlation(x):
    w = find("cross_dcor")(x[:80], lag_samples=0)
    np.testing.assert_allclose(w, find("dcor")(x[:80]), atol=1e-12)


def test_directed_spectra_equal_the_closed_form(oracle):
    A, sigma = oracle["true_A"][None, None], oracle["true_Sigma"][None]
    Af, H = of_coefficients(A, oracle["true_freqs"])
    made = {
        "dtf": directed_transfer(H),
        "pdc": partial_directed(Af, np.ones((1, 6))),
        "gpdc": partial_directed(Af, np.ones((1, 6))),
        "directed_coherence": directed_coherences(H, sigma),
    }
    for name, w in made.items():
        np.testing.assert_allclose(w[0], oracle[f"true_{name}"], atol=1e-12)


def test_partial_coherence_is_that_of_the_inverse_spectrum(oracle):
    A, sigma = oracle["true_A"][None, None], oracle["true_Sigma"][None]
    Af, _ = of_coefficients(A, oracle["true_freqs"])
    P = np.linalg.inv(oracle["true_spectrum"])
    d = np.sqrt(np.einsum("fii->fi", P).real)
    wanted = np.abs(P) / (d[:, :, None] * d[:, None])
    np.testing.assert_allclose(partial_coherence(Af, sigma)[0], wanted, atol=1e-10)


@pytest.mark.parametrize("name", ["dtf", "pdc"])
def test_fitted_spectra_are_near_the_truth(oracle, name):
    rng = np.random.default_rng(3)
    noise = rng.multivariate_normal(np.zeros(6), oracle["true_Sigma"], size=4099)
    x = np.zeros_like(noise)
    for t in range(1, len(x)):
        x[t] = oracle["true_A"] @ x[t - 1] + noise[t]
    w, coords = find(name).run(Shared(x[None, 99:]), fs=1.0, average=None)
    np.testing.assert_allclose(coords["freq"], oracle["true_freqs"])
    np.testing.assert_allclose(w[0], oracle[f"true_{name}"], atol=0.10)


def test_generalised_coherence_ignores_the_scale_of_regions(x):
    scaled = x * [1, 10, 0.1, 5, 100, 1]
    gap = {n: np.abs(find(n)(x, fs=1.0) - find(n)(scaled, fs=1.0)).max()
           for n in ("gpdc", "pdc", "directed_coherence")}  # fmt: skip
    assert gap["gpdc"] < 1e-10
    assert gap["directed_coherence"] < 1e-10
    assert gap["pdc"] > 0.1


def test_direct_transfer_is_small_where_the_path_is_indirect(oracle, x):
    w, direct = find("dtf")(x, fs=1.0), find("ddtf")(x, fs=1.0)
    assert direct[0, 2] / direct[0, 1] < 0.6 * w[0, 2] / w[0, 1]
