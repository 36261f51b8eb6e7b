"""NeuroBOLT: what a window of EEG says about every region at once.

    y = W gelu(r_st + r_sp) + b

r_st is the LaBraM encoder's vector, r_sp the multi-scale spectral encoder's; a
region costs one row of W and one number of b. Li et al., "NeuroBOLT: resting-state
EEG-to-fMRI synthesis with multi-dimensional feature mapping", NeurIPS 2024, arXiv
2410.05341. Parameters carry the names of its published checkpoints.

| part                          | parameters (26 channels, depth 12) |
| ----------------------------- | ---------------------------------- |
| LaBraM encoder                | 5 819 936                          |
| spectral encoder              | 2 086 848                          |
| head                          | 201 a region                       |
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.eeg2fmri.heads import LowRankHead, QueryHead, linear_head
from neuroana.eeg2fmri.multiscale_spectral import (
    MultiScaleSpectralEncoder,
    frame_lengths,
)
from neuroana.learn.electrodes import electrode_rows, plain_name, positions_of
from neuroana.learn.labram import MAX_PATCHES, PATCH, LaBraMConfig, LaBraMEncoder


MONTAGE = """
FP1 FP2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T7 T8 P7 P8 FPZ FZ CZ PZ POZ OZ FT9 FT10 TP9 TP10
"""
CHANNELS = tuple(MONTAGE.split())
BRANCHES = {
    "labram": (
        "cls_token", "pos_embed", "time_embed", "patch_embed.", "blocks.",
    ),
    "spectral": ("mss_module.",),
    "head": ("fc_norm.", "head."),
}  # fmt: skip
HEADS = ("linear", "lowrank", "query", "gaussian")
PARTS = (("labram", "spectral"), ("labram",), ("spectral",))
BUFFERS = ("mss_module.index", "mss_module.positional_encoding.pe")


@dataclass(frozen=True)
class NeuroBOLTConfig:
    """Sizes of the network; the defaults are the published ones.

    Use it to name a montage, a number of regions, or a smaller network.

    Parameters
    ----------
    n_regions : int
        R, the outputs.
    channels : tuple of str
        Training montage; a window may later hold any part of it in any order.
    n_samples : int
        T, samples of a window at 200 Hz: whole seconds, at most 16, and a multiple
        of the longest spectral frame.
    encoder : LaBraMConfig
        Spatiotemporal branch; its `dim` is the width of both branches.
    spectral_depth, spectral_heads, n_scales : int
        Spectral branch.
    attention_dropout : float
        Behind the spectral attention's output map.
    branches : tuple of {'labram', 'spectral'}
        Both as published, or one alone.
    head : {'linear', 'lowrank', 'query', 'gaussian'}
        One row a region; components with fixed loadings; one query a region over all
        tokens; or mean and log variance of each region.
    n_components : int
        Of the head 'lowrank'.
    channel_dropout : float
        Share of the channels that a training batch goes without.

    Raises
    ------
    ParameterError, SchemaError
        If a size is impossible or a channel unknown.

    Examples
    --------
    >>> NeuroBOLTConfig(n_regions=64).n_samples / 200
    16.0
    """

    n_regions: int = 1
    channels: tuple[str, ...] = CHANNELS
    n_samples: int = PATCH * MAX_PATCHES
    encoder: LaBraMConfig = field(default_factory=LaBraMConfig)
    spectral_depth: int = 4
    spectral_heads: int = 8
    n_scales: int = 4
    attention_dropout: float = 0.2
    branches: tuple[str, ...] = ("labram", "spectral")
    head: str = "linear"
    n_components: int = 20
    channel_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_choice("head", self.head, HEADS)
        check_choice("branches", tuple(self.branches), PARTS)
        object.__setattr__(self, "branches", tuple(self.branches))
        check_number("channel_dropout", self.channel_dropout, minimum=0.0, maximum=0.9)
        for name in (
            "n_regions", "spectral_depth", "spectral_heads", "n_components",
        ):  # fmt: skip
            check_number(name, getattr(self, name), minimum=1, integer=True)
        check_number(
            "attention_dropout", self.attention_dropout, minimum=0.0, maximum=0.99
        )
        electrode_rows(self.channels)
        object.__setattr__(self, "channels", tuple(map(plain_name, self.channels)))
        frame_lengths(self.n_samples, self.n_scales)
        if self.n_samples % PATCH or self.n_samples > PATCH * MAX_PATCHES:
            raise ParameterError(
                message(
                    "argument 'n_samples'",
                    f"whole seconds at 200 Hz, at most {MAX_PATCHES}",
                    self.n_samples,
                    "a longer response has no row in the time embedding",
                )
            )

    @classmethod
    def small(cls, **changes) -> "NeuroBOLTConfig":
        """A network of a few hundred thousand parameters for processors.

        Examples
        --------
        >>> NeuroBOLTConfig.small(n_regions=4).encoder.dim
        64
        """
        sizes = {
            "encoder": LaBraMConfig(dim=64, depth=4, n_heads=8),
            "spectral_depth": 2,
            "n_scales": 2,
        }
        return cls(**{**sizes, **changes})


UNUSED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("labram", "spectral"): (),
    ("labram",): ("mss_module",),
    ("spectral",): (
        "cls_token", "pos_embed", "time_embed", "patch_embed", "blocks", "fc_norm",
    ),
}  # fmt: skip


class NeuroBOLT(LaBraMEncoder):
    """Predict every region of a volume from the EEG before it.

    Use it through an estimator, or as a plain module in a training loop of your own.
    Cost: 9.8 GFLOP a window of 26 channels and 16 s, three times that in training,
    whatever the number of regions.

    Parameters
    ----------
    config : NeuroBOLTConfig, optional
    generator : torch.Generator, optional
        Source of the initial weights; same seed, same weights.

    Examples
    --------
    >>> config = NeuroBOLTConfig.small(n_regions=3, channels=("FP1", "CZ", "O1", "O2"))
    >>> net = NeuroBOLT(config).eval()
    >>> eeg = torch.zeros(2, 4, 3200)  # (batch, channel, sample), microvolt / 100
    >>> net(eeg).shape
    torch.Size([2, 3])
    >>> net(eeg[:, :1], *net.montage(["Cz"])).shape  # a part of the montage, by name
    torch.Size([2, 3])
    """

    electrodes: Tensor

    def __init__(
        self,
        config: NeuroBOLTConfig | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        config = NeuroBOLTConfig() if config is None else config
        super().__init__(config.encoder, generator=generator)
        self.config = config
        dim = config.encoder.dim
        self.mss_module = MultiScaleSpectralEncoder(
            len(config.channels),
            config.n_samples,
            dim=dim,
            depth=config.spectral_depth,
            n_heads=config.spectral_heads,
            n_scales=config.n_scales,
            dropout=config.encoder.dropout,
            attention_dropout=config.attention_dropout,
            generator=generator,
        )
        self.head = make_head(config, generator)
        for name in UNUSED[config.branches]:
            delattr(self, name)
        rows = torch.from_numpy(electrode_rows(config.channels))
        self.register_buffer("electrodes", rows, persistent=False)

    def montage(self, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Where channels stand in both tables, for windows with other channels.

        Parameters
        ----------
        names : sequence of str (C,)
            Any part of the training montage in any order.

        Returns
        -------
        electrodes, channels : Tensor of int (C,)
            Second and third argument of the network.

        Raises
        ------
        SchemaError
            If a name is not in the training montage, with the nearest that are.
        """
        at = torch.from_numpy(positions_of(names, self.config.channels))
        at = at.to(self.electrodes.device)
        return self.electrodes[at], at

    def fused(
        self,
        x: Tensor,
        electrodes: Tensor | None = None,
        channels: Tensor | None = None,
    ) -> Tensor:
        """Features behind both branches, gelu(r_st + r_sp): (B, D)."""
        electrodes = self.electrodes if electrodes is None else electrodes
        parts = []
        if "spectral" in self.config.branches:  # refuses a wrong shape first
            parts.append(self.mss_module.encode(x, channels))
        if "labram" in self.config.branches:
            parts.append(self.encode(x, electrodes))
        return F.gelu(sum(parts))

    def all_tokens(
        self,
        x: Tensor,
        electrodes: Tensor | None = None,
        channels: Tensor | None = None,
    ) -> Tensor:
        """Last tokens of both branches, (B, tokens, D)."""
        electrodes = self.electrodes if electrodes is None else electrodes
        parts = []
        if "spectral" in self.config.branches:
            parts.append(self.mss_module.last_tokens(x, channels))
        if "labram" in self.config.branches:
            parts.append(self.fc_norm(self.last_tokens(x, electrodes)))
        return torch.cat(parts, dim=1)

    def forward(
        self,
        x: Tensor,
        electrodes: Tensor | None = None,
        channels: Tensor | None = None,
    ) -> Tensor:
        """Predict (B, R) from windows (B, C, T) in microvolt / 100 at 200 Hz."""
        if (electrodes is None) != (channels is None):
            raise ParameterError(
                message(
                    "NeuroBOLT", "both electrodes and channels, or neither", "one",
                    "pass net(x, *net.montage(names))",
                )
            )  # fmt: skip
        if self.training and self.config.channel_dropout:
            x, electrodes, channels = self.drop_channels(x, electrodes, channels)
        read = self.all_tokens if self.config.head == "query" else self.fused
        return self.head(read(x, electrodes, channels))

    def drop_channels(self, x, electrodes, channels):
        """Leave whole channels out of a training batch; at least one stays."""
        n = x.shape[1]
        electrodes = self.electrodes if electrodes is None else electrodes
        channels = torch.arange(n, device=x.device) if channels is None else channels
        draw = torch.rand(n, device=x.device)
        keep = (draw >= self.config.channel_dropout) | (draw == draw.max())
        return x[:, keep], electrodes[keep], channels[keep]


def make_head(
    config: NeuroBOLTConfig, generator: torch.Generator | None = None
) -> nn.Module:
    """Head of a configuration; all start near zero."""
    dim, n = config.encoder.dim, config.n_regions
    if config.head == "lowrank":
        return LowRankHead(dim, n, min(config.n_components, n), generator)
    if config.head == "query":
        return QueryHead(dim, n, generator)
    return linear_head(dim, 2 * n if config.head == "gaussian" else n, generator)
