"""The section of the report on EEG to fMRI."""

import pandas as pd

from neuroana.core.provenance import versions
from neuroana.eeg2fmri.comparison_plots import (
    plot_history,
    plot_models,
    plot_prediction,
)
from neuroana.eeg2fmri.readiness import verdict
from neuroana.eeg2fmri.scores import fisher_mean, region_scores, summary
from neuroana.eeg2fmri.statistics import lagged_correlations, model_differences
from neuroana.eeg2fmri.statistics_plots import plot_lags, plot_regions, plot_specific
from neuroana.eeg2fmri.verdicts import model_verdict
from neuroana.plot.sections import Section


LINEAR = (
    "band-power-ridge", "lagged-ridge", "spectrogram-ridge", "occipital-alpha",
    "BandPowerRidge", "LaggedSpectralRidge", "SpectrogramRidge", "AlphaRegressor",
)  # fmt: skip
CONTROLS = ("nearest-neighbour", "global-only", "mean", "NearestNeighbour",
            "GlobalOnly", "MeanPredictor")  # fmt: skip
MARGIN = 0.02  # of mean R that counts as better
MOST_ROWS = 80
CLAIMS = {
    "roi": "region", "r": "R", "low": "from", "high": "to", "n_volumes": "volumes",
    "n_eff": "independent", "p_phase": "p", "p_family": "p (family-wise)",
    "q": "q", "r_specific": "R without global", "p_specific": "p without global",
}  # fmt: skip
VERDICTS = ("passed", "failed", "not measured")
PROTOCOLS = {
    "intra-scan": "blocks of every run, with gaps",
    "chronological": "the last part of every run",
    "inter-subject": "people that training had not seen",
    "cross-condition": "people and a condition that training had not seen",
    "fine-tune": "the second half of runs whose first half training had seen",
}


def eeg2fmri_section(
    predictions, checks, models=(), *, statistics=None, title=None
) -> Section:
    """Text, numbers, tables and figures of one comparison.

    Parameters
    ----------
    predictions : Dataset
        From :func:`compare_models`.
    checks : DataFrame
        From :func:`preflight`.
    models : sequence of fitted models
        For learning curves and citations.
    statistics : DataFrame, optional
        From :func:`region_statistics`.
    title : str, optional
    """
    scores = region_scores(predictions)
    table = summary(scores)
    mean = mean_r(scores)
    n_runs = scores["label"].nunique()
    section = Section(
        title=title
        or f"BOLD of {scores['roi'].nunique()} regions from the EEG of {n_runs} runs",
        kind="eeg2fmri",
        lead=" ".join(
            [
                lead(mean, scores, tested(predictions, mean, statistics)),
                claim(mean, statistics),
                verdict(checks),
            ]
        ).replace("  ", " "),
        synthetic=bool(predictions.attrs.get("synthetic", 0)),
        numbers=numbers(predictions, scores, mean),
        methods=methods(predictions, models),
        citations=citations(models),
    )
    section.add_figure(
        plot_models(scores), "Models by region",
        "R of measured and predicted course. Dots are runs (and folds), bars their "
        "Fisher mean.",
    )  # fmt: skip
    best = mean.index[0] if len(mean) else str(predictions["model"].values[0])
    top = table[table["model"] == best].sort_values("r", ascending=False)
    roi = str(top["roi"].iloc[0])
    section.add_figure(
        plot_prediction(predictions, models=[best], roi=roi),
        f"Course of {roi}",
        "The region that the best model predicts best; others are in the table.",
    )
    for model in models:
        if hasattr(model, "history_"):
            there = "val_mse" in model.history_["metric"].values
            section.add_figure(
                plot_history(model, metric="val_mse" if there else "train_loss"),
                f"Learning of {type(model).__name__}",
                "On the validation part, which the test part never meets.",
            )
    add_tables(section, table, checks, mean)
    if statistics is not None and len(mean):
        add_statistics(section, statistics, mean)
        add_evidence(section, predictions, statistics, best)
    return section


