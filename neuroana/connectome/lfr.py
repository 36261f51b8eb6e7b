"""Benchmark graphs with power-law degrees and community sizes, and weights (LFR).

Lancichinetti and Fortunato, "Benchmarks for testing community detection algorithms on
directed and weighted graphs with overlapping communities", Phys. Rev. E 80, 2009: each
node has a share `mixing` of its edges, and a share `weight_mixing` of its strength
k^beta, outside its community.
"""

import numpy as np

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch, draw_seed


TRIES = 200


def simulate_lfr(
    n_neurons=125,
    *,
    mean_degree=25.0,
    max_degree=100,
    mixing=0.5,
    weight_mixing=0.5,
    beta=1.0,
    degree_exponent=2.0,
    size_exponent=1.0,
    sizes=(10, 100),
    random_state=None,
):
    """Draw a weighted LFR graph with at least two communities.

    Parameters
    ----------
    n_neurons : int
    mean_degree, max_degree : float
    mixing, weight_mixing : float
        Share of edges, and of strength, that leave the community.
    beta : float
        Strength is degree to this power.
    degree_exponent, size_exponent : float
        Of the power laws of degrees and community sizes.
    sizes : pair of int
        Smallest and largest community.
    random_state : int, Generator or None

    Returns
    -------
    weights : ndarray (neuron, neuron)
    membership : ndarray of int (neuron,)

    Examples
    --------
    >>> from neuroana.connectome import simulate_lfr
    >>> weights, membership = simulate_lfr(60, mean_degree=10, random_state=0)
    >>> weights.shape, bool((weights == weights.T).all()), len(membership)
    ((60, 60), True, 60)
    """
    check_number("n_neurons", n_neurons, minimum=2 * sizes[0], integer=True)
    for name, value in {"mixing": mixing, "weight_mixing": weight_mixing}.items():
        check_number(name, value, minimum=0.0, maximum=1.0)
    seed = draw_seed(random_state)
    for attempt in range(TRIES):
        rng = branch(seed, attempt)
        degree = draw_degrees(
            rng, n_neurons, mean_degree, min(max_degree, n_neurons - 1), degree_exponent
        )
        size = draw_sizes(rng, n_neurons, sizes, size_exponent)
        if size is None or len(size) < 2:
            continue
        inside = np.rint((1 - mixing) * degree).astype(int)
        membership = place(rng, inside, size)
        if membership is None:
            continue
        edge = wire(rng, membership, inside, degree - inside)
        weights = weigh(edge, membership, degree ** float(beta), weight_mixing)
        return weights, membership
    raise ParameterError(
        message("simulate_lfr", "settings that some graph fulfils", "none found",
                "raise mixing, or lower mean_degree")
    )  # fmt: skip


def draw_degrees(rng, n, mean, top, exponent):
    """Power-law degrees whose smallest value gives the wanted mean."""
    grid = np.arange(1, int(top) + 1)
    law = grid**-exponent
    low = 1
    while (
        low < top - 1
        and (grid[low - 1 :] * law[low - 1 :]).sum() / law[low - 1 :].sum() < mean
    ):
        low += 1
    part, share = grid[low - 1 :], law[low - 1 :]
    return rng.choice(part, n, p=share / share.sum())


def draw_sizes(rng, n, sizes, exponent):
    """Power-law sizes that add up to n, or None."""
    grid = np.arange(sizes[0], min(sizes[1], n) + 1)
    law = grid**-exponent
    found: list[int] = []
    while sum(found) < n:
        found.append(int(rng.choice(grid, p=law / law.sum())))
    found[-1] -= sum(found) - n
    if found[-1] < sizes[0]:
        rest = found.pop()
        for k in range(rest):
            found[k % len(found)] += 1
    return np.array(found) if max(found) <= sizes[1] + sizes[0] else None


def place(rng, inside, size):
    """A community for every node, large enough for its edges inside; or None."""
    membership = np.full(len(inside), -1)
    room = size.copy()
    for node in np.argsort(-inside):
        fits = np.flatnonzero((room > 0) & (size - 1 >= inside[node]))
        if len(fits) == 0:
            return None
        membership[node] = rng.choice(fits, p=room[fits] / room[fits].sum())
        room[membership[node]] -= 1
    return membership


def wire(rng, membership, inside, outside):
    """Edges by pairing stubs, those inside and those outside apart."""
    n = len(membership)
    edge = np.zeros((n, n), dtype=bool)
    for community in np.unique(membership):
        at = np.flatnonzero(membership == community)
        pair_stubs(rng, edge, np.repeat(at, inside[at]), lambda i, j: i != j)
    pair_stubs(
        rng,
        edge,
        np.repeat(np.arange(n), outside),
        lambda i, j: membership[i] != membership[j],
    )
    return edge


def pair_stubs(rng, edge, stubs, allowed):
    """Join stubs at random; those that cannot be joined are tried again."""
    for _ in range(30):
        stubs = rng.permutation(stubs)
        left = [] if len(stubs) % 2 == 0 else [stubs[-1]]
        for i, j in zip(stubs[0::2], stubs[1::2]):
            if allowed(i, j) and i != j and not edge[i, j]:
                edge[i, j] = edge[j, i] = True
            else:
                left += [i, j]
        stubs = np.array(left, dtype=int)
        if len(stubs) < 2:
            return


def weigh(edge, membership, strength, mixing, n_iter=200):
    """Weights whose sums inside and outside approach the wanted shares."""
    same = np.equal.outer(membership, membership)
    w = edge.astype(float)
    for kind, share in ((same, 1 - mixing), (~same, mixing)):
        part = np.where(kind, w, 0.0)
        wanted = strength * share
        for _ in range(n_iter):
            now = part.sum(axis=1)
            factor = np.sqrt(np.where(now > 0, wanted / np.where(now > 0, now, 1), 1.0))
            part = part * np.outer(factor, factor)
        w = np.where(kind, part, w)
    return (w + w.T) / 2
