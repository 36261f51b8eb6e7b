"""How the past of a unit enters the drive of the others: history bases.

    h[t, m, c] = sum_{k=1..L} phi[c, k] x[t-k, m]

Strictly causal: bin t is driven by bins t-L .. t-1 only. Bins before the start of a
sequence count as zero, and no sequence sees another. Every class is a frozen
dataclass, so it can be compared, cloned and written down as text.
"""

from dataclasses import dataclass

import numpy as np

from neuroana.core.checks import check_number


@dataclass(frozen=True)
class ExponentialHistory:
    """One kernel exp(-decay k), k = 1..L, that sums to one.

    The sum of one makes a coupling the change of the predictor per spike of a unit
    that fires in every bin, whatever `n_lags` and `decay` are.

    Parameters
    ----------
    n_lags : int
        Bins of the past.
    decay : float
        Rate of the decay per bin.

    Examples
    --------
    >>> ExponentialHistory(n_lags=5, decay=1.0).kernel().round(4)
    array([[0.6364, 0.2341, 0.0861, 0.0317, 0.0117]])
    """

    n_lags: int = 5
    decay: float = 1.0

    def kernel(self) -> np.ndarray:
        """phi, (1, L)."""
        check_number("n_lags", self.n_lags, minimum=1, integer=True)
        check_number("decay", self.decay, minimum=0.0)
        phi = np.exp(-self.decay * np.arange(1, self.n_lags + 1))
        return (phi / phi.sum())[None]


@dataclass(frozen=True)
class RaisedCosineHistory:
    """Overlapping cosine bumps, narrow near the present and wide far from it.

    Bump c is (1 + cos(u)) / 2 for ``|u| <= pi``, u the distance of log(k + offset) from
    the bump's centre in units of two centre spacings over pi; each sums to one.

    Parameters
    ----------
    n_lags : int
        Bins of the past.
    n_basis : int
        Bumps.
    offset : float
        Stretches the time axis: small values put most bumps near the present.

    References
    ----------
    Pillow et al., Nature 454, 995 (2008), supplement.

    Examples
    --------
    >>> RaisedCosineHistory(n_lags=20, n_basis=3).kernel().shape
    (3, 20)
    """

    n_lags: int = 20
    n_basis: int = 4
    offset: float = 1.0

    def kernel(self) -> np.ndarray:
        """phi, (B, L)."""
        check_number("n_lags", self.n_lags, minimum=1, integer=True)
        check_number("n_basis", self.n_basis, minimum=1, integer=True)
        check_number("n_basis", self.n_basis, maximum=self.n_lags)
        check_number("offset", self.offset, minimum=0.0, open_ends=True)
        warped = np.log(np.arange(1, self.n_lags + 1) + self.offset)
        if self.n_basis == 1:
            centres, spacing = warped[:1], max(np.ptp(warped), 1.0)
        else:
            centres = np.linspace(warped[0], warped[-1], self.n_basis)
            spacing = centres[1] - centres[0]
        angle = (warped - centres[:, None]) * np.pi / (2 * spacing)
        phi = 0.5 * (1 + np.cos(np.clip(angle, -np.pi, np.pi)))
        return phi / phi.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class BoxcarHistory:
    """Means over consecutive windows of the past.

    Parameters
    ----------
    n_lags : int
        Bins of the past.
    n_basis : int
        Windows; the first ones are longer by one bin where it does not divide.

    Examples
    --------
    >>> BoxcarHistory(n_lags=4, n_basis=2).kernel()
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]])
    """

    n_lags: int = 5
    n_basis: int = 1

    def kernel(self) -> np.ndarray:
        """phi, (B, L)."""
        check_number("n_lags", self.n_lags, minimum=1, integer=True)
        check_number("n_basis", self.n_basis, minimum=1, integer=True)
        check_number("n_basis", self.n_basis, maximum=self.n_lags)
        phi = np.zeros((self.n_basis, self.n_lags))
        for row, window in zip(phi, np.array_split(np.arange(self.n_lags), len(phi))):
            row[window] = 1 / len(window)
        return phi


@dataclass(frozen=True)
class RawHistory:
    """Every lag on its own: with gaussian observations an AR-HMM of order `n_lags`.

    Parameters
    ----------
    n_lags : int
        Bins of the past.

    Examples
    --------
    >>> RawHistory(n_lags=2).kernel()
    array([[1., 0.],
           [0., 1.]])
    """

    n_lags: int = 1

    def kernel(self) -> np.ndarray:
        """phi, (L, L)."""
        check_number("n_lags", self.n_lags, minimum=1, integer=True)
        return np.eye(self.n_lags)


def drive(x, kernel) -> np.ndarray:
    """History drive of one sequence, strictly causal.

    Parameters
    ----------
    x : array (T, N)
        One sequence, missing values already filled.
    kernel : array (B, L)
        From a history basis; column k - 1 weighs bin t - k.

    Returns
    -------
    array (T, N, B)

    Examples
    --------
    >>> spike = np.array([[1.0], [0.0], [0.0]])
    >>> drive(spike, ExponentialHistory(n_lags=2).kernel()).ravel().round(3)
    array([0.   , 0.731, 0.269])
    """
    n_bins, n_units = x.shape
    n_basis, n_lags = kernel.shape
    h = np.zeros((n_bins, n_units, n_basis))
    for lag in range(1, min(n_lags, n_bins - 1) + 1):
        h[lag:] += x[:-lag, :, None] * kernel[:, lag - 1]
    return h
