"""Calcium imaging into recordings: suite2p folders, CaImAn files, arrays of traces."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.core.recording import from_array, with_events
from neuroana.io.caiman import is_caiman, read_caiman
from neuroana.io.events import read_events
from neuroana.io.files import reader
from neuroana.io.suite2p import is_suite2p, read_suite2p
from neuroana.io.tables import read_table_file, warn_constant


@reader
def read_calcium(
    path: str | Path,
    *,
    sampling_rate: float | None = None,
    variable: str | None = None,
    dims: Sequence[str] | None = None,
    time: Any = None,
    names: Sequence | None = None,
    coords: Mapping[str, Any] | None = None,
    units: str | None = None,
    events: Any = None,
    trace: str | None = None,
    neuropil: float = 0.7,
    cells_only: bool = True,
) -> xr.Dataset:
    """Read calcium traces: suite2p, CaImAn, or an array file with a rate.

    Parameters
    ----------
    path : path
        Folder with ``F.npy``, or with ``combined`` or ``plane*`` that hold it; HDF5 of
        CaImAn; or ``.mat`` (5 and 7.3),
        ``.npz``, ``.npy``, ``.h5``, ``.csv``, ``.tsv``, ``.txt``.
    sampling_rate : float, optional
        Frames per second, where the file states none (suite2p: ``ops.npy`` does).
    variable : str, optional
        Array to take; the error lists what there is, with shapes.
    dims : sequence of str, optional
        Its dims, ``("neuron", "time")`` or the other way round, where nothing in the
        file tells which is time.
    time : array or str, optional
        Frame times in seconds, or the name of the array that holds them. Times that
        jitter are kept and set ``attrs["irregular"]``.
    names : sequence, optional
        Names of the neurons, each once.
    coords : mapping, optional
        Further coordinates along the neurons.
    units : str, optional
        ``"dF/F"`` and so on; ``"au"`` when left out.
    events : path or DataFrame, optional
        Behaviour or stimuli.
    trace : str, optional
        suite2p: ``'F'`` (default), ``'Fneu'`` or ``'spks'``. CaImAn: ``'C'`` (default),
        ``'F_dff'``, ``'S'``, or ``'raw'`` for C + YrA.
    neuropil : float, default=0.7
        suite2p: ``F - neuropil * Fneu``; 0 leaves F as it is.
    cells_only : bool, default=True
        Only what suite2p's ``iscell``, or CaImAn's ``idx_components``, calls a cell.

    Returns
    -------
    Dataset
        Recording with dims (time, neuron); ROI or component numbers as names, which
        count on from plane to plane where several are joined (coordinate ``plane``).

    Raises
    ------
    CorruptFileError
        If a file is damaged, or an object file names more than NumPy.
    ParameterError, ShapeError
        If rate or orientation is unknown, or arrays do not fit together.

    Warns
    -----
    DataWarning
        Names traces that never change.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "traces.npz")
    ...     np.savez(path, traces=np.random.default_rng(0).random((3, 50)), fs=10.0)
    ...     dict(read_calcium(path, dims=("neuron", "time")).signal.sizes)
    {'time': 50, 'neuron': 3}
    """
    path = Path(path)
    foreign = {"variable": variable, "dims": dims, "time": time, "names": names}
    if path.is_dir() or (variable is None and is_caiman(path)):
        ds = _read_pipeline(
            path,
            foreign,
            sampling_rate=sampling_rate,
            trace=trace,
            neuropil=neuropil,
            cells_only=cells_only,
            units=units,
        )
        along = {k: ("neuron", np.asarray(v)) for k, v in (coords or {}).items()}
        ds = ds.assign_coords(along)
        return ds if events is None else with_events(ds, read_events(events))
    if trace is not None:
        raise ParameterError(
            message(
                f"{path}: argument 'trace'",
                "output of suite2p or CaImAn",
                "a file of arrays",
                "pass variable= with the name of an array",
            )
        )
    table = read_table_file(
        path,
        "neuron",
        sampling_rate=sampling_rate,
        variable=variable,
        dims=dims,
        names=names,
        time=time,
    )
    if table.values.ndim != 2:
        raise ShapeError(
            message(str(path), "dims (time, neuron)", f"shape {table.values.shape}")
        )
    marks = read_events(events) if events is not None else table.events
    ds = from_array(
        table.values,
        "calcium",
        sampling_rate=table.sampling_rate,
        time=table.time,
        names=table.names,
        units=units or "au",
        coords=coords,
        events=marks,
        attrs=table.attrs,
    )
    warn_constant(path.name, ds["neuron"].values, ds["signal"].values)
    return ds


def _read_pipeline(
    path: Path, foreign: Mapping[str, Any], **options: Any
) -> xr.Dataset:
    if path.is_dir() and not is_suite2p(path):
        raise ParameterError(
            message(
                str(path),
                "a suite2p folder (F.npy in it, or in plane*)",
                sorted(p.name for p in path.iterdir())[:8],
                "name the file that holds the traces",
            )
        )
    given = [name for name, value in foreign.items() if value is not None]
    if given:
        raise ParameterError(
            message(f"{path}: options", "those of suite2p or CaImAn", given)
        )
    if path.is_dir():
        return read_suite2p(path, **options)
    options.pop("neuropil")
    return read_caiman(path, **options)
