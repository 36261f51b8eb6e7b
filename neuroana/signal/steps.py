"""Pipeline step ``signal.prepare``: the usual preparation, in a fixed order."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from neuroana.core.blockwise import moments
from neuroana.core.checks import check_names
from neuroana.core.contract import check, good_samples
from neuroana.core.step import File, Parameters, pipeline_step
from neuroana.core.store import read_netcdf, write_netcdf


Band = tuple[float, float]


class PrepareParameters(Parameters):
    """What is done to a recording before the model; null leaves a stage out."""

    start: float | None = Field(None, description="first second to keep")
    stop: float | None = Field(None, description="last second to keep")
    names: list[str | int] | None = Field(None, description="signals to keep")
    drop: list[str | int] = Field(default_factory=list, description="signals to drop")
    drop_bad: bool = Field(True, description="drop signals marked bad")
    ch_type: list[str] | None = Field(None, description="channel types to keep")
    reference: Literal["average", "bipolar", "laplacian"] | None = Field(
        None, description="average, bipolar or laplacian"
    )
    notch: float | None = Field(None, description="mains frequency in Hz")
    bandpass: Band | None = Field(None, description="[low, high] in Hz")
    envelope: Band | None = Field(None, description="amplitude in [low, high] Hz")
    sampling_rate: float | None = Field(None, description="resample to this rate, Hz")
    n_active: int | None = Field(
        None, ge=1, description="keep the signals with the largest variance"
    )


@pipeline_step(
    "signal.prepare",
    inputs={"recording": File("a recording, NetCDF")},
    outputs={"recording": File("the prepared recording, NetCDF")},
    params=PrepareParameters,
)
def prepare(
    inputs: dict[str, Any], outputs: dict[str, Path], params: PrepareParameters
) -> None:
    """Select, reference, filter and resample a recording."""
    from neuroana import signal

    ds = check(read_netcdf(inputs["recording"]))
    if params.start is not None or params.stop is not None:
        ds = signal.crop(ds, params.start, params.stop)
    space = ds["signal"].dims[1]
    labels = ds[space].to_numpy().tolist()
    check_names(f"{space}s to drop: {space}", params.drop, labels)
    names = params.names
    if params.drop:
        names = [n for n in names or labels if n not in params.drop]
    ds = signal.pick(ds, names, ch_type=params.ch_type, drop_bad=params.drop_bad)
    if params.notch is not None:
        ds = signal.notch(ds, params.notch)
    if params.reference is not None:
        ds = signal.rereference(ds, params.reference)
    if params.bandpass is not None:
        ds = signal.bandpass(ds, *params.bandpass)
    if params.envelope is not None:
        ds = signal.envelope(ds, *params.envelope)
    if params.sampling_rate is not None:
        ds = signal.resample(ds, params.sampling_rate)
    if params.n_active is not None:
        spread = moments(ds["signal"], good_samples(ds)).spread
        chosen = np.sort(np.argsort(-spread, kind="stable")[: params.n_active])
        ds = signal.pick(ds, ds[space].to_numpy()[chosen].tolist())
    write_netcdf(check(ds, values=True), outputs["recording"])
