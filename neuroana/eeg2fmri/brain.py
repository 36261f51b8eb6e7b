"""From regions back to the brain."""

from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import SchemaError, ShapeError


def to_nifti(values: xr.DataArray, atlas: Any, *, labels: Any = None) -> Any:
    """Put values of regions on the atlas that they were extracted with.

    Use it for a prediction, or for R by region. Cost: that of an image of as many
    volumes.

    Parameters
    ----------
    values : DataArray (roi,) or (time, roi)
        Regions in the order of the atlas, unless `labels` names them.
    atlas : path or image
        Whole-number labels (x, y, z), each voxel of one region; or maps (x, y, z,
        roi), whose weighted sum is taken.
    labels : dict of str to int, optional
        Number of each region in the atlas (label, or place among the maps); the
        regions that are there in ascending order otherwise.

    Returns
    -------
    nibabel image
        Of the affine of the atlas, with the TR in its header where there is a time;
        zero outside regions.

    Raises
    ------
    SchemaError
        If numbers of regions differ, or a region is not in the atlas.

    Examples
    --------
    >>> import nibabel
    >>> grid = np.array([0, 1, 1, 2], dtype=np.int16).reshape(4, 1, 1)
    >>> atlas = nibabel.Nifti1Image(grid, np.eye(4))
    >>> r = xr.DataArray([0.5, -0.2], dims="roi", coords={"roi": ["a", "b"]})
    >>> to_nifti(r, atlas).get_fdata().ravel().round(1).tolist()
    [0.0, 0.5, 0.5, -0.2]
    """
    from nilearn.image import load_img, new_img_like

    if "roi" not in values.dims or set(values.dims) - {"time", "roi"}:
        raise ShapeError(message("values", "dims (roi) or (time, roi)", values.dims))
    image = load_img(atlas)
    grid = np.asanyarray(image.dataobj)
    maps = grid.ndim == 4 and grid.shape[3] > 1
    grid = grid if maps or grid.ndim == 3 else grid[..., 0]
    if maps:
        there = np.arange(grid.shape[3])
    else:
        there = np.unique(grid[grid != 0])
        if not np.array_equal(there, np.round(there)):
            raise SchemaError(
                message("atlas", "whole-number labels, or maps of 4 dims",
                        f"values such as {there[:3].tolist()}")
            )  # fmt: skip
    numbers = numbers_of([str(r) for r in values["roi"].to_numpy()], labels, there)
    timed = "time" in values.dims
    table = np.nan_to_num(values.transpose(..., "roi").to_numpy().astype(np.float32))
    table = table if timed else table[None]
    if maps:
        data = grid[..., numbers].astype(np.float32) @ table.T
    else:
        data = np.zeros((*grid.shape, len(table)), dtype=np.float32)
        for number, course in zip(numbers, table.T):
            data[grid == number] = course
    made = new_img_like(image, data if timed else data[..., 0])
    made.header.set_data_dtype(np.float32)  # not that of the labels
    if timed and values.sizes["time"] > 1:
        zooms = image.header.get_zooms()[:3]
        made.header.set_zooms((*zooms, float(np.median(np.diff(values["time"])))))
        made.header.set_xyzt_units("mm", "sec")
    return made


def numbers_of(rois: list[str], labels: Any, there: np.ndarray) -> list[int]:
    """Number in the atlas of every region."""
    if labels is None:
        if len(there) != len(rois):
            raise SchemaError(
                message("atlas", f"{len(rois)} regions, as the values have",
                        len(there), "pass labels={region: number}")
            )  # fmt: skip
        return [int(n) for n in there]
    lost = [r for r in rois if r not in labels or labels[r] not in there]
    if lost:
        raise SchemaError(
            message("atlas", "every region of the values", f"no {lost[:5]}",
                    "use the atlas that the model was trained with")
        )  # fmt: skip
    return [int(labels[r]) for r in rois]
