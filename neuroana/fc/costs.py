"""What an operator costs, as a formula in T, N, P, F that can be compared."""

import math
import re

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


FACTOR = re.compile(r"(?:(log)\()?([TNPF]|\d+(?:\.\d+)?)(?(1)\))(?:\^(\d+))?")


def operations(cost: str, *, n_time: int = 200, n_roi: int = 200) -> float:
    """Operations that a formula stands for.

    Parameters
    ----------
    cost : str
        Sum of products of T (samples), N (regions), P (their pairs), F (frequencies,
        T / 2), numbers, powers and ``log``: ``"P*T*log(T)"``.
    n_time, n_roi : int

    Raises
    ------
    ParameterError
        If it is no such formula.

    Examples
    --------
    >>> operations("2*T*N^2 + N^3", n_time=10, n_roi=2)
    88.0
    """
    sizes = {"T": n_time, "N": n_roi, "P": n_roi * (n_roi - 1) / 2, "F": n_time / 2}
    total = 0.0
    for term in cost.replace(" ", "").split("+"):
        product = 1.0
        for factor in term.split("*"):
            found = FACTOR.fullmatch(factor)
            if found is None:
                raise ParameterError(
                    message("argument 'cost'", "a formula like 'T*N^2 + N^3'", cost)
                )
            log, base, power = found.groups()
            value = float(sizes.get(base) or base)
            product *= (math.log2(value) if log else value) ** int(power or 1)
        total += product
    return total
