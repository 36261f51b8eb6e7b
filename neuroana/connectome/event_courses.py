"""Motif strengths and events on one axis of samples, animal after animal."""

import numpy as np
import pandas as pd

from neuroana.connectome.nulls import members_of
from neuroana.core.checks import message
from neuroana.core.contract import is_recording, label_of
from neuroana.core.errors import SchemaError
from neuroana.core.recording import events_of


def gather_events(X):
    """Event tables of the recordings by animal, or None."""
    found = {}
    for number, item in enumerate(members_of(X)):
        if is_recording(item) and "onset" in item:
            name = label_of(item)
            found[f"animal-{number}" if name == "recording" else name] = events_of(item)
    return found or None


def flat_courses(g, cp):
    """Courses (samples, component), seconds, animal of every sample, names."""
    if "animal" in g.dims:
        names = [str(a) for a in g["animal"].values]
        flat = g.transpose("animal", "time", "component")
        values = flat.to_numpy().reshape(-1, g.sizes["component"])
        time = np.tile(g["time"].values, len(names))
        return values, time, np.repeat(np.arange(len(names)), g.sizes["time"]), names
    time = g["time"].values
    if "animal" in g.coords and g["animal"].dims == ("time",):
        names = list(dict.fromkeys(g["animal"].values.tolist()))
        owner = np.array([names.index(a) for a in g["animal"].values.tolist()])
    else:
        names = [str(cp.animal_["animal"].values[0])]
        owner = np.zeros(len(time), dtype=int)
    return g.transpose("time", "component").to_numpy(), time, owner, names


def event_vectors(events, time, owner, names, n_time):
    """For every kind of event a vector over the samples, true while it is on."""
    if events is None:
        raise SchemaError(
            message("events", "onsets and durations, or vectors over time", "none",
                    "pass events=, or recordings with events")
        )  # fmt: skip
    if isinstance(events, pd.DataFrame):
        events = dict.fromkeys(names, events)
    if all(isinstance(v, pd.DataFrame) for v in events.values()):
        kinds = sorted({str(k) for v in events.values() for k in v["trial_type"]})
        on = {k: np.zeros(len(time), dtype=bool) for k in kinds}
        for name, table in events.items():
            if name not in names:
                continue
            mine = owner == names.index(name)
            for _, row in table.iterrows():
                stop = row["onset"] + max(float(np.nan_to_num(row["duration"])), 0.0)
                inside = (time >= row["onset"]) & (time <= stop) & mine
                on[str(row["trial_type"])] |= inside
        return on
    on = {}
    for name, values in events.items():
        values = np.asarray(values).astype(bool)
        if values.shape == (n_time,) and n_time != len(time):
            values = np.tile(values, len(names))
        if values.shape != (len(time),):
            raise SchemaError(
                message(f"events[{name!r}]", f"{len(time)} values, one a sample",
                        values.shape)
            )  # fmt: skip
        on[str(name)] = values
    return on
