from .multiscale_spectral import MultiScaleSpectralEncoder as MultiScaleSpectralEncoder
from .network import NeuroBOLT as NeuroBOLT
from .network import NeuroBOLTConfig as NeuroBOLTConfig
from .simulate import simulate_eeg_fmri as simulate_eeg_fmri
