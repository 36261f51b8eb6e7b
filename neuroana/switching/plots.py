"""Figures of switching models: take results, return Axes, show nothing."""

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError
from neuroana.plot.axes import matrix, new_axes, state_colour, traces


def grid(n, *, width, height, columns=4):
    """Axes of a new figure in rows of at most `columns`, the spare ones off."""
    from matplotlib.figure import Figure

    columns = min(n, columns)
    rows = -(-n // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for ax in axes[n:]:
        ax.set_axis_off()
    return axes[:n]


def plot_states(posterior, signal=None, *, ax=None, events=None):
    """Probability of each state over time, as a ribbon under the signal.

    Parameters
    ----------
    posterior : DataArray (time, state)
        From ``predict_proba`` or ``filter_proba``.
    signal : recording or DataArray (time, unit), optional
        Drawn above the ribbon.
    ax : Axes, optional
    events : sequence of float, optional
        Times in seconds that are marked.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=300, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
    >>> ax = plot_states(model.predict_proba(data[0]), data[0])
    >>> ax.get_xlabel()
    'time (s)'
    """
    time = posterior["time"].to_numpy()
    share = posterior.transpose("time", "state").to_numpy()
    low, high = 0.0, 1.0
    if signal is None:
        ax = new_axes(ax, height=1.6)
        ax.set_yticks([0, 1])
        ax.set_ylabel("probability")
    else:
        signal = signal["signal"] if isinstance(signal, xr.Dataset) else signal
        ax = traces(signal, ax=ax)
        bottom = ax.get_ylim()[0]
        size = max(1.5, -bottom / 5)
        low, high = bottom - size, bottom - 0.2
    layers = low + (high - low) * np.cumsum(share, axis=1)
    below = np.full(len(time), low)
    for k in range(share.shape[1]):
        ax.fill_between(
            time, below, layers[:, k], color=state_colour(k), lw=0, step="mid",
            label=f"state {k}",
        )  # fmt: skip
        below = layers[:, k]
    for onset in [] if events is None else events:
        ax.axvline(onset, color="0.2", lw=0.6, ls=":")
    ax.set_ylim(low, ax.get_ylim()[1] if signal is not None else high)
    ax.set_xlim(time[0], time[-1])
    ax.set_xlabel("time (s)")
    handles = [h for h in ax.collections if h.get_label().startswith("state ")]
    ax.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), frameon=False,
        ncols=min(len(handles), 10), fontsize=8,
    )  # fmt: skip
    return ax


def plot_coupling(coupling):
    """Couplings of every state as matrices on one symmetric colour scale.

    Parameters
    ----------
    coupling : fitted HMMGLM, or DataArray (state, unit, source[, basis])
        Basis functions are summed: kernels of sum one make this the total drive.

    Returns
    -------
    array of Axes
        One a state; rows are targets, columns are sources.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=300, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
    >>> [ax.get_title() for ax in plot_coupling(model)]
    ['state 0', 'state 1']
    """
    coupling = getattr(coupling, "coupling_", coupling)
    if "basis" in coupling.dims:
        coupling = coupling.sum("basis")
    limit = float(np.nanmax(np.abs(coupling.to_numpy()))) or 1.0
    axes = grid(coupling.sizes["state"], width=3.4, height=3.0)
    for ax, (number, values) in zip(axes, coupling.groupby("state", squeeze=False)):
        matrix(values.squeeze("state"), ax=ax, limit=limit, label="coupling")
        ax.set_title(f"state {number}", color=state_colour(int(number)), fontsize=10)
    return axes


