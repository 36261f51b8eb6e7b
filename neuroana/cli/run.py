"""``neuroana run``: run a pipeline, or go on with one that was stopped."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    name: Annotated[str, typer.Argument(help="The pipeline, for example switching.")],
    config: Annotated[Path, typer.Option(help="Its configuration.")] = Path(
        "config.yaml"
    ),
    profile: Annotated[str, typer.Option(help="default, slurm, or a folder.")] = (
        "default"
    ),
    cores: Annotated[int | None, typer.Option(help="Instead of the profile's.")] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this rule.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only say what would be done.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed before.")
    ] = False,
    unlock: Annotated[
        bool, typer.Option("--unlock", help="Remove the lock of a killed run.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say less.")] = False,
) -> None:
    """Run a pipeline through Snakemake; only what is missing or changed is done."""
    from neuroana.workflow import run

    outcome = run(
        name,
        config,
        profile=profile,
        cores=cores,
        until=until,
        dry_run=dry_run,
        retry_failed=retry_failed,
        unlock=unlock,
        quiet=quiet,
    )
    if outcome.report is not None and not dry_run:
        typer.echo(outcome.report)
