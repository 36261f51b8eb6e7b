"""On real spikes: two states beat one on held-out trials."""

import numpy as np
import pytest

from neuroana.switching import HMMGLM, time_shift_null


BIN = 20.0  # ms


@pytest.fixture(scope="module")
def trials(realdata):
    """Counts of 300 random trials of rat motor cortex, (100 bins, 30 units) each."""
    path = realdata / "spikes/rat_motor_cortex_taps/motor_ctx_data.npz"
    if not path.is_file():
        pytest.skip(f"no recording at {path}")
    with np.load(path, allow_pickle=False) as file:
        unit, trial = file["neuron_ids"], file["trial_ids"]
        time_bin = (file["spiketimes"] // BIN).astype(int)
    counts = np.zeros((trial.max() + 1, 100, unit.max() + 1))
    inside = (time_bin >= 0) & (time_bin < 100)
    np.add.at(counts, (trial[inside], time_bin[inside], unit[inside]), 1)
    chosen = np.random.default_rng(0).permutation(len(counts))[:300]
    return list(counts[chosen])


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
def test_two_states_beat_one_and_the_null_on_held_out_trials(trials):
    train, test = trials[:200], trials[200:]

    one = HMMGLM(1).fit(train)
    two = HMMGLM(2, n_init=2, random_state=0).fit(train)

    null = time_shift_null(two, test, 5, random_state=0)
    assert two.score(test) > one.score(test) + 1e-3
    assert two.score(test) > float(null.max())
    assert float(two.occupancy_.min()) > 0.1
    assert (np.diag(two.transition_matrix_) > 0.9).all()
