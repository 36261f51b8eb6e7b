"""EEG and BOLD of one run on one clock, and which files belong together."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_choice, message
from neuroana.core.contract import ENTITIES, check, label_of, rate_of
from neuroana.core.errors import SchemaError
from neuroana.core.recording import events_of
from neuroana.core.recordings import Recordings
from neuroana.eeg2fmri.triggers import audit_triggers
from neuroana.eeg2fmri.windows import LENGTH


logger = logging.getLogger(__name__)
SPARE = 30  # volumes that must remain behind the first full window


def pair(
    eeg: xr.Dataset,
    bold: xr.Dataset,
    *,
    trigger: str | None = None,
    offset: str = "onset",
) -> xr.DataTree:
    """Put the EEG and the BOLD of one run on the clock of the EEG.

    Use it for every run before windows are cut.

    Parameters
    ----------
    eeg : recording (time, channel)
        With its events, where `trigger` is given.
    bold : recording (time, roi)
    trigger : str, optional
        Event that marks each volume; left out where both share a clock already.
    offset : {'onset', 'middle'}
        Moment of a volume that its values stand for: its trigger, or half a TR later
        (after slice-timing correction to the middle).

    Returns
    -------
    DataTree
        ``/eeg`` and ``/bold``. Regions that are constant or empty are left out, and
        named in ``attrs["dropped_regions"]`` of ``/bold``, beside the audit.

    Raises
    ------
    TriggerError
        If the triggers do not fit the volumes.
    SchemaError
        If the two are of different people or runs, or the series is too short.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> run = simulate_eeg_fmri(1, n_volumes=50, random_state=0)[0][0]
    >>> run = pair(run["eeg"].to_dataset(), run["bold"].to_dataset())
    >>> sorted(run.children)
    ['bold', 'eeg']
    """
    check_choice("offset", offset, ["onset", "middle"])
    check(eeg)
    check(bold)
    check_entities(eeg, bold)
    tr = 1.0 / rate_of(bold["time"].to_numpy())
    notes = {"restored_triggers": [], "trigger_jitter_samples": 0.0}
    onsets = bold["time"].to_numpy()
    if trigger is not None:
        audit = audit_triggers(
            events_of(eeg),
            trigger,
            sampling_rate=eeg.attrs["sampling_rate"],
            n_volumes=bold.sizes["time"],
            tr=tr,
        )
        onsets, tr = audit.onsets, audit.tr
        notes = {
            "restored_triggers": list(audit.restored),
            "trigger_jitter_samples": audit.jitter_samples,
            "trigger_drift_ppm": audit.drift_ppm,
        }
    check_length(bold, tr)
    times = onsets + (tr / 2 if offset == "middle" else 0.0)
    bold = drop_empty(bold.assign_coords(time=("time", times, {"units": "s"})))
    bold.attrs |= {**notes, "slice_offset": offset, "sampling_rate": rate_of(times)}
    bold["signal"].attrs["sampling_rate"] = bold.attrs["sampling_rate"]
    return xr.DataTree.from_dict({"/eeg": eeg, "/bold": bold})


def check_entities(eeg, bold):
    """Refuse two recordings whose entities contradict each other."""
    odd = {
        e: (eeg.attrs[e], bold.attrs[e])
        for e in ENTITIES
        if eeg.attrs.get(e) and bold.attrs.get(e) and eeg.attrs[e] != bold.attrs[e]
    }
    if odd:
        raise SchemaError(
            message(
                f"{label_of(eeg)} and {label_of(bold)}",
                "EEG and BOLD of one run, recorded together",
                ", ".join(f"{e} {a!r} and {b!r}" for e, (a, b) in odd.items()),
                "pair recordings of the same subject, session, task and run",
            )
        )


def check_length(bold, tr):
    needed = int(np.ceil(LENGTH / tr)) + SPARE
    if bold.sizes["time"] < needed:
        raise SchemaError(
            message(
                f"{label_of(bold)}: 'signal'",
                f"at least {needed} volumes ({LENGTH:g} s and {SPARE} volumes)",
                bold.sizes["time"],
            )
        )


def drop_empty(bold: xr.Dataset) -> xr.Dataset:
    """Leave out regions without any variance, and say which."""
    values = bold["signal"].to_numpy()
    space = str(bold["signal"].dims[1])
    finite = np.isfinite(values)
    high = np.where(finite, values, -np.inf).max(axis=0)
    low = np.where(finite, values, np.inf).min(axis=0)
    alive = (finite.sum(axis=0) > 1) & (high > low)
    if not alive.any():
        raise SchemaError(
            message(f"{label_of(bold)}: 'signal'", "a region that varies", "none")
        )
    dropped = [str(name) for name in bold[space].to_numpy()[~alive]]
    return bold.isel({space: alive}).assign_attrs(dropped_regions=dropped)


def match_runs(
    eeg: pd.DataFrame, bold: pd.DataFrame, *, by: Sequence[str] = ENTITIES
) -> pd.DataFrame:
    """Say which EEG files and BOLD files belong together, before any is loaded.

    Use it as a dry run on the tables of two collections (``Recordings.table``).

    Parameters
    ----------
    eeg, bold : DataFrame
        One row a file, with columns for the entities.
    by : sequence of str
        Entities to agree on; those that neither table has do not count.

    Returns
    -------
    DataFrame
        One row a combination of entities: ``n_eeg``, ``n_bold``, and ``status``,
        one of matched, no eeg, no bold, ambiguous.

    Raises
    ------
    SchemaError
        If the tables share no entity, or only one of them names a session.

    Examples
    --------
    >>> eeg = pd.DataFrame({"subject": ["01", "02"], "run": ["1", "1"]})
    >>> bold = pd.DataFrame({"subject": ["01", "03"], "run": ["1", "1"]})
    >>> match_runs(eeg, bold)["status"].tolist()
    ['matched', 'no bold', 'no eeg']
    """
    keys = [e for e in by if e in eeg.columns and e in bold.columns]
    alone = {e for e in by if (e in eeg.columns) != (e in bold.columns)}
    if not keys or "session" in alone:
        raise SchemaError(
            message(
                "tables of EEG and BOLD",
                f"common columns among {list(by)}, a session in both or neither",
                f"in both {keys}, in one {sorted(alone)}",
                "recordings of different sessions were not made together",
            )
        )
    counts = {
        name: table[keys].fillna("").astype(str).value_counts()
        for name, table in (("n_eeg", eeg), ("n_bold", bold))
    }
    table = pd.DataFrame(counts).fillna(0).astype(int).sort_index()
    table["status"] = np.select(
        [table["n_bold"] == 0, table["n_eeg"] == 0, table.sum(axis=1) == 2],
        ["no bold", "no eeg", "matched"],
        default="ambiguous",
    )
    return table.reset_index()


def match_bids(
    root: str | Path, *, bold_root: str | Path | None = None, **criteria: Any
) -> pd.DataFrame:
    """Dry run of a BIDS dataset: which EEG and BOLD files belong together.

    Use it before :func:`pair_runs`; no recording is opened.

    Parameters
    ----------
    root : path
        Folder of the dataset that holds the EEG.
    bold_root : path, optional
        Folder of the BOLD files, for example derivatives; `root` if left out.
    **criteria
        ``subject``, ``session``, ``task``, ``run``, as for ``neuroana.io.read_bids``.

    Returns
    -------
    DataFrame
        As :func:`match_runs`, with the file names ``eeg`` and ``bold``.

    Raises
    ------
    ParameterError, SchemaError
        If there is no such dataset, or the two share no entity.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for kind, end in (("eeg", "eeg.vhdr"), ("func", "bold.nii.gz")):
    ...         place = Path(folder, "sub-01", kind)
    ...         place.mkdir(parents=True)
    ...         _ = (place / f"sub-01_task-rest_{end}").write_bytes(b"")
    ...     match_bids(folder)[["subject", "status", "eeg"]].values.tolist()
    [['01', 'matched', 'sub-01_task-rest_eeg.vhdr']]
    """
    from neuroana.io.bids import read_bids

    eeg = read_bids(root, modality="eeg", **criteria).table
    bold = read_bids(bold_root or root, modality="fmri", **criteria).table
    table = match_runs(eeg, bold)
    keys = [c for c in table.columns if c in ENTITIES]
    for name, files in (("eeg", eeg), ("bold", bold)):
        files = files.assign(**{k: files[k].fillna("").astype(str) for k in keys})
        joined = files.groupby(keys)["source"].agg(", ".join).rename(name)
        table = table.merge(joined.reset_index(), how="left", on=keys)
    return table.fillna({"eeg": "", "bold": ""})


def pair_runs(
    eeg: Recordings, bold: Recordings, *, trigger: str | None = None,
    offset: str = "onset",
) -> list[xr.DataTree]:  # fmt: skip
    """Read and pair the runs of two collections that belong together.

    Use it on ``neuroana.io.read_bids(root, modality="eeg")`` and
    ``read_bids(root, modality="fmri", atlas=...)``: 4-D images go through the atlas as
    they are read, tables of regions come as they are. Cost: that of reading.

    Parameters
    ----------
    eeg, bold : Recordings
    trigger, offset
        As for :func:`pair`.

    Returns
    -------
    list of DataTree
        One a matched combination of entities, in their order; others are logged.

    Raises
    ------
    SchemaError
        If nothing matches, or more than one file belongs to a run.

    Examples
    --------
    >>> from neuroana.eeg2fmri import simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=50, random_state=0)
    >>> eeg, bold = (Recordings([r[k].to_dataset() for r in runs])
    ...              for k in ("eeg", "bold"))
    >>> [run["bold"].attrs["subject"] for run in pair_runs(eeg, bold)]
    ['01', '02']
    """
    table = match_runs(eeg.table, bold.table)
    odd = table[table["status"] == "ambiguous"]
    matched = table[table["status"] == "matched"]
    if len(odd) or not len(matched):
        raise SchemaError(
            message(
                "EEG and BOLD",
                "one file of each for a run",
                f"{len(matched)} runs matched, {len(odd)} ambiguous:\n{table}",
                "select by session, task and run until each has one",
            )
        )
    lost = table[table["status"] != "matched"]
    if len(lost):
        logger.warning("runs left out:\n%s", lost)
    keys = [c for c in table.columns if c in ENTITIES]
    made = []
    for _, row in matched.iterrows():
        one, two = (
            files[np.flatnonzero(same_entities(files.table, row, keys))[0]]
            for files in (eeg, bold)
        )
        made.append(pair(one, two, trigger=trigger, offset=offset))
    return made


def same_entities(table: pd.DataFrame, row: pd.Series, keys: Sequence[str]):
    """Which rows of a table have the entities of `row`."""
    own = table[list(keys)].fillna("").astype(str)
    return (own == row[list(keys)]).all(axis=1).to_numpy()
