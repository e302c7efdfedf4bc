"""Penalties on the coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class ElasticNet:
    """sum_j v_j (lam |w_j| + l2/2 w_j^2), with lower_j <= w_j <= upper_j. l2 = 0: the L1 norm.

    Attributes
    ----------
    lam, l2 : float
        Strengths >= 0; lam in units of X.T @ y, l2 in units of X.T @ X.
    weights : ndarray of float64, shape (n_features,), or None
        v >= 0; 0 leaves a coefficient unpenalised; None stands for ones.
    lower, upper : ndarray of float64, shape (n_features,), or None
        Bounds, lower <= 0 <= upper, infinite ones included; both None stand for no bounds at all.
    """

    lam: float
    l2: float = 0.0
    weights: Vector | None = None
    lower: Vector | None = None
    upper: Vector | None = None

    def unpenalised(self, n_features: int) -> NDArray[np.intp]:
        """Indices of the coefficients with no penalty at all."""
        weights = self.weights
        if weights is None:
            return np.arange(n_features if self.lam == 0.0 and self.l2 == 0.0 else 0)
        return np.flatnonzero((self.lam * weights == 0.0) & (self.l2 * weights == 0.0))

    @property
    def uniform(self) -> bool:
        """Whether it is lam ||w||_1 alone, the same for all coefficients and both signs."""
        return self.l2 == 0.0 and self.weights is None and self.lower is None

    def value(self, w: Vector) -> float:
        """The penalty at w."""
        terms = self.lam * np.abs(w) + 0.5 * self.l2 * w * w
        return float(terms.sum() if self.weights is None else self.weights @ terms)

    @property
    def positive(self) -> bool:
        """Whether the bounds are 0 and infinity for every coefficient."""
        if self.lower is None or self.upper is None:
            return False
        return not self.lower.any() and bool(np.isposinf(self.upper).all())

    def bounds(self, features: NDArray[np.intp]) -> tuple[Vector, Vector]:
        """(lower, upper) of those features."""
        if self.lower is None or self.upper is None:
            return np.full(len(features), -np.inf), np.full(len(features), np.inf)
        return self.lower[features], self.upper[features]

    def within(self, w: Vector) -> Vector:
        """The point nearest to w that keeps the bounds."""
        return w if self.lower is None or self.upper is None else np.clip(w, self.lower, self.upper)

    def pull(self, c: Vector) -> Vector:
        """How hard c = -gradient pulls each coefficient away from 0: |c|, counted where there is room on its side."""
        if self.lower is None or self.upper is None:
            return np.abs(c)
        return np.where(np.where(c > 0.0, self.upper > 0.0, self.lower < 0.0), np.abs(c), 0.0)

    def remaining(self, w: Vector, gradient: Vector) -> Vector:
        """The part of a gradient that the bounds at w do not hold."""
        if self.lower is None or self.upper is None:
            return gradient
        held = ((w <= self.lower) & (gradient > 0.0)) | ((w >= self.upper) & (gradient < 0.0))
        return np.where(held, 0.0, gradient)
