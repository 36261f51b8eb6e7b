"""Pipeline step ``io.read``: any file to a checked recording of our own."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from neuroana.core.contract import check
from neuroana.core.provenance import file_sha256, record
from neuroana.core.step import File, Parameters, pipeline_step
from neuroana.core.store import write_netcdf


class ReadParameters(Parameters):
    """How one file, or one shipped sample, becomes a recording."""

    sample: str | None = Field(None, description="a shipped recording, not a file")
    modality: Literal["eeg", "ieeg", "fmri", "calcium", "spikes"] | None = Field(
        None, description="eeg, ieeg, fmri, calcium or spikes, where a file may be any"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="the reader's own, e.g. sampling_rate: 0.5"
    )
    attrs: dict[str, str] = Field(
        default_factory=dict, description="subject, session, task, run"
    )


@pipeline_step(
    "io.read",
    inputs={"file": File("a file or folder of any known format", optional=True)},
    outputs={"recording": File("the recording, NetCDF")},
    params=ReadParameters,
)
def read_file(
    inputs: dict[str, Any], outputs: dict[str, Path], params: ReadParameters
) -> None:
    """Read a file, check its samples, and store it as a recording."""
    if params.sample is not None:
        from neuroana.io.registry import load_sample, samples

        ds = load_sample(params.sample, **params.options)
        title = samples()[params.sample].title
        synthetic = ds.attrs["synthetic"]
        ds = ds.assign_attrs(title=f"SYNTHETIC: {title}" if synthetic else title)
        ds = record(ds, "io.load_sample", name=params.sample, **params.options)
    else:
        from neuroana.io.dispatch import read

        source = inputs["file"]
        modality = {"modality": params.modality} if params.modality else {}
        ds = read(source, **modality, **params.options)
        if source.is_file():
            ds = ds.assign_attrs(source_sha256=file_sha256(source))
        ds = ds.assign_attrs(source=source.name)
    ds = ds.assign_attrs(params.attrs)
    write_netcdf(check(ds, values=True), outputs["recording"])
