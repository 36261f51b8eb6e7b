"""Non-negative CP by hierarchical alternating least squares, two passes an iteration.

    minimise  1/2 sum V M (X - sum_r A_r B_r C_r)^2  +  l1 (sum A + sum B + sum C)
              + mu/2 (|D2 B|^2 + |A|^2 + |C|^2),     A, B, C >= 0

| step | what                                       | from                            |
| ---- | ------------------------------------------ | ------------------------------- |
| 1    | Z = B' X                                   | first pass over X               |
| 2    | sweep A: K = sum_w Z C                     | H_p = sum_gw M (B'B)_g * (cc')_w|
| 3    | sweep C: K = sum_p Z A                     | H_w = sum_g (B'B)_g * (A'MA)_gw |
| 4    | K = X (A kr C), sweep B                    | H_g = sum_w (A'MA)_gw * (cc')_w |
| 5    | loss = |X|^2 - 2 <K, B> + <B'B, H>         | the K of step 4, in float64     |

Symbols as in `products` and `sweeps`. All models (restarts, ranks, folds) go through
one pass together; those that have converged leave. The ridge on A and C under `mu`
keeps a smooth B from hiding its roughness in the scale of the others.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from neuroana.connectome.products import concatenate, to_numpy
from neuroana.connectome.sweeps import newton_gap, sweep, sweep_smooth


CALM = 5  # iterations in a row with less than `tol` before a model may stop
KKT = 1e-3
REBALANCE = 10
DEAD = 1e-10  # of the largest diagonal of H
RESEEDS = 2


class Settings(NamedTuple):
    """How to iterate."""

    inner: int = 3
    max_iter: int = 500
    tol: float = 1e-7
    l1: float = 0.0
    smooth: float = 0.0
    baseline: bool = False  # the last column of A stays as it is
    single: bool = False  # C stays one: no mode of animals
    shrink: float = 0.0  # ridge on A, of the mean diagonal of H without mask
    use_compiled: bool = True
    rebalance: bool = True


class Stack(NamedTuple):
    """Models of one rank."""

    A: Any  # (S, R, P)
    B: Any  # (S, R, T)
    C: Any  # (S, R, W)
    fold: np.ndarray  # (S,)


class Fit(NamedTuple):
    """One fitted model."""

    A: np.ndarray  # (R, P)
    B: np.ndarray  # (R, T)
    C: np.ndarray  # (R, W)
    fold: int
    loss: float  # 1/2 squared error and penalties, of X in unit mean square
    n_iter: int
    converged: bool
    trace: np.ndarray  # loss after every iteration
    n_reseeded: int


def hals(products, stacks, settings: Settings, watch=None) -> list[list[Fit]]:
    """Fit all models of all stacks together.

    Parameters
    ----------
    products : DenseProducts or OperatorProducts
    stacks : list of Stack
        Starts; changed in place.
    settings : Settings
    watch : callable, optional
        Called with the running number of each iteration and the losses.

    Returns
    -------
    list of list of Fit
        For each stack its models, in their order.

    Examples
    --------
    >>> from neuroana.connectome.products import DenseProducts, make_data
    >>> rng = np.random.default_rng(0)
    >>> x = np.einsum("rp,rt->pt", *rng.random((2, 2, 6)))
    >>> data = make_data(x, dtype="float64")
    >>> start = Stack(*rng.random((2, 1, 2, 6)), np.ones((1, 2, 1)), np.zeros(1, int))
    >>> (fit,), = hals(DenseProducts(data), [start], Settings(single=True))
    >>> fit.converged, bool(fit.loss < 1e-4)
    (True, True)
    """
    runs = [Run(stack, settings) for stack in stacks]
    norms = products.squares()
    masks = products.fold_masks()
    for iteration in range(settings.max_iter):
        active = [run for run in runs if run.alive]
        if not active:
            break
        for run, z in zip(active, products.pairs([r.stack for r in active])):
            run.update_pairs_and_animals(products.data, z, masks)
        for run, k in zip(active, products.times([r.stack for r in active])):
            run.update_times(products.data, k, norms)
        if iteration % REBALANCE == REBALANCE - 1:
            for run in active:
                run.tend(products)
        for run in active:
            run.retire(iteration + 1)
        if watch is not None:
            watch(iteration + 1, runs)
    for run in runs:
        run.finish(settings.max_iter)
    return [[run.done[i] for i in sorted(run.done)] for run in runs]


class Run:
    """The models of one stack on their way."""

    def __init__(self, stack: Stack, settings: Settings):
        self.stack, self.settings = stack, settings
        n = len(stack.A)
        self.ids = np.arange(n)
        self.calm = np.zeros(n, dtype=int)
        self.traces: list[list[float]] = [[] for _ in range(n)]
        self.n_reseeded = np.zeros(n, dtype=int)
        self.gap = np.full(n, np.inf)
        self.done: dict[int, Fit] = {}

    @property
    def alive(self) -> bool:
        """Whether any model is left."""
        return len(self.ids) > 0

    @property
    def n_free(self) -> int:
        """Columns of A that may change."""
        return self.stack.A.shape[1] - int(self.settings.baseline)

    def update_pairs_and_animals(self, data, z, masks):
        """Steps 2 and 3."""
        A, B, C, fold = self.stack
        gb = grams(B, data.bounds)  # (S, G, R, R)
        cc = outer(C)  # (S, W, R, R)
        own = None if masks is None else masks[fold if len(masks) > 1 else fold * 0]
        k = z[:, :, 0] if self.settings.single else over_animals(z, C)
        h = self.with_ridge(pair_grams(gb, cc, own))
        if self.settings.shrink:
            n = h.shape[1]
            whole = (gb.sum(1) * cc.sum(1)).reshape(len(h), -1)[:, :: n + 1].mean(1)
            at = np.arange(n)
            extra = self.settings.shrink * whole[:, None]
            h[:, at, at] += extra if h.ndim == 3 else extra[..., None]
        if (self.calm >= CALM).any():
            self.gap = np.maximum(self.gap_of_times, to_numpy(
                newton_gap(A, k - self.settings.l1, h, self.n_free)))  # fmt: skip
        else:
            self.gap = np.full(len(self.ids), np.inf)
        self.sweep(A, k, h, self.n_free)
        self.ga = inner_grams(A, own)  # (S, GW or 1, R, R)
        self.cc = cc
        if not self.settings.single:
            h = animal_grams(gb, self.ga, C.shape[2])
            self.sweep(C, over_pairs(z, A), self.with_ridge(h))
            self.cc = outer(C)

    def update_times(self, data, k, norms):
        """Steps 4 and 5."""
        _, B, _, fold = self.stack
        s = self.settings
        h = time_grams(self.ga, self.cc, data.n_groups)  # (S, G, R, R)
        at = spread(h, data.bounds)
        if s.smooth:
            back = np.argsort(data.order)
            b, kb = B[:, :, back], k[:, :, back]
            hb = at if at.ndim == 3 else at[..., back]
            sweep_smooth(b, kb, hb, s.smooth, inner=s.inner, l1=s.l1)
            B[:] = b[:, :, data.order]
        else:
            self.sweep(B, k, at)
        self.gap_of_times = np.inf
        if (self.calm >= CALM - 1).any() and not s.smooth:
            self.gap_of_times = to_numpy(newton_gap(B, k - s.l1, at))
        norm = norms[fold if len(norms) > 1 else fold * 0]
        cross = inner64(k, B)
        fitted = inner64(grams(double(B), data.bounds), h)
        loss = 0.5 * np.maximum(norm - 2 * cross + fitted, 0.0)
        loss = loss + self.penalty(data)
        for i, value in enumerate(loss):
            self.traces[self.ids[i]].append(float(value))
        self.loss, self.k = loss, k

    def penalty(self, data):
        """Penalties of each model."""
        A, B, C, _ = self.stack
        s, total = self.settings, 0.0
        if s.l1:
            total = s.l1 * sum(total64(f) for f in (A[:, : self.n_free], B, C))
        if s.smooth:
            bent = bends(B, data)
            free = [] if s.single else [C]
            total = total + s.smooth / 2 * sum(
                total64(f * f) for f in (A[:, : self.n_free], bent, *free)
            )
        return total

    def with_ridge(self, h):
        """H of A or C with the ridge of `smooth` on its diagonal."""
        if not self.settings.smooth:
            return h
        n = h.shape[1]
        h = h + 0
        h[:, np.arange(n), np.arange(n)] += self.settings.smooth
        return h

    def sweep(self, F, K, H, n_free=None):
        """Sweep over the columns of a factor."""
        s = self.settings
        if isinstance(F, np.ndarray):
            K, H = (np.ascontiguousarray(v, dtype=F.dtype) for v in (K, H))
        sweep(F, K, H, inner=s.inner, n_free=n_free, l1=s.l1,
              use_compiled=s.use_compiled)  # fmt: skip

    def tend(self, products):
        """Even out the norms of the modes, and give dead columns a new start."""
        A, B, C, _ = self.stack
        norms = [(f**2).sum(-1) ** 0.5 for f in (A, B, C)]
        size = np.stack([to_numpy(n).astype(np.float64) for n in norms])
        power = size.prod(axis=0)
        free = np.arange(A.shape[1]) < self.n_free
        dead = free & (power <= DEAD * power.max(axis=1, keepdims=True))
        for s, r in np.argwhere(dead):
            model = self.ids[s]
            if self.n_reseeded[model] < RESEEDS * A.shape[1]:
                self.n_reseeded[model] += 1
                where, rest = products.slice_of_largest_residual(A[s], B[s], C[s])
                A[s, r] = rest.sum(0) / max(len(rest), 1)
                B[s, r] = 0.0
                B[s, r, where] = 1.0
                C[s, r] = 1.0
                self.calm[s] = 0
        if self.settings.l1 or not self.settings.rebalance:
            return
        modes = [A, B] if self.settings.single else [A, B, C]
        size = size[: len(modes)]
        if self.settings.smooth:  # equal penalties of all modes are the least penalty
            size[1] = to_numpy((bends(B, products.data) ** 2).sum(-1) ** 0.5)
            dead = dead | (size[1] <= DEAD * size[0])
        wanted = size.prod(axis=0) ** (1.0 / len(modes))
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(size > 0, wanted / size, 1.0)
        factor[:, dead | ~free[None]] = 1.0
        factor = np.where(np.isfinite(factor), factor, 1.0)
        for f, by in zip(modes, factor):
            f *= like(by[..., None], f)

    def retire(self, iteration):
        """Take out the models that have converged."""
        s = self.settings
        least = s.tol if is_double(self.stack.A) else max(s.tol, 1e-5)
        fell = np.array([gain(self.traces[i]) for i in self.ids])
        self.calm = np.where(fell < least, self.calm + 1, 0)
        over = (self.calm > CALM) & ((self.gap < KKT) | bool(s.smooth))
        if s.l1:
            over = self.calm > CALM
        exact = np.array([self.traces[i][-1] for i in self.ids]) <= 1e-14
        over = over | exact
        if over.any():
            self.keep(over, iteration, True)

    def finish(self, max_iter):
        """Store what is left when the iterations are used up."""
        if self.alive:
            self.keep(np.ones(len(self.ids), dtype=bool), max_iter, False)

    def keep(self, over, iteration, converged):
        """Store models and go on with the others."""
        A, B, C, fold = self.stack
        for i in np.flatnonzero(over):
            model = int(self.ids[i])
            trace = np.array(self.traces[model])
            self.done[model] = Fit(
                to_numpy(A[i]).copy(), to_numpy(B[i]).copy(), to_numpy(C[i]).copy(),
                int(fold[i]), float(trace[-1]), iteration, converged, trace,
                int(self.n_reseeded[model]),
            )  # fmt: skip
        stay = np.flatnonzero(~over)
        self.stack = Stack(A[stay], B[stay], C[stay], fold[stay])
        self.ids, self.calm, self.gap = self.ids[stay], self.calm[stay], self.gap[stay]
        if np.ndim(self.gap_of_times):
            self.gap_of_times = self.gap_of_times[stay]


def bends(B, data):
    """Second differences of the time courses, in the order of time."""
    b = B[:, :, np.argsort(data.order)]
    return b[..., 2:] - 2 * b[..., 1:-1] + b[..., :-2]


def over_animals(z, C):
    """sum over w of Z C: what the pairs should come to, (S, R, P)."""
    if hasattr(z, "over_animals"):
        return z.over_animals(C)
    return (C[:, :, None, :] @ z)[:, :, 0]


def over_pairs(z, A):
    """sum over p of Z A: what the animals should come to, (S, R, W)."""
    if hasattr(z, "over_pairs"):
        return z.over_pairs(A)
    return (z @ A[..., None])[..., 0]


def grams(B, bounds):
    """B B' within each group of times, (S, G, R, R)."""
    if len(bounds) == 2:
        return (B @ B.swapaxes(1, 2))[:, None]
    parts = [B[:, :, first:stop] for first, stop in pairwise(bounds)]
    return concatenate([(p @ p.swapaxes(1, 2))[:, None] for p in parts], 1)


