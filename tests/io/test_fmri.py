"""NIfTI images and tables of regions."""

import json

import nibabel
import numpy as np
import pytest

from neuroana.core.errors import (
    CorruptFileError,
    DataWarning,
    ParameterError,
    SchemaError,
    ShapeError,
)
from neuroana.core.recording import events_of
from neuroana.io import images, read_fmri


def image(path, values, affine=None):
    affine = np.diag([3, 3, 4, 1.0]) if affine is None else affine
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def test_read_fmri_every_voxel(nifti):
    path, values = nifti()
    rec = read_fmri(path)
    assert rec.attrs["sampling_rate"] == 0.5
    assert dict(rec.signal.sizes) == {"time": 12, "voxel": 32}
    assert np.array_equal(rec.signal.values, values.reshape(32, 12).T)
    assert (rec.x.values, rec.z.values)[0][-1] == 9.0
    assert rec.z.values[-1] == 4.0


def test_read_fmri_mask(nifti, tmp_path):
    path, values = nifti()
    inside = np.zeros((4, 4, 2), dtype=np.int8)
    inside[1:3, 2, 0] = 1
    rec = read_fmri(path, mask=image(tmp_path / "mask.nii.gz", inside))
    assert np.array_equal(rec.signal.values, values[1:3, 2, 0].T)
    assert rec.i.values.tolist() == [1, 2]
    assert rec.y.values.tolist() == [6.0, 6.0]


def test_read_fmri_mask_of_another_grid(nifti, tmp_path):
    path, _ = nifti()
    mask = image(tmp_path / "mask.nii.gz", np.ones((5, 4, 2), dtype=np.int8))
    with pytest.raises(ShapeError, match="resample_to_img"):
        read_fmri(path, mask=mask)


def test_read_fmri_atlas_means_and_labels(nifti, tmp_path):
    path, values = nifti()
    regions = np.zeros((4, 4, 2), dtype=np.int16)
    regions[0], regions[3] = 2, 7
    atlas = image(tmp_path / "atlas.nii.gz", regions)
    rec = read_fmri(path, atlas=atlas, labels={2: "PCC", 7: "mPFC"})
    assert rec.roi.values.tolist() == ["PCC", "mPFC"]
    assert rec.roi_id.values.tolist() == [2, 7]
    assert np.allclose(rec.signal.values[:, 0], values[0].mean((0, 1)), rtol=1e-5)
    assert np.allclose(rec.signal.values[:, 1], values[3].mean((0, 1)), rtol=1e-5)
    assert rec.x.values.tolist() == [0.0, 9.0]
    assert rec.attrs["atlas"] == "atlas.nii.gz"


def test_read_fmri_atlas_equals_nilearn(nifti, tmp_path):
    from nilearn.maskers import NiftiLabelsMasker

    path, _ = nifti()
    regions = np.random.default_rng(0).integers(0, 4, (4, 4, 2)).astype(np.int16)
    atlas = image(tmp_path / "atlas.nii.gz", regions)
    wanted = NiftiLabelsMasker(atlas, standardize=None).fit_transform(path)
    assert np.allclose(read_fmri(path, atlas=atlas).signal.values, wanted, rtol=1e-5)


def test_read_fmri_in_pieces_equals_whole(nifti, tmp_path, monkeypatch):
    path, _ = nifti()
    regions = np.random.default_rng(0).integers(0, 4, (4, 4, 2)).astype(np.int16)
    atlas = image(tmp_path / "atlas.nii.gz", regions)
    whole = read_fmri(path, atlas=atlas)
    monkeypatch.setattr(images, "CHUNK_BYTES", 5 * 32 * 8)
    assert np.array_equal(read_fmri(path, atlas=atlas).signal.values, whole.signal)


def test_read_fmri_names_lost_regions(nifti, tmp_path):
    path, _ = nifti()
    regions = np.zeros((8, 4, 2), dtype=np.int16)
    regions[0], regions[7] = 1, 2
    atlas = image(tmp_path / "atlas.nii.gz", regions)
    with pytest.warns(DataWarning, match=r"lost \['far'\]"):
        rec = read_fmri(path, atlas=atlas, labels=["near", "far"])
    assert rec.roi.values.tolist() == ["near"]


def test_read_fmri_map_atlas(nifti, tmp_path):
    path, _ = nifti()
    maps = np.zeros((4, 4, 2, 2), dtype=np.float32)
    maps[:2, ..., 0] = maps[2:, ..., 1] = 1.0
    rec = read_fmri(
        path, atlas=image(tmp_path / "maps.nii.gz", maps), labels=["a", "b"]
    )
    assert dict(rec.signal.sizes) == {"time": 12, "roi": 2}


def test_read_fmri_wrong_number_of_labels(nifti, tmp_path):
    path, _ = nifti()
    atlas = image(tmp_path / "atlas.nii.gz", np.ones((4, 4, 2), dtype=np.int16))
    with pytest.raises(ShapeError, match="expected 1, one a region, got 2"):
        read_fmri(path, atlas=atlas, labels=["a", "b"])


@pytest.mark.parametrize("t_r", [0.0, 200.0])
def test_read_fmri_implausible_repetition_time(nifti, t_r):
    path, _ = nifti(t_r=t_r)
    with pytest.raises(ParameterError, match="pass t_r="):
        read_fmri(path)
    assert read_fmri(path, t_r=2.0).attrs["sampling_rate"] == 0.5


