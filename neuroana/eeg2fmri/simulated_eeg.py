"""The EEG of the simulator: sources, lead field, noise, and what the scanner adds."""

from dataclasses import dataclass

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


STEP = 0.1  # seconds, grid of the latent processes
LEAD_IN = 40.0  # seconds before the first volume, of which no EEG is kept
SPREAD = 0.5  # s, standard deviation of a_k
REACH = 40.0  # mm, width of a source on the scalp
JITTER = 0.01  # of the gradient's size from volume to volume


@dataclass(frozen=True)
class Source:
    """Band in Hz, electrode above it, time constant in seconds."""

    low: float
    high: float
    electrode: str
    tau: float


SOURCES = {
    "theta": Source(4.0, 7.0, "FZ", 20.0),
    "alpha": Source(8.0, 12.0, "OZ", 10.0),
    "mu": Source(9.0, 13.0, "C3", 8.0),
    "beta": Source(15.0, 25.0, "CZ", 6.0),
}


def leadfield(channels, rng):
    """A_ck: Gaussian around each source's electrode, jittered for a person."""
    from neuroana.io.raws import montage_positions

    names = [*channels, *(s.electrode for s in SOURCES.values())]
    table = montage_positions("standard_1005", names)
    places = table.reindex(names).to_numpy(dtype=float)
    if not np.isfinite(places).all():
        lost = [n for n, p in zip(names, places) if not np.isfinite(p).all()]
        raise ParameterError(
            message("argument 'channels'", "electrodes with a known place", lost)
        )
    at, sources = places[: len(channels)], places[len(channels) :]
    squares = ((at[:, None] - sources) ** 2).sum(axis=-1)
    return np.exp(-squares / (2 * REACH**2)) * rng.uniform(0.8, 1.2, squares.shape)


def autoregression(rng, n, tau, step=STEP):
    """Stationary AR(1) process of unit variance with time constant tau (seconds)."""
    from scipy.signal import lfilter

    phi = np.exp(-step / tau)
    noise = np.sqrt(1 - phi**2) * rng.standard_normal(n)
    noise[0] = rng.standard_normal()
    return lfilter([1.0], [1.0, -phi], noise)


def standard(x):
    """Zero mean, unit population variance."""
    return (x - x.mean()) / x.std()


def mix_sources(rng, mixing, amplitudes, settings):
    """EEG in microvolt: sources through the lead field, pink and white noise."""
    from scipy.signal import butter, sosfiltfilt

    rate = settings.sampling_rate
    n = round(settings.n_volumes * settings.tr * rate)
    times = LEAD_IN + np.arange(n) / rate
    grid = np.arange(len(next(iter(amplitudes.values())))) * STEP
    eeg = 6.0 * pink(rng, n, len(mixing)) + 2.0 * rng.standard_normal((n, len(mixing)))
    for k, (name, source) in enumerate(SOURCES.items()):
        band = (source.low, source.high)
        sos = butter(4, band, btype="bandpass", fs=rate, output="sos")
        carrier = standard(sosfiltfilt(sos, rng.standard_normal(n)))
        course = np.exp(np.interp(times, grid, amplitudes[name])) * carrier
        eeg += 10.0 * course[:, None] * mixing[:, k]
    return eeg


def pink(rng, n, n_channels):
    """Noise of unit variance with amplitude f^-1/2, (n, channels)."""
    from scipy.fft import irfft, next_fast_len

    size = next_fast_len(n, real=True)
    f = np.fft.rfftfreq(size)
    amplitude = np.zeros_like(f)
    amplitude[1:] = f[1:] ** -0.5
    shape = (len(f), n_channels)
    spectrum = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    x = irfft(spectrum * amplitude[:, None], n=size, axis=0)[:n]
    return x / x.std(axis=0)


def heart_phase(heart, settings):
    """Phase of the heart in cycles at the samples of the EEG, and its tone there."""
    rate = settings.sampling_rate
    n = round(settings.n_volumes * settings.tr * rate)
    times = LEAD_IN + np.arange(n) / rate
    tone = np.interp(times, np.arange(len(heart)) * STEP, heart)
    return np.cumsum(1.1 + 0.1 * tone) / rate, tone


def pulse_artefact(heart, n_channels, settings):
    """Heart beats in the EEG at unit size; rate and size follow the heart rate."""
    cycles, tone = heart_phase(heart, settings)
    phase = 2 * np.pi * cycles
    beat = (np.sin(phase) + 0.5 * np.sin(2 * phase)) * np.exp(0.5 * tone)
    return beat[:, None] * np.linspace(0.7, 1.3, n_channels)


def heart_beats(heart, settings):
    """Seconds of the heart beats on the clock of the EEG."""
    cycles, _ = heart_phase(heart, settings)
    return np.flatnonzero(np.diff(np.floor(cycles)) > 0) / settings.sampling_rate


def gradient_residue(rng, n_channels, settings):
    """What is left of the gradients at unit size: one template a volume, jittered."""
    rate, tr = settings.sampling_rate, settings.tr
    n = round(settings.n_volumes * tr * rate)
    moment = np.arange(n) / rate
    volume = np.floor(moment / tr).astype(int)
    within = moment - volume * tr
    slices = np.sin(2 * np.pi * within / tr * 30) + 0.5 * np.sin(
        2 * np.pi * within / tr * 60
    )
    gain = 1 + JITTER * rng.standard_normal(volume.max() + 1)
    sizes = rng.uniform(0.5, 1.5, n_channels)
    return (gain[volume] * slices)[:, None] * sizes