def outer(C):
    """c c' of every animal, (S, W, R, R)."""
    c = C.swapaxes(1, 2)
    return c[..., :, None] * c[..., None, :]


def pair_grams(gb, cc, masks):
    """H of the pairs: (S, R, R), or (S, R, R, P) under a mask."""
    if masks is None:
        return gb.sum(1) * cc.sum(1)
    n_models, n_ranks = gb.shape[0], gb.shape[2]
    q = (gb[:, :, None] * cc[:, None]).reshape(n_models, -1, n_ranks * n_ranks)
    h = q.swapaxes(1, 2) @ masks
    return h.reshape(n_models, n_ranks, n_ranks, -1)


def inner_grams(A, masks):
    """A M A' of every group and animal, (S, G W, R, R); (S, 1, R, R) without mask."""
    if masks is None:
        return (A @ A.swapaxes(1, 2))[:, None]
    n_models, n_ranks, _ = A.shape
    products = (A[:, :, None] * A[:, None]).reshape(n_models, n_ranks**2, -1)
    h = masks @ products.swapaxes(1, 2)
    return h.reshape(n_models, -1, n_ranks, n_ranks)


def animal_grams(gb, ga, n_animals):
    """H of the animals, (S, R, R, W), or (S, R, R) without mask."""
    if ga.shape[1] == 1 and n_animals * gb.shape[1] > 1:
        return gb.sum(1) * ga[:, 0]
    ga = ga.reshape(ga.shape[0], gb.shape[1], n_animals, *ga.shape[2:])
    h = (gb[:, :, None] * ga).sum(1)  # (S, W, R, R)
    return moved(h)


