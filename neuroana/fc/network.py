"""The encoder that learns from windows which structure is a person's.

Regions are tokens, the samples of a window are their features.

| symbol | here | shape |
| --- | --- | --- |
| X | x | (batch, roi, time) |
| A = sum_h alpha_h A_h | attention | (batch, roi, roi) |
| alpha = softmax(a) | mixing | (head,) |
| z | embedding | (batch, dim) |
"""

import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of the encoder.

    Attributes
    ----------
    n_time : int
        Samples of a window.
    n_heads, dim : int
    attention : {'softmax', 'linear'}
        ``'linear'`` has no softmax over regions and divides by sqrt(time).
    heads : {'adaptive', 'uniform'}
        Learned mixture of the heads, or their mean.
    dropout : float
    """

    n_time: int
    n_heads: int = 16
    dim: int = 32
    attention: str = "softmax"
    heads: str = "adaptive"
    dropout: float = 0.1


class StructureEncoder(nn.Module):
    """One attention layer over regions; its attention is the structure."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        n, h, d = config.n_time, config.n_heads, config.dim
        self.norm = nn.LayerNorm(n)
        self.query = nn.Linear(n, h * d, bias=False)
        self.key = nn.Linear(n, h * d, bias=False)
        self.value = nn.Linear(n, d, bias=False)
        self.out = nn.Linear(d, d, bias=False)
        self.mixing = nn.Parameter(torch.ones(h))
        self.inner = nn.LayerNorm(d)
        self.mlp = nn.Sequential(
            nn.Linear(d, 4 * d), nn.GELU(), nn.Dropout(config.dropout),
            nn.Linear(4 * d, d), nn.Dropout(config.dropout),
        )  # fmt: skip

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """A (batch, roi, roi) of normalised windows (batch, roi, time)."""
        c = self.config
        b, n, _ = x.shape
        q = self.query(x).view(b, n, c.n_heads, c.dim).transpose(1, 2)
        k = self.key(x).view(b, n, c.n_heads, c.dim).transpose(1, 2)
        mix = torch.softmax(self.mixing, 0)
        if c.heads == "uniform":
            mix = torch.full_like(mix, 1.0 / c.n_heads)
        if c.attention == "linear":
            q = q * (mix / math.sqrt(c.n_time)).view(1, -1, 1, 1)
            left, right = (m.transpose(1, 2).reshape(b, n, -1) for m in (q, k))
            return left @ right.mT
        scores = q @ k.mT / math.sqrt(c.dim)
        return torch.einsum("h,bhij->bij", mix, torch.softmax(scores, dim=-1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding (batch, dim) and attention (batch, roi, roi)."""
        x = self.norm(x)
        a = self.attend(x)
        o = self.out(a @ self.value(x))
        return (o + self.mlp(self.inner(o))).mean(dim=1), a


def info_nce(z, people, *, temperature=0.1, self_negative=False):
    """Contrastive loss of embeddings (batch, dim), two or more windows a person.

    Mean over ordered pairs (i, j) of one person of
    -log(exp(cos(z_i, z_j) / t) / sum_k exp(cos(z_i, z_k) / t)), k over windows of
    other people.

    Parameters
    ----------
    z : Tensor (batch, dim)
    people : Tensor of int (batch,)
    self_negative : bool, default=False
        Count the window itself among its negatives.

    Returns
    -------
    Tensor ()
        0 with a gradient where there is no pair or no negative.
    """
    z = nn.functional.normalize(z, dim=-1)
    s = z @ z.mT / temperature
    same = people[:, None] == people[None, :]
    self_pair = torch.eye(len(z), dtype=torch.bool, device=z.device)
    negative = ~same | self_pair if self_negative else ~same
    below = torch.logsumexp(s.masked_fill(~negative, -torch.inf), dim=1)
    positive = same & ~self_pair & negative.any(dim=1)[:, None]
    if not positive.any():
        return z.sum() * 0.0
    return (below[:, None] - s)[positive].mean()
