"""Every kind of bad input meets a clear error or a stated rule.

Rows whose behaviour another file tests at length are touched here once, from the door
that a user takes.
"""

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from neuroana.core.errors import (
    CorruptFileError,
    NeuroanaError,
    ParameterError,
    SchemaError,
    ShapeError,
    UnitError,
)
from neuroana.eeg2fmri import (
    BandPowerRidge,
    EEGToFMRI,
    NeuroBOLT,
    NeuroBOLTConfig,
    as_windows,
    audit_triggers,
    compare_models,
    match_runs,
    pair,
    region_statistics,
    simulate_eeg_fmri,
)
from neuroana.eeg2fmri.triggers import TriggerError
from neuroana.learn import read_weights
from neuroana.learn.electrodes import electrode_rows
from neuroana.learn.splits import LeakageError


CHANNELS = ("FZ", "CZ", "C3", "OZ")
RATE = 200.0


@functools.cache
def drawn():
    return simulate_eeg_fmri(2, n_volumes=80, channels=CHANNELS, random_state=0)[0]


@pytest.fixture
def runs():
    return [run.copy(deep=True) for run in drawn()]


def recordings(run):
    return run["eeg"].to_dataset(), run["bold"].to_dataset()


def renamed(run, channels=None, rois=None):
    """A run under other names of channels or regions."""
    eeg, bold = recordings(run)
    eeg = eeg if channels is None else eeg.assign_coords(channel=channels)
    bold = bold if rois is None else bold.assign_coords(roi=rois)
    return xr.DataTree.from_dict({"/eeg": eeg, "/bold": bold})


def network():
    config = NeuroBOLTConfig.small(n_regions=2, channels=CHANNELS)
    return NeuroBOLT(config).eval()


def triggers(n=100, tr=2.1):
    return pd.DataFrame({"onset": np.arange(n) * tr, "trial_type": "R149"})


# --- units, rates, names -----------------------------------------------------------


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_eeg_in_another_unit_names_the_unit_and_the_factor(runs, factor):
    runs[0]["eeg"]["signal"][:] *= factor
    with pytest.raises(UnitError, match=r"1e-07 to 0\.001.*multiply by"):
        BandPowerRidge().fit(runs)


def test_eeg_that_says_microvolt_is_refused_whatever_its_values(runs):
    runs[0]["eeg"]["signal"].attrs["units"] = "uV"
    with pytest.raises(UnitError, match="'uV'"):
        as_windows(runs)


def test_the_network_refuses_windows_at_another_rate():
    with pytest.raises(ShapeError, match="3200"):
        network()(torch.zeros(1, len(CHANNELS), 4000))


def test_the_estimator_resamples_other_rates(runs):
    slow = simulate_eeg_fmri(
        1, n_volumes=40, channels=CHANNELS, sampling_rate=250.0, random_state=0
    )[0]
    windows = as_windows(slow)
    assert windows.shape[2] == round(16 * RATE)


def test_unknown_channel_names_come_with_three_that_are_near(runs):
    odd = [renamed(run, ["FZ", "CZ", "C3", "O0Z"]) for run in runs]
    with pytest.raises(SchemaError, match="nearest known") as caught:
        EEGToFMRI.small(dim=16, depth=1, epochs=1).fit(odd)
    assert "OZ" in str(caught.value)


def test_channel_names_that_come_twice_are_refused(runs):
    with pytest.raises(SchemaError, match="C3"):
        as_windows(renamed(runs[0], ["FZ", "CZ", "C3", "C3"]))


def test_fewer_than_four_known_channels_are_no_montage():
    with pytest.raises(SchemaError, match="4"):
        electrode_rows(["FZ", "CZ", "OZ"])


def test_channels_in_another_order_change_nothing(runs):
    model = BandPowerRidge().fit(runs[:1])
    eeg, bold = recordings(runs[1])
    turned = {"/eeg": eeg.isel(channel=[3, 1, 0, 2]), "/bold": bold}
    np.testing.assert_allclose(
        model.predict(xr.DataTree.from_dict(turned)), model.predict(runs[1]),
        rtol=1e-5, atol=1e-7,
    )  # fmt: skip


def test_an_array_without_names_is_refused(runs):
    X = 1e-5 * np.random.default_rng(0).standard_normal((12, 4, 3200))
    with pytest.raises(SchemaError, match="channel_names"):
        BandPowerRidge().fit(X, np.zeros((12, 1)))


# --- samples and volumes -----------------------------------------------------------