def time_grams(ga, cc, n_groups):
    """H of each group of times, (S, G, R, R)."""
    n_animals = cc.shape[1]
    if ga.shape[1] == 1 and n_animals * n_groups > 1:
        h = ga[:, 0] * cc.sum(1)
        return h[:, None] if n_groups == 1 else concatenate([h[:, None]] * n_groups, 1)
    ga = ga.reshape(ga.shape[0], n_groups, n_animals, *ga.shape[2:])
    return (ga * cc[:, None]).sum(2)


def moved(h):
    """(S, W, R, R) as (S, R, R, W)."""
    if isinstance(h, np.ndarray):
        return np.ascontiguousarray(np.moveaxis(h, 1, 3))
    return h.movedim(1, 3).contiguous()


def spread(h, bounds):
    """H (S, G, R, R) for every time: (S, R, R) for one group, else (S, R, R, T)."""
    if h.shape[1] == 1:
        return h[:, 0]
    of_time = np.repeat(np.arange(h.shape[1]), np.diff(bounds))
    return moved(h[:, of_time])


def is_double(f) -> bool:
    """Whether an array is float64."""
    return "float64" in str(f.dtype)


def double(f):
    """The same values in float64."""
    return f.astype(np.float64) if isinstance(f, np.ndarray) else f.double()


def like(values, f):
    """A numpy array as dtype (and device) of f."""
    if isinstance(f, np.ndarray):
        return values.astype(f.dtype)
    return f.new_tensor(values)


def inner64(one, other) -> np.ndarray:
    """Inner product of each model, in float64."""
    product = double(one) * double(other)
    return to_numpy(product.reshape(len(one), -1).sum(1))


def total64(f) -> np.ndarray:
    """Sum of each model's entries, in float64."""
    return to_numpy(double(f).reshape(len(f), -1).sum(1))


def gain(trace) -> float:
    """Relative fall of the loss in the last iteration."""
    if len(trace) < 2:
        return np.inf
    return (trace[-2] - trace[-1]) / max(trace[-2], 1e-300)
