"""Spectral, phase and envelope operators beside other libraries and known truths."""

import numpy as np
import pytest

import neuroana as na
from neuroana.core.errors import DataWarning, ParameterError
from neuroana.fc import phase
from neuroana.fc.registry import find


LOWER = np.tril(np.ones((6, 6), bool), -1)
OFF = ~np.eye(6, dtype=bool)
NAMES = {
    "coherence": "coh", "coherency": "cohy", "imcoh": "imcoh", "plv": "plv",
    "ciplv": "ciplv", "ppc": "ppc", "pli": "pli", "pli2_unbiased": "pli2_unbiased",
    "dpli": "dpli", "wpli": "wpli", "wpli2_debiased": "wpli2_debiased",
}  # fmt: skip
EPOCHS = {"fs": 1.0, "segment_samples": 40, "overlap": 0.0, "band": (0.05, 0.45)}


@pytest.mark.parametrize("method", ["fourier", "multitaper"])
@pytest.mark.parametrize("name", NAMES)
def test_operator_equals_mne(oracle, x, name, method):
    options = {"magnitude": True} if name == "coherence" else {}
    if method == "multitaper":
        options["bandwidth"] = 0.1
    w = find(name)(x, method=method, average=None, **EPOCHS, **options)
    wanted = oracle[f"{NAMES[name]}_{method}_10x40__mne_connectivity"].real
    np.testing.assert_allclose(np.moveaxis(w, 0, -1)[LOWER], wanted[LOWER], atol=1e-9)


def test_phase_slope_index_equals_mne_and_says_who_leads(oracle, x):
    w = find("psi")(x, method="fourier", **{**EPOCHS, "band": (0.06, 0.44)})
    wanted = oracle["psi_fourier_10x40__mne_connectivity"]
    np.testing.assert_allclose(w[LOWER], wanted[LOWER], atol=1e-9)
    np.testing.assert_allclose(w, -w.T, atol=1e-12)
    assert w[0, 1] > 0


def test_coherence_equals_welch(oracle, x):
    w = find("coherence")(x, fs=1.0, average=None, band=(0.0, 0.5))
    wanted = oracle["coherence_welch64__scipy"][..., 1:]
    np.testing.assert_allclose(np.moveaxis(w, 0, -1), wanted, atol=1e-9)


def test_phase_is_that_of_welch_cross_spectra(oracle, x):
    w = find("coherence_phase")(x, fs=1.0, average=None)
    wanted = np.angle(oracle["csd_welch64__scipy"][..., 1:-1].conj())
    np.testing.assert_allclose(np.moveaxis(w, 0, -1)[OFF], wanted[OFF], atol=1e-8)


@pytest.mark.parametrize(("orth", "absolute"), [(False, True), (True, True),
                                                (True, False)])  # fmt: skip
@pytest.mark.parametrize("log", [False, True])
def test_envelopes_equal_mne(oracle, x, orth, log, absolute):
    options = {"absolute": absolute} if orth else {}
    w = find("aec_orth" if orth else "aec")(x, log=log, **options)
    key = f"envelope_correlation_orth{orth}_log{log}_abs{absolute}__mne_connectivity"
    np.testing.assert_allclose(w[OFF], oracle[key][OFF], atol=1e-10)


def test_delay_of_a_copy_is_found_in_seconds():
    rng = np.random.default_rng(0)
    s = rng.normal(size=2003)
    x = np.stack([s[3:], s[:-3]], axis=1) + 0.1 * rng.normal(size=(2000, 2))
    delay = find("group_delay")(x, fs=10.0, segment_samples=100)
    assert delay[0, 1] == pytest.approx(0.3, abs=0.01)
    for name, middle in (("psi", 0.0), ("imcoh", 0.0), ("dpli", 0.5)):
        w = find(name)(x, fs=10.0, segment_samples=100, band=(0.2, 1.4))
        assert w[0, 1] > middle > w[1, 0] - 1e-12


def test_instant_mixing_gives_no_lagged_phase():
    rng = np.random.default_rng(0)
    s = rng.normal(size=(4000, 1))
    x = s + 0.5 * rng.normal(size=(4000, 3))
    off = ~np.eye(3, dtype=bool)
    assert find("coherence")(x, fs=1.0)[off].min() > 0.5
    for name in ("imcoh", "ciplv", "pli", "wpli2_debiased", "pli2_unbiased"):
        assert np.abs(find(name)(x, fs=1.0)[off]).max() < 0.15


@pytest.mark.parametrize("name", ["ppc", "pli2_unbiased", "wpli2_debiased"])
def test_unbiased_measures_of_noise_have_mean_zero(name):
    x = np.random.default_rng(1).normal(size=(30, 400, 5))
    w = find(name)(x, fs=1.0, segment_samples=40, overlap=0.0, method="fourier")
    pairs = w[:, *np.triu_indices(5, 1)].mean(axis=1)
    assert abs(pairs.mean()) < 2 * pairs.std() / np.sqrt(len(pairs))


def test_blocks_of_frequencies_do_not_matter(x, monkeypatch):
    whole = find("wpli")(x, fs=1.0)
    monkeypatch.setattr(phase, "ROOM", 500)
    np.testing.assert_array_equal(find("wpli")(x, fs=1.0), whole)


def test_one_segment_takes_its_tapers_as_estimates(x):
    w = find("plv")(x, fs=1.0, segment_samples=400, method="multitaper")
    assert w[OFF].max() < 1.0


def test_frequencies_are_labelled_and_the_rate_comes_with_the_recording(x):
    rec = na.from_array(x, "eeg", sampling_rate=100.0, units="1")
    w = na.fc.connectivity(rec, "coherence", average=None, band=(8, 30))
    assert w.dims == ("freq", "source", "target")
    assert 8 <= w["freq"].min() <= w["freq"].max() <= 30


def test_spectrum_without_a_rate_is_refused(x):
    with pytest.raises(ParameterError, match="sampling rate"):
        na.fc.connectivity(x, "coherence")


@pytest.mark.parametrize("band", [(0.1, 0.7), (0.3, 0.1), (-1, 0.2)])
def test_band_outside_the_recording_is_refused(x, band):
    with pytest.raises(ParameterError, match="half the sampling rate"):
        find("coherence")(x, fs=1.0, band=band)


def test_narrow_band_warns_and_an_empty_one_is_refused(x):
    with pytest.warns(DataWarning, match="Only 1 freq"):
        find("coherence")(x, fs=1.0, band=(0.15, 0.16))
    with (
        pytest.warns(DataWarning, match="Only 0 freq"),
        pytest.raises(ParameterError, match="longer segments"),
    ):
        find("coherence")(x, fs=1.0, band=(0.151, 0.152))


def test_single_segment_with_one_window_is_refused(x):
    with pytest.raises(ParameterError, match="two segments"):
        find("coherence")(x, fs=1.0, segment_samples=400)
