"""Checkpoints: what is loaded, what is refused, what is reported."""

import argparse
import pickle

import pytest
import torch
from safetensors.torch import save_file

from neuroana.core.errors import CorruptFileError, SchemaError
from neuroana.eeg2fmri.network import BRANCHES, BUFFERS, NeuroBOLT, NeuroBOLTConfig
from neuroana.learn import load_weights, read_weights
from neuroana.learn.labram import LaBraMConfig


CONFIG = NeuroBOLTConfig(
    2, channels=("FP1", "CZ", "O1", "O2"), encoder=LaBraMConfig(depth=2)
)


@pytest.fixture
def weights():
    net = NeuroBOLT(CONFIG, generator=torch.Generator().manual_seed(1))
    return dict(net.state_dict())


def test_safetensors_come_back_bit_equal(weights, tmp_path):
    save_file(weights, tmp_path / "w.safetensors")
    found, sha256 = read_weights(tmp_path / "w.safetensors")
    net = NeuroBOLT(CONFIG)
    report = load_weights(net, found, branches=BRANCHES, ignore=BUFFERS, sha256=sha256)
    assert all(torch.equal(v, weights[k]) for k, v in net.state_dict().items())
    assert set(report.shares.values()) == {1.0}
    assert len(report.sha256) == 64


def test_pretraining_container_is_opened_and_reported(weights, tmp_path):
    inner = {
        f"student.{k}": v
        for k, v in weights.items()
        if k.startswith(BRANCHES["labram"])
    }
    inner |= {"student.lm_head.weight": torch.ones(2), "logit_scale": torch.ones(1)}
    inner["student.blocks.0.attn.relative_position_index"] = torch.ones(1)
    box = {"model": inner, "args": argparse.Namespace(lr=1.0)}
    torch.save(box, tmp_path / "labram.pth")
    found, _ = read_weights(tmp_path / "labram.pth")
    net = NeuroBOLT(CONFIG)
    labram = {"labram": BRANCHES["labram"]}
    report = load_weights(net, found, branches=labram, ignore=BUFFERS)
    assert report.unexpected == ("lm_head.weight",)
    assert report.shares == {"labram": 1.0}
    assert {"fc_norm.weight", "head.weight"} <= set(report.missing)
    assert torch.equal(net.pos_embed, weights["pos_embed"])


def test_keys_without_prefix_are_read_too(weights, tmp_path):
    torch.save({"model": weights}, tmp_path / "trained.pth")
    found, _ = read_weights(tmp_path / "trained.pth")
    assert set(found) == set(weights)


def test_checkpoint_of_another_depth_is_refused_and_changes_nothing(weights):
    net = NeuroBOLT(
        NeuroBOLTConfig(2, channels=CONFIG.channels, encoder=LaBraMConfig(depth=3))
    )
    before = net.pos_embed.clone()
    with pytest.raises(SchemaError, match=r"\['labram'\] below.*blocks\.2"):
        load_weights(net, weights, branches=BRANCHES, ignore=BUFFERS)
    assert torch.equal(net.pos_embed, before)


def test_checkpoint_of_another_montage_names_both_shapes(weights):
    net = NeuroBOLT(
        NeuroBOLTConfig(
            2, channels=("CZ", "O1", "O2", "PZ", "P3"), encoder=CONFIG.encoder
        )
    )
    report = load_weights(net, weights, branches=BRANCHES, ignore=BUFFERS)
    assert report.mismatched == (
        "mss_module.channel_tokens.weight (4, 200) for (5, 200)",
    )


def test_partial_checkpoint_is_taken_when_asked(weights):
    net = NeuroBOLT(CONFIG)
    part = {"cls_token": weights["cls_token"]}
    report = load_weights(net, part, branches=BRANCHES, ignore=BUFFERS, strict=False)
    assert report.loaded == ("cls_token",)
    assert "1 loaded" in report.summary()


class Foreign:
    """A class that no checkpoint needs."""


def test_pickle_of_foreign_classes_is_refused(tmp_path):
    (tmp_path / "bad.pth").write_bytes(pickle.dumps({"model": Foreign()}))
    with pytest.raises(SchemaError, match="other classes"):
        read_weights(tmp_path / "bad.pth")
    torch.save({"model": Foreign()}, tmp_path / "worse.pth")
    with pytest.raises(SchemaError, match="other classes"):
        read_weights(tmp_path / "worse.pth")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_truncated_file_is_corrupt(weights, tmp_path, name):
    path = tmp_path / name
    save_file(weights, path) if name.endswith("s") else torch.save(weights, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CorruptFileError, match=name):
        read_weights(path)


def test_missing_file_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_weights(tmp_path / "none.pth")


def test_file_without_tensors_is_refused(tmp_path):
    torch.save({"model": {"epoch": 3}}, tmp_path / "empty.pth")
    with pytest.raises(SchemaError, match="tensors under text keys"):
        read_weights(tmp_path / "empty.pth")
