"""l1fast: fast, certified solvers for L1-regularised least squares.

minimise over w, b:   1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2)
"""

from __future__ import annotations

from typing import Any

try:
    from l1fast._kernels import check as _check
except ImportError as error:  # a source tree, or a build for another Python
    raise ImportError(
        "the compiled kernels of l1fast are missing: install the package (python -m pip install .) and do not import "
        f"it from its own source folder ({error})"
    ) from error

from l1fast import penalties
from l1fast._compare import Comparison, ComparisonRow, compare
from l1fast._cross_validation import cross_validate
from l1fast._descent import HuberDescent, Subgradient
from l1fast._homotopy import Homotopy
from l1fast._irls import IRLS
from l1fast._lbfgs import LBFGS
from l1fast._path import path
from l1fast._prox import soft_threshold
from l1fast._proximal import FISTA, ISTA, AcceleratedGradient, Gradient
from l1fast._result import (
    ConvergenceWarning,
    CrossValidation,
    CVState,
    History,
    PathResult,
    PathState,
    Result,
    State,
    Status,
)
from l1fast._row_blocks import RowBlocks
from l1fast._solve import lam_max, solve
from l1fast._tasks import TaskPathResult, TaskResult, lam_max_tasks, path_tasks, solve_tasks
from l1fast._working_set import CD

del _check

__all__ = [
    "CD",
    "FISTA",
    "IRLS",
    "ISTA",
    "LBFGS",
    "AcceleratedGradient",
    "CVState",
    "Comparison",
    "ComparisonRow",
    "ConvergenceWarning",
    "ConversionState",
    "CrossValidation",
    "Gradient",
    "History",
    "Homotopy",
    "HuberDescent",
    "Manifest",
    "PathResult",
    "PathState",
    "Result",
    "RowBlocks",
    "State",
    "Status",
    "Subgradient",
    "TaskPathResult",
    "TaskResult",
    "compare",
    "convert",
    "cross_validate",
    "from_csr_parts",
    "from_npy_memmap",
    "lam_max",
    "lam_max_tasks",
    "open_blocks",
    "path",
    "path_tasks",
    "penalties",
    "soft_threshold",
    "solve",
    "solve_tasks",
]


ESTIMATORS = (
    "AdaptiveLasso",
    "AdaptiveLassoCV",
    "ElasticNet",
    "ElasticNetCV",
    "Lasso",
    "LassoCV",
    "LassoIC",
    "MultiTaskElasticNet",
    "MultiTaskElasticNetCV",
    "MultiTaskLasso",
    "MultiTaskLassoCV",
    "RelaxedLasso",
    "RelaxedLassoCV",
    "StabilitySelection",
    "enet_path",
    "lasso_path",
)
"""Names of `l1fast.estimators` that are also reached as l1fast.NAME; they need scikit-learn, imported at first use."""

ELSEWHERE = {
    "ConversionState": "_convert",
    "Manifest": "_stores",
    "convert": "_convert",
    "from_csr_parts": "_stores",
    "from_npy_memmap": "_stores",
    "open_blocks": "_stores",
}
"""Public names of modules that are imported at first use."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("l1fast")
    if name in ESTIMATORS:
        from l1fast import estimators

        return getattr(estimators, name)
    if name in ELSEWHERE:
        from importlib import import_module

        return getattr(import_module(f"l1fast.{ELSEWHERE[name]}"), name)
    raise AttributeError(f"module 'l1fast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *ESTIMATORS, *ELSEWHERE})
