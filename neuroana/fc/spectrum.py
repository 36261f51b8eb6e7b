"""Fourier coefficients of segments or tapers, and what cross-spectra say.

S_ij(f) = E X_i conj X_j over K estimates (segments x tapers) of each recording. Every
operator here returns a mean over a band, or all frequencies (``average=None``).
"""

import warnings

import numpy as np

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import DataWarning, ParameterError
from neuroana.fc.registry import operator
from neuroana.fc.sharing import intermediate


SEGMENT = 64  # samples, where a recording has four times as many
CARTER = "Carter, Knapp and Nuttall 1973, IEEE Trans. Audio Electroacoust. 21, 337"
NOLTE = "Nolte et al. 2004, Clin. Neurophysiol. 115, 2292"
PSI = "Nolte et al. 2008, Phys. Rev. Lett. 100, 234101"
NUNEZ = "Nunez et al. 1997, Electroencephalogr. Clin. Neurophysiol. 103, 499"
CARTER_DELAY = "Carter 1987, Proc. IEEE 75, 236"


def check_band(band, fs):
    """A band in Hz that the recording holds; None is all."""
    low, high = (0.0, fs / 2) if band is None else band
    if not 0 <= low < high <= fs / 2 + 1e-12:
        raise ParameterError(
            message(
                "argument 'band'",
                f"0 <= low < high <= {fs / 2:g} Hz, half the sampling rate",
                band,
            )
        )
    return low, high


