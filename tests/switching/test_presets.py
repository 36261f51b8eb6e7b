"""GaussianHMM, ARHMM and TDEHMM: thin, savable, and right about spectra."""

import inspect

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone

import neuroana as na
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.switching import (
    ARHMM,
    HMMGLM,
    TDEHMM,
    GaussianHMM,
    RawHistory,
    state_accuracy,
    state_covariance,
    state_spectra,
)
from neuroana.switching.tde_hmm import embed


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
RATE = 100.0


def rhythms(seed=0, n_seconds=60):
    """Two channels: 10 Hz in phase, or 22 Hz in opposite phase, two seconds each."""
    rng = np.random.default_rng(seed)
    n = int(n_seconds * RATE)
    time = np.arange(n) / RATE
    state = (time // 2).astype(int) % 2
    drift = np.cumsum(0.25 * rng.standard_normal(n))
    slow, fast = (np.sin(2 * np.pi * f * time + drift) for f in (10.0, 22.0))
    x = np.where(state[:, None], np.c_[fast, -fast], np.c_[slow, slow])
    x = x + 0.4 * rng.standard_normal((n, 2))
    rec = na.from_array(x, "eeg", sampling_rate=RATE, names=["O1", "O2"], units="1")
    return rec, state


def autoregression(n_bins=40_000, seed=0):
    """A vector autoregression of order two, its coefficients and covariance."""
    rng = np.random.default_rng(seed)
    w = np.array([[[0.5, -0.6], [0.2, 0.0]], [[0.0, 0.1], [0.3, 0.3]]])
    sigma = np.array([[1.0, 0.4], [0.4, 0.7]])
    e = rng.multivariate_normal([0, 0], sigma, n_bins)
    x = np.zeros((n_bins, 2))
    for t in range(2, n_bins):
        x[t] = w[:, :, 0] @ x[t - 1] + w[:, :, 1] @ x[t - 2] + e[t]
    return x, w, sigma


@pytest.mark.parametrize("preset", [GaussianHMM, ARHMM, TDEHMM])
def test_presets_have_every_parameter_of_the_model(preset):
    model = preset(3)

    for name in inspect.signature(HMMGLM).parameters:
        assert hasattr(model, name), name
    assert clone(model).get_params() == model.get_params()
    assert clone(model).set_params(n_states=4).n_states == 4


def test_lags_follow_their_parameter():
    assert ARHMM(2).set_params(n_lags=3).history == RawHistory(3)


def test_presets_are_the_model_with_the_same_settings():
    x, *_ = autoregression(2000)

    preset = ARHMM(1, 2).fit(x)
    plain = HMMGLM(1, "gaussian", history=RawHistory(2), covariance="full").fit(x)

    xr.testing.assert_identical(preset.coupling_, plain.coupling_)
    xr.testing.assert_identical(preset.noise_, plain.noise_)


def test_presets_come_back_from_a_file(tmp_path):
    rec, _ = rhythms(n_seconds=12)
    for model in (TDEHMM(2, 7, n_init=1, random_state=0), ARHMM(2, n_init=1)):
        model.fit(rec).save(tmp_path / "model.nc")

        again = na.load(tmp_path / "model.nc")

        assert type(again) is type(model)
        np.testing.assert_array_equal(again.predict(rec), model.predict(rec))


def test_autoregression_has_the_spectrum_of_its_process():
    x, w, sigma = autoregression()
    model = ARHMM(1, 2).fit(x)

    found = state_spectra(model, [0.05, 0.2, 0.4]).sel(state=0)

    for place, f in enumerate(found.freq.to_numpy()):
        phase = np.exp(-2j * np.pi * f * np.array([1, 2]))
        h = np.linalg.inv(np.eye(2) - w @ phase)
        s = 2 * h @ sigma @ h.conj().T
        np.testing.assert_allclose(found.psd[place], np.diag(s).real, rtol=0.1)
        coherence = abs(s[0, 1]) ** 2 / (s[0, 0] * s[1, 1]).real
        np.testing.assert_allclose(found.coherence[place, 0, 1], coherence, atol=0.03)


def test_spectra_integrate_to_the_variance():
    x, *_ = autoregression()
    model = ARHMM(1, 2).fit(x)

    psd = state_spectra(model, np.linspace(0, 0.5, 801)).psd.sel(state=0)
    covariance = state_covariance(model).sel(state=0)

    np.testing.assert_allclose(psd.integrate("freq"), np.diag(covariance), rtol=1e-3)
    np.testing.assert_allclose(covariance, np.cov(x.T), rtol=0.1)


def test_embedded_model_finds_rhythms_and_their_phase():
    rec, state = rhythms()
    model = TDEHMM(2, 15, n_init=3, random_state=0).fit(rec)

    path = model.predict(rec)
    assert path.sizes["time"] == rec.sizes["time"]
    assert state_accuracy(state, path) > 0.95
    fast = int(path.to_numpy()[state == 1].mean() > 0.5)
    spectra = state_spectra(model, np.arange(1.0, 50.0))
    peaks = spectra.psd.idxmax("freq")
    assert float(abs(peaks.sel(state=fast) - 22).max()) <= 3
    assert float(abs(peaks.sel(state=1 - fast) - 10).max()) <= 3
    assert float(spectra.psd.min()) > 0
    together = state_covariance(model).sel(channel="O1", source="O2")
    assert float(together.sel(state=1 - fast)) > 0.2
    assert float(together.sel(state=fast)) < -0.2


def test_embedded_spectrum_is_that_of_the_windowed_signal():
    x, w, sigma = autoregression()
    model = TDEHMM(1, 41, n_components=82).fit(x)

    found = state_spectra(model, [0.1, 0.3]).psd.sel(state=0)

    for place, f in enumerate((0.1, 0.3)):
        h = np.linalg.inv(np.eye(2) - w @ np.exp(-2j * np.pi * f * np.array([1, 2])))
        truth = np.diag(2 * h @ sigma @ h.conj().T).real
        np.testing.assert_allclose(found[place], truth, rtol=0.15)


def test_components_are_white_and_map_back():
    x, *_ = autoregression(4000)
    model = TDEHMM(1, 5, n_components=10).fit(x)

    s = model._components(na.core.sequences.as_sequences(x)).values[0]

    inner = s[np.isfinite(s).all(axis=1)]
    np.testing.assert_allclose(np.cov(inner.T, bias=True), np.eye(10), atol=5e-3)
    back = inner @ model.embedding_.to_numpy().reshape(10, 10).T
    wide = embed(x - model.embedding_mean_.to_numpy(), 5)[2:-2]
    np.testing.assert_allclose(back, wide, atol=1e-8)
    assert model.explained_variance_ratio_ == pytest.approx(1.0)


def test_windows_do_not_reach_over_missing_samples():
    x = np.arange(12.0)[:, None]
    x[6] = np.nan

    wide = embed(x, 3)

    lost = np.flatnonzero(np.isnan(wide).any(axis=1))
    assert lost.tolist() == [0, 5, 6, 7, 11]


def test_missing_samples_of_a_recording_count_for_nothing():
    rec, _ = rhythms(n_seconds=12)
    spoilt = rec.copy(deep=True)
    spoilt["signal"][300:320] = np.nan
    marked = rec.assign_coords(good=("time", np.ones(rec.sizes["time"], bool)))
    marked["good"][300:320] = False

    first, second = (
        TDEHMM(2, 5, n_init=1, random_state=0).fit(r) for r in (spoilt, marked)
    )

    np.testing.assert_allclose(first.noise_, second.noise_)
    assert first.n_missing_ == 4 * (4 + 24)


def test_embedding_refuses_what_it_cannot_do():
    rec, _ = rhythms(n_seconds=4)
    with pytest.raises(ParameterError, match="odd"):
        TDEHMM(2, 4).fit(rec)
    with pytest.raises(ParameterError, match="n_components"):
        TDEHMM(2, 3, n_components=7).fit(rec)
    flat = np.repeat(np.random.default_rng(0).standard_normal((200, 1)), 2, axis=1)
    with pytest.raises(SchemaError, match="average reference"):
        TDEHMM(2, 3).fit(flat)
    model = TDEHMM(1, 3).fit(rec)
    with pytest.raises(SchemaError, match="order the channels"):
        model.predict(rec.isel(channel=[1, 0]))


def test_spectra_need_lags_and_a_stable_process():
    x = np.random.default_rng(0).standard_normal((200, 2))
    with pytest.raises(ParameterError, match="ARHMM or TDEHMM"):
        state_spectra(GaussianHMM(1).fit(x))
    grown = np.cumsum(np.cumsum(x, axis=0), axis=0)
    with pytest.raises(ParameterError, match="spectral radius"):
        state_spectra(ARHMM(1, 2).fit(grown))
