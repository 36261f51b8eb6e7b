"""``neuroana init``: set a pipeline up in a folder."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    name: Annotated[str, typer.Argument(help="The pipeline, for example switching.")],
    folder: Annotated[Path, typer.Argument(help="Where; made if needed.")] = Path("."),
) -> None:
    """Write a pipeline's commented configuration and its profiles into a folder."""
    from neuroana.workflow import init

    typer.echo(init(name, folder))
