from .checkpoints import WeightsReport as WeightsReport
from .checkpoints import load_weights as load_weights
from .checkpoints import read_weights as read_weights
from .electrodes import electrode_rows as electrode_rows
from .labram import LaBraMConfig as LaBraMConfig
from .labram import LaBraMEncoder as LaBraMEncoder
