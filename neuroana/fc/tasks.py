"""The tasks of a benchmark: what a good operator is good for.

A task is a function of an operator's matrices and of the people; it returns a score
(higher is better), its bootstrap over people and its null. Arguments are checked before
any operator runs, by the function that :func:`checks` names beside it.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from neuroana.core.checks import check_choice, check_names, message
from neuroana.core.errors import ParameterError
from neuroana.fc.task_data import Design, Measured, Outcome


MODULES = ("identity_tasks", "label_tasks", "region_tasks")
TASKS: dict[str, Callable[..., Outcome]] = {}
CHECKS: dict[str, Callable[..., None]] = {}


@dataclass(init=False, eq=False, repr=False)
class Task:
    """A task with its options, as :class:`OperatorBenchmark` takes it.

    Parameters
    ----------
    name : str
        ``'fingerprint'``: pairs of samples of one person against other pairs; `score`
        dprime, diff, idrate, discriminability or icc.
        ``'test_retest'``: agreement of two sessions; `column`, `score` icc or r.
        ``'group'``: `label` (a column), `score` auc (ridge, out of fold) or margin
        (d' of pairs with the same label), `confounds` (columns).
        ``'trait'``: `column`, `score` r or r2, `confounds`.
        ``'structure'``: `reference` (roi, roi). ``'distance'``: regions with x, y, z.
        ``'network'``: regions with a network. ``'truth'``: `graph` (source, target).
    params : dict, optional
        Options; may be given as keywords instead.

    Examples
    --------
    >>> Task("group", label="diagnosis", score="margin").label
    'group(label=diagnosis,score=margin)'
    """

    name: str
    params: dict[str, Any]

    def __init__(self, name, params=None, **options):
        self.name = name
        self.params = {**(params or {}), **options}

    def __repr__(self) -> str:
        options = "".join(f", {k}={v!r}" for k, v in self.params.items())
        return f"Task({self.name!r}{options})"

    @property
    def label(self) -> str:
        """Short name for tables; arrays are left out."""
        short = {k: v for k, v in sorted(self.params.items())
                 if isinstance(v, str | int | float)}  # fmt: skip
        options = ",".join(f"{k}={v}" for k, v in short.items())
        return f"{self.name}({options})" if options else self.name

    def check(self, design: Design) -> None:
        """Stop where the people at hand do not allow the task."""
        load_tasks()
        known = TASKS[self.name].__code__
        allowed = known.co_varnames[2 : known.co_argcount + known.co_kwonlyargcount]
        check_names(f"option of task {self.name!r}", self.params, allowed)
        CHECKS[self.name](design, **self.params)

    def evaluate(self, measured: Measured, design: Design) -> Outcome:
        """Score one operator."""
        load_tasks()
        return TASKS[self.name](measured, design, **self.params)


def load_tasks() -> dict[str, Callable[..., Outcome]]:
    """All tasks by name."""
    for module in MODULES:
        importlib.import_module(f"neuroana.fc.{module}")
    return TASKS


def as_tasks(tasks) -> list[Task]:
    """Names or :class:`Task` as checked tasks.

    Examples
    --------
    >>> as_tasks("fingerprint")
    [Task('fingerprint')]
    """
    tasks = [tasks] if isinstance(tasks, str | Task) else list(tasks)
    made = [t if isinstance(t, Task) else Task(t) for t in tasks]
    for one in made:
        check_choice("tasks", one.name, load_tasks())
    if len({t.label for t in made}) < len(made):
        raise ParameterError(message("argument 'tasks'", "each once",
                                     [t.label for t in made]))  # fmt: skip
    return made


def task(name: str, check: Callable[..., None]) -> Callable:
    """Register a task's function and the check of its arguments."""

    def register(function):
        TASKS[name], CHECKS[name] = function, check
        return function

    return register
