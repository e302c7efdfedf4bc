"""The L1 norm and what is put in its place: P(w) near sum_j v_j |w_j|, with value, gradient, prox and distance to it.

v_j >= 0 are penalty weights; v_j = 0 leaves coefficient j free. Every formula is stated once, for one coefficient u,
in the class of its name. A solver that needs a gradient minimises a smooth P in place of the norm. What that loses
follows from `Penalty.distance`: -below <= P(w) - sum_j v_j |w_j| <= above for all w makes the true objective
f + lam sum_j v_j |w_j|, at a minimiser of f + lam P, at most lam (below + above) above its least value, for any f.
"""

from __future__ import annotations

import math
import numbers
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["L1", "L2", "ElasticNet", "Huber", "Penalty", "PowerNorm", "PseudoHuber", "QuadraticBound"]

Vector = NDArray[np.float64]

FLOAT = np.finfo(np.float64)
EPS = float(FLOAT.eps)
TINY = float(FLOAT.tiny)  # the least width or curvature: its reciprocal is finite
LEAST = float(FLOAT.smallest_subnormal)
# The bracket of a root spans 2^11 factors of e at most, so 11 bisections of the exponent leave it to Newton's steps,
# which double the digits; the rest is a margin for rounding.
ROOT_STEPS = 100
NORM_TOL = 4.0 * EPS  # relative error left in (v |w| / N)^eps: the rounding of a long sum


class Penalty(ABC):
    """P(w), convex, even in each coefficient and near sum_j v_j |w_j|; what all penalties of this module can do.

    Penalties are immutable, compare and hash by class and arguments, and can be copied and pickled. Arrays given to
    them are copied. All results are float64; what leaves its range becomes 0 or infinite without a warning.

    Attributes
    ----------
    weights : array-like of shape (n_features,), or None
        v >= 0; 0 leaves a coefficient free; None stands for ones, and for any number of coefficients.

    See Also
    --------
    L1, L2, ElasticNet, Huber, PseudoHuber, QuadraticBound, PowerNorm
    """

    weights: ArrayLike | None

    def __post_init__(self) -> None:
        if self.weights is not None:
            self._keep("weights", _vector("weights", self.weights, least=0.0))

    # What a class states of its own.

    @abstractmethod
    def _total(self, w: Vector) -> float:
        """P(w)."""

    @abstractmethod
    def _slopes(self, w: Vector) -> Vector:
        """The element of least norm of the subdifferential at w."""

    @abstractmethod
    def _minimiser(self, x: Vector, step: float) -> Vector:
        """The minimiser over u of 1/2 ||u - x||^2 + step P(u)."""

    @abstractmethod
    def _bounds(self, n_features: int, radius: float) -> tuple[float, float]:
        """What `distance` returns."""

    @property
    @abstractmethod
    def curvature(self) -> float:
        """Lipschitz constant of the gradient; infinite where there is none."""

    @property
    @abstractmethod
    def smooth(self) -> bool:
        """Whether there is a gradient everywhere."""

    # What is the same for all.

    def value(self, w: ArrayLike) -> float:
        """P(w).

        Parameters
        ----------
        w : array-like of shape (n_features,)

        Raises
        ------
        ValueError, TypeError
            w is not a vector of finite real numbers, or has not as many as there are weights.
        """
        with _quiet():
            return float(self._total(self._point("w", w)))

    def gradient(self, w: ArrayLike) -> Vector:
        """The gradient of P at w.

        Raises
        ------
        TypeError
            P is not `smooth`.
        ValueError
            As `value`.
        """
        if not self.smooth:
            raise TypeError(
                f"{type(self).__name__} has no gradient where a penalised coefficient is 0; use subgradient(w), or a "
                "smooth penalty such as Huber(mu) or PseudoHuber(eps)"
            )
        return self.subgradient(w)

    def subgradient(self, w: ArrayLike) -> Vector:
        """The element of the subdifferential of P at w that has the least norm; the gradient where there is one.

        Raises
        ------
        ValueError, TypeError
            As `value`.
        """
        with _quiet():
            return self._slopes(self._point("w", w)) + 0.0  # no -0.0

    def prox(self, x: ArrayLike, step: float) -> Vector:
        """The minimiser over u of 1/2 ||u - x||^2 + step P(u).

        Parameters
        ----------
        x : array-like of shape (n_features,)
        step : float
            At least 0; step times the largest weight must be finite.

        Raises
        ------
        ValueError, TypeError
            As `value`, and if step is not such a number.
        """
        x = self._point("x", x)
        step = _number("step", step, least=0.0)
        if self.weights is not None and not math.isfinite(step * self._heaviest()):
            raise ValueError(f"step {step:g} times the largest weight {self._heaviest():g} overflows; scale them down")
        with _quiet():
            return self._minimiser(x, step) + 0.0  # no -0.0

    def distance(self, n_features: int | None = None, radius: float = math.inf) -> tuple[float, float]:
        """Two numbers (below, above), each >= 0, with -below <= P(w) - sum_j v_j |w_j| <= above if all |w_j| <= radius.

        The docstring of each class proves them. They are the best ones, where above 0 and up to rounding.

        Parameters
        ----------
        n_features : int, optional
            Number of coefficients; by default that of the weights, or 1 where there are none.
        radius : float, optional
            At least 0, or infinite.

        Raises
        ------
        ValueError, TypeError
            n_features is not the number of the weights, or the arguments are not such numbers.
        """
        count = self._count(n_features)
        radius = _number("radius", radius, least=0.0, infinite=True)
        if self._heaviest() == 0.0 or count == 0:
            return 0.0, 0.0
        with _quiet():
            below, above = self._bounds(count, radius)
        return float(below), float(above)

    def smoothing_error(self, n_features: int | None = None) -> float:
        """below + above of `distance` for any radius: lam times this bounds what P costs in place of the L1 norm.

        With f any function, w a minimiser of f + lam P and w* one of f + lam ||v w||_1: f(w) + lam ||v w||_1
        <= f(w) + lam P(w) + lam below <= f(w*) + lam P(w*) + lam below <= f(w*) + lam ||v w*||_1 + lam (below + above).
        """
        below, above = self.distance(n_features)
        return below + above

    def _point(self, name: str, value: ArrayLike) -> Vector:
        """A vector of the user's, of the right length."""
        point = _vector(name, value)
        length = self._length()
        if length is not None and length != len(point):
            raise ValueError(f"{name} has {len(point)} entries, but {self._named()} {length}; give one for each")
        return point

    def _length(self) -> int | None:
        """Number of coefficients; None: any."""
        return None if self.weights is None else len(cast(Vector, self.weights))

    def _named(self) -> str:
        """What fixes the length, with its verb."""
        return f"the weights of {type(self).__name__} have"

    def _count(self, n_features: int | None) -> int:
        length = self._length()
        if n_features is None:
            return 1 if length is None else length
        count = _count("n_features", n_features)
        if length is not None and count != length:
            raise ValueError(f"n_features is {count}, but {self._named()} {length}; leave n_features out")
        return count

    def _v(self, n_features: int) -> Vector:
        """The weights as a vector."""
        return np.ones(n_features) if self.weights is None else cast(Vector, self.weights)

    def _heaviest(self) -> float:
        """The largest weight."""
        return 1.0 if self.weights is None else float(np.max(cast(Vector, self.weights), initial=0.0))

    def _keep(self, name: str, value: object) -> None:
        """Set a field of a frozen object while it is made."""
        object.__setattr__(self, name, value)

    def _arguments(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field.name) for field in fields(cast(Any, self)))

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        pairs = zip(self._arguments(), other._arguments(), strict=True)
        return all((a is None) == (b is None) and np.array_equal(a, b) for a, b in pairs)

    def __hash__(self) -> int:
        parts = (part.tobytes() if isinstance(part, np.ndarray) else part for part in self._arguments())
        return hash((type(self), *parts))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments()  # made anew: pickle forgets that an array is read-only


