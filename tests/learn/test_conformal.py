"""Intervals hold the share of volumes that they promise, though errors go together."""

import numpy as np
import pytest
from scipy.signal import lfilter

from neuroana.core.errors import ParameterError, ShapeError
from neuroana.learn.conformal import half_widths


def slow(rng, n, n_columns, phi=0.8):
    e = rng.standard_normal((n + 100, n_columns))
    return lfilter([np.sqrt(1 - phi**2)], [1, -phi], e, axis=0)[100:]


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_coverage_is_the_level(level):
    rng = np.random.default_rng(0)
    runs = [slow(rng, 250, 400) for _ in range(4)]
    width = half_widths(runs, level)
    fresh = slow(rng, 1000, 400)
    assert np.mean(np.abs(fresh) <= width) == pytest.approx(level, abs=0.02)


def test_long_runs_do_not_outweigh_short_ones():
    rng = np.random.default_rng(0)
    calm, wild = slow(rng, 900, 1), 5 * slow(rng, 300, 1)
    width = half_widths([calm, wild], 0.8)[0]
    pooled = np.quantile(np.abs(np.concatenate([calm, wild])), 0.8)
    assert width > 1.2 * pooled


def test_too_few_errors_give_no_bound():
    assert np.isinf(half_widths([np.random.default_rng(0).normal(size=(8, 1))], 0.95))[
        0
    ]


def test_missing_volumes_do_not_count():
    errors = np.random.default_rng(0).normal(size=(400, 2))
    holed = errors.copy()
    holed[::7] = np.nan
    np.testing.assert_allclose(half_widths([holed]), half_widths([errors]), rtol=0.15)


def test_wrong_arguments_are_refused():
    with pytest.raises(ShapeError, match="one run at least"):
        half_widths([])
    with pytest.raises(ParameterError, match="level"):
        half_widths([np.zeros((5, 1))], 1.0)
