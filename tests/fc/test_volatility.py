"""Dynamic conditional correlation: exact gradients, and a truth that is simulated."""

import numpy as np
import pytest

from neuroana.fc.registry import find
from neuroana.fc.sharing import Shared
from neuroana.fc.volatility import (
    conditional_variance,
    correlation_loss,
    correlation_path,
    maximise,
    paths,
    variance_loss,
)


def clustered(n_time=3000, a=0.15, b=0.8, seed=0):
    """A course with GARCH(1,1) variances, and these."""
    rng = np.random.default_rng(seed)
    x, h = np.zeros(n_time), np.ones(n_time)
    for t in range(n_time):
        if t:
            h[t] = (1 - a - b) + a * x[t - 1] ** 2 + b * h[t - 1]
        x[t] = np.sqrt(h[t]) * rng.normal()
    return x, h


@pytest.mark.parametrize("make", [variance_loss, correlation_loss])
def test_gradient_is_that_of_differences(make):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    loss = make(x[:, 0] if make is variance_loss else x)
    a, b, step = 0.1, 0.7, 1e-6
    _, da, db = loss(a, b)
    numeric = [(loss(a + step, b)[0] - loss(a - step, b)[0]) / (2 * step),
               (loss(a, b + step)[0] - loss(a, b - step)[0]) / (2 * step)]  # fmt: skip
    np.testing.assert_allclose([da, db], numeric, rtol=1e-5, atol=1e-9)


def test_recursion_equals_a_loop():
    squares = np.random.default_rng(0).random((50, 2))
    mean = squares.mean(axis=0)
    v = paths(squares, mean, 0.1, 0.8)[0]
    wanted = [mean]
    for t in range(1, 50):
        wanted.append(0.1 * mean + 0.1 * squares[t - 1] + 0.8 * wanted[-1])
    np.testing.assert_allclose(v, wanted, rtol=1e-12)


def test_variances_that_cluster_are_found():
    x, h = clustered()
    a, b = maximise(variance_loss(x))
    assert a == pytest.approx(0.15, abs=0.05)
    assert b == pytest.approx(0.8, abs=0.07)
    assert np.corrcoef(conditional_variance(x), h)[0, 1] > 0.97


def test_correlation_that_wanders_is_followed():
    rng = np.random.default_rng(1)
    t = np.arange(2000)
    rho = 0.8 * np.sin(2 * np.pi * t / 500)
    noise = rng.normal(size=(2000, 3))
    x = noise.copy()
    x[:, 1] = rho * noise[:, 0] + np.sqrt(1 - rho**2) * noise[:, 1]
    made, coords = find("dcc").run(Shared(x[None]), reduce="none")
    assert coords["window"].tolist() == t.tolist()
    assert np.corrcoef(made[0, :, 0, 1], rho)[0, 1] > 0.8
    sd = find("dcc")(x, reduce="sd")
    assert sd[0, 1] > 3 * sd[0, 2]


def test_constant_correlation_stays():
    rng = np.random.default_rng(2)
    x = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=2000)
    assert find("dcc")(x)[0, 1] == pytest.approx(np.corrcoef(x.T)[0, 1], abs=0.03)
    assert find("dcc")(x, reduce="sd")[0, 1] < 0.06


def test_paths_are_correlation_matrices():
    R = correlation_path(np.random.default_rng(0).normal(size=(80, 3)), 0.1, 0.8)
    assert np.linalg.eigvalsh(R).min() > -1e-12
    np.testing.assert_array_equal(np.einsum("tii->ti", R), 1.0)
