"""What the estimators share: units, checks of parameters and data, one fit, one path.

    scikit-learn:  minimise over w, b   1/(2 S) sum_i s_i (y_i - x_i'w - b)^2 + alpha (r ||w||_1 + (1 - r)/2 ||w||^2)
    the core:      minimise over w, b   1/2 sum_i s_i (y_i - x_i'w - b)^2 + lam ||w||_1 + l2/2 ||w||^2

S = sum_i s_i, or n_samples without weights. The second is S times the first at lam = alpha r S, l2 = alpha (1 - r) S:
this file is the only one that multiplies or divides by S (`Units`).

To write an estimator on it: derive from `LinearRegressor`; in ``fit`` call `check_parameters`, then `read_data`, then
`Fit.of`, whose `solve` and `path` take alphas; `settle` stores what the estimators have in common.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from l1fast._block_problem import BlockDesign
from l1fast._path import path
from l1fast._result import Callback, ConvergenceWarning, PathCallback, Status, quietly
from l1fast._row_blocks import RowBlocks
from l1fast._solve import Bounds, lam_max, make_problem, read_penalty, solve
from l1fast._tasks import lam_max_tasks, path_tasks, solve_tasks
from l1fast._units import as_given
from l1fast._validation import as_blocks, as_design, as_flag, as_storage, as_thread_count, as_vector, plain_numbers

Vector = NDArray[np.float64]

FLOATS = [np.float64, np.float32]
SMALLEST_ALPHA = float(np.finfo(np.float64).resolution)
"""The grid of a y or X that is constant: scikit-learn's value, 1e-15."""


STEP_SHARE = 0.01
"""See `Units.aim`. At tol=1e-4 the aim is then 2e-12: the coefficients are as near to the optimum as scikit-learn's, or
nearer, on 16 problems of 200 x 20 to 1000 x 5000; for a Lasso path that takes up to a quarter longer than 2e-4."""


SMALLEST_GAP = 1e-14
"""Relative gaps of folds and of several tasks below this are not aimed at: rounding decides if they are reached."""


FOLD_POWER = 1.5
"""Folds are fitted to a gap of the order of tol^1.5. At tol=1e-4 their errors were as near to those at the optimum as
scikit-learn's or nearer on three of four problems measured (2e-3 against 9e-4 on the other); a gap of 2 tol moved alpha
on three of them, and one of the order of tol^2 takes up to ten times as long."""


class InvalidParameterError(ValueError, TypeError):
    """A parameter has a value of the wrong type or out of range; both bases, as in scikit-learn."""


class FitConvergenceWarning(SklearnConvergenceWarning, ConvergenceWarning):
    """A fit ended above tol. It is scikit-learn's ConvergenceWarning and that of l1fast."""


# -------------------------------------------------------------------------------------------------- units


@dataclass(frozen=True)
class Units:
    """Between scikit-learn's alpha, per sample, and the core's lam and l2, in sums.

    Attributes
    ----------
    total : float
        S = sum_i s_i, or n_samples.
    l1_ratio : float
        r.
    """

    total: float
    l1_ratio: float = 1.0

    def strengths(self, alpha: Any) -> tuple[Any, Any]:
        """(lam, l2) of an alpha, or of many."""
        return alpha * self.l1_ratio * self.total, alpha * (1.0 - self.l1_ratio) * self.total

    def alpha(self, lam: Any) -> Any:
        """The alpha with this lam; r > 0."""
        return lam / (self.l1_ratio * self.total)

    @staticmethod
    def fold_aim(tol: float) -> float:
        """The gap that a fold aims at."""
        return float(max(2.0 * min(tol, tol**FOLD_POWER), min(2.0 * tol, SMALLEST_GAP)))

    def gap(self, relative: Any, null_loss: float) -> Any:
        """``dual_gap_`` of a relative gap of the core: relative times the loss of the best constant, per sample."""
        return relative * null_loss / self.total

    @staticmethod
    def tol(tol: float) -> float:
        """The core's tol: scikit-learn stops at tol ||y - mean||^2, the core at tol times half of that."""
        return 2.0 * tol

    @staticmethod
    def aim(tol: float) -> float:
        """The gap that a fit aims at, as the core's tol; above `tol` it warns, between the two it is content.

        scikit-learn asks for more than a gap of tol: the last steps must be at most tol max_j |w_j|, so that its
        coefficients are good to about tol. A distance of d is a gap of the order of d^2, and d must be a part of tol
        where F is curved little (STEP_SHARE).
        """
        return 2.0 * min(tol, (STEP_SHARE * tol) ** 2)

    def grid(self, largest: float, eps: float, n_alphas: int) -> Vector:
        """n_alphas values falling from the alpha of lam_max = largest to eps times that, even in the logarithm."""
        if self.l1_ratio == 0.0:
            raise ValueError(
                "Automatic alpha grid generation is not supported for l1_ratio=0. Please supply a grid by providing "
                "your estimator with the appropriate `alphas=` argument."
            )
        top = self.alpha(largest)
        if top <= SMALLEST_ALPHA:
            return np.full(n_alphas, SMALLEST_ALPHA)
        grid: Vector = np.geomspace(top, top * eps, num=n_alphas)
        return grid


