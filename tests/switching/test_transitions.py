"""Transitions: learned under a prior, fixed, or driven by inputs."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError, SchemaError
from neuroana.switching import HMMGLM, state_accuracy
from neuroana.switching.forward_backward import smooth
from neuroana.switching.transitions import InputDriven, Stationary


def chain(n_bins=4000, seed=0, pull=1.5):
    """Two states whose switches follow an input; q = (pull, 0)."""
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((n_bins, 1))
    base = np.array([[2.0, 0.0], [0.0, 2.0]])
    z = np.zeros(n_bins, dtype=int)
    for t in range(1, n_bins):
        eta = base[z[t - 1]] + [pull * u[t, 0], 0.0]
        z[t] = rng.random() > np.exp(eta[0]) / np.exp(eta).sum()
    x = rng.poisson(np.array([[0.5, 3.0], [3.0, 0.5]])[z]).astype(float)
    return x, u, z


def found_of(x, a, lengths=None):
    loglik = np.stack([-((x[:, 0] - 1) ** 2), -((x[:, 0] - 2) ** 2)], axis=-1)[None]
    return smooth(loglik, a, np.full((1, 2), 0.5), lengths)


def test_matrices_without_weights_are_stationary():
    x, u, _ = chain(50)
    a = np.array([[[0.9, 0.1], [0.3, 0.7]]])

    driven = InputDriven(u=u).matrices(a, np.zeros((1, 2, 1)))
    one, other = found_of(x, a), found_of(x, driven)

    np.testing.assert_allclose(driven, np.broadcast_to(a[:, None], driven.shape))
    np.testing.assert_allclose(one.gamma, other.gamma, atol=1e-12)
    np.testing.assert_allclose(one.xi_sum, other.xi_sum, rtol=1e-8)


def test_expected_transitions_sum_to_those_of_the_smoother():
    x, u, _ = chain(400)
    law = InputDriven(u=u)
    a, q = np.array([[[0.9, 0.1], [0.3, 0.7]]]), np.array([[[0.8], [0.0]]])
    lengths = [150, 250]
    found = found_of(x, law.matrices(a, q), lengths)
    bins = np.setdiff1d(np.arange(400), [0, 150])

    xi = law.expected((a[0], q[0]), found.filtered[0], found.gamma[0], bins)

    np.testing.assert_allclose(xi.sum(axis=0), found.xi_sum[0], rtol=1e-9)


def test_derivatives_equal_finite_differences():
    x, u, _ = chain(300)
    law = InputDriven(alpha=1.5, kappa=2.0, u=np.c_[u, u**2])
    rng = np.random.default_rng(0)
    base, q = np.array([[1.0, 0.0], [-0.5, 0.0]]), np.zeros((2, 2))
    q[0] = rng.standard_normal(2)
    old = np.array([[0.8, 0.2], [0.3, 0.7]]), 0.5 * q
    found = found_of(x, law.matrices(old[0][None], old[1][None]))
    given = old, found.filtered[0], found.gamma[0], np.arange(1, 300)
    first, second, value = law.derivatives(base, q, *given)

    def objective(point):
        moved, weights = base.copy(), q.copy()
        moved[:, 0], weights[0] = point[:2], point[2:]
        return law.objective(moved, weights, *given)

    point, h = np.concatenate([base[:, 0], q[0]]), 1e-4
    eye = h * np.eye(4)
    slope = [(objective(point + e) - objective(point - e)) / (2 * h) for e in eye]
    bend = [
        [
            (objective(point + e + f) - objective(point + e - f)
             - objective(point - e + f) + objective(point - e - f)) / (4 * h * h)
            for f in eye
        ]
        for e in eye
    ]  # fmt: skip

    assert value == pytest.approx(objective(point))
    np.testing.assert_allclose(first, slope, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(-second, bend, rtol=1e-3, atol=1e-3)


def test_inputs_on_transitions_are_found():
    x, u, z = chain(8000)
    model = HMMGLM(2, history=None, transitions="inputs", n_init=2, random_state=0)
    model.fit(x, transition_inputs=u)

    q = model.transition_weights_.to_numpy()[:, 0]
    favoured = int(model.baseline_.to_numpy()[:, 0].argmin())  # low rate of unit 0

    assert q[favoured] - q[1 - favoured] == pytest.approx(1.5, abs=0.25)
    plain = HMMGLM(2, history=None, n_init=2, random_state=0).fit(x)
    assert model.score(x, transition_inputs=u) > plain.score(x) + 1e-3
    path = model.predict(x, transition_inputs=u)
    assert state_accuracy(z, path) >= state_accuracy(z, plain.predict(x))
    trace = model.objective_trace_.to_numpy()
    assert np.nanmin(np.diff(trace, axis=1)) >= -1e-9 * np.nanmax(np.abs(trace))


def test_input_that_says_nothing_gives_the_stationary_fit():
    x, _, _ = chain(1500)
    options = {"history": None, "n_init": 1, "random_state": 0, "tol": 1e-12}
    blank = np.zeros((1500, 1))
    driven = HMMGLM(2, transitions="inputs", **options)
    driven.fit(x, transition_inputs=blank)
    plain = HMMGLM(2, **options).fit(x)

    assert driven.objective_ == pytest.approx(plain.objective_, rel=1e-8)
    np.testing.assert_allclose(
        driven.transition_matrix_, plain.transition_matrix_, atol=1e-5
    )


def test_known_weights_are_recovered_within_their_error():
    x, u, _ = chain(50_000, pull=1.0)
    model = HMMGLM(2, history=None, transitions="inputs", n_init=2, random_state=0)
    model.fit(x, transition_inputs=u)

    q = model.transition_weights_.to_numpy()[:, 0]

    assert abs(abs(q[0] - q[1]) - 1.0) < 3 * 0.02


def test_dirichlet_weights_fill_rows_nobody_visits():
    law = Stationary(alpha=2.0, kappa=1.0)
    found = type("Found", (), {"xi_sum": np.zeros((1, 2, 2))})

    a, _ = law.update(np.full((1, 2, 2), 0.5), None, found, [3])

    np.testing.assert_allclose(a[0], [[2 / 3, 1 / 3], [1 / 3, 2 / 3]])


def test_fit_asks_for_the_inputs_of_transitions():
    x, u, _ = chain(100)

    with pytest.raises(ParameterError, match="transition_inputs"):
        HMMGLM(2, history=None, transitions="inputs").fit(x)
    with pytest.raises(ParameterError, match="transitions='inputs'"):
        HMMGLM(2, history=None).fit(x, transition_inputs=u)
    u[5] = np.nan
    with pytest.raises(SchemaError, match="transition_inputs of sequence 0"):
        HMMGLM(2, history=None, transitions="inputs").fit(x, transition_inputs=u)


def test_model_with_driven_transitions_survives_a_file(tmp_path):
    x, u, _ = chain(600)
    model = HMMGLM(2, history=None, transitions="inputs", n_init=1, random_state=0)
    model.fit(x, transition_inputs=u)

    back = HMMGLM.load(model.save(tmp_path / "fit.nc"))

    assert back.score(x, transition_inputs=u) == model.score(x, transition_inputs=u)
    again = HMMGLM(2, history=None, transitions="inputs", init=model, tol=1e-4).fit(
        x, transition_inputs=u
    )
    assert again.objective_ >= model.objective_ - 1e-3
