"""path(): every strength is judged as a solve of its own; then how a path ends, and what laws it keeps."""

import copy
import dataclasses
import pickle
import re
import warnings

import hypothesis
import hypothesis.strategies as st
import judged
import numpy as np
import problems
import pytest
import referee
import scipy.sparse
import strategies

import l1fast
from l1fast._working_set import WorkingSet

Status = l1fast.Status
STORAGES = ("C", "F", "csr_array int32", "csc_array int64")
SHAPES = {"tall": (60, 24), "wide": (24, 60), "square": (36, 36)}
TOLS = (1e-6, 1e-10)


def quiet(function, *arguments, **options):
    """The result without its ConvergenceWarning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        return function(*arguments, **options)


def compressed(result):
    return "compressed" in result.reason


# Every strength is certified


@pytest.mark.thinned(3)
@pytest.mark.parametrize("option", problems.OPTIONS)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("shape", SHAPES)
def test_options(shape, storage, option):
    X, y = problems.make(*SHAPES[shape])
    chosen = {name: problems.read_only(np.array(value)) if isinstance(value, np.ndarray) else value
              for name, value in problems.options(option, *X.shape).items()}  # fmt: skip
    for tol in TOLS:
        assert judged.path(problems.STORAGES[storage](X), y, n_lams=4, tol=tol, **chosen).converged


@pytest.mark.parametrize("storage", problems.STORAGES)
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_storages(storage, precision):
    X, y = problems.make()
    stored = problems.STORAGES[storage](X.astype(precision))
    found = judged.path(stored, y, judge_X=X, n_lams=4, tol=1e-9, fit_intercept=True)
    assert found.converged
    assert compressed(found) == (storage in problems.DENSE)


@pytest.mark.parametrize("solver", problems.SOLVERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_solvers(shape, solver):
    X, y = problems.make(*SHAPES[shape])
    found = judged.path(X, y, solver=solver, n_lams=5, lam_min_ratio=0.05, tol=1e-8, fit_intercept=True)
    assert found.converged
    assert found.solver == ("cd" if solver == "auto" else solver)


@pytest.mark.parametrize("l2", [0.0, 3.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_l2_ratio(shape, l2):
    X, y = problems.make(*SHAPES[shape])
    found = judged.path(X, y, l2=l2, l2_ratio=0.5, n_lams=6, tol=1e-10)
    for lam, objective in zip(found.lams.tolist(), found.objectives, strict=True):
        alone = l1fast.solve(X, y, lam, l2=l2 + 0.5 * lam, tol=1e-10)
        assert objective == pytest.approx(alone.objective, abs=1e-10 * (y @ y))


@pytest.mark.parametrize("tol", TOLS)
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_the_compressed_path_agrees_with_the_other_and_with_single_solves(option, tol):
    X, y = problems.make(90, 20)
    chosen = problems.options(option, *X.shape)
    short = judged.path(X, y, n_lams=6, tol=tol, **chosen)
    long = judged.path(X, y, n_lams=6, tol=tol, solver=l1fast.CD(gram_limit=19), **chosen)
    assert compressed(short) == ("free" not in option and "all" not in option)
    assert not compressed(long)
    np.testing.assert_array_equal(short.lams, long.lams)
    for k, lam in enumerate(short.lams.tolist()):
        alone = judged.solve(X, y, lam, tol=tol, **chosen)
        scale = float(referee.Problem(X, y, lam, **chosen).scale())
        for objective in (short.objectives[k], long.objectives[k]):
            assert abs(objective - alone.objective) <= 1.25 * tol * scale
        tolerance = 4 * np.sqrt(tol)  # strong convexity: ||w - w*||^2 <= 2 gap / smallest eigenvalue
        np.testing.assert_allclose(short.coef(k), alone.coef, atol=tolerance)
        np.testing.assert_allclose(long.coef(k), alone.coef, atol=tolerance)


@pytest.mark.parametrize("limit", [0, 1, 7, 30, 59])
@pytest.mark.parametrize("storage", STORAGES)
def test_working_sets_that_outgrow_their_limit(storage, limit):
    X, y = problems.make(40, 60)
    stored = problems.STORAGES[storage](X)
    found = judged.path(stored, y, solver=l1fast.CD(gram_limit=limit), n_lams=10, tol=1e-9)
    assert found.converged
    assert found.df[-1] > limit or limit > 40


def test_many_columns_and_strengths():
    X, y = problems.make(50, 700, density=0.3)
    found = judged.path(scipy.sparse.csc_array(X), y, n_lams=12, lam_min_ratio=1e-4, tol=1e-8)
    assert found.converged
    X, y = problems.make(20, 40)
    found = judged.path(X, y, n_lams=1000, lam_min_ratio=1e-5)
    assert found.converged
    assert found.n_iter.sum() <= 1000
    assert judged.path(X, y, lams=[1.0] * 100, tol=1e-10).n_iter.sum() < 20


# Strengths


@pytest.mark.parametrize("option", ["plain", "all", "free columns+positive", "bounds+penalty_weights"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_default_strengths(option, count):
    X, y = problems.make()
    chosen = problems.options(option, *X.shape)
    largest = l1fast.lam_max(X, y, **{name: value for name, value in chosen.items() if name != "l2"})
    found = judged.path(X, y, n_lams=count, lam_min_ratio=0.02, **chosen)
    expected = largest * 0.02 ** (np.arange(count) / max(count - 1, 1))
    np.testing.assert_allclose(found.lams, expected, rtol=1e-12)
    penalised = chosen.get("penalty_weights", np.ones(X.shape[1])) > 0
    assert not found.coef(0)[penalised].any()
    assert len(l1fast.path(X, y, lam_min_ratio=1.0, n_lams=count, **chosen)) == count


def test_a_hundred_strengths_over_three_decades():
    X, y = problems.make()
    found = l1fast.path(X, y)
    assert len(found) == 100
    assert found.lams[-1] == pytest.approx(1e-3 * found.lams[0])
    np.testing.assert_allclose(found.lams[1:] / found.lams[:-1], 1e-3 ** (1 / 99))


@pytest.mark.thinned(3)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("option", problems.OPTIONS)
def test_given_strengths(shape, option):
    X, y = problems.make(*SHAPES[shape])
    lams = np.array([1.0, 0.0, 7.5, 1e9, 1.0, 0.02, 0.0])
    found = judged.path(X, y, lams=lams, tol=1e-8, **problems.options(option, *X.shape))
    assert found.converged
    np.testing.assert_array_equal(found.lams, np.sort(lams)[::-1])
    assert not np.signbit(found.lams).any()


@pytest.mark.parametrize("lams", [[2.5], (0.0,), np.float32([2.5, 1.0]), [3, 1], [[2.0], [1.0]]])
def test_few_strengths_of_any_kind(lams):
    X, y = problems.make()
    found = judged.path(X, y, lams=lams, tol=1e-9)
    assert found.lams.tolist() == np.ravel(lams).astype(float).tolist()


@pytest.mark.parametrize("options", [{"l2": 2.5, "max_iter": 0}, {"l2": 1e-6, "tol": 0.3}])
def test_zero_again_and_again_with_a_small_working_set(options):
    X, y = problems.make(24, 60)
    found = quiet(judged.path, X, y, lams=[1.0, 0.0, 0.0, 0.0], solver=l1fast.CD(gram_limit=5), **options)
    assert found.lams.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_a_coarse_path_does_not_take_all_columns_in(monkeypatch):
    """Below half of the strength before, the strong rule leaves no column out: it is not asked."""
    X, y = problems.make(300, 600, density=1)
    added = []
    plain = WorkingSet.add

    def add(self, features):
        plain(self, features)
        added.append(len(self.members))

    monkeypatch.setattr(WorkingSet, "add", add)
    for count in (3, 30):
        assert judged.path(X, y, n_lams=count, lam_min_ratio=0.05).converged
        assert 0 < max(added) < 400


@pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-6])
def test_no_penalty_on_columns_nearly_alike(distance):
    """Each gradient is next to 0 long before the fit is best: a Gram matrix alone must not certify it."""
    rng = np.random.default_rng(0)
    step, X = rng.standard_normal(200), rng.standard_normal((200, 3))
    X[:, 1] = X[:, 0] + distance * step
    y = X[:, 0] + step
    found = judged.path(X, y, lams=[1.0, 0.0, 0.0])
    best = np.linalg.lstsq(X, y, rcond=None)[0]
    least = np.sum((y - X @ best) ** 2) / 2
    assert (found.objectives[1:] <= least + 1e-6 * (y @ y) / 2).all()


def test_the_l1_norm_grows_as_the_strength_falls():
    """lam -> ||w||_1 is monotone: add the optimality inequalities of two strengths. Here up to their gaps."""
    for shape in SHAPES.values():
        X, y = problems.make(*shape)
        found = judged.path(X, y, n_lams=40, tol=1e-10)
        norms = np.abs(found.coefs.toarray()).sum(axis=0)
        allowed = (found.dual_gaps[1:] + found.dual_gaps[:-1]) * (y @ y) / 2
        assert ((norms[:-1] - norms[1:]) * -np.diff(found.lams) <= allowed).all()
        assert (np.diff(found.objectives) <= found.dual_gaps[1:] * (y @ y) / 2).all()
        assert (np.diff(found.deviance_explained) >= -1e-8).all()


# Problems that are hard, or nothing


@pytest.mark.parametrize("tol", TOLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_columns_nearly_or_quite_alike(shape, tol):
    X, y = problems.make(*SHAPES[shape])
    rng = np.random.default_rng(1)
    near = X + 1e-6 * rng.standard_normal(X.shape)
    assert judged.path(np.hstack([X, near, -X, X[:, ::-1]]), y, n_lams=6, tol=tol, fit_intercept=True).converged
    tall = np.hstack([X[:, :5], near[:, :5], -X[:, :5], X[:, :3]])
    assert judged.path(tall, y, n_lams=6, tol=tol).converged


@pytest.mark.parametrize("tol", TOLS)
@pytest.mark.parametrize("n_rows", [24, 150])
def test_columns_of_many_scales(n_rows, tol):
    X, y = problems.make(n_rows, 24)
    X *= 10.0 ** np.linspace(-4, 4, 24)[np.random.default_rng(0).permutation(24)]
    assert judged.path(X, y, n_lams=8, tol=tol).converged
    assert judged.path(X + np.abs(X).max(axis=0), y, n_lams=8, tol=tol, fit_intercept=True).converged


def true_gaps(found, X, y):
    """Relative gaps in exact arithmetic, as good as longdouble is, with the best intercept."""
    gaps = []
    for k, lam in enumerate(found.lams):
        problem, coef = referee.Problem(X, y, lam, fit_intercept=True), found.coef(k).astype(np.longdouble)
        gaps.append(float(problem.gap(coef, problem.best_intercept(coef)) / problem.scale()))
    return np.array(gaps)


@pytest.mark.parametrize("sort", [False, True])
@pytest.mark.parametrize("offset", [1.0, 1e2, 1e4, 1e6, 1e8])
def test_an_offset_is_not_hidden_by_compression(offset, sort):
    """Where the Gram matrix and X'y could err by more than a quarter of tol, X itself has to be read."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 12))
    y = X[:, :5] @ np.ones(5) + 0.3 * rng.standard_normal(300)
    if sort:  # partial sums as large as they get
        X, y = X[np.argsort(y)], np.sort(y)
    X = X + offset
    for tol in TOLS:
        found = quiet(judged.path, X, y, n_lams=6, tol=tol, fit_intercept=True)
        true, unit = true_gaps(found, X, y), np.finfo(np.float64).eps
        assert (true <= found.dual_gaps + 20 * unit * (1 + offset)).all()  # what X itself reads with is left
        by_gram = (found.n_iter == 1) & (np.arange(len(found)) < len(found) - 1)
        assert by_gram.any()
        if offset <= (1e2 if tol < 1e-6 else 1e6):
            assert found.converged
            assert by_gram[:-1].all()
            assert (true[:-1] <= found.dual_gaps[:-1] + 10 * unit).all()


