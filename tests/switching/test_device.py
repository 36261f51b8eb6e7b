"""One device story: a batch of starts is each start alone, and a GPU is a CPU."""

import numpy as np
import pytest
import torch

from neuroana.switching import HMMGLM, em, simulate_hmm_glm


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


def test_starts_as_one_batch_equal_starts_alone(recordings, monkeypatch):
    alone = HMMGLM(**OPTIONS).fit(recordings)
    monkeypatch.setattr(em, "each_start", all_at_once)
    together = HMMGLM(**OPTIONS).fit(recordings)
    assert together.best_start_ == alone.best_start_
    np.testing.assert_allclose(learned(together), learned(alone), atol=1e-6)


def test_device_is_stored_with_the_fit(recordings):
    model = HMMGLM(**{**OPTIONS, "n_init": 1, "device": "cpu"}).fit(recordings[0])
    assert model.device_ == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("observation", ["poisson", "gaussian"])
def test_gpu_agrees_with_cpu(recordings, observation):
    options = {**OPTIONS, "observation": observation}
    options["link"] = "sigmoid" if observation == "poisson" else None
    cpu = HMMGLM(**options, device="cpu").fit(recordings)
    gpu = HMMGLM(**options, device="cuda").fit(recordings)
    np.testing.assert_allclose(learned(gpu), learned(cpu), atol=1e-6)
    assert gpu.score(recordings) == pytest.approx(cpu.score(recordings), abs=1e-8)
