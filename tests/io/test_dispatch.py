"""The one door."""

import shutil

import numpy as np
import pytest

from neuroana.core.errors import CorruptFileError, ParameterError
from neuroana.core.provenance import history
from neuroana.core.recording import from_array
from neuroana.core.store import write_netcdf
from neuroana.io import dispatch, read, readers


def test_read_finds_the_reader(edf, nifti, suite2p):
    assert read(edf).attrs["modality"] == "eeg"
    assert read(nifti()[0]).attrs["modality"] == "fmri"
    assert read(suite2p[0]).attrs["modality"] == "calcium"


def test_read_names_intracranial_by_bids_suffix(edf):
    moved = edf.with_name("sub-01_task-rest_ieeg.edf")
    shutil.copy(edf, moved)
    assert read(moved).attrs["modality"] == "ieeg"


def test_read_own_netcdf_round_trip(tmp_path):
    rec = from_array(np.ones((4, 2)), "calcium", sampling_rate=2.0)
    path = write_netcdf(rec, tmp_path / "a.nc")
    assert read(path).identical(rec)


def test_read_own_netcdf_damaged(tmp_path):
    rec = from_array(np.ones((4, 2)), "calcium", sampling_rate=2.0)
    path = write_netcdf(rec, tmp_path / "a.nc")
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(bytes(blob))
    with pytest.raises(CorruptFileError):
        read(path)


def test_read_unknown_suffix_suggests(tmp_path):
    path = tmp_path / "a.edff"
    path.write_bytes(b"0       ")
    with pytest.raises(ParameterError, match=r"did you mean '\.edf'"):
        read(path)


def test_read_unknown_option_suggests(edf):
    with pytest.raises(ParameterError, match="did you mean 'montage'"):
        read(edf, montag="standard_1020")


def test_read_option_of_another_reader(edf):
    with pytest.raises(ParameterError, match="read_eeg does not have"):
        read(edf, bin_width=0.1)


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".csv", ".npy", ".h5", ".txt"])
def test_read_array_files_ask_for_the_modality(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    heads = {".npz": b"PK\3\4", ".mat": b"MATLAB", ".npy": b"\x93NUMPY"}
    path.write_bytes(heads.get(suffix, dispatch.HDF5_MAGIC) + b" 1,2\n")
    with pytest.raises(ParameterError, match="pass modality="):
        read(path)


def test_read_misspelt_modality(edf):
    with pytest.raises(ParameterError, match="Did you mean 'eeg'"):
        read(edf, modality="egg")


def test_read_content_against_suffix(edf):
    wrong = edf.with_suffix(".nii")
    shutil.copy(edf, wrong)
    with pytest.raises(CorruptFileError, match=r"one of \.edf"):
        read(wrong)


def test_read_missing_empty_and_folder(tmp_path):
    with pytest.raises(ParameterError, match="existing file"):
        read(tmp_path / "no.edf")
    with pytest.raises(ParameterError, match="a folder"):
        read(tmp_path)
    (tmp_path / "a.edf").touch()
    with pytest.raises(CorruptFileError, match="0 bytes"):
        read(tmp_path / "a.edf")


def test_read_third_party_reader(tmp_path, monkeypatch):
    class Entry:
        @staticmethod
        def load():
            def read_xyz(path, *, gain=1.0):
                return from_array(np.full((4, 1), gain), "calcium", sampling_rate=1.0)

            return read_xyz

    monkeypatch.setattr(dispatch, "_third_parties", lambda: {".xyz": Entry})
    (tmp_path / "a.xyz").write_text("anything")
    assert read(tmp_path / "a.xyz", gain=3.0).signal.values[0, 0] == 3.0
    with pytest.raises(ParameterError, match="did you mean 'gain'"):
        read(tmp_path / "a.xyz", gian=3.0)
    assert ".xyz" in readers()


def test_read_keeps_file_and_options_in_the_provenance(edf):
    rec = read(edf, montage="standard_1020", ch_types={"Cz": "misc"})
    (entry,) = history(rec)
    assert entry["step"] == "io.read_eeg"
    assert entry["parameters"] == {
        "file": edf.name,
        "montage": "standard_1020",
        "ch_types": {"Cz": "misc"},
    }


def test_read_own_netcdf_lazily(tmp_path):
    rec = from_array(np.ones((4, 2)), "calcium", sampling_rate=2.0)
    path = write_netcdf(rec, tmp_path / "a.nc")
    assert not read(path, lazy=True).signal.variable._in_memory


def test_read_points_to_the_reader_of_a_dataset(tmp_path):
    (tmp_path / "sub-01").mkdir()
    with pytest.raises(ParameterError, match="read_bids"):
        read(tmp_path)
