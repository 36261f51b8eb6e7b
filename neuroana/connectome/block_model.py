"""Description length of a weighted graph given a partition of its nodes, in nats.

| symbol  | meaning                                                                 |
| ------- | ----------------------------------------------------------------------- |
| b       | partition of N nodes into B groups of n_r nodes                          |
| m_rs    | edges between groups (inside for r = s), E in all                        |
| x_rs    | sum of their weights; y_rs, q_rs sum and sum of squares of log weights   |
| e_r     | half-edges of a group; k_i degree of a node                              |
| c       | number of block pairs with an edge                                       |

Terms (Peixoto, "Nonparametric weighted stochastic block models", 2018; graph-tool's
microcanonical form):

- adjacency: sum e_r ln n_r - sum_{r<s} ln m_rs! - sum_r ln(2^m_rr m_rr!); with degree
  correction ln e_r! for e_r ln n_r, - sum ln k_i!, + sum ln C(n_r + e_r - 1, e_r)
- partition: ln N + ln C(N-1, B-1) + ln N! - sum ln n_r!
- edge counts: ln C(B(B+1)/2 + E - 1, E)
- weights, for each block pair with an edge:
  exponential (m-1) ln x - ln G(m), geometric ln C(x+m-1, x), Poisson x ln m - ln x! +
  sum ln w!, log-normal minus the marginal likelihood of ln w under a normal with a
  normal-inverse-gamma prior, + sum ln w
- weight totals: the same law over the c block pairs; the geometric one for Poisson
  weights, none for log-normal ones

``edges=False`` leaves adjacency and edge counts out: for complete graphs, where they
say nothing.
"""

from dataclasses import dataclass
from functools import cached_property
from math import lgamma, log, pi

import numpy as np
from scipy.special import gammaln


FAMILIES = ("exponential", "log-normal", "geometric", "poisson")
KAPPA0, A0 = 1.0, 1.0  # of the normal-inverse-gamma prior


def log_binomial(n, k):
    """ln C(n, k) for real arguments; 0 where k is 0.

    Examples
    --------
    >>> round(float(log_binomial(5, 2)), 6) == round(float(np.log(10)), 6)
    True
    """
    n, k = np.asarray(n, dtype=float), np.asarray(k, dtype=float)
    value = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.where(k == 0, 0.0, value)


@dataclass(frozen=True)
class Graph:
    """A weighted graph as the model sees it.

    Attributes
    ----------
    stats : ndarray (4, N, N)
        Edge (0 or 1), weight, log weight and its square; zero on the diagonal.
    family : str
    degree_corrected : bool
    edges : bool
        Whether adjacency and edge counts are described.
    design_effect : float
        Dependent weights that are worth one (`dependence`); divides all that describes
        weights.
    """

    stats: np.ndarray
    family: str
    degree_corrected: bool = False
    edges: bool = True
    design_effect: float = 1.0

    @cached_property
    def n_nodes(self) -> int:
        """N."""
        return self.stats.shape[1]

    @cached_property
    def n_edges(self) -> int:
        """E."""
        return int(self.stats[0].sum() / 2 + 0.5)

    @cached_property
    def total(self) -> float:
        """Sum of all weights."""
        return float(self.stats[1].sum() / 2)

    @cached_property
    def prior(self) -> tuple[float, float]:
        """mu0 and b0 of the prior: mean of the log weights and half their variance."""
        n = max(self.n_edges, 1)
        mean = float(self.stats[2].sum() / 2 / n)
        spread = max(float(self.stats[3].sum() / 2 / n) - mean**2, 0.0)
        return mean, max(spread / 2, 1e-12)

    @cached_property
    def least(self) -> float:
        """Weight below which a block pair is not described (exponential)."""
        some = self.stats[1][self.stats[0] > 0]
        return float(some.min() / 10) if len(some) else 0.0

    @cached_property
    def constant(self) -> float:
        """What no partition changes."""
        edge = self.stats[0] > 0
        total = log(max(self.n_nodes, 1)) + lgamma(self.n_nodes + 1)
        if self.edges and self.degree_corrected:
            total -= float(gammaln(self.stats[0].sum(axis=1) + 1).sum())
        if self.family == "log-normal":
            total += float(self.stats[2].sum() / 2) / self.design_effect
        if self.family == "poisson":
            sums = float(gammaln(self.stats[1][edge] + 1).sum() / 2)
            total += sums / self.design_effect
        return total


