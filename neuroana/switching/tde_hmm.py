"""The time-delay embedded hidden Markov model: ``TDEHMM``.

| symbol | shape        | meaning                                                   |
| ------ | ------------ | --------------------------------------------------------- |
| e[t]   | (L C,)       | x[t - (L-1)/2 .. t + (L-1)/2], lags side by side           |
| P      | (L C, M)     | principal axes of e times the root of their variance      |
| s[t]   | (M,)         | whitened components, e = mean + P s + rest                |
| Sigma  | (K, M, M)    | covariance of s in each state                             |

P Sigma[k] P' is the covariance of the embedded signal in state k: its blocks are the
auto- and cross-covariances at every lag, hence the spectra of the state.
"""

import numpy as np
import xarray as xr

from neuroana.core.checks import check_number, message
from neuroana.core.errors import ParameterError, SchemaError
from neuroana.core.sequences import as_sequences
from neuroana.switching.presets import GaussianHMM


PAPER = """@article{vidaurre2018spontaneous,
  title = {Spontaneous cortical activity transiently organises into frequency specific
           phase-coupling networks},
  author = {Vidaurre, Diego and Hunt, Laurence T. and Quinn, Andrew J. and Hunt,
            Benjamin A. E. and Brookes, Matthew J. and Nobre, Anna C. and Woolrich,
            Mark W.},
  journal = {Nature Communications},
  volume = {9},
  pages = {2987},
  year = {2018},
  doi = {10.1038/s41467-018-05316-z}
}"""


