"""Communities of one weighted graph: the model chosen, its partition, and the null."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from neuroana.connectome.block_model import (
    FAMILIES,
    Graph,
    description_length,
    make_graph,
    nested_description_length,
)
from neuroana.connectome.block_search import (
    Found,
    levels_of_nodes,
    nest,
    posterior,
    search,
)
from neuroana.connectome.community_starts import (
    make_starts,
    modularity_partition,
    ordered,
)
from neuroana.connectome.dependence import design_effect
from neuroana.core.checks import message, require
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch, branch_seed


DENSE = 0.9  # density above which adjacency says nothing


class Options(NamedTuple):
    """How communities are found."""

    method: str = "wsbm"
    weight: str = "auto"
    strength_corrected: bool = True
    degree_corrected: bool | str = "auto"
    nested: bool = True
    max_groups: int | None = None
    edge_model: str = "auto"
    design_effect: float | str = "auto"
    min_edge: float = 1e-6
    n_start: int = 11
    n_posterior: int = 50
    n_null: int = 0
    use_compiled: bool = True


class Partition(NamedTuple):
    """Communities of one graph.

    Attributes
    ----------
    levels : ndarray of int (level, node)
        -1 for nodes without an edge.
    length, length_one : float
        Description length of the partition and of one block, in nats.
    family : str
    design_effect : float
        Dependent weights that were counted as one.
    together : ndarray (node, node)
        Posterior share of partitions in which two nodes are together.
    gaps : ndarray (draw,)
        Gap to one block of graphs with the same edges and permuted weights.
    """

    levels: np.ndarray
    length: float
    length_one: float
    family: str
    degree_corrected: bool
    edges: bool
    design_effect: float
    together: np.ndarray
    gaps: np.ndarray


def strength_corrected(weights: np.ndarray) -> np.ndarray:
    """w_ij sum(w) / (s_i s_j): strong nodes no longer look like a group.

    Examples
    --------
    >>> v = np.linspace(1.0, 2.0, 50)
    >>> w = np.outer(v, v) * (1 - np.eye(50))
    >>> bool(np.ptp(strength_corrected(w)[np.triu_indices(50, 1)]) < 0.05)
    True
    """
    strength = weights.sum(axis=1)
    outer = np.outer(strength, strength)
    return np.where(
        outer > 0, weights * weights.sum() / np.where(outer > 0, outer, 1), 0
    )


def connected_components(weights: np.ndarray) -> np.ndarray:
    """Component number of each node; -1 for nodes without an edge."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components as components

    _, labels = components(csr_matrix(weights > 0), directed=False)
    return np.where((weights > 0).any(axis=1), labels, -1)


def partition(weights: np.ndarray, options: Options, seed: int) -> Partition:
    """Communities of a graph, each connected component by itself.

    Parameters
    ----------
    weights : ndarray (node, node)
        Symmetric, non-negative, zero diagonal.
    options : Options
    seed : int
    """
    weights = np.where(
        weights > options.min_edge * weights.max(initial=0.0), weights, 0
    )
    part = connected_components(weights)
    n = len(weights)
    parts, groups = [], 0
    together = np.zeros((n, n))
    labels = []
    for number, component in enumerate(np.unique(part[part >= 0])):
        at = np.flatnonzero(part == component)
        found = one_component(
            weights[np.ix_(at, at)], options, branch_seed(seed, number)
        )
        parts.append(found)
        labels.append((at, found.levels))
        together[np.ix_(at, at)] = found.together
    depth = max((len(levels) for _, levels in labels), default=1)
    levels = np.full((depth, n), -1)
    for at, own in labels:
        own = np.vstack([own, np.repeat(own[-1:], depth - len(own), axis=0)])
        levels[:, at] = own + groups
        groups += int(own.max()) + 1
    for row in levels:
        row[row >= 0] = ordered(row[row >= 0])
    first = parts[0] if parts else None
    gaps = [p.gaps for p in parts if len(p.gaps)]
    return Partition(
        levels,
        sum(p.length for p in parts),
        sum(p.length_one for p in parts),
        first.family if first else "none",
        first.degree_corrected if first else False,
        first.edges if first else False,
        first.design_effect if first else 1.0,
        together,
        np.sum(gaps, axis=0) if gaps else np.zeros(0),
    )


