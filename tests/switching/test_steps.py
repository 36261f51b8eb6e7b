"""The steps, one after the other, with a file at each end."""

import numpy as np
import pytest

from neuroana.core.errors import ParameterError
from neuroana.core.step import parse, run
from neuroana.core.store import read_netcdf, read_tree, write_netcdf
from neuroana.plot.sections import read_section
from neuroana.switching import (
    HMMGLM,
    ExponentialHistory,
    GaussianPrior,
    RawHistory,
    select_n_states,
    simulate_hmm_glm,
)
from neuroana.switching.steps import FitParameters


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Everything that the steps make of three recordings."""
    folder = tmp_path_factory.mktemp("steps")
    recordings, _ = simulate_hmm_glm(
        n_states=2, n_units=4, n_bins=300, n_sequences=3, random_state=1
    )
    files = [write_netcdf(r, folder / f"{i}.nc") for i, r in enumerate(recordings)]
    given = {"recordings": files, "fit": folder / "fit.nc"}
    options = {"n_states": 2, "n_init": 2, "link": "sigmoid"}
    run("switching.fit", {"recordings": files}, {"fit": folder / "fit.nc"}, options)
    run("switching.score", given, {"scores": folder / "scores.nc"},
        {"cv": 3, "n_null": 3, "n_init": 1})  # fmt: skip
    run("switching.decode", given, {"states": folder / "states.nc"})
    run(
        "switching.report",
        {**given, "scores": folder / "scores.nc", "states": folder / "states.nc"},
        {"section": folder / "section.json"},
    )
    return folder


def test_fit_step_writes_a_model_that_knows_its_inputs(folder):
    model = HMMGLM.load(folder / "fit.nc")
    attrs = read_netcdf(folder / "fit.nc").attrs

    assert model.n_states == 2
    assert model.history == ExponentialHistory()
    assert len(attrs["inputs_sha256"]) == 3
    assert int(attrs["synthetic"]) == 1


def test_score_step_holds_every_recording_out(folder):
    scores = read_netcdf(folder / "scores.nc")

    assert scores.sizes == {"model": 2, "fold": 3, "shift": 3}
    assert np.isfinite(scores.score).all()


def test_decode_step_writes_states_of_every_recording(folder):
    tree = read_tree(folder / "states.nc")

    assert sorted(tree.children) == ["recording-0", "recording-1", "recording-2"]
    one = tree["recording-1"].to_dataset()
    assert one.path.dims == ("time",)
    np.testing.assert_allclose(one.probability.sum("state"), 1.0)
    visits = one.n_visits * one.mean_visit
    assert float(visits.sum()) == pytest.approx(300 / 1.0)


def test_report_step_writes_a_section_with_all_figures(folder):
    section = read_section(folder / "section.json")

    titles = [figure["title"] for figure in section.figures]
    assert titles == [
        "States over time",
        "Held-out score",
        "Couplings in each state",
        "Transitions and visits",
        "Predictive residuals",
        "Starts",
    ]
    assert section.kind == "switching"
    assert section.synthetic
    assert "one state" in section.lead
    assert any("2310.15263" in entry for entry in section.citations)
    assert len(section.tables[0]["rows"]) == 6


@pytest.fixture(scope="module")
def selected(folder, tmp_path_factory):
    """Candidates of one and two states, their folds, and what was gathered."""
    target = tmp_path_factory.mktemp("selected")
    files = [folder / f"{i}.nc" for i in range(3)]
    fits, folds = [], []
    for k in (1, 2):
        fits.append(target / f"{k}.nc")
        run("switching.fit", {"recordings": files}, {"fit": fits[-1]},
            {"n_states": k, "n_init": 2, "link": "sigmoid"})  # fmt: skip
        for fold in range(4):  # one more than there are recordings
            folds.append(target / f"{k}-{fold}.nc")
            run("switching.fold", {"recordings": files, "fit": fits[-1]},
                {"fold": folds[-1]}, {"cv": 4, "fold": fold})  # fmt: skip
    run(
        "switching.gather", {"recordings": files, "fits": fits, "folds": folds},
        {"table": target / "table.nc", "best": target / "best.nc"}, {"by": "held_out"},
    )  # fmt: skip
    return target


def test_gather_step_passes_the_better_fit_on(selected):
    table = read_netcdf(selected / "table.nc")
    best = HMMGLM.load(selected / "best.nc")

    assert table.n_states.to_numpy().tolist() == [1, 2]
    assert table.sizes["fold"] == 3
    held_out = table.held_out.mean("fold")
    assert best.n_states == int(held_out.idxmax("n_states")) == table.attrs["chosen"]


def test_steps_find_what_the_function_finds(folder, selected):
    recordings = [read_netcdf(folder / f"{i}.nc") for i in range(3)]
    model = HMMGLM(link="sigmoid", n_init=2, random_state=0)

    found = select_n_states(model, recordings, [1, 2], cv=3)

    table = read_netcdf(selected / "table.nc")
    np.testing.assert_allclose(table.held_out, found.held_out, atol=1e-12)
    np.testing.assert_allclose(table.icl, found.icl)


def test_report_step_shows_the_selection(folder, selected, tmp_path):
    files = [folder / f"{i}.nc" for i in range(3)]
    run(
        "switching.report",
        {
            "recordings": files, "fit": folder / "fit.nc",
            "scores": folder / "scores.nc", "states": folder / "states.nc",
            "selection": selected / "table.nc",
        },
        {"section": tmp_path / "section.json"},
    )  # fmt: skip

    section = read_section(tmp_path / "section.json")
    assert "Number of states" in [figure["title"] for figure in section.figures]
    assert [row[0] for row in section.tables[0]["rows"]] == [1, 2]


@pytest.mark.parametrize(
    ("options", "modality", "history", "observation"),
    [
        ({}, "spikes", ExponentialHistory(), "poisson"),
        ({}, "eeg", RawHistory(), "gaussian"),
        ({"history": None}, "fmri", None, "gaussian"),
        ({"history": "raw"}, "spikes", RawHistory(), "poisson"),
        ({"history": {"class": "raw", "n_lags": 3}}, "eeg", RawHistory(3), "gaussian"),
    ],
)
def test_fit_parameters_choose_by_modality(options, modality, history, observation):
    model = parse(FitParameters, options, "fit").model(modality)

    assert model.history == history
    assert model.observation == observation


def test_fit_parameters_take_an_estimators_configuration():
    model = HMMGLM(3, "gaussian", history=RawHistory(2), prior=GaussianPrior(0.5))

    again = parse(FitParameters, model.to_config(), "fit").model("eeg")

    expected = {**model.get_params(), "random_state": 0}
    assert again.get_params() == expected


@pytest.mark.parametrize(
    "options", [{"n_state": 2}, {"n_states": 0}, {"observation": "binomal"}]
)
def test_fit_parameters_reject_what_they_do_not_know(options):
    with pytest.raises(ParameterError):
        parse(FitParameters, options, "fit")


def test_fit_parameters_name_the_histories_they_know():
    with pytest.raises(ParameterError, match="raised_cosine"):
        parse(FitParameters, {"history": "cosine"}, "fit").model("eeg")
