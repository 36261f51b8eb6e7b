"""Common z-scores as a scikit-learn transformer that keeps labels."""

import functools
from typing import Any, Self

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from neuroana.core.blockwise import join_moments, moments
from neuroana.core.checks import did_you_mean, message
from neuroana.core.errors import ParameterError, ShapeError
from neuroana.core.recording import good_samples
from neuroana.core.recordings import Recordings
from neuroana.signal.scaling import scale, spread_of
from neuroana.signal.spans import each


class Scaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Scale every series by the mean and deviation found in the training recordings.

    The statistics are those of all recordings given to ``fit`` together, so that a
    held-out recording never enters them. Labels, coordinates, events and missing
    samples are kept. Cost: one pass over the data, block by block.

    Parameters
    ----------
    with_mean : bool, default=True
        Subtract the mean.
    with_std : bool, default=True
        Divide by the standard deviation; a constant series is only centred.

    Attributes
    ----------
    mean_, scale_ : DataArray (space,)
        What is subtracted, what is divided by.
    n_features_in_ : int
        Number of series.
    n_samples_seen_ : DataArray (space,)
        Samples that were neither bad nor missing.

    Examples
    --------
    >>> from neuroana.core.recording import from_array
    >>> train = from_array(np.array([[1.0], [3.0]]), "calcium", sampling_rate=1.0)
    >>> test = from_array(np.array([[7.0], [2.0]]), "calcium", sampling_rate=1.0)
    >>> Scaler().fit([train]).transform(test).signal.values.ravel().tolist()
    [5.0, 0.0]
    """

    def __init__(self, *, with_mean: bool = True, with_std: bool = True) -> None:
        self.with_mean = with_mean
        self.with_std = with_std

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the statistics.

        Parameters
        ----------
        X : recording, DataArray, collection of them, or ndarray (time, space)
            All with the same series in the same order.
        y : ignored

        Returns
        -------
        Scaler

        Raises
        ------
        ParameterError
            If the recordings do not hold the same series.
        """
        frames = self._frames(X)
        space = str(frames[0]["signal"].dims[1])
        names = frames[0][space].values
        states = []
        for frame in frames:
            here = frame[str(frame["signal"].dims[1])]
            if len(names) != len(here) or not (names == here.values).all():
                raise ParameterError(
                    message(
                        "Scaler: recordings",
                        f"the same {space} in each",
                        f"{list(here.values[:5])} beside {list(names[:5])}",
                        "pick the common ones first, with neuroana.signal.pick",
                    )
                )
            states.append(moments(frame["signal"], good_samples(frame)))
        state = functools.reduce(join_moments, states)
        spread = spread_of(state, names, "Scaler") if self.with_std else 1.0
        centre = state.mean if self.with_mean else np.zeros(len(names))
        coords = {space: (space, names)}
        self.mean_ = xr.DataArray(centre, coords, (space,))
        self.scale_ = xr.DataArray(np.ones(len(names)) * spread, coords, (space,))
        self.n_samples_seen_ = xr.DataArray(state.n, coords, (space,))
        self.n_features_in_ = len(names)
        return self

    def transform(self, X: Any) -> Any:
        """Scale recordings; returns the kind that was given.

        Raises
        ------
        ParameterError
            If there are series that ``fit`` did not see.
        """
        check_is_fitted(self)
        if self._is_plain(X):
            return (self._plain(X) - self.mean_.values) / self.scale_.values
        return _same(X, self.mean_, self.scale_)

    def inverse_transform(self, X: Any) -> Any:
        """Undo :meth:`transform`; the unit stays that of a z-score."""
        check_is_fitted(self)
        if self._is_plain(X):
            return self._plain(X) * self.scale_.values + self.mean_.values
        return _same(X, -self.mean_ / self.scale_, 1.0 / self.scale_)

    def _plain(self, X: Any) -> np.ndarray:
        values = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")
        if hasattr(self, "n_features_in_") and values.shape[1] != self.n_features_in_:
            raise ShapeError(
                f"X has {values.shape[1]} features, but {type(self).__name__} is "
                f"expecting {self.n_features_in_} features as input"
            )
        return values

    def _is_plain(self, X: Any) -> bool:
        if isinstance(X, xr.Dataset | xr.DataArray | Recordings):
            return False
        labelled = isinstance(X, list | tuple) and len(X) > 0
        return not (labelled and isinstance(X[0], xr.Dataset | xr.DataArray))

    def _frames(self, X: Any) -> list[xr.Dataset]:
        if self._is_plain(X):
            values = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")
            coords = {"time": np.arange(len(values)) * 1.0}
            coords["feature"] = np.arange(values.shape[1])
            array = xr.DataArray(values, coords, ("time", "feature"))
            return [xr.Dataset({"signal": array})]
        many = X if isinstance(X, list | tuple | Recordings) else [X]
        return [
            one if isinstance(one, xr.Dataset) else xr.Dataset({"signal": one})
            for one in many
        ]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


@each
def _same(rec: xr.Dataset, mean: xr.DataArray, spread: xr.DataArray) -> xr.Dataset:
    space = str(rec["signal"].dims[1])
    if space not in mean.dims:
        raise ParameterError(
            message("Scaler: 'signal'", f"dims (time, {mean.dims[0]})", space)
        )
    known = set(mean[space].values)
    strange = [n for n in rec[space].values if n not in known]
    if strange:
        raise ParameterError(
            message("Scaler: series", f"those of fit, by {space}", f"new {strange[:5]}")
            + f" {did_you_mean(strange[0], map(str, known))}".rstrip()
        )
    return scale(rec, mean, spread)