def bins_of(T, segment_samples):
    """Frequencies of a segment."""
    return (segment_samples or max(min(SEGMENT, T // 4), 4)) // 2 + 1


def segments(T, N, segment_samples, overlap, method, bandwidth, fs):
    """Numbers of the Fourier coefficients of all segments and tapers."""
    n = bins_of(T, segment_samples)
    n_tapers = 1
    if method == "multitaper":
        half = max((bandwidth or 4 * fs / n) * n / fs, 1.0)
        n_tapers = max(1, int(2 * half))
    return 2 * n * (T / (2 * n * (1 - overlap)) + 1) * n_tapers * N + 8 * n * N


def at_frequencies(n):
    """Workspace of n numbers for every frequency and pair."""
    return lambda T, N, segment_samples: n * bins_of(T, segment_samples) * N**2


def windows_of(segment, method, bandwidth, fs):
    """Tapers (taper, segment): a Hann window, a flat one, or Slepian sequences."""
    from scipy.signal.windows import dpss, hann

    if method == "hann":
        return hann(segment, sym=False)[None]
    if method == "fourier":
        return hann(segment, sym=True)[None]
    half = max(bandwidth * segment / (2 * fs), 1.0)
    tapers, kept = dpss(segment, half, max(1, int(2 * half)), sym=False,
                        return_ratios=True)  # fmt: skip
    keep = kept > min(0.9, kept[0] * 0.999)
    return tapers[keep] * np.sqrt(kept[keep])[:, None]


@intermediate(workspace=segments)
def coefficients(x, *, fs, segment_samples=None, overlap=0.5, method="hann",
                 bandwidth=None, band=None):  # fmt: skip
    """Fourier coefficients (recording, frequency, segment, taper, roi), freqs.

    Segments lose their mean. Of one segment, tapers count as segments. The mean square
    is a power spectrum up to a constant, which cancels in every operator.
    """
    X, freqs, segment = fourier(x, fs, segment_samples, overlap, method, bandwidth)
    keep = kept(freqs, segment, band, fs)
    return X[:, keep], freqs[keep]


def kept(freqs, segment, band, fs):
    """Which of the frequencies of a segment lie in the band."""
    low, high = check_band(band, fs)
    keep = (freqs >= low) & (freqs <= high) & (freqs > 0)
    if band is None:  # coefficients at half the rate are real: they have no phase
        keep &= freqs < fs / 2
    if keep.sum() < 3:
        warnings.warn(
            f"Only {keep.sum()} frequencies of {segment} samples lie in the band "
            f"{low:g} to {high:g} Hz.",
            DataWarning,
            stacklevel=3,
        )
    if not keep.any():
        raise ParameterError(
            message("argument 'band'", f"a frequency of {segment} samples in it", band,
                    f"bins are {fs / segment:g} Hz apart: use longer segments")
        )  # fmt: skip
    return keep


def segments_of(n_time, fs, segment_samples, overlap, method, bandwidth):
    """First samples of segments, their length, and the tapers (taper, segment)."""
    check_choice("method", method, ["hann", "fourier", "multitaper"])
    if segment_samples is None:
        segment_samples = max(min(SEGMENT, n_time // 4), 4)
    check_number("segment_samples", segment_samples, minimum=4, integer=True)
    check_number("overlap", overlap, minimum=0.0, maximum=0.95)
    segment = min(int(segment_samples), n_time)
    step = max(1, round(segment * (1 - overlap)))
    starts = np.arange(0, n_time - segment + 1, step)
    tapers = windows_of(segment, method, bandwidth or 8 * fs / segment, fs)
    if len(starts) * len(tapers) < 2:
        raise ParameterError(
            message(
                "argument 'segment_samples'",
                f"at least two segments or tapers in {n_time} samples",
                segment_samples,
                "use shorter segments, or method='multitaper'",
            )
        )
    return starts, segment, tapers


def fourier(x, fs, segment_samples, overlap, method, bandwidth):
    """Coefficients at all frequencies, the frequencies, and samples a segment."""
    starts, segment, tapers = segments_of(
        x.shape[1], fs, segment_samples, overlap, method, bandwidth
    )
    freqs = np.fft.rfftfreq(segment, 1 / fs)
    out = np.empty((len(x), len(freqs), len(starts), len(tapers), x.shape[2]), complex)
    for k, start in enumerate(starts):
        part = x[:, start : start + segment]
        part = part - part.mean(axis=1, keepdims=True)
        for h, taper in enumerate(tapers):
            f = np.fft.rfft(part * taper[:, None], axis=1)
            out[:, :, k, h] = f
    return (out.swapaxes(2, 3) if len(starts) == 1 else out), freqs, segment


@intermediate(workspace=at_frequencies(4))
def cross_spectrum(coefficients):
    """S (recording, frequency, roi, roi), one product for all pairs."""
    X, freqs = coefficients
    X = X.reshape(*X.shape[:2], -1, X.shape[-1])
    return np.swapaxes(X, -1, -2) @ X.conj() / X.shape[2], freqs


@intermediate(workspace=at_frequencies(6))
def coherencies(cross_spectrum):
    """S_ij / sqrt(S_ii S_jj)."""
    S, freqs = cross_spectrum
    p = np.sqrt(np.einsum("bfii->bfi", S).real)
    return S / (p[..., :, None] * p[..., None, :]), freqs


def averaged(w, freqs, average):
    """Mean or maximum over the band, or all frequencies."""
    check_choice("average", average, ["mean", "max", None])
    if average is None:
        return w, {"freq": freqs}
    if average == "mean":
        return w.mean(axis=1)
    at = np.abs(w).argmax(axis=1)
    return np.take_along_axis(w, at[:, None], axis=1)[:, 0]


def spectral(name, family, source, needs, **declared):
    """Declare an operator on spectra."""
    declared = {"cost": "8*T*N^2", "ordered": True, "workspace": at_frequencies(6),
                **declared}  # fmt: skip
    return operator(name, family, source=source, needs=needs, **declared)


@spectral("coherence", "spectral", CARTER, ("coherencies",))
def coherence(coherencies, *, magnitude=False, average="mean"):
    """Magnitude-squared coherence |S_ij|^2 / (S_ii S_jj).

    Parameters
    ----------
    magnitude : bool, default=False
        Return the square root.
    average : {'mean', 'max', None}
        Over the frequencies of the band; None keeps them.
    segment_samples, overlap, method, bandwidth, band
        Segments of 64 samples, or a quarter of shorter recordings, overlap by half
        under a Hann window; or ``'fourier'``, ``'multitaper'`` (bandwidth in Hz);
        band (low, high) in Hz.

    References
    ----------
    Carter, G. C., Knapp, C. and Nuttall, A. (1973). Estimation of the magnitude-squared
    coherence function via overlapped FFT processing. IEEE Transactions on Audio and
    Electroacoustics 21, 337-344.
    """
    C, freqs = coherencies
    w = np.abs(C) if magnitude else C.real**2 + C.imag**2
    return averaged(w, freqs, average)


@spectral("coherency", "spectral", NUNEZ, ("coherencies",), signed=True)
def coherency(coherencies, *, average="mean"):
    """Real part of coherency: coupling in phase.

    Complex coherency is this plus i times 'imcoh'; files hold real numbers.

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Nunez, P. L. et al. (1997). EEG coherency: I. Statistics, reference electrode,
    volume conduction, Laplacians, cortical imaging, and interpretation at multiple
    scales. Electroencephalography and Clinical Neurophysiology 103, 499-515.
    """
    return averaged(coherencies[0].real, coherencies[1], average)


@spectral("imcoh", "spectral", NOLTE, ("coherencies",), signed=True, directed=True)
def imcoh(coherencies, *, average="mean"):
    """Imaginary part of coherency: coupling that no instantaneous mixing explains.

    Antisymmetric; its sign depends on which region leads.

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Nolte, G. et al. (2004). Identifying true brain interaction from EEG data using the
    imaginary part of coherency. Clinical Neurophysiology 115, 2292-2307.
    """
    return averaged(coherencies[0].imag, coherencies[1], average)


@spectral("coherence_phase", "spectral", NUNEZ, ("coherencies",), signed=True,
          directed=True)  # fmt: skip
def coherence_phase(coherencies, *, average="mean"):
    """Angle of coherency in radians; positive where the source leads.

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Nunez, P. L. et al. (1997). EEG coherency: I. Electroencephalography and Clinical
    Neurophysiology 103, 499-515.
    """
    return averaged(np.angle(coherencies[0]), coherencies[1], average)


@spectral("group_delay", "spectral", CARTER_DELAY, ("coherencies",), signed=True,
          directed=True)  # fmt: skip
def group_delay(coherencies):
    """Seconds by which the source leads: slope of the unwrapped phase over the band.

    Frequencies weigh as their coherence C / (1 - C) says how well phase is known.

    Parameters
    ----------
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Carter, G. C. (1987). Coherence and time delay estimation. Proceedings of the IEEE
    75, 236-255.
    """
    C, freqs = coherencies
    if len(freqs) < 3:
        raise ParameterError(
            message("operator 'group_delay'", "3 frequencies in the band", len(freqs))
        )
    phase = np.unwrap(np.angle(C), axis=1)
    power = np.minimum(np.abs(C) ** 2, 1 - 1e-12)
    weight = power / (1 - power)
    weight /= weight.sum(axis=1, keepdims=True)
    f = freqs[None, :, None, None]
    gap = f - (weight * f).sum(axis=1, keepdims=True)
    slope = (weight * gap * phase).sum(axis=1) / (weight * gap**2).sum(axis=1)
    upper = np.triu(slope / (2 * np.pi), 1)
    return upper - np.swapaxes(upper, 1, 2)


@spectral("psi", "spectral", PSI, ("coherencies",), signed=True, directed=True)
def psi(coherencies):
    """Phase slope index Im sum_f conj C_ij(f) C_ij(f + df); > 0: the source leads.

    Parameters
    ----------
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Nolte, G. et al. (2008). Robustly estimating the flow direction of information in
    complex physical systems. Physical Review Letters 100, 234101.
    """
    C, _ = coherencies
    # a source that leads by tau has the phase +2 pi f tau in E X_i conj X_j
    return (C[:, :-1].conj() * C[:, 1:]).sum(axis=1).imag
