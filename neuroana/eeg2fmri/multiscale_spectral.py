"""The multi-scale spectral encoder: magnitudes of four window lengths, one sum.

| symbol | meaning                                                     |
| ------ | ----------------------------------------------------------- |
| B, C   | windows in the batch, channels                              |
| T      | samples of a window, 3200 (16 s at 200 Hz)                  |
| S      | scales; frames of scale n last 100 * 2^n samples, no overlap |
| L      | time positions, T / 100                                     |
| D      | width, 200 in the published network                         |

Li et al., "NeuroBOLT", NeurIPS 2024, arXiv 2410.05341. The magnitude of scale n is
neither squared, nor logged, nor divided by the length of its frame.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.learn.labram import initialise


FRAME = 100  # samples of the shortest frame: half a second at 200 Hz
POSITIONS = 1000  # rows of the stored position code
MLP_RATIO = 4


class LinearAttention(nn.Module):
    """Attention in O(N d^2): softmax of q over features, of k over tokens."""

    def __init__(self, dim: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(dim, dim, bias=False)
        self.to_v = nn.Linear(dim, dim, bias=False)
        self.to_out = nn.Linear(dim, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            to(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # (B, H, N, d)
            for to in (self.to_q, self.to_k, self.to_v)
        )
        q = q.softmax(dim=-1) * q.shape[-1] ** -0.5
        k = k.softmax(dim=-2)
        x = q @ (k.transpose(-1, -2) @ v)
        return self.drop(self.to_out(x.transpose(1, 2).flatten(2)))


class FeedForward(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, MLP_RATIO * dim)
        self.w2 = nn.Linear(MLP_RATIO * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.gelu(self.w1(x)))


class Nested(nn.Module):
    """A module under one more name, as published checkpoints have it."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(x)


class PreNorm(Nested):
    """Layer norm, then the module."""

    def __init__(self, dim: int, fn: nn.Module) -> None:
        super().__init__(fn)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(self.norm(x))


