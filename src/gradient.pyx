"""Sweeps over X as Python calls, and the vector soft-threshold.

Every array is float64, C-contiguous, and allocated by the caller; none is read or written beyond its stated length.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t

from certificate cimport Certificate, certify as certify_point
from matrix cimport MatrixView, n_features, n_samples, part_begin, slice_size, slice_start
from passes cimport axpys, clear, dots, stored_entries, sum_parts, sums_size
from problem cimport (Problem, descend as step_down, gradient as sweep, problem_of, residual_size,
                      smooth_gradient as smooth_sweep)
from smoothing cimport Smoothing, slopes as penalty_slopes, smoothing_of
from team cimport Team, range_begin, range_parts, run, team_of

from l1fast._kernels import parallel

cdef extern from "sweep.h" nogil:
    double square_slice_f "l1fast_square_slice_f"(const float* x, const double* s, double m, Py_ssize_t n)
    double square_slice_d "l1fast_square_slice_d"(const double* x, const double* s, double m, Py_ssize_t n)
    void square_spread_f "l1fast_square_spread_f"(double s, const float* x, const double* m, double* out, Py_ssize_t n)
    void square_spread_d "l1fast_square_spread_d"(double s, const double* x, const double* m, double* out,
                                                  Py_ssize_t n)
    double square_slice_fi "l1fast_square_slice_fi"(const float* x, const int32_t* index, const double* s, double m,
                                                    Py_ssize_t n, double* seen)
    double square_slice_fl "l1fast_square_slice_fl"(const float* x, const int64_t* index, const double* s, double m,
                                                    Py_ssize_t n, double* seen)
    double square_slice_di "l1fast_square_slice_di"(const double* x, const int32_t* index, const double* s, double m,
                                                    Py_ssize_t n, double* seen)
    double square_slice_dl "l1fast_square_slice_dl"(const double* x, const int64_t* index, const double* s, double m,
                                                    Py_ssize_t n, double* seen)
    void square_spread_fi "l1fast_square_spread_fi"(double s, const float* x, const int32_t* index, const double* m,
                                                    double* out, double* seen, Py_ssize_t n)
    void square_spread_fl "l1fast_square_spread_fl"(double s, const float* x, const int64_t* index, const double* m,
                                                    double* out, double* seen, Py_ssize_t n)
    void square_spread_di "l1fast_square_spread_di"(double s, const double* x, const int32_t* index, const double* m,
                                                    double* out, double* seen, Py_ssize_t n)
    void square_spread_dl "l1fast_square_spread_dl"(double s, const double* x, const int64_t* index, const double* m,
                                                    double* out, double* seen, Py_ssize_t n)

cdef extern from "prox.h" nogil:
    void soft_threshold_f "l1fast_soft_threshold_f"(const float* x, float t, float* out, Py_ssize_t n)
    void soft_threshold_d "l1fast_soft_threshold_d"(const double* x, double t, double* out, Py_ssize_t n)

cdef const Team* TEAM = team_of(parallel.team)

cdef double EPS = 2.0 ** -52

ctypedef fused real:
    float
    double


cdef inline const double* address(const double[::1] v) noexcept nogil:
    return &v[0] if v.shape[0] > 0 else NULL


cdef inline double* target(double[::1] v) noexcept nogil:
    return &v[0] if v.shape[0] > 0 else NULL


cdef inline const MatrixView* view_of(object matrix) except NULL:
    return <const MatrixView*> PyCapsule_GetPointer(matrix, b"l1fast.MatrixView")


cdef int expect(Py_ssize_t length, Py_ssize_t wanted, str name) except -1:
    if length < wanted:
        raise ValueError(f"{name} must have {wanted} entries, got {length}")
    return 0


def soft_threshold(const real[::1] x, double threshold, real[::1] out):
    """out[i] = sign(x[i]) max(|x[i]| - threshold, 0); out may be x. Lengths n, n."""
    cdef Py_ssize_t n = x.shape[0]
    expect(out.shape[0], n, "out")
    if n == 0:
        return
    with nogil:
        if real is float:
            soft_threshold_f(&x[0], <float> threshold, &out[0], n)
        else:
            soft_threshold_d(&x[0], threshold, &out[0], n)


def gradient(object capsule, const double[::1] w, double[::1] q, double[::1] g, double[::1] scratch):
    """q = s (Xw + b - y) (n, written), g = X'q (p, written); returns the loss. See problem.pxd.

    scratch : scratch_size of the problem's matrix and threads, written.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t n = residual_size(P), p = n_features(&P.X)
    cdef double loss
    expect(w.shape[0], p, "w")
    expect(q.shape[0], n, "q")
    expect(g.shape[0], p, "g")
    expect(scratch.shape[0], sums_size(&P.X, P.n_threads), "scratch")
    with nogil:
        loss = sweep(P, address(w), target(q), target(g), target(scratch))
    return loss


