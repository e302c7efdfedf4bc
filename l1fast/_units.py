"""Powers of two in which a problem of extreme scales is solved, and the way there and back.

minimise over w, b:   1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2),   lower <= w <= upper

Where squares of X, y or s leave the range of float64, X = 2^x X', y = 2^y y', s = 2^s s' and v = 2^v v' make it the
same problem in X', y', s' and v', with

    w = 2^(y-x) w',   b = 2^y b',   lam = 2^(x+y+s-v) lam',   l2 = 2^(2x+s-v) l2',   dual = 2^(y+s) dual',
    F = 2^(2y+s) F',   violation = 2^(x+y+s) violation'

A power of two rounds nothing but what leaves the range of float64 itself: entries below 2^-1022 of the largest, which
have no say; a result that would be lost that way is refused. Solvers see the primed problem alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l1fast._datafits import ROUNDING, LeastSquares
from l1fast._design import Design, Storage, join_notes
from l1fast._penalties import ElasticNet

Vector = NDArray[np.float64]


SAFE_SQUARE = 2.0**320
"""Sums of squares up to this, and from its inverse on, are used as they are: products of three of them do not overflow.

No X in float32 leaves that range by itself: its numbers go from 2^-149 to 2^128.
"""

FAINT = SAFE_SQUARE**-2
"""Squares of a column below this are not carried: with a correlation squared they would underflow."""

KEPT = 150
"""X stays as it is where its largest entry is between 2^-150 and 2^150."""

ROOM = 100
"""A copy of X reaches 2^100: room for columns that are smaller. LAPACK scales too, and rounds, from 2^255 on."""

LARGE = 900
"""2^LARGE stands for all larger strengths, starts and widths: they do what infinite ones would."""

SMALLEST_NORMAL = -1022
"""Numbers below 2^-1022 have fewer digits the smaller they are."""


@dataclass(frozen=True, eq=False)
class Units:
    """The units of a problem: 0 for all of it as it was given.

    Attributes
    ----------
    x, y, s, v : int
        Exponents of 2, as above.
    lower, upper : ndarray of float64, shape (n_features,), or None
        The bounds as they were given.
    source : Design or None
        X as it was given; None where it is used as it is.
    """

    x: int = 0
    y: int = 0
    s: int = 0
    v: int = 0
    lower: Vector | None = None
    upper: Vector | None = None
    source: Design | None = None

    @property
    def plain(self) -> bool:
        """Whether everything is as it was given."""
        return self.x == self.y == self.s == self.v == 0

    @property
    def note(self) -> str:
        """What was scaled, for people."""
        parts = [("X", self.x), ("y", self.y), ("sample_weight", self.s), ("penalty_weights", self.v)]
        scaled = ", ".join(f"{name} by 2^{-exponent}" for name, exponent in parts if exponent)
        return f"scaled to keep squares within float64: {scaled}" if scaled else ""

    # -------------------------------------------------------------------------------------------- the way there

    def lam(self, lam: Any) -> Any:
        """lam', for a number or a vector."""
        return lam if self.plain else np.minimum(shifted(lam, self.v - self.x - self.y - self.s), 2.0**LARGE)

    def l2(self, l2: Any) -> Any:
        """l2', for a number or a vector."""
        made = shifted(l2, self.v - 2 * self.x - self.s)
        if np.any(made > 2.0**LARGE):
            raise ValueError(
                f"l2 is {np.max(l2):g}, so far beyond X.T @ X that float64 cannot carry both; lower l2 or rescale X"
            )
        return made

    def penalty(self, penalty: ElasticNet) -> ElasticNet:
        """The same penalty on w'."""
        lower, upper, weights = penalty.lower, penalty.upper, penalty.weights
        return ElasticNet(
            float(self.lam(penalty.lam)),
            float(self.l2(penalty.l2)),
            None if weights is None else shifted(weights, -self.v),
            None if lower is None else -self.bound(-lower),
            None if upper is None else self.bound(upper),
        )

    def bound(self, bound: Vector) -> Vector:
        """The size of bounds of w'; one that is not 0 does not become 0: there is room on that side."""
        made: Vector = np.where(bound > 0.0, np.maximum(shifted(bound, self.x - self.y), 2.0**-LARGE), 0.0)
        return made

    def start(self, w: Vector) -> Vector:
        """w'."""
        return w if self.plain else np.clip(shifted(w, self.x - self.y), -(2.0**LARGE), 2.0**LARGE)

    def width(self, width: Any) -> Any:
        """A number, or vector, in units of the coefficients, in those of w'."""
        return width if self.plain else np.clip(shifted(width, self.x - self.y), 2.0**-LARGE, 2.0**LARGE)

    # --------------------------------------------------------------------------------------------- the way back

    def coef(self, w: Vector, price: Vector, scale: float) -> Vector:
        """The coefficients of w', inside their bounds; refused where float64 does not carry them.

        price : what a unit of each w'_j may change in F' = scale: that must be rounding.
        """
        if self.plain:
            return w
        made: Vector = shifted(w, self.y - self.x)
        lost = np.abs(shifted(made, self.x - self.y) - w)
        wrong = ~np.isfinite(made) if not np.isfinite(made).all() else None
        if wrong is None and float(np.sum(lost.T * price)) > ROUNDING * scale:
            wrong = lost == lost.max()
        if wrong is not None:
            at = np.argwhere(wrong)[0]
            about = np.log10(abs(float(w[tuple(at)]))) + (self.y - self.x) * np.log10(2.0)
            cure = "larger, or y and lam smaller" if about > 0.0 else "smaller, or y and lam larger"
            raise ValueError(
                f"the coefficient of column {at[0]} is about 1e{about:.0f}, which float64 cannot carry with all its "
                f"digits; make X {cure}, by a power of 10"
            )
        return made if self.lower is None else np.clip(made, self.lower, self.upper)

    def intercept(self, b: Any) -> Any:
        """b, refused where it overflows."""
        if self.plain:
            return b
        made = self._finite("the intercept", shifted(b, self.y))
        return float(made) if np.ndim(made) == 0 else made

    def dual(self, theta: Vector) -> Vector:
        """The dual point, refused where it overflows."""
        return theta if self.plain else self._finite("the dual point", shifted(theta, self.y + self.s))

    def objective(self, value: float) -> float:
        """F; inf or 0 where it is beyond float64."""
        return value if self.plain else float(shifted(value, 2 * self.y + self.s))

    def violation(self, value: float) -> float:
        """In units of X'y; inf or 0 where it is beyond float64."""
        return value if self.plain else float(shifted(value, self.x + self.y + self.s))

    def strength(self, value: float) -> float:
        """The lam of a lam' that was found, refused where float64 does not carry it."""
        made = float(shifted(value, self.x + self.y + self.s - self.v))
        if not np.isfinite(made) or (value > 0.0 and made < 2.0**SMALLEST_NORMAL):
            about = np.log10(value) + (self.x + self.y + self.s - self.v) * np.log10(2.0)
            raise ValueError(f"lam_max is about 1e{about:.0f}, which float64 cannot carry; rescale X or y")
        return made

    def _finite(self, name: str, made: Any) -> Any:
        if not np.all(np.isfinite(made)):
            raise ValueError(f"{name} overflows float64, with y near 2^{self.y}; divide y and lam by a power of 10")
        return made


