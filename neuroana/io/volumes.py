"""Values of regions or voxels as a NIfTI image."""

from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.io.images import open_image, region_names


def to_nifti(values: xr.DataArray, image: Any, *, labels: Any = None) -> Any:
    """Paint one value a region, or a voxel, into an image.

    Parameters
    ----------
    values : DataArray
        With the dim ``roi`` or ``voxel``; a second dim (state, time) becomes the
        fourth of the image.
    image : path or image
        For ``roi`` the atlas that made the regions, 3-D numbers or 4-D maps; for
        ``voxel`` any image on the grid of the recording.
    labels : sequence, mapping or path, optional
        Names of the atlas's regions, as for :func:`read_fmri`, to find the regions by
        name where `values` has no coordinate ``roi_id``.

    Returns
    -------
    nibabel.Nifti1Image
        float32; 0 outside of the regions. Save it with ``nibabel.save``.

    Raises
    ------
    ShapeError, ParameterError
        If there is no such dim, or a region is not in the atlas.

    Examples
    --------
    >>> import nibabel
    >>> atlas = nibabel.Nifti1Image(np.int16([[[1, 2]], [[0, 2]]]), np.eye(4))
    >>> t = xr.DataArray([0.5, 2.0], dims="roi", coords={"roi_id": ("roi", [1, 2])})
    >>> to_nifti(t, atlas).get_fdata().ravel().tolist()
    [0.5, 2.0, 0.0, 2.0]
    """
    space = next((d for d in ("roi", "voxel") if d in values.dims), None)
    if space is None or values.ndim > 2:
        raise ShapeError(
            message(
                "argument 'values'",
                "dims (roi,) or (voxel,), and one more",
                values.dims,
            )
        )
    chosen = open_image("argument 'image'", image)
    rows = values.transpose(space, ...).to_numpy().astype(np.float32)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if space == "voxel":
        painted = _voxels(values, rows, chosen)
    elif len(chosen.shape) == 4:
        weights = np.asarray(chosen.dataobj, dtype=np.float32)
        numbers = _numbers(values, labels, np.arange(1, weights.shape[3] + 1))
        painted = weights[..., numbers - 1] @ rows
    else:
        volume = np.round(np.asarray(chosen.dataobj)).astype(np.int64)
        known = np.unique(volume[volume != 0])
        numbers = _numbers(values, labels, known)
        table = np.zeros((known.max() + 1, rows.shape[1]), np.float32)
        table[numbers] = rows
        painted = table[np.maximum(volume, 0)]
    import nibabel

    painted = painted[..., 0] if values.ndim == 1 else painted
    return nibabel.Nifti1Image(painted.astype(np.float32), chosen.affine)


def _numbers(values: xr.DataArray, labels: Any, known: np.ndarray) -> np.ndarray:
    if "roi_id" in values.coords:
        numbers = values["roi_id"].to_numpy().astype(np.int64)
    else:
        names = region_names(known.tolist(), labels)
        by_name = {name: number for number, name in names.items()}
        wanted = [str(n) for n in values["roi"].to_numpy()]
        lost = [n for n in wanted if n not in by_name]
        if lost:
            raise ParameterError(
                message(
                    "argument 'values'",
                    "a coordinate roi_id, or names of the atlas",
                    f"unknown {lost[:5]}",
                    "pass labels=, as they were given to read_fmri",
                )
            )
        numbers = np.array([by_name[n] for n in wanted], dtype=np.int64)
    lost = sorted(set(numbers.tolist()) - set(known.tolist()))
    if lost:
        raise ParameterError(
            message("argument 'image'", "an atlas of all", f"none for {lost[:5]}")
        )
    return numbers


def _voxels(values: xr.DataArray, rows: np.ndarray, image: Any) -> np.ndarray:
    if not {"i", "j", "k"} <= set(values.coords):
        raise ParameterError(
            message("argument 'values'", "coordinates i, j, k", list(values.coords))
        )
    index = tuple(values[c].to_numpy().astype(np.int64) for c in "ijk")
    shape = tuple(image.shape[:3])
    if any((i >= n).any() for i, n in zip(index, shape)):
        raise ShapeError(
            message("argument 'image'", "the grid of the recording", f"shape {shape}")
        )
    if {"x", "y", "z"} <= set(values.coords):
        there = np.stack(index, axis=1) @ image.affine[:3, :3].T + image.affine[:3, 3]
        own = np.stack([values[c].to_numpy() for c in "xyz"], axis=1)
        if not np.allclose(there, own, atol=1e-2):
            raise ShapeError(
                message("argument 'image'", "the place of the recording", "another one")
            )
    painted = np.zeros((*shape, rows.shape[1]), np.float32)
    painted[index] = rows
    return painted
