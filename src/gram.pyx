"""Blocks of the Gram matrix of a working set, whatever the storage of X.

    G[a, b] = sum_i s_i (x_i,set[a] - mean_set[a]) (x_i,set[b] - mean_set[b])

Rows of X are visited a few at a time. Sparse: every pair of stored entries of a row adds to one cell, so the cost is
the sum over rows of (new entries x entries), far below one dot product for each cell. Dense: a panel of rows is
centred, weighted and multiplied by BLAS, in float64 or, at twice the speed, in float32 (summed over panels in
float64). X is read once, and each pair of new columns is multiplied once: G is symmetric.
"""

from libc.math cimport sqrt
from libc.stdint cimport int32_t
from scipy.linalg.cython_blas cimport dgemm, dsyrk, sgemm, ssyrk

from matrix cimport MatrixView, entry_index, entry_value, n_features, n_samples, slice_start
from problem cimport Problem, clear, problem_of

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
    with nogil:
        for a in range(known, size):
            clear(&G[a, 0], size)
    if X.by_rows:
        places, entries = np.empty(2 * size + 2, dtype=np.int32), np.empty(2 * size + 2)
        with nogil:
            add_rows(P, &position[0], known, size, &G[0, 0], G.shape[1], &places[0], &entries[0])
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


cdef void add_rows(const Problem* P, const int32_t* position, Py_ssize_t known, Py_ssize_t size, double* G,
                   Py_ssize_t stride, int32_t* place, double* value) noexcept nogil:
    """All rows of a CSR matrix. place, value : 2 (size + 1), the old entries of a row in the first half.

    Every entry is written to both halves and kept in at most one: a branch would be guessed wrongly too often.
    """
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t i, e, begin = slice_start(X, 0), end, n, n_old
    cdef int32_t* new_place = place + size + 1
    cdef double* new_value = value + size + 1
    cdef int32_t at
    for i in range(X.n_slices):
        n = n_old = 0
        end = slice_start(X, i + 1)
        for e in range(begin, end):
            at = position[entry_index(X, e)]
            place[n_old] = new_place[n] = at
            value[n_old] = new_value[n] = entry_value(X, e)
            n_old += (at >= 0) & (at < known)
            n += at >= known
        begin = end
        if n > 0:
            add_pairs(G, stride, place, value, n_old, new_place, new_value, n,
                      P.sample_weight[i] if P.sample_weight != NULL else 1.0)


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
    with nogil:
        if first == 0:
            for a in range(known, size):
                clear(&G[a, 0], a + 1)
        multiply_panels(P, working_set, known, G, &panel[0], &part[0], rows, first, last)
        if last == n_samples(X):
            mirror(&G[0, 0], G.shape[1], known, size)


cdef void pack(const Problem* P, const entry* x, const Py_ssize_t[::1] working_set, Py_ssize_t first,
               Py_ssize_t count, real* panel) noexcept nogil:
    """panel = sqrt(s) (X[first:first + count, working_set] - mean), in the order of storage of X; x: values of X."""
    cdef Py_ssize_t size = working_set.shape[0], i, a
    cdef const Py_ssize_t* members = &working_set[0]
    cdef const double* s = P.sample_weight
    cdef const double* mean = P.mean
    cdef double centre, root
    if P.X.by_rows:
        x += first * P.X.stride
        for i in range(count):
            if s == NULL and mean == NULL:
                for a in range(size):
                    panel[a] = <real> x[members[a]]
            else:
                root = sqrt(s[first + i]) if s != NULL else 1.0
                for a in range(size):
                    centre = mean[members[a]] if mean != NULL else 0.0
                    panel[a] = <real> (root * (x[members[a]] - centre))
            panel += size
            x += P.X.stride
        return
    for a in range(size):
        centre = mean[members[a]] if mean != NULL else 0.0
        for i in range(count):
            panel[i] = <real> (x[members[a] * P.X.stride + first + i] - centre)
        if s != NULL:
            for i in range(count):
                panel[i] *= <real> sqrt(s[first + i])
        panel += count


cdef void multiply_panels(const Problem* P, const Py_ssize_t[::1] working_set, Py_ssize_t known, double[:, ::1] G,
                          real* panel, real* part, Py_ssize_t rows, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """G[known:, :] += sum over panels Z of Z_new' Z up to the diagonal, Z = sqrt(s) (X[rows, working_set] - mean)."""
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t count, a, b, e
    cdef int size = <int> working_set.shape[0], old = <int> known, new = <int> (size - known), depth
    cdef int leading                                        # of the panel
    cdef bint by_rows = X.by_rows
    cdef real one = 1.0, zero = 0.0
    while first < last:
        count = min(rows, last - first)
        depth = <int> count
        leading = size if by_rows else depth
        if X.single:
            pack(P, <const float*> X.values, working_set, first, count, panel)
        else:
            pack(P, <const double*> X.values, working_set, first, count, panel)
        e = known if by_rows else known * count             # where the new columns begin
        if real is float:
            if old > 0:
                sgemm("N" if by_rows else "T", "T" if by_rows else "N", &old, &new, &depth, &one, panel, &leading,
                      panel + e, &leading, &zero, part, &size)
            ssyrk("U", "N" if by_rows else "T", &new, &depth, &one, panel + e, &leading, &zero, part + known, &size)
        else:
            if old > 0:
                dgemm("N" if by_rows else "T", "T" if by_rows else "N", &old, &new, &depth, &one, panel, &leading,
                      panel + e, &leading, &zero, part, &size)
            dsyrk("U", "N" if by_rows else "T", &new, &depth, &one, panel + e, &leading, &zero, part + known, &size)
        for a in range(new):
            for b in range(known + a + 1):
                G[known + a, b] += part[a * size + b]
        first += count