class _Separable(Penalty):
    """P(w) = sum_j v_j phi(w_j)."""

    @abstractmethod
    def _terms(self, u: Vector) -> Vector:
        """phi(u)."""

    @abstractmethod
    def _slope(self, u: Vector) -> Vector:
        """phi'(u), 0 at a kink at 0."""

    @abstractmethod
    def _shrink(self, x: Vector, s: Vector) -> Vector:
        """The minimiser over u of 1/2 (u - x)^2 + s phi(u), where x, s != 0."""

    @abstractmethod
    def _bends(self) -> Any:
        """The largest phi'', for all coefficients or each."""

    @abstractmethod
    def _gap(self, radius: float) -> tuple[Any, Any]:
        """Largest |u| - phi(u) and phi(u) - |u| for |u| <= radius, at least 0, for all coefficients or each."""

    @property
    def smooth(self) -> bool:
        """Whether there is a gradient everywhere."""
        return True

    @property
    def curvature(self) -> float:
        """Lipschitz constant of the gradient; infinite where there is none."""
        with _quiet():
            bends = np.asarray(self._bends())
            if self.weights is None:
                return float(np.max(bends, initial=0.0))
            return float(np.max(_weighted(self._v(0), bends), initial=0.0))

    def _total(self, w: Vector) -> float:
        return float(_weighted(self._v(len(w)), self._terms(w)).sum())

    def _slopes(self, w: Vector) -> Vector:
        return _weighted(self._v(len(w)), self._slope(w))

    def _minimiser(self, x: Vector, step: float) -> Vector:
        s = step * self._v(len(x))
        return np.where((s > 0.0) & (x != 0.0), self._shrink(x, s), x)

    def _bounds(self, n_features: int, radius: float) -> tuple[float, float]:
        v = self._v(n_features)
        below, above = (np.broadcast_to(bound, v.shape) for bound in self._gap(radius))
        return float(_weighted(v, below).sum()), float(_weighted(v, above).sum())


