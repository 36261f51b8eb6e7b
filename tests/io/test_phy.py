"""Folders of phy: parameters are parsed and never run, clusters keep their labels."""

import numpy as np
import pytest

from neuroana.core.errors import CorruptFileError, ParameterError, ShapeError
from neuroana.io import read, read_spikes, spike_times
from neuroana.io.phy import parameters


@pytest.fixture
def phy(tmp_path):
    folder = tmp_path / "sorted"
    folder.mkdir()
    (folder / "params.py").write_text(
        "dat_path = r'raw.dat'\nn_channels_dat = 4\ndtype = 'int16'\noffset = 0\n"
        "sample_rate = 1000.\nhp_filtered = False\n"
    )
    np.save(folder / "spike_times.npy", np.array([[100], [200], [250], [900], [950]]))
    np.save(folder / "spike_clusters.npy", np.array([7, 2, 7, 5, 2], np.int32))
    (folder / "cluster_group.tsv").write_text(
        "cluster_id\tgroup\n2\tgood\n5\tnoise\n7\tmua\n"
    )
    return folder


def test_clusters_with_labels_but_the_noise(phy):
    rec = read(phy, bin_width=0.5)
    assert rec.neuron.values.tolist() == [2, 7]
    assert rec.quality.values.tolist() == ["good", "mua"]
    assert [t.tolist() for t in spike_times(rec)] == [[0.2, 0.95], [0.1, 0.25]]
    assert rec.signal.values.tolist() == [[1, 2], [1, 0]]


def test_quality_selects(phy):
    assert read_spikes(phy, bin_width=0.5, quality="good").neuron.values.tolist() == [2]
    with pytest.raises(ParameterError, match="did you mean 'good'"):
        read_spikes(phy, bin_width=0.5, quality="god")
    (phy / "cluster_group.tsv").unlink()
    assert read_spikes(phy, bin_width=0.5).sizes["neuron"] == 3
    with pytest.raises(ParameterError, match=r"cluster_group\.tsv"):
        read_spikes(phy, bin_width=0.5, quality="good")


def test_kilosort_without_curation_takes_its_templates(phy):
    (phy / "spike_clusters.npy").rename(phy / "spike_templates.npy")
    (phy / "cluster_group.tsv").rename(phy / "cluster_KSLabel.tsv")
    assert read(phy, bin_width=0.5).neuron.values.tolist() == [2, 7]


def test_parameters_are_never_run(phy, tmp_path):
    mark = tmp_path / "harm"
    (phy / "params.py").write_text(
        f"import os\nos.mkdir({str(mark)!r})\n"
        f"sample_rate = os.mkdir({str(mark)!r}) or 1000.\n"
        f"x = [open({str(mark)!r}, 'w')]\nn = 4\n"
    )
    assert parameters(phy / "params.py") == {"n": 4}
    with pytest.raises(ParameterError, match="sample_rate"):
        read(phy, bin_width=0.5)
    assert not mark.exists()


@pytest.mark.parametrize("text", ["sample_rate = (", "\0", "x = 1\n" * 20_000])
def test_parameters_that_are_no_python_are_named(phy, text):
    (phy / "params.py").write_text(text)
    with pytest.raises(CorruptFileError, match=r"params\.py"):
        read(phy, bin_width=0.5)


def test_deep_nesting_does_not_end_the_process(phy):
    (phy / "params.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    with pytest.raises((CorruptFileError, ParameterError), match=r"params\.py"):
        read(phy, bin_width=0.5)


def test_arrays_of_other_lengths_are_refused(phy):
    np.save(phy / "spike_clusters.npy", np.array([7, 2, 7]))
    with pytest.raises(ShapeError, match="5 clusters"):
        read(phy, bin_width=0.5)


def test_options_of_files_are_refused(phy, tmp_path):
    with pytest.raises(ParameterError, match="variable"):
        read_spikes(phy, bin_width=0.5, variable="x")
    with pytest.raises(ParameterError, match="a folder of phy"):
        read_spikes(tmp_path, bin_width=0.5)
