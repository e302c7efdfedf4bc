"""`l1fast.penalties` against its formulas, written down once more, in plain NumPy or with 60 decimal digits."""

import copy
import dataclasses
import decimal
import math
import pickle
import warnings

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import l1fast
from l1fast.penalties import L1, L2, ElasticNet, Huber, Penalty, PowerNorm, PseudoHuber, QuadraticBound

ULP = 2.0**-52

# phi of the separable penalties, one coefficient at a time, as the two texts state it
SEPARABLE = {
    "l1": (L1, {}, abs),
    "l2": (L2, {}, lambda u: u**2 / 2),
    "elastic_net": (ElasticNet, {"l1": 0.75, "l2": 2.5}, lambda u: 0.75 * abs(u) + 2.5 / 2 * u**2),
    "ridge": (ElasticNet, {"l1": 0.0, "l2": 0.5}, lambda u: 0.5 / 2 * u**2),
    "huber": (Huber, {"mu": 0.3}, lambda u: u**2 / 0.6 if abs(u) <= 0.3 else abs(u) - 0.15),
    "huber_offset": (Huber, {"mu": 2.0, "offset": True}, lambda u: u**2 / 4 + 1 if abs(u) <= 2 else abs(u)),
    "pseudo_huber": (PseudoHuber, {"eps": 0.7}, lambda u: math.sqrt(u**2 + 0.7**2)),
    "quadratic_bound": (QuadraticBound, {"gamma": 1.25}, lambda u: (1.25 * u**2 + 1 / 1.25) / 2),
    "power": (PowerNorm, {"eps": 0.4, "separable": True}, lambda u: abs(u) ** 1.4),
    "squares": (PowerNorm, {"eps": 1.0, "separable": True}, lambda u: u**2),
    "sharp_power": (PowerNorm, {"eps": 0.01, "separable": True}, lambda u: abs(u) ** 1.01),
}
# more arguments, for the distances alone
VARIANTS = {
    "weak_l1": (ElasticNet, {"l1": 0.5, "l2": 0.0}, lambda u: 0.5 * abs(u)),
    "strong_l1": (ElasticNet, {"l1": 3.0, "l2": 0.0}, lambda u: 3 * abs(u)),
    "strong_elastic_net": (ElasticNet, {"l1": 3.0, "l2": 0.5}, lambda u: 3 * abs(u) + 0.5 / 2 * u**2),
    "wide_bound": (QuadraticBound, {"gamma": 0.4}, lambda u: (0.4 * u**2 + 1 / 0.4) / 2),
}
NORMS = {
    "power_norm": (PowerNorm, {"eps": 0.4}, 1.4),
    "euclidean": (PowerNorm, {"eps": 1.0}, 2.0),
    "sharp_norm": (PowerNorm, {"eps": 0.01}, 1.01),
}
ALL = {**SEPARABLE, **NORMS}
SMOOTH = [name for name in SEPARABLE if name not in ("l1", "elastic_net")]
WEIGHTS = {"plain": None, "weighted": [2.0, 0.5, 0.0, 1.25]}

weightings = st.sampled_from(sorted(WEIGHTS))
numbers = st.floats(-8.0, 8.0).map(lambda x: round(x, 3))
points = hnp.arrays(np.float64, 4, elements=numbers)
steps = st.floats(0.01, 10.0)


def make(name, weighting="plain", count=4):
    """A penalty, its weights as a vector, and what its value should be."""
    kind, arguments, formula = {**ALL, **VARIANTS}[name]
    v = np.ones(count) if WEIGHTS[weighting] is None else np.array(WEIGHTS[weighting])
    if name in NORMS:

        def value(w):
            return sum((vj * abs(wj)) ** formula for vj, wj in zip(v, w, strict=True)) ** (1 / formula)
    else:

        def value(w):
            return sum(vj * formula(wj) for vj, wj in zip(v, w, strict=True))

    return kind(**arguments, weights=WEIGHTS[weighting]), v, value


everything = pytest.mark.parametrize("name", ALL)
separable = pytest.mark.parametrize("name", SEPARABLE)
smooth = pytest.mark.parametrize("name", SMOOTH)
weighted = pytest.mark.parametrize("weighting", WEIGHTS)


# Value, gradient, subgradient.


@everything
@hypothesis.given(weighting=weightings, w=points)
def test_value(name, weighting, w):
    penalty, _, value = make(name, weighting)
    assert penalty.value(w) == pytest.approx(value(w), rel=1e-13, abs=1e-300)
    assert penalty.value(-w) == penalty.value(w)


