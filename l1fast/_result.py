"""What a solve returns: the answer, its certificate, and how it was found."""

from __future__ import annotations

import enum
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from l1fast import _saved
from l1fast._files import check_output, write_whole

__all__ = ["ConvergenceWarning", "History", "PathResult", "PathState", "Result", "State", "Status"]


class ConvergenceWarning(UserWarning):
    """The certified gap is above ``tol``; the message says by how much and what helps."""


_QUIET: ContextVar[bool] = ContextVar("_QUIET", default=False)


@contextmanager
def quietly() -> Iterator[None]:
    """No ConvergenceWarning in this block: its caller reads the status and speaks itself.

    Unlike `warnings.catch_warnings` it touches no state that other threads share.
    """
    token = _QUIET.set(True)
    try:
        yield
    finally:
        _QUIET.reset(token)


def announce(text: str, stacklevel: int) -> None:
    """Warn that a gap is above tol, stacklevel counted from the caller, unless within `quietly`."""
    if not _QUIET.get():
        warnings.warn(text, ConvergenceWarning, stacklevel=stacklevel + 1)


class Status(enum.Enum):
    """Why a solve ended. The value is a sentence for people."""

    CONVERGED = "the certified gap is at most tol"
    ITERATION_LIMIT = "max_iter was reached before tol"
    TIME_LIMIT = "time_limit was reached before tol"
    NO_PROGRESS = "rounding errors stop any further progress above tol"
    SMOOTHED = "the smoothed problem is solved, and its smoothing keeps the gap above tol"
    INTERRUPTED = "the callback asked to stop before tol"


@dataclass(frozen=True, slots=True)
class State:
    """Where a running solve stands; what a ``callback`` receives at every check.

    Attributes
    ----------
    iteration : int
        Outer steps done.
    seconds : float
        Time since the call of `solve`.
    objective : float
        F(w) at the present iterate.
    dual_gap : float
        Relative duality gap at the present iterate, as in `Result`.
    support_size : int
        Non-zero coefficients.
    passes : float
        Reads of X so far, as ``Result.n_passes``.
    """

    iteration: int
    seconds: float
    objective: float
    dual_gap: float
    support_size: int
    passes: float


Callback = Callable[[State], object]


