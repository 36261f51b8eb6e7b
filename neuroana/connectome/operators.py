"""Affinity tensors that are never made: products straight from the derivatives.

For "geomean", "product", "rise" and "fall" every frame is a sum of one or two s s', so

    sum_t B[t] X[:, t]  =  upper triangle of  S' diag(B) S          (a rank-T update)
    X[:, t] . A         =  s_t' U s_t,  U the strict upper triangle with A in it
    |X[:, t]|^2         =  ((sum s^2)^2 - sum s^4) / 2              for each source

which costs as many flops as the stored tensor from some 400 neurons on, and N T values
of memory instead of N^2 T / 2. With neuron loadings instead of pair factors
("symmetric") no object of size N^2 is made at all.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from neuroana.connectome.affinity import affinity, pair_indices, sources
from neuroana.connectome.products import Data
from neuroana.connectome.tensors import as_tensor, label
from neuroana.core.checks import message
from neuroana.core.device import forecast
from neuroana.core.errors import ParameterError, SchemaError


CHUNK = 2**24  # values of the sources of one chunk of times
ROOM = 5e8  # bytes of matrices that are summed side by side


@dataclass(frozen=True, eq=False)
class AffinityOperator:
    """An affinity tensor as its scaled derivatives; small where the tensor is not.

    :class:`DifferentialAffinity` makes it where the tensor would be too large;
    :class:`NonNegativeCP` factorizes it without making the tensor.

    Parameters
    ----------
    dataset : Dataset
        scaled_derivative (time, neuron[, animal]), NaN where not observed;
        ``attrs["kind"]`` is the kernel.

    Examples
    --------
    >>> from neuroana.connectome import DifferentialAffinity, simulate_motifs
    >>> recordings, _ = simulate_motifs(
    ...     n_neurons=12, n_samples=200, random_state=0)
    >>> operator = DifferentialAffinity(lazy=True).fit_transform(recordings)
    >>> operator.shape, operator.dense().shape
    ((66, 200, 1), (66, 200, 1))
    """

    dataset: xr.Dataset

    @property
    def kind(self) -> str:
        """The kernel."""
        return str(self.dataset.attrs["kind"])

    @property
    def layout(self) -> str:
        """aligned or concat."""
        return str(self.dataset.attrs["layout"])

    @property
    def neurons(self) -> np.ndarray:
        """Names of the neurons."""
        return self.dataset["neuron"].to_numpy()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor: (pair, time) or (pair, time, animal)."""
        sizes = self.dataset.sizes
        n_pairs = sizes["neuron"] * (sizes["neuron"] - 1) // 2
        tail = (sizes["animal"],) if "animal" in sizes else ()
        return (n_pairs, sizes["time"], *tail)

    @property
    def nbytes_dense(self) -> int:
        """Bytes of the tensor in float32."""
        return 4 * int(np.prod(self.shape, dtype=np.int64))

    def dense(self) -> xr.DataArray:
        """The tensor itself.

        Raises
        ------
        ParameterError
            With the forecast, if it does not fit into the memory that is free.
        """
        forecast(2 * self.nbytes_dense, "AffinityOperator.dense",
                 fix="keep the operator, or use fewer neurons")  # fmt: skip
        ds = self.dataset
        z = ds["scaled_derivative"].to_numpy()
        if z.ndim == 2:
            values = affinity(z, self.kind).T
            animal = ds["animal"].values if "animal" in ds.coords else None
        else:
            parts = [affinity(z[:, :, w], self.kind).T for w in range(z.shape[2])]
            values, animal = np.stack(parts, axis=2), ds["animal"].values
        return label(values, self.neurons, ds["time"].values, animal=animal,
                     coords=node_coords(ds), along_time=time_coords(ds),
                     attrs=dict(ds.attrs))  # fmt: skip


def node_coords(ds: xr.Dataset) -> dict[str, np.ndarray]:
    """Further coordinates along the neurons."""
    return {
        str(k): c.values for k, c in ds.coords.items()
        if c.dims == ("neuron",) and k != "neuron"
    }  # fmt: skip


