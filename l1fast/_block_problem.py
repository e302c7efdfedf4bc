"""A problem whose X is not in memory as a whole: every pass is a sum over blocks of rows.

    statistics   sum_i s_i x_ij^2,   sum_i s_i (y_i - y_mean) x_ij,   sum_i s_i x_ij
    gradient     X'q, the loss and sum(q) at w, with q = s (Xw + b - y)
    Gram rows    sum_i s_i (x_i - m)_K (x_i - m)_W' for the columns K that are new in the working set W

The same solvers run on it: those that ask for gradients get them from here, and coordinate descent, whose small problem
lives on a Gram matrix, gets its rows from here. k numbers go out to the blocks for each pass, and p come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from l1fast._checkpoint import Statistics
from l1fast._datafits import LeastSquares
from l1fast._design import Design, Moments, checked, read_storage
from l1fast._kernels import check
from l1fast._penalties import ElasticNet
from l1fast._problem import Point, Problem, centred, centred_squares
from l1fast._row_blocks import RowBlocks, Rows, Sums, is_operator
from l1fast._threads import worthwhile
from l1fast._validation import as_design, as_storage, measured
from l1fast._working_set import gram_rows

Vector = NDArray[np.float64]


# ------------------------------------------------------------------------------------- what one block adds to a sum


@contextmanager
def naming(rows: Rows) -> Iterator[None]:
    """Errors within name the block."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(f"{rows.name}: {error}") from error


def agreed(rows: Rows) -> None:
    """Raise unless the block has the shape that was told."""
    shape = np.shape(rows.X)
    if shape != rows.shape:
        raise ValueError(f"X has shape {shape}, expected {rows.shape}; the block has changed, or was miscounted")


def read_block(rows: Rows) -> Design:
    """The block checked, as every X is; one that is a `Design` was checked by whoever made it."""
    with naming(rows):
        agreed(rows)
        return as_design(rows.X)


def statistics(rows: Rows, n_threads: int) -> Sums:
    """The moments of the columns for v = s y, y being centred already; and the number of stored entries.

    The squares of a linear operator are estimated, each from PROBES products with signs made by chance: whoever uses
    them uses their size alone.
    """
    v = rows.y if rows.sample_weight is None else rows.sample_weight * rows.y
    if is_operator(rows.X):
        s = weights_of(rows)
        return sampled_squares(rows), transposed(rows, v), transposed(rows, s), len(v) * rows.shape[1]
    with naming(rows):
        agreed(rows)
        design, moments = measured(as_storage(rows.X), rows.sample_weight, v, True, n_threads)
    return moments.square, moments.product, moments.total, design.n_entries


def weights_of(rows: Rows) -> Vector:
    """s."""
    return np.ones(rows.shape[0]) if rows.sample_weight is None else rows.sample_weight


def sampled_squares(rows: Rows, mean: Vector | None = None) -> Vector:
    """About sum_i s_i (x_ij - m_j)^2: the mean of (X'(sqrt(s) z) - m sum(sqrt(s) z))^2 over signs z made by chance."""
    made, root = np.zeros(rows.shape[1]), np.sqrt(weights_of(rows))
    for signs in np.random.default_rng(PROBES).choice([-1.0, 1.0], (PROBES, len(root))):
        z = root * signs
        made += (transposed(rows, z) - (0.0 if mean is None else mean * float(z.sum()))) ** 2
    return made / PROBES


PROBES = 4
"""Products with signs made by chance: the squares of a column are right within a factor of 2, mostly."""


def applied(rows: Rows, w: Vector) -> Vector:
    """X w for a linear operator."""
    with naming(rows):
        agreed(rows)
        return finite(np.asarray(rows.X.matvec(w), dtype=np.float64).ravel(), "X @ w")


def transposed(rows: Rows, v: Vector) -> Vector:
    """X'v for a linear operator."""
    with naming(rows):
        agreed(rows)
        return finite(np.asarray(rows.X.rmatvec(v), dtype=np.float64).ravel(), "X.T @ v")


def finite(values: Vector, what: str) -> Vector:
    """values, if they are."""
    if not np.isfinite(values).all():
        raise ValueError(f"{what} is not finite; the linear operator must return numbers for every finite vector")
    return values


def spreads(rows: Rows, mean: Vector, n_threads: int) -> Sums:
    """sum_i s_i (x_ij - mean_j)^2."""
    if is_operator(rows.X):
        return (sampled_squares(rows, mean),)
    total = float(weights_of(rows).sum())
    return (centred_squares(read_block(rows), rows.sample_weight, mean, total, n_threads),)


def part(design: Design, rows: Rows, y: Vector, mean: Vector | None, norm2: Vector, n_threads: int) -> Problem:
    """The block as a problem, with the means of all rows; no sum over it is centred on its own."""
    fit = LeastSquares(y, rows.sample_weight)
    n_threads = worthwhile(n_threads, design.n_entries, design.sparse)
    return Problem(design, fit, ElasticNet(1.0), mean, norm2, n_threads, None)._with()


