"""Does a fitted model describe its data: predictive residuals and simulated copies.

One step ahead the model says, with p(z[t]=k given x[<t]) from the causal filter,

    F_t(x) = sum_k p(z[t]=k given x[<t]) F_k(x; eta[k, t])

| symbol | meaning                                                                  |
| ------ | ------------------------------------------------------------------------ |
| u      | F(x-1) + V (F(x) - F(x-1)), V uniform: uniform if the model is true      |
| q      | -log F(0), the chance of an event in a bin as a hazard                   |
| xi     | sum of q between events, and -log(1 - V (1 - exp(-q))) of the last bin:  |
|        | exponential if the model is true, whatever the width of the bins         |
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from neuroana.core.random import branch, draw_seed


PIT_BINS = 20


def goodness_of_fit(
    model, X, *, inputs=None, transition_inputs=None, random_state=None
) -> xr.Dataset:
    """Test the one-step predictions of a fitted model, unit by unit.

    Use held-out data: on training data the tests are too kind. A rejection says that
    something about a unit is not described (its rate, its history, its states); with
    many bins tiny faults are found too, so look at the distance beside the p value.
    Costs one decoding and the distribution functions, O(T N K).

    Parameters
    ----------
    model : fitted HMMGLM
    X : recording, collection, DataArray or ndarray
    inputs, transition_inputs : like X, optional
    random_state : int, Generator or None
        Of the randomisation of discrete values.

    Returns
    -------
    Dataset
        Along the units: ``pit_ks`` and ``pit_p``, Kolmogorov-Smirnov distance of u to
        the uniform law and its p value; ``pit_lag1``, correlation of successive normal
        scores of u, zero if the history is described; for counts ``rescaled_ks``,
        ``rescaled_p``, ``n_intervals`` of time rescaling. For choices the
        one unit is called "choice". ``pit`` (unit, bin) is the
        density of u, one where the model is right; ``pit_state`` (state, bin) the same
        over all units, weighted with the predicted state.

    References
    ----------
    Brown et al., "The time-rescaling theorem and its application to neural spike train
    data analysis", Neural Computation 14, 2002; Haslinger, Pipa and Brown, "Discrete
    time rescaling theorem", Neural Computation 22, 2010; Czado, Gneiting and Held,
    "Predictive model assessment for count data", Biometrics 65, 2009.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=400, n_sequences=3, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data[:2])
    >>> found = goodness_of_fit(model, data[2], random_state=0)
    >>> bool((found.pit_p > 1e-4).all())
    True
    """
    from scipy.special import ndtri
    from scipy.stats import kstest

    rng = branch(draw_seed(random_state), 0)
    parts = predictive_parts(
        model, X, inputs=inputs, transition_inputs=transition_inputs
    )
    u = randomise(parts.below, parts.upto, rng)
    seen, ahead = parts.seen, parts.ahead
    units = (
        model.rate_
        if u.shape[1] == model.rate_.size
        else xr.DataArray(["choice"], dims="choice", coords={"choice": ["choice"]})
    )
    dim = units.dims[0]
    edges = np.linspace(0, 1, PIT_BINS + 1)
    place = np.clip((u * PIT_BINS).astype(int), 0, PIT_BINS - 1)
    rows: dict[str, list] = {"pit_ks": [], "pit_p": [], "pit_lag1": []}
    density = np.zeros((u.shape[1], PIT_BINS))
    by_state = np.zeros((ahead.shape[1], PIT_BINS))
    for n in range(u.shape[1]):
        here = seen[:, n]
        test = kstest(u[here, n], "uniform") if here.any() else (np.nan, np.nan)
        rows["pit_ks"].append(test[0])
        rows["pit_p"].append(test[1])
        score = ndtri(np.clip(u[:, n], 1e-12, 1 - 1e-12))
        rows["pit_lag1"].append(lag_one(score, here, parts.starts))
        density[n] = np.bincount(place[here, n], minlength=PIT_BINS)
        for k in range(len(by_state)):
            by_state[k] += np.bincount(
                place[here, n], weights=ahead[here, k], minlength=PIT_BINS
            )
    if parts.events:
        rows |= time_rescaling(parts, rng)
    with np.errstate(invalid="ignore"):
        density *= PIT_BINS / density.sum(axis=1, keepdims=True)
        by_state *= PIT_BINS / by_state.sum(axis=1, keepdims=True)
    found = xr.Dataset({k: (dim, np.array(v)) for k, v in rows.items()})
    found["pit"] = ((dim, "bin"), density)
    found["pit_state"] = (("state", "bin"), by_state)
    return found.assign_coords(
        {
            dim: units[dim],
            "bin": (edges[:-1] + edges[1:]) / 2,
            "state": np.arange(len(by_state)),
        }
    )


@dataclass(frozen=True)
class Predictive:
    """Distribution functions one step ahead, and what was observed."""

    x: np.ndarray  # (T, N)
    below: np.ndarray  # (T, N), F(x-1)
    upto: np.ndarray  # (T, N), F(x)
    none: np.ndarray  # (T, N), F(0)
    seen: np.ndarray  # (T, N) bool
    ahead: np.ndarray  # (T, K), p(z[t]=k given x[<t])
    starts: np.ndarray  # (R,), first bin of every sequence
    events: bool  # whether a value above zero is an event in time


def predictive_parts(model, X, **companions) -> Predictive:
    """Distribution functions of the next value given the past, (T, N) each."""
    from neuroana.switching.forward_backward import predict_states, smooth
    from neuroana.switching.observations import family
    from neuroana.switching.scoring import chain_of, linear_predictors

    observed, (loglik, transition, initial, lengths) = chain_of(model, X, **companions)
    found = smooth(loglik, transition, initial, lengths)
    ahead = predict_states(found.filtered, transition, initial, lengths)
    kind = family(model.observation, model.link, model.covariance)
    x = observed.x
    seen = np.ones(x.shape, bool) if observed.seen is None else observed.seen
    flat = model.flat_.to_numpy() == 1
    if kind.values == "classes":
        x, seen = class_numbers(x), seen.all(axis=1, keepdims=True)
        flat = np.zeros(1, dtype=bool)
    below, upto, none = (np.zeros(x.shape) for _ in range(3))
    for k in range(model.n_states):
        law = distribution(model, kind, k)
        eta = linear_predictors(model, observed, k)
        weight = ahead[:, k, None]
        upto += weight * law(x, eta)
        if kind.values != "real":
            below += weight * law(x - 1, eta)
            none += weight * law(np.zeros(x.shape), eta)
    if kind.values == "real":
        below = upto
    return Predictive(
        x, below, upto, none, seen & ~flat, ahead,
        starts=np.concatenate([[0], np.cumsum(lengths)[:-1]]),
        events=kind.values in ("counts", "binary"),
    )  # fmt: skip


def class_numbers(indicators):
    """Class of every bin (T, 1) from indicators of all but the last class."""
    last = indicators.shape[1]
    chosen = indicators.argmax(axis=1)
    return np.where(indicators.any(axis=1), chosen, last)[:, None].astype(float)


def distribution(model, kind, state):
    """F_k(x; eta) of the observation family, zero below its support."""
    import torch
    from scipy import special

    noise = getattr(model, "noise_", None)
    noise = None if noise is None else noise.to_numpy()

    def mean(eta):
        return kind.mean(torch.as_tensor(eta)).numpy()

    def poisson(x, eta):
        return np.where(x < 0, 0.0, special.pdtr(np.maximum(x, 0), mean(eta)))

    def bernoulli(x, eta):
        return np.where(x < 0, 0.0, np.where(x < 1, 1 - mean(eta), 1.0))

    def negative_binomial(x, eta):
        size = 1 / noise  # variance f + f^2 / size
        found = special.betainc(size, np.maximum(x, 0) + 1, size / (size + mean(eta)))
        return np.where(x < 0, 0.0, found)

    def categorical(x, eta):
        p = kind.mean(torch.as_tensor(eta.T)).numpy().T
        upto = np.cumsum(np.c_[np.zeros(len(p)), p, 1 - p.sum(axis=1)], axis=1)
        return np.take_along_axis(upto, x.astype(int) + 1, axis=1)

    def gaussian(x, eta):
        own = noise[state]
        variance = np.diagonal(own) if own.ndim == 2 else own
        return special.ndtr((x - eta) / np.sqrt(variance))

    known = (poisson, bernoulli, negative_binomial, categorical, gaussian)
    return {law.__name__: law for law in known}[model.observation]


def randomise(below, upto, rng):
    """u: uniform between the two ends of the step of F at x."""
    return below + rng.random(upto.shape) * (upto - below)


def lag_one(score, here, starts):
    """Correlation of a unit's scores with those of the bin before, in one sequence."""
    pair = here[1:] & here[:-1]
    pair[starts[1:] - 1] = False
    if pair.sum() < 3:
        return np.nan
    return np.corrcoef(score[1:][pair], score[:-1][pair])[0, 1]


def time_rescaling(parts, rng) -> dict:
    """Kolmogorov-Smirnov distance of rescaled intervals to the exponential law.

    A bin with several events counts as one: what is tested is when events come.
    Hazard goes on from one sequence to the next, so that no interval is cut.
    """
    from scipy.stats import kstest

    rows: dict[str, list] = {"rescaled_ks": [], "rescaled_p": [], "n_intervals": []}
    for n in range(parts.x.shape[1]):
        here = parts.seen[:, n]
        q = -np.log(np.clip(parts.none[here, n], 1e-300, 1.0))
        event = parts.x[here, n] > 0
        total = np.cumsum(q) - q  # hazard before each bin
        part = -np.log1p(-rng.random(event.sum()) * -np.expm1(-q[event]))
        fresh = np.concatenate([[0.0], (total + q)[event][:-1]])
        xi = total[event] - fresh + part
        test = kstest(-np.expm1(-xi), "uniform") if len(xi) else (np.nan, np.nan)
        rows["rescaled_ks"].append(test[0])
        rows["rescaled_p"].append(test[1])
        rows["n_intervals"].append(len(xi))
    return rows