def tested(predictions, mean: pd.Series, statistics) -> str:
    """Whether linear is enough, by the test over people; empty without one."""
    line = [m for m in mean.index if m in LINEAR]
    other = [m for m in mean.index if m not in LINEAR + CONTROLS]
    if statistics is None or not line or not other:
        return ""
    part = predictions.sel(model=[line[0], *other])
    return model_verdict(statistics, model_differences(part, line[0]))


def add_evidence(section, predictions, statistics, best: str) -> None:
    """Chance, controls, the global signal and the clock, of the best model."""
    few = statistics[statistics["model"] == best].nlargest(MOST_ROWS, "r")
    section.add_figure(
        plot_regions(few), f"Regions that {best} predicts",
        "R with its interval over people; the band is what independent courses of "
        "this length and memory reach by chance. Controls carry no neural signal.",
    )  # fmt: skip
    section.add_figure(
        plot_specific(few),
        "What is specific to a region",
        "Below the line: R that the global signal carried.",
    )
    lagged = lagged_correlations(predictions.sel(model=[best]))
    shown = few["roi"].astype(str).head(10).tolist()
    section.add_figure(
        plot_lags(lagged, rois=shown), "Prediction moved against the truth",
        "The peak must be at 0; anything else is a wrong clock.",
    )  # fmt: skip


def mean_r(scores: pd.DataFrame) -> pd.Series:
    """Fisher mean of R over regions and runs by model, the best first."""
    known = scores[scores["r"].notna()]
    made = known.groupby("model")["r"].apply(lambda r: fisher_mean(r.to_numpy()))
    return made.sort_values(ascending=False)


def lead(mean: pd.Series, scores: pd.DataFrame, told: str = "") -> str:
    """Whether a linear model is enough, and whether anything looks leaky.

    `told` is the outcome of the test over people; without it a margin decides.
    """
    if not len(mean):
        return "No model made a course that varies."
    kinds = {
        "linear": [m for m in mean.index if m in LINEAR],
        "other": [m for m in mean.index if m not in LINEAR + CONTROLS],
    }
    text = f"The best model is {mean.index[0]} with a mean R of {mean.iloc[0]:.2f}."
    if told:
        text = f"{told} {text}"
    elif kinds["linear"] and kinds["other"]:
        line, other = kinds["linear"][0], kinds["other"][0]
        gain = mean[other] - mean[line]
        if gain <= MARGIN:
            text = (
                f"Linear is enough: {line} has a mean R of {mean[line]:.2f}, the best "
                f"other model ({other}) {mean[other]:.2f}."
            )
        else:
            text = (
                f"{other} reaches a mean R of {mean[other]:.2f}, {gain:.2f} more than "
                f"the best linear model ({line})."
            )
    near = [m for m in mean.index if m in ("nearest-neighbour", "NearestNeighbour")]
    if near and mean[near[0]] >= mean.iloc[0] - MARGIN:
        text += (
            " The nearest neighbour is as good as any model: look for test windows "
            "that training has seen."
        )
    if not scores["testable"].all():
        text += " Folds with fewer than 30 volumes are not testable."
    return text


def claim(mean: pd.Series, statistics) -> str:
    """In how many regions the best model is better than chance."""
    if statistics is None or not len(mean):
        return ""
    own = statistics[statistics["model"] == mean.index[0]]
    known = own["p_family"].notna()
    n = int((own.loc[known, "p_family"] < 0.05).sum())
    special = int((own.loc[known, "p_specific"] < 0.05).sum())
    text = (
        f"{mean.index[0]} beats surrogates in {n} of {len(own)} regions "
        f"(family-wise 5 %), and in {special} once the global signal is taken out."
    )
    controls = own[own["control"].astype(bool) & (own["p_family"] < 0.05)]
    if len(controls):
        names = ", ".join(controls["roi"].astype(str))
        text += (
            f" It also predicts regions without neural signal ({names}): look for "
            "arousal, movement and artefacts."
        )
    if not known.all():
        text += f" Not testable: {int((~known).sum())}."
    return text


