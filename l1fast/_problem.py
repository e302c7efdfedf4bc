"""One problem, put together: design, datafit, penalty, and the column statistics that the kernels need.

F(w, b) = 1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from l1fast._datafits import ROUNDING, LeastSquares
from l1fast._design import Design, Moments
from l1fast._kernels import check, coordinate_descent, gradient
from l1fast._patience import look
from l1fast._penalties import ElasticNet
from l1fast._smoothing import Smoothing
from l1fast._units import LARGE, PLAIN, Units, exponents, shifted

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

Vector = NDArray[np.float64]


FARTHEST = 40
"""A start that fits 2^40 times as much as y leaves a residual that float64 rounds by 2^-12 of y, and F by 2^-24."""

CANCELLED = 1e-4
"""Part of a column's squares below which its centred squares are not taken as a difference."""


class Point(NamedTuple):
    """A w and what one read of X says of it: q = s (Xw + b - y), g = X'q, and the loss."""

    w: Vector
    q: Vector
    g: Vector
    loss: float


class Certificate(NamedTuple):
    """What `certificate.pxd` says of a point; gap is absolute, the dual point is -scale * q."""

    objective: float
    gap: float
    scale: float
    violation: float


def centred(
    moments: Moments, datafit: LeastSquares, exact: Callable[[Vector], Vector]
) -> tuple[Vector | None, Vector, Vector]:
    """(mean, norm2, product) of a `Problem` from the moments of the columns, with no total without an intercept.

    The centred squares are a difference of moments; exact(mean), a read of X, makes them where that would cancel.
    """
    if moments.total is None:
        return None, moments.square, moments.product
    total = datafit.total_weight
    mean = moments.total / total
    norm2 = moments.square - total * mean * mean
    if np.any(norm2 < CANCELLED * moments.square):
        norm2 = exact(mean)
    norm2[np.isfinite(norm2) & (norm2 <= total * (ROUNDING * mean) ** 2)] = 0.0
    product = np.where(norm2 == 0.0, 0.0, moments.product - mean * float(datafit.weighted.sum()))
    return mean, norm2, product


def centred_squares(design: Design, weight: Vector | None, mean: Vector, total: float, n_threads: int) -> Vector:
    """sum_i s_i (x_ij - mean_j)^2; one read of X."""
    norm2 = np.empty(len(mean))
    scratch = np.empty(2 * (len(mean) + gradient.scratch_size(design.view, n_threads)))
    gradient.column_norms2(design.view, weight, mean, total, norm2, scratch, n_threads)
    return norm2


