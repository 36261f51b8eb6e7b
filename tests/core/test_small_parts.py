"""Checks, seeds, devices, provenance and tidy tables."""

import json

import numpy as np
import pytest
import xarray as xr

from neuroana.core.checks import (
    check_choice,
    check_names,
    check_number,
    did_you_mean,
    require,
)
from neuroana.core.device import choose, forecast
from neuroana.core.errors import (
    MissingDependencyError,
    NeuroanaError,
    ParameterError,
    ShapeError,
)
from neuroana.core.frames import tidy
from neuroana.core.progress import is_on, track
from neuroana.core.provenance import bibtex, file_sha256, history, methods_text, record
from neuroana.core.random import branch, draw_seed
from neuroana.io.exports import export


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", None, float("nan")])
def test_check_number_refuses_what_is_no_count(value):
    with pytest.raises(ParameterError, match="'n_states'"):
        check_number("n_states", value, minimum=1, integer=True)


def test_check_number_can_exclude_its_bounds():
    assert check_number("rate", 0.5, minimum=0, open_ends=True) == 0.5
    with pytest.raises(ParameterError, match=r"\(0, inf\)"):
        check_number("rate", 0.0, minimum=0, open_ends=True)


def test_check_choice_does_not_take_one_for_true():
    with pytest.raises(ParameterError):
        check_choice("flag", 1, [True, False])


def test_check_names_lists_the_unknown_with_the_nearest():
    with pytest.raises(ParameterError, match="'Czz': did you mean 'Cz'"):
        check_names("channel", ["Czz"], ["Cz", "Pz"])
    assert did_you_mean("zzzz", ["Cz"]) == ""


def test_require_names_the_extra():
    with pytest.raises(MissingDependencyError, match=r"neuroana\[fast\]") as caught:
        require("no_such_package", "fast")
    assert isinstance(caught.value, NeuroanaError)
    assert isinstance(caught.value.__cause__, ImportError)


def test_branches_depend_on_seed_and_number_only():
    assert branch(1, 2, 3).random() == branch(1, 2, 3).random()
    assert len({branch(1, i).random() for i in range(10)}) == 10
    assert draw_seed(None) != draw_seed(None)
    assert draw_seed(np.random.default_rng(0)) == draw_seed(np.random.default_rng(0))


def test_device_names_the_nearest_and_refuses_what_is_not_there():
    torch = pytest.importorskip("torch")
    with pytest.raises(ParameterError, match="'cpu'"):
        choose("cpuu")
    if not torch.cuda.is_available():
        assert choose("auto") == "cpu"
        with pytest.raises(ParameterError, match="neuroana doctor"):
            choose("cuda")


def test_forecast_refuses_what_does_not_fit():
    with pytest.raises(ParameterError, match="fewer states"):
        forecast(2**60, "HMMGLM.fit", fix="use fewer states")


def test_progress_is_off_in_ci_and_yields_everything(monkeypatch):
    monkeypatch.delenv("NEUROANA_PROGRESS", raising=False)
    monkeypatch.setenv("CI", "true")
    assert not is_on()
    assert list(track(range(3), "x", progress=False)) == [0, 1, 2]
    assert list(track(range(3), "x", progress=True)) == [0, 1, 2]


def test_provenance_lists_steps_in_order_without_touching_the_input():
    ds = xr.Dataset()
    done = record(record(ds, "a", low=np.float64(1)), "b", names=("x",))
    assert [step["step"] for step in history(done)] == ["a", "b"]
    assert history(ds) == []
    assert "a (low=1.0); b" in methods_text(done)
    assert json.loads(done.attrs["provenance"])


def test_bibtex_gives_each_entry_once():
    assert bibtex("mne", "mne").count("@article") == 1


def test_file_hash_follows_the_contents(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    first = file_sha256(path)
    path.write_text("22")
    assert file_sha256(path) != first


def test_tidy_has_a_column_for_every_coordinate():
    array = xr.DataArray(
        np.arange(4.0).reshape(2, 2),
        dims=("time", "roi"),
        coords={"time": [0.0, 1.0], "roi": ["l", "r"], "x": ("roi", [1, 2])},
        name="signal",
    )
    frame = tidy(array)
    assert list(frame.columns) == ["time", "roi", "x", "signal"]
    assert frame["signal"].tolist() == [0, 1, 2, 3]
    assert frame["x"].tolist() == [1, 2, 1, 2]


def test_tidy_stacks_a_list_with_its_entities():
    part = xr.DataArray([1, 2], dims="time", name="state", attrs={"subject": "01"})
    frame = tidy([part, part.assign_attrs(subject="02")])
    assert frame["subject"].tolist() == ["01", "01", "02", "02"]


def test_tidy_refuses_variables_of_different_dims():
    ds = xr.Dataset({"a": ("x", [1]), "b": ("y", [1])})
    with pytest.raises(ShapeError, match="make a table of each"):
        tidy(ds)


@pytest.mark.parametrize("form", ["tsv", "parquet"])
def test_export_writes_tables_and_sidecars(form, tmp_path):
    import pandas as pd

    if form == "parquet":
        pytest.importorskip("pyarrow")
    array = xr.DataArray(
        [1.0, np.nan], dims="state", name="rate", attrs={"units": "Hz"}
    )
    (path,) = export(array, tmp_path, format=form)
    frame = pd.read_csv(path, sep="\t") if form == "tsv" else pd.read_parquet(path)
    assert frame["rate"].isna().tolist() == [False, True]
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["attributes"]["units"] == "Hz"


def test_export_names_the_formats_it_knows(tmp_path):
    with pytest.raises(ParameterError, match="'tsv', 'parquet'"):
        export(xr.DataArray([1.0]), tmp_path, format="xlsx")
    with pytest.raises(ParameterError, match="an estimator"):
        export("nothing", tmp_path)
