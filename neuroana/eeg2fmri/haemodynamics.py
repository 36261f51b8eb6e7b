"""The response that simulator and regressions share: what one burst of power becomes.

    h(t) = t^5 e^-t / 5! - t^15 e^-t / (6 * 15!)

with t in seconds behind an onset delay, on a time axis that may be stretched.
"""

import math

import numpy as np


LENGTH = 32.0  # seconds that hold the whole response


def response(
    times: np.ndarray, *, delay: float = 0.0, stretch: float = 1.0
) -> np.ndarray:
    """Haemodynamic response at `times` (seconds) behind the event; zero before it."""
    t = np.maximum(np.asarray(times, dtype=float) - delay, 0.0) / stretch
    rise = t**5 * np.exp(-t) / math.factorial(5)
    return rise - t**15 * np.exp(-t) / (6 * math.factorial(15))
