"""Non-negative CP of affinity tensors: ``NonNegativeCP``."""

import numpy as np
import xarray as xr
from sklearn.base import TransformerMixin

from neuroana.connectome.differential_affinity import PAPER, DifferentialAffinity
from neuroana.connectome.tensors import LAYOUTS, as_tensor
from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.estimator import Estimator
from neuroana.core.random import draw_seed


class NonNegativeCP(TransformerMixin, Estimator):
    """A few motifs behind an affinity tensor: who, when, and in which animal.

    ``X[p, t, w] ~ sum_r weights[r] pair[p, r] time[t, r] animal[w, r]``, all
    non-negative, by HALS with two passes over the data an iteration and exact masks:
    a pair that an animal does not show counts in no sum. All restarts share the passes.

    An iteration costs ``4 P T W R n_init`` flops, and memory is one copy of the tensor
    plus ``8 P W R n_init`` bytes (in batches of at most 0.5 GB).

    Parameters
    ----------
    rank : int
        R, without the baseline.
    layout : {"aligned", "concat", "single", "symmetric", "ll1"}
        "aligned": animals share a clock, factors pair x time x animal. "concat": pairs
        are shared, each animal has times of its own (spontaneous recordings).
        "single": one animal. "symmetric": pairs are products of neuron loadings.
        "ll1": motifs are V V' with V (neuron, `block_rank`).
    solver : {"hals", "mu"}
        "mu" for ``loss="kl"``.
    loss : {"frobenius", "kl"}
    n_init : int
        Restarts; the lowest loss is kept.
    init : {"random", "nndsvd"}, or factors
        (weights, [pair, time, animal]) as TensorLy has them make a single start.
    inner : int
        Column sweeps for every mode.
    max_iter : int
    tol : float
        Relative fall of the loss, five times in a row; at least 1e-5 in float32.
    baseline : bool
        One further component with all pairs alike: the mean of rectified noise.
    l1 : float
        Weight of the sum of all factors, for data of unit mean square.
    smooth_time : float
        Weight of squared second differences of the time courses (with as much ridge on
        the other modes).
    polish : {None, "lbfgs"}
        Improve the winner by L-BFGS-B: slow, gains hundredths of a percent.
    block_rank : int
        Columns of V for "ll1".
    device : {"auto", "cpu", "cuda", ...}
    dtype : {"float32", "float64"}
    random_state : int, Generator or None
    n_jobs : int or None
        Unused by the batched solver; here for the contract of estimators.
    progress : bool or None

    Attributes
    ----------
    pair_ : DataArray (pair, component)
        Columns of length one; NaN for pairs that no animal shows.
    time_ : DataArray (time, component)
    animal_ : DataArray (animal, component)
        One where the layout has no mode of animals.
    weights_ : DataArray (component)
    neuron_ : DataArray (neuron, component[, block])
        For "symmetric" and "ll1".
    loss_ : DataArray (restart)
        Relative to half the sum of squares.
    relative_error_, explained_variance_ : float
        Of the winner, in float64.
    score_ : DataArray (component)
        Explained variance that is lost without the component.
    stability_ : DataArray (component)
        Mean likeness of the component in the other restarts.
    likeness_ : DataArray (restart, component)
    pair_restarts_ : DataArray (kept, pair, component)
        Pair factors of the restarts within 1 % of the best.
    degeneracy_ : float
        Largest likeness of two components.
    n_iter_, converged_, best_restart_, seed_, device_
    report_ : dict
        What was masked and why.

    References
    ----------
    Cichocki and Phan, "Fast local algorithms for large scale nonnegative matrix and
    tensor factorizations", 2009; Dyballa et al., ICLR 2024.

    Examples
    --------
    >>> from neuroana.connectome import NonNegativeCP, simulate_tensor
    >>> tensor, truth = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
    >>> model = NonNegativeCP(2, baseline=True, n_init=5, random_state=0).fit(tensor)
    >>> model.pair_.dims, model.component.values.tolist()
    (('pair', 'component'), ['0', '1', 'baseline'])
    """

    _citation = PAPER

    def __init__(
        self,
        rank=5,
        layout="aligned",
        *,
        solver="hals",
        loss="frobenius",
        n_init=30,
        init="random",
        inner=3,
        max_iter=500,
        tol=1e-7,
        baseline=False,
        l1=0.0,
        smooth_time=0.0,
        polish=None,
        block_rank=2,
        device="auto",
        dtype="float32",
        random_state=None,
        n_jobs=None,
        progress=False,
    ):
        self.rank = rank
        self.layout = layout
        self.solver = solver
        self.loss = loss
        self.n_init = n_init
        self.init = init
        self.inner = inner
        self.max_iter = max_iter
        self.tol = tol
        self.baseline = baseline
        self.l1 = l1
        self.smooth_time = smooth_time
        self.polish = polish
        self.block_rank = block_rank
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.progress = progress

    def fit(self, X, y=None):
        """Factorize an affinity tensor.

        Parameters
        ----------
        X : DataArray or ndarray (pair, time[, animal]), AffinityOperator, or recordings
            Recordings are given to :class:`DifferentialAffinity` with its defaults.
        y : ignored

        Returns
        -------
        NonNegativeCP
            Itself.

        Raises
        ------
        ParameterError, SchemaError, ShapeError, TypeError
            If arguments or values cannot be used; the message says why.
        """
        from neuroana.connectome import learning

        self._check_parameters()
        self.seed_ = draw_seed(self.random_state)
        problem = learning.make_problem(self, X)
        learning.learn(self, problem)
        return self

    def transform(self, X):
        """Time courses of the motifs in other animals, their pair factors fixed.

        Parameters
        ----------
        X : tensor or recordings
            Neurons are matched by name; those that the model does not know are left
            out.

        Returns
        -------
        DataArray (time, component), or (time, animal, component)
            weights times time times animal: what the motif contributes at each moment.

        Raises
        ------
        SchemaError
            If fewer than three neurons are known.

        Examples
        --------
        >>> from neuroana.connectome import NonNegativeCP, simulate_tensor
        >>> tensor, _ = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
        >>> model = NonNegativeCP(2, n_init=3, random_state=0)
        >>> model.fit(tensor[..., :3]).transform(tensor[..., 3:]).dims
        ('time', 'animal', 'component')
        """
        from sklearn.utils.validation import check_is_fitted

        from neuroana.connectome.projecting import project

        check_is_fitted(self)
        return project(self, self._as_tensor(X))[0]

    def animal_loadings(self, X):
        """Loadings of other animals on the clock of the fit, pairs and times fixed.

        Parameters
        ----------
        X : tensor or recordings, aligned

        Returns
        -------
        DataArray (animal, component)

        Examples
        --------
        >>> from neuroana.connectome import NonNegativeCP, simulate_tensor
        >>> tensor, _ = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
        >>> model = NonNegativeCP(2, n_init=3, random_state=0).fit(tensor[..., :3])
        >>> model.animal_loadings(tensor[..., 3:]).dims
        ('animal', 'component')
        """
        from sklearn.utils.validation import check_is_fitted

        from neuroana.connectome.projecting import project_animals

        check_is_fitted(self)
        return project_animals(self, self._as_tensor(X))

    def score(self, X, y=None) -> float:
        """Explained variance of a tensor with the pair factors fixed."""
        from sklearn.utils.validation import check_is_fitted

        from neuroana.connectome.projecting import project

        check_is_fitted(self)
        return project(self, self._as_tensor(X))[1]

    def core_consistency(self, X) -> float:
        """Core consistency in percent; for models with a mode of animals.

        Examples
        --------
        >>> from neuroana.connectome import NonNegativeCP, simulate_tensor
        >>> tensor, _ = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
        >>> model = NonNegativeCP(2, n_init=3, random_state=0).fit(tensor)
        >>> model.core_consistency(tensor) > 50
        True
        """
        from neuroana.connectome.core_consistency import core_consistency

        values = as_tensor(X, "aligned").to_numpy()
        if values.shape[2] < 2 or self.layout != "aligned":
            raise SchemaError(
                message(
                    "core consistency",
                    "a model with a mode of animals",
                    f"layout {self.layout!r}, {values.shape[2]} animal",
                )
            )
        return core_consistency(values, self._factors())

    def bootstrap(self, X, n=200, *, unit="animal", level=0.95, random_state=None):
        """Intervals of all factors over animals drawn anew, or blocks of time.

        Every draw weights the tensor and starts from the fit; all draws share the
        passes over the data.

        Parameters
        ----------
        X : tensor
            The one that was fitted.
        n : int
        unit : {"animal", "time-block"}
        level : float
        random_state : int, Generator or None

        Returns
        -------
        Dataset
            pair, time, animal, weights along ``bound`` (low, high).

        Examples
        --------
        >>> from neuroana.connectome import NonNegativeCP, simulate_tensor
        >>> tensor, _ = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
        >>> model = NonNegativeCP(2, n_init=3, random_state=0).fit(tensor)
        >>> model.bootstrap(tensor, 10, random_state=0).weights.dims
        ('bound', 'component')
        """
        from sklearn.utils.validation import check_is_fitted

        from neuroana.connectome.bootstrap import bootstrap_intervals

        check_is_fitted(self)
        check_number("n", n, minimum=2, integer=True)
        check_number("level", level, minimum=0.0, maximum=1.0, open_ends=True)
        return bootstrap_intervals(self, self._as_tensor(X), n, unit=unit, level=level,
                                   random_state=random_state)  # fmt: skip

    def to_tensorly(self):
        """The model as a TensorLy ``CPTensor``: weights, [pair, time, animal].

        Pairs that no animal shows are zero there, for TensorLy knows no NaN.

        Examples
        --------
        >>> from neuroana.connectome import NonNegativeCP, simulate_tensor
        >>> tensor, _ = simulate_tensor(8, 40, rank=2, n_animals=4, random_state=0)
        >>> model = NonNegativeCP(2, n_init=3, random_state=0).fit(tensor)
        >>> model.to_tensorly().shape
        (28, 40, 4)
        """
        from sklearn.utils.validation import check_is_fitted
        from tensorly.cp_tensor import CPTensor

        check_is_fitted(self)
        factors = [self.pair_, self.time_]
        if self.layout == "aligned" and self.animal_.sizes["animal"] > 1:
            factors.append(self.animal_)
        arrays = [np.nan_to_num(f.to_numpy()) for f in factors]
        return CPTensor((self.weights_.to_numpy(), arrays))

    @property
    def pair_(self) -> xr.DataArray:
        """Pair factor (pair, component); saved under the name ``pair_factor``."""
        return self.pair_factor_

    @property
    def time_(self) -> xr.DataArray:
        """Time courses (time, component); saved as ``time_course``."""
        return self.time_course_

    @property
    def animal_(self) -> xr.DataArray:
        """Loadings of the animals (animal, component); saved as ``animal_loading``."""
        return self.animal_loading_

    @property
    def component(self) -> xr.DataArray:
        """Names of the components."""
        return self.weights_["component"]

    def _factors(self):
        """Factors (P, R), (T, R), (W, R), the weights in the first."""
        pair = self.pair_.to_numpy() * self.weights_.to_numpy()
        return [pair, self.time_.to_numpy(), self.animal_.to_numpy()]

    def _as_tensor(self, X):
        """A tensor in the layout of the fit, from a tensor or recordings."""
        from neuroana.connectome.operators import AffinityOperator

        if isinstance(X, AffinityOperator):
            return X
        is_tensor = isinstance(X, xr.DataArray) and "time" in X.dims and (
            "pair" in X.dims or "source" in X.dims
        )  # fmt: skip
        is_tensor = is_tensor or (isinstance(X, xr.Dataset) and "affinity" in X)
        if not is_tensor and not isinstance(X, np.ndarray):
            layout = "aligned" if self.layout == "aligned" else "concat"
            X = DifferentialAffinity(layout=layout).fit_transform(X)
            if isinstance(X, AffinityOperator):
                return X
        if self.layout != "ll1":
            return as_tensor(X, self.layout)
        return as_tensor(X, "concat")

    def _check_parameters(self):
        check_number("rank", self.rank, minimum=1, integer=True)
        check_choice("layout", self.layout, [*LAYOUTS, "ll1"])
        check_choice("solver", self.solver, ["hals", "mu"])
        check_choice("loss", self.loss, ["frobenius", "kl"])
        check_choice("polish", self.polish, [None, "lbfgs"])
        check_choice("dtype", self.dtype, ["float32", "float64"])
        if isinstance(self.init, str):
            check_choice("init", self.init, ["random", "nndsvd"])
        for name in ("n_init", "inner", "max_iter", "block_rank"):
            check_number(name, getattr(self, name), minimum=1, integer=True)
        for name in ("tol", "l1", "smooth_time"):
            check_number(name, getattr(self, name), minimum=0.0)
        wanted = "mu" if self.loss == "kl" else "hals"
        if self.solver != wanted:
            raise ParameterError(
                message(
                    "argument 'solver'",
                    f"{wanted!r} for loss={self.loss!r}",
                    repr(self.solver),
                )
            )
        if self.layout in ("symmetric", "ll1"):
            check_choice("loss", self.loss, ["frobenius"])
            check_choice("baseline", self.baseline, [False])
            check_choice("polish", self.polish, [None])
