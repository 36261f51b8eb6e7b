"""Weights of others, loaded so that nothing is lost in silence.

Files are safetensors, or what ``torch.load(weights_only=True)`` accepts; of the
further classes that published checkpoints hold, only ``argparse.Namespace`` is let
in. What was loaded, what is missing and what is left over is always reported.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroana.core.checks import message
from neuroana.core.errors import CorruptFileError, SchemaError


if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)
CONTAINERS = ("model", "module", "state_dict")
PREFIXES = ("student.",)
NO_WEIGHTS = ("relative_position_index",)
ENOUGH = 0.95


@dataclass(frozen=True)
class WeightsReport:
    """What became of the tensors of a checkpoint.

    Returned by :func:`load_weights`.

    Attributes
    ----------
    loaded, missing, unexpected : tuple of str
        Keys taken over; of the network, not in the file; of the file, not in the
        network.
    mismatched : tuple of str
        Keys whose shapes differ, with both shapes.
    shares : dict
        Loaded share of the tensors of each branch.
    sha256 : str
        Of the file, where there was one.

    Examples
    --------
    >>> WeightsReport(("a",), ("b",), (), (), {"all": 0.5}).summary()
    '1 loaded, 1 missing (b), 0 unexpected, 0 of another shape; all 50 %'
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]
    shares: dict[str, float] = field(default_factory=dict)
    sha256: str = ""

    def summary(self) -> str:
        """One line: counts, the first keys of each kind, the share of each branch."""
        lists = (
            ("missing", self.missing),
            ("unexpected", self.unexpected),
            ("of another shape", self.mismatched),
        )
        parts = [f"{len(self.loaded)} loaded"]
        for kind, keys in lists:
            shown = ", ".join(keys[:4]) + (" ..." if len(keys) > 4 else "")
            parts.append(f"{len(keys)} {kind}" + (f" ({shown})" if keys else ""))
        shares = ", ".join(f"{k} {100 * v:.0f} %" for k, v in self.shares.items())
        return ", ".join(parts) + (f"; {shares}" if shares else "")


def read_weights(path: str | Path) -> tuple[dict[str, "Tensor"], str]:
    """Read the tensors of a checkpoint without running what it may hold.

    Use it before :func:`load_weights`. A training container is opened (``model``,
    ``module`` or ``state_dict``), and where keys begin with ``student.`` only these
    are kept, without it.

    Parameters
    ----------
    path : str or Path
        A safetensors file, or a file that ``torch.save`` wrote.

    Returns
    -------
    weights : dict of str to Tensor
    sha256 : str
        Of the file.

    Raises
    ------
    FileNotFoundError, CorruptFileError
        If the file is not there or damaged.
    SchemaError
        If it asks for other classes than tensors, or holds no tensors.

    Examples
    --------
    >>> import tempfile, torch
    >>> from safetensors.torch import save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "weights.safetensors")
    ...     save_file({"head.bias": torch.ones(2)}, path)
    ...     weights, _ = read_weights(path)
    >>> weights["head.bias"].tolist()
    [1.0, 1.0]
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(message(f"{path}", "a file of weights", "no such file"))
    found = _read_safely(path)
    for name in CONTAINERS:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
            break
    weights = _tensors(found)
    for prefix in PREFIXES:
        inner = {
            k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)
        }
        weights = inner or weights
    weights = {k: v for k, v in weights.items() if not k.endswith(NO_WEIGHTS)}
    if not weights:
        raise SchemaError(message(f"{path}", "tensors under text keys", "none"))
    with path.open("rb") as file:
        return weights, hashlib.file_digest(file, "sha256").hexdigest()


def load_weights(
    network: "nn.Module",
    weights: Mapping[str, "Tensor"],
    *,
    branches: Mapping[str, Sequence[str]],
    ignore: Sequence[str] = (),
    strict: bool = True,
    sha256: str = "",
) -> WeightsReport:
    """Copy the tensors of a checkpoint into a network and report every key.

    Use it for pretrained weights. Nothing is changed when it raises.

    Parameters
    ----------
    network : torch.nn.Module
    weights : mapping of str to Tensor
        From :func:`read_weights`.
    branches : mapping of str to sequence of str
        Key prefixes of each part that the checkpoint has to fill.
    ignore : sequence of str
        Keys that do not count, for example fixed buffers.
    strict : bool, default=True
        Refuse a checkpoint that fills less than 95 % of the tensors of a branch.
    sha256 : str
        Of the file, for the report.

    Returns
    -------
    WeightsReport

    Raises
    ------
    SchemaError
        If a branch stays below 95 % and `strict`, with the report.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Linear(2, 1)
    >>> load_weights(net, {"weight": torch.ones(1, 2), "bias": torch.ones(1)},
    ...              branches={"all": ("",)}).shares
    {'all': 1.0}
    """
    import torch

    own = {k: v for k, v in network.state_dict().items() if k not in ignore}
    offered = {k: v for k, v in weights.items() if k not in ignore}
    fits = [k for k in own if k in offered and own[k].shape == offered[k].shape]
    report = WeightsReport(
        loaded=tuple(fits),
        missing=tuple(k for k in own if k not in offered),
        unexpected=tuple(k for k in offered if k not in own),
        mismatched=tuple(
            f"{k} {tuple(offered[k].shape)} for {tuple(own[k].shape)}"
            for k in own
            if k in offered and k not in set(fits)
        ),
        shares={
            name: _share(own, fits, tuple(prefixes))
            for name, prefixes in branches.items()
        },
        sha256=sha256,
    )
    poor = [name for name, share in report.shares.items() if share < ENOUGH]
    if poor and strict:
        raise SchemaError(
            message(
                "checkpoint",
                f"at least {100 * ENOUGH:.0f} % of the tensors of each branch",
                f"{poor} below: {report.summary()}",
                "build the network with the sizes and channels of the checkpoint, or "
                "pass strict=False to take what fits",
            )
        )
    with torch.no_grad():
        for key in fits:
            own[key].copy_(offered[key])
    logger.info("weights: %s", report.summary())
    return report


def _share(own: Mapping[str, Any], fits: list[str], prefixes: tuple[str, ...]) -> float:
    wanted = [k for k in own if k.startswith(prefixes)]
    return sum(k in set(fits) for k in wanted) / len(wanted) if wanted else 0.0


def _read_safely(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise CorruptFileError(
                message(f"{path}", "a whole safetensors file", str(error))
            ) from error
    import argparse
    import pickle

    import torch

    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise SchemaError(
            message(
                f"{path}",
                "tensors and plain settings only",
                "a pickle that asks for other classes, or no checkpoint at all",
                "convert it to safetensors where you trust it",
            )
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise CorruptFileError(
            message(f"{path}", "a whole file of torch.save", str(error)[:200])
        ) from error


def _tensors(found: Any) -> dict[str, "Tensor"]:
    import torch

    if not isinstance(found, Mapping):
        return {}
    return {str(k): v.detach() for k, v in found.items() if isinstance(v, torch.Tensor)}
