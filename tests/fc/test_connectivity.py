"""The transformer: kinds of input, labels, missing and constant regions, pipelines."""

import numpy as np
import pytest
import xarray as xr

import neuroana as na
from neuroana.core.errors import DataWarning, ParameterError, ShapeError
from neuroana.fc import Connectivity, Op, connectivity
from neuroana.fc.gathering import ConstantRoiError


def samples(n_time=80, n=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n_time, n))


def recording(n_time=80, names="abcd", seed=0, rate=2.0, **attrs):
    return na.from_array(samples(n_time, len(names), seed), "fmri", sampling_rate=rate,
                         units="1", names=list(names), attrs=attrs)  # fmt: skip


def test_one_recording_comes_back_as_one():
    w = connectivity(recording(subject="01"))
    assert w.dims == ("source", "target")
    assert w["source"].values.tolist() == list("abcd")
    assert str(w["subject"].values) == "01"


def test_unequal_lengths_keep_their_order():
    recs = [recording(n, seed=s) for s, n in enumerate((80, 60, 80, 70))]
    w = connectivity(recs)
    for rec, one in zip(recs, w):
        np.testing.assert_allclose(one, np.corrcoef(rec["signal"].T), atol=1e-12)


@pytest.mark.parametrize("modality", ["eeg", "ieeg", "fmri", "calcium", "spikes"])
def test_any_modality_goes_in(modality):
    x = np.abs(samples()) if modality == "spikes" else samples() * 1e-5
    rec = na.from_array(x, modality, sampling_rate=100.0)
    assert connectivity(rec).shape == (4, 4)


def test_small_memory_gives_the_same_in_more_batches():
    x = np.stack([samples(seed=s) for s in range(7)])
    few = Connectivity(["pearson", "partial"], memory_limit=20_000).fit_transform(x)
    many = Connectivity(["pearson", "partial"]).fit_transform(x)
    xr.testing.assert_allclose(few, many)


def test_several_operators_are_a_dataset_of_labelled_matrices():
    made = Connectivity(["pearson", Op("partial", estimator="oas")]).fit_transform(
        [recording(), recording(seed=1)]
    )
    assert list(made) == ["pearson", "partial(estimator=oas)"]
    assert made["pearson"].attrs["family"] == "correlation"


def test_tangent_learns_its_reference_in_fit():
    train, test = ([samples(seed=s) for s in r] for r in (range(4), range(4, 6)))
    model = Connectivity("tangent").fit(train)
    before = model.reference_.copy()
    alone = model.transform(test[:1])
    both = model.transform(test)
    np.testing.assert_allclose(alone[0], both[0], atol=1e-12)
    xr.testing.assert_identical(model.reference_, before)
    assert model.reference_.dims == ("operator", "source", "target")
    mean = model.transform(train).mean("recording")
    assert np.abs(mean).max() < 1e-4


def test_vectorised_logarithms_keep_distances():
    x = np.stack([samples(seed=s) for s in range(3)])
    rows = Connectivity("log_euclidean", vectorize=True).fit_transform(x)
    w = connectivity(x, "log_euclidean").values
    wanted = np.linalg.norm(w[0] - w[1])
    assert np.linalg.norm(rows[0] - rows[1]) == pytest.approx(wanted)
    assert rows.shape == (3, 10)


def test_vectorised_correlations_are_the_upper_triangle():
    x = np.stack([samples(seed=s) for s in range(3)])
    rows = Connectivity(["pearson", "chatterjee_xi"], vectorize=True).fit_transform(x)
    assert rows.shape[1] in (6 + 12, 6 + 16)
    np.testing.assert_allclose(rows[0, 0], np.corrcoef(x[0].T)[0, 1])


def test_transformer_works_in_a_grid_search():
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 60, 4))
    y = np.arange(24) % 2
    x[y == 1, :, 1] += x[y == 1, :, 0]
    model = make_pipeline(Connectivity("tangent", vectorize=True), RidgeClassifier())
    search = GridSearchCV(
        model, {"connectivity__operators": ["tangent", "noise"]}, cv=3
    )
    search.fit(x, y)
    assert search.best_params_["connectivity__operators"] == "tangent"
    assert search.best_score_ > 0.9


def test_saved_transformer_gives_the_same(tmp_path):
    x = [samples(seed=s) for s in range(4)]
    model = Connectivity([Op("tangent", estimator="oas"), "pearson"]).fit(x)
    again = na.load(model.save(tmp_path / "fc.nc"))
    xr.testing.assert_allclose(model.transform(x), again.transform(x))


def test_constant_region_is_marked_by_row_and_column():
    x = samples()
    x[:, 2] = 3.0
    with pytest.warns(DataWarning, match="never change"):
        w = connectivity([x, samples(seed=1)], "partial")
    assert np.isnan(w[0, 2]).all()
    assert np.isnan(w[0, :, 2]).all()
    keep = [0, 1, 3]
    alone = connectivity(x[:, keep], "partial")
    np.testing.assert_allclose(w[0].values[np.ix_(keep, keep)], alone, atol=1e-12)
    assert np.isfinite(w[1]).all()


