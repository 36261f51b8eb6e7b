"""``neuroana verify``: are the results whole, and did anything fail?"""

from pathlib import Path
from typing import Annotated

import typer

from neuroana.cli.options import AsJson, print_json, print_table
from neuroana.core.checks import message
from neuroana.core.errors import CorruptFileError, FailedRunError, ParameterError


def command(
    folder: Annotated[Path, typer.Argument(help="Folder of results.")] = Path(
        "results"
    ),
    json: AsJson = False,
) -> None:
    """Check every result against its checksum, and list failures and leftovers."""
    from neuroana.core.step import failure_of
    from neuroana.core.store import verify

    if not folder.is_dir():
        raise ParameterError(message(f"{folder}", "a folder of results", "none"))
    rows = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if ".snakemake" in path.parts:
            continue
        state, note = "", ""
        if path.suffix == ".part":
            state, note = "leftover", "of a killed run; may be deleted"
        elif failure := failure_of(path):
            state, note = "failed", f"{failure['step']}: {failure['error']}"
        elif path.suffix == ".nc":
            try:
                state = "whole" if verify(path) else "no checksum"
            except CorruptFileError as error:
                state, note = "damaged", str(error)
        if state:
            rows.append([str(path.relative_to(folder)), state, note])
    if json:
        keys = ("file", "state", "note")
        print_json([dict(zip(keys, row)) for row in rows])
    else:
        print_table(["file", "state", "note"], rows)
    wrong = [row[0] for row in rows if row[1] in ("failed", "damaged")]
    if wrong:
        raise FailedRunError(f"{len(wrong)} of {len(rows)} results are not usable.")
