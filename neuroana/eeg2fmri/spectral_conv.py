"""The convolutional net on spectral features, as a plain module."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


class SpectralConv(nn.Module):
    """Mix powers of a second, convolve over seconds, read out: (B, L, F) -> (B, R)."""

    def __init__(
        self, n_in: int, n_regions: int, *, width: int = 8, n_hidden: int = 32,
        kernel: int = 9, n_lags: int = 16, dropout: float = 0.3,
        generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if kernel % 2 == 0:
            raise ParameterError(message("argument 'kernel'", "an odd number", kernel))
        self.mix = nn.Linear(n_in, width)
        self.widen = nn.Linear(width, n_hidden)
        self.conv = nn.Conv1d(n_hidden, n_hidden, kernel, padding=kernel // 2)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(n_hidden * n_lags, n_regions)
        for part in (self.mix, self.widen, self.conv, self.head):
            bound = part.weight[0].numel() ** -0.5
            nn.init.uniform_(part.weight, -bound, bound, generator=generator)
            nn.init.uniform_(part.bias, -bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.widen(self.mix(x)))  # (B, L, H)
        x = F.gelu(self.conv(x.transpose(1, 2)))  # (B, H, L)
        return self.head(self.drop(x.flatten(1)))


class FeatureBatches:
    """Batches of features that lie in memory."""

    def __init__(self, X: np.ndarray, Y: np.ndarray | None) -> None:
        self.X = torch.from_numpy(np.ascontiguousarray(X, dtype=np.float32))
        Y = np.zeros((len(X), 0)) if Y is None else Y
        self.Y = torch.from_numpy(np.asarray(Y, dtype=np.float32))

    def __len__(self) -> int:
        return len(self.X)

    def batch(self, positions: np.ndarray) -> tuple[tuple[Tensor, ...], Tensor]:
        """Features and targets of some windows."""
        at = torch.as_tensor(np.asarray(positions))
        return (self.X[at],), self.Y[at]
