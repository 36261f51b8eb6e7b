"""On real spikes: two states beat one on held-out trials."""

import numpy as np
import pytest

import neuroana as na
from neuroana.switching import HMMGLM, compare_with_labels, fit_ladder, time_shift_null


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


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
def test_every_rung_of_the_ladder_helps_on_held_out_trials(trials):
    found = fit_ladder(
        trials[:160], 2, estimator=HMMGLM(n_init=3, random_state=0), cv=4, n_null=3,
        random_state=0,
    )  # fmt: skip

    assert found.model.to_numpy().tolist() == [
        "one_state",
        "none",
        "gaussian",
        "one_hot",
    ]
    # The first step is that of switching; each prior keeps what it has and adds to it.
    assert float(found.gain.sel(model="gaussian")) > -1e-4
    assert float(found.gain.sel(model="one_hot")) > 0
    best = found.sel(model="one_hot")
    assert float(best["mean"]) > float(found["mean"].sel(model="one_state")) + 1e-3
    assert (found.null.max("shift") < found.score).all()


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
def test_states_of_the_hippocampus_tell_running_from_rest(realdata):
    """A rat ran for a quarter of an hour and rested for another: 31 units, 1 s bins."""
    path = realdata / "spikes/rat_ca1_linear_track/spikes.mat"
    if not path.is_file():
        pytest.skip(f"no recording at {path}")
    spikes = na.io.read_spikes(path, bin_width=1.0)
    half = spikes.sizes["time"] // 2
    labels = np.where(np.arange(spikes.sizes["time"]) < half, "run", "rest")

    model = HMMGLM(3, history=None, n_init=4, random_state=0).fit(spikes)
    path = model.predict(spikes)
    found = compare_with_labels(path, labels, null="visits", random_state=0)
    shifted = compare_with_labels(path, labels, null="shift", random_state=0)

    assert float(found.ari) > 0.1
    assert float(found.accuracy) > 0.68
    assert float(found.ari_p) < 0.005
    # The session changes once: moved by a little, the states agree as well as unmoved.
    assert float(shifted.ari_p) > 0.05
