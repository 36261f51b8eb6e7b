"""A call that may not take longer, or more memory, than it is allowed.

The call runs in a process of its own, which is killed at the limit: a kernel that hangs
inside a library cannot be stopped in any other way.
"""

import multiprocessing
import time
from collections.abc import Callable
from typing import Any

from neuroana.core.checks import message
from neuroana.core.errors import NeuroanaError


PATIENCE = 5.0  # seconds that a killed process is waited for


class TimeLimitError(NeuroanaError, TimeoutError):
    """A call was still running at its time limit."""


class MemoryLimitError(NeuroanaError, MemoryError):
    """A call asked for more memory than it was allowed."""


def run_limited(
    function: Callable,
    *args: Any,
    time_limit: float | None = None,
    memory_limit: int | None = None,
    what: str = "the call",
) -> Any:
    """Result of ``function(*args)``, computed in a child process within limits.

    Use it for code that may hang or take all memory. Costs a fork and sending the
    result back, a few ms and twice the result.

    Parameters
    ----------
    function : callable
    *args
    time_limit : float, optional
        Seconds on the clock.
    memory_limit : int, optional
        Bytes beyond what this process holds already; enforced where the system can
        (Linux).
    what : str
        Name for messages.

    Raises
    ------
    TimeLimitError, MemoryLimitError
        At the limits.
    Exception
        What the function raised.

    Examples
    --------
    >>> run_limited(sum, [1, 2], time_limit=30.0)
    3
    """
    context = process_context()
    here, there = context.Pipe(duplex=False)
    child = context.Process(
        target=_answer, args=(there, memory_limit, function, args), daemon=True
    )
    child.start()
    there.close()
    end = None if time_limit is None else time.monotonic() + time_limit
    try:
        left = None if end is None else max(0.0, end - time.monotonic())
        if not here.poll(left):
            raise TimeLimitError(
                message(what, f"an answer within {time_limit:g} s", "none yet",
                        "allow more time, or use fewer samples or regions")
            )  # fmt: skip
        kind, result = here.recv()
    except EOFError as error:
        child.join(PATIENCE)
        raise MemoryLimitError(
            message(what, "an answer", f"a process that ended with {child.exitcode}",
                    "it may have run out of memory: use fewer samples or regions")
        ) from error  # fmt: skip
    finally:
        child.kill()
        child.join(PATIENCE)
        here.close()
    if kind == "memory":
        raise MemoryLimitError(
            message(what, f"at most {memory_limit} bytes", result,
                    "raise the memory limit, or use fewer samples or regions")
        )  # fmt: skip
    if kind == "error":
        raise result
    return result


def _answer(pipe: Any, memory_limit: int | None, function: Callable, args: tuple):
    """In the child: compute, and send what came of it."""
    try:
        if memory_limit is not None:
            cap_memory(memory_limit)
        answer = ("result", function(*args))
    except MemoryError as error:
        answer = ("memory", f"MemoryError: {error}")
    except Exception as error:
        answer = ("error", error)
    try:
        pipe.send(answer)
    except (TypeError, AttributeError, ValueError) as error:  # it cannot be sent
        pipe.send(("error", RuntimeError(f"{answer[1]!r} ({error})")))
    pipe.close()


def cap_memory(n_bytes: int) -> None:
    """Let this process take no more than some bytes beyond what it has, on Linux."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            held = int(file.read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = held + n_bytes
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    except (ImportError, OSError, ValueError):
        return


def process_context() -> Any:
    """Where processes are made: by a fork if the system can, so that they know all."""
    kinds = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("fork" if "fork" in kinds else "spawn")
