"""The estimator: layouts, labels, recovery, and what is refused."""

import warnings

import numpy as np
import pytest
from scipy.optimize import approx_fprime

import neuroana as na
from neuroana.connectome import (
    DifferentialAffinity,
    NonNegativeCP,
    factor_match_score,
    simulate_motifs,
    simulate_tensor,
)
from neuroana.connectome.polish import gradient
from neuroana.connectome.products import DenseProducts, make_data
from neuroana.core.errors import FitWarning, ParameterError, SchemaError, ShapeError


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")


def factors(model, n=None):
    return [f.to_numpy()[:, :n] for f in (model.pair_, model.time_, model.animal_)]


def truth_of(truth):
    return [
        truth[k].to_numpy() for k in ("pair_factor", "time_factor", "animal_factor")
    ]


@pytest.fixture(scope="module")
def fitted(tensor):
    return NonNegativeCP(3, baseline=True, n_init=6, random_state=0).fit(tensor[0])


def test_baseline_takes_the_mean_of_rectified_noise(ncp):
    model = NonNegativeCP(5, baseline=True, n_init=8, dtype="float64", random_state=0)
    model.fit(ncp["X"])
    truth = [ncp["true_pair"], ncp["true_time"], ncp["true_animal"]]
    assert model.relative_error_ == pytest.approx(0.1728856, abs=1e-5)
    assert factor_match_score(factors(model, 5), truth) >= 0.995
    spread = model.pair_.sel(component="baseline")
    np.testing.assert_allclose(spread, spread[0])


def test_symmetric_fit_is_that_of_the_oracle(ncp):
    model = NonNegativeCP(5, "symmetric", n_init=8, dtype="float64", random_state=0)
    model.fit(ncp["Y"])
    wanted = ncp["sym_tensorly_rel_error"]
    assert model.relative_error_ == pytest.approx(wanted.min(), abs=1e-7)
    assert model.asymmetry_ < 1e-3
    i = model.pair_["source"].values
    j = model.pair_["target"].values
    product = model.neuron_.values[i] * model.neuron_.values[j]
    product /= np.linalg.norm(product, axis=0)
    np.testing.assert_allclose(model.pair_, product, atol=1e-9)


def test_symmetric_fit_of_pairs_leaves_the_diagonal_out(motifs):
    tensor = DifferentialAffinity().fit_transform(motifs[0])
    model = NonNegativeCP(4, "symmetric", n_init=3, random_state=0).fit(tensor)
    assert model.pair_.sizes["pair"] == 780
    assert model.neuron_.dims == ("neuron", "component")
    assert 0 < model.explained_variance_ < 1


def test_block_terms_explain_more_with_more_columns(motifs):
    tensor = DifferentialAffinity(stride=2).fit_transform(motifs[0])
    options = {"n_init": 2, "random_state": 0}
    found = [
        NonNegativeCP(2, "ll1", block_rank=n, **options).fit(tensor).explained_variance_
        for n in (1, 4)
    ]
    assert found[1] > found[0] + 0.02


def test_a_pair_that_no_animal_shows_is_missing_in_the_result(tensor):
    values = tensor[0].copy()
    values[5] = np.nan
    model = NonNegativeCP(3, n_init=2, random_state=0).fit(values)
    assert np.flatnonzero(np.isnan(model.pair_).all("component")).tolist()[:1] == [5]
    assert model.report_["n_pairs_never_observed"] >= 1


def test_scaling_the_data_scales_the_weights_only(tensor):
    options = {"n_init": 2, "random_state": 0, "dtype": "float64"}
    one = NonNegativeCP(3, **options).fit(tensor[0])
    two = NonNegativeCP(3, **options).fit(tensor[0] * 100.0)
    np.testing.assert_allclose(two.weights_, 100 * one.weights_, rtol=1e-5)
    np.testing.assert_allclose(two.pair_, one.pair_, rtol=1e-4, atol=1e-6)


def test_permuting_animals_permutes_their_loadings(tensor):
    order = [3, 1, 4, 0, 2]
    options = {"n_init": 6, "random_state": 0, "baseline": True}
    one = NonNegativeCP(3, **options).fit(tensor[0])
    two = NonNegativeCP(3, **options).fit(tensor[0][..., order])
    assert factor_match_score(
        [one.pair_.values, one.animal_.values[order]],
        [two.pair_.values, two.animal_.values],
    ) == pytest.approx(1.0, abs=1e-3)


def test_same_seed_gives_the_same_numbers(tensor):
    fits = [NonNegativeCP(3, n_init=2, random_state=5).fit(tensor[0]) for _ in "ab"]
    np.testing.assert_array_equal(fits[0].pair_, fits[1].pair_)


