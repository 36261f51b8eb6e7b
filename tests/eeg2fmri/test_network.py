"""The network against the stored oracle, stage by stage in float64."""

import json
import zlib

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from neuroana.core.errors import ParameterError, SchemaError, ShapeError
from neuroana.eeg2fmri.network import BUFFERS, CHANNELS, NeuroBOLT, NeuroBOLTConfig
from neuroana.learn.labram import LaBraMConfig


SMALL = ("FP1", "C3", "OZ", "T8", "FT9")


def weight_of(key, shape):
    seed = zlib.crc32(key.encode()) & 0x7FFFFFFF
    z = np.random.RandomState(seed).standard_normal(shape)
    if "norm" in key and key.endswith("weight"):
        z = 1 + 0.05 * z
    elif "gamma" in key:
        z = 0.1 * (1 + 0.05 * z)
    elif key in ("cls_token", "pos_embed", "time_embed"):
        z = 0.5 * z
    elif "channel_tokens" not in key:
        z = 0.05 * z if z.ndim == 1 else z / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(z.astype(np.float32))


def filled(config, dtype=torch.float64):
    net = NeuroBOLT(config).eval()
    state = net.state_dict()
    for key, value in state.items():
        if key not in BUFFERS:
            value.copy_(weight_of(key, tuple(value.shape)))
    return net.to(dtype)


@pytest.fixture(scope="module")
def oracle(oracles):
    with np.load(oracles / "neurobolt_small.npz", allow_pickle=False) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def net():
    config = NeuroBOLTConfig(
        3, channels=SMALL, n_samples=800, encoder=LaBraMConfig(depth=2)
    )
    return filled(config)


@pytest.fixture(scope="module")
def x(oracle):
    return torch.from_numpy(oracle["x_uV"]).double() / 100


def assert_near(ours, stored, bar=1e-6):
    ours = ours.detach().numpy()
    assert ours.shape == stored.shape
    assert (np.abs(ours - stored) / np.maximum(1, np.abs(stored))).max() < bar


def outputs_of(modules, call):
    """Output of each module while `call` runs."""
    seen = {}
    hooks = [
        module.register_forward_hook(lambda m, i, o, name=name: seen.update({name: o}))
        for name, module in modules.items()
    ]
    call()
    for hook in hooks:
        hook.remove()
    return seen


def test_network_has_the_published_keys_and_shapes(oracle, net):
    shapes = {k: list(v.shape) for k, v in net.state_dict().items()}
    stored = map(json.loads, oracle["state_shapes"])
    assert shapes == dict(zip(oracle["state_keys"].tolist(), stored))


def test_full_network_has_the_published_keys_and_shapes(oracle):
    net = NeuroBOLT(NeuroBOLTConfig(7))
    shapes = {k: list(v.shape) for k, v in net.state_dict().items()}
    stored = map(json.loads, oracle["full_state_shapes"])
    assert shapes == dict(zip(oracle["full_state_keys"].tolist(), stored))


@pytest.mark.parametrize(
    ("n_regions", "count"),
    [(1, 7_906_985), (7, 7_908_191), (64, 7_919_648), (1024, 8_112_608)],
)
def test_network_has_the_published_number_of_parameters(n_regions, count):
    net = NeuroBOLT(NeuroBOLTConfig(n_regions))
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == count


def test_parts_have_the_published_number_of_parameters():
    net = NeuroBOLT()
    spectral = sum(p.numel() for p in net.mss_module.parameters())
    assert spectral == 2_086_848
    head = sum(p.numel() for p in net.head.parameters())
    assert head == 201
    assert sum(p.numel() for p in net.parameters()) - spectral - head == 5_819_936


