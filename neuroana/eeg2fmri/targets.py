"""Units of the targets: scaled on the training runs alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import ShapeError


CUTOFF = 0.15  # Hz
PERCENTILE = 95.0


@dataclass(frozen=True)
class TargetScale:
    """Centre and scale of each region, learned from training volumes.

    Use it to bring BOLD into the units that a network is trained in, and back.

    Attributes
    ----------
    centre, scale : ndarray (roi,)
        Mean, and 95th percentile of the distance from it.

    Examples
    --------
    >>> scale = TargetScale.fit([np.arange(5.0)[:, None], np.arange(3.0)[:, None]])
    >>> bool(np.allclose(scale.undo(scale.apply(np.ones((1, 1)))), 1))
    True
    """

    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, runs: Sequence[np.ndarray]) -> "TargetScale":
        """Learn from arrays (volume, roi) of the training part; NaN do not count."""
        values = np.concatenate(list(runs))
        if values.ndim != 2:
            raise ShapeError(message("targets", "dims (volume, roi)", values.shape))
        centre = np.nanmean(values, axis=0)
        scale = np.nanpercentile(np.abs(values - centre), PERCENTILE, axis=0)
        return cls(centre, np.where(scale > 0, scale, 1.0))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """From recorded to training units."""
        return (values - self.centre) / self.scale

    def undo(self, values: np.ndarray) -> np.ndarray:
        """From training to recorded units."""
        return values * self.scale + self.centre


def published_targets(values: np.ndarray, tr: float) -> np.ndarray:
    """Targets (volume, roi) as published: low-passed and scaled over the whole scan.

    For parity only. Filter and scale see test volumes: R hardly changes, the mean
    squared error does.
    """
    from scipy.signal import butter, sosfiltfilt

    sos = butter(5, CUTOFF, fs=1.0 / tr, output="sos")
    x = sosfiltfilt(sos, values, axis=0)
    x = x - x.mean(axis=0)
    return x / np.percentile(np.abs(x), PERCENTILE, axis=0)
