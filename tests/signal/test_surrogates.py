"""Surrogates keep what they say and break the rest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroana.core.errors import ParameterError
from neuroana.core.provenance import history
from neuroana.core.recording import check, from_array
from neuroana.core.recordings import Recordings
from neuroana.signal import surrogate


@pytest.fixture
def coupled():
    common = np.random.default_rng(0).normal(size=(1000, 1))
    own = np.random.default_rng(1).normal(size=(1000, 3))
    return from_array(common + own, "calcium", sampling_rate=10.0)


def power(rec):
    return np.abs(np.fft.rfft(rec.signal.values, axis=0))


def correlation(rec):
    return np.corrcoef(rec.signal.values.T)


def test_phase_keeps_spectra_and_breaks_relations(coupled):
    made = surrogate(coupled, "phase", random_state=0)
    assert np.allclose(power(made), power(coupled))
    assert abs(correlation(coupled)[0, 1]) > 0.4
    assert np.abs(correlation(made)[np.triu_indices(3, 1)]).max() < 0.15


def test_common_phase_keeps_relations(coupled):
    made = surrogate(coupled, "common_phase", random_state=0)
    assert np.allclose(power(made), power(coupled))
    assert np.allclose(correlation(made), correlation(coupled))
    assert not np.allclose(made.signal, coupled.signal)


def test_circular_shift_keeps_values_and_breaks_relations(coupled):
    made = surrogate(coupled, "circular_shift", random_state=0)
    assert np.allclose(np.sort(made.signal, 0), np.sort(coupled.signal, 0))
    assert np.abs(correlation(made)[np.triu_indices(3, 1)]).max() < 0.15


@given(st.integers(0, 1000), st.integers(20, 60))
def test_circular_shift_is_never_shorter_than_asked(seed, n):
    rec = from_array(np.arange(float(n))[:, None], "calcium", sampling_rate=1.0)
    made = surrogate(rec, "circular_shift", random_state=seed, min_shift=5.0)
    shift = int(made.signal.values[:, 0].argmin())
    assert 5 <= shift <= n - 5


def test_circular_shift_keeps_counts_counts():
    counts = np.random.default_rng(0).poisson(1.0, (100, 2))
    rec = from_array(counts, "spikes", sampling_rate=10.0)
    made = surrogate(rec, "circular_shift", random_state=0)
    check(made, values=True)
    assert made.signal.dtype.kind == "i"
    assert np.array_equal(made.signal.sum("time"), rec.signal.sum("time"))


def test_same_seed_same_numbers(coupled):
    one, two = (surrogate(coupled, random_state=3) for _ in range(2))
    assert one.identical(two)
    assert not np.array_equal(one.signal, surrogate(coupled, random_state=4).signal)
    assert history(one)[-1]["parameters"]["random_state"] == 3


def test_drawn_seed_is_kept_and_reproduces(coupled):
    one = surrogate(coupled)
    seed = history(one)[-1]["parameters"]["random_state"]
    assert surrogate(coupled, random_state=seed).identical(one)


def test_each_recording_of_a_collection_has_its_own_draw(coupled):
    one, two = surrogate([coupled, coupled], random_state=0)
    assert not np.array_equal(one.signal, two.signal)
    many = surrogate(Recordings([coupled, coupled]), random_state=0)
    assert np.array_equal(many[1].signal, two.signal)


def test_spans_are_drawn_for_themselves(eeg):
    made = surrogate(eeg, random_state=0)
    assert np.isnan(made.signal[~eeg.good.values]).all()
    part = eeg.isel(time=slice(0, 2000))
    kept = made.isel(time=slice(0, 2000))
    assert np.allclose(power(kept), power(part))


def test_shift_longer_than_half_the_recording(coupled):
    with pytest.raises(ParameterError, match="at most half"):
        surrogate(coupled, "circular_shift", min_shift=60.0)
