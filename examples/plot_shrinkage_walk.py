"""
Why L1 gives exact zeros and L2 does not
========================================

A single coefficient starts at 5 and walks down its penalty, with nothing else to pull at it:

.. math:: w_{k+1} = w_k - \\eta\\, p'(w_k)

L1's derivative is the sign of w: every step has the same length, and a walk whose steps add up to the distance ends
at 0. L2's derivative is w: the steps become shorter as 0 comes near, and it stays out of reach.
"""

import matplotlib.pyplot as plt

from l1fast import penalties, plot

l1, l2 = penalties.L1(), penalties.L2()

# %%
# Steps of one half
# -----------------
#
# With :math:`\eta = \frac{1}{2}`, L1 takes half a unit off in every step: 10 steps from 5 to exactly 0, where its
# subgradient of least norm is 0 and the walk rests. L2 halves the coefficient in every step.

walk_l1 = plot.iterates(l1, 5.0, 0.5, 10)
walk_l2 = plot.iterates(l2, 5.0, 0.5, 10)
fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
plot.shrinkage_walk(l1, start=5.0, step=0.5, n_steps=10, ax=axes[0])
plot.shrinkage_walk(l2, start=5.0, step=0.5, n_steps=10, ax=axes[1])
plt.show()

# %%
print("L1:", *walk_l1)
print("L2:", *walk_l2)

# %%
# How long is "for ever"?
# -----------------------
#
# On a logarithmic scale L2's walk is a straight line, :math:`5 \cdot 2^{-k}`; L1's ends after step 9, for 0 has no
# place on such a scale. L2's does not even end where the floating-point numbers do: it comes to rest at the smallest
# of them, about 5e-324, since half of that is rounded to 0, and so is the step.

forever = plot.iterates(l2, 5.0, 0.5, 1100)
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.semilogy(walk_l1[:10], "o-", markersize=4, label="L1: exactly 0 from step 10 on")
ax.semilogy(forever[:41], "o-", markersize=4, label="L2: never 0")
ax.set_xlabel("step")
ax.set_ylabel("w")
ax.legend()
plt.show()

# %%
for k in (10, 100, 1000, 1100):
    print(f"L2 after {k} steps: {forever[k]:.4g}")

# %%
# Long steps
# ----------
#
# L2 can reach 0 too, in the one case of a step of exactly 1, which takes the whole coefficient off at once. A longer
# one overshoots and changes the sign each time: with a step below 2 the coefficient still shrinks, at 2 it swings
# between 5 and -5, and beyond 2 it grows.

one = plot.iterates(l2, 5.0, 1.0, 3)
overshooting = plot.iterates(l2, 5.0, 1.5, 10)
swinging = plot.iterates(l2, 5.0, 2.0, 10)
growing = plot.iterates(l2, 5.0, 2.5, 4)
fig, axes = plt.subplots(1, 3, figsize=(12.5, 4), layout="constrained")
plot.shrinkage_walk(l2, step=1.0, n_steps=3, ax=axes[0])
plot.shrinkage_walk(l2, step=1.5, n_steps=10, ax=axes[1])
plot.shrinkage_walk(l2, step=2.5, n_steps=4, ax=axes[2])
plt.show()

# %%
# Steps that do not fit
# ---------------------
#
# That L1's walk met 0 was luck: 5 is ten times one half. Steps of three quarters pass it and then swing between 1/2 and
# -1/4 for ever. The *proximal* step of L1 has the same length but stops at 0: it moves to
#
# .. math::
#
#    \operatorname{argmin}_u \; \frac{1}{2} (u - w_k)^2 + \eta |u| = \operatorname{sign}(w_k) \max(|w_k| - \eta, 0),
#
# the soft threshold of :math:`w_k`, exactly 0 for every coefficient of at most :math:`\eta`.

missing = plot.iterates(l1, 5.0, 0.75, 12)
landing = plot.iterates(l1, 5.0, 0.75, 12, proximal=True)
fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
plot.shrinkage_walk(l1, step=0.75, n_steps=12, ax=axes[0])
plot.shrinkage_walk(l1, step=0.75, n_steps=12, proximal=True, ax=axes[1])
plt.show()

# %%
# Rounding alone is enough to miss: fifty steps of 0.1 should lead from 5 to 0, but 0.1 is not a binary fraction.
# The subgradient walk misses 0 by its rounding errors, and its next step leads a whole 0.1 past it; the proximal one
# ends at 0. L2's proximal step divides by :math:`1 + \eta`, and no step, however long, makes a 0 of that.

rounded = plot.iterates(l1, 5.0, 0.1, 60)
rounded_proximal = plot.iterates(l1, 5.0, 0.1, 60, proximal=True)
divided = plot.iterates(l2, 5.0, 1000.0, 10, proximal=True)
print("L1, subgradient steps:", rounded[-2:])
print("L1, proximal steps:   ", rounded_proximal[-2:])
print("L2, proximal steps:   ", divided[-2:])