class Projection(nn.Module):
    """A linear map under the name of published checkpoints."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.projection = nn.Linear(n_in, n_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(x)


class PositionCode(nn.Module):
    """The sine and cosine code of base 10000, as a buffer."""

    pe: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        when = torch.arange(POSITIONS)[:, None]
        rate = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
        code = torch.stack([torch.sin(when * rate), torch.cos(when * rate)], dim=-1)
        self.register_buffer("pe", code.flatten(1)[None])  # (1, positions, D)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pe[0, : x.shape[-2]]


class Layers(nn.Module):
    """Pre-norm layers of linear attention with residuals: (B, N, D) -> (B, N, D)."""

    def __init__(self, dim: int, depth: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PreNorm(dim, LinearAttention(dim, n_heads, dropout)),
                    PreNorm(dim, Nested(FeedForward(dim))),
                ]
            )
            for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for attention, feed_forward in self.layers:  # type: ignore[misc]
            x = x + attention(x)
            x = x + feed_forward(x)
        return x


class MultiScaleSpectralEncoder(nn.Module):
    """Encode the magnitude spectra of windows into one vector each.

    Use it alone, or as the spectral branch of :class:`NeuroBOLT`. Cost: 3.4 GFLOP a
    window of 26 channels and 16 s.

    Parameters
    ----------
    n_channels : int
        Rows of the channel table, one a channel of the training montage.
    n_samples : int
        T, a multiple of the longest frame; the time maps hold for this length only.
    dim, depth, n_heads, n_scales : int
    dropout, attention_dropout : float
        Of the tokens, and behind the output map of the attention.
    generator : torch.Generator, optional
        Source of the initial weights.

    Raises
    ------
    ParameterError
        If the sizes do not fit together.

    Examples
    --------
    >>> encoder = MultiScaleSpectralEncoder(5, 800).eval()
    >>> encoder(torch.zeros(2, 5, 800)).shape
    torch.Size([2, 200])
    """

    index: Tensor

    def __init__(
        self,
        n_channels: int,
        n_samples: int = 3200,
        *,
        dim: int = 200,
        depth: int = 4,
        n_heads: int = 8,
        n_scales: int = 4,
        dropout: float = 0.1,
        attention_dropout: float = 0.2,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.frames = frame_lengths(n_samples, n_scales)
        self.n_samples = n_samples
        if dim % n_heads or dim % 2:
            raise ParameterError(
                message("argument 'n_heads'", f"a divisor of the even {dim=}", n_heads)
            )
        positions = n_samples // FRAME
        self.patch_embedding = nn.ModuleList(
            Projection(w // 2 + 1, dim) for w in self.frames
        )
        self.ts_embedding = nn.ModuleList(
            Projection(n_samples // w, positions) for w in self.frames
        )
        self.channel_tokens = nn.Embedding(n_channels, dim)
        self.register_buffer("index", torch.arange(n_channels))
        self.positional_encoding = PositionCode(dim)
        self.embed_drop = nn.Dropout(dropout)
        self.transformer = nn.Module()
        self.transformer.layers = Layers(dim, depth, n_heads, attention_dropout)
        initialise(self, generator)

    def magnitudes(self, x: Tensor) -> list[Tensor]:
        """Spectra of every scale, each (B, C, frames, bins)."""
        return [
            torch.fft.rfft(x.unflatten(-1, (-1, w)), dim=-1).abs() for w in self.frames
        ]

    def tokens(self, x: Tensor, channels: Tensor | None = None) -> Tensor:
        """Scales summed, channel token and position code added: (B, C, L, D)."""
        channels = self.index if channels is None else channels
        if x.ndim != 3 or x.shape[1:] != (len(channels), self.n_samples):
            raise ShapeError(
                message(
                    "EEG window",
                    f"shape (batch, {len(channels)}, {self.n_samples})",
                    f"shape {tuple(x.shape)}",
                    "give the channel positions of a subset; the time maps hold for "
                    "one window length",
                )
            )
        scales = zip(self.patch_embedding, self.ts_embedding, self.magnitudes(x))
        z = sum(
            in_time(in_frequency(magnitude).transpose(-1, -2))  # (B, C, D, L)
            for in_frequency, in_time, magnitude in scales
        )
        z = z.transpose(-1, -2) + self.channel_tokens(channels)[:, None]
        return self.positional_encoding(z)

    def encode(self, x: Tensor, channels: Tensor | None = None) -> Tensor:
        """Mean of the last tokens: r_sp, (B, D).

        Parameters
        ----------
        x : Tensor (B, C, T)
            EEG at 200 Hz in microvolt / 100.
        channels : Tensor of int (C,), optional
            Positions of the channels in the training montage; all of them if left
            out.
        """
        return self.last_tokens(x, channels).mean(dim=1)

    def last_tokens(self, x: Tensor, channels: Tensor | None = None) -> Tensor:
        """Tokens behind the transformer, (B, C L, D)."""
        z = self.embed_drop(self.tokens(x, channels)).flatten(1, 2)
        return self.transformer.layers(z)  # type: ignore[operator]

    def forward(self, x: Tensor, channels: Tensor | None = None) -> Tensor:
        return self.encode(x, channels)


def frame_lengths(n_samples: int, n_scales: int) -> list[int]:
    """Samples of a frame at each scale; the longest divides the window."""
    check_number("n_scales", n_scales, minimum=1, maximum=6, integer=True)
    check_number("n_samples", n_samples, minimum=FRAME, integer=True)
    frames = [FRAME * 2**n for n in range(n_scales)]
    if n_samples % frames[-1]:
        raise ParameterError(
            message(
                "argument 'n_samples'",
                f"a multiple of the longest frame, {frames[-1]} samples",
                n_samples,
                "take another window length or fewer scales",
            )
        )
    return frames
