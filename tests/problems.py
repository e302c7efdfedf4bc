"""One problem, every storage and option it may arrive with."""

import numpy as np
import scipy.sparse

SOLVERS = ("auto", "ista", "fista", "cd")


def make(n=60, p=24, *, seed=0, density=0.5, noise=0.3):
    """Design and target of a problem that every solver finishes quickly.

    X holds multiples of 1/8, exact in float32, so that all storages and precisions pose the same problem;
    y is not exact in float32, so that rounding it is a visible fault.
    """
    rng = np.random.default_rng(seed)
    X = np.round(8 * rng.standard_normal((n, p))) / 8 * (rng.random((n, p)) < density)
    truth = rng.standard_normal(p) * (rng.random(p) < 0.3)
    return X, X @ truth + noise * rng.standard_normal(n) + 0.7


def strength(X, y, ratio=0.1):
    """Ratio times the largest useful lam of the plain problem."""
    return float(ratio * np.abs(X.T @ y).max(initial=0)) or 1.0


def options(name, n, p, seed=0):
    """The keyword arguments of a named choice of options."""
    rng = np.random.default_rng(seed)
    sample_weight = np.where(rng.random(n) < 0.2, 0.0, rng.random(n) + 0.1)
    penalty_weights = rng.random(p) + 0.1
    with_free = np.where(np.arange(p) % 8 == 1, 0.0, penalty_weights)
    bounds = random_bounds(rng, p)
    return {
        "plain": {},
        "intercept": {"fit_intercept": True},
        "l2": {"l2": 2.5},
        "positive": {"positive": True},
        "sample_weight": {"sample_weight": sample_weight},
        "sample_weight+intercept": {"sample_weight": sample_weight, "fit_intercept": True},
        "penalty_weights": {"penalty_weights": penalty_weights},
        "free columns": {"penalty_weights": with_free},
        "free columns+intercept": {"penalty_weights": with_free, "fit_intercept": True},
        "free columns+positive": {"penalty_weights": with_free, "positive": True},
        "free columns+l2": {"penalty_weights": with_free, "l2": 2.5},
        "bounds": {"bounds": bounds},
        "equal bounds": {"bounds": (-0.25, 0.5)},
        "bounds+l2": {"bounds": bounds, "l2": 2.5},
        "bounds+penalty_weights": {"bounds": bounds, "penalty_weights": penalty_weights},
        "free columns+bounds": {"penalty_weights": with_free, "bounds": bounds},
        "free columns+bounds+intercept": {"penalty_weights": with_free, "bounds": bounds, "fit_intercept": True},
        "bounds+all": {
            "l2": 2.5,
            "bounds": bounds,
            "fit_intercept": True,
            "sample_weight": sample_weight,
            "penalty_weights": with_free,
        },
        "all": {
            "l2": 2.5,
            "positive": True,
            "fit_intercept": True,
            "sample_weight": sample_weight,
            "penalty_weights": with_free,
        },
    }[name]


def random_bounds(rng, p):
    """(lower, upper), with sides that are tight, wide, open and closed in every mixture."""
    return tuple(sign * rng.choice([0.0, 0.05, 0.25, 1.0, 10.0, np.inf], p) for sign in (-1.0, 1.0))


OPTIONS = (
    *("plain", "intercept", "l2", "positive", "sample_weight", "sample_weight+intercept", "penalty_weights"),
    *("free columns", "free columns+intercept", "free columns+positive", "free columns+l2", "all"),
    *("bounds", "equal bounds", "bounds+l2", "bounds+penalty_weights", "free columns+bounds"),
    *("free columns+bounds+intercept", "bounds+all"),
)