# ------------------------------------------------------------------------------------- checks of parameters


@dataclass(frozen=True)
class Rule:
    """What a parameter must be: in words that follow "must be", and as a test."""

    words: str
    holds: Callable[[Any], bool]

    def __or__(self, other: Rule) -> Rule:
        return Rule(f"{self.words} or {other.words}", lambda value: self.holds(value) or other.holds(value))


def real(low: float | None = None, high: float | None = None, *, open_low: bool = False) -> Rule:
    """A real number in an interval; NaN and booleans are none, and infinity only where both sides are open."""
    left = "(" if open_low or low is None else "["
    words = f"a float in the range {left}{'-inf' if low is None else low}, " + ("inf)" if high is None else f"{high}]")

    def holds(value: Any) -> bool:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
            return False
        number = float(value)
        if math.isnan(number):
            return False
        above = low is None or (number > low if open_low else number >= low)
        return above and (number <= high if high is not None else low is None or number < math.inf)

    return Rule(words, holds)


def integer(low: int | None = None) -> Rule:
    """An integer of at least low."""
    words = "an int" if low is None else f"an int in the range [{low}, inf)"

    def holds(value: Any) -> bool:
        whole = isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))
        return whole and (low is None or int(value) >= low)

    return Rule(words, holds)


def choice(*options: str) -> Rule:
    """One of some words."""
    words = "a str among {" + ", ".join(map(repr, options)) + "}"
    return Rule(words, lambda value: isinstance(value, str) and value in options)


def _is_array(value: Any) -> bool:
    has_length = hasattr(value, "__len__") or hasattr(value, "shape") or hasattr(value, "__array__")
    return has_length and not isinstance(value, (str, bytes, dict)) and getattr(value, "ndim", 1) > 0


FLAG = Rule("an instance of 'bool'", lambda value: isinstance(value, (bool, np.bool_)))
NOTHING = Rule("None", lambda value: value is None)
ARRAY = Rule("an array-like", _is_array)
CALLABLE = Rule("a callable", callable)
VERBOSE = integer(0) | FLAG
RANDOM_STATE = Rule(
    "an int in the range [0, 4294967295], an instance of 'numpy.random.RandomState' or None",
    lambda value: (
        value is None
        or isinstance(value, np.random.RandomState)
        or (isinstance(value, numbers.Integral) and 0 <= int(value) <= np.iinfo(np.uint32).max)
    ),
)
BOUND = real() | ARRAY | NOTHING

BEYOND: Mapping[str, Rule] = {
    "penalty_factor": ARRAY | NOTHING,
    "lower_bounds": BOUND,
    "upper_bounds": BOUND,
    "standardize": FLAG,
    "time_limit": real(0) | NOTHING,
    "callback": CALLABLE | NOTHING,
    "n_threads": integer(1) | NOTHING,
}
"""The parameters that scikit-learn does not have."""

COMMON: Mapping[str, Rule] = {
    "fit_intercept": FLAG,
    "copy_X": FLAG,
    "max_iter": integer(1) | NOTHING,
    "tol": real(0),
    "positive": FLAG,
    "random_state": RANDOM_STATE,
    "selection": choice("cyclic", "random"),
    **BEYOND,
}
"""The parameters that all estimators share."""


