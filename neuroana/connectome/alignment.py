"""One clock for all animals: stretches around stimuli, in the order of the stimuli.

Two animals that were shown the same stimuli in different orders share no clock. Their
derivatives are cut around each onset (`pre` seconds before it, the shortest duration
that the stimulus has in any animal, `post` seconds after) and laid end to end, stimuli
in the order of their names, repetitions in the order of time.
"""

from typing import NamedTuple

import numpy as np

from neuroana.connectome.animals import Animal
from neuroana.core.checks import message
from neuroana.core.errors import SchemaError


class Clock(NamedTuple):
    """The common clock and what happens on it."""

    time: np.ndarray  # seconds from the first sample
    stimulus: np.ndarray  # name of the stimulus at each sample
    phase: np.ndarray  # "pre", "stimulus" or "post"
    t_rel: np.ndarray  # seconds from the onset


def stimulus_clock(
    animals: list[Animal], *, pre: float, post: float
) -> tuple[Clock, list[np.ndarray]]:
    """The common clock, and where each of its samples lies in every animal (seconds).

    Raises
    ------
    SchemaError
        If an animal has no events, or lacks a stimulus that the others have.
    """
    tables = []
    for animal in animals:
        if animal.events is None or not len(animal.events):
            raise SchemaError(
                message(
                    f"{animal.name}: events", "onsets of stimuli", "none",
                    "add them with neuroana.with_events, or leave align=None",
                )
            )  # fmt: skip
        tables.append(animal.events.sort_values("onset"))
    counts = [t["trial_type"].value_counts() for t in tables]
    dt = animals[0].dt
    kinds = sorted(set().union(*(c.index for c in counts)), key=str)
    parts, at = [], [[] for _ in animals]
    for kind in kinds:
        n_shown = min(int(c.get(kind, 0)) for c in counts)
        if n_shown == 0:
            lacking = [a.name for a, c in zip(animals, counts) if kind not in c.index]
            raise SchemaError(
                message(
                    "events",
                    f"stimulus {kind!r} in every animal",
                    f"none in {lacking}",
                    "leave this stimulus out",
                )
            )
        shown = [t[t["trial_type"] == kind] for t in tables]
        length = min(float(np.nanmin([*s["duration"], np.inf])) for s in shown)
        length = length if np.isfinite(length) else 0.0
        t_rel = -pre + dt * np.arange(int((pre + length + post) / dt + 1e-9) + 1)
        phase = np.where(t_rel < -1e-9, "pre", np.where(t_rel < length, "stimulus",
                                                        "post"))  # fmt: skip
        for repeat in range(n_shown):
            parts.append((np.full(len(t_rel), str(kind)), phase, t_rel))
            for places, events in zip(at, shown):
                places.append(float(events["onset"].iloc[repeat]) + t_rel)
    stimulus, phase, t_rel = (np.concatenate(p) for p in zip(*parts))
    time = dt * np.arange(len(t_rel))
    return Clock(time, stimulus, phase, t_rel), [np.concatenate(p) for p in at]


def interpolate(time: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Columns at given seconds, linearly; NaN outside the recording.

    Examples
    --------
    >>> interpolate(np.arange(3.0), np.arange(3.0)[:, None], np.array([0.5, 9.0])).T
    array([[0.5, nan]])
    """
    first = np.clip(np.searchsorted(time, at, side="right") - 1, 0, len(time) - 2)
    share = ((at - time[first]) / (time[first + 1] - time[first]))[:, None]
    found = (1.0 - share) * values[first] + share * values[first + 1]
    exact = np.where(np.abs(share) < 1e-9, values[first], found)
    half = 0.5 * (time[1] - time[0])
    return np.where(
        ((at < time[0] - half) | (at > time[-1] + half))[:, None], np.nan, exact
    )
