"""Files to recordings: one reader a kind of file, and ``read``, which finds it."""

import importlib
from typing import Any


_HOME = {
    "bin_spikes": "spikes",
    "from_mne": "bridges",
    "read": "dispatch",
    "read_calcium": "calcium",
    "read_eeg": "eeg",
    "read_events": "events",
    "read_fmri": "fmri",
    "read_ieeg": "ieeg",
    "read_spikes": "spikes",
    "readers": "dispatch",
    "spike_times": "spikes",
    "to_mne": "bridges",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
