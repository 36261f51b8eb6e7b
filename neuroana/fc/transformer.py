"""Connectivity of recordings: groups them, calls operators, labels what comes back."""

import warnings
from typing import Any

import numpy as np
import xarray as xr

from neuroana.core.checks import check_choice, message
from neuroana.core.errors import DataWarning, ParameterError
from neuroana.core.estimator import Estimator
from neuroana.fc.gathering import ConstantRoiError, Group, constant_regions, gather
from neuroana.fc.registry import Op, Operator, Shared, as_ops, find


UNITS = {"KB": 2**10, "MB": 2**20, "GB": 2**30}
COPIES = 6  # arrays of the size of a batch that an operator may hold


class Connectivity(Estimator):
    """Connectivity matrices of recordings, by one or several operators.

    Use it where matrices are features: ``vectorize=True`` gives one row a recording,
    and what an operator learns from the group (the reference of ``'tangent'``) is
    learned in :meth:`fit`, so in a pipeline from the training recordings alone. Costs
    what the operators cost; see :func:`list_operators`.

    Parameters
    ----------
    operators : str, Op or sequence of these
        Names, or :class:`Op` with options.
    standardize : {'auto', 'zscore', None}
        ``'auto'`` standardises regions for operators that are meant so, all but the
        covariances; ``'zscore'`` for all; None for none.
    constant : {'mark', 'error'}
        A region that never changes gets a row and a column of NaN, or an error.
    nan : {'error', 'omit', 'pairwise'}
        Missing samples: an error; left out for all regions, where the order of the
        samples does not matter; left out pair by pair, where the operator can.
    similarity : bool, default=False
        Turn distances so that large is strong.
    vectorize : bool, default=False
        Return (recording, edge) features: the upper triangle of undirected matrices,
        with their diagonal where it carries information, all of directed ones.
    memory_limit : str or int, default='2GB'
        Recordings are taken in batches that fit.

    Attributes
    ----------
    operators_ : list of str
    regions_ : DataArray (roi,)
    reference_ : DataArray (operator, source, target)
        Where an operator learns one.

    Examples
    --------
    >>> import neuroana as na
    >>> x = np.random.default_rng(0).normal(size=(5, 100, 4))
    >>> na.fc.Connectivity(["pearson", "partial"]).fit_transform(x)["partial"].shape
    (5, 4, 4)
    >>> na.fc.Connectivity("tangent", vectorize=True).fit_transform(x).shape
    (5, 10)
    """

    def __init__(
        self,
        operators="pearson",
        standardize="auto",
        *,
        constant="mark",
        nan="error",
        similarity=False,
        vectorize=False,
        memory_limit="2GB",
    ):
        self.operators = operators
        self.standardize = standardize
        self.constant = constant
        self.nan = nan
        self.similarity = similarity
        self.vectorize = vectorize
        self.memory_limit = memory_limit

    def fit(self, X, y=None):
        """Learn what the operators need of the group.

        Parameters
        ----------
        X : recording, collection, ndarray (recording, time, roi) or list
            Recordings may have unequal lengths.
        y : ignored

        Raises
        ------
        ParameterError, ShapeError, ConstantRoiError
            If the recordings cannot be used; the message says why.
        """
        self._fit(gather(X))
        return self

    def transform(self, X):
        """Matrices of recordings.

        Parameters
        ----------
        X : recording, collection, ndarray (recording, time, roi) or list

        Returns
        -------
        DataArray ([recording,] ..., source, target), or a Dataset of them
            A Dataset where `operators` is a list. With `vectorize` an ndarray
            (recording, edge), the operators side by side.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        return self._transform(gather(X).on(self.regions_.to_numpy()))

    def fit_transform(self, X, y=None):
        """Learn and transform, reading the recordings once."""
        group = gather(X)
        self._fit(group)
        return self._transform(group)

    def _fit(self, group: Group):
        check_choice("standardize", self.standardize, ["auto", "zscore", None])
        check_choice("constant", self.constant, ["mark", "error"])
        check_choice("nan", self.nan, ["error", "omit", "pairwise"])
        bytes_of(self.memory_limit)
        ops = as_ops(self.operators)
        self.operators_ = [op.label for op in ops]
        self.regions_ = xr.DataArray(group.names, dims="roi", name="regions")
        learned = {}
        for op in ops:
            made = find(op.name)
            if made.learn is not None:
                parts = [self._prepared(made, x) for x in self._usable(group, made)]
                learned[op.label] = self._learn(made, parts, op)
        if learned:
            self.reference_ = xr.DataArray(
                np.stack(list(learned.values())),
                dims=("operator", "source", "target"),
                coords={"operator": list(learned), "source": group.names,
                        "target": group.names},
                name="reference",
            )  # fmt: skip

    def _learn(self, made: Operator, parts, op: Op):
        dead = np.any([constant_regions(x) for x in parts], axis=0)
        if dead.any():
            raise ConstantRoiError(
                message(
                    f"operator {op.name!r}",
                    "regions that change in every recording, to learn a reference",
                    f"{int(dead.sum())} that do not",
                    "leave out these regions or these recordings",
                )
            )
        return made.learn(parts, **op.params)

    def _usable(self, group: Group, made: Operator) -> list[np.ndarray]:
        """Samples after the rule for missing ones."""
        out = []
        for x, label in zip(group.values, group.labels):
            dead = constant_regions(x)
            if dead.any() and self.constant == "error":
                names = [str(n) for n in group.names[dead][:5]]
                raise ConstantRoiError(
                    message(
                        f"recording {label}",
                        "regions that change",
                        f"{int(dead.sum())} constant or empty: {names}",
                        "leave them out, or pass constant='mark'",
                    )
                )
            if np.isinf(x).any():
                raise ParameterError(
                    message(f"recording {label}", "finite samples", "infinite ones")
                )
            out.append(self._without_missing(x, dead, label, made))
        return out

    def _without_missing(self, x, dead, label, made: Operator):
        missing = np.isnan(x) & ~dead
        if not missing.any():
            return x
        fix = ("interpolate them, or pass nan='omit' (order of samples does not "
               "matter) or nan='pairwise' (pearson, covariance)")  # fmt: skip
        can = {"omit": not made.ordered, "pairwise": made.pairwise is not None}
        if not can.get(self.nan, False):
            raise ParameterError(
                message(
                    f"recording {label}, operator {made.name!r}",
                    "no missing or bad samples",
                    f"{int(missing.sum())} of {x.size}, with nan={self.nan!r}",
                    fix,
                )
            )
        return x[~missing.any(axis=1)] if self.nan == "omit" else x

    def _prepared(self, made: Operator, x: np.ndarray) -> np.ndarray:
        """Standardised where asked for; constant regions stay as they are."""
        asked = {"auto": made.zscored, "zscore": True, None: False}[self.standardize]
        if not asked:
            return x
        with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            z = (x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0)
        return np.where(constant_regions(x), x, z)

    def _transform(self, group: Group):
        ops = as_ops(self.operators)
        kept = {}  # intermediates of a batch, shared by all operators
        made = {op.label: self._one(op, group, kept) for op in ops}
        if self.vectorize:
            return np.concatenate(
                [edges(w, find(op.name)) for op, w in zip(ops, made.values())], axis=1
            )
        if isinstance(self.operators, str | Op):
            return made[ops[0].label].rename("connectivity")
        return xr.Dataset({_variable(k): w for k, w in made.items()})

    def _one(self, op: Op, group: Group, kept: dict) -> xr.DataArray:
        made = find(op.name)
        usable = self._usable(group, made)
        n = len(group.names)
        out: Any = None
        coords: dict[str, Any] = {}
        for key, members in self._batches(usable, group, made).items():
            alive = np.frombuffer(key[2], dtype=bool)
            w, coords = self._batch(op, made, usable, members, alive, key[1], kept)
            if out is None:
                out = np.full((len(usable), *w.shape[1:-2], n, n), np.nan)
            if w.shape[1:-2] != out.shape[1:-2]:
                raise ParameterError(
                    message(
                        f"operator {op.name!r}",
                        "the same further dims for all recordings",
                        f"{out.shape[1:-2]} and {w.shape[1:-2]}, as lengths or rates "
                        "differ",
                        "ask for an average over that dim, or cut to one length",
                    )
                )
            if alive.all():
                out[members] = w
            else:
                at = np.flatnonzero(alive)
                for k, one in zip(members, w):
                    out[k][..., at[:, None], at] = one
        return self._label(out, coords, op, made, group)

    def _batches(self, usable, group: Group, made: Operator):
        """Recordings by length, rate and living regions, in pieces that fit."""
        found: dict[tuple, list[int]] = {}
        room = bytes_of(self.memory_limit)
        for k, x in enumerate(usable):
            alive = ~constant_regions(x)
            if alive.sum() < 2:
                raise ConstantRoiError(
                    message(f"recording {group.labels[k]}",
                            "at least 2 regions that change", int(alive.sum()))
                )  # fmt: skip
            rate = group.rates[k] if made.needs_rate else None
            size = 8 * COPIES * (x.size + x.shape[1] ** 2)
            limit = max(1, room // size)
            piece = 0
            while len(found.get((len(x), rate, alive.tobytes(), piece), ())) >= limit:
                piece += 1
            found.setdefault((len(x), rate, alive.tobytes(), piece), []).append(k)
        dead = sum(bool((~np.frombuffer(key[2], bool)).any()) for key in found)
        if dead:
            names = [
                group.labels[k]
                for key, members in found.items()
                if not np.frombuffer(key[2], bool).all()
                for k in members
            ]
            warnings.warn(
                f"{made.name}: regions that never change in {len(names)} recordings "
                f"({', '.join(names[:5])}) get NaN rows and columns.",
                DataWarning,
                stacklevel=5,
            )
        return found

    def _batch(self, op, made, usable, members, alive, rate, kept):
        asked = {"auto": made.zscored, "zscore": True, None: False}[self.standardize]
        if self.nan == "pairwise" and any(np.isnan(usable[k]).any() for k in members):
            x = np.stack([usable[k][:, alive] for k in members])
            if np.isnan(x).any():
                return made.pairwise(x, **op.params), {}
        key = (asked, tuple(members))
        if key not in kept:
            parts = [self._prepared(made, usable[k][:, alive]) for k in members]
            x = np.stack(parts)
            held = sum(s.x.nbytes for s in kept.values()) + x.nbytes
            if COPIES * held > bytes_of(self.memory_limit):
                kept.clear()
            kept[key] = Shared(x)
        reference = None
        if made.learn is not None:
            reference = self.reference_.sel(operator=op.label).to_numpy()
            reference = reference[np.ix_(alive, alive)]
        return made.run(kept[key], fs=rate, reference=reference, **op.params)

    def _label(self, w, coords, op: Op, made: Operator, group: Group):
        if self.similarity and made.distance:
            w = -w
        dims = ("recording", *coords, "source", "target")
        if len(dims) != w.ndim:
            raise ParameterError(
                message(f"operator {op.name!r}", "a name for each further dim",
                        f"{w.ndim - 3} dims, {list(coords)}",
                        "return (w, {'freq': frequencies})")
            )  # fmt: skip
        along: dict[str, Any] = {"source": group.names, "target": group.names}
        for name, values in group.coords.items():
            along[f"source_{name}"] = ("source", values)
            along[f"target_{name}"] = ("target", values)
        entities = {e for own in group.entities for e in own}
        along |= {
            e: ("recording", [str(own.get(e, "")) for own in group.entities])
            for e in sorted(entities)
        }
        array = xr.DataArray(
            w,
            dims=dims,
            coords={"recording": group.labels, **coords, **along},
            attrs={
                "operator": op.label,
                "family": made.family,
                "directed": int(made.directed),
                "distance": int(made.distance and not self.similarity),
                "direction": "from source to target" if made.directed else "none",
                "cites": made.source,
            },
        )
        return array if group.several else array[0]


def _variable(label: str) -> str:
    return label.replace("/", "_")


def edges(w: xr.DataArray, made: Operator) -> np.ndarray:
    """Rows (recording, edge) of matrices; distances of logarithms are kept."""
    values = w.to_numpy()
    values = values if "recording" in w.dims else values[None]
    n = values.shape[-1]
    diagonal = np.einsum("...ii->...i", values)
    varies = np.isfinite(diagonal).all() and np.ptp(diagonal) > 0
    if made.directed:
        pick = ~np.eye(n, dtype=bool) | varies
        return values[..., pick].reshape(len(values), -1)
    if made.name in ("tangent", "log_euclidean"):
        values = values * np.where(np.eye(n, dtype=bool), 1.0, np.sqrt(2.0))
    rows, columns = np.triu_indices(n, 0 if varies else 1)
    return values[..., rows, columns].reshape(len(values), -1)


def bytes_of(limit: Any) -> int:
    """Bytes of ``'2GB'`` or of a number."""
    if isinstance(limit, str):
        number, unit = limit[:-2], limit[-2:].upper()
        try:
            return int(float(number) * UNITS[unit])
        except (KeyError, ValueError) as error:
            raise ParameterError(
                message("argument 'memory_limit'", "a size like '2GB'", repr(limit))
            ) from error
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit <= 0:
        raise ParameterError(
            message("argument 'memory_limit'", "a size like '2GB'", repr(limit))
        )
    return int(limit)


def connectivity(
    X,
    operator="pearson",
    *,
    standardize="auto",
    constant="mark",
    nan="error",
    similarity=False,
    memory_limit="2GB",
    **params,
):
    """Connectivity between the regions, channels or neurons of recordings.

    Use it for one operator; :class:`Connectivity` computes several, and in pipelines.

    Parameters
    ----------
    X : recording, collection, ndarray (recording, time, roi) or (time, roi), list
        Any modality; recordings may have unequal lengths.
    operator : str
        A name of :func:`list_operators`.
    standardize, constant, nan, similarity, memory_limit
        As in :class:`Connectivity`.
    **params
        Options of the operator.

    Returns
    -------
    DataArray ([recording,] [freq | lag | window,] source, target)
        W[i, j] is from i to j.

    Raises
    ------
    ParameterError, ShapeError, ConstantRoiError
        If the recordings cannot be used; the message says why.

    Examples
    --------
    >>> import neuroana as na
    >>> x = np.random.default_rng(0).normal(size=(100, 4))
    >>> na.fc.connectivity(x, "partial", estimator="oas").dims
    ('source', 'target')
    """
    model = Connectivity(
        Op(operator, params), standardize, constant=constant, nan=nan,
        similarity=similarity, memory_limit=memory_limit,
    )  # fmt: skip
    return model.fit_transform(X)
