"""Pipeline steps of the switching models: fit, gather, score, decode, report."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
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


class GatherParameters(Parameters):
    """How fits are compared."""

    by: Literal["bic", "objective"] = Field(
        "bic", description="bic compares numbers of states; objective compares starts"
    )


@pipeline_step(
    "switching.gather",
    inputs={"fits": File("fits of the same recordings, NetCDF", many=True)},
    outputs={"table": File("one row a fit, NetCDF"), "best": FIT},
    params=GatherParameters,
)
def gather(
    inputs: dict[str, Any], outputs: dict[str, Path], params: GatherParameters
) -> None:
    """Compare fits of the same recordings and pass the best one on."""
    from neuroana.switching.hmm_glm import HMMGLM

    models = [HMMGLM.load(path) for path in inputs["fits"]]
    columns = {
        "n_states": [m.n_states for m in models],
        "objective": [m.objective_ for m in models],
        "log_likelihood": [m.train_log_likelihood_ for m in models],
        "n_parameters": [m.n_parameters_ for m in models],
        "bic": [bic(m) for m in models],
        "smallest_occupancy": [float(m.occupancy_.min()) for m in models],
        "converged": [int(m.converged_) for m in models],
    }
    table = xr.Dataset({k: ("fit", np.array(v)) for k, v in columns.items()})
    table = table.assign_coords(file=("fit", [p.name for p in inputs["fits"]]))
    best = (
        np.argmin(columns["bic"])
        if params.by == "bic"
        else np.argmax(columns["objective"])
    )
    table.attrs = {"by": params.by, "best": int(best)}
    write_netcdf(table, outputs["table"])
    write_netcdf(read_netcdf(inputs["fits"][int(best)]), outputs["best"])


def bic(model) -> float:
    """Bayesian information criterion on the training data; smaller is better."""
    penalty = model.n_parameters_ * np.log(model.n_bins_)
    return float(penalty - 2 * model.train_log_likelihood_)


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
    groups = None
    if params.group != "recording" and len(recordings) > 1:
        groups = [str(r.attrs.get(params.group, "")) for r in recordings]
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
    from neuroana.switching.metrics import dwell_times

    recordings = read_recordings(inputs["recordings"])
    model = HMMGLM.load(inputs["fit"])
    width = 1 / recordings[0].attrs["sampling_rate"]
    nodes = {}
    paths, posteriors = model.predict(recordings), model.predict_proba(recordings)
    for i, (path, posterior) in enumerate(zip(paths, posteriors)):
        visits = dwell_times(path, n_states=model.n_states, bin_width=width)
        nodes[f"recording-{i}"] = xr.Dataset(
            {
                "path": path,
                "probability": posterior,
                "occupancy": ("state", posterior.mean("time").to_numpy()),
                "n_visits": ("state", [len(v) for v in visits]),
                "mean_visit": ("state", [v.mean() if len(v) else 0.0 for v in visits]),
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
        title=params.title,
        seconds=params.seconds,
    )
    write_section(section, outputs["section"])
