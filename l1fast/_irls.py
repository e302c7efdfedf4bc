"""Iteratively reweighted least squares: at every step the parabolas that touch lam v |w_j| from above take its place.

    |u| <= 1/2 (gamma u^2 + 1/gamma),   with equality where |u| = 1/gamma,   gamma_j = 1 / max(|w_j|, floor)

What they bound is least where (X'SX + diag(h)) w = X'S y, h_j = v_j (lam gamma_j + l2): each step solves this system
(X centred when there is an intercept), and none can raise

    F_floor(w) = 1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam huber(w_j) + l2/2 w_j^2),
    huber(u) = u^2 / (2 floor) where |u| <= floor, else |u| - floor/2:

its own bound up to a constant (Lange, Hunter and Yang, J. Comput. Graph. Stat. 2000). F_floor is within
lam sum_j v_j floor/2 of F, and at its minimiser the gap of F, without l2, is exactly

    S = lam sum_j v_j |w_j| (1 - min(1, |w_j| / floor)),   at most lam sum_j v_j floor/4.

So the floor falls in stages, as in Daubechies, DeVore, Fornasier and Gunturk (Comm. Pure Appl. Math. 2010). The idea of
reweighting is older: Green (J. R. Stat. Soc. B 1984).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from l1fast._monitor import EPS, Carry, Monitor, Outcome, Vector, check_setting
from l1fast._patience import FLOPS_A_COPY, OutOfTime, patiently
from l1fast._penalties import ElasticNet
from l1fast._problem import Point, Problem
from l1fast._result import Status
from l1fast._working_set import WorkingSet


@dataclass(frozen=True)
class IRLS:
    """Iteratively reweighted least squares: a weighted ridge regression at every step, its weights from the last one.

    No coefficient ever is exactly 0: those that are 0 at the solution end below the floor, in proportion to it.

    Parameters
    ----------
    inner : {"auto", "cholesky", "cg"}
        What solves the systems. "cholesky": a factor of X'SX + diag(h) over the columns that count, or of the n_samples
        x n_samples matrix X diag(1/h) X' + 1/S when those are many more than the samples. "cg": conjugate gradients
        with the diagonal as preconditioner, which need products with X alone. "auto": at each step what costs less.
        A factor of more than 5000 rows is not made, and one with a pivot that is rounding is not used: "cg" steps in.
    floor : float, optional
        Smallest floor, in units of the coefficients. Default: what tol asks for.
    continuation : bool
        Begin with a floor of the size of the coefficients and let it fall in stages. Without, it is `floor` throughout.
    conjugate : bool
        Make the directions of the steps conjugate (Polak and Ribiere) and go to the lowest point of F_floor on them:
        3 to 30 times fewer steps (measured). Without, the steps are those of the textbook.
    accuracy : float
        How far "cg" reduces the residual of each system.
    memory_limit : int, optional
        Bytes that Gram matrices, factors and copies of columns may take; what does not fit is left to "cg" on X itself.

    Notes
    -----
    Any lam, l2 and weights >= 0, but no bounds. A column whose h_j dwarfs its part in X'SX, as happens to those that
    tend to 0, takes a step of its own; the systems are of the others, k columns that count, and small soon.
    Cost: a read of X for each step, unless the Gram matrix of all columns is known, and the system: k^3 / 3
    multiply-adds, by the other factor n^2 k + n^3 / 3; for each step of "cg" a read of the k columns.
    ``Result.n_epochs`` counts steps and those of "cg". Memory: about 25 n_features + 4 n_samples numbers; for a factor
    the Gram matrix of up to 2 k columns, with room to grow, and 2 k^2 numbers more, or 3 n^2 and a part of the columns;
    for "cg" a copy of the k columns, once they hold less than half of the entries.
    Accuracy: the size of h does not spoil the factors, so gaps of 1e-12 and less are within reach. What takes long is a
    coefficient near the edge: in a textbook step it grows or shrinks by the factor |x_j'(s r)| / (lam v_j).
    Source: Green (1984); Lange, Hunter and Yang (2000); Daubechies et al. (2010).
    """

    inner: Literal["auto", "cholesky", "cg"] = "auto"
    floor: float | None = None
    continuation: bool = True
    conjugate: bool = True
    accuracy: float = 0.1
    memory_limit: int | None = None
    name: ClassVar[str] = "irls"
    default_max_iter: ClassVar[int] = 100_000

    def __post_init__(self) -> None:
        if self.inner not in ("auto", "cholesky", "cg"):
            raise ValueError(f"inner must be 'auto', 'cholesky' or 'cg', got {self.inner!r}")
        if self.floor is not None and not 0.0 < self.floor < np.inf:
            raise ValueError(f"floor must be a number above 0, or None, got {self.floor!r}")
        if not 0.0 < self.accuracy < 1.0:
            raise ValueError(f"accuracy must lie between 0 and 1, got {self.accuracy!r}")
        if self.memory_limit is not None:
            check_setting("memory_limit", self.memory_limit, 0)

    @staticmethod
    def suits(penalty: ElasticNet) -> bool:
        """Whether the system of a step knows all there is: it has no place for a bound."""
        return penalty.lower is None and penalty.upper is None

    def run(
        self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor, carry: Carry | None = None
    ) -> Outcome:
        """Reweight and solve, stage by stage; the iterate with the smallest gap is kept."""
        if not self.suits(problem.penalty):
            raise ValueError("irls has no bounds and no positive=True; ask for solver='cd' or solver='fista'")
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
            return self._run(problem, start, max_iter, monitor)

    def _run(self, problem: Problem, start: Vector, max_iter: int, monitor: Monitor) -> Outcome:
        (n, p), penalty = problem.shape, problem.penalty
        v = np.ones(p) if penalty.weights is None else penalty.weights
        l1, l2 = penalty.lam * v, penalty.l2 * v
        w, q, g = start.copy(), np.empty(n), np.empty(p)
        best, best_gap = w.copy(), np.inf
        system = System(problem, self, monitor)
        stage: Stage | None = None
        conjugate = Conjugate()
        iteration, fresh = 0, True
        monitor.passes += bool(w.any())
        loss = problem.gradient(w, q, g, system.scratch)
        while True:
            size = np.abs(w)
            certificate = problem.certify(w, g, loss)
            stage = stage or Stage(self, problem, l1, g, certificate.gap, monitor.target)
            doubtful = certificate.gap <= monitor.target or stage.stalled(iteration)
            if not fresh and (doubtful or iteration % REFRESH == 0):
                fresh = True  # g and loss were kept up to date along the way: read X before anything rests on them
                monitor.passes += 1.0
                loss = problem.gradient(w, q, g, system.scratch)
                continue
            if certificate.gap < best_gap:
                best_gap = certificate.gap
                best[:] = w
            if monitor(iteration, certificate.objective, certificate.gap, w) or iteration >= max_iter:
                break
            stage.look(iteration, certificate.gap, loss + stage.penalty(l1, size) + 0.5 * float(l2 @ (w * w)))
            if stage.over(certificate.gap, l1, size, iteration):
                if not stage.fall(iteration, l1, size):
                    monitor.status = Status.NO_PROGRESS
                    break
                conjugate = Conjugate()
            slope = g + l1 * np.clip(w / stage.floor, -1.0, 1.0) + l2 * w
            try:
                direction = system.solve(l1 / np.maximum(size, stage.floor) + l2, -slope)
            except OutOfTime:
                monitor.status = Status.TIME_LIMIT
                break
            if self.conjugate:
                direction = conjugate.turn(slope, direction)
            moved = system.multiply(direction)
            curvature = max(float(direction @ moved), 0.0)
            t = 1.0
            if self.conjugate:
                t = lowest(w, direction, l1, l2, stage.floor, float(g @ direction), curvature)
            loss = max(loss + t * float(g @ direction) + 0.5 * t * t * curvature, 0.0)
            w += t * direction
            g += t * moved
            iteration, fresh = iteration + 1, False
        point = Point(best, q, g, loss) if fresh and np.array_equal(best, w) else None
        return Outcome(best, iteration, iteration + system.products, point=point)


class Stage:
    """The floor, how low it may get, and what has been reached since it fell."""

    def __init__(self, settings: IRLS, problem: Problem, l1: Vector, g: Vector, gap: float, target: float) -> None:
        self.target = target
        self.penalised = bool(l1.any())
        largest = float(np.abs(g).max() / problem.norm2.max())  # about the size of the first coefficients
        counted = float(l1[problem.norm2 > 0.0].sum()) / 4.0  # S is at most this many floors
        needed = target / (STAGE_END * counted) if counted > 0.0 else largest
        given = None if settings.floor is None else float(problem.units.width(settings.floor))
        self.least = EPS * largest if given is None else given
        self.floor = max(given or needed, self.least)
        if settings.continuation:
            self.floor = max(min(largest, gap / counted if counted > 0.0 else largest), self.least)
        else:
            self.least = self.floor
        self.begin(0)

    def begin(self, iteration: int) -> None:
        """Nothing was reached yet."""
        self.began = self.progress = iteration
        self.gap = self.value = np.inf

    def penalty(self, l1: Vector, size: Vector) -> float:
        """sum_j l1_j huber(w_j), size = |w|."""
        inside = np.minimum(size, self.floor)
        return float(l1 @ (0.5 * inside * inside / self.floor + (size - inside)))

    def smoothing_gap(self, l1: Vector, size: Vector) -> float:
        """S: what the gap comes to at the minimiser for this floor."""
        return float(l1 @ (size * (1.0 - np.minimum(1.0, size / self.floor))))

    def look(self, iteration: int, gap: float, value: float) -> None:
        """Note the gap and F_floor of an iterate."""
        if gap < self.gap or value < self.value - 4.0 * EPS * abs(self.value):
            self.progress = iteration
        self.gap, self.value = min(self.gap, gap), min(self.value, value)

    def stalled(self, iteration: int) -> bool:
        """Whether there was no better gap or value for long, given how many steps the stage took."""
        return iteration - self.began > STALL * (self.progress - self.began) + STALL_LEAST

    def over(self, gap: float, l1: Vector, size: Vector, iteration: int) -> bool:
        """Whether this floor has given about what it can."""
        done = self.floor > self.least and iteration > 0 and gap <= STAGE_END * self.smoothing_gap(l1, size)
        return done or self.stalled(iteration)

    def fall(self, iteration: int, l1: Vector, size: Vector) -> bool:
        """Lower the floor, but no further than the target asks for; False where it is as low as it may be."""
        if self.floor <= self.least or not self.penalised:
            return False
        reached = self.smoothing_gap(l1, size)
        enough = self.target / (STAGE_END * reached) if reached > 0.0 else 0.0
        self.floor = max(self.floor * max(FALL, min(enough, HALF)), self.least)
        self.begin(iteration)
        return True


FALL = 0.03
"""Floor of a stage as a part of that of the stage before (measured)."""

HALF = 0.5
"""The same, at most."""

STAGE_END = 4.0
"""A stage is over when the gap is within this factor of S, what it would come to (measured)."""

STALL, STALL_LEAST = 2, 60
"""No better gap or value while the steps of a stage grew by this factor (and so many more): rounding has its way."""

REFRESH = 50
"""Steps between two gradients that are made from X; between them it is kept up to date by the products of the steps."""


@dataclass
class Conjugate:
    """The directions of nonlinear conjugate gradients, the system of each step as preconditioner."""

    slope: Vector = field(default_factory=lambda: np.empty(0))
    step: Vector = field(default_factory=lambda: np.empty(0))
    direction: Vector = field(default_factory=lambda: np.empty(0))

    def turn(self, slope: Vector, step: Vector) -> Vector:
        """The step, turned to be conjugate to the last direction (Polak and Ribiere), if it still leads downhill."""
        direction = step
        if self.slope.size:
            before = float(self.step @ self.slope)
            share = float(step @ (slope - self.slope)) / before if before < 0.0 else 0.0
            turned = step + max(share, 0.0) * self.direction
            if float(turned @ slope) < 0.0:
                direction = turned
        self.slope, self.step, self.direction = slope, step, direction
        return direction


def lowest(
    w: Vector, direction: Vector, l1: Vector, l2: Vector, floor: float, descent: float, curvature: float
) -> float:
    """The t that makes F_floor(w + t direction) least, but for LINE of the slope, never beyond it.

    descent = g'd and curvature = d'X'SX d: the slope of the loss is descent + t curvature. That of the penalty is
    piecewise linear in t, so Newton's method ends, and bisection keeps it between the sides.
    """
    bent = l1 / floor * direction * direction
    ridge, ridge_slope = float(l2 @ (direction * direction)), float(l2 @ (w * direction))
    pull, t, low, high, first = l1 * direction, 0.0, 0.0, np.inf, 0.0
    for _ in range(LINE_STEPS):
        there = (w + t * direction) / floor
        slope = descent + t * curvature + ridge_slope + t * ridge + float(pull @ np.clip(there, -1.0, 1.0))
        first = first or -slope
        if first <= 0.0:
            return 0.0
        if -LINE * first <= slope <= EPS * first:
            return t
        low, high = (t, high) if slope < 0.0 else (low, t)
        second = curvature + ridge + float(bent @ (np.abs(there) <= 1.0))
        t = t - slope / second if second > 0.0 else np.inf
        if not low < t < high:
            t = 0.5 * (low + high) if high < np.inf else 2.0 * low + 1.0
    return low


LINE = 1e-3
"""Part of the slope at the start of a line that may be left at its end."""

LINE_STEPS = 60
"""Evaluations of the slope along a line, at most; 3 to 10 are usual."""


class System:
    """The systems (X'SX + diag(h)) d = r of one problem, for one h after another, X centred.

    A column counts when h_j < e_j, with diag(e) >= X'SX (up to how well its norm is known). Those that count are solved
    for together; for the others, h + e takes the place of their block of the matrix. Both steps at once never raise
    1/2 d'(X'SX + diag(h)) d - r'd: for two diagonal blocks A and B of a positive semidefinite matrix M,
    2 diag(A, B) - M is semidefinite too, and the more so with more in place of B.
    """

    def __init__(self, problem: Problem, settings: IRLS, monitor: Monitor) -> None:
        n, p = problem.shape
        self.problem, self.settings, self.monitor = problem, settings, monitor
        self.memory = settings.memory_limit
        self.homogeneous = problem.homogeneous()
        self.scratch, self.q = problem.scratch(), np.empty(n)
        self.useful = problem.norm2 > 0.0
        self.working = WorkingSet(problem, exact=True)
        self.place = np.full(p, -1, dtype=np.int32)
        self.chosen = np.empty(0, dtype=np.intp)
        self.part: Problem | None = None
        self.products = 0
        self.most = self.envelope() if p > FEW_COLUMNS else np.where(self.useful, np.inf, 0.0)

    def envelope(self) -> Vector:
        """e_j = norm2_j times the largest eigenvalue of X'SX with unit columns: diag(e) >= X'SX. By power iteration."""
        norm2 = self.problem.norm2
        inverse = np.divide(1.0, np.sqrt(norm2), out=np.zeros(len(norm2)), where=self.useful)
        largest, x = 1.0, self.useful.astype(np.float64)
        for _ in range(POWER_STEPS):
            x *= inverse / np.sqrt(x @ x)
            x = inverse * self.multiply(x)
            largest = max(largest, float(np.sqrt(x @ x)))
        return POWER_MARGIN * largest * norm2

    def multiply(self, d: Vector) -> Vector:
        """X'SX d: from the Gram matrix when it is known whole, else by one read of X."""
        made, members = np.zeros(len(d)), self.working.members
        if len(members) == self.working.known == np.count_nonzero(self.useful):
            made[members] = self.working.gram[: len(members), : len(members)] @ d[members]
            return made
        self.monitor.passes += 1.0
        self.homogeneous.gradient(d, self.q, made, self.scratch)
        return made

    def solve(self, h: Vector, r: Vector) -> Vector:
        """The d for this h and r: exactly on the columns that count by a factor, to the settings' accuracy by "cg"."""
        d: Vector = np.divide(r, h + self.most, out=np.zeros(len(r)), where=self.useful)
        counted = np.flatnonzero(self.useful & (h < self.most))
        if not counted.size:
            return d
        way = self.way(counted, h)
        found = None
        if way == "gram":
            found = self.by_gram(counted, h[counted], r[counted])
        elif way == "dual":
            found = self.by_dual(counted, h[counted], r[counted])
        if found is None:
            found = self.by_products(counted, h[counted], r[counted])
        d[counted] = found
        return d

    def way(self, counted: NDArray[np.intp], h: Vector) -> Literal["gram", "dual", "cg"]:
        """How to solve on the columns that count."""
        n, size, inner = self.problem.shape[0], len(counted), self.settings.inner
        if inner == "cg":
            return "cg"
        dual = size > GRAM_SIDE * n and float(h[counted].min()) > 0.0  # an unpenalised column has no 1/h
        side, work = (n, n * n * size + n**3 / 3) if dual else (size, size**3 / 3)
        members = min(
            len(h), WASTE * size + FEW_COLUMNS
        )  # the Gram matrix may hold so many, and has room for twice that
        held = min(2 * members, len(h)) ** 2 + members**2 + 2 * size**2
        if dual:
            held = 3 * n * n + min(n * size, PANEL + n)
        fits = side <= LARGEST_FACTOR and (self.memory is None or NUMBER * held <= self.memory)
        worth = inner == "cholesky" or work <= WORTH * float(self.problem.design.column_entries[counted].sum())
        return ("dual" if dual else "gram") if fits and worth else "cg"

    def by_gram(self, counted: NDArray[np.intp], h: Vector, r: Vector) -> Vector | None:
        """By a factor of the Gram matrix plus diag(h); None if it has none to speak of, or time ran out."""
        new = counted[self.working.inside[counted] == 0]
        if new.size:
            if len(self.working.members) + len(new) > WASTE * len(counted) + FEW_COLUMNS:
                self.working, new = WorkingSet(self.problem, exact=True), counted
            self.working.add(new)
            members = self.working.members
            self.place[members] = np.arange(len(members), dtype=np.int32)
        if not self.working.complete_gram(self.monitor):
            return None
        place = self.place[counted]
        gram = self.working.gram
        return positive_solve(patiently(lambda: gram[np.ix_(place, place)], len(place) ** 2), h, r)

    def by_dual(self, counted: NDArray[np.intp], h: Vector, r: Vector) -> Vector | None:
        """By a factor of 1 + A diag(1/h) A', A = S^1/2 X: d = z - A' (1 + A diag(1/h) A')^-1 A z / h, z = r / h."""
        problem, (n, p) = self.problem, self.problem.shape
        z, root, at_once = r / h, 1.0 / np.sqrt(h), max(1, min(PANEL // n, PANEL_WORK // n**2))
        matrix, image, position = np.zeros((n, n)), np.zeros(n), np.full(p, -1, dtype=np.int32)
        from l1fast._kernels import homotopy  # here: few calls need it

        for first in range(0, len(counted), at_once):
            if self.monitor.out_of_time():
                return None
            some = slice(first, first + at_once)
            panel = np.empty((len(counted[some]), n))
            homotopy.pack(problem.capsule, counted[some], position, panel)
            image += z[some] @ panel
            panel *= root[some, None]
            matrix += panel.T @ panel
        self.monitor.passes += 1.0 + len(counted) / p
        u = positive_solve(matrix, np.ones(n), image)
        if u is None:
            return None
        weight = problem.datafit.sample_weight
        return z - problem.correlate(u if weight is None else np.sqrt(weight) * u)[counted] / h

    def by_products(self, counted: NDArray[np.intp], h: Vector, r: Vector) -> Vector:
        """By conjugate gradients, preconditioned by the diagonal of the matrix (Jacobi)."""
        part, at = self.columns(counted)
        x, image = np.zeros(len(counted)), np.zeros(part.shape[1])
        spread, q, scratch = np.zeros(part.shape[1]), np.empty(part.shape[0]), part.scratch()
        share = part.design.n_entries / max(1, self.problem.design.n_entries)
        inverse = 1.0 / (self.problem.norm2[counted] + h)
        left = r.copy()
        z = inverse * left
        direction, rz = z.copy(), float(left @ z)
        target = self.settings.accuracy**2 * rz
        for _ in range(2 * len(counted) + MOST_PRODUCTS):
            if not rz > target or self.monitor.out_of_time():
                break
            spread[at] = direction
            part.gradient(spread, q, image, scratch)
            self.monitor.passes += share
            self.products += 1
            product = image[at] + h * direction
            curvature = float(direction @ product)
            if not curvature > 0.0:
                break
            step = rz / curvature
            x += step * direction
            left -= step * product
            z = inverse * left
            before, rz = rz, float(left @ z)
            direction = z + rz / before * direction
        return x

    def columns(self, counted: NDArray[np.intp]) -> tuple[Problem, NDArray[np.intp]]:
        """A problem for products with those columns, of target 0, and where they are in it.

        A copy of the columns, kept while they are among its own and not too few of those; X while they hold most of it.
        """
        entries = self.problem.design.column_entries
        wanted = float(entries[counted].sum())
        kept = self.part is not None and WASTE * wanted >= self.part.design.n_entries
        if self.part is not None and kept and np.isin(counted, self.chosen, assume_unique=True).all():
            return self.part, np.searchsorted(self.chosen, counted)
        self.part = None
        bytes_each = self.problem.design.nbytes / max(1, self.problem.design.n_entries)
        fits = self.memory is None or wanted * bytes_each <= self.memory
        if 2 * wanted > self.problem.design.n_entries or not fits:
            return self.homogeneous, counted
        self.monitor.passes += 1.0
        self.chosen, self.part = counted, self.homogeneous.restrict(counted)
        return self.part, np.arange(len(counted))


def positive_solve(matrix: NDArray[np.float64], h: Vector, r: Vector) -> Vector | None:
    """(matrix + diag(h))^-1 r by Cholesky, matrix overwritten; None if a pivot is but rounding."""
    from scipy.linalg import cho_solve  # here: slow to import

    diagonal = np.einsum("ii->i", matrix)
    diagonal += h
    before = diagonal.copy()
    try:
        factor = patiently(lambda: np.linalg.cholesky(matrix), len(h) ** 3 / FLOPS_A_COPY)
    except np.linalg.LinAlgError:
        return None
    if not (np.einsum("ii->i", factor) ** 2 > SINGULAR * before).all():
        return None
    found: Vector = cho_solve((factor.T, False), r, check_finite=False)
    return found if np.isfinite(found).all() else None


FEW_COLUMNS = 200
"""Columns up to which all are solved for together: their factor costs less than to find out which count."""

POWER_STEPS, POWER_MARGIN = 6, 1.25
"""Products for the largest eigenvalue of X'SX with unit columns, and what makes up for their falling short."""

GRAM_SIDE = 2
"""Columns for each sample above which the samples' matrix is factored, though it is made anew at every step."""

WORTH = 100
"""Multiply-adds of a factor for each stored entry, up to which it is worth its while against "cg" (measured)."""

LARGEST_FACTOR = 5000
"""Largest side of a matrix that is factored: 200 MB."""

NUMBER = 8
"""Bytes of a float64."""

PANEL, PANEL_WORK = 4_000_000, 2_000_000_000
"""Numbers of the columns that are packed at a time for the samples' matrix; multiply-adds on them, below 0.2 s."""

WASTE = 2
"""A Gram matrix, or a copy of columns, is kept until it holds this many times what is needed."""

MOST_PRODUCTS = 100
"""Steps of "cg" for a system of few columns, at most; with more of them, two for each more."""

SINGULAR = 1e-12
"""A pivot below this part of its diagonal entry is rounding."""
