"""Penalties on the coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class ElasticNet:
    """sum_j v_j (lam |w_j| + l2/2 w_j^2), with w_j >= 0 when positive. l2 = 0: the L1 norm.

    Attributes
    ----------
    lam, l2 : float
        Strengths >= 0; lam in units of X.T @ y, l2 in units of X.T @ X.
    weights : ndarray of float64, shape (n_features,), or None
        v >= 0; 0 leaves a coefficient unpenalised; None stands for ones.
    positive : bool
    """

    lam: float
    l2: float = 0.0
    weights: Vector | None = None
    positive: bool = False

    def unpenalised(self, n_features: int) -> NDArray[np.intp]:
        """Indices of the coefficients with no penalty at all."""
        weights = self.weights
        if weights is None:
            return np.arange(n_features if self.lam == 0.0 and self.l2 == 0.0 else 0)
        return np.flatnonzero((self.lam * weights == 0.0) & (self.l2 * weights == 0.0))

    def value(self, w: Vector) -> float:
        """The penalty at w."""
        terms = self.lam * np.abs(w) + 0.5 * self.l2 * w * w
        return float(terms.sum() if self.weights is None else self.weights @ terms)
