"""How well rankings on parts of the people agree with that on everybody."""

import numpy as np
import pandas as pd

from neuroana.core.random import branch
from neuroana.fc.pair_scores import identity_classes, pair_score, pair_sums
from neuroana.fc.preservation import rank_preservation


def preservation_table(
    bench, core_sets, *, fractions=(0.1, 0.2, 0.3, 0.5), n_repeat=100, random_state=0
):
    """Agreement of the fingerprint ranking (d') on core-sets and on random people.

    Parameters
    ----------
    bench : fitted OperatorBenchmark
    core_sets : dict of str to list of str
        Names of people, by selector.
    fractions : sequence of float
        Of random people.
    n_repeat : int
    random_state : int

    Returns
    -------
    DataFrame
        fraction, selector, draw, tau, ndcg5, regret.

    Examples
    --------
    >>> import neuroana as na
    >>> bench = na.fc.OperatorBenchmark(["pearson", "partial", "noise"],
    ...     window="halves", n_boot=9, n_null=9, random_state=0).fit(
    ...     na.fc.simulate_people(8, n_roi=4, n_samples=60, random_state=0)[0])
    >>> found = preservation_table(bench, {}, fractions=(0.5,), n_repeat=5)
    >>> len(found)
    5
    """
    s = bench.similarity_.to_numpy().astype(float)
    fine = [k for k in range(len(s)) if np.isfinite(s[k]).any()]
    names, people = np.unique(bench.person_.to_numpy(), return_inverse=True)
    sums = [pair_sums(s[k], people) for k in fine]
    classes = identity_classes(len(names))

    def scores(weights):
        return np.stack([pair_score(p, classes, weights) for p in sums], axis=1)

    full = scores(np.ones((1, len(names))))[0]
    rng = branch(random_state)
    parts = []
    for fraction in fractions:
        size = max(2, round(fraction * len(names)))
        weights = np.zeros((n_repeat, len(names)))
        for w in weights:
            w[rng.permutation(len(names))[:size]] = 1.0
        parts.append((fraction, "random", scores(weights)))
    for name, chosen in core_sets.items():
        inside = np.isin(names, list(chosen))[None].astype(float)
        label = "chosen: random" if name == "random" else name
        parts.append((round(inside.mean(), 3), label, scores(inside)))
    rows = []
    for fraction, name, found in parts:
        good = np.isfinite(found).all(axis=1)
        if not good.any():
            continue
        agreed = rank_preservation(full, found[good], ks=(min(5, len(full)),))
        rows += [
            (fraction, name, draw, float(agreed["kendall"][draw]),
             float(agreed["ndcg"][draw, 0]), float(agreed["regret"][draw]))
            for draw in range(int(good.sum()))
        ]  # fmt: skip
    columns = ["fraction", "selector", "draw", "tau", "ndcg5", "regret"]
    return pd.DataFrame(rows, columns=columns)
