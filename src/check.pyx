"""One pass over untrusted storage; the only door through which X reaches the kernels.

`check_matrix` establishes, before anything indexes with a number found in the input, that

    starts[0] == 0,  starts[k] <= starts[k + 1],  starts[n_slices] <= len(indices), len(values),
    0 <= indices[e] < length,  every value is finite,

and hands out a MatrixView as a capsule only then. Kernels take capsules, never arrays, for X.
Comparisons are made in 64 bits, so differences cannot wrap. Cost: one streaming read of X.
"""

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.pycapsule cimport (PyCapsule_GetContext, PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New,
                                PyCapsule_SetContext)
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from matrix cimport MatrixView, entry_index, entry_value, n_features, n_samples, part_begin, slice_size, slice_start
from passes cimport ENTRIES_PER_PART, MOST_PARTS, PARTS_PER_THREAD, add_sums, clear, stored_entries, sum_parts
from problem cimport Problem
from team cimport Team, run, team_of

from l1fast._kernels import parallel

cdef extern from "check.h" nogil:
    bint all_finite_f "l1fast_all_finite_f"(const float* x, Py_ssize_t n)
    bint all_finite_d "l1fast_all_finite_d"(const double* x, Py_ssize_t n)
    bint in_range_i "l1fast_in_range_i"(const int32_t* index, Py_ssize_t n, uint32_t limit)
    bint in_range_l "l1fast_in_range_l"(const int64_t* index, Py_ssize_t n, uint64_t limit)
    Py_ssize_t descents_i "l1fast_descents_i"(const int32_t* index, Py_ssize_t n)
    Py_ssize_t descents_l "l1fast_descents_l"(const int64_t* index, Py_ssize_t n)

cdef extern from "moments.h" nogil:
    void slice_f "l1fast_moments_slice_f"(const float* x, const double* s, const double* v, Py_ssize_t n, double* out)
    void slice_d "l1fast_moments_slice_d"(const double* x, const double* s, const double* v, Py_ssize_t n, double* out)
    void rows_f "l1fast_moments_rows_f"(const float* x, Py_ssize_t stride, int m, const double* s, const double* v,
                                        double* square, double* product, double* sum, Py_ssize_t p)
    void rows_d "l1fast_moments_rows_d"(const double* x, Py_ssize_t stride, int m, const double* s, const double* v,
                                        double* square, double* product, double* sum, Py_ssize_t p)
    void slice_fi "l1fast_moments_slice_fi"(const float* x, const int32_t* index, const double* s, const double* v,
                                            Py_ssize_t n, int width, double* out)
    void slice_fl "l1fast_moments_slice_fl"(const float* x, const int64_t* index, const double* s, const double* v,
                                            Py_ssize_t n, int width, double* out)
    void slice_di "l1fast_moments_slice_di"(const double* x, const int32_t* index, const double* s, const double* v,
                                            Py_ssize_t n, int width, double* out)
    void slice_dl "l1fast_moments_slice_dl"(const double* x, const int64_t* index, const double* s, const double* v,
                                            Py_ssize_t n, int width, double* out)
    void row_fi "l1fast_moments_row_fi"(const float* x, const int32_t* index, double s, double v, double* out,
                                        int width, Py_ssize_t n)
    void row_fl "l1fast_moments_row_fl"(const float* x, const int64_t* index, double s, double v, double* out,
                                        int width, Py_ssize_t n)
    void row_di "l1fast_moments_row_di"(const double* x, const int32_t* index, double s, double v, double* out,
                                        int width, Py_ssize_t n)
    void row_dl "l1fast_moments_row_dl"(const double* x, const int64_t* index, double s, double v, double* out,
                                        int width, Py_ssize_t n)

cdef const Team* TEAM = team_of(parallel.team)

cdef enum Fault:
    SOUND
    FIRST_START         # starts[0] != 0
    DECREASING_START    # starts[where] > starts[where + 1]
    LAST_START          # starts[n_slices] beyond the stored entries
    INDEX_RANGE         # indices[where] outside [0, length)
    NOT_FINITE          # values[where]; for dense X, where = slice * length + position
    NOT_CANONICAL       # some slice has unsorted or repeated indices: sound, but to be sorted and summed first

FAULTS = ("sound", "first_start", "decreasing_start", "last_start", "index_range", "not_finite", "not_canonical")


