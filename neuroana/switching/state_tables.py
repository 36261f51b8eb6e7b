"""Time in states: occupancy, visits and their length, one row a recording and state."""

from itertools import pairwise

import numpy as np
import pandas as pd

from neuroana.core.checks import check_choice
from neuroana.switching.metrics import dwell_times


def state_table(
    model, X, *, by, inputs=None, transition_inputs=None, lengths=None
) -> pd.DataFrame:
    """Occupancy and visits of every state in every recording.

    ``by="viterbi"`` counts on the most probable path: visits have a length of their
    own, and short ones tend to be smoothed away. ``by="posterior"`` gives expected
    values over all paths: no threshold, but only the mean length. The two answer
    different questions, so there is no default. Samples without any observed value
    count in no state; a visit that spans them goes on. Costs O(T K^2).

    Parameters
    ----------
    model : fitted HMMGLM
    X : recording, collection, DataArray or ndarray
    by : {"viterbi", "posterior"}
    inputs, transition_inputs : like X, optional
    lengths : sequence of int, optional
        Lengths of the sequences stacked in one plain array.

    Returns
    -------
    DataFrame
        ``recording``, its entities, ``state``, ``by``, ``occupancy`` (share of the
        observed samples), ``n_visits``, ``mean_visit``, ``longest_visit`` (Viterbi
        only) and ``unit``: seconds where the data have a rate, else bins.

    Raises
    ------
    ParameterError
        If `by` is another word, or the model is not fitted to such data.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=300, n_sequences=2, random_state=0)
    >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
    >>> table = state_table(model, data, by="viterbi")
    >>> table.groupby("recording").occupancy.sum().round(9).tolist()
    [1.0, 1.0]
    """
    from neuroana.switching.scoring import chain_of

    check_choice("by", by, ("viterbi", "posterior"))
    observed, (loglik, transition, initial, _) = chain_of(
        model, X, inputs=inputs, transition_inputs=transition_inputs, lengths=lengths
    )
    sequences = observed.sequences
    width = 1.0 if sequences.sampling_rate is None else 1 / sequences.sampling_rate
    ends = np.cumsum(observed.lengths)
    entities = sequences.entities or ({},) * len(sequences)
    rows = []
    for first, last, label, entity in zip(
        ends - observed.lengths, ends, sequences.labels, entities
    ):
        here = np.ones(last - first, dtype=bool)
        if observed.seen is not None:
            here = observed.seen[first:last].any(axis=1)
        steps = transition[first : last - 1] if transition.ndim == 3 else transition
        chain = observed_chain(loglik[first:last], steps, initial, here)
        measure = path_visits if by == "viterbi" else expected_visits
        for state, row in enumerate(measure(*chain)):
            row["mean_visit"] *= width
            if "longest_visit" in row:
                row["longest_visit"] *= width
            rows.append({"recording": label, **entity, "state": state, "by": by, **row})
    table = pd.DataFrame(rows)
    table["unit"] = "bin" if sequences.sampling_rate is None else "s"
    return table


def observed_chain(loglik, transition, initial, here):
    """The chain on the samples `here` alone; over a gap its steps are multiplied.

    Exact, since a sample without values says nothing about its state.
    """
    if here.all():
        return loglik, transition, initial
    kept = np.flatnonzero(here)
    n_states = loglik.shape[1]
    if not len(kept):
        return loglik[:0], transition, initial
    stationary = transition.ndim == 2

    def jump(a, b):
        if stationary:
            return np.linalg.matrix_power(transition, b - a)
        product = np.eye(n_states)
        for step in transition[a:b]:
            product = product @ step
        return product

    steps = np.array([jump(a, b) for a, b in pairwise(kept)])
    steps = steps.reshape(len(kept) - 1, n_states, n_states)
    return loglik[here], steps, initial @ jump(0, kept[0])


def path_visits(loglik, transition, initial):
    """Occupancy and visits of the most probable path, one dict a state."""
    from neuroana.switching.forward_backward import viterbi

    n_states = loglik.shape[1]
    if not len(loglik):
        return [nothing(longest_visit=np.nan) for _ in range(n_states)]
    path = viterbi(loglik, transition, initial).path
    share = np.bincount(path, minlength=n_states) / len(path)
    return [
        {
            "occupancy": float(share[k]),
            "n_visits": float(len(v)),
            "mean_visit": float(v.mean()) if len(v) else np.nan,
            "longest_visit": float(v.max()) if len(v) else np.nan,
        }
        for k, v in enumerate(dwell_times(path, n_states=n_states))
    ]


def expected_visits(loglik, transition, initial):
    """Expected occupancy and visits over all paths, one dict a state."""
    from neuroana.switching.forward_backward import smooth

    n_states = loglik.shape[1]
    if not len(loglik):
        return [nothing() for _ in range(n_states)]
    found = smooth(loglik, transition, initial)
    entered = found.xi_sum.sum(axis=0) - np.diag(found.xi_sum) + found.gamma[0]
    time = found.gamma.sum(axis=0)
    return [
        {
            "occupancy": float(time[k] / len(loglik)),
            "n_visits": float(entered[k]),
            "mean_visit": float(time[k] / entered[k]) if entered[k] > 0 else np.nan,
        }
        for k in range(n_states)
    ]


def nothing(**more):
    """Row of a recording without any observed sample."""
    return {"occupancy": np.nan, "n_visits": 0.0, "mean_visit": np.nan, **more}
