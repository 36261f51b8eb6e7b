"""Scalp EEG (EDF) -> alpha amplitude -> hidden states -> a figure."""

import sys

import neuroana as na
from neuroana.switching import HMMGLM, plot_states


recording = na.read(sys.argv[1])
alpha = na.signal.envelope(recording, 8.0, 12.0, sampling_rate=10.0)
alpha = na.signal.zscore(alpha)
model = HMMGLM(3, "gaussian", history=None, random_state=0).fit(alpha)
posterior = model.predict_proba(alpha)
axes = plot_states(posterior, alpha)
axes.figure.savefig("alpha_states.png", dpi=150)
model.save("alpha_states.nc")
