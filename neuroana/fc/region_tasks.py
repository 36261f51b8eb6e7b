"""Tasks that ask what is known of the regions: structure, distance, network, truth."""

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch
from neuroana.fc import spatial_scores
from neuroana.fc.region_nulls import region_orders
from neuroana.fc.task_data import Design, Measured, Outcome
from neuroana.fc.tasks import task


def _by_person(values, design: Design) -> np.ndarray:
    """Mean over the samples of each person, then over people, one a draw."""
    totals = np.zeros(len(design.names))
    counts = np.zeros(len(design.names))
    fine = np.isfinite(values)
    np.add.at(totals, design.people[fine], values[fine])
    np.add.at(counts, design.people[fine], 1)
    there = counts > 0
    if not there.any():
        return np.full(len(design.weights), np.nan)
    means = totals[there] / counts[there]
    weights = design.weights[:, there]
    return weights @ means / weights.sum(axis=1)


def _shuffled(m: Measured, design: Design, reference) -> np.ndarray:
    """Null of a reference: its regions turned on the sphere, or permuted."""
    n = m.w.shape[-1]
    orders = region_orders(n, design.n_null, design.coordinates, design.seed)
    grid = np.full((n, n), np.nan)
    pick = ~np.eye(n, dtype=bool) if m.directed else np.triu(np.ones((n, n), bool), 1)
    grid[pick] = reference
    if not m.directed:
        grid = np.where(np.isfinite(grid), grid, grid.T)
    out = [
        np.nanmean(_by_person(
            spatial_scores.against_reference(m.edges, grid[np.ix_(o, o)][pick]),
            design)[:1])
        for o in orders
    ]  # fmt: skip
    return np.array(out)


def _needs_reference(design: Design, reference=None):
    if reference is None or np.ndim(reference) != 2:
        raise ParameterError(
            message("task 'structure'", "reference, an array (roi, roi)",
                    type(reference).__name__, "Task('structure', reference=...)")
        )  # fmt: skip


@task("structure", _needs_reference)
def structure(m: Measured, design: Design, reference=None):
    """Spearman correlation with structural connections where there are any."""
    goal = spatial_scores.connected_only(_square(reference, m), directed=m.directed)
    values = spatial_scores.against_reference(m.edges, goal, absolute=False)
    return Outcome(_by_person(values, design), _shuffled(m, design, goal))


def _square(reference, m: Measured):
    n = m.w.shape[-1]
    if np.shape(reference) != (n, n):
        raise ParameterError(message("reference", f"({n}, {n})", np.shape(reference)))
    return np.asarray(reference, dtype=float)


def _needs_coordinates(design: Design):
    if design.coordinates is None:
        raise ParameterError(
            message("task 'distance'", "regions with the coordinates x, y, z", "none")
        )


@task("distance", _needs_coordinates)
def distance(m: Measured, design: Design):
    """Spearman correlation of strength with nearness."""
    goal = spatial_scores.distances_of(design.coordinates, directed=m.directed)
    values = spatial_scores.against_reference(m.edges, goal)
    return Outcome(_by_person(values, design), _shuffled(m, design, goal))


def _needs_networks(design: Design):
    if design.networks is None or len(np.unique(design.networks)) < 2:
        raise ParameterError(
            message("task 'network'", "regions with the coordinate network", "none")
        )


@task("network", _needs_networks)
def network(m: Measured, design: Design):
    """d' of entries within networks against those between them."""

    def measure(labels):
        values = spatial_scores.network_contrast(m.edges, labels, directed=m.directed)
        return _by_person(values, design)

    null = [measure(design.networks[branch(design.seed, 3, k).permutation(
        len(design.networks))])[0] for k in range(design.n_null)]  # fmt: skip
    return Outcome(measure(design.networks), np.array(null))


def _needs_graph(design: Design, graph=None):
    if graph is None or np.ndim(graph) != 2 or not np.any(graph) or np.all(graph):
        raise ParameterError(
            message("task 'truth'", "graph, an array (source, target) of bool",
                    type(graph).__name__)
        )  # fmt: skip


@task("truth", _needs_graph)
def truth(m: Measured, design: Design, graph=None):
    """Area under the curve against the graph that the data were simulated with."""
    w = np.asarray(m.w, dtype=float)
    values = spatial_scores.graph_recovery(w, graph, directed=m.directed)
    rng = [branch(design.seed, 3, k) for k in range(design.n_null)]
    n = len(graph)
    null = []
    for r in rng:
        o = r.permutation(n)
        turned = np.asarray(graph)[np.ix_(o, o)]
        found = spatial_scores.graph_recovery(w, turned, directed=m.directed)
        null.append(_by_person(found, design)[0])
    return Outcome(_by_person(values, design), np.array(null))
