"""What a task scores: one operator's matrices, and the people that they are of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from neuroana.core.checks import check_names, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch
from neuroana.fc.similarity import edge_rows, similarity


@dataclass(eq=False)
class Measured:
    """One operator on all samples.

    Attributes
    ----------
    w : ndarray (sample, source, target)
        Large is strong.
    directed : bool
    refit : callable, optional
        w again, learned from the samples of a mask only; for operators that learn.
    """

    w: np.ndarray
    directed: bool = False
    refit: Callable[[np.ndarray], np.ndarray] | None = None
    _kept: dict[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def edges(self) -> np.ndarray:
        """(sample, edge), float64."""
        return edge_rows(np.asarray(self.w, dtype=float), directed=self.directed)

    def similarity(self, kind: str = "spearman") -> np.ndarray:
        """(sample, sample), made once."""
        if kind not in self._kept:
            self._kept[kind] = similarity(self.edges, kind)
        return self._kept[kind]


@dataclass(eq=False)
class Design:
    """The samples' people, their columns, bootstrap weights and permutations.

    Attributes
    ----------
    table : DataFrame
        One row a sample, with the column person.
    n_boot, n_null : int
    seed : int
    site : str or None
        Column of the site: people are drawn and labels permuted within sites.
    coordinates : ndarray (roi, 3), optional
    """

    table: pd.DataFrame
    n_boot: int = 1000
    n_null: int = 200
    seed: int = 0
    site: str | None = None
    coordinates: np.ndarray | None = None
    networks: np.ndarray | None = None

    @cached_property
    def names(self) -> np.ndarray:
        """People in the order of their numbers."""
        return np.unique(self.table["person"].to_numpy().astype(str))

    @cached_property
    def people(self) -> np.ndarray:
        """Number of the person of every sample."""
        return np.searchsorted(self.names, self.table["person"].to_numpy().astype(str))

    @cached_property
    def sites(self) -> np.ndarray | None:
        """Site of every person."""
        return None if self.site is None else self.of_people(self.site)

    @cached_property
    def strata(self) -> np.ndarray:
        """Site of every person, one for all where none is known."""
        return np.zeros(len(self.names)) if self.sites is None else self.sites

    @cached_property
    def weights(self) -> np.ndarray:
        """(1 + n_boot, person): ones, then how often a person is in each draw."""
        n = len(self.names)
        rng = branch(self.seed, 0)
        drawn = np.ones((1 + self.n_boot, n))
        for d in range(1, 1 + self.n_boot):
            drawn[d] = 0
            for name in np.unique(self.strata):
                at = np.flatnonzero(self.strata == name)
                drawn[d, at] = np.bincount(rng.integers(len(at), size=len(at)),
                                           minlength=len(at))  # fmt: skip
        return drawn

    def of_people(self, column: str) -> np.ndarray:
        """A column that is the same in all samples of a person, by person."""
        check_names("table column", [column], map(str, self.table.columns))
        values = self.table[column].to_numpy()
        out = []
        for p, name in enumerate(self.names):
            own = pd.unique(pd.Series(values[self.people == p]))
            if len(own) > 1:
                raise ParameterError(
                    message(f"column {column!r}", f"one value for person {name}",
                            list(own)[:3])
                )  # fmt: skip
            out.append(own[0])
        return np.array(out)

    def permuted(self, strata: np.ndarray, number: int) -> np.ndarray:
        """Permutation within strata; the same for every operator."""
        rng = branch(self.seed, 1, number)
        order = np.arange(len(strata))
        for name in np.unique(strata):
            at = np.flatnonzero(strata == name)
            order[at] = rng.permutation(at)
        return order


@dataclass(eq=False)
class Outcome:
    """Score of one operator in one task.

    Attributes
    ----------
    draws : ndarray (1 + n_boot,)
        The score, then its bootstrap draws over people.
    null : ndarray (n_null,)
        With identities or labels permuted; empty where there is no such null.
    """

    draws: np.ndarray
    null: np.ndarray = field(default_factory=lambda: np.empty(0))
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """With all people."""
        return float(self.draws[0])
