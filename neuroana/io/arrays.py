"""Named arrays out of files that hold arrays: MAT 5 and 7.3, NPZ, NPY, HDF5, text.

Cells and structs of MATLAB files are walked into: ``tc[0,1]`` is a cell (counted from
0), ``EEG.data`` a field.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroana.core.checks import did_you_mean, message
from neuroana.core.errors import CorruptFileError, ParameterError
from neuroana.io.files import check_file, open_text, reading, suffix_of
from neuroana.io.hdf5_probe import probe
from neuroana.io.mat5 import check_mat5, is_hdf5


_PLAIN = (".csv", ".tsv", ".txt", ".1d", ".dat")
TEXT = (*_PLAIN, *(f"{s}.gz" for s in _PLAIN))
HDF5 = (".h5", ".hdf5", ".hdf")
ARRAY_SUFFIXES = (".mat", ".npz", ".npy", *HDF5, *TEXT)
DEPTH = 6


@dataclass
class ArrayFile:
    """The arrays of one file, by name.

    Attributes
    ----------
    path : Path
        The file.
    shapes : dict of str to tuple
        Shape of each array that holds numbers or text.
    loaded : dict of str to ndarray
        Those that are in memory.
    columns : list of str or None
        Column names of a text table that has a header.
    """

    path: Path
    shapes: dict[str, tuple[int, ...]]
    loaded: dict[str, np.ndarray] = field(default_factory=dict)
    columns: list[str] | None = None

    def __contains__(self, name: str) -> bool:
        return name in self.shapes

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.shapes:
            raise ParameterError(
                message(
                    f"{self.path}: variable {name!r}",
                    f"one of {self.listing()}",
                    "no such array",
                )
                + f" {did_you_mean(name, self.shapes)}".rstrip()
            )
        if name not in self.loaded:
            with reading(self.path, "an array file"):
                self.loaded[name] = _load(self.path, name)
        return self.loaded[name]

    def listing(self, limit: int = 20) -> str:
        """Names with shapes, for messages."""
        rows = [f"{n} {s}" for n, s in self.shapes.items()]
        more = f" and {len(rows) - limit} more" if len(rows) > limit else ""
        return ", ".join(rows[:limit]) + more


def open_arrays(path: str | Path) -> ArrayFile:
    """Find the arrays of a file; those of NPZ and HDF5 are loaded when asked for.

    Raises
    ------
    CorruptFileError
        If the file is damaged, or needs a pickle to be opened.
    ParameterError
        If its suffix is not one of an array file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder, "a.npz"), x=np.ones((2, 3)), rate=5.0)
    ...     open_arrays(Path(folder, "a.npz")).listing()
    'x (2, 3), rate ()'
    """
    path = check_file(path)
    suffix = suffix_of(path)
    if suffix in TEXT:
        return _open_table(path)
    if suffix not in ARRAY_SUFFIXES:
        fix = "read it with na.read or na.io.read_nwb" if suffix == ".nwb" else ""
        wanted = f"one of {', '.join(ARRAY_SUFFIXES)}"
        raise ParameterError(message(str(path), wanted, repr(suffix), fix))
    with reading(path, f"an array file ({suffix})"):
        if suffix == ".npy":
            array = np.load(path, allow_pickle=False)
            return ArrayFile(path, {"array": array.shape}, {"array": array})
        if suffix == ".npz":
            return ArrayFile(path, dict(_npz_shapes(path)))
        if suffix == ".mat":
            check_mat5(path)
        if suffix in HDF5 or is_hdf5(path):
            return ArrayFile(path, dict(_hdf5_shapes(path)))
        loaded = dict(_mat5_arrays(path))
        return ArrayFile(path, {k: v.shape for k, v in loaded.items()}, loaded)


def _npz_shapes(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    with np.load(path, allow_pickle=False) as content:
        for name in content.files:
            with content.zip.open(f"{name}.npy") as member:
                major, minor = np.lib.format.read_magic(member)
                read = (
                    np.lib.format.read_array_header_1_0
                    if (major, minor) == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = read(member)
            if not dtype.hasobject:
                yield name, shape


def _hdf5_shapes(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    import h5py

    matlab = path.suffix.lower() == ".mat"
    found: list[tuple[str, tuple[int, ...]]] = []

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.dtype.kind in "fiubSO":
            if name.startswith("#refs#") or node.shape is None:
                return
            found.append((name, node.shape[::-1] if matlab else node.shape))

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    yield from found


def _mat5_arrays(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    import scipy.io

    content = scipy.io.loadmat(path, struct_as_record=True, squeeze_me=False)
    for name, value in content.items():
        if not name.startswith("__"):
            yield from _leaves(name, value, 0)


def _leaves(name: str, value: Any, depth: int) -> Iterator[tuple[str, np.ndarray]]:
    if hasattr(value, "toarray"):
        value = value.toarray()
    if not isinstance(value, np.ndarray) or depth > DEPTH:
        return
    if value.dtype.names:
        for index in np.ndindex(value.shape):
            label = f"{name}[{index[-1]}]" if value.size > 1 else name
            for part in value.dtype.names:
                yield from _leaves(f"{label}.{part}", value[index][part], depth + 1)
    elif value.dtype.kind == "O":
        for index in np.ndindex(value.shape):
            label = f"{name}[{','.join(map(str, index))}]"
            yield from _leaves(label, value[index], depth + 1)
    elif value.dtype.kind in "fiubU" and value.size:
        yield name, value


def _load(path: Path, name: str) -> np.ndarray:
    if suffix_of(path) == ".npz":
        with np.load(path, allow_pickle=False) as content:
            return content[name]
    import h5py

    with h5py.File(path, "r") as file:
        if file[name].dtype.hasobject:
            probe(path)
        array = file[name][()]
    array = np.asarray(array)
    if array.dtype.kind in "SO":
        decode = np.vectorize(
            lambda v: v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v),
            otypes=[object],
        )
        array = decode(array) if array.size else array
    return array.T if path.suffix.lower() == ".mat" else array


def _open_table(path: Path) -> ArrayFile:
    with reading(path, "a text table"):
        separator, header, skip = _layout(path)
        _check_rows(path, separator, skip)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)
            table = pd.read_csv(
                path,
                sep=separator,
                header=None,
                skiprows=skip + (header is not None),
                names=header,
                na_values=["n/a", "NaN"],
                encoding="utf-8-sig",
                comment=None,
                index_col=False,
            )
    text = [str(c) for c in table if table[c].dtype.kind not in "fiub"]
    numbers = table.drop(columns=[c for c in table if str(c) in text])
    if numbers.empty:
        raise CorruptFileError(
            message(str(path), "columns of numbers", f"text in {text[:5]}")
        )
    names = [str(c) for c in numbers.columns] if header else None
    loaded = {"table": numbers.to_numpy(np.float64)}
    if header:
        loaded |= {str(c): table[c].to_numpy() for c in table}
    return ArrayFile(path, {k: v.shape for k, v in loaded.items()}, loaded, names)


def _layout(path: Path) -> tuple[str, list[str] | None, int]:
    with open_text(path) as file:
        lines = [line.rstrip("\n\r") for _, line in zip(range(100), file)]
    skip = 0
    rows = [line for line in lines if line.strip()]
    if not rows:
        raise CorruptFileError(message(str(path), "rows of numbers", "blank lines"))
    body = next((r for r in rows if not r.lstrip().startswith("#")), rows[-1])
    separator = next((s for s in "\t,;" if s in body), r"\s+")
    width = len(_split(body, separator))
    for line in lines:
        cells = _split(line, separator)
        if line.strip() and len(cells) == width:
            break
        if line.strip() and not line.lstrip().startswith("#"):
            break
        skip += 1
    cells = [c.strip().strip('"').lstrip("#").strip() for c in cells]
    if all(_is_number(c) for c in cells) and not line.lstrip().startswith("#"):
        return separator, None, skip
    if len(cells) > width:
        cells = cells[:width]
    return separator, cells, skip


def _split(line: str, separator: str) -> list[str]:
    return line.split() if separator == r"\s+" else line.split(separator)


def _is_number(text: str) -> bool:
    if text.lower() in ("", "n/a", "nan"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_rows(path: Path, separator: str, skip: int) -> None:
    width = None
    with open_text(path) as file:
        for number, line in enumerate(file):
            if number < skip or not line.strip():
                continue
            if separator == r"\s+":
                cells = len(line.split())
            else:
                cells = line.count(separator) + 1
            width = width or cells
            if cells != width and '"' not in line:
                raise CorruptFileError(
                    message(
                        f"{path}: line {number + 1}",
                        f"{width} columns, as in the lines before",
                        cells,
                        "fetch the file again; it is cut off or damaged there",
                    )
                )
