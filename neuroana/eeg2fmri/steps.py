"""Pipeline steps: pair, split, train, predict, statistics, report."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from neuroana.core.contract import check
from neuroana.core.step import File, Parameters, pipeline_step
from neuroana.core.store import (
    read_json,
    read_netcdf,
    read_tree,
    write_json,
    write_netcdf,
)


Model = Literal[
    "band-power-ridge",
    "lagged-ridge",
    "spectrogram-ridge",
    "kernel-ridge",
    "nearest-neighbour",
    "convolutional-net",
    "envelope-net",
    "occipital-alpha",
    "global-only",
    "mean",
    "neurobolt",
]
RUN = File("EEG and BOLD of one run on one clock, NetCDF")
RUNS = File("paired runs, NetCDF", many=True)
FOLDS = File("positions of training and test windows of every fold, JSON")
MODEL = File("a fitted model, NetCDF")
STATISTICS = File("one row a model and region, with p values, tab-separated")
PREDICTIONS = File("predictions of all models with the truth, NetCDF")


class PairParameters(Parameters):
    """How EEG and BOLD come on one clock, and what must be in order before training."""

    trigger: str | None = Field(None, description="event that marks each volume")
    offset: Literal["onset", "middle"] = Field(
        "onset", description="moment of a volume that its values stand for"
    )
    heartbeat: str | None = Field(None, description="event that marks each heart beat")
    must_pass: bool = Field(True, description="runs that fail a check are left out")


class SplitParameters(Parameters):
    """Which windows train and which are tested."""

    protocol: Literal[
        "intra-scan", "chronological", "inter-subject", "cross-condition", "fine-tune"
    ] = Field("intra-scan", description="blocks of runs, people, or conditions")
    n_splits: int = Field(5, ge=1, description="folds; chronological has one")
    gap: float = Field(36.0, ge=0, description="seconds between training and test")
    train: str | None = Field(None, description="condition to train in")
    test: str | None = Field(None, description="condition to test in")
    by: Literal["task", "session"] = Field("task", description="what conditions are")
    random_state: int = Field(0, description="seed of the folds")


class TrainParameters(Parameters):
    """Which models, and the settings of the network."""

    models: list[Model] = Field(
        ["band-power-ridge", "lagged-ridge", "kernel-ridge", "nearest-neighbour",
         "convolutional-net", "global-only", "mean"],
        description="all models to compare; neurobolt is the transformer",
    )  # fmt: skip
    model: Model | None = Field(None, description="this one; set by the rule")
    fold: int = Field(0, ge=0, description="this fold; set by the rule")
    size: Literal["published", "small"] = Field(
        "published", description="of neurobolt; small for processors"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="of neurobolt, as of the class EEGToFMRI"
    )
    epochs: int | None = Field(None, ge=1, description="of the networks")
    random_state: int = Field(0, description="seed of networks and random features")


class PredictParameters(Parameters):
    """Nothing to choose."""

    fold: int = Field(0, ge=0, description="this fold; set by the rule")
    model: Model | None = Field(None, description="name in the table; set by the rule")


class StatisticsParameters(Parameters):
    """How what was predicted is tested."""

    controls: list[str] = Field([], description="regions without neural signal")
    global_signal: str | None = Field(
        None, description="region that is the global signal; null: mean of the others"
    )
    n_surrogates: int = Field(1000, ge=19, description="truths with random phases")
    random_state: int = Field(0, description="seed")


class ReportParameters(Parameters):
    """What the section shows."""

    title: str | None = Field(None, description="heading")


@pipeline_step(
    "eeg2fmri.pair",
    inputs={"eeg": File("EEG, NetCDF"), "bold": File("BOLD by region, NetCDF")},
    outputs={"run": RUN, "checks": File("table of the checks before training, JSON")},
    params=PairParameters,
)
def pair_run(
    inputs: dict[str, Any], outputs: dict[str, Path], params: PairParameters
) -> None:
    """Put EEG and BOLD on one clock, and check both before anything is trained."""
    from neuroana.eeg2fmri.pairing import pair
    from neuroana.eeg2fmri.readiness import preflight, require_preflight

    run = pair(
        check(read_netcdf(inputs["eeg"])), check(read_netcdf(inputs["bold"])),
        trigger=params.trigger, offset=params.offset,
    )  # fmt: skip
    table = preflight(run, heartbeat=params.heartbeat)
    if params.must_pass:
        require_preflight(table)
    write_netcdf(run, outputs["run"])
    write_json(table.to_dict("records"), outputs["checks"])


@pipeline_step(
    "eeg2fmri.split",
    inputs={"runs": RUNS},
    outputs={"folds": FOLDS},
    params=SplitParameters,
)
def split(
    inputs: dict[str, Any], outputs: dict[str, Path], params: SplitParameters
) -> None:
    """Choose training and test windows of every fold, and write them down."""
    from neuroana.eeg2fmri.comparison import checked_folds

    windows = read_windows(inputs["runs"])
    folds = checked_folds(windows, **params.model_dump())
    rows = [{k: v.tolist() for k, v in fold.items()} for fold in folds]
    write_json(
        {
            "settings": params.model_dump(),
            "labels": [run.label for run in windows.runs],
            "folds": rows,
        },
        outputs["folds"],
    )


def read_windows(paths: list[Path]):
    """Windows of paired runs with a known target, in the order of their labels."""
    import numpy as np

    from neuroana.eeg2fmri.windowing import as_windows

    windows = as_windows([read_tree(path) for path in sorted(paths)])
    return windows[np.isfinite(windows.y).any(axis=1)]


def read_fold(inputs: dict[str, Any], number: int):
    """Windows, the parts of one fold, and the settings of the split."""
    import numpy as np

    from neuroana.core.checks import message
    from neuroana.core.errors import ParameterError, SchemaError

    windows, stored = read_windows(inputs["runs"]), read_json(inputs["folds"])
    labels = [run.label for run in windows.runs]
    if labels != stored["labels"]:
        raise SchemaError(
            message("folds", f"those of the runs {labels}", stored["labels"],
                    "run eeg2fmri.split again")
        )  # fmt: skip
    if number >= len(stored["folds"]):
        raise ParameterError(
            message(
                "parameter 'n_splits'",
                f"{len(stored['folds'])}, the folds that these runs have",
                f"fold {number}",
                "set split: n_splits in the configuration",
            )
        )
    fold = {k: np.array(v, dtype=int) for k, v in stored["folds"][number].items()}
    return windows, fold, stored["settings"]


@pipeline_step(
    "eeg2fmri.train",
    inputs={"runs": RUNS, "folds": FOLDS},
    outputs={"model": MODEL},
    params=TrainParameters,
)
def train(
    inputs: dict[str, Any], outputs: dict[str, Path], params: TrainParameters
) -> None:
    """Train one model in one fold; a network that was killed goes on."""
    from neuroana.eeg2fmri.comparison import fit_fold

    windows, fold, _ = read_fold(inputs, params.fold)
    model = make_model(params)
    kept = outputs["model"].with_suffix(".ckpt")
    if "checkpoint" in model.get_params() and not len(fold["adapt"]):
        model.set_params(checkpoint=str(kept))
    fitted = fit_fold(model, windows, fold)
    if "checkpoint" in fitted.get_params():
        fitted.set_params(checkpoint=None)
    fitted.save(outputs["model"])
    kept.unlink(missing_ok=True)


def make_model(params: TrainParameters):
    """The estimator that the parameters name."""
    from neuroana.eeg2fmri.compact_envelope_net import CompactEnvelopeNet
    from neuroana.eeg2fmri.comparison import default_models
    from neuroana.eeg2fmri.eeg_to_fmri import EEGToFMRI

    name = params.model or params.models[0]
    if name == "neurobolt":
        options = {"random_state": params.random_state, **params.options}
        small = params.size == "small"
        model: Any = EEGToFMRI.small(**options) if small else EEGToFMRI(**options)
    elif name == "envelope-net":
        model = CompactEnvelopeNet(random_state=params.random_state)
    else:
        named = default_models(random_state=params.random_state)
        model = {k.replace(" ", "-"): v for k, v in named.items()}[name]
    if params.epochs is not None and "epochs" in model.get_params():
        model.set_params(epochs=params.epochs)
    return model


@pipeline_step(
    "eeg2fmri.predict",
    inputs={"runs": RUNS, "folds": FOLDS, "model": MODEL},
    outputs={"predictions": PREDICTIONS},
    params=PredictParameters,
)
def predict(
    inputs: dict[str, Any], outputs: dict[str, Path], params: PredictParameters
) -> None:
    """Predict the test windows of one fold, which the model has not seen."""
    from neuroana.core.estimator import load
    from neuroana.eeg2fmri.comparison import labelled

    windows, fold, settings = read_fold(inputs, params.fold)
    model: Any = load(inputs["model"])
    part = windows[fold["test"]]
    name = params.model or type(model).__name__
    made = labelled(part, model.predict(part)[None], [name], params.fold)
    made.attrs = {
        "protocol": settings["protocol"], "gap": settings["gap"],
        "atlas": part.atlas, "synthetic": int(part.synthetic),
        "leaky": int(model.leaky_),
    }  # fmt: skip
    write_netcdf(made, outputs["predictions"])


@pipeline_step(
    "eeg2fmri.statistics",
    inputs={"predictions": File("predictions of models and folds, NetCDF", many=True)},
    outputs={
        "predictions": PREDICTIONS,
        "scores": File("one row a model, run and region, tab-separated"),
        "statistics": STATISTICS,
    },
    params=StatisticsParameters,
)
def make_statistics(
    inputs: dict[str, Any], outputs: dict[str, Path], params: StatisticsParameters
) -> None:
    """Join the predictions of all models and folds; score and test every region."""
    from neuroana.core.store import write_text
    from neuroana.eeg2fmri.comparison import joined
    from neuroana.eeg2fmri.scores import region_scores
    from neuroana.eeg2fmri.statistics import region_statistics

    made = joined([read_netcdf(path) for path in inputs["predictions"]])
    write_netcdf(made, outputs["predictions"])
    tables = {
        "scores": region_scores(made),
        "statistics": region_statistics(made, **params.model_dump()),
    }
    for name, table in tables.items():
        write_text(table.to_csv(sep="\t", index=False), outputs[name])


@pipeline_step(
    "eeg2fmri.report",
    inputs={
        "checks": File("tables of the checks before training, JSON", many=True),
        "predictions": PREDICTIONS,
        "statistics": STATISTICS,
        "models": File("fitted models of the first fold, NetCDF", many=True),
    },
    outputs={"section": File("a section of the report, JSON")},
    params=ReportParameters,
)
def report(
    inputs: dict[str, Any], outputs: dict[str, Path], params: ReportParameters
) -> None:
    """Draw models, courses and checks for the report."""
    import pandas as pd

    from neuroana.core.estimator import load
    from neuroana.eeg2fmri.sections import eeg2fmri_section
    from neuroana.plot.sections import write_section

    checks = pd.concat([pd.DataFrame(read_json(p)) for p in inputs["checks"]])
    section = eeg2fmri_section(
        read_netcdf(inputs["predictions"]), checks.reset_index(drop=True),
        [load(path) for path in inputs["models"]], title=params.title,
        statistics=pd.read_csv(inputs["statistics"], sep="\t", dtype={"roi": str}),
    )  # fmt: skip
    write_section(section, outputs["section"])
