"""A classifier on the encoder, and what it says of every sample after every epoch."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from neuroana.core.device import choose
from neuroana.core.random import branch, branch_seed
from neuroana.fc.network import EncoderConfig, StructureEncoder


BATCH = 128


@dataclass
class Dynamics:
    """Record of a training.

    Attributes
    ----------
    logits : ndarray (epoch, sample, class), float32
    labels : ndarray of int (sample,)
    features : ndarray (epoch, sample), float32
        Squared length of the embedding that enters the head.
    """

    logits: np.ndarray
    labels: np.ndarray
    features: np.ndarray


def record_dynamics(windows, labels, epochs, *, seed=0, device="auto", lr=1e-3):
    """Train encoder and linear head on the labels of all samples; record every epoch.

    Parameters
    ----------
    windows : ndarray (sample, roi, time)
    labels : ndarray of int (sample,)
    epochs : int

    Returns
    -------
    Dynamics
        Of evaluation passes at the end of the epochs.
    """
    place = torch.device(choose(device))
    x = torch.as_tensor(np.ascontiguousarray(windows), dtype=torch.float32).to(place)
    y = torch.tensor(np.asarray(labels), device=place)
    n_classes = int(labels.max()) + 1
    logits = np.empty((epochs, len(x), n_classes), dtype=np.float32)
    lengths = np.empty((epochs, len(x)), dtype=np.float32)
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(branch_seed(seed, 2))
        encoder = StructureEncoder(EncoderConfig(x.shape[2])).to(place)
        head = nn.Linear(encoder.config.dim, n_classes).to(place)
        both = [*encoder.parameters(), *head.parameters()]
        optimiser = torch.optim.Adam(both, lr=lr)
        for epoch in range(epochs):
            encoder.train()
            order = branch(seed, 2, epoch).permutation(len(x))
            for start in range(0, len(x), BATCH):
                at = torch.as_tensor(order[start : start + BATCH], device=place)
                loss = nn.functional.cross_entropy(head(encoder(x[at])[0]), y[at])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            encoder.eval()
            with torch.no_grad():
                z = torch.cat([encoder(part)[0] for part in x.split(BATCH)])
                logits[epoch] = head(z).cpu().numpy()
                lengths[epoch] = z.square().sum(1).cpu().numpy()
    return Dynamics(logits, labels, lengths)
