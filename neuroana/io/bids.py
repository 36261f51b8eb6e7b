"""A BIDS dataset as a collection: one scan, recordings that are read when used."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import ParameterError
from neuroana.core.recording import MODALITIES
from neuroana.core.recordings import Deferred, Recordings
from neuroana.io.dispatch import check_options, read, reader_of
from neuroana.io.layout import BidsFile, participants, scan


ELECTRICAL = (".edf", ".bdf", ".vhdr", ".set", ".nwb")
SIGNALS = {
    "eeg": ("eeg", ELECTRICAL),
    "ieeg": ("ieeg", ELECTRICAL),
    "bold": ("fmri", (".nii", ".nii.gz", ".dtseries.nii", ".ptseries.nii")),
    "timeseries": ("fmri", (".tsv", ".ptseries.nii")),
}
Choice = str | Sequence[str] | None


def read_bids(
    root: str | Path,
    *,
    modality: str | None = None,
    subject: Choice = None,
    session: Choice = None,
    task: Choice = None,
    run: Choice = None,
    **options: Any,
) -> Recordings:
    """Open a BIDS dataset of EEG, iEEG or fMRI as a collection of recordings.

    One pass over the folders finds the files; each is read when it is asked for, with
    the sidecars that apply to it (inheritance). The table has the columns of
    ``participants.tsv`` and the ``acq_time`` of ``scans.tsv``.

    Parameters
    ----------
    root : path
        The folder of the dataset.
    modality : {'eeg', 'ieeg', 'fmri'}, optional
        Only recordings of this kind.
    subject, session, task, run : str or sequence of str, optional
        Only these, as the names of the files have them, without ``sub-`` and so on.
    **options
        For the reader: :func:`read_eeg`, :func:`read_ieeg` or :func:`read_fmri`.

    Returns
    -------
    Recordings
        Rate and number of samples of a recording enter the table with
        :meth:`Recordings.readable`, which also leaves out damaged files.

    Raises
    ------
    ParameterError
        If there is no such dataset or recording, or an option is unknown.

    Warns
    -----
    DataWarning
        If ``participants.tsv`` or ``scans.tsv`` cannot be used, or names what is
        missing.

    Notes
    -----
    Cost: one ``scandir`` a folder, no file is opened but the two tables; a dataset
    of 300 subjects takes well below a second, each time.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = Path(folder, "sub-01", "func")
    ...     place.mkdir(parents=True)
    ...     name = "sub-01_task-rest_atlas-A_timeseries.tsv"
    ...     _ = (place / name).write_text("PCC\\tmPFC\\n" + "1\\t2\\n3\\t1\\n" * 5)
    ...     study = read_bids(folder, t_r=2.0)
    ...     study.table.subject.tolist(), study[0].roi.values.tolist()
    (['01'], ['PCC', 'mPFC'])
    """
    if modality is not None:
        check_choice("modality", modality, MODALITIES)
    files = [f for f in scan(root) if _is_signal(f)]
    wanted = {"sub": subject, "ses": session, "task": task, "run": run}
    chosen = [
        f
        for f in select(files, wanted, Path(root))
        if modality in (None, SIGNALS[f.suffix][0])
    ]
    if not chosen:
        kinds = sorted({SIGNALS[f.suffix][0] for f in files})
        raise ParameterError(
            message(
                str(root), f"recordings of {modality or 'any kind'}", kinds or "none"
            )
        )
    for kind in sorted({SIGNALS[f.suffix][0] for f in chosen}):
        check_options(Path(root), reader_of(kind), options)
    return Recordings(
        [_deferred(f, options) for f in chosen], participants=participants(root)
    )


def _is_signal(file: BidsFile) -> bool:
    _, extensions = SIGNALS.get(file.suffix, ("", ()))
    if file.extension not in extensions:
        return False
    parts = file.entities
    if file.suffix == "timeseries":
        return "seg" in parts or "atlas" in parts
    return parts.get("part", "mag") == "mag" and parts.get("split", "1").lstrip(
        "0"
    ) in ("", "1")


def _deferred(file: BidsFile, options: dict[str, Any]) -> Deferred:
    kind = SIGNALS[file.suffix][0]
    return Deferred(
        file.path,
        partial(read, file.path, modality=kind, **options),
        {**file.row(), "modality": kind},
    )


def select(
    files: list[BidsFile], wanted: dict[str, Choice], root: Path
) -> list[BidsFile]:
    """Keep the files whose entities have one of the wanted values.

    Raises
    ------
    ParameterError
        If a value occurs in no file name.

    Examples
    --------
    >>> file = BidsFile(Path("sub-01_bold.nii"), {"sub": "01"}, "bold", ".nii")
    >>> len(select([file], {"sub": "01"}, Path(".")))
    1
    """
    for entity, values in wanted.items():
        if values is None:
            continue
        values = [values] if isinstance(values, str) else [str(v) for v in values]
        values = [v.removeprefix(f"{entity}-") for v in values]
        known = sorted({f.entities[entity] for f in files if entity in f.entities})
        unknown = [v for v in values if v not in known]
        if unknown:
            raise ParameterError(
                message(f"{root}: {entity}-", f"among {known[:12]}", unknown)
            )
        files = [f for f in files if f.entities.get(entity) in values]
    return files
