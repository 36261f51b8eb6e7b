from . import connectome as connectome
from . import eeg2fmri as eeg2fmri
from . import fc as fc
from . import io as io
from . import learn as learn
from . import signal as signal
from . import switching as switching
from .core.contract import check as check
from .core.estimator import load as load
from .core.recording import events_of as events_of
from .core.recording import from_array as from_array
from .core.recording import with_events as with_events
from .core.recordings import Recordings as Recordings
from .io.bridges import from_mne as from_mne
from .io.bridges import to_mne as to_mne
from .io.dispatch import read as read
from .io.exports import export as export
from .io.registry import fetch as fetch
from .io.registry import load_sample as load_sample
from .workflow import init as init
from .workflow import run as run

__version__: str
