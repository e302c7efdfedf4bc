"""Passes over all of X, shared out among the threads of a team.

    dots     out[k] = v' x_k for all k          (X' v by columns, X v by rows)
    axpys    out += sum_k a[k] x_k              (X a by columns, X' a by rows)

The parts depend on X, a and n_threads alone. Parts of sparse axpys have sums of their own, which are added up in order.
"""

from libc.string cimport memset

from matrix cimport (MatrixView, axpy_slices, dense_axpy_segment, dot_slices, part_begin, slice_axpy, slice_size,
                     slice_start)
from team cimport Team, range_begin, range_parts, run

cdef enum:
    MOST_PARTS = 64             # with sums of their own
    ENTRIES_PER_SUM = 4         # stored entries for each number of a part's sum, at least: clearing and adding up pay
    PARTS_PER_THREAD = 4        # where parts have no sums: a thread that comes late leaves more to the others
    ENTRIES_PER_PART = 16384    # stored entries: 10 to 20 us of work
    SEGMENT = 64                # entries of a dense slice that a part of axpys takes, at least


cdef inline void clear(double* v, Py_ssize_t n) noexcept nogil:
    if n > 0:
        memset(v, 0, n * sizeof(double))


cdef inline Py_ssize_t stored_entries(const MatrixView* X) noexcept nogil:
    return slice_start(X, X.n_slices) if X.sparse else X.n_slices * X.length


cdef inline Py_ssize_t sum_parts(Py_ssize_t entries, Py_ssize_t length, int n_threads) noexcept nogil:
    """Parts worth having, each with a sum of length numbers of its own, for so many stored entries."""
    cdef Py_ssize_t worth = min(entries // (ENTRIES_PER_SUM * (length + 1)), entries // ENTRIES_PER_PART)
    return max(1, min(min(<Py_ssize_t> n_threads, MOST_PARTS), worth))


cdef inline Py_ssize_t sums_size(const MatrixView* X, int n_threads) noexcept nogil:
    """Numbers of scratch memory that any pass over X needs: part 0 adds to the result itself."""
    if not X.sparse and not X.by_rows:
        return 0
    return (sum_parts(stored_entries(X), X.length, n_threads) - 1) * X.length


cdef struct Dots:
    const MatrixView* X
    const double* v
    double* out
    Py_ssize_t n_parts


cdef inline void dots(const Team* team, const MatrixView* X, const double* v, double* out,
                      int n_threads) noexcept nogil:
    """out[k] = v' x_k."""
    cdef Py_ssize_t worth = stored_entries(X) // ENTRIES_PER_PART
    cdef Dots job = Dots(X, v, out, 1)
    if n_threads > 1:
        job.n_parts = max(1, min(<Py_ssize_t> n_threads * PARTS_PER_THREAD, worth))
    run(team, dots_part, &job, job.n_parts, n_threads)


cdef inline void dots_part(void* context, Py_ssize_t part) noexcept nogil:
    cdef const Dots* job = <const Dots*> context
    dot_slices(job.X, part_begin(job.X, part, job.n_parts), part_begin(job.X, part + 1, job.n_parts), job.v, job.out)


cdef struct Axpys:
    const MatrixView* X
    const double* a
    double* out
    double* sums                        # (n_parts - 1) x X.length
    Py_ssize_t n_parts
    Py_ssize_t begin[MOST_PARTS + 1]    # first slice of each part


cdef inline void axpys(const Team* team, const MatrixView* X, const double* a, double* out, double* scratch,
                       int n_threads) noexcept nogil:
    """out += sum_k a[k] x_k. scratch : sums_size(X, n_threads) numbers, written when X is sparse."""
    cdef Axpys job
    cdef Py_ssize_t k, entries = 0
    job.X, job.a, job.out, job.sums, job.n_parts = X, a, out, scratch, 1
    if n_threads > 1:
        for k in range(X.n_slices):
            if a[k] != 0.0:
                entries += slice_size(X, k)
    if not X.sparse:
        if entries >= 2 * ENTRIES_PER_PART:
            job.n_parts = max(1, min(<Py_ssize_t> n_threads, X.length // SEGMENT))
        run(team, axpys_segment, &job, job.n_parts, n_threads)
        return
    if n_threads > 1:
        job.n_parts = sum_parts(entries, X.length, n_threads)
    share(&job, entries)
    run(team, axpys_part, &job, job.n_parts, n_threads)
    add_sums(team, scratch, job.n_parts, X.length, out, n_threads)


cdef inline void share(Axpys* job, Py_ssize_t entries) noexcept nogil:
    """Give the parts about equally many of the stored entries whose a[k] is not 0."""
    cdef Py_ssize_t k = 0, part, seen = 0
    job.begin[0] = 0
    for part in range(1, job.n_parts):
        while seen * job.n_parts < entries * part:
            if job.a[k] != 0.0:
                seen += slice_size(job.X, k)
            k += 1
        job.begin[part] = k
    job.begin[job.n_parts] = job.X.n_slices


cdef inline void axpys_part(void* context, Py_ssize_t part) noexcept nogil:
    cdef const Axpys* job = <const Axpys*> context
    cdef double* out = job.out
    if part > 0:
        out = job.sums + (part - 1) * job.X.length
        clear(out, job.X.length)
    axpy_slices(job.X, job.begin[part], job.begin[part + 1], job.a, out)


cdef inline void axpys_segment(void* context, Py_ssize_t part) noexcept nogil:
    """Dense: a part has its own places of every slice, and so needs no sum."""
    cdef const Axpys* job = <const Axpys*> context
    cdef Py_ssize_t length = job.X.length
    dense_axpy_segment(job.X, job.a, range_begin(length, part, job.n_parts),
                       range_begin(length, part + 1, job.n_parts), job.out)


cdef struct Sums:
    const double* sums
    Py_ssize_t n_sums
    Py_ssize_t length
    double* out
    Py_ssize_t n_parts


cdef inline void add_sums(const Team* team, const double* sums, Py_ssize_t n_parts, Py_ssize_t length, double* out,
                          int n_threads) noexcept nogil:
    """out += the sums of parts 1 .. n_parts - 1, in that order."""
    cdef Sums job = Sums(sums, n_parts - 1, length, out, range_parts(length, n_threads))
    if job.n_sums > 0:
        run(team, sums_part, &job, job.n_parts, n_threads)


cdef inline void sums_part(void* context, Py_ssize_t part) noexcept nogil:
    cdef const Sums* job = <const Sums*> context
    cdef Py_ssize_t i, t
    for t in range(job.n_sums):
        for i in range(range_begin(job.length, part, job.n_parts), range_begin(job.length, part + 1, job.n_parts)):
            job.out[i] += job.sums[t * job.length + i]
