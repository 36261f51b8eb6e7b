"""Matrices as vectors, and how alike the vectors of two samples are.

W: (sample, roi, roi), NaN rows and columns where a region never changes;
E: (sample, edge) without the diagonal; S: (sample, sample).
"""

import numpy as np

from neuroana.core.checks import check_choice


KINDS = ("spearman", "pearson")


def edge_rows(w, *, directed=False):
    """Off-diagonal entries, the upper triangle of undirected matrices.

    Examples
    --------
    >>> edge_rows(np.arange(9.0).reshape(1, 3, 3)).tolist()
    [[1.0, 2.0, 5.0]]
    """
    n = w.shape[-1]
    pick = ~np.eye(n, dtype=bool) if directed else np.triu(np.ones((n, n), bool), 1)
    return w[..., pick]


def standardised(rows, kind="spearman"):
    """Rows (their average ranks) with mean 0 and length 1; constant rows are 0.

    Examples
    --------
    >>> standardised(np.array([[1.0, 5.0, 2.0]])).round(2).tolist()
    [[-0.71, 0.71, 0.0]]
    """
    if check_choice("similarity", kind, KINDS) == "spearman":
        from scipy.stats import rankdata

        rows = rankdata(rows, axis=1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-12)


def similarity(edges, kind="spearman"):
    """Correlation of every two samples over the edges that both have.

    Cost: one product (sample, edge)(edge, sample) for each pair of patterns of
    missing edges; usually there is one.

    Parameters
    ----------
    edges : ndarray (sample, edge)
    kind : {'spearman', 'pearson'}

    Returns
    -------
    ndarray (sample, sample)
        NaN where two samples share fewer than two edges.

    Examples
    --------
    >>> similarity(np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 9.0]])).round(6).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    there = np.isfinite(edges)
    patterns, which = np.unique(there, axis=0, return_inverse=True)
    which = which.ravel()
    out = np.full((len(edges), len(edges)), np.nan)
    for a in range(len(patterns)):
        for b in range(a, len(patterns)):
            both = patterns[a] & patterns[b]
            if both.sum() < 2:
                continue
            rows, columns = np.flatnonzero(which == a), np.flatnonzero(which == b)
            left = standardised(edges[np.ix_(rows, both)], kind)
            right = left
            if a != b:
                right = standardised(edges[np.ix_(columns, both)], kind)
            out[np.ix_(rows, columns)] = left @ right.T
            out[np.ix_(columns, rows)] = right @ left.T
    return np.clip(out, -1.0, 1.0)
