"""Training: the best epoch is kept, and a killed run ends like one that was not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroana.core.errors import CorruptFileError, ParameterError
from neuroana.learn import TrainingPlan, train_network
from neuroana.learn.losses import LOSSES, make_loss


class Samples:
    """A linear map under noise; fails at a given call, as a machine might."""

    def __init__(self, n=64, seed=0, fail_at=None):
        rng = np.random.default_rng(seed)
        self.x = torch.from_numpy(rng.standard_normal((n, 4)).astype("f4"))
        self.y = self.x @ torch.ones(4, 2) + 0.1 * torch.randn(
            n, 2, generator=torch.Generator().manual_seed(seed)
        )
        self.calls, self.fail_at = 0, fail_at

    def __len__(self):
        return len(self.x)

    def batch(self, positions):
        self.calls += 1
        if self.calls == self.fail_at:
            raise RuntimeError("power cut")
        return (self.x[positions],), self.y[positions]


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 2)
    )


def trained(train, validation=None, epochs=6, **options):
    net = network()
    plan = TrainingPlan(
        epochs=epochs, batch_size=8, lr=0.02, warmup_epochs=1, patience=None
    )
    loss = make_loss("mse")
    result = train_network(net, loss, train, validation, plan=plan, **options)
    return net, result


def same(one, two):
    a, b = one.state_dict(), two.state_dict()
    return all(torch.equal(a[k], b[k]) for k in a)


def test_same_seed_gives_the_same_weights_and_leaves_the_generator_alone():
    one, _ = trained(Samples(), epochs=2)
    two, _ = trained(Samples(), epochs=2)
    assert same(one, two)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    plan = TrainingPlan(epochs=1, batch_size=8, warmup_epochs=0)
    net = torch.nn.Linear(4, 2)
    torch.manual_seed(0)
    train_network(net, make_loss("mse"), Samples(), plan=plan)
    assert torch.equal(torch.get_rng_state(), before)


def test_control_c_is_a_keyboard_interrupt():
    samples = Samples()

    def interrupted(positions):
        raise KeyboardInterrupt

    samples.batch = interrupted
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trained(samples)
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("fail_at", [3, 8 * 3 + 5, 8 * 5 + 2])
def test_a_run_that_broke_down_ends_with_identical_weights(tmp_path, fail_at):
    path = tmp_path / "training.ckpt"
    whole, result = trained(Samples(), Samples(seed=1), fingerprint="a")
    with pytest.raises(RuntimeError, match="power cut"):
        trained(Samples(fail_at=fail_at), Samples(seed=1), checkpoint=path,
                fingerprint="a")  # fmt: skip
    again, resumed = trained(
        Samples(), Samples(seed=1), checkpoint=path, fingerprint="a"
    )
    assert same(whole, again)
    assert resumed.history == result.history
    assert resumed.best_epoch == result.best_epoch


def test_a_finished_run_is_not_run_again(tmp_path):
    path = tmp_path / "training.ckpt"
    one, _ = trained(Samples(), checkpoint=path, fingerprint="a")
    samples = Samples(fail_at=3)
    two, _ = trained(samples, checkpoint=path, fingerprint="a")
    assert same(one, two)
    assert samples.calls < 3


def test_a_checkpoint_of_other_data_is_refused_and_a_broken_one_named(tmp_path):
    path = tmp_path / "training.ckpt"
    trained(Samples(), epochs=1, checkpoint=path, fingerprint="a")
    with pytest.raises(ParameterError, match="data and settings"):
        trained(Samples(), epochs=1, checkpoint=path, fingerprint="b")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptFileError, match="checkpoint"):
        trained(Samples(), epochs=1, checkpoint=path, fingerprint="a")


def test_the_best_epoch_is_kept_and_patience_ends_training():
    net = network()
    plan = TrainingPlan(epochs=50, batch_size=64, lr=0.3, warmup_epochs=0, patience=2)
    result = train_network(net, make_loss("mse"), Samples(), Samples(seed=1), plan=plan)
    mse = [row["val_mse"] for row in result.history]
    assert int(np.argmin(mse)) == result.best_epoch
    assert len(mse) == result.best_epoch + 3 or len(mse) == 50
    val = Samples(seed=1)
    with torch.no_grad():
        own = float((net(val.x) - val.y).square().mean())
    assert own == pytest.approx(min(mse), rel=1e-5)


def test_a_loss_that_is_not_finite_names_its_samples():
    samples = Samples()
    samples.x[5] = float("inf")
    with pytest.raises(FloatingPointError, match="samples"):
        trained(samples)


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
import test_training as t
if sys.argv[3] == "kill":
    samples = t.Samples()
    plain = samples.batch
    def batch(positions):
        if samples.calls == 8 * 3 + 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(positions)
    samples.batch = batch
    t.trained(samples, checkpoint=sys.argv[1], fingerprint="a")
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="no SIGKILL here")
def test_a_killed_process_leaves_a_whole_checkpoint(tmp_path):
    path = tmp_path / "training.ckpt"
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), here, "kill"], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert path.is_file()
    whole, _ = trained(Samples(), fingerprint="a")
    again, _ = trained(Samples(), checkpoint=path, fingerprint="a")
    assert same(whole, again)


@pytest.mark.parametrize("name", LOSSES)
def test_missing_targets_carry_no_gradient(name):
    y = torch.randn(6, 3)
    loss = make_loss(name, y)
    y = y.clone()
    y[2, 1] = float("nan")
    out = torch.randn(6, 6 if name == "gaussian" else 3, requires_grad=True)
    loss(out, y, 9).backward()
    assert out.grad.isfinite().all()
    assert out.grad[2, 1] == 0 or name == "mse_global_split"


def test_losses_are_what_they_say():
    p, y = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [2.0]])
    assert make_loss("mse")(p, y, 0) == 1.0
    assert make_loss("huber")(p * 10, y, 0) == pytest.approx((9.5 + 27.5) / 2)
    assert make_loss("ccc")(y, y, 0) == pytest.approx(0, abs=1e-5)
    assert make_loss("ccc")(p, y, 0) == pytest.approx(1 - 2 / 3, abs=1e-5)
    both = torch.cat([p, torch.zeros(2, 1)], dim=1)
    assert make_loss("gaussian")(both, y, 5) == 0.5
    assert make_loss("gaussian")(both, y, 0) == 1.0
