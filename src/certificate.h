/* The sums of certificate.pxd for the penalty lam ||w||_1 alone: no weights, no bounds, no l2. Every w_j counts. */
#ifndef L1FAST_CERTIFICATE_H
#define L1FAST_CERTIFICATE_H

#include "sweep.h"

/* out[0] = sum_j |w_j|,  out[1] = -w'g,  out[2] = max_j distance of -g_j to the subdifferential of lam |.| at w_j. */
L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_plain_sums(
    const double *restrict w, const double *restrict g, double lam, ptrdiff_t n, double *restrict out)
{
    double size[L1FAST_LANES] = {0.0}, inner[L1FAST_LANES] = {0.0}, term[3][L1FAST_BLOCK], most = 0.0;
    for (ptrdiff_t from = 0, count; from < n; from += count) {
        count = n - from < L1FAST_BLOCK ? n - from : L1FAST_BLOCK;
        for (ptrdiff_t k = 0; k < count; k++) {
            const double u = w[from + k], c = -g[from + k], outside = fabs(c) - lam;
            const double distance = u != 0.0 ? c - copysign(lam, u) : outside > 0.0 ? outside : 0.0;
            term[0][k] = fabs(u);
            term[1][k] = u * c;
            term[2][k] = distance;
        }
        l1fast_add_terms(term[0], count, size);
        l1fast_add_terms(term[1], count, inner);
        term[2][0] = fabs(term[2][0]) > most ? term[2][0] : most;
        most = l1fast_largest(term[2], count);
    }
    out[0] = (size[0] + size[1]) + (size[2] + size[3]);
    out[1] = (inner[0] + inner[1]) + (inner[2] + inner[3]);
    out[2] = most;
}

/* sum_j (lam |w_j| + w_j t g_j), each term at least 0: t keeps |t g_j| <= lam but for rounding. */
L1FAST_MAYBE_UNUSED L1FAST_CLONES static double l1fast_plain_gap(
    const double *restrict w, const double *restrict g, double lam, double t, ptrdiff_t n)
{
    double total[L1FAST_LANES] = {0.0}, term[L1FAST_BLOCK];
    for (ptrdiff_t from = 0, count; from < n; from += count) {
        count = n - from < L1FAST_BLOCK ? n - from : L1FAST_BLOCK;
        for (ptrdiff_t k = 0; k < count; k++) {
            const double gap = lam * fabs(w[from + k]) + w[from + k] * (t * g[from + k]);
            term[k] = gap < 0.0 ? 0.0 : gap; /* NaN stays NaN */
        }
        l1fast_add_terms(term, count, total);
    }
    return (total[0] + total[1]) + (total[2] + total[3]);
}

#endif
