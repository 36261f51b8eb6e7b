"""The data of a fit on its device: design, targets, what was observed.

All sequences stand end to end; time is the last axis. Passes over the data go in
chunks of time that stay in cache (on a GPU: in memory), forward passes in float64 or,
where no digit of the result depends on it, in float32.
"""

from dataclasses import dataclass, field
from typing import Any

import torch


CHUNK_BYTES = 400_000  # of an array (S K N, chunk) on a CPU: several fit into its cache
CHUNK_BYTES_GPU = 2**28
BLOCKS = 16  # of time, that workers share
LARGE = 2**18  # values from which float32 saves time worth having
ILL_SCALED = 1e3  # mean over sd of a column beyond which float32 loses the signal


@dataclass
class Panel:
    """All sequences end to end, on the device of the fit."""

    design: torch.Tensor  # (D, T)
    x: torch.Tensor  # (N, T), missing values zero
    observed: torch.Tensor | None = None  # (N, T) bool; None: everything
    constant: torch.Tensor | None = None  # (T,) part of the log-likelihood
    coarse: bool = True  # whether float32 pays, and is safe
    single: tuple = field(default=(), repr=False)  # design and x in float32
    map: Any = map  # how blocks of time are shared out among workers

    @classmethod
    def of(cls, family, design, x, observed=None, *, coarse=True):
        """Panel from tensors (T, D), (T, N) and (T, N)."""
        constant = family.constant(x)
        if observed is not None:
            constant = constant * observed
            observed = observed.T.contiguous()
        coarse = coarse and x.numel() >= LARGE and well_scaled(design)
        design, x = design.T.contiguous(), x.T.contiguous()
        single = (design.float(), x.float()) if coarse else ()
        return cls(design, x, observed, constant.sum(1), coarse, single)

    def parts(self, coarse):
        """Design and targets, in float32 if `coarse` and that is safe."""
        return self.single if coarse and self.coarse else (self.design, self.x)

    def chunks(self, n_columns, *, coarse=False):
        """Slices of time for arrays with `n_columns` values a bin."""
        design, _ = self.parts(coarse)
        n_terms, n_bins = design.shape
        on_cpu = design.device.type == "cpu"
        n_bytes = CHUNK_BYTES if on_cpu else CHUNK_BYTES_GPU
        size = n_bytes // (max(n_columns, n_terms) * design.element_size())
        size = max(64, min(size, 8192) if on_cpu else size)
        return [slice(t, min(t + size, n_bins)) for t in range(0, n_bins, size)]

    def total(self, function, n_columns, *, coarse=False):
        """Sum over blocks of time of what `function` makes of their chunks.

        Blocks do not depend on the number of workers, and are added in their order.
        """
        chunks = self.chunks(n_columns, coarse=coarse)
        size = -(-len(chunks) // BLOCKS)
        blocks = [chunks[i : i + size] for i in range(0, len(chunks), size)]
        parts = list(self.map(function, blocks))
        return [sum(part) for part in zip(*parts)]


def well_scaled(design):
    """Whether no column of the design (T, D) is an offset with a ripple on it."""
    mean, sd = design.mean(0).abs(), design.std(0)
    return not bool(((mean > ILL_SCALED * sd) & (sd > 0)).any())


def predictors(theta, design, chunk):
    """eta of a chunk, (S, K, N, chunk), in the precision of the design."""
    flat = theta.reshape(-1, theta.shape[-1]).to(design.dtype)
    return (flat @ design[:, chunk]).view(*theta.shape[:3], -1)
