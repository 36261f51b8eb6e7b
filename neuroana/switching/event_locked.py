"""States around events: average probability beside events at random times."""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.core.random import branch, draw_seed


def event_locked_states(
    posterior, onsets, *, before=1.0, after=1.0, n_null=200, random_state=None
) -> xr.Dataset:
    """Average the probability of every state around events.

    The null moves all events of a recording together, round the circle, by a random
    time: their spacing stays, their relation to the states is gone. It needs
    recordings that are long beside the window: a trial cut around its one event has
    little other time to go to.

    Parameters
    ----------
    posterior : DataArray (time, state), or list of them
        From ``predict_proba`` or ``filter_proba``. Filtered probabilities show no
        event before it happened.
    onsets : sequence of float, or list of them
        Event times in seconds on the clock of each recording.
    before, after : float
        Window around the event, in seconds. Events whose window leaves the recording
        are left out.
    n_null : int
        Random shifts.
    random_state : int, Generator or None

    Returns
    -------
    Dataset
        ``probability`` (lag, state), ``sem`` over events, ``null_mean`` (state),
        ``deviation`` (lag, state) in standard deviations of the null and ``p``
        (state): the share of shifts whose largest deviation over all lags and states
        reaches that of the state (family-wise over both). Attribute ``n_events``.

    Raises
    ------
    ParameterError
        If no event has its window inside its recording.

    Examples
    --------
    >>> time = np.arange(400) * 0.1
    >>> on = ((time % 5) < 1).astype(float)
    >>> posterior = xr.DataArray(np.c_[1 - on, on], dims=("time", "state"),
    ...                          coords={"time": time, "state": [0, 1]})
    >>> found = event_locked_states(posterior, np.arange(5, 35, 5.0), random_state=0)
    >>> float(found.probability.sel(state=1, lag=0.5, method="nearest"))
    1.0
    """
    check_number("before", before, minimum=0.0)
    check_number("after", after, minimum=0.0)
    check_number("n_null", n_null, minimum=1, integer=True)
    posteriors, onsets = as_lists(posterior, onsets)
    width = sample_width(posteriors)
    reach = (round(before / width), round(after / width))
    values = [p.transpose("time", "state").to_numpy() for p in posteriors]
    places = [
        np.round((np.asarray(t, dtype=float) - p["time"].to_numpy()[0]) / width).astype(
            int
        )
        for p, t in zip(posteriors, onsets)
    ]
    windows = cut(values, places, reach)
    if not len(windows):
        raise ParameterError(
            message(
                "onsets",
                f"events at least {before:g} s after the start and {after:g} s before "
                "the end of a recording",
                f"{sum(map(len, places))} events, none of them so",
                "use a shorter window, or times on the clock of the recording",
            )
        )
    rng = branch(draw_seed(random_state), 0)
    mean = windows.mean(axis=0)
    null = np.array([shifted_mean(values, places, reach, rng) for _ in range(n_null)])
    centre, spread = null.mean(axis=(0, 1)), null.std(axis=(0, 1))
    spread = np.where(spread > 0, spread, np.inf)
    largest = np.abs((null - centre) / spread).max(axis=(1, 2))
    deviation = (mean - centre) / spread
    reached = np.abs(deviation).max(axis=0)
    p = (1 + (largest[:, None] >= reached).sum(axis=0)) / (n_null + 1)
    state = posteriors[0]["state"].to_numpy()
    return xr.Dataset(
        {
            "probability": (("lag", "state"), mean),
            "sem": (
                ("lag", "state"),
                windows.std(axis=0, ddof=1) / np.sqrt(len(windows))
                if len(windows) > 1
                else np.full(mean.shape, np.nan),
            ),
            "deviation": (("lag", "state"), deviation),
            "null_mean": ("state", centre),
            "p": ("state", p),
        },
        coords={"lag": np.arange(-reach[0], reach[1] + 1) * width, "state": state},
        attrs={"n_events": len(windows), "n_null": int(n_null)},
    )


def as_lists(posterior, onsets):
    """Posteriors and onsets, one of each a recording."""
    if isinstance(posterior, xr.DataArray):
        return [posterior], [np.atleast_1d(onsets)]
    posteriors = list(posterior)
    onsets = [np.atleast_1d(part) for part in onsets]
    if len(onsets) != len(posteriors):
        raise ShapeError(
            message("onsets", f"{len(posteriors)} lists, one a recording", len(onsets))
        )
    return posteriors, onsets


def sample_width(posteriors) -> float:
    """Seconds between samples, the same in all recordings."""
    widths = [float(np.median(np.diff(p["time"].to_numpy()))) for p in posteriors]
    if max(widths) - min(widths) > 1e-3 * max(widths):
        raise ShapeError(
            message("posterior", "one rate in all recordings", sorted(set(widths)))
        )
    return widths[0]


def cut(values, places, reach):
    """Windows (event, lag, state) of all events that have theirs whole."""
    before, after = reach
    lags = np.arange(-before, after + 1)
    found = []
    for array, place in zip(values, places):
        inside = place[(place >= before) & (place + after < len(array))]
        found.append(array[inside[:, None] + lags])
    return np.concatenate(found)


def shifted_mean(values, places, reach, rng):
    """Average window when all events move by one random time a recording."""
    before, after = reach
    lags = np.arange(-before, after + 1)
    total, count = 0.0, 0
    for array, place in zip(values, places):
        place = place[(place >= before) & (place + after < len(array))]
        moved = (place + rng.integers(len(array))) % len(array)
        rows = (moved[:, None] + lags) % len(array)
        total = total + array[rows].sum(axis=0)
        count += len(moved)
    return total / count
