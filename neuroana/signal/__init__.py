"""Recordings to recordings: filters, references, windows, spectra, scales.

Every function takes a recording, a DataArray with the dims (time, space), or a
collection of either, and returns the same kind with what was done in its provenance.
Nothing crosses a span with ``good`` False or a gap of missing samples; such samples
come back missing.
"""

import lazy_loader as _lazy


__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
