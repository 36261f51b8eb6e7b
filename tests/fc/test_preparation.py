"""What is done before an operator: rates, trends, band, windows, refusals."""

import numpy as np
import pytest
import xarray as xr

import neuroana as na
from neuroana.core.errors import DataWarning, ParameterError, ShapeError
from neuroana.fc import Connectivity, Op, connectivity
from neuroana.fc.gathering import gather
from neuroana.fc.preparation import detrended, standardised


def samples(n_time=80, n=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n_time, n))


def recording(n_time=80, names="abcd", seed=0, rate=2.0, **attrs):
    return na.from_array(samples(n_time, len(names), seed), "fmri", sampling_rate=rate,
                         units="1", names=list(names), attrs=attrs)  # fmt: skip


# --- windows -------------------------------------------------------------------------


def test_windows_are_samples_with_their_recording_and_start():
    recs = [recording(80, subject="01"), recording(65, seed=1, subject="02")]
    w = Connectivity("pearson", window=15.0).fit_transform(recs)
    assert w.dims == ("sample", "source", "target")
    assert w["recording"].values.tolist() == ["sub-01"] * 2 + ["sub-02"] * 2
    assert w["subject"].values.tolist() == ["01", "01", "02", "02"]
    assert w["start"].values.tolist() == [0.0, 15.0, 0.0, 15.0]
    r = np.corrcoef(recs[1]["signal"][30:60].T)
    np.testing.assert_allclose(w[3], r, atol=1e-12)


def test_windows_in_samples_step_as_asked():
    w = Connectivity("pearson", window_volumes=40, step_volumes=20).fit_transform(
        samples()
    )
    assert w["start"].values.tolist() == [0.0, 20.0, 40.0]


def test_seconds_follow_the_rate_of_each_recording():
    recs = [recording(rate=2.0), recording(rate=1.0, seed=1)]
    w = Connectivity("pearson", window=20.0).fit_transform(recs)
    assert len(w) == 2 + 4


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"window": 50.0}, r"2 to 80 samples.*100"),
        ({"window": 10.0, "window_volumes": 20}, "one of both"),
        ({"step": 10.0}, "a window with it"),
        ({"window": -1.0}, "window"),
        ({"window_volumes": 2.5}, "window_volumes"),
    ],
)
def test_windows_that_do_not_fit_are_refused(options, match):
    with pytest.raises(ParameterError, match=match):
        Connectivity("pearson", **options).fit(recording())


def test_window_in_seconds_needs_a_rate():
    with pytest.raises(ParameterError, match="sampling rate"):
        Connectivity("pearson", window=10.0).fit(samples())
    w = Connectivity("pearson", window=10.0, sampling_rate=4.0).fit_transform(samples())
    assert len(w) == 2


# --- rates ---------------------------------------------------------------------------


def test_array_gets_its_rate_from_the_caller():
    w = connectivity(samples(), "coherence", sampling_rate=2.0, band=(0.1, 0.9))
    np.testing.assert_allclose(
        w, connectivity(recording(), "coherence", band=(0.1, 0.9))
    )
    with pytest.raises(ParameterError, match="sampling rate"):
        connectivity(samples(), "coherence")


def test_rate_that_contradicts_the_recording_is_refused():
    with pytest.raises(ParameterError, match="2 Hz"):
        connectivity(recording(), sampling_rate=3.0)


@pytest.mark.parametrize("name", ["coherence", "lagged_corr", "granger"])
def test_different_rates_are_refused_where_order_matters(name):
    recs = [recording(rate=2.0), recording(rate=1.5, seed=1)]
    with pytest.raises(ParameterError, match=r"1.5, 2.0"):
        connectivity(recs, name)
    w = connectivity(recs, name, per_site=True)
    np.testing.assert_allclose(w[1], connectivity(recs[1], name), equal_nan=True)


@pytest.mark.parametrize(("band", "match"), [((0.1, 1.5), "half the sampling rate"),
                                             ((0.5, 0.2), "low < high")])  # fmt: skip
def test_band_beyond_half_the_rate_is_refused(band, match):
    with pytest.raises(ParameterError, match=match):
        connectivity(recording(), "coherence", band=band)


def test_band_of_few_frequencies_warns_with_their_number():
    with pytest.warns(DataWarning, match="Only 1 freq"):
        connectivity(recording(), "coherence", band=(0.45, 0.55))


# --- trends and filters --------------------------------------------------------------


def test_line_is_taken_off():
    from scipy.signal import detrend

    x = samples() + np.linspace(0, 50, 80)[:, None]
    np.testing.assert_allclose(detrended(x), detrend(x, axis=0) + x.mean(0), atol=1e-9)
    w = connectivity(x, detrend="linear")
    np.testing.assert_allclose(w, np.corrcoef(detrend(x, axis=0).T), atol=1e-12)


def test_line_fits_the_samples_that_are_there():
    x = samples() * 0 + np.linspace(0, 50, 80)[:, None] * [1, 2, 3, 4]
    x[10:20, 1] = np.nan
    left = detrended(x)
    np.testing.assert_allclose(np.nanstd(left, axis=0), 0.0, atol=1e-9)
    assert np.isnan(left[10:20, 1]).all()


