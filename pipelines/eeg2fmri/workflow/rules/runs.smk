# Which EEG and which BOLD are of one run: their names agree but for the last word
# (sub-01_task-rest_eeg, sub-01_task-rest_bold), or in subject, session, task and run.

KINDS = {"eeg": "eeg", "bold": "bold", "timeseries": "bold", "fmri": "bold"}


def kind_of(name):
    """eeg or bold: what the entry says, or the last word of its name."""
    said = RECORDINGS[name].get("modality") or name.rpartition("_")[2]
    return KINDS.get(said)


def run_of(name):
    """Run that a recording is of, by the entities in its name and its entry."""
    said = RECORDINGS[name].get("attrs") or {}
    found = []
    for short, entity in (("sub", "subject"), ("ses", "session"), ("task", "task"), ("run", "run")):
        inside = re.search(rf"(?:^|_){short}-([a-zA-Z0-9]+)", name)
        value = said.get(entity) or (inside and inside.group(1))
        if value:
            found.append(f"{short}-{value}")
    return "_".join(found) or name.rpartition("_")[0] or name


def runs():
    """Run -> {eeg: name, bold: name}, for runs that have one of each."""
    every = {}
    for name in RECORDINGS:
        kind = kind_of(name)
        if kind is None:
            raise ValueError(f"recordings: {name!r}: expected a modality, eeg or fmri, or a name that ends in _eeg or _bold")
        mine = every.setdefault(run_of(name), {})
        if kind in mine:
            raise ValueError(f"recordings: {mine[kind]!r} and {name!r} are both {kind} of the run {run_of(name)!r}")
        mine[kind] = name
    return {run: mine for run, mine in every.items() if len(mine) == 2}


RUNS = runs()
if not RUNS:
    raise ValueError("recordings: expected EEG and BOLD of one run, their names alike but for _eeg and _bold")


rule pair:
    message:
        "Pair {wildcards.run}"
    wildcard_constraints:
        run="|".join(map(re.escape, RUNS)),
    input:
        eeg=lambda wildcards: f"{RESULTS}/prepared/{RUNS[wildcards.run]['eeg']}.nc",
        bold=lambda wildcards: f"{RESULTS}/recordings/{RUNS[wildcards.run]['bold']}.nc",
    output:
        run=f"{RESULTS}/runs/{{run}}.nc",
        checks=f"{RESULTS}/checks/{{run}}.json",
    log:
        f"{RESULTS}/logs/pair/{{run}}.log",
    params:
        options=lambda wildcards: options("pair", RUNS[wildcards.run]["eeg"]),
    shell:
        STEP + " eeg2fmri.pair --input eeg={input.eeg:q} --input bold={input.bold:q}"
        " --output run={output.run:q} --output checks={output.checks:q}"
        " --params {params.options:q} 2> {log:q}"
