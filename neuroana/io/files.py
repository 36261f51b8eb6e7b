"""What every reader does with a file before and while others open it."""

import functools
import gzip
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ParamSpec

import xarray as xr

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import (
    CorruptFileError,
    DataWarning,
    MissingDependencyError,
    NeuroanaError,
    ParameterError,
)
from neuroana.core.provenance import record


log = logging.getLogger(__name__)
ON_TRUNCATED = ("error", "warn")
LONGEST = 20
P = ParamSpec("P")
_WEB_PAGE = (b"<!doctype html", b"<html")


def check_file(path: str | Path) -> Path:
    """Return the path of a file that exists, holds something and is no web page.

    Raises
    ------
    ParameterError
        If it does not exist or is a folder.
    CorruptFileError
        If it is empty, or a web page that was saved in the file's place.

    Examples
    --------
    >>> check_file("no-such-file.edf")
    Traceback (most recent call last):
    ...
    neuroana.core.errors.ParameterError: no-such-file.edf: expected an existing ...
    """
    path = Path(path)
    if path.is_dir():
        raise ParameterError(
            message(str(path), "a file", "a folder", "name one file inside it")
        )
    if path.is_symlink() and not path.exists():
        raise ParameterError(
            message(
                str(path),
                "a file with its content",
                "a link to content that is not here",
                "fetch it, with 'datalad get' or 'git annex get'",
            )
        )
    if not path.exists():
        raise ParameterError(
            message(str(path), "an existing file", "nothing there", "correct the path")
        )
    if path.stat().st_size == 0:
        raise CorruptFileError(
            message(str(path), "data", "an empty file (0 bytes)", "fetch it again")
        )
    with path.open("rb") as file:
        head = file.read(64).lstrip().lower()
    if head.startswith(_WEB_PAGE):
        raise CorruptFileError(
            message(
                str(path),
                "a recording",
                "a web page saved under its name",
                "download the file itself",
            )
        )
    return path


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn what a library raises about a damaged file into ``CorruptFileError``.

    The library's warnings are given on as :class:`DataWarning` with the file's name.

    Parameters
    ----------
    path : Path
        The file, for the message.
    kind : str
        What it should be, for example ``"an EDF file"``.

    Examples
    --------
    >>> with reading(Path("a.edf"), "an EDF file"):
    ...     int("x")
    Traceback (most recent call last):
    ...
    neuroana.core.errors.CorruptFileError: a.edf: expected an EDF file, got ...
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except NeuroanaError:
            raise
        except ImportError as error:
            raise MissingDependencyError(
                message(str(path), f"a package that reads {kind}", error, "install it")
            ) from error
        except Exception as error:
            raise CorruptFileError(
                message(
                    str(path),
                    kind,
                    f"{type(error).__name__} ({str(error)[:200] or 'no text'})",
                    "fetch the file again, or export it anew from its source",
                )
            ) from error
    for warning in caught:
        about_code = issubclass(
            warning.category, DeprecationWarning | FutureWarning | ResourceWarning
        )
        if about_code:
            log.debug("%s: %s", path.name, warning.message)
        else:
            warnings.warn(f"{path.name}: {warning.message}", DataWarning, stacklevel=4)


def report_truncated(path: Path, on_truncated: str, *, promised: Any, found: Any):
    """Raise, or warn if the caller chose so, because a file ends too early.

    Examples
    --------
    >>> report_truncated(Path("a.edf"), "error", promised="9 bytes", found="8 bytes")
    Traceback (most recent call last):
    ...
    neuroana.core.errors.CorruptFileError: a.edf: expected 9 bytes, as the header ...
    """
    check_choice("on_truncated", on_truncated, ON_TRUNCATED)
    text = message(
        str(path),
        f"{promised}, as the header promises",
        found,
        "fetch the file again; on_truncated='warn' reads what there is",
    )
    if on_truncated == "error":
        raise CorruptFileError(text)
    warnings.warn(text, DataWarning, stacklevel=3)


def reader(function: Callable[P, xr.Dataset]) -> Callable[P, xr.Dataset]:
    """Let a reader name its file in every error and in the provenance."""

    @functools.wraps(function)
    def wrapper(*path: P.args, **options: P.kwargs) -> xr.Dataset:
        try:
            ds = function(*path, **options)
        except NeuroanaError as error:
            file = Path(str(options.get("path") or path[0]))
            if file.name in str(error):
                raise
            raise type(error)(f"{file}: {error}") from error
        given = {name: _brief(value) for name, value in options.items()}
        given["file"] = Path(str(given.pop("path", None) or path[0])).name
        return record(ds, f"io.{function.__name__}", **given)

    return wrapper


def _brief(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple | dict) and len(value) <= LONGEST:
        return value
    return type(value).__name__


def open_text(path: Path) -> IO[str]:
    """Open a text file, gzipped or not, whatever mark stands at its start.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.tsv")
    ...     _ = path.write_bytes(b"\\xef\\xbb\\xbfname")
    ...     with open_text(path) as file:
    ...         file.read()
    'name'
    """
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def suffix_of(path: str | Path) -> str:
    """Suffix in lower case, with ``.gz`` kept together with what stands before it.

    Examples
    --------
    >>> suffix_of("sub-01_bold.nii.gz"), suffix_of("a.EDF")
    ('.nii.gz', '.edf')
    """
    suffixes = [s.lower() for s in Path(path).suffixes]
    if not suffixes:
        return ""
    return "".join(suffixes[-2:]) if suffixes[-1] == ".gz" else suffixes[-1]
