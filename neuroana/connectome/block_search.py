"""The partition with the shortest description: many starts, moves, merges and splits.

From every start, single nodes move until none gains, then the best merge is made until
none gains, and again. The best solutions then try to split and rejoin their groups.
Every step shortens the description, so the result is never longer than any start's.
"""

from typing import NamedTuple

import numpy as np

from neuroana.connectome.block_model import (
    Graph,
    block_sums,
    grouped,
    level_length,
    level_sums,
    top_length,
)
from neuroana.connectome.block_moves import (
    EPS,
    State,
    make_state,
    merge_best,
    move_nodes,
    reset,
)
from neuroana.connectome.community_starts import ordered
from neuroana.core.random import branch


ROUNDS = 50
SWEEPS = 100
BEST = 3  # solutions that try splits


class Found(NamedTuple):
    """Result of a search."""

    labels: np.ndarray
    length: float
    lengths: np.ndarray  # of every start, after its descent


def search(
    graph: Graph,
    starts: list[np.ndarray],
    *,
    max_groups: int,
    seed: int,
    use_compiled: bool = True,
) -> Found:
    """Descend from every start and keep the shortest description.

    Parameters
    ----------
    graph : Graph
    starts : list of ndarray of int (node,)
    max_groups : int
        Groups at most.
    seed : int
        Of the order in which nodes move.

    Examples
    --------
    >>> from neuroana.connectome.block_model import make_graph
    >>> rng = np.random.default_rng(0)
    >>> mean = np.kron(np.eye(2) * 5 + 1, np.ones((10, 10)))
    >>> w = np.triu(rng.exponential(mean), 1)
    >>> graph = make_graph(w + w.T, "exponential", edges=False)
    >>> search(graph, [np.zeros(20, int)], max_groups=5, seed=0).labels.tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    """
    states = []
    for number, start in enumerate(starts):
        state = make_state(graph, capped(start, max_groups), max_groups)
        descend(state, branch(seed, number), use_compiled)
        states.append((state.length(), number, state))
    lengths = np.array([length for length, _, _ in states])
    chosen, seen = [], set()
    for length, number, state in sorted(states, key=lambda s: s[:2]):
        key = tuple(ordered(state.labels))
        if key not in seen and len(chosen) < BEST:
            seen.add(key)
            chosen.append((length, number, state))
    best = None
    for _, number, state in chosen:
        split_and_rejoin(state, branch(seed, 1000 + number), use_compiled)
        length = state.length()
        if best is None or length < best[0] - EPS:
            best = length, state
    return Found(ordered(best[1].labels), float(best[0]), lengths)


def capped(labels: np.ndarray, max_groups: int) -> np.ndarray:
    """The largest groups as they are, the rest as one."""
    return np.minimum(ordered(labels), max(max_groups, 1) - 1)


def descend(state: State, rng, use_compiled: bool = True) -> None:
    """Moves and merges until neither shortens the description."""
    n = len(state.labels)
    for _ in range(ROUNDS):
        for _ in range(SWEEPS):
            if not move_nodes(state, rng.permutation(n), use_compiled=use_compiled):
                break
        if not merge_best(state):
            break
        while merge_best(state):
            pass


def split_and_rejoin(state: State, rng, use_compiled: bool = True) -> None:
    """Split every group in two, let it settle, and keep what is shorter."""
    for _ in range(ROUNDS):
        gained = False
        for group in np.flatnonzero(state.size >= 4):
            trial = split_of(state, int(group), rng, use_compiled)
            if trial is None:
                continue
            descend(trial, rng, use_compiled)
            if trial.length() < state.length() - EPS:
                reset(state, trial.labels)
                gained = True
                break
        if not gained:
            return


def split_of(state: State, group: int, rng, use_compiled: bool) -> State | None:
    """A state with one group in two halves, its members settled between them."""
    free = np.flatnonzero(state.size == 0)
    members = np.flatnonzero(state.labels == group)
    if len(free) == 0 or len(members) < 4:
        return None
    stats = state.graph.stats
    which = 2 if state.graph.family == "log-normal" else 1
    inner = stats[which][members]
    edge = stats[0][members]
    mean = inner.sum(0) / np.maximum(edge.sum(0), 1.0)
    profile = np.where(edge > 0, inner - mean, 0.0)
    u, _, _ = np.linalg.svd(profile, full_matrices=False)
    side = u[:, 0] > np.median(u[:, 0])
    labels = state.labels.copy()
    labels[members[side]] = free[0]
    trial = make_state(state.graph, labels, len(state.size))
    allowed = np.zeros(len(trial.size), dtype=bool)
    allowed[np.unique(trial.labels[members])] = True
    for _ in range(10):
        order = rng.permutation(members)
        if not move_nodes(trial, order, allowed=allowed, use_compiled=use_compiled):
            break
    return trial


