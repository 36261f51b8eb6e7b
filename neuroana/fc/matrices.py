"""Matrices by one operator, in one call."""

from neuroana.fc.registry import Op
from neuroana.fc.transformer import Connectivity


def connectivity(
    X,
    operator="pearson",
    *,
    standardize="auto",
    detrend=None,
    sampling_rate=None,
    constant="mark",
    nan="error",
    duplicates="error",
    per_site=False,
    similarity=False,
    memory_limit="2GB",
    n_jobs=1,
    **params,
):
    """Connectivity between the regions, channels or neurons of recordings.

    Use it for one operator; :class:`Connectivity` computes several, and in pipelines.

    Parameters
    ----------
    X : recording, collection, ndarray (recording, time, roi) or (time, roi), list
        Any modality; recordings may have unequal lengths.
    operator : str
        A name of :func:`list_operators`.
    standardize, detrend, sampling_rate, constant, nan, duplicates, per_site
        As in :class:`Connectivity`, which filters to a band and cuts windows too.
    similarity, memory_limit, n_jobs
        As in :class:`Connectivity`.
    **params
        Options of the operator, for example ``band`` of a spectral one.

    Returns
    -------
    DataArray ([recording,] [freq | lag | window,] source, target)
        W[i, j] is from i to j.

    Raises
    ------
    ParameterError, ShapeError, ConstantRoiError
        If the recordings cannot be used; the message says why.

    Examples
    --------
    >>> import numpy as np
    >>> import neuroana as na
    >>> x = np.random.default_rng(0).normal(size=(100, 4))
    >>> na.fc.connectivity(x, "partial", estimator="oas").dims
    ('source', 'target')
    """
    model = Connectivity(
        Op(operator, params), standardize, detrend=detrend,
        sampling_rate=sampling_rate, constant=constant, nan=nan,
        duplicates=duplicates, per_site=per_site, similarity=similarity,
        memory_limit=memory_limit, n_jobs=n_jobs,
    )  # fmt: skip
    return model.fit_transform(X)
