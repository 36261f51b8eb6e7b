"""What must not change a matrix, and what must, for samples of any kind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroana as na
from neuroana.fc.registry import find, load_operators


SCALE_FREE = [
    "pearson", "spearman", "kendall", "chatterjee_xi", "partial", "mi_gauss", "mi_ksg",
    "mi_kernel", "dcor", "dcor_unbiased", "hsic", "coherence", "imcoh", "plv", "ciplv",
    "ppc", "pli", "wpli", "psi", "group_delay", "aec", "granger", "te_gauss", "te_ksg",
    "granger_conditional", "spectral_granger", "spectral_granger_wilson", "gpdc",
    "xcorr_max", "lagged_corr", "diff_corr", "dtw", "lcss", "euclidean", "ridge",
    "event_sync", "dcc", "cointegration", "johansen", "wavelet_coherence", "mtd",
    "sliding_pearson", "ewm_corr", "mim", "mic",
]  # fmt: skip
EXACT = {"mi_ksg", "te_ksg", "kendall", "spearman", "chatterjee_xi", "event_sync"}
LOOSE = {"dcc": 1e-4, "spectral_granger_wilson": 1e-6, "cointegration": 1e-6}
UNIT = [
    "pearson", "spearman", "kendall", "partial", "xcorr_max", "diff_corr", "ewm_corr",
    "sliding_pearson", "coherence", "plv", "dcor", "aec", "lcss", "wavelet_coherence",
    "dcc",
]  # fmt: skip


def coupled(seed, n_time=120, n=4):
    """Samples with couplings at lags 0 and 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_time, n))
    x[1:, 1] += 0.7 * x[:-1, 0]
    x[:, 3] += 0.5 * x[:, 2]
    return x


def call(name, x, **options):
    rate = 2.0 if find(name).needs_rate else None
    return na.fc.connectivity(x, name, sampling_rate=rate, **options).to_numpy()


@pytest.mark.parametrize("name", SCALE_FREE)
@settings(max_examples=3)
@given(seed=st.integers(0, 10_000), scale=st.lists(st.integers(-8, 8), min_size=4,
                                                   max_size=4),
       offset=st.lists(st.integers(-50, 50), min_size=4, max_size=4))  # fmt: skip
def test_scale_and_offset_of_a_region_change_nothing(name, seed, scale, offset):
    x = coupled(seed)
    turned = x * 2.0 ** np.array(scale) + np.array(offset, float)
    if name in EXACT:  # an offset rounds the samples, and ranks may tie
        turned = x * 2.0 ** np.array(scale)
    tol = LOOSE.get(name, 1e-8)
    np.testing.assert_allclose(call(name, turned), call(name, x), rtol=tol, atol=tol)


def test_scale_of_a_region_changes_its_covariance():
    x = coupled(0)
    first, second = call("covariance", x), call("covariance", x * [2, 1, 1, 1])
    np.testing.assert_allclose(second[0, 1], 2 * first[0, 1])


# symmetric windows that lie at the same places from either end
SEGMENTS = {"segment_samples": 32, "method": "fourier"}


@pytest.mark.parametrize(("name", "options"), [
    ("pearson", {}), ("dcor", {}), ("spearman", {}), ("hsic", {}), ("dtw", {}),
    ("coherence", SEGMENTS), ("plv", SEGMENTS), ("wpli", SEGMENTS),
])  # fmt: skip
@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_reversed_time_changes_nothing(name, options, seed):
    x = coupled(seed, 128)
    first, second = (call(name, v, **options) for v in (x, x[::-1]))
    np.testing.assert_allclose(first, second, atol=1e-9)


@pytest.mark.parametrize("name", ["te_gauss", "granger", "te_ksg", "lagged_corr",
                                  "var_coef"])  # fmt: skip
@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_reversed_time_turns_the_direction(name, seed):
    w, turned = (call(name, v) for v in (coupled(seed, 400), coupled(seed, 400)[::-1]))
    assert w[0, 1] > w[1, 0]
    assert turned[0, 1] < turned[1, 0]


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_reversed_time_flips_the_phase_slope(seed):
    x = coupled(seed, 128)
    first, second = (call("psi", v, **SEGMENTS) for v in (x, x[::-1]))
    np.testing.assert_allclose(first, -second, atol=1e-9)


@pytest.mark.parametrize("name", UNIT)
def test_diagonal_is_one_where_it_is_defined(name):
    w = call(name, coupled(0, 200))
    np.testing.assert_allclose(np.diag(w), 1.0, atol=1e-12)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(5)),
       size=st.integers(1, 5))  # fmt: skip
def test_batches_of_any_size_and_order_give_the_same(seed, order, size):
    x = np.stack([coupled(seed + k, 60) for k in range(5)])
    ops = ["pearson", "partial", "kendall", "coherence", "granger"]
    model = na.fc.Connectivity(ops, sampling_rate=2.0)
    whole = model.fit_transform(x)
    memory = 40_000 * size
    cut = na.fc.Connectivity(ops, sampling_rate=2.0, memory_limit=memory)
    turned = cut.fit_transform(x[list(order)])
    for name in ops:
        np.testing.assert_allclose(
            turned[name].values, whole[name].values[list(order)], rtol=1e-10, atol=1e-12
        )


def test_every_operator_takes_two_regions():
    x = coupled(0, 120, 4)[:, :2]
    for name in load_operators():
        w = call(name, x)
        assert w.shape == (2, 2)
