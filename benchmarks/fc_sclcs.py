"""An epoch of SCLCS beside a literal one: CPU seconds and memory, side by side.

The literal epoch loops over the pairs of a batch for the loss and keeps the attention
of every window and epoch, as a direct reading of the equations does.
``python benchmarks/fc_sclcs.py`` writes ``benchmarks/results/fc_sclcs.md``.
"""

import os
import resource
import time
from pathlib import Path


for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

from neuroana.fc.contrastive import Schedule, batches, train  # noqa: E402
from neuroana.fc.network import EncoderConfig, StructureEncoder  # noqa: E402


RESULT = Path(__file__).parent / "results" / "fc_sclcs.md"
N_PEOPLE, N_WINDOWS, N_ROI, N_TIME = 86, 5, 33, 70


def literal_epoch(model, optimiser, x, people, rng, kept, temperature=0.1):
    """One epoch, pair by pair and head by head, window by window."""
    model.train()
    for at in batches(people, 64, rng):
        z = torch.stack([model(x[k][None])[0][0] for k in at])
        z = torch.nn.functional.normalize(z, dim=-1)
        losses = []
        for i in range(len(at)):
            below = sum(torch.exp(z[i] @ z[k] / temperature) for k in range(len(at))
                        if people[at[k]] != people[at[i]])  # fmt: skip
            losses += [-torch.log(torch.exp(z[i] @ z[j] / temperature) / below)
                       for j in range(len(at))
                       if j != i and people[at[j]] == people[at[i]]]  # fmt: skip
        optimiser.zero_grad()
        torch.stack(losses).mean().backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        kept.append(torch.stack([model(x[k][None])[1][0] for k in range(len(x))]))


@pytest.mark.bench
def test_epoch_is_three_times_as_fast():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(N_PEOPLE * N_WINDOWS, N_ROI, N_TIME))
    people = np.repeat(np.arange(N_PEOPLE), N_WINDOWS)
    config = EncoderConfig(N_TIME)
    train(windows, people, config, Schedule(1), device="cpu")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.process_time()
    train(windows, people, config, Schedule(5), device="cpu")
    ours = (time.process_time() - start) / 5
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    x = torch.as_tensor(windows, dtype=torch.float32)
    model = StructureEncoder(config)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    start = time.process_time()
    literal_epoch(model, optimiser, x, people, rng, [])
    literal = time.process_time() - start
    attentions = len(windows) * N_ROI**2 * 4 / 2**20
    RESULT.write_text(
        "# An epoch of SCLCS\n\n"
        f"{len(windows)} windows of {N_ROI} x {N_TIME}, 16 heads, one thread, CPU "
        "seconds.\n\n"
        "| | s an epoch | memory |\n| --- | --- | --- |\n"
        f"| here | {ours:.3f} | {memory:.0f} MB above that of the first epoch; "
        f"{attentions:.1f} MB of attentions |\n"
        f"| literal | {literal:.3f} | {attentions:.1f} MB more every epoch |\n\n"
        f"Ratio {literal / ours:.1f}.\n", encoding="utf-8")  # fmt: skip
    assert literal > 3 * ours
    assert memory < 200


if __name__ == "__main__":
    test_epoch_is_three_times_as_fast()