def nest(graph: Graph, labels: np.ndarray, *, max_levels: int = 6) -> list[np.ndarray]:
    """Groups of groups, as long as a further level shortens the description.

    Level by level, groups are merged greedily while the description of the whole
    hierarchy falls.

    Returns
    -------
    list of ndarray
        Labels of the nodes, of the groups, ... ; a level whose groups are all one is
        not kept.
    """
    levels = [np.unique(labels, return_inverse=True)[1].reshape(-1)]
    sums = level_sums(graph, levels[0])
    while len(levels) < max_levels and levels[-1].max() > 1:
        best = merged(graph, sums)
        if best.max() == 0 or best.max() + 1 == len(best):
            break
        levels.append(best)
        sums = tuple(grouped(v, best) for v in sums)
        sums = (*sums[:2], (sums[0] > 0.5).astype(float))
    return levels


def merged(graph: Graph, sums) -> np.ndarray:
    """Groups of groups of shortest description by greedy merges; one each if none pays.

    The longest hierarchy is compared with having no further level at all.
    """
    n = len(sums[0])
    labels = np.arange(n)
    shortest, best = top_length(graph, sums[2]), labels
    sizes, own = np.ones(n, dtype=int), sums
    while len(sizes) > 1:
        options = []
        for r in range(len(sizes)):
            for s in range(r + 1, len(sizes)):
                b = joined(len(sizes), r, s)
                trial = tuple(grouped(v, b) for v in own)
                size = np.bincount(b, sizes).astype(int)
                length = level_length(graph, size, *trial)
                options.append((length + top_length(graph, trial[0] > 0.5), r, s))
        length, r, s = min(options)
        b = joined(len(sizes), r, s)
        own = tuple(grouped(v, b) for v in own)
        sizes, labels = np.bincount(b, sizes).astype(int), b[labels]
        if length < shortest - EPS:
            shortest, best = length, labels
    return best


def joined(n: int, r: int, s: int) -> np.ndarray:
    """Labels of n groups of which s > r goes into r."""
    b = np.arange(n) - (np.arange(n) > s)
    b[s] = r
    return b


def levels_of_nodes(levels: list[np.ndarray]) -> np.ndarray:
    """Group of every node at every level, (level, node).

    Examples
    --------
    >>> levels_of_nodes([np.array([0, 1, 2]), np.array([0, 0, 1])]).tolist()
    [[0, 1, 2], [0, 0, 1]]
    """
    rows = [levels[0]]
    for b in levels[1:]:
        rows.append(b[rows[-1]])
    return np.stack(rows)


def posterior(
    graph: Graph,
    labels: np.ndarray,
    n_sweeps: int,
    *,
    max_groups: int,
    seed: int,
    use_compiled: bool = True,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Share of sampled partitions in which two nodes are together, (node, node).

    Heat bath from the best partition: each sweep lets every node choose its group with
    its exact probability.

    Returns
    -------
    together : ndarray (node, node)
    samples : list of ndarray
    """
    state = make_state(graph, labels, max_groups)
    together = np.zeros((len(labels), len(labels)))
    samples = []
    for sweep in range(n_sweeps):
        rng = branch(seed, sweep)
        move_nodes(state, rng.permutation(len(labels)), rng=rng,
                   use_compiled=use_compiled)  # fmt: skip
        together += state.labels[:, None] == state.labels[None]
        samples.append(ordered(state.labels))
    return together / max(n_sweeps, 1), samples


def strongest_pairs(graph: Graph, labels: np.ndarray) -> np.ndarray:
    """Mean weight of each block pair, (B, B).

    Examples
    --------
    >>> from neuroana.connectome.block_model import make_graph
    >>> w = np.kron(np.eye(2), np.ones((2, 2))) * 3 + 1
    >>> strongest_pairs(make_graph(w - np.diag(np.diag(w)), "exponential"),
    ...                 np.array([0, 0, 1, 1])).tolist()
    [[4.0, 1.0], [1.0, 4.0]]
    """
    sums = block_sums(graph, labels)
    return sums[1] / np.maximum(sums[0], 1.0)
