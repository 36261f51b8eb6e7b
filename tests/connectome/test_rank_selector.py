"""Ranks that are chosen, and the blocks that judge them."""

import numpy as np
import pytest

from neuroana.connectome import (
    DifferentialAffinity,
    NonNegativeCP,
    RankSelector,
    simulate_tensor,
)
from neuroana.connectome.affinity import pair_indices
from neuroana.connectome.holdouts import draw_blocks
from neuroana.core.errors import DataWarning, FitWarning, ParameterError


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")


def test_rank_of_the_oracle_is_found(ncp):
    base = NonNegativeCP(baseline=True, tol=1e-6)
    found = RankSelector(range(1, 8), n_init=10, estimator=base, random_state=0)
    found.fit(ncp["X"])
    table = found.table_.mean("fold")
    np.testing.assert_allclose(
        table.sel(criterion="error"),
        [0.515, 0.414, 0.303, 0.208, 0.173, 0.172, 0.172], atol=1e-3,
    )  # fmt: skip
    stability = table.sel(criterion="stability", rank=[4, 5])
    assert (stability >= 0.9).all()
    assert found.rank_ == 5


@pytest.mark.parametrize("seed", [1, 2])
def test_planted_rank_is_found(seed):
    tensor, _ = simulate_tensor(20, 100, rank=4, n_animals=8, random_state=seed)
    base = NonNegativeCP(baseline=True, tol=1e-6)
    found = RankSelector(range(2, 7), n_init=6, estimator=base, random_state=0)
    assert found.fit(tensor).rank_ in (4, 5)


def test_a_block_is_all_pairs_of_a_neuron_in_one_animal(tensor):
    drawn = draw_blocks(tensor[0], "neuron-animal", 4, np.random.default_rng(0))
    i, j = pair_indices(14)
    assert drawn.groups is None
    for w in range(5):
        held = ~drawn.kept[:, 0, w]
        units = [
            {n for n in range(14) if fold[(i == n) | (j == n)].all()} for fold in held
        ]
        assert sorted(n for u in units for n in u) == list(range(14))


def test_time_blocks_hold_out_stretches_of_one_animal(tensor):
    drawn = draw_blocks(tensor[0], "time-block", 3, np.random.default_rng(0))
    assert (np.diff(drawn.groups) >= 0).all()
    held = ~drawn.kept.all(axis=3)
    assert (held.sum(axis=0) == 1).all()


def test_one_animal_is_judged_by_neurons_in_stretches_of_time(motifs):
    tensor = DifferentialAffinity(stride=4).fit_transform(motifs[0])
    base = NonNegativeCP(layout="single", baseline=True)
    found = RankSelector([1, 4, 8], n_init=3, n_folds=3, estimator=base, random_state=0)
    found.fit(tensor)
    cv = found.table_.sel(criterion="cv").mean("fold")
    assert float(cv.sel(rank=8)) < float(cv.sel(rank=1))


def test_more_criteria_are_reported(tensor):
    found = RankSelector(
        [2, 3], n_init=3, n_folds=2, random_state=0,
        criteria=("cv", "stability", "corcondia", "replicability", "nuclear"),
    ).fit(tensor[0])  # fmt: skip
    assert set(found.table_["criterion"].values) == {
        "error", "cv", "stability", "corcondia", "replicability", "nuclear",
    }  # fmt: skip
    assert np.isfinite(found.table_).all()


def test_speckle_warns_that_it_leaks():
    tensor, _ = simulate_tensor(8, 20, rank=2, n_animals=4, random_state=0)
    with pytest.warns(DataWarning, match="leaks"):
        RankSelector([1, 2], n_init=2, n_folds=2, holdout="speckle",
                     random_state=0).fit(tensor)  # fmt: skip


def test_restarts_that_never_agree_warn():
    noise = np.random.default_rng(0).random((45, 30, 4))
    with pytest.warns(FitWarning, match="At no rank"):
        RankSelector([7, 8], n_init=4, n_folds=2, random_state=0).fit(noise)


def test_data_that_nothing_predicts_warn():
    rng = np.random.default_rng(0)
    spikes = (rng.random((45, 40, 4)) < 0.02) * rng.gamma(1.0, 1.0, (45, 40, 4))
    with pytest.warns(FitWarning, match="better than zeros"):
        RankSelector([3, 4], n_init=2, n_folds=2, random_state=0).fit(spikes)


def test_same_seed_gives_the_same_table(tensor):
    tables = [
        RankSelector([2, 3], n_init=2, n_folds=2, random_state=1).fit(tensor[0]).table_
        for _ in "ab"
    ]
    np.testing.assert_array_equal(*tables)


def test_no_ranks_are_refused(tensor):
    with pytest.raises(ParameterError, match="at least one"):
        RankSelector([]).fit(tensor[0])
    with pytest.raises(ParameterError, match="'ranks'"):
        RankSelector([0, 2]).fit(tensor[0])
