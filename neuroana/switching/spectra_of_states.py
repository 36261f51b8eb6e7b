"""Spectra and coherence of each state, from the parameters of the model.

| symbol | meaning                                                                  |
| ------ | ------------------------------------------------------------------------ |
| AR     | S(f) = 2/fs H Sigma H*,  H = (I - sum_l W_l exp(-2 pi i f l / fs))^-1     |
| TDE    | S(f) = 2/fs 1/L E(f)* (P Sigma P') E(f),  E(f)[(l, c), d] =               |
|        | [c = d] exp(-2 pi i f l / fs): the Bartlett-tapered transform of the     |
|        | covariances at all lags, positive by construction                        |
"""

import numpy as np
import xarray as xr

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError


def state_spectra(model, frequencies=None) -> xr.Dataset:
    """Power spectrum of every channel and coherence of every pair, in each state.

    Follows from the fitted parameters alone, so short states have spectra too. Of an
    autoregression (:class:`ARHMM`, or HMMGLM with gaussian observations and raw lags)
    it is exact; of a :class:`TDEHMM` its resolution is the sampling rate over the
    number of embeddings, and what the components leave out is missing. Costs
    O(K F C^3).

    Parameters
    ----------
    model : fitted ARHMM, TDEHMM, or HMMGLM with raw lags
    frequencies : sequence of float, optional
        In Hz (cycles a sample where the data had no rate); 100 of them up to half the
        sampling rate by default.

    Returns
    -------
    Dataset
        ``psd`` (state, freq, channel), one-sided, in units squared per Hz;
        ``coherence`` (state, freq, channel, source), magnitude squared.

    Raises
    ------
    ParameterError
        If the model has no lags, or an autoregression explodes.

    References
    ----------
    Luetkepohl, "New Introduction to Multiple Time Series Analysis", 2005, eq. 2.1.37
    (the spectrum of a vector autoregression); Vidaurre et al. 2018.

    Examples
    --------
    >>> from neuroana.switching import ARHMM, simulate_hmm_glm, state_spectra
    >>> data, truth = simulate_hmm_glm(
    ...     "gaussian_var", n_states=2, n_units=2, n_bins=500, n_sequences=1,
    ...     random_state=0)
    >>> model = ARHMM(2, n_init=2, random_state=0).fit(data)
    >>> state_spectra(model, [0.1, 0.2]).psd.shape
    (2, 2, 2)
    """
    rate = getattr(model, "sampling_rate_", 1.0)
    freq = (
        np.linspace(0, rate / 2, 101)[1:]
        if frequencies is None
        else np.asarray(frequencies, dtype=float)
    )
    if hasattr(model, "embedding_"):
        dim, names, cross = embedded_spectra(model, freq / rate)
    elif model.observation == "gaussian" and model.coupling_.size:
        dim, names, cross = autoregressive_spectra(model, freq / rate)
    else:
        raise ParameterError(
            message(
                "state_spectra", "a model with lags: ARHMM or TDEHMM",
                f"{type(model).__name__} with history={model.history!r}",
            )
        )  # fmt: skip
    cross = cross * 2 / rate
    power = np.einsum("kfcc->kfc", cross).real
    both = power[..., :, None] * power[..., None, :]
    return xr.Dataset(
        {
            "psd": (("state", "freq", dim), power),
            "coherence": (("state", "freq", dim, "source"), np.abs(cross) ** 2 / both),
        },
        coords={
            "state": np.arange(model.n_states),
            "freq": ("freq", freq, {"units": "Hz"}),
            dim: names,
            "source": names,
        },
    )


def autoregressive_spectra(model, cycles):
    """Cross-spectra (K, F, C, C) of the states' autoregressions."""
    lags = check_raw_lags(model)
    w = model.coupling_.to_numpy()
    dim = model.baseline_.dims[1]
    n = w.shape[1]
    noise = model.noise_.to_numpy()
    sigma = noise if noise.ndim == 3 else np.einsum("kc,cd->kcd", noise, np.eye(n))
    for k, own in enumerate(w):
        radius = spectral_radius(own)
        if radius >= 1:
            raise ParameterError(
                message(
                    "state_spectra", f"a stable autoregression in state {k}",
                    f"spectral radius {radius:.3f}",
                    "filter slow drifts away, use fewer lags or states",
                )
            )  # fmt: skip
    phase = np.exp(-2j * np.pi * np.outer(cycles, lags))
    inverse = np.eye(n) - np.einsum("kcdl,fl->kfcd", w, phase)
    h = np.linalg.inv(inverse)
    return (
        dim, model.baseline_[dim].to_numpy(),
        h @ sigma[:, None] @ h.conj().swapaxes(-1, -2),
    )  # fmt: skip


