"""The one contract that all operators keep: what goes in, what is declared and checked.

An operator is a function of a batch x (recording, time, roi) that returns W
(recording, source, target), W[b, i, j] from i to j.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neuroana.core.checks import message
from neuroana.core.errors import ParameterError, SchemaError, ShapeError
from neuroana.fc.sharing import (
    Shared,
    Workspace,
    intermediates_of,
    numbers_of,
    parameters_of,
)


ASYMMETRY = 1e-8  # of the largest entry
GIVEN = ("fs", "reference")  # by whoever calls the operator, not options


def few_copies(T: int, N: int) -> int:
    """As many numbers as two copies of the samples and four matrices."""
    return 2 * T * N + 4 * N**2


@dataclass(frozen=True, eq=False)
class Operator:
    """One way to say how strongly regions are coupled; call it on arrays.

    Attributes
    ----------
    name, family : str
    function : callable
        The kernel as it was written.
    directed : bool
        W[i, j] is from i to j, and differs from W[j, i].
    signed : bool
        Negative values mean something.
    distance : bool
        Small means near.
    ordered : bool
        The order of the samples matters.
    zscored : bool
        Regions are standardised first, unless the caller says otherwise.
    pairwise : callable or None
        The same for samples with NaN, left out pair by pair.
    cost : str
        Operations for one recording, in T (time), N (roi), P (pairs), F (frequencies).
    source : str
        The paper that defines it.
    batched : bool
        The kernel takes many recordings at once.
    learn : callable or None
        What it learns from the training recordings, as ``reference``.
    workspace : callable
        ``workspace(T, N, ...)``: numbers of 8 bytes that the kernel holds for one
        recording beside its intermediates, given the options that it names.
    """

    name: str
    function: Callable = field(repr=False)
    family: str
    directed: bool = False
    signed: bool = False
    distance: bool = False
    ordered: bool = False
    zscored: bool = True
    pairwise: Callable | None = field(default=None, repr=False)
    cost: str = "T*N^2"
    source: str = ""
    batched: bool = True
    needs: tuple[str, ...] = ("time",)
    learn: Callable | None = field(default=None, repr=False)
    workspace: Workspace = field(default=few_copies, repr=False)

    @property
    def parameters(self) -> dict[str, Any]:
        """Names and defaults of the options, those of its intermediates among them."""
        found = parameters_of(self.function)
        return {k: p.default for k, p in found.items() if k not in GIVEN}

    @property
    def needs_rate(self) -> bool:
        """Whether it asks for the sampling rate."""
        return "fs" in parameters_of(self.function)

    def check_parameters(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return `params` if the operator knows all of them.

        Raises
        ------
        ParameterError
            Names the unknown options and the nearest known ones.
        """
        known = self.parameters
        unknown = [k for k in params if k not in known]
        if not unknown:
            return params
        near = difflib.get_close_matches(unknown[0], known, n=3, cutoff=0.0)
        raise ParameterError(
            message(
                f"operator {self.name!r}",
                f"options that it has; nearest: {', '.join(map(repr, near))}"
                if known
                else "no options, as it has none",
                ", ".join(map(repr, unknown)),
                f"{self.name!r} takes {', '.join(known)}" if known else "",
            )
        )

    def bytes_for(self, n_time: int, n_roi: int, params: dict[str, Any]):
        """Bytes for one recording: of the kernel, and of each intermediate.

        Options that make no sense count as the defaults: the kernel refuses them.
        """
        for options in ({**self.parameters, **params, "fs": 1.0}, self.parameters):
            try:
                own = numbers_of(self.workspace, n_time, n_roi, options)
                shared = intermediates_of(self.function, n_time, n_roi, options)
                return 8 * own, {k: 8 * v for k, v in shared.items()}
            except (TypeError, ValueError):
                continue
        return 8.0 * few_copies(n_time, n_roi), {}

    def __call__(self, x: Any, *, fs: float | None = None, reference=None, **params):
        """Apply to arrays.

        Parameters
        ----------
        x : ndarray (time, roi) or (recording, time, roi), or list of (time, roi)
            Finite samples; a list may hold unequal lengths. A torch tensor goes
            through the kernel of ``neuroana.fc.tensors``, and gradients with it.
        fs : float, optional
            Sampling rate in Hz.
        reference : ndarray, optional
            What :attr:`learn` returned; learned from `x` itself when left out.
        **params
            Options of the operator.

        Returns
        -------
        ndarray or tensor ([recording,] ..., source, target), or list of them
        """
        self.check_parameters(params)
        if type(x).__module__ == "torch":
            w = self.on_tensor(x[None] if x.ndim == 2 else x, fs=fs, **params)
            return w[0] if x.ndim == 2 else w
        several = isinstance(x, list | tuple)
        parts = [as_batch(part) for part in (x if several else [x])]
        if self.learn is not None and reference is None:
            reference = self.learn([w for p in parts for w in p], **params)
        made = [self.run(Shared(p), fs=fs, reference=reference, **params)[0]
                for p in parts]  # fmt: skip
        flat = [m[0] if several or np.ndim(x) == 2 else m for m in made]
        return flat if several else flat[0]

    def on_tensor(self, x: Any, *, fs: float | None = None, **params) -> Any:
        """W of a torch tensor (recording, time, roi), where it is."""
        from neuroana.fc.tensors import TENSORS

        kernel = TENSORS.get(self.name)
        if kernel is None:
            raise ParameterError(
                message(
                    f"operator {self.name!r}",
                    "one that computes on tensors",
                    "one that does not",
                    f"pass an array; on tensors there are {', '.join(TENSORS)}",
                )
            )
        if self.needs_rate:
            params["fs"] = self._rate(fs)
        known = parameters_of(kernel)
        unknown = [k for k in params if k not in known]
        if unknown:
            raise ParameterError(
                message(f"operator {self.name!r} on a tensor",
                        f"options among {', '.join(known) or 'none'}", unknown,
                        "pass an array")
            )  # fmt: skip
        return kernel(x, **params)

    def _rate(self, fs: float | None) -> float:
        if fs is None:
            raise ParameterError(
                message(
                    f"operator {self.name!r}",
                    "a sampling rate",
                    "none",
                    "pass recordings with a rate, sampling_rate= or, to the "
                    "operator itself, fs= in Hz",
                )
            )
        return float(fs)

    def run(self, shared: Shared, *, fs=None, reference=None, **params):
        """W of one batch and the coordinates of its further dims, checked."""
        self.check_parameters(params)
        if self.needs_rate:
            params = {**params, "fs": self._rate(fs)}
        if self.learn is not None:
            params = {**params, "reference": reference}
        if self.batched:
            made = shared.call(self.function, params)
            w, coords = made if isinstance(made, tuple) else (made, {})
        else:
            parts = [self._single(x, params) for x in shared.x]
            w, coords = np.stack([part[0] for part in parts]), parts[0][1]
        return self.check(w, shared.x.shape), coords

    def _single(self, x: np.ndarray, params: dict[str, Any]):
        """W of one recording by a kernel that takes one at a time."""
        shared = Shared(x[None])
        keywords = shared.keywords(self.function, params)
        own = {k: v if k in params else v[0] for k, v in keywords.items()}
        made = self.function(x, **own)
        return made if isinstance(made, tuple) else (np.asarray(made), {})

    def check(self, w: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Return W if it has the shape, the values and the symmetry declared."""
        where = f"operator {self.name!r}"
        w = np.asarray(w)
        n_recordings, _, n = shape
        if w.ndim < 3 or w.shape[0] != n_recordings or w.shape[-2:] != (n, n):
            raise ShapeError(
                message(where, f"shape ({n_recordings}, ..., {n}, {n})", w.shape)
            )
        if w.dtype.kind != "f":
            raise SchemaError(message(where, "real floating numbers", w.dtype))
        if not np.isfinite(w.sum()):  # one pass where all is well
            self._check_finite(w, where)
        if self.directed:
            return w
        turned = np.swapaxes(w, -1, -2)
        if np.array_equal(w, turned, equal_nan=True):
            return w
        gap, size = np.nanmax(np.abs(w - turned)), np.nanmax(np.abs(w))
        if gap > ASYMMETRY * max(size, 1e-300):
            raise SchemaError(
                message(
                    where,
                    "a symmetric matrix, as it is declared undirected",
                    f"entries that differ by {gap:.3g}",
                    "declare it directed=True, or average both directions",
                )
            )
        return (w + turned) / 2

    @staticmethod
    def _check_finite(w: np.ndarray, where: str) -> None:
        bad = ~np.isfinite(w)
        bad &= ~(np.eye(w.shape[-1], dtype=bool) & np.isnan(w))
        if bad.any():
            raise SchemaError(
                message(
                    where,
                    "finite values off the diagonal",
                    f"{int(bad.sum())} that are not",
                    "look for regions that hardly change, or too few samples",
                )
            )


def as_batch(x: Any) -> np.ndarray:
    """Finite float64 samples (recording, time, roi) from (time, roi) or a batch."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiub" or x.ndim not in (2, 3) or 0 in x.shape:
        raise ShapeError(
            message(
                "argument 'x'",
                "real samples (time, roi) or (recording, time, roi)",
                f"shape {x.shape}, dtype {x.dtype}",
            )
        )
    x = np.asarray(x, dtype=np.float64)
    missing = x.size - int(np.isfinite(x).sum())
    if missing:
        raise ParameterError(
            message(
                "argument 'x'",
                "finite samples",
                f"{missing} that are missing or infinite",
                "interpolate them, or use neuroana.fc.connectivity(..., nan=...)",
            )
        )
    return x[None] if x.ndim == 2 else x
