# Names, options and the command that every rule runs.

import glob
import json
import re
import shlex
from pathlib import Path

RESULTS = config.get("results", "results")
PYTHON = shlex.quote(config.get("python", "python"))
STEP = f"{PYTHON} -m neuroana step --record-failure --threads {{threads}}"


def listed_recordings():
    """Name -> entry: those in the table `recordings`, then the files of `pattern`."""
    entries = {name: dict(entry or {}) for name, entry in (config.get("recordings") or {}).items()}
    for path in sorted(glob.glob(config.get("pattern") or "", recursive=True)):
        entries.setdefault(Path(path).name.split(".")[0], {"path": path})
    return entries


RECORDINGS = listed_recordings()
MODELLED = [name for name, entry in RECORDINGS.items() if entry.get("model", True)]


def subject_of(name):
    """Subject of a recording: said in its entry, or the sub- of its name."""
    said = (RECORDINGS[name].get("attrs") or {}).get("subject")
    found = re.search(r"sub-([a-zA-Z0-9]+)", name)
    return f"sub-{said}" if said else found.group(0) if found else name


def groups():
    """Group -> recordings that share a model."""
    pool, found = config.get("pool"), {}
    for name in MODELLED:
        group = subject_of(name) if pool == "subject" else "all" if pool else name
        found.setdefault(group, []).append(name)
    return found


GROUPS = groups()


wildcard_constraints:
    name="|".join(map(re.escape, RECORDINGS)) or "none",
    group="|".join(map(re.escape, GROUPS)) or "none",


def options(section, name=None):
    """Parameters of a step as JSON: the section of the configuration, then the entry's."""
    own = (RECORDINGS.get(name) or {}).get(section) or {}
    return json.dumps({**(config.get(section) or {}), **own}, sort_keys=True)


def read_options(name):
    entry = RECORDINGS[name]
    given = json.loads(options("read", name))
    given.update({key: entry[key] for key in ("sample", "modality") if key in entry})
    if "options" in entry:
        given["options"] = {**given.get("options", {}), **entry["options"]}
    if "attrs" in entry:
        given["attrs"] = {**given.get("attrs", {}), **entry["attrs"]}
    return json.dumps(given, sort_keys=True)


def source_of(name):
    path = RECORDINGS[name].get("path")
    return [path] if path else []


def group_options(section, group):
    """Options of a group: those of its only recording, or the common ones."""
    members = GROUPS[group]
    return options(section, members[0] if len(members) == 1 else None)


def selection(group):
    """The section `select` of a group; without candidates nothing is selected."""
    given = json.loads(group_options("select", group))
    return {"cv": 5, **given} if given.get("n_states") else {}


def as_inputs(name, paths):
    return " ".join(f"--input {name}={shlex.quote(str(path))}" for path in paths)
