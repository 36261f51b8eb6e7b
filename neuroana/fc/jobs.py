"""Cells put together into jobs of a cluster, each of a length that is worth a start."""

from collections.abc import Sequence
from typing import Any

from neuroana.fc.cells import chunks_of, seconds_of
from neuroana.fc.registry import Op
from neuroana.fc.samples import Samples


def plan_jobs(ops: Sequence[Op], samples: Samples, seconds: float) -> list[dict]:
    """Jobs of about `seconds` by the cost model.

    An operator that takes longer is cut into chunks of recordings; operators that take
    less share a job.

    Returns
    -------
    list of dict
        cells: [operator, first sample] pairs, and seconds.

    Examples
    --------
    >>> import numpy as np
    >>> from neuroana.fc.samples import cut_samples
    >>> samples = cut_samples(np.random.default_rng(0).normal(size=(4, 50, 3)))
    >>> len(plan_jobs([Op("pearson"), Op("partial")], samples, 600.0))
    1
    """
    jobs: list[dict[str, Any]] = []
    n_roi = samples.values[0].shape[1]
    for op in ops:
        for members in chunks_of(op, samples, seconds):
            cost = sum(seconds_of(op, len(samples.values[k]), n_roi) for k in members)
            if not jobs or jobs[-1]["seconds"] + cost > seconds:
                jobs.append({"cells": [], "seconds": 0.0})
            jobs[-1]["cells"].append([op.label, int(members[0])])
            jobs[-1]["seconds"] += cost
    return jobs
