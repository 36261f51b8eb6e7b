"""
Motifs of fMRI regions
======================

The same chain for regions at rest: tensors of phase coherence, or of correlations in a
sliding window, in place of derivatives; and what plain correlation already says.
"""

# %%
# Regions at rest
# ---------------
# 28 regions, shipped with the package, without the nuisance signals, in the band of
# slow fluctuations.

import numpy as np

import neuroana as na


recording = na.load_sample("fmri_rest_31roi")
regions = [r for r in recording.roi.values if r not in ("WM", "Vent", "Brain")]
rest = na.signal.bandpass(na.signal.pick(recording, regions), 0.02, 0.1,
                          method="iir")  # fmt: skip
print(rest.signal.sizes)

# %%
# Two kinds of affinity
# ---------------------
# ``"phase"``: the cosine of the phase difference, where it is positive.
# ``"window_corr"``: correlation in a Gaussian window of the width `sigma`, where it is
# positive. Both give a value for every pair at every volume. For EEG and iEEG take
# envelopes first (:func:`neuroana.signal.envelope`), and use the derivative kernels or
# windows on them.

from neuroana.connectome import DifferentialAffinity, NonNegativeCP


kernels = {
    "phase": DifferentialAffinity("phase", sigma=4.0, stride=2),
    "window": DifferentialAffinity("window_corr", sigma=20.0, stride=2),
}
tensors = {name: kernel.fit_transform(rest) for name, kernel in kernels.items()}

# %%
# Motifs
# ------

fits = {}
for name, tensor in tensors.items():
    model = NonNegativeCP(4, "single", baseline=True, n_init=6, random_state=0)
    fits[name] = model.fit(tensor)
    print(name, f"{model.explained_variance_:.2f}", model.stability_.values.round(2))

# %%
from neuroana.connectome import MotifCommunities, plot_motif


communities = MotifCommunities(random_state=0, n_posterior=20).fit(fits["phase"])
figure = plot_motif(fits["phase"], 0, communities=communities)[0].figure
figure

# %%
# What plain correlation says
# ---------------------------
# Groups of the correlation over the whole scan, by Leiden, beside those of the motif.
# For structure that does not change this is as good, and far quicker.

from neuroana.connectome.community_starts import modularity_partition
from neuroana.switching import adjusted_rand_index


correlation = np.corrcoef(rest.signal.values.T).clip(0) * (1 - np.eye(len(regions)))
static = modularity_partition(correlation)
for component in communities.labels_.component.values:
    groups = communities.labels_.sel(component=component, level=0).values
    print(component, round(adjusted_rand_index(static, groups), 2))

# %%
# Is the connectome dynamic?
# --------------------------
# Surrogates with the same random phases for all regions keep every correlation and
# break what changes over time. The statistic is what motifs explain beyond a constant
# pattern.

from neuroana.connectome import null_test, plot_null


result = null_test(
    rest, "common_phase", 9,
    affinity=kernels["phase"],
    factorization=fits["phase"], random_state=0,
)  # fmt: skip
print(f"p = {float(result.p_value):.2f}")
figure = plot_null(result).figure
figure
