"""Factorization without a tensor: the same numbers, less memory, streamed."""

import warnings

import numpy as np
import pytest
import xarray as xr

import neuroana as na
from neuroana.connectome import (
    AffinityOperator,
    DifferentialAffinity,
    NonNegativeCP,
    RankSelector,
    coarsen,
    operators,
    screen,
    simulate_motifs,
)
from neuroana.connectome.hals import Settings, Stack, hals
from neuroana.connectome.operators import NeuronProducts, PairProducts
from neuroana.connectome.products import DenseProducts, make_data
from neuroana.core.errors import ParameterError, SchemaError


pytestmark = pytest.mark.filterwarnings("ignore::neuroana.core.errors.NeuroanaWarning")
LOW_RANK = ("geomean", "product", "rise", "fall")


def recordings(n_animals=3, missing=0.2):
    made, _ = simulate_motifs(n_neurons=16, n_samples=120, n_animals=n_animals,
                              missing=missing, random_state=0)  # fmt: skip
    return made


def both(kind, *, missing=0.2, layout="aligned", dtype="float64"):
    """The tensor and the operator of the same recordings."""
    members = recordings(missing=missing)
    options = {"layout": layout, "dtype": dtype}
    dense = DifferentialAffinity(kind, lazy=False, **options).fit_transform(members)
    return dense, DifferentialAffinity(kind, lazy=True, **options).fit_transform(
        members
    )


def start(shape, rank=3, seed=0):
    rng = np.random.default_rng(seed)
    n_pairs, n_time, n_animals = shape
    return Stack(rng.random((2, rank, n_pairs)), rng.random((2, rank, n_time)),
                 rng.random((2, rank, n_animals)), np.zeros(2, int))  # fmt: skip


@pytest.mark.parametrize("kind", LOW_RANK)
def test_operator_is_its_tensor(kind):
    dense, operator = both(kind)
    assert operator.shape == dense.shape
    np.testing.assert_allclose(operator.dense(), dense, atol=1e-12)


@pytest.mark.parametrize("kind", LOW_RANK)
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_fits_without_a_tensor_are_those_with_it(kind, missing):
    dense, operator = both(kind, missing=missing)
    data = make_data(dense.to_numpy(), dtype="float64")
    z = np.moveaxis(operator.dataset["scaled_derivative"].to_numpy(), 2, 0)
    lazy = PairProducts(z, kind, dtype="float64")
    assert lazy.scale == pytest.approx(data.scale, rel=1e-10)
    settings = Settings(max_iter=6, tol=0.0)
    one = start(dense.shape)
    two = Stack(one.A.copy(), one.B[:, :, lazy.data.order], one.C.copy(), one.fold)
    one = one._replace(B=one.B[:, :, data.order])
    (a,) = hals(DenseProducts(data), [one], settings)
    (b,) = hals(lazy, [two], settings)
    for x, y in zip(a, b):
        assert x.loss == pytest.approx(y.loss, rel=1e-8)
        np.testing.assert_allclose(x.A, y.A, rtol=1e-6, atol=1e-9)


def test_single_precision_agrees_to_a_millionth():
    dense, operator = both("geomean", missing=0.0, dtype="float32")
    data = make_data(dense.to_numpy(), dtype="float32")
    z = np.moveaxis(operator.dataset["scaled_derivative"].to_numpy(), 2, 0)
    lazy = PairProducts(z, "geomean")
    stack = Stack(
        *(f.astype(np.float32) for f in start(dense.shape)[:3]), np.zeros(2, int)
    )
    for one, two in zip(DenseProducts(data).pairs([stack]), lazy.pairs([stack])):
        assert np.linalg.norm(one - two) <= 2e-6 * np.linalg.norm(one)
    for one, two in zip(DenseProducts(data).times([stack]), lazy.times([stack])):
        assert np.linalg.norm(one - two) <= 2e-6 * np.linalg.norm(one)


def test_size_of_a_chunk_does_not_matter(monkeypatch):
    _, operator = both("geomean")
    z = np.moveaxis(operator.dataset["scaled_derivative"].to_numpy(), 2, 0)
    stack = start(operator.shape)
    whole = PairProducts(z, "geomean", dtype="float64").pairs([stack])[0]
    monkeypatch.setattr(operators, "CHUNK", 300)
    monkeypatch.setattr(operators, "ROOM", 3000)
    parts = PairProducts(z, "geomean", dtype="float64").pairs([stack])[0]
    np.testing.assert_allclose(whole, parts, atol=1e-12)


@pytest.mark.parametrize("kind", ["geomean", "rise"])
def test_neuron_loadings_without_a_tensor_are_those_with_it(kind):
    dense, operator = both(kind, missing=0.0, layout="concat")
    options = {"n_init": 2, "random_state": 0, "dtype": "float64", "max_iter": 40}
    one = NonNegativeCP(3, "symmetric", **options).fit(dense)
    two = NonNegativeCP(3, "symmetric", **options).fit(operator)
    assert one.relative_error_ == pytest.approx(two.relative_error_, rel=1e-5)
    np.testing.assert_allclose(one.pair_, two.pair_, atol=1e-3)


