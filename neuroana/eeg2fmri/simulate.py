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

Regions beyond these four are smooth mixtures of them, then noise alone. y_r is
h * u_r, standardised. The sign of the coupling in "signflip" follows theta, so
no function of a single source covaries with it: models that add up sources have R = 0
there. The correlation of Y_r with y_r, sqrt(rho (1 - hidden)), is the ceiling of all.
"""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch, draw_seed
from neuroana.core.recording import clock, from_array
from neuroana.eeg2fmri.haemodynamics import LENGTH, response
from neuroana.eeg2fmri.simulated_eeg import (
    LEAD_IN,
    SOURCES,
    SPREAD,
    STEP,
    autoregression,
    gradient_residue,
    heart_beats,
    leadfield,
    mix_sources,
    pulse_artefact,
    standard,
)
from neuroana.learn.electrodes import electrode_rows, plain_name


AR_NOISE = 0.7
TAU_VIGILANCE, TAU_HEART = 60.0, 20.0  # seconds
CHANNELS = ("FP1", "FP2", "FZ", "C3", "CZ", "C4", "PZ", "O1", "OZ", "O2")
AROUSED = ("theta", "alpha")  # sources that vigilance scales
DELAYS = {"alpha": 0.0, "difference": 1.0, "signflip": 0.5, "mu": 0.5}
LEADING = ("alpha", "alpha", "alpha", "mu")  # source that leads each region
CONFOUND = 10.0  # microvolt of pulse artefact at confound_gain 1
SHARES = ("rho", "noise_global", "global_gain", "hidden_share")


@dataclass(frozen=True)
class Settings:
    """What a run is drawn with; see :func:`simulate_eeg_fmri`."""

    n_volumes: int
    tr: float
    sampling_rate: float
    channels: tuple[str, ...]
    rho: float
    noise_global: float
    mixed_regions: int
    null_regions: int
    hrf_delay_sd: float
    hrf_scale_sd: float
    tau_scale: float
    neural_gain: float
    global_gain: float
    vigilance_gain: float
    confound_gain: float
    hidden_share: float
    task_period: float | None
    task_gain: float
    gradient_uv: float
    pulse_uv: float

    def __post_init__(self):
        check_number("n_volumes", self.n_volumes, minimum=10, integer=True)
        for name in ("mixed_regions", "null_regions"):
            check_number(name, getattr(self, name), minimum=0, integer=True)
        check_number("tr", self.tr, minimum=STEP)
        check_number("sampling_rate", self.sampling_rate, minimum=100.0)
        check_number("tau_scale", self.tau_scale, minimum=0.0, open_ends=True)
        for name in SHARES:
            check_number(name, getattr(self, name), minimum=0.0, maximum=1.0)
        for name in (
            "hrf_delay_sd", "hrf_scale_sd", "neural_gain", "vigilance_gain",
            "confound_gain", "task_gain", "gradient_uv", "pulse_uv",
        ):  # fmt: skip
            check_number(name, getattr(self, name), minimum=0.0)
        if self.task_period is not None:
            check_number("task_period", self.task_period, minimum=2.0)
        if self.neural_gain + self.vigilance_gain + self.confound_gain == 0:
            fix = "for BOLD without a drive take rho=0"
            raise ParameterError(message("gains", "one above 0", "none", fix))
        electrode_rows(self.channels, minimum=1)
        names = tuple(map(plain_name, self.channels))
        object.__setattr__(self, "channels", names)


def simulate_eeg_fmri(
    n_subjects=12,
    n_runs=1,
    *,
    n_sessions=1,
    n_volumes=575,
    tr=2.1,
    sampling_rate=200.0,
    channels=CHANNELS,
    rho=0.4,
    noise_global=0.5,
    mixed_regions=0,
    null_regions=0,
    hrf_delay_sd=0.0,
    hrf_scale_sd=0.0,
    tau_scale=1.0,
    neural_gain=1.0,
    global_gain=0.0,
    vigilance_gain=0.0,
    confound_gain=0.0,
    hidden_share=0.0,
    task_period=None,
    task_gain=1.0,
    gradient_uv=0.0,
    pulse_uv=0.0,
    swap_electrodes=False,
    random_state=None,
):
    """Draw paired EEG and BOLD whose coupling and ceiling are known.

    Use it to see what a model can and cannot learn, before it meets data. Cost: about
    a second a run of 20 minutes and 10 channels.

    Parameters
    ----------
    n_subjects, n_runs, n_sessions : int
        People, runs of a session, and sessions of a person; within a session the
        mixture of the sources stays, in the next the cap sits a little otherwise.
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
    mixed_regions, null_regions : int
        Further regions: neighbouring mixtures of the four drives, and noise alone.
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
    task_period : float, optional
        Seconds of a task, half on and half off, that lowers alpha and mu and so
        drives BOLD; its blocks are events of the EEG.
    task_gain : float
        Fall of their log amplitude, in units of its standard deviation.
    gradient_uv, pulse_uv : float
        Residue of gradients and heart beats in the EEG in microvolt, which BOLD knows
        nothing of; heart beats are events.
    swap_electrodes : bool, default=False
        Exchange the first two channels in every session but the first.
    random_state : int, Generator or None

    Returns
    -------
    runs : list of DataTree
        ``/eeg`` (time, channel) in V and ``/bold`` (time, roi) on one clock; the
        variable ``clean`` of ``/bold`` is y_r.
    truth : Dataset
        By ``roi``: ``ceiling``, ``null``, ``electrode`` and ``band`` of the source
        that leads it, ``weights`` (roi, drive); by (``run``, ``drive``) the ``delay``
        and ``stretch`` of its response.

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
    counts = {"n_subjects": n_subjects, "n_runs": n_runs, "n_sessions": n_sessions}
    for name, value in counts.items():
        check_number(name, value, minimum=1, integer=True)
    settings = Settings(
        n_volumes, tr, sampling_rate, tuple(channels), rho, noise_global,
        mixed_regions, null_regions, hrf_delay_sd, hrf_scale_sd, tau_scale,
        neural_gain, global_gain, vigilance_gain, confound_gain, hidden_share,
        task_period, task_gain, gradient_uv, pulse_uv,
    )  # fmt: skip
    seed = draw_seed(random_state)
    runs, delays, stretches = [], [], []
    for subject, session in np.ndindex(n_subjects, n_sessions):
        path = (subject,) if session == 0 else (subject, session)
        mixing = leadfield(settings.channels, branch(seed, 0, *path))
        if swap_electrodes and session:
            mixing[[0, 1]] = mixing[[1, 0]]
        for number in range(n_runs):
            own = (subject, session * n_runs + number)
            rng = branch(seed, 1, *own)
            delay, stretch = draw_responses(rng, hrf_delay_sd, hrf_scale_sd)
            made = simulate_run(rng, mixing, delay, stretch, settings)
            about = {"subject": f"{subject + 1:02d}", "run": str(number + 1)}
            if n_sessions > 1:
                about["session"] = f"{session + 1:02d}"
            runs.append(label_run(*made, settings, about))
            delays.append(delay)
            stretches.append(stretch)
    return runs, truth_of(settings, np.array(delays), np.array(stretches))


