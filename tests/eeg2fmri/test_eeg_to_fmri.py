"""The network as an estimator: training, montages, weights of others, files."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import save_file
from sklearn.base import clone

import neuroana as na
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.eeg2fmri import (
    CompactEnvelopeNet,
    EEGToFMRI,
    NeuroBOLT,
    NeuroBOLTConfig,
    SpectralConvNet,
    as_windows,
    simulate_eeg_fmri,
)
from neuroana.learn import LaBraMConfig, LaBraMEncoder, parameter_groups


CHANNELS = ("FZ", "CZ", "C3", "OZ", "PZ")
TINY = {"dim": 16, "depth": 1, "epochs": 2, "batch_size": 32, "random_state": 0}


def tiny(**changes):
    return EEGToFMRI.small(**{**TINY, **changes})


@pytest.fixture(scope="module")
def runs():
    return simulate_eeg_fmri(3, n_volumes=60, channels=CHANNELS, random_state=0)[0]


@pytest.fixture(scope="module")
def fitted(runs):
    return tiny().fit(runs[0], validation=runs[1])


def with_eeg(run, eeg):
    return xr.DataTree.from_dict({"/eeg": eeg, "/bold": run["bold"].to_dataset()})


def same_weights(one, two):
    return one.weights_.equals(two.weights_)


def test_prediction_is_labelled_and_history_kept(fitted, runs):
    p = fitted.predict(runs[2])
    assert p.roi.values.tolist() == ["alpha", "difference", "signflip", "mu"]
    assert p.sizes["time"] == 52
    assert fitted.history_.metric.values.tolist() == [
        "lr", "train_loss", "val_mse", "val_r",
    ]  # fmt: skip
    assert fitted.validation_spans_.validation_label.values[0].startswith("sub-02")
    assert np.isfinite(fitted.score(runs[2]))


def test_same_seed_gives_the_same_model(fitted, runs):
    again = clone(fitted).fit(runs[0], validation=runs[1])
    assert same_weights(again, fitted)
    other = tiny(random_state=1).fit(runs[0], validation=runs[1])
    assert not same_weights(other, fitted)


def test_saved_model_predicts_the_same_bits(fitted, runs, tmp_path):
    path = fitted.save(tmp_path / "model.nc")
    again = na.load(path)
    assert again.predict(runs[2]).equals(fitted.predict(runs[2]))
    assert b"pickle" not in path.read_bytes()[:1000]


@pytest.mark.parametrize(
    "model",
    [
        tiny(epochs=3),
        SpectralConvNet(epochs=3, random_state=0),
        CompactEnvelopeNet(2, epochs=3, batch_size=32, random_state=0),
    ],
)
def test_a_killed_fit_goes_on_to_identical_weights(model, runs, tmp_path, monkeypatch):
    whole = clone(model).fit(runs[0], validation=runs[1])
    kept = clone(model).set_params(checkpoint=tmp_path / "training.ckpt")
    module = type(kept._batches.__func__(whole, as_windows(runs[0]), None))
    plain, calls = module.batch, []

    def failing(self, positions):
        calls.append(1)
        if len(calls) == 5:
            raise RuntimeError("power cut")
        return plain(self, positions)

    monkeypatch.setattr(module, "batch", failing)
    with pytest.raises(RuntimeError, match="power cut"):
        kept.fit(runs[0], validation=runs[1])
    monkeypatch.setattr(module, "batch", plain)
    assert (tmp_path / "training.ckpt").is_file()
    again = kept.fit(runs[0], validation=runs[1])
    assert same_weights(again, whole)
    assert again.history_.equals(whole.history_)
    saved = na.load(again.set_params(checkpoint=None).save(tmp_path / "model.nc"))
    assert saved.predict(runs[2]).equals(whole.predict(runs[2]))
    kept.set_params(checkpoint=tmp_path / "training.ckpt")
    with pytest.raises(ParameterError, match="data and settings"):
        kept.fit(runs[2], validation=runs[1])


def test_test_runs_never_reach_training(runs):
    windows = as_windows(runs)
    model = tiny().fit(windows[windows.run < 2], validation=windows[windows.run == 2])
    spoiled = [runs[0], runs[1], runs[2]]
    assert not model.leaky_
    model.refuse_seen(spoiled[2])
    with pytest.raises(SchemaError, match="training and test"):
        model.refuse_seen(spoiled[0])


def test_channels_in_another_order_or_fewer_are_found_by_name(fitted, runs):
    eeg = runs[2]["eeg"].to_dataset()
    mixed = with_eeg(runs[2], eeg.isel(channel=[4, 2, 0, 1, 3]))
    p = fitted.predict(runs[2])
    assert fitted.predict(mixed).values == pytest.approx(p.values, abs=1e-4)
    part = fitted.predict(with_eeg(runs[2], eeg.isel(channel=[0, 3, 1])))
    assert part.shape == p.shape
    assert not np.allclose(part, p)


def test_unknown_channels_are_refused_or_interpolated(fitted, runs):
    eeg = runs[2]["eeg"].to_dataset()
    other = eeg.assign_coords(channel=["FZ", "CPZ", "CP3", "POZ", "P4"])
    with pytest.raises(SchemaError, match="nearest known"):
        fitted.predict(with_eeg(runs[2], other))
    model = clone(fitted).set_params(on_unknown="interpolate")
    model.fit(runs[0], validation=runs[1])
    assert np.isfinite(model.predict(with_eeg(runs[2], other))).all()
    odd = eeg.assign_coords(channel=["FZ", "CZ", "C3", "OZ", "E9"])
    with pytest.raises(SchemaError, match="'E9'"):
        tiny().fit(with_eeg(runs[2], odd))
    from neuroana.eeg2fmri.montages import place_of

    places = place_of(["FZ", "CZ", "C3", "OZ", "P3"])
    odd = odd.assign_coords({k: ("channel", p) for k, p in zip("xyz", places.T)})
    model = tiny(on_unknown="interpolate", epochs=1).fit(with_eeg(runs[2], odd))
    assert model.channel_map_.electrode.values[-1] == "P3"
    assert np.isfinite(
        model.predict(with_eeg(runs[1], runs[1]["eeg"].to_dataset()))
    ).all()


@pytest.mark.parametrize("head", ["linear", "lowrank", "query", "gaussian"])
def test_every_head_trains_and_loads(head, runs, tmp_path):
    model = tiny(head=head, epochs=1, n_components=2).fit(runs[0])
    p = model.predict(runs[2])
    assert p.sizes["roi"] == 4
    assert na.load(model.save(tmp_path / "m.nc")).predict(runs[2]).equals(p)
    if head == "gaussian":
        assert (model.predict_sd(runs[2]) > 0).all()
    else:
        with pytest.raises(ParameterError, match="gaussian"):
            model.predict_sd(runs[2])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"encoder": "labram"}, ""),
        ({"encoder": "spectral"}, ""),
        ({"loss": "mse_global_split"}, ""),
        ({"loss": "ccc", "channel_dropout": 0.4}, ""),
        ({"monitor": "val_r", "precision": "bf16-mixed"}, ""),
        ({"encoder": "eegnet"}, "encoder"),
        ({"init": "labram"}, "weights"),
        ({"freeze": "head"}, "freeze"),
        ({"epochs": 0}, "epochs"),
        ({"validation_share": 0.9}, "validation_share"),
    ],
)
def test_options_work_or_are_named(changes, text, runs):
    model = tiny(**{"epochs": 1, **changes})
    if text:
        with pytest.raises(ParameterError, match=text):
            model.fit(runs[0])
    else:
        assert np.isfinite(model.fit(runs[0]).predict(runs[2])).all()


def test_any_number_of_regions_and_channels(runs):
    windows = as_windows(runs[0]).with_channels(["OZ", "CZ", "FZ", "C3"])
    y = np.random.default_rng(0).standard_normal((len(windows), 30))
    model = tiny(epochs=1).fit(windows, y)
    assert model.predict(as_windows(windows, y)).shape == (len(windows), 30)


def test_labram_weights_are_taken_and_reported(runs, tmp_path):
    encoder = LaBraMEncoder(LaBraMConfig(dim=16, depth=1, n_heads=8))
    state = {f"student.{k}": v for k, v in encoder.state_dict().items()}
    save_file(state, tmp_path / "labram.safetensors")
    model = tiny(init="labram", weights=tmp_path / "labram.safetensors",
                 freeze="labram", epochs=1).fit(runs[0])  # fmt: skip
    report = json.loads(model.weights_report_)
    assert report["shares"] == {"labram": 1.0}
    assert any(k.startswith("mss_module") for k in report["missing"])
    own = model.network().state_dict()
    assert torch.equal(own["pos_embed"], encoder.pos_embed)
    lost = {k: v for k, v in state.items() if "blocks.0.attn" not in k}
    save_file(lost, tmp_path / "part.safetensors")
    with pytest.raises(SchemaError, match="95 %"):
        tiny(init="labram", weights=tmp_path / "part.safetensors").fit(runs[0])


def test_a_network_of_this_kind_is_the_start_of_another(fitted, runs, tmp_path):
    path = fitted.export_weights(tmp_path / "whole.safetensors")
    model = tiny(init="neurobolt", weights=path, freeze="all", warmup_epochs=0)
    model.fit(runs[2])
    before, after = fitted.network().state_dict(), model.network().state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed == {"fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"}
    with pytest.raises(ParameterError, match="safetensors"):
        fitted.export_weights(tmp_path / "whole.pt")


def test_fine_tuning_goes_on_from_the_fitted_weights(runs):
    model = tiny().fit(runs[0], validation=runs[1])
    before = model.weights_.copy()
    scale = model.target_scale_.copy()
    model.set_params(freeze="all", lr=1e-2, warmup_epochs=0).partial_fit(runs[2])
    assert not model.weights_.equals(before)
    assert model.target_scale_.equals(scale)
    shapes, at = model.weight_shapes_, 0
    for key, shape in shapes.items():
        n = int(np.prod(shape))
        same = np.array_equal(model.weights_[at : at + n], before[at : at + n])
        assert same != key.startswith(("fc_norm", "head"))
        at += n
    labels = set(model.spans_.label.values)
    assert {label[:6] for label in labels} == {"sub-01", "sub-03"}


def test_features_behind_both_branches(fitted, runs):
    features = fitted.transform(runs[2])
    assert features.shape == (52, len(fitted.get_feature_names_out()))
    head = fitted.network().head
    out = features @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    p = fitted._scale().undo(out)
    assert p == pytest.approx(fitted.predict(runs[2]).values, abs=1e-4)


def test_published_parameter_groups():
    network = NeuroBOLT(NeuroBOLTConfig(n_regions=7))
    groups = parameter_groups(network, 3e-4)
    assert len(groups) == 28
    sizes = [sum(p.numel() for p in g["params"]) for g in groups]
    by_name = dict(zip([g["name"] for g in groups], sizes))
    assert by_name["layer 0, no decay"] == 26_072
    assert by_name["layer 0, decay"] == 504
    assert by_name["layer 5, no decay"] == 2_480
    assert by_name["layer 5, decay"] == 480_000
    assert by_name["layer 13, no decay"] == 12_535
    assert by_name["layer 13, decay"] == 2_079_320
    assert sum(sizes) == 7_908_191
    assert groups[0]["lr"] == pytest.approx(3e-4 * 0.65**13)
    assert groups[-1]["lr"] == 3e-4
    with pytest.raises(ParameterError):
        tiny(freeze="some")._groups(network)
