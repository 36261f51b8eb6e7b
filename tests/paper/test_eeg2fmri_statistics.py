"""Unrelated people of one site: how often tests of correlation reject a true null."""

import csv
import gzip

import numpy as np
import pytest
from scipy.stats import norm

from neuroana.learn.series_tests import bartlett_test, phase_test


pytestmark = [pytest.mark.realdata, pytest.mark.paper]


@pytest.fixture(scope="module")
def pairs(realdata):
    """780 pairs of series of one region: 3 sites, 20 people, 13 partners each."""
    folder = realdata / "fmri_roi" / "abide_cc200_adults"
    if not folder.is_dir():
        pytest.skip("the recordings are not there")
    sites = {}
    with open(folder / "participants.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            name = folder / "cc200" / f"{row['FILE_ID']}_rois_cc200.1D.gz"
            sites.setdefault(row["SITE_ID"], []).append(name)
    made = []
    for names in sites.values():
        people = []
        for name in names[:20]:
            with gzip.open(name, "rt", encoding="utf-8") as file:
                people.append(np.loadtxt(file, skiprows=1))
        for step in range(1, 14):
            for i, x in enumerate(people):
                y = people[(i + step) % 20]
                region = len(made) * 37 % 200
                while np.ptp(x[:, region]) == 0 or np.ptp(y[:, region]) == 0:
                    region = (region + 1) % 200
                made.append((x[:, [region]], y[:, [region]]))
    assert len(made) == 780
    return made


def rates(pairs, length):
    """Share of rejections at 5 % by phases, Bartlett, and as if volumes were free."""
    hits = []
    for seed, (x, y) in enumerate(pairs):
        span = [(x[:length], y[:length])]
        phase = phase_test(span, 299, seed=seed)
        z = np.arctanh(phase.r[0]) * np.sqrt(len(span[0][0]) - 3)
        hits.append((phase.p[0] <= 0.05, bartlett_test(span)[1][0] <= 0.05,
                     2 * norm.sf(abs(z)) <= 0.05))  # fmt: skip
    return np.mean(hits, axis=0)


def test_whole_scans_are_rejected_at_the_level_of_the_test(pairs):
    phase, bartlett, naive = rates(pairs, None)
    assert phase == pytest.approx(0.05, abs=0.015)
    assert bartlett == pytest.approx(0.05, abs=0.015)
    assert naive > 0.2


def test_48_volumes_are_rejected_near_the_level(pairs):
    phase, bartlett, naive = rates(pairs, 48)
    assert phase <= 0.08
    assert bartlett <= 0.065
    assert naive > 0.2
