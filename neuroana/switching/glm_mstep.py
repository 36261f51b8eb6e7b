"""One damped Newton step for every weighted GLM of a switching model at once.

Given the state probabilities gamma, every (state k, unit n) is a GLM of its own, with
weights gamma[:, k] on the bins:

    Q[k, n] = sum_t gamma[t, k] log Obs(x[t, n]; X[t] . theta[k, n])
    g = X' (gamma * score)        H = X' diag(gamma * Fisher weight) X
    theta <- theta + step (H + Lambda)^-1 (g + Lambda (mean - theta))

One step an EM iteration, halved up to 8 times until Q + log prior rises, else not
taken, so that EM stays monotone.

| symbol              | shape           | meaning                                  |
| ------------------- | --------------- | ---------------------------------------- |
| X                   | (T, D)          | design: one, history drives, inputs      |
| theta               | (S, K, N, D)    | baseline, couplings, input weights       |
| gamma               | (S, T, K)       | state probabilities, S independent starts|
| Lambda, mean        | (S, K, N, D)    | precision and mean of the normal prior   |

Time is cut into chunks that stay in cache. The Hessians of all S K N problems are one
matrix product a chunk: weights (S K N, chunk) by outer products (chunk, D (D+1) / 2).
It may run in float32: it only bends the direction of the step, never where it stops.
Cost 2 S K N T (D^2 / 2 + 2 D) flops.
"""

from dataclasses import dataclass, field

import torch


CHUNK_VALUES = 2**17  # of an array (S K N, chunk): about 1 MB
CACHED_BYTES = 2**28  # outer products are kept between iterations below this
HALVINGS = 8


