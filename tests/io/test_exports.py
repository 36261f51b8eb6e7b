"""Results out: BIDS derivatives, NWB, annotations, images; never into raw data."""

import json

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroana.core.errors import ParameterError, ShapeError
from neuroana.core.recording import from_array
from neuroana.core.recordings import Recordings
from neuroana.core.store import read_netcdf
from neuroana.io import (
    export,
    read,
    read_bids,
    read_fmri,
    to_annotations,
    to_mne,
    to_nifti,
)


RNG = np.random.default_rng(0)


def rest(subject):
    return from_array(
        RNG.normal(size=(20, 3)),
        "fmri",
        sampling_rate=0.5,
        names=["PCC", "mPFC", "V1"],
        events=pd.DataFrame({"onset": [2.0], "trial_type": ["go"]}),
        attrs={"subject": subject, "task": "rest", "space": "MNI152NLin6Asym",
               "atlas": "Schaefer-100.nii.gz"},
    )  # fmt: skip


def matrix(subject="01", **attrs):
    return xr.DataArray(
        np.corrcoef(RNG.normal(size=(3, 9))),
        dims=("source", "target"),
        coords={"source": list("abc"), "target": list("abc")},
        name="pearson_correlation",
        attrs={"subject": subject, "task": "rest", "modality": "fmri", **attrs},
    )


@pytest.fixture
def raw(tmp_path):
    root = tmp_path / "study"
    root.mkdir()
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1"}')
    return root


