"""The ladder of models: one split for all, paired gains, honest intervals."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.switching import HMMGLM, fit_ladder, simulate_hmm_glm
from neuroana.switching.ladder import intervals, ladder_table


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
MODEL = HMMGLM(link="sigmoid", n_init=2, max_iter=60, random_state=0)
RUNGS = ("one_state", "none", "gaussian")


@pytest.fixture(scope="module")
def recordings():
    return simulate_hmm_glm(
        n_states=2, n_units=8, n_bins=700, n_sequences=6, random_state=3
    )[0]


@pytest.fixture(scope="module")
def ladder(recordings):
    return fit_ladder(
        recordings, 2, estimator=MODEL, rungs=RUNGS, cv=3, n_null=3, random_state=0
    )


def test_states_beat_one_state_with_an_interval_above_zero(ladder):
    gain = ladder.sel(model="none")

    assert float(gain.gain_low) > 0
    assert float(gain.gain_low) <= float(gain.gain) <= float(gain.gain_high)
    assert np.isnan(ladder.gain.sel(model="one_state"))


def test_score_is_that_of_the_model_on_the_held_out_recordings(recordings, ladder):
    model = HMMGLM(**{**MODEL.get_params(), "n_states": 1}).fit(recordings[2:])

    own = ladder.score.sel(model="one_state", fold=0)
    assert float(own) == pytest.approx(model.score(recordings[:2]), abs=1e-9)
    assert ladder.part.to_numpy().tolist() == [f"run-{i}" for i in range(1, 7)]


def test_totals_and_means_agree(ladder):
    total = ladder.log_likelihood.sum("part") / ladder.n_values.sum("part")

    np.testing.assert_allclose(ladder["mean"], total)
    assert (ladder["mean_low"] < ladder["mean"]).all()
    assert (ladder["mean"] < ladder["mean_high"]).all()


def test_null_lies_below_the_data(ladder):
    assert (ladder.null.mean("shift") < ladder.score).sel(model="none").all()


def test_missing_values_are_not_counted(recordings):
    x = [r.signal.astype(float).to_numpy() for r in recordings[:4]]
    x[0][10:40, 2] = np.nan

    found = fit_ladder(
        x, 2, estimator=MODEL, rungs=["one_state"], cv=2, n_null=0, random_state=0
    )

    assert found.n_values.to_numpy().tolist() == [5600 - 30, 5600, 5600, 5600]
    assert "null" not in found


def test_unknown_rung_is_named(recordings):
    with pytest.raises(ParameterError, match="rungs"):
        fit_ladder(recordings, 2, rungs=["one_state", "gausian"])


def test_a_single_recording_is_cut_into_blocks(recordings):
    found = fit_ladder(
        recordings[0], 2, estimator=MODEL, rungs=["one_state"], cv=4, n_null=0,
        random_state=0,
    )  # fmt: skip

    assert found.attrs["split"] == "contiguous blocks"
    assert found.sizes["part"] == 4


def test_intervals_of_groups_are_wider_than_those_of_their_members():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(8), 5)
    totals = 100 * np.stack([np.zeros(40), rng.standard_normal(8)[group]])
    values = np.full(40, 100)

    def width(clusters):
        table = ladder_table(["a", "b"], totals, values, np.arange(40) % 4)
        intervals(table, clusters, 2000, 0.95, np.random.default_rng(1))
        return float(table.gain_high[1] - table.gain_low[1])

    assert width(group) > 1.8 * width(np.arange(40))


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        totals = 50 * np.stack([np.zeros(40), 0.1 + rng.standard_normal(40)])
        table = ladder_table(["a", "b"], totals, np.full(40, 50), np.arange(40) % 4)
        intervals(table, np.arange(40), 400, 0.9, rng)
        covered += float(table.gain_low[1]) < 0.1 < float(table.gain_high[1])
    assert 0.83 < covered / 200 < 0.95