class _Mixed(_Separable):
    """phi(u) = l1 |u| + l2/2 u^2."""

    @abstractmethod
    def _mix(self) -> tuple[float, float]:
        """(l1, l2)."""

    @property
    def smooth(self) -> bool:
        """Whether there is a gradient everywhere."""
        return self._mix()[0] == 0.0 or self._heaviest() == 0.0

    def _terms(self, u: Vector) -> Vector:
        l1, l2 = self._mix()
        return l1 * np.abs(u) + (l2 * u) * (0.5 * u)

    def _slope(self, u: Vector) -> Vector:
        l1, l2 = self._mix()
        return l1 * np.sign(u) + l2 * u

    def _shrink(self, x: Vector, s: Vector) -> Vector:
        l1, l2 = self._mix()
        return _divided(_soft_threshold(x, s * l1), s, l2)

    def _bends(self) -> float:
        return self._mix()[1] if self.smooth else math.inf

    def _gap(self, radius: float) -> tuple[float, float]:
        # phi(t) - t = a t + l2/2 t^2 is convex: largest at an end, least at an end or where its slope is 0
        l1, l2 = self._mix()
        a = l1 - 1.0
        lowest = 0.0 if a >= 0.0 else min(radius, -a / l2) if l2 > 0.0 else radius
        if math.isinf(lowest):
            return math.inf, 0.0
        below = lowest * (-a - 0.5 * l2 * lowest)
        if l2 == 0.0:
            return below, a * radius if a > 0.0 and radius > 0.0 else 0.0
        return below, math.inf if math.isinf(radius) else max(radius * (a + 0.5 * l2 * radius), 0.0)


@dataclass(frozen=True, eq=False)
class L1(_Mixed):
    """sum_j v_j |w_j|, the penalty itself.

    The subdifferential of v |w| at 0 is [-v, v], hence coefficients that are exactly 0; its element of least norm is 0.
    The prox is the soft threshold sign(x) max(|x| - step v, 0). `distance` is (0, 0).

    Parameters
    ----------
    weights : array-like of shape (n_features,), optional
        v >= 0; 0 leaves a coefficient free; None stands for ones.

    Raises
    ------
    ValueError, TypeError
        The weights are not a vector of finite numbers >= 0.

    Examples
    --------
    >>> from l1fast.penalties import L1
    >>> L1().value([3.0, -4.0, 0.0])
    7.0
    >>> L1().subgradient([3.0, -4.0, 0.0])
    array([ 1., -1.,  0.])
    >>> L1(weights=[1, 0, 1]).prox([3.0, -4.0, 0.5], step=1.0)
    array([ 2., -4.,  0.])
    """

    weights: ArrayLike | None = None

    def _mix(self) -> tuple[float, float]:
        return 1.0, 0.0


@dataclass(frozen=True, eq=False)
class L2(_Mixed):
    """1/2 sum_j v_j w_j^2, the ridge penalty: it shrinks every coefficient in proportion and makes none 0.

    The prox is x / (1 + step v).

    `distance`: t^2/2 - t is -1/2 at its lowest, t = 1, and largest at t = 0 or t = radius. With V = sum_j v_j:
    below = V/2 from radius 1 on, above = V max(0, radius^2/2 - radius), infinite for any w.

    Parameters
    ----------
    weights : array-like of shape (n_features,), optional
        v >= 0; 0 leaves a coefficient free; None stands for ones.

    Raises
    ------
    ValueError, TypeError
        The weights are not a vector of finite numbers >= 0.

    Examples
    --------
    >>> from l1fast.penalties import L2
    >>> L2().value([3.0, -4.0])
    12.5
    >>> L2().gradient([3.0, -4.0])
    array([ 3., -4.])
    >>> L2().prox([3.0, -4.0], step=1.0)
    array([ 1.5, -2. ])
    """

    weights: ArrayLike | None = None

    def _mix(self) -> tuple[float, float]:
        return 0.0, 1.0


@dataclass(frozen=True, eq=False)
class ElasticNet(_Mixed):
    """sum_j v_j (l1 |w_j| + l2/2 w_j^2), both of them; smooth if l1 = 0.

    The prox is the soft threshold of x at step v l1, divided by 1 + step v l2.

    `distance`: (l1 - 1) t + l2/2 t^2 is convex in t, so it is largest at t = 0 or t = radius and lowest at
    t = min(radius, max(0, 1 - l1) / l2). With V = sum_j v_j these two numbers times V are above and -below: for any w
    they are infinite if l2 > 0 or l1 > 1 (above), and if l2 = 0 and l1 < 1 (below).

    Parameters
    ----------
    l1, l2 : float
        Strengths >= 0.
    weights : array-like of shape (n_features,), optional
        v >= 0; 0 leaves a coefficient free; None stands for ones.

    Raises
    ------
    ValueError, TypeError
        The weights are not a vector of finite numbers >= 0, or l1 or l2 is not such a number.

    Examples
    --------
    >>> from l1fast.penalties import ElasticNet
    >>> penalty = ElasticNet(l1=1.0, l2=0.5)
    >>> penalty.value([4.0, 0.0])
    8.0
    >>> penalty.prox([4.0, 0.5], step=2.0)
    array([1., 0.])
    """

    l1: float = 1.0
    l2: float = 1.0
    weights: ArrayLike | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("l1", _number("l1", self.l1, least=0.0))
        self._keep("l2", _number("l2", self.l2, least=0.0))

    def _mix(self) -> tuple[float, float]:
        return self.l1, self.l2


