"""The derivatives of fMRIPrep as a collection: series, confounds out, censored."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, message
from neuroana.core.contract import check
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.provenance import record
from neuroana.core.recording import with_events
from neuroana.core.recordings import Deferred, Recordings
from neuroana.io.bids import Choice, select
from neuroana.io.confounds import Strategy, check_strategy, denoise
from neuroana.io.events import read_events
from neuroana.io.fmri import read_fmri
from neuroana.io.layout import BidsFile, participants, scan
from neuroana.io.sidecars import applicable


VOLUMES = (".nii", ".nii.gz")
SURFACE = ".func.gii"
GRAYORDINATES = ".dtseries.nii"
RAW_ENTITIES = ("sub", "ses", "task", "acq", "ce", "rec", "dir", "run", "echo")


def read_fmriprep(
    root: str | Path,
    *,
    space: str | None = None,
    atlas: Any = None,
    labels: Any = None,
    confounds: Strategy = None,
    censor: float | None = None,
    subject: Choice = None,
    session: Choice = None,
    task: Choice = None,
    run: Choice = None,
    t_r: float | None = None,
    raw: str | Path | None = None,
) -> Recordings:
    """Open the output folder of fMRIPrep as a collection of recordings.

    Each is read, cleaned and censored when it is asked for. Volumes that are left out
    stay on the clock: NaN, with ``good`` False.

    Parameters
    ----------
    root : path
        The folder of the derivatives, with ``sub-*`` inside.
    space : str, optional
        ``"MNI152NLin2009cAsym"``, with ``":res-2"`` where several resolutions are
        there; ``"fsLR"`` for CIFTI, ``"fsaverage5"`` for GIFTI, ``"func"`` for the
        scanner's own. Needed if there are several.
    atlas : path, image, or mapping of 'L' and 'R' to paths, optional
        As for :func:`read_fmri`; a ``.dlabel.nii`` for CIFTI, one ``.label.gii`` a
        hemisphere for GIFTI. Without it: voxels of the brain mask, or vertices.
    labels : sequence, mapping or path, optional
        Names of the regions, as for :func:`read_fmri`.
    confounds : str, sequence or mapping, optional
        What to regress out: one of nilearn's strategies ``'simple'``,
        ``'scrubbing'``, ``'compcor'``, ``'ica_aroma'``; a sequence is
        ``load_confounds(strategy=...)``, a mapping gives all its arguments.
    censor : float, optional
        Leave out volumes with more framewise displacement than this, in mm.
    subject, session, task, run : str or sequence of str, optional
        Only these.
    t_r : float, optional
        Repetition time in seconds, where the headers lie.
    raw : path, optional
        The raw dataset, for its ``events.tsv``: fMRIPrep copies none.

    Returns
    -------
    Recordings

    Raises
    ------
    ParameterError
        If there is no such image, or several spaces and none is chosen.

    Notes
    -----
    Cost: the scan opens no image. Reading one holds its series in memory, and 128 MB
    of volumes at a time.

    Examples
    --------
    >>> read_fmriprep("nowhere", confounds="simple")
    Traceback (most recent call last):
    ...
    neuroana.core.errors.ParameterError: nowhere: expected a BIDS dataset with ...
    """
    check_strategy(confounds, censor)
    files = [f for f in scan(root) if _is_series(f)]
    wanted = {"sub": subject, "ses": session, "task": task, "run": run}
    files = _in_space(select(files, wanted, Path(root)), space, Path(root))
    groups: dict[tuple, list[BidsFile]] = {}
    for file in files:
        same = {k: v for k, v in file.entities.items() if k != "hemi"}
        groups.setdefault((file.path.parent, *same.items()), []).append(file)
    items = [
        Deferred(
            group[0].path,
            partial(_read, group, atlas, labels, confounds, censor, t_r, raw),
            {**group[0].row(), "modality": "fmri"},
        )
        for group in groups.values()
    ]
    return Recordings(items, participants=participants(root))


def _is_series(file: BidsFile) -> bool:
    if file.suffix != "bold":
        return False
    preproc = file.entities.get("desc") == "preproc"
    return (file.extension in VOLUMES and preproc) or file.extension in (
        SURFACE,
        GRAYORDINATES,
    )


def _place_of(file: BidsFile) -> str:
    parts = file.entities
    resolution = f":res-{parts['res']}" if "res" in parts else ""
    return parts.get("space", "func") + resolution


def _in_space(files: list[BidsFile], space: str | None, root: Path) -> list[BidsFile]:
    known = sorted({_place_of(f) for f in files})
    if not known:
        raise ParameterError(
            message(
                str(root),
                "preprocessed series (desc-preproc_bold, dtseries, func.gii)",
                "none",
                "name the derivatives of fMRIPrep; raw data open with read_bids",
            )
        )
    if space is None and len(known) == 1:
        return files
    fitting = [k for k in known if space in (k, k.partition(":")[0])]
    if space is not None and not fitting:
        check_choice("space", space, known)
    if len(fitting) != 1:
        raise ParameterError(
            message(
                f"{root}: space",
                "one of those that are there",
                fitting or known,
                f"pass space={(fitting or known)[0]!r} or another",
            )
        )
    return [f for f in files if _place_of(f) == fitting[0]]


def _read(
    group: Sequence[BidsFile],
    atlas: Any,
    labels: Any,
    confounds: Strategy,
    censor: float | None,
    t_r: float | None,
    raw: str | Path | None,
) -> xr.Dataset:
    first = group[0]
    if "hemi" in first.entities:
        parts = [_hemisphere(f, atlas, labels, t_r) for f in group]
        rec = parts[0] if len(parts) == 1 else _beside(parts, first.path)
    else:
        mask = None
        if atlas is None and first.extension in VOLUMES:
            mask = _brain_mask(first.path)
        rec = read_fmri(first.path, mask=mask, atlas=atlas, labels=labels, t_r=t_r)
    rec = rec.assign_attrs(space=_place_of(first))
    if raw is not None and (found := _events_of_raw(Path(raw), first)):
        rec = with_events(rec, read_events(found))
    if confounds is None and censor is None:
        return rec
    rec = denoise(rec, first.path, confounds, censor)
    return check(record(rec, "io.read_fmriprep", confounds=confounds, censor=censor))


def _events_of_raw(raw: Path, file: BidsFile) -> Path | None:
    """Events file of the run that a preprocessed series came from."""
    own = {k: v for k, v in file.entities.items() if k in RAW_ENTITIES}
    folders = [f"{k}-{own[k]}" for k in ("sub", "ses") if k in own]
    stem = "_".join(f"{k}-{v}" for k, v in own.items())
    image = raw.joinpath(*folders, "func", f"{stem}_bold.nii.gz")
    found = applicable(image, "events.tsv")
    return found[-1] if found else None


def _brain_mask(path: Path) -> Path | None:
    name = path.name.replace("desc-preproc_bold", "desc-brain_mask")
    mask = path.with_name(name)
    return mask if mask.is_file() else None


def _hemisphere(
    file: BidsFile, atlas: Any, labels: Any, t_r: float | None
) -> xr.Dataset:
    side = file.entities["hemi"]
    own = atlas
    if isinstance(atlas, Mapping):
        if side not in atlas:
            raise ParameterError(
                message("argument 'atlas'", "keys 'L' and 'R'", sorted(atlas))
            )
        own = atlas[side]
    rec = read_fmri(file.path, atlas=own, labels=labels, t_r=t_r)
    dim = rec["signal"].dims[1]
    names = [f"{side}_{n}" for n in rec[dim].values]
    return rec.assign_coords(
        {
            dim: (dim, np.array(names, dtype=object)),
            "hemi": (dim, np.full(len(names), side, dtype=object)),
        }
    )


def _beside(parts: Sequence[xr.Dataset], path: Path) -> xr.Dataset:
    dim = parts[0]["signal"].dims[1]
    if len({p.sizes["time"] for p in parts}) > 1:
        raise SchemaError(
            message(
                f"{path}: hemispheres",
                "as many volumes in both",
                [p.sizes["time"] for p in parts],
            )
        )
    return xr.concat(
        list(parts),
        dim=dim,
        data_vars="minimal",
        coords="minimal",
        compat="equals",
        combine_attrs="override",
    )
