"""Training of the encoder, and what is measured on the way.

SPS, the structural perturbation score of a window, is the mean over epochs of
||A_e - A_(e-1)||_F^2, A_e its attention after epoch e in evaluation mode. Only the last
attention of every window is kept: n N^2 numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from neuroana.core.device import choose
from neuroana.core.random import branch, branch_seed
from neuroana.fc.network import EncoderConfig, StructureEncoder, info_nce


BLOCK = 1024  # windows of one evaluation pass


@dataclass(frozen=True)
class Schedule:
    """How the encoder is trained."""

    epochs: int = 1000
    batch_people: int = 64
    lr: float = 1e-3
    temperature: float = 0.1
    squared: bool = True
    self_negative: bool = False
    attention_weight: float = 0.0
    early_stop: float | None = 0.99
    early_gap: int = 100


@dataclass
class Perturbation:
    """Scores of windows by what training did to them.

    Attributes
    ----------
    sps : ndarray (sample,)
    curve : ndarray (epoch, 3)
        Quartiles of the step of an epoch.
    loss : ndarray (epoch,)
    embedding : ndarray (sample, dim)
    alpha : ndarray (head,)
    """

    sps: np.ndarray
    curve: np.ndarray
    loss: np.ndarray
    embedding: np.ndarray
    alpha: np.ndarray
    n_epochs: int = 0
    history: list[np.ndarray] = field(default_factory=list, repr=False)


def batches(people, batch_people, rng):
    """Numbers of windows, two random ones a person, in random batches of people.

    Examples
    --------
    >>> [len(b) for b in batches(np.array([0, 0, 1, 1, 1]), 64,
    ...                          np.random.default_rng(0))]
    [4]
    """
    who = [np.flatnonzero(people == p) for p in np.unique(people)]
    who = [at for at in who if len(at) > 1]
    order = rng.permutation(len(who))
    for start in range(0, len(order), batch_people):
        chosen = order[start : start + batch_people]
        if len(chosen) > 1:
            yield np.concatenate([rng.choice(who[p], 2, replace=False) for p in chosen])


@torch.no_grad()
def measure(model, x, previous, *, squared=True):
    """One pass over all windows: steps (sample,) from `previous`, which is updated."""
    model.eval()
    steps = torch.zeros(len(x))
    embeddings = []
    for start in range(0, len(x), BLOCK):
        part = slice(start, start + BLOCK)
        z, a = model(x[part])
        gap = (a - previous[part]).square().sum(dim=(1, 2))
        steps[part] = (gap if squared else gap.sqrt()).cpu()
        previous[part] = a
        embeddings.append(z.cpu())
    return steps.numpy(), torch.cat(embeddings).numpy()


def train(
    windows, people, config: EncoderConfig, schedule: Schedule, *, seed=0,
    device="auto", each_epoch: Callable | None = None,
):  # fmt: skip
    """Train the encoder on pairs of windows of one person, and score the windows.

    Parameters
    ----------
    windows : ndarray (sample, roi, time)
    people : ndarray of int (sample,)
    each_epoch : callable, optional
        Called with the model after every epoch.

    Returns
    -------
    Perturbation
    """
    place = torch.device(choose(device))
    x = torch.as_tensor(np.ascontiguousarray(windows), dtype=torch.float32).to(place)
    labels = torch.tensor(np.asarray(people), device=place)
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(branch_seed(seed, 0))
        model = StructureEncoder(config).to(place)
        optimiser = torch.optim.Adam(model.parameters(), lr=schedule.lr)
        previous = torch.zeros(len(x), x.shape[1], x.shape[1], device=place)
        measure(model, x, previous)
        total = np.zeros(len(x))
        curve, losses, kept, z = [], [], [], None
        for epoch in range(schedule.epochs):
            losses.append(_epoch(model, optimiser, x, labels, people, schedule,
                                 branch(seed, 1, epoch)))  # fmt: skip
            steps, z = measure(model, x, previous, squared=schedule.squared)
            total += steps
            curve.append(np.quantile(steps, [0.25, 0.5, 0.75]))
            if each_epoch is not None:
                each_epoch(model, x)
            if schedule.early_stop is not None:
                kept.append(total.copy())
                if _settled(kept, schedule):
                    break
        alpha = torch.softmax(model.mixing.detach().cpu(), 0).numpy()
    n = len(losses)
    return Perturbation(total / n, np.array(curve), np.array(losses), z, alpha, n)


def _epoch(model, optimiser, x, labels, people, schedule, rng):
    model.train()
    total, count = 0.0, 0
    for at in batches(people, schedule.batch_people, rng):
        chosen = torch.as_tensor(at, device=x.device)
        z, a = model(x[chosen])
        loss = info_nce(z, labels[chosen], temperature=schedule.temperature,
                        self_negative=schedule.self_negative)  # fmt: skip
        whole = loss + schedule.attention_weight * a.abs().mean()
        optimiser.zero_grad()
        whole.backward()
        optimiser.step()
        total, count = total + float(loss.detach()) * len(at), count + len(at)
    return total / max(count, 1)


def _settled(kept, schedule):
    """Whether the order of the scores has stopped to change."""
    from scipy.stats import spearmanr

    gap = schedule.early_gap
    if len(kept) > gap + 1:
        kept.pop(0)
    if len(kept) <= gap:
        return False
    return bool(spearmanr(kept[0], kept[-1]).statistic > schedule.early_stop)
