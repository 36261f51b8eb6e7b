"""Which core-set, and which estimate from it, keeps the ranking of operators.

86 resting adults, 33 regions, disjoint windows of 70 volumes. Three tasks: fingerprint
(d'), site (d' of pairs of different people) and reliability (median ICC). The truth is
the score on everybody. Every selector and estimator is set beside random people, by the
difference of Kendall's tau over the expensive operators with a 95 % interval over
draws; on *halves*, by fresh random splits into cheap and expensive operators, over
splits. ``python benchmarks/fc_coreset.py STORE`` keeps the matrices in the folder STORE
and writes ``benchmarks/results/fc_coreset.md`` and ``.tsv``.
"""

import os
import sys
import tempfile
import warnings
from pathlib import Path


for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(Path(__file__).parent))

import fc_cohort  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402

import neuroana as na  # noqa: E402
from neuroana.core.random import branch  # noqa: E402
from neuroana.fc.core_benchmark import scorer_of  # noqa: E402
from neuroana.fc.core_estimates import CoreScores, reliable_edges  # noqa: E402
from neuroana.fc.rank_agreement import (  # noqa: E402
    kendall_tau,
    ndcg,
    regret,
    relevance_of,
)
from neuroana.fc.registry import Op, find, load_operators  # noqa: E402
from neuroana.fc.samples import cut_samples  # noqa: E402
from neuroana.fc.selectors import SELECTORS  # noqa: E402
from neuroana.fc.similarity import edge_rows  # noqa: E402
from neuroana.fc.surrogate import Surrogate, rank_features  # noqa: E402
from neuroana.fc.task_data import Measured  # noqa: E402


RESULT = Path(__file__).parent / "results" / "fc_coreset"
FRACTIONS = (0.05, 0.1, 0.2, 0.3, 0.5)
N_DRAWS = {"random": 20, "selector": 20, "split": 4}
N_SEEDS = 5  # of selectors that are trained
N_SPLITS = 20
ESTIMATE_SECONDS = 0.01  # an operator and core-set, assumed, not measured
TASKS = {
    "fingerprint": na.fc.Task("fingerprint"),
    "site": na.fc.Task("group", label="site", score="margin", site_aware=False),
    "reliability": na.fc.Task("fingerprint", score="icc"),
}
CLOSED_FORM = (
    "pearson", "covariance", "partial", "precision", "log_euclidean", "tangent",
    "spearman", "lagged_corr", "xcorr_max", "xcorr_mean", "diff_corr", "mtd",
    "var_coef", "granger", "granger_conditional", "ewm_corr", "ledoit_wolf", "oas",
    "shrunk", "ridge", "te_gauss",
)  # fmt: skip
LEFT_OUT = ("noise", "mcd", "dcc", "graphical_lasso_cv", "cross_hsic", "cross_dcor",
            "spectral_granger_wilson", "mi_gauss", "cosine", "euclidean")  # fmt: skip


class Cohort:
    """Matrices of all operators on everybody, as ranks and similarities."""

    def __init__(self, store):
        recordings = fc_cohort.read_cohort(33, whole_only=True)
        self.samples = cut_samples(recordings, window_volumes=70)
        names = [n for n in load_operators() if n not in LEFT_OUT]
        bench = na.fc.OperatorBenchmark(
            names, list(TASKS.values()), per_site=True, store=store, n_boot=1,
            n_null=1, random_state=0, time_limit=120.0, min_complete=1.0, n_jobs=2,
        ).fit(self.samples)  # fmt: skip
        fine = (bench.status_ == "ok").all("sample").to_numpy()
        groups = bench.tie_group_.to_numpy()
        first = [k for k in range(len(names))
                 if fine[k] and groups[k] not in groups[:k][fine[:k]]]  # fmt: skip
        self.failures = bench.failures()
        self.names = [names[k] for k in first]
        self.seconds = bench.timing_.sel(cost="cpu_s").to_numpy()[first]
        self.design = bench._design(self.samples, np.ones(len(self.samples), bool))
        self.s = bench.similarity_.to_numpy()[first].astype(float)
        cells = bench._compute(self.samples, [Op(n) for n in self.names],
                               bench._settings(), Path(store))  # fmt: skip
        from neuroana.fc.cells import matrices_of

        rows, self.directed = [], []
        for name in self.names:
            w, directed = matrices_of(cells[name], len(self.samples))
            rows.append(rank_features(edge_rows(w.astype(float), directed=True)))
            self.directed.append(directed)
        self.rows = np.stack(rows)
        n_roi = w.shape[-1]
        whole = np.ones(self.rows.shape[2], dtype=bool)
        self.reliable = {
            d: reliable_edges(n_roi, whole, directed=d, seed=self.design.seed)[:200]
            for d in (False, True)
        }

    def scores(self, task, cheap, dear):
        """Estimates of the expensive operators from the cheap ones."""
        model = Surrogate(self.rows[cheap])
        cross = model.cross(self.rows[dear])
        return _Split(self, TASKS[task], model, cross, dear)


