"""Every real recording at hand, with the numbers its own description states."""

import numpy as np
import pytest

from neuroana.core.errors import (
    CorruptFileError,
    ParameterError,
    ShapeError,
)
from neuroana.core.recording import check, events_of, space_dim
from neuroana.io import read, read_arrays, read_events, spike_times
from neuroana.signal import bandpass, envelope, epoch, pick, spectrum


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
NODDI = "eeg_fmri/noddi_markers_sub32/derivatives/sub-32/eeg/sub-32_task-rest_eeg.vmrk"
HAXBY = "fmri_4d/haxby_sub001_runs01-08/sub001"
RUN = f"{HAXBY}/BOLD/task001_run001"
MUSE = "eeg/muse_p300/visual__P300__subject1__session1__data_2017-02-04-15_45_13.csv"
ABIDE = "fmri_roi/abide_cc200_adults/cc200"
FISH = "calcium/zebrafish_tectum_20151104/zf_20151104-f1_activity_matrix.csv.gz"
TABLE = [
    ("eeg/eegmmidb_s001_fists/S001R04.edf", {}, (20_000, 64), 160.0, "V", 30),
    ("eeg/eegmmidb_s001_fists/S001R08.edf", {}, (20_000, 64), 160.0, "V", 30),
    ("eeg/eegmmidb_s001_fists/S001R12.edf", {}, (20_000, 64), 160.0, "V", 30),
    ("eeg/eeglab_sample/eeglab_data.set", {}, (30_504, 32), 128.0, "V", 154),
    ("eeg/hypyp_dyad/preproc_S1-epo.fif", {}, (33 * 502 - 1, 31), 500.0, "V", 33),
    ("eeg/hypyp_dyad/preproc_S2-epo.fif", {}, (33 * 502 - 1, 31), 500.0, "V", 33),
    (
        "eeg/seizure_michigan/seizure_31ch_100hz_int16.npz",
        {"modality": "eeg", "units": "1", "dims": ("channel", "time")},
        (50_000, 31),
        100.0,
        "1",
        0,
    ),
    (MUSE, {"modality": "eeg", "units": "uV"}, (30_732, 5), 256.0, "V", 197),
    (BIDS_EEG, {}, (10_000, 69), 5000.0, "V", 2),
    (GRIP, {"units": "uV"}, (19_001, 10), 1000.0, "V", 0),
    (
        "ieeg/fragility_pt01_ecog/pt01_seizure_onset.npz",
        {"modality": "ieeg", "units": "nV"},
        (3000, 84),
        1000.0,
        "V",
        0,
    ),
    (
        "ieeg/tensorpac_seeg_trials/seeg_data_pac.npz",
        {"modality": "ieeg", "units": "1", "dims": ("epoch", "time")},
        (160 * 4002 - 1, 1),
        1024.0,
        "1",
        160,
    ),
    (f"{RUN}/bold_1slice.nii.gz", {}, (121, 800), 0.4, "1", 0),
    (
        f"{RUN}/bold_25mm.nii.gz",
        {
            "mask": f"{HAXBY}/masks/25mm/brain.nii.gz",
            "events": f"{RUN}/bold_events.tsv",
        },
        (121, 129),
        0.4,
        "1",
        8,
    ),
    (
        "fmri_roi/leida_two_conditions/example_BOLD.mat",
        {
            "modality": "fmri",
            "t_r": 2.0,
            "variable": "tc_aal[8,1]",
            "dims": ("roi", "time"),
        },
        (100, 90),
        0.5,
        "1",
        0,
    ),
    (
        "eeg_fmri/cmtf_one_subject/fmri.mat",
        {"modality": "fmri", "sampling_rate": 1.0, "dims": ("roi", "time")},
        (38, 5124),
        1.0,
        "1",
        0,
    ),
    (f"{ABIDE}/NYU_0050959_rois_cc200.1D.gz", {"t_r": 2.0}, (176, 200), 0.5, "1", 0),
    (
        f"{ABIDE}/Leuven_1_0050682_rois_cc200.1D.gz",
        {"t_r": 1.67},
        (246, 200),
        1 / 1.67,
        "1",
        0,
    ),
    (f"{ABIDE}/USM_0050433_rois_cc200.1D.gz", {"t_r": 2.0}, (236, 200), 0.5, "1", 0),
    (
        "fmri_roi/alice_listening/10mm/s42-timecourses.txt",
        {"modality": "fmri", "t_r": 2.0},
        (362, 6),
        0.5,
        "1",
        0,
    ),
    (
        "calcium/worm_neuropal_nsm/2022-07-26-31-data.h5",
        {
            "modality": "calcium",
            "variable": "gcamp/trace_array",
            "time": "timing/timestamp_confocal",
        },
        (800, 146),
        None,
        "au",
        0,
    ),
    (
        "calcium/worm_wormwideweb_one/traces.npz",
        {"modality": "calcium", "units": "zscore"},
        (1600, 98),
        None,
        "zscore",
        0,
    ),
    ("calcium/mouse_suite2p", {"sampling_rate": 10.0}, (2000, 20), 10.0, "au", 0),
    (
        "calcium/songbird_hvc/MackeviciusData.mat",
        {
            "modality": "calcium",
            "variable": "NEURAL",
            "dims": ("neuron", "time"),
            "sampling_rate": 30.0,
        },
        (666, 75),
        30.0,
        "au",
        0,
    ),
    (
        FISH,
        {"modality": "calcium", "sampling_rate": 2.0, "dims": ("neuron", "time")},
        (4245, 114),
        2.0,
        "au",
        0,
    ),
    (
        "spikes/songbird_hvc_events/songbird_spikes.txt",
        {"modality": "spikes", "bin_width": 0.1, "start": 0.0, "stop": 22.3},
        (223, 74),
        10.0,
        "count",
        0,
    ),
    (
        "spikes/rat_ca1_linear_track/spikes.mat",
        {"modality": "spikes", "bin_width": 1.0},
        (1969, 31),
        1.0,
        "count",
        0,
    ),
    (
        "spikes/rat_motor_cortex_taps/motor_ctx_data.npz",
        {
            "modality": "spikes",
            "bin_width": 0.02,
            "time_units": "ms",
            "start": 0.0,
            "stop": 2.0,
        },
        (1266 * 101 - 1, 30),
        50.0,
        "count",
        0,
    ),
    (
        "spikes/mouse_olfaction_pinene/pinene_data.npz",
        {
            "modality": "spikes",
            "bin_width": 0.02,
            "time_units": "ms",
            "start": 0.0,
            "stop": 0.5,
        },
        (45 * 26 - 1, 30),
        50.0,
        "count",
        0,
    ),
]


