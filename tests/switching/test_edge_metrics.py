"""Accuracy and calibration of edge types."""

import numpy as np
import pytest

from neuroana.core.errors import ShapeError
from neuroana.switching import balanced_edge_accuracy, edge_calibration


def test_balanced_accuracy_counts_every_type_alike():
    truth = np.array([0] * 98 + [1, -1])
    nothing = np.tile([0.0, 1.0, 0.0], (100, 1))

    assert balanced_edge_accuracy(nothing, truth) == pytest.approx(1 / 3)


def test_calibration_of_honest_probabilities():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.5, 1.0, 0.5], 20_000)
    truth = (rng.random((20_000, 1)) > p.cumsum(axis=1)).sum(axis=1) - 1

    table = edge_calibration(p, truth)

    np.testing.assert_allclose(table.found, table.said, atol=0.03)
    assert int(table["count"].sum()) == 60_000


def test_edges_without_a_prior_are_left_out():
    p = np.array([[[0.8, 0.1, 0.1], [np.nan] * 3]])

    assert balanced_edge_accuracy(p, np.array([[-1, 1]])) == 1.0


def test_types_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match="edge types"):
        balanced_edge_accuracy(np.ones((4, 3)), np.zeros(5))
