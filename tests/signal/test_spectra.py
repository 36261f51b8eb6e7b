"""Spectra, band power, envelopes."""

import mne
import numpy as np
import pytest
from scipy import signal as sps

from neuroana.core.errors import ParameterError
from neuroana.core.provenance import history
from neuroana.core.recording import check, from_array
from neuroana.signal import band_power, bandpass, envelope, resample, spectrum


def test_welch_equals_scipy(plain):
    freqs, wanted = sps.welch(plain.signal.values, 50.0, nperseg=100, axis=0)
    made = spectrum(plain)
    assert np.allclose(made.freq, freqs)
    assert np.allclose(made.values, wanted)
    assert made.attrs["units"] == "au^2/Hz" or made.attrs["units"] == "1/Hz"


def test_multitaper_equals_mne(plain):
    centred = plain - plain.mean("time")
    wanted, freqs = mne.time_frequency.psd_array_multitaper(
        centred.signal.values.T, 50.0, normalization="full", verbose="ERROR"
    )
    made = spectrum(plain, method="multitaper", window=10.0)
    assert np.allclose(made.freq, freqs)
    assert np.allclose(made.values, wanted.T)


@pytest.mark.parametrize("method", ["welch", "multitaper"])
def test_spectrum_integrates_to_the_variance(plain, method):
    made = spectrum(plain, method=method, window=1.0)
    power = made.sum("freq") * float(made.freq[1])
    assert np.allclose(power, plain.signal.var("time"), rtol=0.1)


def test_spectrum_averages_over_good_spans(eeg):
    made = spectrum(eeg, window=1.0)
    one = spectrum(eeg.isel(time=slice(0, 2000)), window=1.0)
    two = spectrum(eeg.isel(time=slice(2100, 4000)), window=1.0)
    assert np.allclose(made, (19 * one + 18 * two) / 37)
    assert float(made.freq[made.argmax("freq")[0]]) == 10.0
    assert made.attrs["units"] == "V^2/Hz"


def test_spectrum_of_a_channel_without_a_window_is_missing(plain):
    holed = plain.copy(deep=True)
    holed["signal"][::40, 0] = np.nan
    made = spectrum(holed, window=1.0)
    assert np.isnan(made[:, 0]).all()
    assert np.array_equal(made[:, 1], spectrum(plain, window=1.0)[:, 1])


def test_spectrum_without_any_window(plain):
    with pytest.raises(ParameterError, match="shorter window="):
        spectrum(plain, window=20.0)


def test_band_power_parts_two_waves():
    t = np.arange(4000) / 200.0
    waves = np.stack([np.sin(2 * np.pi * 10 * t), 2 * np.sin(2 * np.pi * 20 * t)], 1)
    rec = from_array(waves, "calcium", sampling_rate=200.0, units="1")
    assert np.allclose(band_power(rec, 8, 12), [0.5, 0.0], atol=5e-3)
    assert np.allclose(band_power(rec, 18, 22), [0.0, 2.0], atol=5e-3)
    assert np.allclose(band_power(rec, 8, 12, relative=True), [1.0, 0.0], atol=5e-3)


def test_envelope_equals_mne(plain):
    band = bandpass(plain, 5, 15)
    raw = mne.io.RawArray(
        band.signal.values.T, mne.create_info(2, 50.0, "eeg"), verbose="ERROR"
    )
    wanted = raw.apply_hilbert(envelope=True, verbose="ERROR").get_data()
    made = envelope(plain, 5, 15)
    assert np.allclose(made.signal[50:-50], wanted.T[50:-50], atol=5e-3)


def test_envelope_follows_an_amplitude():
    t = np.arange(5000) / 250.0
    slow = 1 + 0.5 * np.sin(2 * np.pi * 0.2 * t)
    rec = from_array(
        (slow * np.sin(2 * np.pi * 10 * t))[:, None] * 1e-5, "eeg", sampling_rate=250.0
    )
    made = envelope(rec, 8, 12, sampling_rate=25.0)
    check(made, values=True)
    assert made.attrs["sampling_rate"] == 25.0
    wanted = slow[::10][50:-50] * 1e-5
    assert np.allclose(made.signal.values[50:-50, 0], wanted, rtol=0.03)


def test_envelope_in_blocks_equals_whole(eeg, monkeypatch):
    from neuroana.signal import spans

    whole = envelope(eeg, 8, 12, sampling_rate=50.0)
    monkeypatch.setattr(spans, "BLOCK_BYTES", 1)
    assert envelope(eeg, 8, 12, sampling_rate=50.0).identical(whole)


def test_envelope_is_filter_hilbert_resample(eeg):
    made = envelope(eeg, 8, 12, sampling_rate=50.0)
    steps = resample(envelope(bandpass(eeg, 8, 12)), 50.0)
    assert np.allclose(made.signal, np.maximum(steps.signal, 0.0), equal_nan=True)
    assert [e["step"] for e in history(made)] == ["signal.envelope"]
