"""The benchmark: which operator is best for what, with intervals and failures."""

import logging
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.utils.validation import check_is_fitted

from neuroana.core.checks import check_choice, check_number
from neuroana.core.estimator import Estimator
from neuroana.core.progress import track
from neuroana.core.random import draw_seed
from neuroana.fc import leaderboard
from neuroana.fc.benchmark_scores import Matrices, ranked, score_operators
from neuroana.fc.cells import (
    Settings,
    is_fast,
    matrices_of,
    rows_of,
    run_cells,
)
from neuroana.fc.label_tasks import confounds_only
from neuroana.fc.registry import Op, as_ops, find, load_operators
from neuroana.fc.samples import Samples, cut_samples
from neuroana.fc.task_data import Design
from neuroana.fc.tasks import as_tasks
from neuroana.fc.transformer import Connectivity, bytes_of


logger = logging.getLogger(__name__)


class OperatorBenchmark(Estimator):
    """Rank connectivity operators by what they are good for, on your recordings.

    Every operator runs in a worker process of its own with a limit of time and memory;
    one that fails gets a status, the others go on. Matrices are kept in a folder, one
    file a cell (operator, chunk of recordings); a run that was stopped goes on where
    it was. Cost: that of the operators, and some seconds a task for the draws.

    Parameters
    ----------
    operators : 'fast', 'all', or sequence of str or Op
        ``'fast'``: those that need less than a second a sample by their declared cost.
        The operator ``'noise'`` is always among the two, as the floor.
    tasks : sequence of str or Task
        See :class:`Task`.
    window, step : float or 'halves', optional
        Cut recordings into windows, in seconds.
    window_volumes, step_volumes : int, optional
        The same in samples.
    allow_overlap : bool, default=False
        Let windows share samples.
    groups : str or sequence, default='subject'
        Column with the person, or one name a recording.
    site : str, optional
        Column with the site: people are drawn and labels permuted within sites, and
        site means are taken out of predictions inside the fold.
    standardize, nan : as in :class:`Connectivity`
    per_site : bool, default=False
        Let recordings of different rates go through operators to which the order of
        samples matters.
    n_boot, n_null : int
        Draws of people, and permutations.
    time_limit : float or None
        Seconds a recording.
    memory_limit : str or int
        Of one worker.
    min_complete : float
        Operators that failed on more than the rest of the samples are not scored.
    store : path, optional
        Folder of the cells; a temporary one by default.
    retry_failed : bool, default=False
        Try failed cells again. A timeout is tried again anyway when the limit rises.
    chunk_seconds : float
        Size of a cell by the cost model.
    n_jobs : int
    random_state : int, Generator or None
    progress : bool, optional

    Attributes
    ----------
    scores_, ranks_, chance_, p_value_, p_family_ : DataArray (task, operator)
        Higher scores are better; ranks from 1, ties averaged. p by permutation;
        ``p_family_`` against the best of all operators.
    score_interval_, rank_interval_ : DataArray (task, operator, bound)
        95 %, bootstrap over people.
    best_probability_ : DataArray (task, operator)
    scores_boot_ : DataArray (task, draw, operator)
    tie_group_ : DataArray (operator,)
        Operators with one number order the pairs of samples alike.
    timing_ : DataArray (operator, cost)
        cpu_s and wall_s a sample, peak_mb.
    status_ : DataArray (operator, sample)
        ok, error, timeout, oom or skipped.
    confounds_ : DataArray (task,)
        Score of the confounds alone.
    similarity_ : DataArray (operator, sample, ``sample_``)
    person_ : DataArray (sample,)

    Raises
    ------
    ParameterError
        If recordings or people do not allow a task.

    Examples
    --------
    >>> import neuroana as na
    >>> recordings, _ = na.fc.simulate_people(6, n_roi=5, n_samples=80, random_state=0)
    >>> bench = na.fc.OperatorBenchmark(
    ...     ["pearson", "partial"], window="halves", n_boot=20, n_null=19,
    ...     random_state=0).fit(recordings)
    >>> bench.scores_.dims, bench.failures().empty
    (('task', 'operator'), True)
    """

    def __init__(
        self,
        operators="fast",
        tasks=("fingerprint",),
        *,
        window=None,
        step=None,
        window_volumes=None,
        step_volumes=None,
        allow_overlap=False,
        groups="subject",
        site=None,
        standardize="auto",
        nan="error",
        per_site=False,
        n_boot=1000,
        n_null=200,
        time_limit=30.0,
        memory_limit="2GB",
        min_complete=0.9,
        store=None,
        retry_failed=False,
        chunk_seconds=60.0,
        n_jobs=1,
        random_state=None,
        progress=None,
    ):
        self.operators = operators
        self.tasks = tasks
        self.window = window
        self.step = step
        self.window_volumes = window_volumes
        self.step_volumes = step_volumes
        self.allow_overlap = allow_overlap
        self.groups = groups
        self.site = site
        self.standardize = standardize
        self.nan = nan
        self.per_site = per_site
        self.n_boot = n_boot
        self.n_null = n_null
        self.time_limit = time_limit
        self.memory_limit = memory_limit
        self.min_complete = min_complete
        self.store = store
        self.retry_failed = retry_failed
        self.chunk_seconds = chunk_seconds
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.progress = progress

    def fit(self, X, y=None):
        """Compute what is not there yet, and score it.

        Parameters
        ----------
        X : recordings, list, ndarray (recording, time, roi)
            Columns of ``X.table`` are known to tasks by their names.
        y : sequence, Series or mapping, optional
            A label or number a recording (or a person), becomes the column ``label``.
        """
        settings = self._settings()
        tasks = as_tasks(self.tasks)
        samples = cut_samples(
            X, self.window, step=self.step, window_volumes=self.window_volumes,
            step_volumes=self.step_volumes, groups=self.groups,
            allow_overlap=self.allow_overlap, y=y,
        )  # fmt: skip
        self.seed_ = draw_seed(self.random_state)
        whole = self._design(samples, np.ones(len(samples), dtype=bool))
        for task in tasks:
            task.check(whole)
        ops = self._ops(samples)
        if self.store is not None:
            return self._run(samples, ops, tasks, settings, Path(self.store))
        with tempfile.TemporaryDirectory(prefix="neuroana_fc_") as folder:
            return self._run(samples, ops, tasks, settings, Path(folder))

    def _settings(self) -> Settings:
        check_number("n_boot", self.n_boot, minimum=1, integer=True)
        check_number("n_null", self.n_null, minimum=1, integer=True)
        check_number("min_complete", self.min_complete, minimum=0.0, maximum=1.0)
        bytes_of(self.memory_limit)
        if self.time_limit is not None:
            check_number("time_limit", self.time_limit, minimum=0.0, open_ends=True)
        return Settings(self.standardize, self.nan, self.per_site, self.time_limit,
                        self.memory_limit)  # fmt: skip

    def _ops(self, samples: Samples) -> list[Op]:
        if isinstance(self.operators, str) and self.operators in ("fast", "all"):
            ops = [Op(name) for name in load_operators()]
            if self.operators == "all":
                return ops
            return [op for op in ops if is_fast(op, samples)]
        return as_ops(self.operators)

    def _design(self, samples: Samples, use) -> Design:
        coords = samples.group.coords
        xyz = [coords[c] for c in ("x", "y", "z") if c in coords]
        table = samples.table[use].reset_index(drop=True)
        return Design(
            table, self.n_boot, self.n_null, self.seed_, self.site,
            np.column_stack(xyz).astype(float) if len(xyz) == 3 else None,
            coords.get("network"),
        )  # fmt: skip

    def _run(self, samples, ops, tasks, settings, folder):
        cells = self._compute(samples, ops, settings, folder)
        rows = rows_of([c for own in cells.values() for c in own])
        self._record(samples, ops, rows)
        found = [self._matrices(op, cells[op.label], samples, settings) for op in ops]
        scored = score_operators(
            found, tasks, lambda use: self._design(samples, use),
            min_complete=self.min_complete,
        )  # fmt: skip
        for name, value in ranked(scored).items():
            setattr(self, name, value)
        whole = self._design(samples, np.ones(len(samples), dtype=bool))
        self.confounds_ = xr.DataArray(
            [confounds_only(t, whole) for t in tasks], dims="task",
            coords={"task": [t.label for t in tasks]}, name="confounds",
        )  # fmt: skip
        self.n_people_ = scored.attrs["n_people"]
        self.n_samples_ = scored.attrs["n_samples"]
        self.n_left_out_ = scored.attrs["n_left_out"]
        self.n_constant_ = int((samples.table["constant"] > 0).sum())
        n_failed = int((self.status_ != "ok").any("sample").sum())
        if n_failed:
            logger.warning("%d of %d operators failed on some samples; see failures().",
                           n_failed, len(ops))  # fmt: skip
        return self

    def _compute(self, samples, ops, settings, folder) -> dict[str, list]:
        """Cells of every operator, computed where they are not there yet."""
        cells: dict[str, list] = {op.label: [] for op in ops}
        done = run_cells(
            samples, ops, folder, settings, chunk_seconds=self.chunk_seconds,
            n_jobs=self.n_jobs, retry_failed=self.retry_failed,
        )  # fmt: skip
        for cell in track(done, "operators", progress=self.progress):
            cells[cell.op.label].append(cell)
        return cells

    def _matrices(self, op: Op, cells, samples: Samples, settings: Settings):
        made = find(op.name)
        ok = (self.status_.sel(operator=op.label) == "ok").to_numpy()
        refit = None
        if made.learn is not None:
            refit = _learner(op, samples, settings)

        def load():
            return matrices_of(cells, len(samples))

        return Matrices(op.label, made.family, load, ok, refit)

    def _record(self, samples: Samples, ops, rows: pd.DataFrame):
        names, order = [op.label for op in ops], samples.table["sample"]
        coords = {"operator": names, "sample": order.to_numpy().astype(str)}

        def grid(column):
            return rows.pivot(index="operator", columns="sample", values=column
                              ).loc[names, order.astype(str)]  # fmt: skip

        self.status_ = xr.DataArray(
            grid("status").to_numpy().astype(str), dims=("operator", "sample"),
            coords=coords, name="status",
        )  # fmt: skip
        self.message_ = xr.DataArray(
            grid("message").to_numpy().astype(str), dims=("operator", "sample"),
            coords=coords, name="message",
        )  # fmt: skip
        costs = [grid("cpu_s").mean(axis=1), grid("wall_s").mean(axis=1),
                 grid("peak_mb").max(axis=1)]  # fmt: skip
        self.timing_ = xr.DataArray(
            np.stack([c.to_numpy(dtype=float) for c in costs], axis=1),
            dims=("operator", "cost"), name="timing",
            coords={"operator": names, "cost": ["cpu_s", "wall_s", "peak_mb"]},
        )  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One tidy row a task and operator: score, rank, intervals, cost, status."""
        check_is_fitted(self)
        return leaderboard_table(self)

    def failures(self) -> pd.DataFrame:
        """Operators that failed: how often, with what status and message."""
        check_is_fitted(self)
        rows = []
        for name in self.status_["operator"].values:
            status = self.status_.sel(operator=name).to_numpy()
            said = self.message_.sel(operator=name).to_numpy()
            for kind in sorted(set(status) - {"ok"}):
                at = status == kind
                rows.append((str(name), str(kind), int(at.sum()), str(said[at][0])))
        columns = ["operator", "status", "n_samples", "message"]
        return pd.DataFrame(rows, columns=columns)

    def differences(self, task=None) -> pd.DataFrame:
        """Every two operators in one task, paired over draws of people, with Holm's p.

        Parameters
        ----------
        task : str, optional
            The first by default.
        """
        check_is_fitted(self)
        tasks = self.scores_["task"].values.tolist()
        task = check_choice("task", tasks[0] if task is None else str(task), tasks)
        scores = self.scores_.sel(task=task).to_numpy()
        boot = self.scores_boot_.sel(task=task).to_numpy()
        names = self.scores_["operator"].values.tolist()
        return leaderboard.paired_differences(np.vstack([scores, boot]), names)


def _learner(op: Op, samples: Samples, settings: Settings):
    """W of all samples, by an operator that learned from some of them."""
    model = Connectivity(op, settings.standardize, nan=settings.nan, similarity=True,
                         duplicates="allow", memory_limit=settings.memory_limit,
                         device="cpu")  # fmt: skip
    values = [xr.DataArray(x, dims=("time", "roi"),
                           coords={"roi": samples.group.names})
              for x in samples.values]  # fmt: skip

    def refit(train):
        chosen = [x for x, use in zip(values, train) if use]
        return model.fit(chosen).transform(values).to_numpy()

    return refit


def leaderboard_table(bench) -> pd.DataFrame:
    """Tidy table of a fitted benchmark, best operators of each task first."""
    parts = []
    n = bench.status_.sizes["sample"]
    good = (bench.status_ == "ok").sum("sample").to_numpy()
    for task in bench.scores_["task"].values:
        at = {"task": task}
        table = pd.DataFrame({
            "task": str(task),
            "operator": bench.scores_["operator"].values,
            "family": bench.scores_["family"].values,
            "score": bench.scores_.sel(at).to_numpy(),
            "score_low": bench.score_interval_.sel({**at, "bound": "low"}).to_numpy(),
            "score_high": bench.score_interval_.sel({**at, "bound": "high"}).to_numpy(),
            "rank": bench.ranks_.sel(at).to_numpy(),
            "rank_low": bench.rank_interval_.sel({**at, "bound": "low"}).to_numpy(),
            "rank_high": bench.rank_interval_.sel({**at, "bound": "high"}).to_numpy(),
            "p_best": bench.best_probability_.sel(at).to_numpy(),
            "chance": bench.chance_.sel(at).to_numpy(),
            "p": bench.p_value_.sel(at).to_numpy(),
            "p_family": bench.p_family_.sel(at).to_numpy(),
            "tie_group": bench.tie_group_.to_numpy(),
            "status": np.where(good == n, "ok", np.where(good == 0, "failed",
                                                         "partial")),
            "n_samples": good,
            **{c: bench.timing_.sel(cost=c).to_numpy()
               for c in bench.timing_["cost"].values},
        })  # fmt: skip
        parts.append(table.sort_values("rank", kind="stable"))
    return pd.concat(parts, ignore_index=True)
