"""Traces to an affinity tensor: ``DifferentialAffinity``."""

import warnings

import numpy as np
import xarray as xr
from sklearn.base import TransformerMixin

from neuroana.connectome.affinity import (
    DERIVED,
    KINDS,
    LOW_RANK,
    affinity,
    check_kernel,
    phase_coherence,
    window_correlation,
)
from neuroana.connectome.alignment import interpolate, stimulus_clock
from neuroana.connectome.animals import Animal, Group, gather
from neuroana.connectome.derivative import (
    derivative,
    robust_scale,
    stream_derivative,
)
from neuroana.connectome.tensors import TensorSizeError, label
from neuroana.core.checks import check_choice, check_number, message
from neuroana.core.errors import DataWarning, ParameterError, SchemaError
from neuroana.core.estimator import Estimator
from neuroana.core.random import branch


PAPER = """@inproceedings{dyballa2024learning,
  title = {Learning dynamic representations of the functional connectome in
           neurobiological networks},
  author = {Dyballa, Luciano and Lang, Samuel and Haslund-Gourley, Alexandra and
            Yemini, Eviatar and Zucker, Steven W.},
  booktitle = {International Conference on Learning Representations},
  year = {2024},
  eprint = {2402.14102}
}"""


class DifferentialAffinity(TransformerMixin, Estimator):
    """How strongly each pair of neurons changes together, at every moment.

    Each trace is differentiated, divided by its own robust scale in that animal, and
    pairs are joined by a non-negative kernel; see `kind`. Use it for calcium traces,
    and with ``kind="phase"`` or ``"window_corr"`` for band-passed fMRI or envelopes.
    Neurons that an animal lacks, and neurons that never change, are NaN there.

    Costs O(N^2 T W) operations and ``N^2 T W / 2`` values; above `max_dense_bytes` an
    :class:`AffinityOperator` is made that holds ``N T W`` values only.

    Parameters
    ----------
    kind : str or callable
        "geomean": sqrt(max(z_i z_j, 0)), both directions of change. "rise", "fall":
        one direction. "product": max(z_i z_j, 0). "min": the smaller change of two in
        the same direction. "anti": opposite change. "signed": geomean and anti side by
        side. "window_corr": rectified correlation in a Gaussian window. "phase":
        max(cos of the phase difference, 0). Or a function f(z_i, z_j), symmetric and
        >= 0.
    derivative : {"gaussian", "savgol", "diff"}
    sigma : float
        Seconds: width of the derivative's kernel, and of the window of "window_corr".
    scale : {"mad", "std", None}
        What z is divided by.
    smooth : float, optional
        Width in seconds of a Gaussian over the affinity.
    stride : int
        Mean over so many samples of the affinity.
    pairs : {"all"}
        Which pairs.
    layout : {"aligned", "concat"}
        One clock for all animals, (pair, time, animal); or animals one after the
        other, (pair, time), for spontaneous recordings and unequal lengths.
    align : {None, "events"}
        "events": cut every animal around its stimuli and lay the pieces in one order.
    pre, post : float
        Seconds before the onset and after the end of a stimulus.
    lazy : {"auto", True, False}
        Whether to make an operator instead of the tensor.
    max_dense_bytes : float
        Largest tensor that is made.
    dtype : {"float32", "float64"}
    sampling_rate : float, optional
        In Hz, for arrays without a clock.

    Attributes
    ----------
    scale_ : DataArray (neuron, animal)
        Scale of the derivative; NaN where an animal lacks the neuron.
    excluded_ : list of str
        "animal: neuron" of every trace that never changes.

    References
    ----------
    Dyballa et al., ICLR 2024, arXiv 2402.14102. The exact kernel of the paper is not
    public; see the page on fidelity.

    Examples
    --------
    >>> from neuroana.connectome import DifferentialAffinity, simulate_motifs
    >>> recordings, truth = simulate_motifs(
    ...     n_neurons=12, n_samples=200, random_state=0)
    >>> tensor = DifferentialAffinity().fit_transform(recordings)
    >>> dict(tensor.sizes)
    {'pair': 66, 'time': 200, 'animal': 1}
    """

    _citation = PAPER

    def __init__(
        self,
        kind="geomean",
        derivative="gaussian",
        *,
        sigma=0.75,
        scale="mad",
        smooth=None,
        stride=1,
        pairs="all",
        layout="aligned",
        align=None,
        pre=10.0,
        post=20.0,
        lazy="auto",
        max_dense_bytes=2e9,
        dtype="float32",
        sampling_rate=None,
    ):
        self.kind = kind
        self.derivative = derivative
        self.sigma = sigma
        self.scale = scale
        self.smooth = smooth
        self.stride = stride
        self.pairs = pairs
        self.layout = layout
        self.align = align
        self.pre = pre
        self.post = post
        self.lazy = lazy
        self.max_dense_bytes = max_dense_bytes
        self.dtype = dtype
        self.sampling_rate = sampling_rate

    def fit(self, X, y=None):
        """Learn the scale of every neuron in every animal.

        Parameters
        ----------
        X : recording, collection, DataArray or ndarray (time, neuron[, animal])
        y : ignored

        Returns
        -------
        DifferentialAffinity
            Itself.
        """
        self._check_parameters()
        self._prepare(X)
        return self

    def transform(self, X):
        """Affinities of recordings; every animal is scaled by itself.

        Parameters
        ----------
        X : recording, collection, DataArray or ndarray (time, neuron[, animal])

        Returns
        -------
        DataArray (pair, time, animal) or (pair, time), or AffinityOperator

        Raises
        ------
        ParameterError, SchemaError, ShapeError, TypeError
            If the recordings cannot be used; the message says why.
        TensorSizeError
            Before anything of that size is made.

        Examples
        --------
        >>> from neuroana.connectome import DifferentialAffinity, simulate_motifs
        >>> recordings, truth = simulate_motifs(
        ...     n_neurons=12, n_samples=200, random_state=0)
        >>> model = DifferentialAffinity("rise", stride=2).fit(recordings)
        >>> model.transform(recordings).sizes["time"]
        100
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        return self._tensor(*self._prepare(X, learn=False))

    def fit_transform(self, X, y=None):
        """Learn the scales and make the tensor in one pass.

        Examples
        --------
        >>> from neuroana.connectome import DifferentialAffinity, simulate_motifs
        >>> recordings, truth = simulate_motifs(
        ...     n_neurons=12, n_samples=200, random_state=0)
        >>> DifferentialAffinity().fit_transform(recordings).dtype
        dtype('float32')
        """
        self._check_parameters()
        return self._tensor(*self._prepare(X))

    def _check_parameters(self):
        if not callable(self.kind):
            check_choice("kind", self.kind, KINDS)
        check_choice("derivative", self.derivative, ["gaussian", "savgol", "diff"])
        check_choice("scale", self.scale, ["mad", "std", None])
        check_choice("layout", self.layout, ["aligned", "concat"])
        check_choice("align", self.align, [None, "events"])
        check_choice("pairs", self.pairs, ["all"])
        check_choice("lazy", self.lazy, ["auto", True, False])
        check_choice("dtype", self.dtype, ["float32", "float64"])
        check_number("sigma", self.sigma, minimum=0.0, open_ends=True)
        check_number("stride", self.stride, minimum=1, integer=True)
        if self.smooth is not None:
            check_number("smooth", self.smooth, minimum=0.0, open_ends=True)

    def _prepare(self, X, *, learn=True):
        """Scaled derivatives (or traces) of every animal on the union of neurons."""
        group = gather(X, sampling_rate=self.sampling_rate)
        ready, scales, excluded, by_std = [], [], [], 0
        for animal in group.animals:
            self._check_length(animal)
            z, scale, constant = self._scaled(animal)
            ready.append(group.spread(animal, z))
            scales.append(group.spread(animal, scale.scale[None])[0])
            by_std += int(scale.by_std.sum())
            excluded += [f"{animal.name}: {n}" for n in animal.names[constant]]
        alive = np.any([np.isfinite(z).any(axis=0) for z in ready], axis=0)
        if alive.sum() < 3:
            raise ParameterError(
                message("X", "at least 3 neurons that change", int(alive.sum()))
            )
        if excluded:
            warnings.warn(
                f"{len(excluded)} traces never change and are left out: "
                f"{', '.join(excluded[:8])}{' ...' if len(excluded) > 8 else ''}.",
                DataWarning,
                stacklevel=3,
            )
        if by_std and self.scale == "mad":
            warnings.warn(
                f"{by_std} traces have a median absolute deviation of zero and are "
                "scaled by their standard deviation.",
                DataWarning,
                stacklevel=3,
            )
        coords = {k: v[alive] for k, v in group.coords.items()}
        group = Group(group.animals, group.dim, group.names[alive], coords,
                      group.synthetic)  # fmt: skip
        if learn:
            self.excluded_ = excluded
            self.scale_ = xr.DataArray(
                np.transpose(scales)[alive],
                dims=("neuron", "animal"),
                coords={
                    "neuron": group.names,
                    "animal": [a.name for a in group.animals],
                },
                name="scale",
            )
        return group, ready if alive.all() else [z[:, alive] for z in ready]

    def _check_length(self, animal: Animal):
        n_samples, dt = len(animal.x), animal.dt if len(animal.x) > 1 else np.inf
        if n_samples < 5 * self.sigma / dt or n_samples < 3:
            raise ParameterError(
                message(
                    f"{animal.name}: duration",
                    f"at least 5 sigma, {5 * self.sigma:g} s",
                    f"{n_samples} samples",
                    "use a longer recording or a smaller sigma",
                )
            )

    def _scaled(self, animal: Animal):
        """z, its scale and which columns never change."""
        lazy = isinstance(animal.x, xr.DataArray)
        if self.kind in ("window_corr", "phase"):
            x = animal.x
            if lazy:
                x = np.where(animal.good[:, None], x.to_numpy(), np.nan)
            found = robust_scale(x, None)
            z = np.where(found.is_constant, np.nan, x)
            return z, found, found.is_constant & np.isfinite(x).any(axis=0)
        options = {"method": self.derivative, "sigma": self.sigma}
        if lazy:
            z = stream_derivative(animal.x, animal.good, animal.dt, dtype=self.dtype,
                                  **options)  # fmt: skip
        else:
            z = derivative(animal.x, animal.dt, **options)
        found = robust_scale(z, self.scale)
        seen = np.isfinite(z).any(axis=0)
        z /= found.scale.astype(z.dtype)
        z[:, found.is_constant] = np.nan
        return z.astype(self.dtype, copy=False), found, found.is_constant & seen

    def _on_one_clock(self, group: Group, ready):
        """Derivatives on the clock of the stimuli, and what stands on it."""
        if self.align is None:
            return [(a.time, z) for a, z in zip(group.animals, ready)], {}
        clock, places = stimulus_clock(group.animals, pre=self.pre, post=self.post)
        cut = [
            (clock.time, interpolate(a.time, z, at))
            for a, z, at in zip(group.animals, ready, places)
        ]
        along = {"stimulus": clock.stimulus, "phase": clock.phase, "t_rel": clock.t_rel}
        return cut, along

    def _tensor(self, group: Group, ready):
        parts, along = self._on_one_clock(group, ready)
        self._check_clocks(group, parts)
        n = len(group.names)
        n_pairs = n * (n - 1) // 2 * (2 if self.kind == "signed" else 1)
        n_samples = sum(len(t) // self.stride for t, _ in parts)
        size = n_pairs * n_samples * np.dtype(self.dtype).itemsize
        plain = self.kind in LOW_RANK and self.stride == 1 and self.smooth is None
        lazy = size > self.max_dense_bytes if self.lazy == "auto" else self.lazy
        attrs = self._attributes(group)
        if lazy:
            if not plain:
                raise TensorSizeError(
                    message(
                        f"affinity {self.kind!r} of {n} neurons, {n_samples} samples",
                        f"at most {self.max_dense_bytes / 1e9:.3g} GB",
                        f"{size / 1e9:.3g} GB",
                        f"use kind={', '.join(map(repr, LOW_RANK))} with stride=1 and "
                        "smooth=None, which need no tensor; fewer neurons "
                        "(neuroana.connectome.screen, coarsen); or raise "
                        "max_dense_bytes",
                    )
                )
            from neuroana.connectome.operators import make_operator

            return make_operator(group, parts, self.kind, self.layout, along, attrs)
        if callable(self.kind):
            check_kernel(self.kind, parts[0][1], branch(0))
        made = [self._dense(a, t, z) for a, (t, z) in zip(group.animals, parts)]
        return self._joined(group, made, along, attrs)

    def _attributes(self, group: Group):
        kind = "callable" if callable(self.kind) else self.kind
        return {
            "kind": kind,
            "layout": self.layout,
            "derivative": self.derivative if kind in (*DERIVED, "callable") else "none",
            "sigma": float(self.sigma),
            "stride": int(self.stride),
            "dim": group.dim,
            "synthetic": group.synthetic,
        }

    def _check_clocks(self, group: Group, parts):
        if self.layout == "concat" or len(parts) == 1 or self.align:
            return
        lengths = [len(t) for t, _ in parts]
        dts = [a.dt for a in group.animals]
        odd = [
            a.name
            for a, n, dt in zip(group.animals, lengths, dts)
            if n != lengths[0] or abs(dt / dts[0] - 1.0) > 1e-3
        ]
        if odd:
            raise SchemaError(
                message(
                    "layout 'aligned'",
                    f"{lengths[0]} samples every {dts[0]:.4g} s, as in "
                    f"{group.animals[0].name}, in all animals",
                    f"others in {odd[:6]}",
                    "use layout='concat' for recordings without a common clock, or "
                    "align='events'",
                )
            )

    def _dense(self, animal: Animal, time, z):
        """Affinity (time, pair) of one animal, smoothed and pooled."""
        if self.kind == "window_corr":
            a = window_correlation(z, self.sigma / animal.dt)
        elif self.kind == "phase":
            a = phase_coherence(z)
        else:
            a = affinity(z, self.kind)
        a = a.astype(self.dtype, copy=False)
        if self.smooth:
            a = smoothed(a, self.smooth / animal.dt)
        if self.stride > 1:
            n = len(a) // self.stride
            a = a[: n * self.stride].reshape(n, self.stride, -1).mean(axis=1)
            time = time[: n * self.stride].reshape(n, -1).mean(axis=1)
        return time, a

    def _joined(self, group: Group, made, along, attrs):
        names = [a.name for a in group.animals]
        along = {k: pooled(v, self.stride) for k, v in along.items()}
        options = {"coords": group.coords, "along_time": along, "attrs": attrs}
        if self.layout == "aligned":
            values = np.stack([a.T for _, a in made], axis=2)
            return label(values, group.names, made[0][0], animal=names, **options)
        values = np.concatenate([a.T for _, a in made], axis=1)
        time = np.concatenate([t for t, _ in made])
        animal = np.repeat(names, [len(t) for t, _ in made])
        options["along_time"] = {
            k: np.tile(v, len(names)) for k, v in options["along_time"].items()
        }
        return label(values, group.names, time, animal=animal, **options)


def pooled(values: np.ndarray, stride: int) -> np.ndarray:
    """Every `stride`-th value: text has no mean."""
    n = len(values) // stride
    return values[: n * stride : stride]


def smoothed(a: np.ndarray, sigma_samples: float) -> np.ndarray:
    """Gaussian mean over time of what was observed; NaN stays NaN."""
    from scipy.ndimage import gaussian_filter1d

    known = np.isfinite(a)
    weight = gaussian_filter1d(known.astype(a.dtype), sigma_samples, axis=0)
    total = gaussian_filter1d(np.where(known, a, 0.0), sigma_samples, axis=0)
    return np.where(known, total / np.where(weight > 0, weight, 1.0), np.nan)
