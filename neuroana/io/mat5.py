"""The frame of a MATLAB 5 file, checked before SciPy opens it.

SciPy's compiled reader trusts sizes and type codes; a damaged one can end the whole
process. Here every element of the file is walked once: its type is known, its size
stays inside its parent, and numbers are as many as the dims say.
(MAT-File Format, MathWorks, "Level 5 MAT-Files".)
"""

import math
import struct
import zlib
from pathlib import Path

from neuroana.core.checks import message
from neuroana.core.errors import CorruptFileError


WIDTHS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
TEXTS = {1: 1, 2: 1, 3: 2, 4: 2, 16: 1, 17: 2, 18: 4}
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, OBJECT, CHAR, SPARSE = 1, 2, 3, 4, 5
NUMERIC = range(6, 16)
OPAQUE = (16, 17, 18)
HEADER = 128
DEPTH = 32


def is_hdf5(path: Path) -> bool:
    """Tell whether a MATLAB file is one of version 7.3: HDF5 behind its own header.

    Examples
    --------
    >>> import tempfile, scipy.io
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.mat")
    ...     scipy.io.savemat(path, {"x": [1.0, 2.0]})
    ...     is_hdf5(path)
    False
    """
    with path.open("rb") as file:
        head = file.read(520)
    return head.startswith(b"MATLAB 7.3") or head[512:] == b"\x89HDF\r\n\x1a\n"


class _Broken(Exception):
    """An element does not fit its parent or its own description."""


def check_mat5(path: Path) -> None:
    """Walk a MATLAB 5 file; files of other kinds (7.3, 4) are left alone.

    Cost: one pass; compressed variables are unpacked, which verifies their checksum.

    Raises
    ------
    CorruptFileError
        If an element is cut off, or does not fit its description.

    Examples
    --------
    >>> import tempfile, scipy.io
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.mat")
    ...     scipy.io.savemat(path, {"x": [1.0, 2.0]})
    ...     check_mat5(path)
    """
    if is_hdf5(path):
        return
    blob = path.read_bytes()
    if not blob.startswith(b"MATLAB"):
        return
    order = {b"IM": "<", b"MI": ">"}.get(blob[126:128])
    try:
        if order is None or len(blob) < HEADER + 8:
            raise _Broken("no version mark in its header")
        if struct.unpack(order + "H", blob[124:126])[0] != 0x0100:
            raise _Broken("an unknown version")
        position = HEADER
        while position < len(blob):
            kind, body, position = _element(blob, position, len(blob), order)
            if kind == COMPRESSED:
                inside = zlib.decompress(body)
                kind, body, _ = _element(inside, 0, len(inside), order)
            if kind != MATRIX:
                raise _Broken(f"an element of type {kind} where a variable should be")
            _check_matrix(body, order, 0)
    except (_Broken, struct.error, zlib.error) as error:
        raise CorruptFileError(
            message(
                str(path),
                "a whole MATLAB 5 file",
                str(error),
                "fetch the file again, or save it anew from MATLAB",
            )
        ) from error


def _element(
    blob: bytes | memoryview, position: int, end: int, order: str
) -> tuple[int, memoryview, int]:
    """Type, content and end of the element at `position`."""
    if position + 8 > end:
        raise _Broken(f"the file ends inside the tag at byte {position}")
    first, size = struct.unpack_from(order + "II", blob, position)
    if first >> 16:
        size, kind = first >> 16, first & 0xFFFF
        if size > 4:
            raise _Broken(f"a short element of {size} bytes")
        start, follow = position + 4, position + 8
    else:
        kind, start = first, position + 8
        follow = start + size
        follow += 0 if kind == COMPRESSED else -size % 8
    if start + size > end:
        raise _Broken(
            f"{start + size - end} bytes missing of the element at {position}"
        )
    return kind, memoryview(blob)[start : start + size], min(follow, end)


def _check_matrix(body: memoryview, order: str, depth: int) -> None:
    if not len(body):
        return
    if depth > DEPTH:
        raise _Broken("cells nested too deeply")
    end, position = len(body), 0

    def take(
        known: dict[int, int] | tuple[int, ...], what: str
    ) -> tuple[int, memoryview]:
        nonlocal position
        kind, content, position = _element(body, position, end, order)
        if kind not in known:
            raise _Broken(f"type {kind} as {what}")
        return kind, content

    _, flags = take((6,), "flags")
    if len(flags) != 8:
        raise _Broken("flags of a wrong size")
    word = struct.unpack(order + "I", flags[:4])[0]
    form, is_complex = word & 0xFF, bool(word & 0x0800)
    if form in OPAQUE:
        return
    _, content = take((5, 6), "dims")
    if len(content) < 8 or len(content) % 4:
        raise _Broken("fewer than two dims")
    dims = struct.unpack(f"{order}{len(content) // 4}i", content)
    if min(dims) < 0:
        raise _Broken(f"dims {dims}")
    count = math.prod(dims)
    take((1, 2, 16), "a name")
    if form in NUMERIC:
        for _ in range(1 + is_complex):
            kind, content = take(WIDTHS, "numbers")
            if len(content) != count * WIDTHS[kind]:
                raise _Broken(f"{len(content)} bytes for dims {dims}")
    elif form == CHAR:
        kind, content = take(TEXTS, "text")
        if len(content) > 4 * count or len(content) % TEXTS[kind]:
            raise _Broken(f"{len(content)} bytes of text for dims {dims}")
    elif form == SPARSE:
        parts = [take(WIDTHS, "a sparse part") for _ in range(3 + is_complex)]
        _check_sparse(parts, dims, order)
    elif form in (CELL, STRUCT, OBJECT):
        n_parts = count
        if form == OBJECT:
            take((1, 2), "a class name")
        if form != CELL:
            length, names = take((5,), "a length")[1], take((1, 2), "names")[1]
            n_parts *= _n_fields(length, names, order)
        for _ in range(n_parts):
            _check_matrix(take((MATRIX,), "a cell or field")[1], order, depth + 1)
    else:
        raise _Broken(f"an unknown class {form}")


def _n_fields(length: memoryview, names: memoryview, order: str) -> int:
    if len(length) != 4:
        raise _Broken("field names of unknown length")
    width = struct.unpack(order + "i", length)[0]
    if width <= 0 or len(names) % width:
        raise _Broken("field names of a wrong size")
    return len(names) // width


def _whole(content: memoryview, order: str) -> tuple[int, ...]:
    return struct.unpack(f"{order}{len(content) // 4}i", content)


def _check_sparse(
    parts: list[tuple[int, memoryview]], dims: tuple[int, ...], order: str
) -> None:
    (rows, row_bytes), (starts, start_bytes), *_ = parts
    if rows not in (5, 6) or starts not in (5, 6):
        raise _Broken("sparse indices that are no whole numbers")
    begin = _whole(start_bytes, order)
    index = _whole(row_bytes, order)
    if len(begin) != dims[1] + 1 or list(begin) != sorted(begin):
        raise _Broken("sparse columns that do not fit the dims")
    if begin[-1] > len(index) or begin[0] != 0:
        raise _Broken("sparse rows that do not fit the columns")
    if len(index) and not (min(index) >= 0 and max(index) < dims[0]):
        raise _Broken("sparse rows outside the dims")
