"""Warping and subsequences of pairs as compiled loops; two rows of memory a pair.

a, b: (time,); `band`: largest |s - t|. All pairs i < j of x (roi, time).
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def warp_pairs(x, band):
    """Dynamic time warping distance sqrt(least sum of squared differences)."""
    n, T = x.shape
    out = np.zeros((n, n))
    last, row = np.empty(T + 1), np.empty(T + 1)
    for i in range(n):
        for j in range(i + 1, n):
            last[:] = np.inf
            last[0] = 0.0
            for s in range(1, T + 1):
                row[:] = np.inf
                for t in range(max(1, s - band), min(T, s + band) + 1):
                    gap = x[i, s - 1] - x[j, t - 1]
                    best = min(last[t - 1], min(last[t], row[t - 1]))
                    row[t] = gap * gap + best
                last, row = row, last
            out[i, j] = out[j, i] = np.sqrt(last[T])
    return out


@njit(cache=True, nogil=True)
def soft_warp_pairs(x, band, gamma):
    """Soft minimum over all warpings, i <= j: a region with itself is not 0."""
    n, T = x.shape
    out = np.zeros((n, n))
    last, row = np.empty(T + 1), np.empty(T + 1)
    for i in range(n):
        for j in range(i, n):
            last[:] = np.inf
            last[0] = 0.0
            for s in range(1, T + 1):
                row[:] = np.inf
                for t in range(max(1, s - band), min(T, s + band) + 1):
                    gap = x[i, s - 1] - x[j, t - 1]
                    low = min(last[t - 1], min(last[t], row[t - 1]))
                    total = (
                        np.exp((low - last[t - 1]) / gamma)
                        + np.exp((low - last[t]) / gamma)
                        + np.exp((low - row[t - 1]) / gamma)
                    )
                    row[t] = gap * gap + low - gamma * np.log(total)
                last, row = row, last
            out[i, j] = out[j, i] = last[T]
    return out


@njit(cache=True, nogil=True)
def subsequence_pairs(x, band, epsilon):
    """Length of the longest common subsequence over T."""
    n, T = x.shape
    out = np.ones((n, n))
    last, row = np.zeros(T + 1), np.zeros(T + 1)
    for i in range(n):
        for j in range(i + 1, n):
            last[:] = 0.0
            for s in range(1, T + 1):
                row[:] = 0.0
                for t in range(max(1, s - band), min(T, s + band) + 1):
                    if abs(x[i, s - 1] - x[j, t - 1]) <= epsilon:
                        row[t] = last[t - 1] + 1.0
                    else:
                        row[t] = max(last[t], row[t - 1])
                last, row = row, last
            out[i, j] = out[j, i] = last[T] / T
    return out
