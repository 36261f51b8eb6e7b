"""What a fit refuses and what it warns of: one test a case, each names the place."""

import warnings

import numpy as np
import pytest
import xarray as xr

from neuroana.core.errors import (
    DataWarning,
    EmptyStateWarning,
    FitWarning,
    ParameterError,
    SchemaError,
    ShapeError,
)
from neuroana.switching import HMMGLM, RawHistory, simulate_hmm_glm


RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(0.7, (120, 3)).astype(float)
CHOICES = RNG.integers(0, 2, (120, 1)).astype(float)
REAL = RNG.standard_normal((120, 3))
QUICK = {"n_init": 1, "max_iter": 2, "random_state": 0}


def changed(x, t, n, value):
    """x with one value replaced."""
    x = x.copy()
    x[t, n] = value
    return x


def labelled(x, time=None, names=("a", "b", "c")):
    """An array with the clock and the names of units."""
    time = np.arange(len(x)) * 0.1 if time is None else time
    coords = {"time": time, "neuron": list(names)}
    return xr.DataArray(x, coords, ("time", "neuron"))


# --- values ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "x", "message"),
    [
        ({}, changed(COUNTS, 7, 2, -1), r"-1 at sample 7, feature 2.*gaussian"),
        ({}, changed(COUNTS, 7, 2, 0.5), r"counts.*0\.5 at sample 7, feature 2"),
        ({"observation": "negative_binomial"}, changed(COUNTS, 3, 0, 1.5), "counts"),
        ({"observation": "bernoulli"}, changed(CHOICES, 9, 0, 2), "ones.*2 at"),
        ({"observation": "bernoulli"}, changed(CHOICES, 9, 0, 0.5), "zeros and ones"),
        ({"observation": "categorical"}, changed(CHOICES, 9, 0, -1), "classes 0, 1"),
        ({"observation": "categorical"}, changed(CHOICES, 9, 0, 0.2), "classes 0, 1"),
        ({}, changed(COUNTS, 5, 1, np.inf), "1 infinite, first at sample 5, feature 1"),
        ({"observation": "gaussian"}, changed(REAL, 5, 1, -np.inf), "infinite"),
        ({"missing": "raise"}, changed(COUNTS, 5, 1, np.nan),
         "1 NaN, first at sample 5, feature 1.*missing='mask'"),
        ({}, np.zeros((50, 2)), "only constant ones"),
        ({"observation": "categorical"}, np.ones((50, 1)), "at least two classes"),
    ],
)  # fmt: skip
def test_fit_rejects_values(options, x, message):
    with pytest.raises(SchemaError, match=message):
        HMMGLM(1, **options).fit(x)


def test_fit_rejects_several_columns_of_classes():
    with pytest.raises(ShapeError, match="one column of classes"):
        HMMGLM(1, "categorical").fit(np.repeat(CHOICES, 2, axis=1))


def test_fit_warns_of_a_class_that_never_occurs():
    with pytest.warns(DataWarning, match="none of class 1"):
        model = HMMGLM(1, "categorical", history=None).fit(2 * CHOICES)

    assert np.isfinite(model.score(2 * CHOICES))


def test_predict_rejects_a_class_that_was_not_fitted():
    model = HMMGLM(1, "categorical", history=None).fit(CHOICES)

    with pytest.raises(SchemaError, match="classes below 2"):
        model.predict(changed(CHOICES, 0, 0, 4))


def test_fit_rejects_a_constant_signal_under_a_full_covariance():
    x = REAL.copy()
    x[:, 1] = 2.0

    with pytest.raises(SchemaError, match=r"feature 1.*constant ones"):
        HMMGLM(1, "gaussian", covariance="full").fit(x)


def test_fit_warns_of_units_that_never_change():
    x = COUNTS.copy()
    x[:, 1] = 0

    with pytest.warns(DataWarning, match=r"feature 1.*1 silent or constant"):
        model = HMMGLM(1).fit(x)

    assert (model.coupling_[:, 1] == 0).all()


# --- sequences -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([], ShapeError, "at least one sequence"),
        ([COUNTS, COUNTS[:5]], ShapeError, "sequence 1.*at least 6 samples"),
        ([COUNTS, COUNTS[:, :2]], SchemaError, "sequence 1"),
        ([labelled(COUNTS), labelled(COUNTS, names="abd")], SchemaError,
         r"different: \['c', 'd'\].*share"),
        (labelled(COUNTS, names="aba"), SchemaError, "more than one a"),
        (labelled(COUNTS, np.r_[0, 2, 1, 3:120]), SchemaError, "increasing"),
        (labelled(COUNTS, np.r_[0, 1, 1, 3:120]), SchemaError, "increasing"),
        (labelled(COUNTS, np.r_[0:60, 70:130]), SchemaError, "gap of 11 s"),
        (labelled(COUNTS, np.r_[0:60, 60.3, 61:120]), SchemaError, "other steps"),
        ([labelled(COUNTS), labelled(COUNTS, 0.2 * np.arange(120))], SchemaError,
         "one bin width"),
        (COUNTS[:, 0], ShapeError, "Reshape"),
    ],
)  # fmt: skip
def test_fit_rejects_sequences(X, error, message):
    with pytest.raises(error, match=message):
        HMMGLM(1).fit(X)


