"""Result files of CaImAn (CNMF, CNMF-E, OnACID): HDF5 with the group ``estimates``."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import CorruptFileError, ParameterError
from neuroana.core.recording import from_array
from neuroana.io.arrays import HDF5
from neuroana.io.files import check_file, reading, suffix_of
from neuroana.io.tables import warn_constant


UNITS = {"C": "au", "F_dff": "dF/F", "S": "1", "raw": "au"}
RATE = "params/data/fr"


def is_caiman(path: Path) -> bool:
    """Tell whether a file is a result of CaImAn.

    Examples
    --------
    >>> is_caiman(Path("nowhere.hdf5"))
    False
    """
    import h5py

    if suffix_of(path) not in HDF5 or not path.is_file():
        return False
    if not h5py.is_hdf5(path):
        return False
    with reading(path, "an HDF5 file"), h5py.File(path, "r") as file:
        return "estimates/C" in file


def read_caiman(
    path: Path,
    *,
    sampling_rate: float | None,
    trace: str | None,
    cells_only: bool,
    units: str | None,
) -> xr.Dataset:
    """Read a CaImAn file; the parameters are those of ``read_calcium``.

    Component numbers of the file are the names of the neurons, so that a selection
    keeps them. ``raw`` is the denoised trace with its residual, C + YrA.
    """
    import h5py

    trace = check_choice("trace", trace or "C", UNITS)
    with reading(check_file(path), "a CaImAn file"), h5py.File(path, "r") as file:
        values = _matrix(path, file, "C" if trace == "raw" else trace)
        if trace == "raw":
            values = values + _matrix(path, file, "YrA")
        n_components, chosen = len(values), np.arange(len(values))
        coords: dict[str, Any] = {}
        accepted = file.get("estimates/idx_components")
        if accepted is not None and accepted.dtype.kind in "iu" and accepted.ndim == 1:
            index = accepted[:]
            if len(index) and not 0 <= index.min() <= index.max() < n_components:
                raise CorruptFileError(
                    message(f"{path}: idx_components", f"below {n_components}", index)
                )
            coords["iscell"] = np.isin(chosen, index)
            chosen = np.sort(index) if cells_only else chosen
        if not len(chosen):
            raise ParameterError(
                message(f"{path}", "accepted components", "none", "cells_only=False")
            )
        coords |= _centres(file, n_components)
        if sampling_rate is None:
            sampling_rate = _rate(path, file)
    ds = from_array(
        values[chosen].T,
        "calcium",
        sampling_rate=sampling_rate,
        names=chosen.tolist(),
        units=units or UNITS[trace],
        coords={k: v[chosen] for k, v in coords.items()},
        attrs={"source": path.name, "trace": trace},
    )
    warn_constant(path.name, chosen, ds["signal"].values)
    return ds


def _matrix(path: Path, file: Any, name: str) -> np.ndarray:
    node = file.get(f"estimates/{name}")
    if node is None or getattr(node, "ndim", 0) != 2 or node.dtype.kind not in "fiu":
        raise ParameterError(
            message(
                f"{path}: trace {name!r}",
                "an array (component, frame) of it in the group estimates",
                f"{sorted(file['estimates'])}",
                "choose another trace=",
            )
        )
    return node[:]


def _rate(path: Path, file: Any) -> float:
    node = file.get(RATE)
    if node is not None and node.shape == () and node.dtype.kind in "fiu":
        return float(node[()])
    raise ParameterError(
        message(f"{path}: {RATE}", "the frame rate", "none", "pass sampling_rate=")
    )


def _centres(file: Any, n_components: int) -> dict[str, np.ndarray]:
    """Centre of mass of each footprint in pixels, where there are footprints."""
    from scipy.sparse import csc_matrix

    parts = [file.get(f"estimates/A/{p}") for p in ("data", "indices", "indptr")]
    size = file.get("dims", file.get("estimates/dims"))
    if any(p is None for p in parts) or size is None or size.shape != (2,):
        return {}
    height, width = (int(n) for n in size[:])
    footprints = csc_matrix(
        tuple(p[:] for p in parts), shape=(height * width, n_components)
    )
    pixel = np.arange(height * width)
    weight = np.asarray(footprints.sum(axis=0)).ravel()
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "y_pixel": footprints.T @ (pixel % height) / weight,
            "x_pixel": footprints.T @ (pixel // height) / weight,
        }
