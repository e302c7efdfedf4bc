"""cross_validate(): every fold is judged as a path on its training samples alone, its errors by plain NumPy."""

import os
import re
import signal
import threading
import warnings

import numpy as np
import problems
import pytest
import referee
from judged import COUNTED_ROUNDING

import l1fast

Status = l1fast.Status
SHAPES = {"tall": (90, 20), "wide": (40, 90)}
STORAGES = ("C", "F", "csr_array int32", "csc_array int64")


def kfold(n, k, shuffle=False):
    order = np.random.default_rng(0).permutation(n) if shuffle else np.arange(n)
    return [(np.setdiff1d(np.arange(n), test), test) for test in np.array_split(order, k)]


def grid(X, y, count=5, ratio=1e-2, **options):
    largest = l1fast.lam_max(X, y, **options)
    return np.geomspace(largest, ratio * largest, count)


def compressed(found):
    return "compressed" in found.reason


def judge(found, X, y, folds, *, l2=0.0, l2_ratios=(0.0,), sample_weight=None, **options):
    """Every fit on the rows of its fold, which the package never sees apart; every error from the rows left out."""
    X, s = referee.dense(X, np.float64), np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
    assert found.errors.shape == found.dual_gaps.shape == found.n_iter.shape == (*found.lams.shape, len(folds))
    for row, l2_ratio in enumerate(l2_ratios):
        for k, (train, test) in enumerate(folds):
            path, share = found.paths[row][k], s[train].sum() / s.sum()
            np.testing.assert_allclose(path.lams, share * found.lams[row], rtol=1e-14)
            slack = COUNTED_ROUNDING if compressed(found) else 0.0
            given = None if sample_weight is None and len(set(train)) == len(train) else s[train]
            kept = {"sample_weight": given, "l2": share * l2, "l2_ratio": l2_ratio, **options}
            referee.check_path(path, X[train], y[train], slack=slack, **kept)
            residual = y[test, None] - path.intercepts - X[test] @ path.coefs.toarray()
            expected = np.average(residual**2, axis=0, weights=s[test])
            np.testing.assert_allclose(found.errors[row, :, k], expected, rtol=1e-9)
            np.testing.assert_array_equal(found.dual_gaps[row, :, k], path.dual_gaps)
            assert found.test_weights[k] == pytest.approx(s[test].sum())
    if found.converged:
        assert (found.dual_gaps <= found.tol).all()


def certified(path, X, y, tol):
    """The gap of every strength by the referee, where numbers are too far apart to compare more than that.

    X is what the fold trains on. x_j'theta may exceed lam by what rounding it in float64 amounts to.
    """
    for k, lam in enumerate(path.lams):
        problem, w, b = referee.Problem(X, y, lam), path.coef(k).astype(np.longdouble), np.longdouble(0)
        rounding = problem.round_off(w, b, problem.best_dual_point(w))[2]
        gap = problem.gap(w, b, allowed=1e-9 * lam + rounding)
        assert gap <= 1.01 * tol * problem.scale()


@pytest.mark.parametrize("option", problems.OPTIONS)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("shape", SHAPES)
def test_options(shape, storage, option):
    X, y = problems.make(*SHAPES[shape])
    chosen = problems.options(option, *X.shape)
    l2 = chosen.pop("l2", 0.0)
    folds, lams = kfold(len(y), 3), grid(X, y, **chosen)
    stored = problems.STORAGES[storage](X)
    before = problems.fingerprint(stored, y, chosen)
    found = l1fast.cross_validate(stored, y, folds, [(lams, np.full(len(lams), l2))], tol=1e-8, **chosen)
    assert problems.fingerprint(stored, y, chosen) == before
    assert found.converged
    free = (np.asarray(chosen.get("penalty_weights", 1.0)) == 0).any()
    assert compressed(found) == (shape == "tall" and storage in ("C", "F") and not free)
    judge(found, X, y, folds, l2=l2, **chosen)


