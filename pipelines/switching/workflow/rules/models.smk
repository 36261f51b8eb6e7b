# One model a group: a group is one recording, or all of them with `pool: true`.


def prepared(wildcards):
    return [f"{RESULTS}/prepared/{name}.nc" for name in GROUPS[wildcards.group]]


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


rule score:
    message:
        "Score {wildcards.group} against one state and its null"
    input:
        recordings=prepared,
        fit=f"{RESULTS}/fits/{{group}}.nc",
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
        fit=f"{RESULTS}/fits/{{group}}.nc",
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
        fit=f"{RESULTS}/fits/{{group}}.nc",
        scores=f"{RESULTS}/scores/{{group}}.nc",
        states=f"{RESULTS}/states/{{group}}.nc",
    output:
        f"{RESULTS}/sections/switching/{{group}}.json",
    log:
        f"{RESULTS}/logs/describe/{{group}}.log",
    params:
        files=lambda wildcards, input: as_inputs("recordings", input.recordings),
    shell:
        STEP + " switching.report {params.files} --input fit={input.fit:q}"
        " --input scores={input.scores:q} --input states={input.states:q}"
        " --output section={output:q} 2> {log:q}"
