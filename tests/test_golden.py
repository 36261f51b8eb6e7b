"""Files of every release must load in this one."""

from pathlib import Path

import numpy as np
import pytest

import neuroana as na
from neuroana.core.recordings import Recordings
from neuroana.core.store import read_tree, verify
from neuroana.plot.sections import read_section
from neuroana.switching import GaussianPrior, RaisedCosineHistory


RELEASES = sorted(p for p in Path(__file__).parent.joinpath("golden").iterdir())


@pytest.fixture(params=RELEASES, ids=lambda p: p.name)
def release(request):
    return request.param


def test_every_golden_file_is_whole(release):
    for path in release.glob("*.nc"):
        assert verify(path)


def test_golden_recording_loads(release):
    rec = na.check(na.read(release / "recording.nc"), values=True)
    assert rec.neuron.values.tolist() == ["AVAL", "AVAR"]
    assert rec.signal.attrs["units"] == "dF/F"
    assert np.isnan(rec.signal.values[2, 1])
    assert rec.good.values.tolist() == [True] * 5 + [False]
    assert na.events_of(rec)["trial_type"].tolist() == ["go"]


def test_golden_tree_loads(release):
    (rec,) = Recordings.from_datatree(read_tree(release / "tree.nc"))
    assert rec.attrs["subject"] == "01"


def test_golden_fit_loads_and_decodes(release):
    model = na.load(release / "hmm_glm.nc")
    assert model.history == RaisedCosineHistory(n_lags=4, n_basis=2)
    assert model.prior == GaussianPrior(scale=0.5)
    counts = np.random.default_rng(1).poisson(1.0, (50, 3)).astype(float)
    assert np.allclose(model.predict_proba(counts).sum(axis=1), 1.0)


def test_golden_section_loads(release):
    assert read_section(release / "section.json").tables[0]["rows"] == [[1.5]]
