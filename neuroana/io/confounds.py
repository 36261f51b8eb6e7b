"""Confounds out, bad volumes marked: nilearn's strategies, or a table of one's own."""

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import DataWarning, SchemaError, ShapeError
from neuroana.io.arrays import open_arrays
from neuroana.io.files import reading
from neuroana.io.sidecars import read_table


PRESETS = ("simple", "scrubbing", "compcor", "ica_aroma")
MOTION = "framewise_displacement"
HEMISPHERE = re.compile(r"(?<=hemi-)[LR](?=_)")
Strategy: TypeAlias = (
    str | Path | Sequence[str] | Mapping[str, Any] | pd.DataFrame | None
)


def denoise(
    rec: xr.Dataset, image: Path, confounds: Strategy, censor: float | None
) -> xr.Dataset:
    """Regress confounds out of a recording and mark the volumes left out.

    Parameters
    ----------
    rec : Dataset
        Series of `image`, one row a volume.
    image : Path
        The image; for fMRIPrep's its confounds table lies beside it.
    confounds : str, sequence, mapping, path, DataFrame or None
        A preset of ``nilearn.interfaces.fmriprep.load_confounds_strategy``, the
        strategy of ``load_confounds``, or all of its arguments; or a table, one row a
        volume, whose columns are regressed out.
    censor : float or None
        Largest framewise displacement in mm of a volume that is kept.

    Returns
    -------
    Dataset
        On the same clock: volumes that are left out (by `censor`, by scrubbing, or as
        non-steady state) are NaN and ``good`` is False there. The regression is
        ``nilearn.signal.clean`` on the volumes that are kept; means stay.
    """
    n_volumes = rec.sizes["time"]
    keep = np.ones(n_volumes, dtype=bool)
    table, mask = _strategy(image, confounds)
    if mask is not None:
        keep[:] = False
        keep[mask] = True
    if censor is not None:
        keep &= ~(_motion(image, n_volumes) > censor)
    if not keep.any():
        raise SchemaError(
            message(f"{image}: volumes", "some that are kept", "none", "raise censor=")
        )
    values = rec["signal"].to_numpy()
    if table is not None:
        if len(table) != n_volumes:
            raise ShapeError(
                message(f"{image}: confounds", f"{n_volumes} rows", len(table))
            )
        values = _cleaned(image, values, table, keep)
    rec = rec.copy()
    signal = np.where(keep[:, None], values, np.float32(np.nan))
    rec["signal"] = rec["signal"].copy(data=signal)
    if not keep.all():
        rec = rec.assign_coords(good=("time", keep))
    told = "table" if isinstance(confounds, pd.DataFrame) else str(confounds)
    attrs = {"n_censored": int((~keep).sum())}
    return rec.assign_attrs(attrs if table is None else {**attrs, "confounds": told})


def check_strategy(confounds: Strategy, censor: float | None) -> None:
    """Raise if a strategy or a threshold is none.

    Examples
    --------
    >>> check_strategy("simple", 0.5)
    """
    if isinstance(confounds, str) and not Path(confounds).is_file():
        check_choice("confounds", confounds, PRESETS)
    if censor is not None:
        check_number("censor", censor, minimum=0.0, open_ends=True)


def _strategy(
    image: Path, confounds: Strategy
) -> tuple[pd.DataFrame | None, np.ndarray | None]:
    if confounds is None:
        return None, None
    if isinstance(confounds, pd.DataFrame):
        return _whole(confounds, "confounds"), None
    if isinstance(confounds, Path) or (
        isinstance(confounds, str) and confounds not in PRESETS
    ):
        file = open_arrays(confounds)
        columns = file.columns or range(file["table"].shape[1])
        table = pd.DataFrame(file["table"], columns=list(map(str, columns)))
        return _whole(table, str(confounds)), None
    from nilearn.interfaces.fmriprep import load_confounds, load_confounds_strategy

    with reading(image, "an image with its confounds table beside it"):
        source = _as_nilearn_wants(image)
        if isinstance(confounds, str):
            return load_confounds_strategy(source, denoise_strategy=confounds)
        given = confounds if isinstance(confounds, Mapping) else {"strategy": confounds}
        return load_confounds(source, **given)


def _as_nilearn_wants(image: Path) -> str | list[str]:
    """Name of an image; both hemispheres of a GIFTI pair, whose confounds are one."""
    if not HEMISPHERE.search(image.name):
        return str(image)
    return [str(image.with_name(HEMISPHERE.sub(side, image.name))) for side in "LR"]


def _whole(table: pd.DataFrame, where: str) -> pd.DataFrame:
    numbers = table.apply(pd.to_numeric, errors="coerce")
    lost = [str(c) for c in numbers if not np.isfinite(numbers[c]).all()]
    if lost:
        raise SchemaError(
            message(
                f"{where}",
                "a number in each row",
                f"missing ones in {lost[:5]}",
                "fill them, or leave the columns out",
            )
        )
    return numbers


def _motion(image: Path, n_volumes: int) -> np.ndarray:
    from nilearn.interfaces.fmriprep import load_confounds_utils

    with reading(image, "an image with its confounds table beside it"):
        path = Path(load_confounds_utils.get_confounds_file(str(image), False, False))
    table = read_table(path)
    if MOTION not in table or len(table) != n_volumes:
        raise SchemaError(
            message(
                str(path),
                f"{n_volumes} rows with the column {MOTION}",
                f"{len(table)} rows, columns {list(table)[:6]}",
            )
        )
    return table[MOTION].fillna(0.0).to_numpy(np.float64)


def _cleaned(
    image: Path, values: np.ndarray, table: pd.DataFrame, keep: np.ndarray
) -> np.ndarray:
    from nilearn.signal import clean

    whole = np.isfinite(values[keep]).all(axis=0)
    if not whole.all():
        warnings.warn(
            message(
                image.name,
                "no missing values where confounds are regressed out",
                f"{int((~whole).sum())} series with some, all missing now",
                "choose regions that the field of view covers",
            ),
            DataWarning,
            stacklevel=4,
        )
    made = np.full(values.shape, np.nan, dtype=np.float32)
    if whole.any():
        with reading(image, "series and confounds that fit"):
            made[np.ix_(keep, whole)] = clean(
                np.nan_to_num(values[:, whole]).astype(np.float64),
                confounds=table,
                sample_mask=np.flatnonzero(keep),
                detrend=False,
                standardize=None,
                filter=False,
            )
    return made
