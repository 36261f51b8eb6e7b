"""What an EM iteration costs as data and model grow, beside the forecast of flops.

Poisson HMM-GLM with the sigmoid link, one thread. One of T, N, K and the number of
starts is varied around T = 30 000, N = 20, K = 3, one start. Run it with ``python
benchmarks/switching_scaling.py`` or ``make bench``; it writes
``benchmarks/results/switching_scaling.md`` and ``.png``.
"""

import sys
import time
import warnings
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parent))

import switching_measure as bench  # noqa: I001  (limits threads before numpy comes)
import numpy as np
import pytest

from neuroana.switching import HMMGLM, em, fitting, simulate_hmm_glm


BASE = {"n_bins": 30_000, "n_units": 20, "n_states": 3, "n_init": 1}
VARIED = {
    "n_bins": (3_000, 10_000, 30_000, 100_000, 300_000),
    "n_units": (5, 10, 20, 40, 80, 160),
    "n_states": (1, 2, 3, 5, 8, 12),
    "n_init": (1, 2, 4, 8),
}
NAMES = {
    "n_bins": "bins T", "n_units": "units N", "n_states": "states K",
    "n_init": "starts",
}  # fmt: skip
ITERATIONS = 7


def iteration(n_bins, n_units, n_states, n_init):
    """Median CPU ms of an EM iteration, and of its E step."""
    data, _ = simulate_hmm_glm(
        n_states=max(n_states, 2), n_units=n_units, n_bins=min(n_bins, 1000),
        n_sequences=max(1, n_bins // 1000), random_state=0,
    )  # fmt: skip
    model = HMMGLM(n_states, link="sigmoid", n_init=n_init, n_jobs=1, random_state=0)
    observed = model._observe(data, None, None, fitted=False)
    kind = fitting.family("poisson", "sigmoid")
    flat = np.zeros(n_units, dtype=bool)
    problem, alone = fitting.make_problems(model, observed, kind, flat, "cpu")
    climb = em.Climb(
        problem, fitting.first_parameters(model, observed, problem, alone, 0)
    )
    spent, looks, last = [], [], -np.inf
    for number in range(ITERATIONS):
        begin = time.process_time()
        found = climb.look()
        looked = time.process_time()
        objective = climb.objective(found)
        climb.step(found, number, objective, objective - last)
        last = objective
        spent.append(1e3 * (time.process_time() - begin))
        looks.append(1e3 * (looked - begin))
    return float(np.median(spent[1:])), float(np.median(looks[1:]))


def flops(n_bins, n_units, n_states, n_init):
    """Of predictors, gradient and emissions: 6 S K N T D."""
    return 6 * n_init * n_states * n_units * n_bins * (n_units + 1)


def run():
    """Measure everything, write page and figure; {what: {value: (ms, E step ms)}}."""
    host = bench.machine()
    measured = {
        what: {v: iteration(**{**BASE, what: v}) for v in values}
        for what, values in VARIED.items()
    }
    draw(measured)
    bench.write("switching_scaling", page(host, measured))
    return measured


def draw(measured):
    """One panel for each quantity, both axes logarithmic."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, 4, figsize=(12, 3.2), sharey=True, layout="constrained"
    )
    for axis, (what, found) in zip(axes, measured.items()):
        values = np.array(list(found))
        total, look = np.array(list(found.values())).T
        axis.loglog(values, total, "o-", label="EM iteration")
        axis.loglog(values, look, "s-", color="0.5", label="of it, E step")
        work = np.array([flops(**{**BASE, what: v}) for v in values], dtype=float)
        middle = len(values) // 2
        axis.loglog(
            values, total[middle] * work / work[middle], ":", color="k",
            label="6 S K N T D flops",
        )  # fmt: skip
        axis.set_xlabel(NAMES[what])
        axis.set_xticks(
            values, [f"{v:,}".replace(",", " ") for v in values], rotation=45
        )
        axis.minorticks_off()
    axes[0].set_ylabel("CPU ms")
    axes[0].legend(frameon=False, fontsize="small")
    bench.RESULTS.mkdir(exist_ok=True)
    figure.savefig(bench.RESULTS / "switching_scaling.png", dpi=110)
    plt.close(figure)


def page(host, measured):
    """The result page."""
    rows = [
        [NAMES[what], f"{value}", f"{total:.1f}", f"{look:.1f}",
         f"{1e-6 * flops(**{**BASE, what: value}) / total:.1f}"]
        for what, found in measured.items()
        for value, (total, look) in found.items()
    ]  # fmt: skip
    columns = ["varied", "value", "EM iteration, ms", "of it, E step, ms", "Gflop/s"]
    return f"""# What an EM iteration costs

Medians of {ITERATIONS - 1} iterations, CPU time, one thread. One quantity is varied
around T = 30 000, N = 20, K = 3, one start; Gflop/s counts 6 S K N T D, the predictors
twice and the gradient once.

{host}. {bench.versions("numba", "torch")}.

![cost over bins, units, states and starts](switching_scaling.png)

{bench.table(columns, rows)}

Bins: linear; below some thousand bins the fixed cost of the small systems shows, K N
matrices of D x D. Units: the products grow with N D, the functions of the rate with N
alone, so small populations pay for the latter; above 64 coefficients one curvature a
state, and a second gradient, take the place of one curvature a unit. States:
linear, the recursion's K^2 stays below a tenth. Starts: linear; every start is an
independent task, so n_jobs divides it.
"""


@pytest.mark.bench
@pytest.mark.timeout(1200)
def test_cost_grows_no_faster_than_the_work():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measured = run()
    bins = {value: total for value, (total, _) in measured["n_bins"].items()}
    assert bins[300_000] <= 1.5 * 10 * bins[30_000]
    starts = {value: total for value, (total, _) in measured["n_init"].items()}
    assert starts[8] <= 1.3 * 8 * starts[1]


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run()
