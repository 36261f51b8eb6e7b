"""Choices of an animal or a person: the regressors of the field, and simulated data.

The behavioural GLM-HMM of Ashwood et al. (2022) explains every choice by the stimulus,
the choice before it and its outcome, with weights that depend on a hidden strategy:

| input                | value at trial t                                            |
| -------------------- | ----------------------------------------------------------- |
| stimulus             | signed strength, as given                                   |
| previous_choice      | +1 or -1 for the last class of choice or the other; 0 at the |
|                      | start of a session                                          |
| win_stay_lose_switch | previous choice, times -1 where it was not rewarded         |

The bias is the model's baseline.
"""

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_number, did_you_mean, message
from neuroana.core.errors import SchemaError
from neuroana.core.random import branch, draw_seed


INPUTS = ("stimulus", "previous_choice", "win_stay_lose_switch")
STRATEGIES = np.array(
    # bias, stimulus, previous choice, win-stay-lose-switch: of log odds of a one
    [[0.0, 6.0, 0.3, 0.1], [2.0, 1.0, 0.6, 0.1], [-2.0, 1.0, 0.6, 0.1]]
)


def choice_design(
    trials, *, stimulus="stimulus", choice="choice", reward="reward", session="session"
):
    """Lay a table of trials out as choices and inputs of a GLM-HMM.

    Parameters
    ----------
    trials : DataFrame
        One row a trial, in order within each session.
    stimulus, choice, reward, session : str
        Names of its columns: signed strength; 0 or 1; zero or one (or less and more
        than zero); whatever tells sessions apart. Without a reward column (None)
        there is no win-stay-lose-switch.

    Returns
    -------
    choices : list of DataArray (time, choice)
        One a session; missing choices are NaN and count in no likelihood.
    inputs : list of DataArray (time, input)
        Stimuli are standardised over all sessions; after a missing choice the inputs
        that depend on it are zero.

    Raises
    ------
    SchemaError
        If a column is missing, a stimulus is not a number, or a choice is another
        value than 0 and 1.

    References
    ----------
    Ashwood et al., "Mice alternate between discrete strategies during perceptual
    decision-making", Nature Neuroscience 25, 2022.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, choice_design, simulate_choices
    >>> trials, truth = simulate_choices(n_sessions=2, n_trials=100, random_state=0)
    >>> choices, inputs = choice_design(trials)
    >>> inputs[0].input.values.tolist()
    ['stimulus', 'previous_choice', 'win_stay_lose_switch']
    >>> model = HMMGLM(1, "bernoulli", history=None).fit(choices, inputs=inputs)
    """
    wanted = [name for name in (stimulus, choice, reward, session) if name is not None]
    for name in wanted:
        if name not in trials:
            raise SchemaError(
                message("trials", f"a column {name!r}", list(trials.columns))
                + f" {did_you_mean(name, map(str, trials.columns))}".rstrip()
            )
    strength = pd.to_numeric(trials[stimulus], errors="coerce").to_numpy(dtype=float)
    chosen = pd.to_numeric(trials[choice], errors="coerce").to_numpy(dtype=float)
    check_columns(trials, stimulus, strength, choice, chosen)
    spread = strength.std() or 1.0
    choices, inputs = [], []
    for label, rows in trials.groupby(session, sort=False).indices.items():
        rows = np.sort(rows)
        own = chosen[rows]
        side = np.nan_to_num(2 * own - 1)
        columns = [strength[rows] / spread, np.r_[0.0, side[:-1]]]
        if reward is not None:
            won = pd.to_numeric(trials[reward], errors="coerce").to_numpy(dtype=float)
            won = np.where(won[rows] > 0, 1.0, -1.0)
            columns.append(np.r_[0.0, (side * won)[:-1]])
        coords = {"time": np.arange(len(rows), dtype=float)}
        attrs = {"label": f"session {label}"}
        choices.append(
            xr.DataArray(
                own[:, None], dims=("time", "choice"),
                coords={**coords, "choice": ["choice"]}, attrs=attrs,
            )
        )  # fmt: skip
        inputs.append(
            xr.DataArray(
                np.stack(columns, axis=1), dims=("time", "input"),
                coords={**coords, "input": list(INPUTS[: len(columns)])}, attrs=attrs,
            )
        )  # fmt: skip
    return choices, inputs


def check_columns(trials, stimulus, strength, choice, chosen):
    """Raise on stimuli that are no numbers and choices that are not 0, 1 or missing."""
    bad = ~np.isfinite(strength)
    if bad.any():
        row = int(np.argmax(bad))
        raise SchemaError(
            message(
                f"trials: {stimulus!r}", "finite numbers",
                f"{trials[stimulus].iloc[row]} in row {row}",
            )
        )  # fmt: skip
    missing = trials[choice].isna().to_numpy()
    odd = ~missing & ~np.isin(chosen, (0.0, 1.0))
    if odd.any():
        row = int(np.argmax(odd))
        raise SchemaError(
            message(
                f"trials: {choice!r}", "0, 1 or missing",
                f"{trials[choice].iloc[row]} in row {row}",
                "code the two choices as 0 and 1",
            )
        )  # fmt: skip


