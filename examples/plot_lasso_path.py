"""
A path, from one feature to many
================================

How large is a package of Debian? The data have 63,540 packages and 22,090 words, dependencies and tags of each; the
target is the logarithm of the installed size. At a large strength of the penalty

.. math:: \\frac{1}{2} \\sum_i (x_i^T w + b - y_i)^2 + \\lambda \\lVert w \\rVert_1

every coefficient is 0. As :math:`\\lambda` falls, one feature after the other comes in, and the path of solutions tells
in which order.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

import l1fast
from l1fast import plot

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()
with np.load(here / "data" / "debian-words.npz", allow_pickle=False) as file:
    X = sp.csr_array((file["data"], file["indices"], file["indptr"]), shape=tuple(file["shape"]))
    y = file["y"]
    names = file["feature_names"].tobytes().decode().split("\n")

# %%
# Sixty strengths, each solved to a certified gap
# -----------------------------------------------

path = l1fast.path(X, y, n_lams=60, lam_min_ratio=0.02, fit_intercept=True)
print("largest relative gap below tol:", path.dual_gaps.max() <= path.tol)
print("features at the last strength:", path.df[-1])
print(f"explained there: {path.deviance_explained[-1]:.3f}")

# %%
# The path
# --------
#
# The ten features with the largest coefficients at the weak end have their names there; all others are thin. The axis
# on top has the number of features so far.

fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
plot.LassoPathDisplay.from_path(path, feature_names=names, ax=ax)
plt.show()

# %%
# Which come first
# ----------------
#
# Large at the end is not early on the way: a feature of few packages has little to say in all, and may have a large
# coefficient for those. Three of the ten named above are among the first ten to come in, which are in more packages.

counts = np.diff(X.tocsc().indptr)
first = np.full(len(names), len(path))
for k in reversed(range(len(path))):
    first[path.supports[k]] = k
last = np.abs(path.coef(len(path) - 1))
early = np.lexsort((-last, first))[:10]
large = np.argsort(-last)[:10]
for j in early:
    sign = "larger" if path.coef(first[j])[j] > 0.0 else "smaller"
    share = path.lams[first[j]] / path.lams[0]
    print(f"{names[j]:<20} {sign:<8} from {share:.3f} lam_max on, in {counts[j]:,} packages")
print(f"in the median {np.median(counts[early]):,.0f} packages; the ten named above: {np.median(counts[large]):,.0f}")
print("in both:", *sorted(names[j] for j in np.intersect1d(early, large)))

# %%
# Against what is explained
# -------------------------
#
# The same path with the part of the variance explained on the horizontal axis: half of what the last strength explains
# takes less than a tenth of its features.

fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
plot.LassoPathDisplay.from_path(path, feature_names=names, ax=ax, against="deviance", n_named=6)
plt.show()

# %%
half = int(np.argmax(path.deviance_explained >= 0.5 * path.deviance_explained[-1]))
print(f"half of it takes {path.df[half]} features of {path.df[-1]}")
