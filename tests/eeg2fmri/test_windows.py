"""Windows are an index; pairing keeps one clock; scales see the training part only."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroana.core.errors import SchemaError, UnitError
from neuroana.core.recording import from_array, with_events
from neuroana.eeg2fmri import TargetScale, match_runs, pair, window_index
from neuroana.eeg2fmri.targets import published_targets
from neuroana.eeg2fmri.windows import batches, gather, index_of, signal_in_volts


RATE, TR = 200.0, 2.1


def recordings(n_volumes=50, start=0.0, **bold_attrs):
    rng = np.random.default_rng(0)
    eeg = from_array(
        2e-5 * rng.standard_normal((round((n_volumes * TR + start) * RATE), 3)),
        "eeg", sampling_rate=RATE, names=["C3", "CZ", "OZ"], attrs={"subject": "01"},
    )  # fmt: skip
    bold = from_array(
        rng.standard_normal((n_volumes, 4)), "fmri", sampling_rate=1 / TR,
        names=list("abcd"), dim="roi", attrs={"subject": "01", **bold_attrs},
    )  # fmt: skip
    onsets = start + TR * np.arange(n_volumes)
    events = pd.DataFrame({"onset": onsets, "duration": 0.0, "trial_type": "R149"})
    return with_events(eeg, events), bold


def test_window_ends_one_sample_before_its_volume():
    eeg, bold = recordings()
    index = index_of(pair(eeg, bold))
    ends = eeg.time.values[index.starts + index.n_samples - 1]
    assert bold.time.values[index.volumes] - ends == pytest.approx(1 / RATE, abs=1e-9)
    assert (index.n_early, index.n_late, index.n_masked) == (8, 0, 0)


def test_volumes_after_the_eeg_are_counted():
    index = window_index(np.arange(50) * TR, np.arange(80 * 200) / RATE)
    assert (index.n_early, index.n_late) == (8, 50 - 39)
    with pytest.raises(SchemaError, match="one clock"):
        window_index(np.arange(50) * TR + 500.0, np.arange(80 * 200) / RATE)


def test_window_equals_the_copied_slice_and_shares_memory_until_gathered():
    signal = np.random.default_rng(0).standard_normal((1000, 3)).astype(np.float32)
    windows = gather(signal, np.array([3, 500]), 200)
    assert (windows[1] == signal[500:700].T).all()
    assert windows.dtype == np.float32


def test_batches_hold_only_a_batch_without_means():
    eeg, bold = recordings()
    index = index_of(pair(eeg, bold))
    made = list(batches(signal_in_volts(eeg), index, size=16))
    assert [len(b) for b in made] == [16, 16, 10]
    assert np.abs(made[0].mean(axis=-1)).max() < 1e-6
    assert made[0].std() == pytest.approx(0.2, rel=0.05)


def test_masked_windows_are_left_out_and_counted():
    eeg, bold = recordings()
    good = np.ones(eeg.sizes["time"], dtype=bool)
    good[8000:9000] = False  # 5 s of 16 s
    index = index_of(pair(eeg.assign_coords(good=("time", good)), bold))
    assert index.n_masked > 0
    assert len(index.starts) == 42 - index.n_masked


def test_missing_samples_within_a_window_become_its_mean():
    eeg, bold = recordings()
    eeg["signal"][8000:8100] = np.nan
    run = pair(eeg, bold)
    index = index_of(run)
    assert index.n_masked == 0
    assert all(np.isfinite(b).all() for b in batches(run["eeg"].signal.values, index))


def test_microvolts_called_volts_are_refused():
    eeg, _ = recordings()
    eeg["signal"] = (eeg["signal"] * 1e6).assign_attrs(eeg["signal"].attrs)
    with pytest.raises(UnitError, match="multiply by 1e-6"):
        signal_in_volts(eeg)


def test_pairing_puts_volumes_on_the_triggers():
    eeg, bold = recordings(start=5.0)
    run = pair(eeg, bold, trigger="R149")
    assert run["bold"].time.values == pytest.approx(5.0 + TR * np.arange(50))
    late = pair(eeg, bold, trigger="R149", offset="middle")
    assert (late["bold"].time - run["bold"].time.values).values == pytest.approx(TR / 2)
    assert isinstance(run, xr.DataTree)


def test_pairing_two_people_is_refused():
    eeg, bold = recordings()
    with pytest.raises(SchemaError, match="subject '01' and '02'"):
        pair(eeg, bold.assign_attrs(subject="02"))


def test_short_series_is_refused():
    eeg, bold = recordings(n_volumes=37)
    with pytest.raises(SchemaError, match="at least 38 volumes"):
        pair(eeg, bold)


def test_constant_and_empty_regions_are_dropped_by_name():
    eeg, bold = recordings()
    bold["signal"][:, 1] = 3.0
    bold["signal"][:, 2] = np.nan
    run = pair(eeg, bold)
    assert run["bold"].roi.values.tolist() == ["a", "d"]
    assert run["bold"].attrs["dropped_regions"] == ["b", "c"]


def test_runs_are_matched_by_entities_before_loading():
    eeg = pd.DataFrame({"subject": ["1", "1", "2"], "run": ["1", "1", "1"]})
    bold = pd.DataFrame({"subject": ["1", "2", "3"], "run": ["1", "1", "1"]})
    assert match_runs(eeg, bold)["status"].tolist() == [
        "ambiguous",
        "matched",
        "no eeg",
    ]
    with pytest.raises(SchemaError, match="different sessions"):
        match_runs(eeg.assign(session="a"), bold)


def test_scale_of_targets_does_not_see_the_test_part():
    rng = np.random.default_rng(0)
    train = [rng.standard_normal((40, 2)), rng.standard_normal((30, 2)) + 1]
    scale = TargetScale.fit(train)
    together = scale.apply(np.concatenate(train))
    assert together.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert np.percentile(np.abs(together), 95, axis=0) == pytest.approx(1)
    far = rng.standard_normal((10, 2)) * 100
    assert scale.undo(scale.apply(far)) == pytest.approx(far)


def test_published_targets_are_scaled_over_the_scan():
    x = np.random.default_rng(0).standard_normal((300, 2)) + 5
    y = published_targets(x, TR)
    assert np.percentile(np.abs(y), 95, axis=0) == pytest.approx(1)
    assert (
        np.corrcoef(y[:-1, 0], y[1:, 0])[0, 1] > np.corrcoef(x[:-1, 0], x[1:, 0])[0, 1]
    )