@dataclass(frozen=True, slots=True)
class History:
    """One entry for each check of the gap, in order; all arrays have the same length."""

    iteration: NDArray[np.int64]
    seconds: NDArray[np.float64]
    objective: NDArray[np.float64]
    dual_gap: NDArray[np.float64]
    support_size: NDArray[np.int64]
    passes: NDArray[np.float64]

    _shapes: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(
        ("iteration", "seconds", "objective", "dual_gap", "support_size", "passes"), ("n_checks",)
    )

    @classmethod
    def of(cls, states: list[State]) -> History:
        """Collect the states of the checks, column by column."""
        return cls(
            iteration=np.array([s.iteration for s in states], dtype=np.int64),
            seconds=np.array([s.seconds for s in states], dtype=np.float64),
            objective=np.array([s.objective for s in states], dtype=np.float64),
            dual_gap=np.array([s.dual_gap for s in states], dtype=np.float64),
            support_size=np.array([s.support_size for s in states], dtype=np.int64),
            passes=np.array([s.passes for s in states], dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.seconds)


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """The answer of `solve` with its certificate.

    Attributes
    ----------
    coef : ndarray of float64, shape (n_features,)
        The coefficients w. Zeros are exact. Always float64, whatever the dtype of X: a gap of 1e-10
        does not survive rounding w to float32.
    intercept : float
        The intercept b; 0.0 without ``fit_intercept``.
    objective : float
        F(w, b); inf or 0 where it is beyond float64.
    dual_gap : float
        (F(w, b) - D(dual)) / F(0, b0), where D is the dual function, ``dual`` a feasible point and
        F(0, b0) the objective of the best constant: 1/2 ||y||^2 without an intercept. No w' has an
        objective below F(w, b) - dual_gap * F(0, b0). Scale-free, computed after and apart from the
        solver, in float64.
    violation : float
        max_j dist(-gradient_j, subdifferential_j), in units of X.T @ y. 0 at an optimum; inf beyond float64.
    status : Status
        Why the solve ended.
    n_iter : int
        Outer steps (proximal-gradient steps for ista and fista, working sets for cd, stretches of the
        path for homotopy, reweighted systems for irls).
    n_epochs : int
        Passes over the working set (cd); breakpoints of the path (homotopy); systems and the steps of conjugate
        gradients within them (irls); equal to the passes over X for ista and fista.
    n_passes : float
        Reads of X, the check and the certificate included: a read of some columns counts as their share of the stored
        entries, an epoch of a working set on columns as one of its members, work on a Gram matrix as none.
    seconds : float
        Wall-clock time of the whole call, validation and certificate included.
    solver, reason : str
        The solver that ran and why it was chosen.
    lam, tol : float
        As asked for.
    dual : ndarray of float64, shape (n_samples,)
        The dual point theta behind ``dual_gap``: |x_j' theta| <= lam v_j for every column j without an l2
        penalty, but on a side where w_j has a bound: there x_j' theta is free and counts in D.
    conversion : str
        What had to be copied or converted before or during the solve; empty when X was used as it is.
    history : History or None
        Time, objective, gap and passes at every check, when asked for.
    iterates : ndarray of float64, shape (n_iter + 1, n_features), or None
        Every iterate, the start first, when the solver's settings asked for them.
    recoveries : int
        How many blocks of an X that lies with workers were loaded anew because a worker died; else 0.
    """

    coef: NDArray[np.float64]
    intercept: float
    objective: float
    dual_gap: float
    violation: float
    status: Status
    n_iter: int
    n_epochs: int
    n_passes: float
    seconds: float
    solver: str
    reason: str
    lam: float
    tol: float
    dual: NDArray[np.float64] = field(repr=False)
    conversion: str = ""
    history: History | None = None
    iterates: NDArray[np.float64] | None = field(default=None, repr=False)
    recoveries: int = 0

    _shapes: ClassVar[dict[str, tuple[str, ...]]] = {
        "coef": ("n_features",),
        "dual": ("n_samples",),
        "iterates": ("n_iterates", "n_features"),
    }

    @property
    def converged(self) -> bool:
        """Whether the certified gap is at most tol."""
        return self.status is Status.CONVERGED

    @property
    def support(self) -> NDArray[np.intp]:
        """Indices of the non-zero coefficients, ascending."""
        return np.flatnonzero(self.coef)

    def _intercept_text(self) -> str:
        return f"{self.intercept:.6g}"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to an .npz file from which `load` makes the same again, bit for bit.

        Parameters
        ----------
        path : str or path
            Ends in .npz. A file that is there is replaced once the new one is whole.

        Raises
        ------
        l1fast.io.FileError
            A ValueError: the file cannot be written; the message names it and says why.

        Notes
        -----
        ``numpy.load(path)`` shows the numbers and arrays under the names of the attributes and, under "about", the
        text as JSON. Nothing is pickled.

        Examples
        --------
        >>> import pathlib, tempfile, l1fast
        >>> result = l1fast.solve([[1.0, 0.0], [0.0, 2.0]], [3.0, 1.0], lam=0.5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "result.npz")
        ...     result.save(path)
        ...     l1fast.Result.load(path).coef
        array([2.5  , 0.375])
        """
        check_output(path, (".npz",))
        write_whole(path, lambda stream: _saved.save(self, stream))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; nothing is unpickled.

        Raises
        ------
        l1fast.io.FileError
            A ValueError: the file is missing, damaged, holds something else or was written in a layout that a newer
            l1fast introduced. The message names it and says what is wrong.
        """
        return _saved.load(cls, Path(path))

    def _rows(self) -> list[tuple[str, str]]:
        """The lines of the printed forms."""
        passes = rounded(self.n_passes)
        rows = [
            ("status", f"{self.status.name.lower()}: {self.status.value}"),
            ("lam", f"{self.lam:.6g}"),
            ("objective", f"{self.objective:.9g}"),
            ("dual_gap", f"{self.dual_gap:.2e} (tol {self.tol:.0e})"),
            ("support", f"{len(self.support)} of {len(self.coef)} features"),
            ("intercept", self._intercept_text()),
            ("solver", f"{self.solver}, {self.n_iter} iterations, {self.n_epochs} epochs, {passes} passes"),
            ("reason", self.reason),
            ("seconds", f"{self.seconds:.3g}"),
        ]
        if self.conversion:
            rows.append(("conversion", self.conversion))
        if self.recoveries:
            rows.append(("recoveries", f"{self.recoveries} blocks loaded anew after a death"))
        return rows

    def __repr__(self) -> str:
        return "\n".join([type(self).__name__, *(f"  {name:<11}{text}" for name, text in self._rows())])

    def _repr_html_(self) -> str:
        lines = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in self._rows()
        )
        return f"<table><caption>l1fast Result</caption>{lines}</table>"


def rounded(passes: float) -> str:
    """Reads of X in three digits, or whole ones."""
    return f"{passes:.3g}" if passes < 100.0 else f"{passes:,.0f}"


