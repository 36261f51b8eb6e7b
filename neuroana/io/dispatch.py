"""One door for all files: the reader is found by suffix and content."""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import xarray as xr

from neuroana.core.checks import check_choice, did_you_mean, message
from neuroana.core.errors import CorruptFileError, ParameterError
from neuroana.core.recording import MODALITIES, check
from neuroana.io.arrays import ARRAY_SUFFIXES
from neuroana.io.calcium import read_calcium
from neuroana.io.eeg import read_eeg
from neuroana.io.files import check_file, suffix_of
from neuroana.io.fmri import NIFTI, read_fmri
from neuroana.io.ieeg import read_ieeg
from neuroana.io.nwb import read_nwb
from neuroana.io.phy import is_phy
from neuroana.io.raws import KINDS
from neuroana.io.sidecars import channel_table
from neuroana.io.spikes import read_spikes
from neuroana.io.suite2p import is_suite2p


ENTRY_POINTS = "neuroana.readers"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MAGIC = {
    ".edf": (b"0       ",),
    ".bdf": (b"\xffBIOSEMI",),
    ".vhdr": (b"Brain", b"\xef\xbb\xbfBrain"),
    ".fif": (b"\x00\x00\x00\x64",),
    ".set": (b"MATLAB", HDF5_MAGIC),
    ".mat": (b"MATLAB", HDF5_MAGIC),
    ".nii": (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0", b"\0\0\x02\x1c"),
    ".gii": (b"<?xml",),
    ".nc": (HDF5_MAGIC, b"CDF"),
    ".nwb": (HDF5_MAGIC,),
    ".h5": (HDF5_MAGIC,),
    ".hdf5": (HDF5_MAGIC,),
    ".npz": (b"PK",),
    ".npy": (b"\x93NUMPY",),
    ".gz": (b"\x1f\x8b",),
}


def read_recording(path: str | Path, *, lazy: bool = False) -> xr.Dataset:
    """Read a recording from NetCDF; its checksum is verified where it has one.

    Parameters
    ----------
    path : path
        The file.
    lazy : bool, default=False
        Leave the samples in the file until they are used.

    Raises
    ------
    CorruptFileError, SchemaError
        If the file is damaged, or holds no recording.
    """
    from neuroana.core.store import read_netcdf

    return check(read_netcdf(path, lazy=lazy))


def reader_of(modality: str) -> Callable[..., xr.Dataset]:
    """Find the reader of a modality.

    Examples
    --------
    >>> reader_of("fmri").__name__
    'read_fmri'
    """
    by_modality: dict[str, Callable[..., xr.Dataset]] = {
        "eeg": read_eeg,
        "ieeg": read_ieeg,
        "fmri": read_fmri,
        "calcium": read_calcium,
        "spikes": read_spikes,
    }
    return by_modality[modality]


@lru_cache(maxsize=1)
def _third_parties() -> dict[str, Any]:
    return {f".{e.name.lstrip('.')}": e for e in entry_points(group=ENTRY_POINTS)}


def readers() -> dict[str, Callable[..., xr.Dataset] | None]:
    """Suffixes that can be read, each with its reader.

    Array files have None: their modality must be named. Further suffixes come from
    packages with an entry point in the group ``neuroana.readers``, whose name is the
    suffix and whose object is a function of a path and keywords.

    Examples
    --------
    >>> readers()[".edf"].__name__
    'read_eeg'
    """
    known: dict[str, Callable[..., xr.Dataset] | None] = {".nc": read_recording}
    known[".nwb"] = read_nwb
    known |= dict.fromkeys(KINDS, read_eeg)
    known |= dict.fromkeys(NIFTI, read_fmri)
    known |= {".gii": read_fmri, ".1d": read_fmri, ".1d.gz": read_fmri}
    known |= {s: None for s in ARRAY_SUFFIXES if s not in known}
    for suffix, entry in _third_parties().items():
        known[suffix] = entry.load()
    return known


def read(
    path: str | Path, *, modality: str | None = None, **options: Any
) -> xr.Dataset:
    """Read a recording from any file that has a reader.

    Parameters
    ----------
    path : path
        The file, or a folder of suite2p or phy.
    modality : {'eeg', 'ieeg', 'fmri', 'calcium', 'spikes'}, optional
        Needed where the file does not tell: ``.mat``, ``.npz``, ``.npy``, ``.h5``,
        ``.csv``, ``.tsv``, ``.txt``.
    **options
        Those of the reader: :func:`read_eeg`, :func:`read_ieeg`, :func:`read_fmri`,
        :func:`read_calcium`, :func:`read_spikes`.

    Returns
    -------
    Dataset
        Recording.

    Raises
    ------
    ParameterError
        If there is no reader, the modality is needed, or an option is unknown.
    CorruptFileError
        If the content is not what the name says.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "rest.csv")
    ...     _ = path.write_text("Fz,Cz\\n" + "1.0,-2.0\\n-3.0,1.0\\n" * 50)
    ...     rec = read(path, modality="eeg", sampling_rate=100, units="uV")
    >>> rec.channel.values.tolist()
    ['Fz', 'Cz']
    """
    if modality is not None:
        check_choice("modality", modality, MODALITIES)
    path = Path(path)
    if path.is_dir() and is_suite2p(path):
        reader: Callable[..., xr.Dataset] = read_calcium
    elif path.is_dir() and is_phy(path):
        reader = read_spikes
    elif path.is_dir() and any(path.glob("sub-*")):
        raise ParameterError(
            message(
                str(path),
                "one recording",
                "a dataset of subjects",
                "open it with na.io.read_bids, or na.io.read_fmriprep",
            )
        )
    else:
        path = check_file(path)
        reader = _find(path, modality)
    if reader is read_nwb and modality is not None:
        options = {"modality": modality, **options}
    check_options(path, reader, options)
    return reader(path, **options)


def _find(path: Path, modality: str | None) -> Callable[..., xr.Dataset]:
    suffix, known = suffix_of(path), readers()
    if suffix not in known and path.suffix.lower() in known:
        suffix = path.suffix.lower()
    if suffix not in known:
        raise ParameterError(
            message(
                str(path),
                f"one of the suffixes {', '.join(known)}",
                repr(suffix) if suffix else "no suffix",
                "rename the file, or export it to one of these formats",
            )
            + f" {did_you_mean(suffix, known)}".rstrip()
        )
    _check_magic(path, suffix)
    own = known[suffix]
    if own is not None and (suffix in (".nc", ".nwb") or suffix in _third_parties()):
        return own
    if suffix in KINDS:
        return reader_of(modality or _electrical_modality(path))
    if modality is None:
        modality = "fmri" if own is read_fmri else _bids_modality(path)
    if modality is None:
        raise ParameterError(
            message(
                f"{path}",
                "to know what was recorded",
                f"a {suffix} file, which does not tell",
                f"pass modality=, one of {', '.join(MODALITIES)}",
            )
        )
    return reader_of(modality)


def _check_magic(path: Path, suffix: str) -> None:
    wanted = MAGIC.get(".gz" if suffix.endswith(".gz") else suffix)
    with path.open("rb") as file:
        head = file.read(512)
    if wanted is None or head.startswith(wanted):
        return
    kinds = {s for s, marks in MAGIC.items() if head.startswith(marks)}
    got = f"one of {', '.join(sorted(kinds))}" if kinds else f"the bytes {head[:8]!r}"
    raise CorruptFileError(
        message(
            str(path),
            f"the content of a {suffix} file",
            got,
            "give the file the suffix of its content" if kinds else "fetch it again",
        )
    )


def _electrical_modality(path: Path) -> str:
    stem = path.name.split(".")[0]
    if stem.endswith("_ieeg") or path.parent.name == "ieeg":
        return "ieeg"
    table = channel_table(path)
    if table is not None and "type" in table:
        kinds = set(table["type"].astype(str).str.lower())
        if kinds & {"ecog", "seeg", "dbs"} and "eeg" not in kinds:
            return "ieeg"
    return "eeg"


def _bids_modality(path: Path) -> str | None:
    ending = path.name.split(".")[0].rpartition("_")[2]
    return {"eeg": "eeg", "ieeg": "ieeg", "timeseries": "fmri"}.get(ending)


def check_options(
    path: Path, reader: Callable[..., xr.Dataset], options: Mapping[str, Any]
) -> None:
    """Raise, with the nearest known name, if a reader does not have an option.

    Examples
    --------
    >>> check_options(Path("a.nii"), read_fmri, {"t_r": 2.0})
    """
    parameters = inspect.signature(reader).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ParameterError(
                message(
                    f"{path.name}: option {name!r}",
                    f"one of {', '.join(known) or 'none'}",
                    f"an option that {reader.__name__} does not have",
                )
                + f" {hint}".rstrip()
            )
