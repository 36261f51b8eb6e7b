"""Connectivity operators beside nilearn and what others offer pair by pair.

A cohort of 90 recordings against nilearn; one recording of 50 regions against SciPy,
dcor, hyppo, scikit-learn, tslearn, statsmodels and mne-connectivity, and against pySPI
where NEUROANA_PYSPI names a Python that has it. Run it with ``python
benchmarks/fc_operators.py`` or ``make bench``; it writes
``benchmarks/results/fc_operators.md``.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parent))

import switching_measure as bench  # noqa: I001  (limits threads before numpy comes)
import fc_peers
import numpy as np
import pytest
from nilearn.connectome import ConnectivityMeasure
from sklearn.covariance import EmpiricalCovariance, LedoitWolf

import neuroana as na
from neuroana.core.errors import DataWarning
from neuroana.fc.registry import find


COHORT = (90, 190, 200)  # recordings, volumes, regions
SINGLE = (200, 50)
# nilearn's kind, its estimator, our operator and options, repeats, target
AGAINST_NILEARN = [
    ("correlation", EmpiricalCovariance, "pearson", {}, 5, 4.0),
    ("correlation", LedoitWolf, "ledoit_wolf", {"standardize": "zscore"}, 5, 2.5),
    ("partial correlation", LedoitWolf, "partial", {}, 5, 1.8),
    ("tangent", LedoitWolf, "tangent", {"standardize": None}, 3, 1.5),
]
PYSPI_TARGETS = {
    "kendall": 40, "dcor": 40, "hsic": 40, "mi_ksg": 10, "te_ksg": 10, "psi": 20,
    "pdc": 20, "dtf": 20, "gpdc": 20, "spectral_granger_wilson": 20,
}  # fmt: skip


def cohort(n_recordings, n_time, n_roi, seed=0):
    """Slow, correlated samples as of fMRI (recording, time, roi)."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n_roi, n_roi)) / np.sqrt(n_roi)
    x = np.empty((n_recordings, n_time, n_roi))
    for one in x:
        own = rng.normal(size=(n_roi, n_roi)) / np.sqrt(n_roi)
        one[:] = rng.normal(size=(n_time, n_roi)) @ (shared + 0.5 * own)
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    return np.apply_along_axis(np.convolve, 1, x, kernel / kernel.sum(), "same")


def seconds(function, repeats):
    """Least CPU seconds of some calls, and what the last returned."""
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        made = function()
        best = min(best, time.process_time() - start)
    return best, made


def beside_nilearn():
    """Rows of the cohort table, and the ratios."""
    x = cohort(*COHORT)
    warnings.filterwarnings(
        "ignore", category=DataWarning
    )  # fewer samples than regions
    rows, ratios = [], {}
    for kind, estimator, name, options, repeats, target in AGAINST_NILEARN:
        measure = ConnectivityMeasure(
            kind=kind, cov_estimator=estimator(), standardize=False
        )
        theirs, _ = seconds(lambda m=measure: m.fit_transform(list(x)), repeats)
        ours, _ = seconds(
            lambda n=name, o=options: na.fc.connectivity(x, n, **o), repeats
        )
        alone = "-"
        if name != "tangent":
            alone = f"{theirs / seconds(lambda n=name: find(n)(x), repeats)[0]:.1f}"
        ratios[name] = (theirs / ours, target)
        rows.append([f"{kind}, {estimator.__name__}", f"{theirs:.3f}", f"{ours:.3f}",
                     f"{theirs / ours:.1f}", alone, target])  # fmt: skip
    return rows, ratios


