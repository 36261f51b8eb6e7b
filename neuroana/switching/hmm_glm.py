"""The switching GLM as an estimator: ``HMMGLM``."""

from sklearn.base import TransformerMixin

from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.estimator import Estimator
from neuroana.core.random import branch, draw_seed
from neuroana.switching.decoding import Decoding
from neuroana.switching.designs import observe
from neuroana.switching.edge_priors import as_prior
from neuroana.switching.history import ExponentialHistory


PAPER = """@inproceedings{li2024onehot,
  title = {One-hot Generalized Linear Model for Switching Brain State Discovery},
  author = {Li, Chengrui and Kim, Soon Ho and Rodgers, Chris and Choi, Hannah
            and Wu, Anqi},
  booktitle = {International Conference on Learning Representations},
  year = {2024},
  eprint = {2310.15263}
}"""


class HMMGLM(Decoding, TransformerMixin, Estimator):
    """Recurring states of a recording, and how its signals drive each other in each.

    A hidden Markov chain picks the state of every bin; the state picks a generalised
    linear model of all units on their own common past::

        z[1] ~ Cat(pi)                         z[t] | z[t-1] ~ Cat(A[z[t-1], :])
        h[t, m, c] = sum_l phi[c, l] x[t-l, m]               (strictly causal)
        eta[k, t, n] = b[k, n] + sum_{m, c} w[k, n, m, c] h[t, m, c] + v[k, n] . u[t]
        x[t, n] | z[t] = k  ~  Obs(link(eta[k, t, n]))

    Use it for spike counts (``"poisson"``) and for calcium, fMRI, EEG or iEEG signals
    (``"gaussian"``; with :class:`RawHistory` an autoregressive HMM), when activity
    switches between a few recurring regimes. Fitted by EM from several starts at once;
    states are numbered by falling occupancy. Missing values (NaN, or samples that the
    recording marks as not good) count in no likelihood; as history they count as zero.

    An EM iteration costs about ``n_init * K * N * T * (D**2 + 8 * D)`` flops with
    ``D = 1 + N * B + P`` (bins T, units N, basis functions B, inputs P), and memory
    about ``8 * T * (3 * D + 4 * n_init * K)`` bytes.

    Parameters
    ----------
    n_states : int
        K. One is the plain GLM.
    observation : {"poisson", "bernoulli", "negative_binomial", "categorical", \
                   "gaussian"}
        Counts; zeros and ones; over-dispersed counts, dispersion per unit; one of C
        choices in a single column (0 .. C - 1, the last is the reference); real values.
    link : str, optional
        "softplus" (default) or "exp" for counts, "sigmoid" for poisson too.
    history : history basis or None
        :class:`ExponentialHistory`, :class:`RaisedCosineHistory`,
        :class:`BoxcarHistory`, :class:`RawHistory`; None for inputs alone.
    prior : {"none", "gaussian", "one_hot"} or prior
        On couplings: a slight ridge; couplings of all states around one shared map; an
        edge type a state (inhibitory, none, excitatory) around one shared map of types.
        :class:`RidgePrior`, :class:`GaussianPrior`, :class:`OneHotPrior` set more.
    transitions : {"sticky", "fixed", "inputs"}
        Learned under a Dirichlet prior; left as they start; or a multinomial regression
        on the `transition_inputs` that `fit` is given.
    alpha, kappa : float
        Of the Dirichlet prior on rows of A, ``alpha + kappa`` on the diagonal.
    baseline : {"state", "shared"}
        One b per state, or the same in all.
    self_coupling : {"free", "zero", "shared", "prior"}
        Coupling of a unit to its own past: outside the prior, absent, the same in all
        states, or as any other.
    covariance : {"diag", "full"}
        Of gaussian observations, per state. With "full" a bin that misses one value is
        missing altogether.
    init : {"glm+noise", "kmeans", "warm"}, mapping of arrays, or fitted HMMGLM
        Where starts begin: the one-state fit plus noise; clusters of smoothed signals;
        one start from the best fit under the next simpler prior (one_hot from gaussian
        from none), which is given `n_init` starts. Arrays are named as the learned
        attributes, without the final underscore, and make a single start.
    n_init : int
        Starts, fitted side by side; the best by objective is kept.
    max_iter : int
        EM iterations at most.
    tol : float
        A start ends when its gain is below this for three iterations running, in nats
        per observed value.
    missing : {"mask", "raise"}
        What a NaN means: a missing value, or an error.
    random_state : int, Generator or None
        Seed of the starts.
    n_jobs : int or None
        Threads that share the starts; None is as many as torch uses. Results do not
        depend on it.
    device : {"auto", "cpu", "cuda", ...}
        Where the arithmetic runs.
    dtype : {"float64", "float32"}
        Of design and emissions; recursions and solves are always float64.
    progress : bool or None
        Show the iterations; None does so in a terminal or notebook only.

    Attributes
    ----------
    coupling_ : DataArray (state, neuron, source, basis)
        w. The dim of the units keeps the name that the recording gave it.
    coupling_sd_ : DataArray (state, neuron, source, basis)
        Laplace standard deviation, given the states.
    baseline_ : DataArray (state, neuron)
    input_weights_ : DataArray (state, neuron, input)
    transition_matrix_ : DataArray (state, state_next)
    initial_prob_ : DataArray (state)
    occupancy_ : DataArray (state)
        Share of the bins in which anything was observed.
    noise_ : DataArray (state, neuron), (state, neuron, source) or (neuron)
        Variance or covariance of gaussian, dispersion of negative binomial values.
    transition_weights_ : DataArray (state_next, transition_input)
        q; `transition_matrix_` is then A where all transition inputs are zero.
    edge_probability_ : DataArray (state, neuron, source, sign)
        Posterior of the edge types (prior "one_hot"); NaN where the prior is silent.
    edge_prior_ : DataArray (neuron, source, sign)
        The map of edge types that all states share.
    source_sign_ : DataArray (source, sign)
        Posterior sign of every source (``sign_pooling="source"``).
    coupling_prior_mean_, coupling_prior_sd_ : DataArray (state, neuron, source, basis)
        The learned map shared by states and the scatter around it (prior "gaussian").
    kernel_ : DataArray (basis, lag)
        phi.
    rate_ : DataArray (neuron)
        Mean of each unit in the training data.
    flat_ : DataArray (neuron) of int
        One for units that never changed; they have a baseline only.
    objective_trace_ : DataArray (start, iteration)
        J of every start; NaN after it ended.
    objective_, n_iter_, converged_, best_start_, start_agreement_
        How the fit went; the last is the adjusted Rand index of the two best starts.
    n_logspace_fallbacks_, n_missing_, n_observed_ : int

    References
    ----------
    Li, Kim, Rodgers, Choi and Wu, "One-hot Generalized Linear Model for Switching
    Brain State Discovery", ICLR 2024, arXiv 2310.15263.

    Examples
    --------
    >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
    >>> recordings, truth = simulate_hmm_glm(
    ...     n_states=2, n_units=4, n_bins=400, n_sequences=2, random_state=0)
    >>> model = HMMGLM(n_states=2, link="sigmoid", n_init=1, random_state=0)
    >>> model.fit(recordings).coupling_.dims
    ('state', 'neuron', 'source', 'basis')
    >>> model.predict_proba(recordings[0]).dims
    ('time', 'state')
    """

    _citation = PAPER

    def __init__(
        self,
        n_states=2,
        observation="poisson",
        *,
        link=None,
        history=ExponentialHistory(n_lags=5, decay=1.0),  # noqa: B008 (frozen)
        prior="none",
        transitions="sticky",
        alpha=1.0,
        kappa=0.0,
        baseline="state",
        self_coupling="free",
        covariance="diag",
        init="glm+noise",
        n_init=8,
        max_iter=200,
        tol=1e-6,
        missing="mask",
        random_state=None,
        n_jobs=None,
        device="auto",
        dtype="float64",
        progress=False,
    ):
        self.n_states = n_states
        self.observation = observation
        self.link = link
        self.history = history
        self.prior = prior
        self.transitions = transitions
        self.alpha = alpha
        self.kappa = kappa
        self.baseline = baseline
        self.self_coupling = self_coupling
        self.covariance = covariance
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.missing = missing
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.dtype = dtype
        self.progress = progress

    def fit(self, X, y=None, *, inputs=None, transition_inputs=None, lengths=None):
        """Fit to one or several recordings.

        Parameters
        ----------
        X : recording, collection of recordings, DataArray or ndarray (time, unit)
            Each recording is a sequence of its own.
        y : ignored
        inputs : like X, optional
            Exogenous inputs u on the same clock.
        transition_inputs : like X, optional
            Inputs of the transitions, for ``transitions="inputs"``; a row drives the
            step into its bin.
        lengths : sequence of int, optional
            Lengths of the sequences stacked in one plain array.

        Returns
        -------
        HMMGLM
            Itself.

        Raises
        ------
        ParameterError, SchemaError, ShapeError
            If arguments or data cannot be used; the message says why.
        """
        from neuroana.switching.fitting import fit_states

        self._check_parameters()
        observed = self._observe(X, inputs, lengths, transition_inputs, fitted=False)
        fit_states(self, observed)
        return self

    def sample(
        self, n_bins=1000, n_sequences=1, *, inputs=None, transition_inputs=None,
        random_state=None,
    ):  # fmt: skip
        """Simulate from the fitted model.

        Parameters
        ----------
        n_bins : int
            Length of every sequence.
        n_sequences : int
        inputs, transition_inputs : array (n_bins, P) or (n_sequences, n_bins, P)
            Needed where the model was fitted with them.
        random_state : int, Generator or None

        Returns
        -------
        Dataset or list of Dataset
            Recordings with the further variable ``state`` (time).
        """
        from neuroana.switching.simulate import sample_model

        rng = branch(draw_seed(random_state), 0)
        made = sample_model(self, n_bins, n_sequences, inputs, transition_inputs, rng)
        return made[0] if n_sequences == 1 else made

    def forecast_memory(self, n_bins, n_units, n_inputs=0) -> int:
        """Forecast the peak memory of a fit, before there are data.

        Parameters
        ----------
        n_bins, n_units, n_inputs : int
            T of all sequences together, N, P.

        Returns
        -------
        int
            Bytes; `fit` refuses to begin where its device has less.

        Examples
        --------
        >>> from neuroana.switching import HMMGLM
        >>> HMMGLM(5).forecast_memory(60_000, 20) < 2**28
        True
        """
        from neuroana.switching.fitting import forecast_bytes

        self._check_parameters()
        n_basis = 0 if self.history is None else len(self.history.kernel())
        n_terms = 1 + n_units * n_basis + n_inputs
        return forecast_bytes(self, n_bins, n_units, n_terms)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "mask"
        tags.input_tags.positive_only = self.observation != "gaussian"
        return tags

    def _check_parameters(self):
        from neuroana.switching.observations import family
        from neuroana.switching.starts import check_init

        check_number("n_states", self.n_states, minimum=1, integer=True)
        check_number("n_init", self.n_init, minimum=1, integer=True)
        check_number("max_iter", self.max_iter, minimum=1, integer=True)
        check_number("tol", self.tol, minimum=0.0)
        check_number("alpha", self.alpha, minimum=1.0)
        check_number("kappa", self.kappa, minimum=0.0)
        check_choice("transitions", self.transitions, ("sticky", "fixed", "inputs"))
        check_choice("baseline", self.baseline, ("state", "shared"))
        check_choice(
            "self_coupling", self.self_coupling, ("free", "zero", "shared", "prior")
        )
        check_choice("covariance", self.covariance, ("diag", "full"))
        check_choice("missing", self.missing, ("mask", "raise"))
        check_choice("dtype", self.dtype, ("float64", "float32"))
        if self.n_jobs is not None:
            check_number("n_jobs", self.n_jobs, minimum=1, integer=True)
        prior = as_prior(self.prior)
        check_init(self.init)
        kind = family(self.observation, self.link, self.covariance)
        if self.covariance == "full" and kind.noise != "covariance":
            raise ParameterError(
                message(
                    "argument 'covariance'", "'diag' with this observation", "'full'"
                )
            )
        if prior.relaxed and kind.noise is not None:
            raise ParameterError(
                message(
                    "argument 'prior'", "strategy='mixture' with this observation",
                    "strategy='gumbel'",
                )
            )  # fmt: skip
        if kind.coupled and "shared" in (self.baseline, self.self_coupling):
            raise ParameterError(
                message(
                    "arguments 'baseline' and 'self_coupling'",
                    "nothing shared by states with this observation", "'shared'",
                )
            )  # fmt: skip

    def _observe(self, X, inputs, lengths, transition_inputs=None, *, fitted=True):
        from neuroana.switching.observations import FAMILIES

        if fitted:
            from sklearn.utils.validation import check_is_fitted

            check_is_fitted(self)
        observed = observe(
            X,
            kernel=None if self.history is None else self.history.kernel(),
            values=FAMILIES[self.observation].values,
            missing=self.missing,
            whole_rows=self.covariance == "full",
            inputs=inputs,
            transition_inputs=transition_inputs,
            lengths=lengths,
            fitted=self if fitted else None,
        )
        given = {
            "inputs": len(observed.input_names),
            "transition_inputs": 0 if transition_inputs is None
            else len(observed.transition_input_names),
        }  # fmt: skip
        wanted = dict(given)
        if fitted:
            wanted["inputs"] = self.n_inputs_
            wanted["transition_inputs"] = getattr(self, "n_transition_inputs_", 0)
        driven = self.transitions == "inputs"
        if driven != (given["transition_inputs"] > 0):
            wanted["transition_inputs"] = "some" if driven else 0
        for name, number in wanted.items():
            if given[name] != number:
                raise ParameterError(
                    message(f"argument {name!r}", f"{number} {name}, as in the fit",
                            given[name])
                    if fitted
                    else message(
                        f"argument {name!r}", f"{number} with transitions="
                        f"{self.transitions!r}", given[name],
                        "set transitions='inputs'" if number == 0 else "",
                    )
                )  # fmt: skip
        return observed
