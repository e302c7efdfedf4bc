/* The moments of the columns of X, for the pass that also checks X (check.pyx):
 *
 *   square = sum_i s_i x_ij^2,   product = sum_i v_i x_ij,   and, where wanted, sum_i s_i x_ij
 *
 * s and v may be NULL: ones, and a third moment of zero. Each entry is read from memory once for all of them.
 */
#ifndef L1FAST_MOMENTS_H
#define L1FAST_MOMENTS_H

#include "sweep.h"

/* A column: out = square, product, sum. */
#define L1FAST_DENSE_MOMENTS(REAL, NAME)                                                                             \
    L1FAST_CLONES static void l1fast_moments_slice_##NAME(const REAL *restrict x, const double *restrict s,          \
                                                          const double *restrict v, ptrdiff_t n, double *out)        \
    {                                                                                                                \
        double sum[L1FAST_LANES] = {0}, square[L1FAST_LANES] = {0}, product[L1FAST_LANES] = {0};                     \
        ptrdiff_t i = 0;                                                                                             \
        for (; i + L1FAST_LANES <= n; i += L1FAST_LANES)                                                             \
            for (int k = 0; k < L1FAST_LANES; k++) {                                                                 \
                const double u = (double)x[i + k], su = s ? s[i + k] * u : u;                                        \
                sum[k] += su;                                                                                        \
                square[k] += su * u;                                                                                 \
                product[k] += v ? v[i + k] * u : 0.0;                                                                \
            }                                                                                                        \
        for (; i < n; i++) {                                                                                         \
            const double u = (double)x[i], su = s ? s[i] * u : u;                                                    \
            sum[0] += su;                                                                                            \
            square[0] += su * u;                                                                                     \
            product[0] += v ? v[i] * u : 0.0;                                                                        \
        }                                                                                                            \
        out[0] = (square[0] + square[2]) + (square[1] + square[3]);                                                  \
        out[1] = (product[0] + product[2]) + (product[1] + product[3]);                                              \
        out[2] = (sum[0] + sum[2]) + (sum[1] + sum[3]);                                                              \
    }                                                                                                                \
    /* m <= 4 rows at x, x + stride, ...: added to square, product and sum (or NULL), p numbers each. */             \
    L1FAST_CLONES static void l1fast_moments_rows_##NAME(                                                            \
        const REAL *restrict x, ptrdiff_t stride, int m, const double *s, const double *v, double *restrict square,  \
        double *restrict product, double *restrict sum, ptrdiff_t p)                                                 \
    {                                                                                                                \
        double a[4] = {0}, b[4] = {0};                                                                               \
        const REAL *x1 = x + (m > 1 ? stride : 0), *x2 = x + (m > 2 ? 2 * stride : 0),                               \
                   *x3 = x + (m > 3 ? 3 * stride : 0);                                                               \
        for (int k = 0; k < m; k++) {                                                                                \
            a[k] = s ? s[k] : 1.0;                                                                                   \
            b[k] = v ? v[k] : 0.0;                                                                                   \
        }                                                                                                            \
        for (ptrdiff_t j = 0; j < p; j++) {                                                                          \
            const double u0 = (double)x[j], u1 = (double)x1[j], u2 = (double)x2[j], u3 = (double)x3[j];              \
            if (sum) sum[j] += (a[0] * u0 + a[1] * u1) + (a[2] * u2 + a[3] * u3);                                    \
            square[j] += (a[0] * u0 * u0 + a[1] * u1 * u1) + (a[2] * u2 * u2 + a[3] * u3 * u3);                      \
            product[j] += (b[0] * u0 + b[1] * u1) + (b[2] * u2 + b[3] * u3);                                         \
        }                                                                                                            \
    }

L1FAST_DENSE_MOMENTS(float, f)
L1FAST_DENSE_MOMENTS(double, d)

/* Rows of CSR storage add to out[width j] and on, the moments of column j side by side, square first: one line of cache
 * and one vector operation for each entry. width: 2, or 4 when sum_i s_i x_ij is wanted too (the fourth stays 0). */
#if defined(__GNUC__)
#define L1FAST_ADD_MOMENTS(WIDTH, moment, a)                                                                         \
    do {                                                                                                             \
        typedef double vector_ __attribute__((vector_size(8 * WIDTH)));                                              \
        vector_ held_, factor_;                                                                                      \
        memcpy(&held_, (moment), sizeof(held_));                                                                     \
        memcpy(&factor_, (a), sizeof(factor_));                                                                      \
        held_ += factor_ * u;                                                                                        \
        memcpy((moment), &held_, sizeof(held_));                                                                     \
    } while (0)
#else
#define L1FAST_ADD_MOMENTS(WIDTH, moment, a)                                                                         \
    for (int k_ = 0; k_ < WIDTH; k_++) (moment)[k_] += (a)[k_] * u
#endif
#define L1FAST_SPARSE_MOMENTS(REAL, INDEX, NAME)                                                                     \
    static inline void l1fast_moments_slice_##NAME(const REAL *restrict x, const INDEX *restrict index,              \
                                                   const double *restrict s, const double *restrict v, ptrdiff_t n,  \
                                                   int width, double *out)                                           \
    {                                                                                                                \
        double sum = 0.0, square = 0.0, product = 0.0;                                                               \
        for (ptrdiff_t e = 0; e < n; e++) {                                                                          \
            const double u = (double)x[e], si = s ? s[index[e]] : 1.0;                                               \
            sum += si * u;                                                                                           \
            square += si * u * u;                                                                                    \
            product += v ? v[index[e]] * u : 0.0;                                                                    \
        }                                                                                                            \
        out[0] = square;                                                                                             \
        out[1] = product;                                                                                            \
        if (width == 4) {                                                                                            \
            out[2] = sum;                                                                                            \
            out[3] = 0.0;                                                                                            \
        }                                                                                                            \
    }                                                                                                                \
    static inline void l1fast_moments_row_##NAME(const REAL *restrict x, const INDEX *restrict index, double s,      \
                                                 double v, double *restrict out, int width, ptrdiff_t n)             \
    {                                                                                                                \
        if (width == 2)                                                                                              \
            for (ptrdiff_t e = 0; e < n; e++) {                                                                      \
                const double u = (double)x[e], a[2] = {s * u, v};                                                    \
                L1FAST_ADD_MOMENTS(2, out + 2 * (ptrdiff_t)index[e], a);                                             \
            }                                                                                                        \
        else                                                                                                         \
            for (ptrdiff_t e = 0; e < n; e++) {                                                                      \
                const double u = (double)x[e], a[4] = {s * u, v, s, 0.0};                                            \
                L1FAST_ADD_MOMENTS(4, out + 4 * (ptrdiff_t)index[e], a);                                             \
            }                                                                                                        \
    }

L1FAST_SPARSE_MOMENTS(float, int32_t, fi)
L1FAST_SPARSE_MOMENTS(float, int64_t, fl)
L1FAST_SPARSE_MOMENTS(double, int32_t, di)
L1FAST_SPARSE_MOMENTS(double, int64_t, dl)

#endif
