"""fMRI into recordings: NIfTI images through nilearn's maskers, surfaces, tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.core.recording import from_array, with_events
from neuroana.io.confounds import Strategy, check_strategy, denoise
from neuroana.io.events import read_events, split_bad
from neuroana.io.files import check_file, reader, suffix_of
from neuroana.io.images import read_image
from neuroana.io.sidecars import applicable, metadata
from neuroana.io.surfaces import is_surface, read_surface
from neuroana.io.tables import read_table_file, warn_constant
from neuroana.io.xcpd import on_the_clock, outliers


NIFTI = (".nii", ".nii.gz")


@reader
def read_fmri(
    path: str | Path,
    *,
    mask: Any = None,
    atlas: Any = None,
    labels: Sequence[str] | Mapping[int, str] | str | Path | None = None,
    t_r: float | None = None,
    sampling_rate: float | None = None,
    variable: str | None = None,
    dims: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    events: Any = None,
    units: str = "1",
    start: float = 0.0,
    confounds: Strategy = None,
    censor: float | None = None,
) -> xr.Dataset:
    """Read fMRI: a 4-D NIfTI as voxels or regions, or a table of region series.

    An image is read in pieces of volumes, so that only the extracted series are in
    memory. Without `mask` and `atlas` every voxel becomes a column.

    Parameters
    ----------
    path : path
        ``.nii``, ``.nii.gz``; CIFTI ``.dtseries.nii``, ``.ptseries.nii``; GIFTI
        ``.func.gii``; or ``.1D``, ``.tsv``, ``.csv``, ``.txt``, ``.mat``,
        ``.npz``, ``.npy``, ``.h5`` (text also gzipped) with one region a column.
    mask : path or image, optional
        Voxels to take; on the grid of the image.
    atlas : path or image, optional
        3-D image of region numbers (mean over each region), or 4-D image of maps
        (least squares); resampled to the image's grid by nilearn. For CIFTI a
        ``.dlabel.nii``, for GIFTI a ``.label.gii`` (mean over each label).
    labels : sequence, mapping, or path, optional
        Names of the regions of `atlas` (label files bring theirs): one a region in
        ascending order of number, a mapping from number to name, or a TSV with the
        columns ``index`` and ``name``.
    t_r : float, optional
        Repetition time in seconds, where the header states none or a wrong one.
    sampling_rate : float, optional
        ``1 / t_r``; give one of the two.
    variable, dims, names
        For tables, as for :func:`neuroana.io.read_eeg`; dims are ``time``, ``roi``.
    events : path or DataFrame, optional
        In place of the BIDS ``events.tsv`` beside the file.
    units : str, default='1'
        Unit of the values; ``'percent'`` or ``'zscore'`` where that was done.
    start : float, default=0
        Time of the first volume in seconds.
    confounds : path, DataFrame, str, sequence or mapping, optional
        What to regress out by ``nilearn.signal.clean``: a table, one row a volume; or,
        for an image of fMRIPrep, a strategy as for :func:`read_fmriprep`.
    censor : float, optional
        Largest framewise displacement in mm, for an image of fMRIPrep: volumes above
        are NaN, ``good`` False, and stay on the clock.

    Returns
    -------
    Dataset
        Recording with dims (time, voxel) or (time, roi); ``x``, ``y``, ``z`` in mm.

    Raises
    ------
    CorruptFileError
        If the file is damaged or truncated.
    ParameterError, SchemaError, ShapeError
        If repetition times contradict each other, or mask and image do not fit.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = pathlib.Path(folder, "sub-01_task-rest.csv")
    ...     _ = table.write_text("PCC,mPFC\\n" + "1.0,2.0\\n3.0,1.0\\n" * 5)
    ...     rec = read_fmri(table, t_r=2.0)
    >>> rec.roi.values.tolist(), rec.attrs["sampling_rate"]
    (['PCC', 'mPFC'], 0.5)
    """
    path = check_file(path)
    if t_r is not None and sampling_rate is not None:
        raise ParameterError(
            message(f"{path}", "t_r or sampling_rate", "both", "leave one out")
        )
    if t_r is not None:
        sampling_rate = 1.0 / check_number("t_r", t_r, minimum=0.0, open_ends=True)
    if events is None and (found := applicable(path, "events.tsv")):
        events = found[-1]
    marks = None if events is None else split_bad(read_events(events))[1]
    _check_options(path, mask, atlas)
    check_strategy(confounds, censor)
    if is_surface(path):
        ds = read_surface(path, atlas, labels, sampling_rate, start, units)
    elif suffix_of(path) in NIFTI:
        ds = read_image(path, mask, atlas, labels, sampling_rate, start, units)
    else:
        ds = _read_regions(path, sampling_rate, variable, dims, names, start, units)
    if (bad := outliers(path)) is not None:
        ds = on_the_clock(ds, bad, path)
    if marks is not None and len(marks):
        ds = with_events(ds, marks)
    if confounds is not None or censor is not None:
        ds = denoise(ds, path, confounds, censor)
    warn_constant(path.name, ds[ds["signal"].dims[1]].values, ds["signal"].values)
    return ds


def _read_regions(
    path: Path,
    sampling_rate: float | None,
    variable: str | None,
    dims: Sequence[str] | None,
    names: Sequence[str] | None,
    start: float,
    units: str,
) -> xr.Dataset:
    if sampling_rate is None and (t_r := metadata(path).get("RepetitionTime")):
        sampling_rate = 1.0 / float(t_r)
    table = read_table_file(
        path,
        "roi",
        sampling_rate=sampling_rate,
        variable=variable,
        dims=dims,
        names=names,
    )
    if table.values.ndim != 2:
        raise ShapeError(
            message(str(path), "dims (time, roi)", f"shape {table.values.shape}")
        )
    return from_array(
        table.values,
        "fmri",
        sampling_rate=table.sampling_rate,
        time=table.time + start,
        names=table.names,
        units=units,
        attrs=table.attrs,
    )


def _check_options(path: Path, mask: Any, atlas: Any) -> None:
    image = suffix_of(path) in NIFTI and not is_surface(path)
    if mask is not None and not image:
        raise ParameterError(
            message(f"{path}: mask", "a NIfTI image to use it on", path.suffix)
        )
    if atlas is not None and not image and not is_surface(path):
        raise ParameterError(
            message(f"{path}: atlas", "an image to use it on", "a table of regions")
        )
