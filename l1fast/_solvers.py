"""The solvers by name, and the table that chooses one."""

from __future__ import annotations

import difflib

from l1fast._descent import HuberDescent, Subgradient
from l1fast._homotopy import Homotopy
from l1fast._irls import IRLS
from l1fast._lbfgs import LBFGS
from l1fast._monitor import Solver
from l1fast._problem import Problem
from l1fast._proximal import FISTA, ISTA, AcceleratedGradient, Gradient
from l1fast._working_set import CD

KINDS: tuple[type[Solver], ...] = (
    *(CD, Homotopy, FISTA, ISTA, AcceleratedGradient, Gradient),
    *(HuberDescent, IRLS, LBFGS, Subgradient),
)
SOLVERS = {kind.name: kind for kind in KINDS}


def named(solver: object) -> tuple[Solver, str]:
    """The solver that a name or a settings object stands for."""
    if isinstance(solver, str) and solver in SOLVERS:
        return SOLVERS[solver](), "asked for by name"
    if isinstance(solver, KINDS):
        return solver, "given as a settings object"
    near = difflib.get_close_matches(solver, SOLVERS, n=1) if isinstance(solver, str) else []
    hint = f"did you mean {near[0]!r}? Choose" if near else "choose"
    known = ", ".join(["'auto'", *(repr(name) for name in SOLVERS)])
    raise ValueError(f"solver is {solver!r}; {hint} one of {known}, or an object such as l1fast.FISTA()")


def choose(problem: Problem, cold: bool = True) -> tuple[Solver, str]:
    """The solver for a problem, and the reason in a sentence.

    Above FEW_SAMPLES coordinate descent is fastest in 14 of 15 cases (five problems, three strengths, to a gap of
    1e-6). FISTA is ahead, by 1.3x, on a dense 50000 x 500 at lam_max / 1000 alone: too little to rest a rule on.

    cold : nothing is known of the solution; from a good start coordinate descent has less to do, and the homotopy could
    begin anywhere but on its path.
    """
    n, p = problem.shape
    if not problem.has_columns:
        return FISTA(), f"X is a linear operator, which cd and the homotopy cannot read by columns; {n} x {p}"
    if problem.elsewhere:
        return CD(), f"fewest reads of X, which is in blocks of rows; {n} x {p}"
    if cold and n <= FEW_SAMPLES and problem.penalty.l2 == 0.0 and Homotopy.suits(problem.penalty):
        return Homotopy(), f"fastest on nearly every problem measured with at most {FEW_SAMPLES} samples; {n} x {p}"
    measured = "every sparse" if problem.design.sparse else "nearly every dense"
    return CD(), f"fastest on {measured} problem measured; {n} x {p}"


def refuse_unfit(solver: Solver, problem: Problem) -> None:
    """Raise if a solver needs more of X than a problem in blocks of rows, or of a linear operator, has to give."""
    if problem.elsewhere and isinstance(solver, Homotopy | IRLS):
        cure = "'cd'" if problem.has_columns else "'fista'"
        raise ValueError(f"{solver.name} needs X in memory, which is in blocks of rows; ask for solver={cure}")
    if not problem.near and isinstance(solver, Subgradient):
        raise ValueError("subgradient needs the residual at every step, which is far away; ask for solver='fista'")
    if not problem.has_columns and isinstance(solver, CD):
        raise ValueError("cd needs the columns of X, which a linear operator does not have; ask for solver='fista'")


FEW_SAMPLES = 150
"""Samples up to which the homotopy is chosen: ahead of coordinate descent in nearly every case, dense or sparse.

Measured to a gap of 1e-6 on 10 x 8 to 150 x 10000: 1.1 to 3 times at lam_max / 10, 1.1 to 12 times at lam_max / 1000,
seldom behind and by 0.15 ms at most. Its steps cost more with every coefficient of the support, so it loses ground with
more samples (at 200 x 400 and 300 x 600 it is often behind, at 500 x 5000 mostly), and with l2 > 0, where the support
can grow beyond them.
"""