def test_spatiotemporal_stages_equal_the_oracle(oracle, net, x):
    modules = {f"st_block{i}": block for i, block in enumerate(net.blocks)}
    modules |= {"norm1": net.patch_embed.norm1, "norm2": net.patch_embed.norm2}
    modules |= {"st_temporal_conv": net.patch_embed, "r_st": net.fc_norm}
    modules |= {"st_tokens_in": net.embed_drop}
    seen = outputs_of(modules, lambda: net.encode(x, net.electrodes))
    seen["st_tc1"], seen["st_tc2"] = (F.gelu(seen.pop(f"norm{i}")) for i in (1, 2))
    for name, value in seen.items():
        assert_near(value, oracle[name])


def test_spectral_stages_equal_the_oracle(oracle, net, x):
    part = net.mss_module
    modules = {}
    for n in range(4):
        modules[f"sp_freqmap{n}"] = part.patch_embedding[n]
        modules[f"sp_timemap{n}"] = part.ts_embedding[n]
        attention, feed_forward = part.transformer.layers.layers[n]
        modules[f"sp_lin{n}_attn"], modules[f"sp_lin{n}_mlp"] = attention, feed_forward
    modules["sp_chan_tok"] = part.positional_encoding
    modules["sp_lin_out"] = part.transformer.layers
    seen = outputs_of(modules, lambda: part(x))
    for n, magnitude in enumerate(part.magnitudes(x)):
        seen[f"sp_mag{n}"] = magnitude.transpose(-1, -2)
        seen[f"sp_timemap{n}"] = seen[f"sp_timemap{n}"].transpose(-1, -2)
    for name, value in seen.items():
        assert_near(value, oracle[name])
    assert_near(part(x), oracle["r_sp"])


def test_output_loss_and_gradients_equal_the_oracle(oracle, net, x):
    net.zero_grad()
    y = net(x)
    assert_near(y, oracle["y"])
    loss = F.mse_loss(y, torch.from_numpy(oracle["target"]).double())
    assert loss.item() == pytest.approx(1.360382599, abs=1e-7)
    loss.backward()
    grads = {k: p.grad for k, p in net.named_parameters()}
    assert set(grads) == set(oracle["grad_keys"].tolist())
    for key, norm in zip(oracle["grad_keys"], oracle["grad_norms"]):
        assert float(grads[key].norm()) == pytest.approx(norm, rel=1e-6, abs=1e-12)
    for name in [k for k in oracle if k.startswith("grad_of_")]:
        key = next(k for k in grads if k.replace(".", "_") == name[len("grad_of_") :])
        assert_near(grads[key], oracle[name])


def test_single_precision_stays_near(oracle, net, x):
    single = filled(net.config, torch.float32)
    assert_near(single(x.float()).double(), oracle["y"], 5e-6)


def full_input():
    r = np.random.RandomState(20241011)
    f = np.fft.rfftfreq(3200, 1 / 200)
    amp = np.where(f == 0, 0, np.maximum(f, 0.5) ** -0.5)
    real = r.standard_normal((2, 26, 1601))
    spectrum = (real + 1j * r.standard_normal((2, 26, 1601))) * amp
    x = np.fft.irfft(spectrum, n=3200)
    x *= 20 / x.std(axis=-1, keepdims=True)
    a, phase = 8 * r.rand(2, 26, 1), r.rand(2, 1, 1)
    t = np.arange(3200) / 200
    carrier = np.sin(2 * np.pi * 10 * t + 2 * np.pi * phase)
    x += a * carrier * (1 + np.sin(2 * np.pi * 0.1 * t)) / 2
    return torch.from_numpy(x - x.mean(axis=-1, keepdims=True))


def test_full_network_equals_the_oracle(oracle):
    net = filled(NeuroBOLTConfig(7))
    x = full_input() / 100
    with torch.no_grad():
        assert_near(net.encode(x, net.electrodes), oracle["full_r_st"])
        assert_near(net.mss_module(x), oracle["full_r_sp"])
        assert_near(net(x), oracle["full_y"])
        keep = [n for n in CHANNELS if n not in ("FPZ", "FT9", "FT10")]
        ids = net.montage(keep)
        part = net(x[:, ids[1]], *ids)
        assert part[0, :3].tolist() == pytest.approx(
            [-0.009052, 0.529341, -0.443697], abs=1e-6
        )
        silent = net(torch.zeros_like(x[:1]))
        assert silent[0, :3].tolist() == pytest.approx(
            [-2.09326, -0.881919, 0.782263], abs=1e-5
        )


