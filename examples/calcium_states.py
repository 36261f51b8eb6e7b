"""Calcium imaging -> hidden states -> a figure and a table."""

import neuroana as na
from neuroana.switching import HMMGLM, plot_states


recording = na.load_sample("calcium_songbird_75")
active = na.signal.zscore(na.signal.pick(recording, recording.neuron.values[:20]))
model = HMMGLM(3, "gaussian", random_state=0).fit(active)
posterior = model.predict_proba(active)
plot_states(posterior, active).figure.savefig("song_states.png", dpi=150)
print(na.export(model.predict(active), "tables", name="song_states"))