def test_a_flat_channel_is_named_and_costs_no_window(runs):
    runs[0]["eeg"]["signal"][:, 2] = 0.0
    windows = as_windows(runs[0])
    assert windows.runs[0].null_channels == ("C3",)
    assert len(windows) == len(as_windows(drawn()[0]))


def test_windows_with_a_fifth_missing_are_left_out_and_counted(runs):
    runs[0]["eeg"]["signal"][5000 : 5000 + round(0.25 * 3200)] = np.nan
    windows = as_windows(runs[0])
    assert windows.runs[0].n_masked > 0
    assert len(windows) + windows.runs[0].n_masked == len(as_windows(drawn()[0]))


def test_a_recording_without_any_signal_is_an_error(runs):
    runs[0]["eeg"]["signal"][:] = np.nan
    with pytest.raises(SchemaError):
        as_windows(runs[0])


def test_volumes_before_the_first_full_window_are_counted(runs):
    windows = as_windows(runs[0])
    assert windows.runs[0].n_early == 8  # 16 s at a TR of 2.1 s


def test_volumes_after_the_end_of_the_eeg_are_counted(runs):
    eeg, bold = recordings(runs[0])
    short = pair(eeg.isel(time=slice(0, round(100 * RATE))), bold)
    windows = as_windows(short)
    assert windows.runs[0].n_late == 80 - np.floor(100 / 2.1) - 1
    assert windows.runs[0].times[windows.volumes].max() <= 100.0 + 1 / RATE


def test_eeg_and_bold_that_never_meet_are_an_error(runs):
    eeg, bold = recordings(runs[0])
    late = bold.assign_coords(time=bold["time"] + 1e4)
    with pytest.raises(SchemaError, match="one clock"):
        as_windows(pair(eeg, late))


# --- triggers ----------------------------------------------------------------------


def test_one_missing_trigger_is_put_back_and_reported():
    table = triggers().drop(index=40)
    found = audit_triggers(table, "R149", sampling_rate=RATE, n_volumes=100)
    assert found.restored == (40,)
    assert found.onsets[40] == pytest.approx(84.0)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (triggers(90), "100 volumes"),
        (triggers(110), "100 volumes"),
        (triggers().drop(index=range(40, 50)), "missing"),
        (pd.concat([triggers(), triggers().iloc[30:31]]), "doubled"),
        (triggers().assign(onset=lambda t: t.onset + 0.03 * (t.index == 50)), "105"),
    ],
)
def test_bad_triggers_are_refused(table, said):
    with pytest.raises(TriggerError, match=said):
        audit_triggers(table, "R149", sampling_rate=RATE, n_volumes=100)


def test_another_tr_in_the_header_is_refused_with_both():
    with pytest.raises(TriggerError, match=r"2 s.*2\.1"):
        audit_triggers(triggers(), "R149", sampling_rate=RATE, tr=2.0)


# --- BOLD --------------------------------------------------------------------------


def test_a_short_bold_table_is_refused(runs):
    eeg, bold = recordings(runs[0])
    with pytest.raises(SchemaError, match="38 volumes"):
        pair(eeg, bold.isel(time=slice(0, 37)))


def test_missing_targets_do_not_change_what_is_learned_from_others(runs):
    windows = as_windows(runs)
    y = windows.y.copy()
    y[10:20] = np.nan
    kept = np.setdiff1d(np.arange(len(windows)), np.arange(10, 20))
    a = BandPowerRidge(alphas=[10.0]).fit(windows, y)
    b = BandPowerRidge(alphas=[10.0]).fit(windows[kept])
    np.testing.assert_allclose(a.coef_, b.coef_, atol=1e-8)


def test_missing_targets_do_not_reach_the_loss():
    from neuroana.learn.losses import make_loss

    y = torch.tensor([[1.0, 2.0], [float("nan"), 4.0]])
    made = torch.zeros(2, 2, requires_grad=True)
    loss = make_loss("mse", y)(made, y, 0)
    loss.backward()
    assert torch.isfinite(loss)
    assert made.grad[1, 0] == 0.0


def test_constant_and_empty_regions_are_dropped_with_a_record(runs):
    eeg, bold = recordings(runs[0])
    bold["signal"][:, 1], bold["signal"][:, 2] = 3.0, np.nan
    run = pair(eeg, bold)
    assert run["bold"].attrs["dropped_regions"] == ["difference", "signflip"]


