"""Figures of what can be claimed: chance, controls, confounds, connectivity, clocks."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_names
from neuroana.eeg2fmri.statistics import spans_of
from neuroana.learn.series_tests import phase_test
from neuroana.plot.axes import matrix, new_axes, state_colour


def plot_regions(statistics: pd.DataFrame, *, model=None, ceilings=None, ax=None):
    """R of every region in order, with its interval, chance, controls and ceilings.

    Parameters
    ----------
    statistics : DataFrame
        From :func:`region_statistics`.
    model : str, optional
        The first by default.
    ceilings : DataFrame, optional
        From :func:`region_ceilings`.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "roi": ["a", "b"], "control": False,
    ...     "r": [0.2, 0.5], "low": 0.1, "high": 0.6, "n_eff": 90.0, "p_family": 0.01,
    ...     "n_volumes": 200})
    >>> [t.get_text() for t in plot_regions(table).get_xticklabels()]
    ['b', 'a']
    """
    model, table = one_model(statistics, model)
    table = table.sort_values("r", ascending=False)
    ax = new_axes(ax, width=max(5.0, 1.5 + 0.22 * len(table)), height=3.2)
    x, r = np.arange(len(table)), table["r"].to_numpy()
    band = np.tanh(1.96 / np.sqrt(np.maximum(table["n_eff"].to_numpy() - 3, 1.0)))
    ax.fill_between(
        x, -band, band, step="mid", color="0.88", lw=0, label="chance, 95 %"
    )
    known = (table["p_family"].to_numpy() < 0.05) & (r > 0)
    control = table["control"].to_numpy(dtype=bool)
    for own, colour, face, name in (
        (known & ~control, state_colour(0), state_colour(0), "p < 0.05 family-wise"),
        (~known & ~control, "0.5", "white", "not above chance"),
        (control, state_colour(5), state_colour(5), "control region"),
    ):
        if own.any():
            ax.vlines(x[own], table["low"][own], table["high"][own], color=colour, lw=1)
            ax.plot(x[own], r[own], "o", ms=5, color=colour, mfc=face, label=name)
    if ceilings is not None:
        bound = ceilings[ceilings["bound"]].groupby("roi")["ceiling"].min()
        top = table["roi"].map(bound).to_numpy(dtype=float)
        ax.plot(x, top, "_", ms=9, color="k", label="ceiling")
    ax.axhline(0.0, color="0.7", lw=0.8, zorder=0)
    ax.set_xticks(x, table["roi"], rotation=90 if len(table) > 8 else 0)
    n = int(table["n_volumes"].median())
    ax.set_title(
        f"{model}: {n} volumes, {table['n_eff'].median():.0f} independent", fontsize=10
    )
    ax.set_ylabel("R")
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def one_model(table: pd.DataFrame, model: str | None):
    """Rows of one model, the first if none is named."""
    every = list(dict.fromkeys(table["model"]))
    name = every[0] if model is None else check_names("model", [model], every)[0]
    return name, table[table["model"] == name]


def plot_specific(statistics: pd.DataFrame, *, model=None, ax=None):
    """R against R without the global signal: what is specific to a region.

    Parameters
    ----------
    statistics : DataFrame
        From :func:`region_statistics`.
    model : str, optional
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "roi": ["a"], "control": False, "r": 0.5,
    ...                       "r_specific": 0.1, "p_specific": 0.5})
    >>> plot_specific(table).get_xlabel()
    'R'
    """
    model, table = one_model(statistics, model)
    ax = new_axes(ax, width=3.8, height=3.4)
    known = table["p_specific"].to_numpy() < 0.05
    control = table["control"].to_numpy(dtype=bool)
    for own, style in (
        (known & ~control, {"color": state_colour(0)}),
        (~known & ~control, {"color": "0.5", "mfc": "white"}),
        (control, {"color": state_colour(5)}),
    ):
        ax.plot(table["r"][own], table["r_specific"][own], "o", ms=5, **style)
    both = np.append(table[["r", "r_specific"]].to_numpy().ravel(), 0.0)
    ends = [np.nanmin(both) - 0.03, np.nanmax(both) + 0.03]
    ax.plot(ends, ends, color="0.8", lw=0.8, zorder=0)
    ax.axhline(0.0, color="0.8", lw=0.8, zorder=0)
    if len(table) <= 12:
        for row in table.itertuples():
            ax.annotate(row.roi, (row.r, row.r_specific), fontsize=7,
                        xytext=(4, 2), textcoords="offset points")  # fmt: skip
    ax.set_title(model, fontsize=10)
    ax.set_xlabel("R")
    ax.set_ylabel("R without the global signal")
    return ax


def plot_null(predictions, roi, *, model=None, n_surrogates=1000, random_state=0,
              ax=None):  # fmt: skip
    """R of truths with random phases, and the R that was found.

    Parameters
    ----------
    predictions : Dataset
        From :func:`compare_models`.
    roi : str
    model : str, optional
    n_surrogates : int
    random_state : int
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> truth = np.random.default_rng(0).standard_normal((80, 1))
    >>> ds = xr.Dataset(
    ...     {"prediction": (("model", "volume", "roi"), truth[None]),
    ...      "truth": (("volume", "roi"), truth)},
    ...     coords={"model": ["m"], "roi": ["a"], "fold": ("volume", [0] * 80),
    ...             "label": ("volume", ["x"] * 80)})
    >>> plot_null(ds, "a", n_surrogates=99).get_xlabel()
    'R'
    """
    every = [str(m) for m in predictions["model"].to_numpy()]
    model = every[0] if model is None else check_names("model", [model], every)[0]
    rois = [str(r) for r in predictions["roi"].to_numpy()]
    at = rois.index(check_names("roi", [roi], rois)[0])
    spans, _ = spans_of(predictions, model)
    found = phase_test(spans, n_surrogates, seed=random_state)
    ax = new_axes(ax, width=4.5, height=2.6)
    ax.hist(np.tanh(found.null[:, at]), bins=30, color="0.75")
    ax.axvline(found.r[at], color=state_colour(5), lw=2)
    n = int(np.isfinite(predictions["truth"].to_numpy()[:, at]).sum())
    ax.set_title(
        f"{roi}, {model}: R {found.r[at]:.2f}, {n} volumes, "
        f"{found.n_eff[at]:.0f} independent, p {found.p[at]:.3f}", fontsize=9,
    )  # fmt: skip
    ax.set_xlabel("R")
    ax.set_ylabel("surrogates")
    return ax


def plot_lags(lagged: xr.DataArray, *, model=None, rois=None, ax=None):
    """R with the prediction moved against the truth; the peak must be at 0.

    Parameters
    ----------
    lagged : DataArray (model, lag, roi)
        From :func:`lagged_correlations`.
    model : str, optional
    rois : sequence of str, optional
        The first ten by default.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> lagged = xr.DataArray(np.ones((1, 3, 1)), dims=("model", "lag", "roi"),
    ...     coords={"model": ["m"], "lag": [-1, 0, 1], "roi": ["a"]})
    >>> plot_lags(lagged).get_xlabel()
    'lag (volumes)'
    """
    every = [str(m) for m in lagged["model"].to_numpy()]
    model = every[0] if model is None else check_names("model", [model], every)[0]
    names = [str(r) for r in lagged["roi"].to_numpy()]
    rois = check_names("roi", rois, names) if rois else names[:10]
    ax = new_axes(ax, width=4.8, height=2.8)
    ax.axvline(0, color="0.8", lw=0.8)
    ax.axhline(0, color="0.8", lw=0.8)
    for k, roi in enumerate(rois):
        course = lagged.sel(model=model, roi=roi)
        ax.plot(lagged["lag"], course, marker=".", color=state_colour(k), label=roi)
    ax.set_title(model, fontsize=10)
    ax.set_xlabel("lag (volumes)")
    ax.set_ylabel("R")
    ax.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_confounds(audit: pd.DataFrame, *, model=None, ax=None):
    """R of a model, of confounds alone, and of the model without them.

    Parameters
    ----------
    audit : DataFrame
        From :func:`confound_audit`.
    model : str, optional
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> table = pd.DataFrame({"model": "m", "roi": ["a"], "r": 0.5, "r_confounds": 0.1,
    ...                       "r_left": 0.48, "share": 0.08, "warning": False})
    >>> len(plot_confounds(table).containers)
    3
    """
    model, table = one_model(audit, model)
    ax = new_axes(ax, width=max(4.5, 2.0 + 0.4 * len(table)), height=2.8)
    x = np.arange(len(table))
    for k, (column, label) in enumerate(
        (("r", model), ("r_confounds", "confounds alone"), ("r_left", "without them"))
    ):
        colour = state_colour((0, 5, 2)[k])
        ax.bar(x + 0.27 * (k - 1), table[column], 0.25, color=colour, label=label)
    for place, row in zip(x, table.itertuples()):
        if row.warning:
            ax.annotate("!", (place, max(row.r, row.r_confounds) + 0.01), ha="center",
                        color=state_colour(5), weight="bold")  # fmt: skip
    ax.axhline(0, color="0.6", lw=0.8)
    ax.set_xticks(x, table["roi"], rotation=90 if len(table) > 8 else 0)
    ax.set_ylabel("R")
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_connectivity(connectivity: xr.Dataset, *, model=None, run=None):
    """Measured and predicted connectivity, their difference, and the mean of others.

    Parameters
    ----------
    connectivity : Dataset
        From :func:`predicted_connectivity`.
    model, run : str, optional
        The first by default.

    Returns
    -------
    ndarray of Axes (4,)

    Examples
    --------
    >>> square = (("run", "source", "target"), np.ones((1, 2, 2)))
    >>> ds = xr.Dataset(
    ...     {"true": square, "others": square,
    ...      "predicted": (("model", *square[0]), square[1][None])},
    ...     coords={"model": ["m"], "run": ["x"]})
    >>> [ax.get_title() for ax in plot_connectivity(ds)][:2]
    ['measured, x', 'predicted, m']
    """
    models = [str(m) for m in connectivity["model"].to_numpy()]
    runs = [str(r) for r in connectivity["run"].to_numpy()]
    model = models[0] if model is None else check_names("model", [model], models)[0]
    run = runs[0] if run is None else check_names("run", [run], runs)[0]
    figure = new_axes(width=13.0, height=3.2).figure
    figure.clear()
    axes = figure.subplots(1, 4)
    part = connectivity.sel(run=run)
    made = part["predicted"].sel(model=model)
    for ax, values, title in zip(
        axes,
        (part["true"], made, made - part["true"], part["others"]),
        (f"measured, {run}", f"predicted, {model}", "predicted less measured",
         "mean of others"),
    ):  # fmt: skip
        matrix(values, ax=ax, limit=1.0, label="R")
        ax.set_title(title, fontsize=8)
        ax.set_xlabel("region")
        ax.set_ylabel("")
        ax.locator_params(integer=True)
    axes[0].set_ylabel("region")
    return axes


def plot_calibration(coverage: pd.DataFrame, *, ax=None):
    """Share of volumes inside intervals against the level that they promise.

    Parameters
    ----------
    coverage : DataFrame
        From :func:`interval_coverage`.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> table = pd.DataFrame({"level": [0.5, 0.9], "run": "x", "roi": "a",
    ...                       "coverage": [0.52, 0.88]})
    >>> plot_calibration(table).get_ylabel()
    'volumes inside'
    """
    ax = new_axes(ax, width=3.8, height=3.4)
    ax.plot([0, 1], [0, 1], color="0.8", lw=0.8)
    by_run = coverage.groupby(["level", "run"])["coverage"].mean().unstack()
    ax.plot(by_run.index, by_run, ".", color="0.6", ms=4)
    mean = coverage.groupby("level")["coverage"].mean()
    ax.plot(mean.index, mean, "o-", color=state_colour(0), ms=4)
    low = min(coverage["level"].min(), coverage["coverage"].min()) - 0.05
    ax.set_xlim(max(low, 0), 1)
    ax.set_ylim(max(low, 0), 1)
    ax.set_title("dots: runs; line: their mean", fontsize=9)
    ax.set_xlabel("level of the interval")
    ax.set_ylabel("volumes inside")
    return ax


def plot_triggers(audit: Any, *, ax=None):
    """Time between volume triggers, with the volumes whose trigger was missing.

    Parameters
    ----------
    audit : TriggerAudit
        From :func:`audit_triggers`.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from neuroana.eeg2fmri import audit_triggers
    >>> table = pd.DataFrame({"onset": [0.0, 2.1, 6.3, 8.4], "trial_type": "R149"})
    >>> found = audit_triggers(table, "R149", sampling_rate=200.0, n_volumes=5)
    >>> plot_triggers(found).get_ylabel()
    'interval less TR (ms)'
    """
    ax = new_axes(ax, width=7.0, height=2.4)
    off = 1e3 * (np.diff(audit.onsets) - audit.tr)
    ax.axhline(0, color="0.8", lw=0.8)
    ax.plot(audit.onsets[1:], off, ".", ms=3, color=state_colour(0))
    for k, volume in enumerate(audit.restored):
        ax.axvline(audit.onsets[volume], color=state_colour(5), lw=1,
                   label="put back" if k == 0 else None)  # fmt: skip
    edge = max(1.0, 1.2 * float(np.abs(off).max(initial=0.0)))
    ax.set_ylim(-edge, edge)
    ax.set_title(
        f"{len(audit.onsets)} volumes, TR {audit.tr:.4f} s, {len(audit.restored)} "
        f"put back", fontsize=10,
    )  # fmt: skip
    ax.set_xlabel("time (s)")
    ax.set_ylabel("interval less TR (ms)")
    if audit.restored:
        ax.legend(fontsize=8, frameon=False)
    return ax


def plot_brain(statistics: pd.DataFrame, atlas: Any, *, model=None, labels=None,
               value="r"):  # fmt: skip
    """R of every region on the brain, seen through from three sides.

    Parameters
    ----------
    statistics : DataFrame
        From :func:`region_statistics`.
    atlas : path or image
        That the regions were extracted with.
    model : str, optional
    labels : dict of str to int, optional
        As for :func:`to_nifti`.
    value : str, default='r'
        Column to draw.

    Returns
    -------
    ndarray of Axes (3,)

    Examples
    --------
    >>> import nibabel
    >>> grid = np.zeros((20, 24, 20), dtype=np.int16)
    >>> grid[5:9, 8:12, 8:12], grid[12:16, 8:12, 8:12] = 1, 2
    >>> affine = np.diag([8.0, 8.0, 8.0, 1.0])
    >>> affine[:3, 3] = [-80, -110, -70]
    >>> table = pd.DataFrame({"model": "m", "roi": ["a", "b"], "r": [0.4, -0.1]})
    >>> len(plot_brain(table, nibabel.Nifti1Image(grid, affine)))
    3
    """
    from nilearn.plotting import plot_glass_brain

    from neuroana.eeg2fmri.brain import to_nifti

    model, table = one_model(statistics, model)
    rois = table["roi"].to_numpy(dtype=object)
    values = xr.DataArray(
        table[value].to_numpy(float), dims="roi", coords={"roi": rois}
    )
    image = to_nifti(values, atlas, labels=labels)
    figure = new_axes(width=8.0, height=2.8).figure
    figure.clear()
    limit = float(np.nanmax(np.abs(values))) or 1.0
    shown = plot_glass_brain(
        image, figure=figure, display_mode="ortho", colorbar=True, plot_abs=False,
        cmap="RdBu_r", vmin=-limit, vmax=limit, title=f"{value}, {model}",
    )  # fmt: skip
    return np.array([cut.ax for cut in shown.axes.values()], dtype=object)
