"""The haemodynamic response."""

import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import compute_regressor, spm_hrf

from neuroana.core.errors import ParameterError
from neuroana.core.recording import from_array
from neuroana.signal import canonical_hrf, convolve, regressors


@pytest.mark.parametrize("rate", [0.5, 1.0, 4.0, 25.0])
def test_canonical_hrf_has_one_shape_on_every_grid(rate):
    kernel = canonical_hrf(rate)
    fine = spm_hrf(0.01, oversampling=1)
    stamps = np.linspace(0, 32, len(fine))
    density = np.interp(kernel.time, stamps, fine / fine.sum() / (stamps[1]))
    assert kernel.sum().item() == pytest.approx(1.0)
    assert np.allclose(kernel[:, 0] * rate, density, atol=0.01 * density.max())


def test_canonical_hrf_peaks_at_five_seconds():
    kernel = canonical_hrf(50.0)
    assert float(kernel.time[kernel.values[:, 0].argmax()]) == pytest.approx(
        5.0, abs=0.05
    )


def test_canonical_hrf_derivatives_are_derivatives():
    kernel = canonical_hrf(10.0, derivatives=("time", "dispersion"))
    assert kernel.basis.values.tolist() == ["canonical", "time", "dispersion"]
    slope = -np.gradient(kernel[:, 0], 0.1)
    r = np.corrcoef(slope, kernel[:, 1])[0, 1]
    assert abs(r) > 0.99
    with pytest.raises(ParameterError, match="derivatives"):
        canonical_hrf(10.0, derivatives=("dispersion",))


def test_regressors_equal_nilearn():
    events = pd.DataFrame(
        {"onset": [5.0, 20.0, 30.0], "duration": 3.0, "trial_type": ["a", "b", "a"]}
    )
    times = np.arange(40) * 1.5
    made = regressors(events, times, derivatives="time")
    wanted, names = compute_regressor(
        np.array([[5.0, 30.0], [3.0, 3.0], [1.0, 1.0]]),
        "spm + derivative",
        times,
        con_id="a",
    )
    assert made.regressor.values[:2].tolist() == names
    assert np.allclose(made[:, :2], wanted)


def test_convolve_shifts_and_smooths_a_pulse():
    pulse = np.zeros((1000, 1))
    pulse[100] = 1.0
    rec = from_array(pulse, "calcium", sampling_rate=10.0, names=["a"])
    made = convolve(rec)
    assert float(made.time[made.signal.values[:, 0].argmax()]) == pytest.approx(
        15.0, abs=0.1
    )
    assert made.signal.sum().item() == pytest.approx(1.0)
    assert np.allclose(made.signal[:100], 0.0)


def test_convolve_on_volume_times():
    rng = np.random.default_rng(0)
    rec = from_array(rng.normal(size=(2000, 2)), "calcium", sampling_rate=20.0)
    times = np.arange(1, 48) * 2.16
    made = convolve(rec, times=times)
    whole = convolve(rec)
    assert np.allclose(made.time, times)
    inside = times <= rec.time.values[-1]
    wanted = np.interp(times, whole.time, whole.signal[:, 0])
    assert np.allclose(made.signal[inside, 0], wanted[inside], atol=1e-9)
    assert np.isnan(made.signal[~inside]).all()
    assert made.attrs["sampling_rate"] == pytest.approx(1 / 2.16)


def test_convolve_with_derivatives_names_the_columns():
    rec = from_array(np.ones((900, 1)), "calcium", sampling_rate=10.0, names=["a"])
    made = convolve(rec, derivatives="time")
    assert made.neuron.values.tolist() == ["a", "a_time"]


def test_convolve_does_not_cross_a_bad_span(eeg):
    made = convolve(eeg)
    assert np.isnan(made.signal[~eeg.good.values]).all()
    assert np.abs(made.signal[eeg.good.values]).max() < 1e-3