def beside_pairs():
    """Rows of the table of pair loops, and the ratios."""
    x = cohort(1, *SINGLE)[0]
    n_pairs = SINGLE[1] * (SINGLE[1] - 1) // 2
    rows, ratios = [], {}
    for name, options, peer, function, n_measured, target in fc_peers.ROWS:
        made = find(name)
        fs = 1.0 if made.needs_rate else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made(x, fs=fs, **options)
            ours, _ = seconds(lambda m=made, f=fs, o=options: m(x, fs=f, **o), 5)
        first, second = np.triu_indices(SINGLE[1], 1)
        step = max(1, len(first) // n_measured)
        pairs = list(zip(first[::step].tolist(), second[::step].tolist()))
        function(x, pairs[:2])
        theirs, _ = seconds(lambda f=function, p=pairs: f(x, p), 1)
        # a directed peer needs two calls a pair
        theirs *= n_pairs / len(pairs) * (1 + made.directed)
        ratios[f"{name} ({peer})"] = (theirs / ours, target)
        rows.append([name, f"{1e3 * ours:.1f}", peer, f"{theirs:.3f}", len(pairs),
                     f"{theirs / ours:.0f}", target or "-"])  # fmt: skip
    return rows, ratios


def beside_pyspi():
    """Rows of the table of pySPI; none where it is not installed."""
    python = os.environ.get("NEUROANA_PYSPI")
    if not python:
        return [], {}
    x = cohort(1, *SINGLE)[0]
    with tempfile.TemporaryDirectory() as folder:
        samples, result = Path(folder) / "samples.npy", Path(folder) / "seconds.json"
        np.save(samples, x)
        script = Path(__file__).with_name("fc_pyspi.py")
        clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        subprocess.run([python, str(script), str(samples), str(result)], check=False,
                       capture_output=True, env=clean)  # fmt: skip
        found = json.loads(result.read_text(encoding="utf-8"))
    rows, ratios = [], {}
    for name, (theirs, done) in found.items():
        made = find(name)
        fs = 1.0 if made.needs_rate else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made(x, fs=fs)
            ours, _ = seconds(lambda m=made, f=fs: m(x, fs=f), 3)
        more = "" if done else "> "
        target = PYSPI_TARGETS.get(name)
        ratios[f"{name} (pySPI)"] = (theirs / ours, target)
        rows.append([name, f"{1e3 * ours:.1f}", f"{more}{theirs:.2f}",
                     f"{more}{theirs / ours:.0f}", target or "-"])  # fmt: skip
    return rows, ratios


def run():
    """Measure everything and write the page."""
    host = bench.machine()
    nilearn_rows, ratios = beside_nilearn()
    pair_rows, more = beside_pairs()
    pyspi_rows, most = beside_pyspi()
    used = bench.versions(
        "numpy", "scipy", "numba", "nilearn", "scikit-learn", "dcor", "hyppo",
        "tslearn", "statsmodels", "mne-connectivity",
    )  # fmt: skip
    pyspi = ""
    if pyspi_rows:
        columns = ["operator", "neuroana ms", "pySPI s", "ratio", "target"]
        pyspi = f"""
## The same recording, pySPI 2.0.2

In an environment of its own (NumPy 1, Java), started by this run on the same samples;
first call of each measure after all are set up, as its users call them, what it
compiles included. ">": stopped after 60 s on the clock. Its pdc, dtf and gpdc factorise
the cross-spectrum of all regions, ours fit an autoregression: the same quantities by
another estimator, so these ratios are not of the same arithmetic.

{bench.table(columns, pyspi_rows)}
"""
    bench.write(
        "fc_operators",
        f"""# Connectivity operators

CPU time, one thread, double precision, the same process (pySPI: the same run).

{host}. {used}.

## {COHORT[0]} recordings of {COHORT[1]} volumes and {COHORT[2]} regions, nilearn

Seconds of ``ConnectivityMeasure(...).fit_transform`` on a list of arrays and of
``neuroana.fc.connectivity``, with its checks and labels; "kernel" is the ratio to the
operator called on the array alone. Tangent stops by the same rule (gradient below 1e-7
an entry).

{bench.table(["matrix", "nilearn s", "neuroana s", "ratio", "kernel", "target"],
             nilearn_rows)}

## One recording of {SINGLE[0]} volumes and {SINGLE[1]} regions, loops over pairs

Peers have no call for all pairs but mne-connectivity: they are timed on some pairs,
spread evenly, and scaled to all (twice for directed measures).

{bench.table(["operator", "neuroana ms", "peer", "peer s", "pairs timed", "ratio",
              "target"], pair_rows)}
{pyspi}""",
    )  # fmt: skip
    return ratios | more | most


@pytest.mark.bench
@pytest.mark.timeout(3000)
def test_operators_are_faster_than_their_peers():
    for name, (ratio, target) in run().items():
        assert target is None or ratio >= target, name


if __name__ == "__main__":
    for name, (ratio, target) in run().items():
        print(f"{name}: {ratio:.1f}", "" if target is None else f"(target {target})")
