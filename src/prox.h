/* Vector kernels of the proximal methods, one pass each.
 *
 *   soft(a, t) = sign(a) max(|a| - t, 0),   the proximal operator of t|.|
 *
 * Written so that NaN stays NaN, and compiled for several instruction sets like the loops of sweep.h.
 */
#ifndef L1FAST_PROX_H
#define L1FAST_PROX_H

#include "sweep.h"

static inline double l1fast_soft(double a, double t)
{
    const double m = fabs(a) - t;
    return m < 0.0 ? 0.0 : copysign(m, a);
}

#define L1FAST_SOFT_THRESHOLD(REAL, NAME, FABS, COPYSIGN)                                                            \
    L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_soft_threshold_##NAME(const REAL *x, REAL t, REAL *out,     \
                                                                               ptrdiff_t n)                          \
    {                                                                                                                \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                          \
            const REAL m = FABS(x[i]) - t;                                                                           \
            out[i] = COPYSIGN(m < 0 ? (REAL)0 : m, x[i]);                                                            \
        }                                                                                                            \
    }

L1FAST_SOFT_THRESHOLD(float, f, fabsf, copysignf)
L1FAST_SOFT_THRESHOLD(double, d, fabs, copysign)

/* One proximal-gradient step from the extrapolated point
 *
 *   v     = w + beta (w - w_old)            dv = g + beta (g - g_old)       (the gradient of a quadratic is affine)
 *   w_new = argmin_u  dv'(u - v) + lipschitz/2 |u - v|^2 + sum_j v_j (lam |u_j| + l2/2 u_j^2),   lower <= u <= upper
 *
 * momentum_step: w_old receives w_new (read and written), v and dv are written, w, g and g_old are read.
 * prox_step: the same from v and dv as they are, into w. All have length n.
 * weight: penalty weights v_j, or NULL for ones. lower, upper: bounds, or both NULL for none. */
static inline double l1fast_prox_entry(double v, double dv, double lipschitz, double lam, double l2, double weight)
{
    return l1fast_soft(lipschitz * v - dv, lam * weight) / (lipschitz + l2 * weight);
}

/* In a loop of its own: the loop without bounds stays one that compilers turn into vector instructions. */
static inline void l1fast_clip(double *restrict w, const double *restrict lower, const double *restrict upper,
                               ptrdiff_t n)
{
    for (ptrdiff_t j = 0; j < n; j++) {
        const double u = w[j] < lower[j] ? lower[j] : w[j];
        w[j] = u > upper[j] ? upper[j] : u;
    }
}

L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_prox_step(
    const double *restrict v, const double *restrict dv, double *restrict w, double lipschitz, double lam, double l2,
    const double *restrict weight, const double *restrict lower, const double *restrict upper, ptrdiff_t n)
{
    for (ptrdiff_t j = 0; j < n; j++)
        w[j] = l1fast_prox_entry(v[j], dv[j], lipschitz, lam, l2, weight ? weight[j] : 1.0);
    if (lower) l1fast_clip(w, lower, upper, n);
}

/* v and dv alone. */
L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_momentum_point(
    const double *restrict w, const double *restrict w_old, const double *restrict g, const double *restrict g_old,
    double *restrict v, double *restrict dv, double beta, ptrdiff_t n)
{
    for (ptrdiff_t j = 0; j < n; j++) {
        v[j] = w[j] + beta * (w[j] - w_old[j]);
        dv[j] = g[j] + beta * (g[j] - g_old[j]);
    }
}

L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_momentum_step(
    const double *restrict w, double *restrict w_old, const double *restrict g, const double *restrict g_old,
    double *restrict v, double *restrict dv, double beta, double lipschitz, double lam, double l2,
    const double *restrict weight, const double *restrict lower, const double *restrict upper, ptrdiff_t n)
{
    for (ptrdiff_t j = 0; j < n; j++) {
        v[j] = w[j] + beta * (w[j] - w_old[j]);
        dv[j] = g[j] + beta * (g[j] - g_old[j]);
        w_old[j] = l1fast_prox_entry(v[j], dv[j], lipschitz, lam, l2, weight ? weight[j] : 1.0);
    }
    if (lower) l1fast_clip(w_old, lower, upper, n);
}

/* What the step shows once the gradient g_new at w_new is known:
 *   out[0] = |w_new - v|^2                       length of the step
 *   out[1] = (w_new - v)'(g_new - dv)            = |X (w_new - v)|^2, its curvature
 *   out[2] = (v - w_new)'(w_new - w)             > 0: momentum points uphill, restart */
L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_step_products(
    const double *restrict w_new, const double *restrict w, const double *restrict v, const double *restrict g_new,
    const double *restrict dv, ptrdiff_t n, double *restrict out)
{
    double length = 0.0, curvature = 0.0, uphill = 0.0;
    ptrdiff_t j = 0;
#if defined(__GNUC__)
    l1fast_lanes sum0 = {0}, sum1 = {0}, sum2 = {0}, new_, a, b;
    for (; j + L1FAST_LANES <= n; j += L1FAST_LANES) {
        L1FAST_LOAD_d(new_, w_new + j);
        L1FAST_LOAD_d(a, v + j);
        a = new_ - a;
        sum0 += a * a;
        L1FAST_LOAD_d(b, w + j);
        sum2 -= a * (new_ - b);
        L1FAST_LOAD_d(new_, g_new + j);
        L1FAST_LOAD_d(b, dv + j);
        sum1 += a * (new_ - b);
    }
    length = L1FAST_ADD_LANES(sum0);
    curvature = L1FAST_ADD_LANES(sum1);
    uphill = L1FAST_ADD_LANES(sum2);
#endif
    for (; j < n; j++) {
        const double step = w_new[j] - v[j];
        length += step * step;
        curvature += step * (g_new[j] - dv[j]);
        uphill -= step * (w_new[j] - w[j]);
    }
    out[0] = length;
    out[1] = curvature;
    out[2] = uphill;
}

#endif
