"""What a fitted switching model says about data: states, rates, likelihoods."""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError
from neuroana.core.random import branch, draw_seed
from neuroana.switching.forward_backward import predict_states, smooth, viterbi


class Decoding:
    """Methods of a fitted model on data; needs ``_observe`` and learned attributes."""

    def predict(self, X, *, inputs=None, transition_inputs=None, lengths=None):
        """Decode the most probable path of states (Viterbi); costs O(T K^2).

        Parameters
        ----------
        X : recording, collection of recordings, DataArray or ndarray (time, unit)
            Units as in the fit, by name and order.
        inputs, transition_inputs : like X, optional
            Needed where the model was fitted with them.
        lengths : sequence of int, optional
            Lengths of the sequences stacked in one plain array.

        Returns
        -------
        ndarray, DataArray (time), or list of DataArray
            State numbers, in the kind that X came in.

        Raises
        ------
        NotFittedError, ParameterError, SchemaError, ShapeError
            If the model is not fitted, or X does not fit to it.

        Examples
        --------
        >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
        >>> data, truth = simulate_hmm_glm(
        ...     n_states=2, n_units=3, n_bins=200, n_sequences=2, random_state=0)
        >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
        >>> model.predict(data[0]).dims
        ('time',)
        """
        observed, loglik = self._emissions(X, inputs, lengths, transition_inputs)
        path = viterbi(loglik, *self._chain(observed), observed.lengths).path
        return observed.sequences.wrap(observed.split(path), name="state")

    def predict_proba(self, X, *, inputs=None, transition_inputs=None, lengths=None):
        """Infer the probability of each state given the whole sequence; O(T K^2).

        Parameters
        ----------
        X : recording, collection of recordings, DataArray or ndarray (time, unit)
            Units as in the fit, by name and order.
        inputs, transition_inputs : like X, optional
            Needed where the model was fitted with them.
        lengths : sequence of int, optional
            Lengths of the sequences stacked in one plain array.

        Returns
        -------
        ndarray, DataArray (time, state), or list of DataArray
            Rows sum to one.

        Raises
        ------
        NotFittedError, ParameterError, SchemaError, ShapeError
            If the model is not fitted, or X does not fit to it.

        Examples
        --------
        >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
        >>> data, truth = simulate_hmm_glm(
        ...     n_states=2, n_units=3, n_bins=200, n_sequences=2, random_state=0)
        >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
        >>> posterior = model.predict_proba(data[0])
        >>> bool(abs(posterior.sum("state") - 1).max() < 1e-12)
        True
        """
        return self._probabilities(X, inputs, lengths, transition_inputs, "gamma")

    def filter_proba(self, X, *, inputs=None, transition_inputs=None, lengths=None):
        """Infer the probability of each state given the sequence so far (causal).

        Parameters
        ----------
        X : recording, collection of recordings, DataArray or ndarray (time, unit)
            Units as in the fit, by name and order.
        inputs, transition_inputs : like X, optional
            Needed where the model was fitted with them.
        lengths : sequence of int, optional
            Lengths of the sequences stacked in one plain array.

        Returns
        -------
        ndarray, DataArray (time, state), or list of DataArray
            Rows sum to one; no row depends on a later bin.

        Raises
        ------
        NotFittedError, ParameterError, SchemaError, ShapeError
            If the model is not fitted, or X does not fit to it.

        Examples
        --------
        >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
        >>> data, truth = simulate_hmm_glm(
        ...     n_states=2, n_units=3, n_bins=200, n_sequences=2, random_state=0)
        >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
        >>> early = model.filter_proba(data[0].isel(time=slice(0, 50)))
        >>> bool(abs(early - model.filter_proba(data[0])[:50]).max() < 1e-12)
        True
        """
        return self._probabilities(X, inputs, lengths, transition_inputs, "filtered")

    def filter_step(self, carry, x, *, inputs=None, transition_inputs=None):
        """Filter one further bin, for closed loop; :meth:`filter_proba` bin by bin.

        Parameters
        ----------
        carry : OnlineFilter or None
            What the step before returned; None at the start of a sequence.
        x : array (unit,)
            One bin; NaN where nothing was observed.
        inputs, transition_inputs : array (input,), optional
            Of this bin, where the model was fitted with them.

        Returns
        -------
        OnlineFilter
            With ``probability`` (state,) given all bins so far, ``log_likelihood`` and
            ``n_bins``; the carry of the next step.

        Examples
        --------
        >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
        >>> data, truth = simulate_hmm_glm(
        ...     n_states=2, n_units=3, n_bins=200, n_sequences=2, random_state=0)
        >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
        >>> carry = None
        >>> for x in data[0].signal.to_numpy()[:20]:
        ...     carry = model.filter_step(carry, x)
        >>> bool(abs(carry.probability - model.filter_proba(data[0])[19]).max() < 1e-9)
        True
        """
        from neuroana.switching.online import OnlineFilter

        if carry is None:
            from sklearn.utils.validation import check_is_fitted

            check_is_fitted(self)
            carry = OnlineFilter.of(self)
        return carry.step(x, inputs, transition_inputs)

    def sample_states(
        self, X, n_samples=1, *, inputs=None, transition_inputs=None, lengths=None,
        random_state=None,
    ):  # fmt: skip
        """Draw whole paths of states from their posterior; O(T K) a draw.

        Parameters
        ----------
        X : recording, collection of recordings, DataArray or ndarray (time, unit)
            Units as in the fit, by name and order.
        n_samples : int
            Paths.
        inputs, transition_inputs : like X, optional
            Needed where the model was fitted with them.
        lengths : sequence of int, optional
            Lengths of the sequences stacked in one plain array.
        random_state : int, Generator or None

        Returns
        -------
        ndarray, DataArray (time, sample), or list of DataArray
            State numbers, in the kind that X came in.

        Examples
        --------
        >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
        >>> data, truth = simulate_hmm_glm(
        ...     n_states=2, n_units=3, n_bins=200, n_sequences=2, random_state=0)
        >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
        >>> dict(model.sample_states(data[0], 5, random_state=0).sizes)
        {'time': 200, 'sample': 5}
        """
        from neuroana.switching.state_sampling import sample_paths

        check_number("n_samples", n_samples, minimum=1, integer=True)
        observed, loglik = self._emissions(X, inputs, lengths, transition_inputs)
        a, pi = self._chain(observed)
        found = smooth(loglik, a, pi, observed.lengths)
        rng = branch(draw_seed(random_state), 0)
        paths = sample_paths(found.filtered, a, observed.lengths, n_samples, rng)
        return observed.sequences.wrap(
            observed.split(np.ascontiguousarray(paths.T)), dims=("time", "sample"),
            coords={"sample": np.arange(n_samples)}, name="state",
        )  # fmt: skip

    def transform(self, X, *, inputs=None, transition_inputs=None, lengths=None):
        """The same as :meth:`predict_proba`, for pipelines."""
        return self.predict_proba(
            X, inputs=inputs, transition_inputs=transition_inputs, lengths=lengths
        )

    def predict_rate(self, X, *, inputs=None, transition_inputs=None, lengths=None):
        """Expected value of every unit one bin ahead, (time, unit).

        Mean of the states' predictions, weighted with the probability of each state
        given all earlier bins.
        """
        from neuroana.switching.scoring import expected_values

        observed, loglik = self._emissions(X, inputs, lengths, transition_inputs)
        found = smooth(loglik, *self._chain(observed), observed.lengths)
        ahead = predict_states(found.filtered, *self._chain(observed), observed.lengths)
        rate = expected_values(self, observed, ahead)
        return observed.sequences.wrap(
            observed.split(rate), dims=("time", observed.dim), name="rate",
            coords={observed.dim: observed.names},
        )  # fmt: skip

    def log_likelihood(self, X, *, inputs=None, transition_inputs=None, lengths=None):
        """Compute log p of each sequence, states summed out by the forward pass.

        Parameters
        ----------
        X : recording, collection of recordings, DataArray or ndarray (time, unit)
            Units as in the fit, by name and order.
        inputs, transition_inputs : like X, optional
            Needed where the model was fitted with them.
        lengths : sequence of int, optional
            Lengths of the sequences stacked in one plain array.

        Returns
        -------
        DataArray (sequence)
            In nats, constants included; attribute ``n_observed`` counts the values.

        Raises
        ------
        NotFittedError, ParameterError, SchemaError, ShapeError
            If the model is not fitted, or X does not fit to it.

        Examples
        --------
        >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
        >>> data, truth = simulate_hmm_glm(
        ...     n_states=2, n_units=3, n_bins=200, n_sequences=2, random_state=0)
        >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
        >>> model.log_likelihood(data).sizes["sequence"]
        2
        """
        observed, loglik = self._emissions(X, inputs, lengths, transition_inputs)
        found = smooth(loglik, *self._chain(observed), observed.lengths)
        return xr.DataArray(
            found.log_marginal,
            dims="sequence",
            coords={"sequence": list(observed.sequences.labels)},
            name="log_likelihood",
            attrs={"units": "nat", "n_observed": observed.n_observed},
        )

    def score(
        self, X, y=None, *, inputs=None, transition_inputs=None, lengths=None
    ) -> float:
        """Compute log p per observed value: the held-out score where X was held out.

        Parameters
        ----------
        X : recording, collection of recordings, DataArray or ndarray (time, unit)
            Units as in the fit, by name and order.
        inputs, transition_inputs : like X, optional
            Needed where the model was fitted with them.
        lengths : sequence of int, optional
            Lengths of the sequences stacked in one plain array.

        Returns
        -------
        float
            In nats per observed value; larger is better.

        Raises
        ------
        NotFittedError, ParameterError, SchemaError, ShapeError
            If the model is not fitted, or X does not fit to it.

        Examples
        --------
        >>> from neuroana.switching import HMMGLM, simulate_hmm_glm
        >>> data, truth = simulate_hmm_glm(
        ...     n_states=2, n_units=3, n_bins=200, n_sequences=2, random_state=0)
        >>> model = HMMGLM(2, link="sigmoid", n_init=1, random_state=0).fit(data)
        >>> model.score(data) > HMMGLM(1, link="sigmoid").fit(data).score(data)
        True
        """
        found = self.log_likelihood(
            X, inputs=inputs, transition_inputs=transition_inputs, lengths=lengths
        )
        return float(found.sum()) / max(found.attrs["n_observed"], 1)

    def bits_per_spike(
        self, X, *, inputs=None, transition_inputs=None, lengths=None
    ) -> float:
        """Gain over constant rates, those of the training data, in bits per spike.

        Units that were silent in the training data are left out.
        """
        from neuroana.switching.metrics import bits_per_spike
        from neuroana.switching.scoring import emissions_of

        if self.observation not in ("poisson", "negative_binomial"):
            raise ParameterError(
                message(
                    "bits_per_spike", "counts", repr(self.observation),
                    "use score",
                )
            )  # fmt: skip
        observed = self._observe(X, inputs, lengths, transition_inputs)
        active = self.flat_.to_numpy() == 0
        seen = (
            np.ones(observed.x.shape, bool) if observed.seen is None else observed.seen
        )
        seen = seen & active
        loglik = emissions_of(self, observed, seen)
        found = smooth(loglik, *self._chain(observed), observed.lengths)
        return bits_per_spike(
            found.log_marginal.sum(), observed.x, self.rate_.to_numpy(), seen=seen
        )

    def _emissions(self, X, inputs, lengths, transition_inputs):
        from neuroana.switching.scoring import emissions_of

        observed = self._observe(X, inputs, lengths, transition_inputs)
        return observed, emissions_of(self, observed, observed.seen)

    def _probabilities(self, X, inputs, lengths, transition_inputs, which):
        observed, loglik = self._emissions(X, inputs, lengths, transition_inputs)
        found = getattr(smooth(loglik, *self._chain(observed), observed.lengths), which)
        return observed.sequences.wrap(
            observed.split(found),
            dims=("time", "state"),
            coords={"state": np.arange(self.n_states)},
            name="probability",
        )

    def _chain(self, observed):
        a, pi = self.transition_matrix_.to_numpy(), self.initial_prob_.to_numpy()
        if observed.transition_inputs is not None:
            from neuroana.switching.transitions import InputDriven

            chain = InputDriven(u=observed.transition_inputs)
            a = chain.matrices(a[None], self.transition_weights_.to_numpy()[None])[0]
        return a, pi
