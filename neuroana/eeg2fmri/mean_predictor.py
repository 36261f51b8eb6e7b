"""The model that has seen no EEG."""

import numpy as np

from neuroana.eeg2fmri.regressor import WindowRegressor


class MeanPredictor(WindowRegressor):
    """Predict the training mean of every region.

    Use it as the floor for the mean squared error; its R is not defined. Cost: none.

    Parameters
    ----------
    paper_mode : bool, default=False
        Targets filtered and scaled over whole runs, as published.
    allow_overlap : bool, default=False
        Fit although validation touches training; the result is marked ``leaky_``.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(1, n_volumes=100, random_state=0)
    >>> float(MeanPredictor().fit(runs).predict(runs[0]).std("time").max()) < 1e-9
    True
    """

    def __init__(self, *, paper_mode=False, allow_overlap=False):
        self.paper_mode = paper_mode
        self.allow_overlap = allow_overlap

    def _learn(self, windows, Y, held):
        self.mean_ = self._by_roi(np.nanmean(Y, axis=0))

    def _predict(self, windows):
        return np.tile(self.mean_.values, (len(windows), 1))