@pytest.mark.parametrize(("precision", "shuffle"), [(np.float32, True), (np.float64, False)])
@pytest.mark.parametrize("storage", problems.STORAGES)
def test_storages(storage, precision, shuffle):
    X, y = problems.make(80, 24)
    X = X.astype(precision)
    folds, lams = kfold(80, 4, shuffle), grid(X, y, fit_intercept=True)
    found = l1fast.cross_validate(
        problems.STORAGES[storage](X), y, folds, [(lams, 0 * lams)], tol=1e-8, fit_intercept=True
    )
    assert found.converged
    judge(found, X, y, folds, fit_intercept=True)


def test_sequences_of_an_elastic_net():
    X, y = problems.make(90, 20)
    lams, folds = grid(X, y), kfold(90, 3)
    ratios = (0.0, 0.5, 4.0)
    found = l1fast.cross_validate(X, y, folds, [(lams / (1 + r), r * lams / (1 + r)) for r in ratios], tol=1e-9)
    judge(found, X, y, folds, l2_ratios=ratios)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_columns_far_from_zero(offset):
    X, y = problems.make(90, 20, density=1.0)
    X = X + offset * np.arange(1, 21)
    lams, folds = grid(X, y, fit_intercept=True), kfold(90, 3, shuffle=True)
    found = l1fast.cross_validate(X, y, folds, [(lams, 0 * lams)], tol=1e-6, fit_intercept=True)
    assert found.converged
    for k, (train, test) in enumerate(folds):
        path = found.paths[0][k]
        certified(path, X[train] - X[train].mean(axis=0), y[train] - y[train].mean(), 1e-6)
        for j in range(len(path)):
            w = path.coef(j)
            expected = np.mean((y[test] - path.intercepts[j] - X[test] @ w) ** 2)
            assert found.errors[0, j, k] == pytest.approx(expected, rel=1e-6)


def test_a_column_that_lives_in_one_fold():
    """Where the training samples hold next to nothing of a column, a difference of Gram matrices would be noise."""
    X, y = problems.make(90, 20, density=1.0)
    X[:30, 3] *= 1e8
    y[:30] += X[:30, 3] * 1e-8
    lams, folds = grid(X, y, ratio=1e-10, count=12), kfold(90, 3)
    found = l1fast.cross_validate(X, y, folds, [(lams, 0 * lams)], tol=1e-8)
    assert compressed(found)
    for k, (train, _) in enumerate(folds):
        certified(found.paths[0][k], X[train], y[train], 1e-8)


def test_errors_near_zero_keep_their_digits():
    X, _ = problems.make(90, 10, density=1.0)
    y = X @ np.arange(1.0, 11.0)
    lams, folds = 1e-7 * grid(X, y, count=1), kfold(90, 3)
    found = l1fast.cross_validate(X, y, folds, [(lams, 0 * lams)], tol=1e-15)
    judge(found, X, y, folds)
    assert found.errors.max() < 1e-10


