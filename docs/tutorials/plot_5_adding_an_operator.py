"""
Adding a connectivity operator
==============================

A measure of your own is one function of samples that returns matrices. Registered, it
works on every modality, in pipelines and benchmarks, and is checked at every call.
"""

# %%
# What there is
# -------------
# Operators have one signature and declare what they are. ``list_operators`` is a table.

import matplotlib.pyplot as plt
import numpy as np

import neuroana as na


table = na.fc.list_operators()
print(table.groupby("family").size())
print(na.fc.list_operators(directed=True, max_cost="10*T*N^2")[["family", "cost"]])

# %%
# A recording, and a matrix of it
# -------------------------------

recording = na.load_sample("fmri_rest_31roi")
regions = [r for r in recording.roi.values if r not in ("WM", "Vent", "Brain")]
rest = na.signal.pick(recording, regions)
w = na.fc.connectivity(rest, "partial")
print(w.dims, float(w.shrinkage) if "shrinkage" in w.coords else "")

# %%
# One function
# ------------
# Are two regions extreme at the same time? The function takes a batch x (recording,
# time, roi) and returns W (recording, source, target). Options are keywords with
# defaults. The decorator declares that W is symmetric (``directed=False``) and has no
# sign, what it costs, what it holds in memory beside the samples, and who says so.


@na.fc.operator(
    "coextremes",
    "correlation",
    cost="T*N^2",
    workspace=lambda T, N: 2 * T * N + 2 * N**2,
    source="this tutorial",
)
def coextremes(x, *, quantile=0.8):
    """Share of the samples at which one region is extreme, where the other is too."""
    gap = np.abs(x - np.median(x, axis=1, keepdims=True))
    extreme = (gap > np.quantile(gap, quantile, axis=1, keepdims=True)).astype(float)
    both = np.swapaxes(extreme, 1, 2) @ extreme
    alone = extreme.sum(axis=1)
    return both / np.sqrt(alone[:, :, None] * alone[:, None, :])


# %%
# It is an operator like any other: by name, with options, labels and all.

mine = na.fc.connectivity(rest, "coextremes", quantile=0.9)
print(mine.sel(source=regions[0]).round(2).values[:5], mine.attrs["operator"])

# %%
# Sharing what others compute
# ---------------------------
# A function that names an *intermediate* gets it ready made: here the z-scores, once a
# batch, whoever else needs them. Where the order of samples matters, say so; missing
# samples are then never cut out.


@na.fc.operator("skewed_drive", "lagged", directed=True, signed=True, ordered=True,
                needs=("zscores",), source="this tutorial")  # fmt: skip
def skewed_drive(zscores, *, lag_samples=1):
    """Correlation of the source's square with the target some samples later."""
    early, late = zscores[:, :-lag_samples] ** 2, zscores[:, lag_samples:]
    early = early - early.mean(axis=1, keepdims=True)
    return np.swapaxes(early, 1, 2) @ late / late.shape[1]


# %%
# What is checked
# ---------------
# Shape, finite values and the declared symmetry are checked at every call; unknown
# options are refused with the nearest names.

from neuroana.core.errors import NeuroanaError


for attempt in (
    lambda: na.fc.connectivity(rest, "coextremes", quantil=0.9),
    lambda: na.fc.operator("lopsided", "lagged")(
        lambda x: np.triu(np.ones((len(x), x.shape[2], x.shape[2])))
    )(rest.signal.values),
):
    try:
        attempt()
    except NeuroanaError as error:
        print(error)

# %%
# Beside others
# -------------
# Several operators on windows of one recording: intermediates are shared, and batches
# are cut to the memory that operators declare. ``on_error="record"`` lets the others go
# on where one fails, and says why in ``status_``.

several = na.fc.Connectivity(
    ["pearson", "coextremes", "skewed_drive", na.fc.Op("granger", order=2)],
    window_volumes=60,
    on_error="record",
)
matrices = several.fit_transform(rest)
print(matrices.sizes)
print(several.status_.to_pandas().iloc[:, :3])

figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained")
for ax, name in zip(axes, matrices):
    mean = matrices[name].mean("sample").values.copy()
    np.fill_diagonal(mean, np.nan)
    top = np.nanmax(np.abs(mean))
    signed = np.nanmin(mean) < 0
    image = ax.imshow(mean, cmap="RdBu_r" if signed else "viridis",
                      vmin=-top if signed else 0, vmax=top)  # fmt: skip
    ax.set_title(name.split("(")[0])
    ax.set_xlabel("target")
    figure.colorbar(image, ax=ax, shrink=0.8)
axes[0].set_ylabel("source")
figure

# %%
# As features
# -----------
# With ``vectorize=True`` the same is a scikit-learn transformer: one row a recording or
# window, for pipelines and grid searches.

rows = na.fc.Connectivity(["pearson", "coextremes"], vectorize=True, window_volumes=60)
print(rows.fit_transform(rest).shape)

# %%
# From a package
# --------------
# To ship operators in a package of your own, name the module that defines them in the
# entry-point group ``neuroana.fc_operators``; neuroana then finds them by itself::
#
#     [options.entry_points]
#     neuroana.fc_operators =
#         mine = mypackage.operators
