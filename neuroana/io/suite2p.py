"""The output folder of suite2p: traces, cells, rate and positions."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import (
    CorruptFileError,
    DataWarning,
    ParameterError,
    SchemaError,
    ShapeError,
)
from neuroana.core.recording import from_array
from neuroana.io.files import check_file, reading
from neuroana.io.tables import warn_constant
from neuroana.io.unpickling import load_objects


TRACES = ("F", "Fneu", "spks")


def is_suite2p(path: Path) -> bool:
    """Tell whether a folder holds suite2p output, itself or in planes.

    Examples
    --------
    >>> is_suite2p(Path("nowhere"))
    False
    """
    own = any((path / place / "F.npy").is_file() for place in ("", "combined"))
    return own or any(path.glob("plane*/F.npy"))


def read_suite2p(
    folder: Path,
    *,
    sampling_rate: float | None = None,
    trace: str | None = None,
    neuropil: float = 0.7,
    cells_only: bool = True,
    units: str | None = None,
) -> xr.Dataset:
    """Read a suite2p folder; the parameters are those of ``read_calcium``.

    Several planes are joined as suite2p's ``combined`` is: cut to the shortest, ROIs
    numbered on from plane to plane.
    """
    trace = check_choice("trace", trace or "F", TRACES)
    check_number("neuropil", neuropil, minimum=0.0, maximum=2.0)
    planes = _planes(folder)
    read = [_plane(p, trace, neuropil, cells_only) for p in planes]
    n_frames = [values.shape[1] for values, *_ in read]
    if len(set(n_frames)) > 1:
        warnings.warn(
            message(str(folder), "as many frames in all planes", n_frames)
            + " They are cut to the shortest.",
            DataWarning,
            stacklevel=4,
        )
    rates = {sampling_rate} if sampling_rate else {_rate(p) for p in planes}
    if len(rates) > 1:
        raise SchemaError(message(str(folder), "one frame rate", sorted(rates)))
    first = np.cumsum([0, *(n_rois for *_, n_rois in read)])
    names = np.concatenate([n + keep for n, (_, keep, _, _) in zip(first, read)])
    shared = set.intersection(*(set(coords) for *_, coords, _ in read))
    joined = {
        k: np.concatenate([c[k][keep] for _, keep, c, _ in read])
        for k in sorted(shared)
    }
    if not len(names):
        raise ParameterError(
            message(f"{folder}", "at least one cell", "none", "pass cells_only=False")
        )
    if len(planes) > 1:
        sizes = [len(keep) for _, keep, *_ in read]
        joined["plane"] = np.repeat([int(p.name[5:]) for p in planes], sizes)
    ds = from_array(
        np.concatenate([v[keep, : min(n_frames)] for v, keep, *_ in read]).T,
        "calcium",
        sampling_rate=rates.pop(),
        names=names.tolist(),
        units=units or ("1" if trace == "spks" else "au"),
        coords=joined,
        attrs={
            "source": folder.name,
            "trace": trace,
            "neuropil_coefficient": float(neuropil) if trace == "F" else 0.0,
        },
    )
    warn_constant(folder.name, names, ds["signal"].values)
    return ds


def _plane(
    folder: Path, trace: str, neuropil: float, cells_only: bool
) -> tuple[np.ndarray, np.ndarray, dict[str, Any], int]:
    """Traces of all ROIs of one plane, those to keep, coordinates, number of ROIs."""
    values = _traces(folder, trace)
    if trace == "F" and neuropil:
        surround = _traces(folder, "Fneu")
        if surround.shape != values.shape:
            raise ShapeError(
                message(f"{folder}/Fneu.npy", f"shape {values.shape}", surround.shape)
            )
        values = values - np.float32(neuropil) * surround
    n_rois = len(values)
    keep = np.arange(n_rois)
    coords: dict[str, Any] = {}
    if (folder / "iscell.npy").is_file():
        cells = _array(folder / "iscell.npy")
        if cells.shape != (n_rois, 2):
            raise ShapeError(
                message(f"{folder}/iscell.npy", f"shape ({n_rois}, 2)", cells.shape)
            )
        coords["iscell"] = cells[:, 0].astype(bool)
        coords["iscell_probability"] = cells[:, 1]
        keep = np.flatnonzero(cells[:, 0]) if cells_only else keep
    elif cells_only:
        raise ParameterError(
            message(
                f"{folder}/iscell.npy",
                "it beside F.npy",
                "none",
                "pass cells_only=False",
            )
        )
    return values, keep, {**coords, **_positions(folder, n_rois)}, n_rois


def _planes(folder: Path) -> list[Path]:
    for place in (folder, folder / "combined"):
        if (place / "F.npy").is_file():
            return [place]
    planes = [p.parent for p in folder.glob("plane*/F.npy")]
    numbered = [p for p in planes if p.name[5:].isdigit()]
    if not numbered:
        raise ParameterError(
            message(str(folder), "a folder with F.npy, or plane0, plane1 ...", "none")
        )
    return sorted(numbered, key=lambda p: int(p.name[5:]))


def _array(path: Path) -> np.ndarray:
    with reading(check_file(path), "a NumPy array"):
        return np.load(path, allow_pickle=False)


def _traces(folder: Path, name: str) -> np.ndarray:
    values = _array(folder / f"{name}.npy")
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise CorruptFileError(
            message(
                f"{folder}/{name}.npy",
                "numbers with dims (roi, frame)",
                f"{values.dtype} of shape {values.shape}",
            )
        )
    return values


def _rate(folder: Path) -> float:
    if (folder / "ops.npy").is_file():
        ops = load_objects(folder / "ops.npy")
        content = ops.item() if ops.shape == () else {}
        if isinstance(content, dict) and content.get("fs"):
            return float(content["fs"])
    raise ParameterError(
        message(
            f"{folder}",
            "the frame rate in ops.npy",
            "none",
            "pass sampling_rate= in Hz",
        )
    )


def _positions(folder: Path, n_rois: int) -> dict[str, np.ndarray]:
    if not (folder / "stat.npy").is_file():
        return {}
    stat = load_objects(folder / "stat.npy").ravel()
    if len(stat) != n_rois or not all(isinstance(s, dict) and "med" in s for s in stat):
        raise ShapeError(
            message(f"{folder}/stat.npy", f"'med' of {n_rois} ROIs", len(stat))
        )
    places = np.array([np.asarray(s["med"], dtype=np.float64)[:2] for s in stat])
    return {"y_pixel": places[:, 0], "x_pixel": places[:, 1]}
