"""Cells of a benchmark: one operator on one chunk of recordings, one file each.

The name of a file holds a hash of all that its content depends on, so a cell is done
when its file is there, whoever made it and whenever. Files are written atomically; a
cell that failed is a file that says how.
"""

import hashlib
import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana import __version__
from neuroana.core.checks import message
from neuroana.core.errors import ParameterError
from neuroana.core.provenance import plain
from neuroana.core.store import read_netcdf, write_netcdf
from neuroana.fc.capped import Job, Verdict, run_capped
from neuroana.fc.costs import operations
from neuroana.fc.registry import Op, find
from neuroana.fc.samples import Samples, digest_of
from neuroana.fc.transformer import Connectivity, bytes_of


SPEED = 2e8  # operations a second that the cost model reckons with
QUICK = {"W": {"complevel": 1}}
GIVE_UP = {"timeout": 2, "oom": 2, "error": 5}  # in a row, before the rest is skipped
COLUMNS = ("sample", "operator", "status", "message", "cpu_s", "wall_s", "peak_mb",
           "cell")  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What the matrices depend on, and the limits of a cell."""

    standardize: str | None = "auto"
    nan: str = "error"
    per_site: bool = False
    time_limit: float | None = 30.0
    memory_limit: int | str = "2GB"


@dataclass(frozen=True)
class Cell:
    """One operator on some samples, and the file that holds them.

    Attributes
    ----------
    op : Op
    members : tuple of int
        Numbers of the samples.
    path : Path
    """

    op: Op
    members: tuple[int, ...]
    path: Path


def seconds_of(op: Op, n_time: int, n_roi: int) -> float:
    """Seconds that an operator takes for one sample, by its declared cost.

    Examples
    --------
    >>> seconds_of(Op("pearson"), 200, 200) < seconds_of(Op("dtw"), 200, 200)
    True
    """
    return operations(find(op.name).cost, n_time=n_time, n_roi=n_roi) / SPEED


def is_fast(op: Op, samples: Samples, limit: float = 1.0) -> bool:
    """Whether one sample takes less than `limit` seconds by the cost model."""
    longest = max(map(len, samples.values))
    return seconds_of(op, longest, samples.values[0].shape[1]) < limit


def chunks_of(op: Op, samples: Samples, seconds: float) -> list[tuple[int, ...]]:
    """Samples in chunks of whole recordings that take about `seconds` each.

    An operator that learns from the group gets all samples at once.
    """
    if find(op.name).learn is not None:
        return [tuple(range(len(samples)))]
    n_roi = samples.values[0].shape[1]
    chunks: list[list[int]] = [[]]
    filled = 0.0
    for number in pd.unique(samples.table["recording"]):
        own = np.flatnonzero(samples.table["recording"] == number)
        cost = sum(seconds_of(op, len(samples.values[k]), n_roi) for k in own)
        if chunks[-1] and filled + cost > seconds:
            chunks.append([])
            filled = 0.0
        chunks[-1] += own.tolist()
        filled += cost
    return [tuple(c) for c in chunks]


def cell_of(op: Op, members: Sequence[int], samples: Samples, folder, settings) -> Cell:
    """The cell of these samples; its file name follows from their content."""
    table = samples.table.iloc[list(members)]
    content = {
        "operator": op.name,
        "params": plain(op.params),
        "samples": [digest_of(samples.values[k]) for k in members],
        "rates": plain(table["rate"].tolist()),
        "regions": [str(n) for n in samples.group.names],
        "standardize": settings.standardize,
        "nan": settings.nan,
        "per_site": settings.per_site,
        "all_rates": plain(sorted(samples.table["rate"].dropna().unique())),
        "version": __version__,
    }
    text = json.dumps(content, sort_keys=True, default=str)
    key = hashlib.sha256(text.encode()).hexdigest()[:20]
    name = re.sub(r"[^A-Za-z0-9_.=-]", "-", op.label)[:80]
    return Cell(op, tuple(members), Path(folder) / name / f"{key}.nc")


def compute_cell(cell: Cell, samples: Samples, settings: Settings) -> xr.DataArray:
    """Matrices (sample, source, target) of a cell; large is strong."""
    made = find(cell.op.name)
    rates = samples.table["rate"].iloc[list(cell.members)]
    known = sorted(samples.table["rate"].dropna().unique())
    if not settings.per_site and made.ordered and len(known) > 1:
        raise ParameterError(
            message(
                f"operator {cell.op.name!r}",
                "one sampling rate, as the order of the samples matters",
                f"{[round(float(r), 4) for r in known]} Hz",
                "resample the recordings, or pass per_site=True",
            )
        )
    parts = [
        xr.DataArray(
            samples.values[k], dims=("time", "roi"),
            coords={"roi": samples.group.names},
            attrs={} if pd.isna(rate) else {"sampling_rate": float(rate)},
        )
        for k, rate in zip(cell.members, rates)
    ]  # fmt: skip
    model = Connectivity(
        cell.op, settings.standardize, nan=settings.nan, similarity=True,
        per_site=settings.per_site, duplicates="allow", device="cpu",
        memory_limit=settings.memory_limit,
    )  # fmt: skip
    w = model.fit_transform(parts)
    if w.ndim != 3:
        raise ParameterError(
            message(f"operator {cell.op.label!r}", "one matrix a sample", w.dims,
                    "ask it for an average")
        )  # fmt: skip
    return w


def write_cell(cell: Cell, samples: Samples, settings: Settings) -> None:
    """Compute a cell and write its matrices, without its cost."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        w = compute_cell(cell, samples, settings)
    ds = xr.Dataset(
        {"W": (w.dims, w.to_numpy().astype(np.float32))},
        coords={"source": samples.group.names, "target": samples.group.names},
    ).rename(recording="sample")
    ds.attrs = {"operator": cell.op.label, "directed": w.attrs["directed"]}
    write_netcdf(ds, cell.path.with_suffix(".part.nc"), encoding=QUICK)


