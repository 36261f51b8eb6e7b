"""What the tests of dynamic connectomes share."""

import numpy as np
import pytest

import neuroana as na
from neuroana.connectome import simulate_motifs, simulate_tensor


COMMAND = ["AIBL", "AIBR", "AVAL", "AVAR", "AVEL", "AVER", "RIML", "RIMR"]


@pytest.fixture(scope="session")
def oracle_folder(realdata):
    """Folder of oracles that are not shipped, beside the real recordings."""
    folder = realdata.parent / "oracles"
    if not (folder / "connectome_affinity.npz").is_file():
        pytest.skip(f"no oracles at {folder}")
    return folder


@pytest.fixture(scope="session")
def ncp(oracles):
    """Tensor, truth, starts and results of an independent implementation."""
    with np.load(oracles / "connectome_ncp.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="session")
def motifs():
    """One animal with two regimes of four groups."""
    return simulate_motifs(n_neurons=40, n_samples=400, random_state=3)


@pytest.fixture(scope="session")
def tensor():
    """A tensor with missing neurons."""
    return simulate_tensor(14, 60, rank=3, n_animals=5, missing=0.2, random_state=0)


@pytest.fixture(scope="session")
def worms(realdata):
    """Four worms with certain labels on a clock of 0.6 s."""
    import json

    folder = realdata / "calcium" / "worm_neuropal_nsm"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    labels = json.loads((folder / "neuron_labels.json").read_text())
    return [read_worm(folder, name, labels[name]) for name in sorted(labels)]


def read_worm(folder, name, labels):
    """One worm: certain labels, the more confident of two that are the same."""
    import h5py

    best = {}
    for column, entry in labels.items():
        label, sure = entry["label"], float(entry["confidence"])
        if "?" in label or "alt" in label:
            continue
        if label not in best or sure > best[label][1]:
            best[label] = (int(column), sure)
    names = sorted(best)
    with h5py.File(folder / f"{name}-data.h5") as file:
        traces = file["gcamp/trace_array"][:][:, [best[n][0] for n in names]]
        time = file["timing/timestamp_confocal"][:]
        reversal = file["behavior/reversal_vec"][:]
    time = time - time[0]
    grid = np.arange(0.0, time[-1], 0.6)
    values = np.stack([np.interp(grid, time, x) for x in traces.T], axis=1)
    rec = na.from_array(values, "calcium", sampling_rate=1 / 0.6, names=names,
                        units="zscore", attrs={"subject": name})  # fmt: skip
    nearest = np.abs(time[None] - grid[:, None]).argmin(axis=1)
    return rec.assign(reversal=("time", reversal[nearest].astype(int)))
