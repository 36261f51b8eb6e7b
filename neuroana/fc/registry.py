"""The library of operators: what each declares, and the one contract that all keep.

An operator is a function of a batch x (recording, time, roi) that returns W
(recording, source, target), W[b, i, j] from i to j. What several operators compute on
(ranks, z-scores, cross-spectra) is an *intermediate*, made once a batch and handed to
every operator that names it in `needs`.
"""

import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from neuroana.core.checks import check_choice, check_names, message
from neuroana.core.errors import ParameterError, SchemaError, ShapeError
from neuroana.fc.costs import operations


FAMILIES = (
    "correlation", "precision", "shrinkage", "lagged", "information", "spectral",
    "phase", "envelope", "kernel", "distance", "model-based", "dynamic", "noise",
)  # fmt: skip
SHIPPED: tuple[str, ...] = (
    "intermediates", "linear", "rank_correlation", "shrinkage", "inverses",
    "sparse_inverse", "geometry", "lagged", "dynamic", "information",
    "autoregression", "spectrum", "phase", "envelope", "transfer", "kernels",
    "distance", "regression", "events", "warping",
    "neighbours",
)  # fmt: skip
ENTRY_POINTS = "neuroana.fc_operators"
ASYMMETRY = 1e-8  # of the largest entry
INTERMEDIATES: dict[str, Callable] = {}
OPERATORS: dict[str, "Operator"] = {}
_loaded: list[str] = []


def intermediate(function: Callable) -> Callable:
    """Register what several operators compute on, under the function's name.

    The function takes a batch x (recording, time, roi), or other intermediates by
    name, and parameters by keyword.

    Examples
    --------
    >>> @intermediate
    ... def doubled(x):
    ...     return 2 * x
    >>> Shared(np.ones((1, 2, 2))).get("doubled", {}).max()
    np.float64(2.0)
    """
    INTERMEDIATES[function.__name__] = function
    return function


def _keywords(function: Callable) -> dict[str, inspect.Parameter]:
    found = inspect.signature(function).parameters.values()
    return {p.name: p for p in list(found)[1:]}


def _first(function: Callable) -> str:
    return next(iter(inspect.signature(function).parameters))


class Shared:
    """Intermediates of one batch, each made once for one set of parameters."""

    def __init__(self, x: np.ndarray):
        self.x = x
        self._made: dict[tuple, Any] = {}

    def get(self, name: str, params: dict[str, Any]) -> Any:
        """The intermediate `name`; parameters that it does not know are ignored."""
        own = {k: v for k, v in params.items() if k in parameters_of(name)}
        key = (name, repr(sorted(own.items())))
        if key not in self._made:
            self._made[key] = self.call(INTERMEDIATES[name], params)
        return self._made[key]

    def call(self, function: Callable, params: dict[str, Any]) -> Any:
        """Call a function with what its signature names."""
        base = _first(function)
        first = self.get(base, params) if base in INTERMEDIATES else self.x
        keywords = {
            k: self.get(k, params) if k in INTERMEDIATES else params[k]
            for k in _keywords(function)
            if k in INTERMEDIATES or k in params
        }
        return function(first, **keywords)


def parameters_of(function: str | Callable) -> dict[str, inspect.Parameter]:
    """Parameters of a function and of all intermediates that it names."""
    function = INTERMEDIATES[function] if isinstance(function, str) else function
    found: dict[str, inspect.Parameter] = {}
    names = {_first(function): None, **_keywords(function)}
    for name, parameter in names.items():
        if name in INTERMEDIATES:
            found |= parameters_of(name)
        elif parameter is not None:
            found[name] = parameter
    return found


