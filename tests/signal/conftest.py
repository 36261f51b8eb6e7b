"""Recordings with known content."""

import numpy as np
import pandas as pd
import pytest

from neuroana.core.recording import from_array


@pytest.fixture
def eeg():
    """Twenty seconds, four channels, 200 Hz, with events, places and a bad span."""
    rng = np.random.default_rng(0)
    t = np.arange(4000) / 200.0
    values = rng.normal(size=(4000, 4)) * 1e-5
    values += np.sin(2 * np.pi * 10 * t)[:, None] * 2e-5
    good = np.ones(4000, dtype=bool)
    good[2000:2100] = False
    values[2000:2100] = 1.0
    events = pd.DataFrame(
        {
            "onset": [1.0, 3.0, 10.2, 15.0, 19.9],
            "duration": 0.5,
            "trial_type": ["a", "b", "a", "b", "a"],
        }
    )
    return from_array(
        values,
        "eeg",
        sampling_rate=200.0,
        names=["Fz", "Cz", "Pz", "EOG1"],
        coords={
            "ch_type": ["eeg", "eeg", "eeg", "eog"],
            "bad": [False, False, True, False],
            "x": [0.0, 0.0, 0.0, 50.0],
            "y": [50.0, 0.0, -60.0, 80.0],
            "z": [90.0, 110.0, 90.0, 0.0],
        },
        good=good,
        events=events,
        attrs={"subject": "01"},
    )


@pytest.fixture
def plain():
    """Ten seconds of noise in two neurons, 50 Hz."""
    values = np.random.default_rng(1).normal(size=(500, 2))
    return from_array(values, "calcium", sampling_rate=50.0, names=["a", "b"])
