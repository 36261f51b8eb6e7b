# One model a fold and kind; all of them meet the same windows.

TRAIN = config.get("train") or {}
MODELS = TRAIN.get("models") or [
    "band-power-ridge", "lagged-ridge", "kernel-ridge", "nearest-neighbour",
    "convolutional-net", "global-only", "mean",
]
SPLIT = config.get("split") or {}
FOLDS = range(1 if SPLIT.get("protocol") == "chronological" else SPLIT.get("n_splits", 5))
ALL_RUNS = expand(f"{RESULTS}/runs/{{run}}.nc", run=RUNS)


wildcard_constraints:
    model="|".join(map(re.escape, MODELS)),
    fold=r"\d+",


def train_options(wildcards):
    own = {"model": wildcards.model, "fold": int(wildcards.fold)}
    return json.dumps({**TRAIN, **own}, sort_keys=True)


def predict_options(wildcards):
    own = {"model": wildcards.model, "fold": int(wildcards.fold)}
    return json.dumps(own, sort_keys=True)


rule split:
    message:
        "Choose training and test windows"
    input:
        ALL_RUNS,
    output:
        f"{RESULTS}/folds.json",
    log:
        f"{RESULTS}/logs/split.log",
    params:
        options=options("split"),
        files=lambda wildcards, input: as_inputs("runs", input),
    shell:
        STEP + " eeg2fmri.split {params.files} --output folds={output:q}"
        " --params {params.options:q} 2> {log:q}"


rule train:
    message:
        "Train {wildcards.model}, fold {wildcards.fold}"
    input:
        runs=ALL_RUNS,
        folds=f"{RESULTS}/folds.json",
    output:
        f"{RESULTS}/models/{{model}}/fold-{{fold}}.nc",
    log:
        f"{RESULTS}/logs/train/{{model}}/fold-{{fold}}.log",
    params:
        options=train_options,
        files=lambda wildcards, input: as_inputs("runs", input.runs),
    shell:
        STEP + " eeg2fmri.train {params.files} --input folds={input.folds:q}"
        " --output model={output:q} --params {params.options:q} 2> {log:q}"


rule predict:
    message:
        "Predict with {wildcards.model}, fold {wildcards.fold}"
    input:
        runs=ALL_RUNS,
        folds=f"{RESULTS}/folds.json",
        model=f"{RESULTS}/models/{{model}}/fold-{{fold}}.nc",
    output:
        f"{RESULTS}/predictions/{{model}}/fold-{{fold}}.nc",
    log:
        f"{RESULTS}/logs/predict/{{model}}/fold-{{fold}}.log",
    params:
        options=predict_options,
        files=lambda wildcards, input: as_inputs("runs", input.runs),
    shell:
        STEP + " eeg2fmri.predict {params.files} --input folds={input.folds:q}"
        " --input model={input.model:q} --output predictions={output:q}"
        " --params {params.options:q} 2> {log:q}"


rule statistics:
    message:
        "Score every region"
    input:
        expand(f"{RESULTS}/predictions/{{model}}/fold-{{fold}}.nc", model=MODELS, fold=FOLDS),
    output:
        predictions=f"{RESULTS}/predictions.nc",
        scores=f"{RESULTS}/scores.tsv",
        statistics=f"{RESULTS}/statistics.tsv",
    log:
        f"{RESULTS}/logs/statistics.log",
    params:
        files=lambda wildcards, input: as_inputs("predictions", input),
        options=options("statistics"),
    shell:
        STEP + " eeg2fmri.statistics {params.files} --output predictions={output.predictions:q}"
        " --output scores={output.scores:q} --output statistics={output.statistics:q}"
        " --params {params.options:q} 2> {log:q}"
