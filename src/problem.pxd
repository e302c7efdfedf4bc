"""The problem that every kernel works on, and its gradient.

    F(w, b) = 1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2)

With an intercept, y arrives centred and b is eliminated: b(w) = -mean'w with s-weighted means, so that q sums to zero
and X is never centred in memory. At every line below

    q = s (Xw + b - y),   g = X'q - mean sum(q) = gradient of the datafit,   loss = 1/2 sum_i s_i (x_i'w + b - y_i)^2

A Problem is made by `check.pack_problem` alone, from storage that it has verified, and handed on as a capsule.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from matrix cimport (MatrixView, axpy_slices, dense_axpy4, dense_axpy_segment, dense_dot4, dot_slices, entry_index,
                     entry_value, n_features, n_samples, part_begin, slice_axpy, slice_dot, slice_start)
from penalty cimport Penalty

cdef extern from "sweep.h" nogil:
    double gradient_rows_fi "l1fast_gradient_rows_fi"(
        const float* x, const int32_t* index, const void* starts, bint wide_starts, Py_ssize_t first, Py_ssize_t last,
        const double* w, double b, const double* y, const double* s, double* q, double* g)
    double gradient_rows_fl "l1fast_gradient_rows_fl"(
        const float* x, const int64_t* index, const void* starts, bint wide_starts, Py_ssize_t first, Py_ssize_t last,
        const double* w, double b, const double* y, const double* s, double* q, double* g)
    double gradient_rows_di "l1fast_gradient_rows_di"(
        const double* x, const int32_t* index, const void* starts, bint wide_starts, Py_ssize_t first, Py_ssize_t last,
        const double* w, double b, const double* y, const double* s, double* q, double* g)
    double gradient_rows_dl "l1fast_gradient_rows_dl"(
        const double* x, const int64_t* index, const void* starts, bint wide_starts, Py_ssize_t first, Py_ssize_t last,
        const double* w, double b, const double* y, const double* s, double* q, double* g)


cdef struct Problem:
    MatrixView X
    const double* y                 # n_samples
    const double* sample_weight     # s, n_samples; NULL: ones
    const double* mean              # s-weighted column means, n_features; NULL: no intercept
    double total_weight             # sum_i s_i
    const double* norm2             # sum_i s_i (x_ij - mean_j)^2, n_features
    Penalty penalty


cdef inline const Problem* problem_of(object capsule) except NULL:
    return <const Problem*> PyCapsule_GetPointer(capsule, b"l1fast.Problem")


cdef inline double intercept_of(const Problem* P, const double* w) noexcept nogil:
    """The best b for w and a centred y; 0 without an intercept."""
    cdef double b = 0.0
    cdef Py_ssize_t j
    if P.mean == NULL:
        return b
    for j in range(n_features(&P.X)):
        b -= P.mean[j] * w[j]
    return b


cdef inline double residual_entry(const Problem* P, Py_ssize_t i, double prediction, double* q) noexcept nogil:
    """q_i = s_i (prediction - y_i); returns s_i (prediction - y_i)^2."""
    cdef double error = prediction - P.y[i]
    q[i] = error if P.sample_weight == NULL else P.sample_weight[i] * error
    return q[i] * error


cdef inline double gradient_of_rows(const Problem* P, const double* w, double b, Py_ssize_t first, Py_ssize_t last,
                                    double* q, double* g) noexcept nogil:
    """g += sum over rows first <= i < last of q_i x_i, for storage by rows; returns their part of 2 loss.

    Each row is read from memory once: it is still in cache when its q_i is known.
    """
    cdef const MatrixView* X = &P.X
    if not X.sparse:
        return gradient_of_dense_rows(P, w, b, first, last, q, g)
    if X.wide_indices:
        if X.single:
            return gradient_rows_fl(<const float*> X.values, <const int64_t*> X.indices, X.starts, X.wide_starts,
                                    first, last, w, b, P.y, P.sample_weight, q, g)
        return gradient_rows_dl(<const double*> X.values, <const int64_t*> X.indices, X.starts, X.wide_starts, first,
                                last, w, b, P.y, P.sample_weight, q, g)
    if X.single:
        return gradient_rows_fi(<const float*> X.values, <const int32_t*> X.indices, X.starts, X.wide_starts, first,
                                last, w, b, P.y, P.sample_weight, q, g)
    return gradient_rows_di(<const double*> X.values, <const int32_t*> X.indices, X.starts, X.wide_starts, first,
                            last, w, b, P.y, P.sample_weight, q, g)


cdef inline double gradient_of_dense_rows(const Problem* P, const double* w, double b, Py_ssize_t first,
                                          Py_ssize_t last, double* q, double* g) noexcept nogil:
    """The same for dense rows, by fours; the next four are fetched while these are added up."""
    cdef double prediction[4]
    cdef Py_ssize_t four[4]
    cdef Py_ssize_t i = first, k
    cdef double loss2 = 0.0
    while i + 4 <= last:
        dense_dot4(&P.X, i, w, prediction, 0)
        for k in range(4):
            four[k] = i + k
            loss2 += residual_entry(P, i + k, prediction[k] + b, q)
        dense_axpy4(&P.X, four, q + i, 0, P.X.length, g, 4 if i + 8 <= last else 0)
        i += 4
    while i < last:
        loss2 += residual_entry(P, i, slice_dot(&P.X, i, w) + b, q)
        slice_axpy(&P.X, i, q[i], g)
        i += 1
    return loss2


cdef inline void clear(double* v, Py_ssize_t n) noexcept nogil:
    if n > 0:
        memset(v, 0, n * sizeof(double))


cdef inline double gradient(const Problem* P, const double* w, double* q, double* g, double* scratch,
                            int n_threads) noexcept nogil:
    """Fill q (n_samples) and g (n_features), both written; return the loss.

    By rows: one read of X. By columns: one read, and one more of the columns with w_j != 0.
    scratch: n_threads x (n_features + 1) numbers, written; not used by one thread.
    """
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t n = n_samples(X), p = n_features(X), i, j
    cdef double b = intercept_of(P, w)
    cdef double loss2 = 0.0, total = 0.0
    cdef double* loss_part = scratch + n_threads * p
    cdef int t
    if X.by_rows:
        if n_threads == 1:
            clear(g, p)
            loss2 = gradient_of_rows(P, w, b, 0, n, q, g)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static"):
                clear(scratch + t * p, p)
                loss_part[t] = gradient_of_rows(P, w, b, part_begin(X, t, n_threads),
                                                part_begin(X, t + 1, n_threads), q, scratch + t * p)
            for t in prange(n_threads, num_threads=n_threads, schedule="static"):
                add_parts(scratch, n_threads, p, p * t // n_threads, p * (t + 1) // n_threads, g)
            for t in range(n_threads):
                loss2 += loss_part[t]
    else:
        for i in range(n):
            q[i] = b
        if n_threads == 1 or X.sparse:
            axpy_slices(X, w, q)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static"):
                dense_axpy_segment(X, w, n * t // n_threads, n * (t + 1) // n_threads, q)
        for i in range(n):
            loss2 += residual_entry(P, i, q[i], q)
        if n_threads == 1:
            dot_slices(X, 0, p, q, g)
        else:
            for t in prange(n_threads, num_threads=n_threads, schedule="static"):
                dot_slices(X, part_begin(X, t, n_threads), part_begin(X, t + 1, n_threads), q, g)
    if P.mean != NULL:
        for i in range(n):
            total += q[i]
        for j in range(p):                                  # a constant column has no say: b stands for it
            g[j] = g[j] - P.mean[j] * total if P.norm2[j] != 0.0 else 0.0
        loss2 -= centre(P, total, q)
        if loss2 < 0.0:
            loss2 = 0.0
    return 0.5 * loss2


cdef inline double centre(const Problem* P, double total, double* q) noexcept nogil:
    """Move b by what is left of total = sum(q): q sums to 0 to the last digits, however far X lies from 0.

    Returns what that takes from 2 loss.
    """
    cdef double shift = total / P.total_weight
    cdef Py_ssize_t i
    for i in range(n_samples(&P.X)):
        q[i] -= shift if P.sample_weight == NULL else shift * P.sample_weight[i]
    return shift * total


cdef inline void add_column(const Problem* P, Py_ssize_t j, double a, double* q) noexcept nogil:
    """q += a s x_j, for storage by columns."""
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t e
    if P.sample_weight == NULL:
        slice_axpy(X, j, a, q)
    elif X.sparse:
        for e in range(slice_start(X, j), slice_start(X, j + 1)):
            q[entry_index(X, e)] += a * P.sample_weight[entry_index(X, e)] * entry_value(X, e)
    else:
        for e in range(X.length):
            q[e] += a * P.sample_weight[e] * entry_value(X, j * X.stride + e)


cdef inline void add_parts(const double* parts, Py_ssize_t n_parts, Py_ssize_t p, Py_ssize_t first, Py_ssize_t last,
                           double* g) noexcept nogil:
    """g[j] = sum over the rows of parts (n_parts x p), in their order."""
    cdef Py_ssize_t j, t
    for j in range(first, last):
        g[j] = parts[j]
        for t in range(1, n_parts):
            g[j] += parts[t * p + j]
