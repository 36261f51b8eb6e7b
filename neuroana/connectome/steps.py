"""Pipeline steps: affinity, rank, factorize, communities, nulls, report."""

import json
from pathlib import Path
from typing import Any, Literal

import xarray as xr
from pydantic import Field

from neuroana.core.contract import check, label_of
from neuroana.core.step import File, Parameters, pipeline_step
from neuroana.core.store import read_json, read_netcdf, write_json, write_netcdf


RECORDINGS = File("prepared recordings, NetCDF", many=True)
AFFINITY = File("an affinity tensor, or its scaled derivatives, NetCDF")
CHOICE = File("the chosen rank, JSON")
MOTIFS = File("a fitted NonNegativeCP, NetCDF")
COMMUNITIES = File("fitted MotifCommunities, NetCDF")


Kind = Literal[
    "geomean",
    "rise",
    "fall",
    "product",
    "min",
    "anti",
    "signed",
    "window_corr",
    "phase",
]


class AffinityParameters(Parameters):
    """Arguments of DifferentialAffinity."""

    kind: Kind = Field("geomean", description="how two neurons change together")
    derivative: Literal["gaussian", "savgol", "diff"] = Field(
        "gaussian", description="of the traces"
    )
    sigma: float = Field(0.75, gt=0, description="width of the derivative, seconds")
    scale: Literal["mad", "std"] | None = Field("mad", description="of the derivative")
    smooth: float | None = Field(None, gt=0, description="Gaussian mean, seconds")
    stride: int = Field(1, ge=1, description="mean over so many samples")
    layout: Literal["aligned", "concat"] = Field(
        "concat", description="several recordings: one clock for all, or each its own"
    )
    align: Literal["events"] | None = Field(
        None, description="events: one clock around the stimuli (layout aligned)"
    )
    pre: float = Field(10.0, ge=0, description="seconds before a stimulus")
    post: float = Field(20.0, ge=0, description="seconds after a stimulus")
    max_dense_bytes: float = Field(2e9, gt=0, description="largest tensor, bytes")


class RankParameters(Parameters):
    """Which ranks are tried, or the rank itself."""

    rank: int | None = Field(None, ge=1, description="of all fits; null: choose one")
    ranks: list[int] = Field([2, 3, 4, 5, 6, 7, 8], description="ranks to choose from")
    n_init: int = Field(10, ge=2, description="starts a rank")
    n_folds: int = Field(5, ge=2, description="folds of held-out blocks")
    holdout: Literal["neuron-animal", "time-block", "speckle"] = Field(
        "neuron-animal", description="what is held out together"
    )
    baseline: bool = Field(True, description="one more component, all pairs alike")
    random_state: int = Field(0, description="seed")


class FactorizeParameters(Parameters):
    """Arguments of NonNegativeCP."""

    layout: Literal["auto", "aligned", "concat", "single", "symmetric", "ll1"] = Field(
        "auto", description="auto: that of the affinity, single for one recording"
    )
    n_init: int = Field(30, ge=1, description="starts")
    max_iter: int = Field(500, ge=1, description="iterations at most")
    tol: float = Field(1e-7, ge=0, description="smallest relative fall of the loss")
    baseline: bool = Field(True, description="one more component, all pairs alike")
    l1: float = Field(0.0, ge=0, description="weight of the sum of all factors")
    smooth_time: float = Field(0.0, ge=0, description="weight of roughness in time")
    polish: Literal["lbfgs"] | None = Field(None, description="of the best start")
    device: str = Field("auto", description="auto, cpu or cuda")
    dtype: Literal["float32", "float64"] = Field("float32", description="of factors")
    random_state: int = Field(0, description="seed")


class CommunityParameters(Parameters):
    """Arguments of MotifCommunities."""

    method: Literal["wsbm", "leiden", "louvain", "leidenalg", "graph-tool"] = Field(
        "wsbm", description="block model, or modularity"
    )
    weight: Literal["auto", "exponential", "log-normal", "geometric", "poisson"] = (
        Field("auto", description="law of the weights")
    )
    strength_corrected: bool = Field(True, description="divide by strengths first")
    nested: bool = Field(True, description="groups of groups")
    design_effect: Literal["auto"] | float = Field(
        "auto", description="dependent weights worth one; 1: all are independent"
    )
    max_groups: int | None = Field(None, ge=1, description="null: a quarter of neurons")
    n_start: int = Field(11, ge=1, description="starts of the search")
    n_consensus: int = Field(5, ge=0, description="restarts for the consensus")
    n_null: int = Field(0, ge=0, description="graphs with permuted weights")
    preset: Literal["dyballa2024"] | None = Field(None, description="of a paper")
    random_state: int = Field(0, description="seed")