def plot_levels(model, *, ax=None):
    """Mean of every signal in each state, in standard deviations of the signal.

    The picture of a model without history, whose states differ in level and variance.

    Parameters
    ----------
    model : fitted HMMGLM
        Of gaussian observations, with ``history=None``.
    ax : Axes, optional

    Returns
    -------
    Axes
        One row a state, one column a signal.

    Raises
    ------
    ParameterError
        If the model has a history: its levels follow from the couplings then.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM
    >>> x = np.repeat([[0.0, 0.0], [3.0, -3.0], [0.0, 0.0]], 50, axis=0)
    >>> x += np.random.default_rng(0).standard_normal(x.shape)
    >>> model = HMMGLM(2, "gaussian", history=None, n_init=2, random_state=0).fit(x)
    >>> plot_levels(model).get_ylabel()
    'state'
    """
    if model.history is not None or model.observation != "gaussian":
        raise ParameterError(
            message(
                "plot_levels",
                "gaussian observations and history=None",
                f"{model.observation!r} and history={model.history!r}",
                "draw the couplings: plot_coupling(model)",
            )
        )
    shift = model.baseline_ - model.rate_
    weight = model.occupancy_
    spread = np.sqrt((weight * (model.noise_ + shift**2)).sum("state"))
    levels = (shift / spread).transpose("state", ...)
    ax = new_axes(ax, width=8.0, height=0.9 + 0.35 * levels.sizes["state"])
    matrix(levels, ax=ax, label="level (sd)")
    ax.set_aspect("auto")
    names = levels[levels.dims[1]].to_numpy()
    step = -(-len(names) // 40)
    ax.set_xticks(range(0, len(names), step), names[::step], rotation=90, fontsize=7)
    ax.set_yticks(range(levels.sizes["state"]))
    return ax


def plot_transitions(model, paths=None):
    """Transition matrix, and the visits' lengths beside the geometric law.

    Parameters
    ----------
    model : fitted HMMGLM
    paths : path (time) or list of paths, optional
        From ``predict``; their visits are drawn as survival curves.

    Returns
    -------
    array of Axes

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=300, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
    >>> len(plot_transitions(model, model.predict(data)))
    2
    """
    from neuroana.switching.metrics import dwell_times

    a = model.transition_matrix_
    axes = grid(1 if paths is None else 2, width=4.2, height=3.2)
    matrix(a, ax=axes[0], symmetric=False, limit=1.0, label="probability")
    axes[0].set_ylabel("from state")
    axes[0].set_xlabel("to state")
    axes[0].set_xticks(range(len(a)))
    axes[0].set_yticks(range(len(a)))
    if len(a) <= 8:
        for (i, j), p in np.ndenumerate(a.to_numpy()):
            axes[0].text(
                j, i, f"{p:.2f}", ha="center", va="center", fontsize=8,
                color="white" if p < 0.6 else "black",
            )  # fmt: skip
    if paths is None:
        return axes
    rate = getattr(model, "sampling_rate_", None)
    width = 1 / (rate or 1.0)
    longest = width
    for k, visits in enumerate(dwell_times(paths, n_states=len(a), bin_width=width)):
        if not len(visits):
            continue
        length = np.sort(visits)
        left = 1 - np.arange(len(length)) / len(length)
        axes[1].step(length, left, where="post", color=state_colour(k), lw=1.6,
                     label=f"state {k} ({len(length)})")  # fmt: skip
        bins = np.arange(1, max(2, round(length[-1] / width) + 1))
        stay = float(a[k, k])
        axes[1].plot(bins * width, stay ** (bins - 1), color=state_colour(k), lw=0.8,
                     ls="--")  # fmt: skip
        longest = max(longest, length[-1])
    axes[1].set_xlim(0, longest * 1.02)
    axes[1].set_ylim(0, 1.02)
    axes[1].set_xlabel(f"length of a visit ({'s' if rate else 'bins'})")
    axes[1].set_ylabel("share of longer visits")
    axes[1].legend(frameon=False, fontsize=8, title="visits; dashed: model",
                   title_fontsize=8)  # fmt: skip
    axes[1].spines[["top", "right"]].set_visible(False)
    return axes


def plot_scores(scores, *, ax=None):
    """Held-out score beside one state and the time-shifted null.

    Parameters
    ----------
    scores : Dataset
        From ``held_out_comparison``.
    ax : Axes, optional

    Returns
    -------
    Axes
        One line a fold, so that each fold is compared with itself.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=300, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
    >>> from neuroana.switching import held_out_comparison
    >>> scores = held_out_comparison(model, data, cv=2, n_null=2, random_state=0)
    >>> [t.get_text() for t in plot_scores(scores).get_xticklabels()]
    ['2 states', 'one state', 'shifted in time']
    """
    ax = new_axes(ax, width=5.0, height=3.2)
    states = scores["score"].sel(model="states").to_numpy()
    alone = scores["score"].sel(model="one_state").to_numpy()
    null = scores["null"].to_numpy()
    jitter = np.linspace(-0.12, 0.12, null.shape[1]) if null.shape[1] > 1 else [0.0]
    for fold, (first, second) in enumerate(zip(states, alone)):
        ax.plot([0, 1], [first, second], color="0.6", lw=0.8, zorder=1)
        ax.scatter(2 + np.asarray(jitter), null[fold], s=9, color="0.65", lw=0)
    ax.scatter(np.zeros(len(states)), states, s=34, color=state_colour(0), zorder=2)
    ax.scatter(np.ones(len(alone)), alone, s=34, color=state_colour(1), zorder=2)
    for place, values in enumerate((states, alone, null)):
        ax.hlines(np.mean(values), place - 0.22, place + 0.22, color="0.1", lw=1.6)
    n_states = int(scores.attrs.get("n_states", 0))
    ax.set_xticks([0, 1, 2], [f"{n_states} states", "one state", "shifted in time"])
    ax.set_xlim(-0.5, 2.5)
    ax.set_ylabel("held-out log p (nat / value)")
    return ax


def plot_trace(model, *, ax=None):
    """Objective of every start over the iterations, the best one in colour.

    Parameters
    ----------
    model : fitted HMMGLM
    ax : Axes, optional

    Returns
    -------
    Axes
        Distance of each start to the best objective, per observed value.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=300, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
    >>> plot_trace(model).get_xlabel()
    'EM iteration'
    """
    ax = new_axes(ax, width=5.0, height=3.2)
    trace = model.objective_trace_.to_numpy() / model.n_observed_
    gap = np.nanmax(trace) - trace
    for start, row in enumerate(gap):
        best = start == model.best_start_
        ax.plot(
            np.arange(1, len(row) + 1), np.maximum(row, 1e-9), lw=2.0 if best else 0.9,
            color=state_colour(0) if best else "0.65", zorder=2 if best else 1,
        )  # fmt: skip
    ax.set_yscale("log")
    ax.set_xlabel("EM iteration")
    ax.set_ylabel("below the best (nat / value)")
    return ax


def plot_edge_types(model):
    """The map of edge types that all states share, and how each state departs from it.

    Parameters
    ----------
    model : fitted HMMGLM
        With the prior "one_hot".

    Returns
    -------
    array of Axes
        First the shared map, P(excitatory) - P(inhibitory) of every edge; then, a
        state each, the state's own sign less that of the map: zero where the state
        keeps to it. Rows are targets, columns are sources.

    Raises
    ------
    ParameterError
        If the model has no edge types.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=300, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", prior="one_hot", n_init=1, random_state=0)
    >>> [ax.get_title() for ax in plot_edge_types(model.fit(data))]
    ['all states', 'state 0', 'state 1']
    """
    if not hasattr(model, "edge_prior_"):
        raise ParameterError(
            message("plot_edge_types", "a model with the prior 'one_hot'",
                    f"prior={model.prior!r}", "draw its couplings: plot_coupling")
        )  # fmt: skip

    def sign(law):
        return law.sel(sign="excitatory") - law.sel(sign="inhibitory")

    shared, own = sign(model.edge_prior_), sign(model.edge_probability_)
    axes = grid(1 + model.n_states, width=3.4, height=3.0)
    matrix(shared, ax=axes[0], limit=1.0, label="P(exc.) - P(inh.)")
    axes[0].set_title("all states", fontsize=10)
    for k, ax in enumerate(axes[1:]):
        matrix(own.sel(state=k) - shared, ax=ax, limit=1.0, label="departure")
        ax.set_title(f"state {k}", color=state_colour(k), fontsize=10)
    return axes
