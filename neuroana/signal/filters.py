"""Filters in frequency: band-pass, high-pass, low-pass, notch."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_number
from neuroana.core.provenance import record
from neuroana.signal.spans import each, map_spans, refuse_counts, with_signal


PHASES = ("zero", "causal")
METHODS = ("fir", "iir")


@each
def bandpass(
    rec: xr.Dataset,
    low: float,
    high: float,
    *,
    phase: str = "zero",
    method: str = "fir",
    order: int = 4,
) -> xr.Dataset:
    """Keep the frequencies between `low` and `high`.

    Use ``phase="zero"`` for analysis after the fact, ``"causal"`` where no output may
    depend on later samples (decoding, causality in time). The FIR filter is MNE's
    (windowed sinc, Hamming, its transition bands): exact in phase, but it needs spans
    of at least its own length, about ``3.3 / transition`` seconds. The IIR filter is
    SciPy's Butterworth: works on short spans and low frequencies (fMRI).
    Cost: O(n log n) a channel, in blocks of channels; the result is in memory.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    low, high : float
        Edges of the pass band in Hz.
    phase : {'zero', 'causal'}, default='zero'
        Zero-phase, or minimum-phase (FIR) or forward only (IIR).
    method : {'fir', 'iir'}, default='fir'
        Kind of filter.
    order : int, default=4
        Of the Butterworth filter; run both ways it counts twice.

    Returns
    -------
    same kind as `rec`
        Bad and missing samples are NaN; nothing is filtered across them.

    Raises
    ------
    ParameterError
        If the edges do not lie in order below half the sampling rate, or no span is
        long enough for the filter.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> t = np.arange(1000) / 100.0
    >>> two = np.sin(2 * np.pi * 10 * t) + np.sin(2 * np.pi * 30 * t)
    >>> rec = from_array(two[:, None] * 1e-5, "eeg", sampling_rate=100.0)
    >>> alpha = bandpass(rec, 8, 12)
    >>> bool(abs(alpha.signal.values[300:700, 0].std() - 1e-5 / 2**0.5) < 1e-7)
    True
    """
    nyquist = rec.attrs["sampling_rate"] / 2
    check_number("high", high, minimum=0.0, maximum=nyquist, open_ends=True)
    check_number("low", low, minimum=0.0, maximum=high, open_ends=True)
    done = _filtered(rec, low, high, phase, method, order)
    used = {"phase": phase, "method": method, "order": _order(method, order)}
    return record(done, "signal.bandpass", low=low, high=high, **used)


@each
def highpass(
    rec: xr.Dataset,
    low: float,
    *,
    phase: str = "zero",
    method: str = "fir",
    order: int = 4,
) -> xr.Dataset:
    """Keep the frequencies above `low`; parameters as for :func:`bandpass`.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    low : float
        Lower edge of the pass band in Hz.
    phase, method, order
        As for :func:`bandpass`.

    Returns
    -------
    same kind as `rec`

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.ones((1000, 1)), "calcium", sampling_rate=100.0)
    >>> bool(np.abs(highpass(rec, 1.0).signal).max() < 1e-3)
    True
    """
    nyquist = rec.attrs["sampling_rate"] / 2
    check_number("low", low, minimum=0.0, maximum=nyquist, open_ends=True)
    done = _filtered(rec, low, None, phase, method, order)
    used = {"phase": phase, "method": method, "order": _order(method, order)}
    return record(done, "signal.highpass", low=low, **used)


@each
def lowpass(
    rec: xr.Dataset,
    high: float,
    *,
    phase: str = "zero",
    method: str = "fir",
    order: int = 4,
) -> xr.Dataset:
    """Keep the frequencies below `high`; parameters as for :func:`bandpass`.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    high : float
        Upper edge of the pass band in Hz.
    phase, method, order
        As for :func:`bandpass`.

    Returns
    -------
    same kind as `rec`

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array(np.ones((1000, 1)), "calcium", sampling_rate=100.0)
    >>> bool(np.allclose(lowpass(rec, 10.0).signal, 1.0, atol=1e-3))
    True
    """
    nyquist = rec.attrs["sampling_rate"] / 2
    check_number("high", high, minimum=0.0, maximum=nyquist, open_ends=True)
    done = _filtered(rec, None, high, phase, method, order)
    used = {"phase": phase, "method": method, "order": _order(method, order)}
    return record(done, "signal.lowpass", high=high, **used)


@each
def notch(
    rec: xr.Dataset,
    freq: float,
    *,
    width: float | None = None,
    harmonics: int = 0,
    phase: str = "zero",
) -> xr.Dataset:
    """Take out the power line at `freq` and, if asked, its harmonics.

    A second-order IIR notch of SciPy for each frequency.

    Parameters
    ----------
    rec : recording, DataArray or collection
        Dims (time, space).
    freq : float
        Centre in Hz.
    width : float, optional
        Width at -3 dB in Hz; ``freq / 30`` when left out.
    harmonics : int, default=0
        How many multiples of `freq` beside it; those above half the rate are left.
    phase : {'zero', 'causal'}, default='zero'
        Run both ways, or forward only.

    Returns
    -------
    same kind as `rec`

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> hum = np.sin(2 * np.pi * 50 * np.arange(2000) / 500.0)
    >>> rec = from_array(hum[:, None] * 1e-5, "eeg", sampling_rate=500.0)
    >>> bool(np.abs(notch(rec, 50.0).signal[500:1500]).max() < 1e-7)
    True
    """
    from scipy import signal as sps

    rate = rec.attrs["sampling_rate"]
    check_number("freq", freq, minimum=0.0, maximum=rate / 2, open_ends=True)
    check_number("harmonics", harmonics, minimum=0, integer=True)
    check_choice("phase", phase, PHASES)
    refuse_counts(rec, "filtered")
    width = width if width is not None else freq / 30.0
    check_number("width", width, minimum=0.0, maximum=freq, open_ends=True)
    centres = [freq * k for k in range(1, harmonics + 2) if freq * k < rate / 2]
    sections = np.concatenate(
        [sps.tf2sos(*sps.iirnotch(c, c / width, fs=rate)) for c in centres]
    )
    function, needed = _iir(sections, phase)
    values = map_spans(rec, function, min_samples=needed, what="the notch")
    done = with_signal(rec, values)
    return record(
        done, "signal.notch", freq=freq, width=width, harmonics=harmonics, phase=phase
    )


def _order(method: str, order: int) -> int | None:
    return order if method == "iir" else None


def _filtered(
    rec: xr.Dataset,
    low: float | None,
    high: float | None,
    phase: str,
    method: str,
    order: int,
) -> xr.Dataset:
    check_choice("phase", phase, PHASES)
    check_choice("method", method, METHODS)
    refuse_counts(rec, "filtered")
    rate = float(rec.attrs["sampling_rate"])
    if method == "iir":
        from scipy.signal import butter

        check_number("order", order, minimum=1, maximum=20, integer=True)
        edges = [e for e in (low, high) if e is not None]
        kind = "bandpass" if len(edges) == 2 else "highpass" if low else "lowpass"
        sections = butter(
            order, edges if len(edges) == 2 else edges[0], kind, fs=rate, output="sos"
        )
        function, needed = _iir(sections, phase)
    else:
        function, needed = _fir(rate, low, high, phase)
    values = map_spans(rec, function, min_samples=needed, what="the filter")
    return with_signal(rec, values)


def _iir(sections: np.ndarray, phase: str) -> tuple[Callable, int]:
    from scipy.signal import sosfilt, sosfilt_zi, sosfiltfilt

    if phase == "zero":
        return lambda x: sosfiltfilt(sections, x, axis=0), 3 * (
            2 * len(sections) + 1
        ) + 1
    start = sosfilt_zi(sections)[:, :, None]
    return lambda x: sosfilt(sections, x, axis=0, zi=start * x[:1])[0], 1


def _fir(
    rate: float, low: float | None, high: float | None, phase: str
) -> tuple[Callable, int]:
    import mne
    from scipy.signal import oaconvolve

    kernel = mne.filter.create_filter(
        None,
        rate,
        low,
        high,
        phase="zero" if phase == "zero" else "minimum",
        verbose="ERROR",
    )

    def zero(x: np.ndarray) -> np.ndarray:
        return mne.filter.filter_data(x.T, rate, low, high, verbose="ERROR").T

    def causal(x: np.ndarray) -> np.ndarray:
        head = np.repeat(x[:1], len(kernel) - 1, axis=0)
        joined = np.concatenate([head, x])
        return oaconvolve(joined, kernel[:, None], mode="valid", axes=0)

    return zero if phase == "zero" else causal, len(kernel)