class NullParameters(Parameters):
    """How surrogates are made."""

    kind: Literal["circular", "phase", "common_phase", "animal"] = Field(
        "circular", description="what they break; see the page on surrogates"
    )
    n: int = Field(19, ge=1, description="surrogates")
    random_state: int = Field(0, description="seed")


class ReportParameters(Parameters):
    """What the section shows."""

    title: str | None = Field(None, description="heading; null: names of recordings")


def read_recordings(paths: list[Path]) -> list[xr.Dataset]:
    """Recordings of the files, checked."""
    return [check(read_netcdf(path), values=True) for path in paths]


def read_affinity(path: Path):
    """The tensor of a file, or the operator on its derivatives."""
    from neuroana.connectome.operators import AffinityOperator

    ds = read_netcdf(path)
    return AffinityOperator(ds) if "scaled_derivative" in ds else ds["affinity"]


def layout_of(tensor) -> str:
    """Layout that a tensor was made for."""
    from neuroana.connectome.operators import AffinityOperator
    from neuroana.connectome.tensors import animals_of

    if isinstance(tensor, AffinityOperator):
        animals = set(map(str, tensor.dataset["animal"].values.ravel()))
        return tensor.layout if len(animals) > 1 else "single"
    if len(animals_of(tensor)) == 1:
        return "single"
    return "aligned" if tensor.ndim == 3 else "concat"


@pipeline_step("connectome.affinity", inputs={"recordings": RECORDINGS},
      outputs={"affinity": AFFINITY}, params=AffinityParameters)  # fmt: skip
def make_affinity(
    inputs: dict[str, Any], outputs: dict[str, Path], params: AffinityParameters
) -> None:
    """Make the affinity tensor of one recording, or of several together."""
    from neuroana.connectome.differential_affinity import DifferentialAffinity
    from neuroana.connectome.operators import AffinityOperator
    from neuroana.core.provenance import file_sha256

    recordings = read_recordings(inputs["recordings"])
    model = DifferentialAffinity(**params.model_dump())
    tensor = model.fit_transform(recordings)
    lazy = isinstance(tensor, AffinityOperator)
    ds = tensor.dataset.copy() if lazy else tensor.to_dataset(name="affinity")
    ds.attrs |= {
        "recordings": [label_of(r) for r in recordings],
        "inputs_sha256": [file_sha256(p) for p in inputs["recordings"]],
        "excluded": json.dumps(model.excluded_),
        "affinity_parameters": json.dumps(params.model_dump()),
    }
    write_netcdf(ds, outputs["affinity"])


@pipeline_step(
    "connectome.rank",
    inputs={"affinity": AFFINITY},
    outputs={"table": File("a fitted RankSelector, NetCDF"), "choice": CHOICE},
    params=RankParameters,
)
def choose_rank(
    inputs: dict[str, Any], outputs: dict[str, Path], params: RankParameters
) -> None:
    """Choose the number of motifs by held-out error and agreement of restarts."""
    from neuroana.connectome.non_negative_cp import NonNegativeCP
    from neuroana.connectome.rank_selector import RankSelector

    tensor = read_affinity(inputs["affinity"])
    base = NonNegativeCP(layout=layout_of(tensor), baseline=params.baseline)
    selector = RankSelector(
        [params.rank] if params.rank else params.ranks, params.n_init,
        n_folds=params.n_folds, holdout=params.holdout,
        random_state=params.random_state,
        criteria=("stability",) if params.rank else ("cv", "stability", "corcondia"),
    ).set_params(estimator=base)  # fmt: skip
    if params.rank and not isinstance(tensor, xr.DataArray):
        selector.rank_, selector.seed_ = params.rank, params.random_state
        selector.table_ = xr.DataArray(
            [[[float("nan")]]], dims=("rank", "criterion", "fold"), name="table",
            coords={"rank": [params.rank], "criterion": ["error"], "fold": [0]},
        )  # fmt: skip
    else:
        selector.fit(tensor)
    selector.save(outputs["table"])
    write_json({"rank": selector.rank_, "chosen": params.rank is None},
               outputs["choice"])  # fmt: skip


