"""The E step beside hmmlearn and dynamax: same inputs, one thread, CPU time.

Run it with ``python benchmarks/switching_e_step.py`` or ``make bench``; it writes
``benchmarks/results/switching_e_step.md``.
"""

import sys
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parent))

import switching_measure as bench  # noqa: I001  (limits threads before numpy comes)
import jax
import numpy as np
import pytest
from dynamax.hidden_markov_model.inference import hmm_smoother
from hmmlearn import _hmmc

from neuroana.switching.forward_backward import smooth


SIZES = ((20_000, 3), (50_000, 4), (100_000, 5))
jax.config.update("jax_enable_x64", True)


def chain(n_bins, n_states):
    """Emissions of a sticky chain whose states are well but not fully told apart."""
    rng = np.random.default_rng(0)
    a = np.full((n_states, n_states), 0.02 / (n_states - 1))
    np.fill_diagonal(a, 0.98)
    z = np.cumsum(rng.random(n_bins) < 0.02) % n_states
    loglik = rng.normal(-18, 1.5, (n_bins, n_states))
    loglik[np.arange(n_bins), z] += 2.0
    return loglik, a, np.full(n_states, 1 / n_states)


def peers(loglik, a, pi):
    """Name -> function that returns (log marginal, gamma, xi sum)."""
    on_device = [jax.numpy.asarray(x) for x in (pi, a, loglik)]

    def ours(method):
        found = smooth(loglik, a, pi, method=method)
        return found.log_marginal[0], found.gamma, found.xi_sum

    def dynamax():
        found = jax.block_until_ready(hmm_smoother(*on_device))
        return found.marginal_loglik, found.smoothed_probs, found.trans_probs

    def hmmlearn_scaling():
        frame = np.exp(loglik)
        log_p, forward, scaling = _hmmc.forward_scaling(pi, a, frame)
        backward = _hmmc.backward_scaling(pi, a, frame, scaling)
        gamma = forward * backward
        gamma /= gamma.sum(axis=1, keepdims=True)
        xi = _hmmc.compute_scaling_xi_sum(forward, a, backward, frame)
        return log_p, gamma, xi

    def hmmlearn_log():
        with np.errstate(divide="ignore"):
            log_p, forward = _hmmc.forward_log(pi, a, loglik)
            backward = _hmmc.backward_log(pi, a, loglik)
            xi = np.exp(_hmmc.compute_log_xi_sum(forward, a, backward, loglik))
        gamma = forward + backward
        gamma = np.exp(gamma - gamma.max(axis=1, keepdims=True))
        gamma /= gamma.sum(axis=1, keepdims=True)
        return log_p, gamma, xi

    return {
        "neuroana, compiled loop": lambda: ours("compiled"),
        "neuroana, blocked scan": lambda: ours("blocked"),
        "dynamax, jitted smoother": dynamax,
        "hmmlearn, scaling": hmmlearn_scaling,
        "hmmlearn, log": hmmlearn_log,
    }


def run():
    """Measure all sizes and write the page; returns {(size): {name: ms}}."""
    host = bench.machine()
    rows, least = [], {}
    for n_bins, n_states in SIZES:
        inputs = chain(n_bins, n_states)
        made = peers(*inputs)
        wanted = smooth(*inputs, method="logspace")
        times = {}
        for name, function in made.items():
            low, middle, first = bench.measure(function)
            log_p, gamma, _ = function()
            error = np.abs(np.asarray(gamma) - wanted.gamma).max()
            apart = abs(float(log_p) / wanted.log_marginal[0] - 1)
            times[name] = low
            rows.append(
                [f"{n_bins}", n_states, name, f"{low:.2f}", f"{middle:.2f}",
                 f"{first:.2f}", f"{apart:.0e}", f"{error:.0e}"]
            )  # fmt: skip
        least[n_bins, n_states] = times
    columns = [
        "bins", "states", "implementation", "min ms", "median ms",
        "first call, s", "log p, relative error", "posterior, error",
    ]  # fmt: skip
    bench.write("switching_e_step", page(host, columns, rows, least))
    return least


def page(host, columns, rows, least):
    """The result page."""
    ratios = []
    for (n_bins, n_states), times in least.items():
        own, *_ = times.values()
        others = [f"{ms / own:.1f}" for ms in list(times.values())[2:]]
        ratios.append([f"{n_bins}", n_states, *others])
    peers = list(next(iter(least.values())))[2:]
    used = bench.versions("numba", "torch", "dynamax", "jax", "hmmlearn")
    return f"""# E step: smoothed states, expected transitions, evidence

CPU time of one pass over one sequence, float64, one thread, the same inputs for all,
15 warm calls each. The first call includes compilation where there is one (numba's is
kept on disk between processes). Errors are against a log-space recursion. hmmlearn's
time includes exp of the log-likelihoods, as its models do it; arrays of jax are on its
device before the clock starts.

{host}. {used}.

{bench.table(columns, rows)}

Time of the peer over time of the compiled loop (minima):

{bench.table(["bins", "states", *peers], ratios)}
"""


@pytest.mark.bench
def test_e_step_is_no_slower_than_its_peers():
    for times in run().values():
        own = times["neuroana, compiled loop"]
        assert own <= 2 * times["dynamax, jitted smoother"]
        assert own <= 1.1 * times["hmmlearn, scaling"]


if __name__ == "__main__":
    run()
