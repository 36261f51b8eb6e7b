"""z-scores, dF/F and the transformer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from neuroana.core.errors import DataWarning, ParameterError, ShapeError
from neuroana.core.recording import check, from_array
from neuroana.core.recordings import Recordings
from neuroana.signal import Scaler, bandpass, dff, pick, scale, zscore


def test_zscore_uses_the_training_part_only(plain):
    made = zscore(plain, train=(0.0, 5.0))
    part = plain.signal.values[:250]
    wanted = (plain.signal.values - part.mean(0)) / part.std(0)
    assert np.allclose(made.signal, wanted)
    changed = plain.copy(deep=True)
    changed["signal"][250:] *= 100.0
    again = zscore(changed, train=(0.0, 5.0))
    assert np.array_equal(again.signal[:250], made.signal[:250])
    mask = plain.time.values < 5.0
    assert np.array_equal(zscore(plain, train=mask).signal, made.signal)


def test_zscore_units_keep_the_contract(eeg, plain):
    assert zscore(plain).signal.attrs["units"] == "zscore"
    scaled = zscore(eeg)
    assert scaled.signal.attrs["units"] == "1"
    check(scaled, values=True)


def test_zscore_leaves_bad_samples_out(eeg):
    made = zscore(eeg)
    good = made.signal.values[eeg.good.values]
    assert np.allclose(good.mean(0), 0.0, atol=1e-12)
    assert np.allclose(good.std(0), 1.0)


def test_zscore_of_a_constant_is_zero_and_named(plain):
    flat = plain.copy(deep=True)
    flat["signal"][:, 1] = 0.1
    with pytest.warns(DataWarning, match=r"1 constant \(b\)"):
        made = zscore(flat)
    assert np.allclose(made.signal[:, 1], 0.0, atol=1e-12)


def test_zscore_empty_training_part(plain):
    with pytest.raises(ParameterError, match="good samples"):
        zscore(plain, train=(100.0, 200.0))


def test_scale_matches_labels(plain):
    mean = plain.signal.mean("time")[::-1]
    made = scale(plain, mean, 1.0)
    assert np.allclose(made.signal.mean("time"), 0.0, atol=1e-12)
    with pytest.raises(ParameterError, match="none for"):
        scale(plain, mean[:1], 1.0)


@given(st.floats(1e-3, 1e3), st.floats(-100.0, 100.0))
def test_zscore_is_free_of_scale_and_offset(factor, offset):
    values = np.random.default_rng(0).normal(size=(50, 2))
    one, two = (
        zscore(from_array(v, "calcium", sampling_rate=1.0)).signal
        for v in (values, factor * values + offset)
    )
    assert np.allclose(one, two, atol=1e-6)


def test_scaler_pools_recordings_like_one(plain):
    parts = [plain.isel(time=slice(0, 100)), plain.isel(time=slice(100, 500))]
    scaler = Scaler().fit(parts)
    wanted = StandardScaler().fit(plain.signal.values)
    assert np.allclose(scaler.mean_, wanted.mean_)
    assert np.allclose(scaler.scale_, wanted.scale_)
    assert scaler.mean_.neuron.values.tolist() == ["a", "b"]


def test_scaler_returns_the_kind_it_is_given(plain):
    scaler = Scaler().fit(plain)
    whole = scaler.transform(plain)
    assert np.array_equal(scaler.transform(plain.signal), whole.signal)
    assert np.array_equal(scaler.transform([plain])[0].signal, whole.signal)
    many = scaler.transform(Recordings([plain]))
    assert isinstance(many, Recordings)
    assert np.array_equal(many[0].signal, whole.signal)
    wanted = Scaler().fit(plain.signal.values).transform(plain.signal.values)
    assert np.allclose(whole.signal, wanted)


def test_scaler_inverse(plain):
    scaler = Scaler().fit(plain)
    back = scaler.inverse_transform(scaler.transform(plain))
    assert np.allclose(back.signal, plain.signal)


def test_scaler_in_a_pipeline_keeps_labels(eeg):
    pipe = Pipeline(
        [
            ("band", FunctionTransformer(bandpass, kw_args={"low": 5, "high": 15})),
            ("scale", Scaler()),
        ]
    )
    made = clone(pipe).fit_transform([eeg])[0]
    assert made.channel.values.tolist() == ["Fz", "Cz", "Pz", "EOG1"]
    assert made.sizes["event"] == 5


def test_scaler_refuses_other_series(plain):
    scaler = Scaler().fit(pick(plain, ["a"]))
    with pytest.raises(ParameterError, match="new \\['b'\\]"):
        scaler.transform(plain)
    with pytest.raises(ParameterError, match="pick the common ones"):
        Scaler().fit([plain, pick(plain, ["b", "a"])])
    with pytest.raises(ShapeError):
        Scaler().fit(np.ones((3, 2)) * [[1], [2], [3]]).transform(np.ones((3, 1)))


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.DataWarning")
def test_scaler_passes_the_estimator_checks():
    check_estimator(Scaler())


def test_dff_by_percentile(plain):
    fluorescence = plain.assign(signal=plain.signal + 10.0)
    made = dff(fluorescence, percentile=10.0, window=None)
    floor = np.percentile(fluorescence.signal, 10, axis=0)
    assert np.allclose(made.signal, fluorescence.signal / floor - 1.0)
    assert made.signal.attrs["units"] == "dF/F"


def test_dff_running_baseline_follows_bleaching():
    t = np.arange(3000) / 10.0
    bleach = 100.0 * np.exp(-t / 200.0)
    rec = from_array(bleach[:, None], "calcium", sampling_rate=10.0)
    assert np.abs(dff(rec, baseline="median", window=20.0).signal).max() < 0.06
    assert np.abs(dff(rec, baseline="median", window=None).signal).max() > 0.5


def test_dff_is_free_of_scale(plain):
    bright = plain.assign(signal=plain.signal + 10.0)
    twice = bright.assign(signal=bright.signal * 2.0)
    assert np.allclose(dff(bright).signal, dff(twice).signal)


def test_dff_without_a_positive_baseline_is_missing_and_named(plain):
    dark = plain.assign(signal=plain.signal + np.array([10.0, -10.0]))
    with pytest.warns(DataWarning, match=r"0 or less in 1 \(b\)"):
        made = dff(dark)
    assert np.isnan(made.signal[:, 1]).all()
    assert np.isfinite(made.signal[:, 0]).all()


def test_dff_given_baseline(plain):
    floor = plain.signal[0] * 0 + 2.0
    assert np.allclose(dff(plain, baseline=floor).signal, plain.signal / 2.0 - 1.0)
