"""One problem, put together: design, datafit, penalty, and the column statistics that the kernels need.

F(w, b) = 1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from l1fast._datafits import ROUNDING, LeastSquares
from l1fast._design import Design
from l1fast._kernels import check, gradient
from l1fast._penalties import ElasticNet

Vector = NDArray[np.float64]


class Certificate(NamedTuple):
    """What `certificate.pxd` says of a point; gap is absolute, the dual point is -scale * q."""

    objective: float
    gap: float
    scale: float
    violation: float


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
    """

    design: Design
    datafit: LeastSquares
    penalty: ElasticNet
    mean: Vector | None
    norm2: Vector
    n_threads: int
    capsule: object

    @classmethod
    def of(cls, design: Design, datafit: LeastSquares, penalty: ElasticNet, n_threads: int = 1) -> Problem:
        """Compute the column statistics (one read of X, two with an intercept) and pack everything."""
        weight, total = datafit.sample_weight, datafit.total_weight
        mean = None
        if datafit.fit_intercept:
            mean = design.correlate(np.ones(design.shape[0]) if weight is None else weight, n_threads) / total
        norm2 = np.empty(design.shape[1])
        scratch = np.empty(2 * (design.shape[1] + gradient.scratch_size(design.view, n_threads)))
        gradient.column_norms2(design.view, weight, mean, total, norm2, scratch, n_threads)
        if mean is not None:
            norm2[np.isfinite(norm2) & (norm2 <= total * (ROUNDING * mean) ** 2)] = 0.0
        return cls._packed(design, datafit, penalty, mean, norm2, n_threads)

    @classmethod
    def _packed(
        cls,
        design: Design,
        datafit: LeastSquares,
        penalty: ElasticNet,
        mean: Vector | None,
        norm2: Vector,
        n_threads: int,
    ) -> Problem:
        capsule = check.pack_problem(
            design.view,
            datafit.centred,
            datafit.sample_weight,
            mean,
            datafit.total_weight,
            norm2,
            penalty.weights,
            penalty.lam,
            penalty.l2,
            penalty.positive,
            n_threads,
        )
        return cls(design, datafit, penalty, mean, norm2, n_threads, capsule)

    def with_target(self, y: Vector) -> Problem:
        """The same problem for another y."""
        datafit = replace(self.datafit, y=y)
        return self._packed(self.design, datafit, self.penalty, self.mean, self.norm2, self.n_threads)

    def with_strength(self, lam: float) -> Problem:
        """The same problem at another lam."""
        penalty = replace(self.penalty, lam=lam)
        return self._packed(self.design, self.datafit, penalty, self.mean, self.norm2, self.n_threads)

    def by_columns(self) -> Problem:
        """The same problem on a design stored by columns."""
        design = self.design.by_columns
        return self._packed(design, self.datafit, self.penalty, self.mean, self.norm2, self.n_threads)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_samples, n_features)."""
        return self.design.shape

    def scratch(self) -> Vector:
        """Room for what threads add up on their own in a pass over X."""
        return np.empty(gradient.scratch_size(self.design.view, self.n_threads))

    def gradient(self, w: Vector, q: Vector, g: Vector, scratch: Vector) -> float:
        """Fill q = s (Xw + b - y) and g = X'q; return the loss at w."""
        return gradient.gradient(self.capsule, w, q, g, scratch)

    def correlate(self, q: Vector) -> Vector:
        """X'q, X centred when there is an intercept; exactly 0 for a column that cannot matter."""
        g = self.design.correlate(q, self.n_threads)
        if self.mean is not None:
            g -= self.mean * q.sum()
            g[self.norm2 == 0.0] = 0.0
        return g

    def certify(self, w: Vector, g: Vector, loss: float) -> Certificate:
        """The certificate of w from its gradient and loss."""
        return Certificate(*gradient.certify(self.capsule, w, g, loss))

    def intercept(self, w: Vector) -> float:
        """The best b for w: the weighted mean of y - Xw."""
        if self.mean is None:
            return 0.0
        datafit, Xw = self.datafit, self.design.apply(w, self.n_threads)
        return datafit.y_mean + float(np.average(datafit.centred - Xw, weights=datafit.sample_weight))
