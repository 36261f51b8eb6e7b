"""Clocks out of time stamps that were rounded, jitter, or belong to another machine."""

from typing import Any

import numpy as np

from neuroana.core.checks import message
from neuroana.core.contract import check_increasing
from neuroana.core.errors import SchemaError
from neuroana.core.recording import clock, rate_of


CLOCK_DRIFT = 2e-4


def regular_clock(
    stamps: np.ndarray, sampling_rate: float | None, where: str
) -> tuple[np.ndarray, float, dict[str, Any]]:
    """Clock of time stamps: regular if they are but rounded, as they are otherwise.

    A regular rate within 0.02 % of a whole number of Hz is that number: the clock of
    the computer that wrote the stamps drifts against the amplifier's. Stamps
    that start later than they last are on another machine's clock: they are moved to
    start at 0, and the move is kept in ``time_offset``.

    Examples
    --------
    >>> stamps = 1.5e9 + np.round(np.arange(512) / 256.0, 3)
    >>> time, rate, attrs = regular_clock(stamps, None, "a.csv")
    >>> rate, float(time[1]), attrs
    (256.0, 0.00390625, {'time_offset': 1500000000.0})
    """
    if len(stamps) < 2 or not np.isfinite(stamps).all():
        raise SchemaError(message(f"{where}: time", "finite seconds", stamps[:3]))
    check_increasing(stamps, f"{where}: time")
    attrs: dict[str, Any] = {}
    if stamps[0] > stamps[-1] - stamps[0]:
        attrs["time_offset"] = float(stamps[0])
        stamps = stamps - stamps[0]
    steps = np.arange(len(stamps)) * (stamps[-1] - stamps[0]) / (len(stamps) - 1)
    rounding = _rounding(stamps)
    measured = rate_of(stamps)
    tolerance = max(0.01, rounding * measured if rounding < 0.5 / measured else 0.0)
    if np.abs(stamps - stamps[0] - steps).max() > tolerance / measured:
        return stamps, float(sampling_rate or measured), {**attrs, "irregular": 1}
    whole = round(measured)
    nominal = abs(measured - whole) <= CLOCK_DRIFT * measured and whole >= 10
    rate = float(sampling_rate or (whole if nominal else measured))
    return clock(len(stamps), rate, start=float(stamps[0])), rate, attrs


def _rounding(stamps: np.ndarray) -> float:
    for digits in range(6):
        if np.abs(stamps - np.round(stamps, digits)).max() < 1e-6:
            return 10.0**-digits
    return 0.0
