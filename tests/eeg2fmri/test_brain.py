import nibabel
import numpy as np
import pytest
import xarray as xr

from neuroana.core.errors import SchemaError
from neuroana.eeg2fmri import to_nifti


AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def labels(numbers=(0, 2, 2, 5)):
    grid = np.array(numbers, dtype=np.int16).reshape(4, 1, 1)
    return nibabel.Nifti1Image(grid, AFFINE)


def course(rois=("a", "b"), n=3):
    values = np.arange(n * len(rois), dtype=float).reshape(n, -1)
    return xr.DataArray(
        values, dims=("time", "roi"),
        coords={"time": np.arange(n) * 2.1, "roi": list(rois)},
    )  # fmt: skip


def test_to_nifti_gives_every_voxel_the_course_of_its_region(tmp_path):
    to_nifti(course(), labels()).to_filename(tmp_path / "a.nii.gz")
    image = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(
        image.get_fdata()[:, 0, 0], [[0, 0, 0], [0, 2, 4], [0, 2, 4], [1, 3, 5]]
    )
    np.testing.assert_array_equal(image.affine, AFFINE)
    assert image.header.get_zooms()[3] == pytest.approx(2.1)
    assert image.header.get_xyzt_units() == ("mm", "sec")


def test_to_nifti_finds_regions_by_name():
    made = to_nifti(course(("b",)), labels(), labels={"a": 2, "b": 5})
    np.testing.assert_array_equal(made.get_fdata()[:, 0, 0, 2], [0, 0, 0, 2])


def test_to_nifti_sums_maps_by_their_weights():
    maps = np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32).reshape(2, 1, 1, 2)
    made = to_nifti(course(), nibabel.Nifti1Image(maps, AFFINE))
    np.testing.assert_allclose(made.get_fdata()[:, 0, 0, 1], [2.0, 2.5])


def test_to_nifti_refuses_another_atlas():
    with pytest.raises(SchemaError, match="2 regions"):
        to_nifti(course(), labels((0, 1, 2, 3)))
    with pytest.raises(SchemaError, match="every region"):
        to_nifti(course(), labels(), labels={"a": 2, "b": 7})
    halves = nibabel.Nifti1Image(np.full((2, 1, 1), 0.5), AFFINE)
    with pytest.raises(SchemaError, match="whole-number"):
        to_nifti(course(), halves)
