"""The gate before training: artefacts and markers that must not reach a model."""

import nibabel
import numpy as np
import pandas as pd
import pytest

from neuroana.core.errors import SchemaError
from neuroana.core.recording import with_events
from neuroana.eeg2fmri import (
    match_bids,
    pair,
    pair_runs,
    preflight,
    require_preflight,
    simulate_eeg_fmri,
)


CHANNELS = ("OZ", "CZ", "C3", "PZ")


def checks(run, **options):
    return preflight(run, **options).set_index("check")


@pytest.fixture
def run():
    return simulate_eeg_fmri(1, n_volumes=100, channels=CHANNELS, random_state=0)[0][0]


def test_clean_runs_pass_and_what_is_not_known_is_not_measured(run):
    table = checks(run)
    assert table.verdict["gradient residue"] == "passed"
    assert table.verdict["pulse residue"] == "not measured"
    assert len(require_preflight(preflight(run)))


def test_gradient_residue_is_measured_as_its_share_of_power(run):
    signal = run["eeg"]["signal"]
    n = round(2.1 * 200)
    template = np.sin(2 * np.pi * np.arange(n) / n * 25)  # 12 Hz, locked to the TR
    power = float(signal.var())
    wave = np.tile(template, len(signal) // n + 1)[: len(signal)]
    signal += (np.sqrt(2 * 0.3 * power) * wave)[:, None].astype("f4")
    found = checks(run).value["gradient residue"]
    assert 20 < found < 60
    with pytest.raises(SchemaError, match="gradient residue"):
        require_preflight(preflight(run))


def test_pulse_residue_follows_marked_heart_beats(run):
    beats = np.cumsum(np.random.default_rng(0).uniform(0.8, 1.1, 200))
    beats = beats[beats < 205]
    eeg = run["eeg"].to_dataset()
    signal = eeg["signal"].to_numpy().copy()
    for beat in beats:
        at = int(beat * 200)
        signal[at : at + 100] += 4e-5 * np.hanning(100)[:, None]
    eeg["signal"].values[:] = signal
    events = pd.DataFrame({"onset": beats, "trial_type": "Pulse Artifact, R"})
    dirty = pair(with_events(eeg, events), run["bold"].to_dataset())
    assert checks(dirty).verdict["pulse residue"] == "failed"


def test_triggers_and_drift_stand_in_the_table(run):
    eeg = run["eeg"].to_dataset()
    onsets = 2.1 * 1.001 * np.delete(np.arange(100), 40)
    events = pd.DataFrame({"onset": onsets, "trial_type": "R149"})
    paired = pair(with_events(eeg, events), run["bold"].to_dataset(), trigger="R149")
    table = checks(paired)
    assert table.value["restored triggers"] == 1
    assert table.value["TR against header"] == pytest.approx(0.1, abs=5e-3)
    assert table.verdict["trigger jitter"] == "passed"


@pytest.fixture
def bids(tmp_path):
    """EEG and 4-D BOLD of two people, one of them without BOLD."""
    import mne

    rng = np.random.default_rng(0)
    for subject in ("01", "02"):
        place = tmp_path / f"sub-{subject}" / "eeg"
        place.mkdir(parents=True)
        info = mne.create_info(["Cz", "Pz", "Oz", "C3"], 200.0, "eeg")
        raw = mne.io.RawArray(2e-5 * rng.standard_normal((4, 22_000)), info)
        raw.set_annotations(mne.Annotations(2.1 * np.arange(50), 0.0, "R149"))
        mne.export.export_raw(
            place / f"sub-{subject}_task-rest_eeg.edf", raw, physical_range=(-200, 200)
        )
    place = tmp_path / "sub-01" / "func"
    place.mkdir()
    image = nibabel.Nifti1Image(
        rng.standard_normal((4, 4, 4, 50)).astype("f4"), np.eye(4) * 4
    )
    image.header.set_zooms((4, 4, 4, 2.1))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, place / "sub-01_task-rest_bold.nii.gz")
    atlas = np.zeros((4, 4, 4), dtype="i2")
    atlas[:2], atlas[2:] = 1, 2
    nibabel.save(nibabel.Nifti1Image(atlas, image.affine), tmp_path / "atlas.nii.gz")
    return tmp_path


def test_bids_runs_are_listed_unread_and_images_go_through_the_atlas(bids):
    import neuroana as na

    table = match_bids(bids)
    assert table.status.tolist() == ["matched", "no bold"]
    assert table.bold.tolist() == ["sub-01_task-rest_bold.nii.gz", ""]
    runs = pair_runs(
        na.io.read_bids(bids, modality="eeg"),
        na.io.read_bids(bids, modality="fmri", atlas=bids / "atlas.nii.gz",
                        labels=["left", "right"]),
        trigger="R149",
    )  # fmt: skip
    assert len(runs) == 1
    assert runs[0]["bold"].roi.values.tolist() == ["left", "right"]
    assert runs[0]["bold"].attrs["atlas"] == "atlas.nii.gz"
    assert runs[0]["bold"].time.values[-1] == pytest.approx(49 * 2.1, abs=0.01)