@pytest.mark.parametrize(
    ("file", "options", "shape", "rate", "units", "n_events"),
    TABLE,
    ids=[row[0].rpartition("/")[2] for row in TABLE],
)
def test_read_real_recording(realdata, file, options, shape, rate, units, n_events):
    paths = {k: realdata / v for k, v in options.items() if k in ("mask", "events")}
    rec = read(realdata / file, **{**options, **paths})
    check(rec, values="tiny_bids" not in file)
    assert rec.signal.shape == shape
    rate = rate or 1 / np.diff(rec.time.values).mean()  # the volumes jitter
    assert rec.attrs["sampling_rate"] == pytest.approx(rate, rel=1e-3)
    assert rec.signal.attrs["units"] == units
    assert len(events_of(rec)) == n_events
    assert len(set(rec[space_dim(rec)].values.tolist())) == shape[1]


def test_every_folder_that_holds_a_signal_has_a_row(realdata):
    folders = {"/".join(row[0].split("/")[:2]) for row in TABLE}
    events_only = {"eeg_fmri/noddi_markers_sub32"}
    there = {
        f"{kind.name}/{place.name}"
        for kind in realdata.iterdir()
        if kind.is_dir()
        for place in kind.iterdir()
        if place.is_dir()
    }
    assert there == folders | events_only


def test_file_without_a_rate_asks_for_it(realdata):
    for file, options, *_ in TABLE:
        given = {"sampling_rate", "t_r"} & set(options)
        if given:
            rest = {k: v for k, v in options.items() if k not in given}
            with pytest.raises(ParameterError, match="sampling_rate="):
                read(realdata / file, **rest)


def test_read_edf_events_and_names(realdata):
    rec = read(
        realdata / "eeg/eegmmidb_s001_fists/S001R04.edf", montage="standard_1005"
    )
    kinds = events_of(rec)["trial_type"].value_counts()
    assert kinds["T0"] == 15
    assert set(kinds.index) == {"T0", "T1", "T2"}
    assert rec.channel.values[:3].tolist() == ["Fc5", "Fc3", "Fc1"]
    assert np.isfinite(rec.x.values).all()


