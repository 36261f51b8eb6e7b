"""What is written comes back."""

import h5py
import mne
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.io import savemat

from neuroana.core.recording import events_of, from_array
from neuroana.core.store import write_netcdf
from neuroana.io import from_mne, read, read_calcium, to_mne


VALUES = arrays(
    np.float64,
    st.tuples(st.integers(4, 20), st.integers(2, 3)),
    elements=st.floats(-1e6, 1e6).map(lambda v: round(v, 6)),
)
SHARED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15
)


def write_npz(path, values):
    np.savez(path.with_suffix(".npz"), x=values)
    return path.with_suffix(".npz")


def write_npy(path, values):
    np.save(path.with_suffix(".npy"), values)
    return path.with_suffix(".npy")


def write_mat(path, values):
    savemat(path.with_suffix(".mat"), {"x": values}, do_compression=True)
    return path.with_suffix(".mat")


def write_hdf5(path, values):
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["x"] = values
    return path.with_suffix(".h5")


def write_csv(path, values):
    names = ",".join(f"n{i}" for i in range(values.shape[1]))
    np.savetxt(
        path.with_suffix(".csv"), values, delimiter=",", header=names, comments=""
    )
    return path.with_suffix(".csv")


def write_tsv(path, values):
    np.savetxt(path.with_suffix(".tsv"), values, delimiter="\t", fmt="%.17g")
    return path.with_suffix(".tsv")


WRITERS = [write_npz, write_npy, write_mat, write_hdf5, write_csv, write_tsv]


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.DataWarning")
@pytest.mark.parametrize("write", WRITERS)
@SHARED
@given(values=VALUES)
def test_array_file_round_trip(write, tmp_path, values):
    path = write(tmp_path / "a", values)
    rec = read_calcium(path, sampling_rate=10.0, dims=("time", "neuron"))
    assert np.array_equal(rec.signal.values, values)


@SHARED
@given(
    values=arrays(np.float64, (30, 2), elements=st.floats(-1e-3, 1e-3)),
    onsets=st.lists(st.integers(0, 29), max_size=4, unique=True),
    bad=st.lists(st.integers(0, 29), max_size=6, unique=True),
    start=st.integers(0, 500),
)
def test_mne_round_trip(values, onsets, bad, start):
    good = np.ones(30, dtype=bool)
    good[bad] = False
    info = mne.create_info(["a", "b"], 100.0, "eeg")
    raw = mne.io.RawArray(values.T, info, first_samp=start, verbose="ERROR")
    raw.set_annotations(
        mne.Annotations(
            [o / 100 for o in onsets] + [b / 100 for b in bad],
            [0.0] * len(onsets) + [0.01] * len(bad),
            ["go"] * len(onsets) + ["BAD"] * len(bad),
        )
    )
    rec = from_mne(raw)
    back = from_mne(to_mne(rec))
    assert back.identical(rec)
    found = rec.good.values if "good" in rec.coords else np.ones(30, dtype=bool)
    assert np.array_equal(found, good)
    assert np.allclose(events_of(rec)["onset"], np.sort(onsets) / 100, atol=1e-9)


@SHARED
@given(values=VALUES)
def test_own_file_round_trip(tmp_path, values):
    rec = from_array(values, "calcium", sampling_rate=3.0, attrs={"subject": "é"})
    assert read(write_netcdf(rec, tmp_path / "a.nc")).identical(rec)
