"""References."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.core.recording import from_array
from neuroana.signal import crop, pick, rereference


def depth(names, values, **coords):
    return from_array(
        np.asarray(values, dtype=float),
        "ieeg",
        sampling_rate=10.0,
        names=names,
        coords={"ch_type": ["seeg"] * len(names), **coords},
    )


def test_average_is_over_good_channels_of_the_type(eeg):
    made = rereference(eeg)
    wanted = eeg.signal - eeg.signal[:, :2].mean("channel")
    assert np.allclose(made.signal[:, :3], wanted[:, :3])
    assert np.array_equal(made.signal[:, 3], eeg.signal[:, 3])
    assert made.reference.values.tolist() == ["average"] * 3 + [""]


def test_average_equals_mne(eeg):
    from neuroana.io import to_mne

    clean = pick(crop(eeg, 0.0, 10.0), drop_bad=True)
    raw = to_mne(clean).set_eeg_reference("average", verbose="ERROR")
    assert np.allclose(rereference(clean).signal.values, raw.get_data().T, atol=1e-15)


def test_average_leaves_missing_samples_out():
    rec = from_array(
        np.array([[1.0, 3.0, np.nan]] * 3), "eeg", sampling_rate=1.0, units="1"
    )
    assert rereference(rec).signal.values[0, :2].tolist() == [-1.0, 1.0]


def test_average_never_mixes_types():
    rec = depth(["A1", "A2", "S1"], np.tile([1.0, 3.0, 9.0], (4, 1)))
    rec["ch_type"][2] = "dbs"
    assert rereference(rec).signal.values[0].tolist() == [-1.0, 1.0, 0.0]


def test_named_channels(eeg):
    made = rereference(eeg, ["Cz"])
    assert np.allclose(made.signal.sel(channel="Cz"), 0.0)
    with pytest.raises(ParameterError, match="did you mean 'Cz'"):
        rereference(eeg, ["Czz"])


def test_bipolar_pairs_neighbours_on_one_electrode():
    rec = depth(
        ["A1", "A2", "A4", "B1", "B2"],
        np.tile([1.0, 3.0, 7.0, 2.0, 9.0], (4, 1)),
        x=[0.0, 2.0, 6.0, 0.0, 2.0],
        y=[0.0] * 5,
        z=[0.0] * 5,
        bad=[False, True, False, False, False],
    )
    made = rereference(rec, "bipolar")
    assert made.channel.values.tolist() == ["A1-A2", "B1-B2"]
    assert made.signal.values[0].tolist() == [-2.0, -7.0]
    assert made.x.values.tolist() == [1.0, 1.0]
    assert made.bad.values.tolist() == [True, False]


def test_bipolar_on_the_scalp_needs_pairs(eeg):
    with pytest.raises(ParameterError, match="pass pairs="):
        rereference(eeg, "bipolar")
    made = rereference(eeg, "bipolar", pairs=[("Fz", "Cz")])
    assert made.channel.values.tolist() == ["Fz-Cz", "EOG1"]


def test_laplacian_takes_the_contacts_on_both_sides():
    rec = depth(["A1", "A2", "A3"], np.tile([1.0, 5.0, 3.0], (4, 1)))
    made = rereference(rec, "laplacian")
    assert made.signal.values[0].tolist() == [-4.0, 3.0, -2.0]


def test_laplacian_weighs_by_distance():
    rec = depth(
        ["P", "Q", "R"],
        np.tile([0.0, 1.0, 4.0], (4, 1)),
        x=[0.0, 1.0, 3.0],
        y=[0.0] * 3,
        z=[0.0] * 3,
    )
    made = rereference(rec, "laplacian", n_neighbors=2)
    assert made.signal.values[0, 0] == pytest.approx(-(1.0 + 4.0 / 3) / (1 + 1 / 3))


def test_laplacian_without_neighbours_is_an_error():
    rec = depth(["A1", "B7"], np.ones((4, 2)))
    with pytest.raises(ParameterError, match="give positions"):
        rereference(rec, "laplacian")


def test_unknown_scheme(eeg):
    with pytest.raises(ParameterError, match="Did you mean 'average'"):
        rereference(eeg, "averag")
