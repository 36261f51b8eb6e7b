"""Selectors of a core-set by name, each with its definition and its paper.

A selector is a function of the data, the size and a generator that returns the numbers
of the chosen units. f are features of a unit, C the chosen set.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from neuroana.fc import training_scores as ts
from neuroana.fc.sampling import draw_without, sparse_weights
from neuroana.fc.selection_data import SelectionData


SELECTORS: dict[str, "Selector"] = {}
N_SETS = 500  # random sets that `matched` looks at


@dataclass(frozen=True)
class Selector:
    """A way to choose units.

    Attributes
    ----------
    name : str
    function : callable
        (data, size, rng) -> numbers of units.
    source : str
    needs : str
        '', 'labels' (a trained classifier) or 'cheap' (scores of cheap operators).
    drawn : bool
        Whether another draw gives another set.
    """

    name: str
    function: Callable = field(repr=False)
    source: str = ""
    needs: str = ""
    drawn: bool = False

    @property
    def definition(self) -> str:
        """What it does, in its own words."""
        return " ".join((self.function.__doc__ or "").split())


def selector(name, source="", *, needs="", drawn=False):
    """Register a function (data, size, rng) as a selector.

    Examples
    --------
    >>> @selector("first", "nobody")
    ... def first(data, size, rng):
    ...     return np.arange(size)
    >>> SELECTORS.pop("first").name
    'first'
    """

    def register(function):
        SELECTORS[name] = Selector(name, function, source, needs, drawn)
        return function

    return register


def highest(scores, size):
    """Numbers of the `size` highest scores; ties by number."""
    return np.sort(np.argsort(-np.asarray(scores), kind="stable")[:size])


def _gaps(f, g):
    return np.sqrt(np.maximum(
        (f**2).sum(1)[:, None] + (g**2).sum(1)[None] - 2 * f @ g.T, 0.0))  # fmt: skip


@selector("random", drawn=True)
def random(data: SelectionData, size, rng):
    """Units drawn at random without replacement, all alike likely."""
    return np.sort(rng.permutation(len(data))[:size])


@selector("k_means", "Lloyd 1982, IEEE Transactions on Information Theory 28, 129",
          drawn=True)  # fmt: skip
def k_means(data: SelectionData, size, rng):
    """For each of c centroids of f the nearest unit that is not chosen yet."""
    from sklearn.cluster import KMeans

    seed = int(rng.integers(2**31))
    centres = KMeans(size, n_init=4, random_state=seed).fit(data.features)
    gaps = _gaps(centres.cluster_centers_, data.features)
    chosen: list[int] = []
    for row in gaps:
        row = row.copy()
        row[chosen] = np.inf
        chosen.append(int(row.argmin()))
    return np.sort(chosen)


@selector("k_center", "Sener and Savarese, ICLR 2018")
def k_center(data: SelectionData, size, rng):
    """Greedy: add the unit whose distance to its nearest chosen one is largest.

    Starts at the unit nearest to the mean of f.
    """
    f = data.features
    chosen = [int(_gaps(f, f.mean(0, keepdims=True))[:, 0].argmin())]
    nearest = _gaps(f, f[chosen])[:, 0]
    while len(chosen) < size:
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, _gaps(f, f[chosen[-1:]])[:, 0])
    return np.sort(chosen)


@selector("herding", "Welling, ICML 2009; Chen, Welling and Smola, UAI 2010")
def herding(data: SelectionData, size, rng):
    """Add the unit nearest to (i + 1) mean(f) - sum of the chosen f, i = |C|.

    The mean of C so follows the mean of all.
    """
    f = data.features
    mean, total, chosen = f.mean(0), np.zeros(f.shape[1]), []
    for i in range(size):
        gap = np.linalg.norm(f - ((i + 1) * mean - total), axis=1)
        gap[chosen] = np.inf
        chosen.append(int(gap.argmin()))
        total += f[chosen[-1]]
    return np.sort(chosen)


@selector("facility_location", "Nemhauser, Wolsey and Fisher 1978, Math. Program. 14")
def facility_location(data: SelectionData, size, rng):
    """Greedy on F(C) = sum_i max_(j in C) s_ij, s = largest distance - distance of f.

    Reaches at least 1 - 1/e of the largest F.
    """
    gaps = _gaps(data.features, data.features)
    s = gaps.max() - gaps
    covered, chosen = np.zeros(len(s)), []
    for _ in range(size):
        gain = np.maximum(s - covered[:, None], 0.0).sum(axis=0)
        gain[chosen] = -1.0
        chosen.append(int(gain.argmax()))
        covered = np.maximum(covered, s[:, chosen[-1]])
    return np.sort(chosen)


@selector("moderate", "Xia et al., ICLR 2023")
def moderate(data: SelectionData, size, rng):
    """Distance of f to the mean of all; keep the units nearest to its median."""
    gap = np.linalg.norm(data.features - data.features.mean(0), axis=1)
    return np.sort(np.argsort(np.abs(gap - np.median(gap)), kind="stable")[:size])


@selector("density", "Scott 1992, Multivariate Density Estimation", drawn=True)
def density(data: SelectionData, size, rng):
    """Draw with weights 1 / density of the first principal component of f."""
    f = data.features - data.features.mean(0)
    u, scale, _ = np.linalg.svd(f, full_matrices=False)
    weights, _ = sparse_weights(u[:, 0] * scale[0])
    return draw_without(weights, size, rng)


@selector("forgetting", "Toneva et al., ICLR 2019", needs="labels")
def forgetting(data: SelectionData, size, rng):
    """Most transitions from right to wrong between epochs; never right is most."""
    d = data.dynamics
    return highest(data.mean(ts.forgetting_events(d.logits, d.labels)), size)


@selector("entropy", "Coleman et al., ICLR 2020", needs="labels")
def entropy(data: SelectionData, size, rng):
    """Highest entropy of the trained head's p."""
    return highest(data.mean(ts.entropy(data.dynamics.logits)), size)


