"""The report says on its first line what a reader must know."""

import numpy as np
import pandas as pd
import pytest

from neuroana.eeg2fmri.comparison_plots import plot_models
from neuroana.eeg2fmri.scores import summary
from neuroana.eeg2fmri.sections import add_tables, claim, lead, mean_r
from neuroana.plot.sections import Section


def scores(**means):
    rows = [
        {
            "model": model.replace("_", "-"), "fold": 0, "label": f"run{run}",
            "subject": str(run), "roi": roi, "n_volumes": 100, "testable": True,
            "r": r, "mse": 1.0, "mse_constant": 1.2,
        }
        for model, r in means.items()
        for run in range(2)
        for roi in ("a", "b")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def lead_of(**means):
    table = scores(**means)
    return lead(mean_r(table), table)


@pytest.mark.parametrize(
    ("means", "said", "unsaid"),
    [
        (
            {"band_power_ridge": 0.5, "neurobolt": 0.51},
            "Linear is enough",
            "best model",
        ),
        ({"band_power_ridge": 0.4, "neurobolt": 0.5}, "0.10 more", "Linear is enough"),
        ({"neurobolt": 0.5}, "best model is neurobolt", "Linear"),
        ({"neurobolt": 0.3, "nearest_neighbour": 0.6}, "training has seen", "Linear"),
        ({"mean": float("nan")}, "No model", "R of"),
    ],
)
def test_the_lead_names_the_verdict(means, said, unsaid):
    text = lead_of(**means)
    assert said in text
    assert unsaid not in text


def test_short_folds_are_called_not_testable():
    table = scores(neurobolt=0.3).assign(testable=False)
    assert "not testable" in lead(mean_r(table), table)


def test_failed_checks_are_listed_by_run():
    table = scores(neurobolt=0.3)
    checks = pd.DataFrame(
        {
            "run": ["x", "y"], "check": "gradient residue", "value": [1.0, 9.0],
            "limit": 6.0, "unit": "%", "verdict": ["passed", "failed"],
        }
    )  # fmt: skip
    section = Section(title="t", kind="eeg2fmri")
    add_tables(section, summary(table), checks, mean_r(table))
    assert section.tables[2]["rows"] == [["gradient residue", 9.0, 6.0, "%", 1, 1, 0]]
    assert section.tables[3]["rows"] == [["y", "gradient residue", 9.0]]


def test_a_dot_a_run_and_a_bar_a_mean():
    table = scores(neurobolt=0.3, mean=np.nan)
    ax = plot_models(table)
    bars = [line for line in ax.lines if line.get_linewidth() == 2.5]
    assert [round(line.get_ydata()[0], 6) for line in bars] == [0.3, 0.3]


def test_the_claim_counts_regions_and_names_controls():
    table = scores(neurobolt=0.3)
    found = pd.DataFrame(
        {
            "model": "neurobolt", "roi": ["a", "vein", "c"],
            "p_family": [0.01, 0.01, np.nan],
            "p_specific": [0.2, 0.01, np.nan], "control": [False, True, False],
        }
    )  # fmt: skip
    text = claim(mean_r(table), found)
    assert "2 of 3 regions" in text
    assert "in 1 once" in text
    assert "(vein)" in text
    assert "Not testable: 1." in text
