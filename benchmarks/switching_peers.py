"""What fits are raced against: each advances by one EM iteration and returns log p.

No peer ships a population Poisson HMM-GLM. `DynamaxGLM` is a subclass of dynamax's
emission class written here (its own M step: 50 Adam steps at 1e-2). `ReferenceSchedule`
is a literal implementation of what the demo code of Li et al. does for a sequence:
float32, one E step bin by bin, 50 Adam steps; written from its description, as is
`PlainEM`, the textbook EM of a Bernoulli GLM-HMM in NumPy and SciPy.
"""

import time
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow_probability.substrates.jax.distributions as tfd
import torch
from dynamax.hidden_markov_model import LogisticRegressionHMM
from dynamax.hidden_markov_model.models.abstractions import HMM, HMMEmissions
from dynamax.hidden_markov_model.models.initial import StandardHMMInitialState
from dynamax.hidden_markov_model.models.transitions import StandardHMMTransitions
from dynamax.parameters import ParameterProperties
from scipy.optimize import minimize
from scipy.special import expit

from neuroana.switching import HMMGLM, RidgePrior, em, fitting


jax.config.update("jax_enable_x64", True)


class Ours:
    """EM of HMMGLM from a given start, one iteration at a time."""

    def __init__(self, start, recordings, *, inputs=None, **options):
        options = {"prior": RidgePrior(0.0), **options}
        model = HMMGLM(len(start["baseline"]), init=start, **options)
        self.observed = model._observe(recordings, inputs, None, fitted=False)
        kind = fitting.family(model.observation, model.link, model.covariance)
        flat = np.zeros(self.observed.x.shape[1], dtype=bool)
        problem, alone = fitting.make_problems(model, self.observed, kind, flat, "cpu")
        begin = fitting.first_parameters(model, self.observed, problem, alone, 0)
        self.climb = em.Climb(problem, begin)
        self.iteration, self.last = 0, -np.inf

    def advance(self):
        """One EM iteration; returns log p before it."""
        found = self.climb.look()
        objective = self.climb.objective(found)
        gain = objective - self.last
        self.climb.step(found, self.iteration, objective, gain)
        self.iteration, self.last = self.iteration + 1, objective
        return float(found.log_marginal.sum())


class GLMParameters(NamedTuple):
    """Couplings (K, N, D) and baselines (K, N)."""

    weights: object
    biases: object


class PoissonGLMEmissions(HMMEmissions):
    """Counts of N units with the sigmoid link, driven by inputs, in dynamax."""

    def __init__(self, num_states, n_units):
        super().__init__()
        self.num_states, self.n_units = num_states, n_units

    @property
    def emission_shape(self):
        return (self.n_units,)

    def initialize(self, weights, biases):
        props = GLMParameters(ParameterProperties(), ParameterProperties())
        return GLMParameters(weights, biases), props

    def log_prior(self, params):
        return 0.0

    def distribution(self, params, state, inputs=None):
        eta = params.weights[state] @ inputs + params.biases[state]
        return tfd.Independent(tfd.Poisson(rate=jax.nn.sigmoid(eta)), 1)


class ChainParameters(NamedTuple):
    """Parameters of the three components of a dynamax HMM."""

    initial: object
    transitions: object
    emissions: object


class Compiled:
    """A dynamax model whose EM iteration is compiled before the clock starts."""

    def compile(self, data):
        begin = time.process_time()
        step = jax.jit(partial(self.iterate, data))
        self.step = step.lower(self.params, self.state).compile()
        self.compile_seconds = time.process_time() - begin

    def iterate(self, data, params, state):
        stats, log_p = jax.vmap(partial(self.model.e_step, params))(*data)
        params, state = self.model.m_step(params, self.props, stats, state)
        return params, state, log_p.sum()

    def advance(self):
        """One EM iteration; returns log p before it."""
        self.params, self.state, log_p = self.step(self.params, self.state)
        return float(log_p)


class DynamaxGLM(Compiled):
    """EM of the subclass."""

    def __init__(self, start, x, h):
        n_states, n_units = start["baseline"].shape
        initial = StandardHMMInitialState(n_states, initial_probs_concentration=1.0)
        transitions = StandardHMMTransitions(n_states, concentration=1.0)
        emissions = PoissonGLMEmissions(n_states, n_units)
        self.model = HMM(n_states, initial, transitions, emissions)
        parts = [
            initial.initialize(initial_probs=jnp.asarray(start["initial_prob"])),
            transitions.initialize(
                transition_matrix=jnp.asarray(start["transition_matrix"])
            ),
            emissions.initialize(
                jnp.asarray(start["coupling"][..., 0]), jnp.asarray(start["baseline"])
            ),
        ]
        self.params = ChainParameters(*(p for p, _ in parts))
        self.props = ChainParameters(*(p for _, p in parts))
        self.state = self.model.initialize_m_step_state(self.params, self.props)
        self.compile((jnp.asarray(x)[None], jnp.asarray(h)[None]))


