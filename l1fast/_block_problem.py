"""A problem whose X is not in memory as a whole: every pass is a sum over blocks of rows.

    statistics   sum_i s_i x_ij^2,   sum_i s_i (y_i - y_mean) x_ij,   sum_i s_i x_ij
    gradient     X'q, the loss and sum(q) at w, with q = s (Xw + b - y)
    Gram rows    sum_i s_i (x_i - m)_K (x_i - m)_W' for the columns K that are new in the working set W

The same solvers run on it: those that ask for gradients get them from here, and coordinate descent, whose small problem
lives on a Gram matrix, gets its rows from here. k numbers go out to the blocks for each pass, and p come back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from l1fast._datafits import ROUNDING, LeastSquares
from l1fast._design import Design, Moments
from l1fast._kernels import check, gradient
from l1fast._penalties import ElasticNet
from l1fast._problem import CANCELLED, Problem
from l1fast._row_blocks import RowBlocks, Rows, Sums
from l1fast._smoothing import Smoothing
from l1fast._threads import worthwhile
from l1fast._validation import as_design, as_storage, measured
from l1fast._working_set import gram_rows

Vector = NDArray[np.float64]


def read_block(rows: Rows) -> Design:
    """The block checked, as every X is."""
    with naming(rows):
        return as_design(expected(rows))


def expected(rows: Rows) -> Any:
    """The storage of a block, if its shape is the one told."""
    storage = as_storage(rows.X)
    if storage.shape != rows.shape:
        raise ValueError(f"X has shape {storage.shape}, expected {rows.shape}; has the block changed?")
    return storage


class naming:
    """Errors inside name the block."""

    def __init__(self, rows: Rows) -> None:
        self.name = rows.name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, ValueError | TypeError):
            raise type(error)(f"{self.name}: {error}") from error


def statistics(rows: Rows, n_threads: int) -> Sums:
    """The moments of the columns for v = s y, y being centred already; and what the blocks store."""
    v = rows.y if rows.sample_weight is None else rows.sample_weight * rows.y
    with naming(rows):
        design, moments = measured(expected(rows), rows.sample_weight, v, True, n_threads)
    return moments.square, moments.product, moments.total, design.n_entries


def spreads(rows: Rows, mean: Vector, n_threads: int) -> Sums:
    """sum_i s_i (x_ij - mean_j)^2."""
    design, p = read_block(rows), len(mean)
    total = float(rows.shape[0] if rows.sample_weight is None else rows.sample_weight.sum())
    norm2, scratch = np.empty(p), np.empty(2 * (p + gradient.scratch_size(design.view, n_threads)))
    gradient.column_norms2(design.view, rows.sample_weight, mean, total, norm2, scratch, n_threads)
    return (norm2,)


def part(design: Design, rows: Rows, y: Vector, mean: Vector | None, norm2: Vector, n_threads: int) -> Problem:
    """The block as a problem, with the means of all rows; no sum over it is centred on its own."""
    fit = LeastSquares(y, rows.sample_weight)
    n_threads = worthwhile(n_threads, design.n_entries, design.sparse)
    return Problem(design, fit, ElasticNet(1.0), mean, norm2, n_threads, None)._with()


def gradients(rows: Rows, support: NDArray[np.intp], values: Vector, b: float, of_y: float, n_threads: int) -> Sums:
    """X'q, the loss, sum(q), and q itself, for q = s (Xw + b - of_y y); w is 0 outside the support."""
    design = read_block(rows)
    n, p = design.shape
    w, q, g = np.zeros(p), np.empty(n), np.empty(p)
    w[support] = values
    problem = part(design, rows, of_y * rows.y - b, None, np.ones(p), n_threads)
    loss = problem.gradient(w, q, g, problem.scratch())
    return g, loss, float(q.sum()), q


def grams(rows: Rows, members: NDArray[np.intp], known: int, mean: Vector | None, norm2: Vector, threads: int) -> Sums:
    """Rows known.. of the Gram matrix of the members."""
    return (gram_rows(part(read_block(rows), rows, rows.y, mean, norm2, threads), members, known),)


