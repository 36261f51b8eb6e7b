"""Recordings with known states: the generators of tests, tutorials and comparisons.

| generator      | observations | what it makes                                     |
| -------------- | ------------ | ------------------------------------------------- |
| "li2024"       | poisson      | sparse signed couplings, edge-type law in common  |
| "gaussian_var" | gaussian     | one stable vector autoregression a state          |
| "sparse_ei"    | poisson      | units that excite or inhibit all of their targets |

"li2024" follows the synthetic experiment of Li et al. (ICLR 2024): edge types are
drawn per ordered pair from Dirichlet(0.2, 1.6, 0.2) over (inhibitory, none,
excitatory), strengths are log(1 + 3U), baselines 0.1 (U - 0.5), the link is the
sigmoid, the history kernel exp(-k) over five bins, and states last 50 bins on average.
The first state of a sequence is drawn from the initial law.

"sparse_ei" keeps Dale's law: four in five units excite, the others inhibit, with four
times the strength; one in five pairs is connected, and each state keeps four in five of
these edges. Units are refractory (self-coupling -1), the link is softplus.
"""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ShapeError
from neuroana.core.random import branch, draw_seed
from neuroana.core.recording import from_array


GENERATORS = ("li2024", "gaussian_var", "sparse_ei")
MODALITY = {"channel": "ieeg", "roi": "fmri", "voxel": "fmri"}


def simulate_hmm_glm(
    generator="li2024",
    *,
    n_states=5,
    n_units=20,
    n_bins=2000,
    n_sequences=50,
    stay=0.98,
    random_state=None,
):
    """Draw recordings from a switching GLM whose parameters are known.

    Parameters
    ----------
    generator : {"li2024", "gaussian_var", "sparse_ei"}
    n_states, n_units, n_bins, n_sequences : int
        K, N, T of each sequence, R.
    stay : float
        Probability to stay in a state from one bin to the next.
    random_state : int, Generator or None

    Returns
    -------
    recordings : list of Dataset
        With the further variable ``state`` (time).
    truth : Dataset
        coupling (state, neuron, source, basis), baseline, transition_matrix,
        initial_prob; for counts also edge_type (-1, 0, 1), for "gaussian_var" noise.

    Examples
    --------
    >>> recordings, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=3, n_bins=50, n_sequences=2, random_state=0)
    >>> recordings[0].signal.shape, truth.coupling.shape
    ((50, 3), (2, 3, 3, 1))
    """
    check_choice("generator", generator, GENERATORS)
    for name, value in {
        "n_states": n_states, "n_units": n_units, "n_bins": n_bins,
        "n_sequences": n_sequences,
    }.items():  # fmt: skip
        check_number(name, value, minimum=1, integer=True)
    check_number("stay", stay, minimum=0.0, maximum=1.0)
    seed = draw_seed(random_state)
    make = {
        "li2024": sparse_couplings, "gaussian_var": stable_autoregressions,
        "sparse_ei": signed_sources,
    }  # fmt: skip
    truth = make[generator](branch(seed, 0), n_states, n_units)
    transition = np.full((n_states, n_states), (1 - stay) / max(n_states - 1, 1))
    np.fill_diagonal(transition, stay if n_states > 1 else 1.0)
    truth["transition_matrix"] = ("state", "state_next"), transition
    truth["initial_prob"] = "state", np.full(n_states, 1 / n_states)
    from neuroana.switching.history import ExponentialHistory, RawHistory

    history = RawHistory() if generator == "gaussian_var" else ExponentialHistory()
    values, states = simulate_sequences(
        branch(seed, 1), truth, history.kernel(), n_bins, n_sequences
    )
    dim = truth["baseline"].dims[1]
    made = [
        as_recording(x, z, dim, truth[dim].to_numpy(), run=str(r + 1))
        for r, (x, z) in enumerate(zip(values, states))
    ]
    return made, truth


