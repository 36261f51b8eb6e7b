"""Parts of a recording: a stretch of time, some channels."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from neuroana.core.checks import check_names, message
from neuroana.core.errors import ParameterError
from neuroana.core.provenance import record
from neuroana.core.recording import label_of
from neuroana.signal.spans import each


@each
def crop(
    rec: xr.Dataset, start: float | None = None, stop: float | None = None
) -> xr.Dataset:
    """Keep the samples and events with ``start <= time < stop``; the clock stays.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    start, stop : float, optional
        In seconds on the recording's clock.

    Returns
    -------
    same kind as `rec`

    Raises
    ------
    ParameterError
        If nothing is left.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.ones((10, 1)), "calcium", sampling_rate=2.0)
    >>> crop(rec, 1.0, 3.0).time.values.tolist()
    [1.0, 1.5, 2.0, 2.5]
    """
    low = -np.inf if start is None else float(start)
    high = np.inf if stop is None else float(stop)
    slack = 1e-6 / float(rec.attrs["sampling_rate"])

    def inside(times: np.ndarray) -> np.ndarray:
        return np.flatnonzero((times >= low - slack) & (times < high - slack))

    keep = inside(rec["time"].to_numpy())
    if not len(keep):
        time = rec["time"].to_numpy()
        raise ParameterError(
            message(
                f"{label_of(rec)}: crop from {start} to {stop} s",
                f"a part of {time[0]:g} to {time[-1]:g} s",
                "no sample",
            )
        )
    done = rec.isel(time=slice(int(keep[0]), int(keep[-1]) + 1))
    for name, dim in (("onset", "event"), ("spike_time", "spike")):
        if name in done:
            done = done.isel({dim: inside(done[name].to_numpy())})
    return record(done, "signal.crop", start=start, stop=stop)


@each
def pick(
    rec: xr.Dataset,
    names: Sequence | None = None,
    *,
    ch_type: str | Sequence[str] | None = None,
    drop_bad: bool = False,
) -> xr.Dataset:
    """Keep channels, regions or neurons by name, by type, or those not bad.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    names : sequence, optional
        In the order wanted.
    ch_type : str or sequence of str, optional
        ``'eeg'``, ``'ecog'`` ...
    drop_bad : bool, default=False
        Leave out what the coordinate ``bad`` marks.

    Returns
    -------
    same kind as `rec`

    Raises
    ------
    ParameterError
        If a name or type does not exist, or nothing is left.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.ones((4, 2)), "eeg", sampling_rate=2.0, names=["Cz", "Pz"])
    >>> pick(rec, ["Pz"]).channel.values.tolist()
    ['Pz']
    """
    space = str(rec["signal"].dims[1])
    labels = rec[space].to_numpy().tolist()
    names = [names] if isinstance(names, str) else names
    chosen = labels if names is None else check_names(space, names, labels)
    order = np.array([labels.index(n) for n in chosen], dtype=int)
    if ch_type is not None:
        wanted = [ch_type] if isinstance(ch_type, str) else list(ch_type)
        if "ch_type" not in rec.coords:
            raise ParameterError(
                message(f"{label_of(rec)}", "a coordinate 'ch_type'", list(rec.coords))
            )
        types = rec["ch_type"].to_numpy().astype(str)
        check_names("ch_type", wanted, sorted(set(types)))
        order = order[np.isin(types[order], wanted)]
    if drop_bad and "bad" in rec.coords:
        order = order[~rec["bad"].to_numpy()[order]]
    if not len(order):
        raise ParameterError(
            message(f"{label_of(rec)}: pick", f"at least one {space}", "none left")
        )
    done = rec.isel({space: order})
    if "spike_neuron" in rec:
        place = np.full(len(labels), -1)
        place[order] = np.arange(len(order))
        owner = place[rec["spike_neuron"].to_numpy()]
        done = done.isel(spike=np.flatnonzero(owner >= 0))
        done = done.assign(spike_neuron=("spike", owner[owner >= 0]))
    return record(
        done,
        "signal.pick",
        names=None if names is None else chosen,
        ch_type=ch_type,
        drop_bad=drop_bad,
    )
