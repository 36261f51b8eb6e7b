"""Wavelet coherence and coherence between groups of regions."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from neuroana.core.errors import ParameterError
from neuroana.fc.registry import find
from neuroana.fc.sharing import Shared
from neuroana.fc.wavelets import plain_coherence, smoothed, wavelet_coefficients


LOWER = np.tril_indices(6, -1)


def test_complex_coherency_is_two_real_operators(oracle, x):
    epochs = {"segment_samples": 40, "overlap": 0.0, "method": "fourier",
              "band": (0.05, 0.45), "average": None}  # fmt: skip
    parts = [find(n).run(Shared(x[None]), fs=1.0, **epochs)[0][0]
             for n in ("coherency", "imcoh")]  # fmt: skip
    made = (parts[0] + 1j * parts[1])[:, *LOWER].T
    wanted = oracle["cohy_fourier_10x40__mne_connectivity"][LOWER]
    gap = min(np.abs(made - wanted).max(), np.abs(made.conj() - wanted).max())
    assert gap < 1e-9


def test_plain_wavelet_coherence_equals_mne(oracle, x):
    W, _ = wavelet_coefficients(x[None], fs=1.0, freqs=oracle["morlet_freqs"],
                                n_cycles=4.0)  # fmt: skip
    w = np.sqrt(plain_coherence(W[0]))
    wanted = oracle["coh_morlet4_time__mne_connectivity"][LOWER]
    np.testing.assert_allclose(w[:, *LOWER].T, wanted, atol=1e-12)


def test_coupling_that_comes_and_goes_is_found_at_its_frequency():
    rng = np.random.default_rng(0)
    t = np.arange(600)
    wave = np.sin(2 * np.pi * 0.1 * t + np.where(t < 300, 0, np.pi / 2))
    x = rng.normal(size=(600, 3))
    x[:, 0] += 2 * wave
    x[:, 1] += 2 * np.sin(2 * np.pi * 0.1 * t)
    at, beside = (
        find("wavelet_coherence")(x, fs=1.0, band=band)
        for band in ((0.08, 0.12), (0.2, 0.35))
    )
    assert at[0, 1] > 0.8 > 0.6 > at[0, 2]
    assert beside[0, 1] < 0.6


def test_region_is_coherent_with_its_copy():
    x = np.random.default_rng(0).normal(size=(200, 2))
    w = find("wavelet_coherence")(np.column_stack([x, -x[:, 0]]), fs=1.0)
    assert w[0, 2] == pytest.approx(1.0)
    assert w[0, 1] < 0.8


def test_smoothing_keeps_what_is_constant():
    ones = np.ones((9, 200, 2))
    np.testing.assert_allclose(smoothed(ones, np.full(9, 4.0))[:, 50:150], 1.0,
                               atol=1e-9)  # fmt: skip


def test_wavelets_longer_than_the_recording_are_refused():
    with pytest.raises(ParameterError, match="wavelets of"):
        find("wavelet_coherence")(np.random.default_rng(0).normal(size=(60, 2)), fs=1.0,
                                  band=(0.01, 0.1))  # fmt: skip


# --- groups --------------------------------------------------------------------------


GROUPS = ["a", "a", "b", "b", "b", "c"]


def test_single_regions_are_imaginary_coherence(x):
    imcoh = find("imcoh").run(Shared(x[None]), fs=1.0, average=None)[0]
    for name, wanted in (("mim", imcoh**2), ("mic", np.abs(imcoh))):
        w = find(name).run(Shared(x[None]), fs=1.0, average=None)[0]
        np.testing.assert_allclose(w, wanted, atol=1e-12)


def test_groups_equal_the_definition(x):
    parts = [find(n).run(Shared(x[None]), fs=1.0, average=None)[0][0, 3]
             for n in ("coherency", "imcoh")]  # fmt: skip
    re, im = parts
    a, b = [0, 1], [2, 3, 4]
    E = (np.linalg.inv(sqrtm(re[np.ix_(a, a)])) @ im[np.ix_(a, b)]
         @ np.linalg.inv(sqrtm(re[np.ix_(b, b)])))  # fmt: skip
    for name, wanted in (("mim", np.trace(E @ E.T)),
                         ("mic", np.linalg.svd(E)[1].max())):  # fmt: skip
        w = find(name).run(Shared(x[None]), fs=1.0, average=None, groups=GROUPS)[0]
        np.testing.assert_allclose(w[0, 3, :2, 2:5], wanted, rtol=1e-9)
        assert w[0, 3, 0, 1] == 0.0


@pytest.mark.parametrize("name", ["mim", "mic"])
def test_mixing_within_a_group_changes_nothing(x, name):
    mixed = x.copy()
    mixed[:, :2] = x[:, :2] @ [[1.0, 0.7], [-0.4, 2.0]]
    mixed[:, 2:5] = x[:, 2:5] @ np.random.default_rng(0).normal(size=(3, 3))
    first, second = (find(name)(v, fs=1.0, groups=GROUPS) for v in (x, mixed))
    np.testing.assert_allclose(first, second, rtol=1e-8)


def test_groups_of_another_number_are_refused(x):
    with pytest.raises(ParameterError, match="each of the 6"):
        find("mim")(x, fs=1.0, groups=["a", "b"])


# --- shrunk autoregressions ----------------------------------------------------------


def test_shrunk_autoregression_equals_scikit_learn(x):
    from sklearn.covariance import ledoit_wolf

    both = np.hstack([x[:-1], x[1:]])
    s, _ = ledoit_wolf(both)
    wanted = np.linalg.solve(s[:6, :6], s[:6, 6:])
    w = find("var_coef")(x, estimator="ledoit_wolf")
    np.testing.assert_allclose(w, wanted, rtol=1e-9)


def test_shrunk_autoregression_takes_few_samples():
    x = np.random.default_rng(0).normal(size=(30, 40))
    assert np.isfinite(find("var_coef")(x, estimator="ledoit_wolf")).all()
