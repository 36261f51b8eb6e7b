"""The benchmark with slow operators: run on a core-set, estimated for all people."""

import logging
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import FitWarning, ParameterError
from neuroana.core.estimator import Estimator
from neuroana.fc import leaderboard
from neuroana.fc.cells import is_fast, matrices_of, rows_of, seconds_of
from neuroana.fc.core_estimates import (
    CoreScores,
    classes_of,
    has_surrogate,
    reliable_edges,
)
from neuroana.fc.core_set import CoreSet
from neuroana.fc.operator_benchmark import OperatorBenchmark
from neuroana.fc.pair_scores import pair_score, pair_sums
from neuroana.fc.rank_agreement import average_ranks
from neuroana.fc.registry import Op, find
from neuroana.fc.samples import Samples, cut_samples
from neuroana.fc.similarity import edge_rows, similarity
from neuroana.fc.surrogate import Surrogate, rank_features
from neuroana.fc.task_data import Measured
from neuroana.fc.tasks import Task, as_tasks


LEAST_RHO = 0.5  # median predictability between people below which nothing is predicted
FEWEST = 3  # people in a core-set

logger = logging.getLogger(__name__)


class CoreSetBenchmark(Estimator):
    """Rank cheap operators on all people and expensive ones from a core-set.

    Use it when some operators are too slow for everybody. The cheap ones run on all;
    each expensive matrix is predicted from them by ridge, and what the prediction gets
    wrong on the core-set corrects the score. Unbiased whatever the prediction is worth;
    with everybody in the core-set it is the full score. Cost: the cheap operators on
    all, the expensive ones on the core-set, and about 0.1 s an expensive operator.

    Parameters
    ----------
    benchmark : OperatorBenchmark
        Operators, tasks, windows and limits.
    fraction : float
        Share of the people in the core-set.
    cheap : sequence of str, optional
        Names of the cheap operators; by default those that take less than
        `cheap_seconds` a sample by their declared cost, and the cheapest of every
        other family.
    cheap_seconds : float
    estimator : {'surrogate', 'raw'}
        ``'raw'`` scores expensive operators on the core-set alone.
    selector : str
        As in :class:`CoreSet`; strata are the site, where it is known.

    Attributes
    ----------
    scores_, ranks_ : DataArray (task, operator)
    score_interval_, rank_interval_ : DataArray (task, operator, bound)
        95 %, people in and out of the core-set drawn again.
    origin_ : DataArray (task, operator)
        all, surrogate or core-set.
    rho_ : DataArray (task, operator, pair)
        Correlation of true and predicted similarity, within and between people, a
        person of the core-set left out at a time.
    selected_ : list of str
    cost_ : DataArray (stage,)
        CPU seconds: cheap, selection, expensive, estimate; and full, what the expensive
        operators would have taken on all.

    Examples
    --------
    >>> import neuroana as na
    >>> recordings, _ = na.fc.simulate_people(12, n_roi=5, n_samples=80, random_state=0)
    >>> bench = na.fc.OperatorBenchmark(["pearson", "partial", "kendall"],
    ...                                 window="halves", n_boot=20, random_state=0)
    >>> found = na.fc.CoreSetBenchmark(bench, 0.4, cheap=["pearson", "partial"])
    >>> found.fit(recordings).origin_.sel(operator="kendall").item()
    'surrogate'
    """

    def __init__(
        self,
        benchmark=None,
        fraction=0.1,
        *,
        cheap=None,
        cheap_seconds=0.05,
        estimator="surrogate",
        selector="random",
    ):
        self.benchmark = benchmark
        self.fraction = fraction
        self.cheap = cheap
        self.cheap_seconds = cheap_seconds
        self.estimator = estimator
        self.selector = selector

    def fit(self, X, y=None):
        """Run cheap operators, choose people, run expensive ones, estimate.

        Parameters
        ----------
        X, y : as :meth:`OperatorBenchmark.fit`
        """
        check_choice("estimator", self.estimator, ["surrogate", "raw"])
        check_number("fraction", self.fraction, minimum=0.0, maximum=1.0)
        given = self.benchmark or OperatorBenchmark("all")
        bench: OperatorBenchmark = clone(given)
        samples = cut_samples(
            X, bench.window, step=bench.step, window_volumes=bench.window_volumes,
            step_volumes=bench.step_volumes, groups=bench.groups,
            allow_overlap=bench.allow_overlap, y=y,
        )  # fmt: skip
        ops = bench._ops(samples)
        cheap = cheap_operators(ops, samples, self.cheap, self.cheap_seconds)
        dear = [op for op in ops if op not in cheap]
        if bench.store is not None:
            return self._run(bench, samples, cheap, dear, Path(bench.store))
        with tempfile.TemporaryDirectory(prefix="neuroana_fc_") as folder:
            return self._run(bench, samples, cheap, dear, Path(folder))

    def _run(self, bench, samples, cheap, dear, folder):
        settings = bench._settings()
        tasks = as_tasks(bench.tasks)
        costs = {}
        bench.set_params(operators=cheap, store=folder, n_null=1).fit(samples)
        costs["cheap"] = _seconds(bench)
        self.seed_ = bench.seed_
        use = np.all(bench.status_ == "ok", axis=0).to_numpy()
        samples = samples.keep(use)
        bench.fit(samples)
        clock = time.process_time()
        cells = bench._compute(samples, cheap, settings, folder)
        loaded = {op.label: _measured(cells[op.label], len(samples)) for op in cheap}
        design = bench._design(samples, np.ones(len(samples), dtype=bool))
        core = self._choose(bench, samples, design, loaded, tasks[0])
        costs["selection"] = time.process_time() - clock
        inside = core[design.people]
        chosen = samples.keep(inside)
        found = bench._compute(chosen, dear, settings, folder)
        rows = rows_of([c for own in found.values() for c in own])
        costs["expensive"] = float(rows["cpu_s"].sum())
        clock = time.process_time()
        self._score(tasks, design, core, cheap, dear, loaded,
                    _known(found, dear, chosen), inside)  # fmt: skip
        costs["estimate"] = time.process_time() - clock
        costs["full"] = costs["expensive"] * len(samples) / max(1, len(chosen))
        self.cost_ = xr.DataArray(list(costs.values()), dims="stage", name="cost",
                                  coords={"stage": list(costs)})  # fmt: skip
        self.selected_ = design.names[core].tolist()
        self.failures_ = rows.loc[rows["status"] != "ok", ["operator", "sample",
                                  "status", "message"]].to_dict("list")  # fmt: skip
        return self

    def _choose(self, bench, samples, design, loaded, task) -> np.ndarray:
        if round(self.fraction * len(design.names)) < FEWEST:
            raise ParameterError(
                message("fraction", f"at least {FEWEST} people in the core-set",
                        f"{self.fraction:g} of {len(design.names)}")
            )  # fmt: skip
        cheap_scores = None
        if self.selector == "matched":
            cheap_scores = scorer_of(task, design, list(loaded.values()))
        core = CoreSet(
            self.selector, self.fraction, stratify=bench.site, random_state=self.seed_
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            core.fit(samples, cheap_scores=cheap_scores)
        return np.isin(design.names, core.selected_)

    def _score(self, tasks, design, core, cheap, dear, loaded, known, inside):
        design.strata = np.where(core, "in", "out")  # both are drawn again, apart
        names = [op.label for op in [*cheap, *dear]]
        shape = (len(tasks), len(design.weights), len(names))
        draws, origin = np.full(shape, np.nan), np.full(shape[::2], "all", dtype="<U9")
        rho = np.full((len(tasks), len(names), 2), np.nan)
        finite = np.all([np.isfinite(_all_edges(m.w)).all(0) for m in loaded.values()],
                        axis=0)  # fmt: skip
        model = Surrogate(np.stack([rank_features(_all_edges(m.w)[:, finite])
                                    for m in loaded.values()]))  # fmt: skip
        for t, task in enumerate(tasks):
            for k, op in enumerate(cheap):
                outcome = task.evaluate(loaded[op.label], design)
                draws[t, :, k] = outcome.draws
            for k, op in enumerate(dear, start=len(cheap)):
                w, directed, there = known[op.label]
                people = core & ~np.isin(np.arange(len(core)),
                                         design.people[inside][~there])  # fmt: skip
                if people.sum() < FEWEST:
                    continue
                made = _core_scores(task, design, model, w, directed, inside, finite)
                origin[t, k] = "core-set"
                if self.estimator == "surrogate" and has_surrogate(task):
                    rho[t, k] = made.predictability(people)[0]
                    draws[t, :, k] = made.surrogate(people, design.weights)[:, 0]
                    origin[t, k] = "surrogate"
                elif has_surrogate(task):
                    draws[t, :, k] = made.raw(design.weights * people)[:, 0]
                else:
                    draws[t, :, k] = _alone(task, design, w, directed, inside)
            if _is_foreign(rho[t]):
                _say_foreign(task, rho[t])
                every = {o: (m.w[inside], m.directed, np.ones(inside.sum(), bool))
                         for o, m in loaded.items()} | known  # fmt: skip
                for k, name in enumerate(names):
                    w, directed, there = every[name]
                    if there.all():
                        made = _core_scores(task, design, model, w, directed, inside,
                                            finite)  # fmt: skip
                        draws[t, :, k] = made.raw(design.weights * core)[:, 0]
                        origin[t, k] = "core-set"
        self._label(tasks, names, [*cheap, *dear], draws, origin, rho)

    def _label(self, tasks, names, ops, draws, origin, rho):
        families = [find(op.name).family for op in ops]
        coords = {"task": [t.label for t in tasks], "operator": names,
                  "family": ("operator", families)}  # fmt: skip
        dims = ("task", "operator")
        scores = draws[:, 0]
        bounds = {**coords, "bound": ["low", "high"]}
        self.scores_ = xr.DataArray(scores, dims=dims, coords=coords, name="score")
        self.ranks_ = xr.DataArray(average_ranks(scores), dims=dims, coords=coords,
                                   name="rank")  # fmt: skip
        self.origin_ = xr.DataArray(origin, dims=dims, coords=coords, name="origin")
        self.score_interval_ = xr.DataArray(
            np.stack([leaderboard.quantiles(d[1:], [0.025, 0.975]).T for d in draws]),
            dims=(*dims, "bound"), coords=bounds, name="score_interval")  # fmt: skip
        self.rank_interval_ = xr.DataArray(
            np.stack([leaderboard.rank_intervals(d) for d in draws]),
            dims=(*dims, "bound"), coords=bounds, name="rank_interval")  # fmt: skip
        pairs = {**coords, "pair": ["within", "between"]}
        self.rho_ = xr.DataArray(rho, dims=(*dims, "pair"), coords=pairs, name="rho")

    def to_frame(self) -> pd.DataFrame:
        """One tidy row a task and operator."""
        check_is_fitted(self)
        ds = xr.Dataset({"score": self.scores_, "rank": self.ranks_,
                         "origin": self.origin_})  # fmt: skip
        for name, array in (("score", self.score_interval_),
                            ("rank", self.rank_interval_)):  # fmt: skip
            for bound in ("low", "high"):
                ds[f"{name}_{bound}"] = array.sel(bound=bound, drop=True)
        for pair in ("within", "between"):
            ds[f"rho_{pair}"] = self.rho_.sel(pair=pair, drop=True)
        table = ds.to_dataframe().reset_index()
        return table.sort_values(["task", "rank"], ignore_index=True)


def _is_foreign(rho) -> bool:
    """Whether the cheap operators do not predict the expensive ones."""
    known = rho[np.isfinite(rho[:, 1]), 1]
    return bool(len(known) and np.median(known) < LEAST_RHO)


def _say_foreign(task, rho) -> None:
    warnings.warn(
        f"{task.label}: the cheap operators do not predict the expensive ones (median "
        f"correlation between people {np.nanmedian(rho[:, 1]):.2f}): all operators are "
        "compared on the core-set alone.",
        FitWarning,
        stacklevel=4,
    )


def cheap_operators(ops, samples: Samples, names=None, seconds=0.05) -> list[Op]:
    """Operators that run on everybody: the fast ones, and one of every family."""
    if names is not None:
        return [op for op in ops if op.label in names or op.name in names]
    cheap = [op for op in ops if is_fast(op, samples, seconds)]
    n_time, n_roi = max(map(len, samples.values)), samples.values[0].shape[1]
    families = {find(op.name).family for op in cheap}
    for op in sorted(ops, key=lambda o: seconds_of(o, n_time, n_roi)):
        if find(op.name).family not in families:
            families.add(find(op.name).family)
            cheap.append(op)
    return [op for op in ops if op in cheap]


def scorer_of(task: Task, design, measured):
    """Scores (draw, operator) for weights of people; for matched core-sets."""
    classes = classes_of(task, design)
    sums = [pair_sums(m.similarity(), design.people) for m in measured]

    def scores(weights):
        return np.stack([pair_score(s, classes, weights) for s in sums], axis=1)

    return scores


def _seconds(bench) -> float:
    return float(
        (bench.timing_.sel(cost="cpu_s") * bench.status_.sizes["sample"]).sum()
    )


def _measured(cells, n_samples) -> Measured:
    return Measured(*matrices_of(cells, n_samples))


def _known(found, dear, chosen: Samples):
    """W on the core-set, direction, and the samples that did not fail."""
    known = {}
    for op in dear:
        try:
            w, directed = matrices_of(found[op.label], len(chosen))
        except ParameterError:
            n = chosen.values[0].shape[1]
            w, directed = np.full((len(chosen), n, n), np.nan), False
        known[op.label] = w, directed, np.isfinite(w).any(axis=(1, 2))
    return known


def _all_edges(w) -> np.ndarray:
    """Off-diagonal entries; those of undirected matrices twice, which ranks alike."""
    return edge_rows(np.asarray(w, dtype=float), directed=True)


def _core_scores(task, design, model, w, directed, inside, finite) -> CoreScores:
    """One expensive operator, its similarity and ranks on the core-set."""
    edges = _all_edges(w)
    n, at = len(inside), np.flatnonzero(inside)
    s = np.full((n, n), np.nan)
    s[np.ix_(at, at)] = similarity(edges)
    rows = np.zeros((n, finite.sum()), dtype=np.float32)
    rows[at] = rank_features(np.nan_to_num(edges[:, finite]))
    cross = model.cross(rows[None, at], at)
    reliable = reliable_edges(w.shape[-1], finite, directed=directed, seed=design.seed)
    return CoreScores(task, design, model, cross, s[None], rows[None], reliable)


def _alone(task, design, w, directed, inside):
    """Score on the core-set alone, for tasks without a surrogate."""
    from neuroana.fc.task_data import Design

    table = design.table[inside].reset_index(drop=True)
    own = Design(table, design.n_boot, 1, design.seed, design.site,
                 design.coordinates, design.networks)  # fmt: skip
    try:
        task.check(own)
    except ParameterError:
        return np.full(1 + design.n_boot, np.nan)
    return task.evaluate(Measured(w, directed), own).draws
