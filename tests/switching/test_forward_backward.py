"""The E step against stored results, all paths, and itself."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroana.switching.blocked_scan import smooth_blocked
from neuroana.switching.forward_backward import (
    as_chain,
    has_numba,
    predict_states,
    smooth,
    viterbi,
)


CASES = [
    *("tiny", "zeros", "varying", "missing", "onebin", "onestate"),
    *("extreme", "ragged", "mid", "long"),
]
METHODS = ["compiled"] * has_numba() + ["blocked", "logspace"]
DECODERS = ["compiled"] * has_numba() + ["numpy"]


@pytest.fixture(scope="module")
def stored(oracles):
    with np.load(oracles / "hmmglm_forward_backward.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """Compile what the tests need before their clock starts."""
    if "compiled" not in METHODS:
        return
    for n_states in (1, 2, 3, 4):
        loglik, uniform = np.zeros((3, n_states)), np.full(n_states, 1 / n_states)
        for a in (np.full((n_states, n_states), 1 / n_states), np.eye(n_states)):
            smooth(loglik, a, uniform)
        viterbi(loglik, a, uniform)


def inputs(stored, case):
    names = "loglik", "transition", "initial"
    parts = [stored[f"{case}__{name}"] for name in names]
    return (*parts, stored.get(f"{case}__lengths"))


def all_paths(loglik, transition, initial):
    """Evidence, smoothed, filtered, transitions and best path by enumeration."""
    n_bins, n_states = loglik.shape
    varying = np.broadcast_to(transition, (n_bins - 1, n_states, n_states))
    gamma = np.zeros((n_bins, n_states))
    xi = np.zeros((n_states, n_states))
    total, best, best_path = 0.0, -1.0, None
    for path in itertools.product(range(n_states), repeat=n_bins):
        p = initial[path[0]] * np.exp(loglik[0, path[0]])
        for t in range(1, n_bins):
            p *= varying[t - 1, path[t - 1], path[t]] * np.exp(loglik[t, path[t]])
        total += p
        gamma[range(n_bins), path] += p
        for i, j in itertools.pairwise(path):
            xi[i, j] += p
        if p > best:
            best, best_path = p, path
    return total, gamma / total, xi / total, best_path, best


def random_chain(rng, n_bins, n_states, *, zeros=False, varying=False, spread=2.0):
    loglik = spread * rng.standard_normal((n_bins, n_states))
    shape = (n_bins - 1, n_states) if varying else (n_states,)
    transition = rng.dirichlet(np.ones(n_states), size=shape)
    if zeros:
        transition = np.where(rng.random(transition.shape) < 0.3, 0.0, transition)
        transition = transition + 0.5 * np.eye(n_states)
        transition /= transition.sum(-1, keepdims=True)
    return loglik, transition, rng.dirichlet(np.ones(n_states))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", CASES)
def test_smooth_matches_stored_results(stored, case, method):
    found = smooth(*inputs(stored, case), method=method)

    rows = stored.get(f"{case}__rows", slice(None))
    expected = {
        name: stored[f"{case}__{name}"]
        for name in ("log_marginal", "gamma", "xi_sum", "filtered")
        if f"{case}__{name}" in stored
    }
    marginal = found.log_marginal
    np.testing.assert_allclose(
        marginal if case == "ragged" else marginal[0],
        expected["log_marginal"],
        rtol=1e-10,
    )
    np.testing.assert_allclose(found.gamma[rows], expected["gamma"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.xi_sum, expected["xi_sum"], rtol=1e-9)
    if "filtered" in expected:
        np.testing.assert_allclose(
            found.filtered[rows], expected["filtered"], rtol=0, atol=1e-9
        )
    if case == "long":
        np.testing.assert_allclose(
            found.gamma.sum(0), stored["long__gamma_sum"], rtol=1e-9
        )


@pytest.mark.parametrize("method", DECODERS)
@pytest.mark.parametrize("case", CASES)
def test_viterbi_matches_stored_results(stored, case, method):
    found = viterbi(*inputs(stored, case), method=method)

    np.testing.assert_array_equal(found.path, stored[f"{case}__viterbi"])
    np.testing.assert_allclose(
        found.log_joint, np.atleast_1d(stored[f"{case}__viterbi_logp"]), rtol=1e-10
    )


@pytest.mark.parametrize("method", METHODS)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_bins=st.integers(1, 7),
    n_states=st.integers(1, 3),
    zeros=st.booleans(),
    varying=st.booleans(),
    missing=st.booleans(),
)
def test_smooth_equals_the_sum_over_all_paths(
    method, seed, n_bins, n_states, zeros, varying, missing
):
    rng = np.random.default_rng(seed)
    chain = random_chain(rng, n_bins, n_states, zeros=zeros, varying=varying)
    if missing:
        chain[0][rng.random(n_bins) < 0.4] = 0.0
    total, gamma, xi, path, best = all_paths(*chain)

    found = smooth(*chain, method=method)
    decoded = viterbi(*chain)

    np.testing.assert_allclose(found.log_marginal[0], np.log(total), atol=1e-12)
    np.testing.assert_allclose(found.gamma, gamma, atol=1e-12)
    np.testing.assert_allclose(found.xi_sum, xi, atol=1e-12)
    np.testing.assert_allclose(decoded.log_joint[0], np.log(best), atol=1e-12)
    if not missing:  # otherwise paths may tie
        np.testing.assert_array_equal(decoded.path, path)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 2**32 - 1), zeros=st.booleans(), varying=st.booleans())
def test_smooth_keeps_sequences_apart(method, seed, zeros, varying):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 12, size=4)
    loglik, transition, initial = random_chain(
        rng, lengths.sum(), 3, zeros=zeros, varying=varying
    )
    ends = np.cumsum(lengths)

    joint = smooth(loglik, transition, initial, lengths, method=method)

    xi = np.zeros((3, 3))
    for r, (first, last) in enumerate(zip(ends - lengths, ends)):
        a = transition[first : last - 1] if varying else transition
        alone = smooth(loglik[first:last], a, initial, method=method)
        xi += alone.xi_sum
        np.testing.assert_allclose(
            joint.log_marginal[r], alone.log_marginal[0], atol=1e-11
        )
        np.testing.assert_allclose(joint.gamma[first:last], alone.gamma, atol=1e-12)
    np.testing.assert_allclose(joint.xi_sum, xi, atol=1e-11)


@pytest.mark.parametrize("block", [1, 2, 7, 22, 500])
def test_smooth_does_not_depend_on_block_length(stored, block):
    chain = inputs(stored, "mid")
    expected = smooth(*chain, method="logspace")

    found = smooth(*chain, method="blocked", block=block)

    for name in ("log_marginal", "filtered", "gamma", "xi_sum"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=1e-11, atol=1e-12
        )


@pytest.mark.parametrize("method", METHODS)
def test_smooth_treats_models_as_independent(method):
    rng = np.random.default_rng(3)
    chains = [random_chain(rng, 40, 3) for _ in range(4)]

    together = smooth(
        *(np.stack(part) for part in zip(*chains)), [25, 15], method=method
    )

    for s, chain in enumerate(chains):
        alone = smooth(*chain, [25, 15], method=method)
        for name in ("log_marginal", "filtered", "gamma", "xi_sum"):
            np.testing.assert_allclose(
                getattr(together, name)[s], getattr(alone, name), rtol=1e-12
            )


@pytest.mark.parametrize("method", METHODS)
def test_smooth_survives_where_plain_probabilities_underflow(stored, method):
    loglik, transition, initial, _ = inputs(stored, "long")
    plain = initial * np.exp(loglik[0])
    for t in range(1, 13):
        plain = plain @ transition * np.exp(loglik[t])

    assert plain.sum() == 0.0
    assert np.isfinite(smooth(loglik, transition, initial, method=method).gamma).all()


@pytest.mark.parametrize("method", METHODS)
def test_smooth_redoes_in_logspace_what_scaling_would_get_wrong(method):
    """A state left far behind, without a way back in, overtakes in the end."""
    loglik = np.zeros((31, 2))
    loglik[:10, 1] = -500.0
    loglik[10:, 0] = -500.0
    frozen = np.eye(2)

    found = smooth(loglik, frozen, [0.5, 0.5], method=method)

    np.testing.assert_allclose(found.log_marginal[0], np.log(0.5) - 5000, rtol=1e-12)
    np.testing.assert_allclose(found.gamma[:, 1], 1.0)
    np.testing.assert_allclose(found.xi_sum, [[0, 0], [0, 30]], atol=1e-12)
    assert found.n_logspace == (0 if method == "logspace" else 1)


@pytest.mark.parametrize("method", METHODS)
def test_smooth_redoes_only_the_spoilt_sequence(method):
    rng = np.random.default_rng(0)
    bad = np.zeros((31, 2))
    bad[:10, 1] = -500.0
    bad[10:, 0] = -500.0
    good = rng.standard_normal((20, 2))
    loglik = np.concatenate([good, bad, good])

    found = smooth(loglik, np.eye(2), [0.5, 0.5], [20, 31, 20], method=method)
    expected = smooth(loglik, np.eye(2), [0.5, 0.5], [20, 31, 20], method="logspace")

    assert found.n_logspace == (0 if method == "logspace" else 1)
    np.testing.assert_allclose(found.xi_sum, expected.xi_sum, atol=1e-12)
    np.testing.assert_allclose(found.log_marginal, expected.log_marginal, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_smooth_reports_an_impossible_sequence(method):
    loglik = np.array([[0.0, -np.inf], [-np.inf, 0.0]])

    found = smooth(loglik, np.eye(2), [0.5, 0.5], method=method)

    assert np.isneginf(found.log_marginal[0])
    assert np.isnan(found.gamma).all()


def test_smooth_gives_length_one_sequences_no_transition():
    found = smooth(np.zeros((3, 2)), np.full((2, 2), 0.5), [0.3, 0.7], [1, 1, 1])

    assert (found.xi_sum == 0).all()
    np.testing.assert_allclose(found.gamma, [[0.3, 0.7]] * 3)


def test_predict_states_carries_the_filter_one_step():
    loglik, transition, initial = random_chain(np.random.default_rng(0), 9, 3)
    found = smooth(loglik, transition, initial, [5, 4])

    ahead = predict_states(found.filtered, transition, initial, [5, 4])

    np.testing.assert_allclose(ahead[[0, 5]], [initial, initial])
    np.testing.assert_allclose(ahead[1], found.filtered[0] @ transition)


def test_blocked_scan_copes_with_uneven_lengths():
    rng = np.random.default_rng(1)
    loglik, transition, initial = random_chain(rng, 101, 4)
    chain = as_chain(loglik, transition, initial, [1, 60, 40])
    expected = smooth(loglik, transition, initial, [1, 60, 40], method="logspace")

    found, doubtful = smooth_blocked(chain, block=13)

    assert not doubtful.any()
    np.testing.assert_allclose(found.gamma[0], expected.gamma, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), np.eye(2), [1, 0]), "loglik"),
        ((np.zeros((3, 2)), np.eye(3), [1, 0]), "transition"),
        ((np.zeros((3, 2)), np.eye(2), [1, 0], [2, 2]), "lengths"),
    ],
)
def test_smooth_rejects_shapes_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        smooth(*arguments)


@pytest.mark.skipif(not has_numba(), reason="numba is not there")
def test_smooth_makes_nothing_of_bins_by_states_by_states():
    import tracemalloc

    n_bins, n_states = 5000, 30
    loglik = np.random.default_rng(0).standard_normal((n_bins, n_states))
    a = np.full((n_states, n_states), 1 / n_states)
    smooth(loglik[:10], a, a[0], method="compiled")  # compile

    tracemalloc.start()
    smooth(loglik, a, a[0], method="compiled")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 6 * loglik.nbytes < 8 * n_bins * n_states**2


@pytest.mark.skipif(not has_numba(), reason="numba is not there")
def test_smooth_keeps_to_its_time():
    """Thirty sequences of 2000 bins, five states: a few milliseconds."""
    import time

    loglik = np.random.default_rng(0).standard_normal((60_000, 5))
    a = np.full((5, 5), 0.005) + 0.975 * np.eye(5)
    given = loglik, a, np.full(5, 0.2), [2000] * 30
    smooth(*given)

    spent = []
    for _ in range(5):
        begin = time.process_time()
        smooth(*given)
        spent.append(time.process_time() - begin)

    assert min(spent) < 0.06
