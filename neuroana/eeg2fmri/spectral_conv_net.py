"""A small convolutional net on band power: the network that a transformer must beat."""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number
from neuroana.eeg2fmri.features import Standardiser, check_bands, lagged_power
from neuroana.eeg2fmri.network_regressor import NetworkRegressor


N_LAGS = 16
WIDTH = 8  # of the mixture of channels and bands


class SpectralConvNet(NetworkRegressor):
    """Predict BOLD from log band power with two small layers and a convolution.

    Use it beside the ridge: it sees what one band does to the coupling of another.
    Every second is a mixture of 8 powers, widened, convolved over 9 seconds, and read
    out over all 16. Cost: some ten thousand parameters; seconds a study on one core.

    Parameters
    ----------
    n_hidden : int, default=32
    kernel : int, default=9
        Seconds, odd.
    bands : 'default' or dict of str to (low, high)
    dropout : float, default=0.3
    lr, weight_decay : float
    batch_size, epochs, warmup_epochs : int
    patience : int or None, default=10
        Epochs without a better validation.
    monitor : {'val_r', 'val_mse'}
    loss : {'mse', 'huber', 'ccc', 'mse_global_split'}
    validation_share : float, default=0.2
        Set aside from training where no validation is given: whole people from four
        people on, the end of every run below.
    checkpoint : path, optional
        File to go on from after a kill.
    random_state : int, Generator or None
    device : str, default='auto'
    progress : bool, optional
    paper_mode : bool, default=False
        Targets filtered and scaled over whole runs, as published.
    allow_overlap : bool, default=False
        Fit although validation touches training; the result is marked ``leaky_``.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=150, random_state=0)
    >>> model = SpectralConvNet(epochs=2, random_state=0).fit(runs)
    >>> model.predict(runs[0]).sizes["roi"], model.history_.sizes["epoch"]
    (4, 2)
    """

    def __init__(
        self, n_hidden=32, kernel=9, *, bands="default", dropout=0.3, lr=1e-3,
        weight_decay=0.1, batch_size=128, epochs=60, warmup_epochs=0, patience=10,
        monitor="val_r", loss="mse", validation_share=0.2, checkpoint=None,
        random_state=None, device="auto", progress=None, paper_mode=False,
        allow_overlap=False,
    ):  # fmt: skip
        self.n_hidden = n_hidden
        self.kernel = kernel
        self.bands = bands
        self.dropout = dropout
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.warmup_epochs = warmup_epochs
        self.patience = patience
        self.monitor = monitor
        self.loss = loss
        self.validation_share = validation_share
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.device = device
        self.progress = progress
        self.paper_mode = paper_mode
        self.allow_overlap = allow_overlap

    def _prepare(self, windows, Y):
        check_number("n_hidden", self.n_hidden, minimum=1, integer=True)
        check_number("kernel", self.kernel, minimum=1, maximum=15, integer=True)
        check_number("dropout", self.dropout, minimum=0.0, maximum=0.99)
        F = lagged_power(windows, check_bands(self.bands))
        scaler = Standardiser.fit(F)
        dims = ("channel", "band", "lag")
        self.scaler_mean_ = xr.DataArray(scaler.mean, dims=dims)
        self.scaler_sd_ = xr.DataArray(scaler.sd, dims=dims)

    def _build(self, windows, n_regions, generator):
        from neuroana.eeg2fmri.spectral_conv import SpectralConv

        n_in = int(np.prod(self.scaler_mean_.shape[:2]))
        return SpectralConv(
            n_in, n_regions, width=WIDTH, n_hidden=self.n_hidden,
            kernel=self.kernel, n_lags=self.scaler_mean_.shape[2],
            dropout=self.dropout, generator=generator,
        )  # fmt: skip

    def _batches(self, windows, Y):
        from neuroana.eeg2fmri.spectral_conv import FeatureBatches

        scaler = Standardiser(self.scaler_mean_.values, self.scaler_sd_.values)
        X = scaler.apply(lagged_power(windows, check_bands(self.bands)))
        n_lags = self.scaler_mean_.shape[2]
        X = X.reshape(len(X), -1, n_lags).transpose(0, 2, 1)  # (window, lag, feature)
        return FeatureBatches(X, Y)
