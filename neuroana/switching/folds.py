"""Training and test data of every fold, split where history cannot leak.

Several recordings are split by recording, or by groups of them; a single recording
into contiguous blocks with a purge between training and test data.
"""

from itertools import pairwise

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.core.sequences import as_sequences


PURGE_SHARE = 0.01  # of a single recording, cut away on both sides of a test block


class Pieces:
    """Recordings and what goes with them, cut along time where a fold asks for it.

    `companions` are further arguments of the fit on the same clock, by name (inputs);
    those that are None are left out.
    """

    def __init__(self, X, **companions):
        sequences = as_sequences(X)
        self.lengths = sequences.lengths
        self.labels = list(sequences.labels)
        self.items = [
            xr.DataArray(
                values,
                dims=("time", sequences.dim),
                coords={"time": time, sequences.dim: sequences.names},
                attrs={"label": label},
            ).assign_coords(good=("time", good))
            for values, time, label, good in zip(
                sequences.values, sequences.times, sequences.labels, sequences.good
            )
        ]
        self.companions = {
            name: as_sequences(given).values
            for name, given in companions.items()
            if given is not None
        }
        for name, parts in self.companions.items():
            if len(parts) != len(self.items):
                raise ShapeError(
                    message(name, f"{len(self.items)} sequences", len(parts))
                )

    def __len__(self):
        return len(self.items)

    def take(self, spans):
        """Recordings, and companions by name, of (number, first, last) spans."""
        items = [self.items[i].isel(time=slice(a, b)) for i, a, b in spans]
        others = {
            name: [parts[i][a:b] for i, a, b in spans]
            for name, parts in self.companions.items()
        }
        return items, others

    def seen(self):
        """Which values count in a likelihood, (T, N) of every recording."""
        return [seen_values(item) for item in self.items]

    def all(self):
        """Everything, uncut."""
        return self.take([(i, 0, int(n)) for i, n in enumerate(self.lengths)])


def seen_values(item):
    """Which values of one recording, or of a piece of it, count in a likelihood."""
    return np.isfinite(item.to_numpy()) & item["good"].to_numpy()[:, None]


def make_folds(estimator, pieces, cv, groups, purge):
    """(train spans, test spans) of every fold."""
    check_number("cv", cv, minimum=2, integer=True)
    n_lags = 0 if estimator.history is None else estimator.history.kernel().shape[1]
    if len(pieces) == 1:
        return block_folds(int(pieces.lengths[0]), cv, purge, n_lags)
    from sklearn.model_selection import GroupKFold, KFold

    whole = [(i, 0, int(n)) for i, n in enumerate(pieces.lengths)]
    if groups is None:
        split = KFold(min(cv, len(whole))).split(whole)
    else:
        if len(groups) != len(whole) or len(set(groups)) < 2:
            raise ParameterError(
                message(
                    "argument 'groups'", f"{len(whole)} values, two or more of them",
                    f"{len(groups)} values, {len(set(groups))} different",
                )
            )  # fmt: skip
        n_folds = min(cv, len(set(groups)))
        split = GroupKFold(n_folds).split(whole, groups=list(groups))
    return [([whole[i] for i in a], [whole[i] for i in b]) for a, b in split]


def block_folds(n_bins, cv, purge, n_lags):
    """Contiguous test blocks; what remains on both sides, less the purge, trains."""
    purge = max(n_lags, int(PURGE_SHARE * n_bins)) if purge is None else int(purge)
    check_number("purge", purge, minimum=0, integer=True)
    edges = np.linspace(0, n_bins, cv + 1).astype(int)
    folds = []
    for first, last in pairwise(edges):
        sides = [(0, 0, int(first) - purge), (0, int(last) + purge, n_bins)]
        train = [side for side in sides if side[2] - side[1] > n_lags]
        if not train or last - first <= n_lags:
            raise ParameterError(
                message(
                    "argument 'cv'", f"blocks longer than {n_lags} bins with data left",
                    f"{cv} blocks of {n_bins} bins, purge {purge}",
                    "use fewer folds or a smaller purge",
                )
            )  # fmt: skip
        folds.append((train, [(0, int(first), int(last))]))
    return folds
