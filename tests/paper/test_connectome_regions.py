"""A zebrafish with published assemblies; regions of people at rest and in a task."""

import gzip

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import neuroana as na
from neuroana.connectome import DifferentialAffinity, NonNegativeCP
from neuroana.connectome.affinity import fold, pair_indices


pytestmark = [
    pytest.mark.realdata,
    pytest.mark.paper,
    pytest.mark.filterwarnings("ignore::neuroana.core.errors.NeuroanaWarning"),
]


@pytest.fixture(scope="module")
def fish(realdata):
    """Traces of a fish, 2 Hz assumed since its rate is unknown, and its assemblies."""
    folder = realdata / "calcium" / "zebrafish_tectum_20151104"
    if not folder.is_dir():
        pytest.skip("the recording is not there")
    with gzip.open(folder / "zf_20151104-f1_activity_matrix.csv.gz", "rt") as file:
        traces = np.loadtxt(file, delimiter=",")
    traces = traces.T if traces.shape[0] < traces.shape[1] else traces
    lines = (folder / "zf_20151104-f1_assembly_assignments.csv").read_text().split("\n")
    rows = [[int(float(v)) - 1 for v in row.split(",") if v.strip()] for row in lines]
    rec = na.from_array(traces, "calcium", sampling_rate=2.0, units="dF/F")
    return rec, [row for row in rows if row]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "auc", "wanted"),
    [("geomean", 0.840, [0.60, 0.33, 0.63, 0.13, 0.86]),
     ("rise", 0.864, [0.60, 0.33, 0.68, 0.13, 0.86])],
)  # fmt: skip
def test_assemblies_of_a_fish_are_found(fish, kind, auc, wanted):
    rec, assemblies = fish
    tensor = DifferentialAffinity(kind, scale="std", stride=5).fit_transform(rec)
    i, j = pair_indices(rec.sizes["neuron"])
    same = np.zeros(len(i), dtype=bool)
    for members in assemblies:
        same |= np.isin(i, members) & np.isin(j, members)
    mean = tensor.mean("time").to_numpy()[:, 0]
    assert roc_auc_score(same, mean) == pytest.approx(auc, abs=0.03)
    correlation = np.corrcoef(rec["signal"].values.T)[i, j]
    assert roc_auc_score(same, correlation) == pytest.approx(0.897, abs=0.01)
    model = NonNegativeCP(5, "single", n_init=3, random_state=0).fit(tensor)
    overlaps = []
    for members in assemblies:
        best = 0.0
        for component in model.pair_.to_numpy().T:
            strength = fold(component).sum(axis=1)
            top = set(np.argsort(-strength)[: len(members)].tolist())
            best = max(best, len(top & set(members)) / len(top | set(members)))
        overlaps.append(best)
    assert sum(v > 0.55 for v in overlaps) >= 3
    np.testing.assert_allclose(overlaps, wanted, atol=0.03)


@pytest.mark.slow
def test_motifs_of_regions_join_the_two_hemispheres(realdata):
    from scipy.io import loadmat

    folder = realdata / "fmri_roi" / "leida_two_conditions"
    if not folder.is_dir():
        pytest.skip("the recording is not there")
    cells = loadmat(folder / "example_BOLD.mat")["tc_aal"]
    recordings = []
    for subject in range(cells.shape[0]):
        for condition in range(cells.shape[1]):
            rec = na.from_array(
                np.asarray(cells[subject, condition], dtype=float).T, "fmri",
                sampling_rate=0.5, dim="roi", units="zscore",
                attrs={"subject": f"{subject:02d}", "task": f"{condition}"},
            )  # fmt: skip
            recordings.append(
                na.signal.bandpass(rec, 0.04, 0.07, method="iir", order=2)
            )
    tensor = DifferentialAffinity("phase", layout="concat", stride=2).fit_transform(
        recordings
    )
    model = NonNegativeCP(5, "concat", n_init=3, random_state=0).fit(tensor)
    i, j = pair_indices(90)
    mirrored = i // 2 == j // 2  # left and right of a region stand side by side
    pair = model.pair_.to_numpy()
    ratios = pair[mirrored].mean(axis=0) / pair.mean(axis=0)
    assert (ratios > 1.2).all()