@smooth
@hypothesis.given(weighting=weightings, w=points)
def test_gradient_is_the_slope_of_the_value(name, weighting, w):
    penalty, _, value = make(name, weighting)
    w = np.where(np.abs(w) < 0.05, 0.05, w) if name == "sharp_power" else w  # its slope turns within 1e-100 of 0
    h = 1e-6
    slopes = [(value(w + h * e) - value(w - h * e)) / (2 * h) for e in np.eye(4)]
    np.testing.assert_allclose(penalty.gradient(w), slopes, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(penalty.gradient(w), penalty.subgradient(w))
    assert penalty.smooth


@pytest.mark.parametrize("name", NORMS)
@hypothesis.given(weighting=weightings, w=points)
def test_gradient_of_the_norm(name, weighting, w):
    penalty, v, value = make(name, weighting)
    w = np.where(np.abs(w) < 0.05, 0.05, w)
    h = 1e-6
    slopes = [(value(w + h * e) - value(w - h * e)) / (2 * h) for e in np.eye(4)]
    np.testing.assert_allclose(penalty.gradient(w), slopes, rtol=1e-4, atol=1e-4)
    assert penalty.gradient(w) @ w == pytest.approx(penalty.value(w), rel=1e-13)  # Euler, for homogeneous functions
    dual = np.abs(penalty.gradient(w))[v > 0] / v[v > 0]
    p = 1 + penalty.eps
    assert dual.max() * ((dual / dual.max()) ** (p / (p - 1))).sum() ** ((p - 1) / p) == pytest.approx(1)
    assert not penalty.smooth


@everything
@hypothesis.given(weighting=weightings, w=points, z=points)
def test_subgradients_support_the_penalty(name, weighting, w, z):
    penalty, _, value = make(name, weighting)
    g = penalty.subgradient(w)
    assert value(z) >= value(w) + g @ (z - w) - 1e-12 * (1 + value(z) + np.abs(g) @ np.abs(z - w))


@everything
@hypothesis.given(weighting=weightings, w=points)
def test_the_subgradient_is_the_least(name, weighting, w):
    """It is the number nearest to 0 between the slopes to the left and to the right."""
    penalty, _, value = make(name, weighting)
    hypothesis.assume(name not in NORMS or not np.any((np.abs(w) > 0) & (np.abs(w) < 0.05)))
    w = np.where((np.abs(w) < 0.05) & (w != 0), 0.05, w)
    g, h = penalty.subgradient(w), 1e-200 if not w.any() else 1e-6
    for j, e in enumerate(np.eye(4)):
        if w[j] == 0:
            left, right = (value(w) - value(w - h * e)) / h, (value(w + h * e) - value(w)) / h
            nearest = min(max(0.0, left), right)
            assert g[j] == pytest.approx(nearest, abs=1e-3)
    assert np.all(g[w == 0] == 0)


@everything
def test_convex_and_even_on_a_grid(name):
    penalty, _, _ = make(name, count=2)
    t = np.linspace(-3, 3, 61)
    values = np.array([penalty.value([u, 0.5]) for u in t])
    np.testing.assert_allclose(values, values[::-1])
    assert np.all(np.diff(values, 2) >= -1e-13)


# Prox.


@separable
@hypothesis.given(weighting=weightings, x=points, step=steps)
def test_prox_is_the_argmin_of_each_coefficient(name, weighting, x, step):
    penalty, v, _ = make(name, weighting)
    formula = ALL[name][2]
    for xj, vj, uj in zip(x, v, penalty.prox(x, step), strict=True):

        def objective(u, xj=xj, vj=vj):
            return (u - xj) ** 2 / 2 + step * vj * formula(u)

        edges = sorted((0.0, xj))
        found = minimize_scalar(objective, bounds=edges, method="bounded", options={"xatol": 1e-10}).x if xj else 0.0
        best = min(objective(found), objective(0.0), objective(xj))
        assert objective(uj) <= best + 1e-13 * (1 + abs(best))
        assert edges[0] <= uj <= edges[1]
        grid = np.linspace(edges[0], edges[1], 201)
        assert objective(uj) <= min(map(objective, grid)) + 1e-13 * (1 + abs(best))


@everything
@hypothesis.given(weighting=weightings, x=points, step=steps, z=points)
def test_prox_leaves_a_subgradient(name, weighting, x, step, z):
    """u = prox(x) if and only if x - u is step times an element of the subdifferential at u."""
    penalty, v, value = make(name, weighting)
    u = penalty.prox(x, step)
    residual = (x - u) / step
    assert value(z) >= value(u) + residual @ (z - u) - 1e-12 * (1 + value(z) + np.abs(residual) @ np.abs(z - u))
    g = penalty.subgradient(u)
    if name in (*SMOOTH, *NORMS):
        held = u != 0  # the root of a steep power may be below the least float
        np.testing.assert_allclose(residual[held], g[held], rtol=1e-12, atol=1e-12 / step)
    np.testing.assert_array_equal(u[v == 0], x[v == 0])


@everything
@hypothesis.given(weighting=weightings, x=points, y=points, step=steps)
def test_prox_is_firmly_non_expansive(name, weighting, x, y, step):
    penalty, _, _ = make(name, weighting)
    d = penalty.prox(x, step) - penalty.prox(y, step)
    assert d @ (x - y) >= d @ d - 1e-13 * (np.abs(x) + np.abs(y)).max() ** 2


@everything
@hypothesis.given(x=points)
def test_prox_for_no_step_and_for_long_ones(name, x):
    penalty, _, _ = make(name)
    np.testing.assert_array_equal(penalty.prox(x, 0.0), x)
    far = penalty.prox(x, 1e300)
    assert np.all(np.abs(far) <= 1e-250 + 1e-2 * np.abs(x))
    assert penalty.value(far) <= penalty.value(x)


@pytest.mark.parametrize("name", NORMS)
@hypothesis.given(weighting=weightings, x=points, factor=st.sampled_from([0.5, 1 - 1e-9, 1 - 1e-14, 1 + 1e-9, 2.0]))
def test_prox_of_the_norm_is_zero_up_to_the_dual_norm(name, weighting, x, factor):
    penalty, v, _ = make(name, weighting)
    held = v > 0
    hypothesis.assume(np.abs(x[held]).max() > 0.01)
    q = ALL[name][2] / (ALL[name][2] - 1)
    z = np.abs(x[held]) / v[held]
    dual = z.max() * ((z / z.max()) ** q).sum() ** (1 / q)
    u = penalty.prox(x, factor * dual)
    assert u[held].any() == (factor < 1)
    np.testing.assert_array_equal(u[~held], x[~held])


@hypothesis.given(x=points, step=steps)
def test_prox_of_the_euclidean_norm(x, step):
    size = np.linalg.norm(x)
    expected = x * max(1 - step / size, 0) if size else x
    np.testing.assert_allclose(PowerNorm(1.0).prox(x, step), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("eps", [0.5, 0.25, 1.0])
def test_prox_of_the_norm_by_an_interior_point_method(eps):
    cvxpy = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(3)
    x, v, step = rng.standard_normal(6), rng.uniform(0.2, 2.0, 6), 0.4
    u = cvxpy.Variable(6)
    norm = cvxpy.pnorm(cvxpy.multiply(v, u), 1 + eps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the notices of its own dependencies
        cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(u - x) / 2 + step * norm)).solve(solver="CLARABEL")
    np.testing.assert_allclose(PowerNorm(eps, weights=v).prox(x, step), u.value, atol=1e-4)


def test_long_vectors():
    x = np.random.default_rng(0).standard_normal(2000)
    for eps in (0.01, 0.5, 1.0):
        u = PowerNorm(eps).prox(x, 0.5)
        np.testing.assert_allclose(x - u, 0.5 * PowerNorm(eps).gradient(u), rtol=1e-12, atol=1e-13)


# Curvature.


@smooth
@hypothesis.given(weighting=weightings, w=points, z=points)
def test_curvature_bounds_the_change_of_the_gradient(name, weighting, w, z):
    penalty, _, _ = make(name, weighting)
    change = np.linalg.norm(penalty.gradient(w) - penalty.gradient(z))
    distance = np.linalg.norm(w - z)
    assert change <= (penalty.curvature * distance if distance else 0.0) * (1 + 1e-12) + 1e-14


@smooth
@weighted
def test_curvature_is_attained(name, weighting):
    penalty, v, _ = make(name, weighting)
    h = 1e-9
    slopes = (penalty.gradient(np.full(4, h)) - penalty.gradient(np.full(4, -h))) / (2 * h)
    if math.isinf(penalty.curvature):
        assert "power" in name
        assert slopes.max() > 1e4
    else:
        assert penalty.curvature == pytest.approx(slopes.max(), rel=1e-6)
        assert slopes.argmax() == v.argmax()


@pytest.mark.parametrize("name", [name for name in ALL if name not in SMOOTH])
def test_no_curvature_without_a_gradient(name):
    penalty, _, _ = make(name)
    assert penalty.curvature == math.inf
    assert not penalty.smooth
    free = dataclasses.replace(penalty, weights=np.zeros(4))
    assert free.smooth
    assert free.curvature == 0
    np.testing.assert_array_equal(free.gradient([1.0, 0.0, -2.0, 3.0]), np.zeros(4))


# Distance to the L1 norm.

RADII = (0.0, 0.01, 0.3, 0.45, 1.0, 1.7, 2.0, 6.0, math.inf)


@pytest.mark.parametrize("name", [*ALL, *VARIANTS])
@hypothesis.given(
    weighting=weightings,
    radius=st.sampled_from(RADII) | st.floats(0, 10),
    direction=hnp.arrays(np.float64, 4, elements=st.floats(-1, 1)),
    factor=st.floats(0, 1e4),
)
@hypothesis.settings(max_examples=100)
def test_distance_holds(name, weighting, radius, direction, factor):
    penalty, v, _ = make(name, weighting)
    below, above = penalty.distance(4, radius=radius)
    assert below >= 0 and above >= 0
    w = direction * min(factor, radius)
    difference = penalty.value(w) - v @ np.abs(w)
    assert -below - 1e-13 * (1 + v @ np.abs(w)) <= difference <= above + 1e-13 * (1 + penalty.value(w))


@pytest.mark.parametrize("name", [*SEPARABLE, *VARIANTS])
def test_distance_is_attained(name):
    """The extremes over a fine grid of one coefficient, or over points that run to infinity."""
    penalty, _, _ = make(name)
    other, v, _ = make(name, "weighted")
    formula = {**SEPARABLE, **VARIANTS}[name][2]
    for radius in RADII:
        grid = np.concatenate([np.linspace(0, min(radius, 8.0), 2001), 10.0 ** np.arange(1, 9)])
        differences = [formula(t) - t for t in grid if t <= radius]
        below, above = penalty.distance(radius=radius)
        for bound, seen in ((below, max(0.0, -min(differences))), (above, max(0.0, *differences))):
            if math.isinf(bound):
                assert math.isinf(radius)
                assert seen > 1e7
            else:
                assert bound == pytest.approx(seen, rel=1e-4, abs=1e-5)
        assert penalty.distance(4, radius) == pytest.approx((4 * below, 4 * above))
        assert other.distance(radius=radius) == pytest.approx((v.sum() * below, v.sum() * above))


@pytest.mark.parametrize("name", NORMS)
@weighted
def test_distance_of_the_norm_is_attained_at_the_corner(name, weighting):
    penalty, v, value = make(name, weighting)
    for radius in (0.5, 1.0, 3.0):
        below, above = penalty.distance(4, radius)
        assert above == 0
        assert below == pytest.approx(radius * v.sum() - value(np.full(4, radius)), rel=1e-12)
        p, m = ALL[name][2], np.count_nonzero(v)
        assert below <= (1 - m ** (-(p - 1) / p)) * radius * v.sum() * (1 + 1e-12)  # Hoelder
    assert penalty.smoothing_error(4) == math.inf
    assert dataclasses.replace(penalty, weights=[0.0, 3.0]).distance() == (0.0, 0.0)


def test_distance_of_the_norm_has_no_cancellation():
    """sum v - |v|_p = eps (H + o(1)) for small eps, with H the entropy of v, for weights that add up to 1."""
    v = np.array([0.5, 0.3, 0.2])
    entropy = -(v @ np.log(v))
    for eps in (1e-8, 1e-12, 1e-16, 1e-100):
        assert PowerNorm(eps, weights=v).distance(radius=1.0)[0] == pytest.approx(eps * entropy, rel=1e-7)


@pytest.mark.parametrize("name", [name for name in ALL if math.isfinite(make(name)[0].smoothing_error(4))])
@hypothesis.given(weighting=weightings, c=points, lam=st.floats(0.05, 5.0))
def test_smoothing_error_bounds_what_the_stand_in_costs(name, weighting, c, lam):
    """f = 1/2 |w - c|^2, whose minimisers are the prox of each."""
    penalty, v, _ = make(name, weighting)
    truth = L1(v)

    def objective(w):
        return (w - c) @ (w - c) / 2 + lam * truth.value(w)

    cost = objective(penalty.prox(c, lam)) - objective(truth.prox(c, lam))
    assert -1e-12 * (1 + c @ c) <= cost <= lam * penalty.smoothing_error(4) + 1e-12 * (1 + c @ c)


@pytest.mark.parametrize("width", [1e-3, 0.1, 3.0])
def test_nothing_as_smooth_is_nearer_than_huber(width):
    for huber in (Huber(width), Huber(width, offset=True)):
        assert huber.curvature * huber.smoothing_error() == pytest.approx(0.5)
    assert PseudoHuber(width).curvature * PseudoHuber(width).smoothing_error() == pytest.approx(1.0)


# What the two texts say.


def huber_loss_grad(vX, paramMu):
    """The text's MATLAB, word for word."""
    return (np.abs(vX) <= paramMu) * (vX / paramMu) + (np.abs(vX) > paramMu) * np.sign(vX)


@hypothesis.given(w=points, mu=st.floats(1e-3, 10.0))
def test_huber_gradient_of_the_text(w, mu):
    for offset in (False, True):
        np.testing.assert_array_equal(Huber(mu, offset=offset).gradient(w), huber_loss_grad(w, mu))


def test_ten_steps_of_the_text():
    """From 5 with step 1/2: the L1 norm needs ten steps to 0, the L2 penalty halves the weight and never gets there."""
    w, track = np.array([5.0]), [5.0]
    while w[0]:
        w = w - 0.5 * L1().subgradient(w)
        track.append(w[0])
    assert track == [5.0 - 0.5 * k for k in range(11)]
    w = np.array([5.0])
    for k in range(60):
        assert w[0] == 5.0 * 0.5**k
        w = w - 0.5 * L2().gradient(w)
    assert w[0] > 0
    np.testing.assert_array_equal(w - 1.0 * L2().gradient(w), [0.0])  # unless the step is 1


@hypothesis.given(w=points, eps=st.floats(1e-6, 5.0))
def test_square_root_of_the_text(w, eps):
    value = PseudoHuber(eps).value(w)
    assert value == pytest.approx(np.sqrt(w**2 + eps**2).sum())
    assert np.abs(w).sum() <= value <= np.abs(w).sum() + 4 * eps * (1 + 1e-12)


@hypothesis.given(w=points, z=points, gamma=hnp.arrays(np.float64, 4, elements=st.floats(1e-2, 1e2)))
def test_quadratic_bound_of_the_text(w, z, gamma):
    bound = QuadraticBound(gamma)
    assert bound.value(w) == pytest.approx((gamma * w**2 + 1 / gamma).sum() / 2)
    assert bound.value(w) >= np.abs(w).sum() * (1 - 1e-14)
    assert QuadraticBound(1 / np.abs(np.where(w, w, 1))).value(np.where(w, w, 1)) == pytest.approx(
        np.abs(np.where(w, w, 1)).sum(), rel=1e-14
    )
    np.testing.assert_allclose(bound.gradient(w), gamma * w)
    assert bound.curvature == gamma.max()


@hypothesis.given(w=points)
def test_power_norm_of_the_text(w):
    for eps in (1.0, 0.1, 1e-3):
        assert PowerNorm(eps).value(w) == pytest.approx((np.abs(w) ** (1 + eps)).sum() ** (1 / (1 + eps)), rel=1e-13)


@hypothesis.given(w=points, step=steps)
def test_all_become_the_l1_norm(w, step):
    truth, shrunk = L1().value(w), L1().prox(w, step)
    near = np.abs(np.abs(w) - step) < 1e-3  # there the prox changes over from 0
    for width in (1e-4, 1e-8, 1e-12, 1e-300):
        for penalty in (Huber(width), Huber(width, True), PseudoHuber(width), PowerNorm(width), PowerNorm(width, True)):
            # |u| ln |u| eps for the powers, 4 width for the others
            assert penalty.value(w) == pytest.approx(truth, abs=100 * width + 1e-13 * truth)
            if penalty not in (PowerNorm(width),):
                u = penalty.prox(w, step)
                np.testing.assert_allclose(u[~near], shrunk[~near], atol=2e5 * width + 1e-12 * (1 + step))


# The bound behind iteratively reweighted least squares, and its envelope.


@hypothesis.given(weighting=weightings, w=points, z=points, floor=st.floats(1e-3, 10.0))
def test_quadratic_bound_touches_and_dominates(weighting, w, z, floor):
    v = np.ones(4) if WEIGHTS[weighting] is None else np.array(WEIGHTS[weighting])
    bound = QuadraticBound.at(w, floor, weights=WEIGHTS[weighting])
    np.testing.assert_array_equal(bound.gamma, 1 / np.maximum(np.abs(w), floor))
    assert bound.value(z) >= v @ np.abs(z) * (1 - 1e-14)
    envelope = Huber(floor, offset=True, weights=WEIGHTS[weighting])
    assert bound.value(w) == pytest.approx(envelope.value(w), rel=1e-14)
    assert bound.value(z) >= envelope.value(z) * (1 - 1e-14)
    np.testing.assert_allclose(bound.gradient(w), envelope.gradient(w), rtol=1e-14)
    far = np.where(np.abs(w) < floor, floor, w)
    assert QuadraticBound.at(far, floor, weights=WEIGHTS[weighting]).value(far) == pytest.approx(
        v @ np.abs(far), rel=1e-14
    )


def test_quadratic_bound_of_each_coefficient():
    gamma = np.array([0.5, 2.0, 8.0])
    v = np.array([1.0, 0.0, 3.0])
    bound = QuadraticBound(gamma, weights=v)
    for radius in (0.1, 0.4, 1.0, 5.0):
        t = np.linspace(0, radius, 2001)
        each = [max((g * t**2 + 1 / g) / 2 - t) for g in gamma]
        assert bound.distance(radius=radius) == (0.0, pytest.approx(v @ each))
    assert bound.distance() == (0.0, math.inf)
    assert bound.curvature == 24.0
    np.testing.assert_allclose(bound.prox([3.0, 3.0, 3.0], 0.5), [3 / 1.25, 3.0, 3 / 13])


@hypothesis.given(w=points, mu=st.floats(0.01, 5.0))
def test_huber_is_the_moreau_envelope_of_the_norm(w, mu):
    u = L1().prox(w, mu)
    assert Huber(mu).value(w) == pytest.approx(L1().value(u) + (w - u) @ (w - u) / (2 * mu))
    np.testing.assert_allclose(Huber(mu).gradient(w), (w - u) / mu, atol=1e-12)


# The whole range of float64: judged with 60 digits.

DIGITS = decimal.Context(prec=60, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)
exponents = st.floats(-300.0, 300.0)
sizes = exponents.map(lambda e: 10.0**e)


def exact(x):
    return DIGITS.create_decimal(float(x))


def power(x, p):
    return DIGITS.power(x, p) if x else exact(0)


def assert_root(u, s, x, slope):
    """u + s slope(u) = x, for x and s that are wrong by two units in the last place or u by one; 0 for what is less."""
    D, tolerance = DIGITS, exact(2 * ULP)

    def excess(u):
        return D.subtract(D.add(exact(u), D.multiply(exact(s), slope(exact(u)))), exact(x))

    if u == 0:
        assert excess(5e-324) >= 0
    elif not excess(np.nextafter(u, 0)) <= 0 <= excess(np.nextafter(u, math.inf)):
        assert abs(excess(u)) <= tolerance * max(exact(x), exact(s) * slope(exact(u)))


@hypothesis.given(x=sizes, step=sizes, eps=sizes)
@hypothesis.settings(max_examples=200)
def test_prox_of_pseudo_huber_at_all_scales(x, step, eps):
    with decimal.localcontext(DIGITS):
        u = PseudoHuber(eps).prox([x], step)[0]
        assert_root(u, step, x, lambda u: u / (u * u + exact(eps) ** 2).sqrt())


@hypothesis.given(step=sizes, eps=sizes, gap=st.floats(-16, -1), sign=st.sampled_from([-1, 1]))
@hypothesis.settings(max_examples=200)
def test_prox_of_pseudo_huber_where_the_norm_has_its_threshold(step, eps, gap, sign):
    x = step * (1 + sign * 10.0**gap)
    with decimal.localcontext(DIGITS):
        u = PseudoHuber(eps).prox([x], step)[0]
        assert_root(u, step, x, lambda u: u / (u * u + exact(eps) ** 2).sqrt())


@hypothesis.given(x=sizes, step=sizes, eps=st.floats(-12, 0).map(lambda e: 10.0**e))
def test_prox_of_the_power_at_all_scales(x, step, eps):
    with decimal.localcontext(DIGITS):
        u = PowerNorm(eps, separable=True).prox([x], step)[0]
        assert_root(u, step, x, lambda u: (1 + exact(eps)) * power(u, exact(eps)))


@hypothesis.given(step=st.floats(1e-3, 1e3), eps=st.floats(-12, 0).map(lambda e: 10.0**e), gap=st.floats(-16, -1))
def test_prox_of_the_power_where_the_norm_has_its_threshold(step, eps, gap):
    with decimal.localcontext(DIGITS):
        for x in (step * (1 + 10.0**gap), step * (1 - 10.0**gap)):
            u = PowerNorm(eps, separable=True).prox([x], step)[0]
            assert_root(u, step, x, lambda u: (1 + exact(eps)) * power(u, exact(eps)))


@hypothesis.given(x=sizes, step=sizes, mu=sizes)
@hypothesis.settings(max_examples=200)
def test_prox_of_huber_at_all_scales(x, step, mu):
    with decimal.localcontext(DIGITS):
        expected = exact(x) - exact(step)
        if exact(x) <= exact(mu) + exact(step):
            expected = exact(x) * exact(mu) / (exact(mu) + exact(step))
        found = exact(Huber(mu).prox([x], step)[0])
        # x - step is as exact as it can be; at the seam, mu + step is rounded
        assert abs(found - expected) <= 8 * exact(ULP) * max(expected, exact(mu)) + exact(5e-324)
        bound = exact(QuadraticBound(mu).prox([x], step)[0])
        expected = exact(x) / (1 + exact(step) * exact(mu))
        assert abs(bound - expected) <= 4 * exact(ULP) * expected + exact(5e-324)


@hypothesis.given(
    x=hnp.arrays(np.float64, 3, elements=st.floats(0.01, 10.0)),
    v=hnp.arrays(np.float64, 3, elements=st.floats(0.01, 10.0)),
    eps=st.floats(-12, 0).map(lambda e: 10.0**e),
    factor=st.floats(0.01, 1 - 1e-12),
    scale=st.integers(-900, 900),
)
def test_prox_of_the_norm_at_all_scales(x, v, eps, factor, scale):
    z, q = x / v, (1 + eps) / eps
    step = factor * z.max() * float(((z / z.max()) ** q).sum()) ** (1 / q)
    u = PowerNorm(eps, weights=v).prox(x, step)
    with decimal.localcontext(DIGITS):
        e = exact(eps)
        norm = power(sum(power(exact(a) * exact(b), 1 + e) for a, b in zip(v, u, strict=True)), 1 / (1 + e))
        for xj, vj, uj in zip(x, v, u, strict=True):
            if uj > 1e-300:
                left = exact(uj) + exact(step) * exact(vj) * power(exact(vj) * exact(uj) / norm, e)
                assert abs(left - exact(xj)) <= 16 * exact(ULP) * exact(xj)
    # powers of two change no digit
    far = PowerNorm(eps, weights=v).prox(np.ldexp(x, scale), math.ldexp(step, scale))
    np.testing.assert_allclose(np.ldexp(far, -scale), u, rtol=0, atol=1e-30)


@hypothesis.given(w=hnp.arrays(np.float64, 3, elements=sizes), v=hnp.arrays(np.float64, 3, elements=sizes))
def test_power_norm_at_all_scales(w, v):
    for eps in (1.0, 0.3, 1e-3, 1e-12):
        penalty = PowerNorm(eps, weights=v)
        with decimal.localcontext(DIGITS):
            e = exact(eps)
            parts = [exact(a) * exact(b) for a, b in zip(v, w, strict=True)]
            norm = power(sum(power(part, 1 + e) for part in parts), 1 / (1 + e))
            slopes = [float(exact(a) * power(part / norm, e)) for a, part in zip(v, parts, strict=True)]
            norm = float(norm)
        assert penalty.value(w) == pytest.approx(norm, rel=1e-14, abs=1e-320)
        np.testing.assert_allclose(penalty.subgradient(w), slopes, rtol=1e-12, atol=1e-320)


@hypothesis.given(w=st.one_of(sizes, sizes.map(lambda x: -x), st.just(0.0)), width=sizes)
def test_values_and_slopes_at_all_scales(w, width):
    with decimal.localcontext(DIGITS):
        u, e = exact(w), exact(width)
        root = (u * u + e * e).sqrt()
        bowl = u * u / (2 * e) if abs(u) <= e else abs(u) - e / 2
        ramp = max(min(u / e, exact(1)), exact(-1))
        expected = [
            (L1(), abs(u), exact(np.sign(w))),
            (L2(), u * u / 2, u),
            (Huber(width), bowl, ramp),
            (Huber(width, offset=True), bowl + e / 2, ramp),
            (PseudoHuber(width), root, u / root),
            (QuadraticBound(width), (e * u * u + 1 / e) / 2, e * u),
            (
                PowerNorm(0.25, True),
                power(abs(u), exact(1.25)),
                exact(np.sign(w)) * exact(1.25) * power(abs(u), exact(0.25)),
            ),
        ]
    for penalty, value, slope in expected:
        assert penalty.value([w]) == pytest.approx(float(value), rel=1e-14, abs=1e-320)
        assert penalty.subgradient([w])[0] == pytest.approx(float(slope), rel=1e-14, abs=1e-320)


@everything
def test_free_coefficients_cost_nothing_however_large(name):
    penalty = dataclasses.replace(make(name)[0], weights=[0.0, 1.0])
    w = [1e300, 2.0]
    assert penalty.value(w) == dataclasses.replace(penalty, weights=[1.0]).value(w[1:])
    assert penalty.subgradient(w)[0] == 0
    np.testing.assert_array_equal(penalty.prox(w, 0.5)[0], 1e300)
    assert penalty.distance(radius=1.0) == dataclasses.replace(penalty, weights=[1.0]).distance(radius=1.0)


# Arguments.


@everything
@weighted
def test_results_are_new_arrays_of_float64(name, weighting):
    penalty, _, _ = make(name, weighting)
    for w in ([1, 2, -3, 0], np.array([1, 2, -3, 0], dtype=np.float32), np.array([1, 2, -3, 0])[::-1], (0, 0, 0, 0)):
        before = np.array(w)
        assert type(penalty.value(w)) is float
        for made in (penalty.subgradient(w), penalty.prox(w, 1), penalty.prox(np.asarray(w), np.float64(0.0))):
            assert made.dtype == np.float64 and made.shape == (4,) and made.flags.writeable
            assert not np.signbit(made[made == 0]).any()
            assert not np.shares_memory(made, w)
        np.testing.assert_array_equal(w, before)


@everything
def test_no_coefficients(name):
    penalty, _, _ = make(name)
    assert penalty.value([]) == 0
    assert penalty.prox([], 1.0).shape == penalty.subgradient([]).shape == (0,)
    assert penalty.distance(0) == (0, 0)


@everything
def test_penalties_are_values(name):
    penalty, _, _ = make(name, "weighted")
    other = make(name, "weighted")[0]
    plain = make(name)[0]
    assert isinstance(penalty, Penalty)
    assert penalty == other and hash(penalty) == hash(other) and plain == make(name)[0]
    assert penalty != plain and plain != penalty and penalty != "penalty"
    assert penalty != dataclasses.replace(penalty, weights=[2.0, 0.5, 0.0, 1.0])
    assert penalty != dataclasses.replace(penalty, weights=[2.0, 0.5, 0.0])
    assert len({penalty, other, plain}) == 2
    for twin in (pickle.loads(pickle.dumps(penalty)), copy.copy(penalty), copy.deepcopy(penalty)):
        assert twin == penalty and not twin.weights.flags.writeable
    assert repr(penalty).startswith(type(penalty).__name__ + "(") and "weights=array([2." in repr(penalty)
    assert eval(repr(plain)) == plain
    with pytest.raises(dataclasses.FrozenInstanceError):
        penalty.weights = None
    with pytest.raises(ValueError, match="read-only"):
        penalty.weights[0] = 1.0


def test_arrays_are_copied():
    v, gamma = np.ones(3), np.ones(3)
    bound = QuadraticBound(gamma, weights=v)
    v[0] = gamma[1] = 7.0
    assert bound == QuadraticBound(np.ones(3), weights=np.ones(3))
    assert hash(L1([0.0, 1.0])) == hash(L1([-0.0, 1.0]))
    assert Huber(1) == Huber(np.float32(1.0)) and Huber(1.0) != Huber(1.0, offset=True) and L1() != L2()
    assert QuadraticBound(1.0) != QuadraticBound([1.0])


@pytest.mark.parametrize(
    ("make_one", "name"),
    [
        (lambda value: Huber(value), "mu"),
        (lambda value: PseudoHuber(value), "eps"),
        (lambda value: PowerNorm(value), "eps"),
        (lambda value: QuadraticBound(value), "gamma"),
        (lambda value: QuadraticBound([1.0, value]), "gamma"),
        (lambda value: QuadraticBound.at([1.0], value), "floor"),
    ],
)
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, 1e-310, "1", None, 1j])
def test_widths_are_positive_and_finite(make_one, name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        make_one(value)


@pytest.mark.parametrize("eps", [1.0 + 1e-9, 2, 10**400])
def test_powers_above_two_are_refused(eps):
    with pytest.raises(ValueError, match=r"eps must be a finite number .* at most 1"):
        PowerNorm(eps)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -1.0], r"weights\[1\] is -1; every entry must be at least 0"),
        ([math.nan], r"weights\[0\] is nan; every entry must be finite"),
        ([1.0, math.inf], r"weights\[1\] is inf"),
        (1.0, r"weights has shape \(\); a vector is needed"),
        ([[1.0, 2.0]], r"weights has shape \(1, 2\)"),
        ([[1.0], [1.0, 2.0]], "weights does not make a vector"),
        (["a"], "weights has dtype"),
        ([1j], "weights has dtype complex128"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), "weights has masked entries"),
    ],
)
def test_bad_weights(weights, message):
    for kind, arguments, _ in ALL.values():
        with pytest.raises((ValueError, TypeError), match=message):
            kind(**arguments, weights=weights)


