"""Predictions while the scanner runs: one volume at a time from a ring of samples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError, SchemaError, ShapeError, UnitError
from neuroana.eeg2fmri.features import HOP
from neuroana.eeg2fmri.intervals import with_intervals
from neuroana.eeg2fmri.montages import place_of
from neuroana.eeg2fmri.windowed_runs import RATE, WindowedRun, WindowedRuns
from neuroana.eeg2fmri.windows import LENGTH, MAX_BAD, PLAUSIBLE
from neuroana.learn.electrodes import plain_name


JITTER = 0.5  # samples that a time stamp may be off without being a gap


class StreamingPredictor:
    """Predict each volume from the samples that came before it.

    Use it with a fitted model and EEG that arrives in blocks. Nothing after a volume is
    read, so filters and artefact correction before it must not look ahead either. A
    prediction costs what the model's does for one window; a push costs a copy.

    Parameters
    ----------
    model : fitted estimator of this wing
    channel_names : sequence of str
        Electrodes of the samples, in their order; those that the model needs are found
        by name.
    correction : {'causal', 'none', 'offline'}
        How scanner artefacts were taken out. Templates made offline look ahead and are
        refused unless `allow_lookahead`.
    buffer : float, default=20.0
        Seconds that are kept; what exceeds 16 is how late a volume may be asked for.
    allow_lookahead : bool, default=False
        Take them all the same; predictions carry the mark.
    widths : DataArray (roi,), optional
        From :func:`interval_widths`: predictions then come with their bounds.

    Raises
    ------
    ParameterError
        If the correction looks ahead.
    SchemaError
        If an electrode that the model needs is not there.

    Examples
    --------
    >>> from neuroana.eeg2fmri import BandPowerRidge, simulate_eeg_fmri
    >>> runs, _ = simulate_eeg_fmri(2, n_volumes=60, random_state=0)
    >>> model = BandPowerRidge().fit(runs[0])
    >>> eeg = runs[1]["eeg"].to_dataset()
    >>> stream = StreamingPredictor(model, eeg["channel"].values)
    >>> stream.push(eeg["signal"].values[:4000])
    >>> stream.predict().dims
    ('roi',)
    """

    def __init__(
        self,
        model: Any,
        channel_names: Sequence[str],
        *,
        correction: str = "causal",
        buffer: float = 20.0,
        allow_lookahead: bool = False,
        widths: xr.DataArray | None = None,
    ) -> None:
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(model)
        check_choice("correction", correction, ["causal", "none", "offline"])
        self.looks_ahead = correction == "offline"
        if self.looks_ahead and not allow_lookahead:
            raise ParameterError(
                message(
                    "argument 'correction'", "one that reads no later samples",
                    "'offline'", "correct causally, or pass allow_lookahead=True",
                )
            )  # fmt: skip
        self.model, self.widths = model, widths
        self.channels = tuple(plain_name(n) for n in channel_names)
        check_number("buffer", buffer, minimum=LENGTH + HOP / RATE)
        self._n = round(LENGTH * RATE)
        kept = round(buffer * RATE)
        self._ring = np.zeros((kept, len(self.channels)), dtype=np.float32)
        self._filled = self._count = 0
        self.time = 0.0

    @property
    def ready(self) -> bool:
        """Whether a full window is there."""
        return self._filled >= self._n

    def reset(self, time: float = 0.0) -> None:
        """Forget all samples; the next one is at `time` seconds."""
        self._filled = self._count = 0
        self.time = float(time)

    def push(self, samples: np.ndarray, times: np.ndarray | None = None) -> None:
        """Take samples in; a gap in their times empties the ring.

        Parameters
        ----------
        samples : ndarray (sample, channel)
            In V at 200 Hz.
        times : ndarray (sample,), optional
            Seconds; when left out the samples follow on.

        Raises
        ------
        ShapeError, SchemaError
            If shapes do not fit, or times are not those of 200 Hz.
        """
        samples = np.asarray(samples)
        if samples.ndim != 2 or samples.shape[1] != len(self.channels):
            raise ShapeError(
                message("samples", f"shape (sample, {len(self.channels)})",
                        samples.shape)
            )  # fmt: skip
        first = 0
        if times is not None and len(samples):
            first = self._follow(np.asarray(times, dtype=float), len(samples))
        block = samples[first:]
        kept = block[-len(self._ring) :].astype(np.float32)
        self._ring = np.concatenate([self._ring[len(kept) :], kept])
        self._filled = min(self._filled + len(block), len(self._ring))
        self._count += len(block)
        self.time += len(block) / RATE

    def predict(self, at: float | None = None) -> Any:
        """Predict the volume at a time, by the 16 s before it.

        Parameters
        ----------
        at : float, optional
            Seconds; the end of what was pushed when left out.

        Returns
        -------
        DataArray (roi,), or Dataset with lower and upper where widths were given

        Raises
        ------
        SchemaError, UnitError
            If the window is not full, not in the ring any more, missing for a fifth,
            or cannot be in V.
        """
        at = self.time if at is None else float(at)
        later = (self.time - at) * RATE
        n_later = int(np.floor(later + 0.01))
        missing = self._n - (self._filled - n_later)
        if later < -0.01 or missing > 0:
            raise SchemaError(
                message(
                    f"a volume at {at:.3f} s", f"{LENGTH:g} s of samples before it",
                    f"samples from {self.time - self._filled / RATE:.3f} to "
                    f"{self.time:.3f} s",
                    "push on until .ready, and predict before further volumes come",
                )
            )  # fmt: skip
        # frames of spectra start on a grid that begins with the stream
        lead = (self._count - n_later - self._n) % HOP
        lead = min(lead, self._filled - n_later - self._n)
        stop = len(self._ring) - n_later
        return self._labelled(self._ring[stop - self._n - lead : stop], lead, at)

    def _labelled(self, samples: np.ndarray, lead: int, at: float) -> Any:
        masked = float(np.isnan(samples[lead:]).mean())
        if masked > MAX_BAD:
            raise SchemaError(
                message(f"a volume at {at:.3f} s",
                        f"at most {MAX_BAD:.0%} of its window missing", f"{masked:.0%}")
            )  # fmt: skip
        spread = float(np.nanmedian(np.nanstd(samples, axis=0)))
        if not PLAUSIBLE[0] <= spread <= PLAUSIBLE[1]:
            raise UnitError(
                message("samples", "EEG in V, standard deviation 1e-7 to 1e-3",
                        f"{spread:.3g}", "divide microvolts by 1e6 before pushing")
            )  # fmt: skip
        run = WindowedRun(
            samples, np.empty((1, 0)), at - len(samples) / RATE, np.array([at]),
            "stream", {},
        )  # fmt: skip
        windows = WindowedRuns(
            [run], np.zeros(1, dtype=int), np.array([lead]), np.zeros(1, dtype=int),
            n_samples=self._n, channels=self.channels, rois=(),
            places=place_of(self.channels),
        )  # fmt: skip
        known = self.model.channels_.values.tolist()
        values = self.model.predict(windows.with_channels(known))
        rois = self.model.rois_["roi"].values
        made = xr.DataArray(
            values[0], dims="roi", coords={"roi": rois, "time": at}, name="prediction",
            attrs={"looks_ahead": int(self.looks_ahead)},
        )  # fmt: skip
        return made if self.widths is None else with_intervals(made, self.widths)

    def _follow(self, times: np.ndarray, n: int) -> int:
        """Check the clock; return where the last unbroken stretch begins."""
        if times.shape != (n,):
            raise ShapeError(message("times", f"shape ({n},)", times.shape))
        steps = np.diff(times, prepend=times[0] - 1 / RATE) * RATE
        if n > 1 and abs(np.median(steps[1:]) - 1) > 0.01:
            raise SchemaError(
                message("times", f"a clock of {RATE:g} Hz",
                        f"{RATE / np.median(steps[1:]):.6g} Hz",
                        "resample causally before pushing")
            )  # fmt: skip
        breaks = np.flatnonzero(np.abs(steps - 1) > JITTER)
        first = int(breaks[-1]) if len(breaks) else 0
        joined = abs((times[0] - self.time) * RATE) <= JITTER
        if len(breaks) or not joined or not self._filled:
            self.reset(times[first])
        return first
