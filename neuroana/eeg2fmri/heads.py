"""From features to many regions: three heads beside the published linear one."""

import torch
from torch import Tensor, nn


def linear_head(
    dim: int, n_out: int, generator: torch.Generator | None = None
) -> nn.Linear:
    """The published head, near zero at the start: (B, D) -> (B, n_out)."""
    head = nn.Linear(dim, n_out)
    nn.init.trunc_normal_(head.weight, std=0.02, generator=generator)
    with torch.no_grad():
        head.weight.mul_(0.001)
        head.bias.zero_()
    return head


class LowRankHead(nn.Module):
    """A few components with fixed loadings: (B, D) -> (B, R).

    Parameters
    ----------
    dim, n_regions, n_components : int
    generator : torch.Generator, optional

    Examples
    --------
    >>> LowRankHead(8, 5, 2)(torch.zeros(3, 8)).shape
    torch.Size([3, 5])
    """

    loadings: Tensor

    def __init__(
        self, dim: int, n_regions: int, n_components: int,
        generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.map = linear_head(dim, n_components, generator)
        self.register_buffer("loadings", torch.eye(n_components, n_regions))

    def learn_loadings(self, targets: Tensor) -> None:
        """Principal components of training targets (window, R), NaN as their mean."""
        known = torch.nan_to_num(targets - targets.nanmean(dim=0))
        _, _, components = torch.linalg.svd(known, full_matrices=False)
        self.loadings.copy_(components[: len(self.loadings)])

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x) @ self.loadings


class QueryHead(nn.Module):
    """One learned query a region over all tokens: (B, N, D) -> (B, R).

    Parameters
    ----------
    dim, n_regions : int
    generator : torch.Generator, optional

    Examples
    --------
    >>> QueryHead(8, 5)(torch.zeros(3, 7, 8)).shape
    torch.Size([3, 5])
    """

    def __init__(
        self, dim: int, n_regions: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.empty(n_regions, dim))
        nn.init.trunc_normal_(self.queries, std=0.02, generator=generator)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        for part in (self.key, self.value):
            nn.init.trunc_normal_(part.weight, std=0.02, generator=generator)
        self.out = linear_head(dim, n_regions, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        keys, values = self.key(tokens), self.value(tokens)
        attention = (keys @ self.queries.T / keys.shape[-1] ** 0.5).softmax(dim=1)
        seen = nn.functional.gelu(attention.transpose(1, 2) @ values)  # (B, R, D)
        return (seen * self.out.weight).sum(dim=-1) + self.out.bias