def add_statistics(section, statistics, mean) -> None:
    """What can be claimed of the best model, region by region."""
    if not len(mean):
        return
    own = statistics[statistics["model"] == mean.index[0]]
    own = own.sort_values("r", ascending=False).head(MOST_ROWS)
    rows = [
        [value if isinstance(value, str | bool) else shown(value) for value in row]
        for row in own[list(CLAIMS)].itertuples(index=False)
    ]
    section.add_table(f"What {mean.index[0]} predicts", list(CLAIMS.values()), rows)


def shown(value: float) -> float | str:
    return "-" if pd.isna(value) else round(float(value), 4)


def numbers(predictions, scores, mean) -> dict:
    """Key figures of the comparison."""
    return {
        "runs": int(scores["label"].nunique()),
        "people": int(scores["subject"].nunique()),
        "regions": int(scores["roi"].nunique()),
        "tested volumes": int(predictions.sizes["volume"]),
        "folds": int(scores["fold"].nunique()),
        **{f"mean R, {name}": round(float(r), 3) for name, r in mean.items()},
    }


def add_tables(section, table, checks, mean) -> None:
    """R by model and region; error against a constant; the checks."""
    columns = [m for m in mean.index if m in set(table["model"])]
    for value, heading in (
        ("r", "R of every region"),
        ("mse_share", "Mean squared error, as a share of that of the best constant"),
    ):
        wide = table.pivot_table(index="roi", columns="model", values=value, sort=False)
        wide = wide[columns].head(MOST_ROWS).round(3)
        rows = [[roi, *row.tolist()] for roi, row in wide.iterrows()]
        section.add_table(heading, ["region", *columns], rows)
    section.add_table(
        "Checks before training",
        ["check", "worst value", "limit", "unit", "passed", "failed", "not measured"],
        [check_row(check, part) for check, part in checks.groupby("check", sort=False)],
    )
    failed = checks[checks["verdict"] == "failed"]
    if len(failed):
        rows = [[r.run, r.check, round(r.value, 3)] for r in failed.itertuples()]
        section.add_table("Runs that fail a check", ["run", "check", "value"], rows)


def check_row(check: str, part: pd.DataFrame) -> list:
    """One check over all runs."""
    known = part["value"].dropna()
    worst = "-" if known.empty else round(float(known.loc[known.abs().idxmax()]), 3)
    counts = [int((part["verdict"] == v).sum()) for v in VERDICTS]
    return [check, worst, part["limit"].max(), part["unit"].iloc[0], *counts]


def methods(predictions, models) -> str:
    """A paragraph for a methods section."""
    attrs = predictions.attrs
    tested = PROTOCOLS.get(str(attrs.get("protocol")), "held-out windows")
    names = ", ".join(str(m) for m in predictions["model"].values)
    text = (
        f"BOLD of each volume was predicted from the 16 s of EEG before it, resampled "
        f"to 200 Hz, by {names}. Models were tested on {tested}"
    )
    if attrs.get("protocol") in ("intra-scan", "fine-tune"):
        text += f" (gap {float(attrs.get('gap', 0)):g} s)"
    text += (
        "; penalties and epochs were chosen within the training part, and targets "
        "scaled by it alone."
    )
    if attrs.get("paper_mode") or attrs.get("leaky"):
        text += " Targets were filtered and scaled over whole runs, test part included."
    sizes = [
        f"{type(m).__name__} {m.n_parameters_} weights, seed {m.seed_}, {m.device_}, "
        f"{m.precision_}"
        for m in models
        if hasattr(m, "n_parameters_")
    ]
    text += f" Networks: {'; '.join(sizes)}." if sizes else ""
    return f"{text} Software: neuroana {versions().get('neuroana', '')}."


def citations(models) -> list[str]:
    """BibTeX of the models, each once."""
    found: list[str] = []
    for model in models:
        found += [entry for entry in model.cite().split("\n\n") if entry]
    return list(dict.fromkeys(found))