@pytest.mark.parametrize(
    ("noise_db", "missing", "least"),
    [
        (20, 0.0, 0.98),
        (10, 0.0, 0.90),
        (0, 0.0, 0.80),
        (20, 0.2, 0.98),
        (10, 0.2, 0.90),
    ],
)
def test_planted_factors_are_found(noise_db, missing, least):
    made, truth = simulate_tensor(
        30, 200, noise_db=noise_db, missing=missing, random_state=11 + noise_db
    )
    model = NonNegativeCP(5, baseline=True, n_init=5, random_state=0).fit(made)
    assert factor_match_score(factors(model, 5), truth_of(truth)) >= least


def test_a_new_animal_gets_its_time_courses(tensor, fitted):
    made = fitted.transform(tensor[0][..., 1:3])
    assert made.dims == ("time", "animal", "component")
    wanted = fitted.time_ * fitted.weights_ * fitted.animal_[1]
    gap = made[:, 0].to_numpy() - wanted.to_numpy()
    assert np.linalg.norm(gap) < 0.4 * np.linalg.norm(wanted)


def test_a_new_animal_is_matched_by_the_names_of_its_neurons(motifs):
    rec = motifs[0][0]
    model = NonNegativeCP(3, "concat", n_init=2, random_state=0)
    model.fit(DifferentialAffinity(layout="concat").fit_transform(rec))
    names = rec["neuron"].values
    there = model.transform(rec)
    back = model.transform(rec.sel(neuron=names[::-1]))
    np.testing.assert_allclose(there, back, rtol=1e-4, atol=1e-4)


def test_loadings_of_known_animals_come_back(tensor, fitted):
    found = fitted.animal_loadings(tensor[0])
    np.testing.assert_allclose(
        found / fitted.weights_.mean(), fitted.animal_ / fitted.weights_.mean(),
        rtol=0.15, atol=0.05,
    )  # fmt: skip


def test_score_of_the_training_data_is_near_its_explained_variance(tensor, fitted):
    free = fitted.score(tensor[0])
    assert fitted.explained_variance_ <= free + 1e-6
    assert free < 1


def test_core_consistency_falls_beyond_the_rank():
    rng = np.random.default_rng(0)
    made = np.einsum("pr,tr,wr->ptw", *(rng.random((n, 3)) for n in (45, 40, 6)))
    found = [
        NonNegativeCP(r, n_init=6, dtype="float64", random_state=0)
        .fit(made).core_consistency(made)
        for r in (3, 4)
    ]  # fmt: skip
    assert found[0] > 99
    assert found[1] < 80


def test_bootstrap_intervals_hold_the_fit(tensor, fitted):
    found = fitted.bootstrap(tensor[0], 30, random_state=0)
    low, high = found["weights"].to_numpy()
    assert (low <= high).all()
    inside = (found["time_course"][0] <= fitted.time_ + 1e-3) & (
        fitted.time_ - 1e-3 <= found["time_course"][1]
    )
    assert float(inside.mean()) > 0.8
    again = fitted.bootstrap(tensor[0], 30, random_state=0)
    np.testing.assert_array_equal(found["weights"], again["weights"])


def test_bootstrap_over_time_needs_no_second_animal(motifs):
    tensor = DifferentialAffinity(stride=4).fit_transform(motifs[0])
    model = NonNegativeCP(3, "single", n_init=2, random_state=0).fit(tensor)
    found = model.bootstrap(tensor, 6, unit="time-block", random_state=0)
    assert found["pair"].dims == ("bound", "pair", "component")
    with pytest.raises(ParameterError, match="time-block"):
        model.bootstrap(tensor, 6)


def test_gradient_of_the_masked_loss_is_that_of_differences():
    rng = np.random.default_rng(0)
    x = rng.random((6, 5, 3))
    x[2, :, 1] = np.nan
    products = DenseProducts(make_data(x, dtype="float64"))
    norm = float(products.squares()[0])
    shapes = [(2, 6), (2, 5), (2, 3)]
    theta = rng.random(28)

    def unpack(v):
        return [p.reshape(s) for p, s in zip(np.split(v, [12, 22]), shapes)]

    def value(v):
        return gradient(products, unpack(v), 0, norm)[0]

    slopes = np.concatenate([s.ravel() for s in gradient(products, unpack(theta), 0,
                                                         norm)[1]])  # fmt: skip
    np.testing.assert_allclose(slopes, approx_fprime(theta, value, 1e-7), atol=1e-4)


