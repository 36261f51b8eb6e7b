"""Classical models: one interface, known answers on the simulator, no leak."""

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

import neuroana as na
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.estimator import encode
from neuroana.eeg2fmri import (
    AlphaRegressor,
    BandPowerRidge,
    GlobalOnly,
    KernelRidge,
    LaggedSpectralRidge,
    MeanPredictor,
    NearestNeighbour,
    SpectrogramRidge,
    as_windows,
    simulate_eeg_fmri,
)
from neuroana.eeg2fmri.features import (
    BANDS,
    FRAME,
    band_frames,
    last_frame,
    response_power,
)
from neuroana.eeg2fmri.ridge import ridge
from neuroana.eeg2fmri.scores import correlation, fisher_mean
from neuroana.learn import BlockedGapKFold, LeaveSubjectsOut
from neuroana.learn.splits import LeakageError


CHANNELS = ("OZ", "O1", "CZ", "C3", "FZ")
MODELS = [
    BandPowerRidge(),
    LaggedSpectralRidge(),
    LaggedSpectralRidge(n_lags=4, penalty="elasticnet"),
    LaggedSpectralRidge(n_lags=4, penalty="sparse_group_lasso"),
    SpectrogramRidge(n_bins=20),
    KernelRidge(),
    KernelRidge(max_windows=10),
    NearestNeighbour(),
    GlobalOnly(),
    AlphaRegressor(),
    MeanPredictor(),
]
NAMES = [f"{type(m).__name__}{i}" for i, m in enumerate(MODELS)]


@pytest.fixture(scope="module")
def few():
    return simulate_eeg_fmri(3, n_volumes=120, channels=CHANNELS, random_state=1)[0]


@pytest.fixture(scope="module")
def many():
    runs, truth = simulate_eeg_fmri(
        14, channels=CHANNELS, null_regions=1, random_state=0
    )
    windows = as_windows(runs)
    return windows[windows.run < 10], windows[windows.run >= 10], truth


def scores_of(model, train, test):
    p, y = model.fit(train).predict(test), test.y
    r = [correlation(p[at], y[at]) for _, at in test.by_run()]
    return dict(zip(test.rois, [fisher_mean(column) for column in np.array(r).T]))


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_every_model_labels_saves_and_loads(model, few, tmp_path):
    fitted = clone(model).fit(few[:2])
    p = fitted.predict(few[2])
    assert p.dims == ("time", "roi")
    assert p.roi.values.tolist() == ["alpha", "difference", "signflip", "mu"]
    assert p.time.values == pytest.approx(few[2]["bold"].time.values[8:])
    assert p.attrs["subject"] == "03"
    assert isinstance(fitted.predict(few[2:]), list)
    again = na.load(fitted.save(tmp_path / "model.nc"))
    xr.testing.assert_identical(again.predict(few[2]), p)
    assert encode(again.get_params()) == encode(fitted.get_params())


@pytest.mark.parametrize("model", MODELS[:-1], ids=NAMES[:-1])
def test_channels_are_found_by_name(model, few):
    fitted = clone(model).fit(few[:2])
    eeg = few[2]["eeg"].to_dataset().isel(channel=[3, 0, 4, 2, 1])
    mixed = xr.DataTree.from_dict({"/eeg": eeg, "/bold": few[2]["bold"].to_dataset()})
    assert fitted.predict(mixed).values == pytest.approx(
        fitted.predict(few[2]).values, abs=1e-4
    )
    lost = xr.DataTree.from_dict(
        {"/eeg": eeg.isel(channel=[0, 1]), "/bold": few[2]["bold"].to_dataset()}
    )
    with pytest.raises(SchemaError, match=r"OZ|O1|CZ"):
        fitted.predict(lost)


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_missing_targets_do_not_count_and_test_values_change_nothing(model, few):
    runs = [few[0].copy(), few[1]]
    holes = runs[0]["bold"].to_dataset().copy(deep=True)
    holes["signal"][30:40, 1] = np.nan
    runs[0] = xr.DataTree.from_dict(
        {"/eeg": few[0]["eeg"].to_dataset(), "/bold": holes}
    )
    p = clone(model).fit(runs).predict(few[2])
    assert np.isfinite(p).all()
    other = few[2].copy()
    bold = other["bold"].to_dataset().copy(deep=True)
    bold["signal"] = bold["signal"] * 7.0 + 3.0
    other = xr.DataTree.from_dict({"/eeg": few[2]["eeg"].to_dataset(), "/bold": bold})
    again = clone(model).fit(runs).predict(other)
    assert (again.values == p.values).all()


