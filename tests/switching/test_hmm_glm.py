"""The estimator: labels, invariances, missing values, bad input, files."""

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.utils.estimator_checks import estimator_checks_generator

from neuroana.core.errors import (
    CorruptFileError,
    DataWarning,
    FitWarning,
    ParameterError,
    SchemaError,
    ShapeError,
)
from neuroana.core.recordings import Recordings
from neuroana.switching import (
    HMMGLM,
    BoxcarHistory,
    ExponentialHistory,
    RawHistory,
    adjusted_rand_index,
    match_states,
    plot_transitions,
    simulate_hmm_glm,
)


OPTIONS = {"n_states": 2, "link": "sigmoid", "n_init": 2, "random_state": 0}
UNLIKE_SKLEARN = {
    "check_parameters_default_constructible": "a history is an object",
    "check_methods_sample_order_invariance": "samples are ordered in time",
    "check_methods_subset_invariance": "samples are ordered in time",
    "check_dtype_object": "an array of objects is a list of sequences",
    "check_transformer_data_not_an_array": "wrapped arrays are not sequences",
    "check_array_api_input": "needs SCIPY_ARRAY_API",
}


@pytest.fixture(scope="module")
def data():
    return simulate_hmm_glm(
        n_states=2, n_units=8, n_bins=700, n_sequences=4, random_state=0
    )


@pytest.fixture(scope="module")
def recordings(data):
    return data[0]


@pytest.fixture(scope="module")
def model(recordings):
    return HMMGLM(**OPTIONS).fit(recordings)


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.NeuroanaWarning")
@pytest.mark.parametrize(
    ("estimator", "check"),
    list(
        estimator_checks_generator(
            HMMGLM(2, "gaussian", history=RawHistory(1), n_init=1, max_iter=5),
            expected_failed_checks=UNLIKE_SKLEARN,
            mark="skip",
        )
    ),
)
def test_hmm_glm_keeps_the_sklearn_contract(estimator, check):
    check(estimator)


def test_hmm_glm_labels_what_it_learns(model):
    assert model.coupling_.dims == ("state", "neuron", "source", "basis")
    assert model.coupling_.sizes == {"state": 2, "neuron": 8, "source": 8, "basis": 1}
    assert model.coupling_sd_.dims == model.coupling_.dims
    assert model.baseline_.dims == ("state", "neuron")
    assert model.transition_matrix_.dims == ("state", "state_next")
    assert model.objective_trace_.dims == ("start", "iteration")
    np.testing.assert_allclose(model.transition_matrix_.sum("state_next"), 1.0)
    assert (np.diff(model.occupancy_) <= 0).all()
    assert model.converged_
    assert model.n_iter_ > 3


def test_hmm_glm_finds_the_truth(data, model):
    recordings, truth = data
    order = match_states([r.state for r in recordings], model.predict(recordings))

    found = model.coupling_.to_numpy()[order].ravel()

    assert np.corrcoef(found, truth.coupling.to_numpy().ravel())[0, 1] > 0.85


@pytest.mark.parametrize(
    ("method", "dims"),
    [
        ("predict", ("time",)),
        ("predict_proba", ("time", "state")),
        ("filter_proba", ("time", "state")),
        ("transform", ("time", "state")),
        ("predict_rate", ("time", "neuron")),
    ],
)
def test_results_come_back_as_the_data_came(model, recordings, method, dims):
    call = getattr(model, method)

    one, many = call(recordings[0]), call(Recordings(recordings[:2]))
    plain = call(recordings[0].signal.to_numpy())

    assert one.dims == dims
    np.testing.assert_array_equal(one.time, recordings[0].time)
    assert [m.dims for m in many] == [dims, dims]
    xr.testing.assert_allclose(many[0], one)
    assert type(plain) is np.ndarray
    np.testing.assert_allclose(plain, one, rtol=1e-12)


