"""Scalp EEG into recordings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from neuroana.io.electrical import read_electrical_array
from neuroana.io.files import reader, suffix_of
from neuroana.io.raws import KINDS, read_raw


@reader
def read_eeg(
    path: str | Path,
    *,
    montage: str | None = None,
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
    """Read scalp EEG: EDF, BDF, BrainVision, EEGLAB, FIF, or an array with a rate.

    Files that MNE reads stay on disk until samples are used (``preload=True`` loads
    them now). BIDS sidecars that apply to the file give channel types, bad channels,
    positions, events and the reference. Annotations that start with BAD or EDGE
    become the coordinate ``good``. Without annotations and sidecar the lower 16 bits
    of a trigger channel give the events. Dots that pad EDF names are dropped.

    Parameters
    ----------
    path : path
        ``.edf``, ``.bdf``, ``.vhdr``, ``.set``, ``.fif`` (raw or epochs), or an array
        file: ``.npz``, ``.npy``, ``.mat``, ``.h5``, ``.csv``, ``.tsv``, ``.txt``.
    montage : str, optional
        Name of a standard montage, for positions (``"standard_1005"``).
    units : {'V', 'mV', 'uV', 'nV', '1'}, optional
        What the decoded numbers are in, where the header lies or there is none;
        ``"1"`` keeps them as they are, scale unknown.
    ch_types : mapping, optional
        Channel name to ``eeg``, ``eog``, ``ecg``, ``emg``, ``misc``, ``stim`` ...
    events : path, DataFrame or mne.Annotations, optional
        In place of what stands in the file or its ``events.tsv``.
    preload : bool, default=False
        Load the samples now.
    sidecars : bool, default=True
        Use BIDS sidecars.
    sampling_rate : float, optional
        Hz; for array files that state none.
    variable : str, optional
        Array to take, where a file holds several.
    dims : sequence of str, optional
        Dims of that array, for example ``("channel", "time")``, where neither names
        nor times in the file tell; ``"epoch"`` for trials.
    names : sequence of str, optional
        Channel names of an array.
    on_truncated : {'error', 'warn'}, default='error'
        What to do with a file that is shorter than its header says; ``"warn"``
        reads what there is and sets ``attrs["truncated"]`` to the bytes missing.

    Returns
    -------
    Dataset
        Recording in volts, dims (time, channel).

    Raises
    ------
    CorruptFileError
        If the file is damaged, truncated, or not what its name says.
    ParameterError
        If an option does not fit the file.

    Warns
    -----
    DataWarning
        What MNE warned of, values that cannot be volts, sidecars that contradict.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "rest.npz")
    ...     names = ["Fz", "Cz", "Pz"]
    ...     np.savez(path, data=np.ones((3, 500)), ch_names=names, sfreq=100)
    ...     dict(read_eeg(path, units="uV").signal.sizes)
    {'time': 500, 'channel': 3}
    """
    if suffix_of(path) in KINDS:
        return read_raw(
            path,
            "eeg",
            montage=montage,
            units=units,
            ch_types=ch_types,
            events=events,
            preload=preload,
            sidecars=sidecars,
            on_truncated=on_truncated,
        )
    return read_electrical_array(
        path,
        "eeg",
        montage=montage,
        units=units,
        ch_types=ch_types,
        events=events,
        sampling_rate=sampling_rate,
        variable=variable,
        dims=dims,
        names=names,
    )
