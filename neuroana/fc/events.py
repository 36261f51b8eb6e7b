"""Synchrony of events: when one region is high, is the other too?"""

import numpy as np

from neuroana.core.checks import check_number
from neuroana.fc.registry import operator


QUIROGA = "Quian Quiroga, Kreuz and Grassberger 2002, Phys. Rev. E 66, 041904"


@operator("event_sync", "lagged", ordered=True, cost="6*T*N^2",
          source=QUIROGA)  # fmt: skip
def event_sync(x, *, quantile=0.9, tau_samples=2):
    """Share of events of one region that have one of the other nearby.

    An event is a first sample above a quantile. Q = (c_ij + c_ji) / (2 sqrt(m_i m_j)),
    c_ij the number of events of i with an event of j within tau samples.

    Parameters
    ----------
    quantile : float, default=0.9
    tau_samples : int, default=2

    References
    ----------
    Quian Quiroga, R., Kreuz, T. and Grassberger, P. (2002). Event synchronization: a
    simple and fast method to measure synchronicity and time delay patterns. Physical
    Review E 66, 041904.
    """
    check_number("quantile", quantile, minimum=0.0, maximum=1.0, open_ends=True)
    check_number("tau_samples", tau_samples, minimum=0, integer=True)
    high = x > np.quantile(x, quantile, axis=1, keepdims=True)
    events = high.copy()
    events[:, 1:] &= ~high[:, :-1]
    near = events.copy()
    for lag in range(1, int(tau_samples) + 1):
        near[:, lag:] |= events[:, :-lag]
        near[:, :-lag] |= events[:, lag:]
    e = events.astype(np.float64)
    c = np.swapaxes(e, 1, 2) @ near.astype(np.float64)
    m = np.sqrt(e.sum(axis=1))
    scale = 2 * m[:, :, None] * m[:, None, :]
    both = c + np.swapaxes(c, 1, 2)
    return np.divide(both, scale, out=np.zeros_like(c), where=scale > 0)
