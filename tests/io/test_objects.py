"""Objects of pynapple and Neo (the real packages) and SpikeInterface (stand-ins).

SpikeInterface asks for another zarr than the package does, so it cannot stand in the
same environment; the stand-ins have the methods that are used, no more.
"""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroana.core.contract import good_samples
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.recording import events_of, from_array
from neuroana.io import (
    bin_spikes,
    from_neo,
    from_pynapple,
    from_spikeinterface,
    spike_times,
    to_pynapple,
)


RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def nap():
    return pytest.importorskip("pynapple")


def test_spikes_there_and_back(nap):
    times = [np.sort(RNG.uniform(0, 5, n)).round(6) for n in (30, 0, 8)]
    rec = bin_spikes(
        times, 0.25, start=0.0, stop=5.0, names=[3, 5, 9], coords={"area": list("abb")}
    )
    back = from_pynapple(to_pynapple(rec), bin_width=0.25)
    xr.testing.assert_identical(back.signal, rec.signal)
    for mine, other in zip(spike_times(rec), spike_times(back)):
        np.testing.assert_allclose(mine, other, atol=1e-9)


def test_signal_with_a_gap_there_and_back(nap):
    good = np.ones(60, bool)
    good[20:30] = False
    rec = from_array(
        RNG.normal(size=(60, 2)),
        "calcium",
        sampling_rate=7.5,
        start=0.4,
        names=["a", "b"],
        coords={"depth": [1.0, 2.0]},
        good=good,
    )
    frame = to_pynapple(rec)
    assert len(frame) == 50
    assert len(frame.time_support) == 2
    back = from_pynapple(frame, modality="calcium")
    np.testing.assert_allclose(back.time, rec.time, atol=1e-9)
    assert (good_samples(back) == good).all()
    np.testing.assert_array_equal(back.signal.values[good], rec.signal.values[good])
    assert np.isnan(back.signal.values[~good]).all()
    assert back.depth.values.tolist() == [1.0, 2.0]
    assert back.attrs["sampling_rate"] == 7.5


def test_jittering_times_are_kept(nap):
    stamps = np.cumsum(RNG.uniform(0.4, 0.6, 40))
    rec = from_pynapple(nap.Tsd(t=stamps, d=RNG.normal(size=40)), modality="calcium")
    assert rec.attrs["irregular"] == 1
    np.testing.assert_allclose(rec.time, stamps, atol=1e-9)


def test_intervals_become_events_and_spans(nap):
    group = nap.TsGroup({0: nap.Ts(np.arange(0, 10, 0.1))})
    spans = nap.IntervalSet([0, 5], [2, 8], metadata={"trial_type": ["run", "rest"]})
    rec = from_pynapple(group.restrict(spans), bin_width=1.0, events=spans)
    assert good_samples(rec).tolist() == [*[True] * 2, *[False] * 3, *[True] * 3]
    table = events_of(rec)
    assert table["trial_type"].tolist() == ["run", "rest"]
    assert table["duration"].tolist() == [2.0, 3.0]


def test_what_pynapple_objects_do_not_say_is_asked_for(nap):
    group = nap.TsGroup({0: nap.Ts([0.1, 0.3])})
    with pytest.raises(ParameterError, match="bin_width"):
        from_pynapple(group)
    with pytest.raises(ParameterError, match="modality="):
        from_pynapple(nap.Tsd(t=[0.0, 1.0], d=[1.0, 2.0]))
    with pytest.raises(ParameterError, match="Ts"):
        from_pynapple(nap.Ts([0.1]), modality="spikes")


@pytest.fixture(scope="module")
def segment():
    neo = pytest.importorskip("neo")
    pq = pytest.importorskip("quantities")
    made = neo.Segment()
    made.analogsignals.append(
        neo.AnalogSignal(
            np.arange(20.0).reshape(10, 2),
            units="uV",
            sampling_rate=1 * pq.kHz,
            t_start=500 * pq.ms,
            array_annotations={"channel_names": ["a", "b"]},
        )
    )
    for name, times in (("u1", [100, 600]), ("u2", [1400])):
        made.spiketrains.append(
            neo.SpikeTrain(times * pq.ms, t_stop=1.5 * pq.s, name=name)
        )
    made.events.append(neo.Event(times=[1.0] * pq.s, labels=np.array(["go"])))
    made.epochs.append(
        neo.Epoch([0.5] * pq.s, durations=[200] * pq.ms, labels=np.array(["hold"]))
    )
    return made