def test_eeglab_alpha_peak_and_evoked_response(realdata):
    rec = read(realdata / "eeg/eeglab_sample/eeglab_data.set")
    kinds = events_of(rec)["trial_type"].value_counts()
    assert kinds.to_dict() == {"square": 80, "rt": 74}
    assert rec.ch_type.values[[1, 5]].tolist() == ["eog", "eog"]
    names = [n for n in rec.channel.values if n.startswith(("O", "PO"))]
    psd = spectrum(pick(rec, names), window=4.0, low=7, high=14).mean("channel")
    assert float(psd.freq[psd.values.argmax()]) == 10.0
    band = bandpass(pick(rec, ch_type="eeg"), 1, 30)
    cut = epoch(band, -0.5, 0.6, trial_type="square", baseline=(-0.5, 0.0))
    evoked = cut.signal.mean("epoch")
    peak = evoked.where(evoked == evoked.max(), drop=True)
    assert peak.channel.item() == "FC1"
    assert peak.lag.item() == pytest.approx(0.398, abs=0.004)
    assert peak.item() == pytest.approx(29.9e-6, abs=0.1e-6)


def test_ecog_beta_falls_with_grip_force(realdata):
    rec = read(realdata / GRIP, units="uV")
    heads = pick(rec, ch_type=["ecog", "dbs"])
    power = envelope(heads, 13, 30).signal.values ** 2
    smooth = np.ones(200) / 200
    beta = [np.log(np.convolve(p, smooth, "same")) for p in power.T]
    force = pick(rec, ["MOV_RIGHT"]).signal.values[:, 0]
    found = [np.corrcoef(b, force)[0, 1] for b in beta]
    assert max(found) < -0.1
    assert -0.60 < min(found[3:]) < max(found[3:]) < -0.30


def test_seizure_onset_time_is_kept(realdata):
    rec = read(
        realdata / "ieeg/fragility_pt01_ecog/pt01_seizure_onset.npz",
        modality="ieeg",
        units="nV",
    )
    assert rec.time.values[0] == -1.0
    assert rec.channel.values[0] == "G1"


def test_marker_file_without_signals_gives_events(realdata):
    kinds = read_events(realdata / NODDI)["trial_type"].value_counts()
    assert kinds["Scanner/Scan Start"] == 300
    assert kinds["Scanner/s"] == 9000
    assert kinds["Pulse Artifact/R"] == 745
    table = read_events(realdata / NODDI)
    starts = table[table["trial_type"] == "Scanner/Scan Start"]["onset"]
    assert np.median(np.diff(starts)) == pytest.approx(2.16, abs=0.004)
    with pytest.raises(CorruptFileError, match="data file"):
        read((realdata / NODDI).with_suffix(".vhdr"))


def test_motion_of_a_real_run_is_regressed_out(realdata):
    from nilearn.maskers import NiftiMasker

    image, mask = (
        realdata / RUN / "bold_25mm.nii.gz",
        realdata / HAXBY / "masks/25mm/gray.nii.gz",
    )
    motion = realdata / RUN / "bold_moest.txt"
    rec = read(image, mask=mask, confounds=motion)
    masker = NiftiMasker(str(mask), standardize=None)
    wanted = masker.fit_transform(str(image), confounds=np.loadtxt(motion))
    np.testing.assert_allclose(rec.signal.values, wanted, atol=1e-2)


def test_reduced_set_loads_as_arrays_with_dims(realdata):
    folder = realdata / "eeg_fmri/cmtf_one_subject"
    power = read_arrays(folder / "eeg.mat", {"S": ("channel", "freq", "time")})
    assert power.S.shape == (31, 51, 38)
    assert float(power.S.min()) >= 0
    field = read_arrays(folder / "LeadField.mat", {"K": ("channel", "vertex")})
    assert field.K.shape == (31, 5124)
    with pytest.raises(ShapeError, match="3 different names"):
        read_arrays(folder / "eeg.mat", {"S": ("channel", "time")})


def test_worm_names_out_of_the_file(realdata):
    rec = read(
        realdata / "calcium/worm_wormwideweb_one/traces.npz",
        modality="calcium",
        units="zscore",
    )
    assert rec.signal.shape == (1600, 98)
    pair = rec.signal.sel(neuron=["AVAL", "AVAR"]).values
    assert np.corrcoef(pair.T)[0, 1] == pytest.approx(0.97, abs=0.01)


def test_real_spike_times_are_kept(realdata):
    rec = read(
        realdata / "spikes/rat_ca1_linear_track/spikes.mat",
        modality="spikes",
        bin_width=1.0,
    )
    sizes = [len(t) for t in spike_times(rec)]
    assert (min(sizes), max(sizes)) == (41, 7959)
    assert rec.spike_time.values.min() > 4397
    taps = read(
        realdata / "spikes/rat_motor_cortex_taps/motor_ctx_data.npz",
        modality="spikes",
        bin_width=0.02,
        time_units="ms",
    )
    assert taps.sizes["spike"] == 648_889
    assert int(taps.epoch.max()) == 1265
