"""The simulator keeps what it promises: ceiling, nulls, the coupling that flips."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError, SchemaError
from neuroana.eeg2fmri import simulate_eeg_fmri
from neuroana.eeg2fmri.simulate import (
    SPREAD,
    autoregression,
    neural_drives,
)


def correlation(a, b):
    return [np.corrcoef(x, y)[0, 1] for x, y in zip(a.values.T, b.values.T)]


@pytest.fixture(scope="module")
def simulated():
    return simulate_eeg_fmri(
        4, channels=("OZ", "CZ", "C3"), null_regions=1, random_state=3
    )


def test_ceiling_is_the_correlation_with_the_clean_course(simulated):
    runs, truth = simulated
    r = np.mean(
        [correlation(t["bold"].signal[:, :4], t["bold"].clean[:, :4]) for t in runs], 0
    )
    assert r == pytest.approx(truth.ceiling[:4].values, abs=0.06)


def test_null_region_is_noise_alone(simulated):
    runs, truth = simulated
    assert truth.null.values.tolist() == [False] * 4 + [True]
    r = [
        np.corrcoef(t["bold"].signal[:, 4], t["bold"].clean[:, k])[0, 1]
        for t in runs
        for k in range(4)
    ]
    assert abs(np.mean(r)) < 0.1


def test_alpha_power_leads_the_alpha_region(simulated):
    from scipy.signal import butter, sosfiltfilt

    from neuroana.eeg2fmri.haemodynamics import response

    runs, _ = simulated
    sos = butter(4, (8, 12), btype="bandpass", fs=200, output="sos")
    r = []
    for run in runs:
        power = sosfiltfilt(sos, run["eeg"].signal.sel(channel="OZ").values) ** 2
        power = power[: len(power) // 20 * 20].reshape(-1, 20).mean(axis=1)
        course = np.convolve(power, response(np.arange(0, 32, 0.1)))[: len(power)]
        at = np.minimum((run["bold"].time.values / 0.1).astype(int), len(course) - 1)
        late = slice(20, None)
        bold = run["bold"].signal.sel(roi="alpha").values
        r.append(np.corrcoef(course[at][late], bold[late])[0, 1])
    assert np.mean(r) < -0.5


def test_sign_flipping_drive_covaries_with_no_single_source():
    rng = np.random.default_rng(0)
    logs = {
        name: SPREAD * autoregression(rng, 400_000, 2.0)
        for name in ("theta", "alpha", "mu", "beta")
    }
    flip = neural_drives(logs)[2]
    for a in logs.values():
        for f in (a, np.exp(2 * a), np.tanh(a)):
            assert abs(np.corrcoef(f, flip)[0, 1]) < 0.04


def test_vigilance_reaches_every_region_but_the_null():
    runs, _ = simulate_eeg_fmri(
        1, channels=["OZ"], neural_gain=0.0, vigilance_gain=1.0, null_regions=1,
        random_state=0,
    )  # fmt: skip
    clean = runs[0]["bold"].clean.values
    assert np.corrcoef(clean[:, 0], clean[:, 3])[0, 1] > 0.95
    assert not clean[:, 4].any()


def test_heart_beats_stand_in_the_eeg_when_they_confound():
    def low_power(gain):
        run = simulate_eeg_fmri(
            1, channels=["OZ"], n_volumes=100, confound_gain=gain, random_state=0
        )[0][0]
        x = run["eeg"].signal.values[:, 0]
        spectrum = np.abs(np.fft.rfft(x)) ** 2
        f = np.fft.rfftfreq(len(x), 1 / 200)
        return spectrum[(f > 0.8) & (f < 1.4)].mean()

    assert low_power(1.0) > 5 * low_power(0.0)


def test_hidden_drive_lowers_the_ceiling():
    _, truth = simulate_eeg_fmri(
        1, n_volumes=20, channels=["OZ"], hidden_share=0.5, random_state=0
    )
    assert truth.ceiling.values == pytest.approx(np.sqrt(0.2))


def test_responses_spread_over_runs_and_regions():
    _, truth = simulate_eeg_fmri(
        3, n_volumes=20, channels=["OZ"], hrf_delay_sd=1.0, hrf_scale_sd=0.1,
        random_state=0,
    )  # fmt: skip
    assert truth.delay.std() > 0.5
    assert 0.03 < truth.stretch.std() < 0.3


def test_same_seed_gives_the_same_runs_and_recordings_are_valid():
    from neuroana.core.contract import check

    one, two = (
        simulate_eeg_fmri(2, n_volumes=20, channels=["OZ", "CZ"], random_state=5)[0]
        for _ in range(2)
    )
    for a, b in zip(one, two):
        assert a.identical(b)
        check(a["eeg"].to_dataset(), values=True)
        check(a["bold"].to_dataset(), values=True)


def test_impossible_settings_are_refused():
    with pytest.raises(ParameterError, match="rho"):
        simulate_eeg_fmri(1, rho=1.2)
    with pytest.raises(SchemaError, match="QZ"):
        simulate_eeg_fmri(1, channels=["QZ"])
    with pytest.raises(ParameterError, match="rho=0"):
        simulate_eeg_fmri(1, neural_gain=0.0)


def test_mixed_regions_are_smooth_mixtures_of_the_drives():
    runs, truth = simulate_eeg_fmri(
        1, n_volumes=200, channels=["OZ"], mixed_regions=16, null_regions=2,
        random_state=0,
    )  # fmt: skip
    assert runs[0]["bold"].sizes["roi"] == 22
    r = np.corrcoef(runs[0]["bold"].clean.values[:, 4:20].T)
    assert np.diag(r, 1).mean() > 0.9 > 0.3 > np.abs(np.diag(r, 8)).mean()
    assert truth.weights.sel(drive="mu").idxmax().item() == "mu"
    assert truth.null.sum() == 2


def test_a_task_is_in_the_events_and_lowers_alpha():
    from neuroana.core.recording import events_of

    runs, _ = simulate_eeg_fmri(
        1, n_volumes=200, channels=["OZ"], task_period=40.0, task_gain=2.0,
        random_state=0,
    )  # fmt: skip
    eeg = runs[0]["eeg"].to_dataset()
    assert eeg.attrs["task"] == "task"
    events = events_of(eeg)
    assert set(events.trial_type) == {"task"}
    power = eeg.signal.values[:, 0] ** 2
    on = np.zeros(len(power), dtype=bool)
    for onset, duration in events[["onset", "duration"]].values:
        on[int(onset * 200) : int((onset + duration) * 200)] = True
    assert power[on].mean() < 0.7 * power[~on].mean()
    bold = runs[0]["bold"].signal.sel(roi="alpha").values
    late = np.interp(runs[0]["bold"].time - 6, np.arange(len(on)) / 200, on)
    assert np.corrcoef(late, bold)[0, 1] > 0.2


def test_sessions_shift_the_cap_and_may_swap_electrodes():
    runs, _ = simulate_eeg_fmri(
        1, n_sessions=2, n_volumes=60, channels=["OZ", "FP1"], swap_electrodes=True,
        random_state=0,
    )  # fmt: skip
    assert [r["eeg"].attrs["session"] for r in runs] == ["01", "02"]
    alpha = [
        float((r["eeg"].signal ** 2).mean("time").diff("channel")[0]) for r in runs
    ]
    assert alpha[0] < 0 < alpha[1]


def test_scanner_residues_are_what_the_gate_finds():
    from neuroana.eeg2fmri import preflight

    def verdicts(**options):
        run = simulate_eeg_fmri(
            1, n_volumes=120, channels=["OZ", "CZ", "C3"], random_state=0, **options
        )[0]
        return preflight(run).set_index("check").verdict

    clean = verdicts(pulse_uv=0.1)
    assert clean[["gradient residue", "pulse residue"]].tolist() == ["passed"] * 2
    assert verdicts(gradient_uv=15.0)["gradient residue"] == "failed"
    assert verdicts(pulse_uv=15.0)["pulse residue"] == "failed"
