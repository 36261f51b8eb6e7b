"""``neuroana convert``: any known format to our NetCDF."""

from pathlib import Path
from typing import Annotated

import typer

from neuroana.cli.options import AnyFile, Modality, ReaderOptions, key_values


def command(
    source: AnyFile,
    target: Annotated[Path, typer.Argument(help="The NetCDF file to write (.nc).")],
    modality: Modality = None,
    option: ReaderOptions = None,
    attr: Annotated[
        list[str] | None, typer.Option(help="Entity: subject=01, task=rest")
    ] = None,
) -> None:
    """Read a file, check it, and write it as a recording of our own."""
    from neuroana.core import step

    params = {
        "modality": modality,
        "options": key_values(option or [], "option"),
        "attrs": key_values(attr or [], "attr", text=True),
    }
    step.run("io.read", {"file": source}, {"recording": target}, params)
    typer.echo(target)