@dataclass(frozen=True)
class Problem:
    """What a solver is given.

    Attributes
    ----------
    design, datafit, penalty : Design, LeastSquares, ElasticNet
    mean : ndarray of float64, shape (n_features,), or None
        Weighted column means; None without an intercept.
    norm2 : ndarray of float64, shape (n_features,)
        Weighted squared norms of the (centred) columns; 0 for a column that cannot matter.
    n_threads : int
        Threads of a pass over X, at most.
    capsule : capsule
        All of it, as the kernels take it.
    product : ndarray of float64, shape (n_features,), or None
        X'q at w = 0 with its sign turned, when it is known already.
    units : Units
        What all of it is in; solvers need not know.
    """

    design: Design
    datafit: LeastSquares
    penalty: ElasticNet
    mean: Vector | None
    norm2: Vector
    n_threads: int
    capsule: object
    product: Vector | None = None
    units: Units = PLAIN
    elsewhere: ClassVar[bool] = False
    """Whether X is not in memory as a whole: only gradients and rows of Gram matrices are to be had."""
    sums_held: ClassVar[int] = 0
    """Sums over blocks that are held at a time, at most, beside the one that they become."""

    @classmethod
    def of(
        cls, design: Design, moments: Moments, datafit: LeastSquares, penalty: ElasticNet, n_threads: int = 1
    ) -> Problem:
        """Pack everything, from the moments of the columns for v = s (y - y_mean).

        The centred squares are a difference of moments; one more read of X makes them where that would cancel.
        """

        def exact(mean: Vector) -> Vector:
            return centred_squares(design, datafit.sample_weight, mean, datafit.total_weight, n_threads)

        mean, norm2, product = centred(moments, datafit, exact)
        return cls(design, datafit, penalty, mean, norm2, n_threads, None, product)._with()

    def _with(self, **changes: Any) -> Self:
        """The same problem with some parts changed, packed again."""
        made = replace(self, **changes)
        penalty, (X, y, weight, oracle, oracle_rows) = made.penalty, made._reading()
        capsule = check.pack_problem(
            X,
            y,
            weight,
            made.mean,
            made.datafit.total_weight,
            made.norm2,
            penalty.weights,
            penalty.lam,
            penalty.l2,
            penalty.lower,
            penalty.upper,
            made.n_threads,
            oracle,
            oracle_rows,
        )
        return replace(made, capsule=capsule)

    def _reading(self) -> tuple[object, Vector, Vector | None, object, int]:
        """What the kernels read: X, y - y_mean and s; and an oracle in their place, with the rows that it fills."""
        return self.design.view, self.datafit.centred, self.datafit.sample_weight, None, 0

    def homogeneous(self) -> Problem:
        """The same problem with y = 0."""
        return self._with(datafit=replace(self.datafit, y=np.zeros(self.shape[0])), product=None)

    def with_strength(self, lam: float, l2: float | None = None) -> Problem:
        """The same problem at another lam, and l2."""
        return self._with(penalty=replace(self.penalty, lam=lam, l2=self.penalty.l2 if l2 is None else l2))

    def restrict(self, features: NDArray[np.intp]) -> Problem:
        """The same problem over some of the features; their columns are copied."""
        penalty = self.penalty
        bounds = (None, None) if penalty.lower is None else penalty.bounds(features)
        weights = None if penalty.weights is None else penalty.weights[features]
        return self._with(
            design=self.design.columns(features),
            penalty=replace(penalty, weights=weights, lower=bounds[0], upper=bounds[1]),
            mean=None if self.mean is None else self.mean[features],
            norm2=self.norm2[features],
            product=None if self.product is None else self.product[features],
        )

    def on(self, design: Design) -> Problem:
        """The same problem on the same X in another object, so that both keep one copy of what they convert."""
        return self._with(design=design)

    def by_columns(self) -> Problem:
        """The same problem on a design stored by columns."""
        return self._with(design=self.design.by_columns)

    @cached_property
    def by_length(self) -> Problem:
        """The same problem on a copy of a sparse X, stored by rows that are sorted by length; or itself.

        Itself, too, where there is no room for the copy: it would only be quicker.

        A pass over it takes 0.5 to 0.75 of the time (measured on text): the processor never guesses the end of a row
        wrongly. The copy itself costs about 20 passes.
        """
        try:
            design, order = self.design.by_length
        except MemoryError:
            return self
        if design is self.design:
            return self
        weight = self.datafit.sample_weight
        datafit = replace(
            self.datafit, y=self.datafit.y[order], sample_weight=None if weight is None else weight[order]
        )
        return self._with(design=design, datafit=datafit)

    @property
    def has_columns(self) -> bool:
        """Whether the entries of a column are to be had."""
        return True

    @property
    def near(self) -> bool:
        """Whether numbers for each row come with a pass at no cost."""
        return True

    @property
    def shape(self) -> tuple[int, int]:
        """(n_samples, n_features)."""
        return self.design.shape

    @property
    def largest_weight(self) -> float:
        """max_j v_j."""
        return 1.0 if self.penalty.weights is None else float(self.penalty.weights.max(initial=0.0))

    @property
    def total_weight(self) -> float:
        """sum_j v_j."""
        return float(self.shape[1] if self.penalty.weights is None else self.penalty.weights.sum())

    @property
    def trivial(self) -> bool:
        """Whether there is nothing to fit: y, or every column of X, is constant, or there is no column."""
        return self.null_loss == 0.0 or not self.norm2.any()

    @property
    def null_loss(self) -> float:
        """The loss of the best constant."""
        return self.datafit.null_loss

    @property
    def scale(self) -> float:
        """What an absolute gap is divided by to be relative: the loss of the best constant."""
        return self.null_loss or 1.0

    def scratch(self) -> Vector:
        """Room for what threads add up on their own in a pass over X."""
        return np.empty(gradient.scratch_size(self.design.view, self.n_threads))

    def gradient(self, w: Vector, q: Vector, g: Vector, scratch: Vector) -> float:
        """Fill q = s (Xw + b - y) and g = X'q; return the loss at w. One read of X, none at w = 0."""
        if self.product is not None and not w.any():
            np.negative(self.datafit.weighted, out=q)
            np.negative(self.product, out=g)
            return self.datafit.null_loss
        return gradient.gradient(self.capsule, w, q, g, scratch)

    def smooth_gradient(
        self, smoothing: Smoothing, w: Vector, q: Vector, g: Vector, scratch: Vector
    ) -> tuple[float, float]:
        """Fill q as `gradient` does and g with the gradient of the smoothed objective; return (loss, penalty).

        penalty = sum_j v_j (lam phi(w_j) + l2/2 w_j^2). One read of X and of w.
        """
        return gradient.smooth_gradient(self.capsule, *smoothing.arguments, w, q, g, scratch)

    def slopes(self, smoothing: Smoothing, w: Vector, out: Vector) -> float:
        """Fill out with v (lam phi'(w) + l2 w), what `smooth_gradient` adds to X'q; return the penalty there."""
        return gradient.slopes(self.capsule, *smoothing.arguments, w, out)

    def smoothing_gap(self, w: Vector, slopes: Vector) -> float:
        """lam sum_j v_j w_j (sign(w_j) - phi'(w_j)): the true gap that is left at a minimiser of the smoothed problem.

        slopes : as from `slopes` at w.
        """
        penalty = self.penalty
        weights = 1.0 if penalty.weights is None else penalty.weights
        return max(0.0, float(w @ (weights * (penalty.lam * np.sign(w) + penalty.l2 * w) - slopes)))

    def at(self, w: Vector) -> Point:
        """Read X at w."""
        q, g = self.blanks()
        return Point(w, q, g, self.gradient(w, q, g, self.scratch()))

    def correlate(self, q: Vector) -> Vector:
        """X'q, X centred when there is an intercept; exactly 0 for a column that cannot matter."""
        g = self.design.correlate(q, self.n_threads)
        if self.mean is not None:
            g -= self.mean * q.sum()
            g[self.norm2 == 0.0] = 0.0
        return g

    def array(self, columns: NDArray[np.intp] | None = None) -> Vector:
        """sqrt(s) (X - mean), or some columns of it, as a dense copy; exactly 0 for a column that cannot matter."""
        design = self.design if columns is None else self.design.columns(columns)
        made = np.array(design.to_array(), dtype=np.float64, order="F")
        if self.mean is not None:
            made -= self.mean if columns is None else self.mean[columns]
        if self.datafit.sample_weight is not None:
            made *= self.datafit.root[:, None]
        made[:, (self.norm2 if columns is None else self.norm2[columns]) == 0.0] = 0.0
        return made

    def operator(self, scale: Vector, columns: NDArray[np.intp] | None = None) -> LinearOperator:
        """sqrt(s) (X - mean) diag(scale), or some columns of it, to be applied and never formed.

        Applying it raises `OutOfTime` when the limit in force has passed.
        """
        from scipy.sparse.linalg import LinearOperator

        design = self.design if columns is None else self.design.columns(columns)
        mean = np.zeros(self.shape[1]) if self.mean is None else self.mean
        mean = mean if columns is None else mean[columns]
        root, n_threads = self.datafit.root, self.n_threads if columns is None else 1

        def forward(d: Vector) -> Vector:
            look()
            d = scale * np.ravel(d)
            made: Vector = root * (design.apply(d, n_threads) - mean @ d)
            return made

        def backward(r: Vector) -> Vector:
            r = root * np.ravel(r)
            made: Vector = scale * (design.correlate(r, n_threads) - mean * float(r.sum()))
            return made

        return LinearOperator((self.shape[0], len(scale)), matvec=forward, rmatvec=backward, dtype=np.float64)

    def balanced(self, q: Vector) -> Vector:
        """q without what rounding left of its sum, which the intercept makes 0."""
        if self.mean is None:
            return q
        share = float(q.sum()) / self.datafit.total_weight
        weight = self.datafit.sample_weight
        return q - (share if weight is None else share * weight)

    def certify(self, w: Vector, g: Vector, loss: float) -> Certificate:
        """The certificate of w from its gradient and loss."""
        return Certificate(*gradient.certify(self.capsule, w, g, loss))

    def blanks(self) -> tuple[Vector, Vector]:
        """Room for q and g."""
        n, p = self.shape
        return np.empty(n), np.empty(p)

    def zeros(self) -> Vector:
        """w = 0."""
        return np.zeros(self.shape[1])

    def support(self, w: Vector) -> NDArray[np.intp]:
        """The features with a part in w."""
        return np.flatnonzero(w)

    def pull(self, g: Vector) -> Vector:
        """How hard the gradient g pulls each coefficient away from 0."""
        return self.penalty.pull(-g)

    def scores(self, w: Vector, g: Vector, inside: NDArray[np.uint8], out: Vector) -> int:
        """Fill out with what one step in each feature could gain, 0 inside; return how many are above 0."""
        return coordinate_descent.scores(self.capsule, w, g, inside, out)

    def penalty_value(self, w: Vector) -> float:
        """The penalty at w."""
        return self.penalty.value(w)

    def reined(self, w: Vector) -> Vector:
        """w as a start: made shorter, by a power of 2, where its fit or penalty would drown y in rounding.

        ||x_j|| |w_j| <= 2^FARTHEST ||y||, with ||x_j||^2 + l2 v_j for ||x_j||^2; lam v_j |w_j| <= 4^FARTHEST ||y||^2.
        """
        size, penalty = np.abs(w) if w.ndim == 1 else np.abs(w).max(axis=1), self.penalty
        if self.trivial or not size.any():
            return w
        v = np.ones(len(size)) if penalty.weights is None else penalty.weights
        of_y = int(np.frexp(np.sqrt(2.0 * self.null_loss))[1])
        each = np.maximum(exponents(np.sqrt(self.norm2)), exponents(np.sqrt(penalty.l2 * v)))
        fits, costs = exponents(size) + each - of_y, exponents(size) + exponents(penalty.lam * v) - 2 * of_y
        beyond = max(int(fits.max()) - FARTHEST, int(costs.max()) - 2 * FARTHEST)
        return shifted(w, -beyond) if beyond > 0 else w

    def snapped(self, w: Vector) -> Vector:
        """The w nearest to it that float64 carries in the units asked for: what is certified is what is handed out."""
        if self.units.plain:
            return w
        made, penalty = self.units.start(self.restored(w)), self.penalty
        return made if penalty.lower is None else np.where((w == penalty.lower) | (w == penalty.upper), w, made)

    def restored(self, w: Vector) -> Vector:
        """The coefficients as they were asked for."""
        if self.units.plain:
            return w
        v, penalty = 1.0 if self.penalty.weights is None else self.penalty.weights, self.penalty
        largest = np.abs(w) if w.ndim == 1 else np.abs(w).max(axis=1)
        if penalty.lam >= 2.0**LARGE and np.any((largest > 0.0) & (v * penalty.lam > 0.0)):
            raise ValueError("lam is beyond 1e270 times lam_max: float64 cannot carry F but where w is 0; lower lam")
        price = np.sqrt(2.0 * self.norm2 * self.null_loss) + v * (penalty.lam + penalty.l2 * largest)
        return self.units.coef(w, price, self.scale)

    def told(self, certificate: Certificate) -> Certificate:
        """The certificate in the units asked for, but for the gap, which is in those of `scale`."""
        objective, violation = self.units.objective(certificate.objective), self.units.violation(certificate.violation)
        return certificate._replace(objective=objective, violation=violation)

    def intercept(self, w: Vector) -> float:
        """The best b for w: the weighted mean of y - Xw."""
        return 0.0 if self.mean is None else self.datafit.y_mean - float(self.mean @ w)