PLAIN = Units()

_AS_GIVEN: ContextVar[bool] = ContextVar("_AS_GIVEN", default=False)


@contextmanager
def as_given() -> Iterator[None]:
    """In this block no problem changes its units, and extreme scales are refused: the caller works with squares too."""
    token = _AS_GIVEN.set(True)
    try:
        yield
    finally:
        _AS_GIVEN.reset(token)


def may_change() -> bool:
    """Whether problems may change their units here."""
    return not _AS_GIVEN.get()


def shifted(values: Any, exponent: int) -> Any:
    """values * 2^exponent."""
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(values, exponent) if exponent else values


def carried(square: float, values: NDArray[Any]) -> bool:
    """Whether a sum of squares of values, with weights, is used as it is."""
    return 1.0 / SAFE_SQUARE <= square <= SAFE_SQUARE or (square == 0.0 and not values.any())


def rescaled(
    design: Design, tasks: tuple[LeastSquares, ...], penalty: ElasticNet
) -> tuple[Units, Storage, tuple[LeastSquares, ...], ElasticNet]:
    """X', the datafits and the penalty in units in which squares are carried: the largest y, s and v are near 1.

    X' is a copy, in float64, unless X will do. What lies in rows of weight 0 becomes 0, however large it is.
    """
    weight = tasks[0].sample_weight
    s = exponent_of(weight)
    light = None if weight is None else shifted(weight, -s)
    if weight is not None and light is not None and light[weight > 0.0].min() < 2.0**-LARGE:
        i = int(np.argmin(np.where(weight > 0.0, weight, np.inf)))
        raise ValueError(
            f"sample_weight[{i}] is {weight[i]:g}, which float64 cannot carry beside {weight.max():g}; set it to 0"
        )
    y = max(exponent_of(task.y, light) for task in tasks)
    if min(y, y + s) <= SMALLEST_NORMAL:
        largest = max(float(np.abs(task.y).max()) for task in tasks)
        raise ValueError(
            f"the entries of y reach {largest:g}, which float64 cannot carry with all their digits; multiply y and lam "
            "by a power of 10"
        )
    sizes = design.largest_by_row()
    x = exponent_of(sizes, light)
    dropped = None if weight is None or weight.all() else weight == 0.0
    kept = abs(x) <= KEPT and (dropped is None or exponent_of(sizes[dropped]) <= KEPT)
    x = 0 if kept else x - ROOM
    units = Units(x, y, s, exponent_of(penalty.weights), penalty.lower, penalty.upper, design if x else None)
    made = tuple(replace(task, y=shifted(emptied(task.y, dropped), -y), sample_weight=light) for task in tasks)
    return units, scaled_storage(design, x, dropped) if x else design.storage, made, units.penalty(penalty)


