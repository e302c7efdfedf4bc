"""The named problems: 1/2 ||y - Xw||^2 + lam ||w||_1 without an intercept, every one from a fixed seed or a file.

A name may carry a storage and a dtype: ``wide@F``, ``wide@C@float32``, ``debian-words@csc``. Without them X is as
users mostly have it: C-ordered float64 when dense, CSR when sparse, and float32 for the Debian files.

    ar       x_0 = e_0, x_j = rho x_{j-1} + sqrt(1 - rho^2) e_j, with e_j standard normal: unit columns of
             correlation rho^|i-j|. k coefficients drawn from N(0, 1) at random places.
    zipf     entries fall on column j with probability proportional to 1/(j+1) and on a uniform row; repeated places
             are kept once; values are lognormal. Most rare columns hold one entry or none, the first is nearly full.
             k coefficients from N(0, 1) among the 10 k commonest columns.
    one-hot  categorical columns whose levels follow Zipf's law, one stored 1 per categorical column and row.
    factor   each row is a mix of a few common factors and noise of its own: columns correlate far from the diagonal.
    all      y = Xw + noise, with the standard deviation of the noise NOISE times that of Xw.

`cancer` is real: the products of up to three of the 30 measurements in scikit-learn's breast cancer data, standardised,
with the diagnosis as target; its columns are nearly collinear. `golub` (make_golub.py) is real as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise
from pathlib import Path

import numpy as np
import scipy.sparse as sp

SEED = 20240229
NOISE = 0.5
WORDS_FOLDER = Path(__file__).parent.parent / "examples" / "data"


class Missing(Exception):
    """The problem's data is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Problem:
    name: str
    X: np.ndarray | sp.csr_array | sp.csc_array
    y: np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes of X as stored."""
        if sp.issparse(self.X):
            return self.X.data.nbytes + self.X.indices.nbytes + self.X.indptr.nbytes
        return self.X.nbytes

    def lam_max(self) -> float:
        """The smallest lam whose solution is zero, max_j |x_j'y|, by NumPy."""
        return float(np.max(np.abs(self.X.T @ self.y)))

    def describe(self) -> str:
        storage = self.X.format.upper() if sp.issparse(self.X) else ("C" if self.X.flags.c_contiguous else "F")
        entries = f", {self.X.nnz:,} entries" if sp.issparse(self.X) else ""
        return f"{self.X.shape[0]:,} x {self.X.shape[1]:,} {storage} {self.X.dtype}{entries}"


