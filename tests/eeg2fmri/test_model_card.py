import functools
import json

import numpy as np
import pytest

from neuroana.core.errors import CorruptFileError, SchemaError
from neuroana.eeg2fmri import (
    BandPowerRidge,
    EEGToFMRI,
    compare_models,
    read_model,
    region_statistics,
    simulate_eeg_fmri,
    write_model,
)


CHANNELS = ("FZ", "CZ", "C3", "OZ")


@functools.cache
def runs():
    return simulate_eeg_fmri(3, n_volumes=80, channels=CHANNELS, random_state=0)[0]


@functools.cache
def network():
    model = EEGToFMRI.small(dim=16, depth=1, epochs=1, random_state=0)
    return model.fit(runs()[:2])


def test_write_model_and_read_model_predict_the_same(tmp_path):
    for number, model in enumerate((BandPowerRidge().fit(runs()[:2]), network())):
        again = read_model(write_model(model, tmp_path / str(number)))
        np.testing.assert_array_equal(
            again.predict(runs()[2]), model.predict(runs()[2])
        )


def test_write_model_keeps_tensors_under_their_own_names(tmp_path):
    from safetensors import safe_open

    folder = write_model(network(), tmp_path)
    with safe_open(folder / "weights.safetensors", "np") as file:
        assert {"cls_token", "head.weight"} <= set(file.keys())


def test_write_model_states_what_goes_in_and_what_was_seen(tmp_path):
    folder = write_model(network(), tmp_path, about={"reference": "FCz", "tr": 2.1})
    schema = json.loads((folder / "schema.json").read_text())
    assert schema["channels"] == list(CHANNELS)
    assert schema["regions"] == ["alpha", "difference", "signflip", "mu"]
    assert schema["reference"] == "FCz"
    training = json.loads((folder / "training.json").read_text())
    assert len({row["run"] for row in training["seen"]}) == 2
    assert training["seed"] == network().seed_
    card = (folder / "README.md").read_text()
    assert "Claim nothing" in card
    assert "2 runs" in card


def test_write_model_shows_r_with_volumes_independent_samples_and_p(tmp_path):
    made = compare_models(
        runs(), BandPowerRidge(), protocol="inter-subject", n_splits=3
    )
    table = region_statistics(made, n_surrogates=99)
    model = BandPowerRidge().fit(runs())
    folder = write_model(model, tmp_path, statistics=table)
    card = (folder / "README.md").read_text()
    assert "| region | R | volumes | independent | p |" in card
    assert f"| {int(table['n_volumes'][0])} |" in card


def test_read_model_refuses_a_half_written_folder(tmp_path):
    folder = write_model(network(), tmp_path)
    (folder / "training.json").unlink()
    with pytest.raises(CorruptFileError, match=r"training\.json"):
        read_model(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "learned.nc", "config.json"])
def test_read_model_refuses_a_changed_or_missing_file(tmp_path, name):
    folder = write_model(network(), tmp_path)
    path = folder / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CorruptFileError, match=name):
        read_model(folder)
    path.unlink()
    with pytest.raises(CorruptFileError, match=name):
        read_model(folder)


def test_read_model_refuses_weights_of_another_network(tmp_path):
    other = EEGToFMRI.small(dim=32, depth=1, epochs=1, random_state=0).fit(runs()[:2])
    a, b = write_model(network(), tmp_path / "a"), write_model(other, tmp_path / "b")
    (a / "weights.safetensors").write_bytes((b / "weights.safetensors").read_bytes())
    seal = json.loads((a / "training.json").read_text())
    other_seal = json.loads((b / "training.json").read_text())
    key = "weights.safetensors"
    seal["sha256"][key] = other_seal["sha256"][key]
    (a / "training.json").write_text(json.dumps(seal))
    with pytest.raises(SchemaError, match="tensors of this network"):
        read_model(a)
