"""Pieces of the command line that several verbs share."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


AnyFile = Annotated[Path, typer.Argument(help="A recording, of any known format.")]
Modality = Annotated[
    str | None, typer.Option(help="eeg, ieeg, fmri, calcium or spikes.")
]
ReaderOptions = Annotated[
    list[str] | None,
    typer.Option("--option", help="Reader's option, repeatable: sampling_rate=0.5"),
]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]


def read_checked(path: Path, modality: str | None, options: list[str] | None) -> Any:
    """Read a recording with the options of the command line, and check it."""
    from neuroana.core.contract import check
    from neuroana.io.dispatch import read

    return check(read(path, modality=modality, **key_values(options or [], "option")))


def key_values(given: list[str], what: str, *, text: bool = False) -> dict[str, Any]:
    """Parse ``key=value`` words; values are YAML, so numbers and lists come out right.

    With `text` they stay as they stand: ``subject=01`` keeps its zero.

    Raises
    ------
    ParameterError
        If a word has no ``=``.
    """
    import yaml

    values: dict[str, Any] = {}
    for word in given:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ParameterError(message(f"--{what}", "key=value", repr(word)))
        try:
            parsed = value if text else yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ParameterError(
                message(f"--{what} {key}", "a value", value)
            ) from error
        values[key.replace("-", "_")] = parsed
    return values


def named_paths(given: list[str], what: str) -> dict[str, list[Path]]:
    """Parse ``name=path`` words; a name may come several times."""
    paths: dict[str, list[Path]] = {}
    for word in given:
        name, equals, path = word.partition("=")
        if not equals or not name or not path:
            raise ParameterError(message(f"--{what}", "name=path", repr(word)))
        paths.setdefault(name, []).append(Path(path))
    return paths


def print_json(value: Any) -> None:
    """Print a value as JSON, for scripts."""
    from neuroana.core.provenance import plain

    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def print_table(columns: list[str], rows: list[list[Any]]) -> None:
    """Print a table: drawn in a terminal, tab-separated in a pipe."""
    import sys

    if not sys.stdout.isatty():
        for row in [columns, *rows]:
            typer.echo("\t".join(map(str, row)))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns)
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)
