"""Non-negative CP beside TensorLy and tensortools: time to the optimum.

The same float64 starts for all, one thread, tolerances off. L* is the lowest loss that
anyone reaches from a start with ten times the iterations; what counts is the time until
the loss is within a thousandth of it. Run it with
``python benchmarks/connectome_fit.py`` or ``make bench``; it writes
``benchmarks/results/connectome_fit.md``.
"""

import sys
import time
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parent))

import switching_measure as bench  # noqa: I001  (limits threads before numpy comes)
import numpy as np
import pytest
import tensorly
import tensortools
from tensorly.cp_tensor import CPTensor
from tensorly.decomposition import non_negative_parafac_hals

from neuroana.connectome.hals import Settings, Stack, hals
from neuroana.connectome.products import DenseProducts, make_data


NEAR = 1e-3
LONG = 200  # iterations that define L*
RANKS = range(3, 11)
SEEDS = range(5)


def cube(rng, shape=(100, 200, 100), rank=8):
    """Symmetric planted factors and folded noise, (pair, time, animal)."""
    a = rng.gamma(1.0, 1.0, (rank, shape[0])) * (rng.random((rank, shape[0])) < 0.4)
    b = rng.gamma(1.0, 1.0, (rank, shape[1]))
    x = np.einsum("rp,rt,rw->ptw", a, b, a)
    e = np.abs(rng.standard_normal(x.shape))
    return x + 0.1 * e * np.linalg.norm(x) / np.linalg.norm(e)


def worm(rng, shape=(1770, 240, 10), rank=10):
    """As many pairs, times and animals as a small worm study."""
    factors = [rng.gamma(0.7, 1.0, (rank, n)) for n in shape]
    x = np.einsum("rp,rt,rw->ptw", *factors)
    e = np.abs(rng.standard_normal(x.shape))
    return x + 0.1 * e * np.linalg.norm(x) / np.linalg.norm(e)


TENSORS = {"100 x 200 x 100, R = 8": (cube, 8), "1770 x 240 x 10, R = 10": (worm, 10)}


def starts(shape, rank, seeds):
    """Uniform factors (pair, time, animal), one set a seed."""
    return [
        [np.random.default_rng(seed).random((n, rank)) for n in shape] for seed in seeds
    ]


class Ours:
    """HALS of neuroana on one stack of starts."""

    def __init__(self, x, dtype):
        self.data = make_data(x, dtype=dtype)
        self.products = DenseProducts(self.data)
        self.norm = float(self.products.squares()[0])

    def stack(self, factors):
        """Starts as the solver takes them."""
        modes = [np.stack([f[m].T for f in factors]) for m in range(3)]
        modes[0] = modes[0] / self.data.scale
        made = (np.ascontiguousarray(m.astype(self.data.x.dtype)) for m in modes)
        return Stack(*made, np.zeros(len(factors), int))

    def run(self, stacks, n_iter, watch=None):
        """Losses of every iteration, over half the sum of squares."""
        settings = Settings(inner=5, max_iter=n_iter, tol=0.0)
        found = hals(self.products, stacks, settings, watch)
        return [[f.trace * 2 / self.norm for f in fits] for fits in found]


def tensorly_run(x, factors, n_iter):
    """Losses of TensorLy's HALS."""
    init = CPTensor((np.ones(factors[0].shape[1]), [f.copy() for f in factors]))
    _, errors = non_negative_parafac_hals(
        x, factors[0].shape[1], n_iter_max=n_iter, init=init, tol=-1.0,
        return_errors=True,
    )  # fmt: skip
    return np.array([float(e) for e in errors]) ** 2


def tensortools_run(x, factors, n_iter):
    """Losses of tensortools' HALS."""
    init = tensortools.KTensor([f.copy() for f in factors])
    found = tensortools.ncp_hals(
        x, factors[0].shape[1], init=init, tol=-1.0, max_iter=n_iter, verbose=False
    )
    return np.array(found.obj_hist) ** 2


def first_near(losses, best):
    """Iterations until within a thousandth of the best loss; None if never."""
    near = np.flatnonzero(np.asarray(losses) <= best * (1 + NEAR))
    return int(near[0]) + 1 if len(near) else None


def seconds(function, repeats=3):
    """Smallest CPU time of a few calls."""
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        spent.append(time.process_time() - start)
    return min(spent)


def single(name):
    """Median time to the optimum of one fit, for everyone."""
    make, rank = TENSORS[name]
    x = make(np.random.default_rng(0))
    codes = {
        "neuroana float32": Ours(x, "float32"), "neuroana float64": Ours(x, "float64")
    }  # fmt: skip
    peers = {"TensorLy HALS": tensorly_run, "tensortools ncp_hals": tensortools_run}
    found: dict[str, list] = {k: [] for k in (*codes, *peers)}
    for factors in starts(x.shape, rank, SEEDS):
        traces = {k: c.run([c.stack([factors])], LONG)[0][0] for k, c in codes.items()}
        traces |= {k: run(x, factors, LONG) for k, run in peers.items()}
        best = min(t.min() for k, t in traces.items() if k != "neuroana float32")
        for k, trace in traces.items():
            n = first_near(trace, best)
            if n is None:
                found[k].append((np.inf, LONG))
                continue
            if k in codes:
                code = codes[k]
                spent = seconds(lambda c=code, n=n, f=factors: c.run([c.stack([f])], n))
            else:
                spent = seconds(lambda r=peers[k], n=n, f=factors: r(x, f, n), 2)
            found[k].append((spent, n))
    return {k: np.median(v, axis=0) for k, v in found.items()}


