"""Granger causality by frequency: Wilson's factorisation and the population's truth."""

import numpy as np
import pytest

from neuroana.core.errors import FitWarning
from neuroana.fc.geweke import causality, factorise, from_spectra, mean_of
from neuroana.fc.registry import find
from neuroana.fc.sharing import Shared
from neuroana.fc.transfer import of_coefficients


N = 256


@pytest.fixture
def spectrum(oracle):
    """The population's cross-spectrum on a fine grid, from 0 to half the rate."""
    _, H = of_coefficients(oracle["true_A"][None, None], np.fft.rfftfreq(N))
    return (H @ oracle["true_Sigma"] @ np.swapaxes(H.conj(), -1, -2))[0]


def test_factor_is_causal_and_gives_the_spectrum(spectrum):
    pair = spectrum[:, :2, :2]
    psi, zero = factorise(pair, N)
    np.testing.assert_allclose(psi @ np.swapaxes(psi.conj(), -1, -2), pair, atol=1e-9)
    lags = np.fft.irfft(psi, N, axis=0)
    assert np.abs(lags[N // 2 :]).max() < 1e-9
    np.testing.assert_allclose(lags[0], zero, atol=1e-12)


def test_factor_of_all_regions_finds_the_innovations(oracle, spectrum):
    psi, zero = factorise(spectrum, N)
    np.testing.assert_allclose(zero @ zero.T, oracle["true_Sigma"], atol=1e-9)
    _, H = of_coefficients(oracle["true_A"][None, None], np.fft.rfftfreq(N))
    np.testing.assert_allclose(psi @ np.linalg.inv(zero), H[0], atol=1e-8)


def test_mean_of_a_spectrum_is_the_covariance(oracle, spectrum):
    np.testing.assert_allclose(mean_of(spectrum, N), oracle["true_covariance"],
                               atol=1e-10)  # fmt: skip


def test_mean_over_frequencies_is_the_causality_in_time(oracle, spectrum):
    f, _ = from_spectra(spectrum[None], N, None, 1.0)
    weight = np.full(N // 2 + 1, 2.0)
    weight[[0, -1]] = 1.0
    total = np.einsum("f,fij->ij", weight / N, f[0])
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(total[off], oracle["true_granger_bivariate"][off],
                               atol=1e-4)  # fmt: skip


def test_autoregression_is_the_closed_form_of_its_coefficients(x):
    pair = x[:, [0, 1]]
    w, _ = find("spectral_granger").run(Shared(pair[None]), fs=1.0, average=None)
    past, now = (v - v.mean(axis=0) for v in (pair[:-1], pair[1:]))
    A = np.linalg.lstsq(past, now, rcond=None)[0].T
    rest = now - past @ A.T
    freqs = np.linspace(0, 0.5, 33)
    _, H = of_coefficients(A[None, None], freqs)
    forward, backward = causality(H, (rest.T @ rest)[None])
    np.testing.assert_allclose(w[0][:, 0, 1], forward[0], rtol=1e-9)
    np.testing.assert_allclose(w[0][:, 1, 0], backward[0], rtol=1e-9)


def test_order_one_points_as_granger_does(oracle, x):
    w, g = find("spectral_granger")(x, fs=1.0), find("granger")(x)
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(w[off], g[off], atol=0.03)


def test_factorised_samples_are_near_the_truth(oracle):
    rng = np.random.default_rng(3)
    noise = rng.multivariate_normal(np.zeros(6), oracle["true_Sigma"], size=20_000)
    x = np.zeros_like(noise)
    for t in range(1, len(x)):
        x[t] = oracle["true_A"] @ x[t - 1] + noise[t]
    w = find("spectral_granger_wilson")(x[99:], fs=1.0)
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(w[off], oracle["true_granger_bivariate"][off], atol=0.02)


def test_factorisation_that_does_not_converge_warns(spectrum):
    with pytest.warns(FitWarning, match="did not converge"):
        factorise(spectrum, N, max_iter=1)
