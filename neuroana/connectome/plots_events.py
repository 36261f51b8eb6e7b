"""Figures of motifs and communities over time and around events."""

from itertools import pairwise

import numpy as np

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.plot.axes import new_axes, state_colour


def plot_label_flow(labels, *, n_bins=12, ax=None):
    """How neurons change their communities over time (alluvial).

    Parameters
    ----------
    labels : DataArray (time, neuron)
        From :meth:`DynamicConnectome.labels_over_time`.
    n_bins : int
        Stretches of time; each shows the most frequent label of every neuron.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import xarray as xr
    >>> labels = xr.DataArray(np.repeat([[0, 0, 1], [0, 1, 1]], 5, axis=0),
    ...                       dims=("time", "neuron"))
    >>> plot_label_flow(labels, n_bins=2).get_ylabel()
    'neurons'
    """
    check_number("n_bins", n_bins, minimum=2, integer=True)
    if labels.ndim != 2:
        raise ParameterError(message("labels", "dims (time, neuron)", labels.dims))
    ax = new_axes(ax, width=8.0, height=3.4)
    values = labels.to_numpy()
    edges = np.linspace(0, len(values), n_bins + 1).astype(int)
    kinds = np.unique(values)
    modes = np.stack([
        kinds[(values[a:b, :, None] == kinds).sum(axis=0).argmax(axis=1)]
        for a, b in pairwise(edges)
    ])  # fmt: skip
    time = labels["time"].values if "time" in labels.coords else np.arange(len(values))
    at = np.array([time[(a + b - 1) // 2] for a, b in pairwise(edges)], float)
    width = 0.12 * np.diff(at).min()
    height = np.empty(modes.shape)
    for k, row in enumerate(modes):
        previous = modes[k - 1] if k else row
        height[k, np.lexsort((previous, row))] = np.arange(len(row))
    for k, row in enumerate(modes):
        for kind in kinds:
            mine = height[k][row == kind]
            if len(mine):
                colour = state_colour(int(kind)) if kind >= 0 else "0.85"
                ax.fill_between([at[k] - width, at[k] + width], mine.min() - 0.5,
                                mine.max() + 0.5, color=colour, lw=0)  # fmt: skip
        if k == 0:
            continue
        flows = {(a, b) for a, b in zip(modes[k - 1].tolist(), row.tolist())}
        for a, b in sorted(flows):
            both = (modes[k - 1] == a) & (row == b)
            left, right = np.sort(height[k - 1][both]), np.sort(height[k][both])
            x = np.linspace(at[k - 1] + width, at[k] - width, 20)
            s = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 20))
            for p, q in zip(left, right):
                middle = p + (q - p) * s
                colour = state_colour(int(b)) if b >= 0 else "0.85"
                ax.fill_between(x, middle - 0.5, middle + 0.5, color=colour,
                                alpha=0.3, lw=0)  # fmt: skip
    ax.set_xlabel("time (s)")
    ax.set_ylabel("neurons")
    ax.set_yticks([])
    return ax


def plot_events(table, *, ax=None):
    """How well each motif tells each kind of event: area under the curve.

    Parameters
    ----------
    table : DataFrame
        From :meth:`DynamicConnectome.event_table`.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"event": ["go", "go"], "component": ["0", "1"],
    ...                       "auc": [0.9, 0.5], "p_corrected": [0.01, 0.9]})
    >>> plot_events(table).get_xlabel()
    'component'
    """
    ax = new_axes(ax, width=6.0, height=2.6)
    wide = table.pivot_table(
        index="event", columns="component", values="auc", sort=False
    )
    image = ax.imshow(wide, vmin=0, vmax=1, cmap="RdBu_r", aspect="auto",
                      interpolation="nearest")  # fmt: skip
    sure = table.pivot_table(index="event", columns="component", values="p_corrected",
                             sort=False)  # fmt: skip
    for r in range(len(wide)):
        for c in range(wide.shape[1]):
            star = "*" if sure.iloc[r, c] < 0.05 else ""
            dark = abs(wide.iloc[r, c] - 0.5) > 0.35
            ax.text(c, r, f"{wide.iloc[r, c]:.2f}{star}", ha="center", va="center",
                    fontsize=8, color="w" if dark else "k")  # fmt: skip
    ax.set_xticks(np.arange(wide.shape[1]), wide.columns, fontsize=8)
    ax.set_yticks(np.arange(len(wide)), wide.index, fontsize=8)
    ax.set_xlabel("component")
    ax.figure.colorbar(image, ax=ax, label="AUC")
    return ax


def plot_triggered(course, onsets, *, before=10.0, after=20.0, ax=None):
    """Mean course of a motif around the onsets of events, one line an animal.

    Parameters
    ----------
    course : DataArray (time)
        A component of ``time_``; with the coordinate ``animal`` along time where every
        animal has its own clock.
    onsets : mapping of str to sequence of float, or sequence of float
        Seconds; one sequence an animal.
    before, after : float
        Seconds around the onset.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import xarray as xr
    >>> course = xr.DataArray(np.arange(100.0), dims="time",
    ...                       coords={"time": np.arange(100.0)})
    >>> len(plot_triggered(course, [30.0, 60.0]).lines)
    2
    """
    ax = new_axes(ax, width=5.0, height=2.8)
    several = "animal" in course.coords and course["animal"].dims == ("time",)
    names = (
        list(dict.fromkeys(course["animal"].values.tolist())) if several else ["data"]
    )
    if not hasattr(onsets, "items"):
        onsets = dict.fromkeys(names, onsets)
    for number, name in enumerate(names):
        own = course[course["animal"].values == name] if several else course
        time = own["time"].values
        step = np.median(np.diff(time))
        lag = np.arange(-round(before / step), round(after / step) + 1)
        rows = []
        for onset in onsets.get(name, []):
            at = int(np.searchsorted(time, onset)) + lag
            if at[0] >= 0 and at[-1] < len(time):
                rows.append(own.values[at])
        if rows:
            ax.plot(lag * step, np.mean(rows, axis=0), lw=1.2, label=str(name),
                    color=state_colour(number))  # fmt: skip
    ax.axvline(0.0, color="0.5", lw=0.8, ls=":")
    ax.set_xlabel("time from onset (s)")
    ax.set_ylabel("mean course")
    if several:
        ax.legend(frameon=False, fontsize=7)
    return ax
