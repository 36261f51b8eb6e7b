"""Arrays of a file that are no recording (spectra, matrices), with dims by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import xarray as xr

from neuroana.core.checks import check_names, message
from neuroana.core.errors import ShapeError
from neuroana.io.arrays import open_arrays


def read_arrays(path: str | Path, dims: Mapping[str, Sequence[str]]) -> xr.Dataset:
    """Read arrays of an array file whose dims the caller names.

    For what is no recording: power by frequency, a lead field, a Laplacian, a
    connectome. Recordings come in with :func:`read`, which checks their clock.

    Parameters
    ----------
    path : path
        ``.mat`` (5 and 7.3), ``.npz``, ``.npy``, ``.h5``, or a text table.
    dims : mapping of str to sequence of str
        Name of each array to take, and the name of each of its dims. Arrays that
        share a dim must agree on its length.

    Returns
    -------
    Dataset
        One variable an array, as stored; MATLAB's order of dims is kept. A name with
        slashes or brackets, as nested MATLAB data have, stays as it is.

    Raises
    ------
    CorruptFileError, ParameterError
        If the file is damaged, or has no such array; the message lists what it has.
    ShapeError
        If the number of dims is not that of the array, or lengths disagree.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "power.npz")
    ...     np.savez(path, S=np.ones((2, 3, 4)))
    ...     dict(read_arrays(path, {"S": ("channel", "freq", "time")}).sizes)
    {'channel': 2, 'freq': 3, 'time': 4}
    """
    file = open_arrays(path)
    check_names(f"{file.path.name}: array", dims, file.shapes)
    made: dict[str, xr.Variable] = {}
    lengths: dict[str, tuple[int, str]] = {}
    for name, order in dims.items():
        values = file[name]
        if len(order) != values.ndim or len(set(order)) < len(order):
            raise ShapeError(
                message(
                    f"{file.path}: dims of {name!r}",
                    f"{values.ndim} different names for shape {values.shape}",
                    tuple(order),
                )
            )
        for dim, length in zip(order, values.shape):
            known, first = lengths.setdefault(dim, (length, name))
            if known != length:
                raise ShapeError(
                    message(
                        f"{file.path}: dim {dim!r}",
                        f"{known}, as in {first!r}",
                        f"{length} in {name!r}",
                        "give one of them another name",
                    )
                )
        made[name] = xr.Variable(tuple(order), values)
    return xr.Dataset(made, attrs={"source": file.path.name})
