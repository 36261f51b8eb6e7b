"""Recordings of the nervous system as labelled arrays, and published models on them.

``import neuroana as na`` is all that a script needs: names are loaded when they are
first used. The list of public names is in ``__init__.pyi``.
"""

__version__ = "0.1.0"

import importlib as _importlib

import lazy_loader as _lazy


_resolve, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


def __getattr__(name: str):
    value = _resolve(name)
    _importlib.import_module("neuroana.accessor")  # registers `.na` with xarray
    return value