@pytest.mark.parametrize("scale", [1e2, 1e4, 1e6])
def test_a_long_column_is_not_hidden_by_compression(scale):
    """Its coefficient is next to nothing, but rounding of its correlation shrinks the dual point."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 12))
    y = X[:, :5] @ np.ones(5) + 0.3 * rng.standard_normal(300)
    lams = l1fast.lam_max(X, y) * np.array([0.9, 0.3, 0.1, 0.03, 0.01])
    X[:, 0] *= scale
    found = judged.path(X, y, lams=lams, fit_intercept=True)
    assert found.converged
    assert (found.n_iter == 1).all()
    assert (true_gaps(found, X, y)[:-1] <= found.dual_gaps[:-1] + 10 * np.finfo(np.float64).eps).all()


def test_an_offset_beyond_the_digits_goes_the_long_way():
    """The same rounding that X shows is counted by the Gram matrix, so the compressed way is left."""
    X, y = problems.make(200, 10, density=1)
    near, far = (quiet(l1fast.path, X + by, y, n_lams=5, tol=1e-10, fit_intercept=True) for by in (0.0, 1e8))
    assert near.n_iter.max() == 1
    assert far.n_iter.max() > 1
    assert not far.converged  # and is not called solved either


TRIVIAL = {
    "y zero": lambda X, y: (X, 0 * y),
    "y constant": lambda X, y: (X, 0 * y + 4.25),
    "X zero": lambda X, y: (0 * X, y),
    "X constant": lambda X, y: (0 * X + 2, y),
    "no column": lambda X, y: (X[:, :0], y),
    "one row": lambda X, y: (X[:1], y[:1]),
    "one column": lambda X, y: (X[:, :1], y),
}


@pytest.mark.parametrize("storage", ["F", "csr_array int32"])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", TRIVIAL)
def test_trivial_problems(name, fit_intercept, storage):
    X, y = TRIVIAL[name](*problems.make(60, 5, density=1))
    for asked in ({"n_lams": 5}, {"lams": [2.0, 0.5, 0.0]}):
        found = judged.path(problems.STORAGES[storage](X), y, fit_intercept=fit_intercept, **asked)
        assert found.converged
        assert found.coefs.shape == (X.shape[1], len(found))
    if not X.shape[1] or not y.any():
        assert l1fast.path(X, y).lams.tolist() == [0.0]


# How it ends


def assert_cut_short(found, caught, status, length):
    assert [warning.category for warning in caught] == [l1fast.ConvergenceWarning]
    assert caught[0].filename == judged.__file__
    assert f"{len(found)} strengths" in str(caught[0].message)
    assert (found.status, len(found), found.converged) == (status, length, False)


@pytest.mark.parametrize("solver", ["cd", "fista"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_callback_sees_every_strength_and_may_stop(shape, solver):
    X, y = problems.make(*SHAPES[shape])
    states = []

    def third_time(state):
        states.append(state)
        return len(states) == 3

    with pytest.warns(l1fast.ConvergenceWarning, match="7 were not tried") as caught:
        found = judged.path(X, y, n_lams=10, solver=solver, on_progress=third_time)
    assert_cut_short(found, caught, Status.INTERRUPTED, 3)
    for k, state in enumerate(states):
        assert type(state) is l1fast.PathState
        assert dataclasses.astuple(state) == (
            *(k, 10, found.lams[k], found.seconds[k], found.dual_gaps[k], found.df[k]),
        )


def test_a_callback_that_lets_go_on_or_stops_at_the_end_changes_nothing():
    X, y = problems.make()
    plain = l1fast.path(X, y, n_lams=5)
    for on_progress in (lambda state: None, lambda state: state.index == state.n_lams - 1):
        watched = l1fast.path(X, y, n_lams=5, on_progress=on_progress)
        assert watched.converged
        np.testing.assert_array_equal(watched.coefs.toarray(), plain.coefs.toarray())


def test_a_callback_that_raises():
    class OwnError(Exception):
        pass

    def refuse(state):
        raise OwnError(state.index)

    X, y = problems.make()
    with pytest.raises(OwnError, match="0"):
        l1fast.path(X, y, on_progress=refuse)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("time_limit", [0, 1e-9])
def test_no_time(shape, time_limit):
    X, y = problems.make(*SHAPES[shape])
    with pytest.warns(l1fast.ConvergenceWarning, match="raise time_limit") as caught:
        found = judged.path(X, y, n_lams=9, time_limit=time_limit)
    assert_cut_short(found, caught, Status.TIME_LIMIT, 1)
    assert not compressed(found)  # there was no time for it


def test_a_time_limit_on_the_way():
    X, y = problems.make(30, 80)
    l1fast.path(X, y, n_lams=20)  # what is imported at first use is not to be timed
    with pytest.warns(l1fast.ConvergenceWarning) as caught:
        found = judged.path(X, y, n_lams=100_000, time_limit=0.1)
    assert_cut_short(found, caught, Status.TIME_LIMIT, len(found))
    assert 1 < len(found) < 100_000
    assert found.seconds[-1] < 0.5
    assert (found.dual_gaps[:-1] <= found.tol).all()


@pytest.mark.parametrize("solver", ["cd", "fista", l1fast.CD(gram_limit=0)])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("max_iter", [0, 1, 2**70])
def test_iteration_limit(shape, max_iter, solver):
    X, y = problems.make(*SHAPES[shape])
    found = quiet(judged.path, X, y, n_lams=6, solver=solver, max_iter=max_iter)
    assert found.n_iter.max() <= max_iter
    if max_iter == 0:
        assert found.status is Status.ITERATION_LIMIT
        assert not found.df.any()
    assert found.converged == (found.dual_gaps.max() <= 1e-6)
    assert found.converged or max_iter <= 1


@pytest.mark.parametrize("shape", SHAPES)
def test_a_gap_out_of_reach(shape):
    X, y = problems.make(*SHAPES[shape])
    with pytest.warns(l1fast.ConvergenceWarning) as caught:
        found = judged.path(X, y, n_lams=4, tol=0.0)
    assert len(caught) == 1
    assert len(found) == 4
    assert found.status is Status.NO_PROGRESS
    assert found.dual_gaps.max() < 1e-13


# What comes in, and what comes out


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lams": []}, ValueError, r"lams is empty; give at least one"),
        ({"lams": [1.0, -0.5]}, ValueError, r"lams\[1\] is -0.5; every entry must be at least 0"),
        ({"lams": [np.inf]}, ValueError, r"lams\[0\] is inf; every entry must be finite"),
        ({"lams": [1.0, np.nan]}, ValueError, r"lams\[1\] is nan"),
        ({"lams": np.ones((2, 2))}, ValueError, r"lams has shape \(2, 2\), expected \(4,\)"),
        ({"lams": 1.5}, ValueError, r"lams has shape \(\), expected \(1,\)"),
        ({"lams": ["a"]}, TypeError, r"lams has dtype"),
        ({"n_lams": 0}, ValueError, r"n_lams must be at least 1, got 0"),
        ({"n_lams": 2.5}, TypeError, r"n_lams must be an integer, got 2.5"),
        ({"lam_min_ratio": 0}, ValueError, r"lam_min_ratio must be above 0 and at most 1, got 0"),
        ({"lam_min_ratio": 1.5}, ValueError, r"lam_min_ratio must be above 0 and at most 1, got 1.5"),
        ({"lam_min_ratio": "x"}, TypeError, r"lam_min_ratio must be a real number, got 'x'"),
        ({"l2": -1.0}, ValueError, r"l2 must be a finite number of at least 0, got -1.0"),
        ({"l2_ratio": -1.0}, ValueError, r"l2_ratio must be a finite number of at least 0, got -1.0"),
        ({"l2_ratio": 1e308, "lams": [100.0]}, ValueError, r"l2_ratio is 1e\+308, .* at lam 100; lower it"),
        ({"tol": np.nan}, ValueError, r"tol must be a finite number"),
        ({"time_limit": -1}, ValueError, r"time_limit must be a finite number"),
        ({"max_iter": -1}, ValueError, r"max_iter must be at least 0, got -1"),
        ({"solver": "cdd"}, ValueError, r"solver is 'cdd'; did you mean 'cd'\? Choose one of 'auto', 'cd'"),
        ({"solver": "newest"}, ValueError, r"solver is 'newest'; choose one of"),
        ({"on_progress": 3}, TypeError, r"on_progress must be callable, got 3"),
        ({"fit_intercept": 1}, TypeError, r"fit_intercept must be True or False"),
        ({"n_threads": 0}, ValueError, r"n_threads must be at least 1, got 0"),
        ({"penalty_weights": [1.0]}, ValueError, r"penalty_weights has shape \(1,\), expected \(24,\)"),
        ({"sample_weight": np.zeros(60)}, ValueError, r"sample_weight is 0 everywhere"),
    ],
)
def test_bad_arguments(options, error, message):
    X, y = problems.make()
    with pytest.raises(error, match=message):
        l1fast.path(X, y, **options)


def test_bad_data():
    X, y = problems.make()
    X[3, 4] = np.nan
    with pytest.raises(ValueError, match="row 3, column 4"):
        l1fast.path(X, y)
    with pytest.raises(ValueError, match=r"y has shape \(59,\), expected \(60,\)"):
        l1fast.path(X, y[1:])


@pytest.mark.parametrize("solver", ["cd", "fista"])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("shape", SHAPES)
def test_repeatable_bit_for_bit(shape, storage, solver):
    X, y = problems.make(*SHAPES[shape])
    stored = problems.STORAGES[storage](X)
    first, second = (l1fast.path(stored, y, n_lams=8, solver=solver, lam_min_ratio=0.05) for _ in range(2))
    for name in ("lams", "intercepts", "objectives", "dual_gaps", "violations", "deviance_explained", "n_iter"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert problems.fingerprint(first.coefs) == problems.fingerprint(second.coefs)


@pytest.fixture(scope="module")
def found():
    X, y = problems.make()
    return l1fast.path(X, y, n_lams=6, fit_intercept=True)


def test_printed_form(found):
    printed = repr(found)
    assert printed.startswith("PathResult\n  status     converged: ")
    rows = dict(re.findall(r"^  (\S+) +(.*)$", printed, re.MULTILINE))
    assert rows["lams"] == f"6 from {found.lams[0]:.6g} to {found.lams[-1]:.6g}"
    assert rows["support"] == f"0 to {found.df[-1]} of 24 features"
    assert rows["dual_gap"] == f"at most {found.dual_gaps.max():.2e} (tol 1e-06)"


@pytest.mark.parametrize("duplicate", [lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy])
def test_pickle_and_copy(found, duplicate):
    twin = duplicate(found)
    assert repr(twin) == repr(found)
    np.testing.assert_array_equal(twin.coefs.toarray(), found.coefs.toarray())


def test_one_strength_at_a_time(found):
    for k in (-6, 0, 5, -1):
        np.testing.assert_array_equal(found.coef(k), found.coefs.toarray()[:, k])
    for k in (-7, 6):
        with pytest.raises(IndexError):
            found.coef(k)
    found.coef(5)[:] = np.nan  # a copy
    assert np.isfinite(found.coefs.data).all()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.tol = 1.0


# Laws, on random problems

metamorphic = hypothesis.settings(max_examples=max(10, hypothesis.settings.default.max_examples // 2))


def random_path(problem, **changes):
    """The judged path of a random problem of `strategies`, at five strengths around its own."""
    X, y, lam, chosen = problem
    lams = lam * np.array([2.0, 1.0, 0.7, 0.1, 0.01])
    return judged.path(**({"X": X, "y": y, "lams": lams, "tol": 1e-9} | chosen | changes))


def assert_same_objectives(one, other, problem, factor=1.0):
    X, y, lam, chosen = problem
    scale = float(referee.Problem(X, y, lam, **chosen).scale())
    assert (np.abs(one.objectives - other.objectives / factor) <= 2.5e-9 * scale + 1e-300).all()


@hypothesis.given(strategies.plain(), st.sampled_from(sorted(problems.STORAGES)))
def test_random_problems(problem, storage):
    assert random_path(problem, X=problems.STORAGES[storage](problem[0]), judge_X=problem[0]).converged


@metamorphic
@hypothesis.given(strategies.plain(), st.integers(0, 99))
def test_order_of_columns(problem, seed):
    X, _, _, chosen = problem
    order = np.random.default_rng(seed).permutation(X.shape[1])
    moved = {name: chosen[name][order] for name in ("penalty_weights",) if name in chosen}
    if "bounds" in chosen:
        moved["bounds"] = tuple(np.broadcast_to(side, X.shape[1])[order] for side in chosen["bounds"])
    assert_same_objectives(random_path(problem), random_path(problem, X=X[:, order], **moved), problem)


@metamorphic
@hypothesis.given(strategies.plain())
def test_repeated_rows_are_compressed_or_not(problem):
    """Ten copies of the data at ten times the strength: the same answer, by the Gram matrix of all columns."""
    X, y, lam, chosen = problem
    lams = lam * np.array([2.0, 1.0, 0.7, 0.1, 0.01])
    changes = {"X": np.tile(X, (10, 1)), "y": np.tile(y, 10), "lams": 10 * lams, "l2": 10 * chosen["l2"]}
    if "sample_weight" in chosen:
        changes["sample_weight"] = np.tile(chosen["sample_weight"], 10)
    assert_same_objectives(random_path(problem), random_path(problem, **changes), problem, 10)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_support_that_outgrows_the_samples(storage, monkeypatch):
    """With l2 and short dense columns the working set is solved on the columns."""
    monkeypatch.setattr("l1fast._working_set.FEW_MEMBERS", 0)
    X, y = problems.make(12, 90, density=0.6)
    for tol in TOLS:
        found = judged.path(
            problems.STORAGES[storage](X), y, n_lams=6, lam_min_ratio=0.01, l2_ratio=1.0, tol=tol, fit_intercept=True
        )
        assert found.converged
        assert found.df[-1] > 2 * len(y)