def test_polish_does_not_raise_the_error(tensor):
    options = {"n_init": 2, "random_state": 0, "dtype": "float64", "max_iter": 30}
    plain = NonNegativeCP(3, **options).fit(tensor[0]).relative_error_
    assert (
        NonNegativeCP(3, polish="lbfgs", **options).fit(tensor[0]).relative_error_
        <= plain + 1e-12
    )


def test_kullback_leibler_fits_counts():
    rng = np.random.default_rng(0)
    a, b, c = (
        rng.gamma(1, 1, (45, 2)),
        rng.gamma(1, 1, (40, 2)),
        rng.gamma(4, 1, (5, 2)),
    )
    counts = rng.poisson(np.einsum("pr,tr,wr->ptw", a, b, c)).astype(float)
    counts[3, :, 2] = np.nan
    model = NonNegativeCP(2, loss="kl", solver="mu", n_init=2, random_state=0,
                          dtype="float64").fit(counts)  # fmt: skip
    assert factor_match_score(factors(model), [a, b, c]) > 0.95


def test_smooth_time_courses_are_smoother(tensor):
    options = {"n_init": 2, "random_state": 0}
    rough, smooth = (
        NonNegativeCP(3, smooth_time=w, **options).fit(tensor[0]).time_.to_numpy()
        for w in (0.0, 30.0)
    )
    bent = [(np.diff(t, n=2, axis=0) ** 2).sum() for t in (rough, smooth)]
    assert bent[1] < 0.5 * bent[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_smooth_fits_converge(tensor, dtype):
    model = NonNegativeCP(3, n_init=1, smooth_time=1.0, dtype=dtype, random_state=0)
    assert model.fit(tensor[0]).converged_
    assert model.n_iter_ < 300


def test_sparse_factors_have_more_zeros(tensor):
    options = {"n_init": 2, "random_state": 0}
    found = [
        float((NonNegativeCP(3, l1=w, **options).fit(tensor[0]).pair_ == 0).mean())
        for w in (0.0, 5.0)
    ]
    assert found[1] > found[0]


def test_tensorly_reads_the_factors_and_starts_from_them(tensor):
    tensorly = pytest.importorskip("tensorly")
    values = tensor[0].to_numpy()
    model = NonNegativeCP(3, n_init=2, random_state=0).fit(values)
    full = tensorly.cp_tensor.cp_to_tensor(model.to_tensorly())
    seen = np.isfinite(values)
    error = np.linalg.norm((full - values)[seen]) / np.linalg.norm(values[seen])
    assert error == pytest.approx(model.relative_error_, rel=1e-4)
    again = NonNegativeCP(3, init=model.to_tensorly()).fit(values)
    assert again.n_iter_ < 30
    assert again.relative_error_ == pytest.approx(model.relative_error_, rel=1e-3)


def test_a_fit_is_saved_and_loaded(tensor, fitted, tmp_path):
    again = na.load(fitted.save(tmp_path / "cp.nc"))
    np.testing.assert_array_equal(again.pair_, fitted.pair_)
    np.testing.assert_array_equal(
        again.transform(tensor[0]), fitted.transform(tensor[0])
    )


def test_animals_without_a_common_clock_are_fitted_together():
    recordings, _ = simulate_motifs(n_neurons=20, n_samples=200, n_animals=3,
                                    missing=0.2, random_state=0)  # fmt: skip
    recordings[1] = na.signal.crop(recordings[1], 0.0, 90.0)
    tensor = DifferentialAffinity(layout="concat").fit_transform(recordings)
    model = NonNegativeCP(3, "concat", n_init=2, random_state=0).fit(tensor)
    assert model.time_.sizes["time"] == tensor.sizes["time"]
    assert set(model.time_["animal"].values) == {"sub-01", "sub-02", "sub-03"}


# --- bad input -----------------------------------------------------------------------


def test_negative_values_are_refused_with_their_place(tensor):
    values = tensor[0].copy()
    values[3, 4, 1] = -0.5
    with pytest.raises(ParameterError, match=r"-0\.5 at pair n000-n004.*signed"):
        NonNegativeCP(2).fit(values)


def test_infinite_values_are_refused(tensor):
    values = tensor[0].copy()
    values[3, 4, 1] = np.inf
    with pytest.raises(ParameterError, match="inf at pair"):
        NonNegativeCP(2).fit(values)


def test_missing_values_are_counted(tensor):
    model = NonNegativeCP(2, n_init=1, random_state=0).fit(tensor[0])
    assert model.report_["n_missing"] == int(np.isnan(tensor[0]).sum())


def test_nothing_observed_is_refused():
    with pytest.raises(ParameterError, match="at least one observed"):
        NonNegativeCP(2).fit(np.full((6, 5, 3), np.nan))


def test_zeros_only_are_refused():
    with pytest.raises(ParameterError, match="zeros only"):
        NonNegativeCP(1).fit(np.zeros((6, 5, 3)))


def test_a_neuron_of_zeros_is_masked_and_listed(tensor):
    values = tensor[0].copy()
    dead = (values["source"] == "n002") | (values["target"] == "n002")
    values[dead.values, :, 3] *= 0.0
    model = NonNegativeCP(2, n_init=1, random_state=0).fit(values)
    assert model.report_["zero_neurons"] == ["animal-3: n002"]


@pytest.mark.parametrize("rank", [0, -1, 2.5, True])
def test_a_rank_that_is_no_count_is_refused(tensor, rank):
    with pytest.raises(ParameterError, match="'rank'"):
        NonNegativeCP(rank).fit(tensor[0])


def test_a_rank_beyond_the_size_is_refused():
    with pytest.raises(ParameterError, match=r"\[1, 6\]"):
        NonNegativeCP(7, n_init=1).fit(np.random.default_rng(0).random((6, 5, 3)))


def test_a_rank_beyond_uniqueness_warns(tensor):
    with pytest.warns(FitWarning, match="Kruskal"):
        NonNegativeCP(62, n_init=1, max_iter=2).fit(tensor[0][..., :2])


def test_one_animal_warns_that_factors_are_not_unique(motifs):
    tensor = DifferentialAffinity(stride=4).fit_transform(motifs[0])
    with pytest.warns(FitWarning, match="symmetric"):
        NonNegativeCP(2, n_init=1).fit(tensor)


def test_pairs_that_are_not_all_pairs_are_refused():
    with pytest.raises(ParameterError, match=r"N\(N-1\)/2"):
        NonNegativeCP(2).fit(np.ones((7, 5, 3)))


def test_animals_without_a_common_pair_are_refused():
    values = np.random.default_rng(0).random((6, 5, 2))
    values[:3, :, 0] = np.nan
    values[3:, :, 1] = np.nan
    with pytest.raises(ParameterError, match="at least two animals show"):
        NonNegativeCP(2).fit(values)


def test_a_single_layout_refuses_several_animals(tensor):
    with pytest.raises(ShapeError, match="concat"):
        NonNegativeCP(2, "single").fit(tensor[0])


def test_unequal_animals_cannot_be_aligned():
    recordings, _ = simulate_motifs(n_neurons=8, n_samples=100, n_animals=2,
                                    random_state=0)  # fmt: skip
    recordings[1] = na.signal.crop(recordings[1], 0.0, 40.0)
    tensor = DifferentialAffinity(layout="concat").fit_transform(recordings)
    with pytest.raises(SchemaError, match="sub-02"):
        NonNegativeCP(2).fit(tensor)


def test_copies_of_a_component_warn():
    rng = np.random.default_rng(0)
    x = np.einsum("p,t,w->ptw", rng.random(15), rng.random(30), rng.random(4))
    with pytest.warns(FitWarning, match="nearly the same|ended at zero"):
        NonNegativeCP(2, n_init=1, random_state=0).fit(x)


def test_half_precision_is_cast_and_objects_are_refused(tensor):
    half = tensor[0].astype(np.float16)
    assert NonNegativeCP(2, n_init=1, random_state=0).fit(half).pair_.dtype == float
    with pytest.raises(TypeError, match="dtype object"):
        NonNegativeCP(2).fit(np.full((6, 5, 3), "a", dtype=object))


def test_an_asymmetric_matrix_is_refused():
    values = np.random.default_rng(0).random((5, 5, 4))
    with pytest.raises(ParameterError, match="symmetric"):
        NonNegativeCP(2, "symmetric").fit(values)


def test_kl_asks_for_its_solver(tensor):
    with pytest.raises(ParameterError, match="'mu'"):
        NonNegativeCP(2, loss="kl").fit(tensor[0])


def test_a_fit_that_ran_out_of_iterations_says_so(tensor):
    with warnings.catch_warnings():
        warnings.simplefilter("error", FitWarning)
        with pytest.raises(FitWarning, match="max_iter"):
            NonNegativeCP(3, n_init=1, max_iter=2).fit(tensor[0])


def test_neurons_that_the_model_does_not_know_are_refused(fitted):
    other, _ = simulate_motifs(n_neurons=6, n_samples=60, random_state=0)
    strange = other[0].assign_coords(neuron=list("uvwxyz"))
    with pytest.raises(SchemaError, match="three neurons"):
        fitted.transform(strange)
