"""The generators keep their promises."""

import numpy as np
import pytest
from scipy import stats

from neuroana.core.contract import check
from neuroana.core.errors import ParameterError
from neuroana.switching import simulate_hmm_glm
from neuroana.switching.simulate import simulate_sequences


@pytest.mark.parametrize("generator", ["li2024", "gaussian_var", "sparse_ei"])
def test_simulated_recordings_keep_the_contract(generator):
    recordings, truth = simulate_hmm_glm(
        generator, n_states=3, n_units=4, n_bins=60, n_sequences=2, random_state=0
    )

    for recording in recordings:
        check(recording, values=True)
        assert recording.attrs["synthetic"] == 1
        assert recording.state.dims == ("time",)
    assert truth.coupling.shape == (3, 4, 4, 1)
    np.testing.assert_allclose(truth.transition_matrix.sum("state_next"), 1.0)


def test_same_seed_gives_the_same_recordings():
    one, other = (
        simulate_hmm_glm(n_units=3, n_bins=40, n_sequences=2, random_state=5)[0]
        for _ in range(2)
    )

    assert one[1].identical(other[1])


def test_first_state_follows_the_initial_law():
    _, truth = simulate_hmm_glm(
        "gaussian_var", n_states=3, n_units=1, n_bins=2, n_sequences=1, random_state=0
    )
    law = np.array([0.6, 0.3, 0.1])
    truth["initial_prob"] = "state", law

    _, states = simulate_sequences(
        np.random.default_rng(0), truth, np.ones((1, 1)), 1, 5000
    )

    counts = np.bincount(states[:, 0], minlength=3)
    assert stats.chisquare(counts, 5000 * law).pvalue > 0.01


def test_states_follow_the_transition_matrix():
    recordings, truth = simulate_hmm_glm(
        n_states=3, n_units=2, n_bins=4000, n_sequences=5, random_state=0
    )

    counts = np.zeros((3, 3))
    for r in recordings:
        z = r.state.to_numpy()
        np.add.at(counts, (z[:-1], z[1:]), 1)

    found = counts / counts.sum(1, keepdims=True)
    error = np.sqrt(0.98 * 0.02 / counts.sum(1)).max()
    np.testing.assert_allclose(found, truth.transition_matrix, atol=4 * error)


def test_edge_types_follow_their_law():
    _, truth = simulate_hmm_glm(n_units=60, n_bins=2, n_sequences=1, random_state=0)

    share = [(truth.edge_type == sign).mean().item() for sign in (-1, 0, 1)]

    np.testing.assert_allclose(share, truth.edge_prior.mean(("neuron", "source")),
                               atol=0.01)  # fmt: skip
    np.testing.assert_array_equal(np.sign(truth.coupling[..., 0]), truth.edge_type)
    assert float(abs(truth.coupling).max()) <= np.log(4)


def test_sources_of_sparse_ei_keep_one_sign():
    data, truth = simulate_hmm_glm(
        "sparse_ei", n_states=3, n_units=30, n_bins=500, n_sequences=2, random_state=0
    )
    w = truth.coupling.to_numpy()[..., 0]
    sign = truth.source_sign.to_numpy()
    others = ~np.eye(30, dtype=bool)

    assert ((w * sign)[:, others] >= 0).all()
    np.testing.assert_array_equal(np.diagonal(w, axis1=1, axis2=2), -1.0)
    assert 0.1 < (w[:, others] != 0).mean() < 0.25
    counts = np.concatenate([r.signal.to_numpy() for r in data])
    assert 0.1 < counts.mean() < 3  # neither silent nor running away


def test_autoregressions_are_stable():
    _, truth = simulate_hmm_glm(
        "gaussian_var", n_units=6, n_bins=2, n_sequences=1, random_state=0
    )

    radius = np.abs(np.linalg.eigvals(truth.coupling[..., 0].to_numpy())).max(axis=1)

    np.testing.assert_allclose(radius, 0.9)


def test_simulate_rejects_what_it_does_not_know():
    with pytest.raises(ParameterError, match="li2024"):
        simulate_hmm_glm("li2023")
    with pytest.raises(ParameterError, match="n_units"):
        simulate_hmm_glm(n_units=0)
