"""Recordings to MNE objects and back, exact in signal, times, names and events.

Epochs stand end to end on one clock, one missing sample with ``good`` False between
two of them, and the coordinate ``epoch`` along time numbers them (-1 in the gaps).
Each epoch has one event, at its time zero.
"""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.recording import (
    events_of,
    from_array,
    good_samples,
    good_spans,
)
from neuroana.io.events import (
    annotation_table,
    good_from_spans,
    read_events,
    split_bad,
)
from neuroana.io.lazy import LazyArray, lazy_variable
from neuroana.io.trials import join_trials


FRAMES = {"head": 4, "mri": 5, "mni_tal": 2003, "unknown": 0}
MNE_TYPES = ("eeg", "ecog", "seeg", "dbs", "eog", "ecg", "emg", "stim", "misc", "resp")


def from_mne(
    obj: Any, *, modality: str = "eeg", events: pd.DataFrame | None = None
) -> xr.Dataset:
    """Turn an MNE Raw, Epochs or Evoked into a recording.

    A Raw that is not loaded stays in its file: samples are read when they are used.

    Parameters
    ----------
    obj : mne.io.Raw, mne.Epochs or mne.Evoked
        EEG or intracranial; projections that are not applied are left out.
    modality : {'eeg', 'ieeg'}, default='eeg'
        What was recorded.
    events : DataFrame, optional
        In place of the annotations that are no BAD or EDGE spans (Raw only).

    Returns
    -------
    Dataset
        Volts; positions in mm; ``good`` False where annotations start with BAD or
        EDGE.

    Raises
    ------
    SchemaError
        If there are MEG channels among them.

    Examples
    --------
    >>> import mne
    >>> info = mne.create_info(["Cz", "Pz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((2, 300)), info, verbose=False)
    >>> dict(from_mne(raw).signal.sizes)
    {'time': 300, 'channel': 2}
    """
    import mne

    check_choice("modality", modality, ("eeg", "ieeg"))
    types = obj.get_channel_types()
    strange = sorted(set(types) & {"mag", "grad", "ref_meg"})
    if strange:
        raise SchemaError(
            message(
                "MNE object",
                "EEG or intracranial channels",
                f"channels of type {strange}",
                "pick the others first, with obj.pick('eeg')",
            )
        )
    coords, attrs = _channel_coords(obj, types)
    if isinstance(obj, mne.BaseEpochs):
        return _from_epochs(obj, modality, coords, attrs)
    if isinstance(obj, mne.Evoked):
        return from_array(
            obj.data.T,
            modality,
            sampling_rate=float(obj.info["sfreq"]),
            time=obj.times,
            names=obj.ch_names,
            coords=coords,
            attrs={**attrs, "n_averages": int(obj.nave)},
        )
    if not isinstance(obj, mne.io.BaseRaw):
        raise ParameterError(
            message(
                "argument 'obj'", "an MNE Raw, Epochs or Evoked", type(obj).__name__
            )
        )
    return _from_raw(obj, modality, coords, attrs, events)


def _channel_coords(obj: Any, types: list[str]) -> tuple[dict, dict]:
    places = np.array([ch["loc"][:3] for ch in obj.info["chs"]]) * 1000.0
    places[(places == 0).all(axis=1)] = np.nan
    coords: dict[str, Any] = {
        "ch_type": np.array(types, dtype=object),
        "bad": np.isin(obj.ch_names, obj.info["bads"]),
    }
    attrs: dict[str, Any] = {}
    if np.isfinite(places).any():
        coords.update(zip("xyz", places.T))
        codes = [int(ch["coord_frame"]) for ch in obj.info["chs"]]
        code = codes[int(np.argmax(np.isfinite(places).all(axis=1)))]
        names = {value: name for name, value in FRAMES.items()}
        attrs["coord_frame"] = names.get(code, "unknown")
    if obj.info["meas_date"] is not None:
        attrs["measured"] = obj.info["meas_date"].isoformat()
    return coords, attrs


def _from_raw(
    raw: Any,
    modality: str,
    coords: dict,
    attrs: dict,
    events: pd.DataFrame | None,
) -> xr.Dataset:
    rate = float(raw.info["sfreq"])
    shape = (raw.n_times, len(raw.ch_names))
    spans, marks = split_bad(annotation_table(raw))
    good = good_from_spans(spans, raw.n_times, rate)
    if events is not None:
        more, marks = split_bad(read_events(events))
        good &= good_from_spans(more, raw.n_times, rate)
    if raw.first_samp:
        attrs = {**attrs, "first_samp": int(raw.first_samp)}
    ds = from_array(
        np.broadcast_to(np.float64(0.0), shape),
        modality,
        sampling_rate=rate,
        names=raw.ch_names,
        coords=coords,
        good=None if good.all() else good,
        events=marks,
        attrs=attrs,
    )
    if raw.preload:
        return ds.assign(signal=ds["signal"].copy(data=raw.get_data().T))

    def piece(key: tuple) -> np.ndarray:
        rows, columns = key
        picks = np.atleast_1d(np.arange(shape[1])[columns])
        if isinstance(rows, slice):
            first, stop, step = rows.indices(shape[0])
            block = raw[picks, first:stop][0].T[::step] if step > 0 else None
        else:
            block = raw[picks, int(rows) : int(rows) + 1][0].T[0]
        if block is None:
            block = raw[picks, :][0].T[rows]
        return block if isinstance(columns, slice) else block[..., 0]

    lazy = lazy_variable(ds["signal"].dims, LazyArray(shape, np.float64, piece))
    return ds.assign(signal=ds["signal"].copy(data=lazy._data))