def products_alone(name, n_models):
    """An iteration over its two matrix products, per dtype."""
    make, rank = TENSORS[name]
    x = make(np.random.default_rng(0))
    rows = []
    for dtype in ("float32", "float64"):
        ours = Ours(x, dtype)
        factors = starts(x.shape, rank, range(n_models))
        b = ours.stack(factors).B.reshape(-1, x.shape[1])
        kr = np.random.default_rng(1).random((len(b), ours.data.x.shape[1]))
        kr, n = kr.astype(dtype), 10

        def alone(b=b, kr=kr, data=ours.data, n=n):
            for _ in range(n):
                b @ data.x
                kr @ data.x.T

        ours.run([ours.stack(factors)], 2)
        whole = seconds(lambda o=ours, f=factors, n=n: o.run([o.stack(f)], n), 4) / n
        rows.append((dtype, 1e3 * whole, 1e3 * seconds(alone, 4) / n))
    return rows


def sweep(name, n_starts=30):
    """CPU time of all restarts of all ranks, each to within 1e-3 of its own L*."""
    make, _ = TENSORS[name]
    x = make(np.random.default_rng(0))
    ours = Ours(x, "float32")
    every = {r: starts(x.shape, r, range(n_starts)) for r in RANKS}
    targets = {r: [t[-1] for t in ours.run([ours.stack(f)], LONG)[0]]
               for r, f in every.items()}  # fmt: skip

    start = time.process_time()
    for rank in RANKS:  # one batch a rank keeps the first pass within the cache
        goal = targets[rank]
        ours.run(
            [ours.stack(every[rank])],
            LONG,
            lambda _, runs, goal=goal: stop_near(runs[0], goal, ours.norm),
        )
    mine = time.process_time() - start
    theirs = 0.0
    for rank in RANKS:
        spent = []
        for factors in every[rank][:2]:
            trace = tensorly_run(x, factors, LONG)
            n = first_near(trace, trace.min()) or LONG
            spent.append(seconds(lambda f=factors, n=n: tensorly_run(x, f, n), 1))
        theirs += n_starts * float(np.mean(spent))
    return mine, theirs


def stop_near(run, targets, norm):
    """Take out the models of one rank that have come near their optimum."""
    if run.alive:
        losses = np.array([run.traces[i][-1] for i in run.ids]) * 2 / norm
        over = losses <= np.array([targets[i] for i in run.ids]) * (1 + NEAR)
        if over.any():
            run.keep(over, 0, True)


def run():
    """Measure everything and write the page."""
    host = bench.machine()
    parts, ratios = [], {}
    for name in TENSORS:
        found = single(name)
        theirs = found["TensorLy HALS"][0]
        rows = [
            [k, f"{1e3 * s:.0f}", int(n), f"{theirs / s:.1f}"]
            for k, (s, n) in found.items()
        ]
        ratios[name] = (
            theirs / found["neuroana float32"][0],
            found["tensortools ncp_hals"][0] / found["neuroana float32"][0],
        )
        alone = [
            [dtype, n_models, f"{whole:.2f}", f"{two:.2f}", f"{whole / two:.2f}"]
            for n_models in (1, 30)
            for dtype, whole, two in products_alone(name, n_models)
        ]
        ratios[f"{name} products"] = max(float(r[-1]) for r in alone)
        parts.append(f"""## {name}

Median over {len(SEEDS)} starts of the CPU time until the loss is within a
thousandth of L*.

{bench.table(["code", "ms", "iterations", "TensorLy over this"], rows)}

One outer iteration (5 inner sweeps) and its two matrix products alone, ms:

{bench.table(["dtype", "restarts", "iteration", "products", "ratio"], alone)}
""")
    name = "1770 x 240 x 10, R = 10"
    mine, theirs = sweep(name)
    ratios["sweep"] = theirs / mine
    used = bench.versions("numba", "tensorly", "tensortools", "scipy")
    bench.write(
        "connectome_fit",
        f"""# Non-negative CP

CPU time, one thread, the same float64 starts, tolerances off.

{host}. {used}, numpy {np.__version__}, TensorLy backend {tensorly.get_backend()}.

{"".join(parts)}
## 30 restarts of 8 ranks ({RANKS[0]} to {RANKS[-1]}), {name.split(",")[0]}

Every restart until within a thousandth of its own optimum. neuroana (float32, a batch a
rank): {mine:.1f} s. TensorLy, from the mean of two restarts of every rank: {theirs:.0f}
s. Ratio {theirs / mine:.1f}.
""",
    )
    return ratios


@pytest.mark.bench
@pytest.mark.timeout(3000)
def test_factorization_is_faster_than_its_peers():
    ratios = run()

    for name in TENSORS:
        assert ratios[name][0] >= 3.5
        assert ratios[name][1] >= 3.0
        assert ratios[f"{name} products"] <= 2.5
    assert ratios["sweep"] >= 8.0


if __name__ == "__main__":
    print(run())
