"""CIFTI and GIFTI series, made with nibabel."""

import json

import nibabel
import numpy as np
import pandas as pd
import pytest
from nibabel.cifti2 import (
    BrainModelAxis,
    Cifti2Image,
    LabelAxis,
    ParcelsAxis,
    SeriesAxis,
)

from neuroana.core.errors import CorruptFileError, ParameterError, ShapeError
from neuroana.io import read, read_bids, read_fmri, read_fmriprep


N_VOLUMES = 9
VALUES = np.random.default_rng(0).normal(size=(N_VOLUMES, 14)).astype(np.float32)
SERIES = SeriesAxis(0.0, 0.8, N_VOLUMES, "SECOND")


def grayordinates(vertices=range(1, 6)):
    sides = [
        BrainModelAxis.from_surface(list(vertices), 6, f"Cortex{side}")
        for side in ("Left", "Right")
    ]
    inside = np.zeros((2, 2, 1), bool)
    inside[:] = True
    return sides[0] + sides[1] + BrainModelAxis.from_mask(
        inside, "thalamus_left", np.diag([2.0, 2.0, 2.0, 1.0])
    )  # fmt: skip


@pytest.fixture
def dense(tmp_path):
    path = tmp_path / "sub-01_task-rest_space-fsLR_den-91k_bold.dtseries.nii"
    nibabel.save(Cifti2Image(VALUES, (SERIES, grayordinates())), path)
    return path


@pytest.fixture
def dlabel(tmp_path):
    """Labels on all vertices, medial wall and all: another grid than the series."""
    axis = grayordinates(range(6))
    numbers = np.zeros((1, len(axis)), np.float32)
    numbers[0, 1:4], numbers[0, 4:6], numbers[0, 7:9] = 3, 7, 9
    table = {0: ("???", (0, 0, 0, 0))}
    table |= {k: (f"area{k}", (0, 0, 0, 1)) for k in (3, 7, 9)}
    path = tmp_path / "atlas.dlabel.nii"
    nibabel.save(Cifti2Image(numbers, (LabelAxis(["a"], [table]), axis)), path)
    return path


def test_grayordinates_become_voxels(dense):
    rec = read(dense)
    np.testing.assert_array_equal(rec.signal.values, VALUES)
    assert rec.signal.dims == ("time", "voxel")
    assert rec.attrs["sampling_rate"] == 1.25
    assert rec.structure.values[[0, 5, 10]].tolist() == [
        "CIFTI_STRUCTURE_CORTEX_LEFT",
        "CIFTI_STRUCTURE_CORTEX_RIGHT",
        "CIFTI_STRUCTURE_THALAMUS_LEFT",
    ]
    assert rec.vertex.values[0] == 1
    assert rec.x.values[-1] == 2.0
    assert rec.attrs["subject"] == "01"


def test_dense_labels_are_matched_by_vertex(dense, dlabel):
    rec = read(dense, atlas=dlabel)
    assert rec.roi.values.tolist() == ["area3", "area7", "area9"]
    wanted = [VALUES[:, 0:3].mean(1), VALUES[:, 3:5].mean(1), VALUES[:, 5:7].mean(1)]
    np.testing.assert_allclose(rec.signal.values, np.transpose(wanted), rtol=1e-5)


def test_parcels_keep_their_names(tmp_path):
    axis = grayordinates()
    parcels = ParcelsAxis.from_brain_models([("V1", axis[:3]), ("V2", axis[3:5])])
    path = tmp_path / "a.ptseries.nii"
    nibabel.save(Cifti2Image(VALUES[:, :2], (SERIES, parcels)), path)
    rec = read_fmri(path)
    assert rec.roi.values.tolist() == ["V1", "V2"]
    with pytest.raises(ParameterError, match="parcels"):
        read_fmri(path, atlas=path)


def test_parcels_of_xcpd_keep_their_clock(tmp_path):
    parcels = ParcelsAxis.from_brain_models([("V1", grayordinates()[:3])])
    folder = tmp_path / "sub-01" / "func"
    folder.mkdir(parents=True)
    path = folder / "sub-01_task-rest_space-fsLR_seg-4S_timeseries.ptseries.nii"
    nibabel.save(Cifti2Image(VALUES[:, :1], (SERIES, parcels)), path)
    flags = pd.DataFrame({"framewise_displacement": [0, 1] + [0] * 8})
    flags.to_csv(folder / "sub-01_task-rest_outliers.tsv", sep="\t", index=False)
    (rec,) = read_bids(tmp_path)
    assert rec.good.values.tolist() == [True, False] + [True] * 8
    np.testing.assert_array_equal(rec.signal.values[rec.good.values], VALUES[:, :1])


