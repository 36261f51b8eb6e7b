"""Series of XCP-D: volumes that it left out go back on the clock, marked."""

from pathlib import Path

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import ShapeError
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


def on_the_clock(
    values: np.ndarray, bad: np.ndarray, path: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Series on the clock of the scan, and which of its volumes are good.

    Parameters
    ----------
    values : array (volume, roi)
        With or without the volumes that were left out.
    bad : array of bool (volume,)
        Volumes that were left out.
    path : Path
        For the message.

    Examples
    --------
    >>> series, good = on_the_clock(np.ones((2, 1)), np.array([0, 1, 0]) > 0, Path("a"))
    >>> series.ravel().tolist(), good.tolist()
    ([1.0, nan, 1.0], [True, False, True])
    """
    if len(values) == (~bad).sum() < len(bad):
        whole = np.full((len(bad), values.shape[1]), np.nan)
        whole[~bad] = values
        return whole, ~bad
    if len(values) != len(bad):
        raise ShapeError(
            message(
                f"{path}: outliers.tsv",
                f"{len(values)} volumes, or as many that are kept",
                f"{len(bad)}, of which {int((~bad).sum())} are kept",
            )
        )
    return values, ~bad
