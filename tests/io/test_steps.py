import numpy as np
import pytest

from neuroana.core import step
from neuroana.core.errors import ParameterError, SchemaError, UnitError
from neuroana.core.provenance import file_sha256, history
from neuroana.core.store import read_netcdf
from neuroana.io import registry


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "sub-07_task-rest_timeseries.tsv"
    values = np.random.default_rng(0).standard_normal((20, 2))
    np.savetxt(path, values, delimiter="\t", header="a\tb", comments="")
    return path


def read(table, target, **params):
    step.run("io.read", {"file": table}, {"recording": target}, params)
    return read_netcdf(target)


def test_read_keeps_hash_name_and_what_was_done(table, tmp_path):
    ds = read(table, tmp_path / "a.nc", modality="fmri", options={"t_r": 2.0})
    assert ds.attrs["source"] == table.name
    assert ds.attrs["source_sha256"] == file_sha256(table)
    assert ds.attrs["subject"] == "07"
    assert history(ds)[0]["parameters"]["t_r"] == 2.0


def test_read_lets_entities_be_given(table, tmp_path):
    ds = read(table, tmp_path / "a.nc", modality="fmri", options={"t_r": 2.0},
              attrs={"subject": "patient-1"})  # fmt: skip
    assert ds.attrs["subject"] == "patient-1"


def test_read_refuses_values_that_cannot_be(table, tmp_path):
    with pytest.raises(UnitError, match="standard deviation"):
        read(table, tmp_path / "a.nc", modality="eeg",
             options={"sampling_rate": 100.0, "units": "V"})  # fmt: skip
    assert not (tmp_path / "a.nc").exists()


def test_read_names_a_misspelt_modality(table, tmp_path):
    with pytest.raises(ParameterError, match="modality"):
        read(table, tmp_path / "a.nc", modality="fmr")


def test_a_stand_in_is_called_synthetic(tmp_path, monkeypatch):
    registry.entries()
    monkeypatch.setattr(registry, "data_folder", lambda: tmp_path)
    params = {"sample": "fmri_rest_31roi"}
    step.run("io.read", {}, {"recording": tmp_path / "a.nc"}, params)
    ds = read_netcdf(tmp_path / "a.nc")
    assert ds.attrs["synthetic"] == 1
    assert ds.attrs["title"].startswith("SYNTHETIC")


def test_prepare_does_what_it_is_told_in_order(table, tmp_path):
    read(table, tmp_path / "a.nc", modality="fmri", options={"t_r": 2.0})
    step.run("signal.prepare", {"recording": tmp_path / "a.nc"},
             {"recording": tmp_path / "b.nc"},
             {"start": 4.0, "stop": 30.0, "drop": ["a"]})  # fmt: skip
    ds = read_netcdf(tmp_path / "b.nc")
    assert ds.roi.values.tolist() == ["b"]
    assert float(ds.time[0]) == 4.0
    assert [s["step"] for s in history(ds)][1:] == [
        "signal.crop",
        "signal.pick",
    ]


def test_prepare_names_a_signal_to_drop_that_is_not_there(table, tmp_path):
    read(table, tmp_path / "a.nc", modality="fmri", options={"t_r": 2.0})
    with pytest.raises(ParameterError, match="unknown \\['aa'\\]"):
        step.run("signal.prepare", {"recording": tmp_path / "a.nc"},
                 {"recording": tmp_path / "b.nc"}, {"drop": ["aa"]})  # fmt: skip


def test_prepare_keeps_the_most_variable_signals(tmp_path, table):
    ds = read(table, tmp_path / "a.nc", modality="fmri", options={"t_r": 2.0})
    widest = ds.roi.values[int(ds.signal.var("time").to_numpy().argmax())]
    step.run("signal.prepare", {"recording": tmp_path / "a.nc"},
             {"recording": tmp_path / "b.nc"}, {"n_active": 1})  # fmt: skip
    assert read_netcdf(tmp_path / "b.nc").roi.values.tolist() == [widest]


def test_prepare_refuses_what_is_no_recording(tmp_path):
    import xarray as xr

    from neuroana.core.store import write_netcdf

    write_netcdf(xr.Dataset({"a": 1}), tmp_path / "a.nc")
    with pytest.raises(SchemaError, match="a Dataset with 'signal'"):
        step.run("signal.prepare", {"recording": tmp_path / "a.nc"},
                 {"recording": tmp_path / "b.nc"})  # fmt: skip
