"""Fewer units than neurons: the busiest ones, or groups that stand for members."""

import numpy as np
import xarray as xr

from neuroana.connectome.derivative import robust_scale, stream_derivative
from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.contract import check, good_samples, label_of
from neuroana.core.errors import ParameterError
from neuroana.core.provenance import record
from neuroana.core.random import branch_seed, draw_seed
from neuroana.core.recording import from_array


def screen(rec: xr.Dataset, n_neurons: int, *, sigma: float = 0.75) -> xr.Dataset:
    """Keep the neurons whose changes stand out most from their own noise.

    Neurons are ranked by the standard deviation of their derivative over its robust
    scale: large for those with events, one for Gaussian noise. The traces are read
    stretch by stretch.

    Parameters
    ----------
    rec : recording
    n_neurons : int
        How many to keep.
    sigma : float
        Seconds, of the derivative.

    Returns
    -------
    recording
        In the order they had.

    Examples
    --------
    >>> from neuroana.connectome import screen, simulate_motifs
    >>> recordings, _ = simulate_motifs(n_neurons=20, n_samples=200, random_state=0)
    >>> screen(recordings[0], 8).sizes["neuron"]
    8
    """
    check(rec)
    check_number("n_neurons", n_neurons, minimum=3, integer=True)
    signal = rec["signal"]
    d = stream_derivative(signal, good_samples(rec), 1.0 / rec.attrs["sampling_rate"],
                          sigma=sigma)  # fmt: skip
    spread = np.nan_to_num(np.nanstd(d, axis=0, dtype=np.float64))
    found = robust_scale(d)
    stands_out = np.where(found.is_constant, -1.0, spread / found.scale)
    kept = np.sort(np.argsort(-stands_out, kind="stable")[:n_neurons])
    dim = str(signal.dims[1])
    return record(rec.isel({dim: kept}), "connectome.screen", n_neurons=n_neurons,
                  sigma=sigma)  # fmt: skip


def coarsen(
    rec: xr.Dataset, n_groups: int, *, by: str = "location", random_state=None
) -> xr.Dataset:
    """Replace neurons by groups: the mean of their standard scores.

    Parameters
    ----------
    rec : recording
    n_groups : int
    by : {"location", "activity"}
        k-means of the positions (coordinates x, y and, where there, z), or of the
        standard scores of the traces.
    random_state : int, Generator or None

    Returns
    -------
    recording
        Groups g000, g001, ... with the mean position and ``n_members``; the variable
        ``group`` along ``member`` says who went where.

    Examples
    --------
    >>> from neuroana.connectome import coarsen, simulate_motifs
    >>> recordings, _ = simulate_motifs(n_neurons=20, n_samples=200, random_state=0)
    >>> coarsen(recordings[0], 5, by="activity", random_state=0).sizes["neuron"]
    5
    """
    from sklearn.cluster import MiniBatchKMeans

    check(rec)
    check_choice("by", by, ["location", "activity"])
    check_number("n_groups", n_groups, minimum=3, integer=True,
                 maximum=rec["signal"].shape[1])  # fmt: skip
    signal = rec["signal"]
    dim = str(signal.dims[1])
    x = signal.to_numpy().astype(np.float64)
    x[~good_samples(rec)] = np.nan
    centre, spread = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    alive = spread > 1e-12
    scores = (x[:, alive] - centre[alive]) / spread[alive]
    axes = [a for a in ("x", "y", "z") if a in rec.coords and rec[a].dims == (dim,)]
    if by == "location":
        if len(axes) < 2:
            raise ParameterError(
                message(f"{label_of(rec)}: positions", "coordinates x and y", axes,
                        "add them with assign_coords, or use by='activity'")
            )  # fmt: skip
        features = np.stack([rec[a].to_numpy()[alive] for a in axes], axis=1)
    else:
        features = np.nan_to_num(scores.T)
    seed = branch_seed(draw_seed(random_state), 0) % 2**31
    model = MiniBatchKMeans(n_groups, random_state=seed, n_init=3)
    labels = np.unique(model.fit_predict(features), return_inverse=True)[1].reshape(-1)
    n_groups = int(labels.max()) + 1
    values = np.stack(
        [np.nanmean(scores[:, labels == g], axis=1) for g in range(n_groups)], axis=1
    )
    coords = {"n_members": np.bincount(labels)}
    for axis in axes:
        place = rec[axis].to_numpy()[alive]
        coords[axis] = np.array([place[labels == g].mean() for g in range(n_groups)])
    made = from_array(
        values, rec.attrs["modality"], time=rec["time"].to_numpy(),
        sampling_rate=rec.attrs["sampling_rate"], units="zscore", dim=dim,
        names=[f"g{g:03d}" for g in range(n_groups)], coords=coords,
        attrs={k: v for k, v in rec.attrs.items()
               if k in ("subject", "session", "task", "run", "synthetic")},
    )  # fmt: skip
    made = made.assign(group=("member", labels))
    made = made.assign_coords(member=rec[dim].to_numpy()[alive])
    return record(made, "connectome.coarsen", n_groups=n_groups, by=by)