def test_channels_permuted_with_their_names_change_nothing(net, x):
    order = [3, 0, 4, 2, 1]
    moved = net(x[:, order], *net.montage([SMALL[i] for i in order]))
    torch.testing.assert_close(moved, net(x), rtol=0, atol=1e-12)


def test_a_region_does_not_depend_on_the_other_regions(net, x):
    alone = filled(NeuroBOLTConfig(
        1, channels=SMALL, n_samples=800, encoder=LaBraMConfig(depth=2)
    ))  # fmt: skip
    with torch.no_grad():
        alone.head.weight.copy_(net.head.weight[1:2])
        alone.head.bias.copy_(net.head.bias[1:2])
    torch.testing.assert_close(alone(x)[:, 0], net(x)[:, 1], rtol=0, atol=1e-12)


def test_same_generator_gives_the_same_weights():
    first, second, other = (
        NeuroBOLT(NeuroBOLTConfig.small(), generator=torch.Generator().manual_seed(s))
        for s in (1, 1, 2)
    )
    mine = first.state_dict()
    assert all(torch.equal(v, mine[k]) for k, v in second.state_dict().items())
    assert not torch.equal(other.head.weight, first.head.weight)


def test_initial_output_is_near_zero():
    net = NeuroBOLT(NeuroBOLTConfig.small(n_regions=2), generator=None).eval()
    assert net(torch.randn(2, 26, 3200)).abs().max() < 0.01


def test_gradient_reaches_both_branches_in_training():
    torch.manual_seed(0)
    net = NeuroBOLT(NeuroBOLTConfig.small(n_regions=2)).train()
    net(torch.randn(4, 26, 3200)).square().mean().backward()
    assert net.patch_embed.conv1.weight.grad.abs().sum() > 0
    assert net.mss_module.patch_embedding[0].projection.weight.grad.abs().sum() > 0


def test_small_network_learns_eight_windows_by_heart():
    torch.manual_seed(0)
    still = LaBraMConfig(dim=64, depth=4, n_heads=8, dropout=0.0, drop_path=0.0)
    config = NeuroBOLTConfig.small(
        n_regions=1, channels=SMALL, n_samples=800, encoder=still, attention_dropout=0.0
    )
    net = NeuroBOLT(config, generator=torch.Generator().manual_seed(0))
    x, y = torch.randn(8, 5, 800) * 0.3, torch.randn(8, 1)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for _ in range(150):
        optimiser.zero_grad()
        F.mse_loss(net(x), y).backward()
        optimiser.step()
    r = torch.corrcoef(torch.stack([net(x)[:, 0], y[:, 0]]))[0, 1]
    assert r > 0.99


def test_unknown_channel_is_refused_with_the_nearest_names():
    with pytest.raises(SchemaError, match=r"'CZX'.*CZ"):
        NeuroBOLTConfig(channels=(*CHANNELS[:5], "CZX"))


def test_channel_outside_the_training_montage_is_refused(net):
    with pytest.raises(SchemaError, match=r"'O1'.*OZ"):
        net.montage(["FP1", "O1"])


@pytest.mark.parametrize("shape", [(2, 4, 800), (2, 5, 1600), (5, 800)])
def test_window_of_another_shape_is_refused(net, shape):
    with pytest.raises(ShapeError, match="EEG window"):
        net(torch.zeros(shape, dtype=torch.float64))


def test_half_a_montage_is_refused(net, x):
    with pytest.raises(ParameterError, match="both electrodes and channels"):
        net(x, net.electrodes)


@pytest.mark.parametrize("n_samples", [3400, 900, 4000])
def test_impossible_window_length_is_refused(n_samples):
    with pytest.raises(ParameterError, match="n_samples"):
        NeuroBOLTConfig(n_samples=n_samples)
