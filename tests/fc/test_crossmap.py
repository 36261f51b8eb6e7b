"""Convergent cross-mapping: a loop by hand, and maps that drive one another."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.fc.crossmap import embedded, skills
from neuroana.fc.registry import find


def maps(n_time=400, to_y=0.3, to_x=0.0):
    """Two logistic maps; x drives y by `to_y`."""
    x, y = np.empty(n_time), np.empty(n_time)
    x[0], y[0] = 0.4, 0.2
    for t in range(n_time - 1):
        x[t + 1] = x[t] * (3.8 - 3.8 * x[t] - to_x * y[t])
        y[t + 1] = y[t] * (3.5 - 3.5 * y[t] - to_y * x[t])
    return np.stack([x, y], axis=1)


def test_skill_equals_a_loop_over_samples():
    x = np.random.default_rng(0).normal(size=(60, 2))
    E, delay = 3, 2
    first = (E - 1) * delay
    points = np.array([[x[t - k * delay, 1] for k in range(E)]
                       for t in range(first, 60)])  # fmt: skip
    np.testing.assert_array_equal(embedded(x[:, 1], E, delay), points)
    guess = []
    for t in range(len(points)):
        d = np.linalg.norm(points - points[t], axis=1)
        d[t] = np.inf
        near = np.argsort(d)[: E + 1]
        weight = np.exp(-d[near] / d[near].min())
        guess.append(weight @ x[first + near, 0] / weight.sum())
    wanted = np.corrcoef(guess, x[first:, 0])[0, 1]
    w = find("ccm")(x, n_dims=E, delay_samples=delay)
    assert w[0, 1] == pytest.approx(wanted, abs=1e-12)


def test_cause_is_read_from_its_effect():
    w = find("ccm")(maps(), n_dims=2)
    assert w[0, 1] > 0.9
    assert w[0, 1] > w[1, 0] + 0.3


def test_skill_grows_with_the_library_where_there_is_coupling():
    gain = find("ccm")(maps(to_y=0.1), n_dims=2, statistic="gain")
    assert gain[0, 1] > 0.1


def test_sample_is_never_its_own_neighbour():
    points = np.repeat(np.arange(5.0), 4)[:, None]  # copies of every point
    values = np.arange(20.0)[:, None]
    assert skills(points, values, 20)[0] < 1.0


def test_few_samples_are_refused():
    with pytest.raises(ParameterError, match="at least 27"):
        find("ccm")(np.random.default_rng(0).normal(size=(20, 2)))
