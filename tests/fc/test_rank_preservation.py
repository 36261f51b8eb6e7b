"""Agreement of rankings, beside stored values that were checked by hand."""

import numpy as np
import pytest
import xarray as xr

from neuroana.core.errors import ShapeError
from neuroana.fc.preservation import rank_preservation
from neuroana.fc.rank_agreement import (
    average_ranks,
    kendall_tau,
    ndcg,
    overlap,
    regret,
    relevance_of,
    spearman_rho,
)


CASES = ("same", "reversed", "swap_top2", "swap_bottom2", "best_last", "all_tied",
         "ties_pairs", "noisy")  # fmt: skip


@pytest.fixture(scope="module")
def stored(oracles):
    with np.load(oracles / "coreset_rank.npz", allow_pickle=False) as file:
        return {k: file[k] for k in file.files}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["rank", "score", "top3"])
def test_ndcg_linear_is_the_stored_one(stored, case, kind):
    g, c = stored["full_score"], stored[f"core_{case}"]
    relevance = relevance_of(g, kind[:5].rstrip("3"), top=3)
    np.testing.assert_allclose(relevance, stored[f"relevance_{kind}"], atol=1e-12)
    found = [ndcg(relevance, c, k) for k in stored["ks"]]
    np.testing.assert_allclose(
        found, stored[f"ndcg_{kind}_{case}__sklearn"], atol=1e-12
    )


@pytest.mark.parametrize("case", CASES)
def test_ndcg_exponential_is_the_stored_one(stored, case):
    relevance = relevance_of(stored["full_score"], scaled=False)
    found = [ndcg(relevance, stored[f"core_{case}"], k, gain="exp")
             for k in stored["ks"]]  # fmt: skip
    np.testing.assert_allclose(found, stored[f"ndcg_exp_{case}__sklearn"], atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_correlations_overlap_and_regret_are_the_stored_ones(stored, case):
    g, c = stored["full_score"], stored[f"core_{case}"]
    found = [
        kendall_tau(g, c),
        spearman_rho(g, c),
        overlap(g, c, 3, ties="optimistic"),
        regret(g, c, ties="optimistic"),
    ]
    wanted = [stored[f"{k}_{case}{s}"] for k, s in (
        ("kendall", "__scipy"), ("spearman", "__scipy"), ("overlap3", ""),
        ("regret1", ""))]  # fmt: skip
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_ties_do_not_depend_on_the_order_of_the_operators():
    rng = np.random.default_rng(0)
    g, c = rng.normal(size=12), rng.integers(0, 3, 12).astype(float)
    for _ in range(5):
        p = rng.permutation(12)
        assert overlap(g, c, 4) == pytest.approx(overlap(g[p], c[p], 4))
        assert regret(g, c) == pytest.approx(regret(g[p], c[p]))
        assert ndcg(relevance_of(g), c, 4) == pytest.approx(
            ndcg(relevance_of(g[p]), c[p], 4)
        )


def test_all_tied_gives_what_chance_gives():
    g, c = np.arange(8.0), np.ones(8)
    assert overlap(g, c, 2) == pytest.approx(2 / 8)
    assert regret(g, c) == pytest.approx(7 - 3.5)
    assert np.isnan(kendall_tau(g, c))
    assert np.isnan(spearman_rho(g, c))


def test_average_ranks_keep_missing_scores():
    np.testing.assert_array_equal(average_ranks([1.0, np.nan, 2.0]), [2, np.nan, 1])


def test_rank_preservation_matches_operators_by_name():
    full = xr.DataArray([3.0, 2.0, 1.0], coords={"operator": list("abc")},
                        dims="operator")  # fmt: skip
    core = full.sel(operator=["c", "a", "b"]).expand_dims(repeat=2)
    found = rank_preservation(full, core, ks=(1, 3))
    np.testing.assert_allclose(found.kendall, 1.0)
    assert found.ndcg.dims == ("repeat", "k")
    assert float(found.kendall_chance) == pytest.approx(0.0, abs=0.2)
    with pytest.raises(ShapeError, match="operators of full"):
        rank_preservation(full, core.assign_coords(operator=list("xyz")))


def test_rank_preservation_counts_operators_without_a_score():
    found = rank_preservation(np.array([3.0, 2.0, 1.0]), np.array([1.0, np.nan, 2.0]))
    assert found.attrs["n_undefined"] == 1
    assert float(found.kendall) == -1.0
    with pytest.raises(ShapeError, match="at least 2 operators"):
        rank_preservation(np.ones(3), np.array([1.0, np.nan, np.nan]))