def finish_cell(cell: Cell, samples: Samples, verdict: Verdict, settings) -> None:
    """Give a computed cell its cost and its name; a failed one its reason."""
    part = cell.path.with_suffix(".part.nc")
    table = samples.table.iloc[list(cell.members)]
    ds = read_netcdf(part) if verdict.status == "ok" else xr.Dataset()
    ds = ds.assign_coords(sample=table["sample"].to_numpy().astype(str))
    ds.attrs |= {
        "operator": cell.op.label, "status": verdict.status,
        "message": verdict.message, "cpu_s": verdict.cpu_s, "wall_s": verdict.wall_s,
        "peak_mb": verdict.peak_mb, "time_limit": settings.time_limit or np.inf,
        "memory_limit": bytes_of(settings.memory_limit),
    }  # fmt: skip
    write_netcdf(ds, cell.path, encoding=QUICK if "W" in ds else None)
    part.unlink(missing_ok=True)


def is_done(cell: Cell, settings: Settings, *, retry_failed: bool = False) -> bool:
    """Whether a cell needs no more work: it is there, or would fail again."""
    if not cell.path.is_file():
        return False
    attrs = read_netcdf(cell.path, lazy=True).attrs
    if attrs["status"] == "ok":
        return True
    more_time = (settings.time_limit or np.inf) > attrs["time_limit"]
    more_room = bytes_of(settings.memory_limit) > attrs["memory_limit"]
    again = {"timeout": more_time, "oom": more_room, "skipped": more_time}
    return not (retry_failed or again.get(attrs["status"], False))


