"""CIFTI and GIFTI series into recordings: grayordinates, parcels, labelled vertices."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import CorruptFileError, ParameterError, ShapeError
from neuroana.core.recording import from_array
from neuroana.io.files import check_file, reading
from neuroana.io.headers import check_promise
from neuroana.io.images import region_names
from neuroana.io.sidecars import entity_attrs, metadata


CIFTI = (".dtseries.nii", ".ptseries.nii")
GIFTI = (".func.gii", ".shape.gii", ".gii")
CHUNK_BYTES = 128 * 2**20


def is_surface(path: str | Path) -> bool:
    """Tell whether a name is one of a CIFTI or GIFTI series.

    Examples
    --------
    >>> is_surface("a.dtseries.nii"), is_surface("a.nii.gz")
    (True, False)
    """
    return str(path).lower().endswith((*CIFTI, *GIFTI))


def read_surface(
    path: Path,
    atlas: Any,
    labels: Any,
    sampling_rate: float | None,
    start: float,
    units: str,
) -> xr.Dataset:
    """Read a CIFTI or GIFTI series; the parameters are those of ``read_fmri``."""
    options: dict[str, Any] = {
        "start": start,
        "units": units,
        "attrs": {**entity_attrs(path), "source": path.name},
    }
    if path.name.lower().endswith(CIFTI):
        return _read_cifti(path, atlas, labels, sampling_rate, options)
    return _read_gifti(path, atlas, labels, sampling_rate, options)


def _read_cifti(
    path: Path, atlas: Any, labels: Any, sampling_rate: float | None, options: dict
) -> xr.Dataset:
    from nibabel.cifti2 import BrainModelAxis, ParcelsAxis, SeriesAxis

    image, (series, space) = _open_cifti(path, "a CIFTI series")
    if not isinstance(series, SeriesAxis) or series.unit != "SECOND":
        raise ShapeError(
            message(
                str(path), "a first axis in seconds", f"a {type(series).__name__} there"
            )
        )
    options["sampling_rate"] = sampling_rate or 1.0 / _positive(path, series.step)
    if isinstance(space, ParcelsAxis):
        if atlas is not None:
            raise ParameterError(
                message(str(path), "no atlas: these are parcels", repr(atlas))
            )
        values = np.concatenate(list(_blocks(path, image)))
        names = [str(n) for n in space.name]
        return from_array(values, "fmri", names=names, **options)
    if not isinstance(space, BrainModelAxis):
        raise ShapeError(
            message(str(path), "grayordinates or parcels", type(space).__name__)
        )
    if atlas is None:
        values = np.concatenate(list(_blocks(path, image)))
        coords = _grayordinates(space)
        return from_array(values, "fmri", dim="voxel", coords=coords, **options)
    keys, table, name = _cifti_labels(atlas, space)
    return _label_means(
        path, _blocks(path, image), keys, labels or table, name, options
    )


def _open_cifti(path: Path, kind: str) -> tuple[Any, tuple[Any, Any]]:
    import nibabel
    from nibabel.cifti2 import Cifti2Image

    check_promise(path)
    with reading(path, kind):
        image: Any = nibabel.load(path)
        if not isinstance(image, Cifti2Image):
            raise ValueError("no CIFTI-2 header in it")
        axes = tuple(image.header.get_axis(i) for i in range(len(image.shape)))
        if tuple(map(len, axes)) != image.shape or len(axes) != 2:
            raise ValueError(f"axes {[len(a) for a in axes]} for shape {image.shape}")
    return image, axes


def _positive(path: Path, step: Any) -> float:
    if not (isinstance(step, int | float) and np.isfinite(step) and step > 0):
        raise ParameterError(
            message(f"{path}: repetition time", "seconds above 0", step, "pass t_r=")
        )
    return float(step)


def _blocks(path: Path, image: Any) -> Iterator[np.ndarray]:
    rows, columns = image.shape
    step = max(1, CHUNK_BYTES // (8 * columns))
    for first in range(0, rows, step):
        with reading(path, "a CIFTI series"):
            block = np.asarray(image.dataobj[first : first + step], np.float32)
        yield block


def _grayordinates(space: Any) -> dict[str, Any]:
    coords: dict[str, Any] = {
        "structure": space.name.astype(object),
        "vertex": np.asarray(space.vertex),
    }
    voxels = np.asarray(space.voxel)
    if space.affine is not None and (voxels >= 0).any():
        places = voxels @ space.affine[:3, :3].T + space.affine[:3, 3]
        places[(voxels < 0).any(axis=1)] = np.nan
        coords.update(zip("xyz", places.T))
    return coords


def _cifti_labels(atlas: Any, space: Any) -> tuple[np.ndarray, dict[int, str], str]:
    """Region number of each grayordinate; 0 where the label file has none."""
    from nibabel.cifti2 import BrainModelAxis, LabelAxis

    if not isinstance(atlas, str | Path):
        raise ParameterError(
            message("argument 'atlas'", "the path of a .dlabel.nii", type(atlas))
        )
    path = check_file(atlas)
    image, (axis, theirs) = _open_cifti(path, "a CIFTI label file")
    if not isinstance(axis, LabelAxis) or not isinstance(theirs, BrainModelAxis):
        raise ShapeError(
            message(str(path), "labels of grayordinates", type(axis).__name__)
        )
    with reading(path, "a CIFTI label file"):
        numbers = np.asarray(image.dataobj[0]).astype(int)
        table = {int(k): str(v[0]) for k, v in axis.label[0].items() if k != 0}
    place = pd.MultiIndex.from_arrays(_key(theirs)).get_indexer(
        pd.MultiIndex.from_arrays(_key(space))
    )
    keys = np.where(place >= 0, numbers[place], 0)
    if not keys.any():
        raise ShapeError(
            message(str(path), "labels where the series has grayordinates", "none")
        )
    return keys, table, path.name


def _key(space: Any) -> list[np.ndarray]:
    voxels = np.asarray(space.voxel)
    return [space.name.astype(str), np.asarray(space.vertex), *voxels.T]


def _label_means(
    path: Path,
    blocks: Iterator[np.ndarray],
    keys: np.ndarray,
    labels: Any,
    atlas: str,
    options: dict,
) -> xr.Dataset:
    """Mean of each region over the places that are not missing, block by block."""
    from scipy.sparse import csr_array

    numbers = np.unique(keys[keys != 0])
    inside = np.flatnonzero(keys)
    rows = np.searchsorted(numbers, keys[inside])
    ones = np.ones(len(inside), np.float32)
    members = csr_array((ones, (inside, rows)), shape=(len(keys), len(numbers)))
    made = []
    for block in blocks:
        known = np.isfinite(block)
        total = np.where(known, block, np.float32(0)) @ members
        count = known.astype(np.float32) @ members
        with np.errstate(invalid="ignore", divide="ignore"):
            made.append((total / count).astype(np.float32))
    names = region_names(numbers.tolist(), labels)
    options["attrs"]["atlas"] = atlas
    return from_array(
        np.concatenate(made),
        "fmri",
        names=[names[n] for n in numbers.tolist()],
        coords={"roi_id": numbers},
        **options,
    )


def _open_gifti(path: Path, kind: str) -> Any:
    import nibabel

    blob = path.read_bytes()
    if not blob.lstrip().startswith(b"<?xml") or b"<GIFTI" not in blob[:2000]:
        raise CorruptFileError(message(str(path), kind, repr(blob[:16])))
    if b"ExternalFileBinary" in blob or b"<!ENTITY" in blob:
        raise CorruptFileError(
            message(
                str(path),
                "a file that holds its own data",
                "one that points to others",
                "save it with the encoding GZipBase64Binary",
            )
        )
    with reading(path, kind):
        return nibabel.load(path)


def _read_gifti(
    path: Path, atlas: Any, labels: Any, sampling_rate: float | None, options: dict
) -> xr.Dataset:
    image = _open_gifti(path, "a GIFTI series")
    arrays = [a.data for a in image.darrays]
    shapes = {np.shape(a) for a in arrays}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1 or len(arrays) < 2:
        raise ShapeError(
            message(str(path), "one array of vertices a volume", sorted(shapes)[:4])
        )
    with reading(path, "a GIFTI series"):
        values = np.stack(arrays).astype(np.float32)
    if sampling_rate is None:
        stated = metadata(path).get("RepetitionTime")
        step = image.darrays[0].meta.get("TimeStep")
        sampling_rate = 1.0 / _positive(path, stated or _milliseconds(step))
    options["sampling_rate"] = sampling_rate
    if atlas is None:
        vertex = np.arange(values.shape[1])
        coords = {"vertex": vertex}
        return from_array(values, "fmri", dim="voxel", coords=coords, **options)
    keys, table, name = _gifti_labels(atlas)
    if len(keys) != values.shape[1]:
        raise ShapeError(
            message(f"{path}: atlas", f"{values.shape[1]} vertices", len(keys))
        )
    return _label_means(path, iter([values]), keys, labels or table, name, options)


def _milliseconds(text: str | None) -> float | None:
    try:
        return float(text) / 1000.0 if text else None
    except ValueError:
        return None


def _gifti_labels(atlas: Any) -> tuple[np.ndarray, dict[int, str], str]:
    path = check_file(atlas)
    image = _open_gifti(path, "a GIFTI label file")
    if len(image.darrays) != 1 or image.darrays[0].data.dtype.kind not in "iu":
        raise ShapeError(message(str(path), "one array of labels", len(image.darrays)))
    table = {
        int(k): str(v) for k, v in image.labeltable.get_labels_as_dict().items() if k
    }
    keys = np.asarray(image.darrays[0].data).astype(int)
    return np.where(np.isin(keys, list(table)), keys, 0), table, path.name
