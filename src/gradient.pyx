"""Sweeps over X as Python calls, and the vector soft-threshold.

Every array is float64, C-contiguous, and allocated by the caller; none is read or written beyond its stated length.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t



from certificate cimport Certificate, certify as certify_point
from matrix cimport (MatrixView, axpy_slices, dot_slices, n_features, n_samples, slice_size, slice_start)
from problem cimport Problem, clear, gradient as sweep, problem_of

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

cdef extern from *:
    """
    #ifdef _OPENMP
    #define L1FAST_HAS_OPENMP 1
    #else
    #define L1FAST_HAS_OPENMP 0
    #endif
    """
    const bint L1FAST_HAS_OPENMP

HAS_OPENMP = bool(L1FAST_HAS_OPENMP)

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


def gradient(object capsule, const double[::1] w, double[::1] q, double[::1] g, double[::1] scratch, int n_threads):
    """q = s (Xw + b - y) (n, written), g = X'q (p, written); returns the loss. See problem.pxd.

    scratch : n_threads x (p + 1) numbers when n_threads > 1, written.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t n = n_samples(&P.X), p = n_features(&P.X)
    cdef double loss
    expect(w.shape[0], p, "w")
    expect(q.shape[0], n, "q")
    expect(g.shape[0], p, "g")
    if n_threads > 1:
        expect(scratch.shape[0], n_threads * (p + 1), "scratch")
    with nogil:
        loss = sweep(P, address(w), target(q), target(g), target(scratch), n_threads)
    return loss


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


def apply(object matrix, const double[::1] w, double[::1] out):
    """out = X w. Lengths p (read), n (written)."""
    cdef const MatrixView* X = view_of(matrix)
    expect(w.shape[0], n_features(X), "w")
    expect(out.shape[0], n_samples(X), "out")
    with nogil:
        multiply(X, X.by_rows, address(w), target(out), n_samples(X))


def correlate(object matrix, const double[::1] v, double[::1] out):
    """out = X' v. Lengths n (read), p (written)."""
    cdef const MatrixView* X = view_of(matrix)
    expect(v.shape[0], n_samples(X), "v")
    expect(out.shape[0], n_features(X), "out")
    with nogil:
        multiply(X, not X.by_rows, address(v), target(out), n_features(X))


cdef void multiply(const MatrixView* X, bint by_dots, const double* v, double* out, Py_ssize_t size) noexcept nogil:
    """out = slices' v (by dots) or slices v (by axpys); out has size entries."""
    if by_dots:
        dot_slices(X, 0, X.n_slices, v, out)
    else:
        clear(out, size)
        axpy_slices(X, v, out)


def column_norms2(object matrix, sample_weight, mean, double total_weight, double[::1] out, double[::1] seen):
    """out[j] = sum_i s_i (x_ij - mean_j)^2 (p, written), the implied zeros of a sparse X included.

    sample_weight (n) and mean (p) are read and may be None: ones and zeros. total_weight = sum_i s_i.
    seen : p numbers, written.
    """
    cdef const MatrixView* X = view_of(matrix)
    cdef Py_ssize_t n = n_samples(X), p = n_features(X), k
    cdef const double* s = NULL
    cdef const double* m = NULL
    cdef double unseen
    if sample_weight is not None:
        expect(len(sample_weight), n, "sample_weight")
        s = address(sample_weight)
    if mean is not None:
        expect(len(mean), p, "mean")
        m = address(mean)
    expect(out.shape[0], p, "out")
    expect(seen.shape[0], p, "seen")
    with nogil:
        clear(target(out), p)
        clear(target(seen), p)
        for k in range(X.n_slices):
            if X.by_rows:
                spread_squares(X, k, s[k] if s != NULL else 1.0, m, target(out), target(seen))
            else:
                out[k] = slice_squares(X, k, s, m[k] if m != NULL else 0.0, &seen[k])
        if X.sparse and m != NULL:
            for k in range(p):
                unseen = total_weight - seen[k]
                if unseen > n * EPS * total_weight:         # else the column has no implied zero
                    out[k] += unseen * m[k] * m[k]


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
