"""X as blocks of rows, and as a linear operator: the answers of an X in memory, whatever the blocks are."""

import itertools

import numpy as np
import problems
import pytest
import referee
import scipy.sparse as sp
import scipy.sparse.linalg as spl

import l1fast
from l1fast._row_blocks import RowBlocks, add, tree_sum
from l1fast._validation import as_design

STORED = {
    "dense": np.ascontiguousarray,
    "F": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "csr": sp.csr_array,
    "csc": sp.csc_array,
    "wide csr": lambda X: problems.with_index(sp.csr_array(X), np.int64),
    "design": as_design,
}
CUTS = {"one": [0, 60], "uneven": [0, 1, 1, 7, 59, 60], "empty ends": [0, 0, 30, 60, 60], "rows": list(range(61))}
OPTIONS = (
    *("plain", "intercept", "sample_weight", "sample_weight+intercept", "penalty_weights", "positive", "l2"),
    *("bounds", "free columns", "free columns+intercept", "bounds+all", "all"),
)
EXACT = ("auto", "cd", "fista", "ista", "lbfgs")
SLOW = ("gradient", "accelerated_gradient", "huber_descent", "subgradient")


def blocks(X, cuts, stored=np.ascontiguousarray):
    """X cut into blocks that are copies of their own."""
    made = [None if a == b else stored(np.array(X[a:b])) for a, b in itertools.pairwise(cuts)]
    return RowBlocks(made.__getitem__, np.array(cuts, np.int64), X.shape[1], any(map(sp.issparse, made)))


def case(option, n=60, p=24, **settings):
    X, y = problems.make(n, p, **settings)
    return X.astype(np.float32).astype(np.float64), y, problems.options(option, n, p)


def certified(option, cuts, stored, solver):
    X, y, options = case(option)
    lam = problems.strength(X, y)
    design = blocks(X, CUTS[cuts], STORED[stored])
    result = l1fast.solve(design, y, lam, solver=solver, tol=1e-8, **options)
    assert result.converged
    referee.check(result, X, y, lam, **options)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("solver", EXACT)
def test_every_option(option, solver):
    certified(option, "uneven", "csr", solver)


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("solver", ["cd", "fista"])
def test_every_kind_of_block(cuts, stored, solver):
    certified("sample_weight+intercept", cuts, stored, solver)


@pytest.mark.nightly
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("solver", EXACT)
def test_all_of_them(option, cuts, stored, solver):
    certified(option, cuts, stored, solver)


@pytest.mark.parametrize("option", ["plain", "intercept", "sample_weight+intercept"])
@pytest.mark.parametrize("solver", SLOW)
@pytest.mark.filterwarnings("ignore::l1fast.ConvergenceWarning")
def test_slow_methods_take_the_same_steps(option, solver):
    X, y, options = case(option)
    lam = problems.strength(X, y)
    settings = {"solver": solver, "max_iter": 40, "history": True, "tol": 0.0, **options}
    ways = [l1fast.solve(given, y, lam, **settings).history.objective for given in (X, blocks(X, CUTS["uneven"]))]
    np.testing.assert_allclose(*ways, rtol=1e-7)  # a line search repeats rounding


@pytest.mark.parametrize("option", ["plain", "intercept", "penalty_weights", "positive"])
@pytest.mark.parametrize("cuts", ["one", "uneven"])
def test_paths(option, cuts):
    X, y, options = case(option)
    found = l1fast.path(blocks(X, CUTS[cuts]), y, n_lams=12, tol=1e-7, **options)
    assert found.converged
    referee.check_path(found, X, y, **options)


@pytest.mark.parametrize("option", ["plain", "intercept", "sample_weight", "free columns"])
def test_lam_max(option):
    X, y, options = case(option)
    given = l1fast.lam_max(blocks(X, CUTS["uneven"]), y, **options)
    np.testing.assert_allclose(given, l1fast.lam_max(X, y, **options), rtol=1e-13)


