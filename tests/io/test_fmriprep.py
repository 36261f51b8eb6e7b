"""A derivatives folder as fMRIPrep writes it, made with nibabel."""

import json

import numpy as np
import pandas as pd
import pytest

from neuroana.core.contract import good_samples
from neuroana.core.errors import DataWarning, NeuroanaError, ParameterError
from neuroana.core.recording import events_of
from neuroana.io import read, read_fmriprep


N_VOLUMES = 40
MOVED = (10, 25)


@pytest.fixture
def atlas(tmp_path):
    import nibabel

    numbers = np.zeros((4, 4, 2), np.int16)
    numbers[:2], numbers[2:] = 1, 2
    path = tmp_path / "atlas.nii.gz"
    nibabel.save(nibabel.Nifti1Image(numbers, np.diag([3, 3, 4, 1.0])), path)
    return path


def confounds_table(rng):
    motion = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    columns = {}
    for name in [*motion, "white_matter", "csf"]:
        base = rng.normal(size=N_VOLUMES)
        diff = np.append(np.nan, np.diff(base))
        columns[name] = base
        columns[f"{name}_derivative1"] = diff
        columns[f"{name}_power2"] = base**2
        columns[f"{name}_derivative1_power2"] = diff**2
    time = np.linspace(0, np.pi, N_VOLUMES)
    columns["cosine00"] = np.cos(time)
    moved = rng.uniform(0.05, 0.2, N_VOLUMES)
    moved[list(MOVED)] = 0.9
    columns["framewise_displacement"] = np.append(np.nan, moved[1:])
    columns["std_dvars"] = np.append(np.nan, np.ones(N_VOLUMES - 1))
    return pd.DataFrame(columns)


@pytest.fixture
def prep(tmp_path):
    """Two people, spaces MNI and T1w, masks, confounds, participants."""
    import nibabel

    rng = np.random.default_rng(0)
    root = tmp_path / "fmriprep"
    for subject in ("01", "02"):
        folder = root / f"sub-{subject}" / "func"
        folder.mkdir(parents=True)
        stem = folder / f"sub-{subject}_task-rest"
        table = confounds_table(rng)
        table.to_csv(f"{stem}_desc-confounds_timeseries.tsv", sep="\t", na_rep="n/a",
                     index=False)  # fmt: skip
        (folder / f"{stem.name}_desc-confounds_timeseries.json").write_text("{}")
        shared = 3 * table["trans_x"].to_numpy()
        for space in ("MNI152NLin2009cAsym", "T1w"):
            values = 100 + rng.normal(size=(4, 4, 2, N_VOLUMES)) + shared
            image = nibabel.Nifti1Image(
                values.astype(np.float32), np.diag([3, 3, 4, 1.0])
            )
            image.header.set_zooms((3, 3, 4, 2.0))
            image.header.set_xyzt_units("mm", "sec")
            nibabel.save(image, f"{stem}_space-{space}_desc-preproc_bold.nii.gz")
            mask = np.zeros((4, 4, 2), np.uint8)
            mask[1:] = 1
            nibabel.save(
                nibabel.Nifti1Image(mask, image.affine),
                f"{stem}_space-{space}_desc-brain_mask.nii.gz",
            )
    (root / "dataset_description.json").write_text('{"Name": "fMRIPrep"}')
    (root / "participants.tsv").write_text("participant_id\tage\nsub-01\t30\n")
    return root


def test_spaces_must_be_chosen_where_there_are_several(prep):
    with pytest.raises(ParameterError, match="MNI152NLin2009cAsym"):
        read_fmriprep(prep)
    with pytest.raises(ParameterError, match="Did you mean 'T1w'"):
        read_fmriprep(prep, space="T1")
    study = read_fmriprep(prep, space="T1w")
    assert study.table["subject"].tolist() == ["01", "02"]
    assert study.table["age"].tolist()[0] == 30


def test_without_atlas_come_the_voxels_of_the_brain_mask(prep):
    rec = read_fmriprep(prep, space="T1w", subject="01")[0]
    assert rec.signal.shape == (N_VOLUMES, 3 * 4 * 2)
    assert rec.attrs["subject"] == "01"
    assert rec.attrs["space"] == "T1w"


def test_confounds_are_those_of_nilearn(prep, atlas):
    from nilearn.interfaces.fmriprep import load_confounds_strategy
    from nilearn.maskers import NiftiLabelsMasker

    rec = read_fmriprep(prep, space="T1w", atlas=atlas, confounds="simple")[0]
    image = str(next(prep.glob("sub-01/func/*T1w_desc-preproc_bold.nii.gz")))
    table, mask = load_confounds_strategy(image, denoise_strategy="simple")
    masker = NiftiLabelsMasker(str(atlas), standardize=None, t_r=2.0)
    wanted = masker.fit_transform(image, confounds=table, sample_mask=mask)
    np.testing.assert_allclose(rec.signal.values, wanted, atol=1e-4)
    raw = read_fmriprep(prep, space="T1w", atlas=atlas)[0]
    assert rec.signal.std() < 0.5 * raw.signal.std()


def test_one_image_takes_the_same_options(prep, atlas):
    image = next(prep.glob("sub-01/func/*T1w_desc-preproc_bold.nii.gz"))
    options = {"atlas": atlas, "confounds": "simple", "censor": 0.5}
    rec = read(image, **options)
    same = read_fmriprep(prep, space="T1w", **options)[0]
    np.testing.assert_array_equal(rec.signal.values, same.signal.values)
    with pytest.raises(ParameterError, match="Did you mean 'simple'"):
        read(image, confounds="simpel")


