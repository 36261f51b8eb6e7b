"""
Which connectivity for my data
==============================

Pearson's correlation is one of dozens of measures. Here recordings of people whose
connectivity is partly their own are made up, operators are compared on them, slow ones
on a part of the people, and the answer comes with its uncertainty.
"""

# %%
# Recordings
# ----------
# 24 people of two sites. With your own, ``na.Recordings`` reads a folder, and its table
# takes the columns of ``participants.tsv``.

import neuroana as na


recordings, _ = na.fc.simulate_people(
    24, n_roi=12, n_samples=160, n_sites=2, effect=1.0, individuality=0.4,
    random_state=0,
)  # fmt: skip
recordings.table[["subject", "site", "group", "age", "motion"]].head()

# %%
# A benchmark
# -----------
# Each recording is cut into two halves that share no sample. A good operator makes the
# halves of one person more alike than those of two people (``fingerprint``), and tells
# patients from controls by people it has not seen (``group``).

tasks = ["fingerprint", na.fc.Task("group", label="group", confounds=["motion"])]
bench = na.fc.OperatorBenchmark(
    ["pearson", "spearman", "partial", "covariance", "diff_corr", "lagged_corr",
     "mi_gauss", "coherence", "noise"],
    tasks, window="halves", site="site", n_boot=200, n_null=99, random_state=0,
)  # fmt: skip
bench.fit(recordings)
columns = ["task", "operator", "score", "rank", "rank_low", "rank_high", "p_family"]
bench.to_frame()[columns].round(3)

# %%
# Intervals come from drawing people again. ``p_family`` is against the best of all
# operators on permuted identities or labels. Motion alone, beside the diagnosis:

print(bench.confounds_.to_series().round(2))
figure = na.fc.plot_leaderboard(bench, "fingerprint").figure
figure

# %%
# Which differences count
# -----------------------

gaps = bench.differences("fingerprint")
gaps[gaps["p_holm"] < 0.05].head()

# %%
figure = na.fc.plot_cost_quality(bench).figure
figure

# %%
# Slow operators
# --------------
# Slow ones run on some people only. Their matrices are predicted from the fast ones for
# everybody else, and what the prediction gets wrong on the core-set corrects the score.
# ``rho_between`` says how well they were predicted.

slow = na.fc.OperatorBenchmark(
    ["pearson", "partial", "diff_corr", "coherence", "kendall", "dcor"],
    window="halves", site="site", n_boot=100, random_state=0,
)  # fmt: skip
part = na.fc.CoreSetBenchmark(
    slow, 0.3, cheap=["pearson", "partial", "diff_corr", "coherence"]
)
part.fit(recordings)
part.to_frame()[["operator", "origin", "score", "score_low", "score_high",
                 "rho_between"]].round(2)  # fmt: skip

# %%
# How many people are enough
# --------------------------
# Agreement of the ranking on random people with that on all.

table = na.fc.preservation_table(bench, {}, fractions=(0.2, 0.4, 0.6, 0.8), n_repeat=50)
figure = na.fc.plot_preservation(table).figure
figure

# %%
# Just tell me
# ------------
# The same in one call, within a time budget; never one name without those that the data
# do not tell from it.

advice = na.fc.recommend(recordings, goal="fingerprint", budget="3s", site="site",
                         n_boot=100)  # fmt: skip
print(advice)
