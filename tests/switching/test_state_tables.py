"""Time in states against sums over all paths."""

from itertools import groupby, pairwise, product

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.switching import HMMGLM, state_table
from neuroana.switching.state_tables import expected_visits, observed_chain


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")


def brute_force(loglik, transition, initial, kept):
    """Expected share of samples and number of visits, over the samples `kept`."""
    n_bins, n_states = loglik.shape
    total, share, visits = 0.0, np.zeros(n_states), np.zeros(n_states)
    for path in product(range(n_states), repeat=n_bins):
        p = initial[path[0]] * np.exp(loglik[range(n_bins), path].sum())
        p *= np.prod([transition[a, b] for a, b in pairwise(path)])
        seen = [path[t] for t in kept]
        total += p
        for state, _ in groupby(seen):
            visits[state] += p
        share += p * np.bincount(seen, minlength=n_states) / len(seen)
    return share / total, visits / total


@pytest.mark.parametrize("kept", [range(6), (0, 1, 4, 5), (2, 3, 5)])
def test_expected_visits_are_sums_over_paths(kept):
    rng = np.random.default_rng(0)
    loglik = rng.standard_normal((6, 3))
    here = np.isin(np.arange(6), list(kept))
    loglik[~here] = 0.0
    transition = rng.dirichlet(np.ones(3), 3)
    initial = rng.dirichlet(np.ones(3))

    rows = expected_visits(*observed_chain(loglik, transition, initial, here))

    share, visits = brute_force(loglik, transition, initial, list(kept))
    np.testing.assert_allclose([r["occupancy"] for r in rows], share)
    np.testing.assert_allclose([r["n_visits"] for r in rows], visits)


def test_steps_over_a_gap_use_every_step_in_it():
    rng = np.random.default_rng(1)
    steps = rng.dirichlet(np.ones(2), (5, 2))
    here = np.array([True, False, False, True, True, True])

    _, joined, initial = observed_chain(np.zeros((6, 2)), steps, np.ones(2) / 2, here)

    np.testing.assert_allclose(joined[0], steps[0] @ steps[1] @ steps[2])
    np.testing.assert_allclose(joined[1:], steps[3:])
    np.testing.assert_allclose(initial, [0.5, 0.5])


@pytest.fixture(scope="module")
def blocks():
    """Two signals that jump together, with a gap in the middle of the first half."""
    rng = np.random.default_rng(0)
    path = np.repeat([0, 1, 0, 1], 100)
    x = np.where(path, 5.0, 0.0)[:, None] + rng.standard_normal((400, 2))
    x[40:60] = np.nan
    model = HMMGLM(2, "gaussian", history=None, n_init=2, random_state=0).fit(x)
    return model, x


@pytest.mark.parametrize("by", ["viterbi", "posterior"])
def test_missing_samples_count_in_no_state_and_cut_no_visit(blocks, by):
    model, x = blocks
    low = int(model.baseline_[:, 0].to_numpy().argmin())

    table = state_table(model, x, by=by).set_index("state")

    assert table.occupancy[low] == pytest.approx(180 / 380, abs=1e-3)
    assert table.n_visits[low] == pytest.approx(2, abs=1e-2)
    assert table.mean_visit[low] == pytest.approx(90, abs=1)
    assert set(table.by) == {by}
    assert set(table.unit) == {"bin"}


def test_longest_visit_is_known_for_a_path_only(blocks):
    model, x = blocks

    assert "longest_visit" in state_table(model, x, by="viterbi")
    assert "longest_visit" not in state_table(model, x, by="posterior")


def test_recordings_without_a_value_have_no_occupancy(blocks):
    model, x = blocks

    table = state_table(model, [x, np.full((30, 2), np.nan)], by="viterbi")

    assert table.occupancy.isna().tolist() == [False, False, True, True]


def test_the_kind_of_count_must_be_said(blocks):
    model, x = blocks
    with pytest.raises(TypeError, match="by"):
        state_table(model, x)
    with pytest.raises(ParameterError, match="viterbi"):
        state_table(model, x, by="vitrebi")


def test_occupancy_of_the_fit_counts_observed_samples_only(blocks):
    model, x = blocks

    table = state_table(model, x, by="posterior").set_index("state")

    np.testing.assert_allclose(model.occupancy_, table.occupancy, atol=1e-3)
