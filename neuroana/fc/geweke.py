"""Granger causality by frequency, of pairs: from autoregressions, or from spectra.

S(f) = H Sigma H* of a pair; f_{i->j} = log(S_jj / (S_jj - (Sigma_ii - Sigma_ij^2 /
Sigma_jj) |H_ji|^2)). H and Sigma come from a bivariate autoregression, or from Wilson's
factorisation of the cross-spectrum, which needs no order.
"""

import warnings

import numpy as np

from neuroana.core.checks import check_number
from neuroana.core.errors import FitWarning
from neuroana.fc.autoregression import check_samples
from neuroana.fc.registry import operator
from neuroana.fc.sharing import intermediate
from neuroana.fc.spectrum import at_frequencies, averaged, bins_of, check_band, fourier
from neuroana.fc.transfer import of_coefficients


DHAMALA = "Dhamala, Rangarajan and Ding 2008, Phys. Rev. Lett. 100, 018701"
GEWEKE = "Geweke 1982, J. Am. Stat. Assoc. 77, 304"
ROOM = 2**16  # matrices of pairs and frequencies that are factorised at once


@intermediate(workspace=at_frequencies(6))
def whole_spectrum(x, *, fs, segment_samples=None, overlap=0.5, method="hann",
                   bandwidth=None):  # fmt: skip
    """S (recording, frequency, roi, roi) from 0 to half the rate, samples a segment."""
    X, _, segment = fourier(x - x.mean(axis=1, keepdims=True), fs, segment_samples,
                            overlap, method, bandwidth)  # fmt: skip
    X = X.reshape(*X.shape[:2], -1, X.shape[-1])
    return np.swapaxes(X, -1, -2) @ X.conj() / X.shape[2], segment


