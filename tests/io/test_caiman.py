"""Result files of CaImAn, as its save() lays them out."""

import h5py
import numpy as np
import pytest
from scipy.sparse import csc_matrix

from neuroana.core.errors import CorruptFileError, ParameterError
from neuroana.core.recording import events_of
from neuroana.io import read, read_calcium


RNG = np.random.default_rng(0)
C, YRA = RNG.random((4, 30)), RNG.normal(size=(4, 30))


@pytest.fixture
def caiman(tmp_path):
    path = tmp_path / "result.hdf5"
    footprints = np.zeros((5 * 6, 4))  # height 5, width 6, columns first
    for number, (y, x) in enumerate([(0, 0), (1, 2), (4, 5), (2, 3)]):
        footprints[y + 5 * x, number] = 2.0
    sparse = csc_matrix(footprints)
    with h5py.File(path, "w") as file:
        file["estimates/C"], file["estimates/YrA"] = C, YRA
        file["estimates/S"] = C > 0.5
        file["estimates/F_dff"] = "NoneType"
        file["estimates/idx_components"] = np.array([3, 0])
        for part in ("data", "indices", "indptr", "shape"):
            file[f"estimates/A/{part}"] = getattr(sparse, part)
        file["params/data/fr"] = 20.0
        file["dims"] = [5, 6]
    return path


def test_accepted_components_keep_their_numbers(caiman):
    rec = read(caiman, modality="calcium")
    assert rec.neuron.values.tolist() == [0, 3]
    np.testing.assert_array_equal(rec.signal.values, C[[0, 3]].T)
    assert rec.attrs["sampling_rate"] == 20.0
    assert rec.y_pixel.values.tolist() == [0.0, 2.0]
    assert rec.x_pixel.values.tolist() == [0.0, 3.0]


def test_raw_trace_is_the_sum_with_the_residual(caiman):
    rec = read_calcium(caiman, trace="raw", cells_only=False, sampling_rate=10.0)
    np.testing.assert_array_equal(rec.signal.values, (C + YRA).T)
    assert rec.iscell.values.tolist() == [True, False, False, True]
    assert rec.attrs["sampling_rate"] == 10.0


def test_traces_that_are_not_there_are_named(caiman):
    with pytest.raises(ParameterError, match="F_dff"):
        read_calcium(caiman, trace="F_dff")
    with pytest.raises(ParameterError, match="'C', 'F_dff', 'S', 'raw'"):
        read_calcium(caiman, trace="F")
    with pytest.raises(ParameterError, match="those of suite2p or CaImAn"):
        read_calcium(caiman, names=["a"] * 4)


def test_an_array_of_the_file_can_be_named_all_the_same(caiman):
    options = {"variable": "estimates/YrA", "dims": ("neuron", "time")}
    rec = read_calcium(caiman, sampling_rate=5.0, **options)
    np.testing.assert_array_equal(rec.signal.values, YRA.T)


def test_components_beyond_the_file_are_refused(caiman):
    with h5py.File(caiman, "r+") as file:
        del file["estimates/idx_components"]
        file["estimates/idx_components"] = np.array([1, 9])
    with pytest.raises(CorruptFileError, match="below 4"):
        read_calcium(caiman)


def test_events_come_along(caiman, tmp_path):
    table = tmp_path / "events.tsv"
    table.write_text("onset\ttrial_type\n0.5\tlick\n")
    rec = read_calcium(caiman, events=table)
    assert events_of(rec)["trial_type"].tolist() == ["lick"]
