"""What was done to a result, by which versions, and whom to cite.

A recording or result carries ``attrs["provenance"]``: JSON text, a list with one
entry a step (``step``, ``parameters``, ``versions``), oldest first. There is no
clock time in it: the same run twice gives the same file.
"""

import hashlib
import json
import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import xarray as xr

from neuroana import __version__


CITATIONS = {
    "mne": """@article{gramfort2013mne,
  title = {MEG and EEG data analysis with MNE-Python},
  author = {Gramfort, Alexandre and others},
  journal = {Frontiers in Neuroscience},
  volume = {7},
  pages = {267},
  year = {2013},
  doi = {10.3389/fnins.2013.00267}
}""",
    "xarray": """@article{hoyer2017xarray,
  title = {xarray: N-D labeled arrays and datasets in Python},
  author = {Hoyer, Stephan and Hamman, Joe},
  journal = {Journal of Open Research Software},
  volume = {5},
  year = {2017},
  doi = {10.5334/jors.148}
}""",
    "scipy": """@article{virtanen2020scipy,
  title = {SciPy 1.0: fundamental algorithms for scientific computing in Python},
  author = {Virtanen, Pauli and others},
  journal = {Nature Methods},
  volume = {17},
  pages = {261--272},
  year = {2020},
  doi = {10.1038/s41592-019-0686-2}
}""",
    "snakemake": """@article{molder2021snakemake,
  title = {Sustainable data analysis with Snakemake},
  author = {M{\\"o}lder, Felix and others},
  journal = {F1000Research},
  volume = {10},
  pages = {33},
  year = {2021},
  doi = {10.12688/f1000research.29032.2}
}""",
}


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of neuroana, Python and the packages that shape numbers.

    Examples
    --------
    >>> sorted(versions())[:2]
    ['h5netcdf', 'mne']
    """
    found = {"neuroana": __version__, "python": platform.python_version()}
    for package in (
        "numpy",
        "scipy",
        "xarray",
        "pandas",
        "scikit-learn",
        "mne",
        "nilearn",
        "torch",
        "numba",
        "h5netcdf",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def history(ds: xr.Dataset | xr.DataArray) -> list[dict[str, Any]]:
    """Return the list of steps that made a recording or result.

    Examples
    --------
    >>> history(xr.Dataset())
    []
    """
    return json.loads(ds.attrs.get("provenance", "[]"))


def record(ds, step: str, /, **parameters):
    """Return `ds` with one more entry in its provenance.

    Parameters
    ----------
    ds : Dataset or DataArray
        Left as it is; the copy shares the data.
    step : str
        What was done, for example ``"signal.bandpass"``.
    **parameters : object
        Its parameters; what JSON does not know is written as text.

    Returns
    -------
    Dataset or DataArray

    Examples
    --------
    >>> history(record(xr.Dataset(), "signal.bandpass", low=8.0))[0]["parameters"]
    {'low': 8.0}
    """
    entry = {
        "step": step,
        "parameters": {k: plain(v) for k, v in parameters.items()},
        "versions": {"neuroana": __version__},
    }
    steps = [*history(ds), entry]
    return ds.assign_attrs(provenance=json.dumps(steps, ensure_ascii=False))


def plain(value: Any) -> Any:
    """Turn a value into one that JSON can hold.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"a": np.arange(2), "b": (1.5, None)})
    {'a': [0, 1], 'b': [1.5, None]}
    """
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | range):
        return [plain(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file in hexadecimal digits, read now."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1024)
def _sha256(path: str, size: int, modified: int) -> str:
    return sha256_of(path)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, remembered by path, size and modification time.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.txt")
    ...     _ = path.write_text("a")
    ...     file_sha256(path)[:8]
    'ca978112'
    """
    path = Path(path).resolve()
    state = path.stat()
    return _sha256(str(path), state.st_size, state.st_mtime_ns)


def bibtex(*keys: str) -> str:
    """BibTeX entries of the packages named, each once.

    Examples
    --------
    >>> bibtex("scipy").splitlines()[0]
    '@article{virtanen2020scipy,'
    """
    return "\n\n".join(CITATIONS[k] for k in dict.fromkeys(keys) if k in CITATIONS)


def methods_text(ds: xr.Dataset | xr.DataArray) -> str:
    """One paragraph, ready for a methods section, from the provenance of `ds`.

    Examples
    --------
    >>> methods_text(record(xr.Dataset(), "signal.bandpass", low=8.0, high=12.0))
    'Processing steps, in order: signal.bandpass (low=8.0, high=12.0). ...
    """
    steps = []
    for entry in history(ds):
        given = {k: v for k, v in entry["parameters"].items() if v is not None}
        inner = ", ".join(f"{k}={v}" for k, v in given.items())
        steps.append(f"{entry['step']} ({inner})" if inner else entry["step"])
    names = versions()
    used = ", ".join(
        f"{k} {names[k]}" for k in ("neuroana", "numpy", "scipy", "xarray")
    )
    done = "; ".join(steps) if steps else "none"
    return f"Processing steps, in order: {done}. Software: {used}."
