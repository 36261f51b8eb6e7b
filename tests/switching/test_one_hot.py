"""The one-hot prior: its posterior of types, its bound, its map, Dale's law."""

import numpy as np
import pytest
from scipy import stats

from neuroana.core.errors import ParameterError, ShapeError
from neuroana.switching import HMMGLM, OneHotPrior, simulate_hmm_glm
from neuroana.switching.one_hot import OneHotLaw


QUIET = pytest.mark.filterwarnings("ignore::neuroana.core.errors.FitWarning")
RNG = np.random.default_rng(0)
W = RNG.standard_normal((2, 3, 4, 4))  # two starts, three states, four units
POOLED = np.ones((3, 4, 4), dtype=bool)
VARIANCE = np.ones(4)
NO_MATTER = 1e9  # a Laplace variance that says nothing


def start(prior, w=W, pooled=POOLED):
    return prior.start(w, VARIANCE, pooled)


def known(p=(0.1, 0.8, 0.1)):
    return np.broadcast_to(p, (4, 4, 3)).copy()


def test_types_are_bayes_rule():
    law = start(OneHotPrior(none_scale=0.2))

    r, _ = law.types(*law.evidence(W, None))

    sd = [law.scatter[0], 0.2, law.scatter[0]]
    mean = [-law.mu[0], 0, law.mu[0]]
    like = np.stack([stats.norm.pdf(W, m, s) for m, s in zip(mean, sd)], axis=-1)
    joint = law.a0[:, None] * like
    np.testing.assert_allclose(r, joint / joint.sum(-1, keepdims=True), rtol=1e-10)


def test_cavity_takes_the_prior_out():
    law = start(OneHotPrior())
    precision = 7.0  # of the data, at 0.4
    laplace = 1 / (precision + law.precision)
    w = laplace * (precision * 0.4 + law.precision * law.mean)

    data, spread = law.evidence(w, laplace)

    np.testing.assert_allclose(data, 0.4, rtol=1e-10)
    np.testing.assert_allclose(spread, 1 / precision, rtol=1e-10)


def test_data_that_say_nothing_leave_the_map():
    law = start(OneHotPrior(a0=known()))

    r, _ = law.types(*law.evidence(W, np.full(W.shape, NO_MATTER)))

    np.testing.assert_allclose(r, np.broadcast_to(known(), r.shape), atol=0.05)


def test_map_counts_types_over_states():
    prior = OneHotPrior(pseudo_counts=(0.5, 1.0, 0.5))
    law = prior.update(start(prior), W, np.full(W.shape, 0.01))

    counts = np.array([0.5, 1.0, 0.5]) + law.r.sum(axis=1)

    np.testing.assert_allclose(law.a0, counts / counts.sum(-1, keepdims=True))


def test_normal_bound_touches_the_mixture_from_below():
    """log p(w) >= bound, equal with equal slope where the types were taken."""
    prior = OneHotPrior(edge_update="em", none_scale=0.3)
    law = start(prior)

    def bound(w):
        return -0.5 * (law.precision * (w - law.mean) ** 2).sum()

    def density(w):
        return law.log_density(w).sum()

    for step in (1e-4, 0.3, -0.5):
        moved = W + step * RNG.standard_normal(W.shape)
        gain, least = density(moved) - density(W), bound(moved) - bound(W)
        assert gain >= least - 1e-9
        if step == 1e-4:
            assert gain == pytest.approx(least, abs=1e-4)


def test_known_connectome_is_kept_or_learned():
    fixed = OneHotPrior(a0=known())
    learned = OneHotPrior(a0=known(), a0_weight=5.0)

    still = fixed.update(start(fixed), W, np.full(W.shape, 0.01))
    moved = learned.update(start(learned), W, np.full(W.shape, 0.01))

    np.testing.assert_array_equal(still.a0[0], known())
    counts = 5 * known() + moved.r.sum(axis=1)
    np.testing.assert_allclose(moved.a0, counts / counts.sum(-1, keepdims=True))


def test_scales_of_measurement_do_not_matter():
    size = np.array([1e-6, 1.0, 1e3, 5.0])
    scale = size[:, None] / size
    prior = OneHotPrior()

    plain = prior.update(
        prior.start(W, VARIANCE, POOLED, np.ones((4, 4))), W, 0.1 + 0 * W
    )
    volts = prior.update(
        prior.start(W * scale, VARIANCE, POOLED, scale),
        W * scale,
        0.1 * scale**2 + 0 * W,
    )

    np.testing.assert_allclose(volts.r, plain.r, rtol=1e-8)
    np.testing.assert_allclose(volts.mean, plain.mean * scale, rtol=1e-8)


def test_pooled_signs_make_sources_of_one_sign():
    w = np.abs(W)
    w[..., 1] *= -1  # source 1 inhibits
    prior = OneHotPrior(sign_pooling="source")

    law = prior.update(start(prior, w), w, np.full(W.shape, 0.01))

    np.testing.assert_allclose(law.sign[0], [1, 0, 1, 1], atol=1e-6)
    assert law.r[..., 0, 0].max() < 1e-6  # no edge of an exciting source inhibits
    assert law.r[..., 1, 2].max() < 1e-6