def ar(n: int, p: int, k: int, rho: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Correlated dense columns."""
    rng = np.random.default_rng(SEED)
    columns = rng.standard_normal((p, n))  # row j is column j of X: the recursion runs on contiguous memory
    columns[1:] *= np.sqrt(1 - rho**2)
    for before, column in pairwise(columns):
        column += rho * before
    w = np.zeros(p)
    w[rng.choice(p, k, replace=False)] = rng.standard_normal(k)
    X = np.ascontiguousarray(columns.T)
    return X, planted(X, w, rng)


def zipf(n: int, p: int, k: int, density: float) -> tuple[sp.csr_array, np.ndarray]:
    """Sparse columns whose frequencies follow Zipf's law."""
    rng = np.random.default_rng(SEED)
    share = np.cumsum(1 / np.arange(1, p + 1))
    draws = round(density * n * p)
    columns = np.searchsorted(share, share[-1] * rng.random(draws), side="right")
    places = np.unique(rng.integers(n, size=draws) * p + columns)
    rows, columns = np.divmod(places, p)
    starts = np.searchsorted(rows, np.arange(n + 1))
    values = rng.lognormal(size=len(places))
    X = sp.csr_array((values, columns.astype(np.int32), starts.astype(np.int32)), shape=(n, p))
    w = np.zeros(p)
    w[rng.choice(min(p, 10 * k), k, replace=False)] = rng.standard_normal(k)
    return X, planted(X, w, rng)


def one_hot(n: int, p: int, categorical: int, k: int) -> tuple[sp.csr_array, np.ndarray]:
    """Indicators of ``categorical`` variables with p / categorical levels each."""
    rng = np.random.default_rng(SEED)
    levels = p // categorical
    share = np.cumsum(1 / np.arange(1, levels + 1))
    drawn = np.searchsorted(share, share[-1] * rng.random((n, categorical)), side="right")
    columns = drawn + levels * np.arange(categorical)
    starts = np.arange(0, n * categorical + 1, categorical, dtype=np.int32)
    X = sp.csr_array((np.ones(columns.size), columns.ravel().astype(np.int32), starts), shape=(n, p))
    w = np.zeros(p)
    w[rng.choice(p, k, replace=False)] = rng.standard_normal(k)
    return X, planted(X, w, rng)


def factor(n: int, p: int, factors: int, k: int, share: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Columns of unit variance, the fraction ``share`` of which comes from the common factors."""
    rng = np.random.default_rng(SEED)
    loadings = rng.standard_normal((factors, p))
    loadings *= np.sqrt(share) / np.linalg.norm(loadings, axis=0)
    X = rng.standard_normal((n, factors)) @ loadings
    X += np.sqrt(1 - share) * rng.standard_normal((n, p))
    w = np.zeros(p)
    w[rng.choice(p, k, replace=False)] = rng.standard_normal(k)
    return X, planted(X, w, rng)


def cancer(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Real, dense, wide and nearly collinear."""
    try:
        from sklearn.datasets import load_breast_cancer
    except ImportError as error:
        raise Missing("scikit-learn, which brings the data, is not installed") from error
    measured, y = load_breast_cancer(return_X_y=True)
    measured = standardised(measured)
    chosen = [list(c) for d in range(1, degree + 1) for c in combinations_with_replacement(range(measured.shape[1]), d)]
    X = standardised(np.column_stack([measured[:, columns].prod(axis=1) for columns in chosen]))
    return X, y - y.mean()


def standardised(X: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((X - X.mean(axis=0)) / X.std(axis=0))


def planted(X: np.ndarray | sp.csr_array, w: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    signal = X @ w
    return signal + NOISE * np.std(signal) * rng.standard_normal(len(signal))


def from_file(name: str, default_folder: Path | None = None) -> tuple[np.ndarray | sp.csr_array, np.ndarray]:
    """Read X, or the parts of a CSR matrix, and y from ``name``.npz.

    It is looked for in the folder L1FAST_BENCH_DATA (``--data``), then in ``default_folder``; y is centred.
    """
    given = os.environ.get("L1FAST_BENCH_DATA")
    folders = [Path(given)] if given else []
    folders += [default_folder] if default_folder else []
    for path in (folder / f"{name}.npz" for folder in folders):
        if path.is_file():
            with np.load(path, allow_pickle=False) as f:
                X = f["X"] if "X" in f else sp.csr_array((f["data"], f["indices"], f["indptr"]), shape=f["shape"])
                return X, f["y"] - f["y"].mean(dtype=np.float64)
    raise Missing(f"{name}.npz not found; name its folder with --data DIR or L1FAST_BENCH_DATA")


GENERATORS: dict[str, Callable[[], tuple]] = {
    "debian-words": lambda: from_file("debian-words", WORDS_FOLDER),
    "debian-bigrams": lambda: from_file("debian-bigrams"),
    "wide": lambda: ar(1000, 10_000, k=100),
    "tall": lambda: ar(50_000, 500, k=50),
    "zipf": lambda: zipf(100_000, 200_000, k=200, density=1e-4),
    "golub": lambda: from_file("golub"),
    "one-hot": lambda: one_hot(200_000, 5000, categorical=10, k=200),
    "factor": lambda: factor(5000, 3000, factors=20, k=100),
    "cancer": lambda: cancer(degree=3),
    "smoke-wide": lambda: ar(60, 200, k=8),
    "smoke-tall": lambda: ar(400, 30, k=8),
    "smoke-zipf": lambda: zipf(300, 500, k=20, density=2e-2),
}
FULL = ["debian-words", "debian-bigrams", "wide", "tall", "zipf"]
CONTEST = [name for name in GENERATORS if not name.startswith("smoke-")]
SMOKE = [name for name in GENERATORS if name.startswith("smoke-")]

STORAGES: dict[str, Callable] = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "csr": sp.csr_array,
    "csc": sp.csc_array,
    "float32": lambda X: X.astype(np.float32),
    "float64": lambda X: X.astype(np.float64),
}


def load(name: str) -> Problem:
    """Make a problem by its name, with ``@`` storages applied from left to right."""
    base, *storages = name.split("@")
    if base not in GENERATORS:
        raise ValueError(f"unknown problem {base!r}; known: {', '.join(GENERATORS)}")
    X, y = GENERATORS[base]()
    for storage in storages:
        if storage not in STORAGES:
            raise ValueError(f"unknown storage {storage!r} in {name!r}; known: {', '.join(STORAGES)}")
        X = STORAGES[storage](X)
    return Problem(name, X, y.astype(X.dtype))
