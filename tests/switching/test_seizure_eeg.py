"""A gaussian AR-HMM on real EEG: one seizure, its onset known from elsewhere."""

import numpy as np
import pytest

from neuroana.switching import HMMGLM, RawHistory, adjusted_rand_index


RATE, ONSET = 100, 350  # Hz, s
REFERENCE, CORRUPT, SCALP = 19, (10, 11), 21  # of 31 channels, the rest unknown


@pytest.fixture(scope="module")
def eeg(realdata):
    """18 scalp channels of 500 s, (time, channel), as stored."""
    path = realdata / "eeg/seizure_michigan/seizure_31ch_100hz_int16.npz"
    if not path.is_file():
        pytest.skip(f"no recording at {path}")
    with np.load(path, allow_pickle=False) as file:
        data = file["data"]
    kept = [c for c in range(SCALP) if c != REFERENCE and c not in CORRUPT]
    return data[kept].T.astype(float)


@pytest.fixture(scope="module")
def model(eeg):
    """Two states with a covariance each, two lags, learned without the onset."""
    return HMMGLM(
        2, "gaussian", covariance="full", history=RawHistory(2), kappa=100.0, n_init=2,
        random_state=0,
    ).fit(eeg)  # fmt: skip


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_states_tell_seizure_from_background(model, eeg):
    seizure = np.arange(len(eeg)) >= ONSET * RATE
    path = model.predict(eeg)
    share = model.predict_proba(eeg)[:, 1]  # the rarer state

    assert model.converged_
    assert share[: (ONSET - 10) * RATE].mean() < 0.05
    assert share[(ONSET + 10) * RATE : (ONSET + 60) * RATE].mean() > 0.8
    assert adjusted_rand_index(seizure, path) > 0.5
    moved = np.roll(path, len(path) // 2)  # the same states at another time
    assert adjusted_rand_index(seizure, moved) < 0.2


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_filter_sees_the_onset_within_seconds(model, eeg):
    causal = model.filter_proba(eeg)[:, 1]
    second = causal.reshape(-1, RATE).mean(axis=1)

    first = int(np.argmax(np.convolve(second > 0.5, np.ones(5), "valid") == 5))

    assert abs(first - ONSET) <= 20


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_states_explain_held_out_eeg_better_than_one(eeg):
    """Trained on the first 400 s, the onset among them; scored on the rest."""
    train, test = eeg[: 400 * RATE], eeg[400 * RATE :]
    options = {"covariance": "full", "history": RawHistory(2), "random_state": 0}

    one = HMMGLM(1, "gaussian", **options).fit(train)
    two = HMMGLM(2, "gaussian", n_init=2, kappa=100.0, **options).fit(train)

    assert two.score(test) > one.score(test) + 0.1
