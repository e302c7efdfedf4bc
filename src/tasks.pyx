"""Passes over X for several tasks at once.

    Q = s (X W + b - Y),   G = X'Q - mean sum(Q)',   loss = 1/2 sum_i s_i ||x_i'W + b - y_i||^2

W, G : n_features x n_tasks; Q, Y : n_samples x n_tasks, row by row: an entry of X meets all tasks in one line of cache,
and X is read once for all of them. As in problem.pxd b is eliminated and Y arrives centred. A dense X in float64 is
multiplied by BLAS where it lies, by panels of rows that stay in the second cache between the two products (measured on
500 x 5000 with 10 tasks against a loop over slices, the form of all other storages: 60 ms to 10 by rows).
"""

from scipy.linalg.cython_blas cimport dgemm

from blocks cimport Blocks, certify_blocks, is_zero, norms as norms_of, slice_axpy_tasks, slice_dot_tasks
from certificate cimport Certificate
from matrix cimport MatrixView, n_features, n_samples, part_begin
from passes cimport ENTRIES_PER_PART, MOST_PARTS, PARTS_PER_THREAD, add_sums, clear, stored_entries, sum_parts
from problem cimport Problem, problem_of
from team cimport range_begin, range_parts, run


cdef struct Sweep:
    const Problem* P
    Py_ssize_t n_tasks
    const double* y
    const double* w
    double* q
    double* g
    const double* b                 # n_tasks
    double* totals                  # MOST_PARTS x n_tasks: sum_i q_i of each part
    double* sums                    # by rows: (n_parts - 1) x n_features x n_tasks
    Py_ssize_t n_parts              # of the job at hand
    double loss2[MOST_PARTS]


def scratch_size(object capsule, Py_ssize_t n_tasks):
    """Numbers of scratch memory for `gradient`."""
    cdef const Problem* P = problem_of(capsule)
    return scratch_of(P, n_tasks)


cdef Py_ssize_t scratch_of(const Problem* P, Py_ssize_t n_tasks) noexcept nogil:
    return (MOST_PARTS + 1 + (row_parts(P) - 1) * n_features(&P.X)) * n_tasks


cdef Py_ssize_t row_parts(const Problem* P) noexcept nogil:
    """Parts of a sweep over rows, each with a G of its own."""
    return sum_parts(stored_entries(&P.X), P.X.length, P.n_threads) if P.X.by_rows else 1


