"""The same operators on torch tensors: for a GPU, and for gradients.

Each kernel takes x (recording, time, roi) on any device and returns W (recording,
source, target) there. They follow the NumPy kernels line by line and agree with them
to rounding. On a GPU those of :data:`WORTHWHILE` gain; gradients flow through all but
the counts and ranks.
"""

from collections.abc import Callable

import numpy as np

from neuroana.core.checks import check_choice, check_number
from neuroana.fc.neighbours import check_neighbours, digammas
from neuroana.fc.spectrum import kept, segments_of
from neuroana.fc.warping import width_of


TENSORS: dict[str, Callable] = {}
WORTHWHILE = (
    "kendall", "dcor", "dcor_unbiased", "hsic", "mi_ksg", "soft_dtw", "pli", "wpli",
    "log_euclidean",
)  # fmt: skip
ROOM = 2**27  # numbers that are held at once


def on_tensors(function: Callable) -> Callable:
    """Register the kernel of the operator of the same name."""
    TENSORS[function.__name__] = function
    return function


def unit(w):
    """The matrices with ones on the diagonal."""
    import torch

    eye = torch.eye(w.shape[-1], dtype=torch.bool, device=w.device)
    return torch.where(eye, torch.ones_like(w), w)


def divided(c, scale):
    """c / scale, 0 where the scale is; gradients stay finite."""
    import torch

    good = scale > 0
    return torch.where(good, c / torch.where(good, scale, 1.0), 0.0)


def z_scores(x):
    """Mean 0, mean square 1."""
    gap = x - x.mean(dim=1, keepdim=True)
    return gap / gap.square().mean(dim=1, keepdim=True).sqrt()


@on_tensors
def pearson(x):
    """z'z / T."""
    z = z_scores(x)
    return unit(z.mT @ z / x.shape[1])


def shrunk(x):
    """Ledoit-Wolf covariance of centred samples."""
    import torch

    _, n_time, n = x.shape
    gap = x - x.mean(dim=1, keepdim=True)
    s = gap.mT @ gap / n_time
    mu = torch.diagonal(s, dim1=1, dim2=2).mean(dim=1)
    square = s.square().sum(dim=(1, 2))
    d2 = square / n - mu**2
    fourth = gap.square().sum(dim=2).square().sum(dim=1)
    b2 = (fourth / n_time - square) / (n * n_time)
    share = divided(torch.minimum(b2, d2), d2)[:, None, None]
    eye = torch.eye(n, dtype=x.dtype, device=x.device)
    return (1 - share) * s + share * mu[:, None, None] * eye


@on_tensors
def partial(x):
    """-K_ij / sqrt(K_ii K_jj) of the Ledoit-Wolf covariance."""
    import torch

    k = torch.cholesky_inverse(torch.linalg.cholesky(shrunk(x)))
    d = torch.diagonal(k, dim1=1, dim2=2).rsqrt()
    return unit(-k * d[:, :, None] * d[:, None, :])


@on_tensors
def log_euclidean(x):
    """V log(lambda) V' of the Ledoit-Wolf covariance."""
    import torch

    values, vectors = torch.linalg.eigh(shrunk(x))
    return (vectors * values.log()[:, None, :]) @ vectors.mT


def coefficients(x, fs, segment_samples, overlap, method, bandwidth, band):
    """Fourier coefficients (recording, frequency, segment, taper, roi)."""
    import torch

    starts, segment, tapers = segments_of(
        x.shape[1], fs, segment_samples, overlap, method, bandwidth
    )
    keep = kept(np.fft.rfftfreq(segment, 1 / fs), segment, band, fs)
    parts = torch.stack([x[:, s : s + segment] for s in starts], dim=1)
    parts = parts - parts.mean(dim=2, keepdim=True)
    w = torch.as_tensor(tapers, dtype=x.dtype, device=x.device)
    f = torch.fft.rfft(parts[:, :, None] * w[None, None, :, :, None], dim=3)
    f = f[:, :, :, torch.as_tensor(np.flatnonzero(keep), device=x.device)]
    f = f.permute(0, 3, 1, 2, 4)
    return f.swapaxes(2, 3) if len(starts) == 1 else f