def check_parameters(estimator: Any, rules: Mapping[str, Rule], name: str | None = None) -> None:
    """Raise scikit-learn's error for the first parameter that breaks its rule.

    estimator : the values are its attributes; or a mapping of them. name : whose parameters, for the message.
    """
    if sklearn.get_config().get("skip_parameter_validation", False):
        return
    values = estimator if isinstance(estimator, Mapping) else estimator.get_params(deep=False)
    owner = name or type(estimator).__name__
    for parameter, rule in rules.items():
        if parameter in values and not rule.holds(values[parameter]):
            raise InvalidParameterError(
                f"The {parameter!r} parameter of {owner} must be {rule.words}. Got {values[parameter]!r} instead."
            )


# ------------------------------------------------------------------------------------------- checks of data


@dataclass(frozen=True)
class Data:
    """X, y and the weights of a fit, once checked.

    Attributes
    ----------
    X : ndarray or SciPy container of float32 or float64, shape (n_samples, n_features)
        Used as it is by the core; finite or not is seen there.
    y : ndarray of float64, shape (n_samples,) or (n_samples, n_targets)
    sample_weight : ndarray of float64, shape (n_samples,), or None
    """

    X: Any
    y: NDArray[np.float64]
    sample_weight: Vector | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of coef_: float32 for a float32 X, else float64."""
        return np.dtype(np.float32 if getattr(self.X, "dtype", None) == np.float32 else np.float64)

    @property
    def total(self) -> float:
        """S."""
        return float(self.X.shape[0] if self.sample_weight is None else self.sample_weight.sum())


def read_data(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    multi_output: bool = False,
    check_input: bool = True,
    parted: bool = False,
    blocks: bool = False,
) -> Data:
    """Check X, y and the weights as scikit-learn does; no copy of a float X, and sparse formats stay what they are.

    Whether X is finite is not looked at: the core sees it in its first read of X, within `plain_errors`. parted : SciPy
    or a splitter takes X apart before the core does; so it is checked here, and a sparse one loses its spare room.
    blocks : X may be in blocks of rows, or a linear operator, and stays there.
    """
    found = as_blocks(X)
    if found is not None:
        if not blocks:
            raise TypeError(
                f"X is {found.source}, and {type(estimator).__name__} needs it in memory; Lasso and ElasticNet do not"
            )
        estimator.n_features_in_ = found.shape[1]
        return Data(found, as_vector("y", y, found.shape[0]), read_weights(sample_weight, found.shape[0]))
    X, y = plain_numbers("X", X), plain_numbers("y", y)
    if check_input:
        X, y = validate_data(
            estimator,
            X,
            y,
            accept_sparse=True,
            dtype=FLOATS,
            multi_output=multi_output,
            y_numeric=True,
            ensure_all_finite=False,
        )
    check_consistent_length(X, y)
    y = np.asarray(y, dtype=np.float64)
    if parted:
        with plain_errors(X, type(estimator).__name__):
            design = as_design(X)
        X = design.to_matrix() if sparse.issparse(X) else X
    return Data(X, y, read_weights(sample_weight, X.shape[0]))


def sound(X: Any, estimator: str) -> Any:
    """X; a sparse one checked and without spare room behind its entries, so that SciPy may work on it."""
    if not sparse.issparse(X):
        return plain_numbers("X", X)
    with plain_errors(X, estimator):
        return as_design(X).to_matrix()


@contextmanager
def located(X: Any, estimator: str) -> Iterator[None]:
    """Around scikit-learn's check of an X: if it finds NaN or infinities, the error says where, too."""
    try:
        yield
    except ValueError as error:
        if "contains NaN" in str(error) or "contains infinity" in str(error):
            with plain_errors(X, estimator):
                as_design(X)
        raise


@contextmanager
def plain_errors(X: Any, estimator: str) -> Iterator[None]:
    """Around a call of the core: X with NaN, infinities or huge entries gets scikit-learn's words beside the core's."""
    try:
        with as_given():
            yield
    except ValueError as error:
        if "remove or impute" in str(error) and getattr(X, "format", "") != "dok" and as_blocks(X) is None:
            try:
                check_array(X, accept_sparse=True, estimator=estimator, input_name="X")
            except ValueError as theirs:
                first, *rest = str(theirs).split("\n")
                raise ValueError("\n".join([f"{first} {error}", *rest])) from None
        if "float64 cannot carry" in str(error):
            raise ValueError(
                "Coordinate descent iterations resulted in non-finite parameter values. The input data may contain "
                f"large values and need to be preprocessed: {error}"
            ) from None
        raise


