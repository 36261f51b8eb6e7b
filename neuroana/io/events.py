"""Events of a recording: BIDS tables, MNE annotations, data frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroana.core.checks import check_names, message
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.io.files import check_file
from neuroana.io.sidecars import read_table


BAD_PREFIXES = ("BAD", "EDGE")


def read_events(source: Any, *, trial_type: str | None = None) -> pd.DataFrame:
    """Read events as a BIDS table: ``onset``, ``duration``, ``trial_type``, others.

    Parameters
    ----------
    source : path, DataFrame, mne.Annotations or mne.io.Raw
        A BIDS ``events.tsv``; a BrainVision marker file (``.vmrk``, its header beside
        it gives the rate); a table with a column ``onset``; annotations, whose
        description becomes ``trial_type``.
    trial_type : str, optional
        Column to take as ``trial_type`` where it has another name.

    Returns
    -------
    DataFrame
        Onsets and durations in seconds, sorted by onset. A missing duration is 0.

    Raises
    ------
    SchemaError
        If there is no ``onset``, or one that is no number.

    Examples
    --------
    >>> read_events(pd.DataFrame({"onset": [2.0, 1.0], "trial_type": ["b", "a"]}))
       onset  duration trial_type
    0    1.0       0.0          a
    1    2.0       0.0          b
    """
    where = "events"
    if isinstance(source, str | Path):
        path = check_file(source)
        where = str(path)
        table = _read_markers(path) if path.suffix == ".vmrk" else read_table(path)
    elif isinstance(source, pd.DataFrame):
        table = source.copy()
    elif hasattr(source, "annotations"):
        table = annotation_table(source)
    elif hasattr(source, "onset") and hasattr(source, "description"):
        table = _plain_annotations(source)
    else:
        raise ParameterError(
            message(
                "argument 'source'",
                "a path, a DataFrame, mne.Annotations or mne.io.Raw",
                type(source).__name__,
            )
        )
    if trial_type is not None:
        check_names("events column", [trial_type], map(str, table.columns))
        table["trial_type"] = table[trial_type]
    return _tidy(table, where)


def _tidy(table: pd.DataFrame, where: str) -> pd.DataFrame:
    if "onset" not in table:
        raise SchemaError(
            message(
                where,
                "a column 'onset' in seconds",
                list(table.columns),
                "rename the column that holds the onsets",
            )
        )
    onset = pd.to_numeric(table["onset"], errors="coerce").to_numpy(np.float64)
    if not np.isfinite(onset).all():
        row = int(np.argmax(~np.isfinite(onset)))
        raise SchemaError(
            message(
                f"{where}: 'onset'",
                "a number in each row",
                f"{table['onset'].iloc[row]!r} in row {row + 1}",
                "correct or drop the row",
            )
        )
    duration = table["duration"] if "duration" in table else np.zeros(len(table))
    duration = pd.to_numeric(pd.Series(np.asarray(duration)), errors="coerce")
    kind = table["trial_type"] if "trial_type" in table else ["n/a"] * len(table)
    kind = pd.Series(np.asarray(kind, dtype=object)).fillna("n/a").astype(str)
    columns = {"onset": onset, "duration": duration.fillna(0.0), "trial_type": kind}
    rest = table.drop(columns=[c for c in columns if c in table])
    tidy = pd.concat([pd.DataFrame(columns), rest.reset_index(drop=True)], axis=1)
    return tidy.sort_values("onset", kind="stable", ignore_index=True)


def _plain_annotations(annotations: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "onset": np.asarray(annotations.onset, dtype=np.float64),
            "duration": np.asarray(annotations.duration, dtype=np.float64),
            "trial_type": np.asarray(annotations.description, dtype=object),
        }
    )


def annotation_table(raw: Any) -> pd.DataFrame:
    """Annotations of an MNE object as a table on the clock that starts at 0.

    Examples
    --------
    >>> import mne
    >>> raw = mne.io.RawArray(np.zeros((1, 9)), mne.create_info(1, 1.0), verbose=False)
    >>> _ = raw.set_annotations(mne.Annotations([2.0], [1.0], ["go"]))
    >>> annotation_table(raw)
       onset  duration trial_type
    0    2.0       1.0         go
    """
    table = _plain_annotations(raw.annotations)
    table["onset"] -= raw.first_time
    return table


def split_bad(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the spans to leave out (``BAD_*``, ``EDGE``) from the events proper.

    Examples
    --------
    >>> table = pd.DataFrame({"onset": [0.0, 1.0], "trial_type": ["BAD_blink", "go"]})
    >>> [len(part) for part in split_bad(table)]
    [1, 1]
    """
    names = table["trial_type"].astype(str).str.upper()
    bad = names.str.startswith(BAD_PREFIXES).to_numpy(bool)
    return table[bad], table[~bad].reset_index(drop=True)


def good_from_spans(
    spans: pd.DataFrame, n_samples: int, sampling_rate: float
) -> np.ndarray:
    """Boolean array that is False on each sample a span touches, at least on one.

    Examples
    --------
    >>> spans = pd.DataFrame({"onset": [1.0], "duration": [1.0]})
    >>> good_from_spans(spans, 4, 1.0).tolist()
    [True, False, True, True]
    """
    good = np.ones(n_samples, dtype=bool)
    for onset, duration in zip(spans["onset"], spans["duration"]):
        first = int(np.floor(onset * sampling_rate + 1e-6))
        stop = int(np.ceil((onset + duration) * sampling_rate - 1e-6))
        good[max(first, 0) : max(stop, first + 1, 0)] = False
    return good


def _read_markers(path: Path) -> pd.DataFrame:
    header = path.with_suffix(".vhdr")
    interval = None
    if header.exists():
        text = header.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            if line.startswith("SamplingInterval="):
                interval = float(line.partition("=")[2]) * 1e-6
    if interval is None:
        raise ParameterError(
            message(
                str(path),
                f"its header {header.name} beside it, for the sampling rate",
                "none",
                "put the .vhdr file there",
            )
        )
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("Mk"):
            continue
        parts = line.partition("=")[2].split(",")
        if len(parts) < 5 or not parts[2].strip().isdigit():
            raise SchemaError(message(str(path), "a marker a line", repr(line[:80])))
        name = parts[1].replace("\\1", ",").strip()
        rows.append(
            {
                "onset": (int(parts[2]) - 1) * interval,
                "duration": (int(parts[3] or 0) if parts[3].isdigit() else 0)
                * interval,
                "trial_type": f"{parts[0]}/{name}" if name else parts[0],
                "sample": int(parts[2]) - 1,
            }
        )
    return pd.DataFrame(rows, columns=["onset", "duration", "trial_type", "sample"])
