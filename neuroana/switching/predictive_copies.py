"""Copies of the data drawn from the fitted model, and how the data compare."""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch_seed, draw_seed
from neuroana.switching.folds import Pieces


BATCH_VALUES = 20_000_000  # simulated side by side: 160 MB


def predictive_check(
    model, X, n=50, *, inputs=None, transition_inputs=None, level=0.95,
    random_state=None,
) -> xr.Dataset:  # fmt: skip
    """Compare summaries of the data with those of copies simulated from the fit.

    The copies have the lengths and inputs of the data, and missing values at the same
    places. Where the data lie outside the interval, the model misses that feature.
    Costs `n` simulations and decodings.

    Parameters
    ----------
    model : fitted HMMGLM
    X : recording, collection, DataArray or ndarray
    n : int
        Copies.
    inputs, transition_inputs : like X, optional
    level : float
        Of the intervals.
    random_state : int, Generator or None

    Returns
    -------
    Dataset
        ``observed``, ``low``, ``high``, ``p`` (two-sided, never below ``2 / (n + 1)``)
        along ``statistic``: for every unit its mean, its dispersion (variance over
        mean for counts, else standard deviation) and its correlation with itself one
        bin later; for every state the mean visit in bins of the most probable path; and
        the mean absolute correlation between units. Coordinates ``kind`` and ``name``.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=300, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
    >>> found = predictive_check(model, data, 10, random_state=0)
    >>> sorted(set(found.kind.values.tolist()))
    ['correlation', 'dispersion', 'lag 1', 'mean', 'visit']
    """
    check_number("n", n, minimum=1, integer=True)
    check_number("level", level, minimum=0.0, maximum=1.0)
    seed = draw_seed(random_state)
    pieces = Pieces(X, inputs=inputs, transition_inputs=transition_inputs)
    (items, given), seen = pieces.all(), pieces.seen()
    counts = model.observation in ("poisson", "negative_binomial")
    if model.observation == "categorical":
        raise ParameterError(
            message(
                "predictive_check", "counts or real values", "choices",
                "use goodness_of_fit",
            )
        )  # fmt: skip
    kinds, names, observed = summaries(model, items, given, seen, counts)
    drawn = []
    for batch in batches(n, sum(item.size for item in items)):
        copies = [
            simulate_copies(model, item, {k: v[i] for k, v in given.items()}, seen[i],
                            len(batch), branch_seed(seed, batch.start, i))
            for i, item in enumerate(items)
        ]  # fmt: skip
        drawn += [summaries(model, c, given, seen, counts)[2] for c in zip(*copies)]
    drawn = np.array(drawn)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.nanquantile(drawn, tails, axis=0)
    above = 1 + (drawn >= observed).sum(axis=0)
    below = 1 + (drawn <= observed).sum(axis=0)
    p = np.minimum(1.0, 2 * np.minimum(above, below) / (n + 1))
    return xr.Dataset(
        {
            "observed": ("statistic", observed),
            "low": ("statistic", low),
            "high": ("statistic", high),
            "p": ("statistic", np.where(np.isnan(observed), np.nan, p)),
        },
        coords={"kind": ("statistic", kinds), "name": ("statistic", names)},
        attrs={"n": int(n), "level": float(level)},
    )


def batches(n, n_values):
    """Numbers of the copies that are simulated side by side."""
    size = max(1, BATCH_VALUES // n_values)
    return [range(first, min(first + size, n)) for first in range(0, n, size)]


def simulate_copies(model, item, given, seen, n, seed):
    """Simulated recordings in place of `item`, missing where it is missing."""
    made = model.sample(len(item), n, random_state=seed, **given)
    made = made if n > 1 else [made]
    return [
        item.copy(data=np.where(seen, copy["signal"].to_numpy(), np.nan))
        for copy in made
    ]


def summaries(model, items, given, seen, counts):
    """Kinds, names and values of all statistics."""
    dim = model.rate_.dims[0]
    units = [str(u) for u in model.rate_[dim].to_numpy()]
    x = np.concatenate([item.to_numpy() for item in items]).astype(float)
    x[~np.concatenate(seen)] = np.nan
    mean, variance = np.nanmean(x, axis=0), np.nanvar(x, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        dispersion = variance / mean if counts else np.sqrt(variance)
    centred = [np.where(s, item.to_numpy(), np.nan) - mean
               for item, s in zip(items, seen)]  # fmt: skip
    ahead = np.concatenate([c[1:] for c in centred])
    behind = np.concatenate([c[:-1] for c in centred])
    with np.errstate(invalid="ignore"):
        lag = np.nanmean(ahead * behind, axis=0) / variance
    values = {"mean": mean, "dispersion": dispersion, "lag 1": lag}
    kinds = [kind for kind, row in values.items() for _ in row]
    names = units * len(values)
    numbers = list(np.concatenate(list(values.values())))
    if len(units) > 1:
        kinds.append("correlation")
        names.append("mean of all pairs")
        numbers.append(mean_correlation(np.concatenate(centred)))
    for state, visit in enumerate(mean_visits(model, items, given)):
        kinds.append("visit")
        names.append(f"state {state}")
        numbers.append(visit)
    return kinds, names, np.array(numbers, dtype=float)


def mean_correlation(centred):
    """Mean absolute correlation between units over bins that both have."""
    seen = np.isfinite(centred)
    filled = np.where(seen, centred, 0.0)
    power = (filled**2).T @ seen
    with np.errstate(invalid="ignore", divide="ignore"):
        r = filled.T @ filled / np.sqrt(power * power.T)
    return float(np.nanmean(np.abs(r[np.triu_indices(len(r), 1)])))


def mean_visits(model, items, given):
    """Mean visit to each state in bins; NaN for a state never visited."""
    from neuroana.switching.metrics import dwell_times

    visits = dwell_times(model.predict(items, **given), n_states=model.n_states)
    return [v.mean() if len(v) else np.nan for v in visits]
