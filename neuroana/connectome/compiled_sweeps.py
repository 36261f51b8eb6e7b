"""Column sweeps of HALS as compiled loops; symbols as in `sweeps`.

Entries of a mode are independent given K and H, so they are taken in blocks that stay
in the first cache while all inner sweeps run over them. Inner loops run over
neighbouring entries and become vector instructions.
"""

import numpy as np
from numba import njit


BLOCK = 512


@njit(cache=True, nogil=True)
def sweep_shared(F, K, H, inner, n_free, l1):
    """One H (R, R) for all entries."""
    n_columns, n = F.shape
    work = np.empty(BLOCK, dtype=F.dtype)
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        for _ in range(inner):
            for r in range(n_free):
                if H[r, r] <= 0:
                    continue
                scale = F.dtype.type(1) / H[r, r]
                for p in range(size):
                    work[p] = K[r, start + p] - l1
                q = 0
                while q + 1 < n_columns:
                    one, two = H[r, q], H[r, q + 1]
                    for p in range(size):
                        work[p] -= one * F[q, start + p] + two * F[q + 1, start + p]
                    q += 2
                if q < n_columns:
                    one = H[r, q]
                    for p in range(size):
                        work[p] -= one * F[q, start + p]
                for p in range(size):
                    value = F[r, start + p] + work[p] * scale
                    F[r, start + p] = value if value > 0 else F.dtype.type(0)


@njit(cache=True, nogil=True)
def sweep_rows(F, K, H, inner, n_free, l1):
    """An H (R, R, n) for every entry."""
    n_columns, n = F.shape
    work = np.empty(BLOCK, dtype=F.dtype)
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        for _ in range(inner):
            for r in range(n_free):
                for p in range(size):
                    work[p] = K[r, start + p] - l1
                for q in range(n_columns):
                    for p in range(size):
                        work[p] -= H[r, q, start + p] * F[q, start + p]
                for p in range(size):
                    own = H[r, r, start + p]
                    if own > 0:
                        value = F[r, start + p] + work[p] / own
                        F[r, start + p] = value if value > 0 else F.dtype.type(0)
