"""Advice: never one name without its ties, nor what the data cannot support."""

import numpy as np
import pytest

import neuroana as na
from neuroana.core.errors import ParameterError
from neuroana.fc.recommending import seconds_in, within
from neuroana.fc.registry import Op
from neuroana.fc.samples import cut_samples


@pytest.fixture(scope="module")
def people():
    return na.fc.simulate_people(12, n_roi=5, n_samples=120, effect=2.0,
                                 random_state=0)[0]  # fmt: skip


@pytest.fixture(scope="module")
def found(people):
    return na.fc.recommend(people, budget="3s", n_boot=50)


def test_advice_names_ties_pearson_and_what_was_left_out(found):
    assert found.best
    assert "noise" not in found.best
    text = str(found)
    assert "pearson is" in text
    assert "halves of one scan" in text
    assert "do not fit the budget" in text
    assert (found.table["rank_low"] <= found.table["rank_high"]).all()


def test_groups_need_labels(people):
    with pytest.raises(ParameterError, match="label"):
        na.fc.recommend(people, goal="group", budget=1)


def test_arrays_without_a_rate_get_no_spectral_operator():
    x = np.random.default_rng(0).normal(size=(6, 80, 4))
    advice = na.fc.recommend(x, budget=1, n_boot=20)
    assert any("no sampling rate" in c for c in advice.caveats)
    assert advice.caveats[0].startswith("no operator is above random numbers")


def test_a_larger_budget_takes_more_operators(people):
    samples = cut_samples(people, "halves")
    ops = [Op(n) for n in ("pearson", "dtw", "soft_dtw", "mi_ksg", "lcss", "partial")]
    cost = {o.label: 0.05 * (k + 1) for k, o in enumerate(ops)}
    small, large = (within(ops, samples, cost, s) for s in (1.0, 100.0))
    assert len(large[0]) + len(large[1]) > len(small[0]) + len(small[1])


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1.5h", 5400), (7, 7)])
def test_budgets_are_times(text, seconds):
    assert seconds_in(text) == seconds


def test_a_budget_that_is_no_time_is_refused():
    with pytest.raises(ParameterError, match="'10min'"):
        seconds_in("soon")
