"""The resting cohort that the connectivity benchmarks read: 88 adults of three sites.

It lies beside the checkout (``NEUROANA_REALDATA`` overrides where) and is not shipped.
"""

import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd

import neuroana as na
from neuroana.core.recordings import Recordings


RATES = {"NYU": 1 / 2.0, "LEUVEN_1": 1 / 1.67, "USM": 1 / 2.0}
COLUMNS = {"SITE_ID": "site", "DX_GROUP": "diagnosis", "AGE_YEARS": "age",
           "SEX": "sex", "func_mean_fd": "motion"}  # fmt: skip


def folder():
    """Where the cohort should be."""
    root = Path(__file__).resolve().parents[2] / "shared" / "realdata"
    root = Path(os.environ.get("NEUROANA_REALDATA", root))
    return root / "fmri_roi" / "abide_cc200_adults"


def read_cohort(n_roi=200, *, whole_only=False):
    """Recordings with site, diagnosis, age, sex and motion in their table.

    Parameters
    ----------
    n_roi : int
        Evenly chosen ones of the 200 regions.
    whole_only : bool
        Leave out people with a region (of all 200) that never changes.
    """
    people = pd.read_csv(folder() / "participants.tsv", sep="\t")
    pick = np.linspace(0, 199, n_roi).astype(int)
    made, rows = [], []
    for person in people.to_dict("records"):
        path = next((folder() / "cc200").glob(f"{person['FILE_ID']}*"))
        with gzip.open(path, "rt") as file:
            table = pd.read_csv(file, sep="\t")
        x = table.to_numpy(float)
        if whole_only and (np.ptp(x, axis=0) <= 1e-9).any():
            continue
        names = [c.strip("# ") for c in table]
        made.append(na.from_array(
            x[:, pick], "fmri", sampling_rate=RATES[person["SITE_ID"].upper()],
            units="1", names=[names[k] for k in pick],
            attrs={"subject": person["FILE_ID"]},
        ))  # fmt: skip
        rows.append({new: person[old] for old, new in COLUMNS.items()})
    recordings = Recordings(made)
    for column in COLUMNS.values():
        recordings.table[column] = [row[column] for row in rows]
    return recordings
