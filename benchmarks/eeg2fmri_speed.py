"""What a step of the EEG to fMRI network costs, and where the time goes.

Times are CPU time of one thread, median of interleaved repeats on the same tensors. The
literal network has the same weights and outputs: attention with its scores written out,
and one Fourier transform for every channel and scale. Run it with ``python
benchmarks/eeg2fmri_speed.py`` or ``make bench``; it writes
``benchmarks/results/eeg2fmri_speed.md``. ``REPEATS`` in the environment changes the
number of repeats.
"""

import os
import sys
import time
import types
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parent))

import switching_measure as bench  # noqa: I001  (limits threads before numpy comes)
import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from neuroana.eeg2fmri import EEGToFMRI, NeuroBOLT, NeuroBOLTConfig, StreamingPredictor
from neuroana.eeg2fmri import as_windows, simulate_eeg_fmri
from neuroana.eeg2fmri.window_batches import WindowBatches
from neuroana.learn.electrodes import electrode_rows


BATCH = 4
REPEATS = int(os.environ.get("REPEATS", "5"))
SCANS = 29
CHANNELS = NeuroBOLTConfig().channels
COLUMNS = ["network", "training, s", "windows/s", "inference, s", "windows/s"]
GROUPS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"),
    "attention": ("scaled_dot_product",),
    "normalisation": ("layer_norm", "group_norm"),
    "convolution": ("convolution",),
    "GELU": ("gelu",),
    "softmax": ("softmax",),
    "dropout masks": ("bernoulli", "dropout"),
    "copies": ("aten::copy_", "aten::cat", "aten::clone"),
    "Fourier transform": ("fft",),
}


def written_out(self, x):
    """Attention with its scores as a matrix."""
    qkv = self.qkv(x).unflatten(-1, (3, self.n_heads, -1))
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    q, k = self.q_norm(q) * q.shape[-1] ** -0.5, self.k_norm(k)
    x = (q @ k.transpose(-2, -1)).softmax(dim=-1) @ v
    return self.drop(self.proj(x.transpose(1, 2).flatten(2)))


def one_by_one(self, x):
    """Spectra with one transform a channel and scale."""
    made = []
    for w in self.frames:
        window = torch.ones(w)
        parts = [
            torch.stft(x[:, c], w, w, w, window, center=False, return_complex=True)
            for c in range(x.shape[1])
        ]
        made.append(torch.stack(parts, dim=1).abs().transpose(2, 3))
    return made