@dataclass(frozen=True, slots=True)
class PathState:
    """Where a path stands; what ``on_progress`` receives after every strength.

    Attributes
    ----------
    index, n_lams : int
        The strength just done, counted from 0, and how many there are.
    lam : float
    seconds : float
        Time since the call of `path`.
    dual_gap : float
        Relative duality gap reached, as in `Result`.
    support_size : int
        Non-zero coefficients.
    """

    index: int
    n_lams: int
    lam: float
    seconds: float
    dual_gap: float
    support_size: int


PathCallback = Callable[[PathState], object]


@dataclass(frozen=True, repr=False, eq=False)
class PathResult:
    """The answers of `path`, one for each strength, with their certificates.

    Attributes
    ----------
    lams : ndarray of float64, shape (n_lams,)
        The strengths solved, falling. Fewer than asked for when the path was stopped.
    coefs : scipy.sparse.csc_array of float64, shape (n_features, n_lams)
        Column k holds the coefficients at lams[k].
    intercepts, objectives, dual_gaps, violations : ndarray of float64, shape (n_lams,)
        As in `Result`, at each strength.
    deviance_explained : ndarray of float64, shape (n_lams,)
        1 - loss / loss of the best constant: the (weighted) R^2 on the data of the fit.
    seconds : ndarray of float64, shape (n_lams,)
        Time since the call at which each strength was done.
    n_iter : ndarray of int64, shape (n_lams,)
        Outer steps of the solver.
    status : Status
        CONVERGED when every gap is at most tol; else the first reason why one is not, or why the path stopped.
    solver, reason, tol, conversion
        As in `Result`.
    """

    lams: NDArray[np.float64]
    coefs: Any
    intercepts: NDArray[np.float64]
    objectives: NDArray[np.float64]
    dual_gaps: NDArray[np.float64]
    violations: NDArray[np.float64]
    deviance_explained: NDArray[np.float64]
    seconds: NDArray[np.float64]
    n_iter: NDArray[np.int64]
    status: Status
    solver: str
    reason: str
    tol: float
    conversion: str = ""

    _shapes: ClassVar[dict[str, tuple[str, ...]]] = {
        "coefs": ("n_features", "n_lams"),
        **dict.fromkeys(("lams", "intercepts", "objectives", "dual_gaps", "violations"), ("n_lams",)),
        **dict.fromkeys(("deviance_explained", "seconds", "n_iter"), ("n_lams",)),
    }

    def __len__(self) -> int:
        return len(self.lams)

    @property
    def converged(self) -> bool:
        """Whether every strength asked for was solved to tol."""
        return self.status is Status.CONVERGED

    @property
    def df(self) -> NDArray[np.int64]:
        """Non-zero coefficients at each strength: for the Lasso an unbiased estimate of its degrees of freedom.

        Source: Zou, Hastie and Tibshirani (Ann. Statist. 2007).
        """
        sizes: NDArray[np.int64] = np.diff(self.coefs.indptr).astype(np.int64)
        return sizes

    @property
    def supports(self) -> list[NDArray[np.intp]]:
        """Indices of the non-zero coefficients at each strength, ascending."""
        parts: list[NDArray[np.intp]] = np.split(self.coefs.indices.astype(np.intp), self.coefs.indptr[1:-1])
        return parts if len(self) else []

    def coef(self, k: int) -> NDArray[np.float64]:
        """The coefficients at lams[k] as a dense vector."""
        dense = np.zeros(self.coefs.shape[0])
        k = range(len(self))[k]
        part = slice(self.coefs.indptr[k], self.coefs.indptr[k + 1])
        dense[self.coefs.indices[part]] = self.coefs.data[part]
        return dense

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to an .npz file from which `load` makes the same again, bit for bit.

        Parameters
        ----------
        path : str or path
            Ends in .npz. A file that is there is replaced once the new one is whole.

        Raises
        ------
        l1fast.io.FileError
            A ValueError: the file cannot be written; the message names it and says why.

        Notes
        -----
        ``numpy.load(path)`` shows the numbers and arrays under the names of the attributes and, under "about", the
        text as JSON. ``scipy.sparse.load_npz(path)`` reads the coefficients. Nothing is pickled.
        """
        check_output(path, (".npz",))
        write_whole(path, lambda stream: _saved.save(self, stream))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; nothing is unpickled.

        Raises
        ------
        l1fast.io.FileError
            A ValueError: the file is missing, damaged, holds something else or was written in a layout that a newer
            l1fast introduced. The message names it and says what is wrong.
        """
        return _saved.load(cls, Path(path))

    def __repr__(self) -> str:
        rows = [("status", f"{self.status.name.lower()}: {self.status.value}")]
        if len(self):
            df = self.df
            rows += [
                ("lams", f"{len(self)} from {self.lams[0]:.6g} to {self.lams[-1]:.6g}"),
                ("dual_gap", f"at most {self.dual_gaps.max():.2e} (tol {self.tol:.0e})"),
                ("support", f"{df[0]} to {df[-1]} of {self.coefs.shape[0]} features"),
                ("deviance", f"{self.deviance_explained[0]:.3g} to {self.deviance_explained[-1]:.3g} explained"),
                ("solver", f"{self.solver}, {int(self.n_iter.sum())} iterations"),
                ("reason", self.reason),
                ("seconds", f"{self.seconds[-1]:.3g}"),
            ]
        if self.conversion:
            rows.append(("conversion", self.conversion))
        return "\n".join(["PathResult", *(f"  {name:<11}{text}" for name, text in rows)])


