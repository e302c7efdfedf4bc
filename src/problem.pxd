"""The problem that every kernel works on, and its gradient.

    F(w, b) = 1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2)

With an intercept, y arrives centred and b is eliminated: b(w) = -mean'w with s-weighted means, so that q sums to zero
and X is never centred in memory. At every line below

    q = s (Xw + b - y),   g = X'q - mean sum(q) = gradient of the datafit,   loss = 1/2 sum_i s_i (x_i'w + b - y_i)^2

A Problem is made by `check.pack_problem` alone, from storage that it has verified, and handed on as a capsule.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from matrix cimport (MatrixView, dense_axpy4, dense_dot4, entry_index, entry_value, fetches_ahead, n_features,
                     n_samples, part_begin, slice_axpy, slice_dot, slice_start)
from passes cimport MOST_PARTS, axpys, clear, dots, stored_entries, sum_parts
from penalty cimport Penalty
from smoothing cimport Smoothing, slopes
from team cimport Team, range_begin, range_parts, run

cdef extern from "prox.h" nogil:
    void clip "l1fast_clip"(double* w, const double* lower, const double* upper, Py_ssize_t n)
    void add "l1fast_axpy_d"(double a, const double* x, double* v, Py_ssize_t n)

cdef extern from "sweep.h" nogil:
    double gradient_rows_fi "l1fast_gradient_rows_fi"(
        const float* x, const int32_t* index, const void* starts, bint wide_starts, bint runs, Py_ssize_t first,
        Py_ssize_t last, const double* w, double b, const double* y, const double* s, double* q, double* g)
    double gradient_rows_fl "l1fast_gradient_rows_fl"(
        const float* x, const int64_t* index, const void* starts, bint wide_starts, bint runs, Py_ssize_t first,
        Py_ssize_t last, const double* w, double b, const double* y, const double* s, double* q, double* g)
    double gradient_rows_di "l1fast_gradient_rows_di"(
        const double* x, const int32_t* index, const void* starts, bint wide_starts, bint runs, Py_ssize_t first,
        Py_ssize_t last, const double* w, double b, const double* y, const double* s, double* q, double* g)
    double gradient_rows_dl "l1fast_gradient_rows_dl"(
        const double* x, const int64_t* index, const void* starts, bint wide_starts, bint runs, Py_ssize_t first,
        Py_ssize_t last, const double* w, double b, const double* y, const double* s, double* q, double* g)


cdef struct Problem:
    MatrixView X
    const double* y                 # n_samples
    const double* sample_weight     # s, n_samples; NULL: ones
    const double* mean              # s-weighted column means, n_features; NULL: no intercept
    double total_weight             # sum_i s_i
    const double* norm2             # sum_i s_i (x_ij - mean_j)^2, n_features
    Penalty penalty
    const Team* team                # who shares out the passes
    int n_threads                   # how many threads at most
    void* oracle                    # a Python callable(w, g, q) -> loss for an X that is elsewhere; NULL: X is here
    Py_ssize_t oracle_rows          # how many numbers of q it fills


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
                                    X.runs, first, last, w, b, P.y, P.sample_weight, q, g)
        return gradient_rows_dl(<const double*> X.values, <const int64_t*> X.indices, X.starts, X.wide_starts, X.runs,
                                first, last, w, b, P.y, P.sample_weight, q, g)
    if X.single:
        return gradient_rows_fi(<const float*> X.values, <const int32_t*> X.indices, X.starts, X.wide_starts, X.runs,
                                first, last, w, b, P.y, P.sample_weight, q, g)
    return gradient_rows_di(<const double*> X.values, <const int32_t*> X.indices, X.starts, X.wide_starts, X.runs,
                            first, last, w, b, P.y, P.sample_weight, q, g)


cdef inline double gradient_of_dense_rows(const Problem* P, const double* w, double b, Py_ssize_t first,
                                          Py_ssize_t last, double* q, double* g) noexcept nogil:
    """The same for dense rows, by fours; the next four are fetched while these are added up."""
    cdef double prediction[4]
    cdef Py_ssize_t four[4]
    cdef Py_ssize_t i = first, k, ahead = fetches_ahead(&P.X)
    cdef double loss2 = 0.0
    while i + 4 <= last:
        dense_dot4(&P.X, i, w, prediction, 0)
        for k in range(4):
            four[k] = i + k
            loss2 += residual_entry(P, i + k, prediction[k] + b, q)
        dense_axpy4(&P.X, four, q + i, 0, P.X.length, g, ahead if i + 8 <= last else 0)
        i += 4
    while i < last:
        loss2 += residual_entry(P, i, slice_dot(&P.X, i, w) + b, q)
        slice_axpy(&P.X, i, q[i], g)
        i += 1
    return loss2


cdef struct Sweep:
    const Problem* P
    const Smoothing* S              # NULL: the gradient of the datafit alone
    const double* w
    double b
    double* q
    double* g
    double* sums                    # by rows: (n_sums - 1) x n_features, what parts 1 .. n_sums - 1 add to g
    Py_ssize_t n_parts              # of the job at hand
    Py_ssize_t n_sums
    double penalty                  # value of the smoothed penalty
    double total                    # sum_i q_i
    double loss2[MOST_PARTS]        # of each part
    double part_total[MOST_PARTS]


cdef inline Py_ssize_t residual_size(const Problem* P) noexcept nogil:
    """Length of q."""
    return n_samples(&P.X) if P.oracle == NULL else P.oracle_rows


cdef inline double ask(const Problem* P, const double* w, double* q, double* g) except? -1.0 with gil:
    """The loss at w from the oracle, which fills g and q; X is a stand-in without rows then."""
    cdef Py_ssize_t n = P.oracle_rows, p = n_features(&P.X)
    return (<object> P.oracle)(<double[:p]> <double*> w, <double[:p]> g, <double[:n]> q if n else None) if p else 0.0


cdef inline double gradient(const Problem* P, const double* w, double* q, double* g,
                            double* scratch) except? -1.0 nogil:
    """Fill q (n_samples) and g (n_features), both written; return the loss.

    By rows: one read of X. By columns: one read, and one more of the columns with w_j != 0.
    scratch: sums_size(&P.X, P.n_threads) numbers, written.
    """
    cdef double penalty
    return smooth_gradient(P, NULL, w, q, g, scratch, &penalty)


cdef inline double smooth_gradient(const Problem* P, const Smoothing* S, const double* w, double* q, double* g,
                                   double* scratch, double* penalty) except? -1.0 nogil:
    """The same with g the gradient of loss + smoothed penalty, and penalty (written) the value of the latter.

    The sums of g begin at the slopes of the penalty: nothing is read or written once more for it.
    w_j is 0 where a column cannot matter (norm2_j = 0).
    """
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t n = n_samples(X), p = n_features(X), i
    cdef double loss2 = 0.0
    cdef Sweep job
    if P.oracle != NULL:
        loss2 = 2.0 * ask(P, w, q, g)
        penalty[0] = slopes(S, &P.penalty, w, g, True, p) if S != NULL else 0.0
        return 0.5 * loss2
    job.P, job.S, job.w, job.q, job.g, job.sums, job.n_sums = P, S, w, q, g, scratch, 1
    job.total = job.penalty = 0.0
    job.b = intercept_of(P, w)
    if X.by_rows:
        job.n_parts = job.n_sums = sum_parts(stored_entries(X), p, P.n_threads)
        run(P.team, rows_part, &job, job.n_parts, P.n_threads)
    else:
        for i in range(n):
            q[i] = job.b
        axpys(P.team, X, w, q, scratch, P.n_threads)
        job.n_parts = min(range_parts(n, P.n_threads), MOST_PARTS)
        run(P.team, residual_part, &job, job.n_parts, P.n_threads)
        dots(P.team, X, q, g, P.n_threads)
        if S != NULL:
            job.penalty = slopes(S, &P.penalty, w, g, True, p)
    for i in range(job.n_parts):
        loss2 += job.loss2[i]
        job.total += job.part_total[i]
    if P.mean != NULL or job.n_sums > 1:
        job.n_parts = range_parts(max(n, p), P.n_threads)
        run(P.team, finish_part, &job, job.n_parts, P.n_threads)
    if P.mean != NULL:
        loss2 -= job.total * job.total / P.total_weight
        if loss2 < 0.0:
            loss2 = 0.0
    penalty[0] = job.penalty
    return 0.5 * loss2


cdef inline void descend(const Problem* P, double step, const double* g, double* w, double* kept) noexcept nogil:
    """w <- w - step g, moved into the bounds, and copied to kept unless that is NULL; n_features numbers each."""
    cdef const Penalty* penalty = &P.penalty
    cdef Py_ssize_t p = n_features(&P.X)
    add(-step, g, w, p)
    if penalty.lower != NULL:
        clip(w, penalty.lower, penalty.upper, p)
    if kept != NULL:
        memcpy(kept, w, p * sizeof(double))


cdef inline void rows_part(void* context, Py_ssize_t part) noexcept nogil:
    """q and the sum of q_i x_i for a run of rows."""
    cdef Sweep* job = <Sweep*> context
    cdef Py_ssize_t first = part_begin(&job.P.X, part, job.n_parts)
    cdef Py_ssize_t last = part_begin(&job.P.X, part + 1, job.n_parts), p = n_features(&job.P.X)
    cdef double* g = job.g if part == 0 else job.sums + (part - 1) * p
    if part == 0 and job.S != NULL:
        job.penalty = slopes(job.S, &job.P.penalty, job.w, g, False, p)
    else:
        clear(g, p)
    job.loss2[part] = gradient_of_rows(job.P, job.w, job.b, first, last, job.q, g)
    job.part_total[part] = total_of(job.P, job.q, first, last)


cdef inline void residual_part(void* context, Py_ssize_t part) noexcept nogil:
    """q from the predictions in it, for a run of samples."""
    cdef Sweep* job = <Sweep*> context
    cdef Py_ssize_t n = n_samples(&job.P.X)
    cdef Py_ssize_t first = range_begin(n, part, job.n_parts), last = range_begin(n, part + 1, job.n_parts), i
    cdef double loss2 = 0.0
    for i in range(first, last):
        loss2 += residual_entry(job.P, i, job.q[i], job.q)
    job.loss2[part] = loss2
    job.part_total[part] = total_of(job.P, job.q, first, last)


cdef inline double total_of(const Problem* P, const double* q, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """sum of q_i over a run of samples; not needed, and 0, without an intercept."""
    cdef double total = 0.0
    cdef Py_ssize_t i
    if P.mean != NULL:
        for i in range(first, last):
            total += q[i]
    return total


cdef inline void finish_part(void* context, Py_ssize_t part) noexcept nogil:
    """Add up the sums of a run of features, and centre them and a run of samples; see `centre`."""
    cdef const Sweep* job = <const Sweep*> context
    cdef const Problem* P = job.P
    cdef Py_ssize_t n = n_samples(&P.X), p = n_features(&P.X), j, t
    cdef Py_ssize_t first = range_begin(p, part, job.n_parts), last = range_begin(p, part + 1, job.n_parts)
    for t in range(job.n_sums - 1):
        for j in range(first, last):
            job.g[j] += job.sums[t * p + j]
    if P.mean == NULL:
        return
    for j in range(first, last):                            # a constant column has no say: b stands for it
        job.g[j] = job.g[j] - P.mean[j] * job.total if P.norm2[j] != 0.0 else 0.0
    move_intercept(P, job.total / P.total_weight, range_begin(n, part, job.n_parts),
                   range_begin(n, part + 1, job.n_parts), job.q)


cdef inline double centre(const Problem* P, double total, double* q) noexcept nogil:
    """Move b by what is left of total = sum(q): q sums to 0 to the last digits, however far X lies from 0.

    Returns what that takes from 2 loss.
    """
    move_intercept(P, total / P.total_weight, 0, n_samples(&P.X), q)
    return total * total / P.total_weight


cdef inline void move_intercept(const Problem* P, double shift, Py_ssize_t first, Py_ssize_t last,
                                double* q) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(first, last):
        q[i] -= shift if P.sample_weight == NULL else shift * P.sample_weight[i]


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