@dataclass(frozen=True, eq=False)
class Huber(_Separable):
    """sum_j v_j h(w_j) with h(u) = u^2 / (2 mu) if |u| <= mu, else |u| - mu/2: the L1 norm with a round bottom.

    The gradient is v clip(w / mu, -1, 1), with Lipschitz constant max(v) / mu [1]_. The prox is x / (1 + step v / mu)
    if |x| <= mu + step v, else x - step v sign(x): the threshold of L1, but 0 only at 0.

    Nothing as smooth is nearer: let g be convex and even, with slopes of Lipschitz constant L and
    -below <= g(u) - |u| <= above. Then 0 <= g'(u) <= min(L u, 1) for u > 0, so that |u| - below <= g(u) <=
    above + |u| - 1/(2 L) for large u. Hence below + above >= 1/(2 L), which h attains.

    With ``offset=True`` h is larger by the constant mu/2. Then h = |u| from mu on and h >= |u| everywhere: the least of
    all `QuadraticBound` with gamma <= 1/mu.

    `distance`: |u| - h(u) = c - c^2 / (2 mu) with c = min(|u|, mu) grows with |u| from 0 to mu/2. With V = sum_j v_j:
    (V mu/2, 0), from radius mu on; (0, V mu/2) with the offset, as h + mu/2 - |u| falls from mu/2 to 0.

    Parameters
    ----------
    mu : float
        Half-width > 0 of the quadratic part.
    offset : bool
        Whether to add mu/2.
    weights : array-like of shape (n_features,), optional
        v >= 0; 0 leaves a coefficient free; None stands for ones.

    Raises
    ------
    ValueError, TypeError
        The weights are not a vector of finite numbers >= 0, mu is not a finite number > 0 (2.23e-308 at least), or
        offset is not a bool.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964).

    Examples
    --------
    >>> from l1fast.penalties import Huber
    >>> penalty = Huber(mu=0.5)
    >>> penalty.value([3.0, 0.25])
    2.8125
    >>> penalty.gradient([3.0, 0.25, 0.0])
    array([1. , 0.5, 0. ])
    >>> penalty.prox([3.0, 0.75], step=1.0)
    array([2.  , 0.25])
    >>> penalty.distance(n_features=10)
    (2.5, 0.0)
    """

    mu: float
    offset: bool = False
    weights: ArrayLike | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("mu", _number("mu", self.mu, least=TINY))
        self._keep("offset", _flag("offset", self.offset))

    def _terms(self, u: Vector) -> Vector:
        size = np.abs(u)
        bowl = 0.5 * np.minimum(size, self.mu) * (size / self.mu)  # of no use beyond mu, but finite
        if self.offset:
            return np.where(size <= self.mu, bowl + 0.5 * self.mu, size)
        return np.where(size <= self.mu, bowl, size - 0.5 * self.mu)

    def _slope(self, u: Vector) -> Vector:
        return np.clip(u / self.mu, -1.0, 1.0)

    def _shrink(self, x: Vector, s: Vector) -> Vector:
        return np.where(np.abs(x) <= self.mu + s, _divided(x, s, 1.0 / self.mu), x - s * np.sign(x))

    def _bends(self) -> float:
        return 1.0 / self.mu

    def _gap(self, radius: float) -> tuple[float, float]:
        if self.offset:
            return 0.0, 0.5 * self.mu
        c = min(radius, self.mu)
        return c - 0.5 * c * (c / self.mu), 0.0


@dataclass(frozen=True, eq=False)
class PseudoHuber(_Separable):
    """sum_j v_j sqrt(w_j^2 + eps^2): the L1 norm with hyperbolas for corners.

    The gradient is v w / sqrt(w^2 + eps^2), with Lipschitz constant max(v) / eps, attained at 0 [1]_. The prox, the
    root u of u + step v u / sqrt(u^2 + eps^2) = x, is found by Newton's method, to rounding.

    `distance`: sqrt(u^2 + eps^2) - |u| = eps^2 / (sqrt(u^2 + eps^2) + |u|) falls with |u| from eps to 0. With
    V = sum_j v_j: (0, V eps) for every radius.

    Parameters
    ----------
    eps : float
        Width > 0 of the corner.
    weights : array-like of shape (n_features,), optional
        v >= 0; 0 leaves a coefficient free; None stands for ones.

    Raises
    ------
    ValueError, TypeError
        The weights are not a vector of finite numbers >= 0, or eps is not a finite number > 0 (2.23e-308 at least).

    References
    ----------
    .. [1] P. Charbonnier et al., "Deterministic edge-preserving regularization in computed imaging", IEEE Transactions
       on Image Processing 6 (1997).

    Examples
    --------
    >>> from l1fast.penalties import PseudoHuber
    >>> penalty = PseudoHuber(eps=3.0)
    >>> penalty.value([4.0, 0.0])
    8.0
    >>> penalty.gradient([4.0, 0.0])
    array([0.8, 0. ])
    >>> penalty.prox([8.0, 0.0], step=5.0)
    array([4., 0.])
    """

    eps: float
    weights: ArrayLike | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("eps", _number("eps", self.eps, least=TINY))

    def _terms(self, u: Vector) -> Vector:
        return np.hypot(u, self.eps)

    def _slope(self, u: Vector) -> Vector:
        return u / np.hypot(u, self.eps)

    def _shrink(self, x: Vector, s: Vector) -> Vector:
        size = np.abs(x)

        def balance(u: Vector) -> tuple[Vector, Vector]:
            """u + s u / h - x, with h = sqrt(u^2 + eps^2), and u times its slope."""
            h = np.hypot(u, self.eps)
            r, pull = self.eps / h, s / h
            pull = np.where(np.isfinite(pull), pull * u, s * (u / h))  # s u / h
            rest = (s * r) * (self.eps / (h + u))  # s - s u / h, without cancellation
            f = np.where(u > self.eps, u - (size - s) - rest, u - size + pull)
            return f, u + (pull * r) * r

        low = np.maximum(size - s, _divided(size, s, 1.0 / self.eps))  # as u / h <= min(1, u / eps)
        return np.copysign(_concave_root(balance, low, size), x)

    def _bends(self) -> float:
        return 1.0 / self.eps

    def _gap(self, radius: float) -> tuple[float, float]:
        return 0.0, self.eps