def check_raw_lags(model):
    """Lags of the history, which must come one by one."""
    phi = model.kernel_.to_numpy()
    if phi.shape[0] != phi.shape[1] or (phi != np.eye(len(phi))).any():
        raise ParameterError(
            message("state_spectra", "a history of raw lags", repr(model.history),
                    "use RawHistory or ARHMM")
        )  # fmt: skip
    return np.arange(1, len(phi) + 1)


def spectral_radius(w) -> float:
    """Of the companion matrix of lags w (C, C, L); below one the process is stable."""
    n, _, n_lags = w.shape
    companion = np.eye(n * n_lags, k=-n)
    companion[:n] = w.transpose(0, 2, 1).reshape(n, -1)
    return float(np.abs(np.linalg.eigvals(companion)).max())


def embedded_spectra(model, cycles):
    """Cross-spectra (K, F, C, C) from the covariances of an embedded signal."""
    embedding = model.embedding_
    dim = embedding.dims[1]
    p = embedding.to_numpy()
    phase = np.exp(-2j * np.pi * np.outer(cycles, embedding["lag"].to_numpy()))
    at = np.einsum("fl,lcm->fcm", phase, p)
    sigma = model.noise_.to_numpy()
    cross = np.einsum("fcm,kmn,fdn->kfcd", at, sigma, at.conj(), optimize=True)
    return dim, embedding[dim].to_numpy(), cross / len(p)


def state_covariance(model) -> xr.DataArray:
    """Covariance between channels in each state.

    Of a Gaussian HMM its own; of a :class:`TDEHMM` that of the signal at lag zero,
    projected back from the components and averaged over the window; of an
    autoregression the stationary one, from its Lyapunov equation.

    Parameters
    ----------
    model : fitted GaussianHMM, ARHMM or TDEHMM, or HMMGLM of gaussian observations

    Returns
    -------
    DataArray (state, channel, source)

    Examples
    --------
    >>> from neuroana.switching import GaussianHMM, state_covariance
    >>> x = np.random.default_rng(0).standard_normal((400, 2))
    >>> state_covariance(GaussianHMM(1, random_state=0).fit(x)).shape
    (1, 2, 2)
    """
    if model.observation != "gaussian":
        raise ParameterError(
            message("state_covariance", "gaussian observations", model.observation)
        )
    noise = model.noise_.to_numpy()
    if noise.ndim == 2:
        noise = np.einsum("kc,cd->kcd", noise, np.eye(noise.shape[1]))
    if hasattr(model, "embedding_"):
        p = model.embedding_.to_numpy()
        dim = model.embedding_.dims[1]
        names = model.embedding_[dim].to_numpy()
        found = np.einsum("lcm,kmn,ldn->kcd", p, noise, p, optimize=True) / len(p)
    else:
        dim = model.baseline_.dims[1]
        names = model.baseline_[dim].to_numpy()
        found = noise
        if model.coupling_.size:
            check_raw_lags(model)
            found = np.array(
                [stationary(w, s) for w, s in zip(model.coupling_.to_numpy(), noise)]
            )
    return xr.DataArray(
        found,
        dims=("state", dim, "source"),
        coords={"state": np.arange(model.n_states), dim: names, "source": names},
        name="covariance",
    )


def stationary(w, sigma):
    """Stationary covariance of a vector autoregression; NaN where it explodes."""
    from scipy.linalg import solve_discrete_lyapunov

    n, _, n_lags = w.shape
    if spectral_radius(w) >= 1:
        return np.full((n, n), np.nan)
    companion = np.eye(n * n_lags, k=-n)
    companion[:n] = w.transpose(0, 2, 1).reshape(n, -1)
    drive = np.zeros_like(companion)
    drive[:n, :n] = sigma
    return solve_discrete_lyapunov(companion, drive)[:n, :n]
