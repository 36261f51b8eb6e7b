"""A smaller form of the simulator's table: three seeds, ridge against the net."""

import numpy as np
import pytest

from neuroana.eeg2fmri import (
    BandPowerRidge,
    SpectralConvNet,
    as_windows,
    simulate_eeg_fmri,
)
from neuroana.eeg2fmri.scores import correlation


CHANNELS = ("FZ", "CZ", "C3", "OZ", "O1")


@pytest.mark.slow
def test_the_net_sees_the_flip_that_ridge_cannot_and_nobody_sees_noise():
    tables = {"ridge": [], "net": []}
    for seed in range(3):
        runs, truth = simulate_eeg_fmri(
            20, channels=CHANNELS, null_regions=1, random_state=seed
        )
        windows = as_windows(runs)
        train, test = windows[windows.run < 16], windows[windows.run >= 16]
        models = {
            "ridge": BandPowerRidge(),
            "net": SpectralConvNet(random_state=seed),
        }
        for name, model in models.items():
            p, y = model.fit(train).predict(test), test.y
            z = [np.arctanh(correlation(p[at], y[at])) for _, at in test.by_run()]
            tables[name].append(np.tanh(np.mean(z, axis=0)))
    ridge, net = (
        dict(zip(truth.roi.values, np.mean(tables[name], axis=0)))
        for name in ("ridge", "net")
    )
    ceiling = float(truth.ceiling[0])
    assert min(ridge[k] for k in ("alpha", "difference", "mu")) > 0.85 * ceiling
    assert abs(ridge["signflip"]) < 0.12
    assert net["signflip"] > 0.35
    assert all(net[k] > ridge[k] - 0.08 for k in ("alpha", "difference", "mu"))
    assert abs(ridge["null1"]) < 0.08
    assert abs(net["null1"]) < 0.08
