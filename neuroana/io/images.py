"""NIfTI images into series: voxels under a mask, regions of an atlas, their clock."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import (
    CorruptFileError,
    DataWarning,
    ParameterError,
    SchemaError,
    ShapeError,
)
from neuroana.core.recording import from_array
from neuroana.io.files import check_file, reading
from neuroana.io.headers import check_promise
from neuroana.io.sidecars import entity_attrs, metadata, read_table


PLAUSIBLE_TR = (0.05, 20.0)
CHUNK_BYTES = 128 * 2**20
SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}


def read_image(
    path: Path,
    mask: Any,
    atlas: Any,
    labels: Any,
    sampling_rate: float | None,
    start: float,
    units: str,
) -> xr.Dataset:
    """Read a 4-D NIfTI image; the parameters are those of ``read_fmri``."""
    import nibabel

    check_promise(path)
    with reading(path, "a NIfTI image"):
        image: Any = nibabel.load(path, keep_file_open=True)
        shape = tuple(int(n) for n in image.shape)
        finite = np.isfinite(image.affine).all() and np.linalg.det(image.affine) != 0
    if len(shape) != 4 or shape[3] < 2:
        raise ShapeError(
            message(str(path), "a 4-D image with volumes over time", f"shape {shape}")
        )
    if not finite:
        raise CorruptFileError(
            message(str(path), "an affine that can be inverted", image.affine.tolist())
        )
    if mask is not None and atlas is not None:
        raise ParameterError(
            message(str(path), "mask or atlas", "both", "leave one out")
        )
    rate = sampling_rate or 1.0 / repetition_time(path, image)
    if sampling_rate is not None:
        _compare_rate(path, image, sampling_rate)
    attrs = {**entity_attrs(path), "source": path.name}
    options: dict[str, Any] = {
        "sampling_rate": rate,
        "start": start,
        "units": units,
        "attrs": attrs,
    }
    if atlas is None:
        values, coords = _voxels(path, image, mask)
        return from_array(values, "fmri", dim="voxel", coords=coords, **options)
    values, names, coords, attrs["atlas"] = _regions(path, image, atlas, labels)
    return from_array(values, "fmri", names=names, coords=coords, **options)


def repetition_time(path: Path, image: Any) -> float:
    """Repetition time in seconds that header and JSON sidecar agree on.

    Raises
    ------
    ParameterError
        If none is stated, or one that no scanner has.
    SchemaError
        If the two contradict each other.
    """
    stated = {}
    with reading(path, "a NIfTI header"):
        zoom = float(image.header.get_zooms()[3])
        unit = image.header.get_xyzt_units()[1]
    if zoom > 0 and np.isfinite(zoom):
        stated["the header"] = zoom * SECONDS.get(unit, 1.0)
    sidecar = metadata(path).get("RepetitionTime")
    if isinstance(sidecar, int | float) and sidecar > 0:
        stated["the JSON sidecar"] = float(sidecar)
    times = list(stated.values())
    if len(times) == 2 and abs(times[0] - times[1]) > 0.01 * times[1]:
        raise SchemaError(
            message(
                f"{path}: repetition time",
                "one value",
                " and ".join(f"{v:g} s in {k}" for k, v in stated.items()),
                "pass t_r= in seconds",
            )
        )
    low, high = PLAUSIBLE_TR
    if not times or not low <= times[-1] <= high:
        raise ParameterError(
            message(
                f"{path}: repetition time",
                f"{low:g} to {high:g} s in the header",
                f"{times[-1]:g} s" if times else "none",
                "pass t_r= in seconds",
            )
        )
    return times[-1]


def _compare_rate(path: Path, image: Any, sampling_rate: float) -> None:
    try:
        stated = repetition_time(path, image)
    except (ParameterError, SchemaError):
        return
    if abs(stated * sampling_rate - 1.0) > 0.01:
        warnings.warn(
            message(
                f"{path.name}: repetition time",
                f"{stated:g} s, as the file states",
                f"{1.0 / sampling_rate:g} s in the call, which is used",
                "leave it out if the file is right",
            ),
            DataWarning,
            stacklevel=4,
        )


def _pieces(path: Path, image: Any) -> Iterator[Any]:
    volume = int(np.prod(image.shape[:3])) * 8
    step = max(1, CHUNK_BYTES // volume)
    for first in range(0, image.shape[3], step):
        with reading(path, "a NIfTI image"):
            piece = image.slicer[..., first : first + step]
        yield piece


def open_image(what: str, source: Any) -> Any:
    """Open an image that the caller gave by path; an image comes back as it is."""
    import nibabel

    if isinstance(source, str | Path):
        path = check_file(source)
        with reading(path, f"a NIfTI image as {what}"):
            return nibabel.load(path)
    return source


def _voxels(path: Path, image: Any, mask: Any) -> tuple[np.ndarray, dict]:
    shape = image.shape[:3]
    inside = np.ones(shape, dtype=bool)
    if mask is not None:
        chosen = open_image("mask", mask)
        same = chosen.shape[:3] == shape and np.allclose(
            chosen.affine, image.affine, atol=1e-3
        )
        if not same:
            raise ShapeError(
                message(
                    f"{path}: mask",
                    f"the image's grid, {shape}",
                    f"{chosen.shape[:3]} with another shape or affine",
                    "resample it with nilearn.image.resample_to_img",
                )
            )
        inside = np.asarray(chosen.dataobj).reshape(shape) > 0
        if not inside.any():
            raise ParameterError(message(f"{path}: mask", "voxels in it", "none"))
    from nilearn.image import new_img_like
    from nilearn.maskers import NiftiMasker

    first = image.slicer[..., :1]
    masker = NiftiMasker(
        mask_img=new_img_like(first, inside.astype(np.int8), affine=image.affine),
        standardize=None,
        dtype="float32",
    ).fit()
    values = _transformed(path, image, masker)
    index = np.argwhere(inside)
    places = index @ image.affine[:3, :3].T + image.affine[:3, 3]
    coords = {**dict(zip("ijk", index.T)), **dict(zip("xyz", places.T))}
    return values, coords


def _transformed(path: Path, image: Any, masker: Any, maps: Any = None) -> np.ndarray:
    """Series from a masker, piece by piece, with missing voxels left out.

    nilearn takes a missing voxel for 0. A mean is a weighted sum, so the sum over the
    voxels that are there is divided by their share; a map that touches a missing voxel
    is missing in that volume.
    """
    from nilearn.image import new_img_like

    made = []
    for piece in _pieces(path, image):
        with reading(path, "a NIfTI image"):
            values = np.asarray(piece.dataobj, dtype=np.float32)
            known = np.isfinite(values)
            filled = new_img_like(piece, np.where(known, values, np.float32(0)))
            series = np.atleast_2d(masker.transform(filled)).astype(np.float32)
            if not known.all() and maps is None:
                share = masker.transform(new_img_like(piece, known.astype(np.float32)))
                with np.errstate(invalid="ignore", divide="ignore"):
                    series = np.where(share > 0, series / share, np.float32(np.nan))
            elif not known.all():
                holes = (~known).reshape(-1, known.shape[3]).T.astype(np.float32)
                weights = np.abs(np.asarray(maps.dataobj, dtype=np.float32))
                touched = holes @ weights.reshape(-1, weights.shape[3]) > 0
                series[touched] = np.nan
            made.append(series)
    return np.concatenate(made)


def _regions(path: Path, image: Any, atlas: Any, labels: Any):
    from nilearn import image as nimg
    from nilearn.maskers import NiftiLabelsMasker, NiftiMapsMasker

    chosen = open_image("atlas", atlas)
    name = Path(atlas).name if isinstance(atlas, str | Path) else "image"
    first = image.slicer[..., :1]
    with reading(path, "an image that fits the atlas"):
        maps = None
        if len(chosen.shape) == 4:
            maps = nimg.resample_to_img(chosen, first, interpolation="continuous")
            masker = NiftiMapsMasker(maps, standardize=None, dtype="float32").fit()
            numbers = np.arange(1, chosen.shape[3] + 1)
            centres = np.full((len(numbers), 3), np.nan)
        else:
            grid = nimg.resample_to_img(chosen, first, interpolation="nearest")
            volume = np.round(np.asarray(grid.dataobj)).astype(int)
            numbers = np.unique(volume[volume != 0])
            masker = NiftiLabelsMasker(
                nimg.new_img_like(grid, volume.astype(np.int32)),
                standardize=None,
                dtype="float32",
            ).fit()
            centres = np.array(
                [np.argwhere(volume == n).mean(0) for n in numbers]
            ).reshape(-1, 3)
            centres = centres @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    if not len(numbers):
        raise ShapeError(
            message(
                f"{path}: atlas",
                "regions inside the image",
                "none",
                "check that both are in the same space",
            )
        )
    values = _transformed(path, image, masker, maps)
    every = numbers
    if len(chosen.shape) == 3:
        whole = np.round(np.asarray(chosen.dataobj)).astype(int)
        every = np.unique(whole[whole != 0])
    names = region_names(every.tolist(), labels)
    lost = [names[n] for n in every.tolist() if n not in set(numbers.tolist())]
    if lost:
        warnings.warn(
            message(
                f"{path.name}: atlas",
                f"{len(every)} regions on the image's grid",
                f"{len(numbers)}; lost {lost[:8]}",
                "resample the image to the atlas instead",
            ),
            DataWarning,
            stacklevel=4,
        )
    coords = {"roi_id": numbers, **dict(zip("xyz", centres.T))}
    return values, [names[n] for n in numbers.tolist()], coords, name


def region_names(numbers: Sequence[int], labels: Any) -> dict[int, str]:
    """Name of each region number; its number where no labels are given.

    Examples
    --------
    >>> region_names([1, 3], ["PCC", "mPFC"])
    {1: 'PCC', 3: 'mPFC'}
    """
    if labels is None:
        return {n: str(n) for n in numbers}
    if isinstance(labels, str | Path):
        path = check_file(labels)
        if path.suffix == ".json":
            with reading(path, "a JSON file of labels"):
                labels = json.loads(path.read_text(encoding="utf-8-sig"))
        else:
            table = read_table(path)
            if not {"index", "name"} <= set(table):
                raise SchemaError(
                    message(str(path), "columns index and name", list(table))
                )
            labels = dict(zip(table["index"], table["name"]))
    if isinstance(labels, pd.Series):
        labels = labels.to_dict()
    if isinstance(labels, Mapping):
        named = {int(k): str(v) for k, v in labels.items()}
        missing = [n for n in numbers if n not in named]
        if missing:
            raise ParameterError(
                message("labels", "a name for each region", f"none for {missing[:8]}")
            )
        return {n: named[n] for n in numbers}
    texts = [v.decode() if isinstance(v, bytes) else str(v) for v in labels]
    if texts and texts[0].lower() == "background" and len(texts) == len(numbers) + 1:
        texts = texts[1:]
    if len(texts) != len(numbers):
        raise ShapeError(message("labels", f"{len(numbers)}, one a region", len(texts)))
    return dict(zip(numbers, texts))
