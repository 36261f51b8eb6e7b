"""All models from EEG to BOLD on the simulator: who sees which coupling.

Every seed draws 18 people with five electrodes, 20 minutes each; 14 train, 4 test.
Models that choose an epoch set three of the 14 aside. Regions couple linearly (alpha,
difference, mu), flip the sign of their coupling with vigilance (signflip), or are noise
(null). Run it with ``python benchmarks/eeg2fmri_models.py`` or ``make bench``; it
writes ``benchmarks/results/eeg2fmri_models.md``. ``SEEDS`` and ``NETWORK`` in the
environment are the numbers of seeds for all models and for the transformer, which takes
five minutes a seed on one core.
"""

import os
import sys
import time
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parent))

import switching_measure as bench  # noqa: I001  (limits threads before numpy comes)
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from neuroana.eeg2fmri import (
    EEGToFMRI,
    KernelRidge,
    as_windows,
    default_models,
    region_scores,
    simulate_eeg_fmri,
    summary,
)
from neuroana.eeg2fmri.comparison import labelled


CHANNELS = ("FZ", "CZ", "C3", "OZ", "O1")
N_TRAIN, N_TEST = 14, 4
NULLS = 2
NETWORK = "width 32, depth 2 and 2, four scales, no pretrained weights"


def models(seed, network):
    """The default models, and a small NeuroBOLT network."""
    named = default_models(random_state=seed)
    named["kernel ridge"] = KernelRidge(max_windows=10_000, alphas=[1.0, 10.0])
    named["spectrogram ridge"].set_params(alphas=[1.0, 10.0, 100.0])
    if network:
        named["transformer, small"] = EEGToFMRI.small(
            dim=32, depth=2, n_heads=4, n_scales=4, epochs=20, patience=6,
            monitor="val_r", weight_decay=0.1, random_state=seed,
        )  # fmt: skip
    return named


def one_seed(seed, network):
    """Scores of every model, run and region; CPU seconds of every fit."""
    runs, truth = simulate_eeg_fmri(
        N_TRAIN + N_TEST, channels=CHANNELS, null_regions=NULLS, random_state=seed
    )
    windows = as_windows(runs)
    train, test = windows[windows.run < N_TRAIN], windows[windows.run >= N_TRAIN]
    values, spent = {}, []
    for name, model in models(seed, network).items():
        start = time.process_time()
        values[name] = clone(model).fit(train).predict(test)
        spent.append({"model": name, "seconds": time.process_time() - start})
    made = labelled(test, np.stack(list(values.values())), list(values), seed)
    return region_scores(made), pd.DataFrame(spent), truth


def cells(table, name, rois):
    """Mean over seeds and its standard deviation, a region each."""
    mine = table[table["model"] == name].pivot_table(
        index="seed", columns="roi", values="r"
    )
    return [
        f"{mine[roi].mean():.2f} ({mine[roi].std():.2f})" if roi in mine else "-"
        for roi in rois
    ]


def run(n_seeds=5, n_network=5):
    """Measure every model; the page is written anew after every seed."""
    host, parts, spent = bench.machine(), [], []
    for seed in range(n_seeds):
        scores, seconds, truth = one_seed(seed, seed < n_network)
        parts.append(summary(scores).assign(seed=seed))
        spent.append(seconds)
        mean = write_page(host, pd.concat(parts), pd.concat(spent), truth)
    return mean


def write_page(host, table, seconds, truth):
    """The page of the seeds so far; mean R by model and region."""
    rois = [str(r) for r in truth.roi.values]
    names = list(dict.fromkeys(seconds["model"]))
    cost = seconds.groupby("model")["seconds"].mean()
    count = table.groupby("model")["seed"].nunique()
    rows = [[n, *cells(table, n, rois), count[n], f"{cost[n]:.1f}"] for n in names]
    rows.append(["ceiling", *[f"{c:.2f}" for c in truth.ceiling.values], "", ""])
    mean = table.groupby(["model", "roi"])["r"].mean().unstack()
    place = mean["signflip"].dropna().sort_values(ascending=False)
    order = [[k, f"{v:.2f}"] for k, v in place.items()]
    bench.write(
        "eeg2fmri_models",
        f"""# Models from EEG to BOLD on the simulator

{host}. {bench.versions("torch", "lightning", "scikit-learn")}.

Each seed has {N_TRAIN} people for training and {N_TEST} for test,
575 volumes each, electrodes {", ".join(CHANNELS)}. R: Fisher mean over the test runs,
mean over seeds (standard deviation over seeds). Seconds: CPU time of fit and
prediction, one thread. The transformer has {NETWORK}.

{bench.table(["model", *rois, "seeds", "s"], rows)}

## The sign-flipping region

{bench.table(["model", "R"], order)}

Chance for one test of {N_TEST} runs has a standard deviation of about 0.04.
""",
    )
    return mean


@pytest.mark.bench
@pytest.mark.timeout(20_000)
def test_a_nonlinear_model_beats_ridge_only_where_the_sign_flips():
    mean = run()
    assert mean.loc["convolutional net", "signflip"] >= 0.38
    assert abs(mean.loc["band-power ridge", "signflip"]) <= 0.12
    assert mean.filter(like="null").abs().max().max() < 0.08


if __name__ == "__main__":
    run(int(os.environ.get("SEEDS", "5")), int(os.environ.get("NETWORK", "5")))
