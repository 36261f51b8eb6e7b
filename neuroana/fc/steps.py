"""Pipeline steps: plan, compute, score, core-set, preservation, report."""

from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from neuroana.core.contract import check
from neuroana.core.step import File, Parameters, pipeline_step
from neuroana.core.store import atomic_path, read_json, read_netcdf, write_json


RECORDINGS = File("prepared recordings, NetCDF", many=True)
PLAN = File("jobs and parameters of the benchmark, JSON")
SCORES = File("a fitted OperatorBenchmark, NetCDF")
SELECTED = File("a core-set: its people and what it covers, JSON")
Entry = str | dict[str, Any]


class BenchmarkParameters(Parameters):
    """Arguments of OperatorBenchmark, and the size of a job."""

    operators: Literal["fast", "all"] | list[Entry] = Field(
        "fast", description="fast, all, names, or {name: ..., option: ...}"
    )
    tasks: list[Entry] = Field(
        ["fingerprint"], description="names, or {name: group, label: diagnosis}"
    )
    participants: str | None = Field(
        None, description="table (TSV) of people: participant_id and further columns"
    )
    window: float | Literal["halves"] | None = Field(
        "halves", description="seconds, halves, or null for whole recordings"
    )
    step: float | None = Field(None, gt=0, description="seconds; null: the window")
    window_volumes: int | None = Field(None, ge=2, description="window in samples")
    step_volumes: int | None = Field(None, ge=1, description="step in samples")
    groups: str = Field("subject", description="column that names the person")
    site: str | None = Field(None, description="column that names the site")
    standardize: Literal["auto", "zscore"] | None = Field("auto", description="regions")
    nan: Literal["error", "omit", "pairwise"] = Field("error", description="missing")
    per_site: bool = Field(False, description="let recordings differ in their rate")
    n_boot: int = Field(1000, ge=1, description="draws of people")
    n_null: int = Field(200, ge=1, description="permutations")
    time_limit: float = Field(30.0, gt=0, description="seconds a recording")
    memory_limit: str = Field("2GB", description="of one worker")
    min_complete: float = Field(0.9, ge=0, le=1, description="samples that must work")
    random_state: int = Field(0, description="seed")
    job_minutes: float = Field(10.0, gt=0, description="of a job, by the cost model")


class ComputeParameters(Parameters):
    """Which job, and where the matrices go."""

    job: int = Field(0, ge=0, description="number in the plan")
    store: str = Field("store", description="folder of the matrices")
    n_jobs: int = Field(1, ge=1, description="workers")


class ScoreParameters(Parameters):
    """Where the matrices are."""

    store: str = Field("store", description="folder of the matrices")


class CoreSetParameters(Parameters):
    """Arguments of CoreSet or SCLCS."""

    selector: str = Field("random", description="name of a selector, or sclcs")
    fraction: float = Field(0.2, gt=0, le=1, description="share of the people")
    stratify: str | None = Field(None, description="column; null: the site")
    epochs: int = Field(200, ge=1, description="of a selector that is trained")
    random_state: int = Field(0, description="seed")


class PreserveParameters(Parameters):
    """Random core-sets that stand beside the chosen one."""

    fractions: list[float] = Field([0.1, 0.2, 0.3, 0.5], description="of the people")
    n_repeat: int = Field(100, ge=2, description="random core-sets")
    random_state: int = Field(0, description="seed")


class ReportParameters(Parameters):
    """What the section shows."""

    title: str | None = Field(None, description="heading")


def read_cohort(paths: list[Path], participants: str | None):
    """Recordings of the files, checked, with the columns of the people."""
    from neuroana.core.recordings import Recordings

    people = None
    if participants is not None:
        people = pd.read_csv(participants, sep="\t", na_values="n/a",
                             dtype={"participant_id": str, "subject": str})  # fmt: skip
    made = [check(read_netcdf(path), values=True) for path in paths]
    return Recordings(made, participants=people)


