"""A step for populations so large that one Hessian a unit is out of reach.

All units of a state share the curvature of the state,

    H[k, n]  is taken as  c[k, n] X' diag(gamma[:, k]) X,   c = mean Fisher weight,

K matrices in place of K N. It starts limited-memory BFGS (Nocedal 1980), which learns
from a few gradients what the shared matrix leaves out; all problems go side by side,
and the step is the sum of its inner ones. Cost per inner step 4 K N T D flops, and
K T D^2 + K N D^3 / 3 for the matrices.
"""

import torch

from neuroana.switching.glm_mstep import gradient
from neuroana.switching.linear_systems import factorise
from neuroana.switching.panel import predictors


INNER = 2  # inner steps an M step


def direction(family, panel, theta, noise, gamma, prior, free, *, variances=False):
    """The sum of the inner steps (S, K, N, D), and Laplace variances if asked for."""
    mean, precision = prior
    solver = Shared(family, panel, theta, noise, gamma, precision, free)

    def uphill(at):
        slope = gradient(family, panel, at, noise, gamma)
        return (slope + precision * (mean - at)) * free

    at, g = theta, uphill(theta)
    memory: list[tuple] = []
    for inner in range(INNER):
        step = two_loops(g, memory, solver) * free
        step = torch.where((step * g).sum(-1, keepdim=True) > 0, step, solver(g) * free)
        at = at + step
        if inner == INNER - 1:
            break
        new = uphill(at)
        memory.append((step, g - new))
        g = new
    step = (at - theta).nan_to_num(0.0, 0.0, 0.0)
    return step, solver.variances() if variances else None


def two_loops(g, memory, solver):
    """Minus the inverse Hessian times the gradient, by the two-loop recursion."""
    left = g
    kept = []
    for s, y in reversed(memory):
        curve = (s * y).sum(-1, keepdim=True)
        rho = torch.where(curve > 1e-12 * (y * y).sum(-1, keepdim=True), 1 / curve, 0.0)
        a = rho * (s * left).sum(-1, keepdim=True)
        left = left - a * y
        kept.append((s, y, rho, a))
    step = solver(left)
    for s, y, rho, a in reversed(kept):
        b = rho * (y * step).sum(-1, keepdim=True)
        step = step + (a - b) * s
    return step


class Shared:
    """Solves with c[k, n] X' diag(gamma) X + Lambda, one unit at a time."""

    def __init__(self, family, panel, theta, noise, gamma, precision, free):
        design, _ = panel.parts(True)
        n_starts, n_states, n_units, n_terms = theta.shape
        shape = (n_starts, n_states, n_terms, n_terms)
        self.gram = theta.new_zeros(shape)
        level = theta.new_zeros(n_starts, n_states, n_units)
        ready = None if noise is None else family.prepared(noise.to(design.dtype))
        width = n_starts * n_states * max(n_units, n_terms)
        for chunk in panel.chunks(width, coarse=True):
            share = gamma[:, chunk].transpose(1, 2)[:, :, None].to(design.dtype)
            terms = design[:, chunk]
            self.gram += (terms * share) @ terms.T
            eta = predictors(theta, design, chunk)
            fisher = family.fisher(eta, ready)
            if panel.observed is not None:
                fisher = fisher * panel.observed[:, chunk]
            level += (fisher * share).sum(-1)
        mass = gamma.sum(1)[..., None].clamp_min(1e-8)
        self.level = (level / mass).clamp_min(1e-8)
        self.precision, self.free = precision, free

    def factor(self, n):
        """Cholesky factor of all problems of unit n, and its scale."""
        matrix = self.gram * self.level[:, :, n, None, None]
        matrix = matrix + torch.diag_embed(self.precision[:, :, n])
        free = self.free[:, n]
        matrix = matrix * (free[..., None] & free[..., None, :])
        return factorise(matrix + torch.diag_embed((~free).to(matrix.dtype)))

    def __call__(self, right):
        """The shared inverse times (S, K, N, D)."""
        out = torch.empty_like(right)
        for n in range(right.shape[2]):
            factor, scale = self.factor(n)
            solved = torch.cholesky_solve((right[:, :, n] * scale)[..., None], factor)
            out[:, :, n] = solved[..., 0] * scale
        return out

    def variances(self):
        """Diagonal of the inverses, (S, K, N, D)."""
        out = torch.empty_like(self.precision)
        for n in range(out.shape[2]):
            factor, scale = self.factor(n)
            inverse = torch.cholesky_inverse(factor).diagonal(dim1=-2, dim2=-1)
            out[:, :, n] = inverse * scale**2
        return out