def test_pooled_signs_outvote_a_single_edge():
    w = np.full(W.shape, 0.8)
    w[0, 0, 0, 2] = -0.8
    free, pooled = OneHotPrior(), OneHotPrior(sign_pooling="source")

    alone = free.update(start(free, w), w, np.full(W.shape, 0.05)).r[0, 0, 0, 2]
    joint = pooled.update(start(pooled, w), w, np.full(W.shape, 0.05)).r[0, 0, 0, 2]

    assert alone.argmax() == 0
    assert joint[0] < 1e-6


def test_basis_functions_of_an_edge_share_its_type():
    w = RNG.standard_normal((1, 2, 3, 6))  # two basis functions
    pooled = np.ones((2, 3, 6), dtype=bool)
    prior = OneHotPrior()

    law = prior.update(
        prior.start(w, np.ones(6), pooled, np.ones((3, 6))), w, np.full(w.shape, 0.1)
    )

    assert law.r.shape == (1, 2, 3, 3, 3)
    assert law.mean.shape == w.shape


def test_law_of_some_starts():
    law = start(OneHotPrior(sign_pooling="source"))

    assert isinstance(law.take([1]), OneHotLaw)
    np.testing.assert_array_equal(law.take([1]).a0, law.a0[1:])


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "soft"},
        {"sign_pooling": "target"},
        {"edge_update": "map"},
        {"none_scale": 0.0},
        {"pseudo_counts": (1.0, 1.0)},
        {"temperature": (1.0, -0.1)},
        {"a0": np.full((4, 4, 3), 0.5)},
        {"a0": np.ones((4, 4))},
        {"reference_schedule": True},
    ],
    ids=repr,
)
def test_one_hot_rejects_arguments_it_cannot_use(options):
    with pytest.raises(ParameterError):
        start(OneHotPrior(**options))


def test_one_hot_rejects_a_connectome_of_another_size():
    with pytest.raises(ShapeError, match=r"\(4, 4, 3\)"):
        start(OneHotPrior(a0=np.full((5, 5, 3), 1 / 3)))


@pytest.fixture(scope="module")
def simulated():
    return simulate_hmm_glm(
        n_states=2, n_units=8, n_bins=1500, n_sequences=4, random_state=0
    )


@QUIET
@pytest.mark.parametrize("seed", range(2))
def test_objective_never_falls_with_types_by_em(simulated, seed):
    prior = OneHotPrior(edge_update="em", none_scale=0.2)
    model = HMMGLM(2, link="sigmoid", prior=prior, n_init=2, random_state=seed)

    trace = model.fit(simulated[0]).objective_trace_.to_numpy()

    assert np.nanmin(np.diff(trace, axis=1)) >= -1e-9 * np.nanmax(np.abs(trace))


def test_fit_labels_types_map_and_signs(simulated, tmp_path):
    data, truth = simulated
    prior = OneHotPrior(sign_pooling="source", a0=known_of(truth), a0_weight=2.0)
    model = HMMGLM(2, link="sigmoid", prior=prior, n_init=2, random_state=0).fit(data)

    assert model.edge_probability_.dims == ("state", "neuron", "source", "sign")
    assert model.edge_prior_.dims == ("neuron", "source", "sign")
    assert list(model.edge_prior_.sign) == ["inhibitory", "none", "excitatory"]
    own = np.eye(8, dtype=bool)
    assert np.isnan(model.edge_probability_.to_numpy()[:, own]).all()
    others = model.edge_probability_.to_numpy()[:, ~own]
    np.testing.assert_allclose(others.sum(-1), 1.0)
    np.testing.assert_allclose(model.source_sign_.sum("sign"), 1.0)
    back = HMMGLM.load(model.save(tmp_path / "fit.nc"))
    assert back.prior == model.prior
    np.testing.assert_allclose(back.prior.a0, prior.a0)
    assert back.score(data) == model.score(data)


def known_of(truth):
    return truth.edge_prior.to_numpy()


def test_map_without_edges_leaves_no_couplings(simulated):
    nothing = np.broadcast_to([0.0, 1.0, 0.0], (8, 8, 3))
    prior = OneHotPrior(a0=nothing, none_scale=1e-3)

    model = HMMGLM(
        2, link="sigmoid", prior=prior, self_coupling="prior", n_init=1, random_state=0
    ).fit(simulated[0])

    assert np.abs(model.coupling_).max() < 0.01


def test_one_hot_beats_ridge_on_few_data():
    data, _ = simulate_hmm_glm(
        n_states=2, n_units=10, n_bins=1000, n_sequences=6, random_state=3
    )
    options = {"link": "sigmoid", "n_init": 2, "random_state": 0}
    train, test = data[:3], data[3:]

    none = HMMGLM(2, **options).fit(train)
    one_hot = HMMGLM(2, prior="one_hot", self_coupling="prior", **options).fit(train)

    assert one_hot.score(test) > none.score(test) + 5e-4


def test_one_hot_fits_multi_basis_and_real_values():
    from neuroana.switching import RawHistory

    data, _ = simulate_hmm_glm(
        "gaussian_var", n_states=2, n_units=3, n_bins=400, n_sequences=2, random_state=0
    )
    model = HMMGLM(
        2, "gaussian", history=RawHistory(2), prior="one_hot", n_init=2, random_state=0
    ).fit(data)

    assert model.coupling_.sizes["basis"] == 2
    assert model.edge_probability_.sizes == {
        "state": 2, "channel": 3, "source": 3, "sign": 3,
    }  # fmt: skip
    assert np.isfinite(model.score(data))
