import functools
from itertools import pairwise

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.eeg2fmri import (
    BandPowerRidge,
    EEGToFMRI,
    SpectralConvNet,
    as_windows,
    gradient_attribution,
    pattern_attribution,
    permutation_attribution,
    refit_attribution,
    simulate_eeg_fmri,
)
from neuroana.eeg2fmri.attribution import covariances, shift
from neuroana.eeg2fmri.network_attribution import in_band, integrated, unseen
from neuroana.eeg2fmri.ridge import ridge
from neuroana.learn.splits import LeakageError


CHANNELS = ("FZ", "CZ", "C3", "OZ", "O1", "O2")
OCCIPITAL = {"OZ", "O1", "O2"}


@functools.cache
def study():
    runs, _ = simulate_eeg_fmri(
        10, n_volumes=450, channels=CHANNELS, null_regions=1, random_state=0
    )
    return as_windows(runs[:7]), as_windows(runs[7:])


@functools.cache
def pattern():
    return pattern_attribution(*study(), n_shifts=99)


def peak(found, roi):
    values = np.abs(found.sel(roi=roi))
    at = values.argmax(("channel", "band", "lag"))
    return [found[k].values[int(v)] for k, v in at.items()]


def test_pattern_attribution_of_an_alpha_region_peaks_where_the_source_is():
    channel, band, lag = peak(pattern(), "alpha")
    assert channel in OCCIPITAL
    assert band == "alpha"
    assert abs(lag - 5.5) <= 1.5


def test_pattern_attribution_of_a_mu_region_peaks_over_the_motor_cortex():
    channel, band, lag = peak(pattern(), "mu")
    assert (channel, band) == ("C3", "alpha")
    assert abs(lag - 5.5) <= 1.5


def test_pattern_attribution_gives_none_for_regions_that_are_not_predicted():
    for roi in ("signflip", "null1"):
        part = pattern().sel(roi=roi)
        assert not part["predicted"]
        assert np.isnan(part).all()


def test_pattern_attribution_clears_channels_without_the_source():
    p = pattern()["p"].sel(roi="alpha")
    assert p.sel(channel="OZ", band="alpha").min() < 0.05
    assert (p.sel(channel=["FZ", "C3"]) > 0.05).all()


def test_pattern_attribution_refuses_runs_that_trained_the_model():
    train, _ = study()
    with pytest.raises(LeakageError):
        pattern_attribution(train, train, n_shifts=5)


def test_covariances_are_those_of_the_ridge():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((60, 7)), rng.standard_normal((60, 2))
    w, b, _ = ridge(X, Y, [], [3.0])
    made = X @ w + b
    expected = (X - X.mean(0)).T @ (made - made.mean(0)) / 60
    np.testing.assert_allclose(covariances(X, Y, np.full(2, 3.0)), expected, atol=1e-10)


def test_shift_turns_every_run_within_itself():
    _, test = study()
    made = shift(test.y, test, np.random.default_rng(0))
    for _, at in test.by_run():
        assert not np.array_equal(made[at], test.y[at])
        np.testing.assert_array_equal(np.sort(made[at], 0), np.sort(test.y[at], 0))


@functools.cache
def refits():
    return refit_attribution(*study(), n_shifts=39)


def test_refit_attribution_finds_channels_that_predict_alone():
    found = refits()
    only = found["only_channel"]
    whole = float(found["r"].sel(roi="alpha"))
    for name in OCCIPITAL:
        assert only.sel(roi="alpha", channel=name) > 0.8 * whole
    assert only.sel(roi="alpha", channel=["FZ", "CZ", "C3"]).max() < 0.25
    assert found["p_only_channel"].sel(roi="alpha", channel="OZ") <= 0.05
    assert only.sel(roi="mu").idxmax() in ("C3", "CZ")
    assert found["only_band"].sel(roi="mu", band="alpha") > 0.35
    assert np.isnan(only.sel(roi="signflip")).all()


def test_refit_attribution_shows_that_dropping_costs_little():
    found = refits()
    lost = found["r"] - found["drop_channel"]
    assert lost.sel(roi="alpha").max() < 0.1  # neighbours carry the same


