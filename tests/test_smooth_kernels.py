"""The kernels of the smoothed L1 norm against plain NumPy, in longdouble."""

import hypothesis
import hypothesis.strategies as st
import naive
import numpy as np
import pytest
import test_kernels
from test_kernels import SAMPLES, case, guarded, near, point, unguarded

from l1fast import penalties
from l1fast._kernels import fista, gradient
from l1fast._smoothing import KINDS

LONG = np.longdouble
WIDTH = 0.3
NO_GAMMA = np.empty(0)
PENALISED = ("plain", "l2", "penalty_weights", "free columns", "free columns+l2", "all", "bounds+all")
FINITE = np.finfo(np.float64)


def gammas(p):
    """Curvatures of parabolas, in no order."""
    return np.random.default_rng(5).uniform(0.1, 9.0, p)


# name: (kind, gamma). The width of all is WIDTH, but where a test says otherwise.
SMOOTHINGS = {
    "abs": ("abs", lambda p: NO_GAMMA),
    "huber": ("huber", lambda p: NO_GAMMA),
    "pseudo_huber": ("pseudo_huber", lambda p: NO_GAMMA),
    "quadratic": ("quadratic", lambda p: NO_GAMMA),
    "quadratic, gamma": ("quadratic", gammas),
    "power": ("power", lambda p: NO_GAMMA),
    "power_norm": ("power_norm", lambda p: NO_GAMMA),
}
every_smoothing = pytest.mark.parametrize("name", SMOOTHINGS)


def arguments(name, p, width=WIDTH):
    """What the kernels take."""
    kind, gamma = SMOOTHINGS[name]
    return KINDS[kind], width, gamma(p)


def formula(name, w, v, width=WIDTH):
    """(sum_j v_j phi(w_j), v_j phi'(w_j)) in longdouble, written as the papers do."""
    w, v, width, a = w.astype(LONG), v.astype(LONG), LONG(width), np.abs(w.astype(LONG))
    kind, gamma = SMOOTHINGS[name]
    if kind == "abs":
        value, slope = a, np.sign(w)
    elif kind == "huber":
        inside = a <= width
        value = np.where(inside, w**2 / (2 * width), a - width / 2)
        slope = np.where(inside, w / width, np.sign(w))
    elif kind == "pseudo_huber":
        value = np.hypot(w, width)
        slope = w / value
    elif kind == "quadratic":
        curvature = gamma(len(w)).astype(LONG) if "gamma" in name else 1 / width
        value, slope = curvature * w**2 / 2, curvature * w
    elif kind == "power":
        value, slope = a ** (1 + width), (1 + width) * a**width * np.sign(w)
    else:
        norm = ((v * a) ** (1 + width)).sum() ** (1 / (1 + width))
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(v * a > 0, v * (v * a / norm) ** width * np.sign(w), 0)
        return norm, slope
    return (v * value).sum(), v * slope


def slopes(made, name, w, width=WIDTH):
    """The kernel: (value, slopes)."""
    out = guarded(len(w))
    value = gradient.slopes(made.capsule, *arguments(name, len(w), width), w, out[: len(w)])
    return value, unguarded(out)


def plain(p, lam=1.0):
    """A problem with nothing to it but p coefficients."""
    return test_kernels.Case(np.ones((1, p)), np.ones(1), lam)


# ---------------------------------------------------------------- values and slopes


@every_smoothing
@pytest.mark.parametrize("option", PENALISED)
def test_slopes_are_the_formulas(option, name):
    for p in (1, 3, 4, 7, 23, 128, 129, 300):
        made = case(option, (12, p))
        truth = made.truth
        w = point(p, seed=p, density=0.8)
        w[::5] = np.sign(w[::5]) * WIDTH  # where the pieces of Huber meet
        value, out = slopes(made, name, w)
        penalty, slope = formula(name, w, truth.v)
        ridge = truth.v * truth.l2 * w.astype(LONG)
        near(out, truth.lam * slope + ridge, np.abs(truth.lam * slope) + np.abs(ridge))
        near(value, truth.lam * penalty + ridge @ w / 2, truth.lam * penalty + ridge @ w / 2)


@every_smoothing
def test_slopes_are_derivatives(name):
    """Central differences of the kernel's own values, in one coordinate at a time; away from the kinks."""
    w, step, made = point(23, seed=3, density=1.0), 1e-5, case("all")
    w[np.abs(np.abs(w) - WIDTH) < 1e-3] = 2 * WIDTH
    w[np.abs(w) < 1e-3] = 0.1
    _, out = slopes(made, name, w)
    for j in range(23):
        ahead, behind = w.copy(), w.copy()
        ahead[j] += step
        behind[j] -= step
        change = slopes(made, name, ahead)[0] - slopes(made, name, behind)[0]
        assert change / (2 * step) == pytest.approx(out[j], rel=1e-6, abs=1e-6)


