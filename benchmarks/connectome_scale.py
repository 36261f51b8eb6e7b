"""Cost of large problems: a search for communities, and fits without a tensor.

Run it with ``python benchmarks/connectome_scale.py`` or ``make bench``; it writes
``benchmarks/results/connectome_scale.md`` and ``docs/figures/connectome_scale.png``.
Every size runs in a process of its own, so that its peak memory is its own.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parent))

import switching_measure as bench  # noqa: I001  (limits threads before numpy comes)
import numpy as np
import pytest

from neuroana.connectome import simulate_graph
from neuroana.connectome.block_model import description_length, make_graph
from neuroana.connectome.block_search import capped, search
from neuroana.connectome.community_starts import make_starts


SIZES = (100, 200, 500, 1000, 2000)
N_TIME = 2000
FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "connectome_scale.png"


def communities():
    """CPU seconds of a search on complete graphs, and whether it beats its starts."""
    rows = []
    for n in (60, 120, 240):
        w, _ = simulate_graph(n, 6, ratio=2.5, random_state=0)
        weights = w.to_numpy()
        spent, shorter = {}, True
        for family in ("exponential", "log-normal"):
            graph = make_graph(weights, family)
            starts = make_starts(weights, 11, 0)
            search(graph, starts[:1], max_groups=n // 4, seed=0)
            begin = time.process_time()
            found = search(graph, starts, max_groups=n // 4, seed=0)
            spent[family] = time.process_time() - begin
            best = min(description_length(graph, capped(b, n // 4)) for b in starts)
            shorter &= found.length <= best + 1e-9
        rows.append([n, *(f"{s:.2f}" for s in spent.values()), shorter])
    return rows


def one_fit(n_neurons, n_time, stored, folder):
    """Seconds an iteration and peak memory of a fit, streamed from Zarr."""
    import warnings

    import xarray as xr

    from neuroana.connectome import DifferentialAffinity, NonNegativeCP

    warnings.simplefilter("ignore")
    recording = xr.open_zarr(folder)
    begin = time.perf_counter()
    affinity = DifferentialAffinity("rise", lazy=not stored, max_dense_bytes=1e11)
    tensor = affinity.fit_transform(recording)
    made = time.perf_counter() - begin
    model = NonNegativeCP(4, "single", n_init=1, max_iter=2, tol=0.0, random_state=0)
    begin = time.perf_counter()
    model.fit(tensor)
    spent = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"made": made, "fit": spent, "peak": peak,
                      "error": model.relative_error_}))  # fmt: skip


def stored_recording(folder, n_neurons, n_time):
    """Smooth noise in groups, written to Zarr chunk by chunk."""
    import warnings

    import dask.array as da

    from neuroana.core.recording import from_array

    rng = np.random.default_rng(0)
    drive = rng.normal(size=(n_time, 5)).astype(np.float32).cumsum(axis=0)
    group = np.arange(n_neurons) % 5
    x = drive[:, group] + rng.normal(size=(n_time, n_neurons)).astype(np.float32)
    rec = from_array(x, "calcium", sampling_rate=2.0, units="1")
    lazy = rec.assign(signal=(rec["signal"].dims, da.from_array(x, (500, n_neurons)),
                              rec["signal"].attrs))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lazy.to_zarr(folder, mode="w")


def measured(n_neurons, n_time, *, stored, folder):
    """Run one fit in a process of its own."""
    path = Path(folder) / f"{n_neurons}-{n_time}.zarr"
    if not path.exists():
        stored_recording(path, n_neurons, n_time)
    command = [sys.executable, __file__, "one", str(n_neurons), str(n_time),
               str(int(stored)), str(path)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def draw(rows):
    """Time and memory over the number of neurons."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots(1, 2)
    for stored, label in ((False, "no tensor"), (True, "stored tensor")):
        own = [r for r in rows if r[1] == stored and r[2] == N_TIME]
        n = [r[0] for r in own]
        axes[0].loglog(n, [r[3]["fit"] for r in own], marker="o", label=label)
        axes[1].loglog(n, [r[3]["peak"] for r in own], marker="o", label=label)
    axes[0].set_ylabel("s, fit of two iterations")
    axes[1].set_ylabel("peak memory, GiB")
    for ax in axes:
        ax.set_xlabel(f"neurons ({N_TIME} samples, rank 4)")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8)
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=110)


def run(*, largest=True):
    """Measure everything, draw it and write the page."""
    import tempfile

    host = bench.machine()
    searches = communities()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n in SIZES:
            for stored in (False, True):
                if stored and n > 500:
                    continue
                rows.append(
                    (
                        n,
                        stored,
                        N_TIME,
                        measured(n, N_TIME, stored=stored, folder=folder),
                    )
                )
        if largest:
            rows.append(
                (
                    2000,
                    False,
                    10_000,
                    measured(2000, 10_000, stored=False, folder=folder),
                )
            )
    draw(rows)
    table = [
        [n, t, "stored" if stored else "none", f"{r['made']:.1f}", f"{r['fit']:.1f}",
         f"{r['peak']:.2f}"] for n, stored, t, r in rows
    ]  # fmt: skip
    columns = ["neurons", "samples", "tensor", "derivatives s", "fit s", "peak GiB"]
    bench.write(
        "connectome_scale",
        f"""# Large problems

{host}. {bench.versions("numba", "scipy", "zarr", "dask")}. One thread.

## Search for communities

CPU seconds from 11 starts on a complete graph, and whether the result is never longer
than the best start.

{bench.table(["neurons", "exponential", "log-normal", "not longer"], searches)}

## Fits without a tensor

Kernel "rise", rank 4, one start, two iterations and the final error in float64 (five
passes over the data), streamed from Zarr in chunks of 500 samples; peak memory of the
whole process.

{bench.table(columns, table)}
""",
    )
    return searches, rows


@pytest.mark.bench
@pytest.mark.timeout(3000)
def test_large_problems_fit():
    searches, rows = run()

    assert all(row[-1] for row in searches)
    assert float(next(r for r in searches if r[0] == 120)[2]) <= 10
    assert all(r["peak"] <= 4.0 for n, stored, t, r in rows if not stored)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one_fit(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1", sys.argv[5])
    else:
        run()