def smooth_gradient(object capsule, int kind, double width, const double[::1] gamma, const double[::1] w,
                    double[::1] q, double[::1] g, double[::1] scratch):
    """As `gradient`, with the slope of the smoothed penalty added to g: (loss, smoothed penalty). See smooth.h.

    gamma : p, read, or empty.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t n = residual_size(P), p = n_features(&P.X)
    cdef Smoothing S = smoothing_of(kind, width, gamma, p)
    cdef double loss, penalty
    expect(w.shape[0], p, "w")
    expect(q.shape[0], n, "q")
    expect(g.shape[0], p, "g")
    expect(scratch.shape[0], sums_size(&P.X, P.n_threads), "scratch")
    with nogil:
        loss = smooth_sweep(P, &S, address(w), target(q), target(g), target(scratch), &penalty)
    return loss, penalty


def slopes(object capsule, int kind, double width, const double[::1] gamma, const double[::1] w, double[::1] out):
    """out (p, written) = the slope of the smoothed penalty at w (p); returns its value. No read of X."""
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t p = n_features(&P.X)
    cdef Smoothing S = smoothing_of(kind, width, gamma, p)
    cdef double penalty
    expect(w.shape[0], p, "w")
    expect(out.shape[0], p, "out")
    with nogil:
        penalty = penalty_slopes(&S, &P.penalty, address(w), target(out), False, p)
    return penalty


def descend(object capsule, int kind, const double[::1] widths, const double[::1] gamma, const double[::1] steps,
            double[::1] w, double[::1] q, double[::1] g, double[::1] scratch, double[:, ::1] kept):
    """For each step: w <- P(w - step g), then g = the gradient of `smooth_gradient` there, at the width next in turn.

    widths, steps : one for each step. gamma : p, or empty. kept : a row for each step, which receives w, or no rows.
    w (p), g (p) : read and written; q (n), scratch (scratch_size) : written. Returns (loss, smoothed penalty) at the end.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t n = residual_size(P), p = n_features(&P.X), count = steps.shape[0], k
    cdef Smoothing S = smoothing_of(kind, 1.0, gamma, p)
    cdef bint keep = kept.shape[0] > 0
    cdef double loss = 0.0, penalty = 0.0
    expect(widths.shape[0], count, "widths")
    expect(w.shape[0], p, "w")
    expect(q.shape[0], n, "q")
    expect(g.shape[0], p, "g")
    expect(scratch.shape[0], sums_size(&P.X, P.n_threads), "scratch")
    if keep and (kept.shape[0] < count or kept.shape[1] != p or p == 0):
        raise ValueError("kept must be a row of n_features numbers for each step, or none")
    with nogil:
        for k in range(count):
            S.width = widths[k]
            step_down(P, steps[k], address(g), target(w), &kept[k, 0] if keep else NULL)
            loss = smooth_sweep(P, &S, address(w), target(q), target(g), target(scratch), &penalty)
    return loss, penalty


def scratch_size(object matrix, int n_threads):
    """Numbers of scratch memory for a pass over X on so many threads."""
    return sums_size(view_of(matrix), n_threads)


