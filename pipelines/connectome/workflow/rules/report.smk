# A section a group, and all sections in one page.


rule describe:
    message:
        "Draw {wildcards.group}"
    input:
        recordings=prepared,
        rank=f"{RESULTS}/rank/{{group}}.nc",
        motifs=f"{RESULTS}/motifs/{{group}}.nc",
        communities=f"{RESULTS}/communities/{{group}}.nc",
        nulls=f"{RESULTS}/nulls/{{group}}.nc",
    output:
        f"{RESULTS}/sections/connectome/{{group}}.json",
    log:
        f"{RESULTS}/logs/describe/{{group}}.log",
    params:
        files=lambda wildcards, input: as_inputs("recordings", input.recordings),
    shell:
        STEP + " connectome.report {params.files} --input rank={input.rank:q}"
        " --input motifs={input.motifs:q} --input communities={input.communities:q}"
        " --input nulls={input.nulls:q} --output section={output:q} 2> {log:q}"


rule report:
    message:
        "Write the report"
    input:
        expand(f"{RESULTS}/sections/connectome/{{group}}.json", group=GROUPS),
        expand(f"{RESULTS}/sections/quality/{{name}}.json", name=RECORDINGS),
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report.log",
    params:
        files=lambda wildcards, input: as_inputs("sections", input),
        options=json.dumps(
            {"title": config.get("title", "Dynamic connectomes"), "results": RESULTS}
        ),
    shell:
        STEP + " report.write {params.files} --output report={output:q}"
        " --params {params.options:q} 2> {log:q}"
