"""Which prior when: held-out scores and recovery over fresh draws, by amount of data.

Draws of the generator "li2024" (five states, twenty units, sequences of 2000 bins,
sigmoid link), 5, 10 and 30 sequences to train, 20 to test; eight starts a fit. Run it
with ``python benchmarks/switching_priors.py`` (half an hour of one core); it writes
``benchmarks/results/switching_priors.md``.
"""

import sys
import time
import warnings
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parent))

import switching_measure as bench  # noqa: I001  (limits threads before numpy comes)
import numpy as np
import pytest

from neuroana.switching import (
    HMMGLM,
    match_states,
    simulate_hmm_glm,
    state_accuracy,
)


SIZES = (5, 10, 30)
DRAWS = 5
N_TEST = 20
PRIORS = ("none", "gaussian", "one_hot")
METRICS = ("gap", "accuracy", "w_r", "edges", "map", "seconds")


def balanced(truth, found):
    """Balanced accuracy over inhibitory, none, excitatory."""
    return float(np.mean([(found[truth == s] == s).mean() for s in (-1, 0, 1)]))


def edge_types(model, order):
    """Type of every edge: posterior where there is one, else coupling beyond 0.3."""
    if hasattr(model, "edge_probability_"):
        return model.edge_probability_.to_numpy()[order].argmax(axis=-1) - 1
    w = model.coupling_.to_numpy()[order, ..., 0]
    return np.sign(w) * (np.abs(w) > 0.3)


def oracle(truth, test):
    """Score of the parameters that made the data."""
    start = {
        name: truth[name].to_numpy()
        for name in ("coupling", "baseline", "transition_matrix", "initial_prob")
    }
    model = HMMGLM(5, link="sigmoid", init=start, max_iter=1)
    model.fit(test)  # one iteration looks, and does not move
    for name, value in start.items():
        getattr(model, f"{name}_").values[:] = value
    return model.score(test)


def judge(model, truth, test, best):
    """All metrics of one fit."""
    posterior = model.predict_proba(test)
    states = [r.state for r in test]
    order = match_states(states, posterior)
    w = model.coupling_.to_numpy()[order]
    found = {
        "gap": best - model.score(test),
        "accuracy": state_accuracy(states, posterior),
        "w_r": np.corrcoef(w.ravel(), truth.coupling.to_numpy().ravel())[0, 1],
        "edges": balanced(truth.edge_type.to_numpy(), edge_types(model, order)),
        "map": np.nan,
    }
    if hasattr(model, "edge_prior_"):
        wanted = truth.edge_prior.to_numpy().argmax(axis=-1) - 1
        own = model.edge_prior_.to_numpy().argmax(axis=-1) - 1
        found["map"] = balanced(wanted, own)
    return found


def run(draws=DRAWS, sizes=SIZES, n_init=8):
    """Fit everything and write the page; {(size, prior): {metric: values}}."""
    host = bench.machine()
    values = {}
    for draw in range(draws):
        data, truth = simulate_hmm_glm(
            n_sequences=max(sizes) + N_TEST, random_state=100 + draw
        )
        train, test = data[: max(sizes)], data[max(sizes) :]
        best = oracle(truth, test)
        for size in sizes:
            for prior in PRIORS:
                model = HMMGLM(
                    5, link="sigmoid", prior=prior, self_coupling="prior",
                    n_init=n_init, random_state=draw, n_jobs=1,
                )  # fmt: skip
                start = time.process_time()
                model.fit(train[:size])
                found = judge(model, truth, test, best)
                found["seconds"] = time.process_time() - start
                for name in METRICS:
                    values.setdefault((size, prior), {}).setdefault(name, []).append(
                        found[name]
                    )
                print(draw, size, prior, {k: round(v, 5) for k, v in found.items()},
                      flush=True)  # fmt: skip
    bench.write("switching_priors", page(host, values, draws, n_init))
    return values


def page(host, values, draws, n_init):
    """The result page."""
    rows = []
    for (size, prior), found in values.items():
        cells = [f"{size}", prior]
        for name in METRICS:
            middle, low, high = (f(found[name]) for f in (np.median, np.min, np.max))
            digits = {"gap": 5, "seconds": 0}.get(name, 3)
            empty = np.isnan(middle)
            cells.append(
                "" if empty
                else f"{middle:.{digits}f} ({low:.{digits}f} .. {high:.{digits}f})"
            )  # fmt: skip
        rows.append(cells)
    columns = [
        "training sequences", "prior", "gap to the truth, nats per value",
        "state accuracy", "couplings, r", "edge types, balanced accuracy",
        "map, balanced accuracy", "CPU s",
    ]  # fmt: skip
    return f"""# Which prior when

Medians over {draws} fresh draws of the generator "li2024" (smallest .. largest), five
states, twenty units, sequences of 2000 bins, 20 held-out sequences, best of {n_init}
starts. The gap is the held-out score of the parameters that made the data minus that of
the fit. States are matched on the held-out sequences. Edge types are the argmax of the
posterior (one_hot) or couplings beyond 0.3 (others).

{host}. {bench.versions("numba", "torch")}.

{bench.table(columns, rows)}
"""


@pytest.mark.bench
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_priors_are_worth_their_name():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = run()
    gap = {key: float(np.median(found["gap"])) for key, found in values.items()}
    assert gap[30, "one_hot"] <= 0.0006
    assert gap[5, "one_hot"] <= 0.0025


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run()
