"""
The penalty against the data
============================

A penalty alone makes every coefficient 0. Fitting is a trade-off: the data ask for a value, the *target* a, the
penalty asks for 0, and the strength lam decides between them. For one coefficient,

.. math:: \\text{minimise} \\quad \\frac{1}{2} (w - a)^2 + \\lambda\\, p(w).

With L1 the answer is exactly 0 for every target of at most lam. With L2 it is 0 only if the data ask for 0 themselves.
"""

import matplotlib.pyplot as plt
import numpy as np

import l1fast
from l1fast import penalties, plot

l1, l2 = penalties.L1(), penalties.L2()

# %%
# The objective
# -------------
#
# The minimum of the sum moves towards 0 as lam grows. With L1 it gets there at lam = a and then stays, for the kink
# is the lowest point as long as the slope a of the loss there is at most lam. With L2 it comes nearer and nearer:
#
# .. math::
#
#    w_{L_1} = \operatorname{sign}(a) \max(|a| - \lambda, 0) \qquad\qquad w_{L_2} = \frac{a}{1 + \lambda}

target, lams = 1.0, [0.0, 0.5, 1.0, 2.0]
fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
plot.trade_off(l1, target, lams, ax=axes[0])
plot.trade_off(l2, target, lams, ax=axes[1])
plt.show()

# %%
minima_l1 = [float(l1.prox(np.array([target]), lam)[0]) for lam in lams[1:]]
minima_l2 = [float(l2.prox(np.array([target]), lam)[0]) for lam in lams[1:]]
print("lam", lams[1:])
print("L1 ", minima_l1)
print("L2 ", minima_l2)

# %%
# The minimiser against the target
# --------------------------------
#
# Drawn for all targets, L1's minimiser is flat at 0 for targets from -lam to lam and short of the target by lam
# beyond; L2's is a straight line through 0. The elastic net does both. Huber's stand-in for L1 does not keep the flat
# part: for small targets it is a straight line too, however narrow its parabola.

fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
plot.minimisers(l1, l2, ax=axes[0])
plot.minimisers(l1, penalties.ElasticNet(), penalties.Huber(0.25), ax=axes[1])
plt.show()

# %%
# Steps with data
# ---------------
#
# Walks from 2 in steps of 1/2, with the target 3/4 and lam = 1, where L1's minimiser is 0. The subgradient steps do
# not come to rest: they end in going round from -7/60 to 49/60, 17/60, 1/60 and back. The proximal steps end on 0.
# With L2 the curvature of the sum is 2, so that a step of 1/2 goes straight to a / (1 + lam) = 3/8.

going_round = plot.iterates(l1, 2.0, 0.5, 20, gradient=lambda w: w - 0.75)
landing = plot.iterates(l1, 2.0, 0.5, 20, gradient=lambda w: w - 0.75, proximal=True)
shrunk = plot.iterates(l2, 2.0, 0.5, 20, gradient=lambda w: w - 0.75)
fig, axes = plt.subplots(1, 3, figsize=(12.5, 4.2), layout="constrained")
plot.shrinkage_walk(l1, start=2.0, n_steps=20, target=0.75, ax=axes[0])
plot.shrinkage_walk(l1, start=2.0, n_steps=20, target=0.75, proximal=True, ax=axes[1])
plot.shrinkage_walk(l2, start=2.0, n_steps=20, target=0.75, ax=axes[2])
plt.show()

# %%
print("L1, subgradient steps:", going_round[-5:])
print("L1, proximal steps:   ", landing[-5:])
print("L2, gradient steps:   ", shrunk[-5:])

# %%
# Many coefficients
# -----------------
#
# If the columns of X are orthonormal, every coefficient has a problem of its own, with the target :math:`x_j^T y`. So
# the Lasso of l1fast is the soft threshold of the targets, here of y itself, and the squared penalty divides them all
# by 1 + l2 and makes none of them 0.

y = np.array([3.0, -0.25, 1.0, -2.0, 0.5, 0.0])
lasso = l1fast.solve(np.eye(6), y, lam=1.0).coef
ridge = l1fast.solve(np.eye(6), y, lam=0.0, l2=1.0).coef
print("target", y)
print("L1    ", lasso)
print("L2    ", ridge)