def benchmark_of(given: dict[str, Any]):
    """The estimator of a plan's parameters."""
    from neuroana.fc.operator_benchmark import OperatorBenchmark
    from neuroana.fc.registry import Op
    from neuroana.fc.tasks import Task

    def entry(kind, value):
        if isinstance(value, str):
            return kind(value)
        return kind(value["name"], {k: v for k, v in value.items() if k != "name"})

    given = dict(given)
    seconds = 60.0 * given.pop("job_minutes")
    given.pop("participants")
    given["tasks"] = [entry(Task, t) for t in given["tasks"]]
    if not isinstance(given["operators"], str):
        given["operators"] = [entry(Op, o) for o in given["operators"]]
    return OperatorBenchmark(**given, chunk_seconds=seconds)


def samples_of(bench, recordings):
    """Samples of the benchmark's windows."""
    from neuroana.fc.samples import cut_samples

    return cut_samples(
        recordings, bench.window, step=bench.step, window_volumes=bench.window_volumes,
        step_volumes=bench.step_volumes, groups=bench.groups,
    )  # fmt: skip


@pipeline_step("fc.plan", inputs={"recordings": RECORDINGS}, outputs={"plan": PLAN},
               params=BenchmarkParameters)  # fmt: skip
def plan(
    inputs: dict[str, Any], outputs: dict[str, Path], params: BenchmarkParameters
) -> None:
    """Plan the jobs of a benchmark by the cost of its operators."""
    import numpy as np

    from neuroana.fc.jobs import plan_jobs
    from neuroana.fc.tasks import as_tasks

    given = params.model_dump()
    bench = benchmark_of(given)
    samples = samples_of(bench, read_cohort(inputs["recordings"], params.participants))
    bench.seed_ = params.random_state
    design = bench._design(samples, np.ones(len(samples), dtype=bool))
    for task in as_tasks(bench.tasks):
        task.check(design)
    jobs = plan_jobs(bench._ops(samples), samples, bench.chunk_seconds)
    write_json({"parameters": given, "jobs": jobs}, outputs["plan"])


@pipeline_step("fc.compute", inputs={"plan": PLAN, "recordings": RECORDINGS},
               outputs={"rows": File("status and cost of every sample, TSV")},
               params=ComputeParameters)  # fmt: skip
def compute(
    inputs: dict[str, Any], outputs: dict[str, Path], params: ComputeParameters
) -> None:
    """Compute the matrices of one job; those that are there already stay."""
    from neuroana.fc.cells import rows_of, run_cells

    made = read_json(inputs["plan"])
    bench = benchmark_of(made["parameters"])
    recordings = read_cohort(inputs["recordings"], made["parameters"]["participants"])
    samples = samples_of(bench, recordings)
    only = {(str(name), int(k)) for name, k in made["jobs"][params.job]["cells"]}
    names = {name for name, _ in only}
    ops = [op for op in bench._ops(samples) if op.label in names]
    cells = list(run_cells(
        samples, ops, Path(params.store), bench._settings(), only=only,
        chunk_seconds=bench.chunk_seconds, n_jobs=params.n_jobs,
    ))  # fmt: skip
    with atomic_path(outputs["rows"]) as part:
        rows_of(cells).to_csv(part, sep="\t", index=False)


@pipeline_step(
    "fc.score",
    inputs={"plan": PLAN, "recordings": RECORDINGS,
            "rows": File("status and cost by job, TSV", many=True, optional=True)},
    outputs={"scores": SCORES, "table": File("the leaderboard, TSV")},
    params=ScoreParameters,
)  # fmt: skip
def score(
    inputs: dict[str, Any], outputs: dict[str, Path], params: ScoreParameters
) -> None:
    """Score all operators in all tasks."""
    made = read_json(inputs["plan"])
    bench = benchmark_of(made["parameters"]).set_params(store=params.store)
    recordings = read_cohort(inputs["recordings"], made["parameters"]["participants"])
    bench.fit(recordings)
    bench.set_params(store=None).save(outputs["scores"])
    with atomic_path(outputs["table"]) as part:
        bench.to_frame().to_csv(part, sep="\t", index=False, na_rep="n/a")


