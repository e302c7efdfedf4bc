"""Datafits: how the distance between Xw + b and y is measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class LeastSquares:
    """1/2 sum_i s_i (x_i'w + b - y_i)^2.

    Attributes
    ----------
    y : ndarray of float64, shape (n_samples,)
    sample_weight : ndarray of float64, shape (n_samples,), or None
        s >= 0; None stands for ones.
    fit_intercept : bool
        Whether b is free; otherwise it is 0.
    """

    y: Vector
    sample_weight: Vector | None = None
    fit_intercept: bool = False

    @property
    def total_weight(self) -> float:
        """sum_i s_i."""
        return float(len(self.y) if self.sample_weight is None else self.sample_weight.sum())

    @cached_property
    def y_mean(self) -> float:
        """The best constant prediction: the weighted mean of y, or 0 without an intercept."""
        return float(np.average(self.y, weights=self.sample_weight)) if self.fit_intercept else 0.0

    @cached_property
    def centred(self) -> Vector:
        """y - y_mean; a y that is constant but for rounding gives zeros."""
        if not self.fit_intercept:
            return self.y
        centred = self.y - self.y_mean
        spread = np.abs(centred if self.sample_weight is None else centred[self.sample_weight > 0.0])
        if not spread.max() > ROUNDING * abs(self.y_mean):
            return np.zeros_like(centred)
        return centred - np.average(centred, weights=self.sample_weight)  # what rounding left of the mean

    @cached_property
    def weighted(self) -> Vector:
        """s (y - y_mean): -q at w = 0."""
        return self.centred if self.sample_weight is None else self.sample_weight * self.centred

    @cached_property
    def root(self) -> Vector:
        """sqrt(s)."""
        return np.ones(len(self.y)) if self.sample_weight is None else np.sqrt(self.sample_weight)

    @cached_property
    def null_loss(self) -> float:
        """The loss of the best constant prediction: 1/2 ||y||^2 without an intercept."""
        return 0.5 * float(self.centred @ self.weighted)

    @property
    def counted(self) -> Vector:
        """y - y_mean where the weight is not 0."""
        return self.centred if self.sample_weight is None else self.centred[self.sample_weight > 0.0]

    def inner(self, a: Vector, b: Vector) -> float:
        """sum_i a_i b_i / s_i, the product that makes q = s (prediction - y) a residual; rows with s_i = 0 are out."""
        if self.sample_weight is None:
            return float(a @ b)
        counted = self.sample_weight > 0.0
        return float(a[counted] @ (b[counted] / self.sample_weight[counted]))


ROUNDING = 64 * np.finfo(np.float64).eps
"""A spread below this part of the mean is rounding: the column, or y, is constant."""
