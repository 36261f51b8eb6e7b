"""Calls that hang, take all memory, fail or die end at their limits."""

import os
import time

import numpy as np
import pytest

import neuroana as na
from neuroana.core.errors import DataWarning, ParameterError
from neuroana.fc.limits import MemoryLimitError, TimeLimitError, run_limited


def hang(x):
    time.sleep(60)
    return x


def greedy(x):
    np.ones(2**30)  # 8 GB
    return x


def die(x):
    os._exit(3)


def refuse(x):
    raise ParameterError(f"no {x}")


def test_result_comes_back():
    np.testing.assert_array_equal(run_limited(np.sort, np.array([2, 1])), [1, 2])


def test_hanging_call_is_killed():
    begin = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"naps.*0.2 s"):
        run_limited(hang, 1, time_limit=0.2, what="naps")
    assert time.monotonic() - begin < 10


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux only")
def test_call_that_takes_too_much_is_stopped():
    with pytest.raises(MemoryLimitError, match="bytes"):
        run_limited(greedy, 1, memory_limit=2**28, time_limit=60.0)


def test_process_that_dies_is_reported():
    with pytest.raises(MemoryLimitError, match="3"):
        run_limited(die, 1, time_limit=60.0)


def test_error_of_the_call_is_raised():
    with pytest.raises(ParameterError, match="no 7"):
        run_limited(refuse, 7, time_limit=60.0)


@pytest.fixture
def faulty(own):
    """Operators that misbehave."""
    kernels = {
        "sleeps": lambda x: hang(x),
        "swells": lambda x: greedy(x),
        "holes": lambda x: np.full((len(x), 3, 3), np.nan),
        "lopsided": lambda x: np.triu(np.ones((len(x), 3, 3))),
        "raises": lambda x: refuse("luck"),
        "infinite": lambda x: np.full((len(x), 3, 3), np.inf),
        "imaginary": lambda x: np.full((len(x), 3, 3), 1j),
    }
    for name, kernel in kernels.items():
        na.fc.operator(name, "correlation")(kernel)


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("sleeps", "timeout", "TimeLimitError"),
        ("swells", "oom", "bytes"),
        ("holes", "error", "finite"),
        ("lopsided", "error", "symmetric"),
        ("raises", "error", "no luck"),
        ("infinite", "error", "finite"),
        ("imaginary", "error", "real"),
    ],
)
def test_failure_is_recorded_and_the_others_go_on(faulty, name, status, says):
    x = np.random.default_rng(0).normal(size=(2, 40, 3))
    model = na.fc.Connectivity(
        [name, "pearson"], time_limit=0.4, memory_limit="300MB", on_error="record"
    )
    made = model.fit_transform(x)
    assert model.status_.sel(operator=name).values.tolist() == [status] * 2
    assert says in str(model.messages_.sel(operator=name)[0].values)
    assert np.isnan(made[name]).all()
    np.testing.assert_allclose(made["pearson"][0], np.corrcoef(x[0].T), atol=1e-12)
    assert model.status_.sel(operator="pearson").values.tolist() == ["ok"] * 2


def test_failure_is_raised_unless_recorded(faulty):
    with pytest.raises(ParameterError, match="luck"):
        na.fc.Connectivity("raises").fit_transform(np.eye(4)[:, :3])


def test_limits_change_no_result():
    x = np.random.default_rng(0).normal(size=(3, 40, 4))
    plain = na.fc.Connectivity(["pearson", "tangent"]).fit_transform(x)
    limited = na.fc.Connectivity(["pearson", "tangent"], time_limit=60.0)
    assert limited.fit_transform(x).equals(plain)


def test_reference_that_cannot_be_learned_is_recorded():
    x = np.random.default_rng(0).normal(size=(3, 40, 4))
    x[1, :, 2] = 1.0
    model = na.fc.Connectivity(["pearson", "tangent"], on_error="record")
    with pytest.warns(DataWarning, match="never change"):
        made = model.fit_transform(x)
    assert np.isnan(made["tangent"]).all()
    assert "ConstantRoiError" in str(model.messages_.sel(operator="tangent")[0].values)
    again = model.transform(x[:1])
    assert np.isnan(again["tangent"]).all()
    assert "failed in fit" in str(model.messages_.sel(operator="tangent")[0].values)
    assert np.isfinite(again["pearson"]).all()
