"""A Newton step on the blocks of a working set that are not zero.

F(W) = 1/2 tr(W'G W) - ... + sum_k (l1_k ||W_k|| + l2_k/2 ||W_k||^2) is smooth there, with the Hessian

    H(D) = G D + l2 D + a (D - u (u'D)),   a_k = l1_k / ||W_k||,  u_k = W_k / ||W_k||       (row by row but for G D)

Its system is solved by conjugate gradients. Without the terms a u u', one direction in each block, it is the same
matrix for all tasks: M = G + diag(a + l2), whose Cholesky factor is the preconditioner; M >= H, so that few steps are
needed. H is damped by a part of diag(G) (Levenberg, 1944). A block that would pass through 0 ends there: descent lets
it move again. The step is halved until F falls.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l1fast._patience import FLOPS_A_COPY, patiently

Array = NDArray[np.float64]

MOST_PRODUCTS = 30
"""Steps of conjugate gradients for one Newton step, at most."""

FORCING = 0.1
"""What they leave of the residual, in the norm of the preconditioner."""

HALVINGS = 5
"""Before a step is given up; the damping rises then."""

SUFFICIENT = 1e-4
"""Part of the decrease that the slope promises, at least (Armijo, 1966)."""

LEAST_DAMPING, MOST_DAMPING = 1e-12, 1.0


def step(gram: Array, l1: Array, l2: Array, w: Array, g: Array, loss: float, damping: float) -> tuple[float, float]:
    """One damped step from w and its gradient g, both n_tasks x size and updated; returns (loss, next damping).

    gram : size x size; l1, l2 : size, v lam and v l2. Cost: m^3 / 3 flops for m blocks that are not 0, and for each
    step of conjugate gradients 4 m^2 n_tasks.
    """
    from scipy.linalg.lapack import dpotrs

    norm = np.sqrt(np.einsum("tk,tk->k", w, w))
    support = np.flatnonzero(norm)
    if not support.size:
        return loss, damping
    part = np.ascontiguousarray(gram[np.ix_(support, support)]) if len(support) < len(norm) else gram
    inside, size = w[:, support], norm[support]
    a, ridge, unit = l1[support] / size, l2[support], inside / size
    diagonal = a + ridge + damping * part.diagonal()
    damped = part.copy()
    damped.flat[:: len(support) + 1] += diagonal
    try:
        found = patiently(lambda: np.linalg.cholesky(damped), len(support) ** 3 / FLOPS_A_COPY)
    except np.linalg.LinAlgError:
        return loss, min(max(100.0 * damping, LEAST_DAMPING), MOST_DAMPING)

    def product(d: Array) -> Array:
        made: Array = d @ part + diagonal * d - a * np.einsum("tk,tk->k", unit, d) * unit
        return made

    def precondition(r: Array) -> Array:
        made: Array = dpotrs(found.T, r.T, lower=0)[0].T
        return made

    slope = g[:, support] + ridge * inside + l1[support] * unit
    r, d = -slope, np.zeros(inside.shape)
    z = precondition(r)
    search, rz = z, float(np.vdot(r, z))
    enough = FORCING**2 * rz
    for _ in range(MOST_PRODUCTS):
        image = product(search)
        curvature = float(np.vdot(search, image))
        if not curvature > 0.0:
            break
        d += rz / curvature * search
        r -= rz / curvature * image
        z = precondition(r)
        rz, before = float(np.vdot(r, z)), rz
        if rz <= enough:
            break
        search = z + rz / before * search
    value = float(l1[support] @ size + 0.5 * ridge @ (size * size))
    share = 1.0
    for _ in range(HALVINGS):
        made = inside + share * d
        made[:, np.einsum("tk,tk->k", made, inside) <= 0.0] = 0.0
        moved = made - inside
        change = moved @ gram[support, : len(norm)]
        square = np.einsum("tk,tk->k", made, made)
        gained = float(np.vdot(moved, g[:, support] + 0.5 * change[:, support]))
        fallen = gained + float(l1[support] @ np.sqrt(square) + 0.5 * ridge @ square) - value
        if fallen <= SUFFICIENT * float(np.vdot(moved, slope)) and fallen < 0.0:
            w[:, support] = made
            g += change
            return loss + gained, max(0.1 * damping, LEAST_DAMPING) if share == 1.0 else damping
        share *= 0.5
    return loss, min(10.0 * damping, MOST_DAMPING)