def test_bold_without_a_region_that_varies_is_an_error(runs):
    eeg, bold = recordings(runs[0])
    bold["signal"][:] = 1.0
    with pytest.raises(SchemaError, match="varies"):
        pair(eeg, bold)


def test_regions_of_another_atlas_name_the_first_difference(runs):
    model = BandPowerRidge().fit(runs[:1])
    other = renamed(runs[1], rois=["alpha", "other", "signflip", "mu"])
    with pytest.raises(SchemaError, match="difference"):
        model.predict(other)


# --- who is tested -----------------------------------------------------------------


def test_a_run_in_training_and_validation_is_refused(runs):
    with pytest.raises(LeakageError):
        BandPowerRidge().fit(runs, validation=runs[1:])


def test_a_run_that_trained_the_model_is_refused_as_a_test(runs):
    model = BandPowerRidge().fit(runs)
    with pytest.raises(LeakageError):
        model.refuse_seen(runs[1])


def test_no_protocol_tests_closer_than_the_window(runs):
    with pytest.raises(LeakageError, match="share no EEG"):
        compare_models(runs, BandPowerRidge(), n_splits=2, gap=5.0)


def test_few_volumes_are_not_testable():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((25, 1))
    ds = xr.Dataset(
        {
            "prediction": (("model", "volume", "roi"), truth[None]),
            "truth": (("volume", "roi"), truth),
        },
        coords={
            "model": ["m"], "roi": ["a"], "fold": ("volume", [0] * 25),
            "label": ("volume", ["x"] * 25), "subject": ("volume", ["1"] * 25),
        },
    )  # fmt: skip
    table = region_statistics(ds, n_surrogates=19)
    assert table[["p_phase", "p_family", "q", "p_bartlett"]].isna().all(axis=None)


def test_recordings_of_different_sessions_are_refused(runs):
    eeg, bold = recordings(runs[0])
    with pytest.raises(SchemaError, match="session '01' and '02'"):
        pair(eeg.assign_attrs(session="01"), bold.assign_attrs(session="02"))
    tables = (
        pd.DataFrame({"subject": ["1"], "session": ["a"]}),
        pd.DataFrame({"subject": ["1"]}),
    )
    with pytest.raises(SchemaError, match="different sessions"):
        match_runs(*tables)


def test_bad_spans_are_masked_and_no_sample_is_deleted(runs):
    eeg = runs[0]["eeg"].to_dataset()
    good = np.ones(eeg.sizes["time"], dtype=bool)
    good[5000:6000] = False
    runs[0]["eeg"] = runs[0]["eeg"].assign(eeg.assign_coords(good=("time", good)))
    windows = as_windows(runs[0])
    assert len(windows.runs[0].signal) == eeg.sizes["time"]
    assert windows.runs[0].n_masked > 0


# --- files -------------------------------------------------------------------------


class Foreign:
    """Something that a file of weights has no business with."""


def test_pickled_tables_and_weights_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"model": Foreign()}, path)
    with pytest.raises(SchemaError, match="other classes"):
        read_weights(path)
    from neuroana import read

    table = tmp_path / "bold.pkl"
    table.write_bytes(pickle.dumps(pd.DataFrame({"a": [1.0]})))
    with pytest.raises((NeuroanaError, ValueError)):
        read(table)


def test_a_checkpoint_of_another_network_is_refused_with_shapes(tmp_path, runs):
    from safetensors.torch import save_file

    other = NeuroBOLT(NeuroBOLTConfig.small(n_regions=4, channels=CHANNELS))
    state = {
        k: v[..., :3].contiguous() for k, v in other.state_dict().items() if v.ndim
    }
    save_file(state, tmp_path / "w.safetensors")
    model = EEGToFMRI.small(
        epochs=1, init="neurobolt", weights=tmp_path / "w.safetensors"
    )
    with pytest.raises(SchemaError, match="95 %"):
        model.fit(runs)


def test_a_broken_model_file_is_corrupt(tmp_path, runs):
    path = tmp_path / "model.nc"
    BandPowerRidge().fit(runs).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CorruptFileError, match=r"model\.nc"):
        BandPowerRidge.load(path)


def test_arrays_of_the_wrong_shape_are_refused(runs):
    with pytest.raises(ShapeError, match="one row"):
        BandPowerRidge().fit(runs, np.zeros((3, 1)))
    with pytest.raises(ParameterError, match="bands"):
        BandPowerRidge(bands={"narrow": (8.5, 9.0)}).fit(runs)
