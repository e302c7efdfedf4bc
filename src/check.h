/* The facts that one pass over untrusted storage must establish; see check.pyx.
 * Flat loops without early exit, so that they run at memory speed; the offender is looked up only when one exists. */
#ifndef L1FAST_CHECK_H
#define L1FAST_CHECK_H

#include "sweep.h"

enum { L1FAST_CHECK_LANES = 16 };

/* all_finite: 0 * x is 0 for a finite x and NaN otherwise. */
#define L1FAST_ALL_FINITE(REAL, NAME)                                                                                \
    L1FAST_CLONES static int l1fast_all_finite_##NAME(const REAL *x, ptrdiff_t n)                                    \
    {                                                                                                                \
        REAL lane[L1FAST_CHECK_LANES] = {0}, sum = 0;                                                                \
        ptrdiff_t i = 0;                                                                                             \
        for (; i + L1FAST_CHECK_LANES <= n; i += L1FAST_CHECK_LANES)                                                 \
            for (int k = 0; k < L1FAST_CHECK_LANES; k++) lane[k] += x[i + k] * (REAL)0;                              \
        for (; i < n; i++) lane[0] += x[i] * (REAL)0;                                                                \
        for (int k = 0; k < L1FAST_CHECK_LANES; k++) sum += lane[k];                                                 \
        return sum == (REAL)0;                                                                                       \
    }

L1FAST_ALL_FINITE(float, f)
L1FAST_ALL_FINITE(double, d)

/* in_range: every index in [0, limit).  descents: how many positions e >= 1 have index[e] <= index[e - 1]. */
#define L1FAST_INDEX_CHECKS(INDEX, UNSIGNED, NAME)                                                                   \
    L1FAST_CLONES static int l1fast_in_range_##NAME(const INDEX *index, ptrdiff_t n, UNSIGNED limit)                 \
    {                                                                                                                \
        UNSIGNED bad = 0;                                                                                            \
        for (ptrdiff_t e = 0; e < n; e++) bad |= (UNSIGNED)((UNSIGNED)index[e] >= limit);                            \
        return !bad;                                                                                                 \
    }                                                                                                                \
    L1FAST_CLONES static ptrdiff_t l1fast_descents_##NAME(const INDEX *index, ptrdiff_t n)                           \
    {                                                                                                                \
        ptrdiff_t count = 0;                                                                                         \
        for (ptrdiff_t e = 1; e < n; e++) count += index[e] <= index[e - 1];                                         \
        return count;                                                                                                \
    }

L1FAST_INDEX_CHECKS(int32_t, uint32_t, i)
L1FAST_INDEX_CHECKS(int64_t, uint64_t, l)

#endif
