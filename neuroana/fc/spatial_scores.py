"""Scores of one sample's matrix against something known of its regions.

E: (sample, edge) as :func:`neuroana.fc.similarity.edge_rows` gives them; each function
returns one value a sample, NaN where it is undefined.
"""

import numpy as np

from neuroana.fc.similarity import edge_rows, standardised


def against_reference(edges, reference, *, absolute=True):
    """Spearman correlation of the entries with a reference over the edges it has.

    Parameters
    ----------
    edges : ndarray (sample, edge)
    reference : ndarray (edge,)
        NaN where it is not known.
    absolute : bool, default=True
        Strength without its sign.

    Examples
    --------
    >>> against_reference(np.array([[1.0, -2.0, 3.0]]), np.array([1.0, 2, 3])).tolist()
    [1.0]
    """
    edges = np.abs(edges) if absolute else edges
    known = np.isfinite(reference)
    out = np.full(len(edges), np.nan)
    there, which = np.unique(np.isfinite(edges) & known, axis=0, return_inverse=True)
    for k, both in enumerate(there):
        if both.sum() > 2:
            rows = np.flatnonzero(which.ravel() == k)
            goal = standardised(reference[None, both])[0]
            own = standardised(edges[np.ix_(rows, both)])
            out[rows] = np.where(np.any(own, axis=1) & goal.any(), own @ goal, np.nan)
    return np.round(out, 12)


def distances_of(coordinates, *, directed=False):
    """Minus the Euclidean distance of every edge's regions.

    Examples
    --------
    >>> distances_of(np.array([[0.0, 0, 0], [3, 4, 0]])).tolist()
    [-5.0]
    """
    gap = coordinates[:, None] - coordinates[None]
    return edge_rows(-np.linalg.norm(gap, axis=-1), directed=directed)


def connected_only(structure, *, directed=False):
    """Structural weights of every edge, NaN where there is no connection.

    Examples
    --------
    >>> connected_only(np.array([[0.0, 2.0], [2.0, 0.0]])).tolist()
    [2.0]
    """
    values = edge_rows(np.asarray(structure, dtype=float), directed=directed)
    return np.where(values > 0, values, np.nan)


def network_contrast(edges, networks, *, directed=False):
    """d' of the entries within networks against those between them.

    Examples
    --------
    >>> w = np.array([[[1, 2.0, 0, 0.2], [2, 1, 0.1, 0], [0, 0.1, 1, 2.2],
    ...                [0.2, 0, 2.2, 1]]])
    >>> bool(network_contrast(edge_rows(w), np.array([0, 0, 1, 1]))[0] > 5)
    True
    """
    networks = np.asarray(networks)
    same = edge_rows(networks[:, None] == networks[None, :], directed=directed)
    inside = np.where(same, edges, np.nan)
    outside = np.where(same, np.nan, edges)
    gap = np.nanmean(inside, axis=1) - np.nanmean(outside, axis=1)
    pooled = (np.nanvar(inside, axis=1) + np.nanvar(outside, axis=1)) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pooled > 0, gap / np.sqrt(pooled), np.nan)


def graph_recovery(w, graph, *, directed=False):
    """Area under the curve of absolute entries against a known graph.

    Parameters
    ----------
    w : ndarray (sample, source, target)
    graph : ndarray of bool (source, target)
        An undirected operator is asked for connections in either direction.

    Examples
    --------
    >>> graph = np.array([[False, True, False], [False] * 3, [False] * 3])
    >>> w = np.array([[[1, 0.9, 0.1], [0.9, 1, 0.2], [0.1, 0.2, 1]]])
    >>> graph_recovery(w, graph).tolist()
    [1.0]
    """
    from neuroana.fc.prediction import area_under_curve

    graph = np.asarray(graph, dtype=bool)
    truth = edge_rows(graph if directed else graph | graph.T, directed=directed)
    values = np.abs(edge_rows(w, directed=directed))
    out = np.full(len(values), np.nan)
    for k, row in enumerate(values):
        there = np.isfinite(row)
        if truth[there].any() and not truth[there].all():
            ones = np.ones((1, there.sum()))
            out[k] = area_under_curve(row[there], truth[there], ones)[0]
    return out
