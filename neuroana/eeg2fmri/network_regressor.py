"""What the models with a network share: batches, training, weights as plain arrays."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.device import choose
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch_seed, draw_seed
from neuroana.core.store import atomic_path
from neuroana.eeg2fmri.regressor import WindowRegressor
from neuroana.eeg2fmri.windowed_runs import WindowedRuns
from neuroana.learn.splits import hold_out
from neuroana.learn.training import TrainingPlan, run_network, train_network


class NetworkRegressor(WindowRegressor):
    """Base of the models that train a network.

    A subclass makes the network (``_build``) and its batches (``_batches``). Weights
    are one flat array with their names and shapes, so that a fitted model is one
    NetCDF file like any other.

    Attributes
    ----------
    history_ : DataArray (epoch, metric)
        Learning rate, training loss, and the scores of the validation part.
    best_epoch_ : int
        Whose weights were kept.
    n_parameters_ : int
    weights_ : DataArray (weight,)
    weight_shapes_ : dict
        Shape of each tensor, in the order of `weights_`.
    seed_, device_, precision_
        What was used.
    validation_spans_ : DataArray (span, edge)
        Seconds of EEG that chose the epoch.
    """

    loss = "mse"
    validation_share = 0.2
    checkpoint: Any = None

    def _plan(self, n_train: int) -> TrainingPlan:
        """Training as the parameters say; what a small network needs."""
        return TrainingPlan(
            epochs=self.epochs, batch_size=self.batch_size, lr=self.lr,
            min_lr=self.lr * 1e-2, warmup_epochs=self.warmup_epochs,
            weight_decay=self.weight_decay, patience=self.patience,
            monitor=self.monitor, precision="32-true", device=self.device,
            seed=self.seed_, progress=self.progress,
        )  # fmt: skip

    def _build(self, windows: WindowedRuns, n_regions: int, generator: Any) -> Any:
        """The network, with its first weights."""
        raise TypeError(f"{type(self).__name__} has no network")

    def _batches(self, windows: WindowedRuns, Y: np.ndarray | None) -> Any:
        """Batches of windows and scaled targets."""
        raise TypeError(f"{type(self).__name__} has no batches")

    def _groups(self, network: Any) -> list[dict] | None:
        """Parameter groups of the optimiser."""
        return None

    def _prepare(self, windows: WindowedRuns, Y: np.ndarray) -> None:
        """Learn what the batches need, before the network is made."""

    def _set_aside(self, windows):
        """A validation part for the choice of the epoch, where none was given."""
        share = self.validation_share
        check_number("validation_share", share, minimum=0.0, maximum=0.5)
        if not share:
            return windows, None
        seed = draw_seed(self.random_state)
        train, held = hold_out(windows, share=share, random_state=seed)
        return windows[train], windows[held]

    def _learn(self, windows, Y, held):
        self.seed_ = draw_seed(self.random_state)
        self._prepare(windows, Y)
        network = self._start(windows, Y)
        self._train(network, windows, Y, held)

    def _start(self, windows, Y):
        import torch

        generator = torch.Generator().manual_seed(branch_seed(self.seed_, 2))
        return self._build(windows, Y.shape[1], generator)

    def _train(self, network, windows, Y, held):
        import torch

        from neuroana.learn.losses import make_loss

        loss = make_loss(self.loss, torch.from_numpy(Y).float())
        scale = self._scale()
        train = self._batches(windows, Y)
        validation = None if held is None else self._batches(held, scale.apply(held.y))
        plan = self._plan(len(windows))
        groups = self._groups(network)
        result = train_network(
            network, loss, train, validation, plan=plan, groups=groups,
            runs=None if held is None else held.run, checkpoint=self.checkpoint,
            fingerprint=self._fingerprint(network, windows, Y),
        )  # fmt: skip
        self._keep(network, result)
        empty = xr.DataArray(np.empty((0, 2)), dims=("validation_span", "edge"))
        self.validation_spans_ = empty
        if held is not None:
            from neuroana.eeg2fmri.regressor import spans_of

            spans = spans_of(held).rename(span="validation_span")
            self.validation_spans_ = spans.rename(label="validation_label")

    def _fingerprint(self, network, windows, Y) -> str:
        """Digest of settings, first weights, and data."""
        digest = hashlib.sha256()
        free = ("checkpoint", "progress", "device", "n_jobs")
        given = {k: v for k, v in self.get_params().items() if k not in free}
        digest.update(json.dumps(given, sort_keys=True, default=str).encode())
        for value in network.state_dict().values():
            digest.update(value.numpy().tobytes())
        digest.update(np.ascontiguousarray(windows.starts).tobytes())
        digest.update(np.ascontiguousarray(Y).tobytes())
        for r in windows.present:
            signal = windows.runs[r].signal
            digest.update(np.ascontiguousarray(signal[::997]).tobytes())
        return digest.hexdigest()

    def _keep(self, network, result) -> None:
        """Take over what was learned, as labelled arrays."""
        rows = result.history
        metrics = [k for k in rows[0] if k != "epoch"]
        self.history_ = xr.DataArray(
            [[float(row[m]) for m in metrics] for row in rows],
            dims=("epoch", "metric"),
            coords={"epoch": [row["epoch"] for row in rows], "metric": metrics},
            name="history",
        )
        self.best_epoch_ = int(result.best_epoch)
        self.device_, self.precision_ = result.device, result.precision
        self.n_parameters_ = sum(p.numel() for p in network.parameters())
        state = float_state(network)
        flat = [v.detach().numpy().astype(np.float32).ravel() for v in state.values()]
        self.weights_ = xr.DataArray(np.concatenate(flat), dims="weight")
        self.weight_shapes_ = {k: list(v.shape) for k, v in state.items()}
        self._network = network

    def network(self) -> Any:
        """The fitted torch module, in evaluation mode on the CPU.

        Returns
        -------
        torch.nn.Module
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        if getattr(self, "_network", None) is None:
            import torch

            network = self._build(None, self.rois_.size, torch.Generator())
            state, at = float_state(network), 0
            with torch.no_grad():
                for key, shape in self.weight_shapes_.items():
                    n = int(np.prod(shape))
                    part = self.weights_.values[at : at + n].reshape(shape)
                    state[key].copy_(torch.from_numpy(np.array(part)))
                    at += n
            self._network = network.eval()
        return self._network

    def __getstate__(self):
        state = dict(super().__getstate__())
        state.pop("_network", None)  # made again from weights_
        return state

    def export_weights(self, path: str | Path) -> Path:
        """Write the weights as safetensors, under the names of the network.

        Parameters
        ----------
        path : str or Path
            A file ``.safetensors``; :func:`neuroana.learn.read_weights` reads it.

        Returns
        -------
        Path
        """
        from safetensors.torch import save_file

        path = Path(path)
        if path.suffix != ".safetensors":
            raise ParameterError(
                message("argument 'path'", "a file .safetensors", path.name)
            )
        state = {k: v.contiguous() for k, v in self.network().state_dict().items()}
        with atomic_path(path) as part:
            save_file(state, part)
        return path

    def _predict(self, windows):
        return self._outputs(windows)[:, : self.rois_.size]

    def _outputs(self, windows) -> np.ndarray:
        """What the network says, one row a window."""
        return run_network(
            self.network(), self._batches(windows, None), batch_size=self.batch_size,
            device=choose(self.device),
        )  # fmt: skip


def float_state(network) -> dict[str, Any]:
    """Tensors of a network that are no fixed tables."""
    return {k: v for k, v in network.state_dict().items() if v.is_floating_point()}