def time_coords(ds: xr.Dataset) -> dict[str, np.ndarray]:
    """Further coordinates along time."""
    return {
        str(k): c.values for k, c in ds.coords.items()
        if c.dims == ("time",) and k not in ("time", "animal")
    }  # fmt: skip


def make_operator(group, parts, kind, layout, along, attrs) -> AffinityOperator:
    """Label scaled derivatives of animals as an operator."""
    names = [a.name for a in group.animals]
    coords: dict[str, Any] = {"neuron": group.names}
    coords |= {k: ("neuron", v) for k, v in group.coords.items()}
    if layout == "aligned":
        dims: tuple[str, ...] = ("time", "neuron", "animal")
        several = len(parts) > 1
        values = (
            np.stack([z for _, z in parts], 2) if several else parts[0][1][..., None]
        )
        coords |= {"time": parts[0][0], "animal": names}
        coords |= {k: ("time", v) for k, v in along.items()}
    else:
        dims = ("time", "neuron")
        values = np.concatenate([z for _, z in parts])
        coords["time"] = np.concatenate([t for t, _ in parts])
        owner = np.repeat(names, [len(t) for t, _ in parts])
        coords["animal"] = ("time", owner)
        coords |= {k: ("time", np.tile(v, len(names))) for k, v in along.items()}
    ds = xr.Dataset({"scaled_derivative": (dims, values)}, coords=coords,
                    attrs={**attrs, "kind": kind, "layout": layout})  # fmt: skip
    return AffinityOperator(ds)


def operator_problem(op: AffinityOperator, model):
    """An operator made ready for the solvers."""
    from neuroana.connectome.factorizing import Problem

    refuse_options(model)
    z = op.dataset["scaled_derivative"].to_numpy()
    z = z[:, :, None] if z.ndim == 2 else z
    if model.layout != "aligned" or op.layout == "concat":
        z = np.concatenate(list(np.moveaxis(z, 2, 0)))[:, :, None]
    if model.layout == "single" and len(set(np.atleast_1d(op.dataset["animal"]))) > 1:
        raise SchemaError(message("layout 'single'", "one animal", "several"))
    symmetric = model.layout == "symmetric"
    forecast(
        bytes_of_fit(z.shape, model, symmetric=symmetric),
        f"NonNegativeCP of {z.shape[1]} neurons",
        fix="use layout='symmetric', which has no pair factors; fewer restarts; or "
        "fewer neurons (neuroana.connectome.screen, coarsen)",
    )
    kind = NeuronProducts if symmetric else PairProducts
    products = kind(np.moveaxis(z, 2, 0), op.kind, dtype=model.dtype)
    labels = empty_labels(op, model.layout)
    report = {"n_missing": int(np.isnan(z).sum()), "n_values": int(z.size),
              "lazy": 1}  # fmt: skip
    single = products.data.n_animals == 1
    return Problem(products, labels, single, report)


def bytes_of_fit(shape, model, *, symmetric: bool) -> int:
    """Peak memory of a fit from derivatives (time, neuron, animal)."""
    n_time, n_neurons, n_animals = shape
    size = np.dtype(model.dtype).itemsize
    n_models = model.n_init * (model.rank + int(model.baseline))
    n_pairs = n_neurons * (n_neurons - 1) // 2
    if symmetric:  # the pairs of the labelled result, not of the fit
        labels = n_pairs * (24 * model.rank + 48)
        return labels + 4 * size * (
            n_time * n_neurons + n_models * (n_time + n_neurons)
        )
    batch = min(n_models, max(1, int(ROOM / (size * n_pairs))))
    at_once = n_models * n_pairs + 3 * batch * n_pairs * n_animals + 2 * n_neurons**2
    return size * (at_once + 4 * n_time * n_neurons * n_animals) + 16 * n_pairs