@dataclass(frozen=True, eq=False)
class QuadraticBound(_Separable):
    """1/2 sum_j v_j (gamma_j w_j^2 + 1/gamma_j) >= sum_j v_j |w_j|, with equality where all |w_j| = 1/gamma_j.

    Made anew at each w, as `at` does, it is the majoriser of iteratively reweighted least squares [1]_: a weighted
    ridge penalty, equal to the L1 norm at w and above it elsewhere, so that its minimiser is no worse than w. The prox
    is x / (1 + step v gamma).

    `distance`: gamma/2 u^2 + 1/(2 gamma) - |u| = gamma/2 (|u| - 1/gamma)^2 >= 0, hence below = 0, and above is the sum
    of v gamma/2 max(1/gamma, radius - 1/gamma)^2, infinite for any w.

    Parameters
    ----------
    gamma : float or array-like of shape (n_features,)
        Curvatures > 0.
    weights : array-like of shape (n_features,), optional
        v >= 0; 0 leaves a coefficient free; None stands for ones.

    Raises
    ------
    ValueError, TypeError
        The weights are not a vector of finite numbers >= 0, gamma is not a finite number > 0 (2.23e-308 at least) or a
        vector of them, or the two have different lengths.

    References
    ----------
    .. [1] I. Daubechies et al., "Iteratively reweighted least squares minimization for sparse recovery", Communications
       on Pure and Applied Mathematics 63 (2010).

    Examples
    --------
    >>> from l1fast.penalties import QuadraticBound
    >>> bound = QuadraticBound.at([2.0, -0.5, 0.0], floor=0.25)
    >>> bound.gamma
    array([0.5, 2. , 4. ])
    >>> bound.value([2.0, -0.5, 0.25])
    2.75
    >>> bound.value([0.0, 0.0, 0.0])
    1.375
    """

    gamma: float | ArrayLike
    weights: ArrayLike | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if np.ndim(self.gamma) == 0:
            self._keep("gamma", _number("gamma", self.gamma, least=TINY))
            return
        gamma = _vector("gamma", self.gamma, least=TINY)
        self._keep("gamma", gamma)
        if self.weights is not None and len(gamma) != len(self._v(0)):
            raise ValueError(
                f"gamma has {len(gamma)} entries and weights {len(self._v(0))}; give one for each coefficient"
            )

    @classmethod
    def at(cls, w: ArrayLike, floor: float, weights: ArrayLike | None = None) -> QuadraticBound:
        """The bound with gamma = 1 / max(|w|, floor), which touches the L1 norm at w where |w| >= floor.

        At w itself its value is that of ``Huber(floor, offset=True)``, the least of all these bounds.

        Parameters
        ----------
        w : array-like of shape (n_features,)
        floor : float
            Greater than 0: it keeps gamma finite.
        weights : array-like of shape (n_features,), optional
            As in the class.
        """
        sizes = np.maximum(np.abs(_vector("w", w)), _number("floor", floor, least=TINY))
        return cls(1.0 / np.minimum(sizes, 1.0 / TINY), weights)

    def _length(self) -> int | None:
        return len(self.gamma) if isinstance(self.gamma, np.ndarray) else super()._length()

    def _named(self) -> str:
        return "gamma has" if isinstance(self.gamma, np.ndarray) else super()._named()

    def _gammas(self) -> Any:
        """gamma, a number or a vector."""
        return self.gamma

    def _terms(self, u: Vector) -> Vector:
        gamma = self._gammas()
        terms: Vector = (gamma * u) * (0.5 * u) + 0.5 / gamma
        return terms

    def _slope(self, u: Vector) -> Vector:
        slope: Vector = self._gammas() * u
        return slope

    def _shrink(self, x: Vector, s: Vector) -> Vector:
        return _divided(x, s, self._gammas())

    def _bends(self) -> Any:
        return self.gamma

    def _gap(self, radius: float) -> tuple[Any, Any]:
        width = 1.0 / self._gammas()
        reach = np.maximum(width, radius - width)
        return 0.0, 0.5 * (reach / width) * reach


