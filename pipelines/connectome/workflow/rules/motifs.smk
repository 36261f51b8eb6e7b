# One connectome a group: a group is one recording, or all of them with `pool: true`.


def prepared(wildcards):
    return [f"{RESULTS}/prepared/{name}.nc" for name in GROUPS[wildcards.group]]


rule affinity:
    message:
        "Affinities of {wildcards.group}"
    input:
        prepared,
    output:
        f"{RESULTS}/affinity/{{group}}.nc",
    log:
        f"{RESULTS}/logs/affinity/{{group}}.log",
    params:
        options=lambda wildcards: group_options("affinity", wildcards.group),
        files=lambda wildcards, input: as_inputs("recordings", input),
    shell:
        STEP + " connectome.affinity {params.files} --output affinity={output:q}"
        " --params {params.options:q} 2> {log:q}"


rule rank:
    message:
        "Choose the number of motifs of {wildcards.group}"
    input:
        f"{RESULTS}/affinity/{{group}}.nc",
    output:
        table=f"{RESULTS}/rank/{{group}}.nc",
        choice=f"{RESULTS}/rank/{{group}}.json",
    log:
        f"{RESULTS}/logs/rank/{{group}}.log",
    params:
        options=lambda wildcards: group_options("rank", wildcards.group),
    shell:
        STEP + " connectome.rank --input affinity={input:q} --output table={output.table:q}"
        " --output choice={output.choice:q} --params {params.options:q} 2> {log:q}"


rule factorize:
    message:
        "Factorize {wildcards.group}"
    input:
        affinity=f"{RESULTS}/affinity/{{group}}.nc",
        choice=f"{RESULTS}/rank/{{group}}.json",
    output:
        f"{RESULTS}/motifs/{{group}}.nc",
    log:
        f"{RESULTS}/logs/factorize/{{group}}.log",
    params:
        options=lambda wildcards: group_options("factorize", wildcards.group),
    shell:
        STEP + " connectome.factorize --input affinity={input.affinity:q}"
        " --input choice={input.choice:q} --output motifs={output:q}"
        " --params {params.options:q} 2> {log:q}"


rule communities:
    message:
        "Communities of {wildcards.group}"
    input:
        f"{RESULTS}/motifs/{{group}}.nc",
    output:
        f"{RESULTS}/communities/{{group}}.nc",
    log:
        f"{RESULTS}/logs/communities/{{group}}.log",
    params:
        options=lambda wildcards: group_options("communities", wildcards.group),
    shell:
        STEP + " connectome.communities --input motifs={input:q}"
        " --output communities={output:q} --params {params.options:q} 2> {log:q}"


rule nulls:
    message:
        "Surrogates of {wildcards.group}"
    input:
        recordings=prepared,
        affinity=f"{RESULTS}/affinity/{{group}}.nc",
        motifs=f"{RESULTS}/motifs/{{group}}.nc",
        communities=f"{RESULTS}/communities/{{group}}.nc",
    output:
        f"{RESULTS}/nulls/{{group}}.nc",
    log:
        f"{RESULTS}/logs/nulls/{{group}}.log",
    params:
        options=lambda wildcards: group_options("nulls", wildcards.group),
        files=lambda wildcards, input: as_inputs("recordings", input.recordings),
    shell:
        STEP + " connectome.nulls {params.files} --input affinity={input.affinity:q}"
        " --input motifs={input.motifs:q} --input communities={input.communities:q}"
        " --output nulls={output:q}"
        " --params {params.options:q} 2> {log:q}"