def check_gram(precompute: Any, data: Data, fit_intercept: bool) -> None:
    """Check one entry of a Gram matrix given as precompute, as scikit-learn does; a sparse X has no use for it."""
    if isinstance(precompute, (bool, str)) or sparse.issparse(data.X):
        return
    if as_blocks(data.X) is not None:
        raise ValueError("precompute is a matrix, and X is not in memory to check it; leave it at False")
    gram, X, p = np.asarray(precompute), data.X, data.X.shape[1]
    if gram.shape != (p, p):
        raise ValueError(f"precompute has shape {gram.shape}, but X has {p} features; a Gram matrix is {(p, p)}")
    mean = np.average(X, axis=0, weights=data.sample_weight) if fit_intercept else np.zeros(p)
    if not np.allclose(mean, 0.0):
        warnings.warn(
            "Gram matrix was provided but X was centered to fit intercept: recomputing Gram matrix.", stacklevel=3
        )
        return
    first = p // 2
    second = min(first + 1, p - 1)
    share = 1.0 if data.sample_weight is None else data.sample_weight * (X.shape[0] / data.total)
    expected = np.sum(share * (X[:, first] - mean[first]) * (X[:, second] - mean[second]))
    seen = gram[first, second]
    rtol, atol = (1e-4 if np.float32 in (gram.dtype, X.dtype) else 1e-7), 1e-5  # scikit-learn's
    if not np.isclose(expected, seen, rtol=rtol, atol=atol):
        raise ValueError(
            "Gram matrix passed in via 'precompute' parameter did not pass validation when a single element was "
            f"checked - please check that it was computed properly. For element ({first},{second}) we computed "
            f"{expected} but the user-supplied value was {seen}."
        )


def read_weights(sample_weight: Any, n_samples: int) -> Vector | None:
    """The sample weights as a vector; None and a single number stand for equal ones."""
    if sample_weight is None or isinstance(sample_weight, numbers.Number):
        return None
    weights = check_array(
        plain_numbers("sample_weight", sample_weight), ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array. Expected either a scalar value or "
            f"a 1D array of length {n_samples}."
        )
    if weights.shape != (n_samples,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n_samples,)}!")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return as_vector("sample_weight", weights, n_samples, least=0.0)


# ------------------------------------------------------------------------------------------------- the fit


@dataclass(frozen=True)
class Found:
    """One solution in scikit-learn's units.

    coef : ndarray of float64, shape (n_features,) or (n_targets, n_features)
    intercept : float, or ndarray of shape (n_targets,)
    dual_gap, relative_gap : per sample, and as the core has it
    """

    coef: NDArray[np.float64]
    intercept: Any
    dual_gap: float
    relative_gap: float
    n_iter: int
    status: Status


@dataclass(frozen=True)
class FoundPath:
    """Solutions at falling alphas; fewer than asked for where the path was stopped.

    coefs : shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
    intercepts : shape (n_alphas,) or (n_targets, n_alphas)
    dual_gaps, relative_gaps : shape (n_alphas,); per sample, and as the core has them
    """

    alphas: Vector
    coefs: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    dual_gaps: Vector
    relative_gaps: Vector
    n_iter: NDArray[np.int64]
    status: Status


