"""What a selector chooses from: units with features, labels and training dynamics."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import ParameterError
from neuroana.fc.linear import pearson
from neuroana.fc.samples import Samples
from neuroana.fc.similarity import edge_rows


UNITS = ("subject", "window")


@dataclass(eq=False)
class SelectionData:
    """Units (people or windows) to choose from.

    Attributes
    ----------
    samples : Samples
    unit : {'subject', 'window'}
    seed : int
    epochs : int
        Of the classifier that label-driven selectors look at.
    label : str
        Column that it learns; ``'person'`` by default.
    cheap_scores : callable, optional
        Scores (draw, operator) of the cheap operators for weights (draw, person).
    device : str
    """

    samples: Samples
    unit: str = "subject"
    seed: int = 0
    epochs: int = 200
    label: str = "person"
    cheap_scores: Callable[[np.ndarray], np.ndarray] | None = None
    device: str = "auto"

    def __post_init__(self):
        check_choice("unit", self.unit, UNITS)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def names(self) -> np.ndarray:
        """Names of the units."""
        column = "person" if self.unit == "subject" else "sample"
        return np.unique(self.samples.table[column].to_numpy().astype(str))

    @cached_property
    def unit_of(self) -> np.ndarray:
        """Number of the unit of every sample."""
        column = "person" if self.unit == "subject" else "sample"
        return np.searchsorted(
            self.names, self.samples.table[column].to_numpy().astype(str)
        )

    def mean(self, values) -> np.ndarray:
        """Mean over the samples of each unit; values (sample, ...)."""
        values = np.asarray(values, dtype=float)
        total = np.zeros((len(self), *values.shape[1:]))
        np.add.at(total, self.unit_of, values)
        count = np.bincount(self.unit_of, minlength=len(self))
        return total / count.reshape(-1, *[1] * (values.ndim - 1))

    def column(self, name: str) -> np.ndarray:
        """A column of the table by unit; the first sample's value counts."""
        values = self.samples.column(name)
        first = [np.flatnonzero(self.unit_of == u)[0] for u in range(len(self))]
        return values[first]

    @cached_property
    def features(self) -> np.ndarray:
        """Correlations of regions (unit, edge), 0 where one never changes."""
        with np.errstate(invalid="ignore", divide="ignore"):
            rows = [edge_rows(pearson(x))
                    for x in map(_lively, self.samples.values)]  # fmt: skip
        return self.mean(np.stack(rows))

    @cached_property
    def windows(self) -> np.ndarray:
        """Samples as one array (sample, roi, time).

        Raises
        ------
        ParameterError
            If they have different lengths.
        """
        lengths = {len(x) for x in self.samples.values}
        if len(lengths) > 1:
            raise ParameterError(
                message("windows", "one length, for an encoder",
                        f"{min(lengths)} to {max(lengths)} samples",
                        "pass window_volumes")
            )  # fmt: skip
        x = np.stack([_lively(v).T for v in self.samples.values])
        return (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)

    @cached_property
    def people(self) -> np.ndarray:
        """Number of the person and condition of every sample.

        Windows of one person in two tasks or sessions are no pair to learn from.
        """
        table = self.samples.table
        columns = [c for c in ("person", "session", "task") if c in table]
        return table.groupby(columns, dropna=False, sort=True).ngroup().to_numpy()

    @cached_property
    def dynamics(self):
        """What a classifier of the label said of every sample, epoch by epoch."""
        from neuroana.fc.training_dynamics import record_dynamics

        labels = self.samples.column(self.label).astype(str)
        numbers = np.unique(labels, return_inverse=True)[1]
        return record_dynamics(self.windows, numbers, self.epochs, seed=self.seed,
                               device=self.device)  # fmt: skip


def _lively(x: np.ndarray) -> np.ndarray:
    """Samples whose regions all change: one that does not gets tiny white noise."""
    x = np.where(np.isfinite(x), x, 0.0)
    still = np.ptp(x, axis=0) <= 1e-12 * np.maximum(np.abs(x).max(axis=0), 1e-300)
    if still.any():
        x = x.copy()
        rng = np.random.default_rng(0)
        x[:, still] = 1e-6 * rng.standard_normal((len(x), still.sum()))
    return x
