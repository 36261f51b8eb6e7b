"""``neuroana report``: the HTML page of a folder of results."""

from pathlib import Path
from typing import Annotated

import typer

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


def command(
    results: Annotated[
        Path, typer.Argument(help="Folder of results (with sections/).")
    ] = Path("results"),
    out: Annotated[
        Path | None, typer.Option(help="Default: report.html in that folder.")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading.")] = "Report",
) -> None:
    """Write the report of whatever results are there already."""
    from neuroana.core import step

    found = sorted((results / "sections").glob("*/*.json"))
    if not found:
        raise ParameterError(
            message(
                f"{results / 'sections'}",
                "sections that steps wrote",
                "none",
                "neuroana run switching",
            )
        )
    target = out or results / "report.html"
    step.run(
        "report.write",
        {"sections": found},
        {"report": target},
        {"title": title, "results": str(results)},
    )
    typer.echo(target)
