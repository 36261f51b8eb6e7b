"""Coherence of Morlet wavelet coefficients, smoothed in time and scale.

psi(t) = exp(2 pi i f t) exp(-t^2 / 2 s^2), s = c / (2 pi f) with c cycles.
"""

import numpy as np

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.fc.registry import operator
from neuroana.fc.sharing import intermediate
from neuroana.fc.spectrum import averaged, check_band


TORRENCE = "Torrence and Compo 1998, Bull. Am. Meteorol. Soc. 79, 61"
VOICES = 6  # frequencies an octave
OCTAVES = 0.6  # width of the smoothing in scale of a Morlet wavelet


def frequencies(n_time, fs, band):
    """Frequencies, evenly spaced in octaves; at least four periods in the recording."""
    low, high = (4 * fs / n_time, 0.4 * fs) if band is None else check_band(band, fs)
    check_number("the lower edge of 'band'", low, minimum=0.0, open_ends=True)
    return np.geomspace(low, high, max(3, 1 + round(VOICES * np.log2(high / low))))


def scale_of(freqs, n_cycles):
    """s in seconds."""
    return n_cycles / (2 * np.pi * freqs)


def held(T, N):
    """Numbers of the wavelet coefficients, up to 8 octaves."""
    return 2 * (8 * VOICES + 4) * T * N


@intermediate(workspace=held)
def wavelet_coefficients(centred, *, fs, band=None, freqs=None, n_cycles=6.0):
    """Coefficients (recording, frequency, time, roi) and the frequencies."""
    from scipy.fft import fft, ifft, next_fast_len

    check_number("n_cycles", n_cycles, minimum=1.0)
    n_time = centred.shape[1]
    freqs = frequencies(n_time, fs, band) if freqs is None else np.asarray(freqs, float)
    out = np.empty((len(centred), len(freqs), *centred.shape[1:]), complex)
    for k, (f, s) in enumerate(zip(freqs, scale_of(freqs, n_cycles))):
        half = min(int(5 * s * fs), n_time - 1)
        t = np.arange(-half, half + 1) / fs
        wave = np.exp(2j * np.pi * f * t - 0.5 * (t / s) ** 2)
        wave /= np.linalg.norm(wave)
        size = next_fast_len(n_time + 2 * half)
        product = fft(centred, size, axis=1) * fft(wave, size)[:, None]
        out[:, k] = ifft(product, axis=1)[:, half : half + n_time]
    return out, freqs


def smoothed(values, widths):
    """Mean over time, as wide as the wavelet, and over the neighbouring scales."""
    from scipy.ndimage import gaussian_filter1d, uniform_filter1d

    out = np.empty_like(values)
    for k, width in enumerate(widths):
        out[k] = gaussian_filter1d(
            values[k], width, axis=0, mode="constant", truncate=3
        )
    return uniform_filter1d(out, round(VOICES * OCTAVES), axis=0, mode="nearest")


def smoothed_coherence(W, scales):
    """Mean over time of |<W_i conj W_j>|^2 / <|W_i|^2> <|W_j|^2>, (freq, roi, roi).

    Samples within sqrt 2 scales of the ends do not count.
    """
    n_freqs, n_time, n = W.shape
    t = np.arange(n_time) + 0.5
    inside = np.minimum(t, n_time - t) > np.sqrt(2) * scales[:, None]
    if not inside.any(axis=1).all():
        raise ParameterError(
            message(
                "argument 'band'",
                "frequencies whose wavelets fit into the recording",
                f"wavelets of {scales.max():.0f} samples in {n_time}",
                "raise the lower edge of the band",
            )
        )
    inside = inside / inside.sum(axis=1, keepdims=True)
    power = smoothed(np.abs(W) ** 2, scales)
    w = np.empty((n_freqs, n, n))
    for i in range(n):
        cross = smoothed(W[:, :, i:] * W[:, :, i : i + 1].conj(), scales)
        ratio = np.abs(cross) ** 2 / (power[:, :, i:] * power[:, :, i : i + 1])
        w[:, i, i:] = np.einsum("ft,ftj->fj", inside, ratio)
        w[:, i:, i] = w[:, i, i:]
    return w


def plain_coherence(W):
    """|sum_t W_i conj W_j|^2 / sum |W_i|^2 sum |W_j|^2 (freq, roi, roi)."""
    S = np.swapaxes(W, -1, -2) @ W.conj()
    own = np.einsum("fii->fi", S).real
    return np.abs(S) ** 2 / (own[:, :, None] * own[:, None, :])


@operator("wavelet_coherence", "spectral", ordered=True, cost="500*T*N^2",
          workspace=lambda T, N: 5 * (8 * VOICES + 4) * T * N,
          source=TORRENCE)  # fmt: skip
def wavelet_coherence(wavelet_coefficients, *, fs, n_cycles=6.0, smooth=True,
                      magnitude=False, average="mean"):  # fmt: skip
    """Coherence of wavelet coefficients: coupling that comes and goes counts too.

    Parameters
    ----------
    n_cycles : float, default=6
        Of the Morlet wavelet.
    smooth : bool, default=True
        Smooth in time and scale, then average over time; or sum over time first.
    magnitude : bool, default=False
        Return the square root.
    average : {'mean', 'max', None}
    band : (low, high), optional
        Hz; from four periods in the recording to 0.4 of the sampling rate.
    freqs : sequence of float, optional
        Frequencies in Hz in place of a band; smoothing in scale takes neighbours.

    References
    ----------
    Torrence, C. and Compo, G. P. (1998). A practical guide to wavelet analysis.
    Bulletin of the American Meteorological Society 79, 61-78. Smoothing: Grinsted, A.,
    Moore, J. C. and Jevrejeva, S. (2004). Nonlinear Processes in Geophysics 11, 561.
    """
    check_choice("smooth", smooth, [True, False])
    W, freqs = wavelet_coefficients
    scales = scale_of(freqs, n_cycles) * fs
    w = np.stack([smoothed_coherence(c, scales) if smooth else plain_coherence(c)
                  for c in W])  # fmt: skip
    return averaged(np.sqrt(w) if magnitude else w, freqs, average)
