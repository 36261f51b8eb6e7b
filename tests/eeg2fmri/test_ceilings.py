import numpy as np
import pytest

from neuroana.core.errors import ShapeError
from neuroana.eeg2fmri import ceiling_verdict, region_ceilings, simulate_eeg_fmri
from neuroana.eeg2fmri.ceilings import own_past


def study(**settings):
    return simulate_eeg_fmri(
        3, n_volumes=200, channels=("CZ", "OZ"), random_state=0, **settings
    )


def test_region_ceilings_of_the_simulator_are_exact():
    runs, truth = study(null_regions=1)
    table = region_ceilings(runs, truth=truth).query("kind == 'simulator'")
    np.testing.assert_allclose(table["ceiling"], [0.4**0.5] * 4 + [0.0])
    assert ceiling_verdict(table).endswith("0.63 (simulator).")


def test_region_ceilings_of_a_shared_drive_come_from_other_people():
    runs, _ = study()
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((200, 1))
    for run in runs:
        noise = rng.standard_normal((200, 4))
        run["bold"]["signal"][:] = np.sqrt(0.36) * shared + np.sqrt(0.64) * noise
    table = region_ceilings(runs, shared=True).query("kind == 'people'")
    np.testing.assert_allclose(table["ceiling"], 0.6, atol=0.1)


def test_region_ceilings_of_halves_are_corrected_for_their_size():
    runs, _ = study()
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((4000, 4))
    pair = tuple(signal + rng.standard_normal(signal.shape) for _ in range(2))
    table = region_ceilings(runs, halves=[pair]).query("kind == 'halves'")
    np.testing.assert_allclose(table["ceiling"], np.sqrt(2 / 3), atol=0.03)
    with pytest.raises(ShapeError):
        region_ceilings(runs, halves=[(signal[:, :2], signal[:, :2])])


def test_own_past_of_an_autoregression_is_its_coefficient():
    rng = np.random.default_rng(0)
    x = np.zeros(6000)
    for t in range(1, len(x)):
        x[t] = 0.7 * x[t - 1] + rng.standard_normal()
    assert own_past(x[:, None])[0] == pytest.approx(0.7, abs=0.03)


def test_ceiling_verdict_says_when_there_is_none():
    runs, _ = study()
    assert ceiling_verdict(region_ceilings(runs)) == "No ceiling available."
