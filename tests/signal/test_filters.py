"""Filters against SciPy and MNE, and the rules of gaps and phase."""

import mne
import numpy as np
import pytest
from scipy import signal as sps

from neuroana.core.errors import DataWarning, ParameterError
from neuroana.core.provenance import history
from neuroana.core.recording import events_of, from_array
from neuroana.signal import bandpass, highpass, lowpass, notch


VERBS = [
    lambda r, **k: bandpass(r, 5, 15, **k),
    lambda r, **k: highpass(r, 5, **k),
    lambda r, **k: lowpass(r, 15, **k),
]
EDGES = [(5, 15), (5, None), (None, 15)]


@pytest.mark.parametrize(("verb", "edges"), list(zip(VERBS, EDGES)))
def test_fir_filter_equals_mne(plain, verb, edges):
    wanted = mne.filter.filter_data(
        plain.signal.values.T, 50.0, *edges, verbose="ERROR"
    )
    assert np.allclose(verb(plain).signal.values, wanted.T, atol=1e-12)


@pytest.mark.parametrize(("verb", "edges"), list(zip(VERBS, EDGES)))
def test_iir_filter_equals_scipy(plain, verb, edges):
    wn = [e for e in edges if e is not None]
    kind = "bandpass" if len(wn) == 2 else "highpass" if edges[0] else "lowpass"
    sos = sps.butter(3, wn if len(wn) == 2 else wn[0], kind, fs=50.0, output="sos")
    wanted = sps.sosfiltfilt(sos, plain.signal.values, axis=0)
    made = verb(plain, method="iir", order=3)
    assert np.allclose(made.signal.values, wanted, atol=1e-12)


@pytest.mark.parametrize("method", ["fir", "iir"])
@pytest.mark.parametrize("verb", VERBS)
def test_causal_filter_ignores_the_future(plain, verb, method):
    changed = plain.copy(deep=True)
    changed["signal"][300:] = 7.0
    one, two = (verb(r, phase="causal", method=method) for r in (plain, changed))
    assert np.allclose(one.signal[:300], two.signal[:300], atol=1e-9)
    assert not np.allclose(one.signal[300:], two.signal[300:])


def test_zero_phase_filter_keeps_a_peak_in_place():
    pulse = np.exp(-0.5 * ((np.arange(1000) - 500) / 10) ** 2)[:, None]
    rec = from_array(pulse, "calcium", sampling_rate=100.0)
    assert int(lowpass(rec, 10.0).signal.values.argmax()) == 500


def test_bad_span_comes_back_missing_and_leaks_nothing(eeg):
    made = bandpass(eeg, 5, 15)
    bad = ~eeg.good.values
    assert np.isnan(made.signal.values[bad]).all()
    assert np.isfinite(made.signal.values[~bad]).all()
    assert np.abs(made.signal.values[~bad]).max() < 1e-3


def test_each_span_is_filtered_for_itself(eeg):
    made = bandpass(eeg, 5, 15).signal.values
    first = bandpass(eeg.isel(time=slice(0, 2000)), 5, 15).signal.values
    assert np.array_equal(made[:2000], first)


def test_missing_samples_concern_their_own_channel(plain):
    holed = plain.copy(deep=True)
    holed["signal"][250, 0] = np.nan
    made = lowpass(holed, 10.0)
    whole = lowpass(plain, 10.0)
    assert np.array_equal(made.signal[:, 1], whole.signal[:, 1])
    assert np.flatnonzero(np.isnan(made.signal[:, 0])).tolist() == [250]


def test_labels_events_and_provenance_stay(eeg):
    made = bandpass(eeg, 5, 15)
    for name in eeg.coords:
        assert made[name].identical(eeg[name])
    assert events_of(made).equals(events_of(eeg))
    assert made.signal.attrs == eeg.signal.attrs
    entry = history(made)[-1]
    assert entry["step"] == "signal.bandpass"
    assert entry["parameters"]["low"] == 5


def test_input_is_left_as_it_was(plain):
    before = plain.copy(deep=True)
    bandpass(plain, 5, 15)
    assert plain.identical(before)


def test_data_array_and_list_come_back_in_kind(plain):
    whole = bandpass(plain, 5, 15)
    array = bandpass(plain.signal, 5, 15)
    assert np.array_equal(array, whole.signal)
    assert array.dims == plain.signal.dims
    assert isinstance(bandpass([plain, plain], 5, 15), list)


def test_recording_shorter_than_the_filter_is_an_error(plain):
    with pytest.raises(ParameterError, match="method='iir'"):
        highpass(plain, 0.1)
    highpass(plain, 0.1, method="iir")


def test_short_spans_are_named_and_missing(eeg):
    cut = eeg.copy(deep=True)
    cut["good"][3900] = False
    with pytest.warns(DataWarning, match="1 shorter"):
        made = bandpass(cut, 5, 15)
    assert np.isnan(made.signal[3901:]).all()


@pytest.mark.parametrize("edges", [(15, 5), (5, 25), (0, 5), (-1, 5), (5, 5)])
def test_edges_out_of_order_are_an_error(plain, edges):
    with pytest.raises(ParameterError):
        bandpass(plain, *edges)


def test_misspelt_options_are_an_error(plain):
    with pytest.raises(ParameterError, match="Did you mean 'causal'"):
        bandpass(plain, 5, 15, phase="casual")


def test_spike_counts_are_refused():
    rec = from_array(np.ones((100, 1), dtype=int), "spikes", sampling_rate=50.0)
    with pytest.raises(ParameterError, match="spike counts"):
        bandpass(rec, 5, 15)


def test_notch_takes_the_line_and_its_harmonics():
    t = np.arange(5000) / 500.0
    waves = sum(np.sin(2 * np.pi * f * t) for f in (20, 50, 100, 150))
    rec = from_array(waves[:, None] * 1e-5, "eeg", sampling_rate=500.0)
    clean = notch(rec, 50.0, harmonics=2).signal.values[1000:4000, 0]
    wanted = np.sin(2 * np.pi * 20 * t)[1000:4000] * 1e-5
    assert np.allclose(clean, wanted, atol=3e-7)


def test_notch_equals_scipy(plain):
    b, a = sps.iirnotch(10.0, 10.0 / 2.0, fs=50.0)
    wanted = sps.filtfilt(b, a, plain.signal.values, axis=0, padlen=10)
    made = notch(plain, 10.0, width=2.0).signal.values
    assert np.allclose(made[100:400], wanted[100:400], atol=1e-4)


def test_float32_stays_float32(plain):
    small = plain.assign(signal=plain.signal.astype(np.float32))
    assert bandpass(small, 5, 15).signal.dtype == np.float32


def test_blocks_of_channels_change_nothing(plain, monkeypatch):
    from neuroana.signal import spans

    whole = bandpass(plain, 5, 15)
    monkeypatch.setattr(spans, "BLOCK_BYTES", 1)
    assert np.array_equal(bandpass(plain, 5, 15).signal, whole.signal)
