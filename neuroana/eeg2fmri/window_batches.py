"""Raw windows in batches, with the rows of their channels."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from neuroana.eeg2fmri.windowed_runs import WindowedRuns


class WindowBatches:
    """Windows cut from the recordings as a batch asks for them."""

    def __init__(
        self, windows: WindowedRuns, Y: np.ndarray | None, electrodes: np.ndarray,
        channels: Sequence[int],
    ) -> None:  # fmt: skip
        self.windows = windows
        Y = np.zeros((len(windows), 0)) if Y is None else Y
        self.Y = torch.from_numpy(np.asarray(Y, dtype=np.float32))
        self.electrodes = torch.as_tensor(np.asarray(electrodes, dtype=np.int64))
        self.channels = torch.as_tensor(np.asarray(channels, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, positions: np.ndarray) -> tuple[tuple[Tensor, ...], Tensor]:
        """EEG (B, C, T) in microvolt / 100, rows in both channel tables; targets."""
        positions = np.asarray(positions)
        x = torch.from_numpy(self.windows.windows(positions))
        y = self.Y[torch.as_tensor(positions)]
        return (x, self.electrodes, self.channels), y


class Fused(nn.Module):
    """A network without its head."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.network.fused(*inputs)