def over_band(w, average):
    """Mean or maximum over frequencies."""
    check_choice("average", average, ["mean", "max"])
    return w.mean(dim=1) if average == "mean" else w.amax(dim=1)


@on_tensors
def coherence(x, *, fs, magnitude=False, average="mean", segment_samples=None,
              overlap=0.5, method="hann", bandwidth=None, band=None):  # fmt: skip
    """|S_ij|^2 / (S_ii S_jj)."""
    import torch

    X = coefficients(x, fs, segment_samples, overlap, method, bandwidth, band)
    X = X.flatten(2, 3)
    S = X.mT @ X.conj()
    own = torch.diagonal(S, dim1=2, dim2=3).real
    w = (S.real**2 + S.imag**2) / (own[..., :, None] * own[..., None, :])
    return over_band(w.sqrt() if magnitude else w, average)


def imaginary(x, fs, segment_samples, overlap, method, bandwidth, band):
    """Im S_k (recording, frequency, segment, roi, roi), exactly antisymmetric."""
    X = coefficients(x, fs, segment_samples, overlap, method, bandwidth, band)
    s = (X.mT @ X.conj()).imag
    return (s - s.mT) / 2


@on_tensors
def pli(x, *, fs, average="mean", segment_samples=None, overlap=0.5, method="hann",
        bandwidth=None, band=None):  # fmt: skip
    """|E sgn Im S|."""
    s = imaginary(x, fs, segment_samples, overlap, method, bandwidth, band)
    return over_band(s.sign().mean(dim=2).abs(), average)


@on_tensors
def wpli(x, *, fs, average="mean", segment_samples=None, overlap=0.5, method="hann",
         bandwidth=None, band=None):  # fmt: skip
    """|E Im S| / E |Im S|."""
    s = imaginary(x, fs, segment_samples, overlap, method, bandwidth, band)
    return over_band(divided(s.sum(dim=2).abs(), s.abs().sum(dim=2)), average)