def certify(object capsule, const double[::1] w, const double[::1] g, double loss):
    """(objective, gap, scale, violation) of w (p) from its gradient g (p) and loss; see certificate.pxd."""
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t p = n_features(&P.X)
    cdef Certificate c
    expect(w.shape[0], p, "w")
    expect(g.shape[0], p, "g")
    with nogil:
        c = certify_point(&P.penalty, P.norm2, p, address(w), address(g), loss)
    return c.objective, c.gap, c.scale, c.violation


def apply(object matrix, const double[::1] w, double[::1] out, double[::1] scratch, int n_threads):
    """out = X w. Lengths p (read), n (written); scratch : scratch_size(matrix, n_threads), written."""
    cdef const MatrixView* X = view_of(matrix)
    expect(w.shape[0], n_features(X), "w")
    expect(out.shape[0], n_samples(X), "out")
    multiply(X, X.by_rows, w, out, n_samples(X), scratch, n_threads)


def correlate(object matrix, const double[::1] v, double[::1] out, double[::1] scratch, int n_threads):
    """out = X' v. Lengths n (read), p (written); scratch : scratch_size(matrix, n_threads), written."""
    cdef const MatrixView* X = view_of(matrix)
    expect(v.shape[0], n_samples(X), "v")
    expect(out.shape[0], n_features(X), "out")
    multiply(X, not X.by_rows, v, out, n_features(X), scratch, n_threads)


cdef int multiply(const MatrixView* X, bint by_dots, const double[::1] v, double[::1] out, Py_ssize_t size,
                  double[::1] scratch, int n_threads) except -1:
    """out = slices' v (by dots) or slices v (by axpys); out has size entries."""
    expect(scratch.shape[0], sums_size(X, n_threads), "scratch")
    with nogil:
        if by_dots:
            dots(TEAM, X, address(v), target(out), n_threads)
        else:
            clear(target(out), size)
            axpys(TEAM, X, address(v), target(out), target(scratch), n_threads)
    return 0


cdef struct Squares:
    const MatrixView* X
    const double* s
    const double* m
    double total_weight
    double* out
    double* sums                # by rows: n_sums x 2p; by columns: p
    Py_ssize_t n_sums
    Py_ssize_t n_parts          # of the job at hand


def column_norms2(object matrix, sample_weight, mean, double total_weight, double[::1] out, double[::1] scratch,
                  int n_threads):
    """out[j] = sum_i s_i (x_ij - mean_j)^2 (p, written), the implied zeros of a sparse X included.

    sample_weight (n) and mean (p) are read and may be None: ones and zeros. total_weight = sum_i s_i.
    scratch : 2p + 2 scratch_size(matrix, n_threads) numbers, written.
    """
    cdef const MatrixView* X = view_of(matrix)
    cdef Py_ssize_t n = n_samples(X), p = n_features(X)
    cdef Squares job
    job.X, job.s, job.m, job.total_weight = X, NULL, NULL, total_weight
    if sample_weight is not None:
        expect(len(sample_weight), n, "sample_weight")
        job.s = address(sample_weight)
    if mean is not None:
        expect(len(mean), p, "mean")
        job.m = address(mean)
    expect(out.shape[0], p, "out")
    expect(scratch.shape[0], 2 * (p + sums_size(X, n_threads)), "scratch")
    job.out, job.sums = target(out), target(scratch)
    with nogil:
        if X.by_rows:
            job.n_sums = job.n_parts = sum_parts(stored_entries(X), p, n_threads)
            run(TEAM, squares_of_rows, &job, job.n_parts, n_threads)
            job.n_parts = range_parts(p, n_threads)
            run(TEAM, sum_of_squares, &job, job.n_parts, n_threads)
        else:
            job.n_parts = sum_parts(stored_entries(X), 1, n_threads)
            run(TEAM, squares_of_columns, &job, job.n_parts, n_threads)