def read_only(X):
    """X, with every array of it locked."""
    for array in (X,) if isinstance(X, np.ndarray) else (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    return X


def _unaligned(X):
    held = np.zeros(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape)
    held[...] = X
    return held


def _spread(X, row_step, column_step):
    """X as a strided view of a larger array; a negative step walks backwards."""
    held = np.full((2 * X.shape[0], 2 * X.shape[1]), np.nan, X.dtype)
    view = held[::row_step, ::column_step][: X.shape[0], : X.shape[1]]
    view[...] = X
    return view


def _column_slice(X):
    held = np.full((X.shape[0], X.shape[1] + 5), np.nan, X.dtype)
    held[:, 2:-3] = X
    return held[:, 2:-3]


def with_index(X, indices, indptr=None):
    """Sparse X with the given integer types."""
    X.indices, X.indptr = X.indices.astype(indices), X.indptr.astype(indptr or indices)
    return X


def _unsorted(X):
    """Every slice stored backwards."""
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[start:stop] = X.indices[start:stop][::-1].copy()
        X.data[start:stop] = X.data[start:stop][::-1].copy()
    X.has_sorted_indices = False
    return X


def _duplicates(X):
    """Every entry split in two parts that add up to it exactly; the parts are apart and out of order."""
    counts = np.diff(X.indptr)
    indices, data = [], []
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        indices += [X.indices[start:stop], X.indices[start:stop][::-1]]
        data += [X.data[start:stop] - 2, np.full(stop - start, 2, X.dtype)]
    X.indices, X.data = np.concatenate(indices), np.concatenate(data)
    X.indptr = np.concatenate([[0], np.cumsum(2 * counts)]).astype(X.indptr.dtype)
    X.has_sorted_indices = X.has_canonical_format = False
    return X


def _slack(X):
    """Room after the last entry, filled with what would be wrong to read."""
    X.indices = np.concatenate([X.indices, np.array([-7, 2**30], X.indices.dtype)])
    X.data = np.concatenate([X.data, np.array([np.nan, np.inf, 1], X.dtype)])
    return X


def _explicit_zeros(X):
    kind = type(X)
    full = kind(np.ones(X.shape, X.dtype))
    full.data[:] = X.toarray().ravel(order="F" if X.format == "csc" else "C")
    return full


DENSE = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "C read-only": lambda X: read_only(np.array(X, order="C")),
    "F read-only": lambda X: read_only(np.array(X, order="F")),
    "columns of a wider C": _column_slice,
    "rows of a longer F": lambda X: _column_slice(X.T).T,
    "every other row and column": lambda X: _spread(X, 2, 2),
    "backwards": lambda X: _spread(X, -1, -2),
    "unaligned": _unaligned,
    "big-endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
}
_VARIANTS = {
    "int32": lambda X: with_index(X, np.int32),
    "int64": lambda X: with_index(X, np.int64),
    "int32 in int64": lambda X: with_index(X, np.int32, np.int64),
    "int64 in int32": lambda X: with_index(X, np.int64, np.int32),
    "read-only": read_only,
    "unsorted": _unsorted,
    "duplicates": _duplicates,
    "slack": _slack,
    "explicit zeros": _explicit_zeros,
}
_KINDS = {
    "csr_array": scipy.sparse.csr_array,
    "csc_array": scipy.sparse.csc_array,
    "csr_matrix": scipy.sparse.csr_matrix,
    "csc_matrix": scipy.sparse.csc_matrix,
}
SPARSE = {
    f"{kind} {name}": lambda X, kind=kind, name=name: _VARIANTS[name](_KINDS[kind](X))
    for kind in _KINDS
    for name in _VARIANTS
    if kind.endswith("_array") or name in ("int32", "int64")
}
STORAGES = DENSE | SPARSE


def arrays_of(value):
    """The arrays that hold ``value``: one for dense input, three for CSR and CSC, those of a tuple's parts, or none."""
    if isinstance(value, tuple):
        return [array for part in value for array in arrays_of(part)]
    if isinstance(value, np.ndarray):
        return [value]
    return [getattr(value, name) for name in ("data", "indices", "indptr", "coef", "dual") if hasattr(value, name)]


def fingerprint(*values):
    """What must be the same before and after: dtype, shape and bytes of every array."""
    arrays = [array for value in values for array in arrays_of(value) if isinstance(array, np.ndarray)]
    return [(array.dtype.str, array.shape, array.strides, array.tobytes()) for array in arrays]
