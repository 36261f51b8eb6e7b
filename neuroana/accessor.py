"""The accessor ``.na``: the common verbs behind a dot.

``rec.na.bandpass(8, 12)`` is ``na.signal.bandpass(rec, 8, 12)``. The functions are
the interface; the accessor only looks them up when they are called.
"""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import xarray as xr

from neuroana.core.checks import did_you_mean
from neuroana.core.contract import check
from neuroana.core.frames import tidy
from neuroana.core.provenance import history, methods_text
from neuroana.core.recording import events_of


VERBS = {
    "to_mne": "neuroana.io.bridges",
    "export": "neuroana.io.exports",
    "bandpass": "neuroana.signal",
    "highpass": "neuroana.signal",
    "lowpass": "neuroana.signal",
    "notch": "neuroana.signal",
    "rereference": "neuroana.signal",
    "resample": "neuroana.signal",
    "crop": "neuroana.signal",
    "pick": "neuroana.signal",
    "window": "neuroana.signal",
    "epoch": "neuroana.signal",
    "dff": "neuroana.signal",
    "spectrum": "neuroana.signal",
    "band_power": "neuroana.signal",
    "envelope": "neuroana.signal",
    "zscore": "neuroana.signal",
    "surrogate": "neuroana.signal",
}


class Accessor:
    """Verbs on a recording or a labelled result.

    Examples
    --------
    >>> import neuroana as na
    >>> rec = na.from_array([[1.0], [2.0]], "calcium", sampling_rate=2.0)
    >>> rec.na.to_frame()
       time  neuron  signal
    0   0.0       0     1.0
    1   0.5       0     2.0
    """

    def __init__(self, obj: xr.Dataset | xr.DataArray) -> None:
        self._obj = obj

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in VERBS:
            hint = did_you_mean(name, dir(self))
            raise AttributeError(f"the accessor 'na' has no {name!r}. {hint}".strip())
        function = getattr(importlib.import_module(VERBS[name]), name)
        return partial(function, self._obj)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *VERBS])

    def check(self, *, values: bool = False) -> xr.Dataset:
        """Check the recording contract; see :func:`neuroana.check`."""
        return check(self._obj, values=values)

    def to_frame(self) -> pd.DataFrame:
        """Tidy table, one value a row; see :func:`neuroana.core.frames.tidy`."""
        return tidy(self._obj)

    def events(self) -> pd.DataFrame:
        """Events as a BIDS table."""
        return events_of(self._obj)

    def history(self) -> list[dict[str, Any]]:
        """Steps that made this object, oldest first."""
        return history(self._obj)

    def methods_text(self) -> str:
        """A paragraph for a methods section."""
        return methods_text(self._obj)


xr.register_dataset_accessor("na")(Accessor)
xr.register_dataarray_accessor("na")(Accessor)
