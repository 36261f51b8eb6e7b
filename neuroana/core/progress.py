"""A progress bar with an ETA: on in a terminal or notebook, off anywhere else."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar


Item = TypeVar("Item")


def is_on(progress: bool | None = None) -> bool:
    """Tell whether a bar is shown.

    Parameters
    ----------
    progress : bool, optional
        True or False decide; None asks the variable ``NEUROANA_PROGRESS`` (0 or 1),
        then whether standard error is a terminal or a notebook listens, and is
        False under ``CI``.

    Examples
    --------
    >>> is_on(False)
    False
    """
    if progress is not None:
        return bool(progress)
    asked = os.environ.get("NEUROANA_PROGRESS")
    if asked is not None:
        return asked not in ("", "0")
    if os.environ.get("CI"):
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def track(
    items: Iterable[Item],
    what: str,
    *,
    total: int | None = None,
    progress: bool | None = None,
) -> Iterator[Item]:
    """Yield `items`, showing how many are done and when the last one will be.

    Call it in the parent process only: workers never draw.

    Examples
    --------
    >>> list(track([1, 2], "counting", progress=False))
    [1, 2]
    """
    if not is_on(progress):
        yield from items
        return
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    yield from rich_track(items, description=what, total=total, console=console)