def draw_responses(rng, delay_sd, scale_sd):
    """Onset and width of the response of each region in one run."""
    mean = np.array(list(DELAYS.values()))
    delay = np.clip(mean + delay_sd * rng.standard_normal(mean.size), -2.0, None)
    return delay, np.exp(scale_sd * rng.standard_normal(mean.size))


def simulate_run(rng, mixing, delay, stretch, settings):
    """EEG (samples, channels) in V, BOLD and its clean course (volumes, regions)."""
    n_latent = round((LEAD_IN + settings.n_volumes * settings.tr) / STEP) + 1
    logs = {
        name: SPREAD * autoregression(rng, n_latent, source.tau * settings.tau_scale)
        for name, source in SOURCES.items()
    }
    vigilance = autoregression(rng, n_latent, TAU_VIGILANCE)
    heart = autoregression(rng, n_latent, TAU_HEART)
    events = []
    if settings.task_period:
        on, blocks = task_blocks(n_latent, settings)
        events.append(blocks)
        for name in ("alpha", "mu"):
            logs[name] = logs[name] - SPREAD * settings.task_gain * on
    amplitudes = {
        name: a + SPREAD * settings.vigilance_gain * vigilance * (name in AROUSED)
        for name, a in logs.items()
    }
    eeg = mix_sources(rng, mixing, amplitudes, settings)
    pulse = CONFOUND * settings.confound_gain + settings.pulse_uv
    if pulse:
        eeg += pulse * pulse_artefact(heart, len(mixing), settings)
        beats = heart_beats(heart, settings)
        events.append(pd.DataFrame({"onset": beats, "trial_type": "Pulse Artifact"}))
    if settings.gradient_uv:
        eeg += settings.gradient_uv * gradient_residue(rng, len(mixing), settings)
    drives = neural_drives(logs)
    common = settings.global_gain
    drives = (1 - common) * drives + common * drives.mean(axis=0)
    clean = np.empty((settings.n_volumes, len(DELAYS)))
    hidden = autoregression(rng, n_latent, 10.0)
    for r, u in enumerate(drives):
        kernel = response(
            np.arange(0.0, LENGTH, STEP), delay=delay[r], stretch=stretch[r]
        )
        parts = (
            (settings.neural_gain, u),
            (settings.vigilance_gain, -vigilance),
            (settings.confound_gain, heart),
        )
        seen = sum(w * at_volumes(v, kernel, settings) for w, v in parts if w)
        share = settings.hidden_share
        unseen = at_volumes(hidden, kernel, settings)
        clean[:, r] = standard(
            np.sqrt(1 - share) * standard(seen) + np.sqrt(share) * unseen
        )
    mixed = [standard(course) for course in (clean @ mixtures(settings)).T]
    clean = np.column_stack([clean, *mixed])
    table = pd.concat(events, ignore_index=True).fillna(0.0) if events else None
    return eeg * 1e-6, add_noise(rng, clean, settings), clean, table