def test_neuron_loadings_make_nothing_of_the_size_of_pairs():
    z = np.random.default_rng(0).normal(size=(1, 50, 3000)).astype(np.float32)
    products = NeuronProducts(z, "rise")
    rng = np.random.default_rng(1)
    stack = Stack(*(rng.random((1, 2, n)).astype(np.float32) for n in (3000, 50, 3000)),
                  np.zeros(1, int))  # fmt: skip
    import tracemalloc

    tracemalloc.start()
    hals(products, [stack], Settings(max_iter=2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 3000**2 / 4


def test_estimator_fits_an_operator_and_labels_it():
    dense, operator = both("rise")
    options = {"n_init": 2, "random_state": 0, "dtype": "float64"}
    one, two = (NonNegativeCP(3, **options).fit(X) for X in (dense, operator))
    assert one.relative_error_ == pytest.approx(two.relative_error_, rel=1e-6)
    np.testing.assert_allclose(one.pair_, two.pair_, atol=1e-5)
    assert two.report_["lazy"] == 1


def test_a_tensor_above_the_limit_becomes_an_operator():
    made = DifferentialAffinity(max_dense_bytes=1000).fit_transform(recordings())
    assert isinstance(made, AffinityOperator)


# --- from disk -----------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    """A recording in Zarr, opened lazily in chunks of time."""
    pytest.importorskip("zarr")
    pytest.importorskip("dask")
    rec = recordings(1, 0.0)[0]
    rec["signal"][50:53, 4] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rec.drop_vars("regime").chunk({"time": 17}).to_zarr(tmp_path / "rec.zarr")
    return rec, xr.open_zarr(tmp_path / "rec.zarr")


def test_a_recording_on_disk_gives_the_same_operator(stored, monkeypatch):
    memory, disk = stored
    reads = []
    plain = xr.DataArray.to_numpy

    def counted(self):
        if self.chunks is not None:
            reads.append(self.shape)
        return plain(self)

    monkeypatch.setattr(xr.DataArray, "to_numpy", counted)
    import neuroana.connectome.derivative as module

    monkeypatch.setattr(
        module.stream_derivative, "__kwdefaults__",
        {**module.stream_derivative.__kwdefaults__, "megabytes": 4e-3},
    )  # fmt: skip
    lazy = DifferentialAffinity(lazy=True).fit_transform(disk)
    traces = [s for s in reads if len(s) == 2]
    assert traces
    assert max(s[0] for s in traces) < 120
    wanted = DifferentialAffinity(lazy=True).fit_transform(memory)
    np.testing.assert_allclose(
        lazy.dataset["scaled_derivative"], wanted.dataset["scaled_derivative"],
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_an_irregular_clock_on_disk_is_refused(stored):
    _, disk = stored
    time = disk["time"].values.copy()
    time[10] += 0.01
    with pytest.raises(SchemaError, match="on disk"):
        DifferentialAffinity().fit_transform(disk.assign_coords(time=time))


# --- many neurons --------------------------------------------------------------------


def test_pair_factors_that_do_not_fit_are_refused_with_a_forecast(monkeypatch):
    monkeypatch.setattr("neuroana.core.device.memory", lambda device="cpu": 10_000)
    _, operator = both("rise")
    with pytest.raises(ParameterError, match=r"forecast.*symmetric.*coarsen"):
        NonNegativeCP(3, n_init=2).fit(operator)


def test_ten_thousand_neurons_get_loadings_or_a_refusal():
    z = np.random.default_rng(0).normal(size=(60, 10_000)).astype(np.float32)
    ds = xr.Dataset(
        {"scaled_derivative": (("time", "neuron"), z)},
        coords={"time": np.arange(60.0), "neuron": np.arange(10_000),
                "animal": ("time", np.repeat("a", 60))},
        attrs={"kind": "rise", "layout": "concat"},
    )  # fmt: skip
    operator = AffinityOperator(ds)
    products = NeuronProducts(z[None], "rise")
    rng = np.random.default_rng(1)
    modes = (rng.random((1, 2, n), dtype=np.float32) for n in (10_000, 60, 10_000))
    stack = Stack(*modes, np.zeros(1, int))
    ((fit,),) = hals(products, [stack], Settings(max_iter=3))
    assert fit.trace[-1] < fit.trace[0]
    with pytest.raises(ParameterError, match=r"forecast of .* GiB"):
        NonNegativeCP(30, "concat", n_init=300).fit(operator)


def test_screening_keeps_neurons_with_events():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 30)).cumsum(axis=0) * 0.05
    x[:, :5] += 20 * (rng.random((400, 5)) < 0.01).cumsum(axis=0)
    rec = na.from_array(x, "calcium", sampling_rate=2.0, units="1")
    assert screen(rec, 5)["neuron"].values.tolist() == [0, 1, 2, 3, 4]


def test_coarsening_by_location_averages_neighbours():
    rng = np.random.default_rng(0)
    place = np.repeat(np.arange(4.0), 6) * 10
    x = rng.normal(size=(100, 4)).repeat(6, axis=1) + 0.1 * rng.normal(size=(100, 24))
    rec = na.from_array(x, "calcium", sampling_rate=2.0, units="1",
                        coords={"x": place + rng.random(24), "y": place})  # fmt: skip
    made = coarsen(rec, 4, random_state=0)
    assert sorted(made["n_members"].values.tolist()) == [6, 6, 6, 6]
    for g in range(4):
        members = made["member"].values[made["group"].values == g]
        own = x[:, members].mean(axis=1)
        assert np.corrcoef(own, made["signal"][:, g])[0, 1] > 0.99
    assert DifferentialAffinity().fit_transform(made).sizes["pair"] == 6
    with pytest.raises(ParameterError, match="x and y"):
        coarsen(rec.drop_vars("x"), 4)


# --- bad input -----------------------------------------------------------------------


def test_an_operator_refuses_what_needs_a_tensor():
    _, operator = both("rise")
    with pytest.raises(ParameterError, match="dense"):
        NonNegativeCP(2, loss="kl", solver="mu").fit(operator)
    with pytest.raises(ParameterError, match="fits into memory"):
        RankSelector([2]).fit(operator)
    with pytest.raises(ParameterError, match="missing"):
        NonNegativeCP(2, "symmetric").fit(operator)
