"""What a file's own header promises, held against the bytes that are there.

Libraries shorten or pad a damaged file without a word; these checks run before them.
Each returns the number of bytes missing, 0 for a whole file.
"""

import gzip
import math
import re
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuroana.core.checks import message
from neuroana.core.errors import CorruptFileError, DataWarning
from neuroana.io.files import reading, report_truncated, suffix_of
from neuroana.io.hdf5_probe import probe
from neuroana.io.mat5 import check_mat5, is_hdf5


BDF_MAGIC = b"\xffBIOSEMI"
EDF_MAGIC = b"0       "
FIFF_FILE_ID, FIFF_BLOCK_END, FIFF_NOP = 100, 105, 108
VHDR_MAGIC = re.compile(rb"^\xef?\xbb?\xbf?Brain ?Vision", re.IGNORECASE)


def check_promise(path: Path, on_truncated: str = "error") -> int:
    """Hold a recording's size against its header; return the bytes missing.

    Parameters
    ----------
    path : Path
        EDF, BDF, BrainVision, FIF or NIfTI (a gzipped one is read through, which
        verifies its checksum); others return 0.
    on_truncated : {'error', 'warn'}
        What to do when bytes are missing.

    Raises
    ------
    CorruptFileError
        If bytes are missing (unless `on_truncated` is ``"warn"``), if there are more
        than promised, if line ends were converted, or if the header is no header.
    """
    check = _CHECKS.get(suffix_of(path))
    return check(path, on_truncated) if check else 0


def _fail(path: Path, expected: str, got: object, fix: str = "fetch it again") -> None:
    raise CorruptFileError(message(str(path), expected, got, fix))


def _check_edf(path: Path, on_truncated: str) -> int:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(256)
        bdf = path.suffix.lower() == ".bdf"
        if head[:8] != (BDF_MAGIC if bdf else EDF_MAGIC):
            _fail(path, f"a{' BDF' if bdf else 'n EDF'} header", repr(head[:8]))
        n_signals = _number(path, head[252:256], "number of signals", 1)
        header = _number(path, head[184:192], "header length", 256)
        n_records = _number(path, head[236:244], "number of records", -1)
        _number(path, head[244:252], "record duration", 0, kind=float)
        if header != 256 * (n_signals + 1):
            _fail(path, f"a header of {256 * (n_signals + 1)} bytes", header)
        fields = file.read(header - 256)
    if len(fields) < header - 256:
        _fail(path, f"a header of {header} bytes", f"{len(fields) + 256} bytes")
    if not (head[8:] + fields).replace(b"\xb5", b"u").isascii():
        _fail(path, "a header of ASCII text", "other bytes in it")
    columns = [
        fields[216 * n_signals + 8 * i : 216 * n_signals + 8 * (i + 1)]
        for i in range(n_signals)
    ]
    samples = [_number(path, c, "samples in a record", 1) for c in columns]
    _check_edf_scales(path, fields, n_signals)
    names = [fields[16 * i : 16 * (i + 1)].strip() for i in range(n_signals)]
    counts = {n for n, k in zip(samples, names) if not k.endswith(b"Annotations")}
    if len(counts) > 1:
        warnings.warn(
            message(
                path.name,
                "one sampling rate",
                f"{sorted(counts)} samples in a record; the slower are interpolated",
                "read the fast and the slow channels apart if that matters",
            ),
            DataWarning,
            stacklevel=5,
        )
    if n_records < 0:
        return 0
    expected = header + n_records * sum(samples) * (3 if bdf else 2)
    if size > expected:
        blob = path.read_bytes()
        if size - expected == blob.count(b"\r\n"):
            _fail(
                path,
                f"{expected} bytes",
                f"{size}, one more for each of {size - expected} CR LF pairs: "
                "line ends were converted as if it were text",
                "replace every CR LF by LF in binary mode, or fetch it in binary mode",
            )
        _fail(path, f"{expected} bytes, as the header promises", f"{size} bytes")
    if size < expected:
        report_truncated(
            path, on_truncated, promised=f"{expected} bytes", found=f"{size} bytes"
        )
    return expected - size


def _check_edf_scales(path: Path, fields: bytes, n_signals: int) -> None:
    def column(first: int, width: int) -> list[bytes]:
        start = first * n_signals
        return [
            fields[start + width * i : start + width * (i + 1)]
            for i in range(n_signals)
        ]

    bounds = zip(column(104, 8), column(112, 8), column(120, 8), column(128, 8))
    for low, high, bottom, top in bounds:
        limits = [
            _number(path, text, "range of a signal", kind=float)
            for text in (low, high, bottom, top)
        ]
        if limits[0] == limits[1] or limits[2] >= limits[3]:
            _fail(path, "a range of values for each signal", limits)