def test_a_table_of_ones_own_is_regressed_out(prep, atlas, tmp_path):
    from nilearn.maskers import NiftiLabelsMasker

    image = next(prep.glob("sub-01/func/*T1w_desc-preproc_bold.nii.gz"))
    motion = pd.DataFrame(np.random.default_rng(1).normal(size=(N_VOLUMES, 3)))
    motion.to_csv(tmp_path / "motion.txt", sep=" ", index=False, header=False)
    masker = NiftiLabelsMasker(str(atlas), standardize=None, t_r=2.0)
    wanted = masker.fit_transform(str(image), confounds=motion)
    for given in (motion, tmp_path / "motion.txt", str(tmp_path / "motion.txt")):
        rec = read(image, atlas=atlas, confounds=given)
        np.testing.assert_allclose(rec.signal.values, wanted, atol=1e-4)
    motion.iloc[0, 1] = np.nan
    with pytest.raises(NeuroanaError, match="a number in each row"):
        read(image, atlas=atlas, confounds=motion)


def test_censored_volumes_stay_on_the_clock(prep, atlas):
    options = {"space": "T1w", "atlas": atlas, "confounds": ("motion",)}
    rec = read_fmriprep(prep, censor=0.5, **options)[0]
    assert rec.sizes["time"] == N_VOLUMES
    assert np.flatnonzero(~good_samples(rec)).tolist() == list(MOVED)
    assert np.isnan(rec.signal.values[list(MOVED)]).all()
    assert rec.attrs["n_censored"] == 2
    assert rec.time.values[-1] == 2.0 * (N_VOLUMES - 1)


def test_scrubbing_marks_short_spans_too(prep, atlas):
    rec = read_fmriprep(prep, space="T1w", atlas=atlas, confounds="scrubbing")[0]
    good = good_samples(rec)
    assert not good[[10, 25]].any()
    assert np.isfinite(rec.signal.values[good]).all()


def test_events_come_from_the_raw_dataset(prep, atlas, tmp_path):
    raw = tmp_path / "raw"
    folder = raw / "sub-01" / "func"
    folder.mkdir(parents=True)
    (raw / "dataset_description.json").write_text("{}")
    (folder / "sub-01_task-rest_events.tsv").write_text(
        "onset\tduration\ttrial_type\n4.0\t2.0\tgo\n"
    )
    first, second = read_fmriprep(prep, space="T1w", atlas=atlas, raw=raw)
    assert events_of(first)["onset"].tolist() == [4.0]
    assert events_of(second).empty


def test_wrong_strategy_is_refused_before_anything_is_read(prep):
    with pytest.raises(ParameterError, match="Did you mean 'simple'"):
        read_fmriprep(prep, space="T1w", confounds="simpel")
    with pytest.raises(ParameterError, match="censor"):
        read_fmriprep(prep, space="T1w", censor=-1.0)


def test_lost_confounds_cost_one_recording(prep, atlas):
    next(prep.glob("sub-01/func/*confounds_timeseries.tsv")).unlink()
    study = read_fmriprep(prep, space="T1w", atlas=atlas, confounds="simple")
    with pytest.raises(NeuroanaError, match="sub-01"):
        study[0]
    with pytest.warns(DataWarning, match="left out.*sub-01"):
        left = study.readable()
    assert left.table["subject"].tolist() == ["02"]
    assert left.table["n_samples"].tolist() == [N_VOLUMES]


def xcpd(tmp_path, n_rows):
    folder = tmp_path / "xcpd" / "sub-01" / "func"
    folder.mkdir(parents=True)
    path = folder / "sub-01_task-rest_space-MNI_seg-4S_stat-mean_timeseries.tsv"
    rows = np.random.default_rng(0).normal(size=(n_rows, 3))
    pd.DataFrame(rows, columns=["LH_Vis_1", "LH_Vis_2", "RH_Vis_1"]).assign(
        lost=np.nan
    ).to_csv(path, sep="\t", na_rep="n/a", index=False)
    path.with_suffix(".json").write_text(json.dumps({"RepetitionTime": 2.0}))
    flags = np.zeros(12, int)
    flags[[3, 4]] = 1
    pd.DataFrame({"framewise_displacement": flags}).to_csv(
        folder / "sub-01_task-rest_outliers.tsv", sep="\t", index=False
    )
    return path, rows


@pytest.mark.parametrize("n_rows", [12, 10])
def test_xcpd_series_keep_their_clock(tmp_path, n_rows):
    path, rows = xcpd(tmp_path, n_rows)
    rec = read(path)
    assert rec.signal.shape == (12, 4)
    assert rec.roi.values.tolist()[:2] == ["LH_Vis_1", "LH_Vis_2"]
    assert np.flatnonzero(~good_samples(rec)).tolist() == [3, 4]
    good = rec.signal.values[good_samples(rec), :3]
    wanted = rows if n_rows == 10 else np.delete(rows, [3, 4], axis=0)
    np.testing.assert_array_equal(good, wanted)
    assert np.isnan(rec.signal.values[:, 3]).all()


def test_xcpd_series_that_fit_no_outlier_table_are_refused(tmp_path):
    path, _ = xcpd(tmp_path, 11)
    with pytest.raises(NeuroanaError, match=r"outliers\.tsv"):
        read(path)