def gradients(
    rows: Rows, support: NDArray[np.intp], values: Vector, b: float, of_y: float, n_threads: int, with_q: bool
) -> Sums:
    """X'q, the loss, sum(q), and q itself if it is asked for, for q = s (Xw + b - of_y y); w is 0 off the support."""
    w, target = np.zeros(rows.shape[1]), of_y * rows.y - b
    w[support] = values
    if is_operator(rows.X):
        r = applied(rows, w) - target
        q = r if rows.sample_weight is None else rows.sample_weight * r
        g, loss = transposed(rows, q), 0.5 * float(r @ q)
    else:
        problem = part(read_block(rows), rows, target, None, np.ones(len(w)), n_threads)
        q, g = problem.blanks()
        loss = problem.gradient(w, q, g, problem.scratch())
    return (g, loss, float(q.sum()), q) if with_q else (g, loss, float(q.sum()))


def grams(rows: Rows, members: NDArray[np.intp], known: int, mean: Vector | None, norm2: Vector, threads: int) -> Sums:
    """Rows known.. of the Gram matrix of the members."""
    return (gram_rows(part(read_block(rows), rows, rows.y, mean, norm2, threads), members, known),)


def products(rows: Rows, w: Vector, n_threads: int) -> Sums:
    """X w."""
    return (applied(rows, w) if is_operator(rows.X) else read_block(rows).apply(w, n_threads),)


def correlations(rows: Rows, n_threads: int) -> Sums:
    """X'y."""
    return (transposed(rows, rows.y) if is_operator(rows.X) else read_block(rows).correlate(rows.y, n_threads),)


def pieces(rows: Rows, chosen: NDArray[np.intp]) -> Sums:
    """Some columns."""
    return ([read_block(rows).columns(chosen).to_matrix()],)


# ------------------------------------------------------------------------------------------------ sums over all blocks


@dataclass(frozen=True, eq=False)
class BlockDesign:
    """`Design` for row blocks: the part of it that can be had a block at a time."""

    blocks: RowBlocks
    n_entries: int = 0
    by_rows: ClassVar[bool] = True
    even: ClassVar[bool] = True
    _kept: dict[bytes, Design] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_samples, n_features)."""
        return self.blocks.shape

    @property
    def sparse(self) -> bool:
        """Whether blocks are sparse matrices."""
        return self.blocks.sparse

    @property
    def nbytes(self) -> int:
        """0: there are no copies of X to pay for."""
        return 0

    @property
    def conversion(self) -> str:
        """How X is read."""
        blocks = self.blocks
        return f"X read in {blocks.n_blocks} block{'s' * (blocks.n_blocks != 1)} of rows from {blocks.source}"

    def to_array(self) -> NDArray[Any]:
        """X as a dense array in memory; for problems so small that this is quicker."""
        return self.columns(np.arange(self.shape[1])).to_array()

    def share(self, chosen: NDArray[np.intp]) -> float:
        """A read of some columns reads all of every block."""
        return 1.0

    def apply(self, w: Vector, n_threads: int = 1) -> Vector:
        """X w; one read of X."""
        out = np.empty(self.shape[0])
        self.blocks.reduce(products, (w, n_threads), out, None, by_row=out)
        return out

    def correlate(self, v: Vector, n_threads: int = 1) -> Vector:
        """X'v; one read of X."""
        found = self.blocks.reduce(correlations, (n_threads,), v, None)
        made: Vector = np.zeros(self.shape[1]) if not found else found[0]
        return made

    def columns(self, chosen: NDArray[np.intp]) -> Design:
        """A copy of the chosen columns, in memory; one read of X. The last ones are kept."""
        if not self.blocks.has_columns:
            raise ValueError("X is a linear operator, which has no columns to read; give an array or a sparse matrix")
        key = chosen.tobytes()
        if key not in self._kept:
            found = self.blocks.reduce(pieces, (chosen,), np.empty(self.shape[0]), None)
            assert found
            self._kept.clear()
            parts = found[0]
            mixed = any(map(sparse.issparse, parts))
            made = sparse.vstack([sparse.csr_array(part) for part in parts]) if mixed else np.vstack(parts)
            self._kept[key] = checked(read_storage(made))
        return self._kept[key]