def task_blocks(n_latent, settings):
    """Task on (1) or off (0) on the latent grid, and its blocks as events."""
    period = settings.task_period
    moment = np.arange(n_latent) * STEP - LEAD_IN
    on = (np.floor(2 * moment / period) % 2 == 1) & (moment >= 0)
    onsets = np.arange(period / 2, settings.n_volumes * settings.tr, period)
    events = pd.DataFrame(
        {"onset": onsets, "duration": period / 2, "trial_type": "task"}
    )
    return on.astype(float), events


def mixtures(settings):
    """Weights (drive, mixed region): neighbours on a ring share their drives."""
    n_drives = len(DELAYS)
    place = (
        n_drives * np.arange(settings.mixed_regions) / max(settings.mixed_regions, 1)
    )
    apart = np.abs(np.arange(n_drives)[:, None] - place)
    apart = np.minimum(apart, n_drives - apart)
    weights = np.exp(-2 * apart**2)
    return weights / np.linalg.norm(weights, axis=0)


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
    times = LEAD_IN + np.arange(settings.n_volumes) * settings.tr
    return standard(np.interp(times, np.arange(len(drive)) * STEP, course))


def add_noise(rng, clean, settings):
    """Y: the clean courses under autocorrelated noise; null regions behind them."""
    n = len(clean)
    tau = -1.0 / np.log(AR_NOISE)  # volumes
    n_null, common = settings.null_regions, settings.noise_global
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
    share = np.where(np.arange(noise.shape[1]) < clean.shape[1], settings.rho, 0.0)
    return np.sqrt(share) * signal + np.sqrt(1 - share) * noise


def region_names(settings):
    mixed = [f"mixed{i + 1}" for i in range(settings.mixed_regions)]
    return [*DELAYS, *mixed, *(f"null{i + 1}" for i in range(settings.null_regions))]


def label_run(eeg, bold, clean, events, settings, about):
    """One run as a DataTree of two recordings on one clock."""
    task = "task" if settings.task_period else "rest"
    attrs = {**about, "task": task, "synthetic": 1}
    names = region_names(settings)
    rate, tr = settings.sampling_rate, settings.tr
    volumes = from_array(
        bold, "fmri", time=clock(len(bold), 1 / tr), names=names, units="zscore",
        dim="roi", attrs=attrs,
    )  # fmt: skip
    padded = np.pad(clean, ((0, 0), (0, settings.null_regions)))
    return xr.DataTree.from_dict(
        {
            "/eeg": from_array(
                eeg.astype(np.float32), "eeg", sampling_rate=rate, units="V",
                names=settings.channels, attrs=attrs, events=events,
            ),
            "/bold": volumes.assign(clean=(("time", "roi"), padded)),
        }
    )  # fmt: skip


def truth_of(settings, delays, stretches):
    """What the models should find, by region."""
    names = region_names(settings)
    n_null = settings.null_regions
    null = np.arange(len(names)) >= len(names) - n_null
    ceiling = np.sqrt(settings.rho * (1 - settings.hidden_share))
    weights = np.concatenate([np.eye(len(DELAYS)), mixtures(settings).T])
    leading = [SOURCES[LEADING[k]] for k in np.abs(weights).argmax(axis=1)]
    bands = [[s.low, s.high] for s in leading] + [[np.nan, np.nan]] * n_null
    drives = {"drive": list(DELAYS)}
    return xr.Dataset(
        {
            "ceiling": ("roi", np.where(null, 0.0, ceiling)),
            "null": ("roi", null),
            "electrode": ("roi", [s.electrode for s in leading] + [""] * n_null),
            "band": (("roi", "edge"), np.array(bands), {"units": "Hz"}),
            "weights": (("roi", "drive"), np.pad(weights, ((0, n_null), (0, 0)))),
            "delay": (("run", "drive"), delays, {"units": "s"}),
            "stretch": (("run", "drive"), stretches),
        },
        coords={"roi": names, "edge": ["low", "high"], **drives},
        attrs={
            k: v
            for k, v in asdict(settings).items()
            if k != "channels" and v is not None
        },
    )
