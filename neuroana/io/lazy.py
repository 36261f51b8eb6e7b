"""Arrays that stay in their file, or in another array, until they are asked for."""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing


class LazyArray(BackendArray):
    """An array whose pieces come from a function, when they are asked for.

    Parameters
    ----------
    shape : tuple of int
        Shape of the whole.
    dtype : dtype
        Of the whole.
    piece : callable
        Takes one slice or whole number a dim and returns that piece.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: Any, piece: Callable[..., np.ndarray]
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.piece = piece

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self.piece
        )


def lazy_variable(dims: tuple[Hashable, ...], array: LazyArray) -> xr.Variable:
    """Wrap a lazy array into a variable; what is read once whole stays in memory.

    Examples
    --------
    >>> array = LazyArray((4,), np.float64, lambda key: np.arange(4.0)[key])
    >>> lazy_variable(("time",), array)[1:3].values.tolist()
    [1.0, 2.0]
    """
    data = indexing.MemoryCachedArray(indexing.LazilyIndexedArray(array))
    return xr.Variable(dims, data)
