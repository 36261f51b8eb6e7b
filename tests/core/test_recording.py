import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroana.core.contract import check, good_spans, rate_of, same_clock
from neuroana.core.errors import ParameterError, SchemaError, ShapeError, UnitError
from neuroana.core.recording import clock, events_of, from_array, with_events


@pytest.fixture
def eeg():
    rng = np.random.default_rng(0)
    return from_array(
        2e-5 * rng.standard_normal((200, 3)),
        "eeg",
        sampling_rate=100.0,
        names=["Fp1", "Cz", "Oz"],
        attrs={"subject": "01", "task": "rest"},
    )


def test_from_array_keeps_names_units_and_clock(eeg):
    assert eeg.signal.dims == ("time", "channel")
    assert eeg.channel.values.tolist() == ["Fp1", "Cz", "Oz"]
    assert eeg.signal.attrs["units"] == "V"
    assert eeg.time.values[-1] == pytest.approx(1.99)


def test_from_array_asks_for_a_rate():
    with pytest.raises(ParameterError, match="sampling_rate"):
        from_array(np.zeros((3, 2)), "eeg")


def test_from_array_names_the_nearest_modality():
    with pytest.raises(ParameterError, match="Did you mean 'calcium'"):
        from_array(np.zeros((3, 2)), "calcum", sampling_rate=1.0)


def test_from_array_refuses_a_single_row_of_samples():
    with pytest.raises(ShapeError, match="one sample in a row"):
        from_array(np.zeros(3), "eeg", sampling_rate=1.0)


def test_from_array_counts_names():
    with pytest.raises(ShapeError, match="2 entries"):
        from_array(np.zeros((3, 2)), "eeg", sampling_rate=1.0, names=["a"])


def test_check_refuses_a_clock_that_goes_back(eeg):
    time = eeg.time.values.copy()
    time[10] = time[8]
    with pytest.raises(SchemaError, match="strictly increasing"):
        check(eeg.assign_coords(time=time))


def test_check_compares_rate_with_clock(eeg):
    with pytest.raises(SchemaError, match="100 Hz, as 'time' says"):
        check(eeg.assign_attrs(sampling_rate=128.0))


def test_check_names_double_labels(eeg):
    with pytest.raises(SchemaError, match="'Cz'"):
        check(eeg.assign_coords(channel=["Fp1", "Cz", "Cz"]))


def test_check_refuses_microvolts_by_name(eeg):
    eeg.signal.attrs["units"] = "uV"
    with pytest.raises(UnitError, match="unit V or 1"):
        check(eeg)


def test_check_refuses_microvolts_by_size(eeg):
    eeg["signal"] = (eeg.signal * 1e6).assign_attrs(eeg.signal.attrs)
    check(eeg)
    with pytest.raises(UnitError, match="standard deviation"):
        check(eeg, values=True)


def test_check_ignores_the_size_of_channels_that_are_not_on_the_head(eeg):
    eeg = eeg.assign_coords(ch_type=("channel", ["eeg", "eeg", "misc"]))
    eeg.signal[:, 2] *= 1e9
    assert check(eeg, values=True) is eeg


def test_check_finds_the_infinite_sample(eeg):
    eeg.signal[7, 1] = np.inf
    with pytest.raises(SchemaError, match="sample 7, channel Cz"):
        check(eeg, values=True)


def test_check_refuses_negative_counts():
    rec = from_array(np.array([[1.0, -1.0]] * 3), "spikes", sampling_rate=10.0)
    with pytest.raises(SchemaError, match=">= 0"):
        check(rec, values=True)


def test_check_refuses_attributes_that_netcdf_cannot_hold(eeg):
    with pytest.raises(SchemaError, match="'info'"):
        check(eeg.assign_attrs(info={"a": 1}))


def test_check_refuses_what_is_no_recording():
    with pytest.raises(SchemaError, match=r"neuroana\.read"):
        check(xr.Dataset({"a": 1}))


def test_check_passes_over_excluded_samples(eeg):
    good = np.ones(200, bool)
    good[:50] = False
    eeg = eeg.assign_coords(good=("time", good))
    eeg.signal[:50] *= 1e9
    assert check(eeg, values=True) is eeg


def test_events_round_trip_and_fill_missing_columns(eeg):
    table = pd.DataFrame({"onset": [0.1, 0.5], "value": [3, 4]})
    back = events_of(with_events(eeg, table))
    assert back["onset"].tolist() == [0.1, 0.5]
    assert back["trial_type"].tolist() == ["n/a", "n/a"]
    assert back["value"].tolist() == [3, 4]


def test_events_ask_for_onsets(eeg):
    with pytest.raises(SchemaError, match="'onset'"):
        with_events(eeg, pd.DataFrame({"time": [1.0]}))


def test_clocks_of_the_same_rate_are_bit_equal():
    assert (clock(10, 3.0) == clock(20, 3.0)[:10]).all()


def test_rate_of_sees_through_rounded_stamps():
    stamps = np.round(np.arange(30732) / 256.0, 3)
    assert 1 / np.median(np.diff(stamps)) == pytest.approx(250.0)
    assert rate_of(stamps) == 256.0


def test_same_clock_tolerates_a_hundredth_of_a_sample(eeg):
    same_clock(eeg, eeg.assign_coords(time=eeg.time + 5e-5))
    with pytest.raises(SchemaError, match="the same clock"):
        same_clock(eeg, eeg.assign_coords(time=eeg.time + 5e-3))


def test_good_spans_are_the_runs_of_true():
    assert good_spans(np.array([0, 1, 1, 0, 1], bool)) == [(1, 3), (4, 5)]
    assert good_spans(np.zeros(3, bool)) == []