@dataclass(frozen=True)
class BlockProblem(Problem):
    """`Problem` on row blocks; `design` is a `BlockDesign`.

    of_y : y is multiplied by it; 0 for the homogeneous problem.
    """

    of_y: float = 1.0
    elsewhere: ClassVar[bool] = True

    @classmethod
    def made(
        cls,
        blocks: RowBlocks,
        datafit: LeastSquares,
        penalty: ElasticNet,
        n_threads: int,
        known: Statistics | None = None,
    ) -> BlockProblem:
        """Pass 0: the statistics, unless they are known; one more read where centred squares would cancel."""
        if known is not None:
            of_known: Any = BlockDesign(blocks, known.n_entries)
            return cls(of_known, datafit, penalty, known.mean, known.norm2, n_threads, None, known.product)._with()
        found = blocks.reduce(statistics, (n_threads,), datafit.centred, datafit.sample_weight)
        assert found is not None

        def exact(mean: Vector) -> Vector:
            again = blocks.reduce(spreads, (mean, n_threads), datafit.centred, datafit.sample_weight)
            assert again is not None
            squares: Vector = again[0]
            return squares

        moments = Moments(*found[:3]) if datafit.fit_intercept else Moments(*found[:2])
        mean, norm2, product = centred(moments, datafit, exact)
        design: Any = BlockDesign(blocks, int(found[3]))
        return cls(design, datafit, penalty, mean, norm2, n_threads, None, product)._with()

    def _reading(self) -> tuple[object, Vector, Vector | None, object, int]:
        """A stand-in without rows, and the oracle."""
        nothing, p = np.empty(0), self.shape[1]
        stand_in, _, _ = check.check_matrix(nothing, np.empty(0, np.int32), np.zeros(1, np.int64), 0, p, True)
        return stand_in, nothing, None, self.oracle, self.shape[0] if self.near else 0

    @property
    def oracle(self) -> Oracle:
        """What reads the blocks."""
        return Oracle(self.blocks, self.datafit, self.mean, self.norm2, self.n_threads, self.of_y)

    @property
    def blocks(self) -> RowBlocks:
        """Where X is."""
        design: Any = self.design
        blocks: RowBlocks = design.blocks
        return blocks

    @property
    def sums_held(self) -> int:  # type: ignore[override]
        """One for each level of the tree, and that of the block in work; none of those that others add up."""
        return self.blocks.n_blocks.bit_length() + 1 if self.near else 0

    @property
    def has_columns(self) -> bool:
        """Not with linear operators."""
        return self.blocks.has_columns

    @property
    def near(self) -> bool:
        """Not with rows on other machines."""
        return self.blocks.near

    @cached_property
    def by_length(self) -> BlockProblem:
        """Itself: there is no copy."""
        return self

    def blanks(self) -> tuple[Vector, Vector]:
        """Room for q and g; none for q where it would have to be fetched from far away."""
        n, p = self.shape
        return np.empty(n if self.blocks.near else 0), np.empty(p)

    def at(self, w: Vector) -> Point:
        """As `Problem.at`, q wherever it is."""
        q, g = np.empty(self.shape[0]), np.empty(self.shape[1])
        return Point(w, q, g, self.gradient(w, q, g, q[:0]))

    def homogeneous(self) -> BlockProblem:
        """The same problem with y = 0."""
        return self._with(of_y=0.0, product=None)

    def scratch(self) -> Vector:
        """Every block has its own."""
        return np.empty(0)

    def gradient(self, w: Vector, q: Vector, g: Vector, scratch: Vector) -> float:
        """As `Problem.gradient`."""
        if self.product is not None and not w.any():
            if len(q):
                np.negative(self.datafit.weighted, out=q)
            np.negative(self.product, out=g)
            return self.datafit.null_loss
        return self.oracle(w, g, q)

    def gram_rows(self, members: NDArray[np.intp], known: int, stop: Callable[[], bool]) -> NDArray[np.float64] | None:
        """Rows known.. of the Gram matrix of the members: one read of X. None if stop() said so before."""
        arguments = (members, known, self.mean, self.norm2, self.n_threads)
        found = self.blocks.reduce(grams, arguments, self.datafit.centred, self.datafit.sample_weight, stop)
        return None if found is None else found[0]


@dataclass(frozen=True, eq=False)
class Oracle:
    """Reads all blocks at a w. It holds no capsule: a capsule holds it."""

    blocks: RowBlocks
    datafit: LeastSquares
    mean: Vector | None
    norm2: Vector
    n_threads: int
    of_y: float

    def __call__(self, w: Any, g: Any, q: Vector | None = None) -> float:
        """Fill g = X'q, and q itself where there is room for it; return the loss at w."""
        w, fit = np.asarray(w), self.datafit
        q = None if q is None else np.asarray(q)
        support = np.flatnonzero(w)
        b = 0.0 if self.mean is None else -float(self.mean[support] @ w[support])
        by_row = q if q is not None and len(q) else None
        arguments = (support, w[support], b, self.of_y, self.n_threads, by_row is not None)
        found = self.blocks.reduce(gradients, arguments, fit.centred, fit.sample_weight, by_row=by_row)
        assert found
        slope, loss, total = found
        if self.mean is not None:  # b moves by what rounding left of sum(q)
            slope -= self.mean * total
            slope[self.norm2 == 0.0] = 0.0
            shift = total / fit.total_weight
            if by_row is not None:
                by_row -= shift if fit.sample_weight is None else shift * fit.sample_weight
            loss = max(loss - 0.5 * total * shift, 0.0)
        np.asarray(g)[:] = slope
        return float(loss)
