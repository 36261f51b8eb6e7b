"""Recordings, tensors and graphs with known motifs and communities."""

import numpy as np
import xarray as xr

from neuroana.connectome.affinity import pair_indices
from neuroana.connectome.tensors import label
from neuroana.core.checks import check_choice, check_number
from neuroana.core.random import branch, draw_seed
from neuroana.core.recording import from_array


GRAPHS = ("assortative", "disassortative", "core-periphery", "none")


def simulate_motifs(
    n_neurons=60,
    n_samples=600,
    *,
    n_groups=4,
    n_regimes=2,
    regime_samples=100,
    snr_db=10.0,
    n_animals=1,
    missing=0.0,
    sampling_rate=1 / 0.6,
    random_state=None,
):
    """Draw traces whose groups of neurons change together, in regimes that alternate.

    Each regime has a random partition of the neurons into groups. Every group steps up
    or down at random moments (8 % of the samples); steps are integrated and smoothed,
    each neuron has a gain of its own, and smooth noise is added. All animals share
    partitions and regimes, not events.

    Parameters
    ----------
    n_neurons, n_samples : int
    n_groups, n_regimes : int
    regime_samples : int
        Length of a visit.
    snr_db : float
        Of the differences from sample to sample, the same for every neuron.
    n_animals : int
    missing : float
        Share of the neurons that each animal lacks.
    sampling_rate : float
        Hz.
    random_state : int, Generator or None

    Returns
    -------
    recordings : list of Dataset
        With the variable ``regime`` (time).
    truth : Dataset
        membership (regime, neuron), regime (time).

    Examples
    --------
    >>> recordings, truth = simulate_motifs(
    ...     n_neurons=8, n_samples=50, n_animals=2, missing=0.25, random_state=0)
    >>> recordings[0].signal.shape, truth.membership.shape
    ((50, 6), (2, 8))
    """
    for name, value in {
        "n_neurons": n_neurons, "n_samples": n_samples, "n_groups": n_groups,
        "n_regimes": n_regimes, "regime_samples": regime_samples,
        "n_animals": n_animals,
    }.items():  # fmt: skip
        check_number(name, value, minimum=1, integer=True)
    check_number("missing", missing, minimum=0.0, maximum=1.0)
    seed = draw_seed(random_state)
    rng = branch(seed, 0)
    sizes = np.arange(n_neurons) % n_groups
    membership = np.stack([rng.permutation(sizes) for _ in range(n_regimes)])
    regime = np.arange(n_samples) // regime_samples % n_regimes
    names = np.array([f"n{i:03d}" for i in range(n_neurons)])
    recordings = []
    for w in range(n_animals):
        own = branch(seed, 1, w)
        x = group_traces(own, membership, regime, n_groups, snr_db)
        n_kept = n_neurons - round(missing * n_neurons)
        kept = np.sort(own.choice(n_neurons, n_kept, replace=False))
        made = from_array(
            x[:, kept], "calcium", sampling_rate=sampling_rate, names=names[kept],
            units="1", attrs={"synthetic": 1, "subject": f"{w + 1:02d}"},
        )  # fmt: skip
        recordings.append(made.assign(regime=("time", regime)))
    truth = xr.Dataset(
        {"membership": (("regime", "neuron"), membership), "course": ("time", regime)},
        coords={"neuron": names},
    )
    return recordings, truth


def group_traces(rng, membership, regime, n_groups, snr_db):
    """Traces (T, N) of one animal."""
    from scipy.ndimage import gaussian_filter1d

    n_samples, n_neurons = len(regime), membership.shape[1]
    shape = (n_samples, n_groups)
    steps = (rng.random(shape) < 0.08) * rng.choice([-1.0, 1.0], shape)
    gain = rng.gamma(8.0, 1.0 / 8.0, n_neurons)
    drive = np.take_along_axis(steps, membership[regime], axis=1) * gain
    signal = gaussian_filter1d(np.cumsum(drive, axis=0), 2.0, axis=0)
    noise = gaussian_filter1d(rng.standard_normal(signal.shape), 2.0, axis=0)
    power = np.diff(signal, axis=0).var(axis=0) / 10 ** (snr_db / 10)
    return signal + noise * np.sqrt(power / np.diff(noise, axis=0).var(axis=0))


