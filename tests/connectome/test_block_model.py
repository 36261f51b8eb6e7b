"""Description lengths against stored values, and searches against enumeration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from neuroana.connectome import simulate_graph
from neuroana.connectome.block_model import (
    FAMILIES,
    block_sums,
    description_length,
    make_graph,
    nested_description_length,
)
from neuroana.connectome.block_moves import (
    costs,
    make_state,
    merge_costs,
    move_nodes,
    shift,
    sums_to_groups,
)
from neuroana.connectome.block_search import nest, posterior, search
from neuroana.connectome.community_starts import (
    make_starts,
    modularity_partition,
    ordered,
)
from neuroana.connectome.partitions import connected_components, strength_corrected


def golden(name):
    n = 8 if name == "A" else 9
    i, j = np.indices((n, n))
    low, high = np.minimum(i, j), np.maximum(i, j)
    if name == "A":
        w = np.where(i // 4 == j // 4, 2, 0.25) * (1 + ((3 * low + 5 * high) % 7) / 10)
        planted = np.arange(8) // 4
    else:
        edge = (i // 3 == j // 3) | ((low + 2 * high) % 5 == 0)
        w = np.where(i // 3 == j // 3, 4, 0.1) * (1 + ((2 * low + 3 * high) % 5) / 10)
        w, planted = w * edge, np.arange(9) // 3
    return w * (i != j), planted


STORED = [
    ("A", False, 63.465250, 61.049682, 85.902389, 61.742829),
    ("A", True, 71.299388, 67.816835, 85.902389, 68.509982),
    ("B", False, 55.758680, 65.504817, 71.881300, 66.603429),
    ("B", True, 61.839353, 70.143932, 71.881300, 71.242544),
]


def partitions_of(n):
    """All set partitions of n nodes as labels."""

    def grow(prefix, used):
        if len(prefix) == n:
            yield np.array(prefix)
            return
        for label in range(used + 1):
            yield from grow([*prefix, label], max(used, label + 1))

    yield from grow([], 0)


def random_graph(seed, n, family, **options):
    rng = np.random.default_rng(seed)
    w = rng.poisson(1.5, (n, n)) + 1.0
    if family in ("exponential", "log-normal"):
        w = rng.exponential(1.0, (n, n))
    w = np.triu(w * (rng.random((n, n)) < 0.75), 1)
    return make_graph(w + w.T, family, **options)


@pytest.mark.parametrize(("name", "dc", "one", "planted", "single", "nested"), STORED)
def test_lengths_are_those_of_graph_tool(name, dc, one, planted, single, nested):
    w, b = golden(name)
    graph = make_graph(w, "exponential", degree_corrected=dc)
    found = [description_length(graph, x) for x in (0 * b, b, np.arange(len(b)))]
    np.testing.assert_allclose(found, [one, planted, single], atol=1e-6)
    top = np.zeros(b.max() + 1, dtype=int)
    assert nested_description_length(graph, [b, top]) == pytest.approx(nested, abs=1e-6)


def test_three_levels_are_those_of_graph_tool():
    w, b = golden("B")
    for dc, wanted in ((False, 67.536902), (True, 72.176017)):
        graph = make_graph(w, "exponential", degree_corrected=dc)
        levels = [b, np.array([0, 0, 1]), np.zeros(2, dtype=int)]
        assert nested_description_length(graph, levels) == pytest.approx(
            wanted, abs=1e-6
        )


@pytest.mark.parametrize(("name", "dc", "one", "planted", "single", "nested"), STORED)
def test_search_ends_at_the_minimum_of_enumeration(
    name, dc, one, planted, single, nested
):
    w, _ = golden(name)
    graph = make_graph(w, "exponential", degree_corrected=dc)
    found = search(graph, make_starts(w, 11, 0), max_groups=len(w), seed=0)
    assert found.length == pytest.approx(min(one, planted), abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "seeds", [range(12), pytest.param(range(12, 50), marks=pytest.mark.slow)]
)
def test_search_finds_the_optimum_of_small_graphs(family, seeds):
    for seed in seeds:
        graph = random_graph(seed, 7, family, edges=seed % 2 == 0)
        best = min(description_length(graph, b) for b in partitions_of(7))
        found = search(graph, make_starts(graph.stats[1], 14, seed), max_groups=7,
                       seed=seed)  # fmt: skip
        assert found.length == pytest.approx(best, abs=1e-7)


@given(st.integers(0, 1000), st.sampled_from(FAMILIES), st.booleans(), st.booleans())
def test_every_move_costs_what_recomputing_says(seed, family, dc, edges):
    graph = random_graph(seed, 10, family, degree_corrected=dc, edges=edges,
                         design_effect=1.0 + seed % 3)  # fmt: skip
    rng = np.random.default_rng(seed)
    state = make_state(graph, rng.integers(0, 4, 10), 6)
    node = int(rng.integers(10))
    was, a = int(state.labels[node]), sums_to_groups(state, node)
    k = float(graph.stats[0, node].sum())
    shift(state, was, a, k, -1.0)
    cost = costs(state, a, k, np.ones(6, dtype=bool), was)
    rest = []
    for group in np.flatnonzero(np.isfinite(cost)):
        labels = state.labels.copy()
        labels[node] = group
        rest.append(description_length(graph, labels) - cost[group])
    assert np.ptp(rest) < 1e-8


@given(st.integers(0, 1000), st.sampled_from(FAMILIES), st.booleans(), st.booleans())
def test_every_merge_costs_what_recomputing_says(seed, family, dc, edges):
    graph = random_graph(seed, 10, family, degree_corrected=dc, edges=edges,
                         design_effect=1.0 + seed % 3)  # fmt: skip
    rng = np.random.default_rng(seed)
    state = make_state(graph, rng.integers(0, 4, 10), 6)
    used = np.flatnonzero(state.size > 0)
    found = merge_costs(state, used)
    for r in range(len(used)):
        for s in range(r + 1, len(used)):
            labels = np.where(state.labels == used[s], used[r], state.labels)
            change = description_length(graph, labels) - state.length()
            assert found[r, s] == pytest.approx(change, abs=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("edges", [True, False])
def test_compiled_moves_are_their_array_twin(family, edges):
    pytest.importorskip("numba")
    graph = random_graph(3, 25, family, edges=edges, degree_corrected=edges,
                         design_effect=1.5)  # fmt: skip
    rng = np.random.default_rng(0)
    start = rng.integers(0, 5, 25)
    one, two = make_state(graph, start, 8), make_state(graph, start, 8)
    for _ in range(4):
        order = rng.permutation(25)
        moved = move_nodes(one, order)
        assert moved == move_nodes(two, order, use_compiled=False)
        np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_allclose(one.sums, block_sums(graph, one.labels, 8), atol=1e-9)


@given(st.integers(0, 1000), st.sampled_from(FAMILIES))
def test_labels_mean_nothing(seed, family):
    graph = random_graph(seed, 9, family)
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 9)
    other = np.array([7, 2, 5])[labels]
    assert description_length(graph, labels) == pytest.approx(
        description_length(graph, other), abs=1e-9
    )


@given(st.integers(0, 1000))
def test_scaling_the_weights_shifts_every_exponential_length_alike(seed):
    graph = random_graph(seed, 9, "exponential")
    scaled = make_graph(graph.stats[1] * 3.0, "exponential")
    labels = np.random.default_rng(seed).integers(0, 2, 9)
    m = block_sums(graph, np.unique(labels, return_inverse=True)[1])[0]
    if (m[np.triu_indices(len(m))] < 1.5).any():
        return  # a single weight is not described, so it has no scale
    change = description_length(scaled, labels) - description_length(graph, labels)
    assert change == pytest.approx((graph.n_edges - 1) * np.log(3.0), abs=1e-8)


@given(st.integers(0, 1000))
def test_scaling_shifts_lognormal_lengths_by_the_jacobian(seed):
    graph = random_graph(seed, 9, "log-normal", edges=False)
    scaled = make_graph(graph.stats[1] * 3.0, "log-normal", edges=False)
    labels = np.random.default_rng(seed).integers(0, 3, 9)
    change = description_length(scaled, labels) - description_length(graph, labels)
    assert change == pytest.approx(graph.n_edges * np.log(3.0), abs=1e-7)


def test_search_is_never_longer_than_its_best_start():
    w, _ = simulate_graph(40, 3, ratio=2, random_state=0)
    graph = make_graph(w.to_numpy(), "exponential")
    starts = make_starts(w.to_numpy(), 11, 0)
    found = search(graph, starts, max_groups=10, seed=0)
    best = min(description_length(graph, np.minimum(ordered(b), 9)) for b in starts)
    assert found.length <= best + 1e-9


def test_samples_follow_the_posterior_of_enumeration():
    graph = random_graph(5, 5, "exponential", edges=False)
    every = list(partitions_of(5))
    lengths = np.array([description_length(graph, b) for b in every])
    exact = np.exp(lengths.min() - lengths)
    exact /= exact.sum()
    _, samples = posterior(graph, np.zeros(5, int), 20_000, max_groups=5, seed=0)
    keys = {tuple(np.unique(b, return_inverse=True)[1]): i for i, b in enumerate(every)}
    counts = np.zeros(len(every))
    for b in samples:
        _, first = np.unique(b, return_index=True)
        names = {b[i]: r for r, i in enumerate(np.sort(first))}
        counts[keys[tuple(names[x] for x in b)]] += 1
    assert 0.5 * np.abs(counts / counts.sum() - exact).sum() < 0.05


@pytest.mark.parametrize(
    ("n", "k", "kind", "ratio", "least"),
    [(60, 4, "assortative", 3, 0.95), (60, 4, "assortative", 4, 0.95),
     (120, 6, "assortative", 3, 0.9), (100, 5, "disassortative", 3, 0.9),
     (100, 2, "core-periphery", 6, 0.9)],
)  # fmt: skip
def test_planted_groups_are_found(n, k, kind, ratio, least):
    found = []
    for seed in range(31, 35):
        w, b = simulate_graph(n, k, kind=kind, ratio=ratio, random_state=seed)
        graph = make_graph(w.to_numpy(), "exponential")
        starts = make_starts(w.to_numpy(), 11, 0)
        best = search(graph, starts, max_groups=n // 4, seed=0)
        assert best.length <= description_length(graph, b) + 1e-6
        found.append(adjusted_rand_score(b, best.labels))
    assert np.mean(found) >= least


def test_noise_is_one_group():
    for seed in range(6):
        w, _ = simulate_graph(60, kind="none", random_state=seed)
        assert modularity_partition(w.to_numpy()).max() > 0
        graph = make_graph(w.to_numpy(), "exponential")
        starts = make_starts(w.to_numpy(), 11, 0)
        assert search(graph, starts, max_groups=15, seed=0).labels.max() == 0


def test_groups_of_groups_are_found_where_they_pay():
    rng = np.random.default_rng(0)
    b = np.arange(96) // 8
    mean = np.where(
        b[:, None] == b, 30.0, np.where(b[:, None] // 4 == b // 4, 6.0, 1.0)
    )
    w = np.triu(rng.exponential(mean) * (rng.random((96, 96)) < 0.7), 1)
    graph = make_graph(w + w.T, "exponential")
    levels = nest(graph, b)
    assert len(levels) > 1
    assert nested_description_length(graph, levels) < description_length(graph, b)


def test_strength_correction_removes_strong_and_weak_neurons():
    rng = np.random.default_rng(0)
    v = rng.gamma(3.0, 1.0, 30)
    w = np.outer(v, v) * rng.gamma(20.0, 0.05, (30, 30))
    w = np.triu(w, 1) + np.triu(w, 1).T
    corrected = strength_corrected(w)
    before = np.corrcoef(w.sum(1), v)[0, 1]
    assert before > 0.9
    assert corrected.sum(1).std() / corrected.sum(1).mean() < 0.1


def test_components_are_told_apart():
    w = np.zeros((6, 6))
    w[0, 1] = w[1, 0] = w[2, 3] = w[3, 2] = 1.0
    assert connected_components(w).tolist()[4:] == [-1, -1]
    assert len(set(connected_components(w)[:4].tolist())) == 2
