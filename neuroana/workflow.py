"""Pipelines from a notebook or a script: set one up, run it, see what failed.

A pipeline is a Snakemake workflow that travels with the package. :func:`init`
writes its configuration into a folder of yours, :func:`run` runs it there, on this
machine or on a cluster. A killed run is continued by running it again.
"""

import glob
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from neuroana.core.checks import check_choice, did_you_mean, message, require
from neuroana.core.errors import FailedRunError, ParameterError
from neuroana.core.step import commented_yaml, failures, find, parse
from neuroana.core.store import atomic_path, write_text


COMMON = {
    "results": "folder for everything that is made",
    "title": "heading of the report",
    "pool": "one model for all recordings (true), a subject (subject), or each (false)",
    "pattern": "files to read, e.g. data/*_timeseries.tsv; each is named by its stem",
    "recordings": "further ones by name: path or sample, with options of their own",
}
DEFAULTS: dict[str, Any] = {
    "results": "results",
    "title": None,
    "pool": False,
    "pattern": None,
    "recordings": {},
}
ENTRY = ("path", "sample", "modality", "options", "attrs", "model")

logger = logging.getLogger(__name__)


@dataclass
class Run:
    """What a run came to.

    Attributes
    ----------
    folder : Path
        The project.
    results : Path
        Where its results are.
    report : Path or None
        The report, once it is written.
    failed : list of (path, record)
        Results that could not be made, with step and error.
    log : str
        What Snakemake said.
    """

    folder: Path
    results: Path
    report: Path | None
    failed: list[tuple[Path, dict[str, Any]]] = field(default_factory=list)
    log: str = field(default="", repr=False)

    def _repr_html_(self) -> str:
        from html import escape

        link = "no report yet"
        if self.report is not None:
            uri, name = escape(self.report.as_uri()), escape(str(self.report))
            link = f'<a href="{uri}">{name}</a>'
        failed = "".join(
            f"<li>{escape(str(p))}: {escape(str(r['error']))}</li>"
            for p, r in self.failed
        )
        return f"<b>Run</b> in {escape(str(self.folder))}: {link}<ul>{failed}</ul>"


def pipelines_folder() -> Path:
    """Folder of the pipelines: the checkout's own, or the installed package's."""
    checkout = Path(__file__).resolve().parents[1] / "pipelines"
    if (checkout / "switching" / "pipeline.yaml").is_file():
        return checkout
    return Path(str(resources.files("neuroana._pipelines")))


def pipelines() -> dict[str, str]:
    """Names of the pipelines, with what each does.

    Examples
    --------
    >>> list(pipelines())
    ['connectome', 'eeg2fmri', 'fc', 'switching']
    """
    found = sorted(pipelines_folder().glob("*/pipeline.yaml"))
    return {path.parent.name: _description(path.parent.name)["about"] for path in found}


def _description(name: str) -> dict[str, Any]:
    path = pipelines_folder() / name / "pipeline.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def default_config(name: str) -> str:
    """Configuration of a pipeline with every default and a comment on each.

    Examples
    --------
    >>> yaml.safe_load(default_config("switching"))["pool"]
    False
    """
    check_choice("name", name, pipelines())
    description = _description(name)
    lines = [f"# {description['about']}.", f"# Run it here: neuroana run {name}", ""]
    for key, about in COMMON.items():
        if key == "recordings":
            lines.append(f"{key}:  # {about}")
            continue
        value = description.get(key, DEFAULTS[key])
        value = yaml.safe_dump(value, default_flow_style=True)
        lines.append(
            f"{key}: {value.removesuffix(chr(10)).removesuffix('...').strip()}"
            f"  # {about}"
        )
    lines += [f"#  {example}" for example in description["examples"]]
    for section, step in description["sections"].items():
        chosen = find(step)
        lines += ["", f"# {chosen.about}", f"{section}:"]
        lines.append(commented_yaml(chosen.params, indent=2))
    return "\n".join(lines) + "\n"


def init(name: str, folder: str | Path = ".") -> Path:
    """Set up a pipeline: its configuration and profiles, in a folder of yours.

    Parameters
    ----------
    name : str
        One of :func:`pipelines`.
    folder : str or Path
        Made if needed. Files that are there already are left alone.

    Returns
    -------
    Path
        The configuration, to be edited.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sorted(p.name for p in init("switching", folder).parent.iterdir())
    ['config.yaml', 'profiles']
    """
    folder = Path(folder)
    config = folder / "config.yaml"
    text = default_config(name)
    if not config.exists():
        write_text(text, config)
    for profile in sorted((pipelines_folder() / "profiles").iterdir()):
        target = folder / "profiles" / profile.name / "config.yaml"
        if profile.is_dir() and not target.exists():
            source = profile / "config.yaml"
            write_text(source.read_text(encoding="utf-8"), target)
    return config


