"""A small whole file of every kind: path, what ``read`` is given, options, header.

``target`` is the file that is damaged; ``read`` is what the reader is given where the
two differ. The first ``header`` bytes of the target are the ones that name shapes and
scales.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Sample:
    target: Path
    header: int
    options: dict[str, Any] = field(default_factory=dict)
    read: Path | None = None

    @property
    def given(self) -> Path:
        return self.read or self.target


CALCIUM = {"modality": "calcium", "sampling_rate": 2.0, "dims": ["time", "neuron"]}


def edf(folder, rng):
    import edfio

    signals = [
        edfio.EdfSignal(rng.normal(0, 20, 600), 100.0, label=n, physical_dimension="uV")
        for n in ("Fz", "Cz", "Pz")
    ]
    notes = [edfio.EdfAnnotation(1.0, None, "go")]
    edfio.Edf(signals, annotations=notes).write(folder / "a.edf")
    return Sample(folder / "a.edf", 256 * 5)


def bdf(folder, rng):
    import edfio

    signals = [
        edfio.BdfSignal(rng.normal(0, 20, 600), 100.0, label=n, physical_dimension="uV")
        for n in ("Fz", "Cz")
    ]
    edfio.Bdf(signals).write(folder / "a.bdf")
    return Sample(folder / "a.bdf", 256 * 3)


def brainvision(folder, rng):
    header = (
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\n"
        "Codepage=UTF-8\nDataFile=a.eeg\nDataFormat=BINARY\n"
        "DataOrientation=MULTIPLEXED\nNumberOfChannels=2\nDataPoints=500\n"
        "SamplingInterval=10000\n[Binary Infos]\nBinaryFormat=INT_16\n"
        "[Channel Infos]\nCh1=Fz,,0.1,µV\nCh2=Cz,,0.1,µV\n"
    )
    (folder / "a.vhdr").write_text(header, encoding="utf-8")
    rng.integers(-500, 500, 1000).astype("<i2").tofile(folder / "a.eeg")
    return Sample(folder / "a.vhdr", len(header))


def eeglab(folder, rng):
    from scipy.io import savemat

    content = {
        "data": "a.fdt",
        "datfile": "a.fdt",
        "nbchan": 2.0,
        "pnts": 500.0,
        "trials": 1.0,
        "srate": 100.0,
        "xmin": 0.0,
        "xmax": 4.99,
        "setname": "a",
        "chanlocs": np.array([("Fz",), ("Cz",)], dtype=[("labels", object)]),
        "event": np.array([], dtype=[("latency", object), ("type", object)]),
        "chaninfo": {"nosedir": "+X"},
        "ref": "common",
        "icawinv": [],
        "icasphere": [],
        "icaweights": [],
        "icaact": [],
        "epoch": [],
        "history": "",
        "etc": {},
    }
    savemat(folder / "a.set", {"EEG": content}, appendmat=False)
    (rng.normal(size=(500, 2)) * 20).astype("<f4").tofile(folder / "a.fdt")
    size = (folder / "a.set").stat().st_size
    return Sample(folder / "a.set", size)


def fif(folder, rng):
    import mne

    info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    raw = mne.io.RawArray(rng.normal(0, 2e-5, (2, 500)), info, verbose="ERROR")
    raw.save(folder / "a_raw.fif", verbose="ERROR")
    blob = (folder / "a_raw.fif").read_bytes()
    return Sample(folder / "a_raw.fif", blob.index(b"\0\0\x01\x2c\0\0\0\x04"))


def fif_epochs(folder, rng):
    import mne

    info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    epochs = mne.EpochsArray(rng.normal(0, 2e-5, (5, 2, 60)), info, verbose="ERROR")
    epochs.save(folder / "a-epo.fif", verbose="ERROR")
    size = (folder / "a-epo.fif").stat().st_size
    return Sample(folder / "a-epo.fif", size - 5 * 2 * 60 * 4)


def nifti(folder, rng, name="a.nii"):
    import nibabel

    values = rng.normal(100, 5, (4, 4, 2, 10)).astype(np.float32)
    image = nibabel.Nifti1Image(values, np.diag([3, 3, 4, 1.0]))
    image.header.set_zooms((3, 3, 4, 2.0))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, folder / name)
    return Sample(folder / name, 352)


def nifti_gz(folder, rng):
    sample = nifti(folder, rng, "a.nii.gz")
    return Sample(sample.target, sample.target.stat().st_size)


def cifti(folder, rng):
    import nibabel
    from nibabel.cifti2 import BrainModelAxis, Cifti2Image, SeriesAxis

    space = BrainModelAxis.from_surface(range(12), 20, "CortexLeft")
    values = rng.normal(size=(9, 12)).astype(np.float32)
    axes = (SeriesAxis(0.0, 2.0, 9, "SECOND"), space)
    nibabel.save(Cifti2Image(values, axes), folder / "a.dtseries.nii")
    size = (folder / "a.dtseries.nii").stat().st_size
    return Sample(folder / "a.dtseries.nii", size - values.nbytes)


def gifti(folder, rng):
    import nibabel

    arrays = [
        nibabel.gifti.GiftiDataArray(
            rng.normal(size=40).astype(np.float32),
            intent="NIFTI_INTENT_TIME_SERIES",
            meta={"TimeStep": "2000.0"},
        )
        for _ in range(5)
    ]
    nibabel.save(nibabel.GiftiImage(darrays=arrays), folder / "a.func.gii")
    return Sample(folder / "a.func.gii", (folder / "a.func.gii").stat().st_size)


def npz(folder, rng):
    np.savez(folder / "a.npz", x=rng.random((40, 3)), sfreq=2.0, names=list("abc"))
    size = (folder / "a.npz").stat().st_size
    return Sample(folder / "a.npz", size, {"modality": "calcium"})


def npy(folder, rng):
    np.save(folder / "a.npy", rng.random((40, 3)))
    return Sample(folder / "a.npy", 128, CALCIUM)


def mat5(folder, rng):
    from scipy.io import savemat

    savemat(folder / "a.mat", {"x": rng.random((40, 3)), "fs": 2.0})
    options = {"modality": "calcium", "dims": ["time", "neuron"]}
    return Sample(folder / "a.mat", 184, options)


def mat73(folder, rng):
    import h5py

    with h5py.File(folder / "a.mat", "w", userblock_size=512) as file:
        file["x"] = rng.random((3, 40))
    with (folder / "a.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    return Sample(folder / "a.mat", 2560, {**CALCIUM, "variable": "x"})


def hdf5(folder, rng):
    import h5py

    with h5py.File(folder / "a.h5", "w") as file:
        file["x"] = rng.random((40, 3))
    return Sample(folder / "a.h5", 2048, {**CALCIUM, "variable": "x"})


def caiman(folder, rng):
    import h5py

    with h5py.File(folder / "a.hdf5", "w") as file:
        file["estimates/C"] = rng.random((3, 40))
        file["estimates/idx_components"] = np.array([0, 2])
        file["params/data/fr"] = 20.0
        header = file["estimates/C"].id.get_offset()
    return Sample(folder / "a.hdf5", header, {"modality": "calcium"})


def nwb(folder, rng):
    from neuroana.core.recording import from_array
    from neuroana.io import to_nwb

    rec = from_array(rng.normal(0, 1e-5, (40, 3)), "eeg", sampling_rate=2.0)
    path = to_nwb(rec, folder / "a.nwb")
    return Sample(path, path.stat().st_size)


def nwb_of_others(folder, rng):
    sample = nwb(folder, rng)
    blob = sample.target.read_bytes()
    sample.target.write_bytes(blob[:-81])  # without the checksum at its end
    return Sample(sample.target, len(blob) - 81)


def csv(folder, rng):
    rows = [",".join(f"{v:.4f}" for v in row) for row in rng.random((40, 3))]
    (folder / "a.csv").write_text("\n".join(["a,b,c", *rows]) + "\n")
    return Sample(folder / "a.csv", 6, {"modality": "fmri", "t_r": 2.0})


def csv_gz(folder, rng):
    import gzip

    rows = ["\t".join(f"{v:.4f}" for v in row) for row in rng.random((40, 3))]
    text = "\n".join(["#1\t#2\t#3", *rows]) + "\n"
    (folder / "a.1D.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    size = (folder / "a.1D.gz").stat().st_size
    return Sample(folder / "a.1D.gz", size, {"t_r": 2.0})


def spikes(folder, rng):
    rows = [f"{u} {t:.4f}" for u, t in zip(rng.integers(0, 5, 80), rng.random(80) * 9)]
    (folder / "a.txt").write_text("\n".join(rows) + "\n")
    return Sample(folder / "a.txt", 30, {"modality": "spikes", "bin_width": 0.5})


def suite2p(folder, rng, target="ops.npy"):
    for name in ("F", "Fneu"):
        np.save(folder / f"{name}.npy", rng.random((3, 50)).astype(np.float32))
    np.save(folder / "iscell.npy", np.ones((3, 2)))
    np.save(folder / "ops.npy", {"fs": 15.0})
    path = folder / target
    header = path.stat().st_size if target == "ops.npy" else 128
    return Sample(path, header, read=folder)


def suite2p_traces(folder, rng):
    return suite2p(folder, rng, "F.npy")


def phy(folder, rng, target="params.py"):
    (folder / "params.py").write_text("n_channels_dat = 4\nsample_rate = 1000.\n")
    np.save(folder / "spike_times.npy", np.sort(rng.integers(0, 9000, 60)))
    np.save(folder / "spike_clusters.npy", rng.integers(0, 4, 60).astype(np.int32))
    path = folder / target
    size = path.stat().st_size if target == "params.py" else 128
    return Sample(path, size, {"bin_width": 0.5, "stop": 9.0, "start": 0.0}, folder)


def phy_times(folder, rng):
    return phy(folder, rng, "spike_times.npy")


def netcdf(folder, rng):
    from neuroana.core.recording import from_array
    from neuroana.core.store import write_netcdf

    rec = from_array(rng.random((40, 3)), "calcium", sampling_rate=2.0)
    path = write_netcdf(rec, folder / "a.nc")
    return Sample(path, path.stat().st_size)


def sidecar(folder, rng, name="sub-01_task-rest_channels.tsv"):
    import edfio

    signals = [
        edfio.EdfSignal(rng.normal(0, 20, 600), 100.0, label=n, physical_dimension="uV")
        for n in ("Fz", "Cz")
    ]
    path = folder / "sub-01_task-rest_eeg.edf"
    edfio.Edf(signals).write(path)
    (folder / "sub-01_task-rest_channels.tsv").write_text(
        "name\ttype\tunits\tstatus\nFz\tEEG\tuV\tgood\nCz\tEEG\tuV\tgood\n"
    )
    (folder / "sub-01_task-rest_events.tsv").write_text(
        "onset\tduration\ttrial_type\n1.0\t0.5\tgo\n2.0\t0.5\tstop\n"
    )
    facts = {"SamplingFrequency": 100.0, "PowerLineFrequency": 50}
    (folder / "sub-01_task-rest_eeg.json").write_text(json.dumps(facts))
    target = folder / name
    return Sample(target, target.stat().st_size, read=path)


def sidecar_json(folder, rng):
    return sidecar(folder, rng, "sub-01_task-rest_eeg.json")


def sidecar_events(folder, rng):
    return sidecar(folder, rng, "sub-01_task-rest_events.tsv")
