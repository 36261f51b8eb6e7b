"""The contract of operators: what is registered, checked, shared and refused."""

import re

import numpy as np
import pytest

import neuroana as na
from neuroana.core.errors import ParameterError, SchemaError, ShapeError
from neuroana.fc import registry
from neuroana.fc.costs import operations
from neuroana.fc.registry import find, load_operators
from neuroana.fc.sharing import Shared


ALL = sorted(load_operators())


def draw(*shape, seed=0):
    """Coupled samples (recording, time, roi)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    x[..., 1:, 1] += 0.6 * x[..., :-1, 0]
    x[..., 2] += 0.5 * x[..., 1]
    return x


@pytest.mark.parametrize("name", ALL)
def test_operator_says_where_it_comes_from_and_what_it_costs(name):
    op = find(name)
    assert op.source
    assert operations(op.cost) > 0
    assert op.__doc__.strip()
    assert "References" in op.__doc__ or name == "noise"
    assert op.family in registry.FAMILIES


@pytest.mark.parametrize("name", ALL)
def test_batch_equals_one_by_one(name):
    op = find(name)
    x = draw(3, 80, 4)
    reference = op.learn(list(x)) if op.learn else None
    fs = 1.0 if op.needs_rate else None
    batch = op(x, fs=fs, reference=reference)
    singles = op(list(x[::-1]), fs=fs, reference=reference)[::-1]
    for together, alone in zip(batch, singles):
        np.testing.assert_allclose(together, alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in ALL if n != "noise"])
def test_permuted_regions_give_permuted_matrices(name):
    op = find(name)
    x = draw(1, 90, 5)
    order = np.array([3, 0, 4, 1, 2])
    fs = 1.0 if op.needs_rate else None
    w, turned = op(x, fs=fs)[0], op(x[..., order], fs=fs)[0]
    tol = 1e-4 if name.startswith("graphical") else 1e-8
    np.testing.assert_allclose(w[..., order[:, None], order], turned, atol=tol)


@pytest.mark.parametrize("name", [n for n in ALL if not find(n).directed])
def test_undirected_matrices_are_exactly_symmetric(name):
    op = find(name)
    w = op(draw(2, 80, 4), fs=1.0 if op.needs_rate else None)
    np.testing.assert_array_equal(w, np.swapaxes(w, -1, -2))


@pytest.mark.parametrize("name", [n for n in ALL if not find(n).ordered])
def test_order_of_samples_does_not_matter_where_it_is_said(name):
    if name in ("noise", "mcd", "graphical_lasso_cv"):
        pytest.skip("draws or folds depend on the order")
    op, x = find(name), draw(1, 80, 4)
    fs = 1.0 if op.needs_rate else None
    np.testing.assert_allclose(op(x, fs=fs), op(x[:, ::-1], fs=fs), atol=1e-6)


@pytest.mark.parametrize("name", [n for n in ALL if find(n).ordered])
def test_order_of_samples_matters_where_it_is_said(name):
    op, x = find(name), draw(1, 80, 4)
    fs = 1.0 if op.needs_rate else None
    shuffled = x[:, np.random.default_rng(1).permutation(80)]
    options = {"theiler_samples": 3} if name == "mi_ksg" else {}
    first, second = (op(v, fs=fs, **options) for v in (x, shuffled))
    assert not np.allclose(first, second, equal_nan=True)


def test_user_adds_an_operator_in_one_function(own):
    @na.fc.operator("lagged_product", "lagged", directed=True, cost="T*N^2")
    def lagged_product(x, *, lag_samples=1):
        return np.swapaxes(x[:, :-lag_samples], 1, 2) @ x[:, lag_samples:]

    w = na.fc.connectivity(draw(2, 50, 3), "lagged_product", lag_samples=2)
    assert w.dims == ("recording", "source", "target")
    assert "lagged_product" in na.fc.list_operators(directed=True).index
    assert lagged_product.parameters == {"lag_samples": 1}


def test_operator_for_one_recording_is_called_for_each(own):
    @na.fc.operator("one_by_one", "correlation", signed=True, batched=False)
    def one_by_one(x):
        assert x.ndim == 2
        return np.corrcoef(x.T)

    np.testing.assert_allclose(
        one_by_one(draw(2, 50, 3)), find("pearson")(draw(2, 50, 3)), atol=1e-14
    )


@pytest.mark.parametrize(
    ("made", "kind", "match"),
    [
        (lambda x: np.ones((len(x), 2, 3)), ShapeError, "shape"),
        (lambda x: np.full((len(x), 3, 3), np.nan), SchemaError, "finite"),
        (lambda x: np.triu(np.ones((len(x), 3, 3))), SchemaError, "symmetric"),
        (lambda x: np.ones((len(x), 3, 3), complex), SchemaError, "real"),
    ],
)
def test_operator_that_breaks_its_word_is_named(own, made, kind, match):
    op = na.fc.operator("broken", "correlation")(made)
    with pytest.raises(kind, match=match) as error:
        op(draw(2, 50, 3))
    assert "broken" in str(error.value)


def test_taken_name_is_refused(own):
    with pytest.raises(ParameterError, match="free"):

        @na.fc.operator("pearson", "correlation")
        def pearson(x):
            return x


def test_unknown_operator_names_the_three_nearest():
    with pytest.raises(ParameterError, match="'pearson'") as error:
        na.fc.connectivity(draw(50, 3), "pearsonn")
    assert str(error.value).split("nearest:")[1].count(",") >= 2


def test_unknown_option_names_the_nearest():
    with pytest.raises(ParameterError, match="estimator"):
        na.fc.connectivity(draw(50, 3), "partial", estimater="oas")


def test_unknown_family_and_broken_cost_are_refused():
    with pytest.raises(ParameterError, match="family"):
        na.fc.operator("odd", "correlations")
    with pytest.raises(ParameterError, match="cost"):
        na.fc.operator("odd", "correlation", cost="quadratic")


def test_intermediates_are_computed_once(own, monkeypatch):
    calls = []
    plain = registry.INTERMEDIATES["correlations"]

    def correlations(zscores):
        calls.append(1)
        return plain(zscores)

    monkeypatch.setitem(registry.INTERMEDIATES, "correlations", correlations)
    shared = Shared(draw(2, 50, 3))
    find("pearson").run(shared)
    find("graphical_lasso").run(shared)
    assert len(calls) == 1


def test_kernels_do_not_change_what_they_share():
    shared = Shared(draw(2, 80, 4))
    names = [n for n in ALL if find(n).learn is None]
    first = {n: find(n).run(shared, fs=1.0)[0].copy() for n in names}
    for name in names:
        np.testing.assert_array_equal(find(name).run(shared, fs=1.0)[0], first[name])


def test_list_filters_by_direction_family_and_cost():
    table = na.fc.list_operators(directed=False, max_cost="2*T*N^2")
    assert not table["directed"].any()
    assert "pearson" in table.index
    assert "kendall" not in table.index
    assert set(na.fc.list_operators("shrinkage")["family"]) == {"shrinkage"}


def test_op_is_a_value_with_a_label():
    assert na.fc.Op("mcd", random_state=1) == na.fc.Op("mcd", {"random_state": 1})
    assert na.fc.Op("partial", estimator="oas").label == "partial(estimator=oas)"


def test_installed_package_registers_by_entry_point(own, monkeypatch):
    import importlib.metadata

    class Entry:
        @staticmethod
        def load():
            na.fc.operator("from_elsewhere", "correlation", signed=True)(
                lambda x: np.stack([np.corrcoef(one.T) for one in x])
            )

    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [Entry])
    monkeypatch.setattr(registry, "_loaded", [])
    assert "from_elsewhere" in load_operators()


@pytest.mark.parametrize("name", ALL)
def test_every_option_is_documented_and_no_other(name):
    op = find(name)
    section = op.__doc__.partition("Parameters\n")[2].partition("References\n")[0]
    heads = re.findall(r"^    (\w[\w, ]*?)(?: :.*)?$", section, re.M)
    named = {n for head in heads for n in head.split(", ")}
    assert named == set(op.parameters)


def test_unknown_option_names_the_three_nearest():
    with pytest.raises(ParameterError, match=r"'lag_samples'.*got 'lag_sample'"):
        na.fc.connectivity(draw(1, 50, 3), "xcorr_max", lag_sample=3)
    with pytest.raises(ParameterError, match="has none"):
        find("spearman").run(Shared(draw(1, 50, 3)), lags=3)


def test_option_without_effect_is_refused():
    with pytest.raises(ParameterError, match="estimator='shrunk'"):
        na.fc.connectivity(draw(1, 50, 3), "partial", shrinkage=0.3)
