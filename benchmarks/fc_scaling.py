"""What operators cost as regions, volumes and people grow.

One of the three is varied around 50 regions, 200 volumes, 8 people; one thread. Run it
with ``python benchmarks/fc_scaling.py`` or ``make bench``; it writes
``benchmarks/results/fc_scaling.md`` and ``.png``.
"""

import sys
import time
import warnings
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parent))

import switching_measure as bench  # noqa: I001  (limits threads before numpy comes)
import numpy as np
import pytest

import neuroana as na
from neuroana.fc.registry import find


BASE = {"regions": 50, "volumes": 200, "people": 8}
VARIED = {
    "regions": (12, 25, 50, 100, 200),
    "volumes": (100, 200, 400, 800),
    "people": (2, 8, 32, 128),
}
OPERATORS = ("pearson", "partial", "kendall", "coherence", "pdc", "dcor", "mi_ksg",
             "dtw")  # fmt: skip
LIMIT = 20.0  # CPU seconds above which larger sizes are left out
# exponents that the formulas of cost have at most, with room for what is fixed
STEEPEST = {"regions": 3.2, "volumes": 2.3, "people": 1.15}


def seconds(name, regions, volumes, people):
    """CPU seconds of `connectivity` on samples of these sizes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(people, volumes, regions))
    rate = 1.0 if find(name).needs_rate else None
    best = np.inf
    for _ in range(2):
        start = time.process_time()
        na.fc.connectivity(x, name, sampling_rate=rate)
        best = min(best, time.process_time() - start)
    return best


def measure():
    """Seconds by operator and varied size."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in OPERATORS:
            seconds(name, 4, 60, 1)
            for varied, sizes in VARIED.items():
                line = {}
                for size in sizes:
                    if name == "pdc" and not fits(varied, size):
                        continue
                    line[size] = seconds(name, **{**BASE, varied: size})
                    if line[size] > LIMIT:
                        break
                found[name, varied] = line
    return found


def fits(varied, size):
    """Whether a full autoregression has four samples a coefficient."""
    sizes = {**BASE, varied: size}
    return sizes["volumes"] >= 4 * sizes["regions"]


def exponent(line):
    """Slope of log seconds over log size, of the upper half."""
    sizes = sorted(line)[-3:]
    if len(sizes) < 2:
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log([line[s] for s in sizes]), 1)[0])


def draw(found):
    """One panel a varied size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True,
                                layout="constrained")  # fmt: skip
    for ax, varied in zip(axes, VARIED):
        for name in OPERATORS:
            line = found[name, varied]
            ax.loglog(list(line), list(line.values()), marker="o", ms=3, label=name)
        ax.set_xlabel(varied)
        ax.set_xticks(VARIED[varied], [str(size) for size in VARIED[varied]])
        ax.minorticks_off()
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("CPU seconds")
    axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(bench.RESULTS / "fc_scaling.png", dpi=120)
    plt.close(figure)


def run():
    """Measure everything, write the page and the figure."""
    host = bench.machine()
    found = measure()
    parts = []
    for varied, sizes in VARIED.items():
        rows = []
        for name in OPERATORS:
            line = found[name, varied]
            cells = [f"{1e3 * line[s]:.1f}" if s in line else "-" for s in sizes]
            rows.append([name, *cells, f"{exponent(line):.1f}", find(name).cost])
        columns = ["operator", *(f"{s}" for s in sizes), "exponent", "declared cost"]
        parts.append(f"## {varied}\n\n{bench.table(columns, rows)}\n")
    base = ", ".join(f"{v} {k}" for k, v in BASE.items())
    used = bench.versions("numpy", "scipy", "numba")
    bench.write(
        "fc_scaling",
        f"""# Cost of connectivity operators

CPU milliseconds of ``neuroana.fc.connectivity``, one thread, the better of two. What is
not varied: {base}. "exponent": slope of log time over log size for the three largest;
"-": too few samples for a full autoregression, or too long.

{host}. {used}.

{"".join(parts)}
![Cost over regions, volumes and people](fc_scaling.png)
""",
    )
    draw(found)
    return {key: exponent(line) for key, line in found.items()}


@pytest.mark.bench
@pytest.mark.timeout(3000)
def test_cost_grows_no_faster_than_declared():
    for (name, varied), slope in run().items():
        assert not slope > STEEPEST[varied], (name, varied)


if __name__ == "__main__":
    for (name, varied), slope in run().items():
        print(f"{name} over {varied}: {slope:.2f}")
