"""The library of operators: who they are, and how one is added."""

import difflib
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from neuroana.core.checks import check_choice, check_names, message
from neuroana.core.errors import ParameterError
from neuroana.fc.contract import Operator, few_copies
from neuroana.fc.costs import operations
from neuroana.fc.sharing import INTERMEDIATES


FAMILIES = (
    "correlation", "precision", "shrinkage", "lagged", "information", "spectral",
    "phase", "envelope", "kernel", "distance", "model-based", "dynamic", "noise",
)  # fmt: skip
SHIPPED: tuple[str, ...] = (
    "intermediates", "linear", "rank_correlation", "shrinkage", "inverses",
    "sparse_inverse", "geometry", "lagged", "dynamic", "information",
    "autoregression", "spectrum", "phase", "envelope", "transfer", "kernels",
    "distance", "regression", "events", "warping",
    "neighbours", "geweke", "multivariate", "wavelets", "volatility", "crossmap",
    "unit_roots",
)  # fmt: skip
ENTRY_POINTS = "neuroana.fc_operators"
OPERATORS: dict[str, Operator] = {}
_loaded: list[str] = []


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
    workspace=few_copies,
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
    directed, signed, distance, ordered, zscored, pairwise, cost, source, batched
        As the attributes of the same name of what is returned.
    learn, workspace
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
    >>> del na.fc.registry.OPERATORS["covariance_of_signs"]  # and out again
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
            pairwise, cost, source, batched, tuple(needs), learn, workspace,
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
    """All operators: ours, those of installed packages, those defined since."""
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
