"""Estimators for users of scikit-learn: its names, its units, its rules, on the solvers of l1fast.

    minimise over w, b:   1/(2 S) sum_i s_i (y_i - x_i'w - b)^2 + alpha sum_j v_j (r |w_j| + (1 - r)/2 w_j^2)

with S = sum_i s_i (n_samples without weights), r = ``l1_ratio`` and v = ``penalty_factor``.
"""

from __future__ import annotations

try:
    import sklearn as _sklearn
except ImportError as error:
    raise ImportError(
        f"l1fast.estimators needs scikit-learn: python -m pip install 'l1fast[sklearn]' ({error})"
    ) from error

from l1fast.estimators._adaptive import AdaptiveLasso, AdaptiveLassoCV
from l1fast.estimators._cv import ElasticNetCV, LassoCV
from l1fast.estimators._information import LassoIC
from l1fast.estimators._linear import ElasticNet, Lasso
from l1fast.estimators._multitask import (
    MultiTaskElasticNet,
    MultiTaskElasticNetCV,
    MultiTaskLasso,
    MultiTaskLassoCV,
)
from l1fast.estimators._paths import enet_path, lasso_path
from l1fast.estimators._relaxed import RelaxedLasso, RelaxedLassoCV
from l1fast.estimators._stability import StabilitySelection

del _sklearn

__all__ = [
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
]
