"""Moves of single nodes between groups, by exact differences of description length.

A node is taken out of its group, and put where the description is shortest: into any
group, or into an empty one. With `rng` it is put by heat bath instead, which samples
partitions with probability proportional to exp(-description length). A compiled loop
(numba, if it is installed) does the same; symbols as in `block_model`.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from neuroana.connectome.block_model import (
    Graph,
    block_sums,
    description_length,
    edge_terms,
    global_terms,
    group_terms,
    weight_terms,
)


EPS = 1e-9  # nats that a move must gain


@cache
def compiled():
    """The compiled loop, or None without numba."""
    try:
        from neuroana.connectome import compiled_moves
    except ImportError:
        return None
    return compiled_moves


@dataclass
class State:
    """A partition with the sums that moves need; changed in place.

    Attributes
    ----------
    labels : ndarray of int (node,)
    sums : ndarray (4, G, G)
        Block sums with room for G groups, some of them empty.
    size, degree : ndarray (G,)
    """

    graph: Graph
    labels: np.ndarray
    sums: np.ndarray
    size: np.ndarray
    degree: np.ndarray

    def length(self) -> float:
        """Description length of the partition."""
        return description_length(self.graph, self.labels)


def make_state(graph: Graph, labels: np.ndarray, max_groups: int) -> State:
    """A state with room for `max_groups` groups.

    Examples
    --------
    >>> from neuroana.connectome.block_model import make_graph
    >>> graph = make_graph(np.ones((4, 4)) - np.eye(4), "exponential")
    >>> make_state(graph, np.array([0, 0, 5, 5]), 3).labels.tolist()
    [0, 0, 1, 1]
    """
    labels = np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int64)
    n_groups = max(int(labels.max()) + 1, min(max_groups, len(labels)))
    return State(
        graph, labels, block_sums(graph, labels, n_groups),
        np.bincount(labels, minlength=n_groups).astype(np.float64),
        np.bincount(labels, graph.stats[0].sum(axis=1), minlength=n_groups),
    )  # fmt: skip


def move_nodes(
    state: State,
    order: np.ndarray,
    *,
    allowed: np.ndarray | None = None,
    rng=None,
    use_compiled: bool = True,
) -> int:
    """Move the nodes of `order` in turn; return how many changed their group.

    Parameters
    ----------
    state : State
    order : ndarray of int
    allowed : ndarray of bool (G,), optional
        Groups that nodes may go to.
    rng : Generator, optional
        Heat bath instead of the best move.
    """
    n_groups = len(state.size)
    allowed = np.ones(n_groups, dtype=bool) if allowed is None else allowed
    draws = np.full(len(order), -1.0) if rng is None else rng.random(len(order))
    loops = compiled() if use_compiled else None
    if loops is not None:
        return int(loops.move_nodes(*arrays_of(state), order, allowed, draws))
    moved = 0
    for node, draw in zip(order, draws):
        moved += move_one(state, node, allowed, draw)
    return moved


def move_one(state: State, node: int, allowed: np.ndarray, draw: float) -> bool:
    """Take one node out and put it where it is described best (or by `draw`)."""
    was = int(state.labels[node])
    to_groups = sums_to_groups(state, node)
    k = float(state.graph.stats[0, node].sum())
    shift(state, was, to_groups, k, -1.0)
    cost = costs(state, to_groups, k, allowed, was)
    if draw < 0:
        best = int(np.argmin(cost))
        if cost[was] <= cost[best] + EPS:
            best = was
    else:
        share = np.exp(-(cost - cost.min()))
        best = int(np.searchsorted(np.cumsum(share) / share.sum(), draw))
        best = min(best, len(cost) - 1)
    shift(state, best, to_groups, k, 1.0)
    state.labels[node] = best
    return best != was


def sums_to_groups(state: State, node: int) -> np.ndarray:
    """Statistics of the edges from a node to every group, (4, G)."""
    n_groups = len(state.size)
    rows = state.graph.stats[:, node]
    return np.stack([np.bincount(state.labels, r, minlength=n_groups) for r in rows])


def shift(state: State, group: int, to_groups: np.ndarray, k: float, sign: float):
    """Add a node with these edges to a group, or take it out."""
    row = state.sums[:, group] + sign * to_groups
    state.sums[:, group] = row
    state.sums[:, :, group] = row
    state.size[group] += sign
    state.degree[group] += sign * k
    if state.size[group] == 0:
        state.sums[:, group] = state.sums[:, :, group] = 0.0
        state.degree[group] = 0.0


def costs(state, to_groups, k, allowed, was) -> np.ndarray:
    """What putting the node into each group adds; infinite where it may not go."""
    graph, size = state.graph, state.size
    n_groups = len(size)
    filled = size > 0
    upper = np.triu_indices(n_groups)
    n_pairs = int((state.sums[0][upper] > 0.5).sum())
    new = state.sums + to_groups[:, None, :]
    before, after = pair_cost(graph, state.sums), pair_cost(graph, new)
    fresh = (state.sums[0] < 0.5) & (new[0] > 0.5)
    cost = (after - before).sum(axis=1)
    cost += group_terms(graph, size + 1, state.degree + k)
    cost -= group_terms(graph, size, state.degree)
    cost += global_terms(graph, np.maximum(filled.sum() + ~filled, 1),
                         np.maximum(n_pairs + fresh.sum(axis=1), 1))  # fmt: skip
    empty = np.flatnonzero(~filled)
    may = allowed & filled
    if len(empty):
        spare = was if not filled[was] else empty[0]
        may[spare] = allowed[spare]
    may[was] = True
    return np.where(may, cost, np.inf)


def pair_cost(graph: Graph, sums: np.ndarray) -> np.ndarray:
    """Weight and adjacency terms of all block pairs; the diagonal is inside groups."""
    total = weight_terms(graph, sums)
    return total + edge_terms(sums) if graph.edges else total


def merge_best(state: State) -> bool:
    """Merge the two groups whose union shortens the description most, if any does."""
    used = np.flatnonzero(state.size > 0)
    if len(used) < 2:
        return False
    start = state.length()
    gains = merge_costs(state, used)
    one, two = np.unravel_index(int(np.argmin(gains)), gains.shape)
    if not gains[one, two] < -EPS:
        return False
    labels = state.labels.copy()
    labels[labels == used[two]] = used[one]
    if description_length(state.graph, labels) >= start - EPS:
        return False
    reset(state, labels)
    return True


def merge_costs(state: State, used: np.ndarray) -> np.ndarray:
    """What merging each pair of groups changes; infinite below the diagonal."""
    graph = state.graph
    n = len(used)
    sums = state.sums[:, used][:, :, used]
    size, degree = state.size[used], state.degree[used]
    cost = pair_cost(graph, sums)
    some = sums[0] > 0.5
    diagonal = np.arange(n)
    n_pairs = int(some[np.triu_indices(n)].sum())
    out = np.full((n, n), np.inf)
    for r in range(n - 1):
        others = np.arange(r + 1, n)
        joined = sums[:, r][:, None, :] + sums[:, others]  # (4, S, n)
        inside = sums[:, r, r][:, None] + sums[:, others, others] + sums[:, r, others]
        outside = row_cost(graph, joined)
        fresh = (joined[0] > 0.5).astype(float)
        skip = (diagonal[None] == r) | (diagonal[None] == others[:, None])
        own = own_cost(graph, inside)
        old = cost[r].sum() + cost[others].sum(axis=1) - cost[r, others]
        new = np.where(skip, 0.0, outside).sum(axis=1) + own
        lost = some[r].sum() + some[others].sum(axis=1) - some[r, others]
        gained = np.where(skip, 0.0, fresh).sum(axis=1) + (inside[0] > 0.5)
        change = new - old
        change += group_terms(graph, size[r] + size[others], degree[r] + degree[others])
        change -= group_terms(graph, size[r], degree[r])
        change -= group_terms(graph, size[others], degree[others])
        change += global_terms(graph, n - 1, np.maximum(n_pairs - lost + gained, 1))
        out[r, others] = change - global_terms(graph, n, max(n_pairs, 1))
    return out


def row_cost(graph: Graph, sums: np.ndarray) -> np.ndarray:
    """Terms of block pairs between two groups, any shape behind the statistics."""
    from scipy.special import gammaln

    total = weight_terms(graph, sums)
    return total - gammaln(sums[0] + 1) if graph.edges else total


def own_cost(graph: Graph, sums: np.ndarray) -> np.ndarray:
    """Terms of pairs inside a group."""
    total = row_cost(graph, sums)
    return total - sums[0] * np.log(2.0) if graph.edges else total


def reset(state: State, labels: np.ndarray) -> None:
    """Give a state other labels."""
    fresh = make_state(state.graph, labels, len(state.size))
    state.labels[:] = fresh.labels
    state.sums, state.size, state.degree = fresh.sums, fresh.size, fresh.degree


def arrays_of(state: State):
    """What the compiled loop takes."""
    graph = state.graph
    mu0, b0 = graph.prior
    numbers = np.array([
        float(graph.edges), float(graph.degree_corrected), mu0, b0, graph.least,
        float(graph.n_edges), graph.total, float(graph.n_nodes), graph.design_effect,
    ])  # fmt: skip
    return (
        state.labels, state.sums, state.size, state.degree, graph.stats,
        {"exponential": 0, "log-normal": 1, "geometric": 2, "poisson": 3}[graph.family],
        numbers, table_of(2 * graph.n_edges + graph.n_nodes + 2),
    )  # fmt: skip


@cache
def table_of(n: int) -> np.ndarray:
    """ln k! for k up to n - 1, and ln Gamma(1 + k / 2) in a second row."""
    from scipy.special import gammaln

    k = np.arange(n, dtype=float)
    return np.stack([gammaln(k + 1), gammaln(1 + k / 2)])
