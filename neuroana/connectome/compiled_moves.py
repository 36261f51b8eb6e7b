"""Moves of single nodes as a compiled loop; symbols and states as in `block_moves`.

Only what a move touches is computed: the row of block pairs of one group at a time.
"""

from math import exp, lgamma, log, pi

import numpy as np
from numba import njit


EPS = 1e-9


@njit(cache=True)
def law(family, n, x, least, table):
    """Cost of n weights with sum x, the sum given."""
    if family == 2:
        return 0.0 if x == 0 else lgamma(x + n) - lgamma(x + 1) - lgamma(n)
    if family == 3:
        return x * log(n) - lgamma(x + 1)
    if n < 1.5 or x < least:
        return 0.0
    return (n - 1) * log(x) - table[0, int(n + 0.5) - 1]


@njit(cache=True)
def pair_term(m, x, y, q, inside, family, numbers, table):
    """Weight and adjacency terms of one block pair."""
    if m < 0.5:
        return 0.0
    k = int(m + 0.5)
    total = 0.0
    if numbers[0] > 0:
        total -= table[0, k]
        if inside:
            total -= m * log(2.0)
    if family != 1:
        return total + law(family, m, x, numbers[4], table) / numbers[8]
    mu0, b0 = numbers[2], numbers[3]
    mean = y / m
    inner = q - m * mean * mean
    if inner < 0:
        inner = 0.0
    b = b0 + inner / 2 + m * (mean - mu0) ** 2 / (2 * (1.0 + m))
    a = 1.0 + m / 2
    weights = (
        a * log(b) - table[1, k] - log(b0)
        + 0.5 * log(1.0 + m) + m / 2 * log(2 * pi)
    )  # fmt: skip
    return total + weights / numbers[8]


@njit(cache=True)
def group_term(size, degree, numbers, table):
    """Terms of one group."""
    n, e = int(size + 0.5), int(degree + 0.5)
    total = -table[0, n]
    if numbers[0] > 0 and numbers[1] > 0:
        total += table[0, e]
        if n > 0 and e > 0:
            total += table[0, n + e - 1] - table[0, e] - table[0, n - 1]
    elif numbers[0] > 0 and n > 0:
        total += degree * log(size)
    return total


@njit(cache=True)
def global_term(n_groups, n_pairs, family, numbers, table):
    """What depends on the numbers of groups and of block pairs alone."""
    n = numbers[7]
    total = lgamma(n) - lgamma(n_groups) - lgamma(n - n_groups + 1)
    if numbers[0] > 0:
        cells = n_groups * (n_groups + 1) / 2
        e = numbers[5]
        total += lgamma(cells + e) - lgamma(e + 1) - lgamma(cells)
    if family != 1:
        of_totals = 2 if family == 3 else family
        cost = law(of_totals, float(n_pairs), numbers[6], numbers[4], table)
        total += cost / numbers[8]
    return total


@njit(cache=True)
def move_nodes(
    labels, sums, size, degree, stats, family, numbers, table, order, allowed, draws
):
    """Move the nodes of `order` in turn; return how many changed their group."""
    n_groups, n_nodes = len(size), len(labels)
    moved = 0
    a = np.empty((4, n_groups))
    cost = np.empty(n_groups)
    n_filled = 0
    n_pairs = 0
    for r in range(n_groups):
        n_filled += size[r] > 0
        for t in range(r + 1):
            n_pairs += sums[0, r, t] > 0.5
    for place in range(len(order)):
        node = order[place]
        was = labels[node]
        a[:] = 0.0
        for j in range(n_nodes):
            if stats[0, node, j] > 0:
                t = labels[j]
                for s in range(4):
                    a[s, t] += stats[s, node, j]
        k = 0.0
        for t in range(n_groups):
            k += a[0, t]
        n_pairs += put(sums, size, degree, was, a, k, -1.0)
        n_filled -= size[was] == 0
        spare = was if size[was] == 0 else -1
        if spare < 0:
            for r in range(n_groups):
                if size[r] == 0:
                    spare = r
                    break
        best, lowest = was, np.inf
        for r in range(n_groups):
            open_here = r == was or (allowed[r] and (size[r] > 0 or r == spare))
            cost[r] = np.inf
            if not open_here:
                continue
            total, fresh = 0.0, 0
            for t in range(n_groups):
                m = sums[0, r, t] + a[0, t]
                if m < 0.5:
                    continue
                inside = r == t
                total += pair_term(
                    m, sums[1, r, t] + a[1, t], sums[2, r, t] + a[2, t],
                    sums[3, r, t] + a[3, t], inside, family, numbers, table,
                )  # fmt: skip
                if sums[0, r, t] < 0.5:
                    fresh += 1
                else:
                    total -= pair_term(
                        sums[0, r, t], sums[1, r, t], sums[2, r, t], sums[3, r, t],
                        inside, family, numbers, table,
                    )  # fmt: skip
            total += group_term(size[r] + 1, degree[r] + k, numbers, table)
            total -= group_term(size[r], degree[r], numbers, table)
            filled = n_filled + (size[r] == 0)
            total += global_term(
                filled, max(n_pairs + fresh, 1), family, numbers, table
            )
            cost[r] = total
            if total < lowest:
                best, lowest = r, total
        if draws[place] < 0:
            if cost[was] <= lowest + EPS:
                best = was
        else:
            whole = 0.0
            for r in range(n_groups):
                whole += exp(lowest - cost[r])
            left = draws[place] * whole
            for r in range(n_groups):
                left -= exp(lowest - cost[r])
                if left < 0 and cost[r] < np.inf:
                    best = r
                    break
        n_filled += size[best] == 0
        n_pairs += put(sums, size, degree, best, a, k, 1.0)
        labels[node] = best
        moved += best != was
    return moved


@njit(cache=True)
def put(sums, size, degree, group, a, k, sign):
    """Add a node to a group or take it out; return the change of block pairs."""
    change = 0
    n_groups = len(size)
    size[group] += sign
    degree[group] += sign * k
    empty = size[group] < 0.5
    for t in range(n_groups):
        before = sums[0, group, t] > 0.5
        for s in range(4):
            value = 0.0 if empty else sums[s, group, t] + sign * a[s, t]
            sums[s, group, t] = value
            sums[s, t, group] = value
        change += int(sums[0, group, t] > 0.5) - int(before)
    if empty:
        size[group] = 0.0
        degree[group] = 0.0
    return change