def run_cells(
    samples: Samples, ops: Sequence[Op], folder, settings: Settings, *,
    chunk_seconds=60.0, n_jobs=1, retry_failed=False, only=None,
) -> Iterator[Cell]:  # fmt: skip
    """Compute what is not there yet, and yield every cell as it is done.

    A chunk that fails is done again one recording at a time, so that one bad recording
    costs no other; after some recordings in a row that fail alike the operator's others
    in the chunk are skipped. `only`: labels of operators with the first sample of a
    chunk; others are left alone.
    """
    queue: deque[Job] = deque()
    limit = bytes_of(settings.memory_limit)

    def job_of(cell: Cell) -> Job:
        recordings = samples.table["recording"].iloc[list(cell.members)].nunique()
        time = None if settings.time_limit is None else settings.time_limit * recordings
        return Job(write_cell, (cell, samples, settings), time, limit)

    def parts_of(cell: Cell) -> list[Cell]:
        number = samples.table["recording"].iloc[list(cell.members)].to_numpy()
        members = [np.array(cell.members)[number == k].tolist()
                   for k in pd.unique(number)]  # fmt: skip
        return [cell_of(cell.op, m, samples, folder, settings) for m in members]

    series: dict[Path, list[Cell]] = {}  # cells that wait for the one before

    def next_of(cells: list[Cell]) -> Iterator[Cell]:
        while cells and is_done(cells[0], settings, retry_failed=retry_failed):
            yield cells.pop(0)
        if cells:
            first = cells.pop(0)
            series[first.path] = cells
            queue.append(job_of(first))

    strikes: dict[str, tuple[str, int]] = {}
    for op in ops:
        for members in chunks_of(op, samples, chunk_seconds):
            if only is not None and (op.label, members[0]) not in only:
                continue
            cell = cell_of(op, members, samples, folder, settings)
            if is_done(cell, settings, retry_failed=retry_failed):
                yield cell
                continue
            parts = parts_of(cell)
            started = len(parts) > 1 and any(p.path.is_file() for p in parts)
            yield from next_of(parts if started else [cell])
    for job, verdict in run_capped(queue, n_jobs=n_jobs):
        cell = job.arguments[0]
        waiting = series.pop(cell.path)
        parts = parts_of(cell)
        splits = verdict.status != "ok" and len(parts) > 1
        if splits and find(cell.op.name).learn is None:
            yield from next_of(parts)
            continue
        finish_cell(cell, samples, verdict, settings)
        yield cell
        label, how = cell.op.label, verdict.status
        before = strikes.get(label, ("", 0))
        strikes[label] = (how, before[1] + 1 if before[0] == how else 1)
        if strikes[label][1] >= GIVE_UP.get(how, np.inf):
            said = f"{GIVE_UP[how]} recordings before it: {how}, {verdict.message}"
            skipped = Verdict("skipped", said)
            for other in waiting:
                if not is_done(other, settings):
                    finish_cell(other, samples, skipped, settings)
                yield other
        else:
            yield from next_of(waiting)


def rows_of(cells: Sequence[Cell]) -> pd.DataFrame:
    """One row a sample and operator: status, message, and the cost by sample."""
    rows: list[dict[str, Any]] = []
    for cell in cells:
        ds = read_netcdf(cell.path, lazy=True)
        share = {c: ds.attrs[c] / len(cell.members) for c in ("cpu_s", "wall_s")}
        known = {c: ds.attrs[c] for c in ("operator", "status", "message", "peak_mb")}
        rows += [
            {"sample": str(s), **known, **share, "cell": cell.path.stem}
            for s in ds["sample"].values
        ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["operator", "sample"], ignore_index=True)


def matrices_of(cells: Sequence[Cell], n_samples: int) -> tuple[np.ndarray, bool]:
    """Matrices (sample, source, target) of one operator, NaN where it failed."""
    out: np.ndarray | None = None
    directed = False
    for cell in cells:
        ds = read_netcdf(cell.path)
        if "W" not in ds:
            continue
        if out is None:
            out = np.full((n_samples, *ds["W"].shape[1:]), np.nan, dtype=np.float32)
        out[list(cell.members)] = ds["W"].to_numpy()
        directed = bool(ds.attrs["directed"])
    if out is None:
        raise ParameterError(message("cells", "at least one that did not fail", "none"))
    return out, directed