cdef void squares_of_rows(void* context, Py_ssize_t part) noexcept nogil:
    """A part's squares of every column, and the weights seen in it."""
    cdef const Squares* job = <const Squares*> context
    cdef Py_ssize_t p = n_features(job.X), k
    cdef double* squares = job.sums + 2 * part * p
    clear(squares, 2 * p)
    for k in range(part_begin(job.X, part, job.n_parts), part_begin(job.X, part + 1, job.n_parts)):
        spread_squares(job.X, k, job.s[k] if job.s != NULL else 1.0, job.m, squares, squares + p)


cdef void sum_of_squares(void* context, Py_ssize_t part) noexcept nogil:
    """Add up the squares of a run of columns, in the order of the parts."""
    cdef const Squares* job = <const Squares*> context
    cdef Py_ssize_t p = n_features(job.X), j, t
    cdef double sum, seen
    for j in range(range_begin(p, part, job.n_parts), range_begin(p, part + 1, job.n_parts)):
        sum = seen = 0.0
        for t in range(job.n_sums):
            sum += job.sums[2 * t * p + j]
            seen += job.sums[(2 * t + 1) * p + j]
        job.out[j] = sum + implied_squares(job, j, seen)


cdef void squares_of_columns(void* context, Py_ssize_t part) noexcept nogil:
    cdef const Squares* job = <const Squares*> context
    cdef Py_ssize_t j
    cdef double seen = 0.0
    for j in range(part_begin(job.X, part, job.n_parts), part_begin(job.X, part + 1, job.n_parts)):
        job.out[j] = slice_squares(job.X, j, job.s, job.m[j] if job.m != NULL else 0.0, &seen)
        job.out[j] += implied_squares(job, j, seen)


cdef inline double implied_squares(const Squares* job, Py_ssize_t j, double seen) noexcept nogil:
    """The squares of the zeros that a sparse column does not store, given the weight of the entries that it does."""
    cdef double unseen = job.total_weight - seen
    if not job.X.sparse or job.m == NULL or unseen <= n_samples(job.X) * EPS * job.total_weight:
        return 0.0
    return unseen * job.m[j] * job.m[j]


cdef inline void spread_squares(const MatrixView* X, Py_ssize_t k, double s, const double* m, double* out,
                                double* seen) noexcept nogil:
    """out[j] += s (x_kj - m_j)^2 over the entries of row k; seen[j] += s over its stored ones."""
    cdef Py_ssize_t e = slice_start(X, k), size = slice_size(X, k)
    cdef const float* f = <const float*> X.values + e
    cdef const double* d = <const double*> X.values + e
    if not X.sparse:
        if X.single:
            square_spread_f(s, f, m, out, size)
        else:
            square_spread_d(s, d, m, out, size)
    elif X.wide_indices:
        if X.single:
            square_spread_fl(s, f, <const int64_t*> X.indices + e, m, out, seen, size)
        else:
            square_spread_dl(s, d, <const int64_t*> X.indices + e, m, out, seen, size)
    elif X.single:
        square_spread_fi(s, f, <const int32_t*> X.indices + e, m, out, seen, size)
    else:
        square_spread_di(s, d, <const int32_t*> X.indices + e, m, out, seen, size)


cdef inline double slice_squares(const MatrixView* X, Py_ssize_t k, const double* s, double m,
                                 double* seen) noexcept nogil:
    """sum_i s_i (x_ik - m)^2 over the entries of column k; seen = sum of s_i over its stored ones."""
    cdef Py_ssize_t e = slice_start(X, k), size = slice_size(X, k)
    cdef const float* f = <const float*> X.values + e
    cdef const double* d = <const double*> X.values + e
    if not X.sparse:
        return square_slice_f(f, s, m, size) if X.single else square_slice_d(d, s, m, size)
    if X.wide_indices:
        if X.single:
            return square_slice_fl(f, <const int64_t*> X.indices + e, s, m, size, seen)
        return square_slice_dl(d, <const int64_t*> X.indices + e, s, m, size, seen)
    if X.single:
        return square_slice_fi(f, <const int32_t*> X.indices + e, s, m, size, seen)
    return square_slice_di(d, <const int32_t*> X.indices + e, s, m, size, seen)