cdef void release(object capsule) noexcept:
    """Capsule destructor: free the struct and let go of the arrays that it points into."""
    cdef void* keep = PyCapsule_GetContext(capsule)
    if PyCapsule_IsValid(capsule, b"l1fast.MatrixView"):
        PyMem_Free(PyCapsule_GetPointer(capsule, b"l1fast.MatrixView"))
    else:
        PyMem_Free(PyCapsule_GetPointer(capsule, b"l1fast.Problem"))
    if keep != NULL:
        Py_DECREF(<object> keep)


cdef object capsule_of(void* struct, const char* name, tuple keep):
    """A capsule that owns struct and keeps the objects that struct points into alive."""
    cdef object capsule = PyCapsule_New(struct, name, release)
    Py_INCREF(keep)
    PyCapsule_SetContext(capsule, <void*> keep)
    return capsule


cdef const void* data_of(object array, str formats, char* found) except? NULL:
    """Address of an array whose item format is one of formats; the array must outlive the pointer."""
    cdef Py_buffer buffer
    PyObject_GetBuffer(array, &buffer, PyBUF_STRIDES | PyBUF_FORMAT)
    cdef const void* address = buffer.buf
    found[0] = buffer.format[0] if buffer.format != NULL and buffer.format[1] == 0 else 0
    if found[0] == b"l":                                # int64 here, int32 elsewhere
        found[0] = b"q" if buffer.itemsize == 8 else b"i"
    PyBuffer_Release(&buffer)
    if chr(found[0]) not in formats:
        raise TypeError(f"storage must have an item format in {formats!r}")
    return address


cdef struct Scan:
    const MatrixView* X
    const double* s
    const double* v
    double* moments                     # of part 0, or NULL
    double* sums                        # of the parts from 1 on, where parts share columns; else NULL
    Py_ssize_t size                     # numbers in moments
    int width                           # numbers for each column
    Py_ssize_t n_parts
    Fault fault[MOST_PARTS]
    Py_ssize_t where[MOST_PARTS]


cdef Fault starts_fault(MatrixView* X, Py_ssize_t n_indices, Py_ssize_t n_values, Py_ssize_t* where) noexcept nogil:
    """The first rule about starts that a sparse X breaks, and where. Until they are sound, nothing follows them.

    On the way: whether slices of equal length follow one another.
    """
    cdef Py_ssize_t k, size, previous = -1, changes = 0
    where[0] = 0
    if slice_start(X, 0) != 0:
        return FIRST_START
    for k in range(X.n_slices):
        if slice_start(X, k) > slice_start(X, k + 1):
            where[0] = k
            return DECREASING_START
        size = slice_size(X, k)
        changes += size != previous
        previous = size
    if slice_start(X, X.n_slices) > n_indices or slice_start(X, X.n_slices) > n_values:
        where[0] = X.n_slices
        return LAST_START
    X.runs = changes * LONG_RUN <= X.n_slices
    return SOUND


