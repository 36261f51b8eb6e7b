"""Pipeline steps of the switching models: fit, gather, score, decode, report."""

from pathlib import Path
from typing import Any, Literal

import xarray as xr
from pydantic import Field

from neuroana.core.checks import check_choice
from neuroana.core.contract import check, label_of
from neuroana.core.step import File, Parameters, pipeline_step
from neuroana.core.store import read_netcdf, read_tree, write_netcdf


RECORDINGS = File("prepared recordings, NetCDF", many=True)
FIT = File("a fitted HMMGLM, NetCDF")
HISTORIES = {
    "exponential": "ExponentialHistory",
    "raised_cosine": "RaisedCosineHistory",
    "boxcar": "BoxcarHistory",
    "raw": "RawHistory",
}


class FitParameters(Parameters):
    """Arguments of HMMGLM; "auto" chooses by what was recorded."""

    n_states: int = Field(2, ge=1, description="number of states")
    observation: Literal[
        "auto", "poisson", "negative_binomial", "bernoulli", "categorical", "gaussian"
    ] = Field("auto", description="auto: poisson for spikes, gaussian otherwise")
    link: (
        Literal["softplus", "exp", "sigmoid", "logit", "softmax", "identity"] | None
    ) = Field(None, description="of the rate; null is the observation's own")
    history: str | dict[str, Any] | None = Field(
        "auto",
        description="exponential, raised_cosine, boxcar or raw; or {class: raw, "
        "n_lags: 2}; auto: exponential for spikes, one raw lag otherwise",
    )
    prior: str | dict[str, Any] = Field(
        "none",
        description="none, gaussian, one_hot, or {class: GaussianPrior, scale: 0.5}",
    )
    transitions: Literal["sticky", "fixed"] = Field("sticky", description="of states")
    alpha: float = Field(1.0, ge=1, description="Dirichlet weight of every transition")
    kappa: float = Field(0.0, ge=0, description="further weight of staying")
    baseline: Literal["state", "shared"] = Field("state", description="one per state")
    self_coupling: Literal["free", "zero", "shared", "prior"] = Field(
        "free", description="coupling of a unit to its own past"
    )
    covariance: Literal["diag", "full"] = Field(
        "diag", description="of gaussian observations"
    )
    init: Literal["glm+noise", "kmeans", "warm"] = Field(
        "glm+noise", description="where starts begin"
    )
    n_init: int = Field(8, ge=1, description="starts")
    max_iter: int = Field(200, ge=1, description="EM iterations at most")
    tol: float = Field(1e-6, ge=0, description="smallest gain, nats per value")
    missing: Literal["mask", "raise"] = Field("mask", description="what NaN means")
    random_state: int = Field(0, description="seed")
    device: str = Field("auto", description="auto, cpu or cuda")
    dtype: Literal["float64", "float32"] = Field("float64", description="of emissions")

    def model(self, modality: str):
        """The estimator for recordings of one modality."""
        from neuroana.switching.hmm_glm import HMMGLM

        given = self.model_dump()
        if given["observation"] == "auto":
            given["observation"] = "poisson" if modality == "spikes" else "gaussian"
        counts = given["observation"] != "gaussian"
        if given["history"] == "auto":
            given["history"] = "exponential" if counts else "raw"
        given["history"] = setting("history", given["history"])
        if isinstance(given["prior"], dict):
            given["prior"] = setting("edge_priors", given["prior"])
        return HMMGLM(**given)


def setting(module: str, value: Any) -> Any:
    """A history or prior from its name, or from {class: name, argument: value}."""
    from neuroana.core.estimator import decode

    if value is None:
        return None
    value = {"class": value} if isinstance(value, str) else dict(value)
    name = value.get("class", "")
    if ":" not in name:
        if module == "history":
            known = [*HISTORIES, *HISTORIES.values()]
            name = HISTORIES.get(check_choice("history", name, known), name)
        value["class"] = f"neuroana.switching.{module}:{name}"
    return decode(value, module)


def read_recordings(paths: list[Path]) -> list[xr.Dataset]:
    """Recordings of the files, checked."""
    return [check(read_netcdf(path), values=True) for path in paths]


@pipeline_step("switching.fit", inputs={"recordings": RECORDINGS}, outputs={"fit": FIT},
      params=FitParameters)  # fmt: skip
