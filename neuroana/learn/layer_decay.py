"""Parameter groups of a fine-tuned LaBraM: deeper layers learn faster."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from torch import nn

FIRST = ("cls_token", "pos_embed", "patch_embed.")
EMBEDDINGS = ("cls_token", "pos_embed", "time_embed")


def parameter_groups(
    network: "nn.Module", lr: float, *, weight_decay: float = 0.05,
    layer_decay: float = 0.65, freeze: Sequence[str] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    """Groups for an optimiser, by depth and by whether weights decay.

    Use it with a network that holds a LaBraM encoder. Embeddings and convolutions take
    lr * decay^(depth + 1), block i (from 0) takes lr * decay^(depth - i), all others
    lr. One-dimensional parameters and embeddings do not decay.

    Parameters
    ----------
    network : Module
    lr, weight_decay, layer_decay : float
    freeze : sequence of str
        Key prefixes of what is not to learn.

    Returns
    -------
    list of dict
        ``params``, ``lr``, ``weight_decay``, ``name``.

    Examples
    --------
    >>> from neuroana.learn import LaBraMConfig, LaBraMEncoder
    >>> groups = parameter_groups(LaBraMEncoder(LaBraMConfig(depth=2)), 1e-3)
    >>> [g["name"] for g in groups][:2], len(groups)
    (['layer 0, decay', 'layer 0, no decay'], 7)
    """
    depth = len(getattr(network, "blocks", ()))
    groups: dict[str, dict[str, Any]] = {}
    for key, parameter in network.named_parameters():
        parameter.requires_grad_(not key.startswith(tuple(freeze) or ("\n",)))
        if not parameter.requires_grad:
            continue
        layer = depth + 1
        if key.startswith(FIRST):
            layer = 0
        elif key.startswith("blocks."):
            layer = int(key.split(".")[1]) + 1
        decays = parameter.ndim > 1 and key not in EMBEDDINGS
        name = f"layer {layer}, {'decay' if decays else 'no decay'}"
        group = groups.setdefault(
            name,
            {
                "params": [],
                "lr": lr * layer_decay ** (depth + 1 - layer),
                "weight_decay": weight_decay if decays else 0.0,
                "name": name,
            },
        )
        group["params"].append(parameter)
    return [groups[name] for name in sorted(groups, key=order)]


def order(name: str) -> tuple[int, str]:
    layer, _, kind = name.partition(", ")
    return int(layer.split()[1]), kind
