# One model a group: a group is one recording, a subject's, or all (`pool`). With numbers
# of states under `select`, every number and fold is a job, and the chosen fit goes on.


def prepared(wildcards):
    return [f"{RESULTS}/prepared/{name}.nc" for name in GROUPS[wildcards.group]]


def candidates(wildcards):
    numbers = selection(wildcards.group)["n_states"]
    return [f"{RESULTS}/candidates/{wildcards.group}/{k}.nc" for k in numbers]


def folds(wildcards):
    chosen = selection(wildcards.group)
    return [
        f"{RESULTS}/folds/{wildcards.group}/{k}-{fold}.nc"
        for k in chosen["n_states"]
        for fold in range(chosen["cv"])
    ]


def candidate_options(wildcards):
    given = json.loads(group_options("fit", wildcards.group))
    return json.dumps({**given, "n_states": int(wildcards.n_states)}, sort_keys=True)


def fold_options(wildcards):
    given = selection(wildcards.group)
    return json.dumps({**given, "fold": int(wildcards.fold)}, sort_keys=True)


def chosen_fit(wildcards):
    """The fit that goes on: that of the section `fit`, or the selected one."""
    folder = "selected" if selection(wildcards.group) else "fits"
    return f"{RESULTS}/{folder}/{wildcards.group}.nc"


def selection_table(wildcards):
    if selection(wildcards.group):
        return [f"{RESULTS}/selection/{wildcards.group}.nc"]
    return []


rule fit:
    message:
        "Fit {wildcards.group}"
    input:
        prepared,
    output:
        f"{RESULTS}/fits/{{group}}.nc",
    log:
        f"{RESULTS}/logs/fit/{{group}}.log",
    params:
        options=lambda wildcards: group_options("fit", wildcards.group),
        files=lambda wildcards, input: as_inputs("recordings", input),
    shell:
        STEP + " switching.fit {params.files} --output fit={output:q}"
        " --params {params.options:q} 2> {log:q}"


rule candidate:
    message:
        "Fit {wildcards.n_states} state(s) to {wildcards.group}"
    input:
        prepared,
    output:
        f"{RESULTS}/candidates/{{group}}/{{n_states}}.nc",
    log:
        f"{RESULTS}/logs/candidate/{{group}}-{{n_states}}.log",
    params:
        options=lambda wildcards: candidate_options(wildcards),
        files=lambda wildcards, input: as_inputs("recordings", input),
    shell:
        STEP + " switching.fit {params.files} --output fit={output:q}"
        " --params {params.options:q} 2> {log:q}"


rule fold:
    message:
        "Hold out fold {wildcards.fold} of {wildcards.group}, {wildcards.n_states} state(s)"
    input:
        recordings=prepared,
        fit=f"{RESULTS}/candidates/{{group}}/{{n_states}}.nc",
    output:
        f"{RESULTS}/folds/{{group}}/{{n_states}}-{{fold}}.nc",
    log:
        f"{RESULTS}/logs/fold/{{group}}-{{n_states}}-{{fold}}.log",
    params:
        options=lambda wildcards: fold_options(wildcards),
        files=lambda wildcards, input: as_inputs("recordings", input.recordings),
    shell:
        STEP + " switching.fold {params.files} --input fit={input.fit:q}"
        " --output fold={output:q} --params {params.options:q} 2> {log:q}"


rule gather:
    message:
        "Choose the number of states of {wildcards.group}"
    input:
        recordings=prepared,
        fits=candidates,
        folds=folds,
    output:
        table=f"{RESULTS}/selection/{{group}}.nc",
        best=f"{RESULTS}/selected/{{group}}.nc",
    log:
        f"{RESULTS}/logs/gather/{{group}}.log",
    params:
        options=lambda wildcards: json.dumps(selection(wildcards.group), sort_keys=True),
        files=lambda wildcards, input: " ".join(
            as_inputs(name, getattr(input, name)) for name in ("recordings", "fits", "folds")
        ),
    shell:
        STEP + " switching.gather {params.files} --output table={output.table:q}"
        " --output best={output.best:q} --params {params.options:q} 2> {log:q}"


rule score:
    message:
        "Score {wildcards.group} against one state and its null"
    input:
        recordings=prepared,
        fit=chosen_fit,
    output:
        f"{RESULTS}/scores/{{group}}.nc",
    log:
        f"{RESULTS}/logs/score/{{group}}.log",
    params:
        options=lambda wildcards: group_options("score", wildcards.group),
        files=lambda wildcards, input: as_inputs("recordings", input.recordings),
    shell:
        STEP + " switching.score {params.files} --input fit={input.fit:q}"
        " --output scores={output:q} --params {params.options:q} 2> {log:q}"


rule decode:
    message:
        "Decode {wildcards.group}"
    input:
        recordings=prepared,
        fit=chosen_fit,
    output:
        f"{RESULTS}/states/{{group}}.nc",
    log:
        f"{RESULTS}/logs/decode/{{group}}.log",
    params:
        files=lambda wildcards, input: as_inputs("recordings", input.recordings),
    shell:
        STEP + " switching.decode {params.files} --input fit={input.fit:q}"
        " --output states={output:q} 2> {log:q}"


rule describe:
    message:
        "Draw {wildcards.group}"
    input:
        recordings=prepared,
        fit=chosen_fit,
        scores=f"{RESULTS}/scores/{{group}}.nc",
        states=f"{RESULTS}/states/{{group}}.nc",
        selection=selection_table,
    output:
        f"{RESULTS}/sections/switching/{{group}}.json",
    log:
        f"{RESULTS}/logs/describe/{{group}}.log",
    params:
        files=lambda wildcards, input: as_inputs("recordings", input.recordings)
        + " " + as_inputs("selection", input.selection),
    shell:
        STEP + " switching.report {params.files} --input fit={input.fit:q}"
        " --input scores={input.scores:q} --input states={input.states:q}"
        " --output section={output:q} 2> {log:q}"
