"""A BIDS dataset as a collection."""

import json
import time

import numpy as np
import pytest

from neuroana.core.contract import check
from neuroana.core.errors import CorruptFileError, DataWarning, ParameterError
from neuroana.core.recording import events_of
from neuroana.io import read_bids


@pytest.fixture
def study(tmp_path, noise, write_brainvision, nifti):
    """Two people with EEG in two sessions, one of them with fMRI too."""
    root = tmp_path / "study"
    for subject in ("01", "02"):
        for session in ("a", "b"):
            folder = root / f"sub-{subject}" / f"ses-{session}" / "eeg"
            stem = f"sub-{subject}_ses-{session}_task-rest_eeg"
            write_brainvision(folder, stem, noise, ["Fz", "Cz", "GSR"])
    func = root / "sub-01" / "ses-a" / "func"
    func.mkdir()
    nifti()[0].rename(func / "sub-01_ses-a_task-rest_bold.nii.gz")
    (root / "task-rest_channels.tsv").write_text(
        "name\ttype\tstatus\nFz\tEEG\tgood\nCz\tEEG\tbad\nGSR\tMISC\tgood\n"
    )
    (root / "task-rest_eeg.json").write_text(json.dumps({"PowerLineFrequency": 50}))
    (root / "sub-01" / "ses-a" / "sub-01_ses-a_scans.tsv").write_text(
        "filename\tacq_time\neeg/sub-01_ses-a_task-rest_eeg.vhdr\t2020-01-01T10:00:00\n"
    )
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1"}')
    (root / "participants.tsv").write_bytes(
        b"\xef\xbb\xbfparticipant_id\tage\tgroup\nsub-01\t30\ta\nsub-02\tn/a\tb\n"
    )
    (root / "derivatives" / "sub-09" / "eeg").mkdir(parents=True)
    return root


def test_one_row_a_recording_with_the_participants(study):
    table = read_bids(study).table
    assert table["modality"].tolist() == ["eeg", "fmri", "eeg", "eeg", "eeg"]
    assert table["session"].tolist() == ["a", "a", "b", "a", "b"]
    assert table["group"].tolist() == ["a", "a", "a", "b", "b"]
    assert table["age"].tolist()[0] == 30
    assert table["acq_time"].tolist()[0] == "2020-01-01T10:00:00"


def test_recordings_are_read_when_asked_for_and_inherit(study):
    eeg = read_bids(study, modality="eeg")
    rec = eeg[0]
    assert rec.bad.values.tolist() == [False, True, False]
    assert rec.ch_type.values.tolist() == ["eeg", "eeg", "misc"]
    assert rec.attrs["power_line_frequency"] == 50.0
    assert rec.attrs["session"] == "a"
    assert eeg.readable().table["n_samples"].tolist() == [1000] * 4


def test_entities_select(study):
    some = read_bids(study, subject="sub-02", session=["b"])
    assert some.table["source"].tolist() == ["sub-02_ses-b_task-rest_eeg.vhdr"]
    with pytest.raises(ParameterError, match=r"among \['01', '02'\]"):
        read_bids(study, subject="3")
    with pytest.raises(ParameterError, match=r"\['eeg', 'fmri'\]"):
        read_bids(study, modality="ieeg")


def test_options_are_checked_before_anything_is_read(study):
    with pytest.raises(ParameterError, match="did you mean 'units'"):
        read_bids(study, modality="eeg", unit="uV")
    (fmri,) = read_bids(study, modality="fmri", t_r=2.0)
    assert fmri.sizes["voxel"] == 32


def test_one_damaged_file_costs_one_recording(study):
    path = study / "sub-01/ses-b/eeg/sub-01_ses-b_task-rest_eeg.eeg"
    path.write_bytes(path.read_bytes()[:1001])
    eeg = read_bids(study, modality="eeg")
    with pytest.raises(CorruptFileError, match="ses-b"):
        eeg[1]
    with pytest.warns(DataWarning, match="left out.*sub-01_ses-b"):
        left = eeg.readable()
    assert len(left) == 3
    assert [check(r).attrs["session"] for r in left] == ["a", "a", "b"]


def test_content_that_was_not_fetched_is_named(study):
    path = study / "sub-02/ses-a/eeg/sub-02_ses-a_task-rest_eeg.vhdr"
    path.unlink()
    path.symlink_to(".git/annex/objects/nowhere")
    with pytest.raises(ParameterError, match="datalad get"):
        read_bids(study, subject="02")[0]


def test_tables_that_cannot_be_used_are_named_and_left_out(study):
    (study / "participants.tsv").write_text("participant_id\nsub-01\nsub-01\n")
    scans = study / "sub-01/ses-a/sub-01_ses-a_scans.tsv"
    scans.write_text("filename\tacq_time\neeg/lost_eeg.edf\tn/a\n")
    with pytest.warns(DataWarning) as told:
        assert len(read_bids(study)) == 5
    texts = [str(w.message) for w in told]
    assert any("stands there twice" in t for t in texts)
    assert any("lost_eeg.edf" in t for t in texts)


def test_folder_without_subjects_is_no_dataset(tmp_path):
    with pytest.raises(ParameterError, match="dataset_description"):
        read_bids(tmp_path)


def test_second_scan_of_300_subjects_takes_less_than_a_second(tmp_path):
    for number in range(300):
        folder = tmp_path / f"sub-{number:03d}" / "eeg"
        folder.mkdir(parents=True)
        stem = folder / f"sub-{number:03d}_task-rest"
        for ending in ("eeg.edf", "eeg.json", "channels.tsv", "events.tsv"):
            stem.with_name(f"{stem.name}_{ending}").touch()
    read_bids(tmp_path)
    start = time.process_time()
    study = read_bids(tmp_path)
    assert time.process_time() - start < 1.0
    assert len(study) == 300


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "modality", "options", "shape", "n_events"),
    [
        ("eeg/tiny_bids_amplifier_noise", "eeg", {}, (10_000, 69), 2),
        (
            "ieeg/pyneuromodulation_ecog_stn",
            "ieeg",
            {"units": "uV"},
            (19_001, 10),
            0,
        ),
    ],
)
def test_real_dataset(realdata, folder, modality, options, shape, n_events):
    study = read_bids(realdata / folder, **options)
    (rec,) = study
    assert study.table["modality"].tolist() == [modality]
    assert {"age", "sex"} & set(study.table)
    assert rec.signal.shape == shape
    assert np.isfinite(rec.x.values).any()
    assert len(events_of(rec)) == n_events
