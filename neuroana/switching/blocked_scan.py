"""Forward-backward in blocks of time: few sequential steps, all blocks at once.

For machines without numba and for GPUs. Time is cut into blocks of about sqrt(T/2)
bins. (1) In every block at once, the product of A diag(e[t]) is formed as a K x K
matrix whose rows are kept at sum one. (2) The blocks are chained, K^2 a block, which
gives the filter before and the backward message after every block. (3) In every block
at once, the recursion is replayed bin by bin from those messages. Sequential depth
4 L + 2 T / L instead of 2 T, for L bins a block.

Several sequences are one chain: into the first bin of each the transition has rows
all equal to pi, which forgets the past. Symbols as in `forward_backward`.
"""

import math

import numpy as np
import torch

from neuroana.switching.forward_backward import DENSE, TINY, Chain, Smoothed


def smooth_blocked(chain: Chain, *, block=None, device="cpu"):
    """`smooth` by the blocked scan, and which (model, sequence) to redo."""
    scan = BlockedChain(chain, block, device)
    entering, leaving, doubt_blocks = scan.chain_blocks()
    alpha, scale, doubt_forward = scan.replay_forward(entering)
    gamma, xi_sum, doubt_backward = scan.replay_backward(alpha, entering, leaving)

    doubt = scan.by_bin(doubt_forward | doubt_backward | doubt_blocks[..., None])
    log_scale = scan.by_bin(scale.log()) + chain.loglik.max(axis=-1)
    starts = chain.offsets[:-1]
    marginal = np.add.reduceat(log_scale, starts, axis=1)
    doubtful = np.logical_or.reduceat(doubt, starts, axis=1) | ~np.isfinite(marginal)
    if doubtful.any():
        keep = np.repeat(~doubtful, np.diff(chain.offsets), axis=1)
        xi_sum = scan.replay_backward(alpha, entering, leaving, keep=keep)[1]
    found = Smoothed(
        marginal, scan.by_bin(alpha), scan.by_bin(gamma), xi_sum.cpu().numpy(), 0
    )
    return found, doubtful


