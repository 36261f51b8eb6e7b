"""Several recordings as one object: a list, a table, and a tree."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_names, message
from neuroana.core.contract import ENTITIES, check, is_recording, label_of
from neuroana.core.errors import (
    DataWarning,
    NeuroanaError,
    ParameterError,
    SchemaError,
)
from neuroana.core.recording import space_dim
from neuroana.core.store import atomic_path, read_netcdf, write_netcdf


INDEX = "index.tsv"
MEASURED = ("sampling_rate", "n_samples", "n_signals", "synthetic")


@dataclass(frozen=True)
class Deferred:
    """A recording in a foreign file, read each time it is asked for.

    Attributes
    ----------
    path : Path
        The file.
    read : callable
        Reads it: a function of no argument that returns a recording.
    row : mapping
        What is known of it unread, by column of the table.
    """

    path: Path
    read: Callable[[], xr.Dataset]
    row: Mapping[str, Any] = field(default_factory=dict)


class Recordings(Sequence):
    """A list of recordings with a table of what they are.

    Usable wherever scikit-learn takes a list of samples (``cross_val_score``,
    ``GridSearchCV``, group splitters): one recording is one sample.

    Parameters
    ----------
    items : sequence of Dataset, path or Deferred
        Recordings in memory, or NetCDF and other files that are read when asked for.
    participants : DataFrame, optional
        Further columns of the table, joined by ``subject`` or ``participant_id``.

    Attributes
    ----------
    table : DataFrame
        One row a recording: subject, session, task, run, modality, sampling rate,
        number of samples and of channels (regions, neurons), source, and the
        columns of `participants`.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> many = Recordings([
    ...     from_array(np.ones((5, 2)), "fmri", sampling_rate=0.5,
    ...                attrs={"subject": s}) for s in ("01", "02")])
    >>> len(many), many[1].attrs["subject"], many.groups("subject").tolist()
    (2, '02', ['01', '02'])
    """

    def __init__(
        self,
        items: Sequence[xr.Dataset | str | Path | Deferred],
        *,
        participants: pd.DataFrame | None = None,
    ) -> None:
        self._items: list[Any] = [
            i if isinstance(i, xr.Dataset | Deferred) else Path(i) for i in items
        ]
        if not self._items:
            raise ParameterError(message("recordings", "at least one", "none"))
        self.table = pd.DataFrame([_known(item) for item in self._items])
        if participants is not None:
            self.table = _joined(self.table, participants)

    @classmethod
    def _of(cls, items: list, table: pd.DataFrame) -> "Recordings":
        new = cls.__new__(cls)
        new._items, new.table = items, table.reset_index(drop=True)
        return new

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[xr.Dataset]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        """Return one recording for a whole number, a collection for anything else."""
        if isinstance(index, int | np.integer):
            return _opened(self._items[index])
        if isinstance(index, slice):
            chosen = np.arange(len(self))[index]
        else:
            chosen = np.asarray(index)
            chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return self._of([self._items[i] for i in chosen], self.table.iloc[chosen])

    def __repr__(self) -> str:
        kinds = ", ".join(sorted(self.table["modality"].unique()))
        return f"<Recordings: {len(self)} ({kinds})>\n{self.table}"

    def _repr_html_(self) -> str:
        return f"<b>{len(self)} recordings</b>{self.table.to_html(max_rows=20)}"

    def groups(self, column: str = "subject") -> np.ndarray:
        """Values of one column of the table, for group splitters.

        Raises
        ------
        ParameterError
            If there is no such column.
        """
        check_names("table column", [column], map(str, self.table.columns))
        return self.table[column].to_numpy()

    def select(self, **criteria: Any) -> "Recordings":
        """Keep the recordings whose columns have the given value (or one of a list).

        Raises
        ------
        ParameterError
            If a column does not exist or nothing is left.
        """
        check_names("table column", criteria, map(str, self.table.columns))
        keep = np.ones(len(self), dtype=bool)
        for column, wanted in criteria.items():
            wanted = [wanted] if isinstance(wanted, str) else np.atleast_1d(wanted)
            keep &= self.table[column].isin(list(wanted)).to_numpy()
        if not keep.any():
            raise ParameterError(
                message("selection", "at least one recording", f"none for {criteria}")
            )
        return self[keep]

    def map(self, function: Callable[..., xr.Dataset], *args: Any, **kwargs: Any):
        """Apply a function of one recording to each, and collect the results."""
        made = [function(recording, *args, **kwargs) for recording in self]
        extra = [c for c in self.table if c not in _row(made[0])]
        new = Recordings(made)
        new.table[extra] = self.table[extra]
        return new

    def readable(self) -> "Recordings":
        """Keep the recordings that can be read; a warning names each of the others.

        Every file is read once, and what only its content tells (rate, samples,
        signals) enters the table. One damaged file then costs one recording.

        Returns
        -------
        Recordings

        Raises
        ------
        NeuroanaError
            What the last of them raised, if none can be read.
        """
        whole, rows = [], []
        failure: NeuroanaError | None = None
        for number in range(len(self)):
            try:
                row = _row(self[number])
            except NeuroanaError as error:
                failure = error
                warnings.warn(f"left out: {error}", DataWarning, stacklevel=2)
                continue
            whole.append(number)
            rows.append({name: row[name] for name in MEASURED})
        if failure is not None and not whole:
            raise failure
        kept = self[whole]
        kept.table = kept.table.assign(**pd.DataFrame(rows))
        return kept

    def to_datatree(self) -> xr.DataTree:
        """Make a tree whose node paths carry the entities (/sub-01/ses-1/task-rest).

        Examples
        --------
        >>> from neuroana.core.recording import from_array
        >>> rec = from_array(np.ones((5, 2)), "fmri", sampling_rate=0.5,
        ...                  attrs={"subject": "01", "task": "rest"})
        >>> Recordings([rec]).to_datatree().groups
        ('/', '/sub-01', '/sub-01/task-rest')
        """
        nodes: dict[str, xr.Dataset] = {}
        for number, recording in enumerate(self):
            path = _node(recording)
            nodes[path if path not in nodes else f"{path}_rec-{number}"] = recording
        return xr.DataTree.from_dict(nodes)

    @classmethod
    def from_datatree(cls, tree: xr.DataTree) -> "Recordings":
        """Collect every node of a tree that holds a recording."""
        found = [node.to_dataset(inherit=False) for node in tree.subtree]
        return cls([check(ds) for ds in found if is_recording(ds)])

    def save(self, folder: str | Path) -> Path:
        """Write one NetCDF file a recording and the table as ``index.tsv``.

        The table is written last, so a folder with an index is whole.
        """
        folder = Path(folder)
        names: list[str] = []
        for number, recording in enumerate(self):
            name = f"{re.sub(r'[^A-Za-z0-9_.-]', '-', label_of(recording))}.nc"
            name = name if name not in names else f"{number}_{name}"
            write_netcdf(recording, folder / name)
            names.append(name)
        with atomic_path(folder / INDEX) as part:
            table = self.table.assign(file=names)
            table.to_csv(part, sep="\t", index=False, na_rep="n/a")
        return folder

    @classmethod
    def open(cls, folder: str | Path) -> "Recordings":
        """Open a folder that :meth:`save` wrote; signals are read when asked for.

        Raises
        ------
        FileNotFoundError, SchemaError
            If there is no index, or files that it names are missing.
        """
        folder = Path(folder)
        if not (folder / INDEX).is_file():
            raise FileNotFoundError(
                message(f"{folder}", f"a file {INDEX}", "none", "write it with save()")
            )
        texts = dict.fromkeys((*ENTITIES, "source", "file"), str)
        table = pd.read_csv(
            folder / INDEX,
            sep="\t",
            na_values="n/a",
            keep_default_na=False,
            dtype=texts,
        )
        files = [folder / name for name in table.pop("file")]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise SchemaError(
                message(f"{folder / INDEX}", "all its files", f"missing {missing[:5]}")
            )
        return cls._of(
            files, table.astype(object).where(table.notna(), None).infer_objects()
        )


def _opened(item: Any) -> xr.Dataset:
    if isinstance(item, xr.Dataset):
        return item
    return check(item.read() if isinstance(item, Deferred) else read_netcdf(item))


def _known(item: Any) -> dict[str, Any]:
    if isinstance(item, Deferred):
        unknown = dict.fromkeys((*ENTITIES, "modality", *MEASURED))
        return {**unknown, "source": item.path.name, **item.row}
    return _row(item if isinstance(item, xr.Dataset) else read_netcdf(item, lazy=True))


def _row(ds: xr.Dataset) -> dict[str, Any]:
    check(ds)
    return {
        **{e: ds.attrs.get(e) for e in ENTITIES},
        "modality": ds.attrs["modality"],
        "sampling_rate": float(ds.attrs["sampling_rate"]),
        "n_samples": ds.sizes["time"],
        "n_signals": ds.sizes[space_dim(ds)],
        "synthetic": int(ds.attrs.get("synthetic", 0)),
        "source": ds.attrs.get("source"),
    }


def _joined(table: pd.DataFrame, participants: pd.DataFrame) -> pd.DataFrame:
    people = participants.rename(columns={"participant_id": "subject"})
    if "subject" not in people:
        raise SchemaError(
            message(
                "participants",
                "a column 'subject' or 'participant_id'",
                list(people.columns),
            )
        )
    people = people.assign(
        subject=people["subject"].astype(str).str.removeprefix("sub-")
    )
    new = [c for c in people if c == "subject" or c not in table]
    return table.merge(people[new], on="subject", how="left", validate="many_to_one")


def _node(ds: xr.Dataset) -> str:
    def value(entity: str) -> str:
        return str(ds.attrs[entity]).replace("/", "-")

    parts = [f"sub-{value('subject')}"] if ds.attrs.get("subject") else []
    parts += [f"ses-{value('session')}"] if ds.attrs.get("session") else []
    leaf = "_".join(f"{e}-{value(e)}" for e in ("task", "run") if ds.attrs.get(e))
    return "/" + "/".join([*parts, leaf or ds.attrs["modality"]])
