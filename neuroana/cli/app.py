"""The application: which verbs there are, and how errors come out.

Exit codes: 0 done, 1 a run failed, 2 the input or the arguments are at fault.
Every verb imports what it needs when it is called, so ``--help`` is quick.
"""

import logging
import os
import sys
import warnings
from typing import Annotated

import typer

from neuroana import __version__
from neuroana.cli import (
    convert,
    doctor,
    fetch,
    info,
    init,
    report,
    run,
    show,
    step,
    verify,
)
from neuroana.core.errors import FailedRunError, NeuroanaError


app = typer.Typer(
    name="neuroana",
    help="Recordings of the nervous system, and published models on them.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (info, convert, fetch, show, init, run, step, report, verify, doctor):
    app.command(verb.__name__.rpartition(".")[2])(verb.command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"neuroana {__version__}")
        raise typer.Exit


@app.callback()
def common(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say more on the way.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error came from.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Version."),
    ] = False,
) -> None:
    """Options that stand before the verb."""
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    if traceback:
        os.environ["NEUROANA_TRACEBACK"] = "1"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    warnings.showwarning = _show_warning
    try:
        code = app(arguments, standalone_mode=False)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.Abort:
        _say("stopped")
        sys.exit(130)
    except KeyboardInterrupt:
        _say("stopped")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        _leave(error)
    sys.exit(code if isinstance(code, int) else 0)


def _show_warning(text: Warning | str, category: type[Warning], *place: object) -> None:
    _say(f"warning: {text}")


def _leave(error: Exception) -> None:
    if os.environ.get("NEUROANA_TRACEBACK"):
        raise error
    show_usage = getattr(error, "show", None)
    if callable(show_usage):  # a usage error of the command-line library
        show_usage()
        sys.exit(getattr(error, "exit_code", 2))
    if isinstance(error, FailedRunError):
        _say(f"error: {error}")
        sys.exit(1)
    if isinstance(error, NeuroanaError | FileNotFoundError | IsADirectoryError):
        _say(f"error: {error}")
        sys.exit(2)
    if isinstance(error, OSError):
        _say(f"error: {error.strerror or error}: {error.filename or ''}")
        sys.exit(2)
    _say(
        f"error: {type(error).__name__}: {error}\n"
        "This should not happen. To report it: neuroana --traceback ... shows where."
    )
    sys.exit(1)


def _say(text: str) -> None:
    typer.echo(text, err=True)
