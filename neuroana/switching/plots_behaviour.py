"""Figures of behavioural models: weights and psychometric curves, state by state."""

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError
from neuroana.plot.axes import new_axes, state_colour
from neuroana.switching.plots import grid


def plot_input_weights(model, *, unit=0, ax=None):
    """Weight of every input, and the bias, in each state.

    Parameters
    ----------
    model : fitted HMMGLM
        With inputs.
    unit : int
        Which unit, or class of choices.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ParameterError
        If the model has no inputs.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, choice_design, simulate_choices
    >>> choices, inputs = choice_design(simulate_choices(2, 100, random_state=0)[0])
    >>> model = HMMGLM(1, "bernoulli", history=None).fit(choices, inputs=inputs)
    >>> [t.get_text() for t in plot_input_weights(model).get_xticklabels()]
    ['bias', 'stimulus', 'previous choice', 'win stay lose switch']
    """
    if not model.n_inputs_:
        raise ParameterError(
            message("plot_input_weights", "a model with inputs", "none")
        )
    weights = model.input_weights_[:, unit].to_numpy()
    weights = np.c_[model.baseline_[:, unit].to_numpy(), weights]
    names = ["bias", *map(str, model.input_weights_["input"].to_numpy())]
    ax = new_axes(ax, width=1.6 + 1.1 * len(names), height=3.2)
    for k, row in enumerate(weights):
        ax.plot(row, marker="o", color=state_colour(k), lw=1.6,
                label=f"state {k} ({float(model.occupancy_[k]):.0%})")  # fmt: skip
    ax.axhline(0, color="0.4", lw=0.8, ls=":")
    ax.set_xticks(range(len(names)), [n.replace("_", " ") for n in names])
    ax.set_ylabel("weight on the log odds")
    ax.legend(frameon=False, fontsize=8)
    return ax


def plot_psychometric(curve):
    """Share of ones against the stimulus, one panel a state.

    Parameters
    ----------
    curve : Dataset
        From ``psychometric_curve``.

    Returns
    -------
    array of Axes
        Bars are Wilson intervals.

    Examples
    --------
    >>> from neuroana.switching import psychometric_curve
    >>> curve = psychometric_curve(np.zeros(4, int), [0, 1, 1, 1], [-1, -1, 1, 1])
    >>> len(plot_psychometric(curve))
    1
    """
    axes = grid(curve.sizes["state"], width=2.6, height=2.6)
    x = curve["stimulus"].to_numpy()
    for k, ax in enumerate(axes):
        row = curve.isel(state=k)
        share = row["share"].to_numpy()
        reach = np.abs([share - row["low"], row["high"] - share])
        ax.errorbar(x, share, reach, fmt="o-", ms=4, lw=1.4, color=state_colour(k))
        ax.axhline(0.5, color="0.6", lw=0.7, ls=":")
        ax.axvline(0.0, color="0.6", lw=0.7, ls=":")
        ax.set_ylim(-0.03, 1.03)
        ax.set_xlabel("stimulus")
        ax.set_title(f"state {k} ({int(row['n'].sum())} trials)", fontsize=9,
                     color=state_colour(k))  # fmt: skip
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("share of ones")
    return axes