def sparse_couplings(rng, n_states, n_units):
    """Parameters of the generator "li2024"."""
    law = rng.dirichlet([0.2, 1.6, 0.2], size=(n_units, n_units))
    draw = rng.random((n_states, n_units, n_units, 1))
    edge_type = (draw > law.cumsum(axis=-1)[..., :2]).sum(axis=-1) - 1
    strength = np.log1p(3 * rng.random(edge_type.shape))
    baseline = np.tile(0.1 * (rng.random(n_units) - 0.5), (n_states, 1))
    edge = ("state", "neuron", "source")
    units = np.arange(n_units)
    return xr.Dataset(
        {
            "coupling": ((*edge, "basis"), (edge_type * strength)[..., None]),
            "edge_type": (edge, edge_type),
            "edge_prior": (("neuron", "source", "sign"), law),
            "baseline": (("state", "neuron"), baseline),
        },
        coords={"neuron": units, "source": units, "basis": [0]},
        attrs={"observation": "poisson", "link": "sigmoid"},
    )


def signed_sources(rng, n_states, n_units):
    """Parameters of the generator "sparse_ei": excitation stays below one a target."""
    units = np.arange(n_units)
    sign = np.where(units % 5 == 4, -1, 1)
    wired = rng.random((n_units, n_units)) < 0.2
    kept = wired & (rng.random((n_states, n_units, n_units)) < 0.8)
    kept[:, units, units] = False
    w = kept * rng.lognormal(-1.0, 0.5, (n_units, n_units)) * np.where(sign < 0, -4, 1)
    excitation = np.where(w > 0, w, 0.0).sum(axis=2, keepdims=True)
    w = w * np.minimum(1.0, 0.9 / np.maximum(excitation, 1e-12))
    edge_type = np.sign(w).astype(int)
    w[:, units, units] = -1.0
    edge_type[:, units, units] = -1
    baseline = np.tile(rng.uniform(-0.5, 0.5, n_units), (n_states, 1))
    edge = ("state", "neuron", "source")
    return xr.Dataset(
        {
            "coupling": ((*edge, "basis"), w[..., None]),
            "edge_type": (edge, edge_type),
            "baseline": (("state", "neuron"), baseline),
            "source_sign": ("source", sign),
        },
        coords={"neuron": units, "source": units, "basis": [0]},
        attrs={"observation": "poisson", "link": "softplus"},
    )


def stable_autoregressions(rng, n_states, n_units):
    """Parameters of the generator "gaussian_var": order one, spectral radius 0.9."""
    w = rng.standard_normal((n_states, n_units, n_units)) / np.sqrt(n_units)
    radius = np.abs(np.linalg.eigvals(w)).max(axis=1)
    w *= (0.9 / radius)[:, None, None]
    channels = [f"channel{i}" for i in range(n_units)]
    return xr.Dataset(
        {
            "coupling": (("state", "channel", "source", "basis"), w[..., None]),
            "baseline": (
                ("state", "channel"), 0.5 * rng.standard_normal((n_states, n_units)),
            ),
            "noise": (
                ("state", "channel"), rng.uniform(0.5, 1.5, (n_states, n_units)),
            ),
        },
        coords={"channel": channels, "source": channels, "basis": [0]},
        attrs={"observation": "gaussian", "link": "identity"},
    )  # fmt: skip


def simulate_sequences(
    rng, truth, kernel, n_bins, n_sequences, drive=None, transition=None
):
    """Draw values (R, T, N) and states (R, T), all sequences bin by bin together.

    `drive` (R, T, K, N) is added to eta: the part that inputs explain; `transition`
    (R, T, K, K) leads into every bin, where inputs drive it.
    """
    from neuroana.switching.observations import family

    attrs = truth.attrs
    kind = family(attrs["observation"], attrs["link"], attrs.get("covariance", "diag"))
    w, b = truth["coupling"].to_numpy(), truth["baseline"].to_numpy()
    n_states, n_units = b.shape
    noise = truth["noise"].to_numpy() if "noise" in truth else None
    if kind.noise == "dispersion":
        noise = np.broadcast_to(noise, b.shape)
    stationary = truth["transition_matrix"].to_numpy().cumsum(axis=1)
    states = np.empty((n_sequences, n_bins), dtype=np.int64)
    values = np.empty((n_sequences, n_bins, n_units))
    past = np.zeros((n_sequences, kernel.shape[1], n_units))
    enter = truth["initial_prob"].to_numpy().cumsum()[None]
    rows = np.arange(n_sequences)
    for t in range(n_bins):
        u = rng.random((n_sequences, 1))
        if t and transition is not None:
            law = transition[rows, t, states[:, t - 1]].cumsum(axis=1)
        else:
            law = stationary[states[:, t - 1]] if t else enter
        z = states[:, t] = np.minimum((u > law).sum(axis=1), n_states - 1)
        eta = b[z].copy()
        if w.size:
            h = np.einsum("cl,rlm->rmc", kernel, past)
            eta += np.einsum("rnmc,rmc->rn", w[z], h)
        if drive is not None:
            eta += drive[rows, t, z]
        values[:, t] = kind.sample(rng, eta, None if noise is None else noise[z])
        if kernel.shape[1]:
            past = np.roll(past, 1, axis=1)
            past[:, 0] = values[:, t]
    return values, states


