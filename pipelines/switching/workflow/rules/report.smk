# All sections in one page.


rule report:
    message:
        "Write the report"
    input:
        expand(f"{RESULTS}/sections/switching/{{group}}.json", group=GROUPS),
        expand(f"{RESULTS}/sections/quality/{{name}}.json", name=RECORDINGS),
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report.log",
    params:
        files=lambda wildcards, input: as_inputs("sections", input),
        options=json.dumps({"title": config.get("title", "Hidden states"), "results": RESULTS}),
    shell:
        STEP + " report.write {params.files} --output report={output:q}"
        " --params {params.options:q} 2> {log:q}"
