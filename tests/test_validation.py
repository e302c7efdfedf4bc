"""Bad input gets a clear error before any work; unusual but good input gets the right answer."""

import contextlib
import fractions
import re
import sys

import judged
import malformed
import numpy as np
import problems
import pytest
import scipy.sparse
from malformed import N, P
from numpy.lib import stride_tricks

import l1fast

INDEX = (np.int32, np.int64)
LAM = 0.1


@pytest.fixture
def data():
    return problems.make(N, P, density=0.7)


def refused(X, y, lam=LAM, *, match=None, error=(ValueError,), **options):
    """Assert that `solve`, and `lam_max` where it takes the same arguments, refuse; return the message of `solve`."""
    before = problems.fingerprint(X, y, *options.values())
    with pytest.raises(error, match=match) as caught:
        l1fast.solve(X, y, lam, **options)
    assert problems.fingerprint(X, y, *options.values()) == before
    if set(options) <= {"sample_weight", "penalty_weights"} and lam is LAM:
        with pytest.raises(error, match=match):
            l1fast.lam_max(X, y, **options)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["csr_array", "csc_array", "csr_matrix", "csc_matrix"])
@pytest.mark.parametrize("index", INDEX)
@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("spoil", malformed.MALFORMED, ids=lambda spoil: spoil.__name__)
def test_malformed_sparse(spoil, precision, index, kind, data):
    A = malformed.compressed(kind, index, precision)
    seen = spoil(A)
    assert str(seen) in refused(A, data[1])


@pytest.mark.parametrize("kind", ["csr_array", "csc_array"])
@pytest.mark.parametrize("solver", problems.SOLVERS)
def test_malformed_sparse_is_refused_before_the_easy_way_out(kind, solver, data):
    """A lam above lam_max, or a zero y, must not spare the check."""
    A = malformed.compressed(kind, np.int32)
    seen = malformed.index_equal_to_dimension(A)
    assert str(seen) in refused(A, data[1], 1e300, solver=solver)
    assert str(seen) in refused(A, 0 * data[1], 1.0, solver=solver)


def test_malformed_and_in_need_of_a_conversion(data):
    A = malformed.compressed("csr_array", np.int32).astype(np.int8)
    assert str(malformed.index_equal_to_dimension(A)) in refused(A, data[1])


@pytest.mark.parametrize("spoil", malformed.OTHERS, ids=lambda spoil: spoil.__name__)
def test_malformed_other_formats(spoil, data):
    refused(malformed.spoiled(spoil), data[1])


# Numbers that are none


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("storage", ["C", "F", "every other row and column", *(f"{kind} {index}" for kind in
                                     ("csr_array", "csc_matrix") for index in ("int32", "int64"))])  # fmt: skip
@pytest.mark.parametrize("place", [(0, 0), (7, 3), (N - 1, P - 1)])
@pytest.mark.parametrize("lam", [0.1, 1e300])
def test_non_finite_X_is_named(lam, place, storage, precision, value, data):
    X, y = data
    X[place] = value
    message = refused(problems.STORAGES[storage](X.astype(precision)), y, lam)
    assert re.search(rf"\brow {place[0]}\b", message), message
    assert re.search(rf"\bcolumn {place[1]}\b", message), message
    assert str(value).lstrip("-") in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["y", "sample_weight", "penalty_weights", "start"])
def test_non_finite_vectors_are_named(name, value, data):
    X, y = data
    chosen = {"sample_weight": np.ones(N), "penalty_weights": np.ones(P), "start": np.zeros(P), "y": y.copy()}
    chosen = {name: chosen[name]}
    chosen[name][5] = value
    message = refused(X, chosen.pop("y", y), match=name, **chosen)
    assert re.search(r"\b5\b", message), message
    assert str(value).lstrip("-") in message


def test_overflow_of_float32_is_not_silent(data):
    """1e39 is finite in float64, in which it must be kept or refused."""
    X, y = data
    with contextlib.suppress(ValueError):
        judged.solve(X.astype(np.float32), y * 1e39, 1e38)


# Arguments

