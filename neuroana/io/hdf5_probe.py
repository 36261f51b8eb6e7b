"""HDF5 files of others, opened first in a process that may end.

A damaged file can end or stop the process that opens it inside the HDF5 library: text
of free length and references are found by addresses in the file. What a reader of
metadata touches is therefore touched here first, by a child.
"""

import math
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from neuroana.core.checks import message
from neuroana.core.errors import CorruptFileError


SECONDS = 4  # of CPU; on a crowded machine the wall's are many more
BYTES_A_SECOND = 20e6
PATIENCE = 15  # seconds on the wall for one of CPU


def probe(path: Path) -> None:
    """Raise if reading the metadata of an HDF5 file ends or stops a process.

    Cost: a process that imports h5py, a few tenths of a second.

    Raises
    ------
    CorruptFileError
        If it does. Errors that HDF5 reports by itself are left to the reader.

    Examples
    --------
    >>> import h5py, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.h5")
    ...     with h5py.File(path, "w") as file:
    ...         file["x"] = ["text", "of free length"]
    ...     probe(path)
    """
    limit = math.ceil(SECONDS + path.stat().st_size / BYTES_A_SECOND)
    command = [sys.executable, "-P", __file__, str(path), str(limit)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE * limit)
        ended = f"signal {-done.returncode}" if done.returncode < 0 else ""
    except subprocess.TimeoutExpired:
        ended = f"no end of it within {PATIENCE * limit} s"
    if ended:
        raise CorruptFileError(
            message(
                str(path),
                "an HDF5 file that can be read",
                f"{ended} in the HDF5 library",
                "fetch the file again, or export it anew from its source",
            )
        )


def _touch(path: str) -> None:
    import h5py

    def visit(_: str, node: Any) -> None:
        for key in node.attrs:
            with suppress(Exception):
                node.attrs[key]
        if isinstance(node, h5py.Dataset) and node.dtype.hasobject:
            with suppress(Exception):
                node[()]

    with suppress(Exception), h5py.File(path, "r") as file:
        visit("/", file)
        file.visititems(visit)


def _limit_cpu(seconds: int) -> None:
    """End this process by a signal after so much CPU, where the system knows how."""
    with suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


if __name__ == "__main__":
    _limit_cpu(int(sys.argv[2]))
    _touch(sys.argv[1])
