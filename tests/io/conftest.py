"""Small files of every kind, made when a test asks for them."""

import json

import numpy as np
import pytest


@pytest.fixture
def noise():
    """Ten seconds of three channels in volts, 100 Hz."""
    return np.random.default_rng(0).normal(size=(3, 1000)) * 2e-5


@pytest.fixture
def edf(tmp_path, noise):
    """An EDF+ file with two events and one bad span."""
    import edfio

    signals = [
        edfio.EdfSignal(row * 1e6, 100.0, label=name, physical_dimension="uV")
        for name, row in zip(["Fz..", "Cz..", "EOG1"], noise)
    ]
    notes = [
        edfio.EdfAnnotation(1.0, 0.5, "go"),
        edfio.EdfAnnotation(3.0, None, "stop"),
        edfio.EdfAnnotation(5.0, 1.0, "BAD_blink"),
    ]
    path = tmp_path / "sub-01_task-rest_eeg.edf"
    edfio.Edf(signals, annotations=notes).write(path)
    return path


@pytest.fixture
def write_brainvision():
    """Write a BrainVision recording in microvolts, float32, multiplexed."""

    def write(folder, stem, volts, names, *, rate=100.0, unit="µV", markers=()):
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            "Brain Vision Data Exchange Header File Version 1.0",
            "[Common Infos]",
            "Codepage=UTF-8",
            f"DataFile={stem}.eeg",
            f"MarkerFile={stem}.vmrk",
            "DataFormat=BINARY",
            "DataOrientation=MULTIPLEXED",
            f"NumberOfChannels={len(names)}",
            f"DataPoints={volts.shape[1]}",
            f"SamplingInterval={1e6 / rate:g}",
            "[Binary Infos]",
            "BinaryFormat=IEEE_FLOAT_32",
            "[Channel Infos]",
            *[f"Ch{i + 1}={n},,1,{unit}" for i, n in enumerate(names)],
        ]
        (folder / f"{stem}.vhdr").write_text("\n".join(lines) + "\n", encoding="utf-8")
        marks = [
            "Brain Vision Data Exchange Marker File, Version 1.0",
            "[Common Infos]",
            "Codepage=UTF-8",
            f"DataFile={stem}.eeg",
            "[Marker Infos]",
            *[f"Mk{i + 1}={m}" for i, m in enumerate(markers)],
        ]
        (folder / f"{stem}.vmrk").write_text("\n".join(marks) + "\n", encoding="utf-8")
        (volts.T * 1e6).astype("<f4").tofile(folder / f"{stem}.eeg")
        return folder / f"{stem}.vhdr"

    return write


@pytest.fixture
def bids(tmp_path, noise, write_brainvision):
    """A BIDS folder with one recording and all sidecars, with byte-order marks."""
    root = tmp_path / "study"
    folder = root / "sub-01" / "eeg"
    path = write_brainvision(folder, "sub-01_task-rest_eeg", noise, ["Fz", "Cz", "GSR"])
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1"}')
    (root / "task-rest_eeg.json").write_text(
        json.dumps({"PowerLineFrequency": 50, "EEGReference": "Cz"})
    )
    own = {"PowerLineFrequency": 60, "SamplingFrequency": 100.0}
    (folder / "sub-01_task-rest_eeg.json").write_text(json.dumps(own))
    mark = "\ufeff"
    (folder / "sub-01_task-rest_channels.tsv").write_text(
        mark + "name\ttype\tunits\tstatus\n"
        "Fz\tEEG\tµV\tgood\nCz\tEEG\tµV\tbad\nGSR\tMISC\tµV\tn/a\n",
        encoding="utf-8",
    )
    (folder / "sub-01_task-rest_events.tsv").write_text(
        mark + "onset\tduration\ttrial_type\n1.0\t0.5\tgo\n2.0\tn/a\tstop\n"
        "4.0\t1.0\tBAD_move\n",
        encoding="utf-8",
    )
    for space in ("", "_space-CapTrak"):
        (folder / f"sub-01{space}_electrodes.tsv").write_text(
            mark + "name\tx\ty\tz\nFz\t0.01\t0.02\t0.1\nCz\t0.0\t0.0\t0.12\n",
            encoding="utf-8",
        )
        (folder / f"sub-01{space}_coordsystem.json").write_text(
            json.dumps({"EEGCoordinateSystem": "CapTrak", "EEGCoordinateUnits": "m"})
        )
    return path


@pytest.fixture
def nifti(tmp_path):
    """Write a 4-D image of 4 x 4 x 2 voxels and return its path and values."""
    import nibabel

    def write(name="run.nii.gz", *, t_r=2.0, n_volumes=12):
        values = np.random.default_rng(1).normal(100, 5, (4, 4, 2, n_volumes))
        image = nibabel.Nifti1Image(values.astype(np.float32), np.diag([3, 3, 4, 1.0]))
        image.header.set_zooms((3, 3, 4, t_r))
        image.header.set_xyzt_units("mm", "sec")
        nibabel.save(image, tmp_path / name)
        return tmp_path / name, values.astype(np.float32)

    return write


@pytest.fixture
def suite2p(tmp_path):
    """A suite2p folder of five ROIs, three of them cells, at 15 Hz."""
    rng = np.random.default_rng(2)
    folder = tmp_path / "plane0"
    folder.mkdir()
    traces = {n: rng.random((5, 60)).astype(np.float32) for n in ("F", "Fneu", "spks")}
    for name, values in traces.items():
        np.save(folder / f"{name}.npy", values)
    cells = np.array([[1, 0.9], [0, 0.1], [1, 0.8], [1, 0.7], [0, 0.2]])
    np.save(folder / "iscell.npy", cells)
    np.save(folder / "ops.npy", {"fs": 15.0, "Ly": 512, "meanImg": np.ones((2, 2))})
    stat = np.array([{"med": [i, 2 * i], "npix": 9} for i in range(5)], dtype=object)
    np.save(folder / "stat.npy", stat)
    return folder, traces