def one_component(weights: np.ndarray, options: Options, seed: int) -> Partition:
    """Communities of a connected graph."""
    n = len(weights)
    if options.method != "wsbm":
        labels = by_other_method(weights, options.method, seed)
        return Partition(labels[None] if labels.ndim == 1 else labels, np.nan, np.nan,
                         options.method, False, False, 1.0, np.equal.outer(
                             labels.reshape(-1, n)[0], labels.reshape(-1, n)[0]
                         ).astype(float), np.zeros(0))  # fmt: skip
    most = options.max_groups or max(n // 4, 1)
    density = (weights > 0).sum() / max(n * (n - 1), 1)
    edges = {"auto": density <= DENSE, "weights-only": False, "full": True}[
        options.edge_model
    ]
    corrected = strength_corrected(weights) if options.strength_corrected else weights
    starts = make_starts(weights, options.n_start, seed)
    family = options.weight
    if family == "auto":
        family = best_family(corrected, starts, most, seed, options)
    graph, found = described(corrected, family, edges, starts, most, seed, options)
    levels, length = [found.labels], found.length
    if options.nested:
        hierarchy = nest(graph, found.labels)
        if nested_description_length(graph, hierarchy) < length:
            levels, length = hierarchy, nested_description_length(graph, hierarchy)
    together, _ = posterior(
        graph, found.labels, options.n_posterior, max_groups=most,
        seed=branch_seed(seed, 7), use_compiled=options.use_compiled,
    )  # fmt: skip
    if options.n_posterior == 0:
        together = np.equal.outer(found.labels, found.labels).astype(float)
    one = description_length(graph, np.zeros(n, dtype=int))
    gaps = null_gaps(weights, graph, most, options, branch_seed(seed, 8))
    return Partition(levels_of_nodes(levels), length, one, family,
                     graph.degree_corrected, edges, graph.design_effect, together,
                     gaps)  # fmt: skip


def described(
    weights, family, edges, starts, most, seed, options
) -> tuple[Graph, Found]:
    """The graph as it is described most shortly, and its partition.

    The design effect is measured once, on the partition found without it. That one is
    too fine where weights are dependent, and takes part of the dependence for groups:
    the measure errs towards 1, and no coarse partition can feed it.
    """
    given = options.design_effect
    effect = 1.0 if given == "auto" else float(given)
    best = None
    for corrects in degree_choices(options, edges):
        graph = make_graph(weights, family, degree_corrected=corrects, edges=edges,
                           design_effect=effect)  # fmt: skip
        found = search(graph, starts, max_groups=most, seed=seed,
                       use_compiled=options.use_compiled)  # fmt: skip
        if best is None or found.length < best[1].length:
            best = graph, found
    graph, found = best
    if given == "auto":
        edge = graph.stats[0] > 0
        effect = design_effect(graph.stats[2], edge, found.labels)
    if effect > graph.design_effect:
        graph = replace(graph, design_effect=effect)
        found = search(graph, [found.labels, *starts], max_groups=most, seed=seed,
                       use_compiled=options.use_compiled)  # fmt: skip
    return graph, found


def degree_choices(options: Options, edges: bool) -> list[bool]:
    """With and without degree correction, where it makes a difference."""
    if not edges:
        return [False]
    if options.degree_corrected == "auto":
        return [False, True]
    return [bool(options.degree_corrected)]


def best_family(weights, starts, most, seed, options) -> str:
    """The weight family with the shortest description of the weights alone."""
    some = weights[weights > 0]
    whole = bool((some == np.round(some)).all()) and len(np.unique(some)) > 1
    lengths = {}
    for family in FAMILIES if whole else FAMILIES[:2]:
        graph = make_graph(weights, family, edges=False)
        found = search(graph, starts[:4], max_groups=most, seed=seed,
                       use_compiled=options.use_compiled)  # fmt: skip
        lengths[family] = found.length
    if whole:  # densities and probabilities of counts cannot be compared
        return min(("geometric", "poisson"), key=lengths.__getitem__)
    return min(lengths, key=lengths.__getitem__)


def null_gaps(weights, graph: Graph, most, options: Options, seed: int) -> np.ndarray:
    """Gaps to one block of graphs with the same edges and permuted weights."""
    n = len(weights)
    i, j = np.nonzero(np.triu(weights, 1))
    gaps = np.zeros(options.n_null)
    for draw in range(options.n_null):
        permuted = np.zeros_like(weights)
        values = branch(seed, draw).permutation(weights[i, j])
        permuted[i, j] = permuted[j, i] = values
        if options.strength_corrected:
            permuted = strength_corrected(permuted)
        null = make_graph(permuted, graph.family, edges=graph.edges,
                          degree_corrected=graph.degree_corrected,
                          design_effect=graph.design_effect)  # fmt: skip
        starts = make_starts(permuted, min(options.n_start, 6), branch_seed(seed, draw))
        found = search(null, starts, max_groups=most, seed=branch_seed(seed, draw),
                       use_compiled=options.use_compiled)  # fmt: skip
        gaps[draw] = description_length(null, np.zeros(n, int)) - found.length
    return gaps


def by_other_method(weights: np.ndarray, method: str, seed: int) -> np.ndarray:
    """Groups by modularity, or by a package that the user has."""
    if method in ("leiden", "louvain"):
        return modularity_partition(weights, method, seed=seed % 2**31)
    if method == "leidenalg":
        return by_leidenalg(weights, seed)
    return by_graph_tool(weights)


def by_leidenalg(weights: np.ndarray, seed: int) -> np.ndarray:
    """Modularity by leidenalg (GPL), if it is installed."""
    leidenalg, igraph = optional("leidenalg"), optional("igraph")
    i, j = np.nonzero(np.triu(weights, 1))
    graph = igraph.Graph(n=len(weights), edges=np.stack([i, j], 1).tolist())
    found = leidenalg.find_partition(
        graph, leidenalg.ModularityVertexPartition, weights=weights[i, j].tolist(),
        seed=seed % 2**31,
    )  # fmt: skip
    return ordered(np.array(found.membership))


def by_graph_tool(weights: np.ndarray) -> np.ndarray:
    """Nested exponential block model by graph-tool (LGPL), if it is installed."""
    tools = optional("graph_tool.all")
    i, j = np.nonzero(np.triu(weights, 1))
    graph = tools.Graph(directed=False)
    graph.add_vertex(len(weights))
    value = graph.new_edge_property("double")
    graph.add_edge_list(
        [(int(a), int(b), float(w)) for a, b, w in zip(i, j, weights[i, j])],
        eprops=[value],
    )
    state = tools.minimize_nested_blockmodel_dl(
        graph, state_args={"recs": [value], "rec_types": ["real-exponential"]}
    )
    levels = []
    for state_of_level in state.get_levels():
        b = np.array(state_of_level.get_blocks().a)
        b = np.unique(b, return_inverse=True)[1].reshape(-1)
        levels.append(b if not levels else b[levels[-1]])
        if levels[-1].max() == 0:
            break
    return np.stack(levels)


def optional(name: str):
    """A package that we neither need nor bring."""
    try:
        return require(name, "all")
    except ImportError as error:
        raise ParameterError(
            message("argument 'method'", f"{name} to be installed", "an import error",
                    "install it yourself (its licence is not ours), or use "
                    "method='wsbm' or 'leiden'")
        ) from error  # fmt: skip