class _Split:
    """Raw and surrogate scores of some operators, directed ones by their own edges."""

    def __init__(self, cohort, task, model, cross, dear):
        self.parts, self.order = [], []
        for directed in (False, True):
            at = [k for k, o in enumerate(dear) if cohort.directed[o] == directed]
            if at:
                own = [dear[k] for k in at]
                self.parts.append(CoreScores(
                    task, cohort.design, model, cross[:, :, at], cohort.s[own],
                    cohort.rows[own], cohort.reliable[directed]))  # fmt: skip
                self.order += at

    def _joined(self, made):
        out = np.concatenate(made, axis=1)
        return out[:, np.argsort(self.order)]

    def raw(self, weights):
        return self._joined([p.raw(weights) for p in self.parts])

    def surrogate(self, core):
        return self._joined([p.surrogate(core) for p in self.parts])[0]

    def rho(self, core):
        return np.concatenate([p.predictability(core) for p in self.parts])


def agreement(full, found):
    """Kendall's tau, nDCG@5 and regret of one estimate."""
    return (kendall_tau(full, found), ndcg(relevance_of(full), found, 5),
            regret(full, found))  # fmt: skip


def masks_of(cohort, selector, fraction, n_draws, matched=None):
    """Core-sets of people (draw, person)."""
    names = cohort.design.names
    out = []
    for draw in range(n_draws):
        core = selector(fraction, draw, matched)
        out.append(np.isin(names, core))
    return np.array(out)


def make_selectors(cohort, n_seeds):
    """Functions (fraction, draw, cheap scores) -> names, one a selector.

    Selectors that look at the same training share it; every draw has its own seed.
    """
    trained = {}

    def by_name(name, stratify=None):
        def choose(fraction, draw, cheap):
            seed = draw % n_seeds if SELECTORS[name].needs == "labels" else 0
            if seed not in trained:
                trained[seed] = na.fc.CoreSet("random", random_state=seed, device="cpu")
                trained[seed].fit(cohort.samples)
            model = trained[seed].set_params(selector=name, stratify=stratify)
            model._data.cheap_scores = cheap
            return model.choose(fraction, draw=draw)

        return choose

    def sclcs(strategy, stratify=None):
        def choose(fraction, draw, cheap):
            key = ("sclcs", draw % n_seeds)
            if key not in trained:
                trained[key] = na.fc.SCLCS(epochs=60, device="cpu",
                                           random_state=key[1])  # fmt: skip
                trained[key].fit(cohort.samples)
            model = trained[key].set_params(strategy=strategy, stratify=stratify)
            return model.choose(fraction, draw=draw)

        return choose

    found = {name: by_name(name) for name in SELECTORS}
    found["random, by site"] = by_name("random", "site")
    found["SCLCS, lowest"] = sclcs("topk")
    found["SCLCS, dense"] = sclcs("dense")
    found["SCLCS, lowest, by site"] = sclcs("topk", "site")
    return found


