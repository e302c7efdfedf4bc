"""Smooth stand-ins phi for |.| in the L1 norm, as the solvers and kernels take them.

    F_s(w, b) = 1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam phi(w_j) + l2/2 w_j^2)

For every phi with |phi'| <= 1 the residual at a minimiser of F_s is a dual point that needs no scaling, so that the
true gap there is at most lam sum_j v_j w_j (sign(w_j) - phi'(w_j)): what the smoothing costs, known from w alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from l1fast import penalties
from l1fast._penalties import ElasticNet
from l1fast._units import Units

Vector = NDArray[np.float64]

KINDS = {"abs": 0, "huber": 1, "pseudo_huber": 2, "quadratic": 3, "power": 4, "power_norm": 5}
"""The tags of smooth.h."""


@dataclass(frozen=True, eq=False)
class Smoothing:
    """One stand-in for |.|.

    Attributes
    ----------
    kind : str
        "abs" (no smoothing: the subgradient, 0 at 0), "huber" (width mu), "pseudo_huber" (width eps), "quadratic"
        (gamma, or 1 / width), "power" and "power_norm" (width eps).
    width : float
        The smaller, the nearer to |.|.
    gamma : ndarray of float64, shape (n_features,), or empty
        For "quadratic" alone.
    """

    kind: str
    width: float = 1.0
    gamma: Vector = field(default_factory=lambda: np.empty(0))

    @classmethod
    def of(cls, penalty: penalties.Penalty, n_features: int) -> Smoothing:
        """The smoothing that a smooth penalty stands for; its weights belong into ``penalty_weights``."""
        if penalty.weights is not None:
            raise ValueError(f"{penalty!r} has weights; give them to solve as penalty_weights")
        match penalty:
            case penalties.Huber():
                return cls("huber", penalty.mu)
            case penalties.PseudoHuber():
                return cls("pseudo_huber", penalty.eps)
            case penalties.PowerNorm():
                return cls("power" if penalty.separable else "power_norm", penalty.eps)
            case penalties.L2():
                return cls("quadratic")
            case penalties.QuadraticBound():
                gamma = np.broadcast_to(np.asarray(penalty.gamma, dtype=np.float64), n_features)
                return cls("quadratic", gamma=np.ascontiguousarray(gamma))
        raise TypeError(f"{penalty!r} has no gradient; choose a smooth penalty such as l1fast.penalties.Huber(mu)")

    @property
    def arguments(self) -> tuple[int, float, Vector]:
        """As the kernels take it."""
        return KINDS[self.kind], self.width, self.gamma

    def scaled(self, units: Units) -> Smoothing:
        """The same phi on coefficients in these units."""
        if units.plain or self.kind == "power_norm":
            return self
        if self.kind == "power":
            raise ValueError(
                "PowerNorm(separable=True) has no like in other units, and squares of X or y as given leave float64; "
                "rescale X or y, or take separable=False"
            )
        return replace(self, width=float(units.width(self.width)), gamma=1.0 / units.width(1.0 / self.gamma))

    def narrowed(self, width: float) -> Smoothing:
        """The same kind with another width."""
        return replace(self, width=width)

    def curvature(self, largest_weight: float) -> float:
        """The Lipschitz constant of sum_j v_j phi'(w_j); inf for the powers, whose slope is steep at 0."""
        if self.kind == "quadratic" and self.gamma.size:
            return largest_weight * float(self.gamma.max())
        if self.kind in ("huber", "pseudo_huber", "quadratic"):
            return largest_weight / self.width
        return np.inf

    @property
    def slack(self) -> float:
        """phi(u) >= |u| - slack for every u."""
        return 0.5 / float(self.gamma.min()) if self.gamma.size else self.width

    def cost(self, penalty: ElasticNet, g: Vector) -> float:
        """The gap that this smoothing leaves where g is the gradient of the datafit at its minimiser, without l2.

        There |g_j| = lam v_j r with r = phi'(|w_j|), so that |w_j| = mu r (Huber) or eps r / sqrt(1 - r^2), and the gap
        is lam sum_j v_j |w_j| (1 - r). 0 for the other kinds.
        """
        if self.kind not in ("huber", "pseudo_huber") or penalty.lam == 0.0:
            return 0.0
        pull = penalty.pull(-g)
        limit = penalty.lam if penalty.weights is None else penalty.lam * penalty.weights
        r = np.minimum(np.divide(pull, limit, out=np.ones_like(pull), where=limit > 0.0), 1.0)
        each = r * (1.0 - r) if self.kind == "huber" else r * np.sqrt((1.0 - r) / (1.0 + r))
        return self.width * float((limit * each).sum())
