/* Stand-ins phi for |u|, each with its slope, and the passes of the methods that use them.
 *
 *   ABS            |u|                                        sign(u), and 0 at 0
 *   HUBER          u^2 / (2 width), |u| - width/2 beyond      clip(u / width, -1, 1)
 *   PSEUDO_HUBER   sqrt(u^2 + width^2)                        u / sqrt(u^2 + width^2)
 *   QUADRATIC      gamma_j u^2 / 2                            gamma_j u               gamma: an array, NULL: 1 / width
 *   POWER          |u|^(1 + width)                            (1 + width) |u|^width sign(u)
 *   POWER_NORM     (sum_j (v_j |u_j|)^(1 + width))^(1 / (1 + width)), which is not a sum over j: l1fast_power_norm makes
 *                  it first, and `norm` carries it here; v_j times the slope is then v_j (v_j |u_j| / norm)^width sign(u)
 *
 * The quadratic is without its constant, 1 / (2 gamma_j). The sums run over blocks (sweep.h).
 */
#ifndef L1FAST_SMOOTH_H
#define L1FAST_SMOOTH_H

#include "prox.h"

enum {
    L1FAST_ABS = 0,
    L1FAST_HUBER = 1,
    L1FAST_PSEUDO_HUBER = 2,
    L1FAST_QUADRATIC = 3,
    L1FAST_POWER = 4,
    L1FAST_POWER_NORM = 5
};

typedef struct {
    int kind;
    double width;
    double norm;            /* POWER_NORM: the norm at the point in question */
    const double *gamma;    /* QUADRATIC: n_features, or NULL */
} l1fast_smoothing;

/* phi and its slope at u, in the names value and slope; s: the smoothing, a = |u|, v: the weight of the coefficient. */
#define L1FAST_PHI_ABS value = a; slope = a > 0.0 ? copysign(1.0, u) : 0.0;
#define L1FAST_PHI_HUBER                                                                                             \
    slope = u * inverse;                                                                                             \
    slope = slope > 1.0 ? 1.0 : slope;                                                                               \
    slope = slope < -1.0 ? -1.0 : slope;                                                                             \
    value = slope * (u - 0.5 * width * slope);
#define L1FAST_PHI_PSEUDO_HUBER /* scaled by the larger one: no square over- or underflows */                         \
    slope = a > width ? width / a : a * inverse;                                                                     \
    value = (a > width ? a : width) * sqrt(1.0 + slope * slope);                                                     \
    slope = u / value;
#define L1FAST_PHI_QUADRATIC slope = (gamma ? gamma[j] : inverse) * u; value = 0.5 * slope * u;
#define L1FAST_PHI_POWER                                                                                             \
    slope = pow(a, width);                                                                                           \
    value = slope * a;                                                                                               \
    slope = copysign((1.0 + width) * slope, u);
#define L1FAST_PHI_POWER_NORM                                                                                        \
    value = 0.0;                                                                                                     \
    slope = norm > 0.0 ? copysign(pow(v * a / norm, width), u) : 0.0;

/* The loop over from <= j < to for the kind of s, with v, u = AT, a, value and slope at hand in DO. */
#define L1FAST_KIND(KIND, AT, DO)                                                                                    \
    case L1FAST_##KIND:                                                                                              \
        for (ptrdiff_t j = from; j < to; j++) {                                                                      \
            const double v = weight ? weight[j] : 1.0, u = AT, a = fabs(u);                                          \
            double value, slope;                                                                                     \
            (void)a;                                                                                                 \
            L1FAST_PHI_##KIND                                                                                        \
            DO                                                                                                       \
        }                                                                                                            \
        break;
#define L1FAST_KINDS(AT, DO)                                                                                         \
    switch (s->kind) {                                                                                               \
        L1FAST_KIND(ABS, AT, DO)                                                                                     \
        L1FAST_KIND(HUBER, AT, DO)                                                                                   \
        L1FAST_KIND(PSEUDO_HUBER, AT, DO)                                                                            \
        L1FAST_KIND(QUADRATIC, AT, DO)                                                                               \
        L1FAST_KIND(POWER, AT, DO)                                                                                   \
        L1FAST_KIND(POWER_NORM, AT, DO)                                                                              \
    }
#define L1FAST_SMOOTHING_NAMES                                                                                       \
    const double width = s->width, inverse = 1.0 / s->width, norm = s->norm;                                         \
    const double *const gamma = s->gamma;                                                                            \
    (void)inverse;                                                                                                   \
    (void)norm;                                                                                                      \
    (void)gamma;

