"""The estimator of communities: labels, null, consensus, and what is refused."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import neuroana as na
from neuroana.connectome import (
    DifferentialAffinity,
    MotifCommunities,
    NonNegativeCP,
    simulate_graph,
)
from neuroana.core.errors import DataWarning, ParameterError, ShapeError


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")


@pytest.fixture(scope="module")
def chain(motifs):
    recordings, _ = motifs
    placed = recordings[0].assign_coords(x=("neuron", np.arange(40.0)))
    tensor = DifferentialAffinity(stride=2).fit_transform(placed)
    model = NonNegativeCP(4, "single", baseline=True, n_init=4, random_state=0)
    model.fit(tensor)
    return model, MotifCommunities(random_state=0, n_consensus=3).fit(model)


def test_every_motif_but_the_baseline_has_communities(chain):
    _, communities = chain
    assert communities.labels_["component"].values.tolist() == ["0", "1", "2", "3"]
    assert communities.labels_.sizes["neuron"] == 40
    assert (communities.gap_ >= -1e-9).all()
    assert communities.leiden_.dims == ("component", "neuron")


def test_membership_names_neurons_and_places(chain):
    table = chain[1].membership(0)
    assert {"neuron", "x", "group", "leiden", "certainty", "unstable"} <= set(table)
    assert len(table) == 40
    assert table["group"].is_monotonic_increasing


def test_consensus_is_a_share_of_restarts(chain):
    values = chain[1].consensus_.to_numpy()
    assert values.min() >= 0
    assert values.max() <= 1 + 1e-12
    np.testing.assert_allclose(values, values.swapaxes(1, 2))


def test_communities_are_saved_and_loaded(chain, tmp_path):
    again = na.load(chain[1].save(tmp_path / "communities.nc"))
    np.testing.assert_array_equal(again.labels_, chain[1].labels_)
    assert again.family_.values.tolist() == chain[1].family_.values.tolist()


def test_log_normal_weights_are_known_as_such():
    rng = np.random.default_rng(0)
    b = np.arange(40) // 10
    w = rng.lognormal(np.where(b[:, None] == b, 1.0, 0.0), 0.3)
    w = np.triu(w, 1) + np.triu(w, 1).T
    model = MotifCommunities(random_state=0).fit(w)
    assert model.family_.item() == "log-normal"
    assert adjusted_rand_score(b, model.labels_[0, 0]) > 0.95


def test_exponential_weights_are_known_as_such():
    w, b = simulate_graph(60, 4, ratio=4, random_state=3)
    model = MotifCommunities(random_state=0, strength_corrected=False).fit(w)
    assert model.family_.item() == "exponential"
    assert adjusted_rand_score(b, model.labels_[0, 0]) > 0.95


def test_counts_get_a_law_of_counts():
    rng = np.random.default_rng(0)
    b = np.arange(30) // 10
    w = rng.poisson(np.where(b[:, None] == b, 9.0, 3.0)).astype(float)
    w = np.triu(w, 1) + np.triu(w, 1).T
    model = MotifCommunities(random_state=0, strength_corrected=False).fit(w)
    assert model.family_.item() == "poisson"
    assert adjusted_rand_score(b, model.labels_[0, 0]) > 0.95


def test_a_split_of_noise_does_not_count_and_a_real_one_does():
    noise, _ = simulate_graph(40, kind="none", random_state=0)
    real, _ = simulate_graph(40, 4, ratio=4, random_state=0)
    both = np.stack([noise, real])
    model = MotifCommunities(random_state=0, n_null=19, n_posterior=0).fit(both)
    assert model.counts_.values.tolist() == [0, 1]
    assert float(model.p_value_[1]) == pytest.approx(0.05)
    assert float(model.p_value_[0]) > 0.05


@pytest.mark.parametrize("method", ["leiden", "louvain"])
def test_modularity_is_another_method(method):
    w, b = simulate_graph(40, 4, ratio=5, random_state=0)
    model = MotifCommunities(method, random_state=0).fit(w)
    assert adjusted_rand_score(b, model.labels_[0, 0]) > 0.9


def test_preset_describes_edges_by_exponential_weights():
    w, _ = simulate_graph(40, 2, ratio=4, random_state=0)
    model = MotifCommunities(preset="dyballa2024", random_state=0).fit(w)
    assert model.family_.item() == "exponential"
    flat = MotifCommunities(
        weight="exponential", strength_corrected=False, edge_model="full",
        random_state=0,
    ).fit(w)  # fmt: skip
    assert float(model.dl_[0]) == pytest.approx(float(flat.dl_[0]))


def test_permuting_neurons_permutes_communities():
    w, _ = simulate_graph(40, 4, ratio=5, random_state=1)
    order = np.random.default_rng(0).permutation(40)
    one = MotifCommunities(random_state=0).fit(w.values)
    two = MotifCommunities(random_state=0).fit(w.values[np.ix_(order, order)])
    assert adjusted_rand_score(one.labels_[0, 0][order], two.labels_[0, 0]) == 1.0


def test_same_seed_gives_the_same_communities():
    w, _ = simulate_graph(40, 4, ratio=2, random_state=1)
    found = [MotifCommunities(random_state=3).fit(w) for _ in "ab"]
    np.testing.assert_array_equal(found[0].labels_, found[1].labels_)
    np.testing.assert_array_equal(found[0].coassignment_, found[1].coassignment_)


def test_no_more_groups_than_allowed():
    w, _ = simulate_graph(40, 8, ratio=8, random_state=1)
    model = MotifCommunities(max_groups=3, random_state=0).fit(w)
    assert int(model.labels_.max()) <= 2


def test_isolated_neurons_have_no_group_and_parts_are_apart():
    w = np.zeros((12, 12))
    w[:5, :5] = w[5:10, 5:10] = 1.0
    w += np.triu(np.random.default_rng(0).random((12, 12)), 1) * (w > 0)
    w = np.triu(w, 1) + np.triu(w, 1).T
    labels = MotifCommunities(random_state=0).fit(w).labels_[0, 0].values
    assert labels[10:].tolist() == [-1, -1]
    assert not set(labels[:5]) & set(labels[5:10])


# --- bad input -----------------------------------------------------------------------


def test_an_asymmetric_matrix_is_refused():
    w = np.random.default_rng(0).random((6, 6))
    with pytest.raises(ParameterError, match="symmetric"):
        MotifCommunities().fit(w)


def test_negative_weights_are_refused():
    w = -np.ones((6, 6))
    np.fill_diagonal(w, 0.0)
    with pytest.raises(ParameterError, match="weights >= 0"):
        MotifCommunities().fit(w)


def test_self_loops_are_dropped_with_a_warning():
    w, _ = simulate_graph(20, 2, random_state=0)
    with pytest.warns(DataWarning, match="20 self loops"):
        MotifCommunities(random_state=0).fit(w.values + np.eye(20))


def test_a_motif_without_edges_warns():
    with pytest.warns(DataWarning, match="without an edge"):
        model = MotifCommunities(random_state=0).fit(np.zeros((8, 8)))
    assert (model.labels_ == -1).all()


def test_a_table_that_is_no_matrix_is_refused():
    with pytest.raises(ShapeError, match="matrices"):
        MotifCommunities().fit(np.ones((4, 5)))


def test_infinite_weights_are_refused():
    w = np.full((5, 5), np.inf)
    with pytest.raises(ParameterError, match="finite"):
        MotifCommunities().fit(w)


@pytest.mark.parametrize("method", ["graph-tool", "leidenalg"])
def test_a_package_that_is_not_there_is_named(method):
    name = "graph_tool" if method == "graph-tool" else "leidenalg"
    try:
        __import__(name)
    except ImportError:
        with pytest.raises(ParameterError, match="install it yourself"):
            MotifCommunities(method).fit(simulate_graph(12, 2, random_state=0)[0])
    else:
        pytest.skip(f"{name} is installed")
