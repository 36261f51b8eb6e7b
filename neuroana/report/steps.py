"""Pipeline steps ``report.quality`` and ``report.write``."""

from pathlib import Path
from typing import Any

from pydantic import Field

from neuroana.core.contract import check
from neuroana.core.step import File, Parameters, pipeline_step
from neuroana.core.store import read_netcdf


class QualityParameters(Parameters):
    """Nothing to set but the heading."""

    title: str | None = Field(None, description="heading of the recording's section")


@pipeline_step(
    "report.quality",
    inputs={"recording": File("a recording, NetCDF")},
    outputs={"section": File("a section of the report, JSON")},
    params=QualityParameters,
)
def write_quality(
    inputs: dict[str, Any], outputs: dict[str, Path], params: QualityParameters
) -> None:
    """Describe what went in: numbers and figures on the data's quality."""
    from neuroana.plot.sections import write_section
    from neuroana.report.data_quality import quality_section

    ds = check(read_netcdf(inputs["recording"]))
    write_section(quality_section(ds, title=params.title), outputs["section"])


class ReportParameters(Parameters):
    """What the report's first page says."""

    title: str = Field("Report", description="heading of the report")
    results: str = Field("results", description="folder whose failures are listed")


@pipeline_step(
    "report.write",
    inputs={"sections": File("sections of the report, JSON", many=True)},
    outputs={"report": File("the report, HTML")},
    params=ReportParameters,
)
def write_report(
    inputs: dict[str, Any], outputs: dict[str, Path], params: ReportParameters
) -> None:
    """Put all sections into one HTML page that needs nothing else."""
    from neuroana.core.step import failures
    from neuroana.core.store import write_text
    from neuroana.plot.sections import read_section
    from neuroana.report.html import render

    sections = [read_section(path) for path in inputs["sections"]]
    failed = failures(params.results) if Path(params.results).is_dir() else []
    page = render(sections, title=params.title, failures=failed)
    write_text(page, outputs["report"])