def refuse_options(model) -> None:
    """Name what only a stored tensor can do."""
    if model.loss == "kl" or model.layout == "ll1" or model.init == "nndsvd":
        raise ParameterError(
            message(
                "an affinity operator",
                "loss='frobenius', init='random', layout 'aligned', 'concat' or "
                "'symmetric'",
                f"loss={model.loss!r}, init={model.init!r}, layout={model.layout!r}",
                "use AffinityOperator.dense(), if the tensor fits into memory",
            )
        )
    if not str(model.device_).startswith("cpu"):
        model.device_ = "cpu"


def empty_labels(op: AffinityOperator, layout: str) -> xr.DataArray:
    """Labels of the tensor on an array that takes no memory."""
    shape = op.shape
    blank = np.broadcast_to(np.zeros((), dtype=np.float32), shape)
    ds = op.dataset
    animal = ds["animal"].values if "animal" in ds.coords else None
    tensor = label(blank, op.neurons, ds["time"].values, animal=animal,
                   coords=node_coords(ds), along_time=time_coords(ds),
                   attrs=dict(ds.attrs))  # fmt: skip
    if layout == "aligned":
        return tensor if tensor.ndim == 3 else as_tensor(tensor, "aligned")
    if tensor.ndim == 2:
        return tensor
    n_time, n_animals = shape[1], shape[2]
    blank = np.broadcast_to(
        np.zeros((), dtype=np.float32), (shape[0], n_time * n_animals)
    )
    along = {k: np.tile(v, n_animals) for k, v in time_coords(ds).items()}
    return label(blank, op.neurons, np.tile(ds["time"].values, n_animals),
                 animal=np.repeat(np.asarray(animal), n_time),
                 coords=node_coords(ds), along_time=along,
                 attrs=dict(ds.attrs))  # fmt: skip


