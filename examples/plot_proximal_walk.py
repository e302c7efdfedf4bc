"""
Proximal steps against gradients
================================

Two coefficients, a least-squares loss and an L1 penalty:

.. math:: \\text{minimise} \\quad \\frac{1}{2} \\|Xw - y\\|^2 + \\lambda \\|w\\|_1

The second coefficient of the solution is exactly 0. Three walks look for it: subgradient steps on the objective as it
is, gradient steps on a smooth stand-in, and proximal steps, which take the gradient of the loss alone and leave the
penalty to the soft threshold.
"""

import matplotlib.pyplot as plt
import numpy as np

import l1fast
from l1fast import penalties, plot

# %%
# A problem that can be solved by hand
# ------------------------------------
#
# With :math:`X^T X = \begin{pmatrix} 2 & 1 \\ 1 & 2 \end{pmatrix}`, :math:`X^T y = (3, 5/4)` and lam = 1, take w =
# (1, 0): the gradient of the loss is (-1, -1/4). A coefficient that is not 0 needs an entry of -lam times its sign,
# and one that is 0 an entry between -lam and lam; so w is the solution. Its objective is 49/32.

X = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
y = np.array([1.0, 2.0, 0.25])
lam = 1.0


def gradient(w):
    """The gradient of the loss."""
    return X.T @ (X @ w - y)


def objective(w):
    """The loss and the penalty."""
    residual = y - X @ w
    return 0.5 * residual @ residual + lam * np.abs(w).sum()


solution = l1fast.solve(X, y, lam)
print(solution.coef, solution.objective)

# %%
# Three walks
# -----------
#
# All start at (-1, 3/2), with steps of 1 / L for the L that bounds the curvature: the largest eigenvalue of
# :math:`X^T X`, 3, for the loss, and lam / mu more for the stand-in, Huber's with mu = 0.1. The subgradient has no L;
# it gets the step of the loss.

start = [-1.0, 1.5]
huber = penalties.Huber(0.1)
curvature = np.linalg.eigvalsh(X.T @ X).max()
step, huber_step = 1.0 / curvature, 1.0 / (curvature + lam * huber.curvature)
walks = {
    "subgradient": plot.iterates(penalties.L1(), start, step, 60, lam=lam, gradient=gradient),
    "Huber gradient": plot.iterates(huber, start, huber_step, 300, lam=lam, gradient=gradient),
    "proximal": plot.iterates(penalties.L1(), start, step, 60, lam=lam, gradient=gradient, proximal=True),
}
fig, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
plot.contours(objective, walks, ax=axes[0])
plot.contours(objective, walks, limits=((0.6, 1.1), (-0.2, 0.55)), ax=axes[1])
plt.show()

# %%
# On the right the end of the walks, larger. The proximal walk is on the axis from its fourth step on and stays there.
# The subgradient walk zigzags across the axis: there the slope jumps from -5/4 to 3/4 or so, however near the axis
# is, and steps of a fixed length go as far as ever. The Huber walk is smooth and comes to rest near the axis but not
# on it, where the stand-in has its minimum: with :math:`w_1 > \mu` and :math:`|w_2| \le \mu` its gradient is 0 at
#
# .. math:: w_2 = \frac{1/4}{3/2 + 1/\mu}, \qquad w_1 = 1 - \frac{w_2}{2}.

errors = {name: objective(walk[-1]) - 49 / 32 for name, walk in walks.items()}
for name, walk in walks.items():
    first, second = walk[-1]
    print(f"{name:15} w = ({first:.6f}, {second:.6f}), {errors[name]:.2g} above the minimum, w_2 == 0: {second == 0.0}")

# %%
# Step by step
# ------------
#
# The objective above its minimum. Proximal steps reach the limit of rounding; the stand-in stops at what it costs to
# smooth the kink, and a subgradient step of a fixed length need not go down at all.

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, walk in walks.items():
    heights = np.array([objective(w) for w in walk]) - 49 / 32
    ax.semilogy(np.where(heights > 0.0, heights, np.nan), label=name)
ax.set_xlim(0, 60)
ax.set_xlabel("step")
ax.set_ylabel("objective above the minimum")
ax.legend()
plt.show()
