"""Write the golden files of this release: what later releases must be able to load.

``python tools/golden.py`` makes ``tests/golden/<version>``. It is run once a release,
and its files are never changed afterwards.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import neuroana as na
from neuroana.core.store import write_netcdf
from neuroana.plot.sections import Section, write_section
from neuroana.switching import HMMGLM, GaussianPrior, RaisedCosineHistory


def main() -> int:
    """Write the files of the running version."""
    folder = Path(__file__).resolve().parents[1] / "tests" / "golden" / na.__version__
    if folder.exists():
        print(f"{folder} is there already; golden files are never changed")
        return 2
    values = np.arange(12.0).reshape(6, 2)
    values[2, 1] = np.nan
    recording = na.from_array(
        values,
        "calcium",
        sampling_rate=2.0,
        names=["AVAL", "AVAR"],
        units="dF/F",
        coords={"x": [1.0, 2.0], "identified": [True, False]},
        good=[True] * 5 + [False],
        events=pd.DataFrame({"onset": [0.5], "duration": [1.0], "trial_type": ["go"]}),
        attrs={"subject": "01", "task": "rest"},
    )
    write_netcdf(recording, folder / "recording.nc")
    write_netcdf(na.Recordings([recording]).to_datatree(), folder / "tree.nc")
    counts = np.random.default_rng(0).poisson(1.0, (300, 3)).astype(float)
    model = HMMGLM(
        2,
        history=RaisedCosineHistory(n_lags=4, n_basis=2),
        prior=GaussianPrior(scale=0.5),
        n_init=1,
        random_state=0,
    )
    model.fit(counts).save(folder / "hmm_glm.nc")
    section = Section("A title", "switching", numbers={"score": 0.5})
    section.add_table("A table", ["a"], [[1.5]])
    write_section(section, folder / "section.json")
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
