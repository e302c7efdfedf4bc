"""Blocks of the Gram matrix of a working set, whatever the storage of X.

    G[a, b] = sum_i s_i (x_i,set[a] - mean_set[a]) (x_i,set[b] - mean_set[b])

Rows of X are visited a few at a time. Sparse: every pair of stored entries of a row adds to one cell, so the cost is
the sum over rows of (new entries x entries), far below one dot product for each cell. Dense: a panel of rows is
centred, weighted and multiplied by dgemm. X is read once; G is exact to float64 rounding.
"""

from libc.math cimport sqrt
from libc.stdint cimport int32_t
from scipy.linalg.cython_blas cimport dgemm

from matrix cimport MatrixView, entry_index, entry_value, n_features, n_samples, slice_start
from problem cimport Problem, clear, problem_of


def panel_rows(Py_ssize_t n, Py_ssize_t size):
    """Rows of X in a dense panel for a working set of that size: the panel stays in cache."""
    return max(8, min(n, 65536 // max(size, 1)))


def extend_sparse(object capsule, const Py_ssize_t[::1] working_set, Py_ssize_t known, double[:, ::1] G,
                  int32_t[::1] position, int32_t[::1] row_size, Py_ssize_t capacity):
    """Fill rows and columns known..size of G, X sparse.

    working_set : size features. position : n_features, -1 outside the working set, else the place in it (read).
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
        places, entries = np.empty(size, dtype=np.int32), np.empty(size)
        with nogil:
            add_rows(P, &position[0], known, &G[0, 0], G.shape[1], &places[0], &entries[0])
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


cdef void add_pairs(double* G, Py_ssize_t stride, Py_ssize_t known, const int32_t* place, const double* value,
                    Py_ssize_t n, double s) noexcept nogil:
    """G[a, b] += s x_a x_b over the pairs of one row's entries, a new."""
    cdef Py_ssize_t e, f
    cdef double x
    cdef double* row
    for e in range(n):
        if place[e] >= known:
            x = s * value[e]
            row = G + place[e] * stride
            for f in range(n):
                row[place[f]] += x * value[f]


cdef void add_rows(const Problem* P, const int32_t* position, Py_ssize_t known, double* G, Py_ssize_t stride,
                   int32_t* place, double* value) noexcept nogil:
    """All rows of a CSR matrix."""
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t i, e, n
    cdef int32_t at
    for i in range(X.n_slices):
        n = 0
        for e in range(slice_start(X, i), slice_start(X, i + 1)):
            at = position[entry_index(X, e)]
            if at >= 0:
                place[n] = at
                value[n] = entry_value(X, e)
                n += 1
        add_pairs(G, stride, known, place, value, n, P.sample_weight[i] if P.sample_weight != NULL else 1.0)


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
            add_pairs(G, stride, known, place + held, value + held, n,
                      P.sample_weight[i] if P.sample_weight != NULL else 1.0)
            held = row_size[i]
        first = last


cdef void finish(const Problem* P, const Py_ssize_t[::1] working_set, Py_ssize_t known,
                 double[:, ::1] G) noexcept nogil:
    """Centre the new rows of a sparse Gram, and mirror them."""
    cdef Py_ssize_t a, b
    cdef double shift
    for a in range(known, working_set.shape[0]):
        if P.mean != NULL:
            shift = P.total_weight * P.mean[working_set[a]]
            for b in range(working_set.shape[0]):
                G[a, b] -= shift * P.mean[working_set[b]]
        for b in range(known):
            G[b, a] = G[a, b]


def extend_dense(object capsule, const Py_ssize_t[::1] working_set, Py_ssize_t known, double[:, ::1] G,
                 double[::1] panel, int rows, Py_ssize_t first, Py_ssize_t last):
    """Add samples first..last to rows and columns known..size of G, X dense; first = 0 begins anew.

    G is complete after the call with last = n_samples. panel : rows x size numbers (written).
    """
    cdef const Problem* P = problem_of(capsule)
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t size = working_set.shape[0], a, b
    if X.sparse or G.shape[0] < size or G.shape[1] < size or rows < 1 or panel.shape[0] < rows * size:
        raise ValueError("X must be dense, G size x size and panel rows x size")
    if not 0 <= first <= last <= n_samples(X):
        raise ValueError("first and last must be samples of X")
    for a in range(size):
        if not 0 <= working_set[a] < n_features(X):
            raise ValueError("working_set names a feature that X does not have")
    if size == known:
        return
    with nogil:
        multiply_panels(P, working_set, known, G, &panel[0], rows, first, last)
        for a in range(known if last == n_samples(X) else size, size):
            for b in range(known):
                G[b, a] = G[a, b]


cdef void multiply_panels(const Problem* P, const Py_ssize_t[::1] working_set, Py_ssize_t known, double[:, ::1] G,
                          double* panel, Py_ssize_t rows, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """G[known:, :] += sum over panels Z of Z_new' Z, Z = sqrt(s) (X[rows, working_set] - mean)."""
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t count, i, a, e, j
    cdef int size = <int> working_set.shape[0], new = <int> (size - known), depth, leading = <int> G.shape[1]
    cdef double one = 1.0, beta = 0.0 if first == 0 else 1.0, centre, root
    while first < last:
        count = min(rows, last - first)
        if X.by_rows:                                       # panel is count x size, row by row
            for i in range(count):
                root = sqrt(P.sample_weight[first + i]) if P.sample_weight != NULL else 1.0
                e = (first + i) * X.stride
                for a in range(size):
                    j = working_set[a]
                    centre = P.mean[j] if P.mean != NULL else 0.0
                    panel[i * size + a] = root * (entry_value(X, e + j) - centre)
            depth = <int> count
            dgemm("N", "T", &size, &new, &depth, &one, panel, &size, panel + known, &size, &beta, &G[known, 0],
                  &leading)
        else:                                               # panel is count x size, column by column
            for a in range(size):
                j = working_set[a]
                centre = P.mean[j] if P.mean != NULL else 0.0
                e = j * X.stride + first
                for i in range(count):
                    root = sqrt(P.sample_weight[first + i]) if P.sample_weight != NULL else 1.0
                    panel[a * count + i] = root * (entry_value(X, e + i) - centre)
            depth = <int> count
            dgemm("T", "N", &size, &new, &depth, &one, panel, &depth, panel + known * count, &depth, &beta,
                  &G[known, 0], &leading)
        beta = 1.0
        first += count
