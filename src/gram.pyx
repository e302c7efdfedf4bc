"""Blocks of the Gram matrix of a working set, whatever the storage of X.

    G[a, b] = sum_i s_i (x_i,set[a] - mean_set[a]) (x_i,set[b] - mean_set[b])

Rows of X are visited a few at a time. Sparse: every pair of stored entries of a row adds to one cell, so the cost is
the sum over rows of (new entries x entries), far below one dot product for each cell. Dense: a panel of rows is
centred, weighted and multiplied by BLAS, in float64 or, at twice the speed, in float32 (summed over panels in
float64). X is read once, and each pair of new columns is multiplied once: G is symmetric.
"""

from libc.math cimport sqrt
from libc.stdint cimport int32_t
from scipy.linalg.cython_blas cimport ddot, dgemm, dsymv, dsyrk, sgemm, ssyrk

from matrix cimport MatrixView, entry_index, entry_value, n_features, n_samples, part_begin, slice_start
from passes cimport clear, stored_entries, sum_parts
from problem cimport Problem, descend as step_down, problem_of
from smoothing cimport Smoothing, slopes, smoothing_of
from team cimport run

ctypedef fused real:
    float
    double

ctypedef fused entry:
    float
    double


def panel_rows(Py_ssize_t n, Py_ssize_t size):
    """Rows of X in a dense panel for a working set of that size: the panel stays in the second cache."""
    return max(64, min(n, 131072 // max(size, 1)))


def extend_sparse(object capsule, const Py_ssize_t[::1] working_set, Py_ssize_t known, double[:, ::1] G,
                  int32_t[::1] position, int32_t[::1] row_size, Py_ssize_t capacity):
    """Fill rows and columns known..size of G, X sparse.

    working_set : size features, the new ones ascending. position : n_features, -1 outside the working set, else the place in it (read).
    row_size : n_samples + 1 (written). capacity : entries that a chunk of rows may hold when X is stored by columns.
    G : at least size x size; G[:known, :known] is left alone.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t n = n_samples(X), size = working_set.shape[0], a
    if not X.sparse or G.shape[0] < size or G.shape[1] < size or position.shape[0] != n_features(X) \
            or row_size.shape[0] != n + 1:
        raise ValueError("X must be sparse, G size x size, position n_features and row_size n_samples + 1 long")
    for a in range(size):
        if not 0 <= working_set[a] < n_features(X) or position[working_set[a]] != a:
            raise ValueError("position and working_set disagree")
        if a > known and working_set[a] <= working_set[a - 1]:
            raise ValueError("the new features must ascend")
    if size == known:
        return
    import numpy as np
    cdef int32_t[::1] places
    cdef double[::1] entries
    cdef Py_ssize_t[::1] cursor
    cdef double[::1] sums
    cdef Rows job
    with nogil:
        for a in range(known, size):
            clear(&G[a, 0], size)
    if X.by_rows:
        job.P, job.position, job.known, job.size, job.stride = P, &position[0], known, size, G.shape[1]
        job.n_parts = sum_parts(PAIRS * stored_entries(X), (size - known) * size, P.n_threads)
        places = np.empty(2 * job.n_parts * (size + 1), dtype=np.int32)
        entries = np.empty(2 * job.n_parts * (size + 1))
        sums = np.empty((job.n_parts - 1) * (size - known) * size + 1)
        job.G, job.sums, job.place, job.value = &G[0, 0], &sums[0], &places[0], &entries[0]
        with nogil:
            run(P.team, add_rows, &job, job.n_parts, P.n_threads)
            add_part_sums(&job)
    else:
        with nogil:
            capacity = max(capacity, count_rows(X, working_set, &row_size[0]))
        places, entries = np.empty(capacity, dtype=np.int32), np.empty(capacity)
        cursor = np.array([slice_start(X, working_set[a]) for a in range(size)], dtype=np.intp)
        with nogil:
            add_columns(P, working_set, known, &G[0, 0], G.shape[1], &row_size[0], capacity, &places[0], &entries[0],
                        &cursor[0])
    with nogil:
        finish(P, working_set, known, G)


cdef inline void add_pairs(double* G, Py_ssize_t stride, const int32_t* old_place, const double* old_value,
                           Py_ssize_t n_old, const int32_t* place, const double* value, Py_ssize_t n,
                           double s) noexcept nogil:
    """G[a, b] += s x_a x_b over the pairs of one row's entries with a new and b <= a; places of new entries ascend."""
    cdef Py_ssize_t e, f
    cdef double x
    cdef double* row
    for e in range(n):
        x = s * value[e]
        row = G + place[e] * stride
        for f in range(n_old):
            row[old_place[f]] += x * old_value[f]
        for f in range(e + 1):
            row[place[f]] += x * value[f]


cdef Py_ssize_t PAIRS = 8           # products that a stored entry has a part in, about


cdef struct Rows:
    const Problem* P
    const int32_t* position
    Py_ssize_t known, size, stride
    double* G
    double* sums                    # (size - known) x size for each part from 1 on
    int32_t* place                  # 2 (size + 1) for each part, as value: the old entries of a row in the first half
    double* value
    Py_ssize_t n_parts


cdef void add_rows(void* context, Py_ssize_t part) noexcept nogil:
    """A run of rows of a CSR matrix.

    Every entry is written to both halves of place and kept in at most one: a branch would be guessed wrongly too often.
    """
    cdef const Rows* job = <const Rows*> context
    cdef const MatrixView* X = &job.P.X
    cdef const double* s = job.P.sample_weight
    cdef Py_ssize_t known = job.known, size = job.size, stride = job.stride, new = size - known, n, n_old, i, e, end
    cdef Py_ssize_t first = part_begin(X, part, job.n_parts), begin = slice_start(X, first)
    cdef int32_t* place = job.place + part * 2 * (size + 1)
    cdef double* value = job.value + part * 2 * (size + 1)
    cdef int32_t* new_place = place + size + 1
    cdef double* new_value = value + size + 1
    cdef double* G = job.G
    cdef int32_t at
    if part > 0:                                            # sums of its own, for the new rows alone
        G = job.sums + (part - 1) * new * size
        clear(G, new * size)
        G -= known * size
        stride = size
    for i in range(first, part_begin(X, part + 1, job.n_parts)):
        n = n_old = 0
        end = slice_start(X, i + 1)
        for e in range(begin, end):
            at = job.position[entry_index(X, e)]
            place[n_old] = new_place[n] = at
            value[n_old] = new_value[n] = entry_value(X, e)
            n_old += (at >= 0) & (at < known)
            n += at >= known
        begin = end
        if n > 0:
            add_pairs(G, stride, place, value, n_old, new_place, new_value, n, s[i] if s != NULL else 1.0)


cdef void add_part_sums(const Rows* job) noexcept nogil:
    """Add what the parts from 1 on have summed, in their order."""
    cdef Py_ssize_t _, a, b, new = job.size - job.known
    cdef const double* sums = job.sums
    for _ in range(1, job.n_parts):
        for a in range(new):
            for b in range(job.known + a + 1):
                job.G[(job.known + a) * job.stride + b] += sums[a * job.size + b]
        sums += new * job.size


cdef Py_ssize_t count_rows(const MatrixView* X, const Py_ssize_t[::1] working_set, int32_t* row_size) noexcept nogil:
    """row_size[i] = entries of row i in the working set of a CSC matrix; returns the largest."""
    cdef Py_ssize_t i, a, e, largest = 1
    for i in range(X.length + 1):
        row_size[i] = 0
    for a in range(working_set.shape[0]):
        for e in range(slice_start(X, working_set[a]), slice_start(X, working_set[a] + 1)):
            row_size[entry_index(X, e)] += 1
    for i in range(X.length):
        largest = max(largest, row_size[i])
    return largest


cdef void add_columns(const Problem* P, const Py_ssize_t[::1] working_set, Py_ssize_t known, double* G,
                      Py_ssize_t stride, int32_t* row_size, Py_ssize_t capacity, int32_t* place, double* value,
                      Py_ssize_t* cursor) noexcept nogil:
    """All rows of a CSC matrix, a chunk of at most capacity entries at a time: sorted columns are walked in step.

    row_size : entries of each row (read); used up as write positions.
    """
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t first = 0, last, i, a, e, held, n
    cdef int32_t size
    while first < X.length:
        held = 0
        last = first
        while last < X.length and held + row_size[last] <= capacity:
            size = row_size[last]
            row_size[last] = <int32_t> held                 # where the row begins in the chunk
            held += size
            last += 1
        for a in range(working_set.shape[0]):
            e = cursor[a]
            while e < slice_start(X, working_set[a] + 1) and entry_index(X, e) < last:
                i = entry_index(X, e)
                place[row_size[i]] = <int32_t> a
                value[row_size[i]] = entry_value(X, e)
                row_size[i] += 1                            # ends where the next row begins
                e += 1
            cursor[a] = e
        held = 0
        for i in range(first, last):
            n = row_size[i] - held
            a = 0
            while a < n and place[held + a] < known:
                a += 1
            add_pairs(G, stride, place + held, value + held, a, place + held + a, value + held + a, n - a,
                      P.sample_weight[i] if P.sample_weight != NULL else 1.0)
            held = row_size[i]
        first = last


cdef void finish(const Problem* P, const Py_ssize_t[::1] working_set, Py_ssize_t known,
                 double[:, ::1] G) noexcept nogil:
    """Centre the new rows of a sparse Gram, up to the diagonal, and mirror them."""
    cdef Py_ssize_t a, b
    cdef double shift
    if P.mean != NULL:
        for a in range(known, working_set.shape[0]):
            shift = P.total_weight * P.mean[working_set[a]]
            for b in range(a + 1):
                G[a, b] -= shift * P.mean[working_set[b]]
    mirror(&G[0, 0], G.shape[1], known, working_set.shape[0])


cdef void mirror(double* G, Py_ssize_t stride, Py_ssize_t known, Py_ssize_t size) noexcept nogil:
    """G[b, a] = G[a, b] for b < a, a new: square by square, so that both sides stay in cache."""
    cdef Py_ssize_t first = known, second, a, b
    while first < size:
        second = 0
        while second < min(first + SQUARE, size):
            for a in range(first, min(first + SQUARE, size)):
                for b in range(second, min(second + SQUARE, a)):
                    G[b * stride + a] = G[a * stride + b]
            second += SQUARE
        first += SQUARE


cdef Py_ssize_t SQUARE = 32


def extend_dense(object capsule, const Py_ssize_t[::1] working_set, Py_ssize_t known, double[:, ::1] G,
                 real[::1] panel, real[::1] part, int rows, Py_ssize_t first, Py_ssize_t last):
    """Add samples first..last to rows and columns known..size of G, X dense; first = 0 begins anew.

    G is complete after the call with last = n_samples. panel : rows x size numbers, part : (size - known) x size
    numbers (both written); their precision is that of the products.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t size = working_set.shape[0], a
    cdef Panel job
    if X.sparse or G.shape[0] < size or G.shape[1] < size or rows < 1 or panel.shape[0] < rows * size \
            or part.shape[0] < (size - known) * size:
        raise ValueError("X must be dense, G size x size, panel rows x size and part (size - known) x size")
    if not 0 <= first <= last <= n_samples(X):
        raise ValueError("first and last must be samples of X")
    for a in range(size):
        if not 0 <= working_set[a] < n_features(X):
            raise ValueError("working_set names a feature that X does not have")
    if size == known:
        return
    job.P, job.members, job.size, job.known = P, &working_set[0], size, known
    job.stride, job.first, job.G = G.shape[1], first, &G[0, 0]
    job.panel, job.part, job.single = &panel[0], &part[0], real is float
    with nogil:
        if first == 0:
            for a in range(known, size):
                clear(&G[a, 0], a + 1)
        multiply_panels(&job, rows, last)
        if last == n_samples(X):
            mirror(&G[0, 0], G.shape[1], known, size)


cdef struct Panel:
    const Problem* P
    const Py_ssize_t* members
    Py_ssize_t size, known, stride, first, count
    double* G
    void* panel                     # count x size, in the order of storage of X
    Py_ssize_t leading              # numbers from one of its slices to the next
    bint whole                      # the panel lies in X as it is: all columns in order, neither centred nor weighted
    void* part                      # (size - known) x size
    bint single                     # both are float32
    Py_ssize_t n_parts


cdef void multiply_panels(Panel* job, Py_ssize_t rows, Py_ssize_t last) noexcept nogil:
    """G[known:, :] += sum over panels Z of Z_new' Z up to the diagonal, Z = sqrt(s) (X[rows, members] - mean).

    Parts pack rows, or columns, of a panel; then each multiplies some of the new columns.
    """
    cdef const Problem* P = job.P
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t work, a
    job.whole = P.mean == NULL and P.sample_weight == NULL and job.single == X.single \
        and job.size == n_features(X) and X.stride >= X.length
    for a in range(job.size if job.whole else 0):
        job.whole = job.whole and job.members[a] == a
    if job.whole:
        rows = max(rows, ROWS_IN_PLACE)
    while job.first < last:
        job.count = min(rows, last - job.first)
        work = job.count * job.size * (job.size - job.known)
        job.n_parts = max(1, min(min(<Py_ssize_t> P.n_threads, (job.size - job.known) // COLUMNS_PER_PART),
                                 work // PRODUCTS_PER_PART))
        job.leading = X.stride if job.whole else job.size if X.by_rows else job.count
        if job.whole:
            work = job.first * X.stride if X.by_rows else job.first
            job.panel = <void*> (<const char*> X.values + work * (sizeof(float) if X.single else sizeof(double)))
        else:
            run(P.team, pack_part, job, job.n_parts, P.n_threads)
        run(P.team, multiply_part, job, job.n_parts, P.n_threads)
        job.first += job.count


cdef Py_ssize_t COLUMNS_PER_PART = 16
cdef Py_ssize_t ROWS_IN_PLACE = 4096                # of a panel that need not be packed
cdef Py_ssize_t PRODUCTS_PER_PART = 2_000_000       # multiply-adds: about 40 us of work


cdef void pack_part(void* context, Py_ssize_t part) noexcept nogil:
    cdef const Panel* job = <const Panel*> context
    cdef const MatrixView* X = &job.P.X
    cdef Py_ssize_t slices = job.count if X.by_rows else job.size
    cdef Py_ssize_t begin = slices * part // job.n_parts, end = slices * (part + 1) // job.n_parts
    if X.single and job.single:
        pack(job, <const float*> X.values, <float*> job.panel, begin, end)
    elif X.single:
        pack(job, <const float*> X.values, <double*> job.panel, begin, end)
    elif job.single:
        pack(job, <const double*> X.values, <float*> job.panel, begin, end)
    else:
        pack(job, <const double*> X.values, <double*> job.panel, begin, end)


cdef void pack(const Panel* job, const entry* x, real* panel, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The slices begin..end of the panel, rows or columns as X is stored; x: values of X."""
    cdef Py_ssize_t i, a, stride = job.P.X.stride
    cdef const Py_ssize_t* members = job.members
    cdef const double* s = job.P.sample_weight
    cdef const double* mean = job.P.mean
    cdef double centre, root
    if job.P.X.by_rows:
        panel += begin * job.size
        x += (job.first + begin) * stride
        for i in range(job.first + begin, job.first + end):
            if s == NULL and mean == NULL:
                for a in range(job.size):
                    panel[a] = <real> x[members[a]]
            else:
                root = sqrt(s[i]) if s != NULL else 1.0
                for a in range(job.size):
                    centre = mean[members[a]] if mean != NULL else 0.0
                    panel[a] = <real> (root * (x[members[a]] - centre))
            panel += job.size
            x += stride
        return
    panel += begin * job.count
    for a in range(begin, end):
        centre = mean[members[a]] if mean != NULL else 0.0
        for i in range(job.count):
            panel[i] = <real> (x[members[a] * stride + job.first + i] - centre)
        if s != NULL:
            for i in range(job.count):
                panel[i] *= <real> sqrt(s[job.first + i])
        panel += job.count


cdef void multiply_part(void* context, Py_ssize_t part) noexcept nogil:
    cdef const Panel* job = <const Panel*> context
    cdef Py_ssize_t begin = share_of_triangle(job, part), end = share_of_triangle(job, part + 1)
    if begin == end:
        return
    if job.single:
        multiply(job, <float*> job.panel, <float*> job.part, begin, end)
    else:
        multiply(job, <double*> job.panel, <double*> job.part, begin, end)


cdef Py_ssize_t share_of_triangle(const Panel* job, Py_ssize_t part) noexcept nogil:
    """First new column of a part: about equally many cells of G lie to the left of the diagonal in each."""
    cdef double new = job.size - job.known, known = job.known
    if part >= job.n_parts:
        return job.size - job.known
    return <Py_ssize_t> (sqrt(known * known + new * (2.0 * known + new) * part / job.n_parts) - known)


cdef void multiply(const Panel* job, real* panel, real* part, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Rows begin..end of the new rows of G: what stands left of their square, and the lower half of the square."""
    cdef bint by_rows = job.P.X.by_rows
    cdef int size = <int> job.size, left = <int> (job.known + begin), new = <int> (end - begin), depth = <int> job.count
    cdef int leading = <int> job.leading
    cdef real one = 1.0, zero = 0.0
    cdef real* columns = panel + (left if by_rows else left * job.leading)
    cdef real* target = part + begin * job.size
    cdef double* row
    cdef Py_ssize_t a, b
    if real is float:
        if left > 0:
            sgemm("N" if by_rows else "T", "T" if by_rows else "N", &left, &new, &depth, &one, panel, &leading, columns,
                  &leading, &zero, target, &size)
        ssyrk("U", "N" if by_rows else "T", &new, &depth, &one, columns, &leading, &zero, target + left, &size)
    else:
        if left > 0:
            dgemm("N" if by_rows else "T", "T" if by_rows else "N", &left, &new, &depth, &one, panel, &leading, columns,
                  &leading, &zero, target, &size)
        dsyrk("U", "N" if by_rows else "T", &new, &depth, &one, columns, &leading, &zero, target + left, &size)
    for a in range(new):
        row = job.G + (left + a) * job.stride
        for b in range(left + a + 1):
            row[b] += target[a * size + b]


def descend(object capsule, const double[:, ::1] G, const double[::1] product, int kind, const double[::1] widths,
            const double[::1] gamma, const double[::1] steps, double[::1] w, double[::1] g, double[:, ::1] kept):
    """For each step: w <- P(w - step g), then g = G w - product + the slope of the smoothed penalty there.

    G : p x p, the Gram matrix of all columns; product : p, X's (y - mean of y) (read). widths, steps : one for each
    step; without any, g is made at w, at width[0]. The others as in `gradient.descend`.
    Returns (1/2 w'(G w - 2 product), smoothed penalty) at the end.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t p = n_features(&P.X), count = steps.shape[0], k, j
    cdef Smoothing S = smoothing_of(kind, 1.0, gamma, p)
    cdef bint keep = kept.shape[0] > 0
    cdef double inner = 0.0, penalty = 0.0, one = 1.0, minus = -1.0
    cdef int size = <int> p, unit = 1
    if G.shape[0] != p or G.shape[1] != p or product.shape[0] != p or w.shape[0] != p or g.shape[0] != p or p == 0 \
            or widths.shape[0] < max(count, 1):
        raise ValueError("every array must have its stated shape")
    if keep and (kept.shape[0] < count or kept.shape[1] != p):
        raise ValueError("kept must be a row of n_features numbers for each step, or none")
    with nogil:
        for k in range(max(count, 1)):
            S.width = widths[k]
            if count > 0:
                step_down(P, steps[k], &g[0], &w[0], &kept[k, 0] if keep else NULL)
            for j in range(p):
                g[j] = product[j]
            dsymv("U", &size, &one, <double*> &G[0, 0], &size, &w[0], &unit, &minus, &g[0], &unit)
            if k + 1 >= count:
                inner = ddot(&size, &w[0], &unit, &g[0], &unit) - ddot(&size, &w[0], &unit, <double*> &product[0], &unit)
            penalty = slopes(&S, &P.penalty, &w[0], &g[0], True, p)
    return 0.5 * inner, penalty