def simulate_tensor(
    n_neurons=30,
    n_samples=200,
    *,
    rank=5,
    n_animals=8,
    noise_db=10.0,
    missing=0.0,
    random_state=None,
):
    """Draw an affinity tensor from known non-negative factors.

    Pairs load gamma-distributed on a sparse set, time courses are Gaussian bumps,
    animals gamma-distributed; the absolute value of Gaussian noise is added, which has
    a positive mean, as rectified affinities have.

    Parameters
    ----------
    n_neurons, n_samples, rank, n_animals : int
    noise_db : float
        Signal to noise ratio.
    missing : float
        Share of the neurons that each animal lacks; their pairs are NaN.
    random_state : int, Generator or None

    Returns
    -------
    tensor : DataArray (pair, time, animal)
    truth : Dataset
        pair, time and animal factors.

    Examples
    --------
    >>> tensor, truth = simulate_tensor(6, 20, rank=2, n_animals=3, random_state=0)
    >>> tensor.shape, truth.pair_factor.shape
    ((15, 20, 3), (15, 2))
    """
    rng = branch(draw_seed(random_state))
    i, j = pair_indices(n_neurons)
    member = rng.random((n_neurons, rank)) < 0.5
    a = rng.gamma(2.0, 0.5, (len(i), rank)) * (member[i] & member[j])
    centre = rng.uniform(0, n_samples, rank)
    width = rng.uniform(0.04, 0.12, rank) * n_samples
    t = np.arange(n_samples)[:, None]
    b = np.exp(-0.5 * ((t - centre) / width) ** 2)
    c = rng.gamma(4.0, 0.25, (n_animals, rank))
    x = np.einsum("pr,tr,wr->ptw", a, b, c)
    e = np.abs(rng.standard_normal(x.shape))
    x += e * np.linalg.norm(x) / np.linalg.norm(e) / 10 ** (noise_db / 20)
    for w in range(n_animals):
        n_gone = round(missing * n_neurons)
        gone = np.isin(np.arange(n_neurons), rng.choice(n_neurons, n_gone, False))
        x[gone[i] | gone[j], :, w] = np.nan
    names = np.array([f"n{k:03d}" for k in range(n_neurons)])
    animals = [f"animal-{w}" for w in range(n_animals)]
    tensor = label(x.astype(np.float32), names, t[:, 0].astype(float), animal=animals,
                   attrs={"kind": "simulated", "synthetic": 1})  # fmt: skip
    truth = xr.Dataset(
        {"pair_factor": (("pair", "component"), a),
         "time_factor": (("time", "component"), b),
         "animal_factor": (("animal", "component"), c)},
    )  # fmt: skip
    return tensor, truth


def simulate_graph(
    n_neurons=60,
    n_groups=4,
    *,
    kind="assortative",
    ratio=3.0,
    density=1.0,
    random_state=None,
):
    """Draw a weighted graph with equal groups and exponential weights.

    Parameters
    ----------
    n_neurons, n_groups : int
    kind : {"assortative", "disassortative", "core-periphery", "none"}
        Which block pairs are `ratio` times as strong as the others: those within
        groups, those between, the first group's own (half as strong where it meets the
        others), or none.
    ratio : float
    density : float
        Share of the pairs that are edges.
    random_state : int, Generator or None

    Returns
    -------
    weights : DataArray (source, target)
    membership : ndarray (neuron,)

    Examples
    --------
    >>> weights, membership = simulate_graph(8, 2, random_state=0)
    >>> weights.shape, membership.tolist()
    ((8, 8), [0, 0, 0, 0, 1, 1, 1, 1])
    """
    check_choice("kind", kind, GRAPHS)
    rng = branch(draw_seed(random_state))
    b = np.sort(np.arange(n_neurons) % n_groups)
    i, j = pair_indices(n_neurons)
    if kind == "core-periphery":
        n_core = (b[i] == 0).astype(float) + (b[j] == 0)
        mean = np.array([1.0, np.sqrt(ratio), ratio])[n_core.astype(int)]
    else:
        strong = {"assortative": b[i] == b[j], "disassortative": b[i] != b[j]}
        mean = np.where(strong.get(kind, np.zeros(len(i), bool)), ratio, 1.0)
    w = rng.exponential(mean) * (rng.random(len(i)) < density)
    full = np.zeros((n_neurons, n_neurons))
    full[i, j] = full[j, i] = w
    names = np.arange(n_neurons)
    out = xr.DataArray(full, dims=("source", "target"), name="weight",
                       coords={"source": names, "target": names})  # fmt: skip
    return out, np.zeros(n_neurons, int) if kind == "none" else b