@pytest.mark.parametrize(
    "folds",
    [
        [(np.arange(60), np.arange(60, 80)), (np.arange(40), np.arange(40, 80))],  # growing, as for time series
        [(np.r_[0:40, 0:20], np.arange(40, 90))],  # repeats count twice
        [(np.arange(90) < 50, np.arange(90) >= 60)],  # masks
        [(np.arange(90), np.arange(90))],  # tested on what it was trained on
    ],
)
def test_any_folds(folds):
    X, y = problems.make(90, 20)
    lams = grid(X, y)
    found = l1fast.cross_validate(X, y, folds, [(lams, 0 * lams)], tol=1e-9)
    as_indices = [tuple(np.flatnonzero(side) if side.dtype == bool else side for side in fold) for fold in folds]
    assert found.converged
    s = np.ones(90)
    for k, (train, test) in enumerate(as_indices):
        path = found.paths[0][k]
        kept, counts = np.unique(train, return_counts=True)
        np.testing.assert_allclose(path.lams, len(train) / 90 * lams)
        referee.check_path(path, X[kept], y[kept], sample_weight=s[kept] * counts)
        np.testing.assert_allclose(
            found.errors[0, :, k], ((y[test, None] - X[test] @ path.coefs.toarray()) ** 2).mean(axis=0), rtol=1e-9
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_threads_change_nothing(shape):
    X, y = problems.make(*SHAPES[shape])
    lams, folds = grid(X, y, count=8), kfold(len(y), 5)
    one, many = (
        l1fast.cross_validate(X, y, folds, [(lams, 0 * lams)], n_jobs=n_jobs, refit=lambda found: (0, 4))
        for n_jobs in (1, 4)
    )
    np.testing.assert_array_equal(one.errors, many.errors)
    np.testing.assert_array_equal(one.refit.coef, many.refit.coef)
    for a, b in zip(one.paths[0], many.paths[0], strict=True):
        np.testing.assert_array_equal(a.coefs.toarray(), b.coefs.toarray())


@pytest.mark.parametrize("storage", ["C", "csr_array int32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_refit(shape, storage):
    X, y = problems.make(*SHAPES[shape])
    lams, folds = grid(X, y), kfold(len(y), 3)
    asked = []

    def pick(found):
        asked.append(found)
        return 0, int(found.mean_errors()[0].argmin())

    found = l1fast.cross_validate(problems.STORAGES[storage](X), y, folds, [(lams, 0 * lams)], tol=1e-9, refit=pick)
    assert asked[0].refit is None
    lam = lams[found.errors[0].mean(axis=1).argmin()]
    assert found.refit.lam == lam
    referee.check(found.refit, X, y, lam)
    assert found.refit.converged


def test_a_refit_may_be_stricter_and_may_fall_short():
    X, y = problems.make(90, 20, density=1.0)
    lams, folds = grid(X, y), kfold(90, 3)
    arguments = (X, y, folds, [(lams, 0 * lams)])
    found = l1fast.cross_validate(*arguments, tol=1e-3, refit=lambda found: (0, 3), refit_tol=1e-12)
    assert found.refit.converged
    assert found.refit.tol == 1e-12
    referee.check(found.refit, X, y, lams[3])
    with pytest.warns(l1fast.ConvergenceWarning, match="the fit on all samples"):
        found = l1fast.cross_validate(*arguments, tol=1e-3, refit=lambda found: (0, 3), refit_tol=0.0)
    assert found.converged
    assert not found.refit.converged


def test_weights_of_the_penalty_that_are_estimated_see_no_test_sample():
    X, y = problems.make(90, 20)
    folds, seen = kfold(90, 3), []

    def weights(train, s):
        seen.append(train)
        return 1.0 / (0.1 + np.abs(X[train].T @ (s * y[train])) / s.sum())

    lams = grid(X, y, penalty_weights=weights(np.arange(90), np.ones(90)))
    found = l1fast.cross_validate(X, y, folds, [(lams, 0 * lams)], tol=1e-9, penalty_weights=weights)
    assert {tuple(train) for train in seen} >= {tuple(train) for train, _ in folds}
    for k, (train, _) in enumerate(folds):
        v = weights(train, np.ones(len(train)))
        referee.check_path(found.paths[0][k], X[train], y[train], penalty_weights=v, slack=COUNTED_ROUNDING)


def test_progress_tells_every_fit_once():
    X, y = problems.make(90, 20)
    lams, seen, within = grid(X, y), [], threading.Lock()

    def note(state):
        assert within.acquire(blocking=False), "two threads at once"
        seen.append((state.sequence, state.fold, state.index))
        assert state.lam == lams[state.index]
        assert (state.n_folds, state.n_sequences, state.n_lams) == (3, 2, 5)
        within.release()

    l1fast.cross_validate(X, y, kfold(90, 3), [(lams, 0 * lams), (lams, lams)], n_jobs=3, on_progress=note)
    assert sorted(seen) == [(r, k, j) for r in range(2) for k in range(3) for j in range(5)]


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_progress_may_stop_and_may_raise(n_jobs):
    X, y = problems.make(90, 20)
    lams = grid(X, y)
    arguments = (X, y, kfold(90, 3), [(lams, 0 * lams)])
    with pytest.warns(l1fast.ConvergenceWarning, match="not tried"):
        found = l1fast.cross_validate(*arguments, n_jobs=n_jobs, on_progress=lambda state: state.index == 2)
    assert found.status is Status.INTERRUPTED
    assert np.isnan(found.errors[0, -1]).any()
    assert not np.isnan(found.errors[0, 0, 0])
    assert "CrossValidation" in repr(found)

    class Told(Exception):
        pass

    def fail(state):
        raise Told

    with pytest.raises(Told):
        l1fast.cross_validate(*arguments, n_jobs=n_jobs, on_progress=fail)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_time_limit(n_jobs):
    X, y = problems.make(90, 20)
    lams = grid(X, y)
    with pytest.warns(l1fast.ConvergenceWarning, match="time_limit"):
        found = l1fast.cross_validate(X, y, kfold(90, 3), [(lams, 0 * lams)], time_limit=0.0, n_jobs=n_jobs)
    assert found.status is Status.TIME_LIMIT
    assert not found.converged
    repr(found)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupt(n_jobs):
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    X, y = problems.make(400, 1500, density=1.0)
    lams, before = grid(X, y, count=400, ratio=1e-5), threading.active_count()
    folds = kfold(400, 5)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            l1fast.cross_validate(X, y, folds, [(lams, 0 * lams)], tol=1e-13, n_jobs=n_jobs)
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, handler)
    assert threading.active_count() <= before + 1  # the timer may be on its way out
    assert l1fast.solve(X, y, lams[3]).converged


def test_degenerate_folds():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((12, 3)), np.r_[np.ones(9), 5.0, -2.0, 3.0]
    X[:, 1] = 1.0  # constant
    X[:9, 2] = 0.0  # zero in the training samples of the first fold
    folds = [(np.arange(9), np.arange(9, 12)), (np.arange(3, 12), np.arange(3))]
    lams = np.array([10.0, 1.0, 0.0])
    found = l1fast.cross_validate(X, y, folds, [(lams, 0 * lams)], fit_intercept=True)
    assert found.converged
    np.testing.assert_array_equal(found.paths[0][0].coefs.toarray(), 0.0)  # y is constant there
    np.testing.assert_allclose(found.errors[0, :, 0], np.mean((y[9:] - 1.0) ** 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": []}, "folds is empty"),
        ({"folds": [([0, 1], [90])]}, "the test part of folds[0] holds the sample 90"),
        ({"folds": [([0, -1], [2])]}, "the train part of folds[0] holds the sample -1"),
        ({"folds": [([], [2])]}, "the train part of folds[0] is empty"),
        ({"folds": [([0.5, 1], [2])]}, "must be a vector of integers or a mask"),
        ({"folds": [([0, 1],)]}, "must be a pair (train, test)"),
        ({"strengths": []}, "at least one pair"),
        ({"strengths": [([1.0, 2.0], [0.0, 0.0])]}, "lam must fall along strengths[0]"),
        ({"strengths": [([1.0], [-1.0])]}, "strengths[0][1][0] is -1.0"),
        ({"strengths": [([], [])]}, "strengths[0] is empty"),
        ({"strengths": [([1.0], [0.0]), ([2.0, 1.0], [0.0, 0.0])]}, "all of the same length"),
        ({"strengths": [3.0]}, "must be a pair (lams, l2s)"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"y": np.full(90, np.nan)}, "y[0] is nan"),
        ({"sample_weight": np.r_[np.zeros(60), np.ones(30)]}, "has weight 0|have weight 0"),
    ],
)
def test_faults(change, message):
    X, y = problems.make(90, 20)
    arguments = {"y": y, "folds": kfold(90, 3), "strengths": [([1.0], [0.0])], **change}
    pattern = message if "|" in message else re.escape(message)
    with pytest.raises((ValueError, TypeError), match=pattern):
        l1fast.cross_validate(X, **arguments)


def test_memory_limit_leaves_the_gram_matrix_out():
    X, y = problems.make(90, 20)
    lams, folds = grid(X, y), kfold(90, 3)
    found = l1fast.cross_validate(X, y, folds, [(lams, 0 * lams)], memory_limit=1000, tol=1e-8)
    assert not compressed(found)
    judge(found, X, y, folds)


def test_the_line_ahead_keeps_every_certificate():
    """A path that starts from where the last two solutions lead ends where every solve of its own does."""
    X, y = problems.make(60, 200, density=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for options in ({}, {"fit_intercept": True}, {"l2_ratio": 0.1}, {"lams": np.repeat(grid(X, y), 2)}):
            for tol in (1e-3, 1e-9):
                found = l1fast.path(X, y, n_lams=30, tol=tol, **options)
                known = {key: options[key] for key in options if key != "lams"}
                referee.check_path(found, X, y, **known)
