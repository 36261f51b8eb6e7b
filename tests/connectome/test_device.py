"""One device story: tensors of torch fit as arrays do, and memory that runs out."""

import numpy as np
import pytest

from neuroana.connectome import NonNegativeCP, factorizing, learning, simulate_tensor
from neuroana.core.errors import ParameterError


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
OPTIONS = {"n_init": 3, "random_state": 0, "dtype": "float64"}


@pytest.fixture(scope="module")
def values():
    return simulate_tensor(10, 40, rank=3, n_animals=4, missing=0.2, random_state=0)[0]


@pytest.fixture
def on_torch(monkeypatch):
    """The road of a GPU, with tensors of torch on the CPU."""
    pytest.importorskip("torch")
    monkeypatch.setattr(learning, "choose", lambda device: "cpu:0")


@pytest.mark.parametrize(
    "settings",
    [{"baseline": True}, {"layout": "concat"}, {"layout": "symmetric"},
     {"layout": "ll1"}, {"polish": "lbfgs"}, {"smooth_time": 1.0}],
)  # fmt: skip
def test_tensors_of_torch_fit_as_arrays_do(values, settings, monkeypatch):
    pytest.importorskip("torch")
    wanted = NonNegativeCP(3, **OPTIONS, **settings).fit(values)
    monkeypatch.setattr(learning, "choose", lambda device: "cpu:0")
    found = NonNegativeCP(3, **OPTIONS, **settings).fit(values)
    assert found.device_ == "cpu:0"
    assert found.relative_error_ == pytest.approx(wanted.relative_error_, rel=1e-4)
    np.testing.assert_allclose(found.pair_, wanted.pair_, atol=1e-2)


@pytest.mark.gpu
def test_a_gpu_fits_as_the_cpu_does(values):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    options = OPTIONS | {"dtype": "float32"}
    wanted = NonNegativeCP(3, device="cpu", **options).fit(values)
    found = NonNegativeCP(3, device="cuda", **options).fit(values)
    assert found.relative_error_ == pytest.approx(wanted.relative_error_, rel=1e-4)


def test_a_device_that_is_not_there_is_an_error(values):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ParameterError, match="CUDA"):
        NonNegativeCP(2, device="cuda").fit(values)


def out_of_memory(times, monkeypatch):
    """Let the first fits run out of memory; return the room each was given."""
    rooms = []
    plain = factorizing.fit_restarts

    def fit(*args, room=factorizing.BATCH, **kwargs):
        rooms.append(room)
        if len(rooms) <= times:
            raise RuntimeError("CUDA out of memory")
        return plain(*args, room=room, **kwargs)

    monkeypatch.setattr(learning.f, "fit_restarts", fit)
    return rooms


def test_memory_that_runs_out_halves_the_batch(values, on_torch, monkeypatch):
    rooms = out_of_memory(1, monkeypatch)
    model = NonNegativeCP(2, **OPTIONS).fit(values)
    assert rooms[1] == rooms[0] / 2
    assert model.device_ == "cpu:0"


def test_memory_that_stays_out_goes_to_the_cpu(values, on_torch, monkeypatch):
    out_of_memory(3, monkeypatch)
    assert NonNegativeCP(2, **OPTIONS).fit(values).device_ == "cpu"


def test_a_device_asked_for_by_name_is_not_left_silently(values, on_torch, monkeypatch):
    out_of_memory(3, monkeypatch)
    with pytest.raises(ParameterError, match="out of memory"):
        NonNegativeCP(2, device="cuda", **OPTIONS).fit(values)
