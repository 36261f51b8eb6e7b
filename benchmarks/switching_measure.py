"""What the switching benchmarks share: one thread, CPU time, versions, tables.

Import this before numpy, torch or jax: it limits all of them to one thread.
"""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path


for name in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
    os.environ[f"{name}_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = (
    "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ["JAX_PLATFORMS"] = "cpu"

RESULTS = Path(__file__).parent / "results"


def measure(function, *, repeats=15):
    """CPU milliseconds (min, median) of warm calls, and seconds of the first one."""
    start = time.process_time()
    function()
    first = time.process_time() - start
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        spent.append(1e3 * (time.process_time() - start))
    spent.sort()
    return spent[0], spent[len(spent) // 2], first


def machine():
    """Processor, cores, load and Python."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
        model = next(
            x.split(":")[1].strip() for x in lines if x.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores (load {load:.1f} at the start), "
        f"Python {platform.python_version()}"
    )


def versions(*names):
    """Versions of neuroana and of installed packages as one line."""
    import neuroana

    found = [f"{name} {version(name)}" for name in names]
    return ", ".join([f"neuroana {neuroana.__version__}", *found])


def table(columns, rows):
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def write(name, text):
    """Write a result page."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text.rstrip() + "\n", encoding="utf-8")