@pipeline_step("fc.coreset", inputs={"plan": PLAN, "recordings": RECORDINGS},
               outputs={"selected": SELECTED}, params=CoreSetParameters)  # fmt: skip
def coreset(
    inputs: dict[str, Any], outputs: dict[str, Path], params: CoreSetParameters
) -> None:
    """Choose the people of a core-set."""
    from neuroana.fc.core_set import CoreSet
    from neuroana.fc.sclcs import SCLCS

    given = read_json(inputs["plan"])["parameters"]
    recordings = read_cohort(inputs["recordings"], given["participants"])
    samples = samples_of(benchmark_of(given), recordings)
    common: dict[str, Any] = {"stratify": params.stratify or given["site"],
                              "random_state": params.random_state,
                              "epochs": params.epochs}  # fmt: skip
    if params.selector == "sclcs":
        core: CoreSet = SCLCS(params.fraction, **common)
    else:
        core = CoreSet(params.selector, params.fraction, **common)
    core.fit(samples)
    write_json({
        "selector": params.selector, "people": core.selected_,
        "cost_s": round(core.cost_s_, 2),
        "coverage": dict(zip(core.coverage_["covariate"].values.tolist(),
                             core.coverage_.values.tolist())),
    }, outputs["selected"])  # fmt: skip


@pipeline_step(
    "fc.preserve",
    inputs={"scores": SCORES, "selected": SELECTED},
    outputs={"preserved": File("agreement of rankings by core-set, TSV")},
    params=PreserveParameters,
)
def preserve(
    inputs: dict[str, Any], outputs: dict[str, Path], params: PreserveParameters
) -> None:
    """Compare the ranking on the core-set, and on random people, with the full one."""
    from neuroana.fc.operator_benchmark import OperatorBenchmark
    from neuroana.fc.preserving import preservation_table

    bench = OperatorBenchmark.load(inputs["scores"])
    chosen = read_json(inputs["selected"])
    table = preservation_table(
        bench, {chosen["selector"]: chosen["people"]}, fractions=params.fractions,
        n_repeat=params.n_repeat, random_state=params.random_state,
    )  # fmt: skip
    with atomic_path(outputs["preserved"]) as part:
        table.to_csv(part, sep="\t", index=False, na_rep="n/a")


@pipeline_step(
    "fc.report",
    inputs={"scores": SCORES, "selected": SELECTED,
            "preserved": File("agreement of rankings by core-set, TSV"),
            "recordings": RECORDINGS},
    outputs={"section": File("a section of the report, JSON"),
             "leaderboard": File("the sortable leaderboard, HTML")},
    params=ReportParameters,
)  # fmt: skip
def report(
    inputs: dict[str, Any], outputs: dict[str, Path], params: ReportParameters
) -> None:
    """Draw leaderboard, costs, ties and core-sets for the report."""
    from neuroana.core.store import write_text
    from neuroana.fc.leaderboard_page import leaderboard_page
    from neuroana.fc.operator_benchmark import OperatorBenchmark
    from neuroana.fc.sections import SHOWN, benchmark_section
    from neuroana.plot.sections import write_section

    bench = OperatorBenchmark.load(inputs["scores"])
    first = read_netcdf(inputs["recordings"][0], lazy=True)
    section = benchmark_section(
        bench, selected=read_json(inputs["selected"]), title=params.title,
        preserved=pd.read_csv(inputs["preserved"], sep="\t", na_values="n/a"),
        synthetic=bool(int(first.attrs.get("synthetic", 0))),
    )  # fmt: skip
    write_section(section, outputs["section"])
    page = leaderboard_page(section, bench.to_frame()[SHOWN], bench.failures())
    write_text(page, outputs["leaderboard"])
