"""Volume triggers: are they all there, and do they keep time?"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from neuroana.core.checks import check_number, message
from neuroana.core.errors import SchemaError


JITTER = 2.0  # samples that an interval may be off
LOST_SHARE = 0.01  # triggers that may be missing (one always may)
TR_SHARE = 0.005  # of the TR that header and triggers may differ by
SHOWN = 8


class TriggerError(SchemaError):
    """Volume triggers are missing, doubled, or out of time."""


@dataclass(frozen=True)
class TriggerAudit:
    """Volume triggers after the audit.

    Attributes
    ----------
    onsets : ndarray (volume,)
        Seconds on the clock of the EEG, missing ones put back.
    tr : float
        Seconds between volumes, from a linear fit to the triggers.
    jitter_samples : float
        Largest departure of an interval from the TR, in samples of the EEG.
    restored : tuple of int
        Volumes whose trigger was missing.
    drift_ppm : float
        Difference to the TR that was announced, or NaN.

    Examples
    --------
    >>> table = pd.DataFrame({"onset": np.arange(5) * 2.0, "trial_type": "R149"})
    >>> audit_triggers(table, "R149", sampling_rate=200.0).jitter_samples
    0.0
    """

    onsets: np.ndarray
    tr: float
    jitter_samples: float
    restored: tuple[int, ...]
    drift_ppm: float


def audit_triggers(
    events: pd.DataFrame,
    trigger: str,
    *,
    sampling_rate: float,
    n_volumes: int | None = None,
    tr: float | None = None,
) -> TriggerAudit:
    """Check the volume triggers of a run and put back the odd missing one.

    Use it before EEG and BOLD are paired. One missing trigger, or less than one in a
    hundred, is put back by the linear fit of time to volume; anything worse is an
    error that names the places.

    Parameters
    ----------
    events : DataFrame
        Columns ``onset`` (seconds) and ``trial_type``.
    trigger : str
        The whole `trial_type` of a volume, or what stands behind its slash.
    sampling_rate : float
        Of the EEG in Hz.
    n_volumes : int, optional
        Volumes of the BOLD series, for the count.
    tr : float, optional
        Seconds between volumes as announced by the header.

    Returns
    -------
    TriggerAudit

    Raises
    ------
    TriggerError
        If the trigger is not there (with those that are), or fewer, more, doubled,
        irregular, or at another TR than announced.

    Examples
    --------
    >>> table = pd.DataFrame({"onset": [0.0, 2.1, 6.3, 8.4], "trial_type": "R149"})
    >>> audit_triggers(table, "R149", sampling_rate=200.0, n_volumes=5).restored
    (2,)
    """
    check_number("sampling_rate", sampling_rate, minimum=0.0, open_ends=True)
    onsets = np.sort(onsets_of(events, trigger))
    step, intervals = np.median(np.diff(onsets)), np.diff(onsets)
    counts = np.round(intervals / step).astype(int)
    doubled = np.flatnonzero(counts == 0)
    if doubled.size:
        raise TriggerError(
            message(
                f"trigger {trigger!r}",
                "one trigger a volume",
                f"{doubled.size} doubled, at {places(onsets[doubled])}",
                "drop the markers that are no volumes",
            )
        )
    volumes = np.concatenate([[0], np.cumsum(counts)])
    fit_tr, start = np.polyfit(volumes, onsets, 1)
    jitter = np.abs(intervals - counts * fit_tr) * sampling_rate
    late = np.flatnonzero(jitter > JITTER)
    if late.size:
        raise TriggerError(
            message(
                f"trigger {trigger!r}",
                f"intervals of whole TRs ({fit_tr:.4g} s) within {JITTER:g} samples",
                f"{late.size} others, at {places(onsets[late])}",
                "crop the recording to one run, or repair the markers",
            )
        )
    total = int(volumes[-1]) + 1
    lost = np.setdiff1d(np.arange(total), volumes)
    if lost.size > max(1.0, LOST_SHARE * total):
        raise TriggerError(
            message(
                f"trigger {trigger!r}",
                f"at most one missing in {total} (or 1 %)",
                f"{lost.size} missing, at {places(start + fit_tr * lost)}",
                "look at the marker channel of the recording",
            )
        )
    check_count(trigger, total, n_volumes, onsets)
    check_tr(trigger, fit_tr, tr)
    whole = start + fit_tr * np.arange(total)
    whole[volumes] = onsets
    return TriggerAudit(
        onsets=whole,
        tr=float(fit_tr),
        jitter_samples=float(np.round(jitter.max(), 6)),
        restored=tuple(map(int, lost)),
        drift_ppm=float("nan") if tr is None else float((fit_tr / tr - 1) * 1e6),
    )


def onsets_of(events: pd.DataFrame, trigger: str) -> np.ndarray:
    """Onsets of the events of one name; the names that are there, if none has it."""
    kinds = events["trial_type"].astype(str)
    mine = (kinds == trigger) | (kinds.str.rpartition("/")[2] == trigger)
    if mine.sum() < 3:
        often = kinds.value_counts().head(SHOWN)
        there = ", ".join(f"{k!r} ({n})" for k, n in often.items()) or "no events"
        raise TriggerError(
            message(
                "volume triggers",
                f"at least 3 events {trigger!r}",
                f"{int(mine.sum())}; there are {there}",
                "name the marker of a volume",
            )
        )
    return events.loc[mine, "onset"].to_numpy(dtype=float)


def check_count(trigger, total, n_volumes, onsets):
    if n_volumes is not None and total != n_volumes:
        raise TriggerError(
            message(
                f"trigger {trigger!r}",
                f"{n_volumes} volumes, as the BOLD series has",
                f"{total} from {onsets[0]:.3f} to {onsets[-1]:.3f} s",
                "drop dummy volumes from both, or crop to the run",
            )
        )


def check_tr(trigger, found, announced):
    if announced is not None and abs(found / announced - 1) > TR_SHARE:
        raise TriggerError(
            message(
                f"trigger {trigger!r}",
                f"the TR of the header, {announced:g} s",
                f"{found:.5g} s between triggers",
                "one of the two belongs to another run",
            )
        )


def places(times: np.ndarray) -> str:
    shown = ", ".join(f"{t:.3f}" for t in times[:SHOWN])
    return f"{shown} s" + (" ..." if len(times) > SHOWN else "")
