"""
Hidden states of spike trains
=============================

From a recording to hidden states, and to the question whether they are real: a score on
held-out time, beside a model with one state and beside data without common timing.
"""

# %%
# A recording
# -----------
# 135 units of a mouse, two minutes, recorded with Neuropixels and shipped with the
# package. Spikes are counted in bins of 50 ms. A recording is an ``xarray.Dataset``
# with the variable ``signal``; units, rate and source travel with it.

import neuroana as na


recording = na.load_sample("spikes_mouse_135", bin_width=0.05)
print(recording)

# %%
# The twelve busiest units are enough for a first look.

busiest = recording.signal.sum("time").argsort().values[::-1][:12]
spikes = na.signal.pick(recording, recording.neuron.values[sorted(busiest)].tolist())
print(spikes.signal.sizes)

# %%
# A model
# -------
# In each state the units drive each other through their past
# (:class:`neuroana.switching.ExponentialHistory`); a hidden Markov chain says which
# state is on. Several starts are fitted at once and the best is kept.

from neuroana.switching import HMMGLM, plot_coupling, plot_states, plot_transitions


model = HMMGLM(n_states=2, observation="poisson", n_init=4, random_state=0)
model.fit(spikes)
print(model.occupancy_)

# %%
# States over time
# ----------------
# ``predict_proba`` gives the posterior of every state in every bin, labelled.

posterior = model.predict_proba(spikes)
figure = plot_states(posterior, spikes).figure
figure

# %%
figure = plot_coupling(model)[0].figure
figure

# %%
figure = plot_transitions(model, model.predict(spikes))[0].figure
figure

# %%
# Is it real?
# -----------
# A model with more states always fits its own data better. What counts is the score on
# time that it has not seen, against one state; and against the same held-out data
# with every unit shifted in time by an amount of its own, where common states are gone.

from neuroana.switching import held_out_comparison, plot_scores


model.set_params(n_init=2)
scores = held_out_comparison(model, spikes, cv=3, n_null=10, random_state=0)
figure = plot_scores(scores).figure
figure

# %%
# Where to go from here
# ---------------------
# The fit can be saved (``model.save("states.nc")``) and cited (``model.cite()``).
# For a study of many recordings, ``neuroana init switching my_study`` writes the
# configuration of the pipeline that does the same for each, locally or on a cluster;
# ``model.to_config()`` is what its section ``fit`` takes.

print(model.cite().splitlines()[0])
print(model.to_config())