def test_permutation_attribution_of_a_ridge_falls_with_its_source():
    train, test = study()
    model = BandPowerRidge().fit(train)
    found = permutation_attribution(model, test[test.run == 0], n_shifts=39)
    fall = found["fall_channel"].sel(roi="alpha")
    assert str(fall.idxmax().values) in OCCIPITAL
    assert found["fall_band"].sel(roi="mu").idxmax() == "alpha"
    assert abs(float(found["fall_lag"].sel(roi="alpha").idxmax()) - 5.5) <= 1.5
    assert found["p_fall_band"].sel(roi="alpha", band="alpha") <= 0.05
    assert np.isnan(found["fall_lag"].sel(roi="null1")).all()


def test_in_band_parts_add_up_to_the_window():
    x = np.random.default_rng(0).standard_normal((2, 3, 400)).astype(np.float32)
    edges = [0.0, 8.0, 13.0, 101.0]
    total = sum(in_band(x, a, b) for a, b in pairwise(edges))
    np.testing.assert_allclose(total, x, atol=1e-5)


@functools.cache
def network():
    runs, _ = simulate_eeg_fmri(
        3, n_volumes=60, channels=("FZ", "CZ", "C3", "OZ"), random_state=0
    )
    model = EEGToFMRI.small(dim=16, depth=1, epochs=1, random_state=0)
    return model.fit(runs[:2]), runs[2:]


def test_integrated_gradients_add_up_to_the_prediction():
    import torch

    model, runs = network()
    windows = unseen(model, runs)[:2]
    limits = {"low": (0.0, 13.0), "high": (13.0, 45.0)}
    cells, rest, made = integrated(model, windows, limits, 16, [0, 2])
    batch = model._batches(windows, None)
    (x, *tables), _ = batch.batch(np.arange(2))
    with torch.no_grad():
        empty = model.network()(x * 1e-6, *tables)[:, [0, 2]].T.numpy()
    np.testing.assert_allclose(
        cells.sum((2, 3, 4)) + rest, made - empty, rtol=0.03, atol=1e-6
    )


def test_gradient_attribution_gives_none_for_regions_that_are_not_predicted():
    model, runs = network()
    found = gradient_attribution(model, runs, n_steps=1, every=8, n_shifts=9)
    assert found.dims == ("roi", "channel", "band", "lag")
    assert np.isnan(found.where(~found["predicted"])).all()


def test_gradient_attribution_refuses_models_on_features():
    train, test = study()
    with pytest.raises(ParameterError, match="permutation_attribution"):
        gradient_attribution(BandPowerRidge().fit(train), test)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_permutation_attribution_explains_a_sign_that_follows_another_band():
    """The convolutional net sees theta change the sign of alpha; a ridge cannot."""
    runs, _ = simulate_eeg_fmri(18, channels=CHANNELS, random_state=1)
    train, test = as_windows(runs[:16]), as_windows(runs[16:])
    model = SpectralConvNet(random_state=0).fit(train)
    found = permutation_attribution(model, test, n_shifts=99)
    assert bool(found["predicted"].sel(roi="signflip"))
    fall = found["fall_channel"].sel(roi="signflip")
    assert str(fall.idxmax().values) in OCCIPITAL | {"FZ"}
    assert found["fall_band"].sel(roi="signflip").idxmax() in ("theta", "alpha")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_gradient_attribution_of_a_trained_network_finds_the_alpha_source():
    runs, _ = simulate_eeg_fmri(12, channels=("FZ", "CZ", "C3", "OZ"), random_state=0)
    model = EEGToFMRI.small(
        dim=32, depth=2, n_heads=4, n_scales=4, epochs=6, monitor="val_r",
        weight_decay=0.1, random_state=0,
    )  # fmt: skip
    model.fit(as_windows(runs[:10]))
    found = gradient_attribution(model, runs[10:], n_steps=4, every=4, n_shifts=99)
    assert bool(found["predicted"].sel(roi="alpha"))
    shares = found.sel(roi="alpha")
    assert str(shares.sum(("band", "lag")).idxmax().values) == "OZ"
    assert shares.sum(("channel", "lag")).idxmax() == "alpha"
    assert abs(float(shares.sum(("channel", "band")).idxmax()) - 5.5) <= 2.5
