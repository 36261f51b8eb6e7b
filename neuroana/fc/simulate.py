"""Recordings and scores with a known truth: people, graphs, prototypes, rankings."""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number
from neuroana.core.random import branch, draw_seed
from neuroana.core.recording import from_array


def covariance_from(rng, n_roi, *, n_factors=3, strength=1.0):
    """A random positive definite correlation matrix (roi, roi)."""
    loadings = rng.normal(size=(n_roi, n_factors)) * strength
    cov = loadings @ loadings.T + np.eye(n_roi)
    d = 1 / np.sqrt(np.diag(cov))
    return cov * d[:, None] * d[None, :]


def coloured_samples(rng, covariance, n_samples, *, memory=0.6):
    """Gaussian samples (time, roi) with this covariance and lag-1 correlation."""
    white = rng.normal(size=(n_samples + 50, len(covariance)))
    x = np.empty_like(white)
    x[0] = white[0]
    scale = np.sqrt(1 - memory**2)
    for t in range(1, len(white)):
        x[t] = memory * x[t - 1] + scale * white[t]
    return x[50:] @ np.linalg.cholesky(covariance).T


def simulate_people(
    n_people=20,
    n_roi=10,
    *,
    n_samples=200,
    n_sessions=1,
    individuality=0.5,
    effect=0.0,
    n_sites=1,
    site_effect=0.0,
    sampling_rate=0.5,
    random_state=None,
):
    """Draw resting recordings of people whose connectivity is partly their own.

    Covariances are mixtures of one for all, one a person, one a site and one of the
    group ``'patient'``. Groups are balanced within sites.

    Parameters
    ----------
    n_people, n_roi, n_samples, n_sessions : int
    individuality, effect, site_effect : float
        Weights of the person's, the group's and the site's covariance; that of all has
        the weight 1.
    n_sites : int
    sampling_rate : float
        Hz.
    random_state : int, Generator or None

    Returns
    -------
    recordings : Recordings
        The table has the columns site, group, age and motion.
    truth : Dataset
        covariance (person, source, target).

    Examples
    --------
    >>> recordings, truth = simulate_people(4, n_roi=3, n_samples=50, random_state=0)
    >>> len(recordings), truth.covariance.shape
    (4, (4, 3, 3))
    """
    from neuroana.core.recordings import Recordings

    sizes = {"n_people": n_people, "n_samples": n_samples, "n_sites": n_sites}
    for name, value in {**sizes, "n_sessions": n_sessions}.items():
        check_number(name, value, minimum=1, integer=True)
    check_number("n_roi", n_roi, minimum=2, integer=True)
    seed = draw_seed(random_state)
    common = covariance_from(branch(seed, 0), n_roi)
    patient = covariance_from(branch(seed, 1), n_roi)
    names = [f"r{k:02d}" for k in range(n_roi)]
    made, rows, truth = [], [], []
    for p in range(n_people):
        rng = branch(seed, 2, p)
        site, group = p % n_sites, "patient" if (p // n_sites) % 2 else "control"
        cov = common + individuality * covariance_from(rng, n_roi)
        cov += site_effect * covariance_from(branch(seed, 3, site), n_roi)
        cov += effect * patient * (group == "patient")
        d = 1 / np.sqrt(np.diag(cov))
        cov = cov * d[:, None] * d[None, :]
        truth.append(cov)
        about = {"site": f"site{site}", "group": group,
                 "age": int(rng.integers(18, 60)),
                 "motion": round(float(rng.gamma(2.0, 0.05)), 3)}  # fmt: skip
        for s in range(n_sessions):
            entities = {"subject": f"{p:02d}", "session": f"{s + 1}"}
            x = coloured_samples(branch(seed, 2, p, s), cov, n_samples)
            made.append(from_array(x, "fmri", sampling_rate=sampling_rate, units="1",
                                   names=names,
                                   attrs={**entities, "synthetic": 1}))  # fmt: skip
            rows.append(about)
    recordings = Recordings(made)
    for column in rows[0]:
        recordings.table[column] = [row[column] for row in rows]
    people = [f"{p:02d}" for p in range(n_people)]
    ds = xr.Dataset(
        {"covariance": (("person", "source", "target"), np.stack(truth))},
        coords={"person": people, "source": names, "target": names},
    )
    return recordings, ds


def simulate_prototypes(
    n_people=40, n_roi=8, *, n_samples=140, share_mixed=0.4, random_state=None
):
    """Draw people whose covariance is one of three prototypes, or a mixture.

    Parameters
    ----------
    n_people, n_roi, n_samples : int
    share_mixed : float
        People whose weights are Dirichlet(1, 1, 1) rather than one prototype.
    random_state : int, Generator or None

    Returns
    -------
    recordings : list of Dataset
    truth : Dataset
        weights (person, prototype), mixed (person).

    Examples
    --------
    >>> recordings, truth = simulate_prototypes(5, n_samples=50, random_state=0)
    >>> len(recordings), int(truth.mixed.sum())
    (5, 2)
    """
    check_number("share_mixed", share_mixed, minimum=0.0, maximum=1.0)
    seed = draw_seed(random_state)
    prototypes = np.stack([covariance_from(branch(seed, 0, k), n_roi, strength=2.0)
                           for k in range(3)])  # fmt: skip
    n_mixed = round(share_mixed * n_people)
    rng = branch(seed, 1)
    weights = np.eye(3)[rng.integers(3, size=n_people)]
    mixed = np.zeros(n_people, dtype=bool)
    mixed[rng.permutation(n_people)[:n_mixed]] = True
    weights[mixed] = rng.dirichlet(np.ones(3), size=n_mixed)
    covariances = np.tensordot(weights, prototypes, 1)
    made = [
        from_array(
            coloured_samples(branch(seed, 2, p), covariances[p], n_samples),
            "fmri", sampling_rate=0.5, units="1",
            attrs={"subject": f"{p:02d}", "synthetic": 1},
        )
        for p in range(n_people)
    ]  # fmt: skip
    truth = xr.Dataset({"weights": (("person", "prototype"), weights),
                        "mixed": ("person", mixed)})  # fmt: skip
    return made, truth


def simulate_ranking(
    noise=(0.1, 0.2, 0.4, 0.8, 1.6), n_people=40, *, n_roi=8, n_windows=2,
    random_state=None,
):  # fmt: skip
    """Draw matrices of operators that see a person's truth through more or less noise.

    Parameters
    ----------
    noise : sequence of float
        Standard deviation of each operator's noise, against 1 of the people.
    n_people, n_roi, n_windows : int
    random_state : int, Generator or None

    Returns
    -------
    w : ndarray (operator, sample, roi, roi)
    people : ndarray of str (sample,)

    Examples
    --------
    >>> w, people = simulate_ranking((0.1, 1.0), 3, random_state=0)
    >>> w.shape, people[:3].tolist()
    ((2, 6, 8, 8), ['p00', 'p00', 'p01'])
    """
    rng = branch(draw_seed(random_state))
    own = rng.normal(size=(n_people, n_roi, n_roi))
    own = np.repeat((own + np.swapaxes(own, 1, 2)) / np.sqrt(2), n_windows, axis=0)
    w = []
    for sigma in noise:
        e = rng.normal(size=own.shape)
        w.append(own + sigma * (e + np.swapaxes(e, 1, 2)) / np.sqrt(2))
    people = np.repeat([f"p{k:02d}" for k in range(n_people)], n_windows)
    return np.stack(w), people
