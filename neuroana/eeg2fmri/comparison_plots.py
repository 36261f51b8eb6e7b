"""Figures of a comparison: all models by region, and how a network learned."""

import numpy as np
import pandas as pd

from neuroana.core.checks import check_choice, check_names
from neuroana.eeg2fmri.scores import summary
from neuroana.plot.axes import new_axes, state_colour


MOST_REGIONS = 30  # of which single names can be read


def plot_models(scores: pd.DataFrame, *, rois=None, ax=None):
    """R of every model and region: a dot a run, a bar for the mean.

    Parameters
    ----------
    scores : DataFrame
        From :func:`region_scores`.
    rois : sequence of str, optional
        Which regions, in this order; the first 30 by default.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> table = pd.DataFrame({"model": "ridge", "roi": "a", "r": [0.2, 0.4], "mse": 1.0,
    ...                       "mse_constant": 2.0, "n_volumes": [50, 50], "label": "q"})
    >>> plot_models(table).get_ylabel()
    'R'
    """
    every = list(dict.fromkeys(scores["roi"]))
    rois = check_names("region", rois, every) if rois else every[:MOST_REGIONS]
    known = scores[scores["r"].notna()]
    names = list(dict.fromkeys(known["model"]))
    ax = new_axes(ax, width=max(6.0, 1.2 + 0.16 * len(rois) * len(names)), height=3.2)
    mean = summary(known).set_index(["model", "roi"])["r"]
    step = 0.8 / max(len(names), 1)
    for m, name in enumerate(names):
        colour = state_colour(m)
        for r, roi in enumerate(rois):
            x = r + (m - (len(names) - 1) / 2) * step
            own = known.loc[(known["model"] == name) & (known["roi"] == roi), "r"]
            ax.plot(np.full(len(own), x), own, ".", color=colour, alpha=0.35, ms=4)
            if (name, roi) in mean.index:
                about = {"color": colour, "lw": 2.5, "label": name if r == 0 else None}
                ax.plot(
                    [x - 0.4 * step, x + 0.4 * step], [mean[name, roi]] * 2, **about
                )
    ax.axhline(0.0, color="0.7", lw=0.8, zorder=0)
    ax.set_xticks(range(len(rois)), rois, rotation=30 if len(rois) > 6 else 0)
    ax.set_xlim(-0.6, len(rois) - 0.4)
    ax.set_ylabel("R")
    ax.legend(fontsize=7, ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5),
              frameon=False)  # fmt: skip
    return ax


def plot_history(model, *, metric="val_mse", ax=None):
    """How a score changed over the epochs, and which epoch was kept.

    Parameters
    ----------
    model : fitted EEGToFMRI or SpectralConvNet
    metric : {'val_mse', 'val_r', 'train_loss'}
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from neuroana.eeg2fmri import SpectralConvNet, simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=150, random_state=0)
    >>> model = SpectralConvNet(epochs=2, random_state=0).fit(runs)
    >>> plot_history(model).get_xlabel()
    'epoch'
    """
    there = model.history_["metric"].values.tolist()
    check_choice("metric", metric, there)
    ax = new_axes(ax, width=5.0, height=2.6)
    course = model.history_.sel(metric=metric)
    ax.plot(course["epoch"], course, color=state_colour(0), marker=".")
    ax.axvline(model.best_epoch_, color="0.5", lw=0.8, ls="--")
    ax.annotate("kept", (model.best_epoch_, 1.0), xycoords=("data", "axes fraction"),
                fontsize=8, ha="left", va="top", xytext=(3, 0),
                textcoords="offset points")  # fmt: skip
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("epoch")
    ax.set_ylabel(metric.replace("_", " "))
    return ax


def plot_prediction(predictions, *, models=None, label=None, roi=None, ax=None):
    """Measured and predicted course of one region in one run.

    Parameters
    ----------
    predictions : Dataset
        From :func:`compare_models`.
    models : sequence of str, optional
        Which; the first by default.
    label : str, optional
        Run; the first by default.
    roi : str, optional
        Region; the first by default.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from neuroana.eeg2fmri import BandPowerRidge, compare_models, simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=120, random_state=0)
    >>> made = compare_models(runs, BandPowerRidge(), n_splits=2)
    >>> len(plot_prediction(made).lines)
    2
    """
    every = [str(m) for m in predictions["model"].values]
    models = check_names("model", models, every) if models else every[:1]
    labels = predictions["label"].values
    label = str(labels[0]) if label is None else label
    roi = str(predictions["roi"].values[0]) if roi is None else roi
    at = np.flatnonzero(labels == label)
    at = at[np.argsort(predictions["time"].values[at])]
    part = predictions.isel(volume=at).sel(roi=roi)
    ax = new_axes(ax, width=8.0, height=2.6)
    ax.plot(part["time"], part["truth"], color="0.2", lw=1.0, label="measured")
    for m, name in enumerate(models):
        ax.plot(part["time"], part["prediction"].sel(model=name), lw=1.2,
                color=state_colour(m), label=name)  # fmt: skip
    ax.set_title(f"{roi}, {label}, {len(at)} volumes", fontsize=10)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("BOLD")
    ax.legend(fontsize=8, frameon=False, ncols=3)
    return ax