def test_probabilities_sum_to_one(model, recordings):
    for method in (model.predict_proba, model.filter_proba):
        np.testing.assert_allclose(method(recordings[0]).sum("state"), 1.0)


def test_filter_ignores_what_comes_later(model, recordings):
    whole = model.filter_proba(recordings[0])

    start = model.filter_proba(recordings[0].isel(time=slice(0, 100)))

    np.testing.assert_allclose(whole[:100], start, atol=1e-12)


def test_predicted_rate_is_the_mean_ahead(model, recordings):
    rate = model.predict_rate(recordings[0])
    changed = recordings[0].copy(deep=True)
    changed.signal[60:] = 0

    again = model.predict_rate(changed)

    np.testing.assert_allclose(rate[:61], again[:61], atol=1e-12)
    assert np.abs(rate[61:70] - again[61:70]).max() > 1e-3
    assert float(rate.mean()) == pytest.approx(
        float(recordings[0].signal.mean()), rel=0.1
    )


def test_score_is_the_likelihood_per_value(model, recordings):
    total = model.log_likelihood(recordings)

    assert total.dims == ("sequence",)
    assert model.score(recordings) == pytest.approx(float(total.sum()) / (4 * 700 * 8))


def test_bits_per_spike_are_positive_in_training(model, recordings):
    assert 0 < model.bits_per_spike(recordings) < 1


def test_bits_per_spike_need_counts():
    model = HMMGLM(1, "gaussian", history=None)
    model.fit(np.random.default_rng(0).standard_normal((50, 2)))

    with pytest.raises(ParameterError, match="score"):
        model.bits_per_spike(np.zeros((10, 2)))


def test_same_seed_gives_the_same_bits(model, recordings):
    again = clone(model).fit(recordings)

    xr.testing.assert_identical(again.coupling_, model.coupling_)
    xr.testing.assert_identical(again.objective_trace_, model.objective_trace_)


def test_a_start_does_not_depend_on_how_many_there_are(recordings):
    few = HMMGLM(**{**OPTIONS, "n_init": 2}).fit(recordings)
    more = HMMGLM(**{**OPTIONS, "n_init": 3}).fit(recordings)

    np.testing.assert_array_equal(
        few.objective_trace_[:, :4], more.objective_trace_[:2, :4]
    )


def test_threads_do_not_change_the_result(recordings):
    one = HMMGLM(**OPTIONS, n_jobs=1).fit(recordings)
    two = HMMGLM(**OPTIONS, n_jobs=2).fit(recordings)

    xr.testing.assert_identical(one.coupling_, two.coupling_)


def test_float32_agrees(model, recordings):
    found = HMMGLM(**OPTIONS, dtype="float32").fit(recordings)

    assert found.score(recordings) == pytest.approx(model.score(recordings), rel=1e-4)


def start_of(model, order):
    return {
        name: getattr(model, f"{name}_").to_numpy()[order]
        for name in ("coupling", "baseline", "initial_prob")
    } | {"transition_matrix": model.transition_matrix_.to_numpy()[np.ix_(order, order)]}


def test_order_of_states_at_the_start_does_not_matter(model, recordings):
    options = {**OPTIONS, "max_iter": 5, "tol": 0.0}

    fits = []
    for order in ([0, 1], [1, 0]):
        with pytest.warns(FitWarning):
            fits.append(HMMGLM(**options, init=start_of(model, order)).fit(recordings))

    np.testing.assert_allclose(fits[0].coupling_, fits[1].coupling_, atol=1e-10)
    assert fits[0].score(recordings) == pytest.approx(
        fits[1].score(recordings), rel=1e-10
    )


