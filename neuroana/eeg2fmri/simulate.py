"""EEG-fMRI with known haemodynamics: what can be predicted, and how well at most.

| symbol | meaning                                                     |
| ------ | ----------------------------------------------------------- |
| a_k    | log amplitude of source k, an AR(1) process with time tau_k |
| P_k    | power drive, exp(2 a_k) / E[exp(2 a_k)] - 1                 |
| u_r    | neural drive of region r                                    |
| h      | haemodynamic response                                       |
| rho    | share of a region's variance that the drive explains        |

    EEG     x_c = 10 sum_k A_ck exp(a_k) n_k + 6 pink + 2 white   (microvolt)
    drive   alpha:      u = -P_alpha
            difference: u = 0.7 P_alpha - 0.7 P_beta
            signflip:   u = P_alpha tanh(2 a_theta / s)
            mu:         u = P_mu
    BOLD    Y_r = sqrt(rho) y_r + sqrt(1 - rho) (sqrt(g) G + sqrt(1 - g) e_r)

y_r is h * u_r, standardised. The sign of the coupling in "signflip" follows theta, so
no function of a single source covaries with it: models that add up sources have R = 0
there. The correlation of Y_r with y_r, sqrt(rho (1 - hidden)), is the ceiling of all.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch, draw_seed
from neuroana.core.recording import clock, from_array
from neuroana.eeg2fmri.haemodynamics import LENGTH, response
from neuroana.learn.electrodes import electrode_rows, plain_name


STEP = 0.1  # seconds, grid of the latent processes
LEAD_IN = 40.0  # seconds before the first volume, of which no EEG is kept
SPREAD = 0.5  # s, standard deviation of a_k
AR_NOISE = 0.7
REACH = 40.0  # mm, width of a source on the scalp
TAU_VIGILANCE, TAU_HEART = 60.0, 20.0  # seconds
CHANNELS = ("FP1", "FP2", "FZ", "C3", "CZ", "C4", "PZ", "O1", "OZ", "O2")


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
AROUSED = ("theta", "alpha")  # sources that vigilance scales
DELAYS = {"alpha": 0.0, "difference": 1.0, "signflip": 0.5, "mu": 0.5}


def simulate_eeg_fmri(
    n_subjects=12,
    n_runs=1,
    *,
    n_volumes=575,
    tr=2.1,
    sampling_rate=200.0,
    channels=CHANNELS,
    rho=0.4,
    noise_global=0.5,
    null_regions=0,
    hrf_delay_sd=0.0,
    hrf_scale_sd=0.0,
    tau_scale=1.0,
    neural_gain=1.0,
    global_gain=0.0,
    vigilance_gain=0.0,
    confound_gain=0.0,
    hidden_share=0.0,
    random_state=None,
):
    """Draw paired EEG and BOLD whose coupling and ceiling are known.

    Use it to see what a model can and cannot learn, before it meets data. Cost: about
    a second a run of 20 minutes and 10 channels.

    Parameters
    ----------
    n_subjects, n_runs : int
        People, and runs of each; a person keeps the mixture of the sources.
    n_volumes : int
    tr : float
        Seconds between volumes.
    sampling_rate : float
        Of the EEG in Hz.
    channels : sequence of str
        Known electrode names.
    rho : float
        Share of variance that the drive explains; the ceiling is its root.
    noise_global : float
        Share of the noise that all regions have in common.
    null_regions : int
        Further regions of noise alone.
    hrf_delay_sd, hrf_scale_sd : float
        Spread of the response over runs and regions: onset in seconds, log width.
    tau_scale : float
        Factor on the time constants of the sources.
    neural_gain, vigilance_gain, confound_gain : float
        Weights of what drives BOLD: the sources; a slow vigilance that also scales
        theta and alpha; a heart rate that also makes the pulse artefact in the EEG.
    global_gain : float
        Share of the drive that all regions have in common.
    hidden_share : float
        Share of the drive that the EEG does not see.
    random_state : int, Generator or None

    Returns
    -------
    runs : list of DataTree
        ``/eeg`` (time, channel) in V and ``/bold`` (time, roi) on one clock; the
        variable ``clean`` of ``/bold`` is y_r.
    truth : Dataset
        By ``roi``: ``ceiling``, ``null``, ``electrode`` and ``band`` of the source
        that leads it; by (``run``, ``roi``) the ``delay`` and ``stretch`` of the
        response.

    Raises
    ------
    ParameterError, SchemaError
        If a number is out of range or a channel unknown.

    Examples
    --------
    >>> runs, truth = simulate_eeg_fmri(1, n_volumes=60, random_state=0)
    >>> dict(runs[0]["eeg"].signal.sizes), runs[0]["bold"].roi.values.tolist()
    ({'time': 25200, 'channel': 10}, ['alpha', 'difference', 'signflip', 'mu'])
    >>> round(float(truth.ceiling[0]), 3)
    0.632
    """
    for name, value in {"n_subjects": n_subjects, "n_runs": n_runs}.items():
        check_number(name, value, minimum=1, integer=True)
    check_number("n_volumes", n_volumes, minimum=10, integer=True)
    check_number("null_regions", null_regions, minimum=0, integer=True)
    check_number("tr", tr, minimum=STEP)
    check_number("sampling_rate", sampling_rate, minimum=100.0)
    check_number("tau_scale", tau_scale, minimum=0.0, open_ends=True)
    shares = {"rho": rho, "noise_global": noise_global, "global_gain": global_gain,
              "hidden_share": hidden_share}  # fmt: skip
    for name, value in shares.items():
        check_number(name, value, minimum=0.0, maximum=1.0)
    gains = {"hrf_delay_sd": hrf_delay_sd, "hrf_scale_sd": hrf_scale_sd,
             "neural_gain": neural_gain, "vigilance_gain": vigilance_gain,
             "confound_gain": confound_gain}  # fmt: skip
    for name, value in gains.items():
        check_number(name, value, minimum=0.0)
    if neural_gain + vigilance_gain + confound_gain == 0:
        raise ParameterError(
            message(
                "gains", "one above 0", "none", "for BOLD without a drive take rho=0"
            )
        )
    electrode_rows(channels, minimum=1)
    settings = {**shares, **gains, "n_volumes": n_volumes, "tr": tr,
                "sampling_rate": sampling_rate, "tau_scale": tau_scale,
                "channels": tuple(map(plain_name, channels)),
                "null_regions": null_regions}  # fmt: skip
    seed = draw_seed(random_state)
    runs, delays, stretches = [], [], []
    for subject in range(n_subjects):
        mixing = leadfield(settings["channels"], branch(seed, 0, subject))
        for number in range(n_runs):
            rng = branch(seed, 1, subject, number)
            delay, stretch = draw_responses(rng, hrf_delay_sd, hrf_scale_sd)
            made = simulate_run(rng, mixing, delay, stretch, settings)
            runs.append(label_run(*made, settings, f"{subject + 1:02d}", number + 1))
            delays.append(delay)
            stretches.append(stretch)
    return runs, truth_of(settings, np.array(delays), np.array(stretches))


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


def draw_responses(rng, delay_sd, scale_sd):
    """Onset and width of the response of each region in one run."""
    mean = np.array(list(DELAYS.values()))
    delay = np.clip(mean + delay_sd * rng.standard_normal(mean.size), -2.0, None)
    return delay, np.exp(scale_sd * rng.standard_normal(mean.size))


def simulate_run(rng, mixing, delay, stretch, settings):
    """EEG (samples, channels) in V, BOLD and its clean course (volumes, regions)."""
    n_latent = round((LEAD_IN + settings["n_volumes"] * settings["tr"]) / STEP) + 1
    logs = {
        name: SPREAD * autoregression(rng, n_latent, source.tau * settings["tau_scale"])
        for name, source in SOURCES.items()
    }
    vigilance = autoregression(rng, n_latent, TAU_VIGILANCE)
    heart = autoregression(rng, n_latent, TAU_HEART)
    amplitudes = {
        name: a + SPREAD * settings["vigilance_gain"] * vigilance * (name in AROUSED)
        for name, a in logs.items()
    }
    eeg = mix_sources(rng, mixing, amplitudes, settings)
    if settings["confound_gain"]:
        eeg += settings["confound_gain"] * pulse_artefact(heart, mixing, settings)
    drives = neural_drives(logs)
    common = settings["global_gain"]
    drives = (1 - common) * drives + common * drives.mean(axis=0)
    clean = np.empty((settings["n_volumes"], len(DELAYS)))
    hidden = autoregression(rng, n_latent, 10.0)
    for r, u in enumerate(drives):
        kernel = response(
            np.arange(0.0, LENGTH, STEP), delay=delay[r], stretch=stretch[r]
        )
        parts = (
            (settings["neural_gain"], u),
            (settings["vigilance_gain"], -vigilance),
            (settings["confound_gain"], heart),
        )
        seen = sum(w * at_volumes(v, kernel, settings) for w, v in parts if w)
        share = settings["hidden_share"]
        unseen = at_volumes(hidden, kernel, settings)
        clean[:, r] = standard(
            np.sqrt(1 - share) * standard(seen) + np.sqrt(share) * unseen
        )
    return eeg * 1e-6, add_noise(rng, clean, settings), clean


def autoregression(rng, n, tau, step=STEP):
    """Stationary AR(1) process of unit variance with time constant tau (seconds)."""
    from scipy.signal import lfilter

    phi = np.exp(-step / tau)
    noise = np.sqrt(1 - phi**2) * rng.standard_normal(n)
    noise[0] = rng.standard_normal()
    return lfilter([1.0], [1.0, -phi], noise)


def neural_drives(logs):
    """u_r on the latent grid, (regions, n)."""
    power = {k: np.exp(2 * a) / np.exp(2 * SPREAD**2) - 1 for k, a in logs.items()}
    return np.stack(
        [
            -power["alpha"],
            0.7 * power["alpha"] - 0.7 * power["beta"],
            power["alpha"] * np.tanh(2 * logs["theta"] / SPREAD),
            power["mu"],
        ]
    )


def at_volumes(drive, kernel, settings):
    """Response to a drive at the volume times, standardised."""
    from scipy.signal import fftconvolve

    course = fftconvolve(drive, kernel)[: len(drive)] * STEP
    times = LEAD_IN + np.arange(settings["n_volumes"]) * settings["tr"]
    return standard(np.interp(times, np.arange(len(drive)) * STEP, course))


def standard(x):
    """Zero mean, unit population variance."""
    return (x - x.mean()) / x.std()


def mix_sources(rng, mixing, amplitudes, settings):
    """EEG in microvolt: sources through the lead field, pink and white noise."""
    from scipy.signal import butter, sosfiltfilt

    rate = settings["sampling_rate"]
    n = round(settings["n_volumes"] * settings["tr"] * rate)
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


def pulse_artefact(heart, mixing, settings):
    """Heart beats in the EEG, in microvolt; rate and size follow the heart rate."""
    rate = settings["sampling_rate"]
    n = round(settings["n_volumes"] * settings["tr"] * rate)
    times = LEAD_IN + np.arange(n) / rate
    tone = np.interp(times, np.arange(len(heart)) * STEP, heart)
    phase = 2 * np.pi * np.cumsum(1.1 + 0.1 * tone) / rate
    beat = (np.sin(phase) + 0.5 * np.sin(2 * phase)) * np.exp(0.5 * tone)
    return 10.0 * beat[:, None] * np.linspace(0.7, 1.3, len(mixing))


def add_noise(rng, clean, settings):
    """Y: the clean courses under autocorrelated noise; null regions behind them."""
    n = len(clean)
    tau = -1.0 / np.log(AR_NOISE)  # volumes
    n_null, common = settings["null_regions"], settings["noise_global"]
    shared = standard(autoregression(rng, n, tau, step=1.0))
    noise = np.stack(
        [
            np.sqrt(common) * shared
            + np.sqrt(1 - common) * standard(autoregression(rng, n, tau, step=1.0))
            for _ in range(clean.shape[1] + n_null)
        ],
        axis=1,
    )
    signal = np.pad(clean, ((0, 0), (0, n_null)))
    share = np.where(np.arange(noise.shape[1]) < clean.shape[1], settings["rho"], 0.0)
    return np.sqrt(share) * signal + np.sqrt(1 - share) * noise


def region_names(settings):
    return [*DELAYS, *(f"null{i + 1}" for i in range(settings["null_regions"]))]


def label_run(eeg, bold, clean, settings, subject, run):
    """One run as a DataTree of two recordings on one clock."""
    attrs = {"subject": subject, "task": "rest", "run": str(run), "synthetic": 1}
    names = region_names(settings)
    rate, tr = settings["sampling_rate"], settings["tr"]
    volumes = from_array(
        bold, "fmri", time=clock(len(bold), 1 / tr), names=names, units="zscore",
        dim="roi", attrs=attrs,
    )  # fmt: skip
    padded = np.pad(clean, ((0, 0), (0, settings["null_regions"])))
    return xr.DataTree.from_dict(
        {
            "/eeg": from_array(
                eeg.astype(np.float32), "eeg", sampling_rate=rate, units="V",
                names=settings["channels"], attrs=attrs,
            ),
            "/bold": volumes.assign(clean=(("time", "roi"), padded)),
        }
    )  # fmt: skip


def truth_of(settings, delays, stretches):
    """What the models should find, by region."""
    names = region_names(settings)
    n_null = settings["null_regions"]
    null = np.arange(len(names)) >= len(DELAYS)
    ceiling = np.sqrt(settings["rho"] * (1 - settings["hidden_share"]))
    leading = [SOURCES[k] for k in ("alpha", "alpha", "alpha", "mu")]
    bands = [[s.low, s.high] for s in leading] + [[np.nan, np.nan]] * n_null
    pad = ((0, 0), (0, n_null))
    return xr.Dataset(
        {
            "ceiling": ("roi", np.where(null, 0.0, ceiling)),
            "null": ("roi", null),
            "electrode": ("roi", [s.electrode for s in leading] + [""] * n_null),
            "band": (("roi", "edge"), np.array(bands), {"units": "Hz"}),
            "delay": (("run", "roi"), np.pad(delays, pad), {"units": "s"}),
            "stretch": (("run", "roi"), np.pad(stretches, pad, constant_values=1.0)),
        },
        coords={"roi": names, "edge": ["low", "high"]},
        attrs={k: v for k, v in settings.items() if k != "channels"},
    )
