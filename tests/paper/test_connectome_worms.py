"""Named neurons of four worms: reversals, command neurons, and a worm held out.

The thresholds guard against regressions; they were set after these recordings had been
looked at, and are no evidence.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from neuroana.connectome import (
    DifferentialAffinity,
    MotifCommunities,
    NonNegativeCP,
    null_test,
)


pytestmark = [
    pytest.mark.realdata,
    pytest.mark.paper,
    pytest.mark.filterwarnings("ignore::neuroana.core.errors.NeuroanaWarning"),
]
SHARED = Path(__file__).resolve().parents[1] / "connectome" / "conftest.py"
COMMAND = {"AVAL", "AVAR", "AVEL", "AVER"}
REVERSAL = COMMAND | {"AIBL", "AIBR", "RIML", "RIMR"}


@pytest.fixture(scope="module")
def worms(realdata):
    spec = importlib.util.spec_from_file_location("shared_worms", SHARED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.worms.__wrapped__(realdata)


def areas(courses, reversal):
    """AUC of every component against the reversals."""
    return np.array([roc_auc_score(reversal, c) for c in courses.T])


def shift_p(courses, reversal, n=200):
    """p of the best component by circular shifts, largest AUC of each."""
    rng = np.random.default_rng(0)
    observed = areas(courses, reversal).max()
    null = [
        areas(courses, np.roll(reversal, rng.integers(50, len(reversal) - 50))).max()
        for _ in range(n)
    ]
    return (1 + np.sum(np.array(null) >= observed)) / (1 + n)


@pytest.mark.parametrize("kind", ["geomean", "rise"])
def test_each_worm_has_a_reversal_motif_with_the_command_neurons(worms, kind):
    least = {"geomean": 0.70, "rise": 0.88}[kind]
    for worm in worms:
        tensor = DifferentialAffinity(kind).fit_transform(worm)
        model = NonNegativeCP(4, "single", n_init=3, max_iter=150, random_state=0)
        courses = model.fit(tensor).time_.to_numpy()
        reversal = worm["reversal"].values
        found = areas(courses, reversal)
        assert found.max() >= least
        assert shift_p(courses, reversal) < 0.01
        best = int(found.argmax())
        groups = MotifCommunities(
            preset="dyballa2024", nested=False, n_posterior=0, n_consensus=0,
            random_state=0,
        ).fit(model)  # fmt: skip
        table = groups.membership(best).set_index("neuron")["group"]
        assert len({table[n] for n in COMMAND}) == 1
        assert float(groups.gap_[best]) > 500


@pytest.fixture(scope="module")
def joint(worms):
    """Neurons of at least two worms, one tensor for both kernels."""
    names = [set(w["neuron"].values.tolist()) for w in worms]
    counts = {n: sum(n in own for own in names) for n in set().union(*names)}
    kept = [
        w.sel(neuron=[n for n in w["neuron"].values if counts[n] >= 2]) for w in worms
    ]
    return kept, {
        kind: DifferentialAffinity(kind, layout="concat").fit_transform(kept)
        for kind in ("geomean", "rise")
    }


def test_worms_together_have_one_group_of_reversal_neurons(joint):
    kept, tensors = joint
    model = NonNegativeCP(5, "concat", n_init=5, random_state=0).fit(tensors["rise"])
    assert np.isnan(model.pair_).all("component").sum() > 0
    reversal = np.concatenate([w["reversal"].values for w in kept])
    found = areas(model.time_.to_numpy(), reversal)
    groups = MotifCommunities(
        preset="dyballa2024", nested=False, n_posterior=0, n_consensus=0, random_state=0
    ).fit(model)
    sizes = []
    for component in np.flatnonzero(found >= 0.85):
        table = groups.membership(component).set_index("neuron")["group"]
        members = set(table.index[table == table["AVAL"]])
        if members >= REVERSAL:
            sizes.append(len(members))
    assert sizes
    assert min(sizes) <= 16


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "least"), [("rise", 0.85), ("geomean", 0.70)])
def test_a_worm_that_was_held_out_shows_the_motif_at_its_reversals(joint, kind, least):
    kept, tensors = joint
    tensor = tensors[kind]
    owner = tensor["animal"].values
    names = list(dict.fromkeys(owner.tolist()))
    for w, name in enumerate(names):
        train = tensor.isel(time=np.flatnonzero(owner != name))
        model = NonNegativeCP(5, "concat", n_init=3, random_state=0).fit(train)
        others = [k["reversal"].values for i, k in enumerate(kept) if i != w]
        best = int(areas(model.time_.to_numpy(), np.concatenate(others)).argmax())
        courses = model.transform(tensor.isel(time=np.flatnonzero(owner == name)))
        score = roc_auc_score(kept[w]["reversal"].values, courses[:, best])
        assert score >= least


@pytest.mark.slow
def test_motifs_of_the_public_worm_explain_more_than_shifted_traces(realdata):
    import neuroana as na

    file = realdata / "calcium" / "worm_wormwideweb_one" / "traces.npz"
    if not file.is_file():
        pytest.skip("the recording is not there")
    with np.load(file, allow_pickle=False) as data:
        time = data["time"] - data["time"][0]
        grid = np.arange(0.0, time[-1], 0.6)
        values = np.stack([np.interp(grid, time, x) for x in data["traces"]], axis=1)
        rec = na.from_array(values, "calcium", sampling_rate=1 / 0.6, units="zscore",
                            names=data["names"].tolist())  # fmt: skip
    affinity = DifferentialAffinity("geomean", stride=2)
    model = NonNegativeCP(5, "single", n_init=3, random_state=0)
    result = null_test(rec, n=3, affinity=affinity, factorization=model, random_state=0)
    assert float(result["observed"]) == pytest.approx(0.495, abs=0.01)
    assert float(result["null"].max()) < 0.42
