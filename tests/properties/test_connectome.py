"""What holds for any tensor, graph or set of recordings."""

import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroana.connectome import (
    MotifCommunities,
    NonNegativeCP,
    allegiance,
    factor_match_score,
    flexibility,
)
from neuroana.connectome.affinity import affinity, fold, pair_indices
from neuroana.connectome.core_consistency import core_consistency


def quiet_fit(values, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return NonNegativeCP(2, n_init=1, max_iter=40, random_state=0, dtype="float64",
                             **options).fit(values)  # fmt: skip


def random_tensor(seed, hole=0.2):
    rng = np.random.default_rng(seed)
    x = rng.gamma(1.0, 1.0, (15, 12, 4))
    x[np.repeat(rng.random((15, 1, 4)) < hole, 12, axis=1)] = np.nan
    return x


@given(st.integers(0, 10_000), st.floats(1e-6, 1e6))
def test_scaling_a_tensor_scales_the_weights_only(seed, factor):
    x = random_tensor(seed)
    one, two = quiet_fit(x), quiet_fit(x * factor)
    np.testing.assert_allclose(two.weights_ / factor, one.weights_, rtol=1e-6)
    np.testing.assert_allclose(two.time_, one.time_, rtol=1e-5, atol=1e-8)


@given(st.integers(0, 10_000))
def test_factors_are_finite_and_not_negative_where_observed(seed):
    model = quiet_fit(random_tensor(seed), baseline=seed % 2 == 0)
    for factor in (model.pair_, model.time_, model.animal_):
        known = factor.to_numpy()[np.isfinite(factor.to_numpy())]
        assert (known >= 0).all()
    assert 0 <= model.relative_error_ <= 1 + 1e-9


@given(st.integers(0, 10_000))
def test_what_lies_under_the_mask_does_not_matter(seed):
    x = random_tensor(seed)
    shown = np.nan_to_num(quiet_fit(x).pair_.to_numpy(), nan=-1)
    other = x.astype(">f8")  # other bytes of NaN, the same values
    np.testing.assert_allclose(np.nan_to_num(quiet_fit(other.astype(float)).pair_,
                                             nan=-1), shown)  # fmt: skip


@given(st.integers(0, 10_000))
def test_the_order_of_components_means_nothing(seed):
    rng = np.random.default_rng(seed)
    factors = [rng.random((n, 4)) for n in (6, 5, 3)]
    order = rng.permutation(4)
    moved = [f[:, order] * rng.uniform(0.1, 9) for f in factors]
    assert abs(factor_match_score(factors, moved) - 1) < 1e-9


@given(st.integers(0, 10_000))
def test_an_exact_model_has_a_diagonal_core(seed):
    rng = np.random.default_rng(seed)
    factors = [rng.random((n, 3)) for n in (8, 7, 6)]
    x = np.einsum("pr,tr,wr->ptw", *factors)
    assert core_consistency(x, factors) > 99.9


@given(st.integers(0, 10_000))
def test_permuting_neurons_permutes_affinities(seed):
    rng = np.random.default_rng(seed)
    z, order = rng.normal(size=(5, 7)), rng.permutation(7)
    there = fold(affinity(z, "geomean"))[:, order][:, :, order]
    np.testing.assert_allclose(fold(affinity(z[:, order], "geomean")), there)


@given(st.integers(0, 10_000))
def test_measures_over_time_are_shares(seed):
    labels = np.random.default_rng(seed).integers(-1, 3, (9, 6))
    for values in (flexibility(labels), allegiance(labels)):
        assert ((values >= 0) & (values <= 1)).all()


@settings(max_examples=5)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_the_unit_of_the_weights_means_nothing_to_communities(seed, factor):
    rng = np.random.default_rng(seed)
    i, j = pair_indices(14)
    w = fold(rng.lognormal(np.where(i // 7 == j // 7, 1.0, 0.0), 0.4))
    quick = {"n_posterior": 0, "n_start": 4, "random_state": 0}
    one, two = (MotifCommunities(**quick).fit(x).labels_ for x in (w, w * factor))
    np.testing.assert_array_equal(one, two)
