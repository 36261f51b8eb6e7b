"""Reads files in a process of its own, and tells what came of each.

One request a line on standard input, JSON with ``path``, ``options`` and ``first``;
one answer a line on standard output: ``outcome``, seconds of CPU, growth of the peak
resident memory in bytes. The first request for a reader sets what is right.
"""

import hashlib
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np


os.environ.setdefault("OMP_NUM_THREADS", "1")

from neuroana.core.errors import NeuroanaError
from neuroana.io import read


def digest(rec):
    """What must not change: samples, clock, names, units."""
    found = hashlib.sha256()
    for array in (rec["signal"], rec["time"], *rec["signal"].dims[1:]):
        values = rec[array].values if isinstance(array, str) else array.to_numpy()
        if values.dtype.kind == "O":
            values = np.array([str(v) for v in values])
        found.update(f"{values.shape}{values.dtype}".encode())
        found.update(np.ascontiguousarray(values).tobytes())
    found.update(str(rec["signal"].attrs["units"]).encode())
    found.update(str(rec.attrs["sampling_rate"]).encode())
    return found.hexdigest()


def outcome(path, options, right):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = digest(read(path, **options))
        except NeuroanaError as error:
            named = any(p in str(error) for p in (path.name, path.parent.name))
            return "error" if named else f"nameless: {error}", None
        except BaseException as error:
            return f"bare {type(error).__name__}: {error}", None
    if right is None or found == right:
        return "same", found
    return ("told" if caught else "silent"), found


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    right, base = None, 0
    for line in sys.stdin:
        ask = json.loads(line)
        started = time.process_time()
        if ask["first"]:
            right = None
        said, found = outcome(Path(ask["path"]), ask["options"], right)
        if ask["first"]:
            right, base = found, peak()
        answer = {
            "outcome": said[:300],
            "seconds": time.process_time() - started,
            "grown": peak() - base,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