def _from_epochs(epochs: Any, modality: str, coords: dict, attrs: dict) -> xr.Dataset:
    rate = float(epochs.info["sfreq"])
    data = epochs.get_data(copy=False)
    names = {code: name for name, code in reversed(epochs.event_id.items())}
    events = pd.DataFrame(
        {
            "onset": -epochs.times[0],
            "duration": 0.0,
            "trial_type": [names[c] for c in epochs.events[:, 2]],
            "value": epochs.events[:, 2],
            "sample": epochs.events[:, 0],
        }
    )
    return join_trials(
        data.transpose(0, 2, 1),
        modality,
        sampling_rate=rate,
        names=epochs.ch_names,
        coords=coords,
        events=events,
        attrs={**attrs, "epoch_start": float(epochs.times[0])},
    )


def to_mne(rec: xr.Dataset) -> Any:
    """Turn a recording of EEG or iEEG into an MNE Raw, or Epochs if it holds trials.

    Loads the signal. Missing samples stay NaN; spans with ``good`` False become
    annotations ``BAD``, events become annotations.

    Parameters
    ----------
    rec : Dataset
        With the coordinate ``epoch`` along time it becomes :class:`mne.EpochsArray`.

    Returns
    -------
    mne.io.RawArray or mne.EpochsArray

    Examples
    --------
    >>> rec = from_array(np.zeros((300, 2)) + 1e-5, "eeg", sampling_rate=100.0)
    >>> to_mne(rec).info["sfreq"]
    100.0
    """
    import mne

    if rec.attrs.get("modality") not in ("eeg", "ieeg"):
        raise ParameterError(
            message(
                "argument 'rec'",
                "EEG or iEEG",
                rec.attrs.get("modality", "no modality"),
            )
        )
    info = _info_of(rec)
    if "epoch" in rec.coords and rec["epoch"].dims == ("time",):
        return _to_epochs(rec, info)
    raw = mne.io.RawArray(
        rec["signal"].transpose("channel", "time").to_numpy().astype(np.float64),
        info,
        first_samp=int(rec.attrs.get("first_samp", 0)),
        verbose="ERROR",
    )
    raw.set_annotations(_annotations(rec))
    return raw


def _info_of(rec: xr.Dataset) -> Any:
    import mne

    names = [str(n) for n in rec["channel"].values]
    fallback = "eeg" if rec.attrs["modality"] == "eeg" else "seeg"
    types = [fallback] * len(names)
    if "ch_type" in rec.coords:
        types = [str(t) for t in rec["ch_type"].values]
        types = [t if t in MNE_TYPES else "misc" for t in types]
    info = mne.create_info(names, float(rec.attrs["sampling_rate"]), types)
    if "measured" in rec.attrs:
        info.set_meas_date(pd.Timestamp(rec.attrs["measured"]).to_pydatetime())
    if "bad" in rec.coords:
        info["bads"] = [n for n, b in zip(names, rec["bad"].values) if b]
    if {"x", "y", "z"} <= set(rec.coords):
        places = np.stack([rec[c].values for c in "xyz"], axis=1) / 1000.0
        frame = str(rec.attrs.get("coord_frame", "unknown"))
        if frame == "head":
            montage = mne.channels.make_dig_montage(
                {n: p for n, p in zip(names, places) if np.isfinite(p).all()},
                coord_frame="head",
            )
            info.set_montage(montage, on_missing="ignore", verbose="ERROR")
        for channel, place in zip(info["chs"], places):
            channel["loc"][:3] = place
            channel["coord_frame"] = FRAMES.get(frame, 0)
    return info


def _annotations(rec: xr.Dataset) -> Any:
    import mne

    rate = float(rec.attrs["sampling_rate"])
    start = float(rec["time"].values[0])
    events = events_of(rec)
    onset = list(events["onset"] - start)
    duration = list(np.nan_to_num(events["duration"].to_numpy(np.float64)))
    names = list(events["trial_type"])
    for first, stop in good_spans(~good_samples(rec)):
        onset.append(first / rate)
        duration.append((stop - first) / rate)
        names.append("BAD")
    return mne.Annotations(onset, duration, names)


def _to_epochs(rec: xr.Dataset, info: Any) -> Any:
    import mne

    number = rec["epoch"].to_numpy()
    signal = rec["signal"].to_numpy()
    trials = [signal[number == i].T for i in range(int(number.max()) + 1)]
    events = events_of(rec)
    if len(events) != len(trials):
        raise SchemaError(
            message(
                "recording with trials",
                f"one event for each of {len(trials)} trials",
                len(events),
                "drop the coordinate 'epoch' to export it as one Raw",
            )
        )
    kinds = list(dict.fromkeys(events["trial_type"]))
    codes = {kind: i + 1 for i, kind in enumerate(kinds)}
    if "value" in events:
        codes = dict(zip(events["trial_type"], events["value"].astype(int)))
    value = events["trial_type"].map(codes).to_numpy(int)
    n_samples = trials[0].shape[1]
    sample = np.arange(len(trials)) * (n_samples + 1)
    if "sample" in events:
        sample = events["sample"].to_numpy(int)
    start = float(rec.attrs.get("epoch_start", 0.0))
    return mne.EpochsArray(
        np.stack(trials).astype(np.float64),
        info,
        events=np.stack([sample, np.zeros_like(sample), value], axis=1),
        tmin=start,
        event_id={k: int(v) for k, v in codes.items()},
        baseline=None,
        verbose="ERROR",
    )
