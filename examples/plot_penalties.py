"""
Penalties and their derivatives
===============================

A penalty pulls every coefficient towards 0 with the force of its derivative. The L1 norm pulls with the same force
wherever the coefficient is, and has a kink at 0; half the sum of squares pulls in proportion to the coefficient, so
hardly at all near 0. That is the whole difference, and the smooth stand-ins for the L1 norm lie between the two.
"""

import matplotlib.pyplot as plt
import numpy as np

from l1fast import penalties, plot

# %%
# L1 and L2
# ---------
#
# .. math:: L_1(w) = \sum_j |w_j| \qquad L_2(w) = \frac{1}{2} \sum_j w_j^2
#
# The derivative of the first is the sign of w. At 0 it jumps from -1 to 1, and every number between them is a
# subgradient: the slope of a line through the kink that lies nowhere above the penalty. The one nearest 0, the dot in
# the picture, is 0 itself. The derivative of the second is w.

l1, l2 = penalties.L1(), penalties.L2()
fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
plot.penalties(l1, l2, axes=axes)
plt.show()

# %%
# The pull at a few points: near 0, that of L1 is a thousand times as strong.

points = np.array([-3.0, -1.0, -0.001, 0.0, 0.001, 1.0, 3.0])
pull_l1, pull_l2 = l1.subgradient(points), l2.subgradient(points)
print("w ", *points)
print("L1", *pull_l1)
print("L2", *pull_l2)

# %%
# Smooth stand-ins for L1
# -----------------------
#
# Gradient methods want a gradient, and each of these has one everywhere:
#
# - ``Huber(mu)`` is a parabola up to mu on either side of 0 and a line beyond; its derivative is w / mu, cut off at
#   -1 and 1;
# - ``PseudoHuber(eps)`` is :math:`\sqrt{w^2 + \epsilon^2}`, above the absolute value everywhere;
# - ``QuadraticBound(gamma)`` is :math:`\frac{1}{2}(\gamma w^2 + 1/\gamma)`, above the absolute value but for the two
#   points 1 / gamma from 0, where it touches;
# - ``PowerNorm(eps, separable=True)`` is :math:`|w|^{1 + \epsilon}`. (The root of the sum that makes a norm of it
#   undoes the power where there is one coefficient.)

stand_ins = {
    "Huber, mu = 0.5": penalties.Huber(0.5),
    "PseudoHuber, eps = 0.5": penalties.PseudoHuber(0.5),
    "QuadraticBound, gamma = 1": penalties.QuadraticBound(1.0),
    "PowerNorm, eps = 0.25": penalties.PowerNorm(0.25, separable=True),
}
fig, axes = plt.subplots(1, 2, figsize=(12.5, 4), layout="constrained")
plot.penalties(l1, *stand_ins.values(), axes=axes)
plt.show()

# %%
# How far from L1
# ---------------
#
# What a stand-in adds to the absolute value, or takes from it. Huber's takes mu / 2 away from all but the small
# coefficients, the root adds eps at 0 and ever less away from it, the parabola and the power run away from the
# absolute value for large coefficients.

grid = np.linspace(-2.0, 2.0, 401)
gaps = {name: np.array([p.value(np.array([w])) - abs(w) for w in grid]) for name, p in stand_ins.items()}
fig, ax = plt.subplots(figsize=(8.5, 4), layout="constrained")
for name, gap in gaps.items():
    ax.plot(grid, gap, label=name)
ax.set_xlabel("w")
ax.set_ylabel("stand-in minus |w|")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %%
# ``distance`` knows these bounds: for one coefficient of at most 2 in absolute value, no stand-in goes further below
# or above than this. Narrower widths bring it down to 0, and make the derivative at 0 steeper at the same rate: the
# smaller the error, the shorter the steps of a gradient method have to be.

bounds = {name: p.distance(1, radius=2.0) for name, p in stand_ins.items()}
for name, (below, above) in bounds.items():
    print(f"{name:25} at most {below:.4f} below and {above:.4f} above")

# %%

widths = [1.0, 0.1, 0.01, 0.001]
errors = [penalties.Huber(mu).smoothing_error(1) for mu in widths]
curvatures = [penalties.Huber(mu).curvature for mu in widths]
for mu, error, curvature in zip(widths, errors, curvatures, strict=True):
    print(f"Huber, mu = {mu:5g}: error {error:6g}, curvature {curvature:g}")