def test_order_of_units_permutes_the_couplings(model, recordings):
    order = [2, 0, 3, 1, 7, 5, 6, 4]
    init = start_of(model, [0, 1])
    init["coupling"] = init["coupling"][:, order][:, :, order]
    init["baseline"] = init["baseline"][:, order]
    moved = [r.isel(neuron=order) for r in recordings]
    options = {**OPTIONS, "max_iter": 5, "tol": 0.0}

    with pytest.warns(FitWarning):
        found = HMMGLM(**options, init=init).fit(moved)
    with pytest.warns(FitWarning):
        plain = HMMGLM(**options, init=start_of(model, [0, 1])).fit(recordings)

    expected = plain.coupling_.to_numpy()[:, order][:, :, order]
    np.testing.assert_allclose(found.coupling_, expected, atol=1e-9)
    assert found.score(moved) == pytest.approx(plain.score(recordings), rel=1e-10)
    np.testing.assert_array_equal(found.coupling_.neuron, order)


def test_a_list_is_the_stack_with_lengths(recordings):
    stack = np.concatenate([r.signal.to_numpy() for r in recordings])

    one = HMMGLM(**OPTIONS).fit(recordings)
    other = HMMGLM(**OPTIONS).fit(stack, lengths=[700] * 4)

    np.testing.assert_allclose(one.coupling_, other.coupling_, atol=1e-12)


def test_missing_values_count_in_no_likelihood_and_drive_nothing(recordings):
    rng = np.random.default_rng(0)
    holes = rng.random((700, 8)) < 0.1
    with_holes = [r.copy(deep=True) for r in recordings]
    for r in with_holes:
        r["signal"] = r.signal.astype(float).where(~holes)

    found = HMMGLM(**OPTIONS).fit(with_holes)

    observed = found._observe(with_holes, None, None)
    assert found.n_missing_ == 4 * holes.sum()
    assert found.n_observed_ == 4 * 700 * 8 - 4 * holes.sum()
    assert (observed.x[np.tile(holes, (4, 1))] == 0).all()
    total = found.log_likelihood(with_holes)
    assert found.score(with_holes) == pytest.approx(
        float(total.sum()) / found.n_observed_
    )


def test_bad_spans_of_a_recording_are_missing(recordings):
    good = np.ones(700, dtype=bool)
    good[100:200] = False
    first = recordings[0]
    marked = first.assign_coords(good=("time", good))
    spoilt = marked.copy(deep=True)
    spoilt.signal[100:200] = 9

    one, two = (HMMGLM(**OPTIONS).fit([r]) for r in (marked, spoilt))

    assert one.n_missing_ == 800
    np.testing.assert_array_equal(one.coupling_, two.coupling_)


def test_a_bin_without_data_keeps_the_chain(model, recordings):
    gap = recordings[0].copy(deep=True)
    gap["signal"] = gap.signal.astype(float)
    gap.signal[200:260] = np.nan

    posterior = model.predict_proba(gap)

    assert np.isfinite(posterior).all()
    assert float(posterior[230].max()) < float(posterior[100:190].max())


def test_inputs_are_found():
    rng = np.random.default_rng(0)
    u = rng.standard_normal((4000, 1))
    x = rng.poisson(np.exp(-0.5 + u @ [[0.4, -0.6]])).astype(float)
    model = HMMGLM(1, link="exp", history=ExponentialHistory(2))

    model.fit(x, inputs=u)

    assert model.input_weights_.dims == ("state", "feature", "input")
    np.testing.assert_allclose(model.input_weights_[0, :, 0], [0.4, -0.6], atol=0.06)
    sd = 0.06
    assert abs(float(model.input_weights_[0, 0, 0]) - 0.4) < 3 * sd
    assert model.score(x, inputs=u) > HMMGLM(1, link="exp").fit(x).score(x)
    with pytest.raises(ParameterError, match="inputs"):
        model.score(x)


def test_sample_comes_from_the_model(model):
    made = model.sample(3000, 4, random_state=1)

    again = HMMGLM(**OPTIONS).fit(made)

    assert [m.sizes["time"] for m in made] == [3000] * 4
    assert model.score(made) == pytest.approx(again.score(made), abs=2e-3)
    assert adjusted_rand_index([m.state for m in made], model.predict(made)) > 0.3


