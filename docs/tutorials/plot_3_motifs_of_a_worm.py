"""
Motifs and communities of calcium imaging
=========================================

Which neurons act together, when, and are they groups? From traces to motifs, from
motifs to communities, and to the question whether any of it is more than chance.
"""

# %%
# A recording
# -----------
# Set ``NEUROANA_WORM`` to the path of a whole-brain recording of *C. elegans* with
# named neurons (an ``.npz`` with ``traces`` (neuron, time), ``names``, ``time``), such
# as dataset 2022-08-02-01 of WormWideWeb, Atanas, Kim and Flavell 2023, CC BY 3.0.
# Without it the tutorial runs on the songbird that the package ships.

import os

import numpy as np

import neuroana as na


path = os.environ.get("NEUROANA_WORM")
if path:
    with np.load(path, allow_pickle=False) as file:
        time = file["time"] - file["time"][0]
        grid = np.arange(0.0, time[-1], 0.6)
        traces = [np.interp(grid, time, x) for x in file["traces"]]
        recording = na.from_array(
            np.stack(traces, axis=1), "calcium", sampling_rate=1 / 0.6,
            names=file["names"].tolist(), units="zscore",
        )  # fmt: skip
    sigma, marked = 0.75, ["AVAL", "AVAR", "AVEL", "AVER", "AIBL", "AIBR"]
else:
    recording = na.load_sample("calcium_songbird_75")
    sigma, marked = 0.1, []
print(recording.signal.sizes)

# %%
# Affinity
# --------
# Each trace is differentiated and divided by its own robust scale; two neurons have
# affinity at a moment when both change in the same direction. ``"rise"`` keeps rises
# only, which is what firing looks like in calcium; ``"geomean"`` takes both directions.

from neuroana.connectome import DifferentialAffinity


affinity = DifferentialAffinity("rise", sigma=sigma, stride=2)
tensor = affinity.fit_transform(recording)
print(tensor.sizes)

# %%
# Motifs
# ------
# A few non-negative motifs explain the tensor: who (pairs) and when (time). One animal
# makes a matrix, whose factors are not unique in general, so the agreement of restarts
# is part of the result. The baseline takes the mean of rectified noise.

from neuroana.connectome import NonNegativeCP, plot_motif, plot_restarts


motifs = NonNegativeCP(5, "single", baseline=True, n_init=8, random_state=0).fit(tensor)
print(f"explained variance {motifs.explained_variance_:.2f}")
print(motifs.stability_.to_series().round(2))

# %%
figure = plot_restarts(motifs).figure
figure

# %%
# Communities
# -----------
# The graph of a motif is partitioned by the shortest description of its weights, and
# Leiden's groups stand beside it.

from neuroana.connectome import MotifCommunities, plot_graph


communities = MotifCommunities(random_state=0).fit(motifs)
best = str(motifs.score_.sel(component=["0", "1", "2", "3", "4"]).idxmax().item())
table = communities.membership(best)
print(table[table.group >= 0].head(12))

# %%
figure = plot_motif(motifs, best, communities=communities)[0].figure
figure

# %%
figure = plot_graph(motifs, best, communities=communities, marked=marked).figure
figure

# %%
# Is it more than chance?
# -----------------------
# Explained variance means nothing by itself: rectified noise is explained as well, and
# its motifs fall into groups as well. The same chain runs on recordings whose neurons
# were shifted in time against each other. Each motif, and each partition, is compared
# with the largest of every surrogate.

from neuroana.connectome import null_test, plot_null


result = null_test(
    recording, n=9, affinity=affinity, factorization=motifs, communities=communities,
    random_state=0,
)  # fmt: skip
print(f"p = {float(result.p_value):.2f}; of single motifs and of their communities:")
print(result[["p_component", "p_split"]].to_dataframe())

# %%
figure = plot_null(result).figure
figure

# %%
figure = plot_null(result, "communities").figure
figure

# %%
# Over time
# ---------
# Each moment has the communities of its strongest motif. How often a neuron changes
# sides is its flexibility.

from neuroana.connectome import DynamicConnectome, plot_label_flow


model = DynamicConnectome(
    affinity, motifs, communities=communities, random_state=0
).fit(recording)
print(model.neuron_table().sort_values("flexibility").tail(5))

# %%
figure = plot_label_flow(model.labels_over_time()).figure
figure

# %%
# Where to go from here
# ---------------------
# ``model.event_table(...)`` tests motifs against a stimulus or a behaviour,
# ``RankSelector`` chooses their number, and several animals with partly the same
# neurons go in as a list. ``neuroana init connectome my_study`` writes the pipeline
# that does all of it for a folder of recordings.
