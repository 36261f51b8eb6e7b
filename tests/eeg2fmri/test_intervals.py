"""Prediction intervals of a model on simulated people."""

import numpy as np
import pytest

from neuroana.core.errors import SchemaError
from neuroana.eeg2fmri import (
    BandPowerRidge,
    interval_widths,
    simulate_eeg_fmri,
    with_intervals,
)
from neuroana.learn.splits import LeakageError


@pytest.fixture(scope="module")
def study():
    runs, _ = simulate_eeg_fmri(9, n_volumes=150, random_state=3)
    return runs, BandPowerRidge().fit(runs[:3])


def test_intervals_hold_new_runs(study):
    runs, model = study
    widths = interval_widths(model, runs[3:6])
    inside = []
    for run, course in zip(runs[6:], model.predict(runs[6:])):
        made = with_intervals(course, widths)
        truth = run["bold"]["signal"].sel(time=course["time"].values, method="nearest")
        truth = truth.to_numpy()
        inside.append((truth >= made["lower"].values) & (truth <= made["upper"].values))
    assert np.mean(np.concatenate(inside)) == pytest.approx(0.9, abs=0.05)


def test_runs_of_training_cannot_calibrate(study):
    runs, model = study
    with pytest.raises(LeakageError):
        interval_widths(model, runs[2:5])


def test_other_regions_are_refused(study):
    runs, model = study
    widths = interval_widths(model, runs[3:5])
    course = model.predict(runs[6])
    with pytest.raises(SchemaError, match="calibrate the same model"):
        with_intervals(course, widths.isel(roi=[0]))