def read_config(name: str, config: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """Read and check a configuration.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ParameterError
        Naming section and parameter, with the nearest name for a misspelt one.
    """
    check_choice("name", name, pipelines())
    where = "config"
    if not isinstance(config, Mapping):
        where = str(config)
        if not Path(config).is_file():
            raise FileNotFoundError(
                message(where, "a configuration", "none", f"neuroana init {name}")
            )
        try:
            config = yaml.safe_load(Path(config).read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise ParameterError(message(where, "YAML", error)) from error
    if not isinstance(config, Mapping):
        raise ParameterError(message(where, "a mapping", type(config).__name__))
    sections = _description(name)["sections"]
    _known(where, config, [*COMMON, *sections])
    checked = {**DEFAULTS, "title": _description(name)["title"], **config}
    for section, step in sections.items():
        parse(find(step).params, checked.get(section) or {}, f"{where}: {section}")
    entries = checked["recordings"] or {}
    for entry_name, entry in entries.items():
        place = f"{where}: recordings: {entry_name}"
        _known(place, entry or {}, [*ENTRY, *sections])
        if ("path" in (entry or {})) == ("sample" in (entry or {})):
            raise ParameterError(message(place, "either path or sample", entry))
        for section, step in sections.items():
            if section in entry and section != "read":
                both = {**(checked.get(section) or {}), **entry[section]}
                parse(find(step).params, both, f"{place}: {section}")
    if not entries and not checked["pattern"]:
        raise ParameterError(
            message(where, "recordings", "none", "name files in recordings or pattern")
        )
    return checked


def _known(where: str, given: Mapping[str, Any], known: list[str]) -> None:
    for key in given:
        if key not in known:
            raise ParameterError(
                message(
                    f"{where}: {key!r}", f"one of {', '.join(known)}", "an unknown key"
                )
                + f" {did_you_mean(key, known)}".rstrip()
            )


def run(
    name: str,
    config: str | Path | Mapping[str, Any] = "config.yaml",
    *,
    folder: str | Path | None = None,
    profile: str = "default",
    cores: int | None = None,
    dry_run: bool = False,
    unlock: bool = False,
    retry_failed: bool = False,
    until: str | None = None,
    quiet: bool = True,
) -> Run:
    """Run a pipeline, or go on with one that was stopped.

    Parameters
    ----------
    name : str
        One of :func:`pipelines`.
    config : path or mapping, default='config.yaml'
        The configuration. A mapping is written to ``config.yaml`` in `folder`.
    folder : path, optional
        The project; the configuration's own folder otherwise.
    profile : str, default='default'
        ``'default'``, ``'slurm'``, or the path of a Snakemake profile.
    cores : int, optional
        Instead of the profile's.
    dry_run : bool, default=False
        Say what would be done, and do nothing.
    unlock : bool, default=False
        Remove the lock of a run that was killed on another machine.
    retry_failed : bool, default=False
        Try again what failed before.
    until : str, optional
        Stop after this rule.
    quiet : bool, default=True
        Keep Snakemake's messages in :attr:`Run.log` instead of showing them.

    Returns
    -------
    Run

    Raises
    ------
    ParameterError, FileNotFoundError
        If the configuration is wrong.
    FailedRunError
        If Snakemake stops, or a result could not be made: ``status.tsv`` in the
        results lists which, and everything else is there.

    Examples
    --------
    >>> import tempfile
    >>> config = {"recordings": {"rest": {"sample": "fmri_rest_31roi"}}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     outcome = run("switching", config, folder=folder, dry_run=True)
    >>> "Read rest" in outcome.log
    True
    """
    require("snakemake", "workflow")
    if isinstance(config, Mapping):
        folder = Path(folder or ".").resolve()
        checked = read_config(name, config)
        config_path = folder / "config.yaml"
        text = yaml.safe_dump(dict(config), sort_keys=False)
        if not config_path.exists() or config_path.read_text("utf-8") != text:
            write_text(text, config_path)
    else:
        config_path = Path(config).resolve()
        checked = read_config(name, config_path)
        folder = Path(folder or config_path.parent).resolve()
    _check_pattern(checked["pattern"], folder)
    results = folder / str(checked["results"])
    command = [
        sys.executable, "-m", "snakemake",
        "--snakefile", str(pipelines_folder() / name / "workflow" / "Snakefile"),
        "--directory", str(folder),
        "--configfile", str(config_path),
        "--profile", str(_profile(profile, folder)),
        "--rerun-incomplete",
        "--config", f"python={sys.executable}",
    ]  # fmt: skip
    command += ["--cores", str(cores)] if cores else []
    command += ["--dry-run"] if dry_run else []
    command += ["--until", until] if until else []
    if retry_failed:
        for path, _ in failures(results):
            path.unlink()
    with _only_run(folder, command, unlock=unlock, dry_run=dry_run) as started:
        code, log = _call(command, quiet=quiet, started=started)
    failed = [] if dry_run else failures(results)
    report = results / "report.html"
    outcome = Run(folder, results, report if report.is_file() else None, failed, log)
    if not dry_run and results.is_dir():
        _write_status(outcome)
    if code != 0:
        raise FailedRunError(
            message(
                f"pipeline {name!r} in {folder}",
                "Snakemake to end well",
                f"exit code {code}",
                f"see the logs in {results / 'logs'}; run it again to go on",
            )
            + f"\n{_last_words(log)}"
        )
    if failed:
        passed_on = FailedRunError.__name__
        first = [(p, f) for p, f in failed if not f["error"].startswith(passed_on)]
        lines = "\n".join(f"  {p.relative_to(folder)}: {f['error']}" for p, f in first)
        raise FailedRunError(
            f"{len(failed)} result(s) could not be made; all others are there "
            f"({results / 'status.tsv'}):\n{lines}\n"
            "Mend the files, then run again with --retry-failed."
        )
    return outcome


def _check_pattern(pattern: str | None, folder: Path) -> None:
    """See that files fit the pattern, and that no two would have one name."""
    if not pattern:
        return
    named: dict[str, str] = {}
    for path in sorted(glob.glob(pattern, root_dir=folder, recursive=True)):
        name = Path(path).name.split(".")[0]
        if name in named:
            raise ParameterError(
                message(
                    f"config: pattern {pattern!r}",
                    "files with different names",
                    f"{named[name]} and {path}, both called {name!r}",
                    "list them under recordings, each with a name of its own",
                )
            )
        named[name] = path
    if not named:
        raise ParameterError(
            message(
                f"config: pattern {pattern!r}",
                f"files that fit it, from {folder}",
                "none",
                "correct the pattern; it is relative to the configuration's folder",
            )
        )


def _profile(profile: str, folder: Path) -> Path:
    for place in (folder / "profiles", pipelines_folder() / "profiles"):
        if (place / profile / "config.yaml").is_file():
            return place / profile
    if (Path(profile) / "config.yaml").is_file():
        return Path(profile).resolve()
    known = sorted(p.name for p in (pipelines_folder() / "profiles").iterdir())
    raise ParameterError(
        message("profile", f"a folder with config.yaml, or one of {known}", profile)
    )


@contextmanager
def _only_run(
    folder: Path, command: list[str], *, unlock: bool, dry_run: bool
) -> Iterator[Callable[[int], None]]:
    """Hold the project's lock; clear Snakemake's own after a run that was killed.

    The lock names this process and, once it has started, Snakemake's: when both are
    gone the run was killed, and its lock is taken over.
    """
    if dry_run:
        yield lambda pid: None
        return
    lock = folder / ".neuroana.lock"
    *pids, host = lock.read_text("utf-8").split() if lock.exists() else [""]
    if host and not unlock:
        alive = [pid for pid in map(int, pids) if _is_alive(pid)]
        if host != socket.gethostname() or alive:
            raise ParameterError(
                message(
                    f"{folder}",
                    "no other run",
                    f"one on {host} (processes {', '.join(pids)})",
                    "wait for it; if it is gone, run with --unlock",
                )
            )
    if host or unlock:
        _call([*command, "--unlock"], quiet=True)

    def started(*pids: int) -> None:
        owners = " ".join(map(str, [os.getpid(), *pids]))
        write_text(f"{owners} {socket.gethostname()}", lock)

    started()
    try:
        yield started
    finally:
        lock.unlink(missing_ok=True)


def _is_alive(pid: int, *, patience: float = 2.0) -> bool:
    """Tell whether a process runs; one that is just ending is waited for."""
    until = time.monotonic() + patience
    while _is_listed(pid):
        if time.monotonic() > until:
            return True
        time.sleep(0.05)
    return False


def _is_listed(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        state = status.read_text("utf-8").rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except (OSError, IndexError):  # not ours, or a system without /proc
        return True
    return state not in "ZX"  # killed, and not yet reaped


def _call(
    command: list[str], *, quiet: bool, started: Callable[[int], None] | None = None
) -> tuple[int, str]:
    """Run a command; return its exit code and what it said."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if started is not None:
        started(process.pid)
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if not quiet:
            sys.stderr.write(line)
    return process.wait(), "".join(lines)


def _last_words(log: str, n_lines: int = 15) -> str:
    return "\n".join(log.strip().splitlines()[-n_lines:])


def _write_status(outcome: Run) -> None:
    rows = ["result\tstep\terror"]
    for path, record in outcome.failed:
        error = " ".join(str(record["error"]).split())
        name = path.relative_to(outcome.results)
        rows.append(f"{name}\t{record['step']}\t{error}")
    target = outcome.results / "status.tsv"
    text = "\n".join(rows) + "\n"
    if not target.exists() or target.read_text("utf-8") != text:
        with atomic_path(target) as part:
            part.write_text(text, encoding="utf-8")
