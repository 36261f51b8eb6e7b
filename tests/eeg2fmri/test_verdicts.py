import numpy as np
import pytest
import xarray as xr

from neuroana.eeg2fmri import model_differences, model_verdict, region_statistics


def study(gain, n_people=8):
    """A linear model, and another that is better in region b by `gain`."""
    rng = np.random.default_rng(0)
    n = 60 * n_people
    truth = rng.standard_normal((n, 2))
    linear = 0.5 * truth + rng.standard_normal((n, 2))
    other = 0.5 * truth + rng.standard_normal((n, 2))
    other[:, 1] += gain * truth[:, 1]
    who = np.repeat([f"{i:02d}" for i in range(n_people)], 60)
    ds = xr.Dataset(
        {
            "prediction": (("model", "volume", "roi"), np.stack([linear, other])),
            "truth": (("volume", "roi"), truth),
        },
        coords={
            "model": ["ridge", "net"], "roi": ["a", "b"], "fold": ("volume", [0] * n),
            "label": ("volume", who), "subject": ("volume", who),
        },
    )  # fmt: skip
    return region_statistics(ds, n_surrogates=99), model_differences(ds, "ridge")


@pytest.mark.parametrize(
    ("gain", "n_people", "said"),
    [
        (0.0, 8, "Linear is enough: no model is better than ridge"),
        (1.5, 8, "net is better than ridge in 1 of 2 regions"),
        (0.0, 4, "cannot be decided with 4 people"),
    ],
)
def test_model_verdict_follows_the_test_over_people(gain, n_people, said):
    assert said in model_verdict(*study(gain, n_people))


def test_model_verdict_names_the_region_that_gains():
    assert "most clearly b" in model_verdict(*study(1.5))


def test_model_verdict_does_not_call_a_worse_model_better():
    statistics, differences = study(1.5)
    worse = differences.assign(difference=-differences["difference"].abs())
    assert model_verdict(statistics, worse).startswith("Linear is enough")
