"""The demo: pipelines on the five shipped recordings, then the path of one report.

Called by ``make demo``. Nothing is downloaded. A shipped recording that is missing is
replaced by a simulated stand-in, and says so wherever it shows.
"""

import sys
import time
from pathlib import Path

import neuroana as na
from neuroana.core.errors import NeuroanaError


SIDES = [side + name for side in "LR" for name in
         ("Cau", "Put", "Thal", "Ang", "PCC", "Prec")]  # fmt: skip
CONFIG = {
    "title": "neuroana demo: five recordings, hidden states of two",
    "recordings": {
        "fmri": {
            "sample": "fmri_rest_31roi",
            "prepare": {"names": SIDES},
            "fit": {"n_states": 3, "history": None, "n_init": 8},
        },
        "spikes": {
            "sample": "spikes_mouse_135",
            "options": {"bin_width": 0.05},
            "prepare": {"n_active": 20},
            "fit": {"n_states": 2},
        },
        "eeg": {"sample": "eeg_rest_14ch", "model": False},
        "ieeg": {"sample": "ieeg_grip_10ch", "model": False},
        "calcium": {"sample": "calcium_songbird_75", "model": False},
    },
    "fit": {"n_init": 4, "random_state": 0},
    "score": {"cv": 4, "n_init": 2, "random_state": 0},
}


def main(folder: Path = Path("demo")) -> int:
    """Run the demo in a folder; return the exit code."""
    began = time.monotonic()
    folder.mkdir(exist_ok=True)
    print("Pipeline 'switching' on five shipped recordings ...", flush=True)
    try:
        outcome = na.run("switching", CONFIG, folder=folder)
    except NeuroanaError as error:
        print(error)
        print(folder / "results" / "logs")
        return 1
    done = sum(line.startswith("Finished jobid") for line in outcome.log.splitlines())
    print(f"{done} jobs, {time.monotonic() - began:.0f} s", flush=True)
    print(outcome.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
