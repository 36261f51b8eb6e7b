"""Data quality of one recording: what came in, how it looks, what to be wary of."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from neuroana.core.blockwise import moments
from neuroana.core.contract import good_samples, label_of
from neuroana.core.provenance import methods_text
from neuroana.core.recording import events_of, space_dim
from neuroana.plot.axes import new_axes, traces
from neuroana.plot.sections import Section


SOURCE_KEYS = (
    "source",
    "source_sha256",
    "package",
    "licence",
    "citation",
    "subject",
    "session",
    "task",
    "run",
)


def quality(ds: xr.Dataset) -> dict[str, Any]:
    """Numbers that tell whether a recording can be used as it is.

    Parameters
    ----------
    ds : Dataset
        A recording.

    Returns
    -------
    dict
        Duration (s), rate (Hz), share of missing and of excluded samples (%),
        names of constant signals, median standard deviation in the signal's unit,
        number of events.

    Notes
    -----
    One pass over the signal, in blocks of 64 MB.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> rec = from_array([[0.0, 1.0], [0.0, 3.0]], "calcium", sampling_rate=1.0)
    >>> quality(rec)["constant signals"]
    ['0']
    """
    signal = ds["signal"]
    good = good_samples(ds)
    n = signal.shape[1]
    state = moments(signal, good)
    names = signal[signal.dims[1]].to_numpy()
    constant = [str(x) for x in names[state.is_constant]]
    rate = float(ds.attrs["sampling_rate"])
    return {
        "duration (s)": round(len(good) / rate, 3),
        "sampling rate (Hz)": rate,
        f"{space_dim(ds)}s": n,
        "missing samples (%)": round(
            100.0 * (1.0 - float(state.n.sum()) / max(1, int(good.sum()) * n)), 3
        ),
        "excluded time (%)": round(100.0 * (1.0 - float(good.mean())), 3),
        "constant signals": constant,
        f"median standard deviation ({signal.attrs['units']})": float(
            f"{np.median(state.spread):.4g}"
        ),
        "events": len(events_of(ds)),
    }


def plot_spectra(ds: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the Welch spectrum of every signal, and their median.

    Parameters
    ----------
    ds : Dataset
        A recording.
    ax : Axes, optional
        Where to draw.
    """
    from neuroana.signal import spectrum

    ax = new_axes(ax, height=2.8)
    rate = ds.attrs["sampling_rate"]
    n_segment = min(ds.sizes["time"] // 4, max(64, round(2.0 * rate)))
    power = spectrum(ds, window=n_segment / rate)
    power = power.where(power > 0)
    ax.plot(power["freq"], power, color="0.75", lw=0.5)
    ax.plot(power["freq"], power.median(power.dims[1]), color="#0072b2", lw=1.5)
    ax.set_yscale("log")
    ax.set_xlim(float(power["freq"][1]), float(power["freq"][-1]))
    ax.set_xlabel("frequency (Hz)")
    ax.set_ylabel(f"power ({ds['signal'].attrs['units']}$^2$/Hz)")
    return ax


def plot_rates(ds: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw a raster of counts and the population's rate over it.

    Parameters
    ----------
    ds : Dataset
        A spikes recording.
    ax : Axes, optional
        Where to draw.
    """
    ax = new_axes(ax, height=3.0)
    signal = ds["signal"].transpose("time", ...)
    n_bins = min(600, signal.shape[0])
    length = signal.shape[0] // n_bins
    counts = signal[: n_bins * length].to_numpy().reshape(n_bins, length, -1).sum(1)
    rate = ds.attrs["sampling_rate"]
    extent = (0.0, n_bins * length / rate, counts.shape[1] - 0.5, -0.5)
    image = ax.imshow(
        counts.T / length * rate,
        aspect="auto",
        cmap="Greys",
        extent=extent,
        interpolation="nearest",
        vmax=np.percentile(counts, 99.5) / length * rate or None,
    )
    ax.figure.colorbar(image, ax=ax, label="rate (Hz)", pad=0.01)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("neuron")
    return ax


def quality_section(ds: xr.Dataset, *, title: str | None = None) -> Section:
    """Write the report's section on one recording.

    Parameters
    ----------
    ds : Dataset
        A recording.
    title : str, optional
        Heading; the recording's own title or name otherwise.
    """
    numbers = quality(ds)
    synthetic = bool(ds.attrs.get("synthetic", 0))
    warnings = []
    if constant := numbers["constant signals"]:
        shown = ", ".join(constant[:8]) + (" ..." if len(constant) > 8 else "")
        warnings.append(f"{len(constant)} constant signal(s): {shown}.")
    numbers["constant signals"] = len(constant)
    if numbers["missing samples (%)"] > 0:
        warnings.append("Some samples are missing.")
    section = Section(
        title=title or ds.attrs.get("title") or label_of(ds),
        kind="recording",
        lead=" ".join(warnings),
        synthetic=synthetic,
        numbers=numbers,
        methods=methods_text(ds),
        source={
            "modality": ds.attrs["modality"],
            **{k: ds.attrs[k] for k in SOURCE_KEYS if ds.attrs.get(k)},
        },
    )
    if ds.attrs["modality"] == "spikes":
        section.add_figure(plot_rates(ds), "Spike rates", "One row a neuron.")
    else:
        section.add_figure(
            traces(ds["signal"]),
            "Signals",
            "Each signal in its own band, scaled to its 99th percentile.",
        )
        section.add_figure(
            plot_spectra(ds), "Spectra", "Grey: each signal. Blue: their median."
        )
    return section
