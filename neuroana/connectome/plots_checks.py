"""Figures that say whether to believe a factorization: rank, restarts, surrogates."""

import numpy as np

from neuroana.core.checks import check_choice
from neuroana.plot.axes import new_axes, state_colour


def plot_rank(selector):
    """Every criterion over the rank, the chosen rank marked.

    Parameters
    ----------
    selector : fitted RankSelector

    Returns
    -------
    array of Axes

    Examples
    --------
    >>> from neuroana.connectome import RankSelector, plot_rank, simulate_tensor
    >>> tensor, _ = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
    >>> found = RankSelector([1, 2], n_init=2, n_folds=2, random_state=0).fit(tensor)
    >>> [ax.get_ylabel() for ax in plot_rank(found)]
    ['error', 'stability', 'corcondia', 'cv']
    """
    from matplotlib.figure import Figure

    table = selector.table_
    names = table["criterion"].values.tolist()
    figure = Figure(figsize=(3.0 * len(names), 2.8), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(names)))
    for ax, name in zip(axes, names):
        values = table.sel(criterion=name)
        mean = values.mean("fold")
        spread = values.std("fold", ddof=1) / np.sqrt(table.sizes["fold"])
        ax.errorbar(table["rank"], mean, spread, color="0.2", marker="o", ms=4, lw=1)
        ax.axvline(selector.rank_, color=state_colour(5), lw=1, ls="--")
        ax.set_xlabel("rank")
        ax.set_ylabel(name)
        ax.spines[["top", "right"]].set_visible(False)
        if name == "corcondia":
            ax.set_ylim(max(float(mean.min()), -100.0) - 5, 105)
    return axes


def plot_restarts(model, *, ax=None):
    """Likeness of every restart to the best one, component by component.

    Parameters
    ----------
    model : fitted NonNegativeCP
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from neuroana.connectome import NonNegativeCP, plot_restarts, simulate_tensor
    >>> tensor, _ = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
    >>> model = NonNegativeCP(2, n_init=3, random_state=0).fit(tensor)
    >>> plot_restarts(model).get_ylabel()
    'component'
    """
    ax = new_axes(ax, width=6.0, height=2.6)
    order = np.argsort(model.loss_.values, kind="stable")
    values = model.likeness_.to_numpy()[order].T
    image = ax.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto",
                      interpolation="nearest")  # fmt: skip
    ax.set_yticks(np.arange(len(values)), model.component.values, fontsize=7)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("restart, best first")
    ax.set_ylabel("component")
    ax.figure.colorbar(image, ax=ax, label="likeness")
    return ax


def plot_null(result, statistic="motifs", *, ax=None):
    """The statistic of surrogates, and that of the data as lines.

    Parameters
    ----------
    result : Dataset
        From :meth:`DynamicConnectome.null` or :func:`null_test`.
    statistic : {"motifs", "communities"}
        What all motifs explain, one line; or what the communities of each motif save,
        a line each, against the largest saving of every surrogate.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import xarray as xr
    >>> result = xr.Dataset({"null": ("draw", np.arange(5.0)), "observed": 7.0},
    ...                     attrs={"statistic": "explained variance"})
    >>> plot_null(result).get_xlabel()
    'explained variance'
    """
    check_choice("statistic", statistic, ["motifs", "communities"])
    ax = new_axes(ax, width=5.0, height=2.8)
    name = str(result.attrs.get("statistic", "statistic"))
    null, data = result["null"].to_numpy(), np.atleast_1d(result["observed"])
    if statistic == "communities":
        name = "nats that communities save"
        null, data = result["null_gap"].to_numpy(), result["gap"].to_numpy()
    ax.hist(null, bins=min(30, max(5, len(null) // 4)), color="0.75")
    for number, value in enumerate(data):
        ax.axvline(float(value), color=state_colour(5), lw=2 if len(data) == 1 else 1,
                   label=None if number else "data")  # fmt: skip
    ax.set_xlabel(name)
    ax.set_ylabel("surrogates")
    ax.legend(frameon=False, fontsize=8)
    return ax