def gradient(object capsule, const double[:, ::1] Y, const double[:, ::1] W, double[:, ::1] Q, double[:, ::1] G,
             double[::1] scratch):
    """Fill Q and G (written) from Y and W (read); returns the loss. scratch : scratch_size numbers, written.

    By rows: one read of X. By columns: one read, and one more of the columns with W_j != 0.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t n = n_samples(X), p = n_features(X), n_tasks = Y.shape[1], part, t, j
    cdef double loss2 = 0.0
    cdef double* totals
    cdef Sweep job
    if not (Y.shape[0] == Q.shape[0] == n and W.shape[0] == G.shape[0] == p and n_tasks > 0
            and W.shape[1] == Q.shape[1] == G.shape[1] == n_tasks) or p == 0:
        raise ValueError("Y and Q must be n_samples x n_tasks, W and G n_features x n_tasks")
    if scratch.shape[0] < scratch_of(P, n_tasks):
        raise ValueError(f"scratch must have {scratch_of(P, n_tasks)} entries, got {scratch.shape[0]}")
    job.P, job.n_tasks, job.y, job.w, job.q, job.g = P, n_tasks, &Y[0, 0], &W[0, 0], &Q[0, 0], &G[0, 0]
    job.b, job.totals, job.sums = &scratch[0], &scratch[n_tasks], &scratch[0] + (MOST_PARTS + 1) * n_tasks
    totals = job.totals
    with nogil:
        clear(&scratch[0], n_tasks)
        if P.mean != NULL:
            for j in range(p):
                for t in range(n_tasks):
                    scratch[t] -= P.mean[j] * W[j, t]
        if X.by_rows:
            job.n_parts = row_parts(P)
            run(P.team, rows_part, &job, job.n_parts, P.n_threads)
            add_sums(P.team, job.sums, job.n_parts, p * n_tasks, job.g, P.n_threads)
        else:
            predict(&job)
            job.n_parts = min(range_parts(n, P.n_threads), <Py_ssize_t> MOST_PARTS)
            run(P.team, residual_part, &job, job.n_parts, P.n_threads)
        for part in range(job.n_parts):
            loss2 += job.loss2[part]
            for t in range(n_tasks if part > 0 else 0):
                totals[t] += totals[part * n_tasks + t]
        if not X.by_rows:
            job.n_parts = 1
            if P.n_threads > 1:
                job.n_parts = max(1, min(<Py_ssize_t> P.n_threads * PARTS_PER_THREAD,
                                         stored_entries(X) * n_tasks // ENTRIES_PER_PART))
            run(P.team, columns_part, &job, job.n_parts, P.n_threads)
        if P.mean != NULL:
            loss2 -= centre(&job)
    return 0.5 * max(loss2, 0.0)


cdef void predict(const Sweep* job) noexcept nogil:
    """Q = X W + b, X by columns."""
    cdef const MatrixView* X = &job.P.X
    cdef Py_ssize_t n_tasks = job.n_tasks, used = 0, i, t, j
    for i in range(n_samples(X)):
        for t in range(n_tasks):
            job.q[i * n_tasks + t] = job.b[t]
    if by_panels(X):
        for j in range(X.n_slices):
            used += not is_zero(job.w + j * n_tasks, n_tasks, 1)
        if used > X.n_slices // MOSTLY:
            multiply(X, True, 0, X.n_slices, X.length, n_tasks, job.w, job.q, 1.0)
            return
    for j in range(X.n_slices):
        if not is_zero(job.w + j * n_tasks, n_tasks, 1):
            slice_axpy_tasks(X, j, job.w + j * n_tasks, n_tasks, job.q)


cdef Py_ssize_t MOSTLY = 4              # one column in so many, from which the product with all is faster


cdef void rows_part(void* context, Py_ssize_t part) noexcept nogil:
    """Q, and the sum of x_i q_i', for a run of rows, each read once."""
    cdef Sweep* job = <Sweep*> context
    cdef const MatrixView* X = &job.P.X
    cdef Py_ssize_t n_tasks = job.n_tasks, size = n_features(X) * n_tasks, i, t
    cdef double* g = job.g if part == 0 else job.sums + (part - 1) * size
    cdef double* q
    cdef Py_ssize_t first = part_begin(X, part, job.n_parts), end = part_begin(X, part + 1, job.n_parts), last
    cdef bint panels = by_panels(X)
    cdef Py_ssize_t rows = max(PANEL_ROWS, PANEL // max(X.length, 1)) if panels else 1
    clear(g, size)
    clear(job.totals + part * n_tasks, n_tasks)
    job.loss2[part] = 0.0
    while first < end:
        last = min(first + rows, end)
        q = job.q + first * n_tasks
        if panels:                                          # Q' = W'X', column by column in BLAS's eyes
            multiply(X, False, first, last - first, X.length, n_tasks, job.w, q, 0.0)
        else:
            slice_dot_tasks(X, first, job.w, n_tasks, q)
        for i in range(first, last):
            for t in range(n_tasks):
                job.q[i * n_tasks + t] += job.b[t]
            job.loss2[part] += residual_row(job, i, job.totals + part * n_tasks)
        if panels:                                          # G' += Q'X
            multiply(X, True, first, last - first, X.length, n_tasks, q, g, 1.0)
        else:
            slice_axpy_tasks(X, first, q, n_tasks, g)
        first = last


cdef Py_ssize_t PANEL_ROWS = 16, PANEL = 131072         # rows of a panel at least, and numbers in it


cdef inline bint by_panels(const MatrixView* X) noexcept nogil:
    """Whether BLAS can multiply X where it lies."""
    return not X.sparse and not X.single and X.stride >= X.length > 0 and X.stride < MOST_INT and X.n_slices < MOST_INT


cdef Py_ssize_t MOST_INT = 2 ** 31 - 1


cdef void multiply(const MatrixView* X, bint along, Py_ssize_t first, Py_ssize_t count, Py_ssize_t length,
                   Py_ssize_t n_tasks, const double* v, double* out, double beta) noexcept nogil:
    """out = beta out + the slices first .. first + count times v, one row of n_tasks numbers for each slice in out;

    along: one row for each slice in v, and for each place of them in out.
    """
    cdef int m = <int> n_tasks, n = <int> (length if along else count), k = <int> (count if along else length)
    cdef int leading = <int> X.stride
    cdef double one = 1.0
    dgemm("N", "T" if along else "N", &m, &n, &k, &one, <double*> v, &m, (<double*> X.values) + first * X.stride,
          &leading, &beta, out, &m)


cdef inline double residual_row(const Sweep* job, Py_ssize_t i, double* total) noexcept nogil:
    """q_i from the prediction in it, added to total too; returns s_i ||x_i'W + b - y_i||^2."""
    cdef Py_ssize_t t
    cdef double s = job.P.sample_weight[i] if job.P.sample_weight != NULL else 1.0, error, loss2 = 0.0
    cdef double* q = job.q + i * job.n_tasks
    cdef const double* y = job.y + i * job.n_tasks
    for t in range(job.n_tasks):
        error = q[t] - y[t]
        q[t] = s * error
        loss2 += q[t] * error
        total[t] += q[t]
    return loss2


cdef void residual_part(void* context, Py_ssize_t part) noexcept nogil:
    """Q from the predictions in it, for a run of samples."""
    cdef Sweep* job = <Sweep*> context
    cdef Py_ssize_t n = n_samples(&job.P.X), i
    clear(job.totals + part * job.n_tasks, job.n_tasks)
    job.loss2[part] = 0.0
    for i in range(range_begin(n, part, job.n_parts), range_begin(n, part + 1, job.n_parts)):
        job.loss2[part] += residual_row(job, i, job.totals + part * job.n_tasks)


cdef void columns_part(void* context, Py_ssize_t part) noexcept nogil:
    """G for a run of columns."""
    cdef Sweep* job = <Sweep*> context
    cdef const MatrixView* X = &job.P.X
    cdef Py_ssize_t first = part_begin(X, part, job.n_parts), last = part_begin(X, part + 1, job.n_parts), j
    if by_panels(X):
        if first < last:
            multiply(X, False, first, last - first, X.length, job.n_tasks, job.q, job.g + first * job.n_tasks, 0.0)
        return
    for j in range(first, last):
        slice_dot_tasks(X, j, job.q, job.n_tasks, job.g + j * job.n_tasks)


cdef double centre(const Sweep* job) noexcept nogil:
    """Centre G, and move b so that Q sums to 0 to the last digits; returns what that takes from 2 loss."""
    cdef const Problem* P = job.P
    cdef Py_ssize_t n_tasks = job.n_tasks, i, j, t
    cdef double s, taken = 0.0
    for j in range(n_features(&P.X)):
        for t in range(n_tasks):                            # a constant column has no say: b stands for it
            job.g[j * n_tasks + t] = job.g[j * n_tasks + t] - P.mean[j] * job.totals[t] if P.norm2[j] != 0.0 else 0.0
    for i in range(n_samples(&P.X)):
        s = P.sample_weight[i] if P.sample_weight != NULL else 1.0
        for t in range(n_tasks):
            job.q[i * n_tasks + t] -= job.totals[t] / P.total_weight * s
    for t in range(n_tasks):
        taken += job.totals[t] * job.totals[t] / P.total_weight
    return taken


cdef Blocks whole(const double[:, ::1] W) noexcept nogil:
    return Blocks(W.shape[0], W.shape[1], W.shape[1], 1)


def norms(object capsule, const double[:, ::1] W, const double[:, ::1] G, double[::1] size, double[::1] slope):
    """size[j] = ||W_j||, slope[j] = -||G_j||, n_features numbers each, written. No read of X; see blocks.pxd."""
    cdef const Problem* P = problem_of(capsule)
    cdef Blocks blocks = whole(W)
    cdef double violation
    check(P, W, G)
    if not size.shape[0] == slope.shape[0] == W.shape[0]:
        raise ValueError("size and slope must have n_features entries")
    with nogil:
        norms_of(&P.penalty, &blocks, &W[0, 0], &G[0, 0], &size[0], &slope[0], &violation)


def certify(object capsule, const double[:, ::1] W, const double[:, ::1] G, double loss, double[::1] room):
    """(objective, gap, scale, violation) of W from its gradient G and loss; room : 2 n_features numbers, written."""
    cdef const Problem* P = problem_of(capsule)
    cdef Blocks blocks = whole(W)
    cdef Certificate c
    check(P, W, G)
    if room.shape[0] < 2 * blocks.count:
        raise ValueError("room must have 2 n_features entries")
    with nogil:
        c = certify_blocks(&P.penalty, P.norm2, &blocks, &W[0, 0], &G[0, 0], loss, &room[0])
    return c.objective, c.gap, c.scale, c.violation


cdef int check(const Problem* P, const double[:, ::1] W, const double[:, ::1] G) except -1:
    if not (W.shape[0] == G.shape[0] == n_features(&P.X) > 0 and W.shape[1] == G.shape[1] > 0):
        raise ValueError("W and G must be n_features x n_tasks")
    return 0
