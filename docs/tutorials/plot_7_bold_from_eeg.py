"""
BOLD from EEG: which model, and is it more than the textbook?
=============================================================

What does scalp EEG say about the BOLD signal of a region, and does a network see more
of it than band power under a fixed response? On simulated runs the answer is known. All
data here are made up; the page on your own EEG-fMRI has the same steps for files.
"""

# %%
# Runs whose coupling is known
# ----------------------------
# Four regions follow occipital alpha, a difference of alpha and beta, alpha with a sign
# that flips with theta, and central mu. Two more are noise. No model can correlate with
# a region above its ceiling.

from neuroana.eeg2fmri import simulate_eeg_fmri


runs, truth = simulate_eeg_fmri(
    12, channels=("FZ", "CZ", "C3", "OZ", "O1"), null_regions=2, random_state=0
)
print(runs[0]["eeg"].signal.sizes, runs[0]["bold"].signal.sizes)
print(truth.ceiling.to_series())

# %%
# Before training
# ---------------
# Are the triggers whole, and is the EEG clean? What could not be measured says so.

from neuroana.eeg2fmri import preflight, require_preflight


checks = require_preflight(preflight(runs))
print(checks[checks.run == checks.run[0]][["check", "value", "unit", "verdict"]])

# %%
# Windows
# -------
# A volume is predicted from the 16 s of EEG before it. Windows are numbers on the
# recordings: overlapping copies never exist, and models and folds share what was
# computed.

from neuroana.eeg2fmri import as_windows


windows = as_windows(runs)
print(windows)

# %%
# Models on people that they have not seen
# ----------------------------------------
# The nearest neighbour detects leakage: where it is good, test windows are copies of
# training windows. The global model knows nothing of single regions.

from neuroana.eeg2fmri import (
    BandPowerRidge,
    GlobalOnly,
    LaggedSpectralRidge,
    NearestNeighbour,
    SpectralConvNet,
    compare_models,
    region_scores,
    summary,
)


models = {
    "band-power ridge": BandPowerRidge(),
    "lagged ridge": LaggedSpectralRidge(),
    "convolutional net": SpectralConvNet(random_state=0),
    "nearest neighbour": NearestNeighbour(),
    "global only": GlobalOnly(),
}
made = compare_models(windows, models, protocol="inter-subject", n_splits=3)
scores = region_scores(made)
table = summary(scores).pivot(index="model", columns="roi", values="r")
print(table.loc[list(models), list(truth.roi.values)].round(2))

# %%
# Band power under the response is near the ceiling wherever the coupling is linear, and
# at chance where its sign flips. The net sees the flip, and nothing in the noise.

from neuroana.eeg2fmri import plot_models


figure = plot_models(scores).figure
figure

# %%
# One course
# ----------

from neuroana.eeg2fmri import plot_prediction


figure = plot_prediction(
    made, models=["band-power ridge", "convolutional net"], roi="signflip"
).figure
figure

# %%
# What a leak looks like
# ----------------------
# Windows of one run dealt at random: neighbours share 14 of their 16 seconds, and the
# nearest neighbour wins in the noise. Such a split is refused where folds are made;
# here it is built by hand.

import numpy as np

from neuroana.eeg2fmri.scores import correlation
from neuroana.learn import check_leakage
from neuroana.learn.splits import LeakageError


one = windows[windows.run == 0]
order = np.random.default_rng(0).permutation(len(one))
train, test = order[100:], order[:100]
leaky = NearestNeighbour().fit(one[train]).predict(one[test])
r = correlation(leaky, one[test].y)
print(dict(zip(windows.rois, r.round(2).tolist())))
try:
    check_leakage(one, train, test)
except LeakageError as error:
    print(error)

# %%
# The network
# -----------
# :class:`~neuroana.eeg2fmri.EEGToFMRI` reads the raw windows and gives all regions at
# once. The small one runs on a processor, here for two epochs, to show the calls: what
# it reaches after a whole training stands in the benchmarks.

from neuroana.eeg2fmri import EEGToFMRI, plot_history


network = EEGToFMRI.small(dim=16, depth=1, epochs=2, random_state=0)
network.fit(windows[windows.run < 3], validation=windows[windows.run == 3])
print(network.n_parameters_, network.predict(runs[4]).sizes)
figure = plot_history(network).figure
figure

# %%
# Where to go from here
# ---------------------
# ``neuroana init eeg2fmri my_study`` writes the pipeline that does all of it for a
# folder of recordings, and ``EEGToFMRI(init="labram", weights=...)`` starts from
# pretrained weights of yours.
