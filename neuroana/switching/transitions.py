"""How states follow each other: learned, fixed, or driven by inputs.

    learned      A[i, j]     proportional to  Xi[i, j] + alpha - 1 + kappa [i = j]
    fixed        A           as it starts
    by inputs    A[t, i, j]  proportional to  exp(l[i, j] + q[j] . u[t]),  q[K-1] = 0

A[t] leads into bin t. Inputs: one guarded Newton step of a weighted multinomial
regression an EM iteration, with the Dirichlet prior on the softmax of l and a slight
ridge on q. Its expected transitions follow from filter and smoother,

    Xi[t, i, j] = alpha[t-1, i] A[t, i, j] gamma[t, j] / sum_i alpha[t-1, i] A[t, i, j]

in chunks of time: nothing of size T x K x K is kept.
"""

from dataclasses import dataclass

import numpy as np


RIDGE = 1e-3
HALVINGS = 8
CHUNK = 4096
LOWEST = -40.0  # of l, relative to the largest of its row


@dataclass(frozen=True)
class Stationary:
    """One matrix for all steps, learned under a Dirichlet prior or fixed."""

    alpha: float = 1.0
    kappa: float = 0.0
    learned: bool = True

    def matrices(self, transition, weights):
        """The matrices that the recursion takes, (S, K, K)."""
        return transition

    def pseudo_counts(self, n_states):
        """alpha - 1 + kappa on the diagonal; zero where transitions are fixed."""
        if not self.learned:
            return np.zeros((n_states, n_states))
        return self.alpha - 1 + self.kappa * np.eye(n_states)

    def log_prior(self, transition, weights):
        """Log density of the transitions, (S,)."""
        counts = self.pseudo_counts(transition.shape[-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(counts > 0, counts * np.log(transition), 0.0)
        return terms.sum(axis=(1, 2))

    def update(self, transition, weights, found, lengths):
        """Transitions and input weights from the expected counts."""
        if not self.learned:
            return transition, weights
        counts = found.xi_sum + self.pseudo_counts(transition.shape[-1])
        total = counts.sum(axis=2, keepdims=True)
        visited = total > 0
        return np.where(visited, counts / np.where(visited, total, 1), transition), None


@dataclass(frozen=True)
class InputDriven(Stationary):
    """Transitions that inputs u (T, P) make more or less likely."""

    u: np.ndarray = None  # type: ignore[assignment]

    def matrices(self, transition, weights):
        """A into bins 1 .. T-1, (S, T - 1, K, K)."""
        return np.stack(
            [softmax(log(a) + self.drive(q, slice(1, None))[:, None])
             for a, q in zip(transition, weights)]
        )  # fmt: skip

    def drive(self, weights, bins):
        """q . u of some bins, (bins, K)."""
        return self.u[bins] @ weights.T

    def log_prior(self, transition, weights):
        """Log density of the transitions without input and of the weights, (S,)."""
        ridge = RIDGE * self.u.var(axis=0)
        own = super().log_prior(transition, weights)
        return own - 0.5 * (ridge * weights**2).sum(axis=(1, 2))

    def update(self, transition, weights, found, lengths):
        """One guarded Newton step for every start."""
        if transition.shape[-1] == 1:
            return transition, weights
        inside = np.ones(len(self.u), dtype=bool)
        inside[np.concatenate([[0], np.cumsum(lengths)[:-1]])] = False
        bins = np.flatnonzero(inside)
        done = [
            self.step(log(a), q, alpha, gamma, bins)
            for a, q, alpha, gamma in zip(
                transition, weights, found.filtered, found.gamma
            )
        ]
        return tuple(np.stack(part) for part in zip(*done))

    def step(self, l, q, alpha, gamma, bins):  # noqa: E741
        """A and q after one step."""
        n_states, n_inputs = len(l), self.u.shape[1]
        l = np.maximum(l - l[:, -1:], LOWEST)  # noqa: E741
        old = softmax(l), q
        first, second, before = self.derivatives(l, q, old, alpha, gamma, bins)
        move = np.linalg.solve(second, first)
        size = n_states * (n_states - 1)
        dl = np.zeros_like(l)
        dl[:, :-1] = move[:size].reshape(n_states, -1)
        dq = np.zeros_like(q)
        dq[:-1] = move[size:].reshape(-1, n_inputs)
        for halving in range(HALVINGS):
            new = np.clip(l + dl / 2**halving, LOWEST, -LOWEST), q + dq / 2**halving
            after = self.objective(*new, old, alpha, gamma, bins)
            if after >= before - 1e-12 * abs(before):
                return softmax(new[0]), new[1]
        return old

    def expected(self, old, alpha, gamma, chunk):
        """Xi of a chunk of bins, (bins, K, K), under the transitions of the E step."""
        a = softmax(log(old[0]) + self.drive(old[1], chunk)[:, None])
        joint = alpha[chunk - 1][:, :, None] * a
        ahead = joint.sum(axis=1, keepdims=True)
        share = np.divide(gamma[chunk][:, None], ahead, where=ahead > 0,
                          out=np.zeros_like(ahead))  # fmt: skip
        return joint * share

    def objective(self, l, q, old, alpha, gamma, bins):  # noqa: E741
        """Expected log transitions plus log prior."""
        total = self.log_prior(softmax(l)[None], q[None])[0]
        for chunk in np.array_split(bins, max(1, len(bins) // CHUNK)):
            xi = self.expected(old, alpha, gamma, chunk)
            total += (xi * log_softmax(l + self.drive(q, chunk)[:, None])).sum()
        return total

    def derivatives(self, l, q, old, alpha, gamma, bins):  # noqa: E741
        """Gradient, minus Hessian (over l, then q) and value of the objective."""
        k, p = len(l), self.u.shape[1]
        j = k - 1
        slope = np.zeros((k, j, p + 1))
        bend = np.zeros((k, j, j, p + 1, p + 1))
        value = self.log_prior(softmax(l)[None], q[None])[0]
        for chunk in np.array_split(bins, max(1, len(bins) // CHUNK)):
            z = np.c_[np.ones(len(chunk)), self.u[chunk]]
            eta = l + self.drive(q, chunk)[:, None]
            a, xi = softmax(eta), self.expected(old, alpha, gamma, chunk)
            value += (xi * log_softmax(eta)).sum()
            n = xi.sum(axis=2)
            slope += np.einsum("tij,ta->ija", (xi - n[..., None] * a)[..., :-1], z)
            weight = couple(n, a[..., :-1])
            outer = (z[:, :, None] * z[:, None]).reshape(len(z), -1)
            flat = weight.reshape(len(z), -1).T @ outer
            bend += flat.reshape(k, j, j, p + 1, p + 1)
        counts = self.pseudo_counts(k)
        n, a = counts.sum(axis=1), softmax(l)
        slope[..., 0] += (counts - n[:, None] * a)[:, :-1]
        bend[..., 0, 0] += couple(n[None], a[None, :, :-1])[0]
        return *self.assemble(slope, bend, q), value

    def assemble(self, slope, bend, q):
        """One vector and one matrix over l[i, j < K - 1] and q[j < K - 1]."""
        k, j, p = len(slope), slope.shape[1], self.u.shape[1]
        size = k * j
        ridge = RIDGE * self.u.var(axis=0)
        first = np.concatenate(
            [
                slope[..., 0].ravel(),
                (slope[..., 1:].sum(axis=0) - ridge * q[:-1]).ravel(),
            ]
        )
        second = np.zeros((size + j * p, size + j * p))
        own = bend[..., 0, 0]
        cross = bend[..., 0, 1:]  # (K, J, J, P)
        for i in range(k):
            rows = slice(i * j, (i + 1) * j)
            second[rows, rows] = own[i]
            second[rows, size:] = cross[i].reshape(j, j * p)
        second[size:, :size] = second[:size, size:].T
        q_part = bend[..., 1:, 1:].sum(axis=0).transpose(0, 2, 1, 3)
        second[size:, size:] = q_part.reshape(j * p, j * p) + np.diag(np.tile(ridge, j))
        second[np.diag_indices(len(second))] += 1e-8
        return first, second


def couple(n, a):
    """n (diag a - a a') of every bin and origin, (bins, K, J, J)."""
    weight = -n[..., None, None] * a[..., :, None] * a[..., None, :]
    weight[..., np.arange(a.shape[-1]), np.arange(a.shape[-1])] += n[..., None] * a
    return weight


def log(values):
    """Logarithm with a floor instead of minus infinity."""
    return np.log(np.maximum(values, 1e-300))


def log_softmax(eta):
    """Log probabilities along the last axis."""
    top = eta - eta.max(axis=-1, keepdims=True)
    return top - np.log(np.exp(top).sum(axis=-1, keepdims=True))


def softmax(eta):
    """Probabilities along the last axis."""
    return np.exp(log_softmax(eta))