def test_sample_is_a_recording(model):
    made = model.sample(50, random_state=0)

    assert made.attrs["modality"] == "spikes"
    assert made.signal.dims == ("time", "neuron")
    assert model.predict(made).sizes == {"time": 50}


def test_fit_rejects_inputs_on_another_clock():
    rng = np.random.default_rng(0)
    time = np.arange(60) / 10.0
    x = xr.DataArray(
        rng.poisson(1.0, (60, 2)), {"time": 5.0 + time}, ("time", "neuron")
    )
    u = xr.DataArray(rng.standard_normal((60, 1)), {"time": time}, ("time", "input"))
    with pytest.raises(SchemaError, match="the clock of the recording"):
        HMMGLM(1).fit(x, inputs=u)
    unlabelled = u.drop_vars("time")
    assert HMMGLM(1).fit(x, inputs=unlabelled).n_inputs_ == 1


def test_sample_asks_for_inputs():
    model = HMMGLM(1, link="exp", history=None)
    model.fit(np.arange(60.0).reshape(30, 2) % 3, inputs=np.arange(30.0)[:, None])

    with pytest.raises(ShapeError, match="inputs"):
        model.sample(20)
    assert model.sample(20, inputs=np.zeros((20, 1))).sizes["time"] == 20


def test_save_and_load_give_the_same_model(tmp_path, model, recordings):
    model.save(tmp_path / "fit.nc")

    back = HMMGLM.load(tmp_path / "fit.nc")

    assert back.get_params() == model.get_params()
    xr.testing.assert_identical(back.coupling_, model.coupling_)
    assert back.score(recordings) == model.score(recordings)


def test_load_refuses_a_damaged_file(tmp_path, model):
    path = model.save(tmp_path / "fit.nc")
    bytes_ = bytearray(path.read_bytes())
    bytes_[len(bytes_) // 2] ^= 0xFF
    path.write_bytes(bytes_)

    with pytest.raises(CorruptFileError, match=r"fit\.nc"):
        HMMGLM.load(path)


def test_a_loaded_model_can_all_that_it_could(tmp_path):
    x = np.random.default_rng(0).poisson(0.5, (80, 2)).astype(float)
    HMMGLM(1).fit(x).save(tmp_path / "fit.nc")

    back = HMMGLM.load(tmp_path / "fit.nc")

    assert back.sample(20, random_state=0).sizes["time"] == 20
    assert back.predict_rate(x).shape == (80, 2)
    assert np.isnan(back.start_agreement_)
    assert len(plot_transitions(back, back.predict(x))) == 2


def test_grid_search_works_over_recordings(recordings):
    search = GridSearchCV(
        HMMGLM(**{**OPTIONS, "n_init": 4}),
        {"n_states": [1, 2]},
        cv=KFold(2),
        error_score="raise",
    )

    search.fit(Recordings(recordings))

    assert search.best_params_["n_states"] == 2


@pytest.mark.parametrize(
    "history", [None, BoxcarHistory(4, 2), RawHistory(2)], ids=repr
)
@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
def test_histories_fit_and_predict(history, recordings):
    model = HMMGLM(**{**OPTIONS, "max_iter": 10}, history=history).fit(recordings)

    assert model.coupling_.sizes["basis"] == (
        0 if history is None else len(history.kernel())
    )
    assert np.isfinite(model.score(recordings))


def test_kmeans_starts_find_the_same_fit():
    recordings, _ = simulate_hmm_glm(
        "gaussian_var", n_states=2, n_units=3, n_bins=400, n_sequences=2, random_state=0
    )
    options = {"history": RawHistory(1), "n_init": 3, "random_state": 0}
    one = HMMGLM(2, "gaussian", init="kmeans", **options).fit(recordings)
    two = HMMGLM(2, "gaussian", **options).fit(recordings)

    assert one.objective_ == pytest.approx(two.objective_, rel=1e-4)


@pytest.mark.parametrize("prior", ["none", "gaussian", "one_hot"])
def test_warm_start_climbs_through_the_simpler_priors(prior, recordings):
    one = HMMGLM(**{**OPTIONS, "n_init": 3}, prior=prior, init="warm").fit(recordings)
    two = HMMGLM(**{**OPTIONS, "n_init": 3}, prior=prior).fit(recordings)

    assert one.objective_trace_.sizes["start"] == (3 if prior == "none" else 1)
    assert one.score(recordings) == pytest.approx(two.score(recordings), abs=2e-3)


@pytest.mark.parametrize("observation", ["negative_binomial", "bernoulli"])
def test_kmeans_starts_serve_every_family(observation, recordings):
    x = [np.minimum(r.signal.to_numpy(), 1) for r in recordings]
    options = {**OPTIONS, "link": None, "max_iter": 5}

    model = HMMGLM(observation=observation, init="kmeans", **options).fit(x)

    assert np.isfinite(model.score(x))


# --- bad input -------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"n_states": 0},
        {"n_states": 1.5},
        {"observation": "poison"},
        {"link": "logit"},
        {"alpha": 0.5},
        {"kappa": -1},
        {"transitions": "stiky"},
        {"baseline": "none"},
        {"self_coupling": "no"},
        {"covariance": "ful"},
        {"missing": "drop"},
        {"dtype": "float16"},
        {"prior": "normal"},
        {"init": "zeros"},
        {"n_init": 0},
        {"init": {"couplings": np.zeros((1, 3, 3, 1))}},
        {"init": {"transition_matrix": np.full((1, 1), 0.5)}},
        {"init": {"baseline": np.zeros((2, 2))}},
    ],
    ids=repr,
)
def test_fit_rejects_arguments_it_cannot_use(options):
    x = np.random.default_rng(0).poisson(0.5, (60, 3)).astype(float)

    with pytest.raises((ParameterError, ShapeError)):
        HMMGLM(**{"n_states": 1, **options}).fit(x)


