"""Held-out scores: no leak, a null that is one, the same splits for all."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.switching import (
    HMMGLM,
    held_out_comparison,
    simulate_hmm_glm,
    time_shift_null,
)
from neuroana.switching.folds import Pieces, block_folds, make_folds
from neuroana.switching.held_out import shift_units


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
MODEL = HMMGLM(2, link="sigmoid", n_init=2, max_iter=40, random_state=0)


@pytest.fixture(scope="module")
def recordings():
    return simulate_hmm_glm(
        n_states=2, n_units=8, n_bins=700, n_sequences=4, random_state=3
    )[0]


def test_comparison_is_labelled_and_ordered_as_it_should_be(recordings):
    found = held_out_comparison(MODEL, recordings, cv=2, n_null=4, random_state=0)

    assert found.score.dims == ("model", "fold")
    assert found.null.dims == ("fold", "shift")
    states = found.score.sel(model="states")
    assert (states > found.score.sel(model="one_state")).all()
    assert (states > found.null.max("shift")).all()
    assert found.n_train.to_numpy().tolist() == [1400, 1400]
    assert found.attrs["split"] == "recordings"
    assert not hasattr(MODEL, "coupling_")


def test_comparison_of_unrelated_units_finds_nothing():
    x = np.random.default_rng(0).poisson(0.6, (900, 3)).astype(float)

    found = held_out_comparison(MODEL, x, cv=3, n_null=8, random_state=0)

    gain = found.score.sel(model="states") - found.score.sel(model="one_state")
    assert float(gain.mean()) < 2e-3
    spread = float(found.null.std())
    assert abs(float(found.score[0].mean() - found.null.mean())) < 4 * spread


@pytest.mark.parametrize("n_lags", [0, 5])
@pytest.mark.parametrize("purge", [None, 0, 17])
def test_blocks_never_touch_their_training_data(purge, n_lags):
    folds = block_folds(400, 4, purge, n_lags)

    least = max(n_lags, 4) if purge is None else purge
    tested = np.zeros(400, dtype=int)
    for train, [(_, first, last)] in folds:
        tested[first:last] += 1
        for _, a, b in train:
            assert b <= first - least or a >= last + least
    assert (tested == 1).all()


def test_recordings_of_a_group_stay_together(recordings):
    groups = ["a", "b", "a", "c"]

    folds = make_folds(MODEL, Pieces(recordings), 3, groups, None)

    for train, test in folds:
        assert not {groups[i] for i, *_ in train} & {groups[i] for i, *_ in test}


def test_comparison_rejects_too_many_blocks():
    with pytest.raises(ParameterError, match="fewer folds"):
        held_out_comparison(MODEL, np.ones((40, 2)), cv=10)


def test_comparison_rejects_groups_that_do_not_fit(recordings):
    with pytest.raises(ParameterError, match="groups"):
        held_out_comparison(MODEL, recordings, groups=["a"] * 4)


def test_inputs_are_cut_with_the_data():
    rng = np.random.default_rng(0)
    u = rng.standard_normal((600, 1))
    x = rng.poisson(np.exp(0.8 * u - 0.3) * [[1, 1]]).astype(float)
    model = HMMGLM(1, link="exp", history=None)

    with_inputs = held_out_comparison(model, x, inputs=u, cv=2, n_null=2)
    without = held_out_comparison(model, x, cv=2, n_null=2)

    assert (with_inputs.score > without.score).all()


def test_shifted_units_keep_their_values():
    x = np.arange(40.0).reshape(20, 2)

    moved = shift_units(x, np.random.default_rng(0))

    np.testing.assert_array_equal(np.sort(moved, axis=0), x)
    assert (moved != x).all()
    with pytest.raises(ParameterError, match="min_shift"):
        shift_units(x, np.random.default_rng(0), 11)


def test_null_does_not_depend_on_how_many_draws_there_are(recordings):
    model = HMMGLM(**MODEL.get_params()).fit(recordings)

    few = time_shift_null(model, recordings, 2, random_state=0)
    more = time_shift_null(model, recordings, 3, random_state=0)

    np.testing.assert_array_equal(few, more[:2])
    assert float(more.max()) < model.score(recordings)
