"""Streamed predictions are those of the whole recording, and never look ahead."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError, SchemaError, ShapeError, UnitError
from neuroana.eeg2fmri import (
    BandPowerRidge,
    EEGToFMRI,
    LaggedSpectralRidge,
    StreamingPredictor,
    interval_widths,
    simulate_eeg_fmri,
)


@pytest.fixture(scope="module")
def runs():
    return simulate_eeg_fmri(4, n_volumes=60, random_state=0)[0]


@pytest.fixture(scope="module")
def ridge(runs):
    return LaggedSpectralRidge().fit(runs[0])


def samples_of(run):
    eeg = run["eeg"].to_dataset()
    return eeg["channel"].values, eeg["signal"].values, eeg["time"].values


@pytest.mark.parametrize("name", ["ridge", "bands", "network"])
def test_streamed_volumes_are_those_of_the_batch(runs, ridge, name):
    model = ridge
    if name == "bands":
        model = BandPowerRidge().fit(runs[0])
    if name == "network":
        model = EEGToFMRI.small(epochs=1, random_state=0).fit(runs[0])
    channels, values, times = samples_of(runs[1])
    batch = model.predict(runs[1])
    stream = StreamingPredictor(model, channels)
    sent = 0
    for course in batch[:4]:
        at = float(course["time"])
        stop = int(np.ceil((at - times[0]) * 200 - 0.01))
        while sent < stop:  # blocks of unequal size
            more = min(sent + 333, stop)
            stream.push(values[sent:more], times[sent:more])
            sent = more
        found = stream.predict(at)
        scale = np.abs(batch.values).max()
        np.testing.assert_allclose(found, course, atol=1e-5 * max(scale, 1.0))


def test_a_volume_may_be_asked_for_a_little_late(runs, ridge):
    channels, values, _ = samples_of(runs[1])
    stream = StreamingPredictor(ridge, channels)
    stream.push(values[:3600])
    early = stream.predict(17.0)
    stream.push(values[3600:4100])
    np.testing.assert_allclose(stream.predict(17.0), early)
    stream.push(values[4100:5200])
    with pytest.raises(SchemaError, match="16 s of samples"):
        stream.predict(17.0)


def test_channels_are_found_by_name(runs, ridge):
    channels, values, _ = samples_of(runs[1])
    one = StreamingPredictor(ridge, channels)
    two = StreamingPredictor(ridge, channels[::-1])
    one.push(values[:3200])
    two.push(values[:3200, ::-1])
    np.testing.assert_allclose(one.predict(), two.predict(), rtol=1e-5)


def test_nothing_is_predicted_before_a_full_window(runs, ridge):
    channels, values, _ = samples_of(runs[1])
    stream = StreamingPredictor(ridge, channels)
    stream.push(values[:3199])
    assert not stream.ready
    with pytest.raises(SchemaError, match=r"until \.ready"):
        stream.predict()
    stream.push(values[3199:3200])
    assert stream.ready
    stream.predict()
    with pytest.raises(SchemaError, match="16 s of samples"):
        stream.predict(16.5)


def test_a_gap_empties_the_ring(runs, ridge):
    channels, values, times = samples_of(runs[1])
    stream = StreamingPredictor(ridge, channels)
    stream.push(values[:3200], times[:3200])
    assert stream.ready
    stream.push(values[3300:3400], times[3300:3400])
    assert not stream.ready
    assert stream.time == pytest.approx(times[3400])


def test_another_clock_is_refused(runs, ridge):
    channels, values, times = samples_of(runs[1])
    stream = StreamingPredictor(ridge, channels)
    with pytest.raises(SchemaError, match="200 Hz"):
        stream.push(values[:100], times[:100] * 0.8)
    with pytest.raises(ShapeError, match="samples"):
        stream.push(values[:10, :3])
    with pytest.raises(ShapeError, match="times"):
        stream.push(values[:10], times[:9])


def test_corrections_that_look_ahead_are_refused(runs, ridge):
    channels, values, _ = samples_of(runs[1])
    with pytest.raises(ParameterError, match="allow_lookahead"):
        StreamingPredictor(ridge, channels, correction="offline")
    stream = StreamingPredictor(
        ridge, channels, correction="offline", allow_lookahead=True
    )
    stream.push(values[:3200])
    assert stream.predict().attrs["looks_ahead"] == 1


def test_missing_samples_have_a_limit(runs, ridge):
    channels, values, _ = samples_of(runs[1])
    holed = values[:3200].copy()
    holed[:1000] = np.nan
    stream = StreamingPredictor(ridge, channels)
    stream.push(holed)
    with pytest.raises(SchemaError, match="missing"):
        stream.predict()


def test_microvolts_are_refused(runs, ridge):
    channels, values, _ = samples_of(runs[1])
    stream = StreamingPredictor(ridge, channels)
    stream.push(values[:3200] * 1e6)
    with pytest.raises(UnitError, match="in V"):
        stream.predict()


def test_predictions_come_with_their_bounds(runs, ridge):
    channels, values, _ = samples_of(runs[1])
    widths = interval_widths(ridge, runs[2:], level=0.8)
    stream = StreamingPredictor(ridge, channels, widths=widths)
    stream.push(values[:3200])
    made = stream.predict()
    assert (made["lower"] < made["prediction"]).all()
    assert (made["prediction"] < made["upper"]).all()