def exponent_of(values: NDArray[Any] | None, weight: Vector | None = None) -> int:
    """About log2 of the largest sqrt(s_i) |value_i|, over those that are not 0; 0 when there is none."""
    if values is None:
        return 0
    found = exponents(values)
    if weight is not None:
        found = np.where(weight > 0.0, found + exponents(weight) // 2, NOTHING)
    largest = int(found.max(initial=NOTHING))
    return largest if largest > NOTHING // 2 else 0


def exponents(values: NDArray[Any]) -> NDArray[np.int64]:
    """About log2 |value|, far below all others for 0."""
    made = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    made[values == 0.0] = NOTHING
    return made


NOTHING = -(10**6)
"""The exponent of 0 where exponents are compared and added up."""


def emptied(values: NDArray[Any], dropped: NDArray[np.bool_] | None) -> NDArray[Any]:
    """values with 0 where they are dropped."""
    return values if dropped is None else np.where(dropped, 0.0, values)


def scaled_storage(design: Design, x: int, dropped: NDArray[np.bool_] | None) -> Storage:
    """X 2^-x in float64, stored as X is; rows that are dropped are 0."""
    storage = design.storage
    values = design.entries.astype(np.float64, order="K")
    if dropped is not None:
        if storage.indices is None or storage.starts is None:
            values[dropped] = 0.0
        elif storage.by_rows:
            values[np.repeat(dropped, np.diff(storage.starts))] = 0.0
        else:
            values[dropped[storage.indices[: len(values)]]] = 0.0
    note = join_notes(storage.conversion, f"X copied ({values.nbytes:,} bytes)")
    return replace(storage, values=shifted(values, -x), conversion=note)


def faint_column(column: Vector, weight: Vector | None, fit_intercept: bool) -> bool:
    """Whether a column, whose squares are not carried, is 0 or constant: on its own scale."""
    counted = column if weight is None else column[weight > 0.0]
    exponent = exponent_of(counted)
    u = shifted(counted, -exponent)
    return bool(np.ptp(u) <= ROUNDING * np.abs(u).max(initial=0.0)) if fit_intercept else not u.any()
