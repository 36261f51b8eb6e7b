"""Statistics of predicted courses on data whose answer is known."""

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter

from neuroana.core.errors import ParameterError
from neuroana.eeg2fmri import (
    lagged_correlations,
    model_differences,
    other_people_statistics,
    region_statistics,
)


ROIS = ["a", "b", "c", "vein"]


def slow(rng, *shape):
    """Unit-variance series with the memory of BOLD along the first axis."""
    e = rng.standard_normal((shape[0] + 100, *shape[1:]))
    return lfilter([np.sqrt(1 - 0.8**2)], [1, -0.8], e, axis=0)[100:]


def made(predictions, truth, n_people=6, n_volumes=150, n_folds=1):
    """A table of predictions, each person one run."""
    who = np.repeat([f"{i:02d}" for i in range(n_people)], n_volumes)
    values = np.stack(list(predictions.values()))
    return xr.Dataset(
        {"prediction": (("model", "volume", "roi"), values),
         "truth": (("volume", "roi"), truth)},
        coords={
            "model": list(predictions), "roi": ROIS, "subject": ("volume", who),
            "label": ("volume", [f"sub-{w}" for w in who]),
            "number": ("volume", np.tile(np.arange(n_volumes), n_people)),
            "fold": ("volume", np.tile(np.arange(n_volumes) * n_folds // n_volumes,
                                       n_people)),
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def study():
    """Six people; a model of region a, one of the global signal, one of nothing."""
    rng = np.random.default_rng(0)
    n = 900
    shared = slow(rng, n, 1)
    truth = slow(rng, n, 4) + 1.5 * shared
    models = {
        "region a": slow(rng, n, 4),
        "global": shared + 0.3 * slow(rng, n, 4),
        "nothing": slow(rng, n, 4),
    }
    models["region a"][:, 0] += 1.2 * truth[:, 0]
    return made(models, truth)


@pytest.fixture(scope="module")
def table(study):
    made = region_statistics(study, controls=["vein"], n_surrogates=499)
    return made.set_index(["model", "roi"])


def test_a_region_that_is_predicted_is_found(table):
    row = table.loc["region a", "a"]
    assert row["r"] > 0.6
    assert row["low"] < row["r"] < row["high"]
    assert max(row["p_family"], row["q"], row["p_bartlett"]) < 0.01
    assert row["p_people"] == pytest.approx(2 / 64)
    assert row["r_specific"] > 0.3


def test_nothing_is_not_found(table):
    rows = table.loc["nothing"]
    assert (rows["p_family"] > 0.05).all()
    assert (rows["q"] > 0.05).all()
    assert (rows["mse_share"] > 1).all()


def test_a_model_of_the_global_signal_is_seen_through(table):
    rows = table.loc["global"]
    assert (rows["p_family"] < 0.05).all()
    assert rows.loc["vein", "control"]
    assert rows.loc["vein", "r"] > 0.5
    inside = rows.loc[["a", "b", "c"]]
    assert (inside["r_specific"].abs() < 0.3).all()
    assert (inside["r_specific"].abs() < 0.4 * inside["r"]).all()


def test_every_r_has_its_volumes_and_their_worth(table):
    assert (table["n_volumes"] == 900).all()
    assert table["n_eff"].between(100, 600).all()
    assert (table["n_people"] == 6).all()


def test_same_seed_gives_the_same_table(study):
    one, two = (region_statistics(study, n_surrogates=29, random_state=4) for _ in "ab")
    assert one.equals(two)


def test_too_few_volumes_are_not_tested():
    rng = np.random.default_rng(0)
    short = made({"m": slow(rng, 20, 4)}, slow(rng, 20, 4), 1, 20)
    found = region_statistics(short, n_surrogates=19)
    assert found[["p_phase", "p_family", "q", "p_bartlett"]].isna().all(axis=None)


def test_missing_volumes_and_constant_regions_have_a_rule(study):
    holed = study.copy(deep=True)
    holed["truth"][5:9] = np.nan
    holed["truth"][:, 2] = 1.0
    found = region_statistics(holed, n_surrogates=49).set_index(["model", "roi"])
    assert found.loc["region a", "a"]["p_phase"] < 0.05
    assert found.loc["region a", "a"]["n_volumes"] == 896
    assert np.isnan(found.loc["region a", "c"]["r"])


def test_folds_with_means_of_their_own_are_not_pooled():
    rng = np.random.default_rng(0)
    truth, other = slow(rng, 900, 4), slow(rng, 900, 4)
    cut = made({"m": other}, truth, n_folds=5)
    step = cut["fold"].to_numpy()[:, None] * 50.0
    moved = made({"m": other + step}, truth + step, n_folds=5)
    one, two = (region_statistics(d, n_surrogates=49) for d in (cut, moved))
    np.testing.assert_allclose(one["r"], two["r"], atol=1e-9)


def test_a_global_signal_can_be_named(study):
    found = region_statistics(study, global_signal="a", n_surrogates=19)
    specific = found.set_index(["model", "roi"])["r_specific"]
    assert np.isnan(specific["region a", "a"]) or abs(specific["region a", "a"]) < 1e-6
    with pytest.raises(ParameterError, match="global_signal"):
        region_statistics(study, global_signal="vien")


def test_unknown_controls_are_refused(study):
    with pytest.raises(ParameterError, match="vein"):
        region_statistics(study, controls=["vien"])


def test_models_are_compared_person_by_person(study):
    found = model_differences(study, "nothing").set_index(["model", "roi"])
    row = found.loc["region a", "a"]
    assert row["difference"] > 0.3
    assert row["low"] > 0
    assert row["p"] == pytest.approx(2 / 64)
    assert "mean" in found.loc["global"].index
    with pytest.raises(ParameterError, match="second model"):
        model_differences(study.isel(model=[0]), "region a")


def test_other_people_fit_worse_where_a_run_is_predicted(study):
    found = other_people_statistics(study).set_index(["model", "roi"])
    assert found.loc["region a", "a"]["rank"] > 0.9
    assert 0.2 < found.loc["nothing"]["rank"].mean() < 0.8
    with pytest.raises(ParameterError, match="two people"):
        other_people_statistics(study.isel(volume=slice(0, 150)))


def test_a_late_prediction_peaks_at_its_lag(study):
    late = study.copy(deep=True)
    values = late["prediction"].to_numpy()
    late["prediction"] = late["prediction"].copy(data=np.roll(values, 3, axis=1))
    assert int(lagged_correlations(study).sel(model="global").mean("roi").idxmax()) == 0
    assert int(lagged_correlations(late).sel(model="global").mean("roi").idxmax()) == 3
