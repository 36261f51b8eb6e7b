"""Windows of several runs: what each model reads, whatever way the data came."""

import numpy as np
import pytest

from neuroana.core.errors import SchemaError, ShapeError, UnitError
from neuroana.core.recording import from_array
from neuroana.eeg2fmri import as_windows, pair, simulate_eeg_fmri
from neuroana.eeg2fmri.montages import known_names, place_of, spline_matrix
from neuroana.eeg2fmri.windows import index_of


RATE, TR = 200.0, 2.1


def run_of(n_volumes=50, rate=RATE, seed=0, names=("C3", "CZ", "OZ", "PZ"), **coords):
    rng = np.random.default_rng(seed)
    eeg = from_array(
        2e-5 * rng.standard_normal((round(n_volumes * TR * rate), len(names))),
        "eeg", sampling_rate=rate, names=names, attrs={"subject": f"{seed:02d}"},
        coords=coords,
    )  # fmt: skip
    bold = from_array(
        rng.standard_normal((n_volumes, 3)), "fmri", sampling_rate=1 / TR,
        names=list("abc"), dim="roi", attrs={"subject": f"{seed:02d}"},
    )  # fmt: skip
    return pair(eeg, bold)


def test_a_channel_that_is_missing_throughout_is_named_and_costs_no_window():
    run = run_of()
    run["eeg"]["signal"][:, 1] = np.nan
    index = index_of(run)
    assert (len(index.starts), index.n_masked, index.null_channels) == (42, 0, ("CZ",))
    windows = as_windows(run)
    assert not windows.windows()[:, 1].any()
    assert windows.windows()[:, 0].any()


def test_a_flat_channel_is_null_like_a_missing_one():
    run = run_of()
    run["eeg"]["signal"][:, 2] = 1e-5
    assert index_of(run).null_channels == ("OZ",)


def test_a_channel_that_drops_out_for_a_moment_costs_its_windows_only():
    run = run_of(200)
    run["eeg"]["signal"][20_000:21_000, 0] = np.nan  # 5 s of 16 s
    index = index_of(run)
    assert index.null_channels == ()
    assert 0 < index.n_masked < 12
    ends = index.starts + index.n_samples
    inside = np.minimum(ends, 21_000) - np.maximum(index.starts, 20_000)
    assert inside.max() <= 0.2 * index.n_samples


def test_a_channel_marked_bad_is_null():
    run = run_of(bad=[False, True, False, False])
    assert index_of(run).null_channels == ("CZ",)


def test_all_channels_null_is_an_error():
    run = run_of()
    run["eeg"]["signal"][:] = np.nan
    with pytest.raises(SchemaError, match="null channels"):
        index_of(run)


def test_other_rates_are_resampled_and_windows_stay_before_their_volumes():
    windows = as_windows(run_of(rate=250.0))
    assert windows.shape == (42, 4, 3200)
    gap = windows.table["time"] - windows.table["end"]
    assert gap.abs().max() <= 1 / RATE + 1e-9


def test_channels_are_shared_by_name_in_the_order_of_the_first_run():
    runs = [run_of(), run_of(seed=1, names=("PZ", "OZ", "C3", "FZ"))]
    windows = as_windows(runs)
    assert windows.channels == ("C3", "OZ", "PZ")
    own = runs[1]["eeg"].signal.sel(channel="C3").values
    assert windows.runs[1].signal[:, 0] == pytest.approx(own)


def test_channels_that_are_no_eeg_are_left_out_by_type():
    run = run_of(ch_type=["eeg", "eeg", "ecg", "eeg"])
    assert as_windows(run).channels == ("C3", "CZ", "PZ")


def test_other_regions_name_the_first_difference():
    other = run_of(seed=1)
    other["bold"] = other["bold"].to_dataset().assign_coords(roi=["a", "x", "c"])
    with pytest.raises(SchemaError, match=r"\['b'\] at 1"):
        as_windows([run_of(), other])


def test_a_region_that_one_run_has_lost_is_missing_there():
    flat = run_of(seed=1)
    bold = flat["bold"].to_dataset()
    bold["signal"][:, 1] = 2.0
    windows = as_windows([run_of(), pair(flat["eeg"].to_dataset(), bold)])
    assert windows.rois == ("a", "b", "c")
    assert np.isnan(windows.y[42:, 1]).all()
    assert np.isfinite(windows.y[:42]).all()


def test_parts_share_recordings_and_computed_features():
    windows = as_windows(run_of())
    part = windows[np.arange(10, 20)]
    assert part.runs[0].cache is windows.runs[0].cache
    assert (part.windows() == windows.windows(slice(10, 20))).all()
    assert (windows[windows.times > 50].times > 50).all()


def test_an_array_of_windows_needs_names_and_volts():
    X = 2e-5 * np.random.default_rng(0).standard_normal((6, 4, 3200))
    names = ["C3", "CZ", "OZ", "PZ"]
    windows = as_windows(X, np.arange(6.0), channel_names=names)
    assert windows.windows() == pytest.approx(
        1e4 * (X - X.mean(-1, keepdims=True)), abs=1e-5
    )
    assert windows.y[:, 0].tolist() == list(range(6))
    with pytest.raises(SchemaError, match="channel_names"):
        as_windows(X, np.arange(6.0))
    with pytest.raises(UnitError):
        as_windows(X * 1e6, np.arange(6.0), channel_names=names)
    with pytest.raises(ShapeError, match="6 windows"):
        as_windows(X, np.arange(5.0), channel_names=names)


def test_paper_mode_scales_over_the_whole_run_and_says_so():
    windows = as_windows(run_of(), paper_mode=True)
    assert windows.paper
    assert np.percentile(np.abs(windows.runs[0].targets), 95, axis=0) == pytest.approx(
        1
    )
    gap = run_of()
    gap["bold"]["signal"][3, 1] = np.nan
    with pytest.raises(SchemaError, match="paper mode"):
        as_windows(gap, paper_mode=True)


def test_unknown_channels_are_refused_or_take_the_nearest_free_electrode():
    with pytest.raises(SchemaError, match="nearest known"):
        known_names(["C3", "CZ", "OZ", "E17"])
    places = place_of(["C3", "CZ", "OZ", "POZ"]) + 3.0
    names, how = known_names(
        ["C3", "CZ", "OZ", "E17"], places, on_unknown="interpolate"
    )
    assert names[3] == "POZ"
    assert how[3].startswith("place, 5")
    with pytest.raises(SchemaError, match="within 20 mm"):
        known_names(["C3", "E17"], np.full((2, 3), 300.0), on_unknown="interpolate")


def test_spline_interpolation_restores_a_smooth_field():
    names = ["FP1", "FP2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "FZ", "PZ"]
    places, target = place_of(names), place_of(["CZ"])
    matrix = spline_matrix(names, places, ["CZ"])
    field = places @ [0.3, 1.0, 0.2]
    assert matrix @ field == pytest.approx(target @ [0.3, 1.0, 0.2], abs=8.0)


def test_simulated_runs_are_windows_of_every_person():
    runs, _ = simulate_eeg_fmri(2, 2, n_volumes=50, channels=["OZ"], random_state=0)
    windows = as_windows(runs)
    assert windows.table.groupby(["subject", "run"]).size().tolist() == [42] * 4


def test_a_couple_of_recordings_is_paired_on_the_way():
    run = run_of()
    couple = (run["eeg"].to_dataset(), run["bold"].to_dataset())
    assert len(as_windows(couple)) == len(as_windows([couple])) == 42
    with pytest.raises(SchemaError, match="subject"):
        as_windows((couple[0], couple[1].assign_attrs(subject="7")))
