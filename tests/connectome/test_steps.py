"""The steps, one after the other, with a file at each end."""

import numpy as np
import pytest

from neuroana.connectome import MotifCommunities, NonNegativeCP, simulate_motifs
from neuroana.connectome.steps import read_affinity
from neuroana.core.errors import ParameterError
from neuroana.core.step import run
from neuroana.core.store import read_json, read_netcdf, write_netcdf
from neuroana.plot.sections import read_section


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
CHAIN = {
    "factorize": {"n_init": 2, "tol": 1e-5},
    "communities": {"n_consensus": 0, "n_null": 3, "n_start": 4},
    "nulls": {"n": 3},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Everything that the steps make of two recordings with clocks of their own."""
    folder = tmp_path_factory.mktemp("steps")
    recordings, _ = simulate_motifs(n_neurons=14, n_samples=150, n_animals=2,
                                    missing=0.1, random_state=0)  # fmt: skip
    files = [write_netcdf(r, folder / f"{i}.nc") for i, r in enumerate(recordings)]
    at = {name: folder / f"{name}.nc" for name in
          ("affinity", "table", "motifs", "communities", "nulls")}  # fmt: skip
    choice, section = folder / "choice.json", folder / "section.json"
    run("connectome.affinity", {"recordings": files}, {"affinity": at["affinity"]},
        {"stride": 2})  # fmt: skip
    run("connectome.rank", {"affinity": at["affinity"]},
        {"table": at["table"], "choice": choice},
        {"ranks": [2, 3], "n_init": 2, "n_folds": 2})  # fmt: skip
    run("connectome.factorize", {"affinity": at["affinity"], "choice": choice},
        {"motifs": at["motifs"]}, CHAIN["factorize"])  # fmt: skip
    run("connectome.communities", {"motifs": at["motifs"]},
        {"communities": at["communities"]}, CHAIN["communities"])  # fmt: skip
    run("connectome.nulls",
        {"recordings": files, "affinity": at["affinity"], "motifs": at["motifs"],
         "communities": at["communities"]},
        {"nulls": at["nulls"]}, CHAIN["nulls"])  # fmt: skip
    run("connectome.report",
        {"recordings": files, "rank": at["table"], "motifs": at["motifs"],
         "communities": at["communities"], "nulls": at["nulls"]},
        {"section": section})  # fmt: skip
    return folder


def test_affinity_step_knows_its_inputs(folder):
    ds = read_netcdf(folder / "affinity.nc")
    assert len(ds.attrs["inputs_sha256"]) == 2
    assert ds["affinity"].dims == ("pair", "time")


def test_rank_step_writes_a_choice(folder):
    assert read_json(folder / "choice.json")["rank"] in (2, 3)


def test_factorize_step_uses_the_choice(folder):
    model = NonNegativeCP.load(folder / "motifs.nc")
    assert model.rank == read_json(folder / "choice.json")["rank"]
    assert model.layout == "concat"


def test_communities_step_writes_communities(folder):
    model = MotifCommunities.load(folder / "communities.nc")
    assert model.labels_.sizes["neuron"] == 14
    assert np.isfinite(model.p_value_).all()


def test_nulls_step_tests_every_motif(folder):
    result = read_netcdf(folder / "nulls.nc")
    assert result.sizes["draw"] == 3
    assert float(result["p_value"]) in (0.25, 0.5, 0.75, 1.0)
    assert result["p_split"].sizes == result["gap"].sizes


def test_report_step_has_all_figures(folder):
    section = read_section(folder / "section.json")
    titles = [f["title"] for f in section.figures]
    assert titles[0] == "Motif 0"
    for wanted in ("All motifs", "Against surrogates", "Number of motifs", "Restarts"):
        assert wanted in titles
    assert section.synthetic
    assert section.tables[0]["columns"][0] == "motif"
    assert "surrogates" in section.lead


def test_a_fixed_rank_is_taken(folder, tmp_path):
    run("connectome.rank", {"affinity": folder / "affinity.nc"},
        {"table": tmp_path / "t.nc", "choice": tmp_path / "c.json"},
        {"rank": 4, "n_init": 2})  # fmt: skip
    assert read_json(tmp_path / "c.json") == {"rank": 4, "chosen": False}


def test_a_large_tensor_travels_as_derivatives(folder, tmp_path):
    run("connectome.affinity", {"recordings": [folder / "0.nc"]},
        {"affinity": tmp_path / "a.nc"}, {"max_dense_bytes": 100})  # fmt: skip
    operator = read_affinity(tmp_path / "a.nc")
    run("connectome.rank", {"affinity": tmp_path / "a.nc"},
        {"table": tmp_path / "t.nc", "choice": tmp_path / "c.json"},
        {"rank": 2})  # fmt: skip
    run("connectome.factorize",
        {"affinity": tmp_path / "a.nc", "choice": tmp_path / "c.json"},
        {"motifs": tmp_path / "m.nc"}, {"n_init": 1})  # fmt: skip
    assert (
        NonNegativeCP.load(tmp_path / "m.nc").pair_.sizes["pair"] == operator.shape[0]
    )


def test_an_unknown_parameter_is_named(folder, tmp_path):
    with pytest.raises(ParameterError, match="did you mean 'stride'"):
        run("connectome.affinity", {"recordings": [folder / "0.nc"]},
            {"affinity": tmp_path / "a.nc"}, {"strid": 2})  # fmt: skip