def fit(
    inputs: dict[str, Any], outputs: dict[str, Path], params: FitParameters
) -> None:
    """Fit an HMM-GLM to one recording, or to several together."""
    from neuroana.core.provenance import file_sha256

    recordings = read_recordings(inputs["recordings"])
    model = params.model(recordings[0].attrs["modality"]).fit(recordings)
    ds = model.to_dataset()
    ds.attrs["recordings"] = [label_of(r) for r in recordings]
    ds.attrs["inputs_sha256"] = [file_sha256(p) for p in inputs["recordings"]]
    ds.attrs["synthetic"] = max(int(r.attrs.get("synthetic", 0)) for r in recordings)
    write_netcdf(ds, outputs["fit"])


class SelectParameters(Parameters):
    """How the number of states is chosen; without candidates it is that of the fit."""

    n_states: list[int] = Field(
        [], description="candidates, for example [1, 2, 3, 4]; empty: the fit's number"
    )
    by: Literal["bic", "icl", "held_out", "one_se"] = Field(
        "bic",
        description="one_se: the fewest states within one standard error of the best "
        "held-out score",
    )
    cv: int = Field(5, ge=2, description="folds, each a job a candidate")
    group: Literal["recording", "subject", "session"] = Field(
        "recording", description="what stays together when recordings are split"
    )
    purge: int | None = Field(
        None, ge=0, description="bins between training and test blocks, one recording"
    )


class FoldParameters(SelectParameters):
    """One fold of one candidate."""

    fold: int = Field(0, ge=0, description="number of the fold")


@pipeline_step(
    "switching.fold",
    inputs={"recordings": RECORDINGS, "fit": FIT},
    outputs={"fold": File("held-out score of one fold, NetCDF")},
    params=FoldParameters,
)
def fold(
    inputs: dict[str, Any], outputs: dict[str, Path], params: FoldParameters
) -> None:
    """Fit one candidate without one fold, and score it there.

    A fold that the data do not have (fewer recordings than folds) is left empty.
    """
    from neuroana.switching.folds import Pieces, make_folds
    from neuroana.switching.hmm_glm import HMMGLM
    from neuroana.switching.selection import candidate_fold, no_fold, whole_path

    recordings = read_recordings(inputs["recordings"])
    model = HMMGLM.load(inputs["fit"])
    pieces = Pieces(recordings)
    groups = group_values(recordings, params.group)
    folds = make_folds(model, pieces, params.cv, groups, params.purge)
    if params.fold < len(folds):
        chosen = folds[params.fold]
        path = whole_path(model, pieces)
        row = candidate_fold(model, pieces, model.n_states, chosen, path)
    else:
        row = no_fold()
    row = row.assign_coords(n_states=model.n_states, fold=params.fold)
    write_netcdf(row, outputs["fold"])


def group_values(recordings, group):
    """One value a recording for the splitter, or None: each on its own."""
    if group == "recording" or len(recordings) == 1:
        return None
    return [str(r.attrs.get(group, "")) for r in recordings]


@pipeline_step(
    "switching.gather",
    inputs={
        "recordings": RECORDINGS,
        "fits": File("fits of these recordings, one a number of states", many=True),
        "folds": File("held-out scores of their folds, NetCDF", many=True),
    },
    outputs={"table": File("all criteria, one row a number, NetCDF"), "best": FIT},
    params=SelectParameters,
)
def gather(
    inputs: dict[str, Any], outputs: dict[str, Path], params: SelectParameters
) -> None:
    """Set candidates side by side and pass the chosen fit on."""
    from neuroana.switching.hmm_glm import HMMGLM
    from neuroana.switching.selection import describe, join_candidate, selection_table

    recordings = read_recordings(inputs["recordings"])
    models = {m.n_states: m for m in map(HMMGLM.load, inputs["fits"])}
    files = dict(zip(models, inputs["fits"]))
    folds = [read_netcdf(path) for path in inputs["folds"]]
    rows = []
    for k, model in models.items():
        own = [f for f in folds if int(f["n_states"]) == k and f["held_out"].notnull()]
        own = sorted(own, key=lambda f: int(f["fold"]))
        rows.append(join_candidate(describe(model, recordings), own))
    table = selection_table(rows)
    best = table.attrs[f"best_{params.by}"]
    table.attrs |= {"by": params.by, "chosen": best}
    write_netcdf(table, outputs["table"])
    write_netcdf(read_netcdf(files[best]), outputs["best"])


