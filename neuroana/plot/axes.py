"""Axes, colours and the few kinds of panel that every figure is made of.

Nothing here shows a window or changes matplotlib's global state: figures are made
without pyplot, so they work in workers and on machines without a screen.
"""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure


STATE_COLOURS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#f0e442",
    "#6a3d9a",
    "#8c564b",
    "#7f7f7f",
)


def state_colour(state: int) -> str:
    """Colour of a state, the same in every figure (safe for the colour-blind).

    Examples
    --------
    >>> state_colour(0)
    '#0072b2'
    """
    return STATE_COLOURS[state % len(STATE_COLOURS)]


def new_axes(
    ax: Axes | None = None, *, width: float = 8.0, height: float = 3.0
) -> Axes:
    """Return `ax`, or the axes of a new figure of the given size in inches.

    Examples
    --------
    >>> new_axes().figure.get_size_inches().tolist()
    [8.0, 3.0]
    """
    if ax is not None:
        return ax
    figure = Figure(figsize=(width, height), layout="constrained")
    ax = figure.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def figure_of(plot: Any) -> Figure:
    """Figure of whatever a plot function returned (Axes or an array of them)."""
    return np.ravel(np.asarray(plot, dtype=object))[0].figure


def traces(
    signal: xr.DataArray,
    *,
    ax: Axes | None = None,
    max_traces: int = 20,
    max_points: int = 2000,
    colour: str = "0.25",
) -> Axes:
    """Draw signals one above the other, each in its own band.

    Parameters
    ----------
    signal : DataArray (time, space)
        Any recording's signal. Beyond `max_traces`, evenly chosen ones are drawn.
    ax : Axes, optional
        Where to draw.
    max_traces, max_points : int
        Longer signals are drawn by the extremes of short stretches, so that no
        peak is lost.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, height=3.6)
    n_space = signal.shape[1]
    chosen = np.unique(
        np.linspace(0, n_space - 1, min(n_space, max_traces)).astype(int)
    )
    time = signal["time"].to_numpy()
    values = signal[:, chosen].to_numpy().astype(float)
    time, values = _extremes(time, values, max_points)
    centre = np.nanmedian(values, axis=0)
    spread = np.nanpercentile(np.abs(values - centre), 99, axis=0)
    spread[~(spread > 0)] = 1.0
    scaled = (values - centre) / spread * 0.5
    for row, name in enumerate(signal[signal.dims[1]].to_numpy()[chosen]):
        ax.plot(time, scaled[:, row] - row, lw=0.6, color=colour, label=str(name))
    names = [str(n) for n in signal[signal.dims[1]].to_numpy()[chosen]]
    ax.set_yticks(-np.arange(len(chosen)), names, fontsize=7)
    ax.set_ylim(-len(chosen), 1)
    ax.set_xlim(time[0], time[-1])
    ax.set_xlabel("time (s)")
    ax.set_ylabel(str(signal.dims[1]))
    return ax


def _extremes(
    time: np.ndarray, values: np.ndarray, max_points: int
) -> tuple[np.ndarray, np.ndarray]:
    """Minimum and maximum of each of ``max_points / 2`` stretches, in turn."""
    n_samples = len(time)
    if n_samples <= max_points:
        return time, values
    length = -(-n_samples // (max_points // 2))
    whole = n_samples // length * length
    parts = values[:whole].reshape(-1, length, values.shape[1])
    low, high = np.nanmin(parts, 1), np.nanmax(parts, 1)
    pairs = np.stack([low, high], axis=1).reshape(-1, values.shape[1])
    starts = time[:whole:length]
    step = (time[length] - time[0]) / 2
    return np.stack([starts, starts + step], axis=1).ravel(), pairs


def matrix(
    values: xr.DataArray | np.ndarray,
    *,
    ax: Axes | None = None,
    symmetric: bool = True,
    limit: float | None = None,
    label: str = "",
) -> Axes:
    """Draw a matrix, rows down and columns across, with its colour bar.

    Parameters
    ----------
    values : DataArray or ndarray (row, column)
        Rows are targets and columns are sources where that matters.
    symmetric : bool, default=True
        Centre the colours on 0.
    limit : float, optional
        End of the colour scale; the largest absolute value otherwise.
    label : str
        Text of the colour bar.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, width=4.0, height=3.4)
    array = np.asarray(values, dtype=float)
    limit = limit or float(np.nanmax(np.abs(array))) or 1.0
    low, colours = (-limit, "RdBu_r") if symmetric else (0.0, "viridis")
    image = ax.imshow(
        array, vmin=low, vmax=limit, cmap=colours, interpolation="nearest"
    )
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.85)
    if isinstance(values, xr.DataArray):
        ax.set_ylabel(str(values.dims[0]))
        ax.set_xlabel(str(values.dims[1]))
    return ax
