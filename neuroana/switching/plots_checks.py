"""Figures about whether a switching model is right: selection, ladder, residuals.

As in ``plots``: functions take results, return Axes and show nothing.
"""

import numpy as np

from neuroana.plot.axes import matrix, new_axes, state_colour
from neuroana.switching.plots import grid


MODEL_NAMES = {
    "one_state": "one state", "none": "no prior", "gaussian": "shared map",
    "one_hot": "shared edge types",
}  # fmt: skip


def plot_selection(table):
    """Held-out score, BIC and ICL, and stability against the number of states.

    Parameters
    ----------
    table : Dataset
        From ``select_n_states``.

    Returns
    -------
    array of Axes
        Left: held-out score, one thin line a fold. Middle: BIC and ICL above their
        own minimum. Right: agreement of starts and folds, and the rarest state.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, select_n_states, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=400, n_sequences=2, random_state=0)
    >>> model = HMMGLM(link="sigmoid", n_init=1, tol=1e-3, random_state=0)
    >>> len(plot_selection(select_n_states(model, data, [1, 2], cv=2)))
    3
    """
    axes = grid(3, width=3.6, height=3.2)
    k = table["n_states"].to_numpy()
    held_out = table["held_out"].transpose("n_states", "fold").to_numpy()
    axes[0].plot(k, held_out, color="0.7", lw=0.8)
    axes[0].plot(k, held_out.mean(axis=1), color=state_colour(0), marker="o", lw=1.8)
    axes[0].axvline(table.attrs["best_one_se"], color="0.4", ls=":", lw=1)
    axes[0].set_ylabel("held-out log p (nat / value)")
    for name, colour in (("bic", 1), ("icl", 2)):
        values = table[name].to_numpy()
        axes[1].plot(
            k, values - values.min(), marker="o", lw=1.6, color=state_colour(colour),
            label=f"{name.upper()} (smallest at {k[values.argmin()]})",
        )  # fmt: skip
    axes[1].set_ylabel("above the minimum (nat)")
    axes[1].legend(frameon=False, fontsize=8)
    shares = (
        ("starts agree (ARI)", table["start_agreement"].to_numpy()),
        ("folds agree (ARI)", table["fold_agreement"].mean("fold").to_numpy()),
        ("rarest state (share)", table["occupancy"].min("state").to_numpy()),
    )
    for place, (name, values) in enumerate(shares):
        axes[2].plot(k, values, marker="o", lw=1.6, color=state_colour(place + 3),
                     label=name)  # fmt: skip
    axes[2].set_ylim(-0.05, 1.05)
    axes[2].legend(frameon=False, fontsize=8)
    for ax in axes:
        ax.set_xticks(k)
        ax.set_xlabel("number of states")
        ax.spines[["top", "right"]].set_visible(False)
    return axes


def plot_ladder(ladder, *, ax=None):
    """Gain of each model over one state on held-out data, with intervals.

    Parameters
    ----------
    ladder : Dataset
        From ``fit_ladder``.
    ax : Axes, optional

    Returns
    -------
    Axes
        Dots are folds; the grey ones the same test data shifted in time.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, fit_ladder, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=400, n_sequences=4, random_state=0)
    >>> ladder = fit_ladder(
    ...     data, 2, estimator=HMMGLM(link="sigmoid", n_init=1, random_state=0),
    ...     rungs=["one_state", "none"], cv=2, n_null=2, random_state=0)
    >>> [t.get_text() for t in plot_ladder(ladder).get_xticklabels()]
    ['one state', 'no prior']
    """
    ax = new_axes(ax, width=1.4 + 1.3 * ladder.sizes["model"], height=3.4)
    names = [str(n) for n in ladder["model"].to_numpy()]
    mean = ladder["mean"].to_numpy()
    reach = np.abs([mean - ladder["mean_low"], ladder["mean_high"] - mean])
    place = np.arange(len(names))
    folds = ladder["score"].transpose("model", "fold").to_numpy()
    spread = np.linspace(-0.18, 0.18, folds.shape[1]) if folds.shape[1] > 1 else [0.0]
    ax.plot(place[:, None] + spread, folds, color="0.75", lw=0.6, zorder=1)
    ax.scatter(place[:, None] + spread, folds, s=12, color="0.45", zorder=2)
    if "null" in ladder:
        null = ladder["null"].mean("shift").transpose("model", "fold").to_numpy()
        ax.scatter(place[:, None] + spread, null, s=12, color="0.8", marker="s",
                   label="shifted in time")  # fmt: skip
        ax.legend(frameon=False, fontsize=8, loc="lower right")
    for i in place:
        ax.errorbar(i, mean[i], reach[:, i, None], fmt="o", ms=6, capsize=4, lw=1.6,
                    color=state_colour(int(i)), zorder=3)  # fmt: skip
    ax.set_xticks(place, [MODEL_NAMES.get(n, n) for n in names])
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_ylabel("held-out log p (nat / value)")
    return ax


