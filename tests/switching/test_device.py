"""One device story: a batch of starts is each start alone, and a GPU is a CPU."""

import numpy as np
import pytest
import torch

from neuroana.switching import HMMGLM, OneHotPrior, em, panel, simulate_hmm_glm


OPTIONS = {
    "n_states": 2,
    "link": "sigmoid",
    "n_init": 3,
    "max_iter": 40,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def recordings():
    return simulate_hmm_glm(
        n_states=2, n_units=4, n_bins=500, n_sequences=3, random_state=0
    )[0]


def learned(model):
    return np.concatenate(
        [
            model.coupling_.to_numpy().ravel(),
            model.transition_matrix_.to_numpy().ravel(),
        ]
    )


def all_at_once(problem, function, n_starts):
    """What ``each_start`` does on a GPU."""
    return list(function(list(range(n_starts))))


MODELS = [
    {},
    {"prior": "gaussian"},
    {"prior": OneHotPrior(sign_pooling="source")},
    {"prior": OneHotPrior("gumbel"), "max_iter": 3},
    {"baseline": "shared"},
    {"link": "softplus", "dtype": "float32"},
    {"observation": "negative_binomial", "link": None},
    {"observation": "gaussian", "link": None},
    {"observation": "gaussian", "link": None, "covariance": "full"},
    {"transitions": "inputs"},
]


def fit_of(recordings, change, **more):
    options = {**OPTIONS, **change, **more}
    given = {}
    if options.get("transitions") == "inputs":
        given["transition_inputs"] = [np.ones((500, 1)).cumsum(0) % 7] * 3
    return HMMGLM(**options).fit(recordings, **given), given


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
@pytest.mark.parametrize("change", MODELS, ids=repr)
def test_starts_as_one_batch_equal_starts_alone(recordings, monkeypatch, change):
    alone, _ = fit_of(recordings, change)
    monkeypatch.setattr(em, "each_start", all_at_once)
    together, _ = fit_of(recordings, change)
    assert together.best_start_ == alone.best_start_
    close = 1e-3 if change.get("dtype") == "float32" else 1e-6
    np.testing.assert_allclose(learned(together), learned(alone), atol=close)


@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
def test_large_data_in_float32_agree_with_float64(recordings, monkeypatch):
    double, _ = fit_of(recordings, {})
    monkeypatch.setattr(panel, "LARGE", 0)
    mixed, _ = fit_of(recordings, {})
    assert mixed.objective_ == pytest.approx(double.objective_, rel=1e-6)
    np.testing.assert_allclose(learned(mixed), learned(double), atol=5e-3)


def test_offsets_that_float32_would_lose_are_kept_in_float64():
    ripple = torch.linspace(0, 1, 50, dtype=torch.float64)
    fine = torch.stack([torch.ones(50), ripple], 1)
    assert panel.well_scaled(fine)
    assert not panel.well_scaled(torch.stack([torch.ones(50), 1e6 + ripple], 1))


def test_device_is_stored_with_the_fit(recordings):
    model = HMMGLM(**{**OPTIONS, "n_init": 1, "device": "cpu"}).fit(recordings[0])
    assert model.device_ == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
@pytest.mark.parametrize("change", MODELS, ids=repr)
def test_gpu_agrees_with_cpu(recordings, change):
    cpu, given = fit_of(recordings, change, device="cpu")
    gpu, _ = fit_of(recordings, change, device="cuda")
    close = 1e-3 if change.get("dtype") == "float32" else 1e-6
    np.testing.assert_allclose(learned(gpu), learned(cpu), atol=close)
    assert gpu.score(recordings, **given) == pytest.approx(
        cpu.score(recordings, **given), abs=close
    )
