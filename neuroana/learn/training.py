"""Training a network: what is to be done, and the door to Lightning.

A run killed at any moment goes on from its last whole epoch to the same weights (on
the same CPU): the order of the windows and all random masks of an epoch follow from
the seed and its number alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from neuroana.core.checks import check_choice, check_number


if TYPE_CHECKING:
    from torch import Tensor, nn

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
MONITORS = ("val_mse", "val_r")


class Batches(Protocol):
    """Samples that come in batches, so that no sample is ever copied alone."""

    def __len__(self) -> int:
        """Number of samples."""

    def batch(self, positions: np.ndarray) -> tuple[tuple["Tensor", ...], "Tensor"]:
        """Inputs of the network and targets of some samples."""


@dataclass(frozen=True)
class TrainingPlan:
    """How a network is trained; the defaults are those published for NeuroBOLT.

    Use it with :func:`train_network`.

    Parameters
    ----------
    epochs, batch_size, warmup_epochs : int
        The learning rate rises linearly in the warm-up, then falls as a cosine.
    lr, min_lr, weight_decay : float
    patience : int or None
        Epochs without a better validation after which training ends.
    monitor : {'val_mse', 'val_r'}
        What chooses the epoch.
    clip : float or None
        Largest norm of the gradient.
    precision : {'auto', '32-true', 'bf16-mixed', '16-mixed'}
        'auto' takes bf16 where a GPU has it.
    device : str
    seed : int
    progress : bool, optional

    Raises
    ------
    ParameterError
        If a number is impossible.

    Examples
    --------
    >>> TrainingPlan(epochs=2).monitor
    'val_mse'
    """

    epochs: int = 20
    batch_size: int = 64
    warmup_epochs: int = 5
    lr: float = 3e-4
    min_lr: float = 1e-6
    weight_decay: float = 0.05
    patience: int | None = 5
    monitor: str = "val_mse"
    clip: float | None = None
    precision: str = "auto"
    device: str = "auto"
    seed: int = 0
    progress: bool | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            check_number(name, getattr(self, name), minimum=1, integer=True)
        check_number("warmup_epochs", self.warmup_epochs, minimum=0, integer=True)
        check_number("lr", self.lr, minimum=0.0, open_ends=True)
        check_number("min_lr", self.min_lr, minimum=0.0, maximum=self.lr)
        check_number("weight_decay", self.weight_decay, minimum=0.0)
        if self.patience is not None:
            check_number("patience", self.patience, minimum=1, integer=True)
        check_choice("monitor", self.monitor, MONITORS)
        check_choice("precision", self.precision, PRECISIONS)


@dataclass(frozen=True)
class TrainingResult:
    """What training left beside the weights.

    Attributes
    ----------
    history : list of dict
        ``epoch``, ``lr``, ``train_loss``, and with validation ``val_mse``, ``val_r``.
    best_epoch : int
        Whose weights the network has now.
    device, precision : str

    Examples
    --------
    >>> TrainingResult([], 0, "cpu", "32-true").device
    'cpu'
    """

    history: list[dict[str, float]]
    best_epoch: int
    device: str
    precision: str


def learning_rate(step: int, n_warmup: int, n_steps: int, floor: float) -> float:
    """Share of the peak: linear from 0 over the warm-up, then a cosine to `floor`.

    Examples
    --------
    >>> [round(learning_rate(s, 2, 6, 0.0), 2) for s in range(6)]
    [0.0, 0.5, 1.0, 0.85, 0.5, 0.15]
    """
    if step < n_warmup:
        return step / n_warmup
    part = (step - n_warmup) / max(n_steps - n_warmup, 1)
    return floor + (1 - floor) * 0.5 * (1 + float(np.cos(np.pi * min(part, 1.0))))


def train_network(
    network: "nn.Module", loss: Callable, train: Batches,
    validation: Batches | None = None, *, plan: TrainingPlan,
    groups: Sequence[dict[str, Any]] | None = None,
    runs: np.ndarray | None = None, checkpoint: str | Path | None = None,
    fingerprint: str = "",
) -> TrainingResult:  # fmt: skip
    """Train a network with Lightning and leave it with the best epoch's weights.

    Use it from an estimator. Cost: Lightning's import (seconds), then that of the
    network.

    Parameters
    ----------
    network : Module
        Called with the inputs of a batch; trained in place.
    loss : callable
        Of output, target and epoch (:func:`neuroana.learn.losses.make_loss`).
    train, validation : Batches
        Without validation the last epoch is kept.
    plan : TrainingPlan
    groups : sequence of dict, optional
        Parameter groups with their own rates; all parameters alike if left out.
    runs : ndarray of int (sample,), optional
        Run of each validation sample: R is found within runs.
    checkpoint : path, optional
        File that is renewed after every epoch, and gone on from if it is there.
    fingerprint : str
        Of data and settings; a checkpoint of another is refused.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ParameterError
        If the checkpoint belongs to other data or settings.
    FloatingPointError
        If the loss is no longer finite, with the samples of the batch.

    Examples
    --------
    >>> import torch
    >>> from neuroana.learn.losses import make_loss
    >>> class Line:
    ...     def __len__(self):
    ...         return 64
    ...     def batch(self, positions):
    ...         x = torch.as_tensor(positions, dtype=torch.float32)[:, None] / 64
    ...         return (x,), 2 * x
    >>> net = torch.nn.Linear(1, 1)
    >>> plan = TrainingPlan(epochs=30, batch_size=8, lr=0.1, warmup_epochs=0)
    >>> result = train_network(net, make_loss("mse"), Line(), plan=plan)
    >>> result.history[-1]["train_loss"] < 0.01
    True
    """
    from neuroana.learn.loop import run_loop

    return run_loop(
        network, loss, train, validation, plan, groups, runs,
        None if checkpoint is None else Path(checkpoint), fingerprint,
    )  # fmt: skip


def run_network(
    network: "nn.Module", samples: Batches, *, batch_size: int = 64,
    device: str = "cpu", precision: str = "32-true",
) -> np.ndarray:  # fmt: skip
    """Outputs of a network for all samples, in order, as float32.

    Examples
    --------
    >>> import torch
    >>> class Ones:
    ...     def __len__(self):
    ...         return 3
    ...     def batch(self, positions):
    ...         x = torch.ones(len(positions), 2)
    ...         return (x,), x
    >>> run_network(torch.nn.Identity(), Ones(), batch_size=2).shape
    (3, 2)
    """
    import torch

    network = network.to(device).eval()
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    kind = torch.device(device).type
    out = []
    with torch.inference_mode(), torch.autocast(kind, half, enabled=half is not None):
        for first in range(0, len(samples), batch_size):
            last = min(first + batch_size, len(samples))
            inputs, _ = samples.batch(np.arange(first, last))
            made = network(*(x.to(device) for x in inputs))
            out.append(made.float().cpu().numpy())
    network.to("cpu")
    return np.concatenate(out)
