"""Neo objects into recordings: analog signals, spike trains, whole segments.

Nothing of Neo is imported: whatever has its attributes is taken.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.recording import MODALITIES, from_array, with_events
from neuroana.io.spike_counts import bin_spikes, check_bin_width


def from_neo(
    obj: Any,
    *,
    modality: str | None = None,
    bin_width: float | None = None,
    signal: int = 0,
) -> xr.Dataset:
    """Turn a Neo object into a recording.

    Parameters
    ----------
    obj : AnalogSignal, SpikeTrain, list of SpikeTrain, Segment or Block
        A Block must hold one segment. Of a segment the spike trains are taken if
        `bin_width` is given, and an analog signal otherwise; its events and epochs
        come along.
    modality : {'ieeg', 'eeg', 'calcium', 'fmri'}, optional
        What an analog signal is; ``ieeg`` where its unit is one of volts.
    bin_width : float, optional
        For spike trains: width of the bins in seconds.
    signal : int, default=0
        Which analog signal of a segment.

    Returns
    -------
    Dataset
        Volts for EEG and iEEG, whatever volts the object was in.

    Raises
    ------
    ParameterError, SchemaError
        If the object is of another kind, or what it lacks is not given.

    Examples
    --------
    >>> class Seconds(float):
    ...     "A quantity in seconds, as Neo has them."
    ...     def rescale(self, unit):
    ...         return self
    ...     magnitude = property(float)
    >>> class Train(list):
    ...     "A spike train of two spikes."
    ...     t_start, t_stop, name = Seconds(0.0), Seconds(1.0), "a"
    ...     rescale = lambda self, unit: self
    ...     magnitude = [0.1, 0.2]
    >>> from_neo([Train()], bin_width=0.5).signal.values.tolist()
    [[2], [0]]
    """
    if hasattr(obj, "segments"):
        if len(obj.segments) != 1:
            raise ParameterError(
                message(
                    "a Neo Block",
                    "one segment",
                    len(obj.segments),
                    "pass block.segments[i]; several make a Recordings",
                )
            )
        obj = obj.segments[0]
    events = None
    if hasattr(obj, "analogsignals"):
        events = _events(obj)
        trains, signals = list(obj.spiketrains), list(obj.analogsignals)
        if bin_width is None and not signal < len(signals):
            raise ParameterError(
                message(
                    "a Neo Segment",
                    f"an analog signal {signal}, or bin_width= for its spike trains",
                    f"{len(signals)} signals and {len(trains)} spike trains",
                )
            )
        obj = trains if bin_width is not None else signals[signal]
    if type(obj).__name__ == "SpikeTrainList":
        obj = list(obj)
    elif type(obj).__name__ == "SpikeTrain":
        obj = [obj]
    if isinstance(obj, list | tuple):
        ds = _from_trains(list(obj), bin_width)
    elif hasattr(obj, "sampling_rate") and hasattr(obj, "dimensionality"):
        ds = _from_signal(obj, modality)
    else:
        raise ParameterError(
            message("argument 'obj'", "an object of Neo", type(obj).__name__)
        )
    return ds if events is None or events.empty else with_events(ds, events)


def _seconds(quantity: Any) -> Any:
    return np.asarray(quantity.rescale("s").magnitude, dtype=np.float64)


def _from_trains(trains: Sequence[Any], bin_width: float | None) -> xr.Dataset:
    bin_width = check_bin_width(bin_width)
    if not trains:
        raise ParameterError(message("spike trains", "at least one", "none"))
    names: list[Any] = [str(t.name or "") for t in trains]
    if "" in names or len(set(names)) < len(names):
        names = list(range(len(trains)))
    return bin_spikes(
        [_seconds(t) for t in trains],
        bin_width,
        names=names,
        start=min(float(_seconds(t.t_start)) for t in trains),
        stop=max(float(_seconds(t.t_stop)) for t in trains),
    )


def _from_signal(obj: Any, modality: str | None) -> xr.Dataset:
    unit = str(obj.dimensionality.string)
    volts = unit.endswith("V") and len(unit) <= 2
    modality = modality or ("ieeg" if volts else None)
    if modality is None:
        raise ParameterError(
            message(f"an AnalogSignal in {unit}", "its modality", "none", "modality=")
        )
    electrical = "V" in (MODALITIES[modality].units if modality in MODALITIES else ())
    if electrical and not volts:
        raise SchemaError(message("an AnalogSignal", "a unit of volts", unit))
    values = np.asarray((obj.rescale("V") if electrical else obj).magnitude)
    names = (getattr(obj, "array_annotations", None) or {}).get("channel_names")
    return from_array(
        values,
        modality,
        sampling_rate=float(obj.sampling_rate.rescale("Hz").magnitude),
        start=float(_seconds(obj.t_start)),
        names=None if names is None else [str(n) for n in names],
        units="V" if electrical else "1" if unit == "dimensionless" else unit,
        attrs={"title": str(obj.name)} if obj.name else None,
    )


def _events(segment: Any) -> pd.DataFrame:
    tables = []
    for marks in (*segment.events, *segment.epochs):
        onset = _seconds(marks)
        spans = getattr(marks, "durations", None)
        labels = np.asarray(marks.labels, dtype=str).astype(object)
        tables.append(
            pd.DataFrame(
                {
                    "onset": onset,
                    "duration": 0.0 if spans is None else _seconds(spans),
                    "trial_type": labels if len(labels) else str(marks.name or "n/a"),
                }
            )
        )
    if not tables:
        return pd.DataFrame()
    return pd.concat(tables).sort_values("onset", kind="stable", ignore_index=True)