@pipeline_step(
    "connectome.factorize",
    inputs={"affinity": AFFINITY, "choice": CHOICE},
    outputs={"motifs": MOTIFS},
    params=FactorizeParameters,
)
def factorize(
    inputs: dict[str, Any], outputs: dict[str, Path], params: FactorizeParameters
) -> None:
    """Factorize the tensor into motifs."""
    from neuroana.connectome.non_negative_cp import NonNegativeCP

    tensor = read_affinity(inputs["affinity"])
    given = params.model_dump()
    if given["layout"] == "auto":
        given["layout"] = layout_of(tensor)
    if given["layout"] in ("symmetric", "ll1"):
        given["baseline"] = False
    rank = int(read_json(inputs["choice"])["rank"])
    NonNegativeCP(rank, **given).fit(tensor).save(outputs["motifs"])


@pipeline_step("connectome.communities", inputs={"motifs": MOTIFS},
      outputs={"communities": COMMUNITIES}, params=CommunityParameters)  # fmt: skip
def find_communities(
    inputs: dict[str, Any], outputs: dict[str, Path], params: CommunityParameters
) -> None:
    """Find the communities of every motif, with Leiden beside them."""
    from neuroana.connectome.motif_communities import MotifCommunities
    from neuroana.connectome.non_negative_cp import NonNegativeCP

    motifs = NonNegativeCP.load(inputs["motifs"])
    model = MotifCommunities(**params.model_dump()).fit(motifs)
    model.save(outputs["communities"])


@pipeline_step(
    "connectome.nulls",
    inputs={
        "recordings": RECORDINGS,
        "affinity": AFFINITY,
        "motifs": MOTIFS,
        "communities": COMMUNITIES,
    },
    outputs={"nulls": File("statistics of data and surrogates, NetCDF")},
    params=NullParameters,
)
def compare_with_surrogates(
    inputs: dict[str, Any], outputs: dict[str, Path], params: NullParameters
) -> None:
    """Take surrogates of the recordings through the whole chain."""
    from neuroana.connectome.differential_affinity import DifferentialAffinity
    from neuroana.connectome.motif_communities import MotifCommunities
    from neuroana.connectome.non_negative_cp import NonNegativeCP
    from neuroana.connectome.nulls import null_test

    attrs = read_netcdf(inputs["affinity"]).attrs
    result = null_test(
        read_recordings(inputs["recordings"]), params.kind, params.n,
        affinity=DifferentialAffinity(**json.loads(attrs["affinity_parameters"])),
        factorization=NonNegativeCP.load(inputs["motifs"]),
        communities=MotifCommunities.load(inputs["communities"]),
        random_state=params.random_state,
    )  # fmt: skip
    write_netcdf(result, outputs["nulls"])


@pipeline_step(
    "connectome.report",
    inputs={
        "recordings": RECORDINGS,
        "rank": File("a fitted RankSelector, NetCDF"),
        "motifs": MOTIFS,
        "communities": COMMUNITIES,
        "nulls": File("statistics of data and surrogates, NetCDF"),
    },
    outputs={"section": File("a section of the report, JSON")},
    params=ReportParameters,
)
def report(
    inputs: dict[str, Any], outputs: dict[str, Path], params: ReportParameters
) -> None:
    """Draw motifs, communities, rank and surrogates for the report."""
    from neuroana.connectome.motif_communities import MotifCommunities
    from neuroana.connectome.non_negative_cp import NonNegativeCP
    from neuroana.connectome.rank_selector import RankSelector
    from neuroana.connectome.sections import connectome_section
    from neuroana.plot.sections import write_section

    section = connectome_section(
        [check(read_netcdf(path)) for path in inputs["recordings"]],
        RankSelector.load(inputs["rank"]),
        NonNegativeCP.load(inputs["motifs"]),
        MotifCommunities.load(inputs["communities"]),
        read_netcdf(inputs["nulls"]),
        title=params.title,
    )
    write_section(section, outputs["section"])
