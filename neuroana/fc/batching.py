"""Which recordings go through an operator together: alike in shape, and as fit."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError
from neuroana.fc.contract import Operator
from neuroana.fc.gathering import Group, constant_regions


ENOUGH = 2**26  # bytes of a batch: larger ones are slower, as caches no longer help
UNITS = {"KB": 2**10, "MB": 2**20, "GB": 2**30}


@dataclass(frozen=True)
class Batch:
    """Recordings of one length and rate, with the same regions that change.

    Attributes
    ----------
    members : list of int
    alive : ndarray of bool (roi,)
    rate : float or None
    """

    members: list[int]
    alive: np.ndarray
    rate: float | None


def bytes_of(limit: Any) -> int:
    """Bytes of ``'2GB'`` or of a number.

    Examples
    --------
    >>> bytes_of("1.5KB")
    1536
    """
    if isinstance(limit, str):
        number, unit = limit[:-2], limit[-2:].upper()
        try:
            return int(float(number) * UNITS[unit])
        except (KeyError, ValueError) as error:
            raise ParameterError(
                message("argument 'memory_limit'", "a size like '2GB'", repr(limit))
            ) from error
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit <= 0:
        raise ParameterError(
            message("argument 'memory_limit'", "a size like '2GB'", repr(limit))
        )
    return int(limit)


def workspace(ops: list[tuple[Operator, dict]], n_time: int, n_roi: int):
    """Bytes of a batch: a fixed number, and more for each recording.

    Intermediates that operators share count once; of the kernels, which run one after
    the other, the largest counts. Operators that take one recording at a time need
    their space once, however many recordings there are.
    """
    samples = 8 * n_time * n_roi
    shared: dict[tuple[str, str], float] = {}
    each, once = 0.0, 0.0
    for made, params in ops:
        own, found = made.bytes_for(n_time, n_roi, params)
        if made.batched:
            shared |= found
            each = max(each, own)
        else:
            once = max(once, own + sum(found.values()))
    zscored = len({made.zscored for made, _ in ops})
    return once, (1 + zscored) * samples + sum(shared.values()) + each


def batches(
    group: Group,
    ops: list[tuple[Operator, dict]],
    *,
    memory_limit: Any = "2GB",
    n_jobs: int = 1,
) -> list[Batch]:
    """Recordings by length, rate and living regions, in pieces that fit.

    Parameters
    ----------
    group : Group
    ops : list of (Operator, options)
    memory_limit : str or int
        Shared by all jobs. A single recording is taken even where it does not fit; more
        than is :data:`ENOUGH` is not used.
    n_jobs : int
        Pieces are no larger than that all jobs have work.
    """
    alike: dict[tuple, list[int]] = {}
    alive = [~constant_regions(x) for x in group.values]
    for k, x in enumerate(group.values):
        key = (len(x), group.rates[k], alive[k].tobytes())
        alike.setdefault(key, []).append(k)
    room = min(bytes_of(memory_limit), ENOUGH) / n_jobs
    found = []
    for (n_time, rate, _), members in alike.items():
        once, each = workspace(ops, n_time, int(alive[members[0]].sum()))
        most = max(1, int((room - once) // each))
        most = min(most, -(-len(members) // n_jobs))
        found += [
            Batch(members[a : a + most], alive[members[0]], rate)
            for a in range(0, len(members), most)
        ]
    return found