class DynamaxBehaviour(Compiled):
    """EM of dynamax's own logistic-regression HMM; sessions of one length."""

    def __init__(self, start, y, u):
        n_states, n_inputs = start["input_weights"].shape[0], u.shape[-1]
        self.model = LogisticRegressionHMM(
            n_states, n_inputs, initial_probs_concentration=1.0,
            transition_matrix_concentration=1.0,
        )  # fmt: skip
        self.params, self.props = self.model.initialize(
            initial_probs=jnp.asarray(start["initial_prob"]),
            transition_matrix=jnp.asarray(start["transition_matrix"]),
            emission_weights=jnp.asarray(start["input_weights"][:, 0]),
            emission_biases=jnp.asarray(start["baseline"][:, 0]),
        )
        self.state = self.model.initialize_m_step_state(self.params, self.props)
        self.compile((jnp.asarray(y), jnp.asarray(u)))


class ReferenceSchedule:
    """One E step bin by bin and 50 Adam steps on one sequence, in float32."""

    def __init__(self, start, x, h, *, steps=50, rate=0.01):
        def tensor(a):
            return torch.as_tensor(np.asarray(a), dtype=torch.float32)

        self.x, self.h = tensor(x), tensor(h)
        self.w = tensor(start["coupling"][..., 0]).requires_grad_()
        self.b = tensor(start["baseline"]).requires_grad_()
        self.a, self.pi = (
            tensor(start["transition_matrix"]),
            tensor(start["initial_prob"]),
        )
        self.adam = torch.optim.Adam([self.w, self.b], rate)
        self.steps = steps

    def log_emission(self):
        eta = torch.einsum("knm,tm->tkn", self.w, self.h) + self.b
        f = torch.sigmoid(eta)
        x = self.x[:, None]
        return (x * torch.log(f + 1e-8) - f - torch.lgamma(x + 1)).sum(-1)

    def e_step(self):
        with torch.no_grad():
            emission = self.log_emission().exp().clamp_min(1e-16)
            n_bins, n_states = emission.shape
            alpha, scale = torch.empty(n_bins, n_states), torch.empty(n_bins)
            ahead = self.pi
            for t in range(n_bins):
                joint = ahead * emission[t]
                scale[t] = joint.sum()
                alpha[t] = joint / scale[t]
                ahead = alpha[t] @ self.a
            beta = torch.ones(n_bins, n_states)
            for t in range(n_bins - 2, -1, -1):
                beta[t] = self.a @ (emission[t + 1] * beta[t + 1]) / scale[t + 1]
            gamma = alpha * beta
            xi = alpha[:-1, :, None] * self.a * (emission[1:] * beta[1:])[:, None]
            xi = xi / scale[1:, None, None]
        return gamma, xi.sum(0), float(scale.log().sum())

    def advance(self):
        """One E step and the gradient steps; returns log p before them."""
        gamma, xi, log_p = self.e_step()
        for _ in range(self.steps):
            self.adam.zero_grad()
            loss = -(gamma * self.log_emission()).sum()
            loss.backward()
            self.adam.step()
            rows = torch.log(xi / xi.sum(1, keepdim=True)).clamp_min(-8)
            self.a = torch.softmax(rows, 1)
        return log_p


class PlainEM:
    """Bernoulli GLM-HMM: a loop over bins, and one L-BFGS fit a state."""

    def __init__(self, start, y, u):
        self.y = np.asarray(y)  # (R, T)
        self.x = np.concatenate([np.ones((*u.shape[:2], 1)), u], axis=-1)
        self.w = np.c_[start["baseline"][:, 0], start["input_weights"][:, 0]]
        self.a, self.pi = (
            start["transition_matrix"].copy(),
            start["initial_prob"].copy(),
        )

    def advance(self):
        """One EM iteration; returns log p before it."""
        p = expit(self.x @ self.w.T)
        emission = np.where(self.y[..., None] == 1, p, 1 - p)
        n_seq, n_bins, n_states = emission.shape
        alpha, scale = np.empty_like(emission), np.empty((n_seq, n_bins))
        ahead = np.broadcast_to(self.pi, (n_seq, n_states))
        for t in range(n_bins):
            joint = ahead * emission[:, t]
            scale[:, t] = joint.sum(axis=1)
            alpha[:, t] = joint / scale[:, t, None]
            ahead = alpha[:, t] @ self.a
        beta = np.ones_like(emission)
        xi = np.zeros_like(self.a)
        for t in range(n_bins - 2, -1, -1):
            message = emission[:, t + 1] * beta[:, t + 1] / scale[:, t + 1, None]
            xi += self.a * (alpha[:, t].T @ message)
            beta[:, t] = message @ self.a.T
        gamma = (alpha * beta).reshape(-1, n_states)
        self.pi = gamma.reshape(n_seq, n_bins, -1)[:, 0].mean(axis=0)
        self.a = xi / xi.sum(axis=1, keepdims=True)
        x, y = self.x.reshape(-1, self.x.shape[-1]), self.y.ravel()
        for k in range(n_states):
            self.w[k] = minimize(
                self.cost, self.w[k], args=(x, y, gamma[:, k]), jac=True,
                method="L-BFGS-B",
            ).x  # fmt: skip
        return float(np.log(scale).sum())

    @staticmethod
    def cost(w, x, y, gamma):
        eta = x @ w
        value = gamma @ (np.logaddexp(0, eta) - y * eta)
        return value, x.T @ (gamma * (expit(eta) - y))
