"""Jobs in worker processes with a limit of time and of memory each.

A job that fails, hangs or takes too much memory ends alone: its process is stopped, the
verdict says why, and the others go on. Workers are forked where the system can, so that
operators defined in a notebook are known to them.
"""

import os
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from neuroana.fc.limits import cap_memory, process_context


POLL = 0.2  # seconds between two looks at the memory of the workers
GRACE = 64 * 2**20  # bytes above the limit before the watchdog stops a worker


@dataclass(frozen=True)
class Job:
    """A call with its limits.

    Attributes
    ----------
    function : callable
        Writes its own results; what it returns is dropped.
    arguments : tuple
    time_limit : float or None
        Seconds on the wall.
    memory_limit : int or None
        Bytes beyond those of a fresh worker.
    """

    function: Callable[..., Any]
    arguments: tuple = ()
    time_limit: float | None = None
    memory_limit: int | None = None


@dataclass(frozen=True)
class Verdict:
    """How a job ended: ok, error, timeout or oom, with its cost."""

    status: str
    message: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0


def resident_bytes(pid: int) -> int:
    """Memory that a process holds, 0 where that cannot be told."""
    try:
        if sys.platform == "linux":
            with open(f"/proc/{pid}/statm") as file:
                return int(file.read().split()[1]) * resource.getpagesize()
        said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)],
                              capture_output=True, text=True)  # fmt: skip
        return int(said.stdout or 0) * 1024
    except (OSError, ValueError, IndexError):
        return 0


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def _work(job: Job, pipe) -> None:
    start, before = time.perf_counter(), _peak_bytes()
    status, said = "ok", ""
    try:
        if job.memory_limit is not None:
            cap_memory(job.memory_limit)
        job.function(*job.arguments)
    except MemoryError as error:
        status, said = "oom", str(error) or "out of memory"
    except BaseException as error:
        status, said = "error", f"{type(error).__name__}: {error}"
    used = time.process_time()
    wall = time.perf_counter() - start
    pipe.send((status, said, wall, used, max(0, _peak_bytes() - before) / 2**20))
    pipe.close()


@dataclass
class _Running:
    job: Job
    process: Any
    pipe: Any
    start: float
    first_bytes: int


def _started(job: Job, context) -> _Running:
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, send), daemon=True)
    process.start()
    send.close()
    return _Running(job, process, receive, time.perf_counter(),
                    resident_bytes(process.pid))  # fmt: skip


def run_capped(queue: deque, *, n_jobs: int = 1) -> Iterator[tuple[Job, Verdict]]:
    """Run jobs, each in a process of its own, and yield how each ended.

    Parameters
    ----------
    queue : deque of Job
        More may be put in while the verdicts come.
    n_jobs : int
        Workers at a time; -1 for one a core.

    Yields
    ------
    job, verdict

    Examples
    --------
    >>> job = Job(time.sleep, (60,), time_limit=0.3)
    >>> [v.status for _, v in run_capped(deque([job, Job(abs, (-1,))]))]
    ['timeout', 'ok']
    """
    n_jobs = n_jobs if n_jobs > 0 else os.cpu_count() or 1
    context = process_context()
    running: list[_Running] = []
    try:
        while queue or running:
            while queue and len(running) < n_jobs:
                running.append(_started(queue.popleft(), context))
            wait([r.pipe for r in running], timeout=POLL)
            for one in list(running):
                verdict = _looked_at(one)
                if verdict is not None:
                    running.remove(one)
                    yield one.job, verdict
    finally:
        for one in running:
            one.process.kill()
            one.process.join()


def _looked_at(one: _Running) -> Verdict | None:
    """Verdict of a worker that ended or has to end, None for one that goes on."""
    wall = time.perf_counter() - one.start
    if one.pipe.poll():
        try:
            status, said, wall, used, peak = one.pipe.recv()
            verdict = Verdict(status, said, wall, used, peak)
        except EOFError:
            one.process.join()
            code = one.process.exitcode
            status = "oom" if code == -9 else "error"
            verdict = Verdict(status, f"the worker died with exit code {code}", wall)
        one.process.join()
        one.pipe.close()
        return verdict
    limit = one.job.time_limit
    if limit is not None and wall > limit:
        return _stopped(one, "timeout", f"not ready after {limit:g} s", wall)
    extra = resident_bytes(one.process.pid) - one.first_bytes
    room = one.job.memory_limit
    if room is not None and extra > room + GRACE:
        said = f"{extra / 2**20:.0f} MB held, {room / 2**20:.0f} MB allowed"
        return _stopped(one, "oom", said, wall, extra / 2**20)
    return None


def _stopped(one: _Running, status, said, wall, peak=0.0) -> Verdict:
    one.process.kill()
    one.process.join()
    one.pipe.close()
    return Verdict(status, said, wall, wall, peak)
