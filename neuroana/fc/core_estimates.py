"""Scores of operators among all people, from their matrices on a core-set.

Two estimates: ``raw``, the score on the core-set itself, and ``surrogate``. The tasks
that have a surrogate are moments of pairs or of edges: fingerprint (dprime, diff, icc)
and group (margin).
"""

from dataclasses import dataclass, field

import numpy as np

from neuroana.fc.identity_tasks import reliability_edges
from neuroana.fc.pair_scores import (
    identity_classes,
    label_classes,
    pair_score,
    pair_sums,
    separation,
)
from neuroana.fc.reliability import median_icc, two_measurements
from neuroana.fc.surrogate import (
    Surrogate,
    icc_estimate,
    pair_estimate,
    predictability,
    predicted_similarity,
)
from neuroana.fc.task_data import Design
from neuroana.fc.tasks import Task


def has_surrogate(task: Task) -> bool:
    """Whether a task's score is a moment of pairs or edges.

    Examples
    --------
    >>> has_surrogate(Task("fingerprint")), has_surrogate(Task("trait"))
    (True, False)
    """
    score = task.params.get("score")
    if task.params.get("similarity", "spearman") != "spearman":
        return False
    if task.name == "fingerprint":
        return score in (None, "dprime", "diff", "icc")
    return task.name == "group" and score == "margin"


def classes_of(task: Task, design: Design) -> np.ndarray:
    """Classes of pairs (person, person) that a task compares."""
    if task.name == "fingerprint":
        return identity_classes(len(design.names))
    labels = design.of_people(task.params.get("label", "label"))
    aware = task.params.get("site_aware", True)
    return label_classes(np.arange(len(labels)), labels,
                         design.sites if aware else None)  # fmt: skip


def reliable_edges(n_roi, finite, *, directed, seed):
    """Edges of which the full score's reliability is taken, among the finite ones.

    Parameters
    ----------
    n_roi : int
    finite : ndarray of bool (edge,)
        Of all off-diagonal entries.

    Examples
    --------
    >>> reliable_edges(3, np.ones(6, dtype=bool), directed=False, seed=0).tolist()
    [0, 1, 3]
    """
    rows, columns = np.nonzero(~np.eye(n_roi, dtype=bool))
    at = np.flatnonzero((directed | (rows < columns))[finite])
    return at[reliability_edges(len(at), seed)]


@dataclass(eq=False)
class CoreScores:
    """Expensive operators on a core-set, cheap ones on all.

    Attributes
    ----------
    task : Task
    design : Design
        Of all samples.
    model : Surrogate
    cross : ndarray (sample, 2 cheap, expensive)
    s : ndarray (expensive, sample, sample)
        True similarity; only the entries of the core-set are looked at.
    rows : ndarray (expensive, sample, edge)
        Standardised ranks; for ICC, only those of the core-set.
    reliable : ndarray of int (edge,), optional
        Edges of which the reliability is taken.
    """

    task: Task
    design: Design
    model: Surrogate
    cross: np.ndarray
    s: np.ndarray
    rows: np.ndarray | None = None
    reliable: np.ndarray | None = None
    _sums: list = field(default_factory=list, repr=False)

    @property
    def is_icc(self) -> bool:
        """Whether the score is a reliability of edges."""
        return self.task.params.get("score") == "icc"

    def raw(self, weights) -> np.ndarray:
        """Scores (draw, expensive) on the people of each draw alone."""
        design = self.design
        if self.is_icc:
            made = [self._measured(rows) for rows in self.rows]
            return np.stack([median_icc(a, b, weights[:, who]) for a, b, who in made],
                            axis=1)  # fmt: skip
        classes = classes_of(self.task, design)
        if not self._sums:
            self._sums = [pair_sums(s, design.people) for s in self.s]
        score = "diff" if self.task.params.get("score") == "diff" else "dprime"
        return np.stack([pair_score(sums, classes, weights, score)
                         for sums in self._sums], axis=1)  # fmt: skip

    def surrogate(self, core, weights=None) -> np.ndarray:
        """Estimates (draw, expensive) for all people from those in the mask `core`."""
        design = self.design
        weights = np.ones((1, len(core))) if weights is None else weights
        use = core[design.people]
        said = self.model.predict(self.model.coefficients(self.cross, use))
        if self.is_icc:
            return self._icc(said, core, weights)
        classes = classes_of(self.task, design)
        out = np.empty((len(weights), len(said)))
        for o, rows in enumerate(said):
            s_hat = predicted_similarity(rows)
            means, variances = pair_estimate(
                self.s[o], s_hat, design.people, classes, core, weights
            )
            gap = means[:, 0] - means[:, 1]
            diff = self.task.params.get("score") == "diff"
            out[:, o] = gap if diff else separation(means, variances)
        return out

    def _measured(self, rows):
        rows = rows if self.reliable is None else rows[:, self.reliable]
        return two_measurements(rows.astype(float), self.design.people,
                                len(self.design.names))  # fmt: skip

    def _icc(self, said, core, weights):
        out = np.empty((len(weights), len(said)))
        for o, rows in enumerate(said):
            a_hat, b_hat, who = self._measured(rows)
            a, b, _ = self._measured(self.rows[o])
            inside = core[who]
            out[:, o] = icc_estimate(a[inside], b[inside], a_hat, b_hat, inside,
                                     weights[:, who])  # fmt: skip
        return out

    def predictability(self, core) -> np.ndarray:
        """rho (expensive, 2) within and between people, each person left out once."""
        people = self.design.people
        use = core[people]
        said = self.model.predict_left_out(self.cross, people, use)
        at = np.flatnonzero(use)
        return np.array([
            predictability(self.s[o][np.ix_(at, at)], predicted_similarity(rows),
                           people[at])
            for o, rows in enumerate(said)
        ])  # fmt: skip
