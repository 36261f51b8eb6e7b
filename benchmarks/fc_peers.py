"""What others offer for connectivity, called as their users do: pair by pair.

Each peer takes samples (time, roi) and pairs (i, j), and computes those pairs alone.
"""

import warnings

import numpy as np


def kendall(x, pairs):
    from scipy.stats import kendalltau

    return [kendalltau(x[:, i], x[:, j])[0] for i, j in pairs]


def spearman(x, pairs):
    from scipy.stats import spearmanr

    return [spearmanr(x[:, i], x[:, j])[0] for i, j in pairs]


def distance_correlation(x, pairs):
    import dcor

    return [dcor.distance_correlation(x[:, i], x[:, j]) for i, j in pairs]


def distance_correlation_naive(x, pairs):
    import dcor

    return [dcor.distance_correlation(x[:, i], x[:, j], method="naive")
            for i, j in pairs]  # fmt: skip


def hsic(x, pairs):
    from hyppo.independence import Hsic

    return [Hsic().statistic(x[:, [i]], x[:, [j]]) for i, j in pairs]


def mutual_information(x, pairs):
    from sklearn.feature_selection import mutual_info_regression

    return [mutual_info_regression(x[:, [i]], x[:, j], n_neighbors=4, random_state=0)[0]
            for i, j in pairs]  # fmt: skip


def warping(x, pairs):
    from tslearn.metrics import dtw

    z = (x - x.mean(0)) / x.std(0)
    r = round(0.1 * len(x))
    return [dtw(z[:, i], z[:, j], global_constraint="sakoe_chiba", sakoe_chiba_radius=r)
            for i, j in pairs]  # fmt: skip


def granger(x, pairs):
    from statsmodels.tsa.stattools import grangercausalitytests

    out = []
    for i, j in pairs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = grangercausalitytests(x[:, [j, i]], [1])
        out.append(made[1][0]["ssr_ftest"][0])
    return out


def cointegration(x, pairs):
    from statsmodels.tsa.stattools import coint

    return [coint(x[:, j], x[:, i], maxlag=10)[0] for i, j in pairs]


def of_epochs(method):
    """mne-connectivity on segments of 64 samples, half overlapping."""

    def call(x, pairs):
        from mne_connectivity import spectral_connectivity_epochs

        starts = range(0, len(x) - 63, 32)
        epochs = np.stack([x[s : s + 64].T for s in starts])
        i, j = np.array(pairs).T
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = spectral_connectivity_epochs(
                epochs, method=method, mode="fourier", sfreq=1.0, fmin=0.02, fmax=0.49,
                faverage=True, indices=(i, j), verbose="ERROR",
            )  # fmt: skip
        return made.get_data().ravel().tolist()

    return call


def spectral_granger(x, pairs):
    from mne_connectivity import spectral_connectivity_epochs

    starts = range(0, len(x) - 63, 32)
    epochs = np.stack([x[s : s + 64].T for s in starts])
    seeds = [np.array([i]) for i, _ in pairs]
    targets = [np.array([j]) for _, j in pairs]
    indices = (np.array(seeds), np.array(targets))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = spectral_connectivity_epochs(
            epochs, method="gc", mode="multitaper", sfreq=1.0, fmin=0.02, fmax=0.49,
            indices=indices, gc_n_lags=10, verbose="ERROR",
        )  # fmt: skip
    return made.get_data().mean(axis=-1).ravel().tolist()


# operator, its options, name of the peer, the peer, pairs of it, target ratio
ROWS = [
    ("spearman", {}, "scipy spearmanr", spearman, 200, None),
    ("kendall", {}, "scipy kendalltau", kendall, 400, None),
    ("dcor", {}, "dcor (AVL)", distance_correlation, 200, None),
    ("dcor", {}, "dcor (naive)", distance_correlation_naive, 100, None),
    ("hsic", {}, "hyppo Hsic", hsic, 40, 40),
    ("mi_ksg", {"k": 4}, "scikit-learn mutual_info_regression", mutual_information, 100,
     10),
    ("dtw", {}, "tslearn dtw", warping, 200, None),
    ("granger", {"order": 1}, "statsmodels grangercausalitytests", granger, 60, 20),
    ("cointegration", {}, "statsmodels coint", cointegration, 30, 20),
    ("spectral_granger_wilson", {}, "mne-connectivity gc", spectral_granger, 40, None),
    ("coherence", {}, "mne-connectivity coh", of_epochs("coh"), 1225, None),
    ("plv", {}, "mne-connectivity plv", of_epochs("plv"), 1225, None),
    ("pli", {}, "mne-connectivity pli", of_epochs("pli"), 1225, None),
    ("wpli", {}, "mne-connectivity wpli", of_epochs("wpli"), 1225, None),
]  # fmt: skip