WRONG = {
    "lam": (-1.0, -1e-300, np.nan, np.inf, 10**400, "1", None, 1j, [0.1], np.ones(2)),
    "l2": (-1.0, np.nan, np.inf, "1", None, 1j),
    "tol": (-1e-6, np.nan, np.inf, "1e-6", None),
    "max_iter": (-1, 1.5, "3", np.nan),
    "time_limit": (-1.0, np.nan, "1"),
    "n_threads": (0, -1, 1.5, "2"),
    "solver": ("lars", "", "CD ", 3, None, l1fast.CD),
    "fit_intercept": ("yes", None),
    "positive": ("yes", None),
    "bounds": (3, "ab", np.array(3.0), (1,), (1, 2, 3), {0, 1}, (0.5, 1), (-1, -0.5), (np.nan, 1), (-1, np.nan),
               (np.inf, np.inf), (-1, -np.inf), (-np.ones(P + 1), 1), (-1, np.ones(P - 1)), (-1, np.ones((P, 2))),
               ("a", 1), (-1, ["a"] * P), (-1, 1j), (-1, np.ones(P) * 1j), (True, 1), (-1, {}), (10**400, 1),
               (0, -np.eye(P)[3]), (np.eye(P)[3], 1)),
    "callback": (3, "print"),
    "sample_weight": (np.ones(N + 1), np.ones(N - 1), np.ones((N, 2)), 1.0, -np.eye(N)[3], np.zeros(N), ["a"] * N,
                      np.ones(N) * 1j),
    "penalty_weights": (np.ones(P + 1), np.ones(P - 1), np.ones((P, 2)), 1.0, -np.eye(P)[3], ["a"] * P,
                        np.ones(P) * 1j),
    "start": (np.zeros(P + 1), np.zeros(P - 1), np.zeros((P, 2)), 0.0, ["a"] * P, np.zeros(P) * 1j, "cold"),
}  # fmt: skip


VECTORS = ("sample_weight", "penalty_weights", "start")


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_arguments(name, value, data):
    message = refused(*data, error=(ValueError, TypeError), match=name, **({"lam": LAM} | {name: value}))
    if isinstance(value, float | int | str) and name not in VECTORS:
        assert str(value) in message, message
    if name in VECTORS and np.ndim(value) == 1 and np.array_equal(value, -np.eye(len(value))[3]):
        assert re.search(r"\b3\b", message), message


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((np.eye(P)[3] / 4, None), ("lower", "coefficient 3", "0.25", "<= 0")),
        ((None, -np.eye(P)[5] / 4), ("upper", "coefficient 5", "-0.25", ">= 0")),
        ((0, np.where(np.arange(P) == 2, np.nan, 1)), ("bounds[1][2]", "nan")),
        ((np.zeros(P + 1), None), ("bounds[0]", f"({P + 1},)", f"({P},)")),
    ],
)
@pytest.mark.parametrize("ask", [l1fast.lam_max, lambda X, y, **options: l1fast.solve(X, y, LAM, **options)])
def test_wrong_bounds_are_named(ask, bounds, said, data):
    with pytest.raises(ValueError, match="bound") as caught:
        ask(*data, bounds=bounds)
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_bounds_and_positive_are_not_mixed(data):
    message = refused(*data, LAM, match="positive", positive=True, bounds=(0, 1))
    assert "bounds" in message


@pytest.mark.parametrize("settings", [l1fast.ISTA, l1fast.FISTA])
@pytest.mark.parametrize("step", ["fixed", "", None, 0.1])
def test_wrong_step(settings, step, data):
    with pytest.raises((ValueError, TypeError), match="step"):
        l1fast.solve(*data, 0.1, solver=settings(step=step))


def test_start_of_another_problem(data):
    X, y = data
    other = l1fast.solve(X[:, :3], y, 0.1)
    refused(X, y, match="start", start=other)


def test_a_negative_start_for_a_positive_problem_is_projected_or_refused(data):
    X, y = data
    with contextlib.suppress(ValueError):
        judged.solve(X, y, 0.1, positive=True, start=-np.ones(P))


@pytest.mark.parametrize("seen", [(N,), (N, P, 1), (0, P), ()])
@pytest.mark.parametrize("y_length", [N, 0])
def test_wrong_shapes_of_X(seen, y_length):
    if seen != (N, P):
        refused(np.ones(seen), np.ones(y_length), error=(ValueError, TypeError))


@pytest.mark.parametrize("kind", [scipy.sparse.csr_array, scipy.sparse.csc_array])
def test_sparse_without_rows(kind):
    refused(kind((0, P)), np.ones(0))


def test_one_dimensional_sparse(data):
    refused(scipy.sparse.coo_array(np.ones(N)), data[1], error=(ValueError, TypeError))


@pytest.mark.parametrize("y", [np.ones(N - 1), np.ones(N + 1), np.ones((N, 2)), 1.0, np.ones(0)])
def test_wrong_shapes_of_y(y, data):
    refused(data[0], y, match="y", error=(ValueError, TypeError))