def test_band_leaves_slow_waves():
    t = np.arange(400) / 2.0
    slow, fast = np.sin(2 * np.pi * 0.05 * t), np.sin(2 * np.pi * 0.6 * t)
    x = np.stack([slow + 2 * fast, slow - 2 * fast, fast + 0.1 * slow], axis=1)
    rec = na.from_array(x, "fmri", sampling_rate=2.0, units="1")
    assert connectivity(rec)[0, 1] < -0.5
    w = Connectivity("pearson", band=(0.02, 0.1)).fit_transform(rec)
    assert w[0, 1] > 0.7


def test_band_across_missing_samples_is_refused():
    x = samples()
    x[3, 1] = np.nan
    with pytest.raises(ParameterError, match="1 of 320"):
        Connectivity("pearson", band=(0.1, 0.5), sampling_rate=2.0).fit(x)


@pytest.mark.parametrize("options", [{"detrend": "cubic"}, {"band": 3.0},
                                     {"on_error": "hide"}, {"dtype": "int8"},
                                     {"n_jobs": 0}, {"duplicates": "maybe"},
                                     {"time_limit": -1.0}])  # fmt: skip
def test_option_out_of_range_is_named(options):
    with pytest.raises(ParameterError, match=next(iter(options))):
        Connectivity("pearson", sampling_rate=2.0, **options).fit(samples())


def test_standardised_matches_with_and_without_missing_samples():
    x = samples()
    np.testing.assert_allclose(standardised(x)[:, 0].std(), 1.0)
    x[5, 0] = np.nan
    kept = np.delete(x[:, 0], 5)
    z = standardised(x)
    np.testing.assert_allclose(np.delete(z[:, 0], 5), (kept - kept.mean()) / kept.std())


# --- input ---------------------------------------------------------------------------


def test_copy_under_two_names_is_refused():
    recs = [recording(seed=s, subject=f"0{k}") for k, s in enumerate((0, 1, 0))]
    with pytest.raises(ShapeError, match=r"sub-00 and sub-02"):
        connectivity(recs)
    assert len(connectivity(recs, duplicates="allow")) == 3


def test_saturated_recorder_warns():
    x = np.clip(samples() * 20_000, -32768, 32767).astype(np.int16)
    n = int(((x == 32767) | (x == -32768)).sum())
    assert n > 0
    with pytest.warns(DataWarning, match=f"{n} of 320"):
        connectivity(x)


def test_half_precision_is_computed_in_double():
    x = samples().astype(np.float16)
    w = connectivity(x)
    assert w.dtype == np.float64
    np.testing.assert_allclose(w, np.corrcoef(x.astype(float).T), atol=1e-12)


def test_space_first_is_refused_where_dims_say_so():
    turned = xr.DataArray(samples().T, dims=("roi", "feature"))
    with pytest.raises(ShapeError, match="time, space"):
        connectivity(turned)


def test_space_first_with_time_named_is_turned():
    turned = xr.DataArray(samples().T, dims=("roi", "time"))
    np.testing.assert_allclose(connectivity(turned), np.corrcoef(samples().T))


def test_few_samples_for_an_autoregression_are_refused_with_both_numbers():
    with pytest.raises(ParameterError, match=r"4 p N = 32.*got 20"):
        connectivity(samples(20), "granger_conditional", order=2)


# --- output --------------------------------------------------------------------------


def test_shrinkage_is_that_of_scikit_learn():
    from sklearn.covariance import ledoit_wolf, oas

    x = [samples(seed=s) for s in range(3)]
    model = Connectivity(["partial", Op("oas"), "pearson"])
    model.fit(x)
    assert model.shrinkage_.dims == ("operator", "recording")
    assert model.shrinkage_["operator"].values.tolist() == ["partial", "oas"]
    for k, one in enumerate(x):
        z = (one - one.mean(0)) / one.std(0)
        assert float(model.shrinkage_[0, k]) == pytest.approx(ledoit_wolf(z)[1])
        assert float(model.shrinkage_[1, k]) == pytest.approx(oas(one)[1])


def test_matrices_carry_their_shrinkage():
    model = Connectivity("partial").fit([samples(seed=s) for s in range(3)])
    w = model.transform([samples(seed=7), samples(seed=8)])
    assert w["shrinkage"].dims == ("recording",)
    assert model.shrinkage_.sizes["recording"] == 3


def test_single_precision_is_a_rounded_result():
    x = samples()
    single = Connectivity("pearson", dtype="float32").fit_transform(x)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, connectivity(x), atol=1e-7)


@pytest.mark.parametrize("n_jobs", [2, 5])
def test_jobs_change_no_result(n_jobs):
    x = np.stack([samples(seed=s) for s in range(7)])
    ops = ["pearson", "tangent", "noise", "coherence"]
    one = Connectivity(ops, sampling_rate=1.0).fit_transform(x)
    many = Connectivity(ops, sampling_rate=1.0, n_jobs=n_jobs).fit_transform(x)
    xr.testing.assert_allclose(one, many, rtol=1e-12)


def test_refused_operator_is_recorded_beside_one_that_works():
    x = [samples(), samples(seed=1)]
    x[1][3, 0] = np.nan
    model = Connectivity(["pearson", "granger"], nan="omit", on_error="record")
    made = model.fit_transform(x)
    assert np.isnan(made["granger"]).all()
    assert np.isfinite(made["pearson"]).all()
    assert "order" in str(model.messages_.sel(operator="granger")[0].values)


def test_group_of_windows_keeps_its_recordings():
    assert gather(samples()).origin is None