@dataclass(frozen=True)
class BlockProblem(Problem):
    """`Problem` on row blocks; `design` is a `RowBlocks`.

    of_y : y is multiplied by it; 0 for the homogeneous problem.
    """

    of_y: float = 1.0
    elsewhere: ClassVar[bool] = True

    @classmethod
    def made(cls, blocks: RowBlocks, datafit: LeastSquares, penalty: ElasticNet, n_threads: int) -> BlockProblem:
        """Pass 0: the statistics; one more read where centred squares would cancel."""
        found = blocks.reduce(statistics, (n_threads,), datafit.centred, datafit.sample_weight)
        assert found is not None
        moments = Moments(*found[:3])
        total, mean, norm2, product = datafit.total_weight, None, moments.square, moments.product
        if datafit.fit_intercept:
            assert moments.total is not None
            mean = moments.total / total
            norm2 = moments.square - total * mean * mean
            if np.any(norm2 < CANCELLED * moments.square):
                again = blocks.reduce(spreads, (mean, n_threads), datafit.centred, datafit.sample_weight)
                assert again is not None
                norm2 = again[0]
            norm2[np.isfinite(norm2) & (norm2 <= total * (ROUNDING * mean) ** 2)] = 0.0
            product = np.where(norm2 == 0.0, 0.0, product - mean * float(datafit.weighted.sum()))
        known = replace(blocks, n_entries=int(found[3]))
        return cls(known, datafit, penalty, mean, norm2, n_threads, None, product)._with()

    def _with(self, **changes: Any) -> BlockProblem:
        made = replace(self, **changes)
        penalty, p = made.penalty, made.shape[1]
        nothing = np.empty(0)
        stand_in, _, _ = check.check_matrix(nothing, np.empty(0, np.int32), np.zeros(1, np.int64), 0, p, True)
        capsule = check.pack_problem(
            stand_in,
            nothing,
            None,
            made.mean,
            made.datafit.total_weight,
            made.norm2,
            penalty.weights,
            penalty.lam,
            penalty.l2,
            penalty.lower,
            penalty.upper,
            made.n_threads,
            Oracle(made.design, made.datafit, made.mean, made.norm2, made.n_threads, made.of_y),
        )
        return replace(made, capsule=capsule)

    @property
    def oracle(self) -> Oracle:
        """What reads the blocks."""
        return Oracle(self.design, self.datafit, self.mean, self.norm2, self.n_threads, self.of_y)

    def homogeneous(self) -> BlockProblem:
        """The same problem with y = 0."""
        return self._with(of_y=0.0, product=None)

    def scratch(self) -> Vector:
        """Every block has its own."""
        return np.empty(0)

    def gradient(self, w: Vector, q: Vector, g: Vector, scratch: Vector) -> float:
        """As `Problem.gradient`."""
        if self.product is not None and not w.any():
            np.negative(self.datafit.weighted, out=q)
            np.negative(self.product, out=g)
            return self.datafit.null_loss
        return self.oracle(w, g, q)

    def smooth_gradient(
        self, smoothing: Smoothing, w: Vector, q: Vector, g: Vector, scratch: Vector
    ) -> tuple[float, float]:
        """As `Problem.smooth_gradient`; q is left as it is."""
        return gradient.smooth_gradient(self.capsule, *smoothing.arguments, w, q, g, scratch)

    def gram_rows(self, members: NDArray[np.intp], known: int, stop: Callable[[], bool]) -> NDArray[np.float64] | None:
        """Rows known.. of the Gram matrix of the members: one read of X. None if stop() said so before."""
        arguments = (members, known, self.mean, self.norm2, self.n_threads)
        found = self.design.reduce(grams, arguments, self.datafit.centred, self.datafit.sample_weight, stop)
        return None if found is None else found[0]


class Oracle:
    """Reads all blocks at a w. It holds no capsule: a capsule holds it."""

    def __init__(
        self, blocks: Any, datafit: LeastSquares, mean: Vector | None, norm2: Vector, n_threads: int, of_y: float
    ) -> None:
        self.blocks, self.datafit, self.mean, self.norm2 = blocks, datafit, mean, norm2
        self.n_threads, self.of_y = n_threads, of_y

    def __call__(self, w: Any, g: Any, q: Vector | None = None) -> float:
        """Fill g = X'q, and q itself where there is room for it; return the loss at w."""
        w, datafit = np.asarray(w), self.datafit
        support = np.flatnonzero(w)
        b = 0.0 if self.mean is None else -float(self.mean[support] @ w[support])
        rows = np.empty(self.blocks.shape[0]) if q is None else q
        arguments = (support, w[support], b, self.of_y, self.n_threads)
        found = self.blocks.reduce(gradients, arguments, datafit.centred, datafit.sample_weight, by_row=rows)
        slope, loss, total = found
        if self.mean is not None:  # b moves by what rounding left of sum(q)
            slope -= self.mean * total
            slope[self.norm2 == 0.0] = 0.0
            shift = total / datafit.total_weight
            rows -= shift if datafit.sample_weight is None else shift * datafit.sample_weight
            loss = max(loss - 0.5 * total * shift, 0.0)
        np.asarray(g)[:] = slope
        return float(loss)