def test_fit_warns_of_a_silent_unit_and_gives_it_a_baseline():
    rng = np.random.default_rng(0)
    x = rng.poisson(0.5, (200, 3)).astype(float)
    x[:, 1] = 0

    with pytest.warns(DataWarning, match="silent or constant"):
        model = HMMGLM(2, n_init=2, random_state=0).fit(x)

    assert (model.coupling_[:, 1] == 0).all()
    assert (model.coupling_[:, :, 1] == 0).all()
    np.testing.assert_allclose(
        np.log1p(np.exp(model.baseline_[:, 1])), 0.5 / 200, rtol=1e-9
    )
    assert np.isfinite(model.bits_per_spike(x))


def test_fit_leaves_a_constant_signal_out_of_the_likelihood():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    x[:, 1] = 5.0

    with pytest.warns(DataWarning, match="silent or constant"):
        model = HMMGLM(1, "gaussian", history=RawHistory(1)).fit(x)

    alone = HMMGLM(1, "gaussian", history=RawHistory(1)).fit(x[:, [0, 2]])
    assert float(model.log_likelihood(x).sum()) == pytest.approx(
        float(alone.log_likelihood(x[:, [0, 2]]).sum())
    )
    np.testing.assert_allclose(model.baseline_[:, 1], 5.0)


def test_predict_rejects_other_units(model, recordings):
    with pytest.raises(SchemaError, match="expecting 8 features"):
        model.predict(recordings[0].isel(neuron=[0, 1]))
    with pytest.raises(SchemaError, match="another order"):
        model.predict(recordings[0].isel(neuron=[1, 0, 2, 3, 4, 5, 6, 7]))


def test_fit_forecasts_its_memory(recordings, monkeypatch):
    monkeypatch.setattr("neuroana.core.device.memory", lambda device="cpu": 1000)

    with pytest.raises(ParameterError, match=r"HMMGLM\.fit.*fewer starts"):
        HMMGLM(**OPTIONS).fit(recordings)
