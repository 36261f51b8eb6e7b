# The plan cuts operators x recordings into jobs of `job_minutes` by the cost model. Jobs
# write matrices, one atomic file a cell, into one store, so a job that was stopped goes
# on where it was.

STORE = f"{RESULTS}/store"
PREPARED = [f"{RESULTS}/prepared/{name}.nc" for name in MODELLED]


def jobs_of(wildcards):
    """Rows of every job of the plan."""
    with open(checkpoints.plan.get().output[0]) as file:
        made = json.load(file)
    jobs = made.get("jobs", [])
    return [f"{RESULTS}/rows/{number:04d}.tsv" for number in range(len(jobs))]


checkpoint plan:
    message:
        "Plan the jobs"
    input:
        PREPARED,
    output:
        f"{RESULTS}/plan.json",
    log:
        f"{RESULTS}/logs/plan.log",
    params:
        options=options("benchmark"),
        files=lambda wildcards, input: as_inputs("recordings", input),
    shell:
        STEP + " fc.plan {params.files} --output plan={output:q}"
        " --params {params.options:q} 2> {log:q}"


rule compute:
    message:
        "Compute job {wildcards.job}"
    input:
        plan=f"{RESULTS}/plan.json",
        recordings=PREPARED,
    output:
        f"{RESULTS}/rows/{{job}}.tsv",
    log:
        f"{RESULTS}/logs/compute/{{job}}.log",
    params:
        options=lambda wildcards: json.dumps({"job": int(wildcards.job), "store": STORE}),
        files=lambda wildcards, input: as_inputs("recordings", input.recordings),
    wildcard_constraints:
        job="[0-9]+",
    shell:
        STEP + " fc.compute {params.files} --input plan={input.plan:q}"
        " --output rows={output:q} --params {params.options:q} 2> {log:q}"


rule score:
    message:
        "Score the operators"
    input:
        plan=f"{RESULTS}/plan.json",
        recordings=PREPARED,
        rows=jobs_of,
    output:
        scores=f"{RESULTS}/scores.nc",
        table=f"{RESULTS}/leaderboard.tsv",
    log:
        f"{RESULTS}/logs/score.log",
    params:
        options=json.dumps({"store": STORE}),
        files=lambda wildcards, input: as_inputs("recordings", input.recordings),
        rows=lambda wildcards, input: as_inputs("rows", input.rows),
    shell:
        STEP + " fc.score {params.files} {params.rows} --input plan={input.plan:q}"
        " --output scores={output.scores:q} --output table={output.table:q}"
        " --params {params.options:q} 2> {log:q}"


rule coreset:
    message:
        "Choose a core-set"
    input:
        plan=f"{RESULTS}/plan.json",
        recordings=PREPARED,
    output:
        f"{RESULTS}/coreset.json",
    log:
        f"{RESULTS}/logs/coreset.log",
    params:
        options=options("coreset"),
        files=lambda wildcards, input: as_inputs("recordings", input.recordings),
    shell:
        STEP + " fc.coreset {params.files} --input plan={input.plan:q}"
        " --output selected={output:q} --params {params.options:q} 2> {log:q}"


rule preserve:
    message:
        "Compare core-sets with everybody"
    input:
        scores=f"{RESULTS}/scores.nc",
        selected=f"{RESULTS}/coreset.json",
    output:
        f"{RESULTS}/preserved.tsv",
    log:
        f"{RESULTS}/logs/preserve.log",
    params:
        options=options("preserve"),
    shell:
        STEP + " fc.preserve --input scores={input.scores:q}"
        " --input selected={input.selected:q} --output preserved={output:q}"
        " --params {params.options:q} 2> {log:q}"
