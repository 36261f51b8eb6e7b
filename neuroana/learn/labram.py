"""The LaBraM encoder: one-second patches of every electrode under one attention.

| symbol | meaning                                              |
| ------ | ---------------------------------------------------- |
| B      | windows in the batch                                 |
| C      | channels                                             |
| P      | patches of 200 samples (one second at 200 Hz), <= 16 |
| N      | tokens, 1 + C P; the class token first               |
| D      | width, 200 in the published network                  |

Jiang, Zhao and Lu, "Large Brain Model for learning generic representations with
tremendous EEG data in BCI", ICLR 2024. Names of parameters are those of its
published checkpoints.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.learn.electrodes import ELECTRODES


PATCH = 200  # samples: one second at 200 Hz
MAX_PATCHES = 16
EPSILON = 1e-6


@dataclass(frozen=True)
class LaBraMConfig:
    """Sizes of a LaBraM encoder; the defaults are LaBraM-base.

    Use it to make a smaller encoder; weights of LaBraM-base need the defaults.

    Parameters
    ----------
    dim : int
        Width D of a token.
    depth, n_heads : int
        Transformer blocks, and attention heads in each; `n_heads` divides `dim`.
    mlp_ratio : int
        Hidden width of the perceptron, in units of `dim`.
    dropout, drop_path : float
        Dropout of tokens and of both sub-layers; stochastic depth of the last block.

    Raises
    ------
    ParameterError
        If a size is impossible.

    Examples
    --------
    >>> LaBraMConfig().depth
    12
    """

    dim: int = 200
    depth: int = 12
    n_heads: int = 10
    mlp_ratio: int = 4
    dropout: float = 0.1
    drop_path: float = 0.1

    def __post_init__(self) -> None:
        for name in ("dim", "depth", "n_heads", "mlp_ratio"):
            check_number(name, getattr(self, name), minimum=1, integer=True)
        for name in ("dropout", "drop_path"):
            check_number(name, getattr(self, name), minimum=0.0, maximum=0.99)
        if self.dim % self.n_heads:
            raise ParameterError(
                message(
                    "argument 'n_heads'", f"a divisor of dim={self.dim}", self.n_heads
                )
            )


class TemporalConv(nn.Module):
    """Three convolutions along each patch: (B, N, 200) -> (B, N, D).

    The group norms share their statistics over all patches of a window.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, (1, 15), stride=(1, 8), padding=(0, 7))
        self.norm1 = nn.GroupNorm(4, 8)
        self.conv2 = nn.Conv2d(8, 8, (1, 3), padding=(0, 1))
        self.norm2 = nn.GroupNorm(4, 8)
        self.conv3 = nn.Conv2d(8, 8, (1, 3), padding=(0, 1))
        self.norm3 = nn.GroupNorm(4, 8)
        if dim != PATCH:
            self.proj = nn.Linear(PATCH, dim)

    def forward(self, patches: Tensor) -> Tensor:
        x = patches[:, None]  # (B, 1, N, 200)
        x = F.gelu(self.norm1(self.conv1(x)))  # (B, 8, N, 25)
        x = F.gelu(self.norm2(self.conv2(x)))
        x = F.gelu(self.norm3(self.conv3(x)))
        x = x.permute(0, 2, 3, 1).flatten(2)  # (B, N, 25 * 8), time-major
        return self.proj(x) if hasattr(self, "proj") else x