PUBLIC = {
    "huber": penalties.Huber(WIDTH),
    "pseudo_huber": penalties.PseudoHuber(WIDTH),
    "quadratic": penalties.L2(),
    "power": penalties.PowerNorm(WIDTH, separable=True),
    "power_norm": penalties.PowerNorm(WIDTH),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_slopes_are_those_of_the_public_penalties(name):
    w, width = point(40, seed=1, density=0.7), 1.0 if name == "quadratic" else WIDTH
    value, out = slopes(plain(40), name, w, width)
    assert value == pytest.approx(PUBLIC[name].value(w), rel=1e-13)
    np.testing.assert_allclose(out, PUBLIC[name].gradient(w), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["huber", "pseudo_huber"])
@hypothesis.given(
    u=st.floats(-1e150, 1e150), t=st.floats(-1e150, 1e150), width=st.floats(1e-300, 1e150, allow_subnormal=False)
)
def test_a_stand_in_stays_near(name, u, t, width):
    """|phi'| <= 1, phi' rises, and phi is within the width of |.|, whatever the scales."""
    made = plain(1)
    first, second = (slopes(made, name, np.array([x]), width) for x in sorted((u, t)))
    assert -1.0 <= first[1][0] <= second[1][0] <= 1.0
    for x, (value, _) in zip(sorted((u, t)), (first, second), strict=True):
        assert abs(value - abs(x)) <= width * (1 + 4 * FINITE.eps) + 4 * FINITE.eps * abs(x)


# ---------------------------------------------------------------- with the gradient of the datafit


def smooth_gradient(made, name, w, n_threads=1):
    """(loss, penalty, q, g) of the kernel."""
    n, p = made.truth.n, made.truth.p
    capsule = made.packed(n_threads=n_threads)
    q, g = guarded(n), guarded(p)
    scratch = np.empty(gradient.scratch_size(made.view, n_threads))
    numbers = gradient.smooth_gradient(capsule, *arguments(name, p), w, q[:n], g[:p], scratch)
    return *numbers, unguarded(q), unguarded(g)


@test_kernels.every_storage
@every_smoothing
def test_smooth_gradient(storage, name):
    for option in (*SAMPLES, "all"):
        made = case(option, storage=storage)
        truth, w = made.truth, point(23, seed=2)
        (q, g, loss), (q_size, g_size, loss_size) = made.at(w)
        penalty, slope = formula(name, w, truth.v)
        slope = truth.lam * slope + truth.v * truth.l2 * w
        penalty = truth.lam * penalty + (truth.v * truth.l2) @ w.astype(LONG) ** 2 / 2
        told = smooth_gradient(made, name, w)
        near(told[0], loss, loss_size)
        near(told[1], penalty, penalty)
        near(told[2], q, q_size)
        near(told[3], g + slope, g_size + np.abs(slope))


@pytest.mark.parametrize("storage", ["C-f8", "F-f4", "csr-f8-i8-i4", "csc-f4-i4-i4"])
@pytest.mark.parametrize("name", ["huber", "power_norm"])
def test_threads_agree_and_repeat_bit_for_bit(storage, name):
    made = case("sample_weight+intercept", (900, 230), storage)
    w = point(230)
    (_, g, loss), (_, g_size, loss_size) = made.at(w)
    _, slope = formula(name, w, made.truth.v)
    for n_threads in (1, 2, 3):
        first, second = (smooth_gradient(made, name, w, n_threads) for _ in range(2))
        assert first[:2] == second[:2]
        assert [part.tobytes() for part in first[2:]] == [part.tobytes() for part in second[2:]]
        near(first[0], loss, loss_size)
        near(first[3], g + made.truth.lam * slope, g_size + np.abs(slope))


# ---------------------------------------------------------------- extremes


@every_smoothing
def test_zero_is_the_minimum(name):
    value, out = slopes(plain(9), name, np.zeros(9))
    assert not out.any()
    assert value == pytest.approx(9 * WIDTH if name == "pseudo_huber" else 0.0, rel=1e-15)
    _, out = slopes(plain(9), name, np.full(9, -0.0))
    assert not out.any()


def test_the_power_norm_where_some_or_all_are_zero():
    for w in (np.zeros(5), np.array([0.0, 0.0, -2.0, 0.0, 0.0])):
        value, out = slopes(plain(5), "power_norm", w)
        assert value == np.abs(w).sum()
        np.testing.assert_array_equal(out, np.sign(w))
    made = test_kernels.Case(np.ones((1, 3)), np.ones(1), 2.0, penalty_weights=np.array([0.0, 1.0, 0.0]))
    value, out = slopes(made, "power_norm", np.array([5.0, 0.0, -7.0]))
    assert value == 0.0
    assert not out.any()


@every_smoothing
@pytest.mark.parametrize("scale", [1e-290, 1e-160, 1e-20, 1e20, 1e150])
def test_scales(name, scale):
    """phi(c u; c width) = c phi(u; width); for the powers the width has no scale, for a parabola gamma is 1 / width."""
    w = point(50, seed=4, density=0.9)
    scaled = w * scale
    width = WIDTH if name.startswith(("abs", "power")) else WIDTH * scale
    if name == "quadratic, gamma":
        return
    value, out = slopes(plain(50), name, scaled, width)
    exact, slope = formula(name, scaled, np.ones(50), width)
    if name == "power":  # |u|^width need not be representable
        assert np.isfinite(out).all()
    np.testing.assert_allclose(out, slope.astype(float), rtol=1e-13)
    assert value == pytest.approx(float(exact), rel=1e-13)


@every_smoothing
def test_nan_is_not_hidden(name):
    w = np.ones(6)
    w[4] = np.nan
    value, out = slopes(plain(6), name, w)
    assert np.isnan(value) or name == "power_norm"
    assert np.isnan(out[4]) or name == "abs"
    assert np.isfinite(np.delete(out, 4)).all()


# ---------------------------------------------------------------- refusals


def test_arrays_that_are_too_short_are_refused():
    made = case()
    huber, room = arguments("huber", 23), np.empty(0)
    w, q, g = np.zeros(23), np.empty(37), np.empty(23)
    for short in (np.zeros(22), np.empty(0)):
        for name, lengths in {"w": (short, q, g), "q": (w, short, g), "g": (w, q, short)}.items():
            with pytest.raises(ValueError, match=f"^{name} "):
                gradient.smooth_gradient(made.capsule, *huber, *lengths, room)
        for name, lengths in {"w": (short, g), "out": (w, short)}.items():
            with pytest.raises(ValueError, match=f"^{name} "):
                gradient.slopes(made.capsule, *huber, *lengths)
    threaded = case(shape=(900, 230))
    with pytest.raises(ValueError, match="scratch"):
        gradient.smooth_gradient(
            threaded.packed(n_threads=3), *huber, np.zeros(230), np.empty(900), np.empty(230), room
        )


@pytest.mark.parametrize(
    ("kind", "width", "gamma", "match"),
    [
        (-1, 1.0, NO_GAMMA, "no such smoothing"),
        (max(KINDS.values()) + 1, 1.0, NO_GAMMA, "no such smoothing"),
        (KINDS["quadratic"], 1.0, np.ones(22), "gamma"),
        (KINDS["huber"], 1.0, np.ones(24), "gamma"),
        (KINDS["huber"], 0.0, NO_GAMMA, "width"),
        (KINDS["huber"], -1.0, NO_GAMMA, "width"),
        (KINDS["pseudo_huber"], np.nan, NO_GAMMA, "width"),
        (KINDS["huber"], np.inf, NO_GAMMA, "width"),
        (KINDS["huber"], 1e-310, NO_GAMMA, "width"),
    ],
)
def test_bad_smoothings_are_refused(kind, width, gamma, match):
    made, w, g = case(), np.zeros(23), np.empty(23)
    with pytest.raises(ValueError, match=match):
        gradient.slopes(made.capsule, kind, width, gamma, w, g)
    with pytest.raises(ValueError, match=match):
        gradient.smooth_gradient(made.capsule, kind, width, gamma, w, np.empty(37), g, np.empty(0))
    with pytest.raises(ValueError, match=match):
        descend(made, (kind, width, gamma), w, 1.0, accelerate=True, n_iter=1)


# ---------------------------------------------------------------- gradient descent, plain and accelerated


def descend(made, smoothing, w, lipschitz, *, accelerate, n_iter, bound=None, adapt=False, restart=False, every=1):
    """The loop of `fista` on a smoothing: the iterates that its checks saw, and the last."""
    vectors, seen = np.full((6, len(w)), np.nan), []
    vectors[0] = w

    def look(iteration, objective, gap, iterate, datafit):
        state = made.state(np.array(iterate))
        np.testing.assert_allclose(np.array(datafit), state[1], rtol=1e-9, atol=1e-9)
        seen.append(np.array(iterate))
        return False

    q, scratch = np.empty(made.truth.n), np.empty(0)
    fista.iterate(
        *(made.capsule, vectors, q, scratch, lipschitz, lipschitz if bound is None else bound),
        *(accelerate, restart, adapt, n_iter, every, look, smoothing),
    )
    return seen, vectors[0]


def transcription(made, name, w, lipschitz, n_iter, accelerate):
    """Nesterov's method, w+ = clip((L u - grad F_s(u)) / (L + l2 v)) at u = w + beta (w - w_old), l2 kept exact."""
    truth, t = made.truth, LONG(1)
    w = w_old = w.astype(LONG)
    beta, iterates = LONG(0), [w]
    for _ in range(n_iter):
        u = w + beta * (w - w_old)
        slope = truth.X.T @ (-truth.s * truth.residual(u, truth.best_intercept(u)))
        slope = slope + truth.lam * formula(name, u, truth.v)[1]
        moved = (lipschitz * u - slope) / (lipschitz + truth.l2 * truth.v)
        w, w_old = np.clip(moved, truth.lower, truth.upper), w
        t, t_old = (1 + np.sqrt(1 + 4 * t**2)) / 2, t
        beta = (t_old - 1) / t if accelerate else LONG(0)
        iterates.append(w)
    return iterates


def curvature(name, made):
    """An L that no step can prove too small."""
    steepest = {"quadratic, gamma": 9.0, "power": 30.0, "power_norm": 30.0}.get(name, 1 / WIDTH)
    return float(np.linalg.norm(made.gram, 2) + made.truth.lam * made.truth.v.max() * steepest)


@every_smoothing
@pytest.mark.parametrize("accelerate", [False, True], ids=["gradient", "accelerated"])
@pytest.mark.parametrize("option", ["plain", "intercept", "bounds+all", "all"])
def test_iterates_are_those_of_the_textbook(option, accelerate, name):
    if name == "abs":
        return  # jumps: rounding decides on which side of 0 an iterate lies
    for storage in ("C-f8", "F-f4", "csr-f4-i4-i4", "csc-f8-i8-i4"):
        made = case(option, storage=storage)
        lipschitz, w = curvature(name, made), made.within(point(23, 2, density=1.0))
        wanted = transcription(made, name, w, lipschitz, 12, accelerate)
        seen, last = descend(made, arguments(name, 23), w, lipschitz, accelerate=accelerate, n_iter=12)
        assert len(seen) == 13
        for actual, exact in zip(seen, wanted, strict=True):
            np.testing.assert_allclose(actual, exact.astype(float), rtol=1e-9, atol=1e-10)
        assert last.tobytes() == seen[-1].tobytes()


@pytest.mark.parametrize("name", ["huber", "pseudo_huber", "quadratic", "quadratic, gamma"])
@pytest.mark.parametrize("accelerate", [False, True], ids=["gradient", "accelerated"])
@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("restart", [False, True])
def test_a_step_that_is_too_long_is_mended(name, accelerate, adapt, restart):
    """From an L far too small the loop still ends at the minimiser: no gradient is left that the bounds do not hold."""
    made = case("bounds+all")
    truth, bound = made.truth, curvature(name, made)
    _, last = descend(
        *(made, arguments(name, 23), np.zeros(23), 1e-3 * bound),
        bound=bound,
        accelerate=accelerate,
        n_iter=6000,
        adapt=adapt,
        restart=restart,
        every=6000,
    )
    left = truth.gradient(last.astype(LONG), truth.best_intercept(last.astype(LONG)))
    left = left + truth.lam * formula(name, last, truth.v)[1]
    held = ((last <= truth.lower) & (left > 0)) | ((last >= truth.upper) & (left < 0))
    assert np.abs(np.where(held, 0, left)).max() <= 1e-7 * truth.lam


def test_the_smoothed_minimum_is_found_from_afar():
    """Accelerated descent agrees with exact minimisation over one coordinate at a time, by the prox of Huber."""
    made = case()
    truth, exact = made.truth, np.zeros(23, LONG)
    residual, norms2 = truth.y.copy(), (truth.X**2).sum(axis=0)
    for _ in range(300):
        for j in np.flatnonzero(norms2 > 0):
            old, step = exact[j], truth.lam / norms2[j]
            target = old + truth.X[:, j] @ residual / norms2[j]
            inside = target * WIDTH / (WIDTH + step)
            exact[j] = inside if abs(inside) <= WIDTH else naive.soft_threshold(target, step)
            residual -= (exact[j] - old) * truth.X[:, j]
    _, last = descend(
        *(made, arguments("huber", 23), np.full(23, 10.0), curvature("huber", made)),
        accelerate=True,
        restart=True,
        n_iter=4000,
        every=4000,
    )
    np.testing.assert_allclose(last, exact.astype(float), atol=1e-8)