@dataclass(frozen=True, slots=True)
class CVState:
    """Where a cross-validation stands; what ``on_progress`` receives after every strength of every fold.

    Attributes
    ----------
    fold, n_folds : int
        The fold that was at work, counted from 0; folds run side by side.
    sequence, n_sequences : int
        Which of the sequences of strengths.
    index, n_lams : int
        The strength just done in that fold and sequence, counted from 0.
    lam : float
        In units of the whole data.
    dual_gap : float
        Relative duality gap reached, as in `Result`, for the samples of the fold.
    seconds : float
        Time since the call of `cross_validate`.
    """

    fold: int
    n_folds: int
    sequence: int
    n_sequences: int
    index: int
    n_lams: int
    lam: float
    dual_gap: float
    seconds: float


CVCallback = Callable[[CVState], object]


@dataclass(frozen=True, repr=False, eq=False)
class CrossValidation:
    """Test errors of `cross_validate`, with the fits behind them.

    Attributes
    ----------
    lams, l2s : ndarray of float64, shape (n_sequences, n_lams)
        Strengths as asked for, in units of the whole data.
    errors : ndarray of float64, shape (n_sequences, n_lams, n_folds)
        Weighted mean squared errors on the samples left out; NaN where the time ran out before.
    test_weights : ndarray of float64, shape (n_folds,)
        Sum of the sample weights left out in each fold.
    dual_gaps : ndarray of float64, shape (n_sequences, n_lams, n_folds)
        Relative gap of each fit, as in `Result`.
    n_iter : ndarray of int64, shape (n_sequences, n_lams, n_folds)
        Outer steps of the solver.
    paths : list of list of PathResult
        ``paths[sequence][fold]``: coefficients and certificates, at the strengths of the fold (``lams`` times its share
        of the sample weight).
    status : Status
        CONVERGED when every fit reached tol; else the first reason why one did not.
    seconds : float
        Wall-clock time of the whole call.
    solver, reason, tol, conversion
        As in `Result`.
    refit : Result or None
        The fit on all samples at the strength that was picked, when asked for.
    """

    lams: NDArray[np.float64]
    l2s: NDArray[np.float64]
    errors: NDArray[np.float64]
    test_weights: NDArray[np.float64]
    dual_gaps: NDArray[np.float64]
    n_iter: NDArray[np.int64]
    paths: list[list[PathResult]]
    status: Status
    seconds: float
    solver: str
    reason: str
    tol: float
    conversion: str = ""
    refit: Result | None = None

    @property
    def converged(self) -> bool:
        """Whether every fit reached tol."""
        return self.status is Status.CONVERGED

    def mean_errors(self) -> NDArray[np.float64]:
        """Errors averaged over the folds by their test weights, shape (n_sequences, n_lams)."""
        made: NDArray[np.float64] = np.average(self.errors, axis=2, weights=self.test_weights)
        return made

    def __repr__(self) -> str:
        mean = self.mean_errors()
        sequence, index = np.unravel_index(int(np.nanargmin(mean)), mean.shape) if not np.isnan(mean).all() else (0, 0)
        rows = [
            ("status", f"{self.status.name.lower()}: {self.status.value}"),
            ("lams", f"{self.lams.shape[1]} from {self.lams.max():.6g} to {self.lams.min():.6g}"),
            ("folds", str(self.errors.shape[2])),
            ("error", f"{mean[sequence, index]:.6g} at lam {self.lams[sequence, index]:.6g}, the least of the means"),
            ("dual_gap", f"at most {np.nanmax(self.dual_gaps):.2e} (tol {self.tol:.0e})"),
            ("solver", f"{self.solver}, {int(self.n_iter.sum())} iterations"),
            ("reason", self.reason),
            ("seconds", f"{self.seconds:.3g}"),
        ]
        return "\n".join(["CrossValidation", *(f"  {name:<11}{text}" for name, text in rows)])
