"""Choices: the design of the field, recovery of strategies, psychometric curves."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from neuroana.core.errors import SchemaError
from neuroana.switching import (
    HMMGLM,
    choice_design,
    match_states,
    plot_input_weights,
    plot_psychometric,
    psychometric_curve,
    simulate_choices,
    state_accuracy,
)


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
TRIALS = pd.DataFrame(
    {
        "session": ["b", "b", "b", "a", "a"],
        "stimulus": [1.0, -1.0, 1.0, -1.0, 1.0],
        "choice": [1, 0, np.nan, 1, 0],
        "reward": [1, 0, 0, -1, 1],
    }
)


def test_design_has_the_inputs_of_the_field():
    choices, inputs = choice_design(TRIALS)

    assert [c.attrs["label"] for c in choices] == ["session b", "session a"]
    spread = TRIALS.stimulus.std(ddof=0)
    np.testing.assert_allclose(inputs[0][:, 0], np.array([1, -1, 1]) / spread)
    np.testing.assert_array_equal(inputs[0][:, 1], [0, 1, -1])
    np.testing.assert_array_equal(inputs[0][:, 2], [0, 1, 1])  # won; lost: switch
    np.testing.assert_array_equal(inputs[1][:, 1:], [[0, 0], [1, -1]])
    assert np.isnan(choices[0][2, 0])


def test_a_missing_choice_says_nothing_about_the_next_trial():
    trials = pd.concat([TRIALS.iloc[:3], TRIALS.iloc[:1]], ignore_index=True)

    _, inputs = choice_design(trials)

    np.testing.assert_array_equal(inputs[0][3, 1:], [0, 0])


def test_rewards_may_be_absent():
    _, inputs = choice_design(TRIALS.drop(columns="reward"), reward=None)

    assert inputs[0].input.to_numpy().tolist() == ["stimulus", "previous_choice"]


def test_design_names_what_is_wrong():
    with pytest.raises(SchemaError, match="did you mean 'choice'"):
        choice_design(TRIALS, choice="choise")
    with pytest.raises(SchemaError, match="2 in row 1"):
        choice_design(TRIALS.assign(choice=[1, 2, 0, 1, 0]))
    with pytest.raises(SchemaError, match="loud in row 0"):
        choice_design(TRIALS.assign(stimulus=["loud", 1, 1, 1, 1]))


def test_strategies_are_found_again():
    trials, truth = simulate_choices(12, (300, 600), random_state=0)
    choices, inputs = choice_design(trials)

    model = HMMGLM(3, "bernoulli", history=None, n_init=6, random_state=0)
    model.fit(choices, inputs=inputs)

    path = model.predict(choices, inputs=inputs)
    state = [part.state.to_numpy() for _, part in trials.groupby("session")]
    order = match_states(state, path)
    assert state_accuracy(state, path) > 0.8
    bias = model.baseline_[order, 0].to_numpy()
    np.testing.assert_allclose(bias, truth.weights[:, 0], atol=0.6)
    stimulus = model.input_weights_[order, 0, 0].to_numpy() / trials.stimulus.std(
        ddof=0
    )
    np.testing.assert_allclose(stimulus, truth.weights[:, 1], atol=0.9)
    assert plot_input_weights(model).get_xticklabels()[1].get_text() == "stimulus"


def test_simulated_sessions_depend_on_their_number_only():
    few, _ = simulate_choices(2, (50, 90), random_state=3)
    more, _ = simulate_choices(4, (50, 90), random_state=3)

    pd.testing.assert_frame_equal(few, more[more.session < 2])


def test_simulated_choices_follow_their_strategy():
    trials, _ = simulate_choices(1, 20_000, weights=[[0.4, 0, 0, 0]], random_state=0)

    expected = 1 / (1 + np.exp(-0.4))
    assert binomtest(int(trials.choice.sum()), len(trials), expected).pvalue > 0.001


def test_psychometric_curve_counts_by_state_with_wilson_intervals():
    path = np.repeat([0, 1], 50)
    stimulus = np.tile([-1.0, 1.0], 50)
    choice = np.where(path == 0, stimulus > 0, stimulus < 0).astype(float)
    choice[0] = np.nan

    curve = psychometric_curve(path, choice, stimulus)

    assert curve.share.values.tolist() == [[0, 1], [1, 0]]
    assert curve.n.values.tolist() == [[24, 25], [25, 25]]
    expected = binomtest(25, 25).proportion_ci(method="wilson")
    assert float(curve.low[0, 1]) == pytest.approx(expected.low)
    assert len(plot_psychometric(curve)) == 2


def test_many_stimuli_are_binned_by_equal_counts():
    rng = np.random.default_rng(0)
    stimulus = rng.standard_normal(900)

    curve = psychometric_curve(np.zeros(900, int), stimulus > 0, stimulus, n_bins=6)

    assert curve.n.to_numpy().tolist() == [[150] * 6]
    with pytest.raises(SchemaError, match="one of each"):
        psychometric_curve(np.zeros(3, int), [0, 1], [0, 1])
