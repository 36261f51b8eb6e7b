"""Damaged files: an error that names the file, or the same data; never a crash.

Each reader meets a whole file, its truncations, and copies with three bytes of the
header changed. What comes back different without a word is counted and held below a
number: bytes that may legally change a value cannot be told without a checksum.
"""

import os
import time
import warnings

import numpy as np
import pytest

from neuroana.core.errors import NeuroanaError
from neuroana.core.recording import from_array
from neuroana.core.store import write_netcdf
from neuroana.io import read


N_DAMAGED = int(os.environ.get("NEUROANA_FUZZ", "60"))
SECONDS = 5.0
pytestmark = [pytest.mark.slow] if N_DAMAGED > 100 else []


def make_edf(folder, rng):
    import edfio

    signals = [
        edfio.EdfSignal(rng.normal(0, 20, 600), 100.0, label=n, physical_dimension="uV")
        for n in ("Fz", "Cz", "Pz")
    ]
    edfio.Edf(signals, annotations=[edfio.EdfAnnotation(1.0, None, "go")]).write(
        folder / "a.edf"
    )
    return folder / "a.edf", {}, 256 * 5


def make_bdf(folder, rng):
    import edfio

    signals = [
        edfio.BdfSignal(rng.normal(0, 20, 600), 100.0, label=n, physical_dimension="uV")
        for n in ("Fz", "Cz")
    ]
    edfio.Bdf(signals).write(folder / "a.bdf")
    return folder / "a.bdf", {}, 256 * 3


def make_brainvision(folder, rng):
    header = (
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\n"
        "Codepage=UTF-8\nDataFile=a.eeg\nDataFormat=BINARY\n"
        "DataOrientation=MULTIPLEXED\nNumberOfChannels=2\nDataPoints=500\n"
        "SamplingInterval=10000\n[Binary Infos]\nBinaryFormat=INT_16\n"
        "[Channel Infos]\nCh1=Fz,,0.1,µV\nCh2=Cz,,0.1,µV\n"
    )
    (folder / "a.vhdr").write_text(header, encoding="utf-8")
    rng.integers(-500, 500, 1000).astype("<i2").tofile(folder / "a.eeg")
    return folder / "a.vhdr", {}, len(header)


def make_fif(folder, rng):
    import mne

    info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    raw = mne.io.RawArray(rng.normal(0, 2e-5, (2, 500)), info, verbose="ERROR")
    raw.save(folder / "a_raw.fif", verbose="ERROR")
    blob = (folder / "a_raw.fif").read_bytes()
    return folder / "a_raw.fif", {}, blob.index(b"\0\0\x01\x2c\0\0\0\x04")


def make_nifti(folder, rng, name="a.nii"):
    import nibabel

    values = rng.normal(100, 5, (4, 4, 2, 10)).astype(np.float32)
    image = nibabel.Nifti1Image(values, np.diag([3, 3, 4, 1.0]))
    image.header.set_zooms((3, 3, 4, 2.0))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, folder / name)
    return folder / name, {}, 352


def make_gzipped_nifti(folder, rng):
    path, options, _ = make_nifti(folder, rng, "a.nii.gz")
    return path, options, path.stat().st_size


def make_npz(folder, rng):
    np.savez(folder / "a.npz", x=rng.random((40, 3)), sfreq=2.0, names=list("abc"))
    options = {"modality": "calcium"}
    return folder / "a.npz", options, (folder / "a.npz").stat().st_size


def make_npy(folder, rng):
    np.save(folder / "a.npy", rng.random((40, 3)))
    options = {"modality": "calcium", "sampling_rate": 2.0, "dims": ("time", "neuron")}
    return folder / "a.npy", options, 128


def make_mat(folder, rng):
    from scipy.io import savemat

    savemat(folder / "a.mat", {"x": rng.random((40, 3)), "fs": 2.0})
    options = {"modality": "calcium", "dims": ("time", "neuron")}
    return folder / "a.mat", options, 184


def make_hdf5(folder, rng):
    import h5py

    with h5py.File(folder / "a.h5", "w") as file:
        file["x"] = rng.random((40, 3))
    options = {
        "modality": "calcium",
        "sampling_rate": 2.0,
        "variable": "x",
        "dims": ("time", "neuron"),
    }
    return folder / "a.h5", options, 2048


