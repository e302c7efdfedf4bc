"""How kernels reach the team of threads: one verb, handed on as a pointer, since kernels do not cimport each other.

    run(team, function, context, n_parts, n_threads)

calls function(context, part) once for each part, on at most n_threads threads; see team.h. A part's work depends on
its number alone, and sums are added up in the order of the parts: so results repeat bit for bit for a given number of
parts, whoever did them.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer

ctypedef void (*Part)(void* context, Py_ssize_t part) noexcept nogil

cdef struct Team:
    void (*run)(Part function, void* context, Py_ssize_t n_parts, int n_threads) noexcept nogil

cdef enum:
    NUMBERS_PER_PART = 8192     # of a vector: about 5 us of work


cdef inline const Team* team_of(object capsule) except NULL:
    return <const Team*> PyCapsule_GetPointer(capsule, b"l1fast.Team")


cdef inline void run(const Team* team, Part function, void* context, Py_ssize_t n_parts,
                     int n_threads) noexcept nogil:
    if n_parts == 1:
        function(context, 0)
    else:
        team.run(function, context, n_parts, n_threads)


cdef inline Py_ssize_t range_parts(Py_ssize_t n, int n_threads) noexcept nogil:
    """How many parts a loop over n numbers is worth."""
    return max(1, min(<Py_ssize_t> n_threads, n // NUMBERS_PER_PART))


cdef inline Py_ssize_t range_begin(Py_ssize_t n, Py_ssize_t part, Py_ssize_t n_parts) noexcept nogil:
    """Where a part of n numbers begins; part n_parts begins at n. No two parts write to one cache line."""
    return n if part >= n_parts else (n * part // n_parts) & ~7
