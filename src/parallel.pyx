"""The team of threads of this process, as the capsule that other kernels take; see team.h."""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int32_t

from team cimport Part, Team, run

cdef extern from "team.h" nogil:
    void team_run "l1fast_team_run"(Part function, void* context, Py_ssize_t n_parts, int n_threads) noexcept
    int team_workers "l1fast_team_workers"() noexcept
    int team_begin "l1fast_team_begin"() noexcept

cdef Team of_process
of_process.run = team_run

if team_begin() != 0:
    raise MemoryError

team = PyCapsule_New(&of_process, b"l1fast.Team", NULL)


def n_workers():
    """Threads that this process has started for the team; the caller of a job makes one more."""
    return team_workers()


cdef struct Visits:
    int32_t* count
    int32_t* inner
    Py_ssize_t n
    int n_threads


cdef void visit(void* context, Py_ssize_t part) noexcept nogil:
    cdef Visits* visits = <Visits*> context
    cdef Visits inside
    visits.count[part] += 1
    if visits.inner != NULL:
        inside = Visits(visits.inner + part * visits.n, NULL, visits.n, visits.n_threads)
        run(&of_process, visit, &inside, visits.n, visits.n_threads)


def visit_parts(int32_t[::1] count, int32_t[:, ::1] inner, int n_threads):
    """Add 1 to count[part] for each of len(count) parts, and to each inner[part] in a job within that part.

    For tests. inner : None, or len(count) x len(count).
    """
    cdef Visits visits
    if count.shape[0] == 0 or (inner is not None and inner.shape[0] * inner.shape[1] != count.shape[0] ** 2):
        raise ValueError("count must not be empty, and inner be as wide and as long as count")
    visits = Visits(&count[0], NULL, count.shape[0], n_threads)
    if inner is not None:
        visits.inner = &inner[0, 0]
    with nogil:
        run(&of_process, visit, &visits, visits.n, n_threads)
