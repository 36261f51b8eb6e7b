"""Spike-sorted folders of phy and Kilosort: clusters, labels, times in seconds."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_names, message
from neuroana.core.errors import CorruptFileError, ParameterError, ShapeError
from neuroana.io.files import check_file, reading
from neuroana.io.sidecars import read_table
from neuroana.io.spike_counts import bin_spikes


LONGEST_PARAMS = 2**16
LABELS = ("cluster_group.tsv", "cluster_group.csv", "cluster_KSLabel.tsv")
NOISE = "noise"


def is_phy(path: Path) -> bool:
    """Tell whether a folder is one that phy opens.

    Examples
    --------
    >>> is_phy(Path("nowhere"))
    False
    """
    return (path / "params.py").is_file() and (path / "spike_times.npy").is_file()


def parameters(path: Path) -> dict[str, Any]:
    """Literal values that ``params.py`` assigns; it is parsed, and never run.

    Raises
    ------
    CorruptFileError
        If it is no Python text, or too long to be what it should.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "params.py")
    ...     _ = path.write_text("sample_rate = 30000.\\nx = open('a').read()")
    ...     parameters(path)
    {'sample_rate': 30000.0}
    """
    path = check_file(path)
    with reading(path, "the parameters of a phy folder"):
        if path.stat().st_size > LONGEST_PARAMS:
            raise ValueError(f"{path.stat().st_size} bytes")
        tree = ast.parse(path.read_text(encoding="utf-8-sig"))
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        target = node.targets[0]
        if not isinstance(target, ast.Name):
            continue
        try:
            found[target.id] = ast.literal_eval(node.value)
        except (ValueError, TypeError, RecursionError, MemoryError):
            continue  # an expression: whatever it would do, it is not done
    return found


def read_phy(
    folder: Path,
    bin_width: float,
    *,
    quality: str | Sequence[str] | None,
    start: float | None,
    stop: float | None,
) -> xr.Dataset:
    """Read a phy folder; the parameters are those of ``read_spikes``."""
    rate = parameters(folder / "params.py").get("sample_rate")
    if not isinstance(rate, int | float) or not 0 < rate < np.inf:
        raise ParameterError(
            message(f"{folder}/params.py", "sample_rate in Hz", repr(rate))
        )
    samples = _column(folder / "spike_times.npy")
    curated = folder / "spike_clusters.npy"
    owner = _column(
        curated if curated.is_file() else folder / "spike_templates.npy"
    ).astype(np.int64)
    if len(samples) != len(owner):
        raise ShapeError(
            message(f"{folder}: spikes", f"{len(samples)} clusters", len(owner))
        )
    numbers = np.unique(owner)
    labels = _labels(folder, numbers)
    keep = _kept(folder, len(numbers), labels, quality)
    chosen = numbers[keep]
    times = samples / float(rate)
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], numbers, side="right")
    first = np.concatenate([[0], ends[:-1]])
    ragged = [times[order[a:b]] for a, b in zip(first[keep], ends[keep])]
    coords = {} if labels is None else {"quality": labels[keep]}
    return bin_spikes(
        ragged,
        bin_width,
        names=chosen.tolist(),
        start=start,
        stop=stop,
        coords=coords,
        attrs={"source": folder.name},
    )


def _column(path: Path) -> np.ndarray:
    with reading(check_file(path), "a NumPy array"):
        values = np.load(path, allow_pickle=False)
    if values.dtype.kind not in "iuf" or values.size != len(values):
        raise CorruptFileError(
            message(str(path), "one number a spike", f"{values.dtype} {values.shape}")
        )
    return values.ravel()


def _labels(folder: Path, numbers: np.ndarray) -> np.ndarray | None:
    path = next((folder / n for n in LABELS if (folder / n).is_file()), None)
    if path is None:
        return None
    table = read_table(path)
    if "cluster_id" not in table or len(table.columns) < 2:
        raise CorruptFileError(
            message(str(path), "columns cluster_id and a label", list(table))
        )
    label = next(c for c in table if c != "cluster_id")
    known = pd.Series(table[label].to_numpy(), index=table["cluster_id"])
    known = known[~known.index.duplicated()]
    return known.reindex(numbers).fillna("unsorted").astype(str).to_numpy(object)


def _kept(
    folder: Path,
    n_clusters: int,
    labels: np.ndarray | None,
    quality: str | Sequence[str] | None,
) -> np.ndarray:
    if labels is None:
        if quality is not None:
            raise ParameterError(
                message(f"{folder}: quality", "a file cluster_group.tsv", "none")
            )
        return np.ones(n_clusters, dtype=bool)
    if quality is None:
        return labels != NOISE
    wanted = [quality] if isinstance(quality, str) else list(quality)
    check_names("quality", wanted, sorted(set(labels)))
    return np.isin(labels, wanted)
