"""Link functions that stay exact where exp underflows.

`FLOOR` keeps exp within the normal floats; below it every link is exp(eta) to the last
digit, and its logarithm is eta itself: nothing is clamped and no epsilon is added.
"""

import numpy as np
import torch


FLOOR = -500.0  # exp(FLOOR) is still a normal float64
FLOOR_SINGLE = -80.0  # and exp(FLOOR_SINGLE) a normal float32


def floored(eta):
    """eta, but not so low that exp of it underflows."""
    single = eta.dtype == torch.float32
    return eta.clamp_min(FLOOR_SINGLE if single else FLOOR)


def softplus(eta):
    """log(1 + exp(eta))."""
    return torch.nn.functional.softplus(floored(eta), 1.0, 50.0)


def sigmoid(eta):
    """1 / (1 + exp(-eta))."""
    return torch.sigmoid(floored(eta))


def exact_log(f, eta):
    """log f, for links with log f <= eta and log f -> eta at minus infinity."""
    return torch.minimum(f.log(), eta)


def inverse_softplus(mean) -> np.ndarray:
    """Predictor at which softplus is `mean`."""
    mean = np.asarray(mean, dtype=float)
    return mean + np.log(-np.expm1(-mean))


def logit(mean) -> np.ndarray:
    """Predictor at which the sigmoid is `mean`, kept off zero and one."""
    mean = np.clip(np.asarray(mean, dtype=float), 1e-6, 1 - 1e-6)
    return np.log(mean) - np.log1p(-mean)
