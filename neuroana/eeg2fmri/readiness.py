"""Before training: are the triggers whole, and is the EEG clean enough to learn from?

Scanner and heart repeat. What repeats with the volumes (or the heart beats) is found
by averaging over them: with n epochs of a clean EEG the mean keeps 1/n of the power,
anything above is residue of the artefact.
"""

import logging

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.contract import good_samples, label_of, rate_of
from neuroana.core.errors import SchemaError
from neuroana.core.recording import events_of
from neuroana.eeg2fmri.triggers import JITTER, LOST_SHARE, TR_SHARE
from neuroana.eeg2fmri.windowing import eeg_names, runs_of
from neuroana.learn.electrodes import plain_name, positions_of


GRADIENT = 0.06  # of the power of clean EEG, 0.5 to 45 Hz
PULSE = 0.15
BAND = (0.5, 45.0)  # Hz
BEAT = (-0.2, 0.6)  # seconds around a heart beat
HEART = "Pulse Artifact"
FEWEST = 20  # epochs to average over

logger = logging.getLogger(__name__)


def preflight(runs, *, heartbeat: str | None = None) -> pd.DataFrame:
    """Check paired runs before training: triggers, clock, and residual artefacts.

    Use it on every study; :func:`require_preflight` makes its verdict binding. Cost:
    a second a run.

    Parameters
    ----------
    runs : DataTree or list of DataTree
        From :func:`pair`.
    heartbeat : str, optional
        Event that marks each heart beat; by default those whose name holds "Pulse
        Artifact", then an ECG channel.

    Returns
    -------
    DataFrame
        One row a run and check: ``run``, ``check``, ``value``, ``limit``, ``unit``,
        and ``verdict``, one of passed, failed, not measured. Checks: volumes and
        restored triggers, jitter of the intervals in samples, the TR of the header
        against that of the triggers, volumes with a usable window, null channels,
        and power that repeats with the volumes (gradient) and with the heart
        (pulse), as a share of the rest between 0.5 and 45 Hz.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> table = preflight(simulate_eeg_fmri(1, n_volumes=60, random_state=0)[0])
    >>> table.set_index("check").verdict["gradient residue"]
    'passed'
    """
    rows: list[dict] = []
    for run in runs_of(runs):
        name = label_of(run["eeg"].to_dataset())
        rows += [{"run": name, **row} for row in check_run(run, heartbeat)]
    return pd.DataFrame(rows)