@pytest.mark.parametrize("lengths", [[60, 61], [120, 0], [-1, 121]])
def test_fit_rejects_lengths_that_do_not_add_up(lengths):
    with pytest.raises(ShapeError, match="lengths that add up to 120"):
        HMMGLM(1).fit(COUNTS, lengths=lengths)


# --- inputs ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (np.zeros((119, 1)), ShapeError, "inputs of sequence 0: expected 120 samples"),
        (changed(REAL, 4, 1, np.nan), SchemaError, "input 1.*nan at sample 4"),
        (changed(REAL, 4, 1, np.inf), SchemaError, "input 1.*inf at sample 4"),
        (labelled(REAL, 5.0 + 0.1 * np.arange(120)), SchemaError, "the clock"),
    ],
)
def test_fit_rejects_inputs(inputs, error, message):
    with pytest.raises(error, match=message):
        HMMGLM(1).fit(labelled(COUNTS) if hasattr(inputs, "dims") else COUNTS,
                      inputs=inputs)  # fmt: skip


def test_inputs_may_be_missing_where_nothing_was_observed():
    x, u = COUNTS.copy(), REAL.copy()
    x[10], u[10] = np.nan, np.nan

    one = HMMGLM(1).fit(x, inputs=u)
    u[10] = 7.0

    other = HMMGLM(1).fit(x, inputs=u)
    np.testing.assert_allclose(one.coupling_, other.coupling_, atol=1e-4)  # ridge


def test_fit_warns_of_an_input_that_never_changes():
    with pytest.warns(DataWarning, match="inputs: 0.*constant"):
        HMMGLM(1).fit(COUNTS, inputs=np.ones((120, 1)))


def test_fit_warns_of_regressors_that_say_the_same():
    u = REAL[:, :1]

    with pytest.warns(DataWarning, match="most alike: input 0 and input 1"):
        HMMGLM(1).fit(COUNTS, inputs=np.c_[u, 2 * u])


# --- arguments -------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"n_states": 0},
        {"n_states": 121},
        {"link": "identity"},
        {"observation": "bernoulli", "link": "probit"},
        {"alpha": 0.9},
        {"kappa": -1.0},
        {"covariance": "full"},
        {"observation": "categorical", "baseline": "shared"},
        {"transitions": "inputs"},
        {"init": {"transition_matrix": [[0.9, 0.2], [0.5, 0.5]]}, "n_states": 2},
        {"init": {"transition_matrix": [[0.0, 0.0], [0.5, 0.5]]}, "n_states": 2},
        {"init": {"initial_prob": [0.9, 0.2]}, "n_states": 2},
    ],
    ids=repr,
)
def test_fit_rejects_arguments(options):
    x = (
        CHOICES
        if options.get("observation") in ("categorical", "bernoulli")
        else COUNTS
    )

    with pytest.raises(ParameterError):
        HMMGLM(**options).fit(x)


def test_fit_warns_of_more_coefficients_than_bins():
    with pytest.warns(DataWarning, match="more bins than coefficients a unit"):
        HMMGLM(40, **QUICK).fit(COUNTS)


# --- fits ------------------------------------------------------------------------


def test_fit_warns_of_an_empty_state():
    init = {"baseline": np.array([[0.0] * 3, [90.0] * 3])}

    with pytest.warns(EmptyStateWarning, match="1 of them"):
        model = HMMGLM(2, "gaussian", history=None, init=init).fit(REAL)

    for name in ("coupling_", "baseline_", "noise_", "transition_matrix_"):
        assert np.isfinite(getattr(model, name)).all(), name


@pytest.mark.parametrize("observation", ["poisson", "negative_binomial", "bernoulli"])
def test_empty_states_stay_at_rest_without_nan(observation):
    x = np.minimum(COUNTS, 1) if observation == "bernoulli" else COUNTS
    init = {"baseline": np.array([[0.0] * 3, [-60.0] * 3])}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = HMMGLM(2, observation, init=init, max_iter=20).fit(x)

    assert np.isfinite(model.coupling_).all()
    assert np.isfinite(model.score(x))


def test_fit_warns_when_it_did_not_converge():
    with pytest.warns(FitWarning, match="raise max_iter"):
        HMMGLM(2, **QUICK).fit(COUNTS)


def test_fit_warns_when_starts_disagree():
    with pytest.warns(FitWarning, match="adjusted Rand index"):
        HMMGLM(3, n_init=4, max_iter=15, random_state=0).fit(COUNTS)


def test_masked_values_never_change_the_fit():
    """In E and M step: whatever stands in a hole of the data is ignored."""
    data, _ = simulate_hmm_glm(
        "gaussian_var", n_states=2, n_units=3, n_bins=300, n_sequences=1, random_state=0
    )
    first = data[0].assign_coords(good=("time", np.arange(300) % 50 > 4))
    spoilt = first.copy(deep=True)
    spoilt.signal[~first.good.to_numpy()] = 1e6
    options = {"history": RawHistory(1), "n_init": 2, "random_state": 0}

    one = HMMGLM(2, "gaussian", **options).fit(first)
    other = HMMGLM(2, "gaussian", **options).fit(spoilt)

    np.testing.assert_array_equal(one.coupling_, other.coupling_)
    np.testing.assert_array_equal(one.noise_, other.noise_)