def network(n_regions, *, attention=False, spectra=False):
    """The published network; parts of it literal."""
    config = NeuroBOLTConfig(n_regions=n_regions)
    net = NeuroBOLT(config, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        net.head.weight.mul_(1000)  # from near zero, so that outputs can be compared
    if attention:
        for block in net.blocks:
            block.attn.forward = types.MethodType(written_out, block.attn)
    if spectra:
        module = net.mss_module
        module.magnitudes = types.MethodType(one_by_one, module)
    return net


def interleaved(calls, repeats=REPEATS):
    """Median CPU seconds of each call, taken in turns after one warm turn."""
    spent = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if turn:
                spent[name].append(time.process_time() - start)
    return {name: float(np.median(values)) for name, values in spent.items()}


def step_of(net, x, y):
    """One training step: forward, loss, backward, update."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4)
    net.train()

    def step():
        optimiser.zero_grad()
        (net(x) - y).square().mean().backward()
        optimiser.step()

    return step


def inference_of(net, x):
    def infer():
        net.eval()
        with torch.no_grad():
            return net(x)

    return infer


def matrix_rate(n=1536):
    """GFLOP/s of this machine's own matrix product, one thread, float32."""
    a, b = torch.randn(n, n), torch.randn(n, n)
    spent = interleaved({"product": lambda: a @ b}, repeats=7)["product"]
    return 2 * n**3 / spent / 1e9


def flops(net, x):
    """GFLOP of one forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(x)
    return counter.get_total_flops() / 1e9


def profile(step):
    """Share of a step's CPU time by kind of work."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as p:
        step()
    own = {k.key: k.self_cpu_time_total for k in p.key_averages()}
    total = sum(own.values())
    shares = {}
    for group, names in GROUPS.items():
        hit = [k for k in own if any(n in k for n in names)]
        shares[group] = sum(own.pop(k) for k in hit) / total
    shares["other"] = sum(own.values()) / total
    return shares


def data_cost():
    """Seconds to cut a batch, bytes of one scan of 20 minutes, and a fitted model."""
    runs, _ = simulate_eeg_fmri(1, channels=CHANNELS, random_state=0)
    windows = as_windows(runs)
    size = windows.runs[0].signal.nbytes + windows.runs[0].targets.nbytes
    size += windows.starts.nbytes + windows.volumes.nbytes + windows.run.nbytes
    batches = WindowBatches(
        windows, windows.y, electrode_rows(CHANNELS), range(len(CHANNELS))
    )
    rng = np.random.default_rng(0)
    cut = interleaved(
        {"cut": lambda: batches.batch(rng.integers(0, len(batches), BATCH))}, 20
    )
    return cut["cut"], size, windows


def streaming_latency(windows):
    """Wall and CPU seconds from the last sample to the predicted volume."""
    model = EEGToFMRI(epochs=1, batch_size=8, validation_share=0, random_state=0)
    model.fit(windows[:16])
    ring = StreamingPredictor(model, list(CHANNELS))
    signal = windows.runs[0].signal
    ring.push(signal[:3200])
    spent = []
    for turn in range(REPEATS + 1):
        at = 3200 + turn * 420
        start = time.perf_counter(), time.process_time()
        ring.push(signal[at : at + 420])
        ring.predict()
        spent.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return np.median(spent[1:], axis=0)


def run():
    """Measure everything and write the page."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    host = bench.machine()
    x = 0.2 * torch.randn(BATCH, len(CHANNELS), 3200)
    y1, y64 = torch.randn(BATCH, 1), torch.randn(BATCH, 64)
    kinds = {
        "ours, 1 region": {},
        "attention written out": {"attention": True},
        "literal, 1 region": {"attention": True, "spectra": True},
    }
    nets = {name: network(1, **parts) for name, parts in kinds.items()}
    outputs = {name: inference_of(net, x)() for name, net in nets.items()}
    first = outputs["ours, 1 region"]
    apart = max(float((o - first).abs().max() / first.std()) for o in outputs.values())
    nets["ours, 64 regions"] = network(64)
    infer = interleaved({k: inference_of(net, x) for k, net in nets.items()})
    gflop = flops(nets["literal, 1 region"], x)
    rate = matrix_rate()
    steps = {k: step_of(n, x, y64 if "64" in k else y1) for k, n in nets.items()}
    train = interleaved(steps)
    shares = profile(steps["ours, 64 regions"])
    cut, size, windows = data_cost()
    wall, cpu = streaming_latency(windows)
    ours, many = train["ours, 1 region"], train["ours, 64 regions"]
    lit = "literal, 1 region"
    found = {
        "apart": apart,
        "64 regions over 1": many / ours,
        "64 regions over 64 networks": 64 * ours / many,
        "literal over ours, training": train[lit] / ours,
        "literal over ours, inference": infer[lit] / infer["ours, 1 region"],
        "attention gain, training": train["attention written out"] / ours,
        "attention gain, inference": infer["attention written out"]
        / infer["ours, 1 region"],
        "share of matrix rate": 3 * gflop / ours / rate,
        "data over step": cut / many,
        "GiB of 29 scans": SCANS * size / 2**30,
        "streaming s": wall,
    }
    rows = [
        [k, f"{train[k]:.2f}", f"{BATCH / train[k]:.2f}", f"{infer[k]:.2f}",
         f"{BATCH / infer[k]:.2f}"] for k in nets
    ]  # fmt: skip
    bench.write(
        "eeg2fmri_speed",
        f"""# A step of the EEG to fMRI network

{host}. {bench.versions("torch")}. One thread, float32, {len(CHANNELS)} channels of
16 s, batch {BATCH}; CPU seconds, median of {REPEATS} interleaved repeats.
Outputs of the literal network differ by {apart:.1e} of their spread at most.

{bench.table(COLUMNS, rows)}

| quantity | value |
| --- | --- |
| a step for 64 regions over one for 1 region | {found["64 regions over 1"]:.2f} |
| 64 networks over one for 64 regions | {found["64 regions over 64 networks"]:.0f} |
| literal over ours, training | {found["literal over ours, training"]:.2f} |
| literal over ours, inference | {found["literal over ours, inference"]:.2f} |
| fused attention alone, training | {found["attention gain, training"]:.2f} |
| fused attention alone, inference | {found["attention gain, inference"]:.2f} |
| GFLOP of a window, forward | {gflop / BATCH:.2f} |
| GFLOP/s of a training step | {3 * gflop / ours:.1f} |
| GFLOP/s of this machine's matrix product | {rate:.1f} |
| share of that rate | {100 * found["share of matrix rate"]:.0f} % |
| cutting a batch, ms | {1e3 * cut:.1f} |
| the same over a step | {100 * found["data over step"]:.2f} % |
| memory of {SCANS} scans of 20 min | {found["GiB of 29 scans"]:.2f} GiB |
| one volume while EEG arrives | {wall:.2f} s ({cpu:.2f} s of CPU) |

## Where a training step goes

{bench.table(["work", "share"], [[k, f"{100 * v:.0f} %"] for k, v in shares.items()])}
""",
    )
    return found


@pytest.mark.bench
@pytest.mark.timeout(3_000)
def test_all_regions_cost_a_step_of_one_and_data_never_waits():
    found = run()
    assert found["apart"] < 1e-4
    assert found["64 regions over 1"] <= 1.1
    assert found["64 regions over 64 networks"] >= 30
    assert found["literal over ours, training"] >= 1.0
    assert found["data over step"] < 0.1
    assert found["GiB of 29 scans"] < 1.0
    assert found["streaming s"] < 2.1


if __name__ == "__main__":
    run()
