"""Sizes held against headers."""

import numpy as np
import pytest

from neuroana.core.errors import CorruptFileError, DataWarning
from neuroana.io import read_eeg, read_fmri


def test_check_promise_truncated_edf_is_an_error(edf):
    blob = edf.read_bytes()
    edf.write_bytes(blob[:-1000])
    with pytest.raises(CorruptFileError, match="as the header promises"):
        read_eeg(edf)


def test_check_promise_truncated_edf_read_on_request(edf):
    blob = edf.read_bytes()
    whole = read_eeg(edf, preload=True)
    edf.write_bytes(blob[:-1000])
    with pytest.warns(DataWarning, match="as the header promises"):
        rec = read_eeg(edf, on_truncated="warn")
    n = rec.sizes["time"]
    assert rec.attrs["truncated"] == 1000
    assert n < whole.sizes["time"]
    assert np.array_equal(rec.signal.values, whole.signal.values[:n])


def test_check_promise_names_converted_line_ends(edf):
    edf.write_bytes(edf.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(CorruptFileError, match="line ends were converted"):
        read_eeg(edf)


def test_check_promise_longer_edf_is_an_error(edf):
    edf.write_bytes(edf.read_bytes() + b"\0" * 7)
    with pytest.raises(CorruptFileError, match="as the header promises"):
        read_eeg(edf)


@pytest.mark.parametrize(
    ("place", "text"),
    [(236, b"abc     "), (252, b"0   "), (184, b"17      "), (244, b"-1      ")],
)
def test_check_promise_broken_edf_header(edf, place, text):
    blob = bytearray(edf.read_bytes())
    blob[place : place + len(text)] = text
    edf.write_bytes(bytes(blob))
    with pytest.raises(CorruptFileError, match=str(edf)):
        read_eeg(edf)


def test_check_promise_truncated_nifti(nifti):
    path, _ = nifti("run.nii")
    blob = path.read_bytes()
    path.write_bytes(blob[:-100])
    with pytest.raises(CorruptFileError, match=r"run\.nii"):
        read_fmri(path)


def test_check_promise_truncated_gzipped_nifti(nifti):
    path, _ = nifti("run.nii.gz")
    blob = path.read_bytes()
    path.write_bytes(blob[: len(blob) // 2])
    with pytest.raises(CorruptFileError, match=r"run\.nii\.gz") as caught:
        read_fmri(path)
    assert caught.value.__cause__ is not None