def factorise(S, n, *, tol=1e-10, max_iter=200):
    """psi with S = psi psi* and psi causal, by Wilson's iteration (Newton's method).

    Parameters
    ----------
    S : ndarray (..., frequency, k, k)
        Cross-spectra at the n // 2 + 1 frequencies from 0 to half the rate.
    n : int
        Samples of the segment, so points on the circle.

    Returns
    -------
    ndarray (..., frequency, k, k), ndarray (..., k, k)
        psi and its coefficient at lag 0.
    """
    k = S.shape[-1]
    eye = np.eye(k)
    start = np.linalg.cholesky(mean_of(S, n))
    psi = np.broadcast_to(start[..., None, :, :], S.shape).astype(complex)
    for _ in range(max_iter):
        inner = np.linalg.inv(psi)
        g = inner @ S @ np.swapaxes(inner.conj(), -1, -2) + eye
        lags = np.fft.irfft(g, n, axis=-3)
        lags[..., n // 2 + 1 :, :, :] = 0.0
        lags[..., 0, :, :] /= 2
        if n % 2 == 0:  # as much before as after
            lags[..., n // 2, :, :] /= 2
        step = np.fft.rfft(lags, axis=-3)
        psi = psi @ step
        if np.abs(step - eye).max() < tol:
            return psi, np.fft.irfft(psi, n, axis=-3)[..., 0, :, :]
    warnings.warn(
        f"The factorisation of cross-spectra did not converge in {max_iter} "
        "iterations: use longer recordings, or shorter segments.",
        FitWarning,
        stacklevel=3,
    )
    return psi, np.fft.irfft(psi, n, axis=-3)[..., 0, :, :]


def mean_of(S, n):
    """Covariance: the mean of a spectrum over the circle."""
    weight = np.full(S.shape[-3], 2.0)
    weight[0] = 1.0
    if n % 2 == 0:
        weight[-1] = 1.0
    return np.einsum("f,...fij->...ij", weight, S).real / n


def causality(H, sigma):
    """f_{0->1} and f_{1->0} of pairs (..., frequency), not below 0."""
    S = H @ sigma[..., None, :, :] @ np.swapaxes(H.conj(), -1, -2)
    out = []
    for source, target in ((0, 1), (1, 0)):
        own = sigma[..., source, source]
        own = own - sigma[..., source, target] ** 2 / sigma[..., target, target]
        part = own[..., None] * np.abs(H[..., target, source]) ** 2
        power = S[..., target, target].real
        out.append(np.log(power / (power - part)))
    return out


def from_spectra(spectrum, segment, band, fs):
    """f (recording, frequency, source, target) by Wilson's factorisation."""
    n_recordings, n_freqs, n, _ = spectrum.shape
    freqs = np.fft.rfftfreq(segment, 1 / fs)
    low, high = check_band(band, fs)
    keep = (freqs >= low) & (freqs <= high)
    out = np.full((n_recordings, keep.sum(), n, n), np.nan)
    first, second = np.triu_indices(n, 1)
    most = max(1, ROOM // n_freqs)
    for b in range(n_recordings):
        for a in range(0, len(first), most):
            pair = np.stack([first[a : a + most], second[a : a + most]], axis=1)
            S = spectrum[b][:, pair[:, :, None], pair[:, None, :]].swapaxes(0, 1)
            psi, zero = factorise(S, segment)
            H = psi @ np.linalg.inv(zero)[:, None]
            both = causality(H, zero @ np.swapaxes(zero, -1, -2))
            i, j = pair.T
            out[b][:, i, j], out[b][:, j, i] = (f[:, keep].T for f in both)
    return out, freqs[keep]


def from_moments(lag_moments, freqs):
    """The same by bivariate autoregressions; `freqs` in cycles a sample."""
    R, r, s, _ = lag_moments
    n_recordings, order, n = r.shape[:3]
    out = np.full((n_recordings, len(freqs), n, n), np.nan)
    first, second = np.triu_indices(n, 1)
    most = max(1, ROOM // len(freqs))
    for b in range(n_recordings):
        for a in range(0, len(first), most):
            pair = np.stack([first[a : a + most], second[a : a + most]], axis=1)
            one, two = pair[:, :, None], pair[:, None, :]
            own = R[b][:, one, :, two]  # (pair, 2, 2, lag, lag)
            gram = own.transpose(0, 3, 1, 4, 2).reshape(-1, 2 * order, 2 * order)
            right = r[b][:, one, two].swapaxes(0, 1).reshape(-1, 2 * order, 2)
            B = np.linalg.solve(gram, right)
            sigma = s[b][one, two] - np.swapaxes(right, 1, 2) @ B
            A = B.reshape(-1, order, 2, 2).swapaxes(2, 3)
            _, H = of_coefficients(A, freqs)
            i, j = pair.T
            out[b][:, i, j], out[b][:, j, i] = (f.T for f in causality(H, sigma))
    return out


def bounded(T, N, segment_samples=None, n_freqs=3):
    """Numbers of the result and of the pairs at work."""
    n = max(bins_of(T, segment_samples), n_freqs)
    return n * N**2 + 40 * 4 * min(ROOM, n * N * (N - 1) // 2 + n)


@operator("spectral_granger", "spectral", directed=True, ordered=True,
          cost="T*N^2 + 500*P*F", workspace=bounded, needs=("lag_moments",),
          source=GEWEKE)  # fmt: skip
def spectral_granger(lag_moments, *, fs, n_freqs=33, band=None, average="mean"):
    """Granger causality at the frequencies of a band, by autoregressions of pairs.

    Its mean over all frequencies is the log ratio of 'granger'.

    Parameters
    ----------
    order : int, default=1
    n_freqs : int, default=33
        Frequencies in the band.
    band : (low, high), optional
        Hz.
    average : {'mean', 'max', None}

    References
    ----------
    Geweke, J. (1982). Measurement of linear dependence and feedback between multiple
    time series. Journal of the American Statistical Association 77, 304-313.
    """
    check_number("n_freqs", n_freqs, minimum=3, integer=True)
    order, n_samples = lag_moments[1].shape[1], lag_moments[3]
    check_samples(n_samples + order, order, 2, "spectral_granger")
    freqs = np.linspace(*check_band(band, fs), n_freqs)
    return averaged(from_moments(lag_moments, freqs / fs), freqs, average)


@operator("spectral_granger_wilson", "spectral", directed=True, ordered=True,
          cost="T*N^2 + 2000*P*F", workspace=bounded, needs=("whole_spectrum",),
          source=DHAMALA)  # fmt: skip
def spectral_granger_wilson(whole_spectrum, *, fs, band=None, average="mean"):
    """Granger causality at the frequencies of a band, from cross-spectra of pairs.

    Wilson's factorisation takes the place of an autoregression: no order to choose.

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Dhamala, M., Rangarajan, G. and Ding, M. (2008). Estimating Granger causality from
    Fourier and wavelet transforms of time series data. Physical Review Letters 100,
    018701. Wilson, G. T. (1972). The factorization of matricial spectral densities.
    SIAM Journal on Applied Mathematics 23, 420-426.
    """
    return averaged(*from_spectra(*whole_spectrum, band, fs), average)
