"""The training loop on Lightning; the only file that imports it."""

import copy
import logging
import signal
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch.utils.data import DataLoader, Dataset, Sampler

from neuroana.core.checks import message
from neuroana.core.device import choose
from neuroana.core.errors import CorruptFileError, ParameterError
from neuroana.core.progress import is_on
from neuroana.core.random import branch, branch_seed
from neuroana.core.store import atomic_path
from neuroana.learn.training import TrainingPlan, TrainingResult, learning_rate


CLIP = 1 - 1e-9
KEY = "neuroana"


class Whole(Dataset):
    """Batches as a Dataset: the loader asks for all samples of a batch at once."""

    def __init__(self, samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, position):
        return self.__getitems__([position])

    def __getitems__(self, positions):
        positions = np.asarray(positions)
        inputs, target = self.samples.batch(positions)
        return inputs, target, torch.as_tensor(positions)


class EpochOrder(Sampler):
    """Batches of an epoch in an order that follows from seed and epoch alone."""

    def __init__(self, n: int, size: int, module: "Loop | None") -> None:
        self.n, self.size, self.module = n, size, module

    def __len__(self) -> int:
        if self.module is None:
            return -(-self.n // self.size)
        return max(self.n // self.size, 1)

    def __iter__(self):
        if self.module is None:
            order = np.arange(self.n)
        else:
            # not current_epoch: Lightning still has the last one when it resumes
            epoch = self.module.trainer.global_step // len(self)
            order = branch(self.module.plan.seed, 0, epoch).permutation(self.n)
        for first in range(len(self)):
            yield order[first * self.size : (first + 1) * self.size].tolist()


def as_it_is(batch):
    return batch


class Loop(lightning.LightningModule):
    """One network, its loss and its schedule; keeps history and the best weights."""

    def __init__(self, network, loss, plan: TrainingPlan, groups, runs, n_steps):
        super().__init__()
        self.network, self.loss, self.plan = network, loss, plan
        self.groups, self.runs, self.n_steps = groups, runs, n_steps
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Any] = {"value": None, "epoch": 0, "weights": None}
        self.losses: list[torch.Tensor] = []
        self.outputs: list[torch.Tensor] = []
        self.targets: list[torch.Tensor] = []

    def on_train_start(self) -> None:
        if self.is_patient_no_more():
            self.trainer.should_stop = True

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(branch_seed(self.plan.seed, 1, self.current_epoch))
        self.losses = []

    def training_step(self, batch, number):
        inputs, target, positions = batch
        loss = self.loss(self.network(*inputs).float(), target, self.current_epoch)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                message(
                    f"training, epoch {self.current_epoch}",
                    "a finite loss",
                    f"{loss.item()} with samples {positions[:8].tolist()}",
                    "look at these windows, or take a smaller lr",
                )
            )
        self.losses.append(loss.detach())
        return loss

    def validation_step(self, batch, number):
        inputs, target, _ = batch
        self.outputs.append(self.network(*inputs).float()[:, : target.shape[1]].cpu())
        self.targets.append(target.cpu())

    def on_validation_epoch_end(self) -> None:
        p = torch.cat(self.outputs).numpy().astype(np.float64)
        y = torch.cat(self.targets).numpy().astype(np.float64)
        self.outputs, self.targets = [], []
        self.scores = {
            "val_mse": float(np.nanmean((p - y) ** 2)),
            "val_r": mean_r(p, y, self.runs),
        }

    def on_train_epoch_end(self) -> None:
        optimizer = self.trainer.optimizers[0]
        row = {
            "epoch": self.current_epoch,
            "lr": max(float(g["lr"]) for g in optimizer.param_groups),
            "train_loss": float(torch.stack(self.losses).mean()),
            **getattr(self, "scores", {}),
        }
        self.history.append(row)
        if self.is_better(row):
            self.best = {
                "value": row.get(self.plan.monitor),
                "epoch": self.current_epoch,
                "weights": copy.deepcopy(
                    {k: v.cpu() for k, v in self.network.state_dict().items()}
                ),
            }
        if self.is_patient_no_more():
            self.trainer.should_stop = True

    def is_better(self, row) -> bool:
        new, old = row.get(self.plan.monitor), self.best["value"]
        if new is None or old is None:
            return True
        if not np.isfinite(new):
            return False
        return new > old if self.plan.monitor == "val_r" else new < old

    def is_patient_no_more(self) -> bool:
        if not self.history or "val_mse" not in self.history[-1]:
            return False
        patience = self.plan.patience
        since = self.history[-1]["epoch"] - self.best["epoch"]
        return patience is not None and since >= patience

    def configure_optimizers(self):
        plan = self.plan
        groups = self.groups or [
            {"params": [p for p in self.network.parameters() if p.requires_grad]}
        ]
        optimizer = torch.optim.AdamW(
            [{k: v for k, v in g.items() if k != "name"} for g in groups],
            lr=plan.lr, weight_decay=plan.weight_decay,
        )  # fmt: skip
        warmup = plan.warmup_epochs * self.n_steps
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: learning_rate(
                step, warmup, plan.epochs * self.n_steps, plan.min_lr / plan.lr
            ),
        )
        step = {"scheduler": schedule, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": step}

    def on_save_checkpoint(self, checkpoint) -> None:
        checkpoint[KEY] = {"history": self.history, "best": self.best}

    def on_load_checkpoint(self, checkpoint) -> None:
        self.history = checkpoint[KEY]["history"]
        self.best = checkpoint[KEY]["best"]


class Keeper(Checkpoint):
    """Renew the checkpoint after every epoch, whole or not at all."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def on_save_checkpoint(self, trainer, module, checkpoint) -> None:
        checkpoint["fingerprint"] = self.fingerprint

    def on_train_epoch_end(self, trainer, module) -> None:
        with atomic_path(self.path) as part:
            trainer.save_checkpoint(part)


def mean_r(p: np.ndarray, y: np.ndarray, runs: np.ndarray | None) -> float:
    """Fisher mean of R over runs and outputs; NaN targets do not count."""
    runs = np.zeros(len(p), dtype=int) if runs is None else runs
    z = []
    for run in np.unique(runs):
        for a, b in zip(p[runs == run].T, y[runs == run].T):
            known = np.isfinite(b)
            if known.sum() > 2 and a[known].std() > 0 and b[known].std() > 0:
                r = np.corrcoef(a[known], b[known])[0, 1]
                z.append(np.arctanh(np.clip(r, -CLIP, CLIP)))
    return float(np.tanh(np.mean(z))) if z else float("nan")


def run_loop(
    network, loss, train, validation, plan: TrainingPlan, groups, runs, checkpoint,
    fingerprint,
) -> TrainingResult:  # fmt: skip
    """Train; see :func:`neuroana.learn.train_network`."""
    device = choose(plan.device)
    precision = plan.precision
    if precision == "auto":
        bf16 = device != "cpu" and torch.cuda.is_bf16_supported()
        precision = "bf16-mixed" if bf16 else "32-true"
    size = min(plan.batch_size, len(train))
    module = Loop(network, loss, plan, groups, runs, max(len(train) // size, 1))
    resume = found_checkpoint(checkpoint, fingerprint)
    with quiet(), interruptible(), torch.random.fork_rng(devices=gpus(device)):
        trainer = lightning.Trainer(
            accelerator="cpu" if device == "cpu" else "gpu",
            devices=[int(device.partition(":")[2] or 0)] if device != "cpu" else 1,
            precision=precision, max_epochs=plan.epochs, gradient_clip_val=plan.clip,
            logger=False, enable_model_summary=False,
            enable_checkpointing=checkpoint is not None,
            enable_progress_bar=is_on(plan.progress), num_sanity_val_steps=0,
            use_distributed_sampler=False, inference_mode=True,
            callbacks=[Keeper(checkpoint, fingerprint)] if checkpoint else None,
        )  # fmt: skip
        trainer.fit(
            module,
            loader(train, size, module),
            None if validation is None else loader(validation, 2 * size, None),
            ckpt_path=resume, weights_only=True if resume else None,
        )  # fmt: skip
    network.load_state_dict(module.best["weights"])
    network.to("cpu").eval()
    return TrainingResult(module.history, module.best["epoch"], device, precision)


def loader(samples, size: int, module) -> DataLoader:
    """Batches in order; its generator keeps it from drawing from that of the masks."""
    return DataLoader(
        Whole(samples), collate_fn=as_it_is, generator=torch.Generator(),
        batch_sampler=EpochOrder(len(samples), size, module),
    )  # fmt: skip


def gpus(device: str) -> list[int]:
    return [] if device == "cpu" else list(range(torch.cuda.device_count()))


def found_checkpoint(path: Path | None, fingerprint: str) -> Path | None:
    """The checkpoint to go on from; one of other data or settings is refused."""
    if path is None or not path.is_file():
        return None
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        other = kept["fingerprint"]
    except Exception as error:
        raise CorruptFileError(
            message(f"{path}", "a checkpoint of training", f"{error}"[:200],
                    "remove it to begin anew")
        ) from error  # fmt: skip
    if other != fingerprint:
        raise ParameterError(
            message(
                f"{path}",
                f"a checkpoint of these data and settings ({fingerprint[:12]})",
                f"one of others ({str(other)[:12]})",
                "name another file, or remove it to begin anew",
            )
        )
    return path


@contextmanager
def interruptible():
    """Ctrl+C ends training as it ends anything else; Lightning would end Python."""
    here = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if here else None
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        if here:
            signal.signal(signal.SIGINT, handler)


@contextmanager
def quiet():
    """Lightning without its banner and its advice on workers."""
    names = ("lightning.pytorch", "lightning.fabric", "lightning")
    loggers = [logging.getLogger(name) for name in names]
    levels = [log.level for log in loggers]
    for log in loggers:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for log, level in zip(loggers, levels):
            log.setLevel(level)
