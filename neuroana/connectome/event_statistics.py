"""Whether a motif follows a stimulus or a behaviour, against shifted events."""

import numpy as np
import pandas as pd

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch


def area_under_curve(values: np.ndarray, on: np.ndarray) -> float:
    """Probability that a sample with the event has a larger value than one without.

    Examples
    --------
    >>> area_under_curve(np.array([1.0, 2.0, 3.0]), np.array([False, False, True]))
    1.0
    """
    from scipy.stats import rankdata

    known = np.isfinite(values)
    values, on = values[known], on[known]
    n_on, n_off = int(on.sum()), int((~on).sum())
    if n_on == 0 or n_off == 0:
        return np.nan
    rank = rankdata(values)
    return float((rank[on].sum() - n_on * (n_on + 1) / 2) / (n_on * n_off))


def areas(ranks: np.ndarray, on: np.ndarray) -> np.ndarray:
    """AUC of every column of ranks (T, R) for every row of events (D, T)."""
    n_on = on.sum(axis=1, keepdims=True)
    n_off = on.shape[1] - n_on
    total = on @ ranks
    return (total - n_on * (n_on + 1) / 2) / np.maximum(n_on * n_off, 1)


def shifted(on: np.ndarray, owner: np.ndarray, least: int, rng) -> np.ndarray:
    """Events rolled in time within each animal, by at least `least` samples."""
    out = np.empty_like(on)
    for animal in np.unique(owner):
        at = np.flatnonzero(owner == animal)
        shift = int(rng.integers(least, len(at) - least + 1))
        out[at] = np.roll(on[at], shift)
    return out


def event_statistics(
    courses: np.ndarray,
    on: dict[str, np.ndarray],
    owner: np.ndarray,
    dt: float,
    *,
    components: list[str],
    n_shifts: int,
    min_shift: float,
    seed: int,
) -> pd.DataFrame:
    """AUC and mean difference of every component and event, with p-values.

    Parameters
    ----------
    courses : ndarray (time, component)
    on : dict of str to ndarray of bool (time,)
    owner : ndarray of int (time,)
        Animal of every sample.
    dt : float
        Seconds a sample.
    n_shifts : int
    min_shift : float
        Shortest shift in seconds.

    Returns
    -------
    DataFrame
        event, component, auc, difference (in standard deviations), p (one test),
        p_corrected (largest AUC over components), q (false discovery rate over all).
    """
    from scipy.stats import false_discovery_control, rankdata

    check_number("n_shifts", n_shifts, minimum=1, integer=True)
    least = max(1, round(min_shift / dt))
    shortest = int(np.bincount(owner).min())
    if 2 * least > shortest:
        raise ParameterError(
            message("argument 'min_shift'",
                    f"at most half of the shortest recording, {shortest * dt / 2:g} s",
                    f"{min_shift:g} s")
        )  # fmt: skip
    known = np.isfinite(courses).all(axis=1)
    ranks = np.zeros_like(courses)
    ranks[known] = rankdata(courses[known], axis=0)
    rows = []
    for number, (event, shown) in enumerate(on.items()):
        if not 0 < (shown & known).sum() < known.sum():
            continue
        observed = areas(ranks[known], shown[None, known].astype(float))[0]
        drawn = np.stack([
            shifted(shown, owner, least, branch(seed, number, k))[known]
            for k in range(n_shifts)
        ])  # fmt: skip
        null = areas(ranks[known], drawn.astype(float))
        top = null.max(axis=1)
        spread = courses[known].std(axis=0)
        inside, outside = courses[known & shown], courses[known & ~shown]
        gap = (inside.mean(0) - outside.mean(0)) / np.where(spread > 0, spread, 1.0)
        for r, component in enumerate(components):
            rows.append({
                "event": event, "component": component, "auc": float(observed[r]),
                "difference": float(gap[r]),
                "p": (1 + int((null[:, r] >= observed[r]).sum())) / (1 + n_shifts),
                "p_corrected": (1 + int((top >= observed[r]).sum())) / (1 + n_shifts),
            })  # fmt: skip
    columns = ["event", "component", "auc", "difference", "p", "p_corrected"]
    table = pd.DataFrame(rows, columns=columns)
    table["q"] = false_discovery_control(table["p"]) if len(table) else []
    return table