class Opaque:
    """Neither an array nor convertible to one."""


@pytest.mark.parametrize(
    "convert",
    [
        *(np.complex64, np.complex128, np.str_, np.bytes_, "M8[s]", "m8[s]"),
        lambda A: np.where(np.arange(A.size).reshape(A.shape) == 5, None, A),
        lambda A: np.ma.masked_array(A, np.arange(A.size).reshape(A.shape) == 5),
        lambda A: np.zeros(A.shape, [("a", float)]),
        lambda A: [[1, 2], [3]],
        *(lambda A: None, lambda A: "X", lambda A: {"X": A}, lambda A: Opaque(), lambda A: iter(A)),
    ],
)
@pytest.mark.parametrize("which", ["X", "y"])
def test_wrong_types(convert, which, data):
    X, y = data
    if not callable(convert) or isinstance(convert, type):
        dtype, convert = convert, lambda A: A.astype(np.int64).astype(dtype)
    X, y = (convert(X), y) if which == "X" else (X, convert(y))
    refused(X, y, error=(ValueError, TypeError), match=rf"\b{which}\b")


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "coo_array"])
def test_complex_sparse(kind, data):
    X, y = data
    refused(getattr(scipy.sparse, kind)(X * 1j), y, error=(ValueError, TypeError))


def test_sparse_y(data):
    X, y = data
    refused(X, scipy.sparse.csr_array(y[:, None]), error=(ValueError, TypeError), match="y")


# Conversions

CONVERSIONS = {
    "list": lambda X: X.tolist(),
    "tuple": lambda X: tuple(map(tuple, X)),
    "longdouble": lambda X: X.astype(np.longdouble),
    "object": lambda X: X.astype(object),
    "fractions": lambda X: np.array([[fractions.Fraction(value) for value in row] for row in X.tolist()]),
    "float16": lambda X: X.astype(np.float16),
    "longdouble csc": lambda X: scipy.sparse.csc_array(X.astype(np.longdouble)),
    "masked without masked entries": lambda X: np.ma.masked_array(X, np.zeros(X.shape, bool)),
    "big-endian float32": lambda X: X.astype(">f4"),
    "big-endian csr": lambda X: big_endian(scipy.sparse.csr_array(X)),
    **{f"{kind}_{form}": lambda X, kind=kind, form=form: getattr(scipy.sparse, f"{kind}_{form}")(X)
       for kind in ("coo", "bsr", "dia", "lil", "dok") for form in ("array", "matrix")},
    "coo with duplicates": lambda X: doubled(scipy.sparse.coo_array(X)),
}  # fmt: skip


def doubled(A):
    """Every entry split in two parts that add up to it."""
    row, column = A.coords
    data = np.concatenate([A.data - 2, np.full(A.nnz, 2.0)])
    return scipy.sparse.coo_array((data, (np.tile(row, 2), np.tile(column, 2))), A.shape)


def big_endian(A):
    A.data = A.data.astype(">f8")
    return A


@pytest.mark.parametrize("name", CONVERSIONS)
def test_conversions(name):
    X, y = problems.make()
    result = judged.solve(CONVERSIONS[name](X), y, problems.strength(X, y), judge_X=X, tol=1e-8)
    assert result.converged


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64, np.uint8, np.uint64, np.bool_])
@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_array, scipy.sparse.csc_array, scipy.sparse.coo_array])
def test_integers_do_not_overflow(kind, dtype):
    """127^2 is beyond int8 and 200 * 127^2 beyond int16."""
    rng = np.random.default_rng(0)
    high = 2 if dtype == np.bool_ else 128
    X = rng.integers(0, high, (200, 10)).astype(dtype)
    y = (3 * X[:, 0].astype(float) - X[:, 1] + rng.standard_normal(200)).round().astype(int)
    judged.solve(kind(X), y, 20.0 * high, judge_X=X)
    judged.solve(kind(X), X[:, 0], 20.0 * high, judge_X=X)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float16, np.float32])
def test_repeated_entries_add_up_beyond_their_type(dtype, form):
    """Twice the largest value does not fit; in float32, which is kept, another entry brings the sum back."""
    most = (np.finfo if np.issubdtype(dtype, np.floating) else np.iinfo)(dtype).max
    A = getattr(scipy.sparse, f"{form}_array")((1, 1), dtype=np.float64)
    A.data = np.array([most, most, -most if dtype == np.float32 else 1]).astype(dtype)
    if form == "coo":
        A.coords = tuple(np.zeros((2, 3), np.int32))
    else:
        A.indices, A.indptr = np.zeros(3, np.int32), np.array([0, 3], np.int32)
        A.data = A.data.reshape(-1, 1, 1) if form == "bsr" else A.data
    total = A.data.astype(np.float64).sum()
    np.testing.assert_allclose(l1fast.solve(A, [3 * total], 0.0).coef, 3.0, rtol=1e-6)


