# One section for the study, one for every recording, and all in one page.


rule describe:
    message:
        "Draw models and courses"
    input:
        predictions=f"{RESULTS}/predictions.nc",
        statistics=f"{RESULTS}/statistics.tsv",
        checks=expand(f"{RESULTS}/checks/{{run}}.json", run=RUNS),
        models=expand(f"{RESULTS}/models/{{model}}/fold-0.nc", model=MODELS),
    output:
        f"{RESULTS}/sections/eeg2fmri/study.json",
    log:
        f"{RESULTS}/logs/describe.log",
    params:
        checks=lambda wildcards, input: as_inputs("checks", input.checks),
        models=lambda wildcards, input: as_inputs("models", input.models),
    shell:
        STEP + " eeg2fmri.report --input predictions={input.predictions:q} {params.checks}"
        " --input statistics={input.statistics:q}"
        " {params.models} --output section={output:q} 2> {log:q}"


rule report:
    message:
        "Write the report"
    input:
        f"{RESULTS}/sections/eeg2fmri/study.json",
        expand(f"{RESULTS}/sections/quality/{{name}}.json", name=RECORDINGS),
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report.log",
    params:
        files=lambda wildcards, input: as_inputs("sections", input),
        options=json.dumps(
            {"title": config.get("title", "EEG to fMRI"), "results": RESULTS}
        ),
    shell:
        STEP + " report.write {params.files} --output report={output:q}"
        " --params {params.options:q} 2> {log:q}"
