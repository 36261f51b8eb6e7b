"""Figures of attribution: the scalp in every band, and the lags."""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_names
from neuroana.plot.axes import new_axes, state_colour


LEVEL = 0.05
FEWEST = 4  # electrodes that make a map


def plot_attribution(attribution: xr.DataArray, roi: str):
    """Scalp maps of every band, and the course over lags, of one region.

    Cells that are not significant are greyed: electrodes without a ring, bands and
    lags without a dot.

    Parameters
    ----------
    attribution : DataArray (roi, channel, band, lag)
        From :func:`pattern_attribution` or :func:`gradient_attribution`.
    roi : str

    Returns
    -------
    ndarray of Axes (band + 1,)

    Examples
    --------
    >>> from neuroana.eeg2fmri import pattern_attribution, simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(4, n_volumes=250, channels=("FZ", "CZ", "C3", "OZ"),
    ...                             random_state=0)
    >>> found = pattern_attribution(runs[:3], runs[3:], n_shifts=19)
    >>> plot_attribution(found, "alpha")[-1].get_xlabel()
    'lag (s)'
    """
    check_names("roi", [roi], [str(r) for r in attribution["roi"].to_numpy()])
    part = attribution.sel(roi=roi)
    bands = [str(b) for b in part["band"].to_numpy()]
    figure = new_axes(width=2.0 * len(bands) + 3.5, height=2.6).figure
    figure.clear()
    axes = figure.subplots(1, len(bands) + 1, width_ratios=[2.0] * len(bands) + [3.2])
    if not bool(part["predicted"]):
        for ax in axes:
            ax.set_axis_off()
        figure.suptitle(f"{roi}: not predicted, no attribution", fontsize=10)
        return axes
    size = np.abs(part)
    best = part.isel(lag=int(size.max(("channel", "band")).argmax("lag")))
    limit = float(np.abs(best).max()) or 1.0
    for ax, band in zip(axes, bands):
        cells = best.sel(band=band)
        sure = (cells["p"] < LEVEL).to_numpy()
        scalp(ax, cells, sure, limit)
        colour = "k" if sure.any() else "0.6"
        ax.set_title(band, fontsize=9, color=colour)
    top = size.max(("band", "lag"))
    channel = str(part["channel"].to_numpy()[int(top.argmax("channel"))])
    for k, band in enumerate(bands):
        course = part.sel(channel=channel, band=band)
        sure = (course["p"] < LEVEL).to_numpy()
        colour = state_colour(k) if sure.any() else "0.8"
        axes[-1].plot(part["lag"], course, color=colour, lw=1.2, label=band)
        axes[-1].plot(part["lag"][sure], course[sure], ".", color=colour)
    axes[-1].axhline(0, color="0.8", lw=0.8)
    axes[-1].spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("lag (s)")
    axes[-1].set_title(f"at {channel}", fontsize=9)
    axes[-1].legend(fontsize=7, frameon=False, loc="center left",
                    bbox_to_anchor=(1.0, 0.5))  # fmt: skip
    lag = float(best["lag"])
    figure.suptitle(
        f"{roi}: {attribution.attrs.get('method', '')} {lag:g} s before the volume, "
        f"R {float(part['r']):.2f}", fontsize=10,
    )  # fmt: skip
    return axes


def scalp(ax, cells: xr.DataArray, sure: np.ndarray, limit: float) -> None:
    """One map; bars where there are too few electrodes for one."""
    values = cells.to_numpy()
    names = [str(c) for c in cells["channel"].to_numpy()]
    if len(names) < FEWEST:
        ax.bar(names, values, color=np.where(sure, state_colour(0), "0.8"))
        ax.set_ylim(-limit, limit)
        return
    import mne

    info = mne.create_info(names, 200.0, "eeg")
    with mne.use_log_level("ERROR"):
        info.set_montage("standard_1005", match_case=False, on_missing="ignore")
        mne.viz.plot_topomap(
            values, info, axes=ax, show=False, sensors=True, contours=0, cmap="RdBu_r",
            vlim=(-limit, limit), mask=sure, extrapolate="head",
            mask_params={"marker": "o", "markersize": 5, "markerfacecolor": "none",
                         "markeredgecolor": "k"},
        )  # fmt: skip


def plot_groups(groups: xr.Dataset, roi: str, *, kind: str = "channel", ax=None):
    """What one channel, band or lag is worth: alone, left out, or exchanged.

    Parameters
    ----------
    groups : Dataset
        From :func:`refit_attribution` or :func:`permutation_attribution`.
    roi : str
    kind : {'channel', 'band', 'lag'}
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> ds = xr.Dataset({"fall_band": (("roi", "band"), [[0.1, 0.2]]),
    ...                  "p_fall_band": (("roi", "band"), [[0.5, 0.01]])},
    ...                 coords={"roi": ["a"], "band": ["theta", "alpha"],
    ...                         "r": ("roi", [0.4])})
    >>> plot_groups(ds, "a", kind="band").get_ylabel()
    'R'
    """
    check_choice("kind", kind, ("channel", "band", "lag"))
    check_names("roi", [roi], [str(r) for r in groups["roi"].to_numpy()])
    part = groups.sel(roi=roi)
    names = [f"{n:g}" if kind == "lag" else str(n) for n in part[kind].to_numpy()]
    shown = [
        (f"{way}_{kind}", label)
        for way, label in (
            ("only", "alone"), ("drop", "all but it"), ("fall", "fall when exchanged"),
        )
        if f"{way}_{kind}" in part
    ]  # fmt: skip
    ax = new_axes(ax, width=max(4.5, 1.8 + 0.4 * len(names)), height=2.8)
    x = np.arange(len(names))
    width = 0.8 / len(shown)
    for k, (name, label) in enumerate(shown):
        values = part[name].to_numpy()
        at = x + width * (k - (len(shown) - 1) / 2)
        bars = ax.bar(at, values, 0.9 * width, color=state_colour(k))
        ax.bar([], [], color=state_colour(k), label=label)  # the legend's own
        if f"p_{name}" in part:
            for bar, p in zip(bars, part[f"p_{name}"].to_numpy()):
                if not p < LEVEL:
                    bar.set_color("0.85")
    ax.axhline(float(part["r"]), color="0.4", lw=0.8, ls="--", label="R of all")
    ax.axhline(0, color="0.6", lw=0.8)
    ax.set_xticks(x, names, rotation=90 if len(names) > 12 else 0)
    ax.set_title(f"{roi}; grey: not significant", fontsize=9)
    ax.set_xlabel("lag (s)" if kind == "lag" else kind)
    ax.set_ylabel("R")
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
