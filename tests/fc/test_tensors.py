"""Kernels on torch tensors: the same numbers, gradients, a GPU where there is one."""

import numpy as np
import pytest
import torch

import neuroana as na
from neuroana.core.errors import ParameterError
from neuroana.fc import running, tensors
from neuroana.fc.registry import find
from neuroana.fc.tensors import TENSORS, WORTHWHILE


CASES = [(name, {}) for name in TENSORS] + [
    ("hsic", {"unbiased": True}),
    ("hsic", {"correlation": True}),
    ("mi_ksg", {"k": 3, "theiler_samples": 4}),
    ("soft_dtw", {"band": None, "gamma": 0.5}),
    ("coherence", {"magnitude": True, "band": (0.05, 0.3), "average": "max"}),
    ("wpli", {"method": "multitaper", "segment_samples": 32}),
    ("pli", {"segment_samples": 80, "method": "multitaper"}),
]


def draw(n_time=80, n=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, n_time, n))
    x[:, 1:, 1] += 0.6 * x[:, :-1, 0]
    return x


def both(name, x, device, params):
    made = find(name)
    fs = 1.0 if made.needs_rate else None
    tensor = torch.as_tensor(x, device=device)
    return made(x, fs=fs, **params), made(tensor, fs=fs, **params).cpu().numpy()


@pytest.mark.parametrize(("name", "params"), CASES)
def test_tensors_give_what_arrays_give(name, params):
    array, tensor = both(name, draw(), "cpu", params)
    np.testing.assert_allclose(tensor, array, rtol=1e-9, atol=1e-11)


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "params"), CASES)
def test_gpu_gives_what_the_processor_gives(name, params):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    array, tensor = both(name, draw(), "cuda", params)
    np.testing.assert_allclose(tensor, array, rtol=1e-9, atol=1e-9)
    x = draw().astype(np.float32)
    if name in ("pearson", "coherence", "dcor", "kendall"):
        single = both(name, x, "cuda", params)[1]
        np.testing.assert_allclose(single, array, atol=2e-5)


@pytest.mark.gpu
def test_transformer_runs_on_the_gpu():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    x = draw()
    ops = ["dcor", "kendall", "pearson"]
    there = na.fc.Connectivity(ops, device="cuda").fit_transform(x)
    here = na.fc.Connectivity(ops, device="cpu").fit_transform(x)
    for name in ops:
        np.testing.assert_allclose(there[name], here[name], atol=1e-9)


@pytest.mark.parametrize("name", ["pearson", "partial", "coherence", "dcor"])
def test_gradients_are_those_of_differences(name):
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(1, 20, 4)), requires_grad=True)
    options = {"fs": 1.0, "segment_samples": 8} if name == "coherence" else {}
    off = ~torch.eye(4, dtype=torch.bool)

    def entries(v):
        return find(name)(v, **options)[:, off]

    assert torch.autograd.gradcheck(entries, (x,), eps=1e-6, atol=1e-5)


def test_small_room_changes_nothing(monkeypatch):
    x = torch.as_tensor(draw())
    whole = [TENSORS[n](x) for n in ("kendall", "mi_ksg")]
    monkeypatch.setattr(tensors, "ROOM", 2 * 80**2)
    for name, wanted in zip(("kendall", "mi_ksg"), whole):
        np.testing.assert_allclose(TENSORS[name](x), wanted, equal_nan=True)


def test_single_recording_is_a_matrix():
    assert find("pearson")(torch.as_tensor(draw()[0])).shape == (5, 5)


def test_operator_without_a_kernel_is_refused_with_those_that_have_one():
    with pytest.raises(ParameterError, match="on tensors there are pearson"):
        find("spearman")(torch.as_tensor(draw()))
    with pytest.raises(ParameterError, match="fisher_z"):
        find("pearson")(torch.as_tensor(draw()), fisher_z=True)


def test_transformer_sends_what_is_worth_it_to_the_device(monkeypatch):
    used = []
    kernel = TENSORS["dcor"]
    monkeypatch.setitem(TENSORS, "dcor", lambda x: used.append(x.device) or kernel(x))
    made = na.fc.Connectivity(["dcor", "pearson"], device="cpu")
    first = made.fit_transform(draw())
    assert not used
    monkeypatch.setattr("neuroana.fc.transformer.choose", lambda device: "cpu:0")
    second = made.fit_transform(draw())
    assert len(used) == 1
    np.testing.assert_allclose(first["dcor"], second["dcor"], atol=1e-12)


def test_every_worthwhile_operator_has_a_kernel():
    assert set(WORTHWHILE) <= set(TENSORS)


def test_options_that_a_kernel_lacks_stay_on_the_processor():
    assert running.runs_on_tensors(find("wpli"), {"band": (0.1, 0.2)})
    assert not running.runs_on_tensors(find("wpli"), {"average": None})
    assert not running.runs_on_tensors(find("log_euclidean"), {"estimator": "oas"})