def make_csv(folder, rng):
    lines = [
        "a,b,c",
        *(",".join(f"{v:.4f}" for v in row) for row in rng.random((40, 3))),
    ]
    (folder / "a.csv").write_text("\n".join(lines) + "\n")
    return folder / "a.csv", {"modality": "fmri", "t_r": 2.0}, 6


def make_spikes(folder, rng):
    rows = [f"{u} {t:.4f}" for u, t in zip(rng.integers(0, 5, 80), rng.random(80) * 9)]
    (folder / "a.txt").write_text("\n".join(rows) + "\n")
    return folder / "a.txt", {"modality": "spikes", "bin_width": 0.5}, 30


def make_suite2p(folder, rng):
    for name in ("F", "Fneu"):
        np.save(folder / f"{name}.npy", rng.random((3, 50)).astype(np.float32))
    np.save(folder / "iscell.npy", np.ones((3, 2)))
    np.save(folder / "ops.npy", {"fs": 15.0})
    return folder / "ops.npy", {}, (folder / "ops.npy").stat().st_size


def make_netcdf(folder, rng):
    rec = from_array(rng.random((40, 3)), "calcium", sampling_rate=2.0)
    path = write_netcdf(rec, folder / "a.nc")
    return path, {}, path.stat().st_size


# Changes of the header, of every 60 tried, that may pass without a word. A changed
# scale or repetition time is still a number; a file with a checksum lets none pass.
SILENT = {
    make_edf: 2,
    make_bdf: 2,
    make_brainvision: 2,
    make_fif: 5,
    make_nifti: 6,
    make_gzipped_nifti: 0,
    make_npz: 0,
    make_npy: 0,
    make_mat: 2,
    make_hdf5: 2,
    make_csv: 2,
    make_spikes: 8,
    make_suite2p: 2,
    make_netcdf: 0,
}


def outcome(path, options, whole):
    """Tell what reading a file ends in: error, same, told or silent."""
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            rec = read(path, **options)
            values = rec["signal"].to_numpy()
        except NeuroanaError as error:
            return "error" if path.stem in str(error) else f"nameless: {error}"
        finally:
            spent = time.perf_counter() - started
            assert spent < SECONDS, f"{spent:.1f} s"
    same = (
        values.shape == whole["signal"].shape
        and np.array_equal(values, whole["signal"].to_numpy(), equal_nan=True)
        and np.array_equal(rec["time"], whole["time"])
        and rec["signal"].attrs == whole["signal"].attrs
    )
    return "same" if same else "told" if caught else "silent"


def target_of(path):
    """What ``read`` is given: the folder where the file is one part of it."""
    return path.parent if path.name == "ops.npy" else path


@pytest.mark.parametrize("make", SILENT, ids=lambda m: m.__name__[5:])
def test_truncated_file_is_an_error(make, tmp_path):
    rng = np.random.default_rng(0)
    path, options, _ = make(tmp_path, rng)
    whole = read(target_of(path), **options).load()
    blob = path.read_bytes()
    found = []
    for length in sorted(rng.integers(1, len(blob), 25)):
        path.write_bytes(blob[:length])
        found.append(outcome(target_of(path), options, whole))
    assert not [kind for kind in found if kind.startswith("nameless")]
    silent = found.count("silent")
    text = path.suffix in (".csv", ".txt", ".vhdr")
    assert silent <= (25 if text else 0)


@pytest.mark.parametrize("make", SILENT, ids=lambda m: m.__name__[5:])
def test_damaged_header_is_told(make, tmp_path, record_property):
    rng = np.random.default_rng(1)
    path, options, length = make(tmp_path, rng)
    whole = read(target_of(path), **options).load()
    blob = path.read_bytes()
    found = []
    for _ in range(N_DAMAGED):
        damaged = bytearray(blob)
        for place in rng.integers(0, min(length, len(blob)), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        found.append(outcome(target_of(path), options, whole))
    counts = {kind: found.count(kind) for kind in ("error", "same", "told", "silent")}
    record_property("outcomes", str(counts))
    assert not [kind for kind in found if kind.startswith("nameless")]
    assert counts["silent"] * 60 <= SILENT[make] * N_DAMAGED