class Attention(nn.Module):
    """Self-attention with a layer norm on each head's queries and keys."""

    def __init__(self, dim: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_norm = nn.LayerNorm(dim // n_heads, eps=EPSILON)
        self.k_norm = nn.LayerNorm(dim // n_heads, eps=EPSILON)
        self.proj = nn.Linear(dim, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.n_heads, -1))  # (B, N, 3, H, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, N, d)
        q, k = self.q_norm(q), self.k_norm(k)
        x = F.scaled_dot_product_attention(q, k, v)  # scale d^-1/2
        return self.drop(self.proj(x.transpose(1, 2).flatten(2)))


class Perceptron(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(F.gelu(self.fc1(x))))


class Block(nn.Module):
    """Pre-norm block with layer scale and stochastic depth."""

    def __init__(self, config: LaBraMConfig, drop_path: float) -> None:
        super().__init__()
        dim = config.dim
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(dim, eps=EPSILON)
        self.attn = Attention(dim, config.n_heads, config.dropout)
        self.norm2 = nn.LayerNorm(dim, eps=EPSILON)
        self.mlp = Perceptron(dim, config.mlp_ratio * dim, config.dropout)
        self.gamma_1 = nn.Parameter(torch.full((dim,), 0.1))
        self.gamma_2 = nn.Parameter(torch.full((dim,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._path(self.gamma_1 * self.attn(self.norm1(x)))
        return x + self._path(self.gamma_2 * self.mlp(self.norm2(x)))

    def _path(self, x: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0.0:
            return x
        keep = 1.0 - self.drop_path
        mask = torch.rand(len(x), 1, 1, device=x.device, dtype=x.dtype) < keep
        return x * mask / keep


class LaBraMEncoder(nn.Module):
    """Encode windows of EEG into one vector each.

    Use it as a backbone, with :func:`neuroana.learn.load_weights` for pretrained
    weights. Cost: 6.5 GFLOP a window of 26 channels and 16 s.

    Parameters
    ----------
    config : LaBraMConfig, optional
    generator : torch.Generator, optional
        Source of the initial weights.

    Examples
    --------
    >>> encoder = LaBraMEncoder(LaBraMConfig(depth=1)).eval()
    >>> encoder(torch.zeros(2, 5, 800), torch.tensor([1, 40, 82, 46, 26])).shape
    torch.Size([2, 200])
    """

    def __init__(
        self,
        config: LaBraMConfig | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        config = LaBraMConfig() if config is None else config
        dim, depth = config.dim, config.depth
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, len(ELECTRODES) + 1, dim))
        self.time_embed = nn.Parameter(torch.zeros(1, MAX_PATCHES, dim))
        self.patch_embed = TemporalConv(dim)
        self.embed_drop = nn.Dropout(config.dropout)
        paths = [config.drop_path * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.ModuleList(Block(config, path) for path in paths)
        self.fc_norm = nn.LayerNorm(dim, eps=EPSILON)
        initialise(self, generator)
        with torch.no_grad():
            for token in (self.cls_token, self.pos_embed, self.time_embed):
                nn.init.trunc_normal_(token, std=0.02, generator=generator)
            for i, block in enumerate(self.blocks, start=1):
                block.attn.proj.weight.div_(math.sqrt(2 * i))
                block.mlp.fc2.weight.div_(math.sqrt(2 * i))

    def tokens(self, x: Tensor, electrodes: Tensor) -> Tensor:
        """Tokens before the first block, (B, N, D).

        Parameters
        ----------
        x : Tensor (B, C, P * 200)
            EEG at 200 Hz in microvolt / 100.
        electrodes : Tensor of int (C,)
            Rows of :func:`neuroana.learn.electrode_rows`.
        """
        patches = cut_patches(x, electrodes)  # (B, C, P, 200)
        place = self.pos_embed[0, electrodes][:, None]  # (C, 1, D)
        when = self.time_embed[0, : patches.shape[2]]  # (P, D)
        x = self.patch_embed(patches.flatten(1, 2)) + (place + when).flatten(0, 1)
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        return torch.cat([first, x], dim=1)

    def encode(self, x: Tensor, electrodes: Tensor) -> Tensor:
        """Mean of the last patch tokens, normalised: r_st, (B, D)."""
        return self.fc_norm(self.last_tokens(x, electrodes).mean(dim=1))

    def last_tokens(self, x: Tensor, electrodes: Tensor) -> Tensor:
        """Patch tokens behind the last block, (B, N - 1, D)."""
        x = self.embed_drop(self.tokens(x, electrodes))
        for block in self.blocks:
            x = block(x)
        return x[:, 1:]

    def forward(self, x: Tensor, electrodes: Tensor) -> Tensor:
        return self.encode(x, electrodes)


def cut_patches(x: Tensor, electrodes: Tensor) -> Tensor:
    """Cut windows (B, C, P * 200) into one-second patches (B, C, P, 200)."""
    n_samples = x.shape[-1]
    if x.ndim != 3 or n_samples % PATCH or not PATCH <= n_samples <= PATCH * 16:
        raise ShapeError(
            message(
                "EEG window",
                "shape (batch, channel, sample) of 1 to 16 whole seconds at 200 Hz",
                f"shape {tuple(x.shape)}",
                "resample to 200 Hz and cut windows of whole seconds",
            )
        )
    if electrodes.shape != (x.shape[1],):
        raise ShapeError(
            message(
                "electrodes", f"one row for each of {x.shape[1]} channels",
                f"shape {tuple(electrodes.shape)}",
            )
        )  # fmt: skip
    return x.unflatten(-1, (-1, PATCH))


def initialise(module: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw initial weights: linear maps N(0, 0.02) truncated, convolutions uniform."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=0.02, generator=generator)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Conv2d):
            bound = part.weight[0].numel() ** -0.5
            nn.init.uniform_(part.weight, -bound, bound, generator=generator)
            if part.bias is not None:
                nn.init.uniform_(part.bias, -bound, bound, generator=generator)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, generator=generator)