def plot_checks(checks):
    """Predictive residuals: their histogram, and the largest distances by unit.

    Parameters
    ----------
    checks : Dataset
        From ``goodness_of_fit``.

    Returns
    -------
    array of Axes
        Left: density of the residuals, one line a unit; one where the model is right.
        Right: Kolmogorov-Smirnov distance of each unit, beside its 95 % bound.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, goodness_of_fit, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=400, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
    >>> len(plot_checks(goodness_of_fit(model, data, random_state=0)))
    2
    """
    axes = grid(2, width=4.2, height=3.2)
    density = checks["pit"].to_numpy()
    edge = checks["bin"].to_numpy()
    axes[0].plot(edge, density.T, color="0.75", lw=0.6)
    for k, row in enumerate(checks["pit_state"].to_numpy()):
        axes[0].plot(edge, row, color=state_colour(k), lw=1.8, label=f"state {k}")
    axes[0].axhline(1.0, color="0.2", lw=0.8, ls=":")
    axes[0].set_ylim(0, max(2.0, float(np.nanmax(density)) * 1.05))
    axes[0].set_xlim(0, 1)
    axes[0].set_xlabel("predictive residual u")
    axes[0].set_ylabel("density")
    axes[0].legend(frameon=False, fontsize=8)
    kinds = [("pit", "one step")]
    if "rescaled_ks" in checks:
        kinds.append(("rescaled", "time rescaling"))
    for place, (name, label) in enumerate(kinds):
        distance = checks[f"{name}_ks"].to_numpy()
        bad = checks[f"{name}_p"].to_numpy() < 0.05 / len(distance)
        units = np.arange(len(distance)) + 0.15 * (2 * place - 1)
        axes[1].scatter(units, distance, s=16, color=state_colour(place), label=label)
        axes[1].scatter(units[bad], distance[bad], s=60, facecolors="none",
                        edgecolors=state_colour(place))  # fmt: skip
    axes[1].set_ylim(0, None)
    axes[1].set_xlabel(str(checks["pit_ks"].dims[0]))
    axes[1].set_ylabel("distance to the model")
    axes[1].legend(
        frameon=False, fontsize=8, title="ringed: rejected", title_fontsize=8
    )
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return axes


def plot_event_locked(found, *, ax=None):
    """Probability of each state around events, beside its overall mean.

    Parameters
    ----------
    found : Dataset
        From ``event_locked_states``.
    ax : Axes, optional

    Returns
    -------
    Axes
        Bands are standard errors over events; dotted lines the mean at random times.

    Examples
    --------
    >>> import xarray as xr
    >>> from neuroana.switching import event_locked_states
    >>> time = np.arange(400) * 0.1
    >>> on = ((time % 5) < 1).astype(float)
    >>> posterior = xr.DataArray(np.c_[1 - on, on], dims=("time", "state"),
    ...                          coords={"time": time, "state": [0, 1]})
    >>> found = event_locked_states(posterior, np.arange(5, 35, 5.0), random_state=0)
    >>> plot_event_locked(found).get_xlabel()
    'time from the event (s)'
    """
    ax = new_axes(ax, width=5.0, height=3.2)
    lag = found["lag"].to_numpy()
    for k in found["state"].to_numpy():
        row = found.sel(state=k)
        mean, sem = row["probability"].to_numpy(), row["sem"].to_numpy()
        colour = state_colour(int(k))
        ax.fill_between(lag, mean - sem, mean + sem, color=colour, alpha=0.25, lw=0)
        ax.plot(lag, mean, color=colour, lw=1.8,
                label=f"state {k} (p = {float(row['p']):.2g})")  # fmt: skip
        ax.axhline(float(row["null_mean"]), color=colour, lw=0.8, ls=":")
    ax.axvline(0, color="0.3", lw=0.8)
    ax.set_xlabel("time from the event (s)")
    ax.set_ylabel("probability")
    ax.set_ylim(0, 1)
    ax.legend(frameon=False, fontsize=8)
    ax.set_title(f"{found.attrs['n_events']} events", fontsize=9)
    return ax


def plot_label_table(found, *, ax=None):
    """Share of each state's samples under every label.

    Parameters
    ----------
    found : Dataset
        From ``compare_with_labels``.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from neuroana.switching import compare_with_labels
    >>> path = np.repeat(np.random.default_rng(0).integers(2, size=50), 10)
    >>> found = compare_with_labels(path, path, n_null=99, random_state=0)
    >>> plot_label_table(found).get_title()[:8]
    'ARI 1.00'
    """
    table = found["table"].astype(float)
    share = table / table.sum("label")
    ax = new_axes(ax, width=1.6 + 0.8 * table.sizes["label"], height=3.2)
    matrix(share, ax=ax, symmetric=False, limit=1.0, label="share of the state")
    for (i, j), value in np.ndenumerate(share.to_numpy()):
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8,
                color="white" if value < 0.6 else "black")  # fmt: skip
    ax.set_xticks(range(table.sizes["label"]), table["label"].to_numpy())
    ax.set_yticks(range(table.sizes["state"]))
    ax.set_title(
        f"ARI {float(found['ari']):.2f} (moved in time: "
        f"{float(found['ari_null'].mean()):.2f}, p = {float(found['ari_p']):.2g})",
        fontsize=9,
    )
    return ax
