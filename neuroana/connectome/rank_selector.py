"""How many motifs: ``RankSelector``."""

import warnings

import numpy as np
import xarray as xr
from sklearn.base import clone

from neuroana.connectome import factorizing
from neuroana.connectome.core_consistency import core_consistency
from neuroana.connectome.differential_affinity import PAPER
from neuroana.connectome.holdouts import HOLDOUTS, draw_blocks
from neuroana.connectome.matching import factor_match_score, unit
from neuroana.connectome.non_negative_cp import NonNegativeCP
from neuroana.connectome.products import DenseProducts, Folds, make_data, squared_error
from neuroana.core.checks import check_choice, check_names, check_number, message
from neuroana.core.device import choose
from neuroana.core.errors import DataWarning, FitWarning, ParameterError
from neuroana.core.estimator import Estimator
from neuroana.core.random import branch, branch_seed, draw_seed


CRITERIA = ("cv", "stability", "corcondia", "replicability", "nuclear")
STABLE = 0.9


class RankSelector(Estimator):
    """Judge ranks by what they predict, and by whether restarts agree.

    Blocks of a tensor are held out (all pairs of a neuron in one animal), and the rank
    is the smallest within one standard error of the best held-out error, among those
    whose restarts agree (stability of 0.9 or more).

    Costs about ``n_init + n_folds * n_init / 5`` restarts a rank, all in batches.

    Parameters
    ----------
    ranks : sequence of int
        Without the baseline.
    n_init : int
        Restarts a rank; a fifth of them, at least two, a fold.
    n_folds : int
    holdout : {"neuron-animal", "time-block", "speckle"}
        "speckle" leaks through smoothness and warns.
    criteria : sequence of str
        "cv", "stability", "corcondia", and "replicability" (pair factors of two halves
        of the animals) and "nuclear" (sum of normalised singular values of the pair
        factor).
    estimator : NonNegativeCP, optional
        Layout, baseline, solver and the like.
    random_state : int, Generator or None

    Attributes
    ----------
    rank_ : int
    table_ : DataArray (rank, criterion, fold)
        Also "error", the relative error on all data; what has no folds is repeated.

    Examples
    --------
    >>> from neuroana.connectome import NonNegativeCP, RankSelector, simulate_tensor
    >>> tensor, _ = simulate_tensor(10, 60, rank=2, n_animals=6, random_state=0)
    >>> base = NonNegativeCP(baseline=True)
    >>> RankSelector([1, 2, 3], n_init=4, estimator=base, random_state=0).fit(
    ...     tensor).rank_
    2
    """

    _citation = PAPER

    def __init__(
        self,
        ranks=tuple(range(2, 13)),
        n_init=10,
        *,
        n_folds=5,
        holdout="neuron-animal",
        criteria=("cv", "stability", "corcondia"),
        estimator=None,
        random_state=None,
    ):
        self.ranks = ranks
        self.n_init = n_init
        self.n_folds = n_folds
        self.holdout = holdout
        self.criteria = criteria
        self.estimator = estimator
        self.random_state = random_state

    def fit(self, X, y=None):
        """Fit every rank and choose one.

        Parameters
        ----------
        X : tensor or recordings
            As :class:`NonNegativeCP` takes it; not an operator.
        y : ignored

        Returns
        -------
        RankSelector
            Itself.
        """
        ranks = self._check_parameters()
        model = NonNegativeCP() if self.estimator is None else clone(self.estimator)
        model.set_params(n_init=self.n_init)
        tensor = self._tensor(model, X)
        self.seed_ = draw_seed(self.random_state)
        model.device_ = choose(model.device)
        problem = factorizing.dense_problem(tensor, dtype=model.dtype,
                                            device=model.device_)  # fmt: skip
        factorizing.check_rank(max(ranks), problem, baseline=model.baseline)
        fits = factorizing.fit_restarts(problem, model, ranks, self.n_init, self.seed_)
        found = {"error": self._errors(problem, fits)}
        found |= self._of_restarts(problem, tensor, fits)
        if "replicability" in self.criteria:
            found["replicability"] = self._replicability(model, tensor, ranks)
        if "cv" in self.criteria:
            found["cv"] = self._held_out(model, tensor, ranks)
        self._label(ranks, found)
        self.rank_ = int(self._choose(ranks, found))
        return self

    def to_frame(self):
        """The table as a DataFrame, one row a rank and criterion.

        Examples
        --------
        >>> from neuroana.connectome import RankSelector, simulate_tensor
        >>> tensor, _ = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
        >>> found = RankSelector([1, 2], n_init=2, n_folds=2, random_state=0)
        >>> sorted(found.fit(tensor).to_frame().columns)
        ['criterion', 'fold', 'rank', 'table']
        """
        from neuroana.core.frames import tidy

        return tidy(self.table_)

    def _check_parameters(self):
        ranks = [check_number("ranks", r, minimum=1, integer=True) for r in self.ranks]
        if not ranks:
            raise ParameterError(message("argument 'ranks'", "at least one", "none"))
        check_number("n_init", self.n_init, minimum=2, integer=True)
        check_number("n_folds", self.n_folds, minimum=2, integer=True)
        check_choice("holdout", self.holdout, HOLDOUTS)
        check_names("criterion", self.criteria, CRITERIA)
        return sorted(set(ranks))

    def _tensor(self, model, X):
        from neuroana.connectome.operators import AffinityOperator

        check_choice("layout", model.layout, ["aligned", "concat", "single"])
        tensor = model._as_tensor(X)
        if isinstance(tensor, AffinityOperator):
            raise ParameterError(
                message("RankSelector", "a tensor that fits into memory",
                        f"an operator of {tensor.nbytes_dense / 1e9:.3g} GB",
                        "choose the rank on a part: stride, or "
                        "neuroana.connectome.screen")
            )  # fmt: skip
        return tensor

    def _errors(self, problem, fits):
        """Relative error of the best restart of each rank."""
        out = []
        for restarts in fits.values():
            best = min(restarts, key=lambda fit: fit.loss)
            error, size = squared_error(problem.data, best.A, best.B, best.C)
            out.append(np.sqrt(error / size))
        return np.array(out)

    def _of_restarts(self, problem, tensor, fits):
        """Stability, core consistency and nuclear norm of each rank."""
        found = {}
        best = {r: int(np.argmin([f.loss for f in v])) for r, v in fits.items()}
        if "stability" in self.criteria:
            found["stability"] = np.array([
                np.delete(factorizing.stability(problem, v, best[r])[0], best[r], 0)
                .mean() for r, v in fits.items()
            ])  # fmt: skip
        if "corcondia" in self.criteria and not problem.single:
            values = tensor.to_numpy()
            found["corcondia"] = np.array(
                [core_of(values, v[best[r]], problem.data) for r, v in fits.items()]
            )
        if "nuclear" in self.criteria:
            found["nuclear"] = np.array(
                [np.mean([nuclear_norm(f.A.T) for f in v]) for v in fits.values()]
            )
        return found

    def _held_out(self, model, tensor, ranks):
        """Relative error on what was held out, (rank, fold)."""
        n_init = max(2, self.n_init // 5)
        seed = branch_seed(self.seed_, 1)
        if self.holdout == "speckle":
            warnings.warn(
                "holdout='speckle' leaks: neighbours in time and pairs of the same "
                "neuron stay in the training part, and ranks come out too high.",
                DataWarning,
                stacklevel=3,
            )
            return self._held_out_entries(model, tensor, ranks, n_init, seed)
        drawn = draw_blocks(tensor, self.holdout, self.n_folds, branch(seed))
        values, _ = factorizing.masked_values(tensor)
        data = make_data(values, dtype=model.dtype, groups=drawn.groups)
        kept = drawn.kept
        if drawn.groups is None:
            kept = np.repeat(kept, data.n_groups, axis=1)
        else:
            kept = kept[:, drawn.groups[data.order[data.bounds[:-1]]]]
        folds = Folds(kept.astype(data.x.dtype), drawn.groups is not None)
        problem = factorizing.Problem(
            DenseProducts(data, folds), tensor, data.n_animals == 1, {}
        )
        fits = factorizing.fit_restarts(
            problem, model, ranks, n_init, seed, folds=np.arange(self.n_folds)
        )
        out = np.empty((len(ranks), self.n_folds))
        for row, restarts in enumerate(fits.values()):
            for k in range(self.n_folds):
                mine = [f for f in restarts if f.fold == k]
                best = min(mine, key=lambda fit: fit.loss)
                error, size = squared_error(data, best.A, best.B, best.C, mask=~kept[k])
                out[row, k] = np.sqrt(error / max(size, 1e-300))
        return out

    def _held_out_entries(self, model, tensor, ranks, n_init, seed):
        """The same for single entries, one tensor a fold."""
        values, _ = factorizing.masked_values(tensor)
        fold = branch(seed).integers(0, self.n_folds, values.shape)
        out = np.empty((len(ranks), self.n_folds))
        for k in range(self.n_folds):
            held = (fold == k) & np.isfinite(values)
            data = make_data(np.where(held, np.nan, values), dtype=model.dtype)
            problem = factorizing.Problem(
                DenseProducts(data), tensor, data.n_animals == 1, {}
            )
            fits = factorizing.fit_restarts(problem, model, ranks, n_init, seed)
            for row, restarts in enumerate(fits.values()):
                best = min(restarts, key=lambda fit: fit.loss)
                (a, b, c), weights = factorizing.normalised(best, data)
                made = np.einsum("pr,tr,wr->ptw", a * weights, b, c)
                gap = (made.reshape(values.shape) - values)[held]
                out[row, k] = np.linalg.norm(gap) / np.linalg.norm(values[held])
        return out

    def _replicability(self, model, tensor, ranks):
        """Likeness of the pair factors of two halves of the animals, each rank."""
        if tensor.ndim != 3 or tensor.sizes["animal"] < 4:
            raise ParameterError(
                message(
                    "criterion 'replicability'",
                    "at least 4 animals on one clock",
                    dict(tensor.sizes),
                )
            )
        order = branch(self.seed_, 2).permutation(tensor.sizes["animal"])
        halves = []
        for part in (order[::2], order[1::2]):
            half = tensor.isel(animal=np.sort(part))
            problem = factorizing.dense_problem(half, dtype=model.dtype, device="cpu")
            fits = factorizing.fit_restarts(problem, model, ranks, self.n_init,
                                            self.seed_)  # fmt: skip
            seen = np.isfinite(half.to_numpy()).any(axis=(1, 2))
            halves.append([
                np.where(seen[:, None], min(v, key=lambda f: f.loss).A.T, np.nan)
                for v in fits.values()
            ])  # fmt: skip
        return np.array([factor_match_score([a], [b]) for a, b in zip(*halves)])

    def _label(self, ranks, found):
        table = np.full((len(ranks), len(found), self.n_folds), np.nan)
        for place, values in enumerate(found.values()):
            table[:, place] = values if values.ndim == 2 else values[:, None]
        self.table_ = xr.DataArray(
            table, dims=("rank", "criterion", "fold"), name="table",
            coords={"rank": ranks, "criterion": list(found),
                    "fold": np.arange(self.n_folds)},
            attrs={"holdout": self.holdout},
        )  # fmt: skip

    def _choose(self, ranks, found):
        """One standard error on the held-out error, among stable ranks."""
        stable = np.ones(len(ranks), dtype=bool)
        if "stability" in found:
            stable = found["stability"] >= STABLE
            if not stable.any():
                warnings.warn(
                    f"At no rank do restarts agree (stability below {STABLE}): "
                    "components should not be read one by one.",
                    FitWarning,
                    stacklevel=3,
                )
                stable[:] = True
        at = np.flatnonzero(stable)
        if "cv" not in found:
            return ranks[at[-1]]
        mean = found["cv"].mean(axis=1)
        best = at[np.argmin(mean[at])]
        if mean[best] >= 1.0:
            warnings.warn(
                "No stable rank predicts what was held out better than zeros do: "
                "motifs may not recur. Do not rest the choice of a rank on it.",
                FitWarning,
                stacklevel=3,
            )
        slack = found["cv"][best].std(ddof=1) / np.sqrt(self.n_folds)
        return ranks[at[mean[at] <= mean[best] + slack][0]]


def core_of(values, fit, data) -> float:
    """Core consistency of one fit."""
    (pair, time, animal), weights = factorizing.normalised(fit, data)
    return core_consistency(values, [pair * weights, time, animal])


def nuclear_norm(factor: np.ndarray) -> float:
    """Singular values of a factor with columns of length one, over the largest, summed.

    Examples
    --------
    >>> nuclear_norm(np.eye(3))
    3.0
    """
    values = np.linalg.svd(unit(factor), compute_uv=False)
    return float(values.sum() / values[0])
