"""Several tasks at once: a block of n_tasks coefficients for each feature, under one norm.

    sum_j v_j (lam ||W_j||_2 + l2/2 ||W_j||_2^2),   W (n_features x n_tasks)

A block w, and c = -gradient, matter to the penalty through ||w||, ||c|| and the angle between them. So a problem of
blocks is certified by `certificate.pxd` as one of numbers ||W_j||, whose gradient is -||c_j||: with

    lost_j = ||w|| ||c|| - w'c = ||w|| ||c|| / 2 ||w/||w|| - c/||c||||^2 >= 0            (nothing cancels in that form)

the Fenchel gap of a block at t c is that of its numbers and t lost_j more.
"""

from libc.math cimport fabs, sqrt
from libc.stdint cimport int32_t, int64_t

from certificate cimport Certificate, certify
from matrix cimport MatrixView, axpy_d, slice_size, slice_start
from penalty cimport Penalty, weight_of

cdef extern from "blocks.h" nogil:
    void dot_tasks_f "l1fast_dot_tasks_f"(const float* x, const int32_t* index, const double* v, Py_ssize_t n,
                                          Py_ssize_t n_tasks, double* out)
    void dot_tasks_d "l1fast_dot_tasks_d"(const double* x, const int32_t* index, const double* v, Py_ssize_t n,
                                          Py_ssize_t n_tasks, double* out)
    void dot_tasks_fi "l1fast_dot_tasks_fi"(const float* x, const int32_t* index, const double* v, Py_ssize_t n,
                                            Py_ssize_t n_tasks, double* out)
    void dot_tasks_fl "l1fast_dot_tasks_fl"(const float* x, const int64_t* index, const double* v, Py_ssize_t n,
                                            Py_ssize_t n_tasks, double* out)
    void dot_tasks_di "l1fast_dot_tasks_di"(const double* x, const int32_t* index, const double* v, Py_ssize_t n,
                                            Py_ssize_t n_tasks, double* out)
    void dot_tasks_dl "l1fast_dot_tasks_dl"(const double* x, const int64_t* index, const double* v, Py_ssize_t n,
                                            Py_ssize_t n_tasks, double* out)
    void axpy_tasks_f "l1fast_axpy_tasks_f"(const double* a, const float* x, const int32_t* index, double* v,
                                            Py_ssize_t n, Py_ssize_t n_tasks)
    void axpy_tasks_d "l1fast_axpy_tasks_d"(const double* a, const double* x, const int32_t* index, double* v,
                                            Py_ssize_t n, Py_ssize_t n_tasks)
    void axpy_tasks_fi "l1fast_axpy_tasks_fi"(const double* a, const float* x, const int32_t* index, double* v,
                                              Py_ssize_t n, Py_ssize_t n_tasks)
    void axpy_tasks_fl "l1fast_axpy_tasks_fl"(const double* a, const float* x, const int64_t* index, double* v,
                                              Py_ssize_t n, Py_ssize_t n_tasks)
    void axpy_tasks_di "l1fast_axpy_tasks_di"(const double* a, const double* x, const int32_t* index, double* v,
                                              Py_ssize_t n, Py_ssize_t n_tasks)
    void axpy_tasks_dl "l1fast_axpy_tasks_dl"(const double* a, const double* x, const int64_t* index, double* v,
                                              Py_ssize_t n, Py_ssize_t n_tasks)


cdef inline void slice_dot_tasks(const MatrixView* X, Py_ssize_t k, const double* v, Py_ssize_t n_tasks,
                                 double* out) noexcept nogil:
    """out = V' x_k. v : X.length x n_tasks; out : n_tasks."""
    cdef Py_ssize_t e = slice_start(X, k), size = slice_size(X, k)
    cdef const float* f = <const float*> X.values + e
    cdef const double* d = <const double*> X.values + e
    if not X.sparse:
        if X.single:
            dot_tasks_f(f, NULL, v, size, n_tasks, out)
        else:
            dot_tasks_d(d, NULL, v, size, n_tasks, out)
    elif X.wide_indices:
        if X.single:
            dot_tasks_fl(f, <const int64_t*> X.indices + e, v, size, n_tasks, out)
        else:
            dot_tasks_dl(d, <const int64_t*> X.indices + e, v, size, n_tasks, out)
    elif X.single:
        dot_tasks_fi(f, <const int32_t*> X.indices + e, v, size, n_tasks, out)
    else:
        dot_tasks_di(d, <const int32_t*> X.indices + e, v, size, n_tasks, out)


