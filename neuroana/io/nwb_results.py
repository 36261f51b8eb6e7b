"""Results as NWB processing modules: series along time, and tidy tables."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import require
from neuroana.core.contract import ENTITIES, is_recording, label_of
from neuroana.core.frames import tidy
from neuroana.core.provenance import plain
from neuroana.io.nwb_tables import MODULE
from neuroana.io.nwb_writing import empty_file, packed, to_nwb, write_file


UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def write_results(
    parts: list[tuple[str, Any]], folder: Path, name: str | None
) -> list[Path]:
    """Write the parts of a result: one NWB file for each set of entities.

    A recording becomes a file of its own, as :func:`neuroana.io.to_nwb` writes it.
    Other parts stand in the processing module ``neuroana``: a ``TimeSeries`` for what
    runs along time, a tidy ``DynamicTable`` for the rest.
    """
    require("pynwb", "nwb")
    files: dict[str, list[tuple[str, xr.DataArray]]] = {}
    written = []
    for variable, part in parts:
        for number, piece in enumerate(part if isinstance(part, list) else [part]):
            if isinstance(piece, xr.Dataset) and is_recording(piece):
                stem = UNSAFE.sub("-", label_of(piece))
                written.append(to_nwb(piece, folder / f"{stem}.nwb"))
                continue
            known = [f"{e}-{piece.attrs[e]}" for e in ENTITIES if piece.attrs.get(e)]
            listed = isinstance(part, list) and not known
            stem = "_".join(known) or (f"sequence-{number}" if listed else "result")
            stem = f"{name}_{stem}" if name else stem
            files.setdefault(UNSAFE.sub("-", stem), []).append((variable, piece))
    for stem, members in files.items():
        first = members[0][1]
        subject = first.attrs.get("subject")
        notes = str(first.attrs.get("provenance", ""))
        content = empty_file(stem, first.attrs.get("measured"), notes, subject)
        module = content.create_processing_module(MODULE, "results")
        for variable, piece in members:
            module.add(_interface(variable, piece))
        written.append(write_file(content, folder / f"{stem}.nwb"))
    return written


def _interface(variable: str, part: xr.DataArray) -> Any:
    name = UNSAFE.sub("-", variable)
    if part.dims[:1] == ("time",) and "time" in part.coords:
        return _series(name, part)
    from hdmf.common import DynamicTable, VectorData

    table: pd.DataFrame = tidy(part.rename(variable))
    columns = [
        VectorData(
            name=str(c),
            description=str(c),
            data=[str(v) for v in table[c]]
            if table[c].dtype.kind not in "fiub"
            else table[c].to_numpy(),
        )
        for c in table
    ]
    units = str(part.attrs.get("units", "1"))
    return DynamicTable(name=name, description=f"unit {units}", columns=columns)


def _series(name: str, part: xr.DataArray) -> Any:
    from pynwb import TimeSeries

    labels = {
        str(d): plain(part[d].to_numpy()) for d in part.dims[1:] if d in part.coords
    }
    facts = {"dims": list(part.dims), "labels": labels}
    return TimeSeries(
        name=name,
        data=packed(part.to_numpy()),
        unit=str(part.attrs.get("units", "1")),
        timestamps=part["time"].to_numpy().astype(np.float64),
        description=json.dumps(facts, ensure_ascii=False)[:60_000],
    )
