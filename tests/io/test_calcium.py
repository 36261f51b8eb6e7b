"""Calcium traces: suite2p folders, arrays, and files that mean harm."""

import os
import pickle

import h5py
import numpy as np
import pytest

from neuroana.core.errors import (
    CorruptFileError,
    DataWarning,
    ParameterError,
    SchemaError,
    ShapeError,
)
from neuroana.io import read_calcium
from neuroana.io.unpickling import load_objects


class Harm:
    """Unpickling this makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def test_read_calcium_suite2p(suite2p):
    folder, traces = suite2p
    rec = read_calcium(folder)
    assert rec.attrs["sampling_rate"] == 15.0
    assert rec.neuron.values.tolist() == [0, 2, 3]
    wanted = (traces["F"] - np.float32(0.7) * traces["Fneu"])[[0, 2, 3]].T
    assert np.array_equal(rec.signal.values, wanted)
    assert rec.x_pixel.values.tolist() == [0.0, 4.0, 6.0]
    assert rec.iscell_probability.values.tolist() == [0.9, 0.8, 0.7]


def test_read_calcium_suite2p_options(suite2p):
    folder, traces = suite2p
    rec = read_calcium(folder.parent, trace="spks", cells_only=False)
    assert np.array_equal(rec.signal.values, traces["spks"].T)
    plain = read_calcium(folder, neuropil=0.0, cells_only=False)
    assert np.array_equal(plain.signal.values, traces["F"].T)


def test_read_calcium_suite2p_without_rate_asks(suite2p):
    folder, _ = suite2p
    (folder / "ops.npy").unlink()
    with pytest.raises(ParameterError, match="sampling_rate="):
        read_calcium(folder)
    assert read_calcium(folder, sampling_rate=7.0).attrs["sampling_rate"] == 7.0


def test_read_calcium_suite2p_mismatched_arrays(suite2p):
    folder, _ = suite2p
    np.save(folder / "Fneu.npy", np.ones((4, 60), dtype=np.float32))
    with pytest.raises(ShapeError, match="Fneu"):
        read_calcium(folder)


def test_read_calcium_suite2p_malicious_ops_runs_nothing(suite2p, tmp_path):
    folder, _ = suite2p
    target = tmp_path / "harmed"
    np.save(folder / "ops.npy", np.array({"fs": 15.0, "x": Harm(target)}, dtype=object))
    with pytest.raises(CorruptFileError, match=r"names posix\.mkdir|names nt\.mkdir"):
        read_calcium(folder)
    assert not target.exists()


@pytest.mark.parametrize(
    "name",
    ["builtins.eval", "builtins.getattr", "numpy.load", "numpy.f2py", "os.system"],
)
def test_load_objects_refuses_every_other_name(tmp_path, name):
    module, function = name.rsplit(".", 1)
    evil = f"c{module}\n{function}\n(S'1'\ntR.".encode()
    path = tmp_path / "stat.npy"
    np.save(path, np.array({}, dtype=object))
    blob = path.read_bytes()
    path.write_bytes(blob[: blob.index(b"\n") + 1] + evil)
    with pytest.raises(CorruptFileError, match="UnpicklingError"):
        load_objects(path)


def test_load_objects_refuses_a_bare_pickle(tmp_path):
    path = tmp_path / "ops.npy"
    path.write_bytes(pickle.dumps({"fs": 1.0}))
    with pytest.raises(CorruptFileError, match=r"ops\.npy"):
        load_objects(path)


def test_read_calcium_never_unpickles_array_files(tmp_path):
    target = tmp_path / "harmed"
    np.savez(tmp_path / "a.npz", x=np.array([Harm(target)], dtype=object))
    with pytest.raises(SchemaError, match="without running code"):
        read_calcium(tmp_path / "a.npz", sampling_rate=1.0)
    np.save(tmp_path / "a.npy", np.array([Harm(target)], dtype=object))
    with pytest.raises(CorruptFileError):
        read_calcium(tmp_path / "a.npy", sampling_rate=1.0)
    assert not target.exists()


def test_read_calcium_lists_several_arrays(tmp_path):
    from scipy.io import savemat

    path = tmp_path / "a.mat"
    savemat(path, {"NEURAL": np.ones((3, 20)), "SONG": np.ones((5, 80)), "fps": 3.0})
    with pytest.raises(ParameterError, match=r"NEURAL \(3, 20\), SONG \(5, 80\)"):
        read_calcium(path, sampling_rate=3.0)
    with pytest.raises(ParameterError, match="did you mean 'NEURAL'"):
        read_calcium(path, sampling_rate=3.0, variable="NEURALS")


def test_read_calcium_never_guesses_which_dim_is_time(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.random.default_rng(0).random((3, 5000)))
    with pytest.raises(ParameterError, match="which dim is time"):
        read_calcium(path, sampling_rate=3.0)


def test_read_calcium_names_tell_the_dim(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.random.default_rng(0).random((3, 50)))
    rec = read_calcium(path, sampling_rate=3.0, names=["AVA", "AVB", "RIM"])
    assert dict(rec.signal.sizes) == {"time": 50, "neuron": 3}


def test_read_calcium_names_written_twice(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.random.default_rng(0).random((3, 50)))
    with pytest.raises(SchemaError, match="AVA"):
        read_calcium(path, sampling_rate=3.0, names=["AVA", "AVA", "RIM"])
    labels = ["AVA", "AVA", "?"]
    rec = read_calcium(
        path, sampling_rate=3.0, dims=("neuron", "time"), coords={"label": labels}
    )
    assert rec.label.values.tolist() == labels


def test_read_calcium_hdf5_with_jittering_clock(tmp_path):
    rng = np.random.default_rng(0)
    times = 1e6 + np.cumsum(0.6 + rng.uniform(-0.07, 0.07, 200))
    with h5py.File(tmp_path / "worm.h5", "w") as file:
        file["gcamp/traces"] = rng.random((200, 4))
        file["timing/stamps"] = times
    rec = read_calcium(
        tmp_path / "worm.h5", variable="gcamp/traces", time="timing/stamps"
    )
    assert rec.attrs["irregular"] == 1
    assert np.allclose(rec.time.values, times - times[0])
    assert rec.attrs["time_offset"] == times[0]


def test_read_calcium_matlab_73_is_seen_as_in_matlab(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["dff"] = np.arange(12.0).reshape(4, 3)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    rec = read_calcium(path, sampling_rate=2.0, dims=("neuron", "time"))
    assert dict(rec.signal.sizes) == {"time": 4, "neuron": 3}
    assert rec.signal.values[0].tolist() == [0.0, 1.0, 2.0]


def test_read_calcium_constant_traces_are_named(tmp_path):
    values = np.random.default_rng(0).random((50, 3))
    values[:, 1] = 2.0
    np.save(tmp_path / "a.npy", values)
    with pytest.warns(DataWarning, match=r"1 constant \(1\)"):
        read_calcium(tmp_path / "a.npy", sampling_rate=2.0, dims=("time", "neuron"))


def test_read_calcium_folder_of_something_else(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ParameterError, match=r"a suite2p folder.*notes\.txt"):
        read_calcium(tmp_path)


def planes_of(folder, sizes, n_frames):
    rng = np.random.default_rng(3)
    for number, (size, length) in enumerate(zip(sizes, n_frames)):
        place = folder / f"plane{number}"
        place.mkdir(parents=True)
        for name in ("F", "Fneu", "spks"):
            np.save(place / f"{name}.npy", rng.random((size, length), np.float32))
        cells = np.column_stack([np.arange(size) % 2 == 0, np.full(size, 0.5)])
        np.save(place / "iscell.npy", cells)
        np.save(place / "ops.npy", {"fs": 7.5})
    return folder


def test_planes_are_joined_as_suite2p_combines_them(tmp_path):
    folder = planes_of(tmp_path / "suite2p", (3, 4), (50, 49))
    with pytest.warns(DataWarning, match="cut to the shortest"):
        rec = read_calcium(folder, trace="spks")
    assert rec.neuron.values.tolist() == [0, 2, 3, 5]
    assert rec.plane.values.tolist() == [0, 0, 1, 1]
    spikes = [np.load(folder / f"plane{i}/spks.npy")[::2, :49] for i in (0, 1)]
    np.testing.assert_array_equal(rec.signal.values, np.concatenate(spikes).T)


def test_combined_folder_is_taken_where_there_is_one(tmp_path):
    folder = planes_of(tmp_path / "suite2p", (3, 4), (50, 50))
    (folder / "plane1").rename(folder / "combined")
    assert read_calcium(folder, cells_only=False).sizes["neuron"] == 4


def test_trace_of_a_plain_array_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((5, 2)))
    with pytest.raises(ParameterError, match="variable="):
        read_calcium(tmp_path / "a.npy", trace="F", sampling_rate=2.0)
