"""Electrical recordings through MNE, with what their BIDS sidecars say about them.

The common part of the readers for scalp and intracranial EEG.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_choice, check_names, message
from neuroana.core.errors import CorruptFileError, DataWarning, ParameterError
from neuroana.core.recording import MODALITIES
from neuroana.io.bridges import from_mne
from neuroana.io.files import check_file, reading, report_truncated, suffix_of
from neuroana.io.headers import check_promise
from neuroana.io.sidecars import (
    applicable,
    channel_table,
    electrode_positions,
    entity_attrs,
    metadata,
)


KINDS = {
    ".edf": "an EDF file",
    ".bdf": "a BDF file",
    ".vhdr": "a BrainVision recording",
    ".set": "an EEGLAB file",
    ".fif": "a FIF file",
    ".fif.gz": "a FIF file",
}
VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6, "μV": 1e-6, "nV": 1e-9, "1": 1.0}
HEAD_TYPES = ("eeg", "ecog", "seeg", "dbs")
TYPE_BY_NAME = (
    (re.compile(r"^[hv]?eog", re.IGNORECASE), "eog"),
    (re.compile(r"^(ecg|ekg)", re.IGNORECASE), "ecg"),
    (re.compile(r"^emg", re.IGNORECASE), "emg"),
    (re.compile(r"^(status|sti ?\d+|trig)", re.IGNORECASE), "stim"),
    (re.compile(r"(^|\W)(aux|misc|acc|gsr|resp|temp)\d*", re.IGNORECASE), "misc"),
)
BIDS_TYPES = {
    **dict.fromkeys(("veog", "heog", "eog"), "eog"),
    **dict.fromkeys(("trig", "stim"), "stim"),
    **{t: t for t in ("eeg", "ecog", "seeg", "dbs", "ecg", "emg", "resp")},
}
HEAD_SECONDS = 10.0
TRIGGER_BITS = 0xFFFF


def read_raw(
    path: str | Path,
    modality: str,
    *,
    montage: str | None,
    units: str | None,
    ch_types: Mapping[str, str] | None,
    events: Any,
    preload: bool,
    sidecars: bool,
    on_truncated: str,
) -> xr.Dataset:
    """Read one file that MNE knows; the parameters are those of ``read_eeg``."""
    path = check_file(path)
    missing = check_promise(path, on_truncated)
    raw = _open(path, preload)
    missing = missing or _check_eeglab(path, raw, on_truncated)
    table = channel_table(path) if sidecars else None
    if events is None and sidecars and (found := applicable(path, "events.tsv")):
        events = found[-1]
    with reading(path, KINDS[suffix_of(path)]):
        if events is None and not len(raw.annotations or ()):
            events = _trigger_events(raw)
        ds = from_mne(raw, modality=modality, events=events)
    ds = _strip_padding(ds)
    ds = _name_types(ds, modality, table, ch_types)
    ds = _place(ds, path, montage, sidecars)
    ds = scale_units(ds, units, path)
    attrs: dict[str, Any] = {**entity_attrs(path), "source": path.name}
    if sidecars:
        attrs.update(_metadata_attrs(path, ds))
    if missing:
        attrs["truncated"] = missing
    return ds.assign_attrs(attrs)


def _open(path: Path, preload: bool) -> Any:
    import mne

    suffix = suffix_of(path)
    with reading(path, KINDS[suffix]):
        options: dict[str, Any] = {"preload": preload, "verbose": "WARNING"}
        if suffix in (".edf", ".bdf"):
            reader = mne.io.read_raw_edf if suffix == ".edf" else mne.io.read_raw_bdf
            return reader(path, **options)
        if suffix == ".vhdr":
            return mne.io.read_raw_brainvision(path, **options)
        if suffix == ".set":
            try:
                return mne.io.read_raw_eeglab(path, **options)
            except TypeError:  # several trials: they are epochs
                return mne.io.read_epochs_eeglab(path, verbose="WARNING")
        if mne.what(path) == "epochs":
            return mne.read_epochs(path, preload=True, verbose="WARNING")
        return mne.io.read_raw_fif(path, **options)


def _trigger_events(raw: Any) -> pd.DataFrame | None:
    """Events of the first trigger channel, whose samples are read for that."""
    import mne

    names = [n for n, t in zip(raw.ch_names, raw.get_channel_types()) if t == "stim"]
    if not names or not isinstance(raw, mne.io.BaseRaw):
        return None
    found = mne.find_events(
        raw,
        stim_channel=names[0],
        shortest_event=1,
        mask=TRIGGER_BITS,
        mask_type="and",
        verbose="ERROR",
    )
    onset = (found[:, 0] - raw.first_samp) / raw.info["sfreq"]
    return pd.DataFrame({"onset": onset, "trial_type": found[:, 2].astype(str)})


def _check_eeglab(path: Path, raw: Any, on_truncated: str) -> int:
    names = list(getattr(raw, "filenames", ()))
    data = Path(names[0]) if names and names[0] is not None else path
    if suffix_of(data) not in (".fdt", ".dat") or not data.is_file():
        return 0
    promised = 4 * len(raw.ch_names) * raw.n_times
    size = data.stat().st_size
    if size > promised:
        raise CorruptFileError(
            message(
                str(data),
                f"{promised} bytes, as {path.name} promises",
                f"{size} bytes",
                "put the .set and .fdt files of one export together",
            )
        )
    if size < promised:
        report_truncated(
            data, on_truncated, promised=f"{promised} bytes", found=f"{size} bytes"
        )
    return promised - size


def _strip_padding(ds: xr.Dataset) -> xr.Dataset:
    names = [str(n).strip().rstrip(".") for n in ds["channel"].values]
    if "" in names or len(set(names)) < len(names):
        return ds
    return ds.assign_coords(channel=("channel", np.array(names, dtype=object)))


def _name_types(
    ds: xr.Dataset,
    modality: str,
    table: pd.DataFrame | None,
    given: Mapping[str, str] | None,
) -> xr.Dataset:
    names = [str(n) for n in ds["channel"].values]
    types = [
        next((k for p, k in TYPE_BY_NAME if p.search(n)), t) if t == "eeg" else str(t)
        for n, t in zip(names, ds["ch_type"].values)
    ]
    if modality == "ieeg":
        types = ["seeg" if t == "eeg" else t for t in types]
    bad = ds["bad"].to_numpy().copy()
    if table is not None:
        for i, name in enumerate(names):
            if name not in table.index:
                continue
            row = table.loc[name]
            kind = str(row.get("type", "")).lower()
            types[i] = BIDS_TYPES.get(kind, "misc") if kind else types[i]
            bad[i] |= str(row.get("status", "good")).lower() == "bad"
        absent = [n for n in names if n not in table.index]
        if absent:
            warnings.warn(
                message(
                    "channels.tsv", "a row for each channel", f"none for {absent[:5]}"
                ),
                DataWarning,
                stacklevel=5,
            )
    given = dict(given or {})
    check_names("channel", given, names)
    types = [given.get(n, t) for n, t in zip(names, types)]
    return ds.assign_coords(
        ch_type=("channel", np.array(types, dtype=object)), bad=("channel", bad)
    )


def _place(
    ds: xr.Dataset, path: Path, montage: str | None, sidecars: bool
) -> xr.Dataset:
    names = [str(n) for n in ds["channel"].values]
    table, frame = electrode_positions(path) if sidecars else (None, "")
    if montage is not None:
        table, frame = montage_positions(montage, names), "head"
    if table is None:
        return ds
    places = table.reindex(names)
    coords = {c: ("channel", places[c].to_numpy(), {"units": "mm"}) for c in "xyz"}
    return ds.assign_coords(coords).assign_attrs(coord_frame=frame)


def montage_positions(montage: str, names: Sequence[str]) -> pd.DataFrame:
    """Positions in mm, head frame, of the channels that a standard montage knows.

    Examples
    --------
    >>> montage_positions("standard_1020", ["CZ", "Fc5."]).index.tolist()
    ['CZ', 'Fc5.']
    """
    import mne

    builtin = mne.channels.get_builtin_montages()
    renamed = str(montage).replace("standard_", "colin27_")
    name = renamed if montage not in builtin and renamed in builtin else montage
    check_choice("montage", name, builtin)
    standard = mne.channels.make_standard_montage(name)
    exact = {n.lower(): n for n in standard.ch_names}
    asked = {n: exact.get(n.strip().rstrip(".").lower()) for n in names}
    known = {n: e for n, e in asked.items() if e is not None}
    if not known:
        raise ParameterError(
            message(
                f"montage {montage!r}",
                f"channels such as {standard.ch_names[:5]}",
                f"none of them in {list(names)[:5]}",
                "rename the channels, or choose the montage that was used",
            )
        )
    info = mne.create_info(sorted(set(known.values())), 100.0, "eeg")
    info.set_montage(standard, verbose="ERROR")
    place = {ch["ch_name"]: ch["loc"][:3] * 1000.0 for ch in info["chs"]}
    rows = {n: place[e] for n, e in known.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list("xyz"))


def scale_units(ds: xr.Dataset, units: str | None, path: Path) -> xr.Dataset:
    """Convert to volts what is in `units`; warn if the result cannot be volts.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.tile([[10.0], [-10.0]], (50, 1)), "eeg", sampling_rate=1.0)
    >>> round(float(scale_units(rec, "uV", Path("a.csv")).signal[0, 0]), 9)
    1e-05
    """
    if units is not None:
        check_choice("units", units, VOLTS)
        signal = ds["signal"]
        if VOLTS[units] != 1.0:
            signal = signal * VOLTS[units]
        attrs = {**ds["signal"].attrs, "units": "1" if units == "1" else "V"}
        ds = ds.assign(signal=signal.assign_attrs(attrs))
    if ds["signal"].attrs["units"] != "V":
        return ds
    rows = max(2, int(HEAD_SECONDS * ds.attrs["sampling_rate"]))
    head = ds["signal"][:rows]
    if "ch_type" in ds.coords:
        brain = np.isin(ds["ch_type"].values, HEAD_TYPES)
        head = head[:, np.flatnonzero(brain)]
    if not head.size:
        return ds
    with reading(path, "samples"):
        spread = head.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        spread = np.nanstd(spread, axis=0)
    spread = spread[spread > 0]
    low, high = MODALITIES[ds.attrs["modality"]].plausible or (0.0, np.inf)
    if spread.size and not low <= np.median(spread) <= high:
        warnings.warn(
            message(
                f"{path.name}: 'signal'",
                f"a standard deviation of {low:g} to {high:g} V",
                f"{np.median(spread):.3g} V",
                "pass units='uV' (what the decoded numbers are in), or units='1' "
                "where the scale is unknown",
            ),
            DataWarning,
            stacklevel=4,
        )
    return ds


def _metadata_attrs(path: Path, ds: xr.Dataset) -> dict[str, Any]:
    found = metadata(path)
    attrs: dict[str, Any] = {}
    if isinstance(found.get("PowerLineFrequency"), int | float):
        attrs["power_line_frequency"] = float(found["PowerLineFrequency"])
    for key in ("EEGReference", "iEEGReference"):
        if isinstance(found.get(key), str):
            attrs["reference"] = found[key]
    rate = found.get("SamplingFrequency")
    if isinstance(rate, int | float) and abs(rate - ds.attrs["sampling_rate"]) > 1e-3:
        warnings.warn(
            message(
                f"{path.name}: sampling rate",
                f"{rate:g} Hz, as the JSON sidecar says",
                f"{ds.attrs['sampling_rate']:g} Hz in the header",
                "correct the sidecar; the header is used",
            ),
            DataWarning,
            stacklevel=5,
        )
    return attrs
