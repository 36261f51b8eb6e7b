"""EEG to fMRI: the course of every region from the EEG before each volume."""

import lazy_loader as _lazy


__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
