"""Volume triggers: what is mended, what is refused, and genuine markers."""

import numpy as np
import pandas as pd
import pytest

from neuroana.eeg2fmri import audit_triggers, window_index
from neuroana.eeg2fmri.triggers import TriggerError
from neuroana.io.events import read_events


def table(onsets, kind="Response/R149"):
    return pd.DataFrame({"onset": onsets, "trial_type": kind})


REGULAR = 3.0 + 2.1 * np.arange(300)


def audit(onsets, **options):
    return audit_triggers(table(onsets), "R149", sampling_rate=200.0, **options)


def test_regular_triggers_pass():
    found = audit(REGULAR, n_volumes=300, tr=2.1)
    assert found.restored == ()
    assert found.tr == pytest.approx(2.1)
    assert found.drift_ppm == pytest.approx(0, abs=1e-3)


def test_few_missing_triggers_are_put_back():
    found = audit(np.delete(REGULAR, [7, 100]), n_volumes=300)
    assert found.restored == (7, 100)
    assert found.onsets == pytest.approx(REGULAR)


@pytest.mark.parametrize(
    ("onsets", "text"),
    [
        (np.delete(REGULAR, [7, 50, 90, 100]), "4 missing, at 17.7"),
        (np.insert(REGULAR, 8, REGULAR[7] + 0.01), "1 doubled, at 17.7"),
        (REGULAR + 0.02 * (np.arange(300) == 9), "2 others"),
        (np.r_[REGULAR[:100], REGULAR[100:] + 1.0], "1 others"),
    ],
)
def test_bad_triggers_are_refused_with_their_places(onsets, text):
    with pytest.raises(TriggerError, match=text):
        audit(onsets)


def test_count_and_tr_of_the_series_are_compared():
    with pytest.raises(TriggerError, match=r"299 volumes.*300 from"):
        audit(REGULAR, n_volumes=299)
    with pytest.raises(TriggerError, match=r"header, 2 s.*2\.1 s"):
        audit(REGULAR, tr=2.0)


def test_unknown_trigger_lists_those_that_are_there():
    with pytest.raises(TriggerError, match=r"'Response/R149' \(300\)"):
        audit_triggers(table(REGULAR), "R128", sampling_rate=200.0)


@pytest.mark.realdata
def test_genuine_markers_align_with_the_volumes(realdata):
    rate = 250.0
    path = realdata / "eeg_fmri/noddi_markers_sub32/derivatives"
    markers = read_events(path / "sub-32/eeg/sub-32_task-rest_eeg.vmrk")
    found = audit_triggers(
        markers, "Scan Start", sampling_rate=rate, n_volumes=300, tr=2.16
    )
    assert found.restored == ()
    assert found.jitter_samples <= 1.0
    assert abs(found.drift_ppm) < 10
    end = found.onsets[-1] + 3.0
    index = window_index(found.onsets, np.arange(round(end * rate)) / rate)
    assert index.n_samples == 4000
    assert len(index.starts) + index.n_early == 300
    last = (index.starts + index.n_samples - 1) / rate
    before = found.onsets[index.volumes] - last
    assert (before > 0).all()
    assert (before <= 1.02 / rate).all()
