"""Passes over the data: chunks, blocks of time, workers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from neuroana.switching import HMMGLM, simulate_hmm_glm
from neuroana.switching import panel as panels
from neuroana.switching.observations import Poisson
from neuroana.switching.panel import Panel


def made(n_bins=5000):
    rng = np.random.default_rng(0)
    design = torch.as_tensor(np.c_[np.ones(n_bins), rng.standard_normal((n_bins, 3))])
    x = torch.as_tensor(rng.poisson(0.7, (n_bins, 2)).astype(float))
    return Panel.of(Poisson("softplus"), design, x, coarse=False)


def test_chunks_cover_every_bin_once(monkeypatch):
    monkeypatch.setattr(panels, "CHUNK_BYTES", 8 * 4 * 130)

    chunks = made().chunks(4)

    covered = np.concatenate([np.arange(c.start, c.stop) for c in chunks])
    np.testing.assert_array_equal(covered, np.arange(5000))
    assert len(chunks) == -(-5000 // 130)


def test_total_does_not_depend_on_the_workers(monkeypatch):
    monkeypatch.setattr(panels, "CHUNK_BYTES", 8 * 4 * 70)
    panel = made()

    def moments(chunks):
        return tuple(
            sum(panel.design[:, c].sum(1) ** k for c in chunks) for k in (1, 2)
        )

    alone = panel.total(moments, 4)
    with ThreadPoolExecutor(3) as pool:
        panel.map = pool.map
        shared = panel.total(moments, 4)

    for one, other in zip(alone, shared):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    torch.testing.assert_close(alone[0], panel.design.sum(1))


def test_a_single_start_is_the_same_with_any_number_of_workers(monkeypatch):
    monkeypatch.setattr(panels, "CHUNK_BYTES", 8 * 16 * 70)
    data, _ = simulate_hmm_glm(
        n_states=2, n_units=4, n_bins=600, n_sequences=2, random_state=0
    )
    options = {"link": "sigmoid", "n_init": 1, "random_state": 0}

    one = HMMGLM(2, n_jobs=1, **options).fit(data)
    three = HMMGLM(2, n_jobs=3, **options).fit(data)

    np.testing.assert_array_equal(one.coupling_, three.coupling_)
    np.testing.assert_array_equal(one.objective_trace_, three.objective_trace_)
