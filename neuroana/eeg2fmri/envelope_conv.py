"""The envelope net as a plain module: unmix, filter, rectify, smooth, encode."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


TAPS = 51  # a quarter of a second at 200 Hz
WIDTHS = (8, 16, 32, 32)
STRIDE = 4


class EnvelopeConv(nn.Module):
    """Envelopes of a few virtual channels, and a convolutional encoder of them.

    (B, C, T) in microvolt / 100 -> (B, R). The first filter of each virtual channel is
    read as a band, the second as a low-pass of its rectified course.
    """

    def __init__(
        self, n_channels: int, n_regions: int, *, n_samples: int = 3200,
        n_virtual: int = 5, dropout: float = 0.3,
        generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.unmix = nn.Conv1d(n_channels, n_virtual, 1, bias=False)
        self.norm = nn.BatchNorm1d(n_virtual, affine=False)
        depthwise = {"groups": n_virtual, "padding": TAPS // 2, "bias": False}
        self.band = nn.Conv1d(n_virtual, n_virtual, TAPS, **depthwise)
        self.band_norm = nn.BatchNorm1d(n_virtual, affine=False)
        self.smooth = nn.Conv1d(n_virtual, n_virtual, TAPS, **depthwise)
        sizes = [n_virtual, *WIDTHS]
        self.encoder = nn.ModuleList(
            nn.Conv1d(a, b, 3, stride=STRIDE, padding=1) for a, b in pairwise(sizes)
        )
        for _ in WIDTHS:
            n_samples = -(-n_samples // STRIDE)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(WIDTHS[-1] * n_samples, n_regions)
        for part in self.modules():
            if isinstance(part, nn.Conv1d | nn.Linear):
                bound = part.weight[0].numel() ** -0.5
                nn.init.uniform_(part.weight, -bound, bound, generator=generator)
                if part.bias is not None:
                    nn.init.uniform_(part.bias, -bound, bound, generator=generator)

    def envelopes(self, x: Tensor) -> Tensor:
        """Smoothed courses of the virtual channels, (B, V, T)."""
        x = self.band_norm(self.band(self.norm(self.unmix(x))))
        return self.smooth(F.relu(x))

    def forward(self, x: Tensor, *_: Tensor) -> Tensor:
        x = self.envelopes(x)
        for layer in self.encoder:
            x = F.gelu(layer(x))
        return self.head(self.drop(x.flatten(1)))
