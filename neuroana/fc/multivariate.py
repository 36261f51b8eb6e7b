"""Imaginary coherence between groups of regions, whatever mixes within a group.

E = Re(C_aa)^-1/2 Im(C_ab) Re(C_bb)^-1/2 of the coherencies of groups a and b.
"""

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError
from neuroana.fc.geometry import of_eigenvalues
from neuroana.fc.spectrum import averaged, spectral


EWALD = "Ewald et al. 2012, NeuroImage 60, 476"


def members_of(groups, n):
    """Indices of the regions of each group; without groups each is its own."""
    if groups is None:
        return [np.array([i]) for i in range(n)]
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ParameterError(
            message("argument 'groups'", f"a label for each of the {n} regions",
                    f"shape {groups.shape}")
        )  # fmt: skip
    return [np.flatnonzero(groups == g) for g in dict.fromkeys(groups.tolist())]


def inverse_root(c):
    """C^-1/2 of real symmetric matrices; directions without power are left out."""
    values, vectors = np.linalg.eigh(c)
    good = values > 1e-10 * values[..., -1:]
    root = np.divide(1.0, np.sqrt(np.where(good, values, 1.0)), where=good,
                     out=np.zeros_like(values))  # fmt: skip
    return of_eigenvalues(root, vectors)


def between_groups(C, groups, reduce):
    """reduce(E) for all pairs of groups, at the places of their regions."""
    n = C.shape[-1]
    members = members_of(groups, n)
    roots = [inverse_root(C.real[..., m[:, None], m]) for m in members]
    w = np.zeros(C.shape)
    for a, first in enumerate(members):
        for b in range(a + 1, len(members)):
            second = members[b]
            E = roots[a] @ C.imag[..., first[:, None], second] @ roots[b]
            value = reduce(E)[..., None, None]
            w[..., first[:, None], second] = value
            w[..., second[:, None], first] = value
    return w


@spectral("mim", "spectral", EWALD, ("coherencies",))
def mim(coherencies, *, groups=None, average="mean"):
    """Multivariate interaction measure tr E E' between groups of regions.

    All pairs of regions of two groups carry the value of their groups; within a group
    it is 0. Where every region is its own group it is the square of 'imcoh'.

    Parameters
    ----------
    groups : sequence (roi,), optional
        Name of the group of each region.
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Ewald, A., Marzetti, L., Zappasodi, F., Meinecke, F. C. and Nolte, G. (2012).
    Estimating true brain connectivity from EEG/MEG data invariant to linear and static
    transformations in sensor space. NeuroImage 60, 476-488.
    """
    C, freqs = coherencies
    w = between_groups(C, groups, lambda E: (E**2).sum(axis=(-1, -2)))
    return averaged(w, freqs, average)


@spectral("mic", "spectral", EWALD, ("coherencies",))
def mic(coherencies, *, groups=None, average="mean"):
    """Maximised imaginary coherency between groups: the largest singular value of E.

    All pairs of regions of two groups carry the value of their groups; within a group
    it is 0. Where every region is its own group it is the size of 'imcoh'.

    Parameters
    ----------
    groups : sequence (roi,), optional
        Name of the group of each region.
    average : {'mean', 'max', None}
    segment_samples, overlap, method, bandwidth, band
        As in 'coherence'.

    References
    ----------
    Ewald, A., Marzetti, L., Zappasodi, F., Meinecke, F. C. and Nolte, G. (2012).
    Estimating true brain connectivity from EEG/MEG data invariant to linear and static
    transformations in sensor space. NeuroImage 60, 476-488.
    """
    C, freqs = coherencies
    w = between_groups(C, groups, lambda E: np.linalg.norm(E, 2, axis=(-2, -1)))
    return averaged(w, freqs, average)
