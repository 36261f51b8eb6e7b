"""Recordings to labelled tensors, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import neuroana as na
from neuroana.connectome import DifferentialAffinity, simulate_motifs
from neuroana.connectome.tensors import TensorSizeError, neurons_of
from neuroana.core.errors import DataWarning, ParameterError, SchemaError


def recording(values, names=None, rate=2.0, **attrs):
    names = names or [f"n{i}" for i in range(values.shape[1])]
    return na.from_array(values, "calcium", sampling_rate=rate, names=names,
                         units="1", attrs=attrs)  # fmt: skip


@pytest.fixture
def walk():
    return np.random.default_rng(0).normal(size=(120, 5)).cumsum(axis=0)


def test_tensor_is_labelled_by_pair_time_and_animal(motifs):
    tensor = DifferentialAffinity().fit_transform(motifs[0])
    assert tensor.dims == ("pair", "time", "animal")
    assert tensor["source"].values[:2].tolist() == ["n000", "n000"]
    assert tensor["target"].values[:2].tolist() == ["n001", "n002"]
    assert tensor.dtype == np.float32
    assert float(tensor.min()) >= 0


def test_tensor_survives_netcdf(motifs, tmp_path):
    from neuroana.core.store import read_netcdf, write_netcdf

    tensor = DifferentialAffinity(stride=4).fit_transform(motifs[0])
    back = read_netcdf(write_netcdf(tensor.to_dataset(), tmp_path / "a.nc"))
    np.testing.assert_array_equal(back["affinity"], tensor)


def test_animals_with_partly_the_same_neurons_share_one_axis(walk):
    both = [recording(walk, list("abcde"), subject="1"),
            recording(walk[:, ::-1], list("edxcb"), subject="2")]  # fmt: skip
    tensor = DifferentialAffinity().fit_transform(both)
    assert neurons_of(tensor)[0].tolist() == list("abcdex")
    alone = DifferentialAffinity().fit_transform(both[0])[..., 0]
    seen = (tensor["source"] != "x") & (tensor["target"] != "x")
    np.testing.assert_allclose(tensor[seen.values, :, 0], alone)
    assert np.isnan(tensor[~seen.values, :, 0]).all()
    missing = (tensor["source"] == "a") | (tensor["target"] == "a")
    assert np.isnan(tensor[missing.values, :, 1]).all()


def test_swapping_neurons_permutes_the_pairs(walk):
    one = DifferentialAffinity().fit_transform(recording(walk, list("abcde")))
    two = DifferentialAffinity().fit_transform(
        recording(walk[:, [1, 0, 2, 3, 4]], list("bacde"))
    )
    np.testing.assert_allclose(one[0], two[0], rtol=1e-6)


def test_affinity_does_not_depend_on_the_scale_of_a_trace(walk):
    one = DifferentialAffinity(dtype="float64").fit_transform(recording(walk))
    two = DifferentialAffinity(dtype="float64").fit_transform(
        recording(walk * [1, 10, 0.1, 5, 3])
    )
    np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


def test_positions_of_the_neurons_travel_along(walk):
    rec = recording(walk).assign_coords(x=("neuron", np.arange(5.0)))
    _, coords = neurons_of(DifferentialAffinity().fit_transform(rec))
    assert coords["x"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_stride_is_the_mean_of_affinities(walk):
    fine = DifferentialAffinity().fit_transform(recording(walk))
    coarse = DifferentialAffinity(stride=4).fit_transform(recording(walk))
    wanted = fine.to_numpy().reshape(10, 30, 4, 1).mean(axis=2)
    np.testing.assert_allclose(coarse, wanted, rtol=1e-5)


def test_concat_lays_unequal_animals_end_to_end(walk):
    both = [recording(walk, subject="1"), recording(walk[:70], subject="2")]
    tensor = DifferentialAffinity(layout="concat").fit_transform(both)
    assert tensor.sizes["time"] == 190
    assert (tensor["animal"].values == "sub-2").sum() == 70


def test_smoothing_leaves_gaps_alone(walk):
    walk[50, 2] = np.nan
    tensor = DifferentialAffinity(smooth=1.0).fit_transform(recording(walk))
    plain = DifferentialAffinity().fit_transform(recording(walk))
    assert (np.isnan(tensor) == np.isnan(plain)).all()
    assert np.nanstd(tensor) < np.nanstd(plain)


def test_stimuli_bring_animals_to_one_clock(walk):
    pulse = np.zeros((200, 4))
    orders = [("salt", "odour"), ("odour", "salt")]
    made = []
    for number, order in enumerate(orders):
        x = pulse.copy()
        x[60 + 80 * order.index("salt") :, :2] += 1.0
        x[60 + 80 * order.index("odour") :, 2:] += 1.0
        x += 0.01 * np.random.default_rng(number).normal(size=x.shape)
        events = pd.DataFrame({"onset": [30.0, 70.0], "duration": [5.0, 6.0],
                               "trial_type": list(order)})  # fmt: skip
        made.append(na.with_events(recording(x, subject=str(number)), events))
    tensor = DifferentialAffinity(align="events", pre=5, post=5).fit_transform(made)
    salt = tensor[0].sel(time=tensor["stimulus"] == "salt")
    odour = tensor[0].sel(time=tensor["stimulus"] == "odour")
    for w in range(2):
        peak = float(salt["t_rel"][int(np.argmax(salt[:, w].values))])
        assert abs(peak) <= 1.0
        assert float(odour[:, w].max()) < 0.3 * float(salt[:, w].max())
    assert set(tensor["phase"].values.tolist()) == {"pre", "stimulus", "post"}


def test_alignment_without_events_says_so(walk):
    with pytest.raises(SchemaError, match="onsets of stimuli"):
        DifferentialAffinity(align="events").fit_transform(recording(walk))


@pytest.mark.parametrize("kind", ["window_corr", "phase"])
def test_traces_give_tensors_without_derivatives(walk, kind):
    x = np.diff(walk, axis=0)
    tensor = DifferentialAffinity(kind, sigma=5.0).fit_transform(recording(x))
    assert float(tensor.max()) <= 1.0
    assert float(tensor.min()) >= 0.0


def test_a_kernel_of_the_user_is_used(walk):
    tensor = DifferentialAffinity(lambda a, b: np.abs(a * b)).fit_transform(
        recording(walk)
    )
    plain = DifferentialAffinity("product").fit_transform(recording(walk))
    assert float((tensor - plain).min()) >= -1e-6


# --- bad input -----------------------------------------------------------------------


def test_constant_neurons_are_left_out_by_name(walk):
    walk[:, 3] = 7.0
    model = DifferentialAffinity()
    with pytest.warns(DataWarning, match="n3"):
        tensor = model.fit_transform(recording(walk))
    assert "n3" not in neurons_of(tensor)[0].tolist()
    assert model.excluded_ == ["recording: n3"]


def test_a_neuron_with_mad_zero_is_scaled_by_its_deviation(walk):
    sparse = np.zeros(120)
    sparse[60:] = 1.0
    walk = np.column_stack([walk, sparse])
    with pytest.warns(DataWarning, match="1 traces have a median"):
        tensor = DifferentialAffinity(sigma=0.5).fit_transform(recording(walk))
    assert np.isfinite(tensor).all()


def test_many_neurons_with_mad_zero_have_all_scaled_alike(walk):
    sparse = np.zeros((120, 2))
    sparse[60:, 0], sparse[90:, 1] = 1.0, 1.0
    both = recording(np.column_stack([walk[:, :3], sparse]))
    with pytest.warns(DataWarning, match="2 traces have a median"):
        found = DifferentialAffinity(sigma=0.5).fit_transform(both)
    wanted = DifferentialAffinity(sigma=0.5, scale="std").fit_transform(both)
    np.testing.assert_allclose(found, wanted)


def test_a_clock_that_runs_back_is_refused(walk):
    rec = recording(walk)
    back = rec.assign_coords(time=rec["time"].values[::-1])
    with pytest.raises(SchemaError, match="time"):
        DifferentialAffinity().fit_transform(back)


def test_fewer_than_three_neurons_are_refused(walk):
    with pytest.raises(ParameterError, match="at least 3 neurons"):
        DifferentialAffinity().fit(recording(walk[:, :2]))


def test_all_neurons_constant_is_refused():
    with pytest.raises(ParameterError, match="at least 3 neurons"):
        DifferentialAffinity(sampling_rate=2.0).fit(np.ones((50, 4)))


def test_a_recording_shorter_than_five_sigma_is_refused(walk):
    with pytest.raises(ParameterError, match="5 sigma"):
        DifferentialAffinity(sigma=20.0).fit(recording(walk))


def test_aligned_animals_of_unequal_length_are_named(walk):
    both = [recording(walk, subject="1"), recording(walk[:70], subject="2")]
    with pytest.raises(SchemaError, match=r"sub-2.*layout='concat'"):
        DifferentialAffinity().fit_transform(both)


def test_aligned_animals_with_other_clocks_are_named(walk):
    both = [recording(walk, subject="1"), recording(walk, rate=4.0, subject="2")]
    with pytest.raises(SchemaError, match="sub-2"):
        DifferentialAffinity().fit_transform(both)


def jittered(walk, amount):
    rec = recording(walk)
    time = rec["time"].values.copy()
    time[1:-1] += amount * 0.5 * np.random.default_rng(0).uniform(-1, 1, 118)
    return rec.assign_coords(time=time)["signal"]


def test_a_clock_that_jitters_a_little_is_interpolated(walk):
    with pytest.warns(DataWarning, match="interpolated"):
        tensor = DifferentialAffinity().fit_transform(jittered(walk, 0.02))
    steps = np.diff(tensor["time"])
    np.testing.assert_allclose(steps, steps[0])


def test_a_clock_that_jitters_much_is_refused(walk):
    with pytest.raises(SchemaError, match=r"neuroana\.signal\.resample"):
        DifferentialAffinity().fit_transform(jittered(walk, 0.3))


def test_names_that_occur_twice_are_refused(walk):
    rec = recording(walk)["signal"].assign_coords(neuron=list("aacde"))
    with pytest.raises(SchemaError, match="more than once"):
        DifferentialAffinity().fit_transform(rec)


def test_infinite_values_are_refused_with_their_place(walk):
    walk[7, 2] = np.inf
    with pytest.raises(ParameterError, match="sample 7, neuron n2"):
        DifferentialAffinity().fit_transform(recording(walk))


def test_objects_are_no_numbers(walk):
    with pytest.raises(TypeError, match="dtype object"):
        DifferentialAffinity(sampling_rate=2.0).fit(walk.astype(object)[None][0])


def test_an_array_needs_a_rate(walk):
    with pytest.raises(ParameterError, match="sampling_rate"):
        DifferentialAffinity().fit(walk)
    made = DifferentialAffinity(sampling_rate=2.0).fit_transform(walk)
    wanted = DifferentialAffinity().fit_transform(recording(walk))
    np.testing.assert_allclose(made, wanted)


def test_a_tensor_too_large_for_its_kernel_is_refused_before_it_is_made(walk):
    with pytest.raises(MemoryError, match=r"'min'.*GB.*geomean"):
        DifferentialAffinity("min", max_dense_bytes=100).fit_transform(recording(walk))
    assert issubclass(TensorSizeError, MemoryError)


def test_integers_are_taken(walk):
    whole = np.round(walk * 10).astype(int)
    rec = recording(whole.astype(float))
    whole_rec = rec.assign(signal=rec["signal"].astype(int))
    np.testing.assert_allclose(
        DifferentialAffinity().fit_transform(whole_rec),
        DifferentialAffinity().fit_transform(rec),
    )


def test_simulation_is_the_same_for_the_same_seed():
    one, _ = simulate_motifs(n_neurons=6, n_samples=50, random_state=1)
    two, _ = simulate_motifs(n_neurons=6, n_samples=50, random_state=1)
    np.testing.assert_array_equal(one[0].signal, two[0].signal)