/* out[j] = (add ? out[j] : 0) + v_j (lam phi'(w_j) + l2 w_j);   returns sum_j v_j (lam phi(w_j) + l2/2 w_j^2). */
L1FAST_MAYBE_UNUSED L1FAST_CLONES static double l1fast_slopes(
    const l1fast_smoothing *s, const double *restrict w, double *restrict out, int add, double lam, double l2,
    const double *restrict weight, ptrdiff_t n)
{
    double total[L1FAST_LANES] = {0.0}, term[L1FAST_BLOCK];
    L1FAST_SMOOTHING_NAMES
    if (!add) memset(out, 0, (size_t)n * sizeof(*out));
    for (ptrdiff_t from = 0, to; from < n; from = to) {
        to = from + L1FAST_BLOCK < n ? from + L1FAST_BLOCK : n;
        L1FAST_KINDS(w[j], {
            out[j] += v * (lam * slope + l2 * u);
            term[j - from] = v * (lam * value + 0.5 * l2 * u * u);
        })
        l1fast_add_terms(term, to - from, total);
    }
    if (s->kind == L1FAST_POWER_NORM) total[0] += lam * norm;
    return (total[0] + total[1]) + (total[2] + total[3]);
}

/* The plain gradient step w = argmin_u (dv + lam v phi'(v))'(u - v) + lipschitz/2 |u - v|^2 + l2/2 sum_j v_j u_j^2 within
 * the bounds; the l2 part stays exact, as in the proximal step. v, dv: read; w: written; all of length n. */
L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_slope_step(
    const l1fast_smoothing *s, const double *restrict at, const double *restrict dv, double *restrict w,
    double lipschitz, double lam, double l2, const double *restrict weight, const double *restrict lower,
    const double *restrict upper, ptrdiff_t n)
{
    const ptrdiff_t from = 0, to = n;
    L1FAST_SMOOTHING_NAMES
    L1FAST_KINDS(at[j], {
        (void)value;
        w[j] = (lipschitz * u - dv[j] - lam * v * slope) / (lipschitz + l2 * v);
    })
    if (lower) l1fast_clip(w, lower, upper, n);
}

/* lam sum_j v_j (phi'(end_j) - phi'(start_j)) (end_j - start_j): the curvature of the smoothed penalty along a step. The
 * slopes are subtracted one by one, for steps far smaller than the coefficients. norm_end: the norm at `end`. */
#define L1FAST_RISE(KIND)                                                                                            \
    case L1FAST_##KIND:                                                                                              \
        for (ptrdiff_t j = from; j < to; j++) {                                                                      \
            const double v = weight ? weight[j] : 1.0;                                                               \
            double value, slope, rise;                                                                               \
            {                                                                                                        \
                const double u = end[j], a = fabs(u), norm = norm_end;                                               \
                (void)a;                                                                                             \
                (void)norm;                                                                                          \
                L1FAST_PHI_##KIND                                                                                    \
                rise = slope;                                                                                        \
            }                                                                                                        \
            {                                                                                                        \
                const double u = start[j], a = fabs(u);                                                              \
                (void)a;                                                                                             \
                L1FAST_PHI_##KIND                                                                                    \
                rise -= slope;                                                                                       \
            }                                                                                                        \
            (void)value;                                                                                             \
            term[j - from] = v * rise * (end[j] - start[j]);                                                         \
        }                                                                                                            \
        break;
L1FAST_MAYBE_UNUSED L1FAST_CLONES static double l1fast_slope_rise(
    const l1fast_smoothing *s, double norm_end, const double *restrict end, const double *restrict start, double lam,
    const double *restrict weight, ptrdiff_t n)
{
    double total[L1FAST_LANES] = {0.0}, term[L1FAST_BLOCK];
    L1FAST_SMOOTHING_NAMES
    for (ptrdiff_t from = 0, to; from < n; from = to) {
        to = from + L1FAST_BLOCK < n ? from + L1FAST_BLOCK : n;
        switch (s->kind) {
            L1FAST_RISE(ABS)
            L1FAST_RISE(HUBER)
            L1FAST_RISE(PSEUDO_HUBER)
            L1FAST_RISE(QUADRATIC)
            L1FAST_RISE(POWER)
            L1FAST_RISE(POWER_NORM)
        }
        l1fast_add_terms(term, to - from, total);
    }
    return lam * ((total[0] + total[1]) + (total[2] + total[3]));
}

/* (sum_j (v_j |w_j|)^(1 + width))^(1 / (1 + width)), scaled by the largest term, so that nothing over- or underflows. */
L1FAST_MAYBE_UNUSED static double l1fast_power_norm(double width, const double *w, const double *weight, ptrdiff_t n)
{
    double largest = 0.0, sum = 0.0;
    for (ptrdiff_t j = 0; j < n; j++) {
        const double u = (weight ? weight[j] : 1.0) * fabs(w[j]);
        largest = u > largest ? u : largest;
    }
    if (!(largest > 0.0)) return largest;
    for (ptrdiff_t j = 0; j < n; j++) {
        const double u = (weight ? weight[j] : 1.0) * fabs(w[j]);
        if (u > 0.0) sum += pow(u / largest, 1.0 + width);
    }
    return largest * pow(sum, 1.0 / (1.0 + width));
}

#endif
