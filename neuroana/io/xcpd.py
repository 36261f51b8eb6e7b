"""Series of XCP-D: volumes that it left out go back on the clock, marked."""

from pathlib import Path

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import ShapeError
from neuroana.core.recording import clock
from neuroana.io.sidecars import applicable, read_table


def outliers(path: Path) -> np.ndarray | None:
    """Volumes that ``outliers.tsv`` of the same run marks, or None without one.

    Examples
    --------
    >>> outliers(Path("nowhere/sub-01_seg-A_timeseries.tsv")) is None
    True
    """
    found = applicable(path, "outliers.tsv")
    if not found:
        return None
    table = read_table(found[-1]).select_dtypes("number")
    return (table.fillna(0) != 0).any(axis=1).to_numpy()


def on_the_clock(rec: xr.Dataset, bad: np.ndarray, path: Path) -> xr.Dataset:
    """Put a recording on the clock of its scan and mark the volumes left out.

    Parameters
    ----------
    rec : Dataset
        With or without the volumes that were left out.
    bad : array of bool (volume,)
        Volumes that were left out.
    path : Path
        For the message.

    Raises
    ------
    ShapeError
        If it has neither all volumes nor those that are kept.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.ones((2, 1)), "fmri", sampling_rate=0.5)
    >>> whole = on_the_clock(rec, np.array([False, True, False]), Path("a.tsv"))
    >>> whole.signal.values.ravel().tolist(), whole.time.values.tolist()
    ([1.0, nan, 1.0], [0.0, 2.0, 4.0])
    """
    n_volumes, good = rec.sizes["time"], ~bad
    if n_volumes == len(bad):
        return rec if good.all() else rec.assign_coords(good=("time", good))
    if n_volumes != good.sum():
        raise ShapeError(
            message(
                f"{path}: outliers.tsv",
                f"{n_volumes} volumes, or as many that are kept",
                f"{len(bad)}, of which {int(good.sum())} are kept",
            )
        )
    signal = rec["signal"]
    dtype = signal.dtype if signal.dtype.kind == "f" else np.dtype(np.float64)
    whole = np.full((len(bad), signal.shape[1]), np.nan, dtype=dtype)
    whole[good] = signal.to_numpy()
    time = clock(len(bad), rec.attrs["sampling_rate"], start=float(rec["time"][0]))
    return (
        rec.drop_dims("time")
        .assign(signal=(signal.dims, whole, signal.attrs))
        .assign_coords(time=("time", time, rec["time"].attrs), good=("time", good))
    )