def test_the_sum_does_not_depend_on_who_adds():
    """The tree is one of places: a reduction by halves gives the bits of the sequential one."""
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 7, 8, 13):
        parts = [(rng.standard_normal(5), float(rng.standard_normal())) if k != 2 else () for k in range(count)]

        def copy(part):
            return tuple(np.array(one) if isinstance(one, np.ndarray) else one for one in part)

        found = tree_sum(map(copy, parts), count)
        level = [copy(part) for part in parts]
        held = []  # the whole subtrees of the binary digits of count, largest first
        size = 1 << (count.bit_length() - 1)
        while size:
            if count & size:
                branch, level = level[:size], level[size:]
                while len(branch) > 1:
                    branch = [add(a, b) for a, b in zip(branch[::2], branch[1::2], strict=True)]
                held.append(branch[0])
            size >>= 1
        total = held.pop()
        while held:
            total = add(held.pop(), total)
        assert np.array_equal(found[0], total[0])
        assert found[1] == total[1]
    assert tree_sum([(1.0,)], 2) is None
    assert tree_sum([], 0) is None


def test_blocks_are_not_changed_and_may_be_read_only():
    X, y, _ = case("plain")
    X.flags.writeable = y.flags.writeable = False
    before = X.copy()
    design = RowBlocks(lambda k: X[30 * k : 30 * k + 30], np.array([0, 30, 60]), 24, False)
    assert l1fast.solve(design, y, problems.strength(X, y)).converged
    np.testing.assert_array_equal(X, before)


def test_passes_count_reads_of_all_blocks():
    X, y, _ = case("plain", n=200, p=400)
    seen = []

    def load(k):
        seen.append(k)
        return X[100 * k : 100 * k + 100]

    result = l1fast.solve(RowBlocks(load, np.array([0, 100, 200]), 400, False), y, problems.strength(X, y))
    assert result.n_passes == len(seen) / 2
    assert "2 blocks of rows" in result.conversion


@pytest.mark.parametrize("form", [np.ascontiguousarray, sp.csr_array])
def test_a_path_over_few_columns_reads_the_blocks_a_few_times(form):
    X, y, _ = case("plain", n=200, p=20)
    seen = []

    def load(k):
        seen.append(k)
        return form(X[100 * k : 100 * k + 100])

    found = l1fast.path(RowBlocks(load, np.array([0, 100, 200]), 20, form is sp.csr_array), y, n_lams=30, tol=1e-6)
    assert found.converged
    assert len(seen) <= 2 * 6  # statistics, the Gram matrix, and the certificate of the last strength
    referee.check_path(found, X, y, slack=0.25)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X: X[:, :-1], r"block 1 of memory: X has shape \(30, 23\), expected \(30, 24\)"),
        (lambda X: X[:-1], r"block 1 of memory: X has shape \(29, 24\), expected \(30, 24\)"),
        (lambda X: np.where(X[3, 4] == X, np.nan, X), "block 1 of memory: .*nan"),
        (lambda X: X.astype(complex), "block 1 of memory: .*complex"),
        (lambda X: problems.with_index(sp.csr_array(X), np.int32) * np.inf, "block 1 of memory: .*(inf|nan)"),
    ],
)
def test_a_bad_block_is_named(spoil, message):
    X, y, _ = case("plain")
    bad = spoil(X[30:])
    with pytest.raises((ValueError, TypeError), match=message):
        l1fast.solve(RowBlocks(lambda k: bad if k else X[:30], np.array([0, 30, 60]), 24, False), y, 1.0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((7, np.array([0, 3]), 2, False), TypeError, "load must be callable, got 7"),
        ((list, np.array([0.0, 3.0]), 2, False), ValueError, "starts must be whole numbers"),
        ((list, np.array([0]), 2, False), ValueError, "starts must be whole numbers"),
        ((list, np.array([1, 3]), 2, False), ValueError, "starts must begin at 0"),
        ((list, np.array([0, 4, 3]), 2, False), ValueError, r"starts must begin at 0.*\[0 4 3\]"),
        ((list, np.array([0, 0]), 2, False), ValueError, "starts must begin at 0"),
        ((list, np.array([0, 3]), -1, False), ValueError, "n_features must be at least 0, got -1"),
    ],
)
def test_blocks_told_wrongly(arguments, error, message):
    with pytest.raises(error, match=message):
        l1fast.RowBlocks(*arguments)


