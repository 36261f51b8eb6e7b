"""One batch of recordings through all operators, within limits, failures kept apart."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from neuroana.fc.batching import Batch
from neuroana.fc.contract import Operator
from neuroana.fc.gathering import Group
from neuroana.fc.limits import MemoryLimitError, TimeLimitError, run_limited
from neuroana.fc.preparation import standardised
from neuroana.fc.registry import Op
from neuroana.fc.sharing import Shared, parameters_of


STATUS = {TimeLimitError: "timeout", MemoryLimitError: "oom"}
Found = tuple[np.ndarray, dict[str, Any], np.ndarray | None]  # W, coords, shrinkage


@dataclass(frozen=True)
class Run:
    """How batches go through operators.

    Attributes
    ----------
    ops : list of (Op, Operator)
    zscored : dict of bool
        By operator: whether it takes z-scores.
    refused : dict of Exception
        Why an operator takes none of these recordings.
    references : dict of ndarray (roi, roi)
        What operators have learned.
    pairwise : bool
        Leave missing samples out pair by pair.
    time_limit : float or None
    memory_limit : int
    record : bool
        Return what operators raise.
    device : str
        Where operators run that have a kernel for it.
    """

    ops: list[tuple[Op, Operator]]
    zscored: dict[str, bool]
    refused: dict[str, Exception]
    references: dict[str, np.ndarray]
    pairwise: bool
    time_limit: float | None
    memory_limit: int
    record: bool
    device: str = "cpu"

    def batch(self, group: Group, batch: Batch) -> dict[str, Found | Exception]:
        """What every operator makes of a batch."""
        kept: dict[bool, Shared] = {}
        found: dict[str, Found | Exception] = {}
        for op, made in self.ops:
            if op.label in self.refused:
                found[op.label] = self.refused[op.label]
                continue
            zscored = self.zscored[op.label]
            if zscored not in kept:
                kept[zscored] = Shared(stacked(group, batch, zscored))
            try:
                found[op.label] = self._limited(op, made, kept[zscored], batch)
            except Exception as error:
                if not self.record:
                    raise
                found[op.label] = error
        return found

    def _limited(self, op: Op, made: Operator, shared: Shared, batch: Batch) -> Found:
        if self.time_limit is None:
            return self._call(op, made, shared, batch)
        return run_limited(
            self._call, op, made, shared, batch,
            time_limit=self.time_limit * len(batch.members),
            memory_limit=self.memory_limit, what=f"operator {op.name!r}",
        )  # fmt: skip

    def _call(self, op: Op, made: Operator, shared: Shared, batch: Batch) -> Found:
        if self.pairwise and np.isnan(shared.x).any():
            return made.pairwise(shared.x, **op.params), {}, None
        if self.device != "cpu" and runs_on_tensors(made, op.params):
            return self._on_device(op, made, shared, batch)
        reference = self.references.get(op.label)
        if reference is not None:
            reference = reference[np.ix_(batch.alive, batch.alive)]
        w, coords = made.run(shared, fs=batch.rate, reference=reference, **op.params)
        name = intensity_of(made, op.params)
        return w, coords, None if name is None else shared.get(name, op.params)

    def _on_device(self, op: Op, made: Operator, shared: Shared, batch: Batch) -> Found:
        import torch

        x = torch.as_tensor(shared.x, device=self.device)
        w = made.on_tensor(x, fs=batch.rate, **op.params).cpu().numpy()
        return made.check(w, shared.x.shape), {}, None


def runs_on_tensors(made: Operator, params: dict[str, Any]) -> bool:
    """Whether a GPU is worth it, and its kernel knows the options."""
    from neuroana.fc.tensors import TENSORS, WORTHWHILE

    if made.name not in WORTHWHILE or params.get("average", "") is None:
        return False
    return all(k in parameters_of(TENSORS[made.name]) for k in params)


def stacked(group: Group, batch: Batch, zscored: bool) -> np.ndarray:
    """Samples of a batch (recording, time, roi) in the regions that change."""
    parts = [group.values[k] for k in batch.members]
    if not batch.alive.all():
        parts = [x[:, batch.alive] for x in parts]
    return np.stack([standardised(x) if zscored else x for x in parts])


def intensity_of(made: Operator, params: dict[str, Any]) -> str | None:
    """The intermediate that says by how much an operator shrinks covariances."""
    kind = {**made.parameters, **params}.get("estimator", made.name)
    return f"{kind}_intensity" if kind in ("ledoit_wolf", "oas") else None


def statuses(
    labels: list[str], plan: list[Batch], parts: list[dict], group: Group
) -> tuple[xr.DataArray, xr.DataArray]:
    """Status and message (operator, recording) of every cell."""
    status = np.full((len(labels), len(group.values)), "ok", dtype=object)
    messages = np.full(status.shape, "", dtype=object)
    for k, label in enumerate(labels):
        for batch, part in zip(plan, parts):
            error = part[label]
            if isinstance(error, Exception):
                status[k, batch.members] = STATUS.get(type(error), "error")
                messages[k, batch.members] = f"{type(error).__name__}: {error}"
    where: dict[str, Any] = {"operator": labels}
    if group.starts is None:
        where["recording"] = group.labels
    dims = ("operator", "recording" if group.starts is None else "sample")
    return (
        xr.DataArray(status.astype(str), where, dims, name="status"),
        xr.DataArray(messages.astype(str), where, dims, name="messages"),
    )