def as_recording(x, z, dim, names, *, rate=1.0, run=None, observation=None):
    """A simulated recording with the variable ``state``."""
    counts = np.issubdtype(x.dtype, np.integer) or (x == np.round(x)).all()
    if observation is not None:
        counts = observation in ("poisson", "negative_binomial", "bernoulli")
    modality = "spikes" if counts else MODALITY.get(dim, "calcium")
    space = dim if dim in ("neuron", "channel", "roi", "voxel") else "neuron"
    space = "neuron" if modality == "spikes" else space
    made = from_array(
        x, modality, sampling_rate=rate, names=names, dim=space,
        units="count" if modality == "spikes" else "1",
        attrs={"synthetic": 1, "run": run},
    )  # fmt: skip
    return made.assign(state=("time", z))


def sample_model(model, n_bins, n_sequences, inputs, transition_inputs, rng):
    """Recordings drawn from a fitted HMMGLM."""
    from neuroana.switching.transitions import InputDriven

    check_number("n_bins", n_bins, minimum=1, integer=True)
    check_number("n_sequences", n_sequences, minimum=1, integer=True)
    names = ("coupling", "baseline", "transition_matrix", "initial_prob", "noise")
    truth = xr.Dataset(
        {
            name: getattr(model, f"{name}_").variable
            for name in names
            if getattr(model, f"{name}_", None) is not None
        }
    )
    truth.attrs = {name: getattr(model, name) for name in ("observation", "link",
                   "covariance")}  # fmt: skip
    drive, transition = None, None
    if model.n_inputs_:
        u = inputs_of(inputs, "inputs", n_sequences, n_bins, model.n_inputs_)
        drive = np.einsum("rtp,knp->rtkn", u, model.input_weights_.to_numpy())
    if model.transitions == "inputs":
        weights = model.transition_weights_.to_numpy()
        u = inputs_of(transition_inputs, "transition_inputs", n_sequences, n_bins,
                      weights.shape[1])  # fmt: skip
        a = model.transition_matrix_.to_numpy()
        into = [InputDriven(u=np.vstack([s[:1], s])) for s in u]
        transition = np.stack([d.matrices(a[None], weights[None])[0] for d in into])
    values, states = simulate_sequences(
        rng, truth, model.kernel_.to_numpy(), n_bins, n_sequences, drive, transition
    )
    dim = model.baseline_.dims[1]
    units = model.rate_[model.rate_.dims[0]].to_numpy()
    if model.observation == "categorical":
        rest = 1 - values.sum(axis=-1, keepdims=True)
        values = np.concatenate([values, rest], axis=-1).argmax(-1)[..., None] * 1.0
        dim, units = "feature", np.arange(1)
    rate = getattr(model, "sampling_rate_", 1.0)
    return [
        as_recording(
            x, z, dim, units, rate=rate, run=str(r + 1), observation=model.observation
        )
        for r, (x, z) in enumerate(zip(values, states))
    ]


def inputs_of(values, name, n_sequences, n_bins, n_inputs):
    """Inputs of every sequence, (R, T, P)."""
    u = np.asarray(np.nan if values is None else values, dtype=float)
    wanted = (n_bins, n_inputs)
    if u.shape[-2:] != wanted or u.ndim > 3 or not np.isfinite(u).all():
        raise ShapeError(
            message(
                f"argument {name!r}", f"finite values of shape {wanted}",
                "nothing" if values is None else f"shape {u.shape}",
            )
        )  # fmt: skip
    return np.broadcast_to(u, (n_sequences, *wanted))
