"""EEGToFMRI: the NeuroBOLT network for all regions at once, as an estimator."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import draw_seed
from neuroana.eeg2fmri.montages import UNKNOWN, known_names, spline_matrix
from neuroana.eeg2fmri.network_regressor import NetworkRegressor
from neuroana.eeg2fmri.windowed_runs import WindowedRuns
from neuroana.eeg2fmri.windowing import as_windows
from neuroana.learn.electrodes import electrode_rows, plain_name
from neuroana.learn.layer_decay import parameter_groups
from neuroana.learn.training import TrainingPlan


ENCODERS = {
    "neurobolt": ("labram", "spectral"),
    "labram": ("labram",),
    "spectral": ("spectral",),
}
INITS = ("random", "labram", "neurobolt")
FREEZES: dict[str, tuple[str, ...]] = {
    "none": (),
    "labram": ("cls_token", "pos_embed", "time_embed", "patch_embed.", "blocks."),
    "all": (
        "cls_token", "pos_embed", "time_embed", "patch_embed.", "blocks.",
        "mss_module.",
    ),
}  # fmt: skip


class EEGToFMRI(NetworkRegressor):
    """Predict every region's BOLD from the 16 s of raw EEG before each volume.

    Use it after :class:`BandPowerRidge` and :class:`SpectralConvNet`, which it has to
    beat. The published network with one head for any number of regions. Cost: 30 GFLOP
    a window and step (26 channels), whatever the number of regions; use
    :meth:`small` on a processor.

    Parameters
    ----------
    encoder : {'neurobolt', 'labram', 'spectral'}
        Both branches, or one of them.
    init : {'random', 'labram', 'neurobolt'}
        What `weights` holds: a pretrained LaBraM, or a whole network of this kind.
    weights : path, optional
        Safetensors, or what ``torch.save`` wrote; ``weights_report_`` says what was
        taken, and below 95 % of a branch it is an error.
    head : {'linear', 'lowrank', 'query', 'gaussian'}
        One row a region; 20 components with the loadings of the training BOLD; one
        query a region; or mean and log variance.
    loss : {'mse', 'huber', 'ccc', 'mse_global_split'}
        The head 'gaussian' has its own.
    dim, depth, n_heads : int
        Width of both branches, blocks and heads of the LaBraM branch.
    spectral_depth, n_scales : int
        Spectral branch.
    n_components : int
        Of the head 'lowrank'.
    dropout, drop_path, channel_dropout : float
        `channel_dropout` leaves whole channels out of training batches, so that
        parts of the montage do later.
    lr, layer_decay, weight_decay : float
        Peak of the learning rate; factor a LaBraM block; decay of matrices.
    warmup_epochs, epochs, batch_size : int
    patience : int or None, default=5
    monitor : {'val_mse', 'val_r'}
        What chooses the epoch, on validation alone.
    freeze : {'none', 'labram', 'all'}
        What keeps its first weights; with 'all' only the last norm and the head learn.
    validation_share : float, default=0.2
        Set aside from training where no validation is given.
    on_unknown : {'raise', 'interpolate'}
        Channels that the electrode table (in training) or the training montage (in
        prediction) does not know: an error with the nearest names, or found by their
        place, by the nearest electrode or spherical splines.
    precision : {'auto', '32-true', 'bf16-mixed', '16-mixed'}
    checkpoint : path, optional
        File renewed after every epoch; a killed fit goes on from it.
    random_state : int, Generator or None
    device : str, default='auto'
    progress : bool, optional
    paper_mode : bool, default=False
        Targets filtered and scaled over whole runs, as published.
    allow_overlap : bool, default=False
        Fit although validation touches training; the result is marked ``leaky_``.

    Attributes
    ----------
    channel_map_ : DataArray (input,)
        Row of the electrode table of each channel, and how it was found.
    weights_report_ : str
        Tensors loaded, missing and unexpected of `weights`, with its SHA-256.
    history_, best_epoch_, n_parameters_, weights_, spans_, validation_spans_
        As for all models with a network.

    References
    ----------
    Li et al., "NeuroBOLT", NeurIPS 2024, arXiv 2410.05341.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(
    ...     2, n_volumes=120, channels=("FZ", "CZ", "C3", "OZ"), random_state=0)
    >>> model = EEGToFMRI.small(dim=16, depth=1, epochs=1, random_state=0).fit(runs)
    >>> model.predict(runs[0]).dims, model.best_epoch_
    (('time', 'roi'), 0)
    """

    _citation = (
        "@inproceedings{li2024neurobolt,\n"
        "  title={NeuroBOLT: Resting-state EEG-to-fMRI Synthesis with "
        "Multi-dimensional Feature Mapping},\n"
        "  author={Li, Yamin and Lou, Ange and Xu, Ziyuan and others},\n"
        "  booktitle={Advances in Neural Information Processing Systems},\n"
        "  year={2024}\n}"
    )

    def __init__(
        self, encoder="neurobolt", init="random", *, weights=None, head="linear",
        loss="mse", dim=200, depth=12, n_heads=10, spectral_depth=4, n_scales=4,
        n_components=20, dropout=0.1, drop_path=0.1, channel_dropout=0.0, lr=3e-4,
        layer_decay=0.65, weight_decay=0.05, warmup_epochs=5, epochs=20,
        batch_size=64, patience=5, monitor="val_mse", freeze="none",
        validation_share=0.2, on_unknown="raise", precision="auto", checkpoint=None,
        random_state=None, device="auto", progress=None, paper_mode=False,
        allow_overlap=False,
    ):  # fmt: skip
        self.encoder = encoder
        self.init = init
        self.weights = weights
        self.head = head
        self.loss = loss
        self.dim = dim
        self.depth = depth
        self.n_heads = n_heads
        self.spectral_depth = spectral_depth
        self.n_scales = n_scales
        self.n_components = n_components
        self.dropout = dropout
        self.drop_path = drop_path
        self.channel_dropout = channel_dropout
        self.lr = lr
        self.layer_decay = layer_decay
        self.weight_decay = weight_decay
        self.warmup_epochs = warmup_epochs
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.monitor = monitor
        self.freeze = freeze
        self.validation_share = validation_share
        self.on_unknown = on_unknown
        self.precision = precision
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.device = device
        self.progress = progress
        self.paper_mode = paper_mode
        self.allow_overlap = allow_overlap

    @classmethod
    def small(cls, **changes) -> "EEGToFMRI":
        """A network of a few hundred thousand parameters, for processors.

        Parameters
        ----------
        **changes
            Arguments of the class.

        Examples
        --------
        >>> EEGToFMRI.small(epochs=3).dim
        64
        """
        sizes = {
            "dim": 64, "depth": 4, "n_heads": 8, "spectral_depth": 2, "n_scales": 2,
            "lr": 1e-3, "layer_decay": 1.0, "warmup_epochs": 1,
        }  # fmt: skip
        return cls(**{**sizes, **changes})

    def _plan(self, n_train):
        return TrainingPlan(
            epochs=self.epochs, batch_size=self.batch_size, lr=self.lr,
            min_lr=min(1e-6, self.lr), warmup_epochs=self.warmup_epochs,
            weight_decay=self.weight_decay, patience=self.patience,
            monitor=self.monitor, precision=self.precision, device=self.device,
            seed=self.seed_, progress=self.progress,
        )  # fmt: skip

    def _montage(self, windows):
        check_choice("on_unknown", self.on_unknown, UNKNOWN)
        names, how = known_names(
            windows.channels, windows.places, on_unknown=self.on_unknown
        )
        self.channel_map_ = xr.DataArray(
            electrode_rows(names),
            dims="input",
            coords={
                "electrode": ("input", np.array(names, dtype=object)),
                "recorded": ("input", np.array(windows.channels, dtype=object)),
                "how": ("input", np.array(how, dtype=object)),
            },
            name="channel_map",
        )
        return windows._with(channels=names)

    def _aligned(self, windows):
        """Any part of the training montage by name; others as `on_unknown` says."""
        known = self.channels_.values.tolist()
        asked = self._renamed(windows.channels)
        if all(name in known for name in asked):
            return windows._with(channels=asked)
        if self.on_unknown == "raise":
            from neuroana.learn.electrodes import positions_of

            positions_of(asked, known)  # raises with the nearest names
        matrix = spline_matrix(windows.channels, windows.places, known)
        return windows.mapped(matrix, known)

    def _renamed(self, names) -> tuple[str, ...]:
        """Recorded names of training under the names of the electrode table."""
        table = dict(
            zip(
                map(plain_name, self.channel_map_["recorded"].values),
                self.channel_map_["electrode"].values,
            )
        )
        return tuple(table.get(name, name) for name in names)

    def _config(self, channels, n_regions):
        from neuroana.eeg2fmri.network import NeuroBOLTConfig
        from neuroana.learn.labram import LaBraMConfig

        check_choice("encoder", self.encoder, ENCODERS)
        n_heads = 8 if self.dim % 8 == 0 else 4
        return NeuroBOLTConfig(
            n_regions=n_regions,
            channels=tuple(channels),
            encoder=LaBraMConfig(
                dim=self.dim, depth=self.depth, n_heads=self.n_heads,
                dropout=self.dropout, drop_path=self.drop_path,
            ),
            spectral_depth=self.spectral_depth,
            spectral_heads=n_heads,
            n_scales=self.n_scales,
            branches=ENCODERS[self.encoder],
            head=self.head,
            n_components=self.n_components,
            channel_dropout=self.channel_dropout,
        )  # fmt: skip

    def _build(self, windows, n_regions, generator):
        from neuroana.eeg2fmri.network import NeuroBOLT

        channels = self.channels_.values.tolist()
        return NeuroBOLT(self._config(channels, n_regions), generator=generator)

    def _start(self, windows, Y):
        import torch

        network = super()._start(windows, Y)
        if self.head == "lowrank":
            network.head.learn_loadings(torch.from_numpy(Y).float())
        self.weights_report_ = self._load(network)
        return network

    def _load(self, network) -> str:
        """Take pretrained weights, and say of every key what became of it."""
        check_choice("init", self.init, INITS)
        if (self.init == "random") != (self.weights is None):
            raise ParameterError(
                message(
                    "arguments 'init' and 'weights'",
                    "a file of weights where init is not 'random'",
                    f"init={self.init!r}, weights={self.weights!r}",
                )
            )
        if self.weights is None:
            return ""
        from neuroana.eeg2fmri.network import BRANCHES, BUFFERS
        from neuroana.learn.checkpoints import load_weights, read_weights

        own = tuple(network.state_dict())
        wanted = ["labram"] if self.init == "labram" else list(BRANCHES)
        branches = {
            name: BRANCHES[name]
            for name in wanted
            if any(key.startswith(BRANCHES[name]) for key in own)
        }
        weights, sha256 = read_weights(self.weights)
        if self.init == "labram":
            weights = {
                k: v
                for k, v in weights.items()
                if not k.startswith(("fc_norm", "head"))
            }
        report = load_weights(
            network, weights, branches=branches, ignore=BUFFERS, sha256=sha256
        )
        return json.dumps(asdict(report))

    def _groups(self, network):
        check_choice("freeze", self.freeze, FREEZES)
        return parameter_groups(
            network, self.lr, weight_decay=self.weight_decay,
            layer_decay=self.layer_decay, freeze=FREEZES[self.freeze],
        )  # fmt: skip

    def _train(self, network, windows, Y, held):
        given = self.loss
        try:
            if self.head == "gaussian":
                self.loss = "gaussian"
            super()._train(network, windows, Y, held)
        finally:
            self.loss = given

    def _batches(self, windows, Y):
        from neuroana.eeg2fmri.window_batches import WindowBatches

        known = self.channels_.values.tolist()
        places = [known.index(name) for name in windows.channels]
        return WindowBatches(windows, Y, self.channel_map_.values[places], places)

    def partial_fit(self, X: Any, y: Any = None, *, validation: Any = None):
        """Go on from the fitted weights with other runs: fine-tuning.

        Montage, regions and the scale of the targets stay those of the first fit;
        ``freeze`` and the training parameters are those the estimator has now
        (``model.set_params(freeze="all", lr=1e-4)``).

        Parameters
        ----------
        X : as for :meth:`fit`
        y : ndarray (window, roi), optional
        validation : as `X`, optional

        Returns
        -------
        self
        """
        from sklearn.utils.validation import check_is_fitted

        from neuroana.eeg2fmri.regressor import spans_of

        check_is_fitted(self)
        windows = as_windows(X, y, paper_mode=self.paper_mode)
        self._check_regions(windows, tuple(self.rois_.values))
        windows = self._aligned(windows[np.isfinite(windows.y).any(axis=1)])
        held = None
        if validation is not None:
            held = as_windows(validation, paper_mode=self.paper_mode)
            held = held[np.isfinite(held.y).any(axis=1)]
            self.leaky_ |= self._touch(windows, held)
            held = self._aligned(held)
        else:
            windows, held = self._set_aside(windows)
        self.seed_ = draw_seed(self.random_state)
        self.spans_ = xr.concat([self.spans_, spans_of(windows)], dim="span")
        self._train(self.network(), windows, self._scale().apply(windows.y), held)
        return self

    def predict_sd(self, X: Any) -> Any:
        """Standard deviation that the head 'gaussian' gives every volume.

        Parameters
        ----------
        X : as for :meth:`predict`

        Returns
        -------
        same as :meth:`predict`
        """
        if self.head != "gaussian":
            raise ParameterError(
                message("argument 'head'", "'gaussian' for standard deviations",
                        repr(self.head))
            )  # fmt: skip
        windows = as_windows(
            X, channel_names=self.channels_.values.tolist(), paper_mode=self.paper_mode
        )
        out = self._outputs(self._aligned(windows))
        sd = np.exp(0.5 * np.clip(out[:, self.rois_.size :], -10.0, 10.0))
        sd = sd * self.target_scale_.values
        if isinstance(X, WindowedRuns | np.ndarray):
            return sd
        made = windows._with(rois=tuple(self.rois_.values)).wrap(sd, "sd")
        return made[0] if isinstance(X, xr.DataTree) and len(made) == 1 else made

    def transform(self, X: Any) -> np.ndarray:
        """Features behind both branches, one row a window.

        Parameters
        ----------
        X : as for :meth:`predict`

        Returns
        -------
        ndarray (window, feature)
        """
        from neuroana.eeg2fmri.window_batches import Fused
        from neuroana.learn.training import run_network

        names = self.channels_.values.tolist()
        windows = as_windows(X, channel_names=names, paper_mode=self.paper_mode)
        batches = self._batches(self._aligned(windows), None)
        return run_network(Fused(self.network()), batches, batch_size=self.batch_size)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns of :meth:`transform`."""
        return np.array([f"fused{i}" for i in range(self.dim)], dtype=object)