def test_a_block_that_changes_under_a_solve_is_found_out():
    X, y, _ = case("plain")
    given = sp.csr_array(X[30:])
    loads = []

    def load(k):
        if k:
            loads.append(k)
        if len(loads) == 2:
            given.indices[-1] = 2**30  # out of bounds from the second pass on
        return given if k else sp.csr_array(X[:30])

    with pytest.raises(ValueError, match=r"block 1 of memory: .*1073741824"):
        l1fast.solve(RowBlocks(load, np.array([0, 30, 60]), 24, True), y, problems.strength(X, y))


@pytest.mark.parametrize("solver", ["homotopy", "irls"])
def test_what_needs_all_of_x_says_so(solver):
    X, y, _ = case("plain")
    with pytest.raises(ValueError, match=f"{solver} needs X in memory.*'cd'"):
        l1fast.solve(blocks(X, CUTS["one"]), y, 1.0, solver=solver)


def test_other_functions_say_so():
    X, y, _ = case("plain")
    with pytest.raises(TypeError, match="blocks of rows; only solve, path and lam_max"):
        l1fast.compare(blocks(X, CUTS["one"]), y, 1.0)


def agree(X, y, lam, form=np.asarray, **options):
    """The blocks have the answer of X in memory, or its error."""
    found = []
    for given in (X, RowBlocks(lambda k: form(X[10 * k : 10 * k + 10]), np.array([0, 10, 20, 30]), X.shape[1], False)):
        try:
            result = l1fast.solve(given, y, lam, **options)
            found.append((result.status, result.converged, round(result.objective / max(y @ y, 1.0), 6)))
        except ValueError as error:
            found.append(str(error))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.filterwarnings("ignore::l1fast.ConvergenceWarning")
def test_edges():
    rng = np.random.default_rng(1)
    X, wide = rng.standard_normal((30, 12)), rng.standard_normal((30, 60))
    y, ones = X[:, 0] + rng.standard_normal(30), np.ones(30)
    dropped = np.where(np.arange(30) < 10, 0.0, 1.0)  # all of a block
    assert agree(X[:, :0], y, 1.0)[1]
    assert agree(X, ones, 1.0, fit_intercept=True)[1:] == (True, 0.0)
    assert agree(X, 0.0 * y, 1.0)[1:] == (True, 0.0)
    assert agree(0.0 * X, y, 1.0)[1]
    for offset in (3.0, 3e8):
        assert agree(np.c_[X, offset * ones], y, 1.0, fit_intercept=True)[1]
    assert agree(X + 1e6, y, 1.0, fit_intercept=True)[1]
    assert agree(X, y, 1.0, sample_weight=dropped)[1]
    assert "0 everywhere" in agree(X, y, 1.0, sample_weight=0.0 * dropped)
    assert agree(X, y, 0.0, fit_intercept=True)[1]
    assert agree(wide, y, 0.0)[1]
    assert agree(np.c_[X, 1e-170 * X[:, 0]], y, 1e-3)[1]
    assert "y[29] is nan" in agree(X, np.r_[y[:-1], np.nan], 1.0)
    assert "expected (30,)" in agree(X, y[:-1], 1.0)
    assert agree(X, y, 1.0, start=1e30 * rng.standard_normal(12))[1]
    assert agree(X, y, 1.0, memory_limit=10)[1]
    assert agree(X, y, 1.0, solver="ista", polish=True)[1]
    assert agree((3 * X).astype(int), y, 1.0)[1]
    for form in (sp.coo_array, sp.lil_array, np.ndarray.tolist):
        assert agree(X, y, 1.0, form)[1]
    assert not agree(X, y, 1.0, max_iter=0)[1]
    assert not agree(X, y, 1.0, time_limit=0.0)[1]


