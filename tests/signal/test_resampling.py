"""Another rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import resample_poly

from neuroana.core.errors import DataWarning, ParameterError
from neuroana.core.recording import check, events_of, from_array
from neuroana.signal import resample, resampling


@pytest.mark.parametrize("rate", [25.0, 20.0, 75.0, 33.0, 50.0, 12.5])
def test_resample_equals_scipy(plain, rate):
    from fractions import Fraction

    ratio = Fraction(rate / 50.0).limit_denominator(1000)
    wanted = resample_poly(
        plain.signal.values,
        ratio.numerator,
        ratio.denominator,
        axis=0,
        padtype="edge",
    )
    made = resample(plain, rate)
    assert made.signal.shape == wanted.shape
    assert np.allclose(made.signal.values, wanted, atol=1e-10)
    check(made)


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(20, 200),
    st.integers(0, 19),
)
def test_resampled_wave_stands_on_its_clock(up, down, first, gap):
    rate = 100.0
    t = np.arange(600) / rate
    good = np.ones(600, dtype=bool)
    good[first : first + gap] = False
    wave = np.sin(2 * np.pi * 1.0 * t)
    rec = from_array(wave[:, None], "calcium", sampling_rate=rate, good=good)
    made = resample(rec, rate * up / down)
    time = made.time.values
    inside = np.isfinite(made.signal.values[:, 0])
    for edge in (0.0, first / rate, (first + gap) / rate, 6.0):
        inside &= np.abs(time - edge) > 0.2 * max(1, down / up)
    error = made.signal.values[inside, 0] - np.sin(2 * np.pi * time[inside])
    assert np.abs(error).max(initial=0.0) < 0.02


def test_resample_keeps_events_and_marks_bad(eeg):
    made = resample(eeg, 50.0)
    assert events_of(made).equals(events_of(eeg))
    assert np.flatnonzero(~made.good.values).tolist() == list(range(500, 525))
    assert np.isnan(made.signal.values[500:525]).all()
    assert np.abs(made.signal.values[made.good.values]).max() < 1e-3


def test_resample_suppresses_what_would_alias():
    t = np.arange(2000) / 200.0
    rec = from_array(
        np.sin(2 * np.pi * 90 * t)[:, None], "calcium", sampling_rate=200.0
    )
    assert np.abs(resample(rec, 50.0).signal[50:-50]).max() < 0.01


def test_resample_puts_a_jittering_clock_straight():
    rng = np.random.default_rng(0)
    times = np.cumsum(0.5 + rng.uniform(-0.05, 0.05, 400))
    rec = from_array(
        np.sin(0.2 * times)[:, None], "calcium", time=times, attrs={"irregular": 1}
    )
    with pytest.warns(DataWarning, match="jitters"):
        made = resample(rec, rec.attrs["sampling_rate"] / 2)
    assert "irregular" not in made.attrs
    error = made.signal.values[10:-10, 0] - np.sin(0.2 * made.time.values[10:-10])
    assert np.abs(error).max() < 0.02


def test_resample_awkward_ratio_is_an_error(plain, monkeypatch):
    awkward = 50.0 * np.pi / 3.0
    assert resample(plain, awkward).sizes["time"] == 524
    monkeypatch.setattr(resampling, "FACTORS", (10,))
    with pytest.raises(ParameterError, match="a simple ratio"):
        resample(plain, awkward)


def test_resample_refuses_counts():
    rec = from_array(np.ones((9, 1), dtype=int), "spikes", sampling_rate=1.0)
    with pytest.raises(ParameterError, match="spike counts"):
        resample(rec, 0.5)
