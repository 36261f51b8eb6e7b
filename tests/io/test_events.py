"""Events from tables, annotations and marker files."""

import mne
import numpy as np
import pandas as pd
import pytest

from neuroana.core.errors import ParameterError, SchemaError
from neuroana.io import read_events
from neuroana.io.events import good_from_spans


def test_read_events_bids_table(tmp_path):
    path = tmp_path / "a_events.tsv"
    path.write_text(
        "\ufeffonset\tduration\ttrial_type\tvalue\n2.0\tn/a\tb\t1\n1.0\t0.5\ta\t2\n",
        encoding="utf-8",
    )
    table = read_events(path)
    assert table["onset"].tolist() == [1.0, 2.0]
    assert table["duration"].tolist() == [0.5, 0.0]
    assert table["value"].tolist() == [2, 1]


def test_read_events_annotations():
    notes = mne.Annotations([1.0, 0.5], [0.1, 0.0], ["b", "a"])
    assert read_events(notes)["trial_type"].tolist() == ["a", "b"]


def test_read_events_other_column_as_trial_type():
    frame = pd.DataFrame({"onset": [1.0], "value": [3]})
    assert read_events(frame, trial_type="value")["trial_type"].tolist() == ["3"]
    with pytest.raises(ParameterError, match="did you mean 'value'"):
        read_events(frame, trial_type="valu")


def test_read_events_without_onset():
    with pytest.raises(SchemaError, match="rename the column"):
        read_events(pd.DataFrame({"start": [1.0]}))


def test_read_events_onset_that_is_no_number():
    with pytest.raises(SchemaError, match="'x' in row 2"):
        read_events(pd.DataFrame({"onset": [1.0, "x"]}))


def test_read_events_of_something_else():
    with pytest.raises(ParameterError, match="got int"):
        read_events(3)


def test_read_events_marker_file_needs_its_header(tmp_path):
    path = tmp_path / "a.vmrk"
    path.write_text("Mk1=Stimulus,S 1,101,1,0\nMk2=New Segment,,1,1,0\n")
    with pytest.raises(ParameterError, match=r"a\.vhdr"):
        read_events(path)
    (tmp_path / "a.vhdr").write_text("SamplingInterval=1000\n")
    table = read_events(path)
    assert table["trial_type"].tolist() == ["New Segment", "Stimulus/S 1"]
    assert np.allclose(table["onset"], [0.0, 0.1])


def test_good_from_spans_covers_every_sample_touched():
    spans = pd.DataFrame({"onset": [0.15, 0.95], "duration": [0.1, 0.0]})
    good = good_from_spans(spans, 10, 10.0)
    assert np.flatnonzero(~good).tolist() == [1, 2, 9]
