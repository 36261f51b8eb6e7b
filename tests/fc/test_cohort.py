"""The benchmark on 88 resting adults of three sites, where their recordings are."""

import numpy as np
import pandas as pd
import pytest

import neuroana as na
from neuroana.core.random import branch
from neuroana.fc.cells import matrices_of
from neuroana.fc.core_estimates import CoreScores
from neuroana.fc.registry import Op
from neuroana.fc.samples import Samples, cut_samples
from neuroana.fc.similarity import edge_rows
from neuroana.fc.surrogate import Surrogate, rank_features


pytestmark = [pytest.mark.slow, pytest.mark.realdata, pytest.mark.timeout(900)]

OPERATORS = ["pearson", "spearman", "partial", "covariance", "log_euclidean",
             "diff_corr", "lagged_corr", "xcorr_max", "mtd", "coherence", "imcoh",
             "plv", "aec", "cityblock", "noise"]  # fmt: skip


@pytest.fixture(scope="module")
def adults(realdata):
    """Recordings of 33 of 200 regions, with site and diagnosis."""
    folder = realdata / "fmri_roi" / "abide_cc200_adults"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    people = pd.read_csv(folder / "participants.tsv", sep="\t")
    pick = np.linspace(0, 199, 33).astype(int)
    made = []
    for name, site in zip(people["FILE_ID"], people["SITE_ID"]):
        path = next((folder / "cc200").glob(f"{name}*"))
        x = pd.read_csv(path, sep="\t").to_numpy(float)[:, pick]
        rate = 1 / 1.67 if site.upper().startswith("LEUVEN") else 0.5
        made.append(na.from_array(x, "fmri", sampling_rate=rate, units="1",
                                  names=[f"r{k}" for k in pick],
                                  attrs={"subject": name}))  # fmt: skip
    recordings = na.Recordings(made)
    recordings.table["site"] = people["SITE_ID"].to_numpy()
    recordings.table["diagnosis"] = people["DX_GROUP"].to_numpy()
    recordings.table["motion"] = people["func_mean_fd"].to_numpy()
    return recordings


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def bench(store, **changes):
    given = {"operators": OPERATORS, "window": "halves", "site": "site",
             "per_site": True, "store": store, "n_boot": 200, "n_null": 99,
             "random_state": 0}  # fmt: skip
    return na.fc.OperatorBenchmark(**{**given, **changes})


def test_adults_are_recognised_by_all_but_noise(adults, store):
    tasks = ["fingerprint", na.fc.Task("group", label="diagnosis",
                                       confounds=["motion"])]  # fmt: skip
    found = bench(store, tasks=tasks).fit(adults)
    table = found.to_frame().query("task == 'fingerprint'").set_index("operator")
    assert table["score"].idxmin() == "noise"
    assert table.loc["noise", "p"] > 0.05
    assert (table.drop("noise")["p_family"] < 0.05).all()
    assert np.isfinite(found.confounds_[1])


def test_permuted_identities_are_at_chance(adults, store):
    samples = cut_samples(adults, "halves")
    rng = branch(5)
    table = samples.table.copy()
    for site in table["site"].unique():
        at = np.flatnonzero((table["site"] == site) & (table["start"] > 0))
        table.loc[at, "person"] = table.loc[rng.permutation(at), "person"].to_numpy()
    mixed = Samples(samples.values, table.drop(columns=["diagnosis", "motion", "site"])
                    .assign(site="all"), samples.group)  # fmt: skip
    found = bench(store, site=None).fit(mixed)
    held = found.scores_[0] - found.chance_[0]
    assert np.abs(held.drop_sel(operator="noise")).max() < 0.6
    assert float(found.scores_.max()) < 1.0


def test_surrogate_is_nearer_than_the_core_set_alone(adults, store):
    whole = [k for k, r in enumerate(adults)
             if (np.ptp(r["signal"].values, axis=0) > 1e-9).all()]  # fmt: skip
    samples = cut_samples(adults[whole], "halves")
    model = bench(store, n_boot=1, n_null=1).fit(samples)
    names = [n for n in OPERATORS if n != "noise"]
    cells = model._compute(samples, [Op(n) for n in names], model._settings(), store)
    rows = np.stack([
        rank_features(edge_rows(matrices_of(cells[n], len(samples))[0].astype(float),
                                directed=True)) for n in names])  # fmt: skip
    s = model.similarity_.sel(operator=names).to_numpy().astype(float)
    design = model._design(samples, np.ones(len(samples), dtype=bool))
    n_people = len(design.names)
    raw, said = [], []
    for split in range(6):
        rng = branch(3, split)
        order = rng.permutation(len(names))
        cheap, dear = order[:7], order[7:]
        surrogate = Surrogate(rows[cheap])
        made = CoreScores(na.fc.Task("fingerprint"), design, surrogate,
                          surrogate.cross(rows[dear]), s[dear])  # fmt: skip
        full = made.raw(np.ones((1, n_people)))[0]
        for _ in range(5):
            core = np.zeros(n_people, dtype=bool)
            core[rng.permutation(n_people)[:9]] = True
            for found, score in ((raw, made.raw(core[None].astype(float))[0]),
                                 (said, made.surrogate(core)[0])):  # fmt: skip
                gap = score - full
                found.append(gap - gap.mean())
    error = [np.sqrt(np.mean(np.square(np.concatenate(e)))) for e in (said, raw)]
    assert error[0] < 0.85 * error[1]
