"""How many states: the criteria, the table, and what it picks."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.switching import (
    HMMGLM,
    information_criteria,
    select_n_states,
    simulate_hmm_glm,
)


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")


def three_levels(seed=0, n_bins=600, n_sequences=3):
    """Gaussian recordings with three clearly different states."""
    rng = np.random.default_rng(seed)
    level = np.array([[0.0, 0.0], [4.0, -4.0], [-4.0, -4.0]])
    parts = []
    for _ in range(n_sequences):
        path = np.repeat(rng.integers(3, size=n_bins // 20), 20)
        parts.append(level[path] + rng.standard_normal((n_bins, 2)))
    return parts


MODEL = HMMGLM(observation="gaussian", history=None, n_init=3, random_state=0)


@pytest.fixture(scope="module")
def table():
    return select_n_states(MODEL, three_levels(), [4, 1, 2, 3], cv=3)


def test_every_criterion_finds_three_clear_states(table):
    assert table.attrs["best_bic"] == 3
    assert table.attrs["best_icl"] == 3
    assert table.attrs["best_one_se"] == 3


def test_table_is_sorted_and_labelled(table):
    assert table.n_states.to_numpy().tolist() == [1, 2, 3, 4]
    assert table.held_out.dims == ("n_states", "fold")
    assert table.occupancy.sum("state").to_numpy() == pytest.approx(1.0)
    assert np.isnan(table.occupancy.sel(n_states=1, state=1))


def test_the_right_number_is_found_again_in_every_fold(table):
    assert float(table.fold_agreement.sel(n_states=3).min()) > 0.95
    assert float(table.fold_agreement.sel(n_states=1).min()) == 1.0
    assert float(table.start_agreement.sel(n_states=3)) > 0.95


def test_one_state_is_chosen_for_one_state():
    x = [part[:, :1] * 0 + np.random.default_rng(i).standard_normal((600, 2))
         for i, part in enumerate(three_levels())]  # fmt: skip

    found = select_n_states(MODEL, x, [1, 2, 3], cv=3)

    assert found.attrs["best_bic"] == found.attrs["best_icl"] == 1
    assert found.attrs["best_one_se"] == 1


def test_criteria_follow_their_definitions():
    x = three_levels(n_sequences=1)[0][:60]
    model = HMMGLM(2, "gaussian", history=None, n_init=2, random_state=0).fit(x)

    found = information_criteria(model, x)

    # 2 states, 2 units: 4 levels, 4 variances, 1 initial and 2 transition numbers
    assert found["n_parameters"] == 4 + 4 + 1 + 2
    penalty = found["n_parameters"] * np.log(60)
    assert found["bic"] == pytest.approx(
        penalty - 2 * float(model.log_likelihood(x)[0])
    )
    path = model.predict(x)
    emission = -0.5 * (
        (x - model.baseline_.to_numpy()[path]) ** 2 / model.noise_.to_numpy()[path]
        + np.log(2 * np.pi * model.noise_.to_numpy()[path])
    )
    steps = model.transition_matrix_.to_numpy()[path[:-1], path[1:]]
    joint = emission.sum() + np.log(steps).sum()
    joint += np.log(model.initial_prob_.to_numpy()[path[0]])
    assert found["icl"] == pytest.approx(penalty - 2 * joint)


def test_numbers_that_repeat_are_refused():
    with pytest.raises(ParameterError, match="different numbers"):
        select_n_states(MODEL, three_levels(), [2, 2])


def test_inputs_go_with_their_folds():
    rng = np.random.default_rng(0)
    u = [rng.standard_normal((300, 1)) for _ in range(3)]
    x = [3 * part + rng.standard_normal((300, 2)) for part in u]

    found = select_n_states(MODEL, x, [1], inputs=u, cv=3)

    assert float(found.held_out.min()) > -1.5  # without the input: about -2.6


@pytest.mark.paper
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("truth", [1, 3])
def test_bic_finds_the_number_of_coupled_states_in_most_draws(truth):
    hits = 0
    for seed in range(10):
        data, _ = simulate_hmm_glm(
            n_states=truth, n_units=10, n_bins=2000, n_sequences=10, random_state=seed
        )
        model = HMMGLM(link="sigmoid", n_init=4, random_state=seed)
        rows = {}
        for k in (1, 2, 3, 4):
            fit = model.set_params(n_states=k).fit(data)
            rows[k] = information_criteria(fit, data)["bic"]
        hits += min(rows, key=rows.get) == truth
    assert hits >= 8
