"""Mutual information that needs no search: Gaussian, binned, box kernel. In nats."""

import numpy as np

from neuroana.core.checks import check_choice, check_number
from neuroana.fc.intermediates import ranks, undefined_diagonal
from neuroana.fc.registry import operator
from neuroana.fc.sharing import intermediate


SHANNON = "Cover and Thomas 2006, Elements of Information Theory"


@operator("mi_gauss", "information", needs=("correlations",), source=SHANNON)
def mi_gauss(correlations):
    """Mutual information -1/2 log(1 - r^2) of variables that are jointly Gaussian.

    A monotone copy of |r|; on the same scale as the other information measures.

    References
    ----------
    Cover, T. M. and Thomas, J. A. (2006). Elements of Information Theory, 2nd ed.
    Wiley, example 8.5.1.
    """
    with np.errstate(divide="ignore"):
        return undefined_diagonal(-0.5 * np.log1p(-(correlations**2)))


@intermediate(workspace=lambda T, N: 3 * T * N)
def bin_numbers(x, *, n_bins=8, mass="width"):
    """Number of the bin of every sample, 0 .. n_bins - 1."""
    check_number("n_bins", n_bins, minimum=2, integer=True)
    check_choice("mass", mass, ["width", "equal"])
    if mass == "equal":
        place = (ranks(x) - 0.5) / x.shape[1]
    else:
        low = x.min(axis=1, keepdims=True)
        place = (x - low) / (x.max(axis=1, keepdims=True) - low)
    return np.minimum((place * n_bins).astype(np.int64), n_bins - 1)


def contingency(bins, n_bins):
    """Joint counts (recording, roi, bin, roi, bin) by one product of indicators."""
    n_recordings, _, n = bins.shape
    hot = (bins[..., None] == np.arange(n_bins)).astype(np.float32)
    hot = hot.reshape(n_recordings, bins.shape[1], n * n_bins)
    made = np.swapaxes(hot, 1, 2) @ hot
    return made.reshape(n_recordings, n, n_bins, n, n_bins)


def tables(T, N, n_bins):
    """Numbers of the indicators and of all joint tables."""
    return T * N * n_bins + 5 * (N * n_bins) ** 2


def entropy(p):
    """-sum p log p over the last axis."""
    from scipy.special import entr

    return entr(p).sum(axis=-1)


@operator("mi_binned", "information", cost="64*T*N^2", needs=("bin_numbers",),
          source=SHANNON, workspace=tables)  # fmt: skip
def mi_binned(bin_numbers, *, n_bins=8, norm=None):
    """Mutual information of samples sorted into bins, plug-in estimate.

    Biased upward by about (bins - 1)^2 / 2T; compare recordings of one length.

    Parameters
    ----------
    n_bins : int, default=8
    mass : {'width', 'equal'}
        Bins of equal width, or of equal numbers of samples.
    norm : {None, 'nmi', 'ami'}
        Divide by the mean of both entropies; or correct for chance too.

    References
    ----------
    Cover, T. M. and Thomas, J. A. (2006). Elements of Information Theory, 2nd ed.
    Wiley, chapter 2. For ``'ami'``: Vinh, N. X., Epps, J. and Bailey, J. (2010).
    Information theoretic measures for clusterings comparison. Journal of Machine
    Learning Research 11, 2837-2854.
    """
    check_choice("norm", norm, [None, "nmi", "ami"])
    n_recordings, n_time, n = bin_numbers.shape
    counts = contingency(bin_numbers, n_bins).transpose(0, 1, 3, 2, 4)
    p = counts.reshape(n_recordings, n, n, -1).astype(np.float64) / n_time
    joint = entropy(p)
    single = np.einsum("bii->bi", joint)
    mi = np.maximum(single[:, :, None] + single[:, None, :] - joint, 0.0)
    if norm is None:
        return (mi + np.swapaxes(mi, 1, 2)) / 2
    mean = (single[:, :, None] + single[:, None, :]) / 2
    if norm == "ami":
        chance = expected_information(bin_numbers, n_bins)
        mi, mean = mi - chance, mean - chance
    w = mi / mean
    return (w + np.swapaxes(w, 1, 2)) / 2


def expected_information(bins, n_bins):
    """Mutual information of two permuted labellings with these counts.

    E = sum_ab sum_n (n / T) log(T n / (a b)) P(n), P hypergeometric.
    """
    from scipy.special import gammaln

    n_recordings, n_time, n = bins.shape
    sizes = (bins[..., None] == np.arange(n_bins)).sum(axis=1)
    log_f = gammaln(np.arange(n_time + 1) + 1.0)
    out = np.zeros((n_recordings, n, n))
    known: dict[tuple[int, int], float] = {}

    def share(a, b):
        k = np.arange(max(1, a + b - n_time), min(a, b) + 1)
        log_p = (log_f[a] + log_f[b] + log_f[n_time - a] + log_f[n_time - b]
                 - log_f[n_time] - log_f[k] - log_f[a - k] - log_f[b - k]
                 - log_f[n_time - a - b + k])  # fmt: skip
        return float(np.sum(k / n_time * np.log(n_time * k / (a * b)) * np.exp(log_p)))

    for r in range(n_recordings):
        for i in range(n):
            for j in range(i, n):
                total = 0.0
                for a in sizes[r, i]:
                    for b in sizes[r, j]:
                        pair = (int(min(a, b)), int(max(a, b)))
                        if pair not in known:
                            known[pair] = share(*pair) if pair[0] else 0.0
                        total += known[pair]
                out[r, i, j] = out[r, j, i] = total
    return out


@operator("mi_kernel", "information", cost="T^2*N + T^2*N^2", needs=("zscores",),
          source="Kaiser and Schreiber 2002, Physica D 166, 43")  # fmt: skip
def mi_kernel(zscores, *, width=0.25):
    """Mutual information from the samples within a box around each sample.

    mean_t log(T n_ij / (n_i n_j)), n the numbers of samples within `width`, the sample
    itself among them.

    Parameters
    ----------
    width : float, default=0.25
        Half the side of the box, in standard deviations.

    References
    ----------
    Kaiser, A. and Schreiber, T. (2002). Information transfer in continuous processes.
    Physica D 166, 43-62.
    """
    check_number("width", width, minimum=0.0, open_ends=True)
    n_recordings, n_time, n = zscores.shape
    w = np.zeros((n_recordings, n, n))
    for b, z in enumerate(zscores):
        for t in range(n_time):
            near = (np.abs(z - z[t]) <= width).astype(np.float32)
            joint = (near.T @ near).astype(np.float64)
            alone = np.einsum("ii->i", joint)
            w[b] += np.log(n_time * joint / (alone[:, None] * alone[None, :]))
    return w / n_time
