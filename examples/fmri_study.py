"""A folder of fMRI region tables -> states of every subject -> a cluster run."""

import sys
from pathlib import Path

import neuroana as na
from neuroana.switching import HMMGLM


files = sorted(Path(sys.argv[1]).glob("*.tsv"))
study = na.Recordings([na.read(f, modality="fmri", t_r=2.0) for f in files])
model = HMMGLM(2, "gaussian", history=None, random_state=0)
states = [model.fit(person).predict(person) for person in na.signal.zscore(study)]
na.export(states, "states")
config = {"pattern": f"{sys.argv[1]}/*.tsv", "fit": model.to_config()}
config["read"] = {"modality": "fmri", "options": {"t_r": 2.0}}
print(na.run("switching", config, profile="slurm", dry_run=True).log)
