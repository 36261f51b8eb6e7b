"""The traps that real recordings carry, each with what is to come of it.

Line ends converted, a scale a million times too large, clocks that were rounded or
jitter, series that never change, channels of a wrong type, codes of events that never
occur, byte-order marks, two electrode files, labels that occur twice, numbers that
start at 1, two versions of MATLAB, scanner units, sites that differ.
"""

import json

import numpy as np
import pytest

from neuroana.core.errors import (
    CorruptFileError,
    DataWarning,
    ParameterError,
    SchemaError,
    UnitError,
)
from neuroana.core.recording import check, events_of
from neuroana.core.recordings import Recordings
from neuroana.core.sequences import as_sequences
from neuroana.io import read
from neuroana.signal import zscore


pytestmark = [
    pytest.mark.realdata,
    pytest.mark.filterwarnings("ignore::neuroana.core.errors.DataWarning"),
]
BIDS_EEG = (
    "eeg/tiny_bids_amplifier_noise/sub-01/ses-eeg/eeg/sub-01_ses-eeg_task-rest_eeg.vhdr"
)
GRIP = (
    "ieeg/pyneuromodulation_ecog_stn/sub-testsub/ses-EphysMedOff/ieeg/"
    "sub-testsub_ses-EphysMedOff_task-gripforce_run-0_ieeg.vhdr"
)
ABIDE = "fmri_roi/abide_cc200_adults/cc200"
FISH = "calcium/zebrafish_tectum_20151104/zf_20151104-f1_activity_matrix.csv.gz"


def test_read_edf_with_converted_line_ends(realdata, tmp_path):
    blob = (realdata / "eeg/eegmmidb_s001_fists/S001R04.edf").read_bytes()
    path = tmp_path / "S001R04.edf"
    path.write_bytes(blob.replace(b"\n", b"\r\n"))
    with pytest.raises(CorruptFileError, match="line ends were converted"):
        read(path)


def test_ecog_scale_is_refused_and_mended(realdata):
    with pytest.warns(DataWarning, match="units='uV'"):
        rec = read(realdata / GRIP)
    with pytest.raises(UnitError, match="units='uV'"):
        check(rec, values=True)
    check(read(realdata / GRIP, units="uV"), values=True)


def test_muse_clock_is_256_hz(realdata):
    for path in sorted((realdata / "eeg/muse_p300").glob("*.csv")):
        rec = read(path, modality="eeg", units="uV")
        assert rec.attrs["sampling_rate"] == 256.0
        assert "irregular" not in rec.attrs
        assert rec.ch_type.values.tolist() == ["eeg"] * 4 + ["misc"]
        kinds = events_of(rec)["trial_type"].value_counts()
        assert 100 < kinds["1"] < 220
        assert 15 < kinds["2"] < 50


@pytest.mark.parametrize(
    ("worm", "n_neurons"),
    [
        ("2022-07-26-31", 146),
        ("2022-07-26-38", 141),
        ("2022-07-27-31", 145),
        ("2022-07-27-38", 135),
    ],
)
def test_worm_clock_jitters_and_labels_fit(realdata, worm, n_neurons):
    folder = realdata / "calcium/worm_neuropal_nsm"
    known = json.loads((folder / "neuron_labels.json").read_text())[worm]
    labels = [known.get(str(i), {}).get("label", "") for i in range(n_neurons)]
    options = {
        "modality": "calcium",
        "variable": "gcamp/trace_array",
        "time": "timing/timestamp_confocal",
    }
    rec = read(folder / f"{worm}-data.h5", **options, coords={"label": labels})
    assert rec.signal.shape == (800, n_neurons)
    steps = np.diff(rec.time.values)
    assert rec.attrs["irregular"] == 1
    assert steps.max() > 0.63
    assert np.median(steps) == pytest.approx(0.600, abs=1e-3)
    left, right = (rec.signal.values[:, labels.index(n)] for n in ("AVAL", "AVAR"))
    assert np.corrcoef(left, right)[0, 1] > 0.9
    with pytest.raises(SchemaError, match="each name once"):
        read(folder / f"{worm}-data.h5", **options, names=labels)


def test_alice_broken_subject_is_named(realdata):
    folder = realdata / "fmri_roi/alice_listening/10mm"
    names = ["LATL", "RATL", "LPTL", "LIPL", "LPreM", "LIFG"]
    options = {"modality": "fmri", "t_r": 2.0, "names": names}
    rec = read(folder / "s42-timecourses.txt", **options)
    assert rec.signal.shape == (362, 6)
    assert rec.roi.values.tolist() == names
    with pytest.warns(DataWarning, match="6 constant"):
        read(folder / "s33-timecourses.txt", **options)
    assert len(list(folder.glob("*-timecourses.txt"))) == 28


@pytest.mark.slow
def test_abide_names_the_constant_regions(realdata, recwarn):
    folder = realdata / "fmri_roi/abide_cc200_adults/cc200"
    for path in sorted(folder.glob("*.1D.gz")):
        read(path, t_r=2.0)
    told = {
        str(w.message).split(":")[0] for w in recwarn if "constant" in str(w.message)
    }
    assert len(told) == 2


