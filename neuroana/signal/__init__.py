"""Recordings to recordings: filters, references, windows, spectra, scales.

Every function takes a recording, a DataArray with the dims (time, space), or a
collection of either, and returns the same kind with what was done in its provenance.
Nothing crosses a span with ``good`` False or a gap of missing samples; such samples
come back missing.
"""

import importlib
from typing import Any


_HOME = {
    "Scaler": "scaler",
    "band_power": "spectra",
    "bandpass": "filters",
    "canonical_hrf": "hrf",
    "convolve": "hrf",
    "crop": "selection",
    "dff": "scaling",
    "envelope": "spectra",
    "epoch": "windows",
    "highpass": "filters",
    "lowpass": "filters",
    "notch": "filters",
    "pick": "selection",
    "regressors": "hrf",
    "rereference": "references",
    "resample": "resampling",
    "scale": "scaling",
    "spectrum": "spectra",
    "surrogate": "surrogates",
    "window": "windows",
    "zscore": "scaling",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
