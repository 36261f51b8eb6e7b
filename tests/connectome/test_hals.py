"""The solver against stored values, an independent implementation and brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from neuroana.connectome.hals import Settings, Stack, hals
from neuroana.connectome.matching import factor_match_score
from neuroana.connectome.products import DenseProducts, Folds, make_data, squared_error
from neuroana.connectome.sweeps import sweep, sweep_smooth


@pytest.fixture
def golden():
    """X[i, j, k] = 1 / (1 + abs(i - 2j + k)) and its start."""
    i, j, k = np.ix_(range(6), range(5), range(4))
    x = 1 / (1 + np.abs(i - 2 * j + k))
    start = [
        np.array([[1 + ((n + 2 * r + m) % 3) / 3 for n in range(size)] for r in (0, 1)])
        for m, size in enumerate(x.shape)
    ]
    return x, start


def stack_of(init, data, dtype="float64"):
    """Starts (S, n, R) of pair, time, animal as the solver takes them."""
    pair, time, animal = (
        np.ascontiguousarray(np.swapaxes(f, 1, 2), dtype=dtype) for f in init
    )
    return Stack(pair / pair.dtype.type(data.scale), time[:, :, data.order], animal,
                 np.zeros(len(pair), int))  # fmt: skip


def fit_ncp(values, ncp, *, dtype="float64", **settings):
    data = make_data(values, dtype=dtype)
    init = (ncp["init_pair"], ncp["init_time"], ncp["init_animal"])
    settings = Settings(**{"max_iter": 2000, "tol": 1e-12, **settings})
    (fits,) = hals(DenseProducts(data), [stack_of(init, data, dtype)], settings)
    return data, fits


def relative(data, fit):
    error, size = squared_error(data, fit.A, fit.B, fit.C)
    return np.sqrt(error / size)


@pytest.mark.parametrize("use_compiled", [True, False])
@pytest.mark.parametrize(
    ("n_iter", "wanted"),
    [(1, 0.507329590442), (10, 0.416934091235), (100, 0.415896972577),
     (2000, 0.415896972577)],
)  # fmt: skip
def test_relative_error_after_so_many_iterations(golden, n_iter, wanted, use_compiled):
    x, (a, c, b) = golden
    data = make_data(x.transpose(0, 2, 1), dtype="float64")
    start = Stack(
        a[None] / data.scale, b[None].copy(), c[None].copy(), np.zeros(1, int)
    )
    settings = Settings(inner=5, max_iter=n_iter, tol=0.0, rebalance=False,
                        use_compiled=use_compiled)  # fmt: skip
    ((fit,),) = hals(DenseProducts(data), [start], settings)
    assert relative(data, fit) == pytest.approx(wanted, abs=1e-10)


def test_all_starts_of_the_oracle_end_where_tensorly_does(ncp):
    data, fits = fit_ncp(ncp["X"], ncp)
    found = [relative(data, f) for f in fits]
    np.testing.assert_allclose(found, ncp["tensorly_rel_error"], atol=1e-7)
    truth = [ncp["true_pair"], ncp["true_time"], ncp["true_animal"]]
    score = factor_match_score([f.T for f in fits[0][:3]], truth)
    assert score == pytest.approx(0.8914, abs=0.002)


def test_float32_ends_at_the_same_error(ncp):
    data, fits = fit_ncp(ncp["X"], ncp, dtype="float32")
    np.testing.assert_allclose(
        [relative(data, f) for f in fits], 0.2025036765, rtol=1e-5
    )


def test_masked_fits_are_those_of_the_oracle(ncp):
    values = np.where(ncp["observed"][:, None], ncp["X"], np.nan)
    data, fits = fit_ncp(values, ncp)
    found = [relative(data, f) for f in fits]
    np.testing.assert_allclose(found, ncp["masked_rel_error"], atol=1e-6)
    hidden = np.broadcast_to(~ncp["observed"][:, None], ncp["X"].shape)
    for fit in fits:
        model = np.einsum("rp,rt,rw->ptw", *fit[:3]) * data.scale
        gap = np.linalg.norm((model - ncp["X"])[hidden])
        assert gap / np.linalg.norm(ncp["X"][hidden]) == pytest.approx(0.3554, abs=0.01)


@pytest.mark.parametrize("masked", [False, True])
def test_loss_never_rises(ncp, masked):
    values = ncp["X"]
    if masked:
        values = np.where(ncp["observed"][:, None], values, np.nan)
    for dtype, slack in (("float64", 1e-12), ("float32", 1e-5)):
        _, fits = fit_ncp(values, ncp, dtype=dtype, max_iter=60)
        for fit in fits:
            assert (np.diff(fit.trace) <= slack * fit.trace[:-1]).all()
            assert min(f.min() for f in fit[:3]) >= 0


def test_reported_loss_is_the_residual(ncp):
    values = np.where(ncp["observed"][:, None], ncp["X"], np.nan)
    data, fits = fit_ncp(values, ncp, max_iter=20)
    for fit in fits:
        error, _ = squared_error(data, fit.A, fit.B, fit.C)
        assert fit.loss == pytest.approx(error / 2, rel=1e-9)


def test_values_under_the_mask_do_not_matter(ncp):
    hidden = ~ncp["observed"][:, None] & np.ones_like(ncp["X"], bool)
    plain = np.where(hidden, np.nan, ncp["X"])
    data, fits = fit_ncp(plain, ncp, max_iter=10)
    weights = np.ones((1, 1, 5, 276))
    weights[0, 0] = ncp["observed"].T
    loud = np.where(hidden, 1e6, ncp["X"])
    other = make_data(loud, dtype="float64")
    other = other._replace(x=other.x * (other.scale / data.scale), scale=data.scale)
    init = (ncp["init_pair"], ncp["init_time"], ncp["init_animal"])
    (same,) = hals(DenseProducts(other, Folds(weights, False)), [stack_of(init, data)],
                   Settings(max_iter=10, tol=1e-12))  # fmt: skip
    for one, two in zip(fits, same):
        np.testing.assert_allclose(one.A, two.A, atol=1e-9)


def test_a_mask_without_holes_is_no_mask(ncp):
    data = make_data(ncp["X"], dtype="float64")
    init = (ncp["init_pair"], ncp["init_time"], ncp["init_animal"])
    whole = data._replace(mask=np.ones((5, 276)))
    settings = Settings(max_iter=15, tol=1e-12)
    (one,) = hals(DenseProducts(data), [stack_of(init, data)], settings)
    (two,) = hals(DenseProducts(whole), [stack_of(init, data)], settings)
    for a, b in zip(one, two):
        np.testing.assert_allclose(a.A, b.A, atol=1e-10)


def test_a_batch_of_restarts_is_each_restart_alone(ncp):
    data, together = fit_ncp(ncp["X"], ncp, max_iter=40)
    init = [ncp[f"init_{k}"] for k in ("pair", "time", "animal")]
    for s in (0, 3):
        alone = stack_of([f[s : s + 1] for f in init], data)
        ((fit,),) = hals(DenseProducts(data), [alone], Settings(max_iter=40, tol=1e-12))
        np.testing.assert_allclose(fit.A, together[s].A, rtol=1e-6, atol=1e-9)


def test_ranks_in_one_batch_are_each_rank_alone(ncp):
    data = make_data(ncp["X"], dtype="float64")
    settings = Settings(max_iter=12)

    def start(rank):
        rng = np.random.default_rng(rank)
        return Stack(rng.random((2, rank, 276)), rng.random((2, rank, 100)),
                     rng.random((2, rank, 5)), np.zeros(2, int))  # fmt: skip

    together = hals(DenseProducts(data), [start(2), start(4)], settings)
    alone = [hals(DenseProducts(data), [start(r)], settings)[0] for r in (2, 4)]
    for one, two in zip(together, alone):
        np.testing.assert_allclose(one[1].B, two[1].B, rtol=1e-6, atol=1e-9)


def gaps(rng):
    """A small tensor with holes of every kind."""
    x = rng.random((6, 9, 3))
    hidden = np.repeat((rng.random((6, 1, 3)) < 0.3), 9, axis=1)
    hidden |= rng.random(x.shape) < 0.1
    x[hidden] = np.nan
    return x


@given(st.integers(0, 10_000))
def test_masked_modes_solve_the_weighted_least_squares_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    x = gaps(rng)
    data = make_data(x, dtype="float64")
    A, B, C = rng.random((2, 6)), rng.random((2, 9)), rng.random((2, 3))
    start = Stack(A[None].copy(), B[None][:, :, data.order].copy(), C[None].copy(),
                  np.zeros(1, int))  # fmt: skip
    ((fit,),) = hals(DenseProducts(data), [start],
                     Settings(max_iter=1, inner=2000, rebalance=False))  # fmt: skip
    scaled = x / data.scale
    for p in range(6):
        wanted = brute(scaled[p], np.einsum("rt,rw->twr", B, C))
        if wanted is not None:
            np.testing.assert_allclose(fit.A[:, p], wanted, atol=1e-7)


def brute(target, design):
    """Non-negative least squares over what is observed, if it determines anything."""
    seen = np.isfinite(target)
    matrix = design[seen]
    if len(matrix) < 2 or np.linalg.cond(matrix) > 30:
        return None
    return nnls(matrix, target[seen])[0]


@pytest.mark.parametrize("shared", [True, False])
def test_compiled_sweeps_are_their_array_twin(shared):
    pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    F, K = rng.random((2, 5, 1300)), rng.random((2, 5, 1300))
    G = rng.random((2, 5, 8))
    H = G @ G.swapaxes(1, 2)
    if not shared:
        H = np.ascontiguousarray(H[..., None] * rng.random((2, 1, 1, 1300)))
        H[..., 7] = 0.0
    one, two = F.copy(), F.copy()
    sweep(one, K, H, n_free=4, l1=0.01)
    sweep(two, K, H, n_free=4, l1=0.01, use_compiled=False)
    np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(one[:, 4], F[:, 4])


def test_torch_does_what_numpy_does(ncp):
    torch = pytest.importorskip("torch")
    values = np.where(ncp["observed"][:, None], ncp["X"], np.nan)
    data = make_data(values, dtype="float64")
    init = (ncp["init_pair"], ncp["init_time"], ncp["init_animal"])
    stack = stack_of(init, data)
    moved = Stack(*(torch.from_numpy(f.copy()) for f in stack[:3]), stack.fold)
    there = data._replace(x=torch.from_numpy(data.x), mask=torch.from_numpy(data.mask))
    settings = Settings(max_iter=25, tol=1e-12)
    (one,) = hals(DenseProducts(data), [stack], settings)
    (two,) = hals(DenseProducts(there), [moved], settings)
    for a, b in zip(one, two):
        assert a.loss == pytest.approx(b.loss, rel=1e-9)
        np.testing.assert_allclose(a.A, b.A, rtol=1e-5, atol=1e-8)


def test_folds_hold_out_exactly_what_their_weights_say(ncp):
    data = make_data(ncp["X"], dtype="float64")
    weights = np.ones((2, 1, 5, 276))
    weights[0, 0, 1, :50] = 0.0
    stack = stack_of([ncp[f"init_{k}"][:2] for k in ("pair", "time", "animal")], data)
    stack = stack._replace(fold=np.array([0, 1]))
    (fits,) = hals(DenseProducts(data, Folds(weights, False)), [stack],
                   Settings(max_iter=8, tol=1e-12))  # fmt: skip
    values = ncp["X"].copy().astype(float)
    values[:50, :, 1] = np.nan
    masked = make_data(values, dtype="float64")
    masked = masked._replace(x=masked.x * masked.scale / data.scale, scale=data.scale)
    alone = Stack(*(f[:1].copy() for f in stack_of(
        [ncp[f"init_{k}"][:1] for k in ("pair", "time", "animal")], data)))  # fmt: skip
    ((wanted,),) = hals(DenseProducts(masked), [alone], Settings(max_iter=8, tol=1e-12))
    np.testing.assert_allclose(fits[0].A, wanted.A, rtol=1e-6, atol=1e-9)
    assert fits[0].loss == pytest.approx(wanted.loss, rel=1e-9)


def test_folds_over_time_hold_out_blocks(ncp):
    groups = np.arange(100) // 25
    data = make_data(ncp["X"], dtype="float64", groups=groups)
    weights = np.ones((1, 4, 5, 276))
    weights[0, 2] = 0.0
    stack = stack_of([ncp[f"init_{k}"][:1] for k in ("pair", "time", "animal")], data)
    ((fit,),) = hals(DenseProducts(data, Folds(weights, True)), [stack],
                     Settings(max_iter=8, tol=1e-12))  # fmt: skip
    kept = groups != 2
    plain = make_data(ncp["X"][:, kept], dtype="float64")
    plain = plain._replace(x=plain.x * plain.scale / data.scale, scale=data.scale)
    start = stack_of(
        [ncp["init_pair"][:1], ncp["init_time"][:1, kept], ncp["init_animal"][:1]],
        data._replace(order=np.arange(75)),
    )
    ((wanted,),) = hals(DenseProducts(plain), [start], Settings(max_iter=8, tol=1e-12))
    np.testing.assert_allclose(fit.A, wanted.A, rtol=1e-6, atol=1e-9)


def test_smooth_sweeps_lower_their_objective():
    rng = np.random.default_rng(0)
    B, K = rng.random((1, 3, 40)), rng.random((1, 3, 40))
    G = rng.random((3, 5))
    H = (G @ G.T)[None]

    def objective(b):
        bent = np.diff(b, n=2, axis=2)
        return 0.5 * (b * (H @ b)).sum() - (b * K).sum() + 2.0 * (bent**2).sum() / 2

    values = [objective(B)]
    for _ in range(10):
        sweep_smooth(B, K, H, 2.0, inner=1)
        values.append(objective(B))
    assert (np.diff(values) <= 1e-12).all()
    assert values[-1] < values[0]


def test_a_dead_component_gets_a_new_start(ncp):
    data = make_data(ncp["X"], dtype="float64")
    stack = stack_of([ncp[f"init_{k}"][:1] for k in ("pair", "time", "animal")], data)
    stack.A[0, 2] = 0.0
    stack.B[0, 2] = 0.0
    ((fit,),) = hals(DenseProducts(data), [stack], Settings(max_iter=2000, tol=1e-12))
    assert fit.n_reseeded >= 1
    assert relative(data, fit) == pytest.approx(0.2025036765, abs=1e-6)
