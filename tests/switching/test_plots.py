"""Figures show what they are given."""

import matplotlib.axes
import numpy as np
import pytest
import xarray as xr

from neuroana.core.errors import ParameterError
from neuroana.plot.axes import figure_of
from neuroana.switching import (
    HMMGLM,
    plot_coupling,
    plot_edge_types,
    plot_levels,
    plot_scores,
    plot_states,
    plot_trace,
    plot_transitions,
    simulate_hmm_glm,
)


@pytest.fixture(scope="module")
def fitted():
    recordings, _ = simulate_hmm_glm(
        n_states=2, n_units=3, n_bins=200, n_sequences=2, random_state=0
    )
    model = HMMGLM(2, link="sigmoid", n_init=2, max_iter=5, random_state=0)
    with pytest.warns(UserWarning, match="max_iter"):
        return model.fit(recordings), recordings


def test_plot_states_fills_the_ribbon(fitted):
    model, recordings = fitted
    posterior = model.predict_proba(recordings[0])

    ax = plot_states(posterior, recordings[0], events=[20.0])

    ribbons = [c for c in ax.collections if c.get_label().startswith("state")]
    assert len(ribbons) == 2
    assert len(ax.lines) == 4  # three neurons and the event
    top = ribbons[1].get_paths()[0].vertices[:, 1].max()
    assert top < min(line.get_ydata().min() for line in ax.lines[:3])
    assert isinstance(plot_states(posterior), matplotlib.axes.Axes)


def test_plot_coupling_has_one_symmetric_scale(fitted):
    model, _ = fitted

    axes = plot_coupling(model)

    limits = {ax.images[0].get_clim() for ax in axes}
    (low, high), *others = limits
    assert not others
    assert low == -high
    assert high == pytest.approx(float(np.abs(model.coupling_.sum("basis")).max()))


def test_plot_levels_shows_where_a_state_lies():
    x = np.repeat([[0.0, 0.0], [6.0, -6.0], [0.0, 0.0]], 60, axis=0)
    x += np.random.default_rng(0).standard_normal(x.shape)
    model = HMMGLM(2, "gaussian", history=None, n_init=2, random_state=0).fit(x)

    ax = plot_levels(model)

    levels = ax.images[0].get_array()
    rare = int(model.occupancy_.to_numpy().argmin())
    assert levels.shape == (2, 2)
    assert levels[rare, 0] > 1 > 0 > levels[rare, 1]


def test_plot_levels_points_to_the_couplings(fitted):
    with pytest.raises(ParameterError, match="plot_coupling"):
        plot_levels(fitted[0])


def test_plot_transitions_shows_matrix_and_visits(fitted):
    model, recordings = fitted

    axes = plot_transitions(model, model.predict(recordings))

    np.testing.assert_allclose(axes[0].images[0].get_array(), model.transition_matrix_)
    assert len(axes[1].lines) in (2, 4)
    assert len(plot_transitions(model)) == 1


def test_plot_scores_shows_every_fold():
    scores = xr.Dataset(
        {
            "score": (("model", "fold"), [[-1.0, -1.1], [-1.2, -1.3]]),
            "null": (("fold", "shift"), -1.4 * np.ones((2, 5))),
        },
        coords={"model": ["states", "one_state"]},
        attrs={"n_states": 3},
    )

    ax = plot_scores(scores)

    assert ax.get_xticklabels()[0].get_text() == "3 states"
    folds = [line.get_ydata().tolist() for line in ax.lines]
    assert folds == [[-1.0, -1.2], [-1.1, -1.3]]


def test_plot_trace_draws_every_start(fitted):
    ax = plot_trace(fitted[0])

    assert len(ax.lines) == 2
    assert min(line.get_ydata().min() for line in ax.lines) == pytest.approx(1e-9)


def test_plots_save_without_a_screen(fitted, tmp_path):
    figure_of(plot_coupling(fitted[0])).savefig(tmp_path / "figure.png")

    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_plot_edge_types_shows_the_map_and_the_departures(fitted):
    _, recordings = fitted
    model = HMMGLM(2, link="sigmoid", prior="one_hot", n_init=1, max_iter=8,
                   random_state=0)  # fmt: skip
    with pytest.warns(UserWarning, match="max_iter"):
        model.fit(recordings)

    axes = plot_edge_types(model)

    law = model.edge_prior_.to_numpy()
    shared = law[..., 2] - law[..., 0]
    np.testing.assert_allclose(axes[0].images[0].get_array(), shared)
    own = model.edge_probability_.to_numpy()[1]
    departure = own[..., 2] - own[..., 0] - shared
    drawn = axes[2].images[0].get_array().filled(np.nan)
    np.testing.assert_allclose(drawn, departure)


def test_plot_edge_types_needs_edge_types(fitted):
    with pytest.raises(ParameterError, match="one_hot"):
        plot_edge_types(fitted[0])
