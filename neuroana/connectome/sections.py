"""The dynamic connectome's section of the report."""

import numpy as np

from neuroana.connectome.plots import (
    plot_atlas,
    plot_communities,
    plot_graph,
    plot_motif,
)
from neuroana.connectome.plots_checks import plot_null, plot_rank, plot_restarts
from neuroana.core.contract import label_of
from neuroana.core.provenance import versions
from neuroana.core.recording import events_of
from neuroana.plot.sections import Section


CARDS = 3  # motifs that get a card of their own


def connectome_section(
    recordings, selector, motifs, communities, nulls, *, title=None
) -> Section:
    """Text, numbers, tables and figures of one connectome.

    Parameters
    ----------
    recordings : list of Dataset
    selector : fitted RankSelector
    motifs : fitted NonNegativeCP
    communities : fitted MotifCommunities
    nulls : Dataset
        From ``null_test``.
    title : str, optional
    """
    names = [label_of(r) for r in recordings]
    components = [c for c in motifs.component.values.tolist() if c != "baseline"]
    section = Section(
        title=title
        or f"{len(components)} motifs of {', '.join(names[:3])}"
        + (" and others" if len(names) > 3 else ""),
        kind="connectome",
        lead=verdict(motifs, communities, nulls),
        synthetic=any(int(r.attrs.get("synthetic", 0)) for r in recordings),
        numbers=numbers(motifs, nulls),
        methods=methods(selector, motifs, communities, nulls),
        citations=[entry for entry in motifs.cite().split("\n\n") if entry],
    )
    events = None
    if len(recordings) == 1 and "onset" in recordings[0]:
        events = events_of(recordings[0])
    for component in components[:CARDS]:
        section.add_figure(
            plot_motif(motifs, component, communities=communities, events=events),
            f"Motif {component}",
            "Left: weight of every pair, neurons ordered by community. Right: strength "
            "over time, and in each animal.",
        )
    section.add_figure(
        plot_atlas(motifs, communities),
        "All motifs",
        "In brackets what a motif adds to the explained variance.",
    )
    first = components[0]
    section.add_figure(
        plot_communities(communities, first), f"Communities of motif {first}",
        "How often two neurons are in one group when partitions are drawn from their "
        "posterior.",
    )  # fmt: skip
    section.add_figure(
        plot_graph(motifs, first, communities=communities),
        f"Strongest pairs of motif {first}", "Colours are communities.",
    )  # fmt: skip
    section.add_figure(
        plot_null(nulls), "Against surrogates",
        "Explained variance of surrogates (grey) and of the data (line).",
    )  # fmt: skip
    if "gap" in nulls:
        section.add_figure(
            plot_null(nulls, "communities"), "Communities against surrogates",
            "What communities save against one block: the largest of every surrogate "
            "(grey), and each motif of the data (lines).",
        )  # fmt: skip
    if np.isfinite(selector.table_).any():
        section.add_figure(
            plot_rank(selector),
            "Number of motifs",
            "Mean and standard error over folds; the line is the choice.",
        )
    section.add_figure(
        plot_restarts(motifs),
        "Restarts",
        "Likeness of every restart's motifs to those of the best.",
    )
    add_tables(section, motifs, communities, nulls, components)
    return section


def add_tables(section, motifs, communities, nulls, components) -> None:
    """One row a motif, and who is in which community of the first."""
    p = dict(
        zip(nulls["component"].values.tolist(), nulls["p_component"].values.tolist())
    )
    split = dict(zip(nulls["component"].values.tolist(), split_p(nulls).tolist()))
    rows = []
    for c in components:
        labels = communities.labels_.sel(component=c, level=0).values
        leiden = communities.leiden_.sel(component=c).values
        rows.append([
            c, round(float(motifs.weights_.sel(component=c)), 3),
            round(float(motifs.score_.sel(component=c)), 4),
            round(float(motifs.stability_.sel(component=c)), 3),
            round(p.get(c, float("nan")), 4), int(labels.max()) + 1,
            round(float(communities.gap_.sel(component=c)), 1),
            round(split.get(c, float("nan")), 4),
            int(leiden.max()) + 1,
            str(communities.family_.sel(component=c).item()),
        ])  # fmt: skip
    section.add_table(
        "Motifs",
        ["motif", "weight", "adds to variance", "stability", "p (family-wise)",
         "groups", "gap (nat)", "p of the split (family-wise)",
         "Leiden groups", "weights"],
        rows,
    )  # fmt: skip
    table = communities.membership(components[0])
    chosen = [c for c in table.columns if c != "index"]
    section.add_table(
        f"Neurons of motif {components[0]}", chosen, table[chosen].values.tolist()
    )


def split_p(nulls) -> np.ndarray:
    """Family-wise p-value of every motif's communities; NaN where not tested."""
    missing = np.full(nulls.sizes["component"], np.nan)
    return nulls["p_split"].to_numpy() if "p_split" in nulls else missing


def verdict(motifs, communities, nulls) -> str:
    """What can be said, in a few sentences."""
    p, n = float(nulls["p_value"]), int(nulls.attrs["n"])
    middle = float(nulls["null"].median())
    text = (
        f"The motifs explain {motifs.explained_variance_:.1%} of the affinities; "
        f"the same chain on {n} surrogates ({nulls.attrs['kind']}) explains "
        f"{middle:.1%} (median; p = {p:.3g})."
    )
    if p > 0.05:
        text += " This is not more than chance: do not read single motifs."
    split = split_p(nulls)
    if np.isfinite(split).all():
        text += (
            f" In {int((split <= 0.05).sum())} of {len(split)} motifs the communities "
            "save more nats than those of surrogates (p <= 0.05, family-wise)."
        )
    return text


def numbers(motifs, nulls) -> dict:
    """Key figures of the fit."""
    return {
        "motifs": len(motifs.component) - int(motifs.baseline),
        "explained variance": round(motifs.explained_variance_, 4),
        "median of surrogates": round(float(nulls["null"].median()), 4),
        "p against surrogates": round(float(nulls["p_value"]), 4),
        "restarts": motifs.loss_.sizes["restart"],
        "smallest stability": round(float(motifs.stability_.min()), 3),
        "iterations": motifs.n_iter_,
        "converged": "yes" if motifs.converged_ else "no",
        "missing affinities": int(motifs.report_.get("n_missing", 0)),
    }


def methods(selector, motifs, communities, nulls) -> str:
    """A paragraph for a methods section."""
    names = versions()
    attrs = motifs.pair_.attrs
    chosen = "held-out blocks" if "cv" in selector.table_["criterion"] else "hand"
    extra = " and one baseline component" if motifs.baseline else ""
    laws = sorted(set(communities.family_.values.tolist()))
    return (
        f"Affinities ({attrs.get('kind', 'given')} kernel) were factorized into "
        f"{nulls.attrs['rank']} non-negative motifs{extra} (layout {motifs.layout}, "
        f"HALS, {motifs.loss_.sizes['restart']} restarts, seed {motifs.seed_}); their "
        f"number was chosen by {chosen}. Communities are partitions of shortest "
        f"description under a weighted stochastic block model ({', '.join(laws)} "
        f"weights, seed {communities.seed_}). {nulls.attrs['n']} surrogates "
        f"({nulls.attrs['kind']}) went through the same chain. Software: neuroana "
        f"{names.get('neuroana', '')}."
    )
