"""Intracranial EEG into recordings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from neuroana.io.electrical import read_electrical_array
from neuroana.io.files import reader, suffix_of
from neuroana.io.raws import KINDS, read_raw


@reader
def read_ieeg(
    path: str | Path,
    *,
    units: str | None = None,
    ch_types: Mapping[str, str] | None = None,
    events: Any = None,
    preload: bool = False,
    sidecars: bool = True,
    sampling_rate: float | None = None,
    variable: str | None = None,
    dims: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    on_truncated: str = "error",
) -> xr.Dataset:
    """Read intracranial EEG (ECoG, sEEG, DBS) from the files :func:`read_eeg` reads.

    Channels without a stated type are ``seeg``; ``channels.tsv`` or `ch_types` tells
    ECoG and DBS apart. Positions are in the frame that ``coordsystem.json`` or the
    entity ``space`` names, in mm.

    Parameters
    ----------
    path : path
        The file.
    units, ch_types, events, preload, sidecars, sampling_rate, variable, dims, names
        As for :func:`read_eeg`.
    on_truncated : {'error', 'warn'}, default='error'
        As for :func:`read_eeg`.

    Returns
    -------
    Dataset
        Recording in volts (or ``1``), dims (time, channel).

    Raises
    ------
    CorruptFileError, ParameterError
        As for :func:`read_eeg`.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "depth.npz")
    ...     np.savez(path, data=np.ones((500, 2)), ch_names=["A1", "A2"], sfreq=100)
    ...     read_ieeg(path, units="uV").ch_type.values.tolist()
    ['seeg', 'seeg']
    """
    if suffix_of(path) in KINDS:
        return read_raw(
            path,
            "ieeg",
            montage=None,
            units=units,
            ch_types=ch_types,
            events=events,
            preload=preload,
            sidecars=sidecars,
            on_truncated=on_truncated,
        )
    return read_electrical_array(
        path,
        "ieeg",
        montage=None,
        units=units,
        ch_types=ch_types,
        events=events,
        sampling_rate=sampling_rate,
        variable=variable,
        dims=dims,
        names=names,
    )
