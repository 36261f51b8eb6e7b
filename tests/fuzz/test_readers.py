"""Damaged files: an error that names the file, or the same data; never a crash.

Each reader meets a whole file, its truncations, copies with three bytes of the header
changed, and copies with three bytes changed anywhere. What comes back different
without a word is counted and held below a number: bytes that may legally change a
value cannot be told without a checksum. The files are read in a process of its own,
whose time and memory are measured.

``NEUROANA_FUZZ`` is the number of changed headers a reader; ``make fuzz`` tries more
than 10 000 files in all and writes its counts to ``fuzz-counts.tsv``.
"""

import json
import os
import selectors
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest


HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import small_files  # noqa: E402


N_DAMAGED = int(os.environ.get("NEUROANA_FUZZ", "12"))
COUNTS = os.environ.get("NEUROANA_FUZZ_COUNTS")
SECONDS = 5.0
HANG = 60.0  # on the wall, where the machine may be crowded
SPARE = 200 * 2**20
pytestmark = [pytest.mark.slow] if N_DAMAGED > 50 else []

# Changed headers, of 180 tried, that pass without a word. A changed scale, rate or name
# is still one, and the file has nothing to tell it by; a checksum lets none pass.
COUNTED = 180
SILENT = {
    "edf": 2,
    "bdf": 1,
    "brainvision": 0,
    "eeglab": 2,
    "fif": 6,
    "fif_epochs": 15,
    "nifti": 10,
    "nifti_gz": 0,
    "cifti": 0,
    "gifti": 0,
    "npz": 0,
    "npy": 0,
    "mat5": 0,
    "mat73": 0,
    "hdf5": 0,
    "caiman": 15,
    "nwb": 0,
    "nwb_of_others": 0,
    "csv": 9,
    "csv_gz": 0,
    "spikes": 14,
    "suite2p": 0,
    "suite2p_traces": 0,
    "phy": 0,
    "phy_times": 0,
    "netcdf": 0,
    "sidecar": 0,
    "sidecar_json": 0,
    "sidecar_events": 0,
}
TEXT = ("brainvision", "csv", "spikes", "phy", "sidecar", "sidecar_json",
        "sidecar_events")  # fmt: skip
CHECKED = (
    "nifti_gz",
    "gifti",
    "npz",
    "csv_gz",
    "netcdf",
    "nwb",
)  # by a checksum, whole
REAL = {
    "S001R04.edf": ("eeg/eegmmidb_s001_fists", {}, 256 * 66),
    "sub-01_ses-eeg_task-rest_eeg.vhdr": (
        "eeg/tiny_bids_amplifier_noise/sub-01/ses-eeg/eeg", {}, 11_078,
    ),
    "visual__P300__subject1__session2__data_2017-02-09-17.13.56.csv": (
        "eeg/muse_p300", {"modality": "eeg", "units": "uV"}, 200,
    ),
    "eeglab_data.set": ("eeg/eeglab_sample", {}, 4000),
    "preproc_S1-epo.fif": ("eeg/hypyp_dyad", {}, 6000),
    "bold_25mm.nii.gz": (
        "fmri_4d/haxby_sub001_runs01-08/sub001/BOLD/task001_run001", {}, 98_816,
    ),
    "NYU_0050959_rois_cc200.1D.gz": (
        "fmri_roi/abide_cc200_adults/cc200", {"t_r": 2.0}, 160_000,
    ),
    "fmri.mat": (
        "eeg_fmri/cmtf_one_subject",
        {"modality": "fmri", "sampling_rate": 1.0, "dims": ["roi", "time"]},
        400,
    ),
    "2022-07-27-38-data.h5": (
        "calcium/worm_neuropal_nsm",
        {
            "modality": "calcium",
            "variable": "gcamp/trace_array",
            "time": "timing/timestamp_confocal",
        },
        8000,
    ),
    "traces.npz": ("calcium/worm_wormwideweb_one", {"modality": "calcium"}, 10_000),
    "spikes.mat": (
        "spikes/rat_ca1_linear_track",
        {"modality": "spikes", "bin_width": 1.0},
        4000,
    ),
}  # fmt: skip