@dataclass(frozen=True, eq=False)
class Operator:
    """One way to say how strongly regions are coupled; call it on arrays.

    Attributes
    ----------
    name, family : str
    function : callable
        The kernel as it was written.
    directed : bool
        W[i, j] is from i to j, and differs from W[j, i].
    signed : bool
        Negative values mean something.
    distance : bool
        Small means near.
    ordered : bool
        The order of the samples matters.
    zscored : bool
        Regions are standardised first, unless the caller says otherwise.
    pairwise : callable or None
        The same for samples with NaN, left out pair by pair.
    cost : str
        Operations for one recording, in T (time), N (roi), P (pairs), F (frequencies).
    source : str
        The paper that defines it.
    batched : bool
        The kernel takes many recordings at once.
    learn : callable or None
        What it learns from the training recordings, as ``reference``.
    """

    name: str
    function: Callable = field(repr=False)
    family: str
    directed: bool = False
    signed: bool = False
    distance: bool = False
    ordered: bool = False
    zscored: bool = True
    pairwise: Callable | None = field(default=None, repr=False)
    cost: str = "T*N^2"
    source: str = ""
    batched: bool = True
    needs: tuple[str, ...] = ("time",)
    learn: Callable | None = field(default=None, repr=False)

    @property
    def parameters(self) -> dict[str, Any]:
        """Names and defaults of the options, those of its intermediates among them."""
        inner = ("fs", "reference")
        found = parameters_of(self.function)
        return {k: p.default for k, p in found.items() if k not in inner}

    @property
    def needs_rate(self) -> bool:
        """Whether it asks for the sampling rate."""
        return "fs" in parameters_of(self.function)

    def check_parameters(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return `params` if the operator knows all of them."""
        check_names(f"option of {self.name!r}", params, [*self.parameters])
        return params

    def __call__(self, x: Any, *, fs: float | None = None, reference=None, **params):
        """Apply to arrays.

        Parameters
        ----------
        x : ndarray (time, roi) or (recording, time, roi), or list of (time, roi)
            Finite samples; a list may hold unequal lengths.
        fs : float, optional
            Sampling rate in Hz.
        reference : ndarray, optional
            What :attr:`learn` returned; learned from `x` itself when left out.
        **params
            Options of the operator.

        Returns
        -------
        ndarray ([recording,] ..., source, target), or list of them
        """
        self.check_parameters(params)
        several = isinstance(x, list | tuple)
        parts = [as_batch(part) for part in (x if several else [x])]
        if self.learn is not None and reference is None:
            reference = self.learn([w for p in parts for w in p], **params)
        made = [self.run(Shared(p), fs=fs, reference=reference, **params)[0]
                for p in parts]  # fmt: skip
        flat = [m[0] if several or np.ndim(x) == 2 else m for m in made]
        return flat if several else flat[0]

    def run(self, shared: Shared, *, fs=None, reference=None, **params):
        """W of one batch and the coordinates of its further dims, checked."""
        if self.needs_rate:
            if fs is None:
                raise ParameterError(
                    message(
                        f"operator {self.name!r}",
                        "a sampling rate",
                        "none",
                        "pass recordings with a rate, or fs= in Hz",
                    )
                )
            params = {**params, "fs": float(fs)}
        if self.learn is not None:
            params = {**params, "reference": reference}
        if self.batched:
            made = shared.call(self.function, params)
        else:
            each = [Shared(x[None]) for x in shared.x]
            made = [self.function(s.x[0], **_own(self.function, s, params))
                    for s in each]  # fmt: skip
        w, coords = _split(made, self.batched)
        return self.check(w, shared.x.shape), coords

    def check(self, w: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Return W if it has the shape, the values and the symmetry declared."""
        where = f"operator {self.name!r}"
        w = np.asarray(w)
        n_recordings, _, n = shape
        if w.ndim < 3 or w.shape[0] != n_recordings or w.shape[-2:] != (n, n):
            raise ShapeError(
                message(where, f"shape ({n_recordings}, ..., {n}, {n})", w.shape)
            )
        if w.dtype.kind != "f":
            raise SchemaError(message(where, "real floating numbers", w.dtype))
        bad = ~np.isfinite(w)
        if bad.any():
            bad &= ~(np.eye(n, dtype=bool) & np.isnan(w))
            if bad.any():
                raise SchemaError(
                    message(
                        where,
                        "finite values off the diagonal",
                        f"{int(bad.sum())} that are not",
                        "look for regions that hardly change, or too few samples",
                    )
                )
        if self.directed:
            return w
        turned = np.swapaxes(w, -1, -2)
        if np.array_equal(w, turned, equal_nan=True):
            return w
        gap, size = np.nanmax(np.abs(w - turned)), np.nanmax(np.abs(w))
        if gap > ASYMMETRY * max(size, 1e-300):
            raise SchemaError(
                message(
                    where,
                    "a symmetric matrix, as it is declared undirected",
                    f"entries that differ by {gap:.3g}",
                    "declare it directed=True, or average both directions",
                )
            )
        return (w + turned) / 2


def _own(function, shared, params):
    return {
        k: shared.get(k, params)[0] if k in INTERMEDIATES else params[k]
        for k in _keywords(function)
        if k in INTERMEDIATES or k in params
    }


def _split(made, batched):
    if not batched:
        pairs = [m if isinstance(m, tuple) else (m, {}) for m in made]
        return np.stack([np.asarray(w) for w, _ in pairs]), pairs[0][1]
    return made if isinstance(made, tuple) else (made, {})


def as_batch(x: Any) -> np.ndarray:
    """Finite float64 samples (recording, time, roi) from (time, roi) or a batch."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiub" or x.ndim not in (2, 3) or 0 in x.shape:
        raise ShapeError(
            message(
                "argument 'x'",
                "real samples (time, roi) or (recording, time, roi)",
                f"shape {x.shape}, dtype {x.dtype}",
            )
        )
    x = np.asarray(x, dtype=np.float64)
    missing = x.size - int(np.isfinite(x).sum())
    if missing:
        raise ParameterError(
            message(
                "argument 'x'",
                "finite samples",
                f"{missing} that are missing or infinite",
                "interpolate them, or use neuroana.fc.connectivity(..., nan=...)",
            )
        )
    return x[None] if x.ndim == 2 else x


def operator(
    name,
    family,
    *,
    directed=False,
    signed=False,
    distance=False,
    ordered=False,
    zscored=True,
    pairwise=None,
    needs=("time",),
    cost="T*N^2",
    source="",
    batched=True,
    learn=None,
):
    """Register a function as a connectivity operator.

    Use it to add a measure of your own: it then works in :func:`connectivity`,
    :class:`Connectivity` and every benchmark. A package ships operators by listing
    its module in the entry-point group ``neuroana.fc_operators``.

    Parameters
    ----------
    name : str
    family : str
        correlation, precision, shrinkage, lagged, information, spectral, phase,
        envelope, kernel, distance, model-based, dynamic or noise.
    directed, signed, distance, ordered, zscored, pairwise, cost, source, batched, learn
        As the attributes of the same name of what is returned.
    needs : tuple of str
        ``"time"``, and the intermediates that it takes by keyword. A function that
        has a parameter ``fs`` is given the sampling rate in Hz.

    Returns
    -------
    callable
        Decorator; the function becomes an operator that checks shape, finiteness and
        symmetry of what it returns, and still is called like a function.

    Raises
    ------
    ParameterError
        If the name is taken by another function.

    Examples
    --------
    >>> import neuroana as na
    >>> @na.fc.operator("covariance_of_signs", "correlation", signed=True)
    ... def covariance_of_signs(x):
    ...     s = np.sign(x - np.median(x, axis=1, keepdims=True))
    ...     return np.swapaxes(s, 1, 2) @ s / x.shape[1]
    >>> covariance_of_signs(np.random.default_rng(0).normal(size=(50, 3))).shape
    (3, 3)
    """
    check_choice("family", family, FAMILIES)
    operations(cost, n_time=10, n_roi=3)

    def register(function: Callable) -> Operator:
        importlib.import_module("neuroana.fc.intermediates")
        unknown = [n for n in needs if n != "time" and n not in INTERMEDIATES]
        if unknown:
            check_names("intermediate", unknown, INTERMEDIATES)
        old = OPERATORS.get(name)
        if old is not None and _place(old.function) != _place(function):
            raise ParameterError(
                message(f"operator {name!r}", "a name that is free",
                        f"one taken by {_place(old.function)}")
            )  # fmt: skip
        made = Operator(
            name, function, family, directed, signed, distance, ordered, zscored,
            pairwise, cost, source, batched, tuple(needs), learn,
        )  # fmt: skip
        object.__setattr__(made, "__doc__", function.__doc__)
        object.__setattr__(made, "__module__", function.__module__)
        object.__setattr__(made, "__wrapped__", function)
        OPERATORS[name] = made
        return made

    return register


def _place(function: Callable) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def load_operators() -> dict[str, Operator]:
    """All operators: ours, those of installed packages, those of this session."""
    if not _loaded:
        from importlib.metadata import entry_points

        for module in SHIPPED:
            importlib.import_module(f"neuroana.fc.{module}")
        for entry in entry_points(group=ENTRY_POINTS):
            entry.load()
        _loaded.append("all")
    return OPERATORS


def find(name: str) -> Operator:
    """The operator of that name, or an error with the three nearest names."""
    import difflib

    known = load_operators()
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.0)
        raise ParameterError(
            message(
                "argument 'operator'",
                f"a registered name; nearest: {', '.join(map(repr, near))}",
                repr(name),
                "neuroana.fc.list_operators() shows all",
            )
        )
    return known[name]


def list_operators(family=None, directed=None, *, signed=None, max_cost=None):
    """Table of the operators that can be computed.

    Parameters
    ----------
    family : str, optional
        Only this family.
    directed, signed : bool, optional
        Only those that are, or are not.
    max_cost : str, optional
        Only those that need no more operations than this for 200 samples of 200
        regions, for example ``"T*N^2"``.

    Returns
    -------
    DataFrame
        Indexed by name; family, directed, signed, distance, cost, options, source.

    Examples
    --------
    >>> import neuroana as na
    >>> "pearson" in na.fc.list_operators("correlation", max_cost="T*N^2").index
    True
    """
    if family is not None:
        check_choice("family", family, FAMILIES)
    limit = np.inf if max_cost is None else operations(max_cost)
    rows = [
        op
        for op in load_operators().values()
        if family in (None, op.family)
        and directed in (None, op.directed)
        and signed in (None, op.signed)
        and operations(op.cost) <= limit
    ]
    columns = ("family", "directed", "signed", "distance", "ordered", "cost", "source")
    table = pd.DataFrame(
        {c: [getattr(op, c) for op in rows] for c in columns},
        index=pd.Index([op.name for op in rows], name="operator"),
    )
    table.insert(6, "options", [", ".join(op.parameters) for op in rows])
    return table


@dataclass(init=False, eq=False, repr=False)
class Op:
    """An operator with its options, as :class:`Connectivity` takes it.

    Parameters
    ----------
    name : str
        Name of the operator.
    params : dict, optional
        Its options; may be given as keywords instead.

    Examples
    --------
    >>> Op("xcorr_max", lag_samples=5)
    Op('xcorr_max', lag_samples=5)
    """

    name: str
    params: dict[str, Any]

    def __init__(self, name, params=None, **options):
        self.name = name
        self.params = {**(params or {}), **options}

    def __repr__(self) -> str:
        options = "".join(f", {k}={v!r}" for k, v in self.params.items())
        return f"Op({self.name!r}{options})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Op) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    @property
    def label(self) -> str:
        """Short name for tables: the operator and the options that were given."""
        options = ",".join(f"{k}={v}" for k, v in sorted(self.params.items()))
        return f"{self.name}({options})" if options else self.name


def as_ops(operators: Any) -> list[Op]:
    """Names, :class:`Op` or (name, options) pairs as checked :class:`Op`."""
    if isinstance(operators, str | Op):
        operators = [operators]
    if not isinstance(operators, Iterable):
        raise ParameterError(
            message("argument 'operators'", "names or Op objects", repr(operators))
        )
    ops = [o if isinstance(o, Op) else Op(o) for o in operators]
    for op in ops:
        find(op.name).check_parameters(op.params)
    return ops