@dataclass(frozen=True)
class Fit:
    """The problem of an estimator but for alpha and y, in the form that the core takes.

    With ``standardize`` the penalty is on u_j = scale_j w_j, the coefficients of x_j / scale_j:
    v_j (lam |u_j| + l2/2 u_j^2) = v_j scale_j (lam |w_j| + scale_j l2/2 w_j^2). Without an l2 penalty that is the same
    problem with the weights v_j scale_j, and X is used as it is. With one, no weight serves both terms: a copy of X
    with scaled columns is solved for u (a sparse one stays sparse), and ``scale`` is kept to come back to w.

    Attributes
    ----------
    X, sample_weight : as in `Data`; X scaled where scale is not None
    units : Units
    options : dict
        The problem, as `solve`, `path` and `lam_max` take it: fit_intercept, penalty_weights, bounds, sample_weight.
    controls : dict
        How to solve it, as `solve` and `path` take it: tol, max_iter, time_limit, n_threads.
    name : class of the estimator, for errors
    tol : the gap of the core above which a fit warns
    scale : ndarray of float64, shape (n_features,), or None
    """

    X: Any
    units: Units
    options: dict[str, Any]
    controls: dict[str, Any]
    name: str
    tol: float
    scale: Vector | None = None

    @classmethod
    def of(cls, estimator: Any, data: Data, l1_ratio: float = 1.0, name: str | None = None) -> Fit:
        """From the attributes of an estimator; those it does not have stand at their defaults."""
        owner = name or type(estimator).__name__

        def value(name: str, absent: Any = None) -> Any:
            return getattr(estimator, name, absent)

        n_features = data.X.shape[1]
        fit_intercept = as_flag("fit_intercept", value("fit_intercept", True))
        factor = value("penalty_factor")
        weights = None if factor is None else as_vector("penalty_factor", factor, n_features, least=0.0)
        bounds = read_bounds(value("positive", False), value("lower_bounds"), value("upper_bounds"))
        X, scale, n_threads = data.X, None, value("n_threads")
        if value("standardize", False) and as_blocks(X) is not None:
            raise ValueError("standardize=True needs X in memory; scale its columns yourself, or give penalty_factor")
        if value("standardize", False):
            with plain_errors(X, owner):
                scale = column_scales(data, fit_intercept, n_threads)
            if l1_ratio == 1.0:
                weights, scale = (scale if weights is None else weights * scale), None
            else:
                X, bounds = scaled_columns(X, scale), scaled_bounds(bounds, scale)
        return cls(
            X=X,
            units=Units(data.total, l1_ratio),
            options={
                "fit_intercept": fit_intercept,
                "penalty_weights": weights,
                "bounds": bounds,
                "sample_weight": data.sample_weight,
            },
            controls={
                "tol": Units.aim(value("tol", DEFAULT_TOL)),
                "max_iter": value("max_iter"),
                "time_limit": value("time_limit"),
                "n_threads": n_threads,
            },
            name=owner,
            tol=Units.tol(value("tol", DEFAULT_TOL)),
            scale=scale,
        )

    def null_loss(self, y: NDArray[np.float64]) -> float:
        """1/2 sum_i s_i (y_i - b0)^2 at the best constant b0 (0 without an intercept), over all targets."""
        weight = self.options["sample_weight"]
        centred = y - np.average(y, axis=0, weights=weight) if self.options["fit_intercept"] else y
        square = centred * centred
        return 0.5 * float(np.sum(square if weight is None else weight @ square))

    def lam_max(self, y: NDArray[np.float64]) -> float:
        """The core's lam_max of this problem."""
        with plain_errors(self.X, self.name):
            return lam_max(self.X, y, **self.options) if y.ndim == 1 else lam_max_tasks(self.X, y, **self._of_tasks)

    def _controls(self, y: NDArray[np.float64]) -> dict[str, Any]:
        """The controls for one target, or for several tasks, whose gap rounding keeps above a floor."""
        if y.ndim == 1 or self.units.l1_ratio == 0.0:
            return self.controls
        return {**self.controls, "tol": max(self.controls["tol"], min(self.tol, SMALLEST_GAP))}

    @property
    def _of_tasks(self) -> dict[str, Any]:
        """The options that several tasks have."""
        return {name: value for name, value in self.options.items() if name != "bounds"}

    def grid(self, y: NDArray[np.float64], eps: float, n_alphas: int) -> Vector:
        """scikit-learn's grid of alphas."""
        return self.units.grid(self.lam_max(y) if self.units.l1_ratio > 0.0 else 0.0, eps, n_alphas)

    def solve(self, y: NDArray[np.float64], alpha: float, start: Any = None, callback: Callback | None = None) -> Found:
        """Solve at one alpha, for one target or for several tasks; `judge` warns where the gap is above tol.

        start : coef of the shape of ``Found.coef``.
        """
        lam, l2 = self.units.strengths(alpha)
        if start is not None:
            start = np.asarray(start, dtype=np.float64)
            start = (start if self.scale is None else start * self.scale).T
        controls = {"l2": l2, "start": start, "callback": callback, **self._controls(y)}
        result: Any
        with quietly(), plain_errors(self.X, self.name):
            if y.ndim == 1:
                result = solve(self.X, y, lam, **self.options, **controls)
            else:
                result = solve_tasks(self.X, y, lam, **self._of_tasks, **controls)
        return self.found(result, y)

    def found(self, result: Any, y: NDArray[np.float64]) -> Found:
        """What the core found for this fit, in the units of the estimators."""
        return Found(
            coef=result.coef.T if self.scale is None else result.coef.T / self.scale,
            intercept=result.intercept,
            dual_gap=float(self.units.gap(result.dual_gap, self.null_loss(y))),
            relative_gap=result.dual_gap,
            n_iter=max(result.n_iter, 1),  # the look that found the start to be the answer
            status=result.status,
        )

    def path(
        self, y: NDArray[np.float64], alphas: Sequence[float] | Vector, on_progress: PathCallback | None = None
    ) -> FoundPath:
        """Solve at many alphas, from the largest down; `judge` warns where a gap is above tol."""
        falling = -np.sort(-np.asarray(alphas, dtype=np.float64))
        r = self.units.l1_ratio
        if r == 0.0:
            return self._ridge_path(y, falling)
        lams, controls = self.units.strengths(falling)[0], {"l2_ratio": (1.0 - r) / r, **self._controls(y)}
        controls["on_progress"] = on_progress
        result: Any
        with quietly(), plain_errors(self.X, self.name):
            if y.ndim == 1:
                result = path(self.X, y, lams=lams, **self.options, **controls)
                coefs = result.coefs.toarray()
            else:
                result = path_tasks(self.X, y, lams=lams, **self._of_tasks, **controls)
                coefs = np.stack([result.coef(k).T for k in range(len(result))], axis=-1)
        return FoundPath(
            alphas=falling[: len(result)],
            coefs=coefs if self.scale is None else coefs / self.scale[:, None],
            intercepts=result.intercepts.T,
            dual_gaps=self.units.gap(result.dual_gaps, self.null_loss(y)),
            relative_gaps=result.dual_gaps,
            n_iter=result.n_iter,
            status=result.status,
        )

    def _ridge_path(self, y: NDArray[np.float64], falling: Vector) -> FoundPath:
        """The path without an L1 term, which the core's path, a ladder of lam, cannot say: one solve after another."""
        found: list[Found] = []
        for alpha in falling:
            found.append(self.solve(y, alpha, found[-1].coef if found else None))
        return FoundPath(
            alphas=falling,
            coefs=np.stack([one.coef for one in found], axis=-1),
            intercepts=np.stack([one.intercept for one in found], axis=-1),
            dual_gaps=np.array([one.dual_gap for one in found]),
            relative_gaps=np.array([one.relative_gap for one in found]),
            n_iter=np.array([one.n_iter for one in found], dtype=np.int64),
            status=next((one.status for one in found if one.status is not Status.CONVERGED), Status.CONVERGED),
        )

    def judge(self, found: Found | FoundPath, n_alphas: int = 1) -> None:
        """Warn where a gap is above tol or an alpha is missing."""
        gaps = np.atleast_1d(found.relative_gap if isinstance(found, Found) else found.relative_gaps)
        warn_unconverged(float(gaps.max(initial=0.0)), self.tol, found.status.value, n_alphas - len(gaps))