def test_recordings_become_a_derivatives_dataset(raw):
    folder = raw / "derivatives" / "neuroana-clean"
    study = Recordings([rest("01"), rest("02")])
    tables = export(study, folder, format="bids")
    stem = "sub-01_task-rest_space-MNI152NLin6Asym_seg-Schaefer100"
    assert tables[0] == folder / f"sub-01/func/{stem}_timeseries.tsv"
    description = json.loads((folder / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["Name"] == "neuroana-clean"
    assert description["GeneratedBy"][0]["Name"] == "neuroana"
    assert description["SourceDatasets"] == [{"URL": "../../"}]
    sidecar = json.loads(tables[0].with_suffix(".json").read_text())
    assert sidecar["SamplingFrequency"] == 0.5
    same = read_netcdf(tables[0].with_suffix(".nc"))
    xr.testing.assert_identical(same, study[0])
    events = (folder / f"sub-01/func/{stem}_events.tsv").read_text()
    assert events.startswith("onset\tduration\ttrial_type\n2.0\t")


def test_what_went_out_comes_in_again(raw):
    folder = raw / "derivatives" / "neuroana"
    study = Recordings([rest("01"), rest("02")])
    export(study, folder, format="bids")
    back = read_bids(folder, t_r=2.0)
    assert back.table["subject"].tolist() == ["01", "02"]
    np.testing.assert_allclose(back[1].signal, study[1].signal, rtol=1e-12)
    assert back[0].roi.values.tolist() == ["PCC", "mPFC", "V1"]


def test_matrices_have_one_suffix(tmp_path):
    (path,) = export(matrix(), tmp_path / "out", format="bids")
    assert path.name == "sub-01_task-rest_stat-pearsoncorrelation_relmat.tsv"
    table = pd.read_csv(path, sep="\t")
    assert list(table) == ["a", "b", "c"]
    np.testing.assert_allclose(table.to_numpy(), matrix_of(path), rtol=1e-12)
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["rows"] == ["a", "b", "c"]


def matrix_of(path):
    return read_netcdf(path.with_suffix(".nc"))["pearson_correlation"].to_numpy()


def test_matrices_of_states_are_files_of_their_own(tmp_path):
    states = xr.concat([matrix(), matrix()], dim="state", combine_attrs="override")
    names = [p.name for p in export(states, tmp_path, format="bids")]
    assert names == [
        f"sub-01_task-rest_desc-state{i}_stat-pearsoncorrelation_relmat.tsv"
        for i in (0, 1)
    ]


def test_parts_that_nothing_tells_apart_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="tell apart"):
        export([matrix(), matrix()], tmp_path, format="bids")


@pytest.mark.parametrize("format", ["tsv", "bids", "nwb"])
@pytest.mark.parametrize("inside", ["", "sub-01/func", "derivatives", "results"])
def test_output_inside_raw_data_is_refused(raw, format, inside):
    with pytest.raises(ParameterError, match="outside of the raw data"):
        export(matrix(), raw / inside, format=format)
    assert [p.name for p in raw.iterdir()] == ["dataset_description.json"]


def test_output_inside_raw_data_is_refused_by_another_way(raw, monkeypatch):
    monkeypatch.chdir(raw)
    with pytest.raises(ParameterError, match="outside of the raw data"):
        export(matrix(), "derivatives/../results")
    assert export(matrix(), "derivatives/a", format="bids")
    assert export(matrix(), raw.parent / "elsewhere")


def test_dataset_of_another_program_is_left_alone(tmp_path):
    text = '{"DatasetType": "derivative", "GeneratedBy": [{"Name": "fMRIPrep"}]}'
    description = tmp_path / "dataset_description.json"
    description.write_text(text)
    with pytest.raises(ParameterError, match="the dataset of fMRIPrep"):
        export(matrix(), tmp_path, format="bids")
    assert description.read_text() == text
    again = tmp_path / "mine"
    assert export(matrix(), again, format="bids") == export(
        matrix(), again, format="bids"
    )


def test_results_become_a_processing_module(tmp_path):
    pynwb = pytest.importorskip("pynwb")
    posterior = xr.DataArray(
        RNG.random((5, 2)),
        dims=("time", "state"),
        coords={"time": np.arange(5) / 2, "state": [0, 1]},
        name="posterior",
        attrs={"subject": "01"},
    )
    (path,) = export([posterior], tmp_path, format="nwb")
    assert path.name == "subject-01.nwb"
    with pynwb.NWBHDF5IO(path, "r") as file:
        content = file.read()
        module = content.processing["neuroana"]
        np.testing.assert_array_equal(module["posterior"].data[:], posterior)
        assert module["posterior"].timestamps[1] == 0.5
        assert content.subject.subject_id == "01"
    (path,) = export(matrix(), tmp_path / "b", format="nwb")
    assert not pynwb.validate(path=str(path))
    with pynwb.NWBHDF5IO(path, "r") as file:
        table = file.read().processing["neuroana"]["pearson_correlation"].to_dataframe()
    assert len(table) == 9


def test_recording_as_nwb_comes_back(tmp_path):
    pytest.importorskip("pynwb")
    rec = rest("01")
    (path,) = export(rec, tmp_path, format="nwb")
    xr.testing.assert_identical(read(path), rec)


def test_states_become_annotations_of_the_same_raw():
    rec = from_array(np.full((8, 1), 1e-5), "eeg", sampling_rate=2.0, start=3.0)
    states = xr.DataArray(
        [0, 0, 1, 1, 1, -1, 0, 0], dims="time", coords={"time": rec.time}
    )
    notes = to_annotations(states, names=["rest", "move"])
    assert notes.description.tolist() == ["rest", "move", "rest"]
    assert notes.onset.tolist() == [0.0, 1.0, 3.0]
    assert notes.duration.tolist() == [1.0, 1.5, 1.0]
    raw = to_mne(rec).set_annotations(notes)
    assert len(raw.annotations) == 3
    with pytest.raises(ParameterError, match=r"none for \[1\]"):
        to_annotations(states, names=["rest"])


def test_probabilities_become_the_most_probable_state():
    values = np.array([[0.9, 0.1], [0.2, 0.8], [np.nan, np.nan]])
    states = xr.DataArray(
        values, dims=("time", "state"), coords={"time": [0.0, 1.0, 2.0]}
    )
    assert to_annotations(states).description.tolist() == ["state-0", "state-1"]
    with pytest.raises(ShapeError, match="time"):
        to_annotations(states.rename(time="t"))


def test_region_values_are_painted_where_the_atlas_has_them(tmp_path, nifti):
    path, _ = nifti()
    numbers = np.zeros((4, 4, 2), np.int16)
    numbers[0], numbers[1], numbers[2] = 3, 7, 9
    atlas = nibabel.Nifti1Image(numbers, np.diag([3, 3, 4, 1.0]))
    rec = read_fmri(path, atlas=atlas, labels=["a", "b", "c"])
    weight = rec.signal.mean("time")
    volume = to_nifti(weight, atlas).get_fdata()
    for number, value in zip((3, 7, 9), weight.values):
        assert (volume[numbers == number] == np.float32(value)).all()
    assert (volume[numbers == 0] == 0).all()
    named = weight.drop_vars("roi_id")[::-1]
    again = to_nifti(named, atlas, labels=["a", "b", "c"]).get_fdata()
    np.testing.assert_array_equal(again, volume)
    with pytest.raises(ParameterError, match="labels="):
        to_nifti(named, atlas)
    with pytest.raises(ParameterError, match=r"none for \[99\]"):
        to_nifti(weight.assign_coords(roi_id=("roi", [3, 7, 99])), atlas)


def test_voxels_and_maps_go_back_to_their_places(nifti):
    path, values = nifti()
    rec = read_fmri(path)
    image = to_nifti(rec.signal[:3], path)
    np.testing.assert_array_equal(image.get_fdata(), values[..., :3])
    moved = nibabel.Nifti1Image(values, np.diag([2, 3, 4, 1.0]))
    with pytest.raises(ShapeError, match="the place of the recording"):
        to_nifti(rec.signal[:3], moved)
    maps = RNG.random((4, 4, 2, 2)).astype(np.float32)
    atlas = nibabel.Nifti1Image(maps, np.diag([3, 3, 4, 1.0]))
    weights = xr.DataArray(
        np.float32([2.0, 0.5]), dims="roi", coords={"roi_id": ("roi", [1, 2])}
    )
    wanted = maps @ np.float32([2.0, 0.5])
    np.testing.assert_allclose(to_nifti(weights, atlas).get_fdata(), wanted, rtol=1e-6)
