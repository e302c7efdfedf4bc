"""One view for every storage of X, and the verbs on it.

A MatrixView is a run of slices: the columns of F-ordered and CSC storage, the rows of C-ordered and CSR storage.
Storage, precision and index width are tags read once for each slice (measured: free), so that no algorithm has a
dense and a sparse, or a float32 and a float64, version of itself. All vectors are float64.

    slice_dot(X, k, v)          v' x_k
    slice_axpy(X, k, a, v)      v += a x_k
    dot_slices                  out[k] = v' x_k for a range of k           (X' v by columns, X v by rows)
    axpy_slices                 v += sum_k a[k] x_k for a range of k, sparse
    dense_axpy_segment          v += sum_k a[k] x_k for a range of v, dense
"""

from libc.stdint cimport int32_t, int64_t

cdef extern from "sweep.h" nogil:
    double dot_f "l1fast_dot_f"(const float* x, const double* v, Py_ssize_t n)
    double dot_d "l1fast_dot_d"(const double* x, const double* v, Py_ssize_t n)
    void axpy_f "l1fast_axpy_f"(double a, const float* x, double* v, Py_ssize_t n)
    void axpy_d "l1fast_axpy_d"(double a, const double* x, double* v, Py_ssize_t n)
    void dot4_f "l1fast_dot4_f"(const float* x0, const float* x1, const float* x2, const float* x3,
                                const double* v, Py_ssize_t n, double* out, Py_ssize_t ahead)
    void dot4_d "l1fast_dot4_d"(const double* x0, const double* x1, const double* x2, const double* x3,
                                const double* v, Py_ssize_t n, double* out, Py_ssize_t ahead)
    void axpy4_f "l1fast_axpy4_f"(const double* a, const float* x0, const float* x1, const float* x2, const float* x3,
                                  double* v, Py_ssize_t n, Py_ssize_t ahead)
    void axpy4_d "l1fast_axpy4_d"(const double* a, const double* x0, const double* x1, const double* x2,
                                  const double* x3, double* v, Py_ssize_t n, Py_ssize_t ahead)
    double gather_fi "l1fast_gather_fi"(const float* x, const int32_t* index, const double* v, Py_ssize_t n)
    double gather_fl "l1fast_gather_fl"(const float* x, const int64_t* index, const double* v, Py_ssize_t n)
    double gather_di "l1fast_gather_di"(const double* x, const int32_t* index, const double* v, Py_ssize_t n)
    double gather_dl "l1fast_gather_dl"(const double* x, const int64_t* index, const double* v, Py_ssize_t n)
    void scatter_fi "l1fast_scatter_fi"(double a, const float* x, const int32_t* index, double* v, Py_ssize_t n)
    void scatter_fl "l1fast_scatter_fl"(double a, const float* x, const int64_t* index, double* v, Py_ssize_t n)
    void scatter_di "l1fast_scatter_di"(double a, const double* x, const int32_t* index, double* v, Py_ssize_t n)
    void scatter_dl "l1fast_scatter_dl"(double a, const double* x, const int64_t* index, double* v, Py_ssize_t n)


cdef struct MatrixView:
    Py_ssize_t n_slices
    Py_ssize_t length           # entries of a slice, stored or implied
    bint by_rows                # slices are rows of X, else columns
    bint sparse
    bint single                 # values are float32, else float64
    bint wide_indices           # indices are int64, else int32
    bint wide_starts            # starts are int64, else int32
    bint runs                   # sparse: slices of equal length follow one another, mostly
    Py_ssize_t stride           # dense: values between the beginnings of two slices
    const void* values
    const void* indices         # sparse: position of each stored entry in its slice
    const void* starts          # sparse: n_slices + 1 offsets into values and indices


cdef inline Py_ssize_t n_samples(const MatrixView* X) noexcept nogil:
    return X.n_slices if X.by_rows else X.length


cdef inline Py_ssize_t n_features(const MatrixView* X) noexcept nogil:
    return X.length if X.by_rows else X.n_slices


cdef inline Py_ssize_t slice_start(const MatrixView* X, Py_ssize_t k) noexcept nogil:
    """Offset of slice k in values (and, when sparse, in indices)."""
    if not X.sparse:
        return k * X.stride
    if X.wide_starts:
        return (<const int64_t*> X.starts)[k]
    return (<const int32_t*> X.starts)[k]


cdef inline Py_ssize_t slice_size(const MatrixView* X, Py_ssize_t k) noexcept nogil:
    """Entries stored in slice k."""
    if not X.sparse:
        return X.length
    return slice_start(X, k + 1) - slice_start(X, k)


cdef inline Py_ssize_t entry_index(const MatrixView* X, Py_ssize_t e) noexcept nogil:
    """Position, in its slice, of the stored entry e of a sparse X."""
    if X.wide_indices:
        return (<const int64_t*> X.indices)[e]
    return (<const int32_t*> X.indices)[e]


cdef inline double entry_value(const MatrixView* X, Py_ssize_t e) noexcept nogil:
    if X.single:
        return (<const float*> X.values)[e]
    return (<const double*> X.values)[e]


cdef inline double slice_dot(const MatrixView* X, Py_ssize_t k, const double* v) noexcept nogil:
    """v' x_k."""
    cdef Py_ssize_t e = slice_start(X, k)
    cdef Py_ssize_t size = slice_size(X, k)
    if not X.sparse:
        if X.single:
            return dot_f(<const float*> X.values + e, v, size)
        return dot_d(<const double*> X.values + e, v, size)
    if X.wide_indices:
        if X.single:
            return gather_fl(<const float*> X.values + e, <const int64_t*> X.indices + e, v, size)
        return gather_dl(<const double*> X.values + e, <const int64_t*> X.indices + e, v, size)
    if X.single:
        return gather_fi(<const float*> X.values + e, <const int32_t*> X.indices + e, v, size)
    return gather_di(<const double*> X.values + e, <const int32_t*> X.indices + e, v, size)


