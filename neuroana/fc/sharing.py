"""Intermediates: what several operators compute on, made once a batch.

Ranks, z-scores, cross-spectra are functions that other functions name as parameters.
Each says how many numbers it holds for one recording (its *workspace*), so that a batch
can be cut to fit into memory before anything is computed.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, overload

import numpy as np


Workspace = Callable[..., float]  # (T, N, options by name) -> numbers of 8 bytes
INTERMEDIATES: dict[str, Callable] = {}
WORKSPACES: dict[str, Workspace] = {}


def one_copy(T: int, N: int) -> int:
    """As many numbers as the samples and a matrix."""
    return T * N + N**2


@overload
def intermediate(function: Callable) -> Callable: ...
@overload
def intermediate(*, workspace: Workspace) -> Callable[[Callable], Callable]: ...
def intermediate(function=None, *, workspace=one_copy):
    """Register what several operators compute on, under the function's name.

    The function takes a batch x (recording, time, roi), or other intermediates by
    name, and parameters by keyword.

    Parameters
    ----------
    function : callable
    workspace : callable, optional
        ``workspace(T, N, ...)``: numbers that it holds for one recording of T samples
        of N regions, given the options that it names; the samples and one matrix where
        nothing is said.

    Examples
    --------
    >>> @intermediate
    ... def doubled(x):
    ...     return 2 * x
    >>> Shared(np.ones((1, 2, 2))).get("doubled", {}).max()
    np.float64(2.0)
    """
    if function is None:
        return lambda f: intermediate(f, workspace=workspace)
    INTERMEDIATES[function.__name__] = function
    WORKSPACES[function.__name__] = workspace
    return function


class Shared:
    """Intermediates of one batch, each made once for one set of parameters."""

    def __init__(self, x: np.ndarray):
        self.x = x
        self._made: dict[tuple[str, str], Any] = {}

    def get(self, name: str, params: dict[str, Any]) -> Any:
        """The intermediate `name`; parameters that it does not know are ignored."""
        key = key_of(name, params)
        if key not in self._made:
            self._made[key] = self.call(INTERMEDIATES[name], params)
        return self._made[key]

    def call(self, function: Callable, params: dict[str, Any]) -> Any:
        """Call a function with what its signature names."""
        base = first_of(function)
        first = self.get(base, params) if base in INTERMEDIATES else self.x
        return function(first, **self.keywords(function, params))

    def keywords(self, function: Callable, params: dict[str, Any]) -> dict[str, Any]:
        """What a function takes by keyword: intermediates, and parameters given."""
        return {
            k: self.get(k, params) if k in INTERMEDIATES else params[k]
            for k in keywords_of(function)
            if k in INTERMEDIATES or k in params
        }


@cache
def parameters(function: Callable) -> Mapping[str, inspect.Parameter]:
    """The signature, read once."""
    return inspect.signature(function).parameters


def first_of(function: Callable) -> str:
    """Name of the first parameter."""
    return next(iter(parameters(function)))


def keywords_of(function: Callable) -> dict[str, inspect.Parameter]:
    """The other parameters."""
    found = parameters(function).values()
    return {p.name: p for p in list(found)[1:]}


def names_of(function: Callable) -> list[str]:
    """Intermediates that a function names."""
    return [n for n in parameters(function) if n in INTERMEDIATES]


def key_of(name: str, params: dict[str, Any]) -> tuple[str, str]:
    """An intermediate and those of the parameters that it depends on."""
    known = parameters_of(name)
    own = {k: v for k, v in params.items() if k in known}
    return name, repr(sorted(own.items()))


def parameters_of(function: str | Callable) -> dict[str, inspect.Parameter]:
    """Parameters of a function and of all intermediates that it names."""
    function = INTERMEDIATES[function] if isinstance(function, str) else function
    found: dict[str, inspect.Parameter] = {}
    names = {first_of(function): None, **keywords_of(function)}
    for name, parameter in names.items():
        if name in INTERMEDIATES:
            found |= parameters_of(name)
        elif parameter is not None:
            found[name] = parameter
    return found


def numbers_of(workspace: Workspace, T: int, N: int, options: dict[str, Any]) -> float:
    """Numbers that a workspace says, given the options that it names."""
    known = {"N": N, **options}
    named = {k: known[k] for k in keywords_of(workspace) if k in known}
    return float(workspace(T, **named))


def intermediates_of(
    function: Callable, T: int, N: int, options: dict[str, Any]
) -> dict[tuple[str, str], float]:
    """Numbers that each intermediate of a function holds for one recording."""
    found: dict[tuple[str, str], float] = {}
    for name in names_of(function):
        found |= intermediates_of(INTERMEDIATES[name], T, N, options)
        found[key_of(name, options)] = numbers_of(WORKSPACES[name], T, N, options)
    return found
