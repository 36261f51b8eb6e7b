import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroana.core.errors import NeuroanaError
from neuroana.eeg2fmri import (
    audit_triggers,
    plot_attribution,
    plot_confounds,
    plot_groups,
    plot_null,
    plot_regions,
    plot_specific,
    plot_triggers,
    region_statistics,
)


def predictions():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((300, 3))
    made = np.column_stack([truth[:, 0], truth[:, 1], 0 * truth[:, 2]])
    made = made + 0.7 * rng.standard_normal(truth.shape)
    return xr.Dataset(
        {
            "prediction": (("model", "volume", "roi"), made[None]),
            "truth": (("volume", "roi"), truth),
        },
        coords={
            "model": ["m"], "roi": ["a", "b", "c"], "fold": ("volume", [0] * 300),
            "label": ("volume", np.repeat(["x", "y", "z"], 100)),
            "subject": ("volume", np.repeat(["x", "y", "z"], 100)),
        },
    )  # fmt: skip


def legend(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_plot_regions_tells_chance_and_controls_apart():
    table = region_statistics(predictions(), controls=["b"], n_surrogates=99)
    tops = pd.DataFrame(
        {"roi": list("abc"), "kind": "simulator", "ceiling": 0.9, "bound": True}
    )
    ax = plot_regions(table, ceilings=tops)
    assert ax.get_xticklabels()[-1].get_text() == "c"
    assert {"not above chance", "control region", "ceiling"} <= set(legend(ax))
    assert "independent" in ax.get_title()


def test_plot_specific_shows_every_region():
    table = region_statistics(predictions(), n_surrogates=99)
    ax = plot_specific(table)
    shown = sum(len(line.get_xdata()) for line in ax.lines if line.get_marker() == "o")
    assert shown == 3


def test_plot_null_marks_what_was_found():
    ax = plot_null(predictions(), "a", n_surrogates=99)
    assert ax.lines[0].get_xdata()[0] == pytest.approx(0.82, abs=0.06)
    assert "p 0.010" in ax.get_title()
    with pytest.raises(NeuroanaError):
        plot_null(predictions(), "nowhere")


def test_plot_confounds_warns_by_region():
    table = pd.DataFrame(
        {"model": "m", "roi": ["a", "b"], "r": 0.5, "r_confounds": 0.5,
         "r_left": [0.05, 0.4], "share": [0.99, 0.3], "warning": [True, False]}
    )  # fmt: skip
    assert [t.get_text() for t in plot_confounds(table).texts] == ["!"]


def test_plot_triggers_marks_those_put_back():
    onsets = np.delete(np.arange(60) * 2.0, 30)
    table = pd.DataFrame({"onset": onsets, "trial_type": "R"})
    audit = audit_triggers(table, "R", sampling_rate=200.0, n_volumes=60)
    ax = plot_triggers(audit)
    assert "1 put back" in ax.get_title()
    assert legend(ax) == ["put back"]


def test_plot_attribution_of_a_region_that_is_not_predicted_is_empty():
    dims, shape = ("roi", "channel", "band", "lag"), (1, 4, 2, 3)
    found = xr.DataArray(
        np.full(shape, np.nan), dims=dims,
        coords={
            "roi": ["a"], "channel": ["FZ", "CZ", "PZ", "OZ"], "band": ["x", "y"],
            "lag": [1.0, 2.0, 3.0], "p": (dims, np.ones(shape)),
            "r": ("roi", [0.0]), "predicted": ("roi", [False]),
        },
    )  # fmt: skip
    axes = plot_attribution(found, "a")
    assert not any(ax.axison for ax in axes)
    assert "no attribution" in axes[0].figure.get_suptitle()


def test_plot_groups_greys_what_is_not_significant():
    ds = xr.Dataset(
        {"fall_lag": (("roi", "lag"), [[0.1, 0.2]]),
         "p_fall_lag": (("roi", "lag"), [[0.5, 0.01]])},
        coords={"roi": ["a"], "lag": [1.0, 3.0], "r": ("roi", [0.4])},
    )  # fmt: skip
    bars = [p for p in plot_groups(ds, "a", kind="lag").patches if p.get_height()]
    assert bars[0].get_facecolor()[:3] == (0.85, 0.85, 0.85)
    assert bars[1].get_facecolor()[:3] != (0.85, 0.85, 0.85)