@selector("el2n", "Paul, Ganguli and Dziugaite, NeurIPS 2021", needs="labels")
def el2n(data: SelectionData, size, rng):
    """Highest ||p - y||_2 after 20 epochs (one initialisation)."""
    d = data.dynamics
    return highest(data.mean(ts.early_error(d.logits, d.labels)), size)


@selector("grand", "Paul, Ganguli and Dziugaite, NeurIPS 2021", needs="labels")
def grand(data: SelectionData, size, rng):
    """Highest length of the last layer's gradient after 20 epochs.

    At initialisation it does not reproduce (Kirsch 2023), so a trained epoch is taken.
    """
    d = data.dynamics
    score = ts.early_gradient(d.logits, d.features, d.labels)
    return highest(data.mean(score), size)


@selector("aum", "Pleiss et al., NeurIPS 2020", needs="labels")
def aum(data: SelectionData, size, rng):
    """Lowest mean over epochs of the logit of y less the largest other."""
    d = data.dynamics
    return highest(-data.mean(ts.margin_area(d.logits, d.labels)), size)


@selector("ccs", "Zheng et al., ICLR 2023", needs="labels", drawn=True)
def ccs(data: SelectionData, size, rng):
    """Drop the 30 % of lowest AUM, cut the rest into 50 strata of equal width, fill.

    From the emptiest stratum up each gives min(its size, what is left / strata left),
    at random.
    """
    d = data.dynamics
    return ts.covered(data.mean(ts.margin_area(d.logits, d.labels)), size, rng)


@selector("eva", "Hong et al., ACM Multimedia 2024", needs="labels")
def eva(data: SelectionData, size, rng):
    """Highest variance of ||p - y||_2 in epochs 0-9 and 100-109, each normalised."""
    d = data.dynamics
    return highest(data.mean(ts.two_stage_variance(d.logits, d.labels)), size)


@selector("tdds", "Zhang et al., CVPR 2024", needs="labels")
def tdds(data: SelectionData, size, rng):
    """Highest spread of the steps of p in windows of 10 epochs, later ones more."""
    return highest(data.mean(ts.dual_depth(data.dynamics.logits)), size)


@selector("matched", "this package", needs="cheap", drawn=True)
def matched(data: SelectionData, size, rng):
    """Of 500 random sets that on which the cheap operators score most as on all.

    Smallest sum over cheap operators of (delta - mean delta)^2, delta the score on the
    set less that on all.
    """
    sets = np.stack([rng.permutation(len(data))[:size] for _ in range(N_SETS)])
    weights = np.zeros((N_SETS, len(data)))
    np.put_along_axis(weights, sets, 1.0, axis=1)
    delta = data.cheap_scores(weights) - data.cheap_scores(np.ones((1, len(data))))
    delta -= np.nanmean(delta, axis=1, keepdims=True)
    return np.sort(sets[np.nanargmin(np.nansum(delta**2, axis=1))])
