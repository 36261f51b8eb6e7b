"""Parts of a tensor that are held out together when a rank is judged.

Entries of a tensor are not independent: pairs share neurons, and smoothing ties times
together. What is held out must therefore be a block.

| holdout         | one block                                                       |
| --------------- | --------------------------------------------------------------- |
| "neuron-animal" | all pairs of a neuron in one animal (with one animal: in one    |
|                 | stretch of time)                                                |
| "time-block"    | a stretch of time in one animal (with one animal, or without a  |
|                 | common clock: for the pairs of some neurons)                    |
| "speckle"       | single entries; leaks through smoothness and shared neurons     |
"""

from typing import NamedTuple

import numpy as np
import xarray as xr

from neuroana.connectome.affinity import pair_indices
from neuroana.connectome.tensors import animals_of, neurons_of


HOLDOUTS = ("neuron-animal", "time-block", "speckle")
SPREAD = 4  # stretches a fold without a common clock, so that motifs recur in others


class Holdout(NamedTuple):
    """Blocks of every fold."""

    groups: np.ndarray | None  # (T,) which block each time belongs to
    kept: np.ndarray  # (F, G, W, P) bool


def draw_blocks(
    tensor: xr.DataArray, holdout: str, n_folds: int, rng: np.random.Generator
) -> Holdout:
    """Draw folds; every block is held out in exactly one.

    Examples
    --------
    >>> from neuroana.connectome import simulate_tensor
    >>> tensor, _ = simulate_tensor(6, 20, rank=2, n_animals=3, random_state=0)
    >>> drawn = draw_blocks(tensor, "neuron-animal", 3, np.random.default_rng(0))
    >>> drawn.kept.shape
    (3, 1, 3, 15)
    """
    n_neurons = len(neurons_of(tensor)[0])
    i, j = pair_indices(n_neurons)
    by_clock = tensor.ndim == 3 and tensor.sizes["animal"] > 1
    if by_clock and holdout == "neuron-animal":
        fold = deal(n_folds, (1, tensor.sizes["animal"], n_neurons), rng)
        return Holdout(None, pairs_kept(fold, i, j, n_folds))
    groups = time_groups(tensor, holdout, n_folds, by_clock=by_clock)
    n_groups = int(groups.max()) + 1
    if by_clock:
        fold = deal(n_folds, (n_groups, tensor.sizes["animal"]), rng)
        kept = fold[None] != np.arange(n_folds)[:, None, None]
        shape = (*kept.shape, len(i))
        return Holdout(groups, np.broadcast_to(kept[..., None], shape).copy())
    fold = deal(n_folds, (n_groups, 1, n_neurons), rng)
    return Holdout(groups, pairs_kept(fold, i, j, n_folds))


def deal(n_folds: int, shape: tuple[int, ...], rng) -> np.ndarray:
    """Folds dealt out like cards along the last dim."""
    out = np.empty(shape, dtype=int)
    for place in np.ndindex(*shape[:-1]):
        cards = (np.arange(shape[-1]) + rng.integers(n_folds)) % n_folds
        out[place] = rng.permutation(cards)
    return out


def pairs_kept(fold, i, j, n_folds) -> np.ndarray:
    """False for the pairs of the neurons that a fold holds out."""
    number = np.arange(n_folds)[:, None, None, None]
    return (fold[None, ..., i] != number) & (fold[None, ..., j] != number)


def time_groups(tensor, holdout, n_folds, *, by_clock) -> np.ndarray:
    """Which stretch of time each sample belongs to."""
    n_time = tensor.sizes["time"]
    names = animals_of(tensor)
    several = not by_clock and tensor.ndim == 2 and len(names) > 1
    owner = np.zeros(n_time, dtype=int)
    if several:
        owner = np.array([names.index(a) for a in tensor["animal"].values.tolist()])
        if holdout == "neuron-animal":
            return owner
    n_blocks = n_folds if by_clock else SPREAD * n_folds
    n_blocks = min(n_blocks, n_time // 2)
    block = np.empty(n_time, dtype=int)
    for animal in np.unique(owner):
        at = np.flatnonzero(owner == animal)
        block[at] = animal * n_blocks + np.arange(len(at)) * n_blocks // len(at)
    return block
