"""A pipeline step: one function with files in, files out and checked parameters.

The command line, Snakemake and ``na.run`` all go through :func:`run`; schema and
documentation follow from the parameters' pydantic model. Steps of a folder live
in its ``steps.py`` and are found by name, ``<folder>.<step>``, without importing
any other folder.

A step that fails on its data can leave a *failure record* in place of its outputs
(:func:`run` with ``record_failure=True``): the other recordings of a study go on,
later steps leave the failed one out, and the run ends with a table of failures.
"""

import importlib
import json
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from neuroana.core.checks import did_you_mean, message
from neuroana.core.errors import FailedRunError, NeuroanaError, ParameterError
from neuroana.core.store import write_text


FAILURE = '{"neuroana_failure"'
STEPS: dict[str, "Step"] = {}

logger = logging.getLogger(__name__)


class Parameters(BaseModel):
    """Base of the parameters of a step: unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


@dataclass(frozen=True)
class File:
    """One input or output of a step.

    Attributes
    ----------
    about : str
        What is in it.
    many : bool
        An input of one or more files.
    optional : bool
        An input that may be left out.
    """

    about: str
    many: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Step:
    """A registered step: its name, function, files and parameters."""

    name: str
    function: Callable[[dict[str, Any], dict[str, Path], Any], None]
    inputs: Mapping[str, File]
    outputs: Mapping[str, File]
    params: type[Parameters]

    @property
    def about(self) -> str:
        """First line of the function's docstring."""
        return (self.function.__doc__ or "").strip().splitlines()[0]


def pipeline_step(
    name: str,
    *,
    inputs: Mapping[str, File],
    outputs: Mapping[str, File],
    params: type[Parameters],
) -> Callable:
    """Register a function ``(inputs, outputs, params)`` as the step `name`.

    Parameters
    ----------
    name : str
        ``<folder>.<step>``, for example ``'switching.fit'``.
    inputs, outputs : mapping of str to File
        What the function finds in its first two arguments: a Path, or a list of
        them for ``many``.
    params : type
        Its parameters, a :class:`Parameters`.
    """

    def register(function: Callable) -> Callable:
        STEPS[name] = Step(name, function, inputs, outputs, params)
        return function

    return register


def find(name: str) -> Step:
    """Return a step by name, importing its folder's ``steps.py`` only.

    Raises
    ------
    ParameterError
        If there is none, with the nearest name.
    """
    folder = name.partition(".")[0]
    if folder in folders():
        importlib.import_module(f"neuroana.{folder}.steps")
    if name not in STEPS:
        known = names()
        raise ParameterError(
            message("step", f"one of {', '.join(known)}", repr(name))
            + f" {did_you_mean(name, known)}".rstrip()
        )
    return STEPS[name]


def folders() -> list[str]:
    """Folders of the package that have steps; nothing is imported.

    Examples
    --------
    >>> "switching" in folders()
    True
    """
    package = Path(__file__).resolve().parents[1]
    return sorted(path.parent.name for path in package.glob("*/steps.py"))


def names() -> list[str]:
    """Names of all steps; imports every folder's ``steps.py``."""
    for folder in folders():
        importlib.import_module(f"neuroana.{folder}.steps")
    return sorted(STEPS)


def parse(kind: type[Parameters], params: Mapping[str, Any], where: str) -> Any:
    """Check parameters against their model; name what is wrong and the nearest name.

    Raises
    ------
    ParameterError
        With one sentence a problem.
    """
    try:
        return kind.model_validate(dict(params))
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            name = ".".join(map(str, problem["loc"]))
            if problem["type"] == "extra_forbidden":
                hint = did_you_mean(name, kind.model_fields)
                problems.append(
                    message(
                        f"{where}: parameter {name!r}",
                        f"one of {', '.join(kind.model_fields) or 'none'}",
                        "an unknown name",
                    )
                    + f" {hint}".rstrip()
                )
            else:
                problems.append(
                    f"{where}: parameter {name!r}: {problem['msg']}, "
                    f"got {problem['input']!r}."
                )
        raise ParameterError(" ".join(problems)) from error