@everything
def test_bad_points(name):
    penalty = make(name, "weighted")[0]
    kind = type(penalty).__name__
    for verb in (penalty.value, penalty.subgradient, lambda w: penalty.prox(w, 1.0)):
        with pytest.raises(
            ValueError, match=rf"[wx] has 3 entries, but the weights of {kind} have 4; give one for each"
        ):
            verb([1.0, 2.0, 3.0])
        with pytest.raises(ValueError, match=r"\[1\] is nan"):
            verb([1.0, math.nan, 3.0, 4.0])
        with pytest.raises(ValueError, match="shape"):
            verb(np.ones((2, 2)))
    for step in (-1.0, math.nan, math.inf, "1", True, None):
        with pytest.raises((ValueError, TypeError), match="step"):
            penalty.prox(np.ones(4), step)
    with pytest.raises(ValueError, match=r"step 1e\+308 times the largest weight 2 overflows"):
        penalty.prox(np.ones(4), 1e308)
    for radius in (-1.0, math.nan, "1"):
        with pytest.raises((ValueError, TypeError), match="radius"):
            penalty.distance(4, radius)
    for count in (-1, 2.0, "4", True):
        with pytest.raises((ValueError, TypeError), match="n_features"):
            penalty.distance(count)
    with pytest.raises(ValueError, match=f"n_features is 3, but the weights of {kind} have 4"):
        penalty.smoothing_error(3)


