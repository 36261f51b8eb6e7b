"""Spectra, band power, and amplitude over time."""

from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.provenance import record
from neuroana.core.recording import good_samples, label_of
from neuroana.signal.filters import bandpass, highpass, lowpass
from neuroana.signal.resampling import resample
from neuroana.signal.spans import column_blocks, each, map_spans, same_gaps, with_signal


METHODS = ("welch", "multitaper")


@each
def spectrum(
    rec: xr.Dataset,
    *,
    method: str = "welch",
    window: float = 2.0,
    overlap: float = 0.5,
    bandwidth: float | None = None,
    low: float = 0.0,
    high: float | None = None,
) -> xr.DataArray:
    """Estimate the power spectral density, averaged over windows in good spans.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    method : {'welch', 'multitaper'}, default='welch'
        Hann windows (SciPy), or discrete prolate tapers on each window (MNE).
    window : float, default=2.0
        Length of a window in seconds: the resolution is its inverse.
    overlap : float, default=0.5
        Part of a window shared with the next.
    bandwidth : float, optional
        Of the tapers in Hz; MNE's choice when left out.
    low, high : float, optional
        Frequencies to return, in Hz.

    Returns
    -------
    DataArray (freq, space)
        In units squared per Hz; NaN where a series has no whole window.

    Raises
    ------
    ParameterError
        If no window fits into a good span.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> wave = np.sin(2 * np.pi * 10 * np.arange(1000) / 100.0)[:, None]
    >>> psd = spectrum(from_array(wave, "calcium", sampling_rate=100.0))
    >>> float(psd.freq[psd.argmax("freq")][0])
    10.0
    """
    check_choice("method", method, METHODS)
    check_number("overlap", overlap, minimum=0.0, maximum=0.99)
    rate = float(rec.attrs["sampling_rate"])
    check_number("window", window, minimum=2.0 / rate)
    width = round(window * rate)
    freqs = np.fft.rfftfreq(width, 1.0 / rate)
    signal, good = rec["signal"], good_samples(rec)
    total = np.zeros((len(freqs), signal.shape[1]))
    count = np.zeros(signal.shape[1])
    hop = max(1, width - int(overlap * width))
    for block in column_blocks(*signal.shape):
        values = signal[:, block].to_numpy().astype(np.float64, copy=False)
        for columns, spans in same_gaps(values, good):
            place = columns + block.start
            for first, stop in spans:
                n_windows = (stop - first - width) // hop + 1
                if n_windows < 1:
                    continue
                part = values[first:stop, columns]
                power = _power(part, rate, width, width - hop, method, bandwidth)
                total[:, place] += power * n_windows
                count[place] += n_windows
    if not count.any():
        raise ParameterError(
            message(
                f"{label_of(rec)}: 'signal'",
                f"a good span of {window:g} s",
                "none",
                "pass a shorter window=",
            )
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        density = total / count
    return _labelled(rec, density, freqs, low, high, method, window, overlap)


def _power(
    part: np.ndarray,
    rate: float,
    width: int,
    overlap: int,
    method: str,
    bandwidth: float | None,
) -> np.ndarray:
    if method == "welch":
        from scipy.signal import welch

        return welch(part, fs=rate, nperseg=width, noverlap=overlap, axis=0)[1]
    from mne.time_frequency import psd_array_multitaper

    pieces = np.lib.stride_tricks.sliding_window_view(part, width, axis=0)
    pieces = pieces[:: width - overlap]
    pieces = pieces - pieces.mean(axis=-1, keepdims=True)
    power = psd_array_multitaper(
        pieces, rate, bandwidth=bandwidth, normalization="full", verbose="ERROR"
    )[0]
    return power.mean(axis=0).T


def _labelled(
    rec: xr.Dataset,
    density: np.ndarray,
    freqs: np.ndarray,
    low: float,
    high: float | None,
    method: str,
    window: float,
    overlap: float,
) -> xr.DataArray:
    space = str(rec["signal"].dims[1])
    keep = (freqs >= low) & (freqs <= (np.inf if high is None else high))
    if not keep.any():
        raise ParameterError(
            message("arguments 'low' and 'high'", f"0 to {freqs[-1]:g} Hz", (low, high))
        )
    coords = {str(n): c.variable for n, c in rec.coords.items() if c.dims == (space,)}
    units = rec["signal"].attrs.get("units", "1")
    made = xr.DataArray(
        density[keep],
        dims=("freq", space),
        coords={"freq": ("freq", freqs[keep], {"units": "Hz"}), **coords},
        attrs={**rec.attrs, "units": "1/Hz" if units == "1" else f"{units}^2/Hz"},
        name="spectrum",
    )
    return record(
        made, "signal.spectrum", method=method, window=window, overlap=overlap
    )


@each
def band_power(
    rec: xr.Dataset,
    low: float,
    high: float,
    *,
    relative: bool = False,
    method: str = "welch",
    window: float = 2.0,
    overlap: float = 0.5,
) -> xr.DataArray:
    """Integrate the spectrum over a band.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    low, high : float
        Band in Hz; both ends belong to it.
    relative : bool, default=False
        As a part of the power at all frequencies above 0.
    method, window, overlap
        As for :func:`spectrum`.

    Returns
    -------
    DataArray (space,)
        In units squared, or a part of 1.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> wave = np.sin(2 * np.pi * 10 * np.arange(1000) / 100.0)[:, None]
    >>> rec = from_array(wave, "calcium", sampling_rate=100.0)
    >>> round(float(band_power(rec, 8, 12)[0]), 2)
    0.5
    """
    check_number("high", high, minimum=low)
    whole = spectrum(rec, method=method, window=window, overlap=overlap)
    band = whole.sel(freq=slice(low - 1e-9, high + 1e-9))
    if not band.sizes["freq"]:
        raise ParameterError(
            message("band", "at least one frequency", f"{low} to {high} Hz: none")
        )
    step = float(whole["freq"][1] - whole["freq"][0])
    power = band.sum("freq", skipna=False) * step
    units = rec["signal"].attrs.get("units", "1")
    if relative:
        power = power / (whole[1:].sum("freq", skipna=False) * step)
    unit = "1" if relative or units == "1" else f"{units}^2"
    power = power.rename("band_power").assign_attrs({**whole.attrs, "units": unit})
    return record(power, "signal.band_power", low=low, high=high, relative=relative)


@each
def envelope(
    rec: xr.Dataset,
    low: float | None = None,
    high: float | None = None,
    *,
    sampling_rate: float | None = None,
    method: str = "fir",
    order: int = 4,
) -> xr.Dataset:
    """Amplitude over time: filter to a band, take the analytic signal's modulus.

    Filter, Hilbert transform and change of rate run on a block of channels at a time,
    so that the envelope of a recording larger than memory fits when `sampling_rate`
    is low. Cost: O(n log n) a channel; a file is read once a block.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    low, high : float, optional
        Band in Hz; one edge gives a high- or low-pass, none leaves the signal.
    sampling_rate : float, optional
        Rate of the result in Hz, with an anti-alias filter.
    method, order
        Of the filter, as for :func:`neuroana.signal.bandpass`.

    Returns
    -------
    same kind as `rec`
        Same unit; never negative.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> wave = np.sin(2 * np.pi * 10 * np.arange(1000) / 100.0)[:, None] * 1e-5
    >>> rec = from_array(wave, "eeg", sampling_rate=100.0)
    >>> bool(np.allclose(envelope(rec, 8, 12).signal[300:700], 1e-5, rtol=0.02))
    True
    """
    space = str(rec["signal"].dims[1])
    pieces = []
    for block in column_blocks(*rec["signal"].shape):
        piece = rec.isel({space: block})
        options: dict[str, Any] = {"method": method, "order": order}
        if low is not None and high is not None:
            piece = bandpass(piece, low, high, **options)
        elif low is not None:
            piece = highpass(piece, low, **options)
        elif high is not None:
            piece = lowpass(piece, high, **options)
        amplitude = map_spans(piece, _modulus, min_samples=2, what="the envelope")
        piece = with_signal(piece, amplitude)
        if sampling_rate is not None:
            piece = resample(piece, sampling_rate)
            floor = np.maximum(piece["signal"].to_numpy(), 0.0)
            piece = with_signal(piece, floor)
        pieces.append(piece)
    done = pieces[0]
    if len(pieces) > 1:
        signal = xr.concat([p["signal"] for p in pieces], space, join="exact")
        done = pieces[0].drop_vars([space, "signal"], errors="ignore")
        lost = [v for v in done.variables if space in done[v].dims]
        done = done.drop_vars(lost).assign(signal=signal)
    history = rec.attrs.get("provenance")
    done = done.drop_attrs(deep=False).assign_attrs(
        {k: v for k, v in done.attrs.items() if k != "provenance"}
    )
    if history:
        done = done.assign_attrs(provenance=history)
    return record(
        done,
        "signal.envelope",
        low=low,
        high=high,
        sampling_rate=sampling_rate,
        method=method,
        order=order if method == "iir" else None,
    )


def _modulus(values: np.ndarray) -> np.ndarray:
    from scipy.fft import next_fast_len
    from scipy.signal import hilbert

    n_samples = len(values)
    return np.abs(hilbert(values, N=next_fast_len(n_samples), axis=0)[:n_samples])
