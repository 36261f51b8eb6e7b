"""BIDS sidecars of one file: which apply to it, and what they say.

A sidecar applies if its suffix fits and the file has all of its entities; one nearer
to the file wins (the inheritance principle of BIDS).
"""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroana.core.checks import message
from neuroana.core.errors import DataWarning
from neuroana.io.files import reading


ENTITY = re.compile(r"(?:^|_)([a-zA-Z]+)-([a-zA-Z0-9+]+)")
SHORT = {"sub": "subject", "ses": "session", "task": "task", "run": "run"}
MILLIMETRES = {"m": 1000.0, "cm": 10.0, "mm": 1.0}
LEVELS = 4


def entities(path: str | Path) -> dict[str, str]:
    """Entities in a BIDS file name.

    Examples
    --------
    >>> entities("sub-01_task-rest_eeg.edf")
    {'sub': '01', 'task': 'rest'}
    """
    return dict(ENTITY.findall(Path(path).name.split(".")[0]))


def entity_attrs(path: str | Path) -> dict[str, str]:
    """Attributes ``subject``, ``session``, ``task``, ``run`` that a file name states.

    Examples
    --------
    >>> entity_attrs("sub-01_task-rest_eeg.edf")
    {'subject': '01', 'task': 'rest'}
    """
    found = entities(path)
    return {SHORT[k]: v for k, v in found.items() if k in SHORT}


def applicable(path: Path, ending: str, *, free: tuple[str, ...] = ()) -> list[Path]:
    """Sidecars of a file that end in `ending`, the farthest from the file first.

    Parameters
    ----------
    path : Path
        The recording.
    ending : str
        Suffix and extension, for example ``"channels.tsv"``.
    free : tuple of str
        Entities that a sidecar may have though the file has none (``space``).

    Examples
    --------
    >>> applicable(Path("nowhere/sub-01_eeg.edf"), "channels.tsv")
    []
    """
    own = entities(path)
    if "sub" not in own:
        return []
    found = []
    folder = path.resolve().parent
    for level in range(LEVELS + 1):
        names = [p for p in folder.glob(f"*{ending}") if p.is_file()]
        for name in names:
            theirs = entities(name)
            fits = all(own.get(k) == v for k, v in theirs.items() if k not in free)
            if fits and (name.name == ending or name.name.endswith("_" + ending)):
                found.append((-level, len(theirs), name.name, name))
        if (folder / "dataset_description.json").exists():
            break
        folder = folder.parent
    return [name for *_, name in sorted(found)]


def read_table(path: Path) -> pd.DataFrame:
    """Read a BIDS table; ``n/a`` is missing, a byte-order mark is no part of a name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.tsv")
    ...     _ = path.write_bytes(b"\\xef\\xbb\\xbfname\\tx\\nCz\\tn/a\\n")
    ...     list(read_table(path))
    ['name', 'x']
    """
    with reading(path, "a tab-separated table"):
        return pd.read_csv(path, sep="\t", na_values=["n/a"], encoding="utf-8-sig")


def metadata(path: Path) -> dict[str, Any]:
    """Read the JSON sidecars of a file, merged by inheritance.

    Examples
    --------
    >>> metadata(Path("nowhere/sub-01_eeg.edf"))
    {}
    """
    merged: dict[str, Any] = {}
    stem = path.name.split(".")[0].rpartition("_")[2]
    for name in applicable(path, f"{stem}.json"):
        with reading(name, "a JSON file"):
            merged.update(json.loads(name.read_text(encoding="utf-8-sig")))
    return merged


def channel_table(path: Path) -> pd.DataFrame | None:
    """Read the table ``channels.tsv`` of a file, with the channel names as index.

    Examples
    --------
    >>> channel_table(Path("nowhere/sub-01_eeg.edf")) is None
    True
    """
    found = applicable(path, "channels.tsv")
    if not found:
        return None
    table = read_table(found[-1])
    return table.set_index(table["name"].astype(str)) if "name" in table else None


def electrode_positions(path: Path) -> tuple[pd.DataFrame | None, str]:
    """Electrode positions in mm, and the name of their frame.

    Of several electrode files the one that names its space is taken; with two
    spaces the first by name, and a warning says so.

    Examples
    --------
    >>> electrode_positions(Path("nowhere/sub-01_eeg.edf"))
    (None, '')
    """
    found = applicable(path, "electrodes.tsv", free=("space",))
    if not found:
        return None, ""
    spaced = [p for p in found if "space" in entities(p)]
    chosen = spaced[0] if spaced else found[-1]
    if len(spaced) > 1:
        warnings.warn(
            message(
                str(chosen),
                "electrodes in one space",
                f"{[entities(p)['space'] for p in spaced]}; the first is used",
                "keep the others in another folder",
            ),
            DataWarning,
            stacklevel=2,
        )
    table = read_table(chosen)
    system = _coordinate_system(chosen)
    unit = str(system.get("unit", "n/a"))
    if not {"name", "x", "y", "z"} <= set(table) or unit not in MILLIMETRES:
        warnings.warn(
            message(
                str(chosen),
                "columns name, x, y, z and a length unit in coordsystem.json",
                f"{list(table)} in {unit}; positions are left out",
                "add what is missing",
            ),
            DataWarning,
            stacklevel=2,
        )
        return None, ""
    positions = table.set_index(table["name"].astype(str))[["x", "y", "z"]]
    positions = positions.apply(pd.to_numeric, errors="coerce") * MILLIMETRES[unit]
    space = entities(chosen).get("space", "")
    frame = str(system.get("system", ""))
    frame = space if frame in ("", "Other", "n/a") and space else frame
    return positions.astype(np.float64), frame or "unknown"


def _coordinate_system(electrodes: Path) -> dict[str, Any]:
    own = electrodes.name.replace("electrodes.tsv", "coordsystem.json")
    candidates = [electrodes.with_name(own)]
    candidates += applicable(electrodes, "coordsystem.json")[::-1]
    for name in candidates:
        if name.exists():
            with reading(name, "a JSON file"):
                content = json.loads(name.read_text(encoding="utf-8-sig"))
            found = {}
            for key, value in content.items():
                if key.endswith("CoordinateUnits"):
                    found["unit"] = value
                elif key.endswith("CoordinateSystem"):
                    found["system"] = value
            return found
    return {}
