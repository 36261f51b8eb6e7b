"""Whatever a recording holds, it survives the file, the tree and the folder."""

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neuroana.core.contract import check, good_spans
from neuroana.core.recording import from_array
from neuroana.core.recordings import Recordings
from neuroana.core.store import read_netcdf, write_netcdf


NAMES = st.text("abcdefghijklmnopqrstuvwxyzäµ_-. 0123456789", min_size=1, max_size=8)
FINITE = st.floats(-1e6, 1e6, allow_nan=False, width=32)


@st.composite
def recordings(draw):
    n_samples, n_space = draw(st.integers(2, 12)), draw(st.integers(1, 4))
    values = draw(
        arrays(np.float64, (n_samples, n_space), elements=st.one_of(
            FINITE, st.just(np.nan)))
    )  # fmt: skip
    names = draw(st.lists(NAMES, min_size=n_space, max_size=n_space, unique=True))
    onsets = draw(st.lists(st.floats(0, 100), max_size=3))
    return from_array(
        values,
        draw(st.sampled_from(["fmri", "calcium"])),
        sampling_rate=draw(st.sampled_from([0.5, 1.0, 30.0, 1000.0])),
        names=names,
        good=draw(arrays(np.bool_, n_samples)),
        events=pd.DataFrame({"onset": onsets, "trial_type": ["x"] * len(onsets)}),
        start=draw(st.floats(-10, 10)),
        attrs={"subject": draw(st.sampled_from(["01", "02"]))},
    )


SETTINGS = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@given(recordings())
@SETTINGS
def test_a_file_gives_back_what_went_in(tmp_path, rec):
    assert check(read_netcdf(write_netcdf(rec, tmp_path / "a.nc"))).identical(rec)


@given(st.lists(recordings(), min_size=1, max_size=3))
@SETTINGS
def test_a_tree_gives_back_what_went_in(recs):
    back = Recordings.from_datatree(Recordings(recs).to_datatree())
    found = sorted(back, key=lambda r: r.nbytes)
    assert len(found) == len(recs)
    for rec in recs:
        assert any(rec.identical(other) for other in found)


@given(arrays(np.bool_, st.integers(0, 30)))
def test_good_spans_cover_exactly_the_good_samples(good):
    covered = np.zeros_like(good)
    for start, stop in good_spans(good):
        assert start < stop
        covered[start:stop] = True
    assert (covered == good).all()
