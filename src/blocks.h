/* One slice of X against all tasks at once: V has a row of n_tasks numbers for each place of the slice.
 *
 *   dot_tasks    out[t] = sum_e x[e] V[index[e], t]          axpy_tasks    V[index[e], t] += x[e] a[t]
 *
 * Tasks are taken up to WIDE at a time, in a loop made for each number of them: their sums stay in registers and no
 * short inner loop is left. Dense slices have no index: place e is entry e. */
#ifndef L1FAST_BLOCKS_H
#define L1FAST_BLOCKS_H

#include "sweep.h"

enum { L1FAST_TASKS_AT_ONCE = 16 };

#define L1FAST_DOT_RUN(LENGTH)                                                                                       \
    for (ptrdiff_t e = 0; e < n; e++) {                                                                              \
        const double u = (double)x[e], *restrict row = v + L1FAST_PLACE(e) * n_tasks + first;                        \
        for (ptrdiff_t t = 0; t < (LENGTH); t++) sum[t] += u * row[t];                                               \
    }
#define L1FAST_AXPY_RUN(LENGTH)                                                                                      \
    for (ptrdiff_t e = 0; e < n; e++) {                                                                              \
        const double u = (double)x[e];                                                                               \
        double *restrict row = v + L1FAST_PLACE(e) * n_tasks + first;                                                \
        for (ptrdiff_t t = 0; t < (LENGTH); t++) row[t] += u * part[t];                                              \
    }
#define L1FAST_BLOCK_VERBS(REAL, INDEX, NAME)                                                                        \
    L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_dot_tasks_##NAME(                                           \
        const REAL *restrict x, const INDEX *restrict index, const double *restrict v, ptrdiff_t n,                  \
        ptrdiff_t n_tasks, double *restrict out)                                                                     \
    {                                                                                                                \
        (void)index;                                                                                                 \
        for (ptrdiff_t first = 0; first < n_tasks; first += L1FAST_TASKS_AT_ONCE) {                                  \
            const ptrdiff_t left = n_tasks - first, count = left < L1FAST_TASKS_AT_ONCE ? left                       \
                                                                                        : L1FAST_TASKS_AT_ONCE;      \
            double sum[L1FAST_TASKS_AT_ONCE] = {0.0};                                                                \
            L1FAST_BY_LENGTH(L1FAST_DOT_RUN, count)                                                                  \
            for (ptrdiff_t t = 0; t < count; t++) out[first + t] = sum[t];                                           \
        }                                                                                                            \
    }                                                                                                                \
    L1FAST_MAYBE_UNUSED L1FAST_CLONES static void l1fast_axpy_tasks_##NAME(                                          \
        const double *restrict a, const REAL *restrict x, const INDEX *restrict index, double *restrict v,           \
        ptrdiff_t n, ptrdiff_t n_tasks)                                                                              \
    {                                                                                                                \
        (void)index;                                                                                                 \
        for (ptrdiff_t first = 0; first < n_tasks; first += L1FAST_TASKS_AT_ONCE) {                                  \
            const ptrdiff_t left = n_tasks - first, count = left < L1FAST_TASKS_AT_ONCE ? left                       \
                                                                                        : L1FAST_TASKS_AT_ONCE;      \
            double part[L1FAST_TASKS_AT_ONCE];                                                                       \
            for (ptrdiff_t t = 0; t < count; t++) part[t] = a[first + t];                                            \
            L1FAST_BY_LENGTH(L1FAST_AXPY_RUN, count)                                                                 \
        }                                                                                                            \
    }

#define L1FAST_PLACE(e) (e)
L1FAST_BLOCK_VERBS(float, int32_t, f)
L1FAST_BLOCK_VERBS(double, int32_t, d)
#undef L1FAST_PLACE
#define L1FAST_PLACE(e) ((ptrdiff_t)index[e])
L1FAST_BLOCK_VERBS(float, int32_t, fi)
L1FAST_BLOCK_VERBS(float, int64_t, fl)
L1FAST_BLOCK_VERBS(double, int32_t, di)
L1FAST_BLOCK_VERBS(double, int64_t, dl)
#undef L1FAST_PLACE

#endif
