# From files to prepared recordings, one job a recording.


rule read:
    message:
        "Read {wildcards.name}"
    input:
        lambda wildcards: source_of(wildcards.name),
    output:
        f"{RESULTS}/recordings/{{name}}.nc",
    log:
        f"{RESULTS}/logs/read/{{name}}.log",
    params:
        options=lambda wildcards: read_options(wildcards.name),
        file=lambda wildcards, input: as_inputs("file", input),
    shell:
        STEP + " io.read {params.file} --output recording={output:q}"
        " --params {params.options:q} 2> {log:q}"


rule quality:
    message:
        "Describe {wildcards.name}"
    input:
        f"{RESULTS}/recordings/{{name}}.nc",
    output:
        f"{RESULTS}/sections/quality/{{name}}.json",
    log:
        f"{RESULTS}/logs/quality/{{name}}.log",
    shell:
        STEP + " report.quality --input recording={input:q} --output section={output:q}"
        " 2> {log:q}"


rule prepare:
    message:
        "Prepare {wildcards.name}"
    input:
        f"{RESULTS}/recordings/{{name}}.nc",
    output:
        f"{RESULTS}/prepared/{{name}}.nc",
    log:
        f"{RESULTS}/logs/prepare/{{name}}.log",
    params:
        options=lambda wildcards: options("prepare", wildcards.name),
    shell:
        STEP + " signal.prepare --input recording={input:q} --output recording={output:q}"
        " --params {params.options:q} 2> {log:q}"