def test_cut_cifti_is_an_error(dense):
    dense.write_bytes(dense.read_bytes()[:-40])
    with pytest.raises(CorruptFileError, match="promises"):
        read(dense)


def test_mask_on_a_surface_is_refused(dense):
    with pytest.raises(ParameterError, match="mask"):
        read(dense, mask=dense)


def write_gifti(path, values, *, time_step=None, intent="NIFTI_INTENT_TIME_SERIES"):
    arrays = [
        nibabel.gifti.GiftiDataArray(
            row, intent=intent, meta={"TimeStep": time_step} if time_step else None
        )
        for row in values
    ]
    nibabel.save(nibabel.GiftiImage(darrays=arrays), path)
    return path


def write_labels(path, numbers, names):
    array = nibabel.gifti.GiftiDataArray(
        np.asarray(numbers, np.int32), intent="NIFTI_INTENT_LABEL"
    )
    table = nibabel.gifti.GiftiLabelTable()
    for key, name in names.items():
        label = nibabel.gifti.GiftiLabel(key, 1, 0, 0, 1)
        label.label = name
        table.labels.append(label)
    nibabel.save(nibabel.GiftiImage(darrays=[array], labeltable=table), path)
    return path


def test_gifti_regions_of_a_label_file(tmp_path):
    series = write_gifti(tmp_path / "a.func.gii", VALUES, time_step="800.0")
    numbers = [1] * 5 + [0] * 4 + [2] * 5
    labels = write_labels(
        tmp_path / "a.label.gii", numbers, {0: "unknown", 1: "V1", 2: "V2"}
    )
    rec = read(series, atlas=labels)
    assert rec.attrs["sampling_rate"] == 1.25
    assert rec.roi.values.tolist() == ["V1", "V2"]
    np.testing.assert_allclose(rec.signal[:, 0], VALUES[:, :5].mean(1), rtol=1e-5)
    short = write_labels(tmp_path / "b.label.gii", numbers[:-1], {1: "V1", 2: "V2"})
    with pytest.raises(ShapeError, match="14 vertices"):
        read(series, atlas=short)


def test_gifti_that_points_to_another_file_is_refused(tmp_path):
    path = write_gifti(tmp_path / "a.func.gii", VALUES, time_step="800.0")
    text = path.read_text().replace("GZipBase64Binary", "ExternalFileBinary")
    path.write_text(text)
    with pytest.raises(CorruptFileError, match="points to others"):
        read(path)


def test_hemispheres_of_fmriprep_stand_beside_each_other(tmp_path):
    folder = tmp_path / "sub-01" / "func"
    folder.mkdir(parents=True)
    for side in "LR":
        stem = f"sub-01_task-rest_hemi-{side}_space-fsaverage5_bold"
        write_gifti(folder / f"{stem}.func.gii", VALUES)
        (folder / f"{stem}.json").write_text(json.dumps({"RepetitionTime": 2.0}))
    atlas = {
        side: write_labels(tmp_path / f"{side}.label.gii", [1] * 7 + [2] * 7,
                           {1: "V1", 2: "V2"})
        for side in "LR"
    }  # fmt: skip
    (rec,) = read_fmriprep(tmp_path, atlas=atlas)
    assert rec.roi.values.tolist() == ["L_V1", "L_V2", "R_V1", "R_V2"]
    assert rec.hemi.values.tolist() == ["L", "L", "R", "R"]
    np.testing.assert_allclose(rec.signal[:, 2], VALUES[:, :7].mean(1), rtol=1e-5)
    table = pd.DataFrame(np.eye(N_VOLUMES, 6), columns=[
        f"{k}_{a}" for k in ("trans", "rot") for a in "xyz"
    ]).assign(framewise_displacement=[0.0] * 8 + [2.0])  # fmt: skip
    stem = folder / "sub-01_task-rest_desc-confounds_timeseries"
    table.to_csv(f"{stem}.tsv", sep="\t", index=False)
    stem.with_suffix(".json").write_text("{}")
    (clean,) = read_fmriprep(
        tmp_path,
        atlas=atlas,
        confounds={"strategy": ("motion",), "motion": "basic"},
        censor=1.0,
    )
    assert clean.good.values.tolist() == [True] * 8 + [False]
    assert np.ptp(clean.signal.values[:6], axis=0).max() < 1e-5
