"""Locking of phases over estimates: PLV and PPC, phase-lag index and its weights.

S_k,ij = X_k,i conj X_k,j for the K estimates of a recording; d the angle of S_k.
"""

import numpy as np

from neuroana.fc.sharing import intermediate
from neuroana.fc.spectrum import averaged, bins_of, spectral


LACHAUX = "Lachaux et al. 1999, Hum. Brain Mapp. 8, 194"
BRUNA = "Bruña, Maestú and Pereda 2018, J. Neural Eng. 15, 056011"
VINCK = "Vinck et al. 2010, NeuroImage 51, 112"
STAM = "Stam, Nolte and Daffertshofer 2007, Hum. Brain Mapp. 28, 1178"
STAM_DIRECTED = "Stam and van Straaten 2012, NeuroImage 62, 1415"
WEIGHTED = "Vinck et al. 2011, NeuroImage 55, 1548"
ROOM = 2**22  # entries of Im S_k that are held at once


def spectra_of_segments(X):
    """S_k (frequency, segment, roi, roi) in blocks of frequencies, with their slice.

    Tapers of a segment are summed, segments are the estimates.
    """
    flat = X.reshape(-1, *X.shape[2:])
    n_segments, _, n = flat.shape[1:]
    rows = max(1, ROOM // (n_segments * n * n))
    for first in range(0, len(flat), rows):
        part = flat[first : first + rows]
        yield slice(first, first + rows), np.swapaxes(part, -1, -2) @ part.conj()


def blocks_of_pairs(T, N, segment_samples, overlap):
    """Numbers for every frequency and pair, and of the block of S_k at work."""
    n = bins_of(T, segment_samples)
    n_segments = T / (2 * n * (1 - overlap)) + 1
    most = n * n_segments * N**2
    return 8 * n * N**2 + 6 * max(min(ROOM, most), n_segments * N**2)


@intermediate(workspace=blocks_of_pairs)
def mean_phasors(coefficients):
    """E exp(i d) (recording, frequency, roi, roi), the freqs and K."""
    X, freqs = coefficients
    n_segments, n_tapers, n = X.shape[2:]
    if n_tapers == 1:
        size = np.abs(X)
        U = (X / np.where(size > 0, size, 1.0))[:, :, :, 0]
        return np.swapaxes(U, -1, -2) @ U.conj() / n_segments, freqs, n_segments
    out = np.empty((X.shape[0] * X.shape[1], n, n), complex)
    for block, S in spectra_of_segments(X):
        size = np.abs(S)
        out[block] = (S / np.where(size > 0, size, 1.0)).mean(axis=1)
    return out.reshape(*X.shape[:2], n, n), freqs, n_segments


@intermediate(workspace=blocks_of_pairs)
def imaginary_sums(coefficients):
    """Sums over estimates of sgn Im S, Im S, |Im S|, (Im S)^2, freqs, K."""
    X, freqs = coefficients
    n_segments, _, n = X.shape[2:]
    out = np.zeros((4, X.shape[0] * X.shape[1], n, n))
    for block, S in spectra_of_segments(X):
        s = S.imag
        s = (s - np.swapaxes(s, -1, -2)) / 2  # rounding must not make signs
        out[0, block] = np.sign(s).sum(axis=1)
        out[1, block] = s.sum(axis=1)
        out[3, block] = np.einsum("bkij,bkij->bij", s, s)
        out[2, block] = np.abs(s, out=s).sum(axis=1)
    return out.reshape(4, *X.shape[:2], n, n), freqs, n_segments


@spectral("plv", "phase", LACHAUX, ("mean_phasors",))
def plv(mean_phasors, *, average="mean"):
    """Phase-locking value |E exp(i d)|.

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Lachaux, J.-P. et al. (1999). Measuring phase synchrony in brain signals. Human
    Brain Mapping 8, 194-208.
    """
    R, freqs, _ = mean_phasors
    return averaged(np.abs(R), freqs, average)


@spectral("ciplv", "phase", BRUNA, ("mean_phasors",))
def ciplv(mean_phasors, *, average="mean"):
    """Corrected imaginary PLV |Im| / sqrt(1 - Re^2): blind to instantaneous mixing.

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Bruña, R., Maestú, F. and Pereda, E. (2018). Phase locking value revisited. Journal
    of Neural Engineering 15, 056011.
    """
    R, freqs, _ = mean_phasors
    rest = np.sqrt(np.maximum(1.0 - R.real**2, 0.0))
    w = np.divide(np.abs(R.imag), rest, out=np.zeros_like(rest), where=rest > 1e-9)
    return averaged(w, freqs, average)


@spectral("ppc", "phase", VINCK, ("mean_phasors",), signed=True)
def ppc(mean_phasors, *, average="mean"):
    """Pairwise phase consistency (K |E exp(i d)|^2 - 1) / (K - 1): unbiased PLV^2.

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Vinck, M. et al. (2010). The pairwise phase consistency. NeuroImage 51, 112-122.
    """
    R, freqs, K = mean_phasors
    return averaged((K * np.abs(R) ** 2 - 1) / (K - 1), freqs, average)


@spectral("pli", "phase", STAM, ("imaginary_sums",), cost="30*T*N^2")
def pli(imaginary_sums, *, average="mean"):
    """Phase-lag index |E sgn Im S|: one region leads consistently.

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Stam, C. J., Nolte, G. and Daffertshofer, A. (2007). Phase lag index. Human Brain
    Mapping 28, 1178-1193.
    """
    (sign, *_), freqs, K = imaginary_sums
    return averaged(np.abs(sign) / K, freqs, average)


@spectral("pli2_unbiased", "phase", WEIGHTED, ("imaginary_sums",), signed=True,
          cost="30*T*N^2")  # fmt: skip
def pli2_unbiased(imaginary_sums, *, average="mean"):
    """Unbiased squared phase-lag index (K PLI^2 - 1) / (K - 1).

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Vinck, M. et al. (2011). An improved index of phase-synchronization. NeuroImage 55,
    1548-1565.
    """
    (sign, *_), freqs, K = imaginary_sums
    return averaged((sign**2 / K - 1) / (K - 1), freqs, average)


@spectral("dpli", "phase", STAM_DIRECTED, ("imaginary_sums",), directed=True,
          cost="30*T*N^2")  # fmt: skip
def dpli(imaginary_sums, *, average="mean"):
    """Directed phase-lag index E H(Im S): above 1/2 where the source leads.

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Stam, C. J. and van Straaten, E. C. W. (2012). Go with the flow: use of a directed
    phase lag index (dPLI). NeuroImage 62, 1415-1428.
    """
    (sign, *_), freqs, K = imaginary_sums
    return averaged((sign / K + 1) / 2, freqs, average)


@spectral("wpli", "phase", WEIGHTED, ("imaginary_sums",), cost="30*T*N^2")
def wpli(imaginary_sums, *, average="mean"):
    """Weighted phase-lag index |E Im S| / E |Im S|: small lags count less.

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Vinck, M. et al. (2011). An improved index of phase-synchronization. NeuroImage 55,
    1548-1565.
    """
    (_, total, size, _), freqs, _ = imaginary_sums
    w = np.divide(np.abs(total), size, out=np.zeros_like(size), where=size > 0)
    return averaged(w, freqs, average)


@spectral("wpli2_debiased", "phase", WEIGHTED, ("imaginary_sums",), signed=True,
          cost="30*T*N^2")  # fmt: skip
def wpli2_debiased(imaginary_sums, *, average="mean"):
    """Debiased squared weighted phase-lag index; may be negative for few estimates.

    Parameters
    ----------
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Vinck, M. et al. (2011). An improved index of phase-synchronization. NeuroImage 55,
    1548-1565.
    """
    (_, total, size, square), freqs, _ = imaginary_sums
    below = size**2 - square
    w = np.divide(total**2 - square, below, out=np.zeros_like(below), where=below > 0)
    return averaged(w, freqs, average)
