"""The switching model's section of the report."""

import numpy as np

from neuroana.core.contract import label_of
from neuroana.core.provenance import versions
from neuroana.plot.sections import Section
from neuroana.switching.goodness import goodness_of_fit
from neuroana.switching.plots import (
    plot_coupling,
    plot_edge_types,
    plot_levels,
    plot_scores,
    plot_states,
    plot_trace,
    plot_transitions,
)
from neuroana.switching.plots_checks import plot_checks, plot_selection


def switching_section(
    model, recordings, scores, states, *, selection=None, title=None, seconds=None
) -> Section:
    """Text, numbers, tables and figures of one fit.

    Parameters
    ----------
    model : fitted HMMGLM
    recordings : list of Dataset
    scores : Dataset
        From ``held_out_comparison``.
    states : list of Dataset
        path, probability, occupancy, visits of each recording.
    selection : Dataset, optional
        From ``select_n_states``.
    title : str, optional
    seconds : float, optional
        Stretch that the states' figure shows, from the start.
    """
    names = [label_of(r) for r in recordings]
    section = Section(
        title=title
        or f"{model.n_states} states of {', '.join(names[:3])}"
        + (" and others" if len(names) > 3 else ""),
        kind="switching",
        lead=verdict(model, scores),
        synthetic=any(int(r.attrs.get("synthetic", 0)) for r in recordings),
        numbers=numbers(model, scores),
        methods=methods(model, scores),
        citations=[entry for entry in model.cite().split("\n\n") if entry],
    )
    stop = None if seconds is None else states[0]["time"][0].item() + seconds
    section.add_figure(
        plot_states(
            states[0]["probability"].sel(time=slice(None, stop)),
            recordings[0]["signal"].sel(time=slice(None, stop)),
        ),
        "States over time",
        f"{names[0]}: signals above, probability of each state below.",
    )
    section.add_figure(
        plot_scores(scores),
        "Held-out score",
        "Each line is a fold. Grey: the same test data with every unit shifted in "
        "time by an amount of its own.",
    )
    if model.coupling_.size:
        section.add_figure(
            plot_coupling(model),
            "Couplings in each state",
            "Rows are driven, columns drive; one colour scale for all states.",
        )
        if hasattr(model, "edge_prior_"):
            section.add_figure(
                plot_edge_types(model),
                "Edge types",
                "Left: the map that all states share. Right: where a state departs "
                "from it.",
            )
    elif model.observation == "gaussian" and model.history is None:
        section.add_figure(
            plot_levels(model),
            "Level of each signal in every state",
            "Mean in the state, as standard deviations from the overall mean.",
        )
    section.add_figure(
        plot_transitions(model, [s["path"] for s in states]),
        "Transitions and visits",
        "Left: probability from one bin to the next. Right: how long visits last, "
        "beside the geometric law of the model.",
    )
    section.add_figure(
        plot_checks(goodness_of_fit(model, recordings, random_state=model.seed_)),
        "Predictive residuals",
        "Chance that the model gave to what came, one step ahead, on the data of the "
        "fit: flat where the model is right. Ringed units are rejected (5 %, corrected "
        "for the number of units).",
    )
    if selection is not None:
        section.add_figure(
            plot_selection(selection),
            "Number of states",
            f"Chosen: {selection.attrs.get('chosen', model.n_states)} by "
            f"{selection.attrs.get('by', 'hand')}. The held-out score alone favours "
            "too many: look at the agreement of starts and folds, and at rare states.",
        )
        section.add_table("Numbers of states", *selection_rows(selection))
    section.add_figure(
        plot_trace(model), "Starts", "Objective of every start below the best one."
    )
    rows = [
        [name, k, rounded(s["occupancy"][k]), int(s["n_visits"][k]),
         rounded(s["mean_visit"][k])]
        for name, s in zip(names, states)
        for k in range(model.n_states)
    ]  # fmt: skip
    section.add_table(
        "States of each recording (visits: most probable path)",
        ["recording", "state", "occupancy", "visits", "mean visit (s)"],
        rows,
    )
    return section


def rounded(value):
    """Three digits, or a dash where nothing was counted."""
    value = float(value)
    return round(value, 3) if np.isfinite(value) else "-"


def selection_rows(table):
    """Header and rows of the numbers of states."""
    header = [
        "states", "held-out (nat / value)", "BIC", "ICL", "starts agree", "folds agree",
        "rarest state",
    ]  # fmt: skip
    rows = [
        [int(row["n_states"]), round(float(row["held_out"].mean()), 5),
         round(float(row["bic"]), 1), round(float(row["icl"]), 1),
         rounded(row["start_agreement"]), rounded(row["fold_agreement"].mean()),
         rounded(row["occupancy"].min())]
        for row in (table.isel(n_states=i) for i in range(table.sizes["n_states"]))
    ]  # fmt: skip
    return header, rows


def margins(scores):
    """Score minus one state, and minus the null's mean, one value a fold."""
    states = scores["score"].sel(model="states").to_numpy()
    alone = scores["score"].sel(model="one_state").to_numpy()
    return states - alone, states - scores["null"].mean("shift").to_numpy()


def verdict(model, scores) -> str:
    """What the held-out scores say, in two sentences."""
    gain, over_null = margins(scores)
    better = int((gain > 0).sum())
    text = (
        f"{model.n_states} states score {gain.mean():+.4f} nats per value against one "
        f"state on held-out data (better in {better} of {len(gain)} folds), and "
        f"{over_null.mean():+.4f} against data whose units are shifted in time."
    )
    if better <= len(gain) / 2:
        text += " Switching does not help to predict these data."
    return text


def numbers(model, scores) -> dict:
    """Key figures of the fit."""
    states = scores["score"].sel(model="states")
    alone = scores["score"].sel(model="one_state")
    found = {
        "states": model.n_states,
        "held-out score (nat per value)": round(float(states.mean()), 5),
        "one state (nat per value)": round(float(alone.mean()), 5),
        "time-shifted (nat per value)": round(float(scores["null"].mean()), 5),
        "folds": scores.sizes["fold"],
        "iterations": model.n_iter_,
        "converged": "yes" if model.converged_ else "no",
        "missing values": model.n_missing_,
        "log-space fallbacks": model.n_logspace_fallbacks_,
    }
    if np.isfinite(model.start_agreement_):
        found["agreement of the two best starts (ARI)"] = round(
            model.start_agreement_, 3
        )
    return found


def methods(model, scores) -> str:
    """A paragraph for a methods section."""
    units, dim = len(model.rate_), model.rate_.dims[0]
    history = "no history" if model.history is None else repr(model.history)
    names = versions()
    n_starts = model.objective_trace_.sizes["start"]
    return (
        f"A hidden Markov model with {model.n_states} states and a generalised linear "
        f"model of {units} {dim}s in each ({model.observation} observations, "
        f"{history}, prior {model.prior!r}) was fitted by expectation-maximisation "
        f"from {n_starts} starts (seed {model.seed_}); the start with the highest "
        "penalised likelihood was kept. Scores are marginal log-likelihoods on "
        f"held-out {scores.attrs.get('split', 'data')} ({scores.sizes['fold']} folds), "
        f"beside a model with one state and {scores.sizes['shift']} copies of each "
        "test set in which every unit was shifted in time by an amount of its own. "
        f"Software: neuroana {names.get('neuroana', '')}, "
        f"torch {names.get('torch', 'not listed')}."
    )
