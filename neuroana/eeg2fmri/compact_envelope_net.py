"""A compact net on raw EEG, whose first layers can be read as bands of sources."""

import numpy as np

from neuroana.core.checks import check_number
from neuroana.eeg2fmri.network_regressor import NetworkRegressor


class CompactEnvelopeNet(NetworkRegressor):
    """Predict BOLD from the envelopes of a few unmixed and filtered sources.

    Use it as the small network on raw EEG, between :class:`SpectralConvNet` and
    :class:`EEGToFMRI`: it learns its own bands. Cost: some twenty thousand weights; a
    few milliseconds a window in training.

    Parameters
    ----------
    n_virtual : int, default=5
        Sources that the channels are unmixed into.
    dropout : float, default=0.3
    lr, weight_decay : float
    batch_size, epochs, warmup_epochs : int
    patience : int or None, default=8
        Epochs without a better validation.
    monitor : {'val_r', 'val_mse'}
    loss : {'mse', 'huber', 'ccc', 'mse_global_split'}
    validation_share : float, default=0.2
        Set aside from training where no validation is given.
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
    >>> runs, _ = simulate_eeg_fmri(1, n_volumes=150, channels=("CZ", "OZ"),
    ...                             random_state=0)
    >>> model = CompactEnvelopeNet(epochs=1, random_state=0).fit(runs)
    >>> model.predict(runs[0]).sizes["roi"]
    4
    """

    def __init__(
        self, n_virtual=5, *, dropout=0.3, lr=1e-3, weight_decay=0.05, batch_size=64,
        epochs=40, warmup_epochs=1, patience=8, monitor="val_r", loss="mse",
        validation_share=0.2, checkpoint=None, random_state=None, device="auto",
        progress=None, paper_mode=False, allow_overlap=False,
    ):  # fmt: skip
        self.n_virtual = n_virtual
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
        check_number("n_virtual", self.n_virtual, minimum=1, integer=True)
        check_number("dropout", self.dropout, minimum=0.0, maximum=0.99)
        self.n_samples_ = int(windows.n_samples)

    def _build(self, windows, n_regions, generator):
        from neuroana.eeg2fmri.envelope_conv import EnvelopeConv

        return EnvelopeConv(
            self.channels_.size, n_regions, n_samples=self.n_samples_,
            n_virtual=self.n_virtual, dropout=self.dropout, generator=generator,
        )  # fmt: skip

    def _batches(self, windows, Y):
        from neuroana.eeg2fmri.window_batches import WindowBatches

        at = np.arange(len(windows.channels))
        return WindowBatches(windows, Y, at, at)