cdef inline void slice_axpy_tasks(const MatrixView* X, Py_ssize_t k, const double* a, Py_ssize_t n_tasks,
                                  double* v) noexcept nogil:
    """V += x_k a'. a : n_tasks; v : X.length x n_tasks."""
    cdef Py_ssize_t e = slice_start(X, k), size = slice_size(X, k)
    cdef const float* f = <const float*> X.values + e
    cdef const double* d = <const double*> X.values + e
    if not X.sparse:
        if X.single:
            axpy_tasks_f(a, f, NULL, v, size, n_tasks)
        else:
            axpy_tasks_d(a, d, NULL, v, size, n_tasks)
    elif X.wide_indices:
        if X.single:
            axpy_tasks_fl(a, f, <const int64_t*> X.indices + e, v, size, n_tasks)
        else:
            axpy_tasks_dl(a, d, <const int64_t*> X.indices + e, v, size, n_tasks)
    elif X.single:
        axpy_tasks_fi(a, f, <const int32_t*> X.indices + e, v, size, n_tasks)
    else:
        axpy_tasks_di(a, d, <const int32_t*> X.indices + e, v, size, n_tasks)


cdef struct Blocks:
    Py_ssize_t count            # how many
    Py_ssize_t n_tasks          # numbers in each
    Py_ssize_t next_block       # numbers from an entry of one block to that of the next
    Py_ssize_t next_task        # and from one task to the next


cdef inline bint is_zero(const double* w, Py_ssize_t n_tasks, Py_ssize_t next_task) noexcept nogil:
    cdef Py_ssize_t t
    for t in range(n_tasks):
        if w[t * next_task] != 0.0:
            return False
    return True


cdef inline double norm_of(const double* w, Py_ssize_t n_tasks, Py_ssize_t next_task) noexcept nogil:
    cdef Py_ssize_t t
    cdef double square = 0.0
    for t in range(n_tasks):
        square += w[t * next_task] * w[t * next_task]
    return sqrt(square)


cdef inline double norms(const Penalty* penalty, const Blocks* blocks, const double* w, const double* g,
                         double* size, double* slope, double* violation) noexcept nogil:
    """size[j] = ||w_j||, slope[j] = -||g_j||, each count numbers, written; returns the sum of lost_j.

    violation (written): max_j distance of -g_j to the subdifferential. A block without any penalty has no lost_j: what
    the certificate counts for it is at least |w'c|.
    """
    cdef Py_ssize_t j, t, step = blocks.next_task
    cdef double lost = 0.0, most = 0.0, l1, l2, square, away, difference, apart
    cdef const double* u
    cdef const double* d
    for j in range(blocks.count):
        u, d = w + j * blocks.next_block, g + j * blocks.next_block
        size[j] = norm_of(u, blocks.n_tasks, step)
        slope[j] = -norm_of(d, blocks.n_tasks, step)
        l1 = penalty.lam * weight_of(penalty, j)
        l2 = penalty.l2 * weight_of(penalty, j)
        if size[j] == 0.0:
            most = max(most, -slope[j] - l1)
            continue
        square = apart = 0.0
        for t in range(blocks.n_tasks):
            away = d[t * step] + (l1 / size[j] + l2) * u[t * step]
            square += away * away
            if slope[j] != 0.0:
                difference = u[t * step] / size[j] - d[t * step] / slope[j]
                apart += difference * difference
        most = max(most, sqrt(square))
        if l1 > 0.0 or l2 > 0.0:
            lost -= 0.5 * apart * size[j] * slope[j]
    violation[0] = most
    return lost


cdef inline Certificate certify_blocks(const Penalty* penalty, const double* norm2, const Blocks* blocks,
                                       const double* w, const double* g, double loss, double* room) noexcept nogil:
    """`certify` for blocks. room : 2 count numbers, written: the norms of w and -g."""
    cdef double violation
    cdef double lost = norms(penalty, blocks, w, g, room, room + blocks.count, &violation)
    cdef Certificate out = certify(penalty, norm2, blocks.count, room, room + blocks.count, loss)
    out.gap = max(out.gap + out.scale * lost, 0.0)
    out.violation = violation
    return out


cdef inline double minimise_block(double l1, double l2, double curvature, const double* g, Py_ssize_t n_tasks,
                                  Py_ssize_t next_task, double* w, double* step, double* loss) noexcept nogil:
    """w <- argmin over u of curvature/2 ||u - w||^2 + g'(u - w) + l1 ||u|| + l2/2 ||u||^2: block soft-thresholding.

    w : a block, read and written; g : the gradient at it; step : n_tasks numbers, written, what was added to w.
    loss changes by what the datafit does. Returns (curvature + l2) ||step||^2, which bounds what was gained.
    Source: Yuan and Lin (J. R. Statist. Soc. B 2006).
    """
    cdef Py_ssize_t t
    cdef double square = 0.0, shrink = 0.0, z
    for t in range(n_tasks):
        step[t] = curvature * w[t * next_task] - g[t * next_task]
        square += step[t] * step[t]
    z = sqrt(square)
    if z > l1:
        shrink = (z - l1) / z / (curvature + l2)
    square = 0.0
    for t in range(n_tasks):
        z = shrink * step[t]
        step[t] = z - w[t * next_task]
        w[t * next_task] = z
        loss[0] += step[t] * (g[t * next_task] + 0.5 * curvature * step[t])
        square += step[t] * step[t]
    return (curvature + l2) * square