class Reader:
    """A process that reads; a new one takes its place when it hangs or ends."""

    def __init__(self):
        self.process = None

    def ask(self, path, options, *, first=False):
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, str(HERE / "reader_worker.py")]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self.process = subprocess.Popen(command, text=True, bufsize=1, **pipes)
        asked = {"path": str(path), "options": options, "first": first}
        self.process.stdin.write(json.dumps(asked) + "\n")
        with selectors.DefaultSelector() as waiting:
            waiting.register(self.process.stdout, selectors.EVENT_READ)
            ready = waiting.select(HANG)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        self.close()
        return {"outcome": "end of process" if ready else "hang", "seconds": 0.0,
                "grown": 0}  # fmt: skip

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def reader():
    started = Reader()
    yield started
    started.close()


def tried(reader, sample, blobs):
    """Outcomes of reading damaged copies; hangs, crashes and memory are failures."""
    whole = sample.target.read_bytes()
    options = sample.options
    assert reader.ask(sample.given, options, first=True)["outcome"] == "same"
    limit = 10 * len(whole) + SPARE
    found = []
    for blob in blobs:
        sample.target.write_bytes(blob)
        said = reader.ask(sample.given, options)
        what = said["outcome"]
        if what not in ("error", "same", "told", "silent"):
            kept = sample.target.with_name("failure.bin")
            kept.write_bytes(blob)
            pytest.fail(f"{what} (the file: {kept})")
        assert said["seconds"] < SECONDS, f"{said['seconds']:.1f} s"
        assert said["grown"] < limit, f"{said['grown'] / 2**20:.0f} MB"
        found.append(what)
    sample.target.write_bytes(whole)
    return Counter(found)


def flipped(blob, span, n_files, rng):
    for _ in range(n_files):
        damaged = bytearray(blob)
        for place in rng.integers(0, min(span, len(blob)), 3):
            damaged[place] = rng.integers(256)
        yield bytes(damaged)


def count(kind, damage, counts):
    if COUNTS:
        with open(COUNTS, "a", encoding="utf-8") as file:
            row = [counts[k] for k in ("error", "same", "told", "silent")]
            file.write("\t".join([kind, damage, *map(str, row)]) + "\n")


@pytest.mark.parametrize("kind", SILENT)
def test_truncated_file_is_an_error(kind, reader, tmp_path):
    rng = np.random.default_rng(0)
    sample = getattr(small_files, kind)(tmp_path, rng)
    blob = sample.target.read_bytes()
    lengths = sorted(rng.integers(0, len(blob), max(N_DAMAGED // 2, 5)))
    found = tried(reader, sample, [blob[:n] for n in lengths])
    count(kind, "truncated", found)
    assert kind in TEXT or found["silent"] == 0


@pytest.mark.parametrize("kind", SILENT)
def test_damaged_header_is_told(kind, reader, tmp_path):
    rng = np.random.default_rng(1)
    sample = getattr(small_files, kind)(tmp_path, rng)
    blobs = flipped(sample.target.read_bytes(), sample.header, N_DAMAGED, rng)
    found = tried(reader, sample, blobs)
    count(kind, "header", found)
    few = 2 * SILENT[kind] * max(N_DAMAGED, 45) / COUNTED  # few may be less lucky
    assert found["silent"] <= (SILENT[kind] if N_DAMAGED == COUNTED else few)


@pytest.mark.parametrize("kind", SILENT)
def test_damage_anywhere_ends_well(kind, reader, tmp_path):
    rng = np.random.default_rng(2)
    sample = getattr(small_files, kind)(tmp_path, rng)
    blob = sample.target.read_bytes()
    found = tried(reader, sample, flipped(blob, len(blob), N_DAMAGED // 2, rng))
    count(kind, "anywhere", found)
    assert kind not in CHECKED or found["silent"] == 0


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_damaged_real_file_ends_well(name, reader, realdata, tmp_path):
    folder, options, header = REAL[name]
    for file in (realdata / folder).iterdir():
        if file.stem == Path(name).stem and file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    sample = small_files.Sample(tmp_path / name, header, options)
    blob, rng = sample.target.read_bytes(), np.random.default_rng(3)
    n_files = max(N_DAMAGED // 6, 2)
    cut = [blob[:n] for n in rng.integers(0, len(blob), n_files)]
    found = tried(reader, sample, cut)
    count(name, "truncated", found)
    assert name.endswith((".csv", ".vhdr")) or found["silent"] == 0
    found = tried(reader, sample, flipped(blob, header, n_files, rng))
    count(name, "header", found)
