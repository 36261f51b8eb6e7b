import numpy as np
import pytest
import xarray as xr

from neuroana.core.errors import SchemaError
from neuroana.eeg2fmri import connectivity_scores, predicted_connectivity


def predictions(seed=0, n_runs=4, n=120, noise=0.5):
    """Runs that share a connectivity and each have a part of their own."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((5, 5))
    truths = []
    for _ in range(n_runs):
        own = common + 0.7 * rng.standard_normal((5, 5))
        truths.append(rng.standard_normal((n, 5)) @ own)
    truth = np.concatenate(truths)
    near = truth + noise * truth.std(0) * rng.standard_normal(truth.shape)
    far = rng.standard_normal(truth.shape)
    people = np.repeat([f"{i}" for i in range(n_runs)], n)
    return xr.Dataset(
        {
            "prediction": (("model", "volume", "roi"), np.stack([near, far])),
            "truth": (("volume", "roi"), truth),
        },
        coords={
            "model": ["near", "far"], "roi": list("abcde"),
            "fold": ("volume", np.zeros(len(truth), dtype=int)),
            "label": ("volume", people), "subject": ("volume", people),
        },
    )  # fmt: skip


def test_predicted_connectivity_of_the_truth_is_its_correlation():
    ds = predictions(noise=0.0)
    made = predicted_connectivity(ds)
    expected = np.corrcoef(ds.truth.values[:120].T)
    np.testing.assert_allclose(made.true[0], expected, atol=1e-12)
    np.testing.assert_allclose(made.predicted.sel(model="near"), made.true, atol=1e-12)


def test_predicted_connectivity_of_others_leaves_the_own_person_out():
    made = predicted_connectivity(predictions())
    z = np.arctanh(made.true.values[1:].clip(-1 + 1e-9, 1 - 1e-9)).mean(0)
    np.testing.assert_allclose(made.others[0], np.tanh(z), atol=1e-12)


def test_connectivity_scores_identify_runs_that_are_predicted():
    table = connectivity_scores(predicted_connectivity(predictions()))
    mean = table.groupby("model")[["error", "likeness", "rank"]].mean()
    assert mean.loc["near", "error"] < mean.loc["mean of others", "error"]
    assert mean.loc["near", "rank"] == 1.0
    assert mean.loc["far", "rank"] < 1.0
    assert mean.loc["far", "likeness"] < mean.loc["mean of others", "likeness"]


def test_predicted_connectivity_wants_two_runs():
    with pytest.raises(SchemaError, match="two runs"):
        predicted_connectivity(predictions(n_runs=1))
