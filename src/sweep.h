/* Inner loops over one slice of X (a column or a row) or over a few at a time.
 *
 * X keeps its own precision (REAL is float or double); every other vector and every sum is double.
 * Sums run in LANES independent partial sums: this fixes the order of the additions (the same bits on every
 * call) and lets the compiler use vector instructions without -ffast-math.
 *
 * Dense loops are compiled for several instruction sets where the platform can choose at load time.
 * Nothing here allocates, and no array is read outside the lengths given.
 */
#ifndef L1FAST_SWEEP_H
#define L1FAST_SWEEP_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__x86_64__) && defined(__gnu_linux__) \
    && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define L1FAST_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define L1FAST_CLONES
#endif

#if defined(__GNUC__)
#define L1FAST_MAYBE_UNUSED __attribute__((unused))
#else
#define L1FAST_MAYBE_UNUSED
#endif

enum { L1FAST_LANES = 16 };

static inline double l1fast_add_half(const double *lane)
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static inline double l1fast_add_lanes(const double *lane)
{
    double half[L1FAST_LANES / 2];
    for (int k = 0; k < L1FAST_LANES / 2; k++) half[k] = lane[k] + lane[k + L1FAST_LANES / 2];
    return l1fast_add_half(half);
}

/* Dense slices. dot: x'v.  axpy: v += a x.  dot4, axpy4: four slices at once, so that v is read once for all. */
#define L1FAST_DENSE(REAL, NAME)                                                                                     \
    L1FAST_MAYBE_UNUSED L1FAST_CLONES static double l1fast_dot_##NAME(const REAL *restrict x,                        \
                                                                      const double *restrict v, ptrdiff_t n)         \
    {                                                                                                                \
        double lane[L1FAST_LANES] = {0.0};                                                                           \
        ptrdiff_t i = 0;                                                                                             \
        for (; i + L1FAST_LANES <= n; i += L1FAST_LANES)                                                             \
            for (int k = 0; k < L1FAST_LANES; k++) lane[k] += (double)x[i + k] * v[i + k];                           \
        for (; i < n; i++) lane[0] += (double)x[i] * v[i];                                                           \
        return l1fast_add_lanes(lane);                                                                               \
    }                                                                                                                \
    L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_axpy_##NAME(double a, const REAL *restrict x,               \
                                                                     double *restrict v, ptrdiff_t n)                \
    {                                                                                                                \
        for (ptrdiff_t i = 0; i < n; i++) v[i] += a * (double)x[i];                                                  \
    }                                                                                                                \
    L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_dot4_##NAME(                                                \
        const REAL *restrict x0, const REAL *restrict x1, const REAL *restrict x2, const REAL *restrict x3,          \
        const double *restrict v, ptrdiff_t n, double *restrict out)                                                 \
    {                                                                                                                \
        enum { W = L1FAST_LANES / 2 };                                                                               \
        double lane0[W] = {0.0}, lane1[W] = {0.0}, lane2[W] = {0.0}, lane3[W] = {0.0};                               \
        ptrdiff_t i = 0;                                                                                             \
        for (; i + W <= n; i += W)                                                                                   \
            for (int k = 0; k < W; k++) {                                                                            \
                const double u = v[i + k];                                                                           \
                lane0[k] += (double)x0[i + k] * u;                                                                   \
                lane1[k] += (double)x1[i + k] * u;                                                                   \
                lane2[k] += (double)x2[i + k] * u;                                                                   \
                lane3[k] += (double)x3[i + k] * u;                                                                   \
            }                                                                                                        \
        for (; i < n; i++) {                                                                                         \
            lane0[0] += (double)x0[i] * v[i];                                                                        \
            lane1[0] += (double)x1[i] * v[i];                                                                        \
            lane2[0] += (double)x2[i] * v[i];                                                                        \
            lane3[0] += (double)x3[i] * v[i];                                                                        \
        }                                                                                                            \
        out[0] = l1fast_add_half(lane0);                                                                             \
        out[1] = l1fast_add_half(lane1);                                                                             \
        out[2] = l1fast_add_half(lane2);                                                                             \
        out[3] = l1fast_add_half(lane3);                                                                             \
    }                                                                                                                \
    L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_axpy4_##NAME(                                               \
        const double *restrict a, const REAL *restrict x0, const REAL *restrict x1, const REAL *restrict x2,         \
        const REAL *restrict x3, double *restrict v, ptrdiff_t n)                                                    \
    {                                                                                                                \
        const double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];                                                     \
        for (ptrdiff_t i = 0; i < n; i++)                                                                            \
            v[i] += (a0 * (double)x0[i] + a1 * (double)x1[i]) + (a2 * (double)x2[i] + a3 * (double)x3[i]);           \
    }

/* Weighted squares about a centre, for column norms. square_slice: sum_i s[i] (x[i] - m)^2 of one column.
 * square_spread: out[j] += s (x[j] - m[j])^2 for one row. s and m may be NULL: ones and zeros. */
