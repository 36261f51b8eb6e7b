"""Checks that speak with one voice: where, what was expected, what came, the way out.

Each function returns the checked value, so that a check is one line at the place
where the value is used.
"""

import difflib
import importlib
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from neuroana.core.errors import MissingDependencyError, ParameterError


def message(where: str, expected: str, got: object, fix: str = "") -> str:
    """Compose the message that every error of the package has.

    Examples
    --------
    >>> message("rest.edf: 'signal'", "unit V", "uV", "multiply by 1e-6")
    "rest.edf: 'signal': expected unit V, got uV. To mend it: multiply by 1e-6."
    """
    text = f"{where}: expected {expected}, got {got}."
    return f"{text} To mend it: {fix.rstrip('.')}." if fix else text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Name the known word nearest to a misspelt one, or nothing.

    Examples
    --------
    >>> did_you_mean("bandpas", ["bandpass", "resample"])
    "did you mean 'bandpass'?"
    """
    near = difflib.get_close_matches(str(word), map(str, known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""


def check_choice(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """Return `value` if it is one of `allowed`.

    Raises
    ------
    ParameterError
        With the allowed values and the nearest of them.

    Examples
    --------
    >>> check_choice("method", "welch", ["welch", "multitaper"])
    'welch'
    """
    allowed = list(allowed)
    if any(type(value) is type(a) and value == a for a in allowed):
        return value
    choices = ", ".join(repr(a) for a in allowed)
    hint = did_you_mean(value, [a for a in allowed if isinstance(a, str)])
    raise ParameterError(
        message(f"argument {name!r}", f"one of {choices}", repr(value))
        + (f" {hint[0].upper()}{hint[1:]}" if hint else "")
    )


def check_number(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    integer: bool = False,
    open_ends: bool = False,
) -> Any:
    """Return `value` if it is a finite number within the bounds.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        What the caller gave; booleans are not numbers here.
    minimum, maximum : float
        Bounds, part of the range unless `open_ends`.
    integer : bool, default=False
        Ask for a whole number.
    open_ends : bool, default=False
        Exclude the bounds themselves.

    Raises
    ------
    ParameterError
        If it is not.

    Examples
    --------
    >>> check_number("n_states", 3, minimum=1, integer=True)
    3
    """
    kind = "a whole number" if integer else "a number"
    left, right = ("(", ")") if open_ends else ("[", "]")
    left = "(" if minimum == -math.inf else left
    right = ")" if maximum == math.inf else right
    expected = kind
    if minimum > -math.inf or maximum < math.inf:
        expected += f" in {left}{minimum:g}, {maximum:g}{right}"
    right_type = isinstance(value, Integral if integer else Real)
    if not right_type or isinstance(value, bool) or not math.isfinite(value):
        raise ParameterError(message(f"argument {name!r}", expected, repr(value)))
    inside = minimum < value < maximum if open_ends else minimum <= value <= maximum
    if not inside:
        raise ParameterError(message(f"argument {name!r}", expected, repr(value)))
    return value


def check_names(what: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return `names` if all of them are known.

    Raises
    ------
    ParameterError
        Names the unknown ones, with the nearest known name of each.

    Examples
    --------
    >>> check_names("channel", ["Cz"], ["Cz", "Pz"])
    ['Cz']
    """
    names, known = list(names), list(known)
    unknown = [n for n in names if n not in known]
    if unknown:
        found = {n: did_you_mean(n, known) for n in unknown}
        hints = "".join(f" {n!r}: {hint}" for n, hint in found.items() if hint)
        shown = ", ".join(map(str, known[:12])) + (" ..." if len(known) > 12 else "")
        raise ParameterError(
            message(f"{what} names", f"names among {shown}", f"unknown {unknown}")
            + hints
        )
    return names


def require(package: str, extra: str) -> Any:
    """Import an optional package, or say which extra brings it.

    Raises
    ------
    MissingDependencyError
        If it is not installed.

    Examples
    --------
    >>> require("json", "fast").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingDependencyError(
            message(
                f"package {package!r}",
                "it to be installed",
                "an import error",
                f"pip install 'neuroana[{extra}]'",
            )
        ) from error
