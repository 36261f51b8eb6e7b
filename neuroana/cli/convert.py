"""``neuroana convert``: any known format to our NetCDF, or to NWB."""

from pathlib import Path
from typing import Annotated

import typer

from neuroana.cli.options import (
    AnyFile,
    Modality,
    ReaderOptions,
    key_values,
    read_checked,
)


def command(
    source: AnyFile,
    target: Annotated[Path, typer.Argument(help="The file to write, .nc or .nwb.")],
    modality: Modality = None,
    option: ReaderOptions = None,
    attr: Annotated[
        list[str] | None, typer.Option(help="Entity: subject=01, task=rest")
    ] = None,
) -> None:
    """Read a file, check it, and write it as a recording of our own."""
    if target.suffix == ".nwb":
        from neuroana.io.nwb_writing import to_nwb

        entities = key_values(attr or [], "attr", text=True)
        ds = read_checked(source, modality, option).assign_attrs(entities)
        typer.echo(to_nwb(ds, target))
        return
    from neuroana.core import step

    params = {
        "modality": modality,
        "options": key_values(option or [], "option"),
        "attrs": key_values(attr or [], "attr", text=True),
    }
    step.run("io.read", {"file": source}, {"recording": target}, params)
    typer.echo(target)