def simulate_choices(
    n_sessions=20, n_trials=(200, 800), *, weights=None, stay=0.98, random_state=None
):
    """Simulate a two-choice task whose strategy switches.

    Parameters
    ----------
    n_sessions : int
    n_trials : int or (int, int)
        Trials of each session, or between which numbers to draw them.
    weights : array (K, 4), optional
        Bias, and weights of stimulus (in -1..1), previous choice and
        win-stay-lose-switch on the log odds of a one. By default an engaged strategy
        and two biased ones.
    stay : float
        Probability to keep the strategy from one trial to the next.
    random_state : int, Generator or None

    Returns
    -------
    trials : DataFrame
        session, stimulus, choice, reward, state.
    truth : Dataset
        ``weights`` (state, input), ``transition_matrix`` (state, state_next).

    Examples
    --------
    >>> trials, truth = simulate_choices(2, 50, random_state=0)
    >>> trials.columns.tolist()
    ['session', 'stimulus', 'choice', 'reward', 'state']
    """
    check_number("n_sessions", n_sessions, minimum=1, integer=True)
    check_number("stay", stay, minimum=0.0, maximum=1.0)
    w = STRATEGIES if weights is None else np.asarray(weights, dtype=float)
    k = len(w)
    low, high = (n_trials, n_trials) if np.isscalar(n_trials) else n_trials
    check_number("n_trials", low, minimum=1, integer=True)
    seed = draw_seed(random_state)
    a = np.full((k, k), (1 - stay) / max(k - 1, 1))
    np.fill_diagonal(a, stay if k > 1 else 1.0)
    levels = np.array([-1, -0.5, -0.25, -0.125, 0, 0.125, 0.25, 0.5, 1])
    parts = []
    for number in range(n_sessions):
        rng = branch(seed, number)
        size = int(rng.integers(low, high + 1))
        stimulus = rng.choice(levels, size)
        u = rng.random((size, 2))
        state, choice, reward = (np.empty(size, dtype=int) for _ in range(3))
        z, side, won = int(rng.integers(k)), 0.0, 0.0
        for t in range(size):
            if t:
                z = min(int((u[t, 0] > a[z].cumsum()).sum()), k - 1)
            eta = w[z] @ [1.0, stimulus[t], side, side * won]
            state[t], choice[t] = z, u[t, 1] < 1 / (1 + np.exp(-eta))
            right = stimulus[t] > 0 if stimulus[t] else rng.random() < 0.5
            reward[t] = choice[t] == right
            side, won = 2.0 * choice[t] - 1, 2.0 * reward[t] - 1
        parts.append(
            pd.DataFrame(
                {
                    "session": number, "stimulus": stimulus, "choice": choice,
                    "reward": reward, "state": state,
                }
            )
        )  # fmt: skip
    truth = xr.Dataset(
        {
            "weights": (("state", "input"), w),
            "transition_matrix": (("state", "state_next"), a),
        },
        coords={"input": ["bias", *INPUTS]},
    )
    return pd.concat(parts, ignore_index=True), truth


def psychometric_curve(states, choices, stimulus, *, n_bins=9, level=0.95):
    """Share of ones against the stimulus, in each state.

    Parameters
    ----------
    states : path (time), or list of paths
        From ``predict``.
    choices : array (time,) or (time, 1), or list of them
        0, 1 or NaN.
    stimulus : array (time,), or list of them
    n_bins : int
        Stimuli of more different values are put in bins of equal counts.
    level : float
        Of the Wilson intervals.

    Returns
    -------
    Dataset
        ``share``, ``low``, ``high``, ``n`` (state, stimulus).

    Examples
    --------
    >>> curve = psychometric_curve(np.zeros(4, int), [0, 1, 1, 1], [-1, -1, 1, 1])
    >>> curve.share.values.tolist()
    [[0.5, 1.0]]
    """
    from scipy.special import ndtri

    def joined(parts):
        several = isinstance(parts, list | tuple) and np.ndim(parts[0]) > 0
        parts = parts if several else [parts]
        return np.concatenate([np.asarray(p, dtype=float).ravel() for p in parts])

    path, chosen, strength = (
        joined(states).astype(int),
        joined(choices),
        joined(stimulus),
    )
    if not len(path) == len(chosen) == len(strength):
        raise SchemaError(
            message(
                "states, choices, stimulus", "one of each a trial",
                f"{len(path)}, {len(chosen)} and {len(strength)}",
            )
        )  # fmt: skip
    values = np.unique(strength)
    if len(values) > n_bins:
        edges = np.quantile(strength, np.linspace(0, 1, n_bins + 1))
        place = np.clip(np.searchsorted(edges, strength, "right") - 1, 0, n_bins - 1)
        values = np.array([strength[place == b].mean() for b in range(n_bins)])
    else:
        place = np.searchsorted(values, strength)
    k = int(path.max()) + 1
    n, ones = np.zeros((k, len(values))), np.zeros((k, len(values)))
    here = np.isfinite(chosen)
    np.add.at(n, (path[here], place[here]), 1)
    np.add.at(ones, (path[here], place[here]), chosen[here])
    z = ndtri((1 + level) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = ones / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    dims = ("state", "stimulus")
    return xr.Dataset(
        {
            "share": (dims, share), "low": (dims, centre - half),
            "high": (dims, centre + half), "n": (dims, n.astype(int)),
        },
        coords={"state": np.arange(k), "stimulus": values},
    )  # fmt: skip