class ScoreParameters(Parameters):
    """How the model is held out."""

    cv: int = Field(5, ge=2, description="folds")
    group: Literal["recording", "subject", "session"] = Field(
        "recording", description="what stays together when recordings are split"
    )
    purge: int | None = Field(
        None, ge=0, description="bins between training and test blocks, one recording"
    )
    n_null: int = Field(20, ge=1, description="time-shifted copies of each test set")
    n_init: int | None = Field(None, ge=1, description="starts a fold; null: as fitted")
    random_state: int = Field(0, description="seed of the shifts")


@pipeline_step(
    "switching.score",
    inputs={"recordings": RECORDINGS, "fit": FIT},
    outputs={"scores": File("held-out scores, NetCDF")},
    params=ScoreParameters,
)
def score(
    inputs: dict[str, Any], outputs: dict[str, Path], params: ScoreParameters
) -> None:
    """Score the model on held-out data, beside one state and a time-shifted null."""
    from neuroana.switching.held_out import held_out_comparison
    from neuroana.switching.hmm_glm import HMMGLM

    recordings = read_recordings(inputs["recordings"])
    model = HMMGLM.load(inputs["fit"])
    if params.n_init is not None:
        model.set_params(n_init=params.n_init)
    groups = group_values(recordings, params.group)
    scores = held_out_comparison(
        model, recordings, cv=params.cv, groups=groups, purge=params.purge,
        n_null=params.n_null, random_state=params.random_state,
    )  # fmt: skip
    write_netcdf(scores, outputs["scores"])


class DecodeParameters(Parameters):
    """Nothing to set."""


@pipeline_step("switching.decode", inputs={"recordings": RECORDINGS, "fit": FIT},
      outputs={"states": File("states of every recording, NetCDF groups")},
      params=DecodeParameters)  # fmt: skip
def decode_states(
    inputs: dict[str, Any], outputs: dict[str, Path], params: DecodeParameters
) -> None:
    """Most probable path, posterior, occupancy and visits of every recording."""
    from neuroana.switching.hmm_glm import HMMGLM
    from neuroana.switching.state_tables import state_table

    recordings = read_recordings(inputs["recordings"])
    model = HMMGLM.load(inputs["fit"])
    k = model.n_states
    visits = state_table(model, recordings, by="viterbi")
    share = state_table(model, recordings, by="posterior")["occupancy"].to_numpy()
    nodes = {}
    paths, posteriors = model.predict(recordings), model.predict_proba(recordings)
    for i, (path, posterior) in enumerate(zip(paths, posteriors)):
        own = slice(i * k, (i + 1) * k)
        nodes[f"recording-{i}"] = xr.Dataset(
            {
                "path": path,
                "probability": posterior,
                "occupancy": ("state", share[own]),
                "n_visits": ("state", visits["n_visits"].to_numpy()[own]),
                "mean_visit": ("state", visits["mean_visit"].to_numpy()[own]),
            },
            attrs={"recording": label_of(recordings[i])},
        )
        nodes[f"recording-{i}"]["mean_visit"].attrs["units"] = "s"
    write_netcdf(xr.DataTree.from_dict(nodes), outputs["states"])


class ReportParameters(Parameters):
    """What the section shows."""

    title: str | None = Field(None, description="heading; null: names of recordings")
    seconds: float | None = Field(
        None, gt=0, description="stretch of the states' figure; null: all"
    )


@pipeline_step(
    "switching.report",
    inputs={
        "recordings": RECORDINGS,
        "fit": FIT,
        "scores": File("held-out scores, NetCDF"),
        "states": File("states of every recording, NetCDF groups"),
        "selection": File("all numbers of states, NetCDF", optional=True),
    },
    outputs={"section": File("a section of the report, JSON")},
    params=ReportParameters,
)
def report(
    inputs: dict[str, Any], outputs: dict[str, Path], params: ReportParameters
) -> None:
    """Draw states, couplings, transitions and held-out scores for the report."""
    from neuroana.plot.sections import write_section
    from neuroana.switching.hmm_glm import HMMGLM
    from neuroana.switching.sections import switching_section

    tree = read_tree(inputs["states"])
    names = sorted(tree.children, key=lambda name: int(name.rpartition("-")[2]))
    section = switching_section(
        HMMGLM.load(inputs["fit"]),
        [check(read_netcdf(path)) for path in inputs["recordings"]],
        read_netcdf(inputs["scores"]),
        [tree[name].to_dataset() for name in names],
        selection=read_netcdf(inputs["selection"]) if inputs.get("selection") else None,
        title=params.title,
        seconds=params.seconds,
    )
    write_section(section, outputs["section"])
