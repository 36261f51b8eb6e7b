"""Information from distances to neighbours, by the estimators of Kraskov. In nats."""

import numpy as np

from neuroana.core.checks import check_number
from neuroana.fc.registry import operator
from neuroana.fc.warping import has_compiler, standard


KRASKOV = "Kraskov, Stögbauer and Grassberger 2004, Phys. Rev. E 69, 066138"
FRENZEL = "Frenzel and Pompe 2007, Phys. Rev. Lett. 99, 204101"


def check_neighbours(k, theiler_samples, n_time):
    """As many neighbours as the samples outside the window allow."""
    check_number("theiler_samples", theiler_samples, minimum=0, integer=True)
    most = n_time - 2 * theiler_samples - 2
    check_number("k", k, minimum=1, maximum=max(most, 1), integer=True)


def digammas(n):
    """psi of 0 .. n; 0 is never asked for."""
    from scipy.special import digamma

    return np.concatenate([[-np.inf], digamma(np.arange(1, n + 1))])


def gaps(course, excluded):
    """|a_s - a_t|, infinite where samples are too near in time."""
    gap = np.abs(course[:, None] - course[None])
    gap[excluded] = np.inf
    return gap


def excluded_samples(n_time, theiler):
    """True where |s - t| is within the window."""
    t = np.arange(n_time)
    return np.abs(t[:, None] - t[None]) <= theiler


def within(gap, eps):
    """Samples nearer than eps, row by row."""
    return (gap < eps[:, None]).sum(axis=1)


def tables(T, N):
    """Numbers of sorted copies; without a compiler, of the tables of gaps."""
    return (8 * T * N if has_compiler() else (N + 6) * T**2) + 3 * N**2


def mutual_information_plain(z, psi, k, theiler):
    """The same as the compiled loop, by (T, T) tables."""
    n, T = z.shape
    out = np.full((n, n), np.nan)
    excluded = excluded_samples(T, theiler)
    tables = [gaps(course, excluded) for course in z]
    for i in range(n):
        for j in range(i + 1, n):
            joint = np.maximum(tables[i], tables[j])
            eps = np.partition(joint, k - 1, axis=1)[:, k - 1]
            counts = [within(tables[v], eps) for v in (i, j)]
            out[i, j] = out[j, i] = sum(psi[c + 1].mean() for c in counts)
    return out


def past_of(z, n_lags, first):
    """Samples 1 .. n_lags before each, from `first` on (roi, lag, time)."""
    T = z.shape[1]
    return np.stack([z[:, first - k : T - k] for k in range(1, n_lags + 1)], axis=1)


def transfer_entropy_plain(z, psi, k, theiler, source_lags, target_lags):
    """The same as the compiled loop, by (T, T) tables."""
    n, T = z.shape
    first = max(source_lags, target_lags)
    out = np.full((n, n), np.nan)
    excluded = excluded_samples(T - first, theiler)
    own, past = (
        [np.max([gaps(c, excluded) for c in lags], axis=0)
         for lags in past_of(z, n_lags, first)]
        for n_lags in (target_lags, source_lags)
    )  # fmt: skip
    for j in range(n):
        present = np.maximum(gaps(z[j, first:], excluded), own[j])
        for i in np.delete(np.arange(n), j):
            source = np.maximum(past[i], own[j])
            joint = np.maximum(present, source)
            eps = np.partition(joint, k - 1, axis=1)[:, k - 1]
            a, b, c = (psi[within(g, eps) + 1] for g in (present, source, own[j]))
            out[i, j] = (a + b - c).mean()
    return out


@operator("mi_ksg", "information", signed=True, ordered=True, cost="30*P*T*log(T)",
          batched=False, source=KRASKOV, workspace=tables)  # fmt: skip
def mi_ksg(x, *, k=4, theiler_samples=0):
    """Mutual information by Kraskov's first estimator, on z-scores, without jitter.

    psi(k) + psi(T) - E [psi(n_x + 1) + psi(n_y + 1)]; near zero and of either sign for
    independent regions.

    Parameters
    ----------
    k : int, default=4
        Neighbours.
    theiler_samples : int, default=0
        Samples this close in time are no neighbours; use the autocorrelation time.

    References
    ----------
    Kraskov, A., Stögbauer, H. and Grassberger, P. (2004). Estimating mutual
    information. Physical Review E 69, 066138.
    """
    check_neighbours(k, theiler_samples, len(x))
    z, psi = standard(x), digammas(len(x) + 1)
    if has_compiler():
        from neuroana.fc.compiled_neighbours import mutual_information_pairs

        order = np.argsort(z, axis=1, kind="stable")
        rank = np.argsort(order, axis=1, kind="stable")
        ordered = np.take_along_axis(z, order, axis=1)
        found = mutual_information_pairs(z, order, rank, ordered, psi, k,
                                         theiler_samples)  # fmt: skip
    else:
        found = mutual_information_plain(z, psi, k, theiler_samples)
    return psi[k] + psi[len(x)] - found


@operator("te_ksg", "information", directed=True, signed=True, ordered=True,
          cost="60*P*T*log(T)", batched=False, source=FRENZEL,
          workspace=tables)  # fmt: skip
def te_ksg(x, *, k=4, source_lags=1, target_lags=1, theiler_samples=0):
    """Transfer entropy by neighbours in the joint space.

    psi(k) - E [psi(n_yz + 1) + psi(n_xz + 1) - psi(n_z + 1)] with z the target's past.

    Parameters
    ----------
    k : int, default=4
    source_lags, target_lags : int, default=1
        Past samples of the source and of the target.
    theiler_samples : int, default=0
        Samples this close in time are no neighbours.

    References
    ----------
    Frenzel, S. and Pompe, B. (2007). Partial mutual information for coupling analysis
    of multivariate time series. Physical Review Letters 99, 204101.
    """
    for name, value in (("source_lags", source_lags), ("target_lags", target_lags)):
        check_number(name, value, minimum=1, integer=True)
    first = max(source_lags, target_lags)
    check_neighbours(k, theiler_samples, len(x) - first)
    z, psi = standard(x), digammas(len(x) + 1)
    if has_compiler():
        from neuroana.fc.compiled_neighbours import transfer_entropy_pairs

        own, past = (past_of(z, n, first) for n in (target_lags, source_lags))
        found = transfer_entropy_pairs(z[:, first:], own, past, psi, k, theiler_samples)
    else:
        found = transfer_entropy_plain(z, psi, k, theiler_samples, source_lags,
                                       target_lags)  # fmt: skip
    return psi[k] - found