def test_conversion_is_told(data):
    X, y = data
    assert l1fast.solve(np.asfortranarray(X), y, 0.5, solver="cd").conversion == ""
    assert l1fast.solve(scipy.sparse.csc_array(X), y, 0.5, solver="cd").conversion == ""
    for convert in (np.ndarray.tolist, scipy.sparse.coo_array, np.float16):
        told = l1fast.solve(convert(X), y, 0.5, solver="cd").conversion
        assert told, convert


def test_target_of_other_types(data):
    X, y = data
    y = np.round(8 * y)
    expected = l1fast.solve(X, y, 0.5, tol=1e-10).coef
    held = np.zeros((N, 3))
    held[:, 1] = y
    for other in (y.tolist(), y.astype(int), y.astype(np.float32), y.astype(">f8"), held[:, 1], y[::-1].copy()[::-1]):
        np.testing.assert_array_equal(l1fast.solve(X, other, 0.5, tol=1e-10).coef, expected)


def test_stride_zero(data):
    X, y = data
    repeated = np.broadcast_to(X[0], X.shape)
    judged.solve(repeated, y, 0.5)
    judged.solve(np.broadcast_to(X[:, :1], X.shape), y, 0.5)
    judged.solve(X, np.broadcast_to(1.5, N), 0.5)


def test_overlapping_windows():
    signal = np.random.default_rng(0).standard_normal(60)
    windows = stride_tricks.sliding_window_view(signal[:-1], 12)
    judged.solve(windows, signal[12:], 1.0)
    judged.solve(windows.T, signal[:12], 1.0)


def test_memory_map(tmp_path, data):
    X, y = data
    np.save(tmp_path / "X.npy", X)
    judged.solve(np.load(tmp_path / "X.npy", mmap_mode="r"), y, 0.5)


def test_plain_subclasses(data):
    class Tagged(np.ndarray):
        """An array with a name of its own."""

    X, y = data
    result = l1fast.solve(X.view(Tagged), y.view(Tagged), 0.5)
    assert type(result.coef) is type(result.dual) is np.ndarray


def test_pandas():
    pandas = pytest.importorskip("pandas")
    X, y = problems.make()
    lam = problems.strength(X, y)
    frame, series = pandas.DataFrame(X), pandas.Series(y)
    for table in (frame, frame.astype(np.float32), frame.astype({0: np.float32}), frame.astype("Float64")):
        assert judged.solve(table, series, lam, judge_X=X, tol=1e-8).converged
    sparse = pandas.DataFrame.sparse.from_spmatrix(scipy.sparse.csr_matrix(X))
    assert judged.solve(sparse, series, lam, judge_X=X, tol=1e-8).converged
    missing = frame.astype("Float64")
    missing.iloc[3, 2] = pandas.NA
    refused(missing, y, error=(ValueError, TypeError))
    refused(pandas.DataFrame({"a": ["x"] * len(y)}), y, error=(ValueError, TypeError))


def test_strengths_that_overflow_with_the_weights():
    X, y = np.eye(2), np.ones(2)
    for strengths in ({"lam": 1e300}, {"lam": 1.0, "l2": 1e300}):
        with pytest.raises(ValueError, match=r"penalty_weights reach 1e\+10, and overflow"):
            l1fast.solve(X, y, **strengths, penalty_weights=[1.0, 1e10])


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_a_dtype_that_names_the_byte_order_of_the_machine(precision, index):
    """It equals the plain one, but its buffer has another format: Zarr gives such arrays."""

    def marked(values):
        return values.view(values.dtype.newbyteorder("<" if sys.byteorder == "little" else ">"))

    X, y = problems.make(20, 5)
    matrix = problems.with_index(scipy.sparse.csr_array(X.astype(precision)), index)
    matrix.data, matrix.indices, matrix.indptr = map(marked, (matrix.data, matrix.indices, matrix.indptr))
    for given in (marked(X.astype(precision)), marked(np.asfortranarray(X.astype(precision))), matrix):
        result = judged.solve(given, marked(y), 1.0)
        assert result.conversion == ""