@dataclass(frozen=True, eq=False)
class PowerNorm(_Separable):
    """(sum_j (v_j |w_j|)^p)^(1/p) with p = 1 + eps: the p-norm of v w; ``separable=True``: sum_j v_j |w_j|^p.

    The norm N has the gradient v sign(w) (v |w| / N)^eps where w is not 0. Where it is, no norm has one: `smooth` is
    False. The separable form has the gradient v p sign(w) |w|^eps everywhere. Neither has a bounded curvature below
    eps = 1: near 0 both gradients go like |w|^eps, nearly as sharply as that of the L1 norm.

    The prox has no closed form. It is solved to rounding, if v and x span less than 100 decades each: the separable one
    by Newton's method for each coefficient; the norm by a search for N around that, of about 7 steps. That of the norm
    is 0 if the dual norm, the (p/eps)-norm of x / v, is at most step.

    Sensible values of eps are 0.001 to 0.5. Below 1e-6 or so, |w|^eps is 1 for all coefficients that matter, and P is
    smooth in name only. eps = 1 is the 2-norm, or the sum of squares; larger ones have nothing to do with the L1 norm,
    and are refused.

    `distance` of the norm: sum_j v_j |w_j| - N >= 0, and its slopes in |w_j|, v_j (1 - (v_j |w_j| / N)^eps), are never
    negative, so that it is largest where all |w_j| = radius: below = radius (sum_j v_j - the p-norm of v), above = 0.
    It grows with the radius, as both sides do. By Hoelder's inequality N >= m^(-eps/p) sum_j v_j |w_j|, where m is the
    number of weights > 0.

    `distance` of the separable form: t^p - t is lowest at t = p^(-1/eps), where it is -eps/p t, and largest at t = 0 or
    t = radius. With V = sum_j v_j: below = V eps/p p^(-1/eps) from that radius on, above = V max(0, radius^p - radius),
    infinite for any w.

    Parameters
    ----------
    eps : float
        0 < eps <= 1.
    separable : bool
        Whether to leave out the root, and to put the weights before the powers.
    weights : array-like of shape (n_features,), optional
        v >= 0; 0 leaves a coefficient free; None stands for ones.

    Raises
    ------
    ValueError, TypeError
        The weights are not a vector of finite numbers >= 0, eps is not a number in that range, or separable is not a
        bool.

    Examples
    --------
    >>> from l1fast.penalties import PowerNorm
    >>> PowerNorm(eps=1.0).value([3.0, -4.0])
    5.0
    >>> PowerNorm(eps=1.0).prox([3.0, -4.0], step=2.5)
    array([ 1.5, -2. ])
    >>> PowerNorm(eps=0.5, separable=True).value([4.0, -1.0])
    9.0
    >>> PowerNorm(eps=0.5, separable=True).gradient([4.0, -1.0, 0.0])
    array([ 3. , -1.5,  0. ])
    """

    eps: float
    separable: bool = False
    weights: ArrayLike | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("eps", _number("eps", self.eps, least=TINY, most=1.0))
        self._keep("separable", _flag("separable", self.separable))

    @property
    def smooth(self) -> bool:
        """Whether there is a gradient everywhere: of the norm, there is none at 0."""
        return self.separable or self._heaviest() == 0.0

    @property
    def curvature(self) -> float:
        """Lipschitz constant of the gradient: 2 max(v) for the sum of squares, else infinite."""
        return super().curvature if self.smooth else math.inf

    def gradient(self, w: ArrayLike) -> Vector:
        """The gradient of P at w.

        Raises
        ------
        ValueError
            P is the norm and v w = 0, where a norm has no gradient; also as `value`.
        """
        slopes = self.subgradient(w)
        if not self.smooth and not (self._v(len(slopes)) * (np.asarray(w) != 0.0)).any():
            raise ValueError(
                "w has no penalised coefficient other than 0, where a norm has no gradient: use subgradient(w)"
            )
        return slopes

    # The separable form: phi(u) = |u|^p.

    def _terms(self, u: Vector) -> Vector:
        size = np.abs(u)
        return size * size**self.eps

    def _slope(self, u: Vector) -> Vector:
        return (1.0 + self.eps) * np.sign(u) * np.abs(u) ** self.eps

    def _shrink(self, x: Vector, s: Vector) -> Vector:
        return np.copysign(_power_root(np.abs(x), s, self.eps, np.ones_like(x), math.log1p(self.eps))[0], x)

    def _bends(self) -> float:
        return 2.0 if self.eps == 1.0 else math.inf

    def _gap(self, radius: float) -> tuple[float, float]:
        c = min(radius, math.exp(-math.log1p(self.eps) / self.eps))
        below = -c * math.expm1(self.eps * math.log(c)) if c > 0.0 else 0.0
        above = radius * float(np.expm1(self.eps * np.log(radius))) if radius > 1.0 else 0.0
        return below, above

    # The norm.

    def _total(self, w: Vector) -> float:
        if self.separable:
            return super()._total(w)
        _, norm, exponent = self._scaled(w)
        return float(np.ldexp(norm, exponent))

    def _slopes(self, w: Vector) -> Vector:
        if self.separable:
            return super()._slopes(w)
        (parts, exponents), norm, _ = self._scaled(w)
        if norm == 0.0:
            return np.zeros_like(w)
        half = np.exp2(0.5 * self.eps * exponents)  # twice, so that v comes between where it is large
        slopes: Vector = self._v(len(w)) * half * np.sign(w) * (parts / norm) ** self.eps * half
        return slopes

    def _scaled(self, w: Vector) -> tuple[tuple[Vector, NDArray[np.int64]], float, int]:
        """v |w| = parts 2^(exponents + shift), with no exponent above 0; its p-norm over 2^shift; shift."""
        parts, exponents = np.frexp(np.abs(w))
        v_parts, v_exponents = np.frexp(self._v(len(w)))
        parts, exponents = parts * v_parts, exponents.astype(np.int64) + v_exponents
        shift = int(exponents[parts > 0.0].max(initial=np.iinfo(np.int64).min // 2))
        if not parts.any():
            return (parts, exponents), 0.0, 0
        exponents = np.where(parts > 0.0, exponents - shift, 0)
        return (parts, exponents), _power_norm(np.ldexp(parts, exponents), self.eps), shift

    def _minimiser(self, x: Vector, step: float) -> Vector:
        if self.separable:
            return super()._minimiser(x, step)
        u, v = x.copy(), self._v(len(x))
        held = np.flatnonzero((v > 0.0) & (x != 0.0))
        if step == 0.0 or not held.size:
            return u
        # prox scales with (x, step) and with (1/step, v): powers of two make the largest of x and of v about 1
        v, size = v[held], np.abs(x[held])
        v_shift, x_shift = int(np.frexp(v.max())[1]), int(np.frexp(size.max())[1])
        scaled = (np.ldexp(size, -x_shift), np.ldexp(v, -v_shift), float(np.ldexp(step, v_shift - x_shift)))
        u[held] = np.copysign(np.ldexp(_power_norm_prox(*scaled, self.eps), x_shift), x[held])
        return u

    def _bounds(self, n_features: int, radius: float) -> tuple[float, float]:
        if self.separable:
            return super()._bounds(n_features, radius)
        v = self._v(n_features)
        v = v[v > 0.0]
        if len(v) == 1 or radius == 0.0:
            return 0.0, 0.0
        largest = float(v.max())
        total = float((v / largest).sum())
        share = v / largest / total
        # ln of the p-norm over the 1-norm of v, without cancellation for a small eps
        ratio = np.log1p((share * np.expm1(self.eps * np.log(share))).sum()) / (1.0 + self.eps)
        return float(-np.expm1(ratio) * total * largest * radius), 0.0


def _quiet() -> np.errstate:
    """No warnings where numbers leave the range of float64, or where np.where drops what it does not choose."""
    return np.errstate(all="ignore")


def _weighted(v: Vector, terms: Any) -> Vector:
    """v times terms, 0 where v is 0, whatever the term."""
    return np.where(v > 0.0, v * terms, 0.0)


def _soft_threshold(x: Vector, threshold: Vector) -> Vector:
    """sign(x) max(|x| - threshold, 0)."""
    shrunk: Vector = x - np.clip(x, -threshold, threshold)
    return shrunk


def _divided(x: Vector, s: Vector, curvature: Any) -> Vector:
    """x / (1 + s curvature), also where the product overflows."""
    t = s * curvature
    quotient: Vector = np.where(np.isfinite(t), x / (1.0 + t), (x / s) / curvature)
    return quotient


def _concave_root(balance: Callable[[Vector], tuple[Vector, Vector]], low: Vector, high: Vector) -> Vector:
    """The root in [low, high] of each of many increasing concave functions f; 0 where it is below the least float.

    balance(u) is f(u) and u f'(u), for u > 0. Newton's steps from the left never pass the root of a concave function.
    Far from it they may be short, and there bisection of the exponent is faster: both at once need no choice.
    """
    low = np.minimum(np.maximum(low, LEAST), high)
    for _ in range(ROOT_STEPS):
        f, slope = balance(low)
        middle = np.sqrt(low) * np.sqrt(high)
        left = balance(middle)[0] <= 0.0
        high = np.where(left, high, np.minimum(high, middle))
        further = np.maximum(low - low * (f / slope), np.where(left, middle, 0.0))
        further = np.where(f < 0.0, np.minimum(further, high), low)
        done = not (further > low * (1.0 + 2.0 * EPS)).any()
        low = np.maximum(low, further)
        if done:
            break
    return np.where((low <= LEAST) & (balance(low)[0] >= 0.0), 0.0, low)


def _power_root(x: Vector, s: Vector, eps: float, q: Vector, log_factor: float) -> tuple[Vector, Vector]:
    """The root u >= 0 of u + s factor (q u)^eps = x, for x, s, q > 0; and u over the slope of the left side in ln u."""
    factor = math.exp(log_factor)

    def power(u: Vector) -> tuple[Vector, Vector]:
        """Of g = factor (q u)^eps: g and g - 1."""
        r = q * u
        g = factor * np.where(r >= TINY, r**eps, q**eps * u**eps)
        return g, np.where(np.abs(g - 1.0) < 0.5, np.expm1(eps * np.log(r) + log_factor), g - 1.0)

    def balance(u: Vector) -> tuple[Vector, Vector]:
        g, excess = power(u)
        f = np.where(np.abs(excess) < 0.5, u - (x - s) + s * excess, u - x + s * g)  # x - s is exact where it is small
        return f, u + eps * (s * g)

    # at the least of these neither part of the left side is above x / 2
    u = _concave_root(balance, np.minimum(0.5 * x, (0.5 * x / (s * factor)) ** (1.0 / eps) / q), x)
    return u, np.where(u > 0.0, u / balance(u)[1], 1.0)


def _power_norm(a: Vector, eps: float) -> float:
    """The (1 + eps)-norm of a >= 0, not 0."""
    largest = float(a.max())
    share = a / largest
    return largest * math.pow((share * share**eps).sum(), 1.0 / (1.0 + eps))


def _power_norm_prox(x: Vector, v: Vector, step: float, eps: float) -> Vector:
    """The minimiser over u of 1/2 ||u - x||^2 + step N(v u), N the p-norm with p = 1 + eps, for x, v > 0 of about 1.

    It is 0 if the dual norm of x / v is at most step. Else r = v u / N(v u) solves u + step v r^eps = x for each
    coefficient. For a trial value n of N, the sum of r^p falls as n grows; it must be 1: Newton's method in ln n, held
    in a bracket.
    """
    z = x / v
    largest = float(z.max())
    exponent = (1.0 + eps) / eps  # of the dual norm
    if math.isfinite(largest) and largest * float(((z / largest) ** exponent).sum()) ** (1.0 / exponent) <= step:
        return np.zeros_like(x)
    low, high = TINY, max(_power_norm(v * x, eps), TINY)
    n = high
    s = step * v
    for trial in range(ROOT_STEPS):
        q = v / n
        u, share = _power_root(x, s, eps, q, 0.0)
        r = q * u
        powers = r * r**eps
        total = float(powers.sum())
        low, high = (n, high) if total > 1.0 else (low, n)
        # n is off by a factor total^(1/p), (v u / n)^eps by total^(eps/p)
        if (total > 0.0 and eps * abs(math.log(total)) <= NORM_TOL) or high <= low * (1.0 + 2.0 * EPS):
            break
        # the root of the tangent of total^(-1/p) - 1, which is nearly linear in n, as in a trust region
        drop = float((powers * share).sum()) / total if 0.0 < total < math.inf else 0.0
        n = n + n * (total ** (1.0 / (1.0 + eps)) - 1.0) / drop if drop > 0.0 else math.nan
        if not low < n < high or trial >= ROOT_STEPS // 2:
            n = math.sqrt(low) * math.sqrt(high)
    return u


def _vector(name: str, value: ArrayLike, least: float = -math.inf) -> Vector:
    """A read-only copy as a vector of finite float64, each at least least."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} does not make a vector ({error}); give one number for each coefficient") from None
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has masked entries; fill or drop them first")
    if array.dtype.kind not in "fiub" and array.size:
        raise TypeError(f"{name} has dtype {array.dtype}; real numbers are needed")
    if array.ndim != 1:
        raise ValueError(
            f"{name} has shape {array.shape}; a vector is needed, one number for each coefficient, such as [w]"
        )
    with _quiet():
        made: Vector = np.array(array, dtype=np.float64) + 0.0  # no -0.0: equal vectors have equal bytes
    wrong = np.flatnonzero(~np.isfinite(made))
    if wrong.size:
        raise ValueError(f"{name}[{wrong[0]}] is {made[wrong[0]]}; every entry must be finite")
    low = np.flatnonzero(made < least)
    if low.size:
        must = "at least 0" if least == 0.0 else f"greater than 0 ({least:.3g} at least)"
        raise ValueError(f"{name}[{low[0]}] is {made[low[0]]:g}; every entry must be {must}")
    made.flags.writeable = False
    return made


def _number(name: str, value: Any, *, least: float, most: float = math.inf, infinite: bool = False) -> float:
    """value as a float of at least least and at most most; infinite only if that is allowed."""
    single = isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "fiu"
    if isinstance(value, (bool, np.bool_)) or not (isinstance(value, numbers.Real) or single):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not least <= number <= most or (math.isinf(number) and not infinite):
        low = f"of at least {least:g}" if least in (0.0, -math.inf) else f"greater than 0 ({least:.3g} at least)"
        high = f" and at most {most:g}" if most < math.inf else ""
        raise ValueError(f"{name} must be a {'' if infinite else 'finite '}number {low}{high}, got {value!r}")
    return number


def _count(name: str, value: Any) -> int:
    """value as an integer of at least 0."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if count < 0:
        raise ValueError(f"{name} must be at least 0, got {count}")
    return count


def _flag(name: str, value: Any) -> bool:
    """value as a bool; only booleans are taken."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)
