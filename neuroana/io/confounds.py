"""Confounds out, bad volumes marked: nilearn's strategies on one series of fMRIPrep."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import DataWarning, SchemaError, ShapeError
from neuroana.io.files import reading
from neuroana.io.sidecars import read_table


PRESETS = ("simple", "scrubbing", "compcor", "ica_aroma")
MOTION = "framewise_displacement"
Strategy = str | Sequence[str] | Mapping[str, Any] | None


def denoise(
    rec: xr.Dataset, image: Path, confounds: Strategy, censor: float | None
) -> xr.Dataset:
    """Regress confounds out of a recording and mark the volumes left out.

    Parameters
    ----------
    rec : Dataset
        Series of `image`, one row a volume.
    image : Path
        The image of fMRIPrep; its confounds table lies beside it.
    confounds : str, sequence, mapping or None
        A preset of ``nilearn.interfaces.fmriprep.load_confounds_strategy``, the
        strategy of ``load_confounds``, or all of its arguments.
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
    told = confounds if isinstance(confounds, str) else repr(confounds)
    attrs = {"n_censored": int((~keep).sum())}
    return rec.assign_attrs(attrs if table is None else {**attrs, "confounds": told})


def check_strategy(confounds: Strategy, censor: float | None) -> None:
    """Raise if a strategy or a threshold is none.

    Examples
    --------
    >>> check_strategy("simple", 0.5)
    """
    if isinstance(confounds, str):
        check_choice("confounds", confounds, PRESETS)
    if censor is not None:
        check_number("censor", censor, minimum=0.0, open_ends=True)


def _strategy(
    image: Path, confounds: Strategy
) -> tuple[pd.DataFrame | None, np.ndarray | None]:
    if confounds is None:
        return None, None
    from nilearn.interfaces.fmriprep import load_confounds, load_confounds_strategy

    with reading(image, "an image with its confounds table beside it"):
        if isinstance(confounds, str):
            return load_confounds_strategy(str(image), denoise_strategy=confounds)
        given = confounds if isinstance(confounds, Mapping) else {"strategy": confounds}
        return load_confounds(str(image), **given)


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