def test_suite2p_constant_rois_are_named(realdata):
    with pytest.warns(DataWarning, match="47 constant"):
        rec = read(
            realdata / "calcium/mouse_suite2p",
            sampling_rate=10.0,
            cells_only=False,
            neuropil=0.0,
        )
    assert rec.signal.shape == (2000, 219)
    assert int(rec.iscell.sum()) == 20


def test_eog_and_force_channels_are_no_eeg(realdata):
    rec = read(realdata / "eeg/eeglab_sample/eeglab_data.set")
    kinds = dict(zip(rec.channel.values.tolist(), rec.ch_type.values.tolist()))
    assert [kinds["EOG1"], kinds["EOG2"]] == ["eog", "eog"]
    assert list(kinds.values()).count("eeg") == 30
    rec = read(realdata / GRIP, units="uV")
    assert rec.ch_type.sel(channel="MOV_RIGHT") == "misc"


def test_epochs_keep_only_the_events_that_occur(realdata):
    rec = read(realdata / "eeg/hypyp_dyad/preproc_S1-epo.fif")
    assert len(set(events_of(rec)["trial_type"])) == 33
    assert rec.signal.std().item() == pytest.approx(2.5e-6, rel=0.3)


def test_ecog_sidecars_behind_a_byte_order_mark(realdata):
    rec = read(realdata / GRIP, units="uV")
    assert rec.ch_type.values.tolist() == ["dbs"] * 3 + ["ecog"] * 6 + ["misc"]
    assert rec.attrs["coord_frame"] == "mni"
    assert rec.z.values[3] == pytest.approx(61.7977, abs=1e-3)
    assert rec.attrs["power_line_frequency"] == 60.0


def test_bids_electrodes_with_and_without_space(realdata):
    rec = read(realdata / BIDS_EEG)
    assert rec.attrs["coord_frame"] == "CapTrak"
    assert rec.x.values[0] == pytest.approx(-37.4127, abs=1e-3)
    assert events_of(rec)["trial_type"].tolist() == [
        "start_experiment",
        "show_stimulus",
    ]


def test_fish_assemblies_are_one_based(realdata):
    rec = read(
        realdata / FISH,
        modality="calcium",
        sampling_rate=2.0,
        dims=("neuron", "time"),
        names=list(range(1, 115)),
    )
    path = realdata / FISH.replace("activity_matrix.csv.gz", "assembly_assignments.csv")
    groups = [
        [int(n) for n in line.split(",") if n.strip()]
        for line in path.read_text().splitlines()
        if line.strip()
    ]
    r = np.corrcoef(rec.signal.values.T)
    index = {n: i for i, n in enumerate(rec.neuron.values.tolist())}
    within = [r[index[a], index[b]] for g in groups for a in g for b in g if a < b]
    assert len(groups) == 5
    assert np.mean(within) == pytest.approx(0.33, abs=0.02)
    assert np.mean(r[np.triu_indices(114, 1)]) == pytest.approx(0.09, abs=0.01)


def test_matlab_versions_side_by_side(realdata):
    folder = realdata / "eeg_fmri/cmtf_one_subject"
    with pytest.raises(ParameterError, match=r"K \(31, 5124\).*Mesh"):
        read(folder / "LeadField.mat", modality="fmri", sampling_rate=1.0)
    with pytest.raises(ParameterError, match=r"L/data \(35844,\)"):
        read(folder / "LapMat.mat", modality="fmri", sampling_rate=1.0)


def test_scanner_units_and_centred_series_stay_as_stored(realdata):
    raw = read(
        realdata / "fmri_roi/alice_listening/10mm/s42-timecourses.txt",
        modality="fmri",
        t_r=2.0,
    )
    centred = read(realdata / ABIDE / "NYU_0050959_rois_cc200.1D.gz", t_r=2.0)
    stored = np.loadtxt(realdata / "fmri_roi/alice_listening/10mm/s42-timecourses.txt")
    np.testing.assert_array_equal(raw.signal.values, stored)
    level = [np.abs(r.signal.mean("time")).median().item() for r in (raw, centred)]
    assert level[0] > 100
    assert level[1] < 1
    for rec in (zscore(raw), zscore(centred)):
        assert np.nanstd(rec.signal.values, axis=0)[0] == pytest.approx(1, abs=1e-2)


def test_abide_lengths_differ_by_site(realdata):
    folder = realdata / "fmri_roi/abide_cc200_adults/cc200"
    wanted = {"NYU": (176, 2.0), "Leuven_1": (246, 1.67), "USM": (236, 2.0)}
    for site, (n_volumes, t_r) in wanted.items():
        path = sorted(folder.glob(f"{site}_*"))[0]
        rec = read(path, t_r=t_r)
        assert rec.signal.shape == (n_volumes, 200)
        assert rec.roi.values[:2].tolist() == ["1", "2"]
        with pytest.raises(ParameterError, match="sampling_rate="):
            read(path)


def test_sites_with_other_rates_are_not_joined_unseen(realdata):
    items = [
        read(sorted((realdata / ABIDE).glob(f"{site}_*"))[0], t_r=t_r)
        for site, t_r in (("NYU", 2.0), ("USM", 2.0), ("Leuven_1", 1.67))
    ]
    study = Recordings(items)
    assert study.table["n_samples"].tolist() == [176, 236, 246]
    assert as_sequences(study[:2]).lengths.tolist() == [176, 236]
    with pytest.raises(SchemaError, match="one sampling rate"):
        as_sequences(study)
