# The section of the benchmark, the sortable leaderboard, and all sections in one page.


rule describe:
    message:
        "Draw the benchmark"
    input:
        scores=f"{RESULTS}/scores.nc",
        selected=f"{RESULTS}/coreset.json",
        preserved=f"{RESULTS}/preserved.tsv",
        recordings=PREPARED,
    output:
        section=f"{RESULTS}/sections/fc.json",
        leaderboard=f"{RESULTS}/leaderboard.html",
    log:
        f"{RESULTS}/logs/describe.log",
    params:
        files=lambda wildcards, input: as_inputs("recordings", input.recordings),
    shell:
        STEP + " fc.report {params.files} --input scores={input.scores:q}"
        " --input selected={input.selected:q} --input preserved={input.preserved:q}"
        " --output section={output.section:q} --output leaderboard={output.leaderboard:q}"
        " 2> {log:q}"


rule report:
    message:
        "Write the report"
    input:
        f"{RESULTS}/sections/fc.json",
        expand(f"{RESULTS}/sections/quality/{{name}}.json", name=RECORDINGS),
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report.log",
    params:
        files=lambda wildcards, input: as_inputs("sections", input),
        options=json.dumps(
            {"title": config.get("title", "Connectivity operators"), "results": RESULTS}
        ),
    shell:
        STEP + " report.write {params.files} --output report={output:q}"
        " --params {params.options:q} 2> {log:q}"