@dataclass
class Panel:
    """All sequences end to end, on the device of the fit; time is the last axis."""

    design: torch.Tensor  # (D, T)
    x: torch.Tensor  # (N, T), missing values zero
    observed: torch.Tensor | None = None  # (N, T) bool; None: everything
    constant: torch.Tensor | None = None  # (T,) part of the log-likelihood
    coarse: bool = True  # Hessians in float32
    outer: dict = field(default_factory=dict)  # chunk -> outer products

    @classmethod
    def of(cls, family, design, x, observed=None, *, coarse=True):
        """Panel from tensors (T, D), (T, N) and (T, N)."""
        constant = family.constant(x)
        if observed is not None:
            constant = constant * observed
            observed = observed.T.contiguous()
        design, x = design.T.contiguous(), x.T.contiguous()
        return cls(design, x, observed, constant.sum(1), coarse)

    def chunks(self, n_columns):
        """Slices of time for arrays with `n_columns` values a bin."""
        n_terms, n_bins = self.design.shape
        widest = max(n_columns, n_terms * (n_terms + 1) // 2)
        size = max(64, min(4096, CHUNK_VALUES // widest))
        return [slice(t, min(t + size, n_bins)) for t in range(0, n_bins, size)]

    def outer_products(self, chunk):
        """Upper triangle of x x' for each bin of a chunk, (D (D+1) / 2, chunk)."""
        key = (chunk.start, chunk.stop)
        if key in self.outer:
            return self.outer[key]
        n_terms, n_bins = self.design.shape
        kind = torch.float32 if self.coarse else self.design.dtype
        terms = self.design[:, chunk].to(kind).contiguous()
        row, column = torch.triu_indices(n_terms, n_terms, device=terms.device)
        products = terms[row].mul_(terms[column])
        if n_bins * len(row) * products.element_size() <= CACHED_BYTES:
            self.outer[key] = products
        return products

    def predictors(self, theta, chunk):
        """eta of a chunk, (S, K, N, chunk)."""
        flat = theta.reshape(-1, theta.shape[-1]).to(self.design.dtype)
        return (flat @ self.design[:, chunk]).view(*theta.shape[:3], -1)


def emissions(family, panel, theta, variance=None):
    """Log-likelihood of every bin in every state, (S, T, K)."""
    return expected_emissions(family, panel, theta, variance, None)[0]


def expected_emissions(family, panel, theta, variance, gamma):
    """Emission log-likelihoods (S, T, K), and their expectation Q (S, K, N)."""
    n_starts, n_states = theta.shape[:2]
    loglik = theta.new_empty(n_starts, panel.x.shape[1], n_states)
    q = torch.zeros_like(theta[..., 0])
    if variance is not None:
        variance = variance[..., None]
    for chunk in panel.chunks(theta[..., 0].numel()):
        eta = panel.predictors(theta, chunk)
        value = family.log_density(panel.x[:, chunk], eta, variance)
        if panel.observed is not None:
            value = value * panel.observed[:, chunk]
        total = value.sum(2) + panel.constant[chunk]
        loglik[:, chunk] = total.transpose(1, 2)
        if gamma is not None:
            weight = gamma[:, chunk].transpose(1, 2).to(value.dtype)
            q += (value @ weight[..., None])[..., 0]
    return loglik, q


def newton_terms(family, panel, theta, variance, gamma):
    """Q (S, K, N), its gradient (S, K, N, D) and packed curvature (S, K, N | 1, P).

    The curvature has one unit where it is the same for all (gaussian, nothing
    missing), up to the factor 1 / variance which is then left out.
    """
    n_starts, n_states, n_units, n_terms = theta.shape
    shared = not family.curvature_varies and panel.observed is None
    n_problems = n_starts * n_states * (1 if shared else n_units)
    q = torch.zeros_like(theta[..., 0])
    gradient = torch.zeros_like(theta).view(-1, n_terms)
    curvature = None
    if variance is not None:
        variance = variance[..., None]
    for chunk in panel.chunks(theta[..., 0].numel()):
        eta = panel.predictors(theta, chunk)
        value, score, weight = family.derivatives(panel.x[:, chunk], eta, variance)
        share = gamma[:, chunk].transpose(1, 2)[:, :, None].to(eta.dtype).contiguous()
        if not shared:
            weight = weight * share
        if panel.observed is not None:
            value, score, weight = (
                part * panel.observed[:, chunk] for part in (value, score, weight)
            )
        q += (value @ share.transpose(2, 3))[..., 0]
        score = (score * share).view(-1, eta.shape[-1])
        gradient += score @ panel.design[:, chunk].T
        products = panel.outer_products(chunk)
        weight = (share if shared else weight).reshape(n_problems, -1)
        if curvature is None:
            curvature = products.new_zeros(n_problems, len(products))
        curvature.addmm_(weight.to(products.dtype), products.T)
    curvature = curvature.view(n_starts, n_states, -1, curvature.shape[-1])
    return q, gradient.view_as(theta), curvature.to(theta.dtype)


def unpack(curvature, n_terms):
    """Symmetric matrices from their upper triangles."""
    row, column = torch.triu_indices(n_terms, n_terms, device=curvature.device)
    matrix = curvature.new_empty(*curvature.shape[:-1], n_terms, n_terms)
    matrix[..., row, column] = curvature
    matrix[..., column, row] = curvature
    return matrix


def information(family, panel, curvature, variance, precision, free):
    """H + Lambda (S, K, N, D, D); fixed coefficients are cut out by a one."""
    n_terms = precision.shape[-1]
    h = unpack(curvature, n_terms)
    if not family.curvature_varies and panel.observed is None:
        h = h / variance[..., None, None]
    h = h + torch.diag_embed(precision)
    h = h * (free[..., None] & free[..., None, :])
    return h + torch.diag_embed((~free).to(h.dtype)).expand_as(h)


def solve(matrix, right, *, variances=False):
    """Solve positive definite systems; also the diagonal of the inverses if asked.

    Rows and columns are scaled to a unit diagonal first, so units do not matter; a
    system that is singular in floating point gets the smallest jitter that mends it.
    """
    scale = matrix.diagonal(dim1=-2, dim2=-1).clamp_min(1e-300).rsqrt()
    scaled = matrix * scale[..., None] * scale[..., None, :]
    factor, failed = torch.linalg.cholesky_ex(scaled)
    jitter = 1e-10
    while bool((failed > 0).any()) and jitter < 1:
        eye = jitter * torch.eye(
            matrix.shape[-1], dtype=matrix.dtype, device=matrix.device
        )
        redone, still = torch.linalg.cholesky_ex(scaled + eye)
        mend = (failed > 0)[..., None, None]
        factor = torch.where(mend, redone, factor)
        failed = torch.where(failed > 0, still, failed)
        jitter *= 100
    step = torch.cholesky_solve((right * scale)[..., None], factor)[..., 0] * scale
    if not variances:
        return step, None
    inverse = torch.cholesky_inverse(factor).diagonal(dim1=-2, dim2=-1)
    return step, inverse * scale**2


def solve_tied(matrix, right, ties, *, variances=False):
    """`solve` where coefficients with the same tie (K, N, D) are one and the same."""
    n_starts, n_states, n_units, n_terms = right.shape
    size = int(ties.max()) + 1
    joint = matrix.new_zeros(n_starts, n_units, size, size)
    total = matrix.new_zeros(n_starts, n_units, size)
    start = torch.arange(n_starts, device=ties.device)[:, None, None]
    unit = torch.arange(n_units, device=ties.device)[None, :, None]
    for k in range(n_states):
        tie = ties[k][None]
        total.index_put_((start, unit, tie), right[:, k], accumulate=True)
        place = (start[..., None], unit[..., None], tie[..., None], tie[..., None, :])
        joint.index_put_(place, matrix[:, k], accumulate=True)
    step, variance = solve(joint, total, variances=variances)

    def spread(values):
        index = ties.transpose(0, 1).reshape(n_units, -1).expand(n_starts, -1, -1)
        wide = values.gather(-1, index).view(n_starts, n_units, n_states, n_terms)
        return wide.transpose(1, 2)

    return spread(step), spread(variance) if variances else None


def log_prior(theta, mean, precision):
    """Quadratic part of the log prior, (S, K, N)."""
    return -0.5 * (precision * (theta - mean) ** 2).sum(-1)


def climb(family, panel, theta, variance, gamma, step, before, prior, *, tied):
    """Take `step` where it raises Q + log prior, halving it where it does not.

    Returns theta, emission log-likelihoods (S, T, K) and the number of refusals.
    """

    def value(at):
        loglik, q = expected_emissions(family, panel, at, variance, gamma)
        total = q + log_prior(at, *prior)
        return loglik, total.sum(1, keepdim=True) if tied else total

    if tied:
        before = before.sum(1, keepdim=True)
    length = torch.ones_like(before)
    slack = 1e-12 * before.abs() + 1e-12
    for halving in range(HALVINGS + 1):
        trial = theta + length[..., None] * step
        loglik, after = value(trial)
        worse = ~(after >= before - slack) & (length > 0)
        if not bool(worse.any()):
            return trial, loglik, int((length == 0).sum())
        length = torch.where(
            worse, length / 2 if halving < HALVINGS - 1 else 0.0, length
        )
    return trial, loglik, int((length == 0).sum())


def residual_variance(panel, theta, gamma, variance, floor):
    """Weighted mean of squared residuals, (S, K, N); kept where nothing weighs."""
    total, weight = torch.zeros_like(variance), torch.zeros_like(variance)
    for chunk in panel.chunks(variance.numel()):
        residual = panel.x[:, chunk] - panel.predictors(theta, chunk)
        share = gamma[:, chunk].transpose(1, 2)[:, :, None].to(residual.dtype)
        if panel.observed is not None:
            share = share * panel.observed[:, chunk]
        total += (share * residual * residual).sum(-1)
        weight += share.sum(-1)
    enough = weight > 1e-8
    mean = total / torch.where(enough, weight, 1.0)
    return torch.where(enough, mean.maximum(floor), variance)
