"""What tests/golden/glmnet.R wrote, and how a problem of glmnet is said in the words of `l1fast.solve`."""

import json
import math
from functools import cache
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden" / "glmnet.json"


@cache
def golden():
    """What tests/golden/glmnet.R wrote."""
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def from_glmnet(case, X, y, weights):
    """The columns' scales and our arguments for a case of glmnet, which minimises over b0, b (Gaussian family).

        1/2 sum_i a_i (y_i - b0 - x_i'b)^2 + lambda sum_j f_j (alpha t_j |b_j| + (1 - alpha)/2 t_j^2 b_j^2 / sd)

    with sum_i a_i = 1; t_j the standard deviation (with 1/n) of column j if standardize, else 1; f scaled to a mean of
    1; and sd that of y about its mean, or about 0 without an intercept. It divides y, lambda and b by sd first, which
    leaves the Lasso as it is but not the square: the cases with alpha < 1 fail without that factor.
    Ours is that times n = sum of the weights, for the columns x_j / t_j.
    """
    s = np.array(weights, dtype=float) if "weights" in case else np.ones(len(y))
    n, intercept = s.sum(), case["intercept"]
    centre = np.average(X, axis=0, weights=s) if intercept else np.zeros(X.shape[1])
    scales = np.sqrt(np.average((X - centre) ** 2, axis=0, weights=s)) if case["standardize"] else np.ones(X.shape[1])
    spread = math.sqrt(np.average((y - (np.average(y, weights=s) if intercept else 0.0)) ** 2, weights=s))
    factor = np.array(case.get("penalty.factor", np.ones(X.shape[1])), dtype=float)
    options = {
        "lam": n * case["lambda"] * case["alpha"],
        "l2": n * case["lambda"] * (1 - case["alpha"]) / spread,
        "fit_intercept": intercept,
        "penalty_weights": factor * len(factor) / factor.sum(),
    }
    if "weights" in case:
        options["sample_weight"] = s
    limits = [np.array(case[name]) * scales if name in case else None for name in ("lower.limits", "upper.limits")]
    if any(limit is not None for limit in limits):
        options["bounds"] = tuple(limits)
    return scales, options