def test_neo_signal_becomes_volts(segment):
    rec = from_neo(segment)
    assert rec.attrs["modality"] == "ieeg"
    assert rec.channel.values.tolist() == ["a", "b"]
    np.testing.assert_allclose(rec.signal, np.arange(20.0).reshape(10, 2) * 1e-6)
    assert rec.time.values[:2].tolist() == [0.5, 0.501]
    table = events_of(rec)
    assert table["trial_type"].tolist() == ["hold", "go"]
    assert table["duration"].tolist() == pytest.approx([0.2, 0.0])


def test_neo_spike_trains_keep_span_and_names(segment):
    rec = from_neo(segment, bin_width=0.5)
    assert rec.neuron.values.tolist() == ["u1", "u2"]
    assert rec.signal.values.tolist() == [[1, 0], [1, 0], [0, 1]]
    assert from_neo(segment.spiketrains[1], bin_width=0.5).sizes["time"] == 3


def test_neo_units_and_segments_are_checked(segment):
    import neo
    import quantities as pq

    current = neo.AnalogSignal(np.ones((4, 1)), units="pA", sampling_rate=1 * pq.Hz)
    with pytest.raises(ParameterError, match="modality="):
        from_neo(current)
    with pytest.raises(SchemaError, match="volts"):
        from_neo(current, modality="ieeg")
    block = neo.Block()
    block.segments += [segment, neo.Segment()]
    with pytest.raises(ParameterError, match=r"segments\[i\]"):
        from_neo(block)


class StandInTraces:
    """The part of SpikeInterface's BaseRecording that is used."""

    traces = RNG.integers(-100, 100, (40, 3)).astype(np.int16)
    gains, asked = np.array([2.0, 2.0, 4.0]), 0

    def get_num_segments(self):
        return 1

    def get_channel_ids(self):
        return np.array(["c0", "c1", "c2"])

    def get_num_samples(self, segment_index):
        return len(self.traces)

    def get_sampling_frequency(self):
        return 1000.0

    def has_time_vector(self, segment_index):
        return False

    def get_times(self, segment_index):
        return np.arange(len(self.traces)) / 1000.0

    def get_channel_gains(self):
        return self.gains

    def get_channel_offsets(self):
        return None if self.gains is None else np.array([0.0, 1.0, 0.0])

    def get_property_keys(self):
        return ["area", "gain_to_uV"]

    def get_property(self, key):
        return {"area": np.array(["V1", "V1", "V2"]), "gain_to_uV": self.gains}[key]

    def get_traces(self, segment_index, start_frame, end_frame):
        self.asked += end_frame - start_frame
        return self.traces[start_frame:end_frame]


class StandInSorting:
    """The part of SpikeInterface's BaseSorting that is used."""

    unit_ids = np.array([4, 7])

    def __init__(self, n_segments=1):
        self.n_segments = n_segments
        self.trains = {4: np.array([0.1, 0.4]), 7: np.array([0.9])}

    def get_num_segments(self):
        return self.n_segments

    def get_property_keys(self):
        return ["quality"]

    def get_property(self, key):
        return np.array(["good", "mua"])

    def get_unit_spike_train(self, unit_id, segment_index, return_times):
        return self.trains[unit_id]


def test_spikeinterface_traces_are_scaled_and_lazy():
    source = StandInTraces()
    rec = from_spikeinterface(source)
    assert source.asked == 0
    wanted = (source.traces * source.gains + [0.0, 1.0, 0.0]) * 1e-6
    np.testing.assert_allclose(rec.signal[5:9, 1].values, wanted[5:9, 1])
    assert source.asked == 4
    np.testing.assert_allclose(rec.signal[::-3].values, wanted[::-3])
    np.testing.assert_allclose(rec.signal[7].values, wanted[7])
    assert rec.area.values.tolist() == ["V1", "V1", "V2"]
    assert rec.signal.attrs["units"] == "V"


def test_spikeinterface_traces_without_gains_have_no_scale():
    source = StandInTraces()
    source.gains = None
    rec = from_spikeinterface(source, modality="eeg")
    assert rec.signal.attrs["units"] == "1"
    np.testing.assert_array_equal(rec.signal.values, source.traces)


def test_spikeinterface_sorting():
    rec = from_spikeinterface(StandInSorting(), bin_width=0.5, start=0.0, stop=1.0)
    assert rec.neuron.values.tolist() == [4, 7]
    assert rec.signal.values.tolist() == [[2, 0], [0, 1]]
    assert rec.quality.values.tolist() == ["good", "mua"]
    with pytest.raises(ParameterError, match="segment="):
        from_spikeinterface(StandInSorting(2), bin_width=0.5)
    with pytest.raises(ParameterError, match="SpikeInterface"):
        from_spikeinterface(pd.DataFrame())