#define L1FAST_DENSE_SQUARES(REAL, NAME)                                                                             \
    L1FAST_MAYBE_UNUSED static double l1fast_square_slice_##NAME(const REAL *x, const double *s, double m,           \
                                                                 ptrdiff_t n)                                        \
    {                                                                                                                \
        double lane[L1FAST_LANES] = {0.0};                                                                           \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                          \
            const double u = (double)x[i] - m;                                                                       \
            lane[i % L1FAST_LANES] += (s ? s[i] : 1.0) * u * u;                                                      \
        }                                                                                                            \
        return l1fast_add_lanes(lane);                                                                               \
    }                                                                                                                \
    L1FAST_MAYBE_UNUSED static void l1fast_square_spread_##NAME(double s, const REAL *x, const double *m,            \
                                                                double *restrict out, ptrdiff_t n)                   \
    {                                                                                                                \
        if (m)                                                                                                       \
            for (ptrdiff_t j = 0; j < n; j++) out[j] += s * ((double)x[j] - m[j]) * ((double)x[j] - m[j]);           \
        else                                                                                                         \
            for (ptrdiff_t j = 0; j < n; j++) out[j] += s * (double)x[j] * (double)x[j];                             \
    }

L1FAST_DENSE(float, f)
L1FAST_DENSE(double, d)
L1FAST_DENSE_SQUARES(float, f)
L1FAST_DENSE_SQUARES(double, d)

/* Sparse slices: n stored entries x[e] at positions index[e]; v is gathered from or scattered to. */
#define L1FAST_SPARSE(REAL, INDEX, NAME)                                                                             \
    static inline double l1fast_gather_##NAME(const REAL *restrict x, const INDEX *restrict index,                   \
                                              const double *restrict v, ptrdiff_t n)                                 \
    {                                                                                                                \
        double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0;                                                               \
        ptrdiff_t e = 0;                                                                                             \
        for (; e + 4 <= n; e += 4) {                                                                                 \
            s0 += (double)x[e] * v[index[e]];                                                                        \
            s1 += (double)x[e + 1] * v[index[e + 1]];                                                                \
            s2 += (double)x[e + 2] * v[index[e + 2]];                                                                \
            s3 += (double)x[e + 3] * v[index[e + 3]];                                                                \
        }                                                                                                            \
        for (; e < n; e++) s0 += (double)x[e] * v[index[e]];                                                         \
        return (s0 + s1) + (s2 + s3);                                                                                \
    }                                                                                                                \
    static inline void l1fast_scatter_##NAME(double a, const REAL *restrict x, const INDEX *restrict index,          \
                                             double *restrict v, ptrdiff_t n)                                        \
    {                                                                                                                \
        for (ptrdiff_t e = 0; e < n; e++) v[index[e]] += a * (double)x[e];                                           \
    }

/* The same squares over stored entries; the weight of the entries seen is added up apart, so that the caller can
 * add the implied zeros, (total weight - seen) m^2, without a difference of large numbers. */
#define L1FAST_SPARSE_SQUARES(REAL, INDEX, NAME)                                                                     \
    static inline double l1fast_square_slice_##NAME(const REAL *x, const INDEX *index, const double *s, double m,    \
                                                    ptrdiff_t n, double *seen)                                       \
    {                                                                                                                \
        double sum = 0.0, weight = 0.0;                                                                              \
        for (ptrdiff_t e = 0; e < n; e++) {                                                                          \
            const double u = (double)x[e] - m, si = s ? s[index[e]] : 1.0;                                           \
            sum += si * u * u;                                                                                       \
            weight += si;                                                                                            \
        }                                                                                                            \
        *seen = weight;                                                                                              \
        return sum;                                                                                                  \
    }                                                                                                                \
    static inline void l1fast_square_spread_##NAME(double s, const REAL *x, const INDEX *index, const double *m,     \
                                                   double *restrict out, double *restrict seen, ptrdiff_t n)         \
    {                                                                                                                \
        for (ptrdiff_t e = 0; e < n; e++) {                                                                          \
            const double u = (double)x[e] - (m ? m[index[e]] : 0.0);                                                 \
            out[index[e]] += s * u * u;                                                                              \
            if (m) seen[index[e]] += s;                                                                              \
        }                                                                                                            \
    }

L1FAST_SPARSE(float, int32_t, fi)
L1FAST_SPARSE(float, int64_t, fl)
L1FAST_SPARSE(double, int32_t, di)
L1FAST_SPARSE(double, int64_t, dl)
L1FAST_SPARSE_SQUARES(float, int32_t, fi)
L1FAST_SPARSE_SQUARES(float, int64_t, fl)
L1FAST_SPARSE_SQUARES(double, int32_t, di)
L1FAST_SPARSE_SQUARES(double, int64_t, dl)

#endif