@on_tensors
def kendall(x):
    """Signs of all differences, multiplied."""
    import torch

    n_recordings, n_time, n = x.shape
    agree = x.new_zeros((n_recordings, n, n))
    rows = max(1, ROOM // (n_time * n))
    for b in range(n_recordings):
        for first in range(0, n_time, rows):
            signs = (x[b, first : first + rows, None] - x[b, None]).sign()
            signs = signs.reshape(-1, n)
            agree[b] += signs.T @ signs
    m = torch.diagonal(agree, dim1=1, dim2=2).sqrt()
    return unit(agree / (m[:, :, None] * m[:, None, :]))


def distances(x):
    """|x_s - x_t| (time, time, roi)."""
    return (x[:, None] - x[None]).abs()


def kernels(x):
    """Gaussian kernels of median width."""
    import torch

    d = distances(x)
    upper = torch.triu_indices(len(x), len(x), 1, device=x.device)
    flat = d[upper[0], upper[1]].detach()
    scale = torch.stack([middle(column[column > 0]) for column in flat.T])
    return torch.exp(-0.5 * (d / scale) ** 2)


def middle(values):
    """Median, the mean of both middles of an even number."""
    ordered = values.sort().values
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def centred_products(a, *, unbiased=False):
    """<A_i, A_j> of doubly centred or U-centred matrices (time, time, roi)."""
    import torch

    n = len(a)
    if unbiased:
        eye = torch.eye(n, dtype=torch.bool, device=a.device)[:, :, None]
        a = torch.where(eye, 0.0, a)
        rows = a.sum(dim=1) / (n - 2)
        total = a.sum(dim=(0, 1)) / ((n - 1) * (n - 2))
        a = torch.where(eye, 0.0, a - rows[:, None] - rows[None] + total)
    else:
        rows = a.mean(dim=1)
        a = a - rows[:, None] - rows[None] + rows.mean(dim=0)
    flat = a.flatten(0, 1)
    return flat.T @ flat


def normalised(c):
    """c_ij / sqrt(c_ii c_jj)."""
    import torch

    own = torch.diagonal(c).clamp(min=0.0)
    return divided(c, (own[:, None] * own[None]).sqrt())


@on_tensors
def dcor(x):
    """Root of the normalised products of centred distances."""
    import torch

    w = [normalised(centred_products(distances(one)).clamp(min=0.0)) for one in x]
    return unit(torch.stack(w).sqrt())


@on_tensors
def dcor_unbiased(x):
    """Normalised products of U-centred distances."""
    import torch

    return torch.stack([
        normalised(centred_products(distances(one), unbiased=True)) for one in x
    ])  # fmt: skip


@on_tensors
def hsic(x, *, unbiased=False, correlation=False):
    """Products of centred kernels."""
    import torch

    n = x.shape[1]
    c = torch.stack([centred_products(kernels(one), unbiased=unbiased) for one in x])
    if correlation:
        return torch.stack([normalised(one).clamp(min=0.0).sqrt() for one in c])
    return c / (n * (n - 3)) if unbiased else c / n**2


@on_tensors
def mi_ksg(x, *, k=4, theiler_samples=0):
    """Kraskov's first estimator by tables of distances, all partners at once."""
    import torch

    n_recordings, n_time, n = x.shape
    check_neighbours(k, theiler_samples, n_time)
    psi = torch.as_tensor(digammas(n_time + 1), dtype=x.dtype, device=x.device)
    t = torch.arange(n_time, device=x.device)
    excluded = (t[:, None] - t[None]).abs() <= theiler_samples
    out = x.new_full((n_recordings, n, n), float("nan"))
    rows = max(1, ROOM // n_time**2)
    for b, z in enumerate(z_scores(x)):
        table = distances(z).permute(2, 0, 1)
        table = torch.where(excluded, float("inf"), table)
        for i in range(n - 1):
            for first in range(i + 1, n, rows):
                other = table[first : first + rows]
                eps = (
                    torch.maximum(table[i], other).kthvalue(k, dim=2).values[..., None]
                )
                counts = (table[i] < eps).sum(dim=2), (other < eps).sum(dim=2)
                found = sum(psi[c + 1].mean(dim=1) for c in counts)
                value = psi[k] + psi[n_time] - found
                out[b, i, first : first + rows] = value
                out[b, first : first + rows, i] = value
    return out


@on_tensors
def soft_dtw(x, *, band=0.1, gamma=1.0):
    """Soft minimum over alignments, anti-diagonals of all pairs at once."""
    import torch

    check_number("gamma", gamma, minimum=0.0, open_ends=True)
    n_recordings, T, n = x.shape
    width = width_of(band, T)
    i, j = torch.triu_indices(n, n, device=x.device)
    out = x.new_zeros((n_recordings, n, n))
    for b, z in enumerate(z_scores(x)):
        rows, columns = z.T[i], z.T[j]
        before = x.new_full((len(i), T + 1), float("inf"))  # indexed by s
        last = before.clone()
        before[:, 0] = 0.0
        for d in range(2, 2 * T + 1):
            low = max(1, d - T, (d - width + 1) // 2)
            high = min(T, d - 1, (d + width) // 2)
            s = slice(low, high + 1)
            turned = columns[:, d - high - 1 : d - low].flip(1)
            gap = rows[:, low - 1 : high] - turned
            near = torch.stack([before[:, low - 1 : high], last[:, low - 1 : high],
                                last[:, s]])  # fmt: skip
            now = torch.full_like(last, float("inf"))
            now[:, s] = gap**2 - gamma * torch.logsumexp(-near / gamma, dim=0)
            before, last = last, now
        out[b, i, j] = out[b, j, i] = last[:, T]
    return out