class BlockedChain:
    """A chain laid out as (model, block, position in the block, state)."""

    def __init__(self, chain: Chain, block, device):
        loglik, transition, initial, offsets = chain
        self.n_models, self.n_bins, self.n_states = loglik.shape
        self.length = min(self.n_bins, block or max(1, math.isqrt(self.n_bins // 2)))
        self.n_blocks = -(-self.n_bins // self.length)
        padding = self.n_blocks * self.length - self.n_bins

        def to_device(array):
            return torch.tensor(array, device=device)

        log_e = to_device(loglik)
        e = (log_e - log_e.amax(-1, keepdim=True)).exp()
        self.e = self.by_block(e, padding, fill=1.0)
        self.impossible = self.by_block(torch.isneginf(log_e), padding, fill=False)
        self.transition, self.initial = to_device(transition), to_device(initial)
        self.sparse = bool(transition.min() < DENSE)
        starts = np.zeros(self.n_blocks * self.length, dtype=bool)
        starts[offsets[:-1]] = True
        self.starts = to_device(starts.reshape(self.n_blocks, self.length))
        inside = np.arange(self.n_blocks * self.length) < self.n_bins
        self.inside = to_device(inside.reshape(self.n_blocks, self.length))

    def by_block(self, values, padding, *, fill):
        values = torch.nn.functional.pad(values, (0, 0, 0, padding), value=fill)
        return values.view(self.n_models, self.n_blocks, self.length, self.n_states)

    def by_bin(self, values):
        """(S, blocks, L, ...) tensor to (S, T, ...) array."""
        flat = values.reshape(self.n_models, -1, *values.shape[3:])
        return np.ascontiguousarray(flat[:, : self.n_bins].cpu().numpy())

    def into(self, p):
        """Transitions into position p of every block, (S, blocks or 1, K, K)."""
        if self.transition.shape[1] > 1:
            bins = torch.arange(self.n_blocks, device=self.e.device) * self.length + p
            last = self.transition.shape[1] - 1
            a = self.transition[:, (bins - 1).clamp(0, last)]
        else:
            a = self.transition
        first, inside = self.starts[:, p], self.inside[:, p]
        if bool(first.any()):
            restart = self.initial[:, None, None, :]
            a = torch.where(first[None, :, None, None], restart, a)
        if not bool(inside.all()):
            stay = torch.eye(self.n_states, dtype=a.dtype, device=a.device)
            a = torch.where(inside[None, :, None, None], a, stay)
        return a

    def normalise(self, weights):
        """Rows at sum one; uniform, and said so, where nothing is left."""
        total = weights.sum(-1, keepdim=True)
        dead = ~(total > 0)
        uniform = 1.0 / self.n_states
        return torch.where(dead, uniform, weights / total), total[..., 0], dead[..., 0]

    def lost(self, before, after, p):
        """Where a possible state's probability went below what float64 keeps."""
        alive = (before > 0) & ~self.impossible[:, :, p]
        return (alive & (after < TINY)).any(-1)

    def chain_blocks(self):
        """Filter entering and message leaving every block, (S, blocks, K)."""
        shape = (self.n_models, self.n_blocks, self.n_states, self.n_states)
        product = torch.eye(self.n_states, dtype=self.e.dtype, device=self.e.device)
        product = product.expand(shape)
        log_row = self.e.new_zeros(shape[:3])
        doubt = torch.zeros(shape[:2], dtype=torch.bool, device=self.e.device)
        for p in range(self.length):
            before = product @ self.into(p)
            product = before * self.e[:, :, p, None, :]
            if self.sparse:
                alive = (before > 0) & ~self.impossible[:, :, p, None, :]
                doubt |= (alive & (product < TINY)).any(-1).any(-1)
            total = product.sum(-1)
            product = product / total.clamp_min(1e-300)[..., None]
            log_row = log_row + total.log()

        entering = torch.empty_like(log_row)
        leaving = torch.empty_like(log_row)
        state = self.initial
        for b in range(self.n_blocks):
            entering[:, b] = state
            weight = torch.softmax(state.log() + log_row[:, b], -1)
            state = self.normalise((weight[:, None] @ product[:, b])[:, 0])[0]
        message = torch.ones_like(self.initial)
        for b in reversed(range(self.n_blocks)):
            leaving[:, b] = message
            message = (product[:, b] @ message[..., None])[..., 0].log()
            message = torch.softmax(message + log_row[:, b], -1)
            message = self.normalise(message)[0]
        return entering, leaving, doubt

    def replay_forward(self, entering):
        """Filter and scale at every bin, from the filter entering each block."""
        alpha = torch.empty_like(self.e)
        scale = self.e.new_empty(self.e.shape[:3])
        doubt = torch.zeros(scale.shape, dtype=torch.bool, device=scale.device)
        state = entering
        for p in range(self.length):
            before = (state[:, :, None] @ self.into(p))[:, :, 0]
            state = before * self.e[:, :, p]
            if self.sparse:
                doubt[:, :, p] = self.lost(before, state, p)
            state, scale[:, :, p], _ = self.normalise(state)
            alpha[:, :, p] = state
        return alpha, scale, doubt

    def replay_backward(self, alpha, entering, leaving, *, keep=None):
        """Smoothed probabilities and expected transitions, from the messages."""
        gamma = torch.empty_like(alpha)
        xi_sum = torch.zeros_like(self.transition[:, 0])
        doubt = torch.zeros(alpha.shape[:3], dtype=torch.bool, device=alpha.device)
        stationary = self.transition.shape[1] == 1
        count = (self.inside & ~self.starts).expand(self.n_models, -1, -1)
        if keep is not None:
            padding = self.n_blocks * self.length - self.n_bins
            keep = np.pad(keep, ((0, 0), (0, padding)))
            count = count & torch.as_tensor(keep, device=count.device).view_as(count)
        beta = leaving
        for p in reversed(range(self.length)):
            gamma[:, :, p], _, doubt[:, :, p] = self.normalise(alpha[:, :, p] * beta)
            a = self.into(p)
            ahead = self.e[:, :, p] * beta
            if self.sparse:
                doubt[:, :, p] |= self.lost(beta, ahead, p)
            before = alpha[:, :, p - 1] if p else entering
            beta = (a @ ahead[..., None])[..., 0]
            weight = before / (before * beta).sum(-1, keepdim=True)
            weight = torch.where(count[:, :, p, None], weight, 0.0)
            ahead = torch.where(count[:, :, p, None], ahead, 0.0)
            if stationary:
                xi_sum += weight.transpose(1, 2) @ ahead
            else:
                xi_sum += torch.einsum("sbi,sbij,sbj->sij", weight, a, ahead)
            beta = self.normalise(beta)[0]
        if stationary:
            xi_sum *= self.transition[:, 0]
        return gamma, xi_sum, doubt