@pytest.mark.parametrize("value", [0.1, np.nan])
def test_constant_or_empty_region_is_an_error_where_asked(value):
    rec = recording(subject="07")
    rec["signal"][:, 1] = value
    with pytest.raises(ConstantRoiError, match=r"sub-07.*'b'"):
        connectivity(rec, constant="error")


def test_missing_samples_are_counted_and_refused():
    x = samples()
    x[3:6, 1] = np.nan
    with pytest.raises(ParameterError, match="3 of 320"):
        connectivity(x)


def test_missing_samples_are_omitted_where_order_does_not_matter():
    x = samples()
    x[3:6, 1] = np.nan
    w = connectivity(x, "spearman", nan="omit")
    np.testing.assert_allclose(w, connectivity(np.delete(x, [3, 4, 5], 0), "spearman"))
    with pytest.raises(ParameterError, match="order"):
        connectivity(x, "diff_corr", nan="omit")


def test_missing_samples_go_pair_by_pair_where_declared():
    x = samples()
    x[3:6, 1] = np.nan
    w = connectivity(x, nan="pairwise")
    assert w[0, 2] == pytest.approx(np.corrcoef(x[:, 0], x[:, 2])[0, 1])
    with pytest.raises(ParameterError, match="pairwise"):
        connectivity(x, "spearman", nan="pairwise")


def test_bad_samples_count_as_missing():
    rec = recording().assign_coords(good=("time", np.arange(80) > 3))
    with pytest.raises(ParameterError, match="bad"):
        connectivity(rec)
    w = connectivity(rec, nan="omit")
    np.testing.assert_allclose(w, np.corrcoef(rec["signal"][4:].T), atol=1e-12)


def test_infinite_samples_are_refused():
    x = samples()
    x[0, 0] = np.inf
    with pytest.raises(ParameterError, match="infinite"):
        connectivity(x)


def test_different_regions_are_matched_by_name():
    first, second = recording(names="abcd"), recording(names="dxba", seed=1)
    with pytest.warns(DataWarning, match="3 that all share"):
        w = connectivity([first, second])
    assert w["source"].values.tolist() == list("abd")
    r = np.corrcoef(second["signal"].sel(roi=["a", "b", "d"]).T)
    np.testing.assert_allclose(w[1], r, atol=1e-12)


def test_different_numbers_without_names_are_refused():
    with pytest.raises(ShapeError, match="without names"):
        connectivity([samples(), samples(n=5)])


def test_transform_matches_regions_of_fit():
    model = Connectivity("tangent").fit([recording(seed=s) for s in range(3)])
    turned = recording(seed=9).isel(roi=[3, 1, 0, 2])
    np.testing.assert_allclose(model.transform(turned),
                               model.transform(recording(seed=9)))  # fmt: skip
    with pytest.raises(ShapeError, match="without"):
        model.transform(recording(names="abc"))


def test_turned_array_without_labels_warns():
    with pytest.warns(DataWarning, match=r"\(time, roi\)"):
        connectivity(samples(3, 20))


def test_standardising_is_for_all_but_covariances():
    x = samples() * [1, 10, 100, 1000]
    np.testing.assert_allclose(connectivity(x, "covariance"), np.cov(x.T))
    z = connectivity(x, "covariance", standardize="zscore", ddof=0)
    np.testing.assert_allclose(z, np.corrcoef(x.T), atol=1e-12)
    raw = connectivity(x, "partial", standardize=None)
    assert np.abs(raw - connectivity(x, "partial")).max() > 1e-3


def test_two_rates_go_together_where_the_rate_does_not_matter():
    recs = [recording(rate=2.0), recording(rate=1.5, seed=1)]
    assert connectivity(recs).shape == (2, 4, 4)


def test_whole_numbers_are_counted_as_numbers():
    x = (samples() * 1000).astype(np.int16)
    np.testing.assert_allclose(connectivity(x), np.corrcoef(x.T), atol=1e-12)


@pytest.mark.parametrize("bad", ["2XB", -1, True, "GB"])
def test_memory_limit_that_is_no_size_is_refused(bad):
    with pytest.raises(ParameterError, match="memory_limit"):
        Connectivity(memory_limit=bad).fit(samples())


@pytest.mark.realdata
def test_adults_at_two_rates_with_a_constant_region(adults):
    broken = [a.copy(deep=True) for a in adults[:3]]
    broken[0]["signal"][:, 5] = 0.0
    with pytest.warns(DataWarning, match="never change"):
        w = connectivity(broken, "partial")
    assert w.shape == (3, 200, 200)
    assert int(np.isnan(w[0]).all("target").sum()) >= 1
    assert (w[1].notnull().sum() > 190**2).item()
