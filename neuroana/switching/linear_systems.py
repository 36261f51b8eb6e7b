"""Symmetric positive definite systems of the M step, many small ones at once."""

import torch


def unpack(curvature, n_terms):
    """Symmetric matrices from their upper triangles."""
    row, column = torch.triu_indices(n_terms, n_terms, device=curvature.device)
    matrix = curvature.new_empty(*curvature.shape[:-1], n_terms, n_terms)
    matrix[..., row, column] = curvature
    matrix[..., column, row] = curvature
    return matrix


def factorise(matrix):
    """Cholesky factors of matrices scaled to a unit diagonal, and the scale.

    Scaling makes units of measurement irrelevant; a system that is singular in
    floating point gets the smallest jitter that mends it.
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
    return factor, scale


def solve(matrix, right, *, variances=False):
    """Solve the systems; also the diagonal of the inverses if asked."""
    factor, scale = factorise(matrix)
    step = torch.cholesky_solve((right * scale)[..., None], factor)[..., 0] * scale
    if not variances:
        return step, None
    inverse = torch.cholesky_inverse(factor).diagonal(dim1=-2, dim2=-1)
    return step, inverse * scale**2


def solve_shared(matrix, right, pull, drift, *, variances=False):
    """`solve` where the states are drawn to one mean that moves with them.

    The systems are those of the states with the mean held: `matrix` includes the
    precision `pull` (S, K, N, D) towards it. The mean, of precision `drift` (N, D)
    around zero, stands at its optimum; its step d solves the Schur complement
    ``(sum_k pull + drift - sum_k pull A_k^-1 pull) d = sum_k pull A_k^-1 right``,
    and every state goes ``A_k^-1 pull d`` further.
    """
    factor, scale = factorise(matrix)
    inverse = torch.cholesky_inverse(factor) * scale[..., None] * scale[..., None, :]
    alone = torch.cholesky_solve((right * scale)[..., None], factor)[..., 0] * scale
    drawn = pull.sum(1) > 0
    left = -(pull[..., None] * inverse * pull[..., None, :]).sum(1)
    left = left + torch.diag_embed(torch.where(drawn, pull.sum(1) + drift, 1.0))
    shared, _ = solve(left, (pull * alone).sum(1))
    further = (inverse @ (pull * shared[:, None])[..., None])[..., 0]
    step = alone + further
    return step, inverse.diagonal(dim1=-2, dim2=-1) if variances else None


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


def solve_coupled(blocks, right, *, variances=False):
    """`solve` where all units of a state are one system.

    `blocks` (S, K, pairs, D, D) are the blocks c <= d of the joint matrix.
    """
    n_starts, n_states, n_units, n_terms = right.shape
    row, column = torch.triu_indices(n_units, n_units, device=right.device)
    shape = (n_starts, n_states, n_units, n_units, n_terms, n_terms)
    joint = blocks.new_zeros(shape)
    joint[:, :, row, column] = blocks
    joint[:, :, column, row] = blocks
    joint = joint.transpose(3, 4).reshape(
        n_starts, n_states, n_units * n_terms, n_units * n_terms
    )
    step, variance = solve(joint, right.reshape(n_starts, n_states, -1),
                           variances=variances)  # fmt: skip
    shape = right.shape
    return step.view(shape), None if variance is None else variance.view(shape)