def warn_unconverged(gap: float, tol: float, status: str, missing: int = 0) -> None:
    """Warn where a gap of the core is above tol, or alphas are missing: scikit-learn's sentence, the core's numbers."""
    if gap <= tol and not missing:
        return
    left = f"; {missing} alphas were not tried" if missing else ""
    warnings.warn(
        "Objective did not converge. You might want to increase the number of iterations. Relative duality gap: "
        f"{gap:.3e}, tolerance: {tol:.3e}; {status}{left}",
        FitConvergenceWarning,
        stacklevel=4,
    )


DEFAULT_TOL = 1e-4
"""scikit-learn's tol where an estimator has none."""


def read_bounds(positive: bool, lower: Any, upper: Any) -> Bounds | None:
    """The core's bounds from positive, lower_bounds and upper_bounds."""
    if positive:
        if lower is not None:
            raise ValueError(
                f"positive=True means lower_bounds=0, but lower_bounds is {lower!r} too; give one of the two"
            )
        lower = 0.0
    return None if lower is None and upper is None else (lower, upper)


def column_variances(data: Data, fit_intercept: bool, n_threads: int | None) -> Vector:
    """The (weighted) variances of the columns, about 0 without an intercept. One read of X, no copy of it."""
    storage, zeros = as_storage(data.X), np.zeros(data.X.shape[0])
    penalty = read_penalty(1.0, 0.0, None, None, False, data.X.shape[1])
    problem = make_problem(storage, zeros, penalty, fit_intercept, data.sample_weight, as_thread_count(n_threads))
    return problem.norm2 / data.total