def run(
    name: str,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    params: Mapping[str, Any] | None = None,
    *,
    record_failure: bool = False,
) -> None:
    """Run one step.

    Parameters
    ----------
    name : str
        Name of the step.
    inputs : mapping of str to path or list of paths
        Its input files. Failure records among several files are left out; where
        nothing else is left, the failure passes on to the outputs.
    outputs : mapping of str to path
        Where its results go.
    params : mapping, optional
        Its parameters.
    record_failure : bool, default=False
        Write a failure record instead of raising when the data are at fault.

    Raises
    ------
    ParameterError
        If names or parameters are wrong; never recorded.
    NeuroanaError, OSError
        What the step raises, unless recorded.
    """
    chosen = find(name)
    given = _paths(chosen, "input", chosen.inputs, inputs)
    targets = _paths(chosen, "output", chosen.outputs, outputs)
    settings = parse(chosen.params, params or {}, name)
    failed = _drop_failed(chosen, given)
    try:
        if failed:
            raise FailedRunError(failed)
        chosen.function(given, targets, settings)
    except Exception as error:
        if not record_failure:
            raise
        logger.error("%s failed: %s", name, error)
        for target in targets.values():
            write_failure(target, name, error)
        return
    for label, target in targets.items():
        if not target.exists():
            raise FailedRunError(
                message(f"{name}: output {label!r}", f"a file {target}", "none")
            )


def _paths(
    chosen: Step, what: str, files: Mapping[str, File], given: Mapping[str, Any]
) -> dict[str, Any]:
    unknown = [n for n in given if n not in files]
    missing = [n for n, f in files.items() if n not in given and not f.optional]
    if unknown or missing:
        raise ParameterError(
            message(
                f"{chosen.name}: {what}s",
                ", ".join(files) or "none",
                f"{', '.join(given) or 'none'}; missing {missing}, unknown {unknown}",
            )
        )
    paths: dict[str, Any] = {}
    for name, value in given.items():
        several = [
            Path(v) for v in ([value] if isinstance(value, str | Path) else value)
        ]
        if what == "input":
            absent = [p for p in several if not p.exists()]
            if absent:
                raise ParameterError(
                    message(
                        f"{chosen.name}: input {name!r}",
                        "a file",
                        f"nothing at {absent[0]}",
                        "check the path, or run the step that makes it",
                    )
                )
        if len(several) != 1 and not files[name].many:
            raise ParameterError(
                message(f"{chosen.name}: {what} {name!r}", "one path", len(several))
            )
        paths[name] = several if files[name].many else several[0]
    return paths


def _drop_failed(chosen: Step, given: dict[str, Any]) -> str:
    """Remove failure records from inputs; return the reason if nothing is left."""
    for name, value in given.items():
        several = value if isinstance(value, list) else [value]
        failures = [failure_of(p) for p in several]
        good = [p for p, f in zip(several, failures) if f is None]
        if several and not good:
            first = next(f for f in failures if f)
            return f"{first['step']}: {first['error']}"
        if isinstance(value, list):
            given[name] = good
    return ""


def write_failure(path: str | Path, step: str, error: BaseException) -> None:
    """Write a failure record in place of a result."""
    lines = traceback.format_exception(error)
    text = {
        "neuroana_failure": 1,
        "step": step,
        "error": f"{type(error).__name__}: {error}",
        "traceback": "".join(lines) if not isinstance(error, NeuroanaError) else "",
    }
    write_text(json.dumps(text, indent=None), path)


def failure_of(path: str | Path) -> dict[str, Any] | None:
    """Return the failure record in a file, or None if it holds a result."""
    path = Path(path)
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        if file.read(len(FAILURE)) != FAILURE.encode():
            return None
    return json.loads(path.read_text(encoding="utf-8"))


def failures(folder: str | Path) -> list[tuple[Path, dict[str, Any]]]:
    """All failure records below a folder, in the order of their paths."""
    found = ((p, failure_of(p)) for p in sorted(Path(folder).rglob("*")))
    return [(p, f) for p, f in found if f is not None]


def parameter_table(kind: type[Parameters]) -> list[tuple[str, str, str, str]]:
    """Rows (name, type, default, description) of a step's parameters."""
    rows = []
    for name, field in kind.model_fields.items():
        annotation = field.annotation
        type_text = getattr(annotation, "__name__", None) or str(annotation)
        if "[" in str(annotation) or "|" in str(annotation):
            type_text = str(annotation).replace("typing.", "")
        default = (
            "required"
            if field.is_required()
            else json.dumps(field.get_default(call_default_factory=True), default=str)
        )
        rows.append((name, type_text, default, field.description or ""))
    return rows


def commented_yaml(kind: type[Parameters], *, indent: int = 0) -> str:
    """Write the defaults of a step as YAML, one comment a parameter."""
    import yaml

    pad = " " * indent
    lines: Sequence[str] = []
    for name, _, _, about in parameter_table(kind):
        field = kind.model_fields[name]
        if field.is_required():
            value = "null"
        else:
            default = field.get_default(call_default_factory=True)
            value = yaml.safe_dump(default, default_flow_style=True).strip()
            value = value.removesuffix("...").strip()
        lines = [*lines, f"{pad}{name}: {value}" + (f"  # {about}" if about else "")]
    return "\n".join(lines)