def make_graph(
    weights: np.ndarray,
    family: str,
    *,
    degree_corrected: bool = False,
    edges: bool = True,
    design_effect: float = 1.0,
) -> Graph:
    """A graph from a symmetric matrix; zeros are no edges.

    Examples
    --------
    >>> make_graph(np.ones((3, 3)) - np.eye(3), "exponential").n_edges
    3
    """
    edge = (weights > 0).astype(float)
    np.fill_diagonal(edge, 0.0)
    w = np.where(edge > 0, weights, 0.0)
    logs = np.log(np.where(edge > 0, w, 1.0))
    stats = np.stack([edge, w, logs, logs**2])
    return Graph(stats, family, degree_corrected, edges, design_effect)


def block_sums(graph: Graph, labels: np.ndarray, n_groups: int | None = None):
    """Sums of the four statistics over block pairs, (4, B, B).

    Edges inside a group count once.
    """
    n_groups = int(labels.max()) + 1 if n_groups is None else n_groups
    member = np.zeros((len(labels), n_groups))
    member[np.arange(len(labels)), labels] = 1.0
    sums = member.T @ graph.stats @ member
    at = np.arange(n_groups)
    sums[:, at, at] /= 2.0
    return sums


def weight_terms(graph: Graph, sums: np.ndarray) -> np.ndarray:
    """Description of the weights of each block pair."""
    m, x, y, q = sums
    some = m > 0.5
    safe = np.where(some, m, 1.0)
    if graph.family == "log-normal":
        mu0, b0 = graph.prior
        an, kn = A0 + safe / 2, KAPPA0 + safe
        mean = y / safe
        inner = np.maximum(q - safe * mean**2, 0.0)
        bn = b0 + inner / 2 + KAPPA0 * safe * (mean - mu0) ** 2 / (2 * kn)
        found = (
            -gammaln(an) + gammaln(A0) - A0 * log(b0) + an * np.log(bn)
            - 0.5 * np.log(KAPPA0 / kn) + safe / 2 * log(2 * pi)
        )  # fmt: skip
    else:
        found = law(graph.family, safe, x, graph.least)
    return np.where(some, found, 0.0) / graph.design_effect


def law(family: str, n, x, least: float):
    """Cost of n weights with sum x, the sum given."""
    n, x = np.asarray(n, dtype=float), np.asarray(x, dtype=float)
    if family == "geometric":
        return log_binomial(x + n - 1, x)
    if family == "poisson":
        return x * np.log(n) - gammaln(x + 1)
    known = (n > 1.5) & (x >= least)
    return np.where(known, (n - 1) * np.log(np.where(known, x, 1.0)) - gammaln(n), 0.0)


def of_totals(graph: Graph) -> str:
    """Law of the totals of block pairs, their sum given."""
    return "geometric" if graph.family == "poisson" else graph.family


def edge_terms(sums: np.ndarray) -> np.ndarray:
    """Adjacency terms of each block pair: -ln m!, and -m ln 2 on the diagonal."""
    m = sums[0]
    return -gammaln(m + 1) - np.eye(len(m)) * m * log(2.0)


def group_terms(graph: Graph, size, degree):
    """Terms of each group: its share of the partition and of the adjacency."""
    size, degree = np.asarray(size, dtype=float), np.asarray(degree, dtype=float)
    total = -gammaln(size + 1)
    if graph.edges and graph.degree_corrected:
        total = total + gammaln(degree + 1)
        total = total + np.where(
            size > 0, log_binomial(np.maximum(size, 1) + degree - 1, degree), 0.0
        )
    elif graph.edges:
        total = total + degree * np.log(np.maximum(size, 1.0))
    return total


def global_terms(graph: Graph, n_groups, n_pairs, *, totals: bool = True):
    """What depends on the numbers of groups and of block pairs with an edge alone."""
    n_groups = np.asarray(n_groups, dtype=float)
    total = log_binomial(graph.n_nodes - 1, n_groups - 1)
    if graph.edges and totals:
        n_cells = n_groups * (n_groups + 1) / 2
        total = total + log_binomial(n_cells + graph.n_edges - 1, graph.n_edges)
    if graph.family != "log-normal" and totals:
        cost = law(of_totals(graph), n_pairs, graph.total, graph.least)
        total = total + cost / graph.design_effect
    return total