def require_preflight(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of :func:`preflight` if nothing in it failed.

    Use it as the gate in front of training.

    Raises
    ------
    SchemaError
        Naming runs and checks that failed, with value and limit.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(1, n_volumes=60, random_state=0)
    >>> len(require_preflight(preflight(runs))) > 0
    True
    """
    failed = table[table["verdict"] == "failed"]
    if len(failed):
        lines = "; ".join(
            f"{r.run}: {r.check} {r.value:.3g} {r.unit} (limit {r.limit:g})"
            for r in failed.itertuples()
        )
        raise SchemaError(
            message(
                "pre-flight",
                "runs that pass every check",
                lines,
                "clean the EEG, repair the markers, or leave the runs out",
            )
        )
    return table


def check_run(run: xr.DataTree, heartbeat: str | None) -> list[dict]:
    """Rows of one run."""
    eeg, bold = run["eeg"].to_dataset(), run["bold"].to_dataset()
    attrs, n = bold.attrs, bold.sizes["time"]
    restored = np.size(attrs.get("restored_triggers", []))
    rows = [
        row("restored triggers", restored, max(1.0, LOST_SHARE * n), "triggers"),
        row("trigger jitter", attrs.get("trigger_jitter_samples", np.nan), JITTER,
            "samples"),
        row("TR against header", attrs.get("trigger_drift_ppm", np.nan) * 1e-4,
            100 * TR_SHARE, "%"),
    ]  # fmt: skip
    x, rate, null = clean_signal(run)
    times = bold["time"].to_numpy()
    inside = (times - 16.0 >= float(eeg["time"][0])) & (times <= float(eeg["time"][-1]))
    rows.append(row("volumes without EEG", 100 * (1 - inside.mean()), 50.0, "%"))
    rows.append(row("null channels", 100 * null, 25.0, "%"))
    start = float(eeg["time"][0])
    onsets = np.round((times - start) * rate).astype(int)
    tr = int(np.floor(np.diff(onsets).min()))
    rows.append(row("gradient residue", 100 * repeated(x, onsets, tr), 100 * GRADIENT,
                    "%"))  # fmt: skip
    beats = heart_beats(eeg, heartbeat)
    pulse = np.nan
    if len(beats) >= FEWEST:
        first = np.round((beats + BEAT[0] - start) * rate).astype(int)
        pulse = repeated(x, first, round((BEAT[1] - BEAT[0]) * rate))
    rows.append(row("pulse residue", 100 * pulse, 100 * PULSE, "%"))
    return rows


def row(check: str, value: float, limit: float, unit: str) -> dict:
    value = float(value)
    verdict = "passed" if abs(value) <= limit else "failed"
    return {
        "check": check, "value": value, "limit": limit, "unit": unit,
        "verdict": "not measured" if np.isnan(value) else verdict,
    }  # fmt: skip


def clean_signal(run: xr.DataTree) -> tuple[np.ndarray, float, float]:
    """EEG channels between 0.5 and 45 Hz, their rate, and the share of null ones."""
    from scipy.signal import butter, sosfiltfilt

    eeg = run["eeg"].to_dataset()
    names = [plain_name(n) for n in eeg["channel"].to_numpy()]
    x = eeg["signal"].to_numpy()[:, positions_of(eeg_names(eeg), names)]
    rate = rate_of(eeg["time"].to_numpy())
    x = np.where(good_samples(eeg)[:, None], x, np.nan)
    null = (np.isnan(x).mean(axis=0) > 0.5) | (np.nanmax(x, 0) == np.nanmin(x, 0))
    x = np.nan_to_num(x[:, ~null].astype(np.float64))
    high = min(BAND[1], 0.45 * rate)
    sos = butter(3, (BAND[0], high), btype="bandpass", fs=rate, output="sos")
    return sosfiltfilt(sos, x, axis=0), rate, float(null.mean())


def repeated(x: np.ndarray, starts: np.ndarray, length: int) -> float:
    """Power that repeats from epoch to epoch, as a share of that which does not.

    With M the power of the mean of n epochs and P the mean power of all, the repeating
    part is (n M - P) / (n - 1), never below zero, and the rest P less that; the median
    over channels.
    """
    starts = np.unique(starts[(starts >= 0) & (starts + length <= len(x))])
    n = len(starts)
    if n < FEWEST or not x.shape[1]:
        return float("nan")
    total, mean = np.zeros(x.shape[1]), np.zeros((length, x.shape[1]))
    for start in starts:
        epoch = x[start : start + length]
        total += (epoch**2).mean(axis=0) / n
        mean += epoch / n
    part = np.maximum((n * (mean**2).mean(axis=0) - total) / (n - 1), 0.0)
    rest = np.maximum(total - part, np.finfo(float).tiny)
    return float(np.median(part / rest))


def heart_beats(eeg: xr.Dataset, heartbeat: str | None) -> np.ndarray:
    """Seconds of heart beats: from events, from an ECG channel, or none."""
    events = events_of(eeg)
    kinds = events["trial_type"].astype(str)
    mine = kinds == heartbeat if heartbeat else kinds.str.contains(HEART, regex=False)
    if mine.any():
        return events.loc[mine, "onset"].to_numpy(dtype=float)
    kinds = eeg["ch_type"].to_numpy() if "ch_type" in eeg.coords else np.array([])
    at = np.flatnonzero(kinds == "ecg")
    if heartbeat or not at.size:
        return np.array([])
    import mne

    rate = rate_of(eeg["time"].to_numpy())
    ecg = np.nan_to_num(eeg["signal"].to_numpy()[:, at[0]].astype(float))
    with mne.use_log_level("ERROR"):
        raw = mne.io.RawArray(ecg[None], mne.create_info(["ECG"], rate, "ecg"))
        found, *_ = mne.preprocessing.find_ecg_events(raw, ch_name="ECG")
    return float(eeg["time"][0]) + found[:, 0] / rate


def verdict(table: pd.DataFrame) -> str:
    """One sentence on a table of :func:`preflight`."""
    counts = table["verdict"].value_counts()
    parts = [
        f"{int(counts[k])} {k}" for k in ("passed", "failed", "not measured")
        if k in counts
    ]  # fmt: skip
    return f"{table['run'].nunique()} runs, checks: {', '.join(parts)}."
