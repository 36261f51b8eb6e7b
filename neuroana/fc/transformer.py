"""Connectivity of recordings as a transformer: prepare, run operators, label."""

import warnings

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.device import choose
from neuroana.core.errors import DataWarning, NeuroanaError, ParameterError
from neuroana.core.estimator import Estimator
from neuroana.fc import preparation
from neuroana.fc.batching import Batch, batches, bytes_of
from neuroana.fc.contract import Operator
from neuroana.fc.gathering import ConstantRoiError, Group, constant_regions, gather
from neuroana.fc.labelling import assembled, edges, variable
from neuroana.fc.preparation import Windows, standardised
from neuroana.fc.registry import Op, as_ops, find
from neuroana.fc.running import Run, intensity_of, runs_on_tensors, statuses


class Connectivity(Estimator):
    """Connectivity matrices of recordings, by one or several operators.

    Use it where matrices are features: ``vectorize=True`` gives one row a recording,
    and what an operator learns from the group (the reference of ``'tangent'``) is
    learned in :meth:`fit`, so in a pipeline from the training recordings alone. Costs
    what the operators cost; see :func:`list_operators`.

    Parameters
    ----------
    operators : str, Op or sequence of these
        Names, or :class:`Op` with options.
    standardize : {'auto', 'zscore', None}
        ``'auto'`` standardises regions for operators that are meant so, all but the
        covariances; ``'zscore'`` for all; None for none.
    band : (float, float), optional
        Keep these frequencies in Hz: Butterworth, order 4, both ways.
    detrend : {None, 'linear'}
        Take off a line from every region, before the filter.
    window, step : float, optional
        Seconds; windows of the recordings become the samples, next to each other
        unless `step` says otherwise.
    window_volumes, step_volumes : int, optional
        The same in samples.
    sampling_rate : float, optional
        Hz, of arrays that do not know their own.
    constant : {'mark', 'error'}
        A region that never changes gets a row and a column of NaN, or an error.
    nan : {'error', 'omit', 'pairwise'}
        Missing samples: an error; left out for all regions, where the order of the
        samples does not matter; left out pair by pair, where the operator can.
    duplicates : {'error', 'allow'}
        Two recordings with the same samples are an error.
    per_site : bool, default=False
        Let recordings of different rates go through operators to which the order of
        samples matters, each on its own clock.
    similarity : bool, default=False
        Turn distances so that large is strong.
    vectorize : bool, default=False
        Return (recording, edge) features: the upper triangle of undirected matrices,
        with their diagonal where it carries information, all of directed ones.
    time_limit : float, optional
        Seconds that an operator may take for one recording; it then runs in a process
        of its own and is killed at the limit.
    memory_limit : str or int, default='2GB'
        Recordings are taken in batches that fit, by what operators declare to need;
        with `time_limit`, a process that takes more is stopped.
    on_error : {'raise', 'record'}
        An operator that fails raises, or leaves NaN and its status for the recordings
        of that batch while the others go on.
    n_jobs : int, default=1
        Batches that run at the same time, as threads.
    device : {'auto', 'cpu', 'cuda'}
        Where costly operators run that gain from a GPU (see ``neuroana.fc.tensors``);
        ``'auto'`` takes one where there is one.
    dtype : {'float64', 'float32'}
        Of the matrices; they are computed in double precision.

    Attributes
    ----------
    operators_ : list of str
    regions_ : DataArray (roi,)
    reference_ : DataArray (operator, source, target)
        Where an operator learns one.
    shrinkage_ : DataArray (operator, recording)
        Of the recordings of fit, where an operator shrinks; matrices carry theirs as
        the coordinate ``shrinkage``.
    status_ : DataArray (operator, recording)
        ok, error, timeout or oom, of the last call.
    messages_ : DataArray (operator, recording)
        What went wrong.

    Examples
    --------
    >>> import neuroana as na
    >>> x = np.random.default_rng(0).normal(size=(5, 100, 4))
    >>> na.fc.Connectivity(["pearson", "partial"]).fit_transform(x)["partial"].shape
    (5, 4, 4)
    >>> na.fc.Connectivity("tangent", vectorize=True).fit_transform(x).shape
    (5, 10)
    >>> na.fc.Connectivity("pearson", window_volumes=50).fit_transform(x).dims
    ('sample', 'source', 'target')
    """

    def __init__(
        self,
        operators="pearson",
        standardize="auto",
        *,
        band=None,
        detrend=None,
        window=None,
        step=None,
        window_volumes=None,
        step_volumes=None,
        sampling_rate=None,
        constant="mark",
        nan="error",
        duplicates="error",
        per_site=False,
        similarity=False,
        vectorize=False,
        time_limit=None,
        memory_limit="2GB",
        on_error="raise",
        n_jobs=1,
        device="auto",
        dtype="float64",
    ):
        self.operators = operators
        self.standardize = standardize
        self.band = band
        self.detrend = detrend
        self.window = window
        self.step = step
        self.window_volumes = window_volumes
        self.step_volumes = step_volumes
        self.sampling_rate = sampling_rate
        self.constant = constant
        self.nan = nan
        self.duplicates = duplicates
        self.per_site = per_site
        self.similarity = similarity
        self.vectorize = vectorize
        self.time_limit = time_limit
        self.memory_limit = memory_limit
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.device = device
        self.dtype = dtype

    def fit(self, X, y=None):
        """Learn what the operators need of the group.

        Parameters
        ----------
        X : recording, collection, ndarray (recording, time, roi) or list
            Recordings may have unequal lengths.
        y : ignored

        Raises
        ------
        ParameterError, ShapeError, ConstantRoiError
            If the recordings cannot be used; the message says why.
        """
        group, refused = self._prepared(gather(X))
        self._fit(group, refused)
        shrinking = [o for o in self._ops() if intensity_of(o[1], o[0].params)]
        if shrinking:
            self._keep_shrinkage(self._transform(group, shrinking, refused))
        return self

    def transform(self, X):
        """Matrices of recordings.

        Parameters
        ----------
        X : recording, collection, ndarray (recording, time, roi) or list

        Returns
        -------
        DataArray ([recording,] ..., source, target), or a Dataset of them
            A Dataset where `operators` is a list. Of windows, the dim ``sample`` with
            the coordinates recording and start. With `vectorize` an ndarray
            (recording, edge), the operators side by side.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        group = gather(X).on(self.regions_.to_numpy())
        group, refused = self._prepared(group)
        return self._result(self._transform(group, self._ops(), refused))

    def fit_transform(self, X, y=None):
        """Learn and transform, reading the recordings once."""
        group, refused = self._prepared(gather(X))
        self._fit(group, refused)
        made = self._transform(group, self._ops(), refused)
        self._keep_shrinkage(made)
        return self._result(made)

    def _check(self):
        check_choice("standardize", self.standardize, ["auto", "zscore", None])
        check_choice("constant", self.constant, ["mark", "error"])
        check_choice("nan", self.nan, ["error", "omit", "pairwise"])
        check_choice("detrend", self.detrend, [None, "linear"])
        check_choice("duplicates", self.duplicates, ["error", "allow"])
        check_choice("on_error", self.on_error, ["raise", "record"])
        check_choice("dtype", self.dtype, ["float64", "float32"])
        check_number("n_jobs", self.n_jobs, minimum=1, integer=True)
        preparation.check_band(self.band)
        if self.time_limit is not None:
            check_number("time_limit", self.time_limit, minimum=0.0, open_ends=True)
        bytes_of(self.memory_limit)
        return self._windows().check()

    def _windows(self) -> Windows:
        return Windows(self.window, self.step, self.window_volumes, self.step_volumes)

    def _prepared(self, group: Group) -> tuple[Group, dict[str, Exception]]:
        """Recordings, or their windows, and why an operator cannot take them."""
        windows = self._check()
        if self.duplicates == "error":
            preparation.check_copies(group)
        group = preparation.with_rate(group, self.sampling_rate)
        group = preparation.cleaned(group, self.detrend, self.band)
        group = preparation.usable(preparation.cut(group, windows), self.constant)
        refused = {}
        for op, made in self._ops():
            try:
                preparation.check_missing(group, made, self.nan)
                preparation.check_rates(group, made, self.per_site)
            except NeuroanaError as error:
                if self.on_error == "raise":
                    raise
                refused[op.label] = error
        if self.nan == "omit":
            group = preparation.without_missing(group)
        return group, refused

    def _fit(self, group: Group, refused: dict[str, Exception]):
        self.operators_ = [op.label for op, _ in self._ops()]
        self.regions_ = xr.DataArray(group.names, dims="roi", name="regions")
        learned = {}
        for op, made in self._ops():
            if made.learn is None or op.label in refused:
                continue
            try:
                learned[op.label] = self._learn(made, group.values, op)
            except NeuroanaError as error:
                if self.on_error == "raise":
                    raise
                refused[op.label] = error
        if learned:
            self.reference_ = xr.DataArray(
                np.stack(list(learned.values())),
                dims=("operator", "source", "target"),
                coords={"operator": list(learned), "source": group.names,
                        "target": group.names},
                name="reference",
            )  # fmt: skip

    def _learn(self, made: Operator, values, op: Op):
        dead = np.any([constant_regions(x) for x in values], axis=0)
        if dead.any():
            raise ConstantRoiError(
                message(
                    f"operator {op.name!r}",
                    "regions that change in every recording, to learn a reference",
                    f"{int(dead.sum())} that do not",
                    "leave out these regions or these recordings",
                )
            )
        zscored = self._asks_zscores(made)
        parts = [standardised(x) if zscored else x for x in values]
        return made.learn(parts, **op.params)

    def _asks_zscores(self, made: Operator) -> bool:
        return {"auto": made.zscored, "zscore": True, None: False}[self.standardize]

    def _ops(self) -> list[tuple[Op, Operator]]:
        return [(op, find(op.name)) for op in as_ops(self.operators)]

    def _transform(self, group: Group, ops, refused) -> dict[str, xr.DataArray]:
        """One labelled array an operator, batch by batch."""
        from joblib import Parallel, delayed

        plan = batches(group, [(made, op.params) for op, made in ops],
                       memory_limit=self.memory_limit, n_jobs=self.n_jobs)  # fmt: skip
        warn_of_dead_regions(plan, group)
        run = self._run(ops, refused)
        parts = Parallel(self.n_jobs, prefer="threads")(
            delayed(run.batch)(group, batch) for batch in plan
        )
        self.status_, self.messages_ = statuses(
            [op.label for op, _ in ops], plan, parts, group
        )
        return {
            op.label: assembled(
                op, made, plan, [part[op.label] for part in parts], group,
                similarity=self.similarity, dtype=self.dtype,
            )
            for op, made in ops
        }  # fmt: skip

    def _run(self, ops, refused) -> Run:
        learned = getattr(self, "reference_", None)
        known = [] if learned is None else learned["operator"].values.tolist()
        references = {}
        for op, made in ops:
            if made.learn is None or op.label in refused:
                continue
            if op.label in known:
                references[op.label] = learned.sel(operator=op.label).to_numpy()
            else:
                refused[op.label] = ParameterError(
                    message(
                        f"operator {op.name!r}", "a reference", "none: it failed in fit"
                    )
                )
        return Run(
            ops,
            {op.label: self._asks_zscores(made) for op, made in ops},
            refused,
            references,
            self.nan == "pairwise",
            self.time_limit,
            bytes_of(self.memory_limit),
            self.on_error == "record",
            self._device(ops),
        )

    def _device(self, ops) -> str:
        """Ask for a GPU only where an operator would use it."""
        if any(runs_on_tensors(made, op.params) for op, made in ops):
            return choose(self.device)
        return "cpu"

    def _keep_shrinkage(self, made: dict[str, xr.DataArray]) -> None:
        amounts = {
            k: w["shrinkage"] for k, w in made.items() if "shrinkage" in w.coords
        }
        if amounts:
            self.shrinkage_ = xr.concat(
                [a.reset_coords(drop=True) for a in amounts.values()], "operator"
            ).assign_coords(operator=list(amounts))

    def _result(self, made: dict[str, xr.DataArray]):
        ops = as_ops(self.operators)
        if self.vectorize:
            return np.concatenate(
                [edges(w, find(op.name)) for op, w in zip(ops, made.values())], axis=1
            )
        if isinstance(self.operators, str | Op):
            return made[ops[0].label].rename("connectivity")
        return xr.Dataset(
            {variable(k): w.drop_vars("shrinkage", errors="ignore")
             for k, w in made.items()}
        )  # fmt: skip


def warn_of_dead_regions(plan: list[Batch], group: Group) -> None:
    """Say in which recordings regions never change."""
    names = [group.labels[k] for b in plan if not b.alive.all() for k in b.members]
    if names:
        warnings.warn(
            f"Regions that never change in {len(names)} recordings "
            f"({', '.join(names[:5])}) get NaN rows and columns.",
            DataWarning,
            stacklevel=4,
        )