def test_extreme_scales_are_refused():
    X, y, _ = case("plain")
    with pytest.raises(ValueError, match=r"the squares of column 0 add up to inf.*divide X by a power of 10"):
        l1fast.solve(blocks(1e200 * X, CUTS["one"]), y, 1.0)
    with pytest.raises(ValueError, match="float64 cannot carry"):
        l1fast.solve(blocks(1e-200 * X, CUTS["one"]), y, 1e-200)
    with pytest.raises(ValueError, match=r"entries of y reach .* float64 cannot carry"):
        l1fast.solve(blocks(X, CUTS["one"]), 1e200 * y, 1.0)


def test_a_large_support_is_finished_without_a_gram_matrix():
    X, y, _ = case("plain")
    lam = problems.strength(X, y, 0.05)
    result = l1fast.solve(blocks(X, CUTS["uneven"]), y, lam, solver=l1fast.CD(gram_limit=3), tol=1e-8)
    assert result.converged
    assert "finished by fista" in result.conversion
    referee.check(result, X, y, lam)


def test_time_limit_and_callback():
    X, y, _ = case("plain")
    design, lam = blocks(X, CUTS["uneven"]), problems.strength(X, y)
    with pytest.warns(l1fast.ConvergenceWarning, match="time_limit"):
        result = l1fast.solve(design, y, lam, tol=0.0, time_limit=0.0)
    referee.check(result, X, y, lam)
    seen = []
    with pytest.warns(l1fast.ConvergenceWarning, match="callback"):
        l1fast.solve(design, y, lam, solver="fista", callback=lambda state: seen.append(state) or True)
    assert len(seen) == 1


# ------------------------------------------------------------------------------------------------- linear operators


@pytest.mark.parametrize("option", [name for name in OPTIONS if "free" not in name and "all" not in name])
@pytest.mark.parametrize("solver", ["auto", "fista", "ista", "lbfgs"])
def test_linear_operators(option, solver):
    X, y, options = case(option)
    lam = problems.strength(X, y)
    result = l1fast.solve(spl.aslinearoperator(X), y, lam, solver=solver, tol=1e-8, **options)
    assert result.converged
    assert result.solver == ("fista" if solver == "auto" else solver)
    referee.check(result, X, y, lam, **options)


@pytest.mark.parametrize("solver", SLOW)
@pytest.mark.filterwarnings("ignore::l1fast.ConvergenceWarning")
def test_linear_operators_under_the_slow_methods(solver):
    X, y, _ = case("intercept")
    lam = problems.strength(X, y)
    result = l1fast.solve(spl.aslinearoperator(X), y, lam, solver=solver, max_iter=300, fit_intercept=True)
    referee.check(result, X, y, lam, fit_intercept=True)


