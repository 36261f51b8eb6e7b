"""Losses of regressions with many outputs, some of which may be missing."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from neuroana.core.checks import check_choice


LOSSES = ("mse", "huber", "ccc", "mse_global_split", "gaussian")
WARM_UP = 3  # epochs of squared error before variances are learned
TINY = 1e-6

Loss = Callable[[Tensor, Tensor, int], Tensor]


def make_loss(name: str, targets: Tensor | None = None) -> Loss:
    """A function of output (B, R), target (B, R) and epoch; NaN targets do not count.

    Use it with :func:`train_network`.

    Parameters
    ----------
    name : {'mse', 'huber', 'ccc', 'mse_global_split', 'gaussian'}
        Squared error; that with linear tails; one minus the concordance correlation
        within the batch; squared errors of the mean of all regions and of what is left,
        each in units of its own variance; likelihood of outputs (B, 2 R), means and log
        variances, after three epochs of squared error.
    targets : Tensor (window, R), optional
        Of training, for the variances of 'mse_global_split'.

    Returns
    -------
    callable

    Examples
    --------
    >>> y = torch.tensor([[1.0, float("nan")]])
    >>> make_loss("mse")(torch.tensor([[3.0, 9.0]]), y, 0).item()
    4.0
    """
    check_choice("loss", name, LOSSES)
    if name != "mse_global_split":
        return {"mse": squared, "huber": huber, "ccc": concordance,
                "gaussian": likelihood}[name]  # fmt: skip
    if targets is None:
        raise ValueError("'mse_global_split' needs the training targets")
    course = targets.nanmean(dim=1, keepdim=True)
    scales = course.square().nanmean(), (targets - course).square().nanmean()
    weights = [1.0 / max(float(s), TINY) for s in scales]
    total = sum(weights)

    def split(output: Tensor, target: Tensor, epoch: int) -> Tensor:
        known = target.isfinite()
        n = known.sum(dim=1, keepdim=True).clamp(min=1)
        error = torch.where(known, output - target, 0.0)
        common = error.sum(dim=1, keepdim=True) / n
        special = torch.where(known, error - common, 0.0)
        parts = common.square().mean(), mean_of(special.square(), known)
        return sum(w * p for w, p in zip(weights, parts)) / total

    return split


def mean_of(values: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, values, 0.0).sum() / known.sum().clamp(min=1)


def squared(output: Tensor, target: Tensor, epoch: int) -> Tensor:
    """Mean squared error over known targets."""
    known = target.isfinite()
    return mean_of((output - target.nan_to_num()).square(), known)


def huber(output: Tensor, target: Tensor, epoch: int) -> Tensor:
    """Squared error within one unit, linear beyond."""
    known = target.isfinite()
    return mean_of(F.huber_loss(output, target.nan_to_num(), reduction="none"), known)


def concordance(output: Tensor, target: Tensor, epoch: int) -> Tensor:
    """One minus the mean over regions of 2 cov / (var + var + (difference)^2)."""
    known = target.isfinite()
    n = known.sum(dim=0).clamp(min=1)
    a, b = (torch.where(known, v, 0.0) for v in (output, target.nan_to_num()))
    mean_a, mean_b = a.sum(dim=0) / n, b.sum(dim=0) / n
    a, b = torch.where(known, a - mean_a, 0.0), torch.where(known, b - mean_b, 0.0)
    size = (a.square() + b.square()).sum(dim=0) / n + (mean_a - mean_b).square()
    return 1.0 - (2 * (a * b).sum(dim=0) / n / (size + TINY)).mean()


def likelihood(output: Tensor, target: Tensor, epoch: int) -> Tensor:
    """Gaussian likelihood of means and log variances, (B, 2 R)."""
    mean, log_variance = output.chunk(2, dim=1)
    if epoch < WARM_UP:
        return squared(mean, target, epoch)
    log_variance = log_variance.clamp(-10.0, 10.0)
    known = target.isfinite()
    error = (mean - target.nan_to_num()).square()
    return 0.5 * mean_of(log_variance + error * torch.exp(-log_variance), known)
