"""Memory: what operators declare holds, and batches are cut by it."""

import tracemalloc

import numpy as np
import pytest

import neuroana as na
from neuroana.core.errors import ParameterError
from neuroana.fc.batching import batches, bytes_of, workspace
from neuroana.fc.contract import as_batch
from neuroana.fc.gathering import gather
from neuroana.fc.registry import find, load_operators
from neuroana.fc.sharing import Shared


ALL = sorted(load_operators())
SLACK = 2**17  # bytes of interpreter objects, beside arrays
OPTIONS = {"mcd": {}, "graphical_lasso_cv": {"alphas": (0.4, 0.2)}}


def peak_of(made, x, params):
    """Largest number of bytes that an operator holds beside the samples."""
    reference = made.learn(list(x)) if made.learn else None
    fs = 1.0 if made.needs_rate else None
    made.run(Shared(x), fs=fs, reference=reference, **params)  # imports, compilation
    tracemalloc.start()
    made.run(Shared(x), fs=fs, reference=reference, **params)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("name", ALL)
def test_operator_holds_no_more_than_it_declares(name):
    made, params = find(name), OPTIONS.get(name, {})
    n_time, n_roi = (260, 20) if name != "mcd" else (160, 8)
    rng = np.random.default_rng(0)
    x = as_batch(rng.normal(size=(3, n_time, n_roi)))
    once, each = workspace([(made, params)], n_time, n_roi)
    assert peak_of(made, x, params) < once + 3 * each + SLACK


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("xcorr_max", {"lag_samples": 60}),
        ("granger", {"order": 6}),
        ("mtd", {"reduce": "sd"}),
        ("mi_binned", {"n_bins": 16}),
        ("coherence", {"segment_samples": 128}),
        ("wpli", {"segment_samples": 128, "method": "multitaper"}),
        ("dtf", {"n_freqs": 65, "order": 2}),
    ],
)
def test_declared_memory_follows_the_options(name, params):
    made = find(name)
    x = np.random.default_rng(0).normal(size=(2, 400, 16))
    once, each = workspace([(made, params)], 400, 16)
    plain = sum(workspace([(made, {})], 400, 16))
    assert once + each > plain
    assert peak_of(made, x, params) < once + 2 * each + SLACK


def test_option_that_makes_no_sense_is_left_to_the_kernel():
    x = np.random.default_rng(0).normal(size=(3, 50, 3))
    with pytest.raises(ParameterError, match="lag_samples"):
        na.fc.connectivity(x, "xcorr_max", lag_samples="many")


def test_batches_are_smaller_for_operators_that_need_more():
    x = np.random.default_rng(0).normal(size=(12, 64, 10))
    group = gather(x)
    limit = 2 * sum(workspace([(find("coherence"), {})], 64, 10))
    plans = {
        name: batches(group, [(find(name), {})], memory_limit=limit)
        for name in ("pearson", "coherence")
    }
    assert len(plans["pearson"]) < len(plans["coherence"])
    assert sorted(k for b in plans["coherence"] for k in b.members) == list(range(12))


def test_shared_intermediates_count_once():
    alone = workspace([(find("coherence"), {})], 200, 20)[1]
    both = workspace([(find("coherence"), {}), (find("imcoh"), {})], 200, 20)[1]
    assert both < 1.01 * alone


def test_jobs_share_the_limit_and_all_have_work():
    group = gather(np.random.default_rng(0).normal(size=(12, 64, 10)))
    plan = batches(group, [(find("pearson"), {})], n_jobs=3)
    assert [len(b.members) for b in plan] == [4, 4, 4]


def test_operator_of_a_user_declares_its_workspace(own):
    @na.fc.operator("greedy", "correlation", workspace=lambda T, N, many: many * T)
    def greedy(x, *, many=1000):
        return np.corrcoef(x[0].T)[None]

    assert greedy.bytes_for(10, 2, {"many": 5})[0] == 8 * 50


@pytest.mark.parametrize(("text", "size"), [("1KB", 1024), ("0.5MB", 2**19), (7, 7)])
def test_size_is_read(text, size):
    assert bytes_of(text) == size