def _number(
    path: Path,
    text: bytes,
    what: str,
    minimum: float = float("-inf"),
    *,
    kind: Callable = int,
):
    try:
        value = kind(text.decode("ascii").strip())
    except ValueError as error:
        raise CorruptFileError(
            message(
                str(path), f"a number as {what}", repr(text), "fetch the file again"
            )
        ) from error
    if not minimum <= value < float("inf"):
        _fail(path, f"{what} of at least {minimum}", value)
    return value


def _vhdr_fields(path: Path) -> dict[str, str]:
    blob = path.read_bytes()
    if not VHDR_MAGIC.match(blob[:32]):
        _fail(path, "a BrainVision header", repr(blob[:16]))
    text = blob.decode("utf-8", errors="replace")
    fields = dict(re.findall(r"^(\w+)=([^\r\n]*)", text, flags=re.MULTILINE))
    n_channels = _number(
        path, fields.get("NumberOfChannels", "").encode(), "NumberOfChannels", 1
    )
    listed = len(re.findall(r"^Ch\d+=[^,\r\n]*,", text, flags=re.MULTILINE))
    if listed < n_channels:
        _fail(path, f"{n_channels} channels, as NumberOfChannels says", listed)
    return fields


def _check_brainvision(path: Path, on_truncated: str) -> int:
    fields = _vhdr_fields(path)
    name = fields.get("DataFile", "").replace("$b", path.stem)
    data = path.parent / name
    if not name or "\0" in name or not data.is_file():
        _fail(
            path,
            f"its data file {name!r} beside it",
            "no such file",
            "put the .eeg, .vhdr and .vmrk of one recording together",
        )
    width = {"INT_16": 2, "UINT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}.get(
        fields.get("BinaryFormat", "").upper()
    )
    if width is None:
        return 0
    frame = width * int(fields["NumberOfChannels"])
    size = data.stat().st_size
    points = fields.get("DataPoints", "").strip()
    promised = int(points) * frame if points.isdigit() else 0
    missing = promised - size if size < promised else -size % frame
    if size == 0:
        _fail(data, "samples", "an empty file (0 bytes)")
    if promised and size > promised:
        _fail(data, f"{promised} bytes, as DataPoints promises", f"{size} bytes")
    if missing:
        report_truncated(
            data,
            on_truncated,
            promised=f"{size + missing} bytes (whole samples of {frame} bytes)",
            found=f"{size} bytes",
        )
    return missing


def _check_fif(path: Path, on_truncated: str) -> int:
    size = path.stat().st_size
    position, end = 0, 0
    with path.open("rb") as file:
        while position < size:
            file.seek(position)
            head = file.read(16)
            if len(head) < 16:
                break
            kind, _, length, follow = struct.unpack(">iiii", head)
            if position == 0 and kind != FIFF_FILE_ID:
                _fail(path, "a FIF file", f"first tag {kind}")
            end = position + 16 + length
            if length < 0 or (follow not in (0, -1) and follow <= position):
                _fail(path, "a chain of FIF tags", f"a broken one at byte {position}")
            if end > size:
                break
            if follow == -1:
                return 0
            position = follow if follow > 0 else end
    missing = max(16, end - size)
    report_truncated(
        path,
        on_truncated,
        promised=f"{size + missing} bytes or more",
        found=f"{size} bytes",
    )
    return missing


def _check_nifti(path: Path, on_truncated: str) -> int:
    import nibabel

    with reading(path, "a NIfTI image"):
        image: Any = nibabel.load(path)
        proxy = image.dataobj
        expected = int(proxy.offset) + proxy.dtype.itemsize * math.prod(
            [int(n) for n in image.shape]
        )
    size = _gunzipped(path) if path.suffix == ".gz" else path.stat().st_size
    if size > expected:
        _fail(path, f"{expected} bytes, as the header promises", f"{size} bytes")
    if size < expected:
        report_truncated(
            path, "error", promised=f"{expected} bytes", found=f"{size} bytes"
        )
    return 0


def _gunzipped(path: Path) -> int:
    """Count the bytes inside a gzip file; reading to its end verifies its checksum."""
    size = 0
    with reading(path, "a whole gzip file"), gzip.open(path) as file:
        while block := file.read(1 << 20):
            size += len(block)
    return size


def _check_set(path: Path, on_truncated: str) -> int:
    check_mat5(path)
    if is_hdf5(path):
        probe(path)
    return 0


_CHECKS = {
    ".set": _check_set,
    ".edf": _check_edf,
    ".bdf": _check_edf,
    ".vhdr": _check_brainvision,
    ".fif": _check_fif,
    ".nii": _check_nifti,
    ".nii.gz": _check_nifti,
}
