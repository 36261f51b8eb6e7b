"""Samples made ready: missing ones, trends, a band, windows, z-scores.

Every function takes and returns a :class:`Group` or one array x (time, roi); regions
that never change stay as they are.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.fc.contract import Operator
from neuroana.fc.gathering import ConstantRoiError, Group, constant_regions


@dataclass(frozen=True)
class Windows:
    """Lengths of windows and steps, in seconds or in samples, as the user gave them."""

    width: float | None = None
    step: float | None = None
    width_volumes: int | None = None
    step_volumes: int | None = None

    def __bool__(self) -> bool:
        return self.width is not None or self.width_volumes is not None

    def check(self) -> "Windows":
        """Return itself if the lengths make sense together."""
        for a, b in (("window", "width"), ("step", "step")):
            seconds, volumes = getattr(self, b), getattr(self, f"{b}_volumes")
            if seconds is not None and volumes is not None:
                raise ParameterError(
                    message(f"arguments '{a}' and '{a}_volumes'", "one of both",
                            f"{seconds} s and {volumes} samples")
                )  # fmt: skip
            if seconds is not None:
                check_number(a, seconds, minimum=0.0, open_ends=True)
            if volumes is not None:
                check_number(f"{a}_volumes", volumes, minimum=1, integer=True)
        if not self and (self.step is not None or self.step_volumes is not None):
            raise ParameterError(
                message("argument 'step'", "a window with it", "none",
                        "pass window= or window_volumes=")
            )  # fmt: skip
        return self

    def starts(self, n_time: int, rate: float | None, label: str) -> tuple[range, int]:
        """First samples and the width in samples; steps are windows unless given."""
        width = self._samples(self.width, self.width_volumes, rate, "window")
        step = width
        if self.step is not None or self.step_volumes is not None:
            step = self._samples(self.step, self.step_volumes, rate, "step")
        if not 2 <= width <= n_time:
            raise ParameterError(
                message(
                    f"recording {label}, argument 'window'",
                    f"2 to {n_time} samples, as many as the recording has",
                    width,
                    "use a shorter window",
                )
            )
        return range(0, n_time - width + 1, max(step, 1)), width

    @staticmethod
    def _samples(seconds, volumes, rate, name) -> int:
        if seconds is None:
            return int(volumes)
        return round(seconds * rate_of(rate, f"argument {name!r} in seconds"))


def rate_of(rate: float | None, what: str) -> float:
    """A sampling rate, or an error that says what asks for it."""
    if rate is None:
        raise ParameterError(
            message(what, "a sampling rate", "none",
                    "pass recordings that have one, or sampling_rate= in Hz")
        )  # fmt: skip
    return rate


def with_rate(group: Group, sampling_rate: float | None) -> Group:
    """The group with a rate for recordings that have none of their own."""
    if sampling_rate is None:
        return group
    check_number("sampling_rate", sampling_rate, minimum=0.0, open_ends=True)
    for own, label in zip(group.rates, group.labels):
        if own is not None and abs(own - sampling_rate) > 1e-3 * own:
            raise ParameterError(
                message(
                    "argument 'sampling_rate'",
                    f"{own:g} Hz, the rate of recording {label}",
                    f"{sampling_rate:g} Hz",
                    "leave it out: recordings know their rate",
                )
            )
    return replace(group, rates=[float(sampling_rate)] * len(group.rates))


def usable(group: Group, constant: str) -> Group:
    """The group if its samples are finite or missing, and its regions change.

    Raises
    ------
    ConstantRoiError, ParameterError
    """
    for x, label in zip(group.values, group.labels):
        dead = constant_regions(x)
        if dead.any() and constant == "error":
            names = [str(n) for n in group.names[dead][:5]]
            raise ConstantRoiError(
                message(
                    f"recording {label}",
                    "regions that change",
                    f"{int(dead.sum())} constant or empty: {names}",
                    "leave them out, or pass constant='mark'",
                )
            )
        if (~dead).sum() < 2:
            raise ConstantRoiError(
                message(f"recording {label}", "at least 2 regions that change",
                        int((~dead).sum()))
            )  # fmt: skip
        if np.isinf(x).any():
            raise ParameterError(
                message(f"recording {label}", "finite samples", "infinite ones")
            )
    return group


def missing_samples(x: np.ndarray) -> np.ndarray:
    """True where a sample is missing in a region that has others (time, roi)."""
    gaps = np.isnan(x)
    return gaps & ~constant_regions(x) if gaps.any() else gaps


def check_missing(group: Group, made: Operator, nan: str) -> None:
    """Raise where samples are missing and the operator cannot do without."""
    if {"omit": not made.ordered, "pairwise": made.pairwise is not None}.get(nan):
        return
    for x, label in zip(group.values, group.labels):
        n_missing = int(missing_samples(x).sum())
        if n_missing:
            raise ParameterError(
                message(
                    f"recording {label}, operator {made.name!r}",
                    "no missing or bad samples",
                    f"{n_missing} of {x.size}, with nan={nan!r}",
                    "interpolate them, or pass nan='omit' (order of samples does not "
                    "matter) or nan='pairwise' (pearson, covariance)",
                )
            )


def check_rates(group: Group, made: Operator, per_site: bool) -> None:
    """Raise where the clock matters and recordings run on different ones."""
    known = [r for r in group.rates if r is not None]
    if not made.ordered or per_site or not known:
        return
    if max(known) - min(known) > 1e-3 * max(known):
        raise ParameterError(
            message(
                f"operator {made.name!r}",
                "one sampling rate, as the order of samples matters to it",
                f"{sorted({round(r, 4) for r in known})} Hz",
                "resample the recordings (neuroana.signal.resample), or pass "
                "per_site=True and compare within a site only",
            )
        )


def without_missing(group: Group) -> Group:
    """The group without samples at which a region is missing."""
    values = []
    for x in group.values:
        gaps = missing_samples(x).any(axis=1)
        values.append(x[~gaps] if gaps.any() else x)
    return replace(group, values=values)


def detrended(x: np.ndarray) -> np.ndarray:
    """Less the line that fits the samples that are there."""
    t = np.linspace(-1.0, 1.0, len(x))[:, None]
    valid = np.isfinite(x)
    n = np.maximum(valid.sum(axis=0), 1)
    time = np.where(valid, t - (t * valid).sum(axis=0) / n, 0.0)
    gap = np.where(valid, x, 0.0)
    gap = np.where(valid, gap - gap.sum(axis=0) / n, 0.0)
    power = (time**2).sum(axis=0)
    slope = (time * gap).sum(axis=0) / np.where(power > 0, power, 1.0)
    return np.where(constant_regions(x) | ~valid, x, x - time * slope)


def filtered(x: np.ndarray, band: tuple[float, float], rate: float, label: str):
    """Within a band in Hz: Butterworth of order 4, forwards and backwards."""
    from neuroana.core.recording import from_array
    from neuroana.signal import bandpass

    if not missing_samples(x).any():
        dead = constant_regions(x)
        rec = from_array(np.where(dead, 0.0, x), "fmri", sampling_rate=rate, units="1",
                         attrs={"subject": label})  # fmt: skip
        made = bandpass(rec, *band, method="iir")["signal"].to_numpy()
        return np.where(dead, x, made)
    raise ParameterError(
        message(f"recording {label}, argument 'band'", "no missing or bad samples",
                f"{int(missing_samples(x).sum())} of {x.size}",
                "interpolate them, or filter with neuroana.signal.bandpass before")
    )  # fmt: skip


def check_band(band: Any) -> None:
    """A pair of frequencies, or nothing."""
    if band is None:
        return
    if not isinstance(band, list | tuple) or len(band) != 2:
        raise ParameterError(message("argument 'band'", "(low, high) in Hz", band))


def cleaned(group: Group, detrend: str | None, band: Any) -> Group:
    """The group without trends and within a band."""
    values = group.values
    if detrend is not None:
        values = [detrended(x) for x in values]
    if band is not None:
        values = [
            filtered(x, band, rate_of(rate, "argument 'band'"), label)
            for x, rate, label in zip(values, group.rates, group.labels)
        ]
    return replace(group, values=values)


def cut(group: Group, windows: Windows) -> Group:
    """Windows of the recordings in place of the recordings."""
    if not windows:
        return group
    values, origin, starts, labels = [], [], [], []
    for k, x in enumerate(group.values):
        rate, label = group.rates[k], group.labels[k]
        found, width = windows.starts(len(x), rate, label)
        for start in found:
            values.append(x[start : start + width])
            origin.append(k)
            starts.append(start / (rate or 1.0))
            labels.append(f"{label} from sample {start}")
    return replace(
        group,
        values=values,
        rates=[group.rates[k] for k in origin],
        labels=labels,
        entities=[group.entities[k] for k in origin],
        origin=[group.labels[k] for k in origin],
        starts=starts,
        several=True,
    )


def standardised(x: np.ndarray) -> np.ndarray:
    """Mean 0 and mean square 1 over the samples that are there; regions change."""
    if np.isnan(x).any():
        return (x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0)
    z = x - x.mean(axis=0)
    z /= np.sqrt(np.einsum("tn,tn->n", z, z) / len(z))
    return z


def check_copies(group: Group) -> None:
    """Raise where two recordings hold the same samples.

    One scan under two names would make people look alike that are not.
    """
    seen: dict[tuple, int] = {}
    for k, x in enumerate(group.values):
        key = (x.shape, x[0].tobytes(), x[-1].tobytes())
        first = seen.setdefault(key, k)
        if first != k and np.array_equal(group.values[first], x, equal_nan=True):
            raise ShapeError(
                message(
                    "X",
                    "recordings that differ",
                    f"the same samples as {group.labels[first]} and {group.labels[k]}",
                    "leave one out, or pass duplicates='allow'",
                )
            )