def test_a_linear_operator_that_is_no_matrix():
    """The running sum: X w = cumsum(w), so that the fit is piecewise constant."""
    n = 80

    class RunningSum(spl.LinearOperator):
        def __init__(self):
            super().__init__(np.float64, (n, n))

        def _matvec(self, w):
            return np.cumsum(w)

        def _rmatvec(self, r):
            return np.cumsum(np.ravel(r)[::-1])[::-1]

    y = np.where(np.arange(n) < 30, 1.0, 3.0) + 0.1 * np.random.default_rng(0).standard_normal(n)
    X = np.tril(np.ones((n, n)))
    lam = 0.05 * l1fast.lam_max(X, y)
    result = l1fast.solve(RunningSum(), y, lam, tol=1e-9, max_iter=100_000)
    assert result.converged
    referee.check(result, X, y, lam)
    path = l1fast.path(RunningSum(), y, n_lams=5, lam_min_ratio=0.1, tol=1e-6)
    referee.check_path(path, X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "cd"}, "cd needs the columns of X.*'fista'"),
        ({"solver": "homotopy"}, "homotopy needs X in memory.*'fista'"),
        ({"solver": "irls"}, "irls needs X in memory.*'fista'"),
        ({"solver": "ista", "polish": True}, "polish=True ends with cd"),
        ({"penalty_weights": np.r_[0.0, np.ones(23)]}, "X is a linear operator, and some coefficients have no penalty"),
    ],
)
def test_what_needs_columns_says_so(options, message):
    X, y, _ = case("plain")
    with pytest.raises(ValueError, match=message):
        l1fast.solve(spl.aslinearoperator(X), y, 1.0, **options)


@pytest.mark.parametrize(
    ("operator", "error", "message"),
    [
        (spl.aslinearoperator(np.ones((3, 2), complex)), TypeError, "complex128; it must be real"),
        (spl.LinearOperator((3, 2), lambda w: np.full(3, np.nan), rmatvec=lambda r: np.ones(2)), ValueError, "finite"),
        (spl.LinearOperator((3, 2), lambda w: np.ones(3), rmatvec=lambda r: np.full(2, np.inf)), ValueError, "finite"),
        (
            spl.LinearOperator((0, 2), lambda w: np.ones(0), rmatvec=lambda r: np.ones(2)),
            ValueError,
            "at least one row",
        ),
    ],
)
def test_bad_operators(operator, error, message):
    with pytest.raises(error, match=message):
        l1fast.solve(operator, np.arange(operator.shape[0], dtype=float), 0.1)


def test_an_error_of_an_operator_comes_through():
    def broken(w):
        raise RuntimeError("the disk is gone")

    operator = spl.LinearOperator((3, 2), broken, rmatvec=lambda r: np.ones(2), dtype=np.float64)
    with pytest.raises(RuntimeError, match="the disk is gone"):
        l1fast.solve(operator, np.arange(3.0), 0.1)


# ---------------------------------------------------------------------------------------------------- estimators


@pytest.mark.parametrize("kind", ["blocks", "operator"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_estimators(kind, l1_ratio):
    X, y, _ = case("plain")
    given = blocks(X, CUTS["uneven"]) if kind == "blocks" else spl.aslinearoperator(X)
    weight = np.random.default_rng(0).random(60)
    fitted = l1fast.ElasticNet(0.05, l1_ratio=l1_ratio, max_iter=None).fit(given, y, weight)
    other = l1fast.ElasticNet(0.05, l1_ratio=l1_ratio).fit(X, y, weight)
    np.testing.assert_allclose(fitted.coef_, other.coef_, atol=1e-4 * np.abs(other.coef_).max())
    np.testing.assert_allclose(fitted.predict(given), X @ fitted.coef_ + fitted.intercept_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(fitted.score(given, y), fitted.score(X, y), rtol=1e-12)
    with pytest.raises(ValueError, match="X has 3 features, but ElasticNet is expecting 24"):
        fitted.predict(spl.aslinearoperator(np.ones((4, 3))))


def test_estimators_that_need_x_in_memory_say_so():
    X, y, _ = case("plain")
    given = blocks(X, CUTS["uneven"])
    with pytest.raises(TypeError, match="LassoCV needs it in memory; Lasso and ElasticNet do not"):
        l1fast.LassoCV().fit(given, y)
    with pytest.raises(ValueError, match="standardize=True needs X in memory"):
        l1fast.Lasso(standardize=True).fit(given, y)
    with pytest.raises(ValueError, match="precompute is a matrix"):
        l1fast.Lasso(precompute=np.eye(24)).fit(given, y)
