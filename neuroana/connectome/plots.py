"""Figures of dynamic connectomes: take results, return Axes, show nothing."""

import numpy as np

from neuroana.connectome.affinity import fold
from neuroana.connectome.tensors import neurons_of
from neuroana.core.checks import check_choice, check_number
from neuroana.plot.axes import new_axes, state_colour


MOST_NAMES = 60  # neurons whose names still can be read


def matrix_of(model, component):
    """A motif as a symmetric matrix, and the names of its neurons."""
    names, _ = neurons_of(model.pair_)
    check_choice("component", str(component), model.component.values.tolist())
    pairs = model.pair_.sel(component=str(component)).to_numpy()
    return fold(pairs[: len(names) * (len(names) - 1) // 2]), names


def draw_matrix(ax, values, names, groups=None, *, label="weight"):
    """A matrix in the order of its groups, with lines between them."""
    groups = np.zeros(len(values), dtype=int) if groups is None else np.asarray(groups)
    key = np.where(groups < 0, groups.max() + 1, groups)
    order = np.lexsort((-np.nansum(values, axis=1), key))
    top = np.nanquantile(values[np.isfinite(values)], 0.99) or 1.0
    image = ax.imshow(values[np.ix_(order, order)], vmin=0.0, vmax=top, cmap="magma_r",
                      interpolation="nearest")  # fmt: skip
    edges = np.flatnonzero(np.diff(key[order])) + 0.5
    for edge in edges:
        ax.axhline(edge, color="#0072b2", lw=0.8)
        ax.axvline(edge, color="#0072b2", lw=0.8)
    ticks = np.arange(len(names)) if len(names) <= MOST_NAMES else []
    shown = [str(n) for n in np.asarray(names)[order]] if len(ticks) else []
    size = 6 if len(names) <= 40 else 4
    ax.set_xticks(ticks, shown, rotation=90, fontsize=size)
    ax.set_yticks(ticks, shown, fontsize=size)
    ax.set_xlabel("neuron")
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.8)
    return ax


def plot_communities(communities, component=0, *, ax=None):
    """Co-assignment of neurons in the order of their communities.

    Parameters
    ----------
    communities : fitted MotifCommunities
    component : int or str
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from neuroana.connectome import MotifCommunities, simulate_graph
    >>> weights, _ = simulate_graph(24, 2, ratio=6, random_state=0)
    >>> model = MotifCommunities(random_state=0).fit(weights)
    >>> plot_communities(model).get_title()[:7]
    'motif 0'
    """
    ax = new_axes(ax, width=5.2, height=4.4)
    labels = communities.labels_.sel(component=str(component), level=0)
    together = communities.coassignment_.sel(component=str(component)).to_numpy()
    draw_matrix(ax, together, labels["neuron"].values, labels.values,
                label="co-assignment")  # fmt: skip
    n = int(labels.max()) + 1
    gap = float(communities.gap_.sel(component=str(component)))
    ax.set_title(f"motif {component}: {n} groups, {gap:.0f} nats", fontsize=10)
    return ax


def plot_motif(model, component=0, *, communities=None, events=None, intervals=None):
    """One motif on a card: its matrix, its course over time, and its animals.

    Parameters
    ----------
    model : fitted NonNegativeCP
    component : int or str
    communities : fitted MotifCommunities, optional
        Orders the matrix.
    events : DataFrame, optional
        Onset and duration in seconds; drawn as bands.
    intervals : Dataset, optional
        From :meth:`NonNegativeCP.bootstrap`.

    Returns
    -------
    array of Axes
        Matrix, time course, and animals if there are several.

    Examples
    --------
    >>> from neuroana.connectome import NonNegativeCP, plot_motif, simulate_tensor
    >>> tensor, _ = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
    >>> model = NonNegativeCP(2, n_init=3, random_state=0).fit(tensor)
    >>> [ax.get_xlabel() for ax in plot_motif(model)]
    ['neuron', 'time (s)', 'animal']
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    several = model.animal_.sizes["animal"] > 1
    grid = figure.add_gridspec(2, 2, width_ratios=[1.0, 1.15])
    places = [grid[:, 0], grid[0, 1], grid[1, 1]] if several else [
        grid[:, 0], grid[:, 1]]  # fmt: skip
    axes = [figure.add_subplot(place) for place in places]
    values, names = matrix_of(model, component)
    groups = None
    if communities is not None and str(component) != "baseline":
        groups = communities.labels_.sel(component=str(component), level=0).values
    draw_matrix(axes[0], values, names, groups)
    weight = float(model.weights_.sel(component=str(component)))
    axes[0].set_title(f"motif {component} (weight {weight:.3g})", fontsize=10)
    draw_course(axes[1], model, component, events, intervals)
    if several:
        draw_animals(axes[2], model, component, intervals)
    for ax in axes[1:]:
        ax.spines[["top", "right"]].set_visible(False)
    return np.array(axes, dtype=object)


def draw_animals(ax, model, component, intervals=None):
    """Loading of every animal, with its interval."""
    loading = model.animal_.sel(component=str(component))
    at = np.arange(loading.sizes["animal"])
    ax.bar(at, loading, color="0.4", width=0.7)
    if intervals is not None and "animal" in intervals:
        low, high = intervals["animal"].sel(component=str(component)).to_numpy()
        ax.vlines(at, low, high, color="k", lw=1)
    ax.set_xticks(at, [str(a) for a in loading["animal"].values], fontsize=7,
                  rotation=30 if len(at) > 4 else 0)  # fmt: skip
    ax.set_xlabel("animal")
    ax.set_ylabel("loading")


def draw_course(ax, model, component, events=None, intervals=None):
    """A motif over time, one line an animal where each has its own clock."""
    course = model.time_.sel(component=str(component))
    colour = state_colour(model.component.values.tolist().index(str(component)))
    if "animal" in course.coords and course["animal"].dims == ("time",):
        names = list(dict.fromkeys(course["animal"].values.tolist()))
        top = float(course.max()) or 1.0
        for row, name in enumerate(names):
            own = course[course["animal"].values == name]
            ax.plot(own["time"], own / top - row, lw=0.7, color=colour)
        ax.set_yticks(-np.arange(len(names)), names, fontsize=7)
    else:
        time = course["time"].values
        ax.plot(time, course, lw=0.9, color=colour)
        if intervals is not None and "time_course" in intervals:
            low, high = intervals["time_course"].sel(component=str(component)).values
            ax.fill_between(time, low, high, color=colour, alpha=0.25, lw=0)
        ax.set_ylabel("time course")
    if events is not None:
        kinds = list(dict.fromkeys(events["trial_type"].astype(str)))
        for _, row in events.iterrows():
            shade = state_colour(5 + kinds.index(str(row["trial_type"])))
            stop = row["onset"] + max(float(np.nan_to_num(row["duration"])), 0.0)
            ax.axvspan(row["onset"], stop, color=shade, alpha=0.25, lw=0.5)
    if "stimulus" in course.coords:
        shown = course["phase"].values == "stimulus"
        ax.fill_between(course["time"], 0, 1, where=shown, color="0.85", zorder=0,
                        transform=ax.get_xaxis_transform(), lw=0)  # fmt: skip
    ax.set_xlabel("time (s)")


def plot_atlas(model, communities=None):
    """The matrices of all motifs side by side.

    Parameters
    ----------
    model : fitted NonNegativeCP
    communities : fitted MotifCommunities, optional
        Orders each matrix.

    Returns
    -------
    array of Axes

    Examples
    --------
    >>> from neuroana.connectome import NonNegativeCP, plot_atlas, simulate_tensor
    >>> tensor, _ = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
    >>> model = NonNegativeCP(2, n_init=3, random_state=0).fit(tensor)
    >>> [ax.get_title()[:7] for ax in plot_atlas(model)]
    ['motif 0', 'motif 1']
    """
    from matplotlib.figure import Figure

    names = [c for c in model.component.values.tolist() if c != "baseline"]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.4 * columns, 3.1 * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    for ax, component in zip(axes, names):
        values, neurons = matrix_of(model, component)
        groups = None
        if communities is not None:
            groups = communities.labels_.sel(component=component, level=0).values
        draw_matrix(ax, values, neurons, groups, label="")
        ax.set_xticks([])
        ax.set_yticks([])
        share = float(model.score_.sel(component=component))
        ax.set_title(f"motif {component} ({share:.1%})", fontsize=9)
    return axes[: len(names)]


def plot_graph(
    model, component=0, *, communities=None, marked=(), n_edges=150, ax=None
):
    """The strongest edges of a motif, neurons coloured by community.

    Neurons are drawn where they lie if the recordings have positions x and y, else on
    a circle in the order of their communities.

    Parameters
    ----------
    model : fitted NonNegativeCP
    component : int or str
    communities : fitted MotifCommunities, optional
    marked : sequence
        Neurons whose names are written; all of a small graph when empty.
    n_edges : int
        Edges that are drawn.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from neuroana.connectome import NonNegativeCP, plot_graph, simulate_tensor
    >>> tensor, _ = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
    >>> model = NonNegativeCP(2, n_init=3, random_state=0).fit(tensor)
    >>> len(plot_graph(model, n_edges=5).lines)
    5
    """
    check_number("n_edges", n_edges, minimum=1, integer=True)
    ax = new_axes(ax, width=5.0, height=5.0)
    values, names = matrix_of(model, component)
    groups = np.zeros(len(names), dtype=int)
    if communities is not None:
        groups = communities.labels_.sel(component=str(component), level=0).values
    x, y = places(neurons_of(model.pair_)[1], groups)
    i, j = np.triu_indices(len(names), 1)
    weight = np.nan_to_num(values[i, j])
    chosen = np.argsort(-weight)[: min(n_edges, int((weight > 0).sum()))]
    top = weight[chosen].max(initial=1e-300)
    for e in chosen[::-1]:
        ends, share = [i[e], j[e]], weight[e] / top
        ax.plot(x[ends], y[ends], color="0.4", zorder=1, lw=2.0 * share,
                alpha=0.15 + 0.6 * share)  # fmt: skip
    colours = [state_colour(int(g)) if g >= 0 else "0.85" for g in groups]
    ax.scatter(x, y, s=30, c=colours, zorder=2, lw=0.3, edgecolor="w")
    wanted = {str(m) for m in marked} or (
        {str(n) for n in names} if len(names) <= MOST_NAMES else set()
    )
    for name, a, b in zip(names, x, y):
        if str(name) in wanted:
            ax.annotate(str(name), (a, b), fontsize=7, xytext=(3, 3),
                        textcoords="offset points")  # fmt: skip
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_title(f"motif {component}", fontsize=10)
    return ax


def places(coords, groups):
    """Positions of the neurons, or a circle in the order of the groups."""
    if {"x", "y"} <= set(coords) and np.isfinite([*coords["x"], *coords["y"]]).all():
        return np.asarray(coords["x"], float), np.asarray(coords["y"], float)
    order = np.argsort(np.argsort(groups, kind="stable"))
    angle = 2 * np.pi * order / len(groups)
    return np.cos(angle), np.sin(angle)