def description_length(
    graph: Graph, labels: np.ndarray, *, totals: bool = True
) -> float:
    """Nats that describe the graph with a partition.

    Parameters
    ----------
    graph : Graph
    labels : ndarray of int (node,)
        Group numbers; gaps between them do not matter.
    totals : bool
        Include edge counts and weight totals as the flat model has them.

    Examples
    --------
    >>> i, j = np.indices((8, 8))
    >>> low, high = np.minimum(i, j), np.maximum(i, j)
    >>> w = np.where(i // 4 == j // 4, 2, 0.25) * (1 + ((3 * low + 5 * high) % 7) / 10)
    >>> graph = make_graph(w * (i != j), "exponential")
    >>> round(description_length(graph, np.arange(8) // 4), 6)
    61.049682
    """
    labels = np.unique(labels, return_inverse=True)[1].reshape(-1)
    sums = block_sums(graph, labels)
    upper = np.triu_indices(sums.shape[1])
    size = np.bincount(labels)
    degree = np.bincount(labels, graph.stats[0].sum(axis=1))
    total = graph.constant + float(group_terms(graph, size, degree).sum())
    total += float(weight_terms(graph, sums)[upper].sum())
    if graph.edges:
        total += float(edge_terms(sums)[upper].sum())
    n_pairs = int((sums[0][upper] > 0.5).sum())
    return total + float(global_terms(graph, len(size), n_pairs, totals=totals))


def nested_description_length(graph: Graph, levels: list[np.ndarray]) -> float:
    """Nats with a hierarchy: the groups of each level are the nodes of the next.

    Edge counts and weight totals of a level are described by the level above, and by
    the flat terms at the top only. For log-normal weights, which have no totals, the
    levels above add what their partitions cost.

    Parameters
    ----------
    graph : Graph
    levels : list of ndarray
        Labels of the nodes, of the groups, of the groups of groups, ...
    """
    levels = [np.unique(b, return_inverse=True)[1].reshape(-1) for b in levels]
    total = description_length(graph, levels[0], totals=False)
    sums = level_sums(graph, levels[0])
    for b in levels[1:]:
        sums = tuple(grouped(v, b) for v in sums)
        total += level_length(graph, np.bincount(b), *sums)
        sums = (*sums[:2], (sums[0] > 0.5).astype(float))
    return total + top_length(graph, sums[2])


def level_sums(graph: Graph, labels: np.ndarray):
    """Edges, weights and presence of edges of every block pair."""
    sums = block_sums(graph, labels)
    return sums[0], sums[1], (sums[0] > 0.5).astype(float)


def level_length(graph: Graph, n, e, x, c) -> float:
    """What a level with group sizes n adds: e edges, x weight, c block pairs."""
    upper = np.triu_indices(len(n))
    cells = np.outer(n, n).astype(float)
    cells[np.diag_indices(len(n))] = n * (n + 1) / 2
    below = int(n.sum())
    total = log(below) + float(log_binomial(below - 1, len(n) - 1))
    total += lgamma(below + 1) - float(gammaln(n + 1).sum())
    if graph.edges:
        total += float(log_binomial(cells + e - 1, e)[upper].sum())
    if graph.family != "log-normal":
        some = c > 0.5
        found = law(of_totals(graph), np.where(some, c, 1.0), x, graph.least)
        cost = float(np.where(some, found, 0.0)[upper].sum())
        total += cost / graph.design_effect
    return total


def top_length(graph: Graph, pairs: np.ndarray) -> float:
    """Flat terms for the groups of the topmost level."""
    n_top, n_pairs = len(pairs), int(np.triu(pairs).sum())
    total = 0.0
    if graph.edges:
        n_cells = n_top * (n_top + 1) / 2
        total += float(log_binomial(n_cells + graph.n_edges - 1, graph.n_edges))
    if graph.family != "log-normal":
        n_pairs = max(n_pairs, 1)
        cost = float(law(of_totals(graph), n_pairs, graph.total, graph.least))
        total += cost / graph.design_effect
    return total


def grouped(values: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sums over block pairs of a symmetric matrix whose diagonal counts once."""
    full = values + np.diag(np.diag(values))
    member = np.zeros((len(b), int(b.max()) + 1))
    member[np.arange(len(b)), b] = 1.0
    out = member.T @ full @ member
    out[np.diag_indices(len(out))] /= 2.0
    return out