cdef inline void slice_axpy(const MatrixView* X, Py_ssize_t k, double a, double* v) noexcept nogil:
    """v += a x_k."""
    cdef Py_ssize_t e = slice_start(X, k)
    cdef Py_ssize_t size = slice_size(X, k)
    if not X.sparse:
        if X.single:
            axpy_f(a, <const float*> X.values + e, v, size)
        else:
            axpy_d(a, <const double*> X.values + e, v, size)
    elif X.wide_indices:
        if X.single:
            scatter_fl(a, <const float*> X.values + e, <const int64_t*> X.indices + e, v, size)
        else:
            scatter_dl(a, <const double*> X.values + e, <const int64_t*> X.indices + e, v, size)
    elif X.single:
        scatter_fi(a, <const float*> X.values + e, <const int32_t*> X.indices + e, v, size)
    else:
        scatter_di(a, <const double*> X.values + e, <const int32_t*> X.indices + e, v, size)


cdef inline void dense_dot4(const MatrixView* X, Py_ssize_t k, const double* v, double* out,
                            Py_ssize_t ahead) noexcept nogil:
    """out[0:4] = v' x_k .. v' x_(k+3): v is read once for four dense slices. Slices k + ahead are fetched meanwhile."""
    cdef const float* f = <const float*> X.values + k * X.stride
    cdef const double* d = <const double*> X.values + k * X.stride
    if X.single:
        dot4_f(f, f + X.stride, f + 2 * X.stride, f + 3 * X.stride, v, X.length, out,
               ahead * X.stride)
    else:
        dot4_d(d, d + X.stride, d + 2 * X.stride, d + 3 * X.stride, v, X.length, out,
               ahead * X.stride)


cdef inline void dense_axpy4(const MatrixView* X, const Py_ssize_t* k, const double* a, Py_ssize_t first,
                             Py_ssize_t last, double* v, Py_ssize_t ahead) noexcept nogil:
    """v[first:last] += sum of a[i] x_k[i][first:last] over four dense slices: v is read and written once for four.

    The same places of the slices k[i] + ahead are fetched meanwhile.
    """
    cdef const float* f = <const float*> X.values + first
    cdef const double* d = <const double*> X.values + first
    if X.single:
        axpy4_f(a, f + k[0] * X.stride, f + k[1] * X.stride, f + k[2] * X.stride, f + k[3] * X.stride, v + first,
                last - first, ahead * X.stride)
    else:
        axpy4_d(a, d + k[0] * X.stride, d + k[1] * X.stride, d + k[2] * X.stride, d + k[3] * X.stride, v + first,
                last - first, ahead * X.stride)


cdef inline void dot_slices(const MatrixView* X, Py_ssize_t first, Py_ssize_t last, const double* v,
                            double* out) noexcept nogil:
    """out[k] = v' x_k for first <= k < last."""
    cdef Py_ssize_t k = first
    if not X.sparse:
        while k + 4 <= last:
            dense_dot4(X, k, v, out + k, 4 if k + 8 <= last else 0)
            k += 4
    while k < last:
        out[k] = slice_dot(X, k, v)
        k += 1


cdef inline void axpy_slices(const MatrixView* X, Py_ssize_t first, Py_ssize_t last, const double* a,
                             double* v) noexcept nogil:
    """v += sum_k a[k] x_k over the slices first <= k < last of a sparse X with a[k] != 0."""
    cdef Py_ssize_t k
    for k in range(first, last):
        if a[k] != 0.0:
            slice_axpy(X, k, a[k], v)


cdef inline void dense_axpy_segment(const MatrixView* X, const double* a, Py_ssize_t first, Py_ssize_t last,
                                    double* v) noexcept nogil:
    """v[first:last] += sum_k a[k] x_k[first:last] over the dense slices with a[k] != 0."""
    cdef Py_ssize_t four[4]
    cdef double factor[4]
    cdef Py_ssize_t k, held = 0
    for k in range(X.n_slices):
        if a[k] != 0.0:
            four[held] = k
            factor[held] = a[k]
            held += 1
            if held == 4:
                dense_axpy4(X, four, factor, first, last, v, 0)
                held = 0
    for k in range(held):
        if X.single:
            axpy_f(factor[k], <const float*> X.values + four[k] * X.stride + first, v + first, last - first)
        else:
            axpy_d(factor[k], <const double*> X.values + four[k] * X.stride + first, v + first, last - first)


cdef inline Py_ssize_t part_begin(const MatrixView* X, Py_ssize_t part, Py_ssize_t n_parts) noexcept nogil:
    """First slice of one of n_parts runs of slices with about equally many stored entries.

    Part n_parts begins at n_slices. Depends on X and the numbers alone, so results repeat bit for bit.
    """
    cdef Py_ssize_t low = 0, high = X.n_slices, middle
    cdef double target
    if part <= 0:
        return 0
    if part >= n_parts:
        return X.n_slices
    if not X.sparse:
        return (X.n_slices * part // n_parts) & ~3      # whole blocks of four slices
    target = <double> slice_start(X, X.n_slices) * part / n_parts
    while low < high:
        middle = (low + high) // 2
        if slice_start(X, middle) < target:
            low = middle + 1
        else:
            high = middle
    return low