class SourceProducts:
    """What both kinds of products share: the derivatives and their sources."""

    def __init__(self, z: np.ndarray, kind: str, *, dtype: str = "float32"):
        self.z, self.kind, self.dtype = z, kind, np.dtype(dtype)
        self.n_animals, self.n_time, self.n_neurons = z.shape
        self.folds = None
        energy = n_seen = 0.0
        for w in range(self.n_animals):
            for rows in self.rows():
                seen = np.isfinite(z[w, rows]).sum(axis=1).astype(np.float64)
                n_seen += float((seen * (seen - 1) / 2).sum())
                for s in self.sources(w, rows, np.float64):
                    q = s * s
                    energy += float((q.sum(1) ** 2 - (q * q).sum(1)).sum()) / 2
        self.scale = float(np.sqrt(energy / max(n_seen, 1.0))) or 1.0
        self.energy = energy / self.scale**2

    def rows(self):
        """Stretches of times whose sources fit into a chunk."""
        step = max(1, CHUNK // (2 * self.n_neurons))
        for first in range(0, self.n_time, step):
            yield slice(first, min(first + step, self.n_time))

    def sources(self, w, rows, dtype=None):
        """Sources (time, neuron) of one animal."""
        z = self.z[w, rows].astype(dtype or self.dtype)
        return [np.ascontiguousarray(s) for s in sources(z, self.kind)]

    def squares(self) -> np.ndarray:
        """Sum of squares of the scaled tensor."""
        return np.array([self.energy * self.doubled])

    doubled = 1.0


class PairProducts(SourceProducts):
    """Both passes for free pair factors."""

    def __init__(self, z, kind, *, dtype="float32"):
        super().__init__(z, kind, dtype=dtype)
        seen = np.isfinite(z)
        keys = np.packbits(seen.transpose(1, 0, 2).reshape(self.n_time, -1), axis=1)
        _, first, inverse = np.unique(keys, axis=0, return_index=True,
                                      return_inverse=True)  # fmt: skip
        inverse = np.argsort(np.argsort(first))[inverse.reshape(-1)]
        order = np.argsort(inverse, kind="stable")
        bounds = np.searchsorted(inverse[order], np.arange(len(first) + 1))
        self.z = z[:, order]
        i, j = pair_indices(self.n_neurons)
        mask = None
        if not seen.all():
            at = order[bounds[:-1]]
            forecast(
                4 * len(at) * self.n_animals * len(i),
                "the mask of an affinity operator",
                fix="leave out neurons and times with missing samples",
            )
            shown = seen[:, at].swapaxes(0, 1).reshape(-1, self.n_neurons)
            mask = (shown[:, i] & shown[:, j]).astype(self.dtype)
        else:
            bounds = np.array([0, self.n_time])
        self.data = Data(np.empty(0, dtype=self.dtype), len(i), self.n_animals, bounds,
                         mask, order, self.scale)  # fmt: skip

    def fold_masks(self):
        """The mask of the pairs, (1, G W, P), or None."""
        return None if self.data.mask is None else self.data.mask[None]

    def pairs(self, stacks):
        """Z[s, r, w, p], one symmetric rank-T update a component."""
        from scipy.linalg.blas import get_blas_funcs

        n = self.n_neurons
        i, j = pair_indices(n)
        out = []
        for A, B, _, _ in stacks:
            b = np.sqrt(B.reshape(-1, self.n_time))
            z = np.empty((len(b), self.n_animals, len(i)), dtype=self.dtype)
            syrk = get_blas_funcs("syrk", dtype=self.dtype)
            room = max(1, int(ROOM / (n * n * self.dtype.itemsize)))
            for first in range(0, len(b), room):
                block = range(first, min(first + room, len(b)))
                for w in range(self.n_animals):
                    sums = {k: np.zeros((n, n), self.dtype, order="F") for k in block}
                    for rows in self.rows():
                        for s in self.sources(w, rows):
                            for k in block:
                                part = (s * b[k, rows, None]).T
                                sums[k] = syrk(1.0, part, beta=1.0, c=sums[k],
                                               overwrite_c=1)  # fmt: skip
                    for k in block:
                        z[k, w] = sums[k][i, j] / self.scale
            out.append(z.reshape(*A.shape[:2], self.n_animals, -1))
        return out

    def times(self, stacks, dtype=None):
        """K_B[s, r, t], one triangular product a component."""
        from scipy.linalg.blas import get_blas_funcs

        dtype = np.dtype(dtype or self.dtype)
        n = self.n_neurons
        i, j = pair_indices(n)
        trmm = get_blas_funcs("trmm", dtype=dtype)
        out = []
        for A, _, C, _ in stacks:
            a = A.reshape(-1, A.shape[2])
            c = C.reshape(len(a), -1)
            k = np.zeros((len(a), self.n_time), dtype=dtype)
            upper = np.zeros((n, n), dtype=dtype, order="F")
            for r in range(len(a)):
                upper[i, j] = a[r]
                for w in range(self.n_animals):
                    for rows in self.rows():
                        for s in self.sources(w, rows, dtype):
                            moved = trmm(1.0, upper, s.T)
                            k[r, rows] += c[r, w] * np.einsum("nt,tn->t", moved, s)
            out.append((k / dtype.type(self.scale)).reshape(*A.shape[:2], -1))
        return out

    def squared_error(self, stack):
        """Squared residual of one model and sum of squares, in float64."""
        from neuroana.connectome.hals import grams, inner_grams, outer, time_grams

        A, B, C = (f.astype(np.float64) for f in stack[:3])
        (k,) = self.times([(A, B, C, stack[3])], np.float64)
        own = None if self.data.mask is None else self.data.mask[None]
        h = time_grams(inner_grams(A, own), outer(C), self.data.n_groups)
        fitted = float((grams(B, self.data.bounds) * h).sum())
        return max(self.energy - 2 * float((k * B).sum()) + fitted, 0.0), self.energy

    def slice_of_largest_residual(self, A, B, C):
        """The most energetic time, and its frame (W, P)."""
        energy = np.zeros(self.n_time)
        for w in range(self.n_animals):
            for rows in self.rows():
                for s in self.sources(w, rows):
                    energy[rows] += (s * s).sum(axis=1) ** 2
        where = int(np.argmax(energy))
        rows = slice(where, where + 1)
        frames = [affinity(np.nan_to_num(self.z[w, rows]), self.kind)[0]
                  for w in range(self.n_animals)]  # fmt: skip
        return where, np.stack(frames).astype(self.dtype) / self.dtype.type(self.scale)


class OffDiagonal:
    """The mask of (N, N) pairs without their diagonal, as a matrix that is not made."""

    __array_ufunc__ = None

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self

    def __rmatmul__(self, left):
        return left.sum(axis=-1, keepdims=True) - left

    def __matmul__(self, right):
        return right.sum(axis=-2, keepdims=True) - right


class FirstPass:
    """The first pass for neuron loadings, each of its two targets when asked for."""

    def __init__(self, products, B):
        self.products, self.B = products, B

    def over_animals(self, C):
        """K[s, r, i] = sum over t, j != i of B C X."""
        p = self.products
        total = np.zeros_like(C)
        for rows in p.rows():
            for s in p.sources(0, rows):
                b = self.B[:, :, rows]
                total += (b * (C @ s.T)) @ s - (b @ (s * s)) * C
        return total / C.dtype.type(p.scale)

    over_pairs = over_animals


class NeuronProducts(SourceProducts):
    """Both passes for neuron loadings: no object of size N^2."""

    doubled = 2.0  # every pair stands in the matrix twice

    def __init__(self, z, kind, *, dtype="float32"):
        if np.isnan(z).any():
            raise ParameterError(
                message(
                    "layout 'symmetric' without a tensor",
                    "derivatives of all neurons at all times",
                    "missing ones",
                    "leave out neurons that some animal lacks",
                )
            )
        super().__init__(z, kind, dtype=dtype)
        n = self.n_neurons
        self.data = Data(np.empty(0, dtype=self.dtype), n, n,
                         np.array([0, self.n_time]), None, np.arange(self.n_time),
                         self.scale)  # fmt: skip

    def fold_masks(self):
        """All pairs but those on the diagonal."""
        return OffDiagonal()

    def pairs(self, stacks):
        """One lazy pass a stack."""
        return [FirstPass(self, B) for _, B, _, _ in stacks]

    def times(self, stacks, dtype=None):
        """K_B[s, r, t] = sum over i != j of A C X."""
        out = []
        for A, B, C, _ in stacks:
            k = np.zeros(B.shape, dtype=dtype or self.dtype)
            for rows in self.rows():
                for s in self.sources(0, rows, dtype):
                    q = (A * C) @ (s * s).T
                    k[:, :, rows] += (A @ s.T) * (C @ s.T) - q
            out.append(k / k.dtype.type(self.scale))
        return out

    def squared_error(self, stack):
        """Squared residual of one model and sum of squares, in float64."""
        from neuroana.connectome.hals import grams, inner_grams, outer, time_grams

        A, B, C = (f.astype(np.float64) for f in stack[:3])
        (k,) = self.times([(A, B, C, stack[3])], np.float64)
        h = time_grams(inner_grams(A, OffDiagonal()), outer(C), 1)
        fitted = float((grams(B, self.data.bounds) * h).sum())
        size = self.energy * self.doubled
        return max(size - 2 * float((k * B).sum()) + fitted, 0.0), size

    def slice_of_largest_residual(self, A, B, C):
        """The most energetic time, and its loadings as a frame of one row."""
        energy = np.concatenate([
            sum((s * s).sum(axis=1) ** 2 for s in self.sources(0, rows))
            for rows in self.rows()
        ])  # fmt: skip
        where = int(np.argmax(energy))
        s = sum(self.sources(0, slice(where, where + 1)))
        return where, s / self.dtype.type(np.sqrt(self.scale))
