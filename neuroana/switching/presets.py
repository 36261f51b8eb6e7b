"""The hidden Markov models that people look for by name, as settings of HMMGLM."""

from neuroana.switching.history import RawHistory
from neuroana.switching.hmm_glm import HMMGLM


class GaussianHMM(HMMGLM):
    """States that differ in level and covariance: ``HMMGLM`` without history.

    For amplitude envelopes, fMRI regions or any signal whose samples are informative
    alone. Everything else is as in :class:`HMMGLM`.

    Parameters
    ----------
    n_states : int
    covariance : {"full", "diag"}
        Per state.
    alpha, kappa, init, n_init, max_iter, tol, missing, random_state, n_jobs, device, \
    dtype, progress
        As in :class:`HMMGLM`.

    Attributes
    ----------
    baseline_ : DataArray (state, channel)
        Mean in each state.
    noise_ : DataArray (state, channel, source) or (state, channel)
        Covariance, or variance.
    transition_matrix_, initial_prob_, occupancy_, ...
        As in :class:`HMMGLM`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.repeat([[0.0, 0.0], [3.0, -3.0], [0.0, 0.0]], 50, axis=0)
    >>> x += np.random.default_rng(0).standard_normal(x.shape)
    >>> GaussianHMM(2, n_init=2, random_state=0).fit(x).noise_.dims
    ('state', 'feature', 'source')
    """

    observation = "gaussian"
    link = None
    history = None
    prior = "none"
    transitions = "sticky"
    baseline = "state"
    self_coupling = "free"

    def __init__(
        self,
        n_states=2,
        *,
        covariance="full",
        alpha=1.0,
        kappa=0.0,
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
        self.covariance = covariance
        self.alpha = alpha
        self.kappa = kappa
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


class ARHMM(GaussianHMM):
    """States that differ in dynamics: a vector autoregression of each its own.

    ``x[t] ~ N(b[k] + sum_l W[k, l] x[t-l], Sigma[k])``. For EEG, iEEG, calcium and fMRI
    signals, and for movement. Standardise the channels first, and keep ``n_lags`` times
    channels small beside the length of a state.

    Parameters
    ----------
    n_states : int
    n_lags : int
        Order of the autoregression, in samples.
    covariance : {"full", "diag"}
        Of the innovations, per state.
    alpha, kappa, init, n_init, max_iter, tol, missing, random_state, n_jobs, device, \
    dtype, progress
        As in :class:`HMMGLM`.

    Attributes
    ----------
    coupling_ : DataArray (state, channel, source, basis)
        W; basis c is lag c + 1.
    baseline_, noise_, transition_matrix_, ...
        As in :class:`HMMGLM`.

    See Also
    --------
    state_spectra : Spectra and coherence that the autoregressions imply.

    Examples
    --------
    >>> from neuroana.switching import ARHMM, simulate_hmm_glm
    >>> data, truth = simulate_hmm_glm(
    ...     "gaussian_var", n_states=2, n_units=2, n_bins=500, n_sequences=1,
    ...     random_state=0)
    >>> ARHMM(2, n_lags=2, n_init=2, random_state=0).fit(data).coupling_.shape
    (2, 2, 2, 2)
    """

    def __init__(
        self,
        n_states=2,
        n_lags=1,
        *,
        covariance="full",
        alpha=1.0,
        kappa=0.0,
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
        super().__init__(
            n_states, covariance=covariance, alpha=alpha, kappa=kappa, init=init,
            n_init=n_init, max_iter=max_iter, tol=tol, missing=missing,
            random_state=random_state, n_jobs=n_jobs, device=device, dtype=dtype,
            progress=progress,
        )  # fmt: skip
        self.n_lags = n_lags

    @property
    def history(self):
        """The lags as a history basis."""
        return RawHistory(n_lags=self.n_lags)
