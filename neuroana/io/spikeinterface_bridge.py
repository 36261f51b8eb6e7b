"""SpikeInterface objects into recordings: sortings, and traces that stay lazy.

Nothing of SpikeInterface is imported: whatever has its methods is taken.
"""

from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import ParameterError
from neuroana.core.recording import clock, from_array
from neuroana.io.clocks import regular_clock
from neuroana.io.lazy import LazyArray, lazy_variable
from neuroana.io.spike_counts import bin_spikes, check_bin_width


MICRO = 1e-6
SCALES = ("gain_to_uV", "offset_to_uV", "group", "contact_vector", "location")


def from_spikeinterface(
    obj: Any,
    *,
    bin_width: float | None = None,
    modality: str = "ieeg",
    segment: int | None = None,
    start: float | None = None,
    stop: float | None = None,
) -> xr.Dataset:
    """Turn a SpikeInterface sorting or recording into a recording.

    Parameters
    ----------
    obj : BaseSorting or BaseRecording
        Traces of a recording are asked for when they are used, piece by piece.
    bin_width : float, optional
        For a sorting: width of the bins in seconds.
    modality : {'ieeg', 'eeg'}, default='ieeg'
        What a recording is.
    segment : int, optional
        Which segment, where there are several.
    start, stop : float, optional
        For a sorting: as for :func:`read_spikes`. A sorting does not know how long
        its recording was, unless that is registered with it.

    Returns
    -------
    Dataset
        Volts where gains are known, unit ``1`` otherwise; positions on the probe in
        mm. Properties with one number or word a unit or channel become coordinates.

    Raises
    ------
    ParameterError
        If the object is of another kind, or has several segments.

    Examples
    --------
    >>> class Sorting:
    ...     "Two spikes of one unit, with the methods of a sorting."
    ...     unit_ids = ["a"]
    ...     get_num_segments = lambda self: 1
    ...     get_property_keys = lambda self: []
    ...     get_unit_spike_train = lambda self, unit_id, **_: np.array([0.1, 0.2])
    >>> from_spikeinterface(Sorting(), bin_width=0.5, start=0.0, stop=1.0).sizes["time"]
    2
    """
    if not hasattr(obj, "get_num_segments"):
        raise ParameterError(
            message("argument 'obj'", "an object of SpikeInterface", type(obj).__name__)
        )
    n_segments = obj.get_num_segments()
    if segment is None and n_segments != 1:
        raise ParameterError(
            message("a SpikeInterface object", "segment=", f"{n_segments} segments")
        )
    number = check_choice("segment", segment or 0, range(n_segments))
    if hasattr(obj, "get_unit_spike_train"):
        return _from_sorting(obj, bin_width, number, start, stop)
    check_choice("modality", modality, ("ieeg", "eeg"))
    return _from_recording(obj, modality, number)


def _from_sorting(
    obj: Any,
    bin_width: float | None,
    segment: int,
    start: float | None,
    stop: float | None,
) -> xr.Dataset:
    bin_width = check_bin_width(bin_width)
    times = [
        obj.get_unit_spike_train(unit_id=u, segment_index=segment, return_times=True)
        for u in obj.unit_ids
    ]
    if getattr(obj, "_recording", None) is not None:
        whole = obj._recording.get_times(segment_index=segment)
        start = float(whole[0]) if start is None else start
        step = 1.0 / float(obj.get_sampling_frequency())
        stop = float(whole[-1]) + step if stop is None else stop
    return bin_spikes(
        times,
        bin_width,
        names=_names(obj.unit_ids),
        start=start,
        stop=stop,
        coords=_properties(obj, len(obj.unit_ids)),
    )


def _names(ids: Any) -> list:
    ids = np.asarray(ids)
    return ids.tolist() if ids.dtype.kind in "iu" else [str(i) for i in ids]


def _properties(obj: Any, n: int) -> dict[str, np.ndarray]:
    found = {}
    for key in obj.get_property_keys():
        values = np.asarray(obj.get_property(key))
        plain = values.shape == (n,) and values.dtype.kind in "fiubUSO"
        if plain and not values.dtype.names and key not in SCALES:
            found[str(key)] = (
                values.astype(str).astype(object)
                if values.dtype.kind in "USO"
                else values
            )
    return found


def _from_recording(obj: Any, modality: str, segment: int) -> xr.Dataset:
    ids = np.asarray(obj.get_channel_ids())
    n_samples = int(obj.get_num_samples(segment_index=segment))
    rate = float(obj.get_sampling_frequency())
    more: dict[str, Any] = {}
    if obj.has_time_vector(segment_index=segment):
        stamps = np.asarray(obj.get_times(segment_index=segment), dtype=np.float64)
        time, rate, more = regular_clock(stamps, rate, "a SpikeInterface recording")
    else:
        first = float(obj.get_times(segment_index=segment)[0]) if n_samples else 0.0
        time = clock(n_samples, rate, start=first)
    gains, offsets = obj.get_channel_gains(), obj.get_channel_offsets()
    scaled = gains is not None and offsets is not None
    coords = {
        "ch_type": np.full(len(ids), "eeg" if modality == "eeg" else "seeg", object)
    }
    coords |= _properties(obj, len(ids))
    if "contact_vector" in obj.get_property_keys():
        places = np.asarray(obj.get_channel_locations(), dtype=np.float64) / 1000.0
        coords |= dict(zip("xyz", places.T))
        more = {**more, "coord_frame": "probe"}
    shape = (n_samples, len(ids))
    ds = from_array(
        np.broadcast_to(np.float64(0.0), shape),
        modality,
        sampling_rate=rate,
        time=time,
        names=_names(ids.astype(str)),
        units="V" if scaled else "1",
        coords=coords,
        attrs=more,
    )

    def piece(key: tuple) -> np.ndarray:
        rows, columns = key
        one = not isinstance(rows, slice)
        first, end, step = (rows, rows + 1, 1) if one else rows.indices(n_samples)
        low, high = (first, end) if step > 0 else (end + 1, first + 1)
        block = obj.get_traces(
            segment_index=segment, start_frame=low, end_frame=max(low, high)
        )
        block = block[::step][:, columns].astype(np.float64)
        if scaled:
            block = (block * gains[columns] + offsets[columns]) * MICRO
        return block[0] if one else block

    lazy = lazy_variable(ds["signal"].dims, LazyArray(shape, np.float64, piece))
    return ds.assign(signal=ds["signal"].copy(data=lazy._data))
