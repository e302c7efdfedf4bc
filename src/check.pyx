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

from matrix cimport MatrixView, entry_index, entry_value, n_features, n_samples, slice_start
from passes cimport MOST_PARTS
from problem cimport Problem
from team cimport Team, range_begin, range_parts, run, team_of

from l1fast._kernels import parallel

cdef extern from "check.h" nogil:
    bint all_finite_f "l1fast_all_finite_f"(const float* x, Py_ssize_t n)
    bint all_finite_d "l1fast_all_finite_d"(const double* x, Py_ssize_t n)
    bint in_range_i "l1fast_in_range_i"(const int32_t* index, Py_ssize_t n, uint32_t limit)
    bint in_range_l "l1fast_in_range_l"(const int64_t* index, Py_ssize_t n, uint64_t limit)
    Py_ssize_t descents_i "l1fast_descents_i"(const int32_t* index, Py_ssize_t n)
    Py_ssize_t descents_l "l1fast_descents_l"(const int64_t* index, Py_ssize_t n)

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
    Py_ssize_t n                    # stored entries
    Py_ssize_t n_parts
    bint indices_sound[MOST_PARTS]
    bint values_sound[MOST_PARTS]
    Py_ssize_t descents[MOST_PARTS]


cdef void scan_part(void* context, Py_ssize_t part) noexcept nogil:
    """Read a run of the stored entries: are the values finite, the indices in range, and where do they not rise?"""
    cdef Scan* scan = <Scan*> context
    cdef const MatrixView* X = scan.X
    cdef Py_ssize_t first = range_begin(scan.n, part, scan.n_parts)
    cdef Py_ssize_t size = range_begin(scan.n, part + 1, scan.n_parts) - first, before = 1 if first > 0 else 0
    cdef uint64_t limit = X.length
    if X.single:
        scan.values_sound[part] = all_finite_f(<const float*> X.values + first, size)
    else:
        scan.values_sound[part] = all_finite_d(<const double*> X.values + first, size)
    if not X.sparse:
        return
    if X.wide_indices:
        scan.indices_sound[part] = in_range_l(<const int64_t*> X.indices + first, size, limit)
        scan.descents[part] = descents_l(<const int64_t*> X.indices + first - before, size + before)
    else:
        scan.indices_sound[part] = in_range_i(<const int32_t*> X.indices + first, size,
                                              <uint32_t> min(limit, <uint64_t> 1 << 31))
        scan.descents[part] = descents_i(<const int32_t*> X.indices + first - before, size + before)


cdef (Fault, Py_ssize_t) find_fault(const MatrixView* X, Py_ssize_t n_indices, Py_ssize_t n_values,
                                    int n_threads) noexcept nogil:
    """The first rule of the module's docstring that X breaks, and where."""
    cdef Scan scan
    cdef Py_ssize_t k, e, boundary_descents = 0, descents = 0
    cdef bint indices_sound = True, values_sound = True
    if not X.sparse:
        return find_infinite_dense(X, n_threads)
    if slice_start(X, 0) != 0:
        return FIRST_START, 0
    for k in range(X.n_slices):
        if slice_start(X, k) > slice_start(X, k + 1):
            return DECREASING_START, k
    scan.X, scan.n = X, slice_start(X, X.n_slices)
    if scan.n > n_indices or scan.n > n_values:
        return LAST_START, X.n_slices
    scan_entries(&scan, n_threads)
    for k in range(scan.n_parts):
        indices_sound = indices_sound and scan.indices_sound[k]
        values_sound = values_sound and scan.values_sound[k]
        descents += scan.descents[k]
    if not indices_sound:
        for e in range(scan.n):
            if entry_index(X, e) < 0 or entry_index(X, e) >= X.length:
                return INDEX_RANGE, e
    if not values_sound:
        for e in range(scan.n):
            if not isfinite(entry_value(X, e)):
                return NOT_FINITE, e
    # Canonical: indices rise everywhere but, possibly, from one slice to the next.
    for k in range(1, X.n_slices):
        e = slice_start(X, k)
        if 0 < e < scan.n and e != slice_start(X, k - 1) and entry_index(X, e) <= entry_index(X, e - 1):
            boundary_descents += 1
    return (SOUND if descents == boundary_descents else NOT_CANONICAL), 0


cdef inline void scan_entries(Scan* scan, int n_threads) noexcept nogil:
    scan.n_parts = min(range_parts(scan.n, n_threads), MOST_PARTS)
    run(TEAM, scan_part, scan, scan.n_parts, n_threads)


cdef (Fault, Py_ssize_t) find_infinite_dense(const MatrixView* X, int n_threads) noexcept nogil:
    cdef Py_ssize_t k, i, runs = 1 if X.stride == X.length else X.n_slices, part
    cdef MatrixView slice = X[0]
    cdef bint sound
    cdef Scan scan
    scan.X, scan.n = &slice, X.length * X.n_slices // max(runs, 1)
    for k in range(runs):
        if X.single:
            slice.values = <const float*> X.values + k * X.stride
        else:
            slice.values = <const double*> X.values + k * X.stride
        scan_entries(&scan, n_threads)
        sound = True
        for part in range(scan.n_parts):
            sound = sound and scan.values_sound[part]
        if not sound:
            for i in range(scan.n):
                if not isfinite(entry_value(&slice, i)):
                    return NOT_FINITE, k * X.length + i
    return SOUND, 0


def check_matrix(values, indices, starts, Py_ssize_t n_rows, Py_ssize_t n_columns, bint by_rows, int n_threads=1):
    """Check storage that nothing has trusted yet, and make the view of it that kernels take.

    values : 2-D (dense) or 1-D (sparse) array of float32 or float64, native byte order, aligned; a dense slice is
        contiguous. indices, starts : 1-D arrays of int32 or int64, or None when X is dense. All are read only.
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
    cdef Fault fault
    cdef Py_ssize_t where
    view.n_slices = n_rows if by_rows else n_columns
    view.length = n_columns if by_rows else n_rows
    view.by_rows = by_rows
    view.sparse = indices is not None
    view.values = data_of(values, "fd", &found)
    view.single = found == b"f"
    view.stride = 0
    view.indices = NULL
    view.starts = NULL
    view.wide_indices = view.wide_starts = False
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
    with nogil:
        fault, where = find_fault(&view, n_indices, n_values, n_threads)
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


def pack_problem(matrix, y, sample_weight, mean, double total_weight, norm2, penalty_weight,
                 double lam, double l2, bint positive, int n_threads):
    """Join a checked matrix and float64 vectors (or None) into the Problem that kernels take; see problem.pxd."""
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
    made.penalty.positive = positive
    made.team = TEAM
    made.n_threads = n_threads
    cdef Problem* P = <Problem*> PyMem_Malloc(sizeof(Problem))
    if P == NULL:
        raise MemoryError
    P[0] = made
    return capsule_of(P, b"l1fast.Problem", (matrix, y, sample_weight, mean, norm2, penalty_weight))


def all_finite(const double[::1] v):
    """Whether every number of v is finite, in one read."""
    return v.shape[0] == 0 or all_finite_d(&v[0], v.shape[0])