def test_read_fmri_header_against_sidecar(nifti, tmp_path):
    path, _ = nifti("sub-01_task-rest_bold.nii.gz")
    sidecar = tmp_path / "sub-01_task-rest_bold.json"
    sidecar.write_text(json.dumps({"RepetitionTime": 1.5}))
    with pytest.raises(SchemaError, match=r"2 s in the header and 1\.5 s in the JSON"):
        read_fmri(path)
    assert read_fmri(path, t_r=1.5).attrs["sampling_rate"] == pytest.approx(1 / 1.5)


def test_read_fmri_call_against_header(nifti):
    path, _ = nifti()
    with pytest.warns(DataWarning, match="2 s, as the file states"):
        read_fmri(path, t_r=1.0)


def test_read_fmri_three_dims_are_no_run(tmp_path):
    path = image(tmp_path / "anat.nii.gz", np.ones((4, 4, 2), dtype=np.float32))
    with pytest.raises(ShapeError, match="4-D"):
        read_fmri(path)


def test_read_fmri_events_beside_the_file(nifti, tmp_path):
    path, _ = nifti("sub-01_task-a_bold.nii.gz")
    table = tmp_path / "sub-01_task-a_events.tsv"
    table.write_text("onset\tduration\ttrial_type\n2.0\t4.0\tface\n")
    assert events_of(read_fmri(path))["trial_type"].tolist() == ["face"]


def test_read_fmri_1d_table(tmp_path):
    path = tmp_path / "run.1D"
    path.write_text("#1\t#2\t#3\n" + "1.5\t2.5\t3.5\n0.5\t1.0\t2.0\n" * 2)
    rec = read_fmri(path, t_r=2.0)
    assert rec.roi.values.tolist() == ["1", "2", "3"]
    assert rec.signal.values[0].tolist() == [1.5, 2.5, 3.5]


def test_read_fmri_table_without_rate_asks(tmp_path):
    path = tmp_path / "run.txt"
    path.write_text("1 2\n3 4\n5 7\n")
    with pytest.raises(ParameterError, match="sampling_rate= in Hz"):
        read_fmri(path)


def test_read_fmri_wide_table_asks_which_way(tmp_path):
    path = tmp_path / "run.txt"
    np.savetxt(path, np.random.default_rng(0).random((3, 20)))
    with pytest.raises(ParameterError, match=r"dims=\('time', 'roi'\)"):
        read_fmri(path, t_r=2.0)
    assert read_fmri(path, t_r=2.0, dims=("roi", "time")).sizes["time"] == 20


def test_read_fmri_matlab_cells(tmp_path):
    from scipy.io import savemat

    cells = np.empty((1, 2), dtype=object)
    cells[0, 0], cells[0, 1] = np.ones((3, 10)), np.arange(30.0).reshape(3, 10)
    savemat(tmp_path / "a.mat", {"tc": cells})
    with pytest.raises(
        ParameterError, match=r"tc\[0,0\] \(3, 10\), tc\[0,1\] \(3, 10\)"
    ):
        read_fmri(tmp_path / "a.mat", t_r=2.0)
    rec = read_fmri(
        tmp_path / "a.mat", t_r=2.0, variable="tc[0,1]", dims=("roi", "time")
    )
    assert rec.signal.values[1].tolist() == [1.0, 11.0, 21.0]


def test_read_fmri_constant_regions_are_named(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("a,b\n" + "".join(f"{i},5\n" for i in range(9)))
    with pytest.warns(DataWarning, match=r"1 constant \(b\)"):
        read_fmri(path, t_r=2.0)


def test_read_fmri_cut_off_table(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("a,b,c\n1,2,3\n4,5,6\n7,8")
    with pytest.raises(CorruptFileError, match=r"line 4: expected 3 columns.*got 2"):
        read_fmri(path, t_r=2.0)


def test_read_fmri_missing_voxels_are_no_zeros(tmp_path):
    values = np.random.default_rng(0).normal(100, 5, (4, 4, 2, 8)).astype(np.float32)
    values[0, 0, 0, 3] = values[3, :, :, 5] = np.nan
    path = image(tmp_path / "run.nii", values)
    regions = np.ones((4, 4, 2), dtype=np.int16)
    regions[3] = 2
    every = read_fmri(path, t_r=2.0)
    assert np.array_equal(every.signal, values.reshape(32, 8).T, equal_nan=True)
    rec = read_fmri(path, t_r=2.0, atlas=image(tmp_path / "atlas.nii", regions))
    wanted = np.nanmean(values[:3], axis=(0, 1, 2))
    assert np.allclose(rec.signal[:, 0], wanted, rtol=1e-5)
    assert np.flatnonzero(np.isnan(rec.signal[:, 1])).tolist() == [5]


def test_read_fmri_map_over_a_missing_voxel_is_missing(tmp_path):
    values = np.random.default_rng(0).normal(100, 5, (4, 4, 2, 8)).astype(np.float32)
    values[0, 0, 0, 3] = np.nan
    path = image(tmp_path / "run.nii", values)
    maps = np.zeros((4, 4, 2, 2), dtype=np.float32)
    maps[:2, ..., 0] = maps[2:, ..., 1] = 1.0
    rec = read_fmri(path, t_r=2.0, atlas=image(tmp_path / "maps.nii", maps))
    assert np.argwhere(np.isnan(rec.signal.values)).tolist() == [[3, 0]]
