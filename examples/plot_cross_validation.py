"""
How strong? Cross-validation and the rule of one standard error
===============================================================

The strength of the penalty is chosen on data that the fit has not seen: the rows are cut into folds, each fold is
predicted from the others, at every strength of a path. ``LassoCV`` of ``l1fast.estimators`` does that with the names
and the units of scikit-learn, in which the objective is

.. math:: \\frac{1}{2n} \\sum_i (x_i^T w + b - y_i)^2 + \\alpha \\lVert w \\rVert_1.

The data: 442 patients with diabetes, ten measurements of each, and how far the disease had come a year later.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from l1fast import plot
from l1fast.estimators import LassoCV

X, y = load_diabetes(return_X_y=True, as_frame=True)

# %%
# Two choices
# -----------
#
# The smallest mean error is one answer. But its own error is known only up to the spread of the folds, and models
# within one standard error of it are as good as can be told. The rule of one standard error takes the one of them with
# the strongest penalty, which has the fewest features (Breiman, Friedman, Olshen and Stone 1984).

model = LassoCV(cv=10, tol=1e-8, keep_path=True).fit(X, y)
fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
display = plot.CVDisplay.from_estimator(model, ax=ax)
plt.show()

# %%
best, simple = display.minimum, display.one_se
for k in (best, simple):
    print(f"alpha {display.strengths[k]:.4f}, error {display.means[k]:.1f}, {display.support_sizes[k]} features")
print(f"standard error at the minimum: {display.standard_errors[best]:.1f}")

# %%
# Both on the path
# ----------------
#
# Three features lie between the two choices.

fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
path = plot.LassoPathDisplay.from_estimator(model, ax=ax)
plt.show()

# %%
at = np.searchsorted(-model.path_alphas_, [-model.alpha_1se_, -model.alpha_min_])
kept, full = ({X.columns[j] for j in np.flatnonzero(model.coef_path_[:, k])} for k in at)
print("chosen by both:", *sorted(kept & full))
print("only by the minimum:", *sorted(full - kept))
