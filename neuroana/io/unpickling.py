"""NumPy's object files without what makes pickles dangerous.

A pickle may name any function and have it called. This unpickler knows only the names
that NumPy arrays and scalars are rebuilt with; whatever else a file names is refused
before anything runs.
"""

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import CorruptFileError
from neuroana.io.files import check_file, reading


_CORES = ("numpy.core", "numpy._core")
ALLOWED = {
    *(("numpy", name) for name in ("dtype", "ndarray")),
    *((f"{core}.multiarray", "scalar") for core in _CORES),
    *((f"{core}.numeric", "_frombuffer") for core in _CORES),
    ("_codecs", "encode"),
}
RECONSTRUCT = {(f"{core}.multiarray", "_reconstruct") for core in _CORES}


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in RECONSTRUCT:
            return _empty_array
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    """Stand in for NumPy's reconstructor, which makes an array of any size."""
    if kind is not np.ndarray or shape != (0,):
        raise pickle.UnpicklingError(f"it asks for {kind.__name__} of shape {shape}")
    return np.ndarray((0,), dtype=code if isinstance(code, str) else code.decode())


def _check_memo(blob: bytes) -> None:
    """Refuse memo places beyond the file's length: the memo is allocated to fit."""
    for opcode, argument, _ in pickletools.genops(blob):
        if "PUT" in opcode.name and argument is not None and argument > len(blob):
            raise pickle.UnpicklingError(f"it remembers {argument} objects")


def load_objects(path: str | Path) -> np.ndarray:
    """Load an ``.npy`` file of Python objects made of arrays, numbers, text, lists.

    Raises
    ------
    CorruptFileError
        If it is damaged, or names anything but NumPy's own array functions; nothing
        of it has run then.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "ops.npy")
    ...     np.save(path, {"fs": 30.0})
    ...     load_objects(path).item()["fs"]
    30.0
    """
    path = check_file(path)
    with path.open("rb") as file, reading(path, "a NumPy file"):
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
        rest = file.read()
        if not dtype.hasobject:
            return np.load(path, allow_pickle=False)
    try:
        _check_memo(rest)
        content = _NumpyUnpickler(io.BytesIO(rest)).load()
    except Exception as error:
        raise CorruptFileError(
            message(
                str(path),
                "an object file of arrays, numbers, text and lists",
                f"{type(error).__name__}: {error}",
                "export it anew with suite2p; never open a file of unknown origin "
                "with allow_pickle",
            )
        ) from error
    if not isinstance(content, np.ndarray) or content.shape != shape:
        raise CorruptFileError(message(str(path), f"an array of {shape}", content))
    return content