cdef Py_ssize_t parts_worth(const MatrixView* X, Py_ssize_t size, int n_threads) noexcept nogil:
    """Parts of a scan; size: numbers of moments that each part by rows needs for itself, 0: none."""
    if n_threads == 1:
        return 1
    if X.by_rows and size > 0:
        return sum_parts(stored_entries(X), size, n_threads)
    return max(1, min(min(<Py_ssize_t> n_threads * PARTS_PER_THREAD, MOST_PARTS), stored_entries(X) // ENTRIES_PER_PART))


cdef (Fault, Py_ssize_t) scan_all(Scan* scan, int n_threads) noexcept nogil:
    """The first fault of the entries, and where; the moments on the way."""
    cdef Py_ssize_t part
    cdef bint canonical = True
    run(TEAM, scan_part, scan, scan.n_parts, n_threads)
    for part in range(scan.n_parts):
        if scan.fault[part] == NOT_CANONICAL:
            canonical = False
        elif scan.fault[part] != SOUND:
            return scan.fault[part], scan.where[part]
    if scan.sums != NULL:
        add_sums(TEAM, scan.sums, scan.n_parts, scan.size, scan.moments, n_threads)
    return (SOUND if canonical else NOT_CANONICAL), 0


cdef void scan_part(void* context, Py_ssize_t part) noexcept nogil:
    """Check a run of slices, block by block, and add up the moments of a block while it is in cache."""
    cdef Scan* scan = <Scan*> context
    cdef const MatrixView* X = scan.X
    cdef Py_ssize_t k, first = part_begin(X, part, scan.n_parts), end = part_begin(X, part + 1, scan.n_parts), last
    cdef double* moments = scan.moments if part == 0 or scan.sums == NULL else scan.sums + (part - 1) * scan.size
    cdef Fault fault
    scan.fault[part] = SOUND
    scan.where[part] = 0
    if moments != NULL and X.by_rows:
        clear(moments, scan.size)
    if not X.sparse:
        scan.fault[part], scan.where[part] = scan_dense(X, scan.s, scan.v, moments, scan.width, first, end)
        return
    while first < end:
        last = first + 1
        while last < end and slice_start(X, last + 1) - slice_start(X, first) <= BLOCK:
            last += 1
        fault, k = block_fault(X, first, last)
        if fault != SOUND:
            scan.fault[part] = fault
            scan.where[part] = k
            if fault != NOT_CANONICAL:
                return
        if moments != NULL:
            for k in range(first, last):
                sparse_moments(X, k, scan.s, scan.v, moments, scan.width)
        first = last


cdef Py_ssize_t LONG_RUN = 8             # slices of equal length in a row, on average, from which runs pay
cdef Py_ssize_t BLOCK = 4096            # entries checked, then summed: they stay in the first cache


cdef (Fault, Py_ssize_t) block_fault(const MatrixView* X, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """What is wrong with the entries of the slices first <= k < last of a sparse X, and at which entry."""
    cdef Py_ssize_t begin = slice_start(X, first), size = slice_start(X, last) - begin, k, e, between = 0, descents
    cdef uint64_t limit = X.length
    cdef bint sound
    if X.wide_indices:
        sound = in_range_l(<const int64_t*> X.indices + begin, size, limit)
    else:
        sound = in_range_i(<const int32_t*> X.indices + begin, size, <uint32_t> min(limit, <uint64_t> 1 << 31))
    if not sound:
        for e in range(begin, begin + size):
            if entry_index(X, e) < 0 or entry_index(X, e) >= X.length:
                return INDEX_RANGE, e
    if X.single:
        sound = all_finite_f(<const float*> X.values + begin, size)
    else:
        sound = all_finite_d(<const double*> X.values + begin, size)
    if not sound:
        for e in range(begin, begin + size):
            if not isfinite(entry_value(X, e)):
                return NOT_FINITE, e
    # Canonical: indices rise everywhere but, possibly, from one slice to the next.
    if X.wide_indices:
        descents = descents_l(<const int64_t*> X.indices + begin, size)
    else:
        descents = descents_i(<const int32_t*> X.indices + begin, size)
    for k in range(first + 1, last):
        e = slice_start(X, k)
        if begin < e < begin + size and e != slice_start(X, k - 1) and entry_index(X, e) <= entry_index(X, e - 1):
            between += 1
    return (SOUND if descents == between else NOT_CANONICAL), 0


cdef void sparse_moments(const MatrixView* X, Py_ssize_t k, const double* s, const double* v,
                         double* moments, int width) noexcept nogil:
    """The part of slice k in the moments of the columns, n_features x width; by columns it is all of column k's."""
    cdef Py_ssize_t e = slice_start(X, k), size = slice_size(X, k)
    cdef const float* f = <const float*> X.values + e
    cdef const double* d = <const double*> X.values + e
    cdef const int32_t* i = <const int32_t*> X.indices + e
    cdef const int64_t* l = <const int64_t*> X.indices + e
    cdef double weight, target
    if X.by_rows:
        weight = s[k] if s != NULL else 1.0
        target = v[k] if v != NULL else 0.0
        if X.wide_indices:
            if X.single:
                row_fl(f, l, weight, target, moments, width, size)
            else:
                row_dl(d, l, weight, target, moments, width, size)
        elif X.single:
            row_fi(f, i, weight, target, moments, width, size)
        else:
            row_di(d, i, weight, target, moments, width, size)
        return
    moments += width * k
    if X.wide_indices:
        if X.single:
            slice_fl(f, l, s, v, size, width, moments)
        else:
            slice_dl(d, l, s, v, size, width, moments)
    elif X.single:
        slice_fi(f, i, s, v, size, width, moments)
    else:
        slice_di(d, i, s, v, size, width, moments)


cdef (Fault, Py_ssize_t) scan_dense(const MatrixView* X, const double* s, const double* v, double* moments, int width,
                                    Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """The same for dense slices, moments width x n_features. Finite sums of squares prove that every entry is finite."""
    cdef Py_ssize_t p = n_features(X), k = first, j
    cdef double column[3]
    cdef double* total = moments + 2 * p if width > 2 else NULL
    cdef bint finite = moments != NULL
    cdef int m
    while finite and k < last:
        if X.by_rows:
            m = <int> min(4, last - k)
            if X.single:
                rows_f(<const float*> X.values + k * X.stride, X.stride, m, s + k if s != NULL else NULL,
                       v + k if v != NULL else NULL, moments, moments + p, total, p)
            else:
                rows_d(<const double*> X.values + k * X.stride, X.stride, m, s + k if s != NULL else NULL,
                       v + k if v != NULL else NULL, moments, moments + p, total, p)
            k += m
        else:
            if X.single:
                slice_f(<const float*> X.values + k * X.stride, s, v, X.length, column)
            else:
                slice_d(<const double*> X.values + k * X.stride, s, v, X.length, column)
            for j in range(width):
                moments[j * p + k] = column[j]
                finite = finite and isfinite(column[j])
            k += 1
    if finite and X.by_rows:
        finite = all_finite_d(moments, width * p)
    if finite:
        return SOUND, 0
    return find_infinite(X, first, last)


cdef (Fault, Py_ssize_t) find_infinite(const MatrixView* X, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """The first entry of some dense slices that is not finite; moments alone may have overflowed."""
    cdef Py_ssize_t k, i, at, size = X.length, slices = 1
    cdef bint sound
    if X.stride == X.length:                            # one run
        slices = last - first
        size = X.length * slices
    k = first
    while k < last:
        at = k * X.stride
        sound = all_finite_f(<const float*> X.values + at, size) if X.single else \
            all_finite_d(<const double*> X.values + at, size)
        if not sound:
            for i in range(size):
                if not isfinite(entry_value(X, at + i)):
                    return NOT_FINITE, k * X.length + i
        k += slices
    return SOUND, 0


def check_matrix(values, indices, starts, Py_ssize_t n_rows, Py_ssize_t n_columns, bint by_rows, sample_weight=None,
                 v=None, double[:, ::1] moments=None, int n_threads=1):
    """Check storage that nothing has trusted yet, and make the view of it that kernels take.

    values : 2-D (dense) or 1-D (sparse) array of float32 or float64, native byte order, aligned; a dense slice is
        contiguous. indices, starts : 1-D arrays of int32 or int64, or None when X is dense. All are read only.
    moments : None, or room for sum s x^2, sum v x and, if there is more, sum s x of each column, written (of use only
        when X is sound): n_columns x 2 or 4 when X is sparse, 2 or 3 x n_columns when it is dense.
    sample_weight, v : s and v, n_rows numbers each, or None for ones and zeros; read.
    n_threads : threads that read the entries, at most.

    Returns
    -------
    capsule or None, fault, where : the view (None unless the fault is "sound"), a name from FAULTS, and the slice,
        start or entry it was found at.
    """
    cdef MatrixView view
    cdef MatrixView* X
    cdef char found = 0
    cdef Py_ssize_t n_indices = 0, n_values = values.size
    cdef Fault fault = SOUND
    cdef Py_ssize_t where = 0
    cdef Scan scan
    cdef double[::1] sums
    cdef const double* s = vector(sample_weight, n_rows) if sample_weight is not None else NULL
    cdef const double* target = vector(v, n_rows) if v is not None else NULL
    cdef double* room = NULL
    cdef int width = 2
    view.n_slices = n_rows if by_rows else n_columns
    view.length = n_columns if by_rows else n_rows
    view.by_rows = by_rows
    view.sparse = indices is not None
    view.values = data_of(values, "fd", &found)
    view.single = found == b"f"
    view.stride = 0
    view.indices = NULL
    view.starts = NULL
    view.wide_indices = view.wide_starts = view.runs = False
    if view.sparse:
        n_indices = indices.size
        view.indices = data_of(indices, "iq", &found)
        view.wide_indices = found == b"q"
        view.starts = data_of(starts, "iq", &found)
        view.wide_starts = found == b"q"
        if starts.size != view.n_slices + 1:
            raise ValueError("starts must have n_slices + 1 entries")
        if not (values.flags.c_contiguous and indices.flags.c_contiguous and starts.flags.c_contiguous):
            raise ValueError("sparse storage must be contiguous")
    else:
        if values.shape != (n_rows, n_columns) or (view.length > 1 and values.strides[by_rows] != values.itemsize):
            raise ValueError("values must have the shape of X and contiguous slices")
        view.stride = values.strides[not by_rows] // values.itemsize
    if moments is not None:
        width = <int> moments.shape[view.sparse]
        if (width != 2 and width != (4 if view.sparse else 3)) or moments.shape[not view.sparse] != n_columns:
            raise ValueError("moments must be n_columns x 2 or 4 when X is sparse, 2 or 3 x n_columns when it is dense")
        room = &moments[0, 0] if n_columns > 0 else NULL
    if view.sparse:
        with nogil:
            fault = starts_fault(&view, n_indices, n_values, &where)
    if fault == SOUND:
        scan.X, scan.s, scan.v, scan.moments, scan.sums, scan.width = &view, s, target, room, NULL, width
        scan.size = width * n_columns if room != NULL else 0
        scan.n_parts = parts_worth(&view, scan.size, n_threads)
        if view.by_rows and scan.size > 0 and scan.n_parts > 1:
            import numpy as np
            sums = np.empty((scan.n_parts - 1) * scan.size)
            scan.sums = &sums[0]
        with nogil:
            fault, where = scan_all(&scan, n_threads)
    if fault != SOUND:
        return None, FAULTS[fault], where
    X = <MatrixView*> PyMem_Malloc(sizeof(MatrixView))
    if X == NULL:
        raise MemoryError
    X[0] = view
    return capsule_of(X, b"l1fast.MatrixView", (values, indices, starts)), FAULTS[fault], where


cdef inline const double* vector(const double[::1] v, Py_ssize_t n) except? NULL:
    """Address of a vector of n numbers."""
    if v.shape[0] != n:
        raise ValueError(f"expected {n} numbers, got {v.shape[0]}")
    return &v[0] if n > 0 else NULL


def in_runs(object matrix):
    """Whether slices of equal length follow one another, mostly."""
    return (<const MatrixView*> PyCapsule_GetPointer(matrix, b"l1fast.MatrixView")).runs


def pack_problem(matrix, y, sample_weight, mean, double total_weight, norm2, penalty_weight,
                 double lam, double l2, lower, upper, int n_threads, oracle=None, Py_ssize_t oracle_rows=0):
    """Join a checked matrix and float64 vectors (or None) into the Problem that kernels take; see problem.pxd.

    lower, upper : both or neither None. oracle : reads X in place of the matrix, which then stands in
    for it, and fills oracle_rows numbers of q.
    """
    cdef const MatrixView* X = <const MatrixView*> PyCapsule_GetPointer(matrix, b"l1fast.MatrixView")
    cdef Py_ssize_t n = n_samples(X), p = n_features(X)
    cdef Problem made
    made.X = X[0]
    made.y = vector(y, n)
    made.sample_weight = vector(sample_weight, n) if sample_weight is not None else NULL
    made.mean = vector(mean, p) if mean is not None else NULL
    made.total_weight = total_weight
    made.norm2 = vector(norm2, p)
    made.penalty.lam = lam
    made.penalty.l2 = l2
    made.penalty.weight = vector(penalty_weight, p) if penalty_weight is not None else NULL
    if (lower is None) != (upper is None):
        raise ValueError("lower and upper must come together")
    made.penalty.lower = vector(lower, p) if lower is not None else NULL
    made.penalty.upper = vector(upper, p) if upper is not None else NULL
    made.team = TEAM
    made.n_threads = n_threads
    made.oracle = <void*> oracle if oracle is not None else NULL
    made.oracle_rows = oracle_rows
    cdef Problem* P = <Problem*> PyMem_Malloc(sizeof(Problem))
    if P == NULL:
        raise MemoryError
    P[0] = made
    return capsule_of(P, b"l1fast.Problem", (matrix, y, sample_weight, mean, norm2, penalty_weight, lower, upper,
                                            oracle))


def all_finite(const double[::1] v):
    """Whether every number of v is finite, in one read."""
    return v.shape[0] == 0 or all_finite_d(&v[0], v.shape[0])