def column_scales(data: Data, fit_intercept: bool, n_threads: int | None) -> Vector:
    """The (weighted) standard deviations of the columns, about 0 without an intercept; 1 where they are 0."""
    scale: Vector = np.sqrt(column_variances(data, fit_intercept, n_threads))
    scale[scale == 0.0] = 1.0
    return scale


def scaled_columns(X: Any, scale: Vector) -> Any:
    """A copy of X with its columns divided by scale, in X's dtype; a sparse X stays sparse."""
    if sparse.issparse(X):
        return (sparse.csc_array(X) @ sparse.diags_array(1.0 / scale)).astype(X.dtype)
    return np.divide(X, scale).astype(X.dtype, copy=False)


def scaled_bounds(bounds: Bounds | None, scale: Vector) -> Bounds | None:
    """The bounds of u = scale w."""
    if bounds is None:
        return None
    lower, upper = (None if side is None else np.asarray(side, dtype=np.float64) * scale for side in bounds)
    return lower, upper


# -------------------------------------------------------------------------------------------- the estimators


class LinearRegressor(RegressorMixin, BaseEstimator):
    """coef_ and intercept_ make predictions; sparse X is welcome."""

    coef_: NDArray[Any]
    intercept_: Any
    n_features_in_: int

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict with the linear model.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_targets)
        """
        check_is_fitted(self)
        blocks = as_blocks(X)
        if blocks is not None:
            return self._predict_blocks(blocks)
        X = sound(X, type(self).__name__)
        with located(X, type(self).__name__):
            X = validate_data(self, X, accept_sparse=["csr", "csc", "coo"], reset=False)
        predicted: NDArray[Any] = X @ self.coef_.T + self.intercept_
        return predicted

    def _predict_blocks(self, blocks: RowBlocks) -> NDArray[Any]:
        """Predict for an X that is in blocks of rows, or a linear operator: one read for each target."""
        if blocks.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {blocks.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input"
            )
        coefs, design = np.atleast_2d(self.coef_), BlockDesign(blocks)
        made = np.stack([design.apply(np.asarray(coef, dtype=np.float64)) for coef in coefs], axis=1)
        predicted: NDArray[Any] = (made[:, 0] if self.coef_.ndim == 1 else made) + self.intercept_
        return predicted

    @property
    def sparse_coef_(self) -> Any:
        """``coef_`` as a sparse matrix of shape (n_targets, n_features), of the kind in scikit-learn's config."""
        kind = sparse.csr_array if sklearn.get_config().get("sparse_interface") == "sparray" else sparse.csr_matrix
        return kind(np.atleast_2d(self.coef_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def settle(estimator: Any, found: list[Found], data: Data) -> None:
    """Set coef_, intercept_, dual_gap_ and n_iter_: those of one solution, or stacked over targets."""
    dtype, intercept = data.dtype.type, estimator.fit_intercept
    if len(found) == 1:
        (one,) = found
        estimator.coef_ = np.ascontiguousarray(one.coef, dtype=dtype)
        estimator.intercept_ = np.asarray(one.intercept, dtype=dtype)[()] if intercept else 0.0
        estimator.dual_gap_, estimator.n_iter_ = dtype(one.dual_gap), one.n_iter
        return
    estimator.coef_ = np.array([one.coef for one in found], dtype=dtype)
    estimator.intercept_ = np.array([one.intercept for one in found], dtype=dtype) if intercept else 0.0
    estimator.dual_gap_ = np.array([one.dual_gap for one in found], dtype=dtype)
    estimator.n_iter_ = [one.n_iter for one in found]
