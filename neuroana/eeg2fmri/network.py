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

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
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

    def __post_init__(self) -> None:
        for name in ("n_regions", "spectral_depth", "spectral_heads"):
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
        self.head = nn.Linear(dim, config.n_regions)
        nn.init.trunc_normal_(self.head.weight, std=0.02, generator=generator)
        with torch.no_grad():
            self.head.weight.mul_(0.001)
            self.head.bias.zero_()
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
        r_sp = self.mss_module.encode(x, channels)  # refuses a wrong shape first
        return F.gelu(self.encode(x, electrodes) + r_sp)

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
        return self.head(self.fused(x, electrodes, channels))
