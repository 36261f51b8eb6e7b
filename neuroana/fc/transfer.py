"""Directed spectra of an autoregression of all regions.

A(f) = I - sum_l A_l exp(-2 pi i f l), H = A^-1, S = H Sigma H*; [target, source] in
these, turned to [source, target] in what is returned.
"""

import numpy as np

from neuroana.core.checks import check_number
from neuroana.fc.autoregression import check_samples
from neuroana.fc.inverses import inverse
from neuroana.fc.sharing import intermediate
from neuroana.fc.spectrum import averaged, check_band, spectral


DTF = "Kaminski and Blinowska 1991, Biol. Cybern. 65, 203"
PDC = "Baccalá and Sameshima 2001, Biol. Cybern. 84, 463"
GPDC = "Baccalá, Sameshima and Takahashi 2007, 15th Int. Conf. DSP, 163"
DCOH = "Baccalá et al. 1998, Appl. Signal Process. 5, 40"
DDTF = "Korzeniewska et al. 2003, J. Neurosci. Methods 125, 195"
COST = "T*N^2 + 33*N^3"


def at_frequencies(T, N, n_freqs):
    """Numbers of six matrices a frequency."""
    return 6 * n_freqs * N**2


@intermediate(workspace=lambda T, N, n_freqs: 8 * n_freqs * N**2)
def transfer_functions(x, *, full_autoregression, fs, order=1, n_freqs=33, band=None):
    """A(f), H(f) (recording, frequency, roi, roi), Sigma and the frequencies in Hz."""
    check_number("n_freqs", n_freqs, minimum=3, integer=True)
    check_samples(x.shape[1], order, x.shape[2], "transfer function")
    A, rest, _, n_samples = full_autoregression
    low, high = check_band(band, fs)
    freqs = np.linspace(low, high, n_freqs)
    return (
        *of_coefficients(A, freqs / fs),
        rest / (n_samples - order * x.shape[2] - 1),
        freqs,
    )


def of_coefficients(A, freqs):
    """A(f) and H(f) at frequencies in cycles a sample."""
    order = A.shape[1]
    turns = np.exp(-2j * np.pi * np.outer(freqs, np.arange(1, order + 1)))
    Af = np.eye(A.shape[2]) - np.einsum("fl,blij->bfij", turns, A)
    return Af, np.linalg.inv(Af)


def directed_transfer(H):
    """|H_ji| / sqrt(sum_k |H_jk|^2)."""
    P = np.abs(H) ** 2
    return np.swapaxes(np.sqrt(P / P.sum(axis=-1, keepdims=True)), -1, -2)


def partial_directed(Af, scale):
    """|A_ji| / s_j over sqrt(sum_k |A_ki|^2 / s_k^2)."""
    P = np.abs(Af) ** 2 / scale[:, None, :, None]
    return np.swapaxes(np.sqrt(P / P.sum(axis=-2, keepdims=True)), -1, -2)


def directed_coherences(H, sigma):
    """|H_ji| s_i / sqrt(S_jj)."""
    S = H @ sigma[:, None] @ np.swapaxes(H.conj(), -1, -2)
    own = np.sqrt(np.einsum("bfii->bfi", S).real)
    sd = np.sqrt(np.einsum("bii->bi", sigma))
    return np.swapaxes(np.abs(H) * sd[:, None, None] / own[..., None], -1, -2)


def partial_coherence(Af, sigma):
    """|S^-1_ij| / sqrt(S^-1_ii S^-1_jj), S^-1 = A* Sigma^-1 A."""
    P = np.swapaxes(Af.conj(), -1, -2) @ inverse(sigma)[:, None] @ Af
    d = np.sqrt(np.einsum("bfii->bfi", P).real)
    return np.abs(P) / (d[..., :, None] * d[..., None, :])


@spectral("dtf", "spectral", DTF, ("transfer_functions",), directed=True, cost=COST,
          workspace=at_frequencies)  # fmt: skip