def run_family(cohort, n_draws, n_seeds, tasks=tuple(TASKS)):
    """Every selector and estimator at every fraction; cheap are the closed forms."""
    cheap = [k for k, n in enumerate(cohort.names) if n in CLOSED_FORM]
    dear = [k for k in range(len(cohort.names)) if k not in cheap]
    selectors = make_selectors(cohort, n_seeds)
    measured = [Measured(np.empty(0)) for _ in cheap]
    for m, k in zip(measured, cheap):
        m._kept["spearman"] = cohort.s[k]
    rows = []
    for task in tasks:
        made = cohort.scores(task, cheap, dear)
        full = made.raw(np.ones((1, len(cohort.design.names))))[0]
        cheap_scores = scorer_of(TASKS[task], cohort.design, measured)
        for fraction in FRACTIONS:
            for name, selector in selectors.items():
                n = n_draws["random" if name.startswith("random") else "selector"]
                masks = masks_of(cohort, selector, fraction, n, cheap_scores)
                for draw, score in enumerate(made.raw(masks.astype(float))):
                    rows.append((task, fraction, name, "raw", draw,
                                 *agreement(full, score)))  # fmt: skip
                tried = ("random", "random, by site", "matched")
                if name == "random" or (fraction == 0.1 and name in tried):
                    for draw, core in enumerate(masks):
                        found = agreement(full, made.surrogate(core))
                        rows.append((task, fraction, name, "surrogate", draw, *found))
            print(task, fraction, "done", flush=True)
    columns = ["task", "fraction", "selector", "estimator", "draw", "tau", "ndcg5",
               "regret"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def run_halves(cohort, n_splits, n_draws, fraction=0.1):
    """Surrogate less raw on the same random people, over random halves of operators."""
    n_people, n_ops = len(cohort.design.names), len(cohort.names)
    rows = []
    for task in TASKS:
        for split in range(n_splits):
            rng = branch(77, split)
            order = rng.permutation(n_ops)
            cheap, dear = order[: n_ops // 2].tolist(), order[n_ops // 2 :].tolist()
            made = cohort.scores(task, cheap, dear)
            full = made.raw(np.ones((1, n_people)))[0]
            masks = np.zeros((n_draws, n_people), dtype=bool)
            for m in masks:
                m[rng.permutation(n_people)[: round(fraction * n_people)]] = True
            raw = made.raw(masks.astype(float))
            gains = [np.subtract(agreement(full, made.surrogate(core)),
                                 agreement(full, score))
                     for core, score in zip(masks, raw)]  # fmt: skip
            rho = np.nanmedian(made.rho(masks[0]), axis=0)
            rows.append((task, split, *np.mean(gains, axis=0), *rho))
        print(task, "halves done", flush=True)
    columns = ["task", "split", "tau", "ndcg5", "regret", "rho_within", "rho_between"]
    return pd.DataFrame(rows, columns=columns)


def interval(values):
    """Mean and half of the 95 % interval."""
    values = np.asarray(values, dtype=float)
    half = (
        1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    )
    return float(values.mean()), float(half)


def verdict(gain, half):
    """In words, from a difference to random people and its interval."""
    if not np.isfinite(half) or abs(gain) <= half:
        return "no difference shown"
    return "better" if gain > 0 else "worse"


def against_random(table):
    """Difference of every selector and estimator to raw scores of random people.

    Estimates on the same draws of people are paired; selectors are not.
    """
    rows = []
    for (task, fraction), part in table.groupby(["task", "fraction"]):
        base = part[(part["selector"] == "random") & (part["estimator"] == "raw")]
        for (name, estimator), own in part.groupby(["selector", "estimator"]):
            if name == "random" and estimator == "surrogate":
                gain, half = interval(own["tau"].to_numpy() - base["tau"].to_numpy())
            else:
                (a, ha), (b, hb) = interval(own["tau"]), interval(base["tau"])
                gain, half = a - b, float(np.hypot(ha, hb))
            if name == "random" and estimator == "raw":
                gain, half = 0.0, interval(base["tau"])[1]
            sets = own["tau"].nunique()
            said = verdict(gain, half) if sets > 4 else "one fixed set: no claim"
            rows.append((task, fraction, name, estimator, sets, own["tau"].mean(),
                         gain, half, own["ndcg5"].mean(), own["regret"].mean(),
                         said))  # fmt: skip
    columns = ["task", "fraction", "selector", "estimator", "sets", "tau", "gain", "+-",
               "ndcg5", "regret", "against random people"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def halves_text(halves):
    """What the surrogate gains over halves of the operators, a line a task."""
    parts = [
        "## Surrogate less raw scores, same random people, 10 %, halves of operators",
        "",
    ]
    for task, own in halves.groupby("task", sort=False):
        line = [f"- **{task}**:"]
        for column in ("tau", "ndcg5", "regret"):
            mean, half = interval(own[column])
            line.append(f"{column} {mean:+.3f} +- {half:.3f}"
                        f"{' (0 left out)' if abs(mean) > half else ''};")  # fmt: skip
        line.append(f"median rho within {own['rho_within'].median():.2f}, between "
                    f"{own['rho_between'].median():.2f}; better in "
                    f"{int((own['tau'] > 0).sum())} of {len(own)} splits.")  # fmt: skip
        parts.append(" ".join(line))
    return parts


def write_report(summary, halves, cohort, sizes):
    """All as one page, the verdicts in front."""
    from fc_leaderboard import table_text

    n_cheap, n_dear = sizes
    n, cheap = len(cohort.samples), np.isin(cohort.names, CLOSED_FORM)
    full = cohort.seconds.sum() * n
    part = cohort.seconds[cheap].sum() * n + 0.1 * cohort.seconds[~cheap].sum() * n
    part += ESTIMATE_SECONDS * n_dear
    parts = [
        "# Core-sets of 86 resting adults",
        "",
        f"33 regions, {len(cohort.samples)} disjoint windows of 70 volumes, "
        f"{n_cheap} cheap operators (closed forms) and {n_dear} expensive ones. "
        "tau: Kendall's, over the expensive operators, to their "
        "order on everybody. gain: difference to raw scores of random people, with the "
        "half of its 95 % interval over draws (trained selectors: over seeds of the "
        "training). No selector is called useful unless the interval leaves out 0.",
        "",
        f"Operators on everybody take {full:.0f} CPU s; cheap ones on everybody, "
        f"expensive ones on a tenth and their estimate {part:.0f} ({part / full:.0%}). "
        "Random people cost nothing to choose.",
        "",
        *halves_text(halves),
    ]
    for task in TASKS:
        own = summary[summary["task"] == task]
        better = own[own["against random people"] == "better"]
        worse = own[own["against random people"] == "worse"]
        parts += ["", f"## {task}", ""]
        for word, some in (("Better", better), ("Worse", worse)):
            names = [f"{r.selector}/{r.estimator} at {r.fraction:.0%}"
                     for r in some.itertuples()]  # fmt: skip
            parts.append(f"{word} than random people: {', '.join(names) or 'none'}.")
            parts.append("")
        parts.append(table_text(own.drop(columns="task")))
    if len(cohort.failures):
        parts += ["", "## Operators left out, as they failed", "",
                  table_text(cohort.failures)]  # fmt: skip
    parts += ["", "## Seconds a window", "", table_text(pd.DataFrame(
        {"operator": cohort.names, "family": [find(n).family for n in cohort.names],
         "cpu_s": cohort.seconds}))]  # fmt: skip
    RESULT.with_suffix(".md").write_text("\n".join(parts) + "\n", encoding="utf-8")


@pytest.mark.bench
def test_core_sets():
    run("--quick" in sys.argv)


def run(quick):
    """All tables; with `quick` too few draws to say anything, to try the script."""
    if not fc_cohort.folder().is_dir():
        pytest.skip(f"no recordings at {fc_cohort.folder()}")
    warnings.simplefilter("ignore")
    given = [a for a in sys.argv[1:] if not a.startswith("-")]
    store = given[0] if given and __name__ == "__main__" else None
    n_draws = dict.fromkeys(N_DRAWS, 3) if quick else N_DRAWS
    with tempfile.TemporaryDirectory() as spare:
        folder = Path(store or spare)
        cohort = Cohort(folder)
        halves = kept(folder / "halves.tsv", lambda: run_halves(
            cohort, 3 if quick else N_SPLITS, n_draws["split"]))  # fmt: skip
        if "--halves" in sys.argv:
            return
        table = kept(folder / "family.tsv", lambda: run_family(
            cohort, n_draws, 2 if quick else N_SEEDS))  # fmt: skip
    summary = against_random(table)
    sizes = sum(n in CLOSED_FORM for n in cohort.names)
    write_report(summary, halves, cohort, (sizes, len(cohort.names) - sizes))
    table.round(6).to_csv(RESULT.with_suffix(".tsv"), sep="\t", index=False)
    for _, own in halves.groupby("task"):
        mean, half = interval(own["tau"])
        assert quick or mean > half


def kept(path, make):
    """A table that is made once."""
    if not path.is_file():
        make().to_csv(path, sep="\t", index=False)
    return pd.read_csv(path, sep="\t")


if __name__ == "__main__":
    run("--quick" in sys.argv)
