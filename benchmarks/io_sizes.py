"""Recordings of real size: peak memory and time, each in a process of its own.

Two hours of 256 channels at 1 kHz to an alpha envelope at 25 Hz; 1 200 volumes of 2 mm
to 200 regions; the index of 300 recordings. The files are generated, not real. Run it
with ``python benchmarks/io_sizes.py`` or ``make bench``; it writes
``benchmarks/results/io_sizes.md`` and needs 6 GB in the temporary folder.
"""

import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parent))

import switching_measure as bench  # noqa: I001  (limits threads before numpy comes)
import numpy as np
import pytest


RATE, SECONDS, CHANNELS = 1000, 7200, 256
SHAPE, VOLUMES, REGIONS = (91, 109, 91), 1200, 200
RECORDINGS = 300
LIMITS = {"eeg": 2 * 2**30, "fmri": 3 * 2**30}  # bytes
INDEX_SECONDS = 1.0


def make_eeg(folder):
    """A BrainVision file of int16, 3.7 GB: noise with a 10 Hz wave."""
    rng = np.random.default_rng(0)
    names = [f"E{i:03d}" for i in range(CHANNELS)]
    lines = [
        "Brain Vision Data Exchange Header File Version 1.0",
        "[Common Infos]",
        "DataFile=eeg.eeg",
        "DataFormat=BINARY",
        "DataOrientation=MULTIPLEXED",
        f"NumberOfChannels={CHANNELS}",
        f"DataPoints={RATE * SECONDS}",
        f"SamplingInterval={1_000_000 // RATE}",
        "[Binary Infos]",
        "BinaryFormat=INT_16",
        "[Channel Infos]",
        *[f"Ch{i + 1}={n},,0.1,uV" for i, n in enumerate(names)],
    ]
    (folder / "eeg.vhdr").write_text("\n".join(lines) + "\n")
    clock = np.arange(RATE * 60) / RATE
    wave = 200 * np.sin(2 * np.pi * 10 * clock)[:, None]
    minute = (rng.normal(0, 100, (len(clock), CHANNELS)) + wave).astype("<i2")
    with open(folder / "eeg.eeg", "wb") as file:
        for _ in range(SECONDS // 60):
            minute.tofile(file)
    return folder / "eeg.vhdr"


def make_fmri(folder):
    """A gzipped image of int16, 2.2 GB inside, and an atlas of 200 slabs."""
    import nibabel

    rng = np.random.default_rng(0)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    image = nibabel.Nifti1Image(np.zeros((*SHAPE, 1), np.int16), affine)
    image.header.set_data_shape((*SHAPE, VOLUMES))
    image.header.set_zooms((2, 2, 2, 0.8))
    image.header.set_xyzt_units("mm", "sec")
    image.header["vox_offset"] = 352
    image.header["scl_slope"], image.header["scl_inter"] = 1.0, 0.0
    volume = rng.integers(0, 8, SHAPE).astype(np.int16) * 100
    with gzip.open(folder / "bold.nii.gz", "wb", compresslevel=1) as file:
        file.write(image.header.binaryblock + b"\0" * 4)
        for number in range(VOLUMES):
            file.write((volume + np.int16(number % 50)).tobytes(order="F"))
    numbers = np.arange(np.prod(SHAPE)).reshape(SHAPE) * REGIONS // np.prod(SHAPE) + 1
    atlas = nibabel.Nifti1Image(numbers.astype(np.int16), affine)
    nibabel.save(atlas, folder / "atlas.nii.gz")
    return folder / "bold.nii.gz"


def make_index(folder):
    """300 recordings saved with their index, and a BIDS tree of 300 subjects."""
    from neuroana.core.recording import from_array
    from neuroana.core.recordings import Recordings

    rng = np.random.default_rng(0)
    items = [
        from_array(
            rng.normal(size=(50, 4)),
            "fmri",
            sampling_rate=0.5,
            attrs={"subject": f"{i:03d}", "task": "rest"},
        )
        for i in range(RECORDINGS)
    ]
    Recordings(items).save(folder / "saved")
    for number in range(RECORDINGS):
        place = folder / "bids" / f"sub-{number:03d}" / "eeg"
        place.mkdir(parents=True)
        for ending in ("eeg.edf", "eeg.json", "channels.tsv", "events.tsv"):
            (place / f"sub-{number:03d}_task-rest_{ending}").touch()
    return folder


def run_eeg(path):
    from neuroana.io import read_eeg
    from neuroana.signal import envelope

    return envelope(read_eeg(path), 8.0, 12.0, sampling_rate=25.0)["signal"].shape


def run_fmri(path):
    from neuroana.io import read_fmri

    rec = read_fmri(path, atlas=path.with_name("atlas.nii.gz"))
    return rec["signal"].shape


def run_index(folder):
    from neuroana.core.recordings import Recordings
    from neuroana.io import read_bids

    read_bids(folder / "bids")
    spent = {}
    for name, opened in (
        ("saved", lambda: Recordings.open(folder / "saved")),
        ("BIDS, second scan", lambda: read_bids(folder / "bids")),
    ):
        start = time.perf_counter()
        count = len(opened())
        spent[name] = time.perf_counter() - start
        if count != RECORDINGS:
            raise RuntimeError(f"{name}: {count} recordings")
    return spent


CASES = {
    "eeg": (make_eeg, run_eeg),
    "fmri": (make_fmri, run_fmri),
    "index": (make_index, run_index),
}


def measure(case):
    """Make the files of a case here, and read them in a process of their own."""
    make, _ = CASES[case]
    with tempfile.TemporaryDirectory() as folder:
        path = make(Path(folder))
        command = [sys.executable, __file__, case, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(case, path):
    start, cpu = time.perf_counter(), time.process_time()
    found = CASES[case][1](Path(path))
    print(
        json.dumps(
            {
                "found": found,
                "seconds": time.perf_counter() - start,
                "cpu": time.process_time() - cpu,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


def page(found):
    """The result page."""
    rows = [
        [
            what,
            f"{found[case]['peak'] / 2**30:.2f} GB",
            f"{LIMITS[case] / 2**30:.0f} GB",
            f"{found[case]['seconds']:.0f} s",
            f"{found[case]['cpu']:.0f} s",
        ]
        for case, what in (
            ("eeg", "2 h x 256 channels x 1 kHz, alpha envelope at 25 Hz"),
            ("fmri", "2 mm x 1 200 volumes (.nii.gz), 200 regions"),
        )
    ]
    opened = found["index"]["found"]
    index = [[name, f"{1e3 * spent:.0f} ms"] for name, spent in opened.items()]
    columns = ["recording", "peak memory", "limit", "time", "CPU"]
    used = bench.versions("numpy", "mne", "nilearn", "nibabel")
    return f"""# Recordings of real size

Peak resident memory of the whole process, interpreter and libraries included. The files
are generated.

{bench.machine()}. {used}.

{bench.table(columns, rows)}

An index of {RECORDINGS} recordings, opened:

{bench.table(["index", "time"], index)}
"""


def run():
    found = {case: measure(case) for case in CASES}
    bench.write("io_sizes", page(found))
    return found


@pytest.mark.bench
@pytest.mark.timeout(3600)
def test_recordings_of_real_size_stay_within_memory():
    found = run()
    assert found["eeg"]["found"] == [SECONDS * 25, CHANNELS]
    assert found["fmri"]["found"] == [VOLUMES, REGIONS]
    for case, limit in LIMITS.items():
        assert found[case]["peak"] < limit
    assert max(found["index"]["found"].values()) < INDEX_SECONDS


if __name__ == "__main__":
    if len(sys.argv) > 2:
        child(*sys.argv[1:])
    else:
        run()