def test_linear_models_reach_the_ceiling_but_not_the_sign_flip(many):
    train, test, truth = many
    ceiling = float(truth.ceiling[0])
    r = scores_of(BandPowerRidge(), train, test)
    assert min(r["alpha"], r["difference"], r["mu"]) > 0.85 * ceiling
    assert abs(r["signflip"]) < 0.12
    assert abs(r["null1"]) < 0.1
    lagged = scores_of(LaggedSpectralRidge(log=False), train, test)
    assert abs(lagged["signflip"]) < 0.12
    assert min(lagged["alpha"], lagged["mu"]) > 0.75 * ceiling


def test_occipital_alpha_explains_its_region_alone(many):
    train, test, _ = many
    r = scores_of(AlphaRegressor(), train, test)
    assert r["alpha"] > 0.5
    assert abs(r["mu"]) < 0.15


def test_a_model_that_is_not_linear_finds_the_sign_flip(many):
    train, test, _ = many
    train = train[train.run < 6]
    r = scores_of(KernelRidge(max_windows=5000, alphas=[10.0]), train, test)
    assert r["signflip"] > 0.2
    assert abs(r["null1"]) < 0.1


def test_the_global_model_gives_every_region_one_course(few):
    p = GlobalOnly().fit(few[:2]).predict(few[2]).values
    r = np.corrcoef(p.T)
    assert np.abs(r) == pytest.approx(1.0, abs=1e-6)


def test_many_regions_equal_one_ridge_a_region(few):
    windows = as_windows(few)
    together = BandPowerRidge().fit(windows)
    alone = BandPowerRidge().fit(windows, windows.y[:, [2]])
    assert alone.coef_.values[0] == pytest.approx(together.coef_.values[2], abs=1e-8)


def test_ridge_is_the_textbook_solution():
    rng = np.random.default_rng(0)
    for p in (4, 60):
        X, Y = rng.standard_normal((40, p)), rng.standard_normal((40, 2))
        Y[3, 1] = np.nan
        coef, intercept, _ = ridge(X, Y, [], [3.0])
        rows = np.arange(40) != 3
        A = X[rows] - X[rows].mean(0)
        y = Y[rows, 1] - Y[rows, 1].mean()
        w = np.linalg.solve(A.T @ A + 3.0 * np.eye(p), A.T @ y)
        assert coef[:, 1] == pytest.approx(w)
        assert intercept[1] == pytest.approx(Y[rows, 1].mean() - X[rows].mean(0) @ w)


def test_features_end_before_the_volume(few):
    windows = as_windows(few[0])
    before = response_power(windows, BANDS, delays=[0.0])
    run = few[0].copy(deep=True)
    cut = int(windows.starts[50]) + 3200
    run["eeg"]["signal"].values[cut:] *= 5
    after = response_power(as_windows(run), BANDS, delays=[0.0])
    assert (before[:51] == after[:51]).all()
    assert not (before[51:] == after[51:]).all()


def test_band_power_of_a_sine_stands_in_its_band():
    t = np.arange(8000) / 200
    X = np.zeros((2, 4, 3200))
    X[:] = 1e-5 * np.sin(2 * np.pi * 10 * t[:3200]) + 1e-9
    windows = as_windows(X, np.zeros(2), channel_names=["C3", "CZ", "OZ", "PZ"])
    frames = band_frames(windows.runs[0], BANDS)
    at = last_frame(windows, np.arange(2), FRAME)
    assert frames[at, 0].argmax(axis=-1).tolist() == [2, 2]
    assert frames[at, 0, 2] == pytest.approx(50.0, rel=0.05)  # microvolt^2, a^2 / 2


def test_patterns_peak_where_the_truth_is(many):
    train, _, truth = many
    model = LaggedSpectralRidge(log=False).fit(train)
    for region, channels in (("alpha", ("OZ", "O1")), ("mu", ("C3",))):
        pattern = np.abs(model.pattern_.sel(roi=region))
        c, b, lag = np.unravel_index(pattern.values.argmax(), pattern.shape)
        assert pattern.channel.values[c] in channels
        assert pattern.band.values[b] == "alpha"
        assert 4 <= pattern.lag.values[lag] <= 7
    assert truth.electrode.values[0] == "OZ"