def dtf(transfer_functions, *, average="mean"):
    """Directed transfer function: the source's share, direct or not, in the target.

    Parameters
    ----------
    average : {'mean', 'max', None}
        Over the frequencies of the band; None keeps them.
    order, n_freqs, band
        Lags of the autoregression; number of frequencies in the band (low, high) in Hz.

    References
    ----------
    Kaminski, M. J. and Blinowska, K. J. (1991). A new method of the description of the
    information flow in the brain structures. Biological Cybernetics 65, 203-210.
    """
    _, H, _, freqs = transfer_functions
    return averaged(directed_transfer(H), freqs, average)


@spectral("directed_coherence", "spectral", DCOH, ("transfer_functions",),
          directed=True, cost=COST,
          workspace=at_frequencies)  # fmt: skip
def directed_coherence(transfer_functions, *, average="mean"):
    """Share of the target's power that comes from the source's innovations.

    Parameters
    ----------
    average : {'mean', 'max', None}
    order, n_freqs, band
        As in 'dtf'.

    References
    ----------
    Baccalá, L. A., Sameshima, K., Ballester, G., Do Valle, A. C. and Timo-Iaria, C.
    (1998). Studying the interaction between brain structures via directed coherence
    and Granger causality. Applied Signal Processing 5, 40-48.
    """
    _, H, sigma, freqs = transfer_functions
    return averaged(directed_coherences(H, sigma), freqs, average)


@spectral("pdc", "spectral", PDC, ("transfer_functions",), directed=True, cost=COST,
          workspace=at_frequencies)  # fmt: skip
def pdc(transfer_functions, *, average="mean"):
    """Partial directed coherence: the target's share in what leaves the source.

    Zero where there is no direct coupling.

    Parameters
    ----------
    average : {'mean', 'max', None}
    order, n_freqs, band
        As in 'dtf'.

    References
    ----------
    Baccalá, L. A. and Sameshima, K. (2001). Partial directed coherence. Biological
    Cybernetics 84, 463-474.
    """
    Af, _, sigma, freqs = transfer_functions
    return averaged(partial_directed(Af, np.ones(sigma.shape[:2])), freqs, average)


@spectral("gpdc", "spectral", GPDC, ("transfer_functions",), directed=True, cost=COST,
          workspace=at_frequencies)  # fmt: skip
def gpdc(transfer_functions, *, average="mean"):
    """Partial directed coherence in units of the innovations: no matter the scale.

    Parameters
    ----------
    average : {'mean', 'max', None}
    order, n_freqs, band
        As in 'dtf'.

    References
    ----------
    Baccalá, L. A., Sameshima, K. and Takahashi, D. Y. (2007). Generalized partial
    directed coherence. 15th International Conference on Digital Signal Processing,
    163-166.
    """
    Af, _, sigma, freqs = transfer_functions
    scale = np.einsum("bii->bi", sigma)
    return averaged(partial_directed(Af, scale), freqs, average)


@spectral("ddtf", "spectral", DDTF, ("transfer_functions",), directed=True, cost=COST,
          workspace=at_frequencies)  # fmt: skip
def ddtf(transfer_functions, *, average="mean"):
    """Directed transfer over the whole band, times partial coherence: direct paths.

    |H_ji(f)| / sqrt(sum_f sum_k |H_jk(f)|^2) times the partial coherence of i and j.

    Parameters
    ----------
    average : {'mean', 'max', None}
    order, n_freqs, band
        As in 'dtf'.

    References
    ----------
    Korzeniewska, A. et al. (2003). Determination of information flow direction among
    brain structures by a modified directed transfer function (dDTF) method. Journal of
    Neuroscience Methods 125, 195-207.
    """
    Af, H, sigma, freqs = transfer_functions
    full = np.abs(H) / np.sqrt((np.abs(H) ** 2).sum(axis=(1, 3)))[:, None, :, None]
    w = np.swapaxes(full, -1, -2) * partial_coherence(Af, sigma)
    return averaged(w, freqs, average)
