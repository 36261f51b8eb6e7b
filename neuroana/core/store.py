"""Files that are either whole or not there: atomic writes, checksums, no pickle.

A file is written under a temporary name in its own folder, synced to disk and then
renamed, so that a run killed at any moment leaves the old file or the new one.
NetCDF files end in a trailer with the SHA-256 of all bytes before it. HDF5 ignores
bytes behind its own end, so every NetCDF program reads such a file; we verify it
before HDF5 sees a byte, since a damaged HDF5 file can make that library loop. Each
chunk has a Fletcher-32 checksum too, which guards samples that are read lazily.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import CorruptFileError, SchemaError
from neuroana.core.provenance import plain


VERIFY_UP_TO = 512 * 2**20
_TRAILER = b"\nneuroana sha256 "
_TRAILER_LENGTH = len(_TRAILER) + 64


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path; what was written there takes the real name at the end.

    Parameters
    ----------
    path : str or Path
        Where the file will be. Its folder is made if needed.

    Yields
    ------
    Path
        ``.NAME.XXXXXXXX.part`` in the same folder. It is synced and renamed when
        the block ends well, and removed when it raises.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder, "a.txt")) as part:
    ...         _ = part.write_text("whole")
    ...     Path(folder, "a.txt").read_text()
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_text(text: str, path: str | Path) -> Path:
    """Write text atomically, in UTF-8 with plain line ends.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text("a", Path(folder, "a.txt")).name
    'a.txt'
    """
    with atomic_path(path) as part:
        part.write_bytes(text.encode("utf-8"))
    return Path(path)


def write_json(value: Any, path: str | Path) -> Path:
    """Write a value as JSON atomically; arrays become lists.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_json(write_json({"a": (1, 2)}, Path(folder, "a.json")))
    {'a': [1, 2]}
    """
    return write_text(json.dumps(plain(value), indent=2, ensure_ascii=False), path)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    CorruptFileError
        If it is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptFileError(
            message(f"{path}", "JSON text", error, "write the file again")
        ) from error


def write_netcdf(
    data: xr.Dataset | xr.DataTree,
    path: str | Path,
    *,
    encoding: dict[str, dict[str, Any]] | None = None,
) -> Path:
    """Write a Dataset or DataTree to one NetCDF-4 file, atomically.

    Parameters
    ----------
    data : Dataset or DataTree
        What to write; attributes may be text, numbers and lists.
    path : str or Path
        Target; an old file there stays until the new one is whole.
    encoding : dict, optional
        xarray's encoding by variable (Datasets only), over the default of
        shuffled, compressed and checksummed chunks.

    Returns
    -------
    Path
        `path`.

    Notes
    -----
    The same data give the same bytes. Cost: one pass to write, one to digest.

    Examples
    --------
    >>> import tempfile
    >>> ds = xr.Dataset({"a": ("x", [1, 2, 3])})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_netcdf(write_netcdf(ds, Path(folder, "a.nc"))).identical(ds)
    True
    """
    with atomic_path(path) as part:
        if isinstance(data, xr.DataTree):
            nodes = {n.path: _encoding(n.to_dataset(), None) for n in data.subtree}
            data.to_netcdf(part, engine="h5netcdf", encoding=nodes)
        else:
            data.to_netcdf(part, engine="h5netcdf", encoding=_encoding(data, encoding))
        seal(part)
    return Path(path)


def seal(path: Path) -> None:
    """Append the checksum that :func:`verify` compares; HDF5 does not see it.

    A program that opens the file for writing takes it off again.
    """
    digest = _sha256(path, path.stat().st_size)
    with open(path, "ab") as file:
        file.write(_TRAILER + digest.encode())


def _encoding(
    ds: xr.Dataset, given: dict[str, dict[str, Any]] | None
) -> dict[str, dict[str, Any]]:
    compressed = {"zlib": True, "complevel": 4, "shuffle": True, "fletcher32": True}
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in ds.variables.items():
        plain_array = variable.ndim and variable.dtype.kind in "fiub" and variable.size
        encoding[str(name)] = dict(compressed) if plain_array else {}
        if variable.dtype.kind == "f":
            encoding[str(name)].setdefault("_FillValue", None)
    for name, own in (given or {}).items():
        encoding[name] = {**encoding[name], **own}
    return {name: e for name, e in encoding.items() if e}


def _sha256(path: Path, n_bytes: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while n_bytes and (block := file.read(min(n_bytes, 2**20))):
            digest.update(block)
            n_bytes -= len(block)
    return digest.hexdigest()


def verify(path: str | Path) -> bool:
    """Check a NetCDF file against the checksum at its end.

    Returns
    -------
    bool
        True if it was checked, False if the file carries no checksum (another
        program wrote or changed it).

    Raises
    ------
    CorruptFileError
        If its bytes are not those that were written.
    """
    path = Path(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - _TRAILER_LENGTH))
        trailer = file.read()
    if not trailer.startswith(_TRAILER):
        return False
    stored = trailer[len(_TRAILER) :].decode("ascii", "replace")
    found = _sha256(path, size - _TRAILER_LENGTH)
    if found != stored:
        raise CorruptFileError(
            message(
                f"{path}",
                f"contents with SHA-256 {stored[:12]}...",
                f"{found[:12]}...",
                "copy the file again, or run the step that made it again",
            )
        )
    return True


def _unreadable(path: str | Path, error: Exception) -> CorruptFileError:
    return CorruptFileError(
        message(
            f"{path}",
            "a whole NetCDF-4 file",
            f"{type(error).__name__}: {error}",
            "copy the file again, or run the step that made it again",
        )
    )


def read_netcdf(
    path: str | Path, *, lazy: bool = False, check: bool | None = None
) -> xr.Dataset:
    """Read a NetCDF file that :func:`write_netcdf` or another program wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    lazy : bool, default=False
        Leave the samples in the file until they are used.
    check : bool, optional
        Verify the checksum; by default files up to 512 MB are verified.

    Returns
    -------
    Dataset

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CorruptFileError
        If it is damaged or truncated.
    """
    return _open(path, xr.open_dataset, lazy, check)


def read_tree(path: str | Path, *, check: bool | None = None) -> xr.DataTree:
    """Read a NetCDF file with groups into memory as a DataTree, verified.

    Raises
    ------
    FileNotFoundError, CorruptFileError
        As :func:`read_netcdf`.
    """
    return _open(path, xr.open_datatree, False, check)


def _open(path: str | Path, opener: Any, lazy: bool, check: bool | None) -> Any:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            message(f"{path}", "a file", "nothing", "check the path")
        )
    if check is None:
        check = path.stat().st_size <= VERIFY_UP_TO
    if check:
        verify(path)
    try:
        data = opener(path, engine="h5netcdf")
        if not lazy:
            data.load()
            data.close()
    except Exception as error:
        raise _unreadable(path, error) from error
    schema = str(data.attrs.get("neuroana_schema", "1"))
    if schema.isdigit() and int(schema) > 1:
        raise SchemaError(
            message(
                f"{path}: attrs['neuroana_schema']",
                "schema 1",
                schema,
                "read it with the newer neuroana that wrote it",
            )
        )
    return data