def test_scikit_learn_searches_and_cross_validates(few):
    windows = as_windows(few)
    groups = windows.groups()
    search = GridSearchCV(
        BandPowerRidge(alphas=[1e4]), {"log": [False, True]}, cv=LeaveSubjectsOut(3)
    ).fit(windows, windows.y, groups=groups)
    assert set(search.best_params_) == {"log"}
    r = cross_val_score(
        BandPowerRidge(alphas=[1e4]), windows, windows.y, cv=BlockedGapKFold(2)
    )
    assert len(r) == 2
    assert np.isfinite(r).all()


def test_validation_that_touches_training_is_refused_or_marked(few):
    windows = as_windows(few[0])
    with pytest.raises(LeakageError):
        BandPowerRidge().fit(windows[:60], validation=windows[60:])
    model = BandPowerRidge(allow_overlap=True)
    assert model.fit(windows[:60], validation=windows[60:]).leaky_
    assert not BandPowerRidge().fit(few[:2], validation=few[2]).leaky_
    with pytest.raises(LeakageError):
        BandPowerRidge().fit(few[:2]).refuse_seen(few[1])


def test_other_regions_are_refused_with_the_first_difference(few):
    model = BandPowerRidge().fit(few[:2])
    bold = few[2]["bold"].to_dataset().assign_coords(roi=["alpha", "mu", "x", "y"])
    run = xr.DataTree.from_dict({"/eeg": few[2]["eeg"].to_dataset(), "/bold": bold})
    with pytest.raises(SchemaError, match=r"\['difference'\] at 1"):
        model.predict(run)
    of_atlas = [r.copy() for r in few]
    for r, atlas in zip(of_atlas, ("one.nii", "one.nii", "two.nii")):
        r["bold"].attrs["atlas"] = atlas
    model = BandPowerRidge().fit(of_atlas[:2])
    with pytest.raises(SchemaError, match=r"atlas one\.nii"):
        model.predict(of_atlas[2])
    assert model.predict(few[2]).sizes["roi"] == 4


def test_eeg_alone_is_predicted_at_given_times(few):
    model = BandPowerRidge().fit(few[:2])
    times = few[2]["bold"].time.values
    alone = model.predict(few[2]["eeg"].to_dataset(), times=times)
    assert alone.values == pytest.approx(model.predict(few[2]).values)
    with pytest.raises(SchemaError, match="times="):
        model.predict(few[2]["eeg"].to_dataset())


def test_windows_as_an_array_give_an_array(few):
    windows = as_windows(few[0])
    X = np.stack([windows.runs[0].signal[s : s + 3200].T for s in windows.starts])
    names = list(windows.channels)
    model = BandPowerRidge().fit(X, windows.y, channel_names=names)
    p = model.predict(X)
    assert p.shape == (len(X), 4)
    assert np.isfinite(model.score(X, windows.y))


def test_impossible_arguments_are_named(few):
    for model, text in [
        (BandPowerRidge(bands={"a": (8.0, 7.0)}), "bands"),
        (BandPowerRidge(bands="all"), "default"),
        (BandPowerRidge(delays_s=(99.0,)), "delays_s"),
        (LaggedSpectralRidge(n_lags=0), "n_lags"),
        (LaggedSpectralRidge(penalty="lasso"), "penalty"),
        (SpectrogramRidge(n_bins=0), "n_bins"),
        (KernelRidge(gamma=-1.0), "gamma"),
    ]:
        with pytest.raises(ParameterError, match=text):
            model.fit(few[:1])
    with pytest.raises(SchemaError, match="OZ"):
        AlphaRegressor().fit(as_windows(few[0]).with_channels(["CZ", "C3", "FZ"]))


def test_a_course_is_not_that_of_another_person(many):
    train, test, _ = many
    p = BandPowerRidge().fit(train).predict(test)
    runs = dict(test.by_run())
    r = [correlation(p[runs[a]], test.y[runs[b]]) for a in runs for b in runs if a != b]
    assert np.abs(np.mean(r, axis=0)).max() < 0.1


def test_eeg_that_comes_a_minute_late_says_nothing(many):
    train, test, _ = many
    model = BandPowerRidge().fit(train)
    shifted = test._with(starts=test.starts + 60 * 200)
    shifted = shifted[shifted.starts + 3200 < 575 * 420]
    p, truth = model.predict(shifted), shifted.y
    r = [correlation(p[at], truth[at]) for _, at in shifted.by_run()]
    assert np.abs(np.mean(r, axis=0)).max() < 0.2