def test_lengths_of_gamma():
    with pytest.raises(ValueError, match="gamma has 2 entries and weights 3"):
        QuadraticBound([1.0, 2.0], weights=[1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="w has 3 entries, but gamma has 2"):
        QuadraticBound([1.0, 2.0]).value([1.0, 1.0, 1.0])


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, "1", True])
def test_strengths_of_the_elastic_net(value):
    if value != 0.0:
        for name in ("l1", "l2"):
            with pytest.raises((ValueError, TypeError), match=name):
                ElasticNet(**{name: value})
    assert ElasticNet(0.0, 0.0).smoothing_error() == math.inf  # no penalty at all is not near the norm


def test_flags():
    with pytest.raises(TypeError, match="offset must be True or False, got 1"):
        Huber(1.0, offset=1)
    with pytest.raises(TypeError, match="separable must be True or False, got 'yes'"):
        PowerNorm(1.0, separable="yes")


def test_no_gradient_at_a_kink():
    for penalty in (L1(), ElasticNet(0.1, 1.0)):
        with pytest.raises(TypeError, match=r"use subgradient\(w\), or a smooth penalty"):
            penalty.gradient([1.0, 2.0])
    for w in ([0.0, 0.0], [1.0, 0.0]):
        with pytest.raises(ValueError, match=r"where a norm has no gradient: use subgradient\(w\)"):
            PowerNorm(0.5, weights=[0.0, 1.0]).gradient(w)


def test_public_names():
    from l1fast import penalties

    assert l1fast.penalties is penalties
    assert {getattr(penalties, name) for name in penalties.__all__} == {
        *(L1, L2, ElasticNet, Huber, Penalty, PowerNorm, PseudoHuber, QuadraticBound)
    }
