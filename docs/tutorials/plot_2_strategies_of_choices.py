"""
Hidden strategies of choices
============================

An animal that decides between two sides hundreds of times does not always decide by the
stimulus. A GLM-HMM finds the strategies it switches between: each is a logistic
regression of its own, and a hidden Markov chain says which one is on
(Ashwood et al., Nature Neuroscience 2022).
"""

# %%
# A table of trials
# -----------------
# One row a trial: session, stimulus, choice, reward. Here the table is simulated, so
# that the strategies are known: one follows the stimulus, two prefer a side.

from neuroana.switching import choice_design, simulate_choices


trials, truth = simulate_choices(n_sessions=12, n_trials=(200, 500), random_state=1)
print(trials.head())

# %%
# ``choice_design`` lays it out: the choices of every session, and the inputs of the
# field. Sessions stay apart, so that no strategy is carried over a night.

choices, inputs = choice_design(trials)
print(inputs[0].to_pandas().head())

# %%
# How many strategies?
# --------------------
# Every number of states is fitted to all sessions and, once a fold, without some of
# them. Held-out score, BIC, ICL and the agreement of starts and folds stand side by
# side, for none of them should decide alone.

from neuroana.switching import HMMGLM, plot_selection, select_n_states


model = HMMGLM(3, "bernoulli", history=None, n_init=4, random_state=0)
table = select_n_states(model, choices, [1, 2, 3, 4], inputs=inputs, cv=4)
print({name: table.attrs[name] for name in ("best_bic", "best_icl", "best_one_se")})
figure = plot_selection(table)[0].figure
figure

# %%
# The strategies
# --------------
# Weights on the log odds of the second choice: the bias alone, the stimulus, the choice
# before, and whether it was rewarded.

from neuroana.switching import plot_input_weights


model.fit(choices, inputs=inputs)
figure = plot_input_weights(model).figure
figure

# %%
# What an experimenter sees without the model are psychometric curves; with it, one for
# every strategy.

from neuroana.switching import plot_psychometric, psychometric_curve


path = model.predict(choices, inputs=inputs)
stimulus = [part.stimulus.to_numpy() for _, part in trials.groupby("session")]
figure = plot_psychometric(psychometric_curve(path, choices, stimulus))[0].figure
figure

# %%
# When is which strategy on?
# --------------------------
# In simulated data the truth is known: how many trials are assigned to the strategy
# that made them? ``compare_with_labels`` sets the agreement beside that of states moved
# in time, which shows what slow courses agree by chance.

from neuroana.switching import compare_with_labels, plot_label_table, state_table


state = [part.state.to_numpy() for _, part in trials.groupby("session")]
found = compare_with_labels(path, state, n_null=200, random_state=0)
figure = plot_label_table(found).figure
figure

# %%
# Time in each strategy, session by session. Trials of a path, or expected over all
# paths: the two answer different questions, so the kind must be said.

print(state_table(model, choices, inputs=inputs, by="posterior").head(6))

# %%
# Does the model describe the choices?
# ------------------------------------
# One step ahead it says how probable each choice was; if it is right, the residuals are
# flat. The held-out sessions are the honest place to look.

from neuroana.switching import goodness_of_fit, plot_checks


model.fit(choices[:9], inputs=inputs[:9])
checks = goodness_of_fit(model, choices[9:], inputs=inputs[9:], random_state=0)
figure = plot_checks(checks)[0].figure
figure
