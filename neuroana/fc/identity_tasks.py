"""Tasks that recognise people: fingerprint, test-retest."""

import numpy as np

from neuroana.core.checks import check_choice, check_names, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch
from neuroana.fc.identification import discriminability, identification_rate
from neuroana.fc.pair_scores import identity_classes, pair_score, pair_sums, separation
from neuroana.fc.reliability import median_icc, two_measurements
from neuroana.fc.similarity import standardised
from neuroana.fc.task_data import Design, Measured, Outcome
from neuroana.fc.tasks import task


MAX_EDGES = 2000  # of which reliability is taken
FEWEST_PEOPLE = 4
SCORES = ("dprime", "diff", "idrate", "discriminability", "icc")


def _needs_pairs(design: Design, score="dprime", similarity="spearman"):
    check_choice(
        "score", score, ["dprime", "diff", "idrate", "discriminability", "icc"]
    )
    check_choice("similarity", similarity, ["spearman", "pearson"])
    twice = np.bincount(design.people) > 1
    if twice.sum() < 2:
        raise ParameterError(
            message(
                "task 'fingerprint'",
                "at least two people with two samples each",
                f"{int(twice.sum())}",
                "cut recordings into disjoint halves: window='halves'",
            )
        )


@task("fingerprint", _needs_pairs)
def fingerprint(m: Measured, design: Design, score="dprime", similarity="spearman"):
    """Whether two samples of a person are more alike than those of two people."""
    if score == "icc":
        return _agreement(m.edges, design, kind="1,1")
    s, people, weights = m.similarity(similarity), design.people, design.weights
    strata = design.strata[people]
    orders = [design.permuted(strata, k) for k in range(design.n_null)]
    if score in ("dprime", "diff"):
        classes = identity_classes(len(design.names))
        draws = pair_score(pair_sums(s, people), classes, weights, score)
        return Outcome(draws, _permuted_pairs(s, people, orders, score))
    measure = identification_rate if score == "idrate" else discriminability
    ones = weights[:1]
    null = [measure(s[np.ix_(o, o)], people, ones)[0] for o in orders]
    return Outcome(measure(s, people, weights), np.array(null))


def _permuted_pairs(s, people, orders, score):
    """d' or diff of permuted identities from the few pairs within a person."""
    rows, columns = np.triu_indices(len(s), 1)
    values = s[rows, columns]
    fine = np.isfinite(values)
    total = np.array([fine.sum(), values[fine].sum(), (values[fine] ** 2).sum()])
    same = people[rows] == people[columns]
    out = np.empty(len(orders))
    for k, order in enumerate(orders):
        own = s[order[rows[same]], order[columns[same]]]
        own = own[np.isfinite(own)]
        inside = np.array([len(own), own.sum(), (own**2).sum()])
        both = np.stack([inside, total - inside])
        mean = both[:, 1] / both[:, 0]
        spread = np.maximum(both[:, 2] / both[:, 0] - mean**2, 0)
        out[k] = separation(mean, spread) if score == "dprime" else mean[0] - mean[1]
    return out


def reliability_edges(n_edges, seed):
    """Edges of which reliability is taken: all, or some drawn at random."""
    if n_edges <= MAX_EDGES:
        return np.arange(n_edges)
    return np.sort(branch(seed, 2).permutation(n_edges)[:MAX_EDGES])


def reliability_rows(edges, seed):
    """Standardised ranks of the edges (sample, edge), of those that all have."""
    whole = edges[:, np.isfinite(edges).all(axis=0)]
    rows = standardised(whole) * np.sqrt(whole.shape[1])
    return rows[:, reliability_edges(whole.shape[1], seed)]


def _agreement(edges, design: Design, kind, first=None, second=None, who=None):
    rows = reliability_rows(edges, design.seed)
    if first is None:
        a, b, who = two_measurements(rows, design.people, len(design.names))
    else:
        a, b = rows[first], rows[second]
    weights = design.weights[:, who]
    strata = design.strata[who]
    ones = np.ones((1, len(who)))
    null = [median_icc(a, b[design.permuted(strata, k)], ones, kind=kind)[0]
            for k in range(design.n_null)]  # fmt: skip
    return Outcome(median_icc(a, b, weights, kind=kind), np.array(null))


def _sessions(design: Design, column):
    """First samples of two sessions of every person that has both."""
    values = design.table[column].to_numpy().astype(str)
    names = np.unique(values)
    first, second, who = [], [], []
    for p in range(len(design.names)):
        own = [np.flatnonzero((design.people == p) & (values == v)) for v in names]
        own = [at[0] for at in own if len(at)]
        if len(own) >= 2:
            first.append(own[0])
            second.append(own[1])
            who.append(p)
    return np.array(first, int), np.array(second, int), np.array(who, int)


def _needs_sessions(design: Design, column="session", score="icc"):
    check_choice("score", score, ["icc", "r"])
    check_names("table column", [column], map(str, design.table.columns))
    who = _sessions(design, column)[2]
    if len(who) < FEWEST_PEOPLE:
        raise ParameterError(
            message(
                "task 'test_retest'",
                f"{FEWEST_PEOPLE} people with two values of {column!r}",
                len(who),
                "take 'fingerprint' with windows of one scan",
            )
        )


@task("test_retest", _needs_sessions)
def retest(m: Measured, design: Design, column="session", score="icc"):
    """How well two sessions of a person agree: ICC(2,1) of edges, or their r."""
    first, second, who = _sessions(design, column)
    if score == "icc":
        return _agreement(m.edges, design, "2,1", first, second, who)
    s = m.similarity("pearson")[np.ix_(first, second)]
    weights = design.weights[:, who]
    strata = design.strata[who]
    null = [np.nanmean(s[np.arange(len(who)), design.permuted(strata, k)])
            for k in range(design.n_null)]  # fmt: skip
    return Outcome(weights @ np.diag(s) / weights.sum(1), np.array(null))