class TDEHMM(GaussianHMM):
    """States that differ in spectra and phase coupling, of EEG, MEG or iEEG.

    Each sample is replaced by a window of `n_embeddings` samples around it, reduced to
    whitened principal components, and a Gaussian HMM with full covariances is fitted to
    them. Samples whose window leaves the recording or touches a bad or missing sample
    are missing. Probabilities and paths stay on the clock of the recording; rates and
    simulated data are in components.

    Use it at 100 to 250 Hz with windows of about 60 to 150 ms. The embedding costs
    O(T (L C)^2) once, memory 8 T M bytes.

    Parameters
    ----------
    n_states : int
    n_embeddings : int
        L, odd: samples of the window.
    n_components : int, optional
        M; twice the number of channels if None.
    alpha, kappa, init, n_init, max_iter, tol, missing, random_state, n_jobs, device, \
    dtype, progress
        As in :class:`HMMGLM`.

    Attributes
    ----------
    embedding_ : DataArray (lag, channel, component)
        P; ``lag`` in samples.
    embedding_mean_ : DataArray (channel)
    explained_variance_ratio_ : float
        Share of the variance of e that the components keep.
    noise_ : DataArray (state, component, source)
        Sigma.
    baseline_, transition_matrix_, ...
        As in :class:`HMMGLM`.

    See Also
    --------
    state_spectra : Spectra and coherence of each state, back in channels.

    References
    ----------
    Vidaurre et al., "Spontaneous cortical activity transiently organises into frequency
    specific phase-coupling networks", Nature Communications 9, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((600, 2))
    >>> model = TDEHMM(2, n_embeddings=5, n_init=1, tol=1e-3, random_state=0).fit(x)
    >>> model.embedding_.shape
    (5, 2, 4)
    """

    _citation = PAPER
    covariance = "full"

    def __init__(
        self,
        n_states=2,
        n_embeddings=15,
        *,
        n_components=None,
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
            n_states, alpha=alpha, kappa=kappa, init=init, n_init=n_init,
            max_iter=max_iter, tol=tol, missing=missing, random_state=random_state,
            n_jobs=n_jobs, device=device, dtype=dtype, progress=progress,
        )  # fmt: skip
        self.n_embeddings = n_embeddings
        self.n_components = n_components

    def fit(self, X, y=None, *, lengths=None):
        """Learn the embedding, then fit the states.

        Parameters
        ----------
        X : recording, collection of recordings, DataArray or ndarray (time, channel)
        y : ignored
        lengths : sequence of int, optional
            Lengths of the sequences stacked in one plain array.

        Returns
        -------
        TDEHMM
            Itself.

        Raises
        ------
        ParameterError, SchemaError, ShapeError
            If arguments or data cannot be used; the message says why.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.random.default_rng(0).standard_normal((400, 2))
        >>> TDEHMM(1, n_embeddings=3, random_state=0).fit(x).n_states
        1
        """
        sequences = as_sequences(X, lengths=lengths)
        self._learn_embedding(sequences)
        return super().fit(sequences)

    def _learn_embedding(self, sequences):
        check_number("n_embeddings", self.n_embeddings, minimum=1, integer=True)
        if self.n_embeddings % 2 == 0:
            raise ParameterError(
                message("argument 'n_embeddings'", "an odd number", self.n_embeddings)
            )
        n_channels = len(sequences.names)
        n_wide = self.n_embeddings * n_channels
        m = 2 * n_channels if self.n_components is None else self.n_components
        check_number("n_components", m, minimum=1, integer=True)
        m = min(m, n_wide) if self.n_components is None else m
        check_number("n_components", m, maximum=n_wide)
        stacked = np.concatenate(sequences.values)
        mean = np.nanmean(stacked, axis=0)
        n_seen, total = 0, np.zeros((n_wide, n_wide))
        for values in sequences.values:
            wide = embed(values - mean, self.n_embeddings)
            wide = wide[np.isfinite(wide).all(axis=1)]
            n_seen += len(wide)
            total += wide.T @ wide
        if n_seen <= m:
            raise SchemaError(
                message(
                    "X", f"more than {m} samples with a whole window of "
                    f"{self.n_embeddings}", n_seen,
                    "use fewer embeddings or components",
                )
            )  # fmt: skip
        variance, axes = np.linalg.eigh(total / n_seen)
        variance, axes = variance[::-1][:m], axes[:, ::-1][:, :m]
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(m)])
        if variance[-1] <= 1e-10 * variance[0]:
            rank = int((variance > 1e-10 * variance[0]).sum())
            raise SchemaError(
                message(
                    "X", f"{m} independent components", f"{rank}",
                    f"pass n_components={rank} or fewer, or leave out channels that "
                    "are sums of others (average reference)",
                )
            )  # fmt: skip
        reach = self.n_embeddings // 2
        p = axes * np.sqrt(variance)
        self.embedding_ = xr.DataArray(
            p.reshape(self.n_embeddings, n_channels, m),
            dims=("lag", sequences.dim, "component"),
            coords={
                "lag": np.arange(-reach, reach + 1),
                sequences.dim: sequences.names,
                "component": np.arange(m),
            },
            name="embedding",
        )
        self.embedding_mean_ = xr.DataArray(
            mean, dims=sequences.dim, coords={sequences.dim: sequences.names},
            name="embedding_mean",
        )  # fmt: skip
        self.explained_variance_ratio_ = float(
            variance.sum() * n_seen / np.trace(total)
        )

    def _observe(self, X, inputs, lengths, transition_inputs=None, *, fitted=True):
        if fitted:
            from sklearn.utils.validation import check_is_fitted

            check_is_fitted(self)
        sequences = as_sequences(X, lengths=lengths)
        known = self.embedding_mean_
        own = list(map(str, sequences.names))
        wanted = list(map(str, known[known.dims[0]].to_numpy()))
        if own != wanted and (sequences.kind != "array" or len(own) != len(wanted)):
            raise SchemaError(
                message("X: channels", f"those of the fit, in order: {wanted[:8]}",
                        own[:8], "select and order the channels as in the fit")
            )  # fmt: skip
        return super()._observe(
            self._components(sequences), inputs, None, transition_inputs, fitted=fitted
        )

    def _components(self, sequences):
        """Sequences of whitened components on the same clock."""
        from dataclasses import replace

        p = self.embedding_.to_numpy().reshape(-1, self.embedding_.sizes["component"])
        inverse = p / (p**2).sum(axis=0)
        mean = self.embedding_mean_.to_numpy()
        return replace(
            sequences,
            values=tuple(
                embed(values - mean, self.n_embeddings) @ inverse
                for values in sequences.values
            ),
            dim="component",
            names=self.embedding_["component"].to_numpy(),
            coords={},
        )


def embed(x, n_embeddings):
    """Windows (T, L C) around every sample of x (T, C); NaN where one is not whole.

    Examples
    --------
    >>> embed(np.arange(4.0)[:, None], 3)
    array([[nan, nan, nan],
           [ 0.,  1.,  2.],
           [ 1.,  2.,  3.],
           [nan, nan, nan]])
    """
    n_bins, n_channels = x.shape
    wide = np.full((n_bins, n_embeddings * n_channels), np.nan)
    reach = n_embeddings // 2
    if n_bins >= n_embeddings:
        windows = np.lib.stride_tricks.sliding_window_view(x, n_embeddings, axis=0)
        inner = windows.transpose(0, 2, 1).reshape(len(windows), -1)
        wide[reach : n_bins - reach] = inner
    return wide
