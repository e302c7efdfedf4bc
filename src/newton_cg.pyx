"""Newton steps on the sign pattern of a large working set, without its Gram matrix.

The system of `newton`, with the Hessian applied and never formed,

    (X_S' s X_S + l2 V + damping diag) d = -(g_S + lam v sign(w_S) + l2 v w_S),   X_S centred with an intercept,

is solved roughly by conjugate gradients, preconditioned by its diagonal (Hestenes and Stiefel 1952). w then moves along
d as far as the piecewise quadratic objective falls: a coefficient that reaches zero on the way stays there.
"""

from libc.stdint cimport int32_t, int64_t

from matrix cimport (MatrixView, entry_index, entry_value, n_features, n_samples, part_begin, slice_axpy, slice_dot,
                     slice_start)
from passes cimport MOST_PARTS, add_sums, clear, stored_entries, sum_parts
from penalty cimport weight_of
from problem cimport Problem, add_column, problem_of
from team cimport run


cdef extern from "sweep.h" nogil:
    void normal_rows_fi "l1fast_normal_rows_fi"(
        const float* x, const int32_t* index, const void* starts, bint wide_starts, Py_ssize_t n, const double* v,
        double b, const double* s, double* product, double* sums)
    void normal_rows_di "l1fast_normal_rows_di"(
        const double* x, const int32_t* index, const void* starts, bint wide_starts, Py_ssize_t n, const double* v,
        double b, const double* s, double* product, double* sums)

ctypedef fused real:
    float
    double


def count_rows(object capsule, const Py_ssize_t[::1] features, const int32_t[::1] position, int32_t[::1] row_size):
    """row_size[i] = entries of row i of a sparse X in the columns of features.

    position : n_features, the place among the features or -1 (read). row_size : n_samples (written).
    """
    cdef const Problem* P = problem_of(capsule)
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t i, a, e
    check_features(X, features, position, row_size.shape[0])
    with nogil:
        for i in range(n_samples(X)):
            row_size[i] = 0
        if X.by_rows:
            for i in range(X.n_slices):
                for e in range(slice_start(X, i), slice_start(X, i + 1)):
                    row_size[i] += position[entry_index(X, e)] >= 0
        else:
            for a in range(features.shape[0]):
                for e in range(slice_start(X, features[a]), slice_start(X, features[a] + 1)):
                    row_size[entry_index(X, e)] += 1


def fill_rows(object capsule, const Py_ssize_t[::1] features, const int32_t[::1] position, int64_t[::1] cursor,
              int32_t[::1] indices, real[::1] values):
    """The columns of features stored by rows, each named by its place.

    cursor : n_samples, where row i begins in indices and values; it ends behind the row. indices, values : written.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t i, a, e, at, room = min(indices.shape[0], values.shape[0])
    cdef bint inside = True
    check_features(X, features, position, cursor.shape[0])
    with nogil:
        for a in range(X.n_slices if X.by_rows else features.shape[0]):
            i = a if X.by_rows else features[a]
            for e in range(slice_start(X, i), slice_start(X, i + 1)):
                if X.by_rows and position[entry_index(X, e)] < 0:
                    continue
                at = cursor[i if X.by_rows else entry_index(X, e)]
                if not 0 <= at < room:
                    inside = False
                    break
                cursor[i if X.by_rows else entry_index(X, e)] = at + 1
                indices[at] = position[entry_index(X, e)] if X.by_rows else <int32_t> a
                values[at] = <real> entry_value(X, e)
    if not inside:
        raise ValueError("cursor leads out of indices or values")


cdef int check_features(const MatrixView* X, const Py_ssize_t[::1] features, const int32_t[::1] position,
                        Py_ssize_t n) except -1:
    cdef Py_ssize_t a
    if not X.sparse or position.shape[0] != n_features(X) or n != n_samples(X):
        raise ValueError("X must be sparse, and position and the numbers for each row of its shape")
    for a in range(features.shape[0]):
        if not 0 <= features[a] < n_features(X) or position[features[a]] != a:
            raise ValueError("position and features disagree")
    return 0


def solve(object capsule, const Py_ssize_t[::1] columns, const Py_ssize_t[::1] moving, const double[::1] shift,
          const double[::1] diagonal, double[::1] d, double[::1] r, double[::1] p, double[::1] product,
          double[::1] image, double rz, double target, long max_steps):
    """Conjugate gradients on (X_S's X_S + shift) d = right-hand side, by at most max_steps products.

    columns : the problem's feature for each place; moving : the places S.
    shift, diagonal : a number for each place (read). d, r, p : the same (read and written), 0 off S. product :
    product_size numbers (written). image : n_samples, or none when X is stored by rows (written).
    d, r, p and rz = r'(r / diagonal) are the state, and carry on where the last call ended; a new system begins with
    d = 0, r = right-hand side, p = r / diagonal. It ends as soon as rz <= target. Returns (steps, rz).
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t size = columns.shape[0], a, k
    cdef double curvature, step, share
    cdef long steps = 0
    if not (shift.shape[0] == diagonal.shape[0] == d.shape[0] == r.shape[0] == p.shape[0] == size) \
            or product.shape[0] < product_size(capsule, size) \
            or image.shape[0] != (0 if P.X.by_rows else n_samples(&P.X)):
        raise ValueError("every vector must have its stated length")
    if P.X.by_rows and (not P.X.sparse or P.X.wide_indices or n_features(&P.X) != size):
        raise ValueError("X by rows must be sparse with int32 indices, and its features must be the places")
    for k in range(size):
        if not 0 <= columns[k] < n_features(&P.X) or P.X.by_rows and columns[k] != k:
            raise ValueError("columns names a feature that X does not have")
    for a in range(moving.shape[0]):
        if not 0 <= moving[a] < size:
            raise ValueError("moving names a place that does not exist")
    if size == 0:
        return 0, rz
    with nogil:
        while steps < max_steps and rz > target:
            curvature = multiply(P, columns, moving, &p[0], &image[0] if image.shape[0] > 0 else NULL, &product[0])
            for a in range(moving.shape[0]):
                k = moving[a]
                curvature += shift[k] * p[k] * p[k]
                product[k] += shift[k] * p[k]
            steps += 1
            if not curvature > 0.0:                         # r lies in the null space: there is nothing more to gain
                rz = 0.0
                break
            step = rz / curvature
            share = 1.0 / rz
            rz = 0.0
            for a in range(moving.shape[0]):
                k = moving[a]
                d[k] += step * p[k]
                r[k] -= step * product[k]
                rz += r[k] / diagonal[k] * r[k]
            share *= rz
            for a in range(moving.shape[0]):
                k = moving[a]
                p[k] = r[k] / diagonal[k] + share * p[k]
    return steps, rz


cdef double multiply(const Problem* P, const Py_ssize_t[::1] columns, const Py_ssize_t[::1] moving, const double* v,
                     double* image, double* product) noexcept nogil:
    """product = X'image at the moving places, image = s X v, X centred; returns v'product. One read of X by rows."""
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t n = n_samples(X), a, i
    cdef double b = 0.0
    cdef double[2] sums
    sums[0] = sums[1] = 0.0
    if P.mean != NULL:
        for a in range(moving.shape[0]):
            b -= P.mean[columns[moving[a]]] * v[moving[a]]
    if X.by_rows:
        share_rows(P, v, b, product, columns.shape[0], sums)
    else:
        for i in range(n):
            image[i] = b
        for a in range(moving.shape[0]):
            slice_axpy(X, columns[moving[a]], v[moving[a]], image)
        for i in range(n):
            b = image[i]
            if P.sample_weight != NULL:
                image[i] *= P.sample_weight[i]
            sums[0] += image[i] * b
            sums[1] += image[i]
        for a in range(moving.shape[0]):
            product[moving[a]] = slice_dot(X, columns[moving[a]], image)
    if P.mean != NULL:
        for a in range(moving.shape[0]):
            product[moving[a]] -= P.mean[columns[moving[a]]] * sums[1]
    return sums[0]


cdef struct Rows:
    const Problem* P
    const double* v
    double b
    double* product                     # size numbers for each part
    Py_ssize_t size, n_parts
    double[2 * MOST_PARTS] sums         # of each part


def product_size(object capsule, Py_ssize_t size):
    """Numbers of `product` that a solve needs: more with threads, when X is stored by rows."""
    return parts_of(problem_of(capsule), size) * size


cdef inline Py_ssize_t parts_of(const Problem* P, Py_ssize_t size) noexcept nogil:
    return sum_parts(stored_entries(&P.X), size, P.n_threads) if P.X.by_rows else 1


cdef void share_rows(const Problem* P, const double* v, double b, double* product, Py_ssize_t size,
                     double* sums) noexcept nogil:
    """product = X'image and sums = image'(X v + b), sum(image), by runs of rows; each has a product of its own."""
    cdef Rows job
    cdef Py_ssize_t part
    job.P, job.v, job.b, job.product, job.size, job.n_parts = P, v, b, product, size, parts_of(P, size)
    run(P.team, rows_part, &job, job.n_parts, P.n_threads)
    for part in range(job.n_parts):
        sums[0] += job.sums[2 * part]
        sums[1] += job.sums[2 * part + 1]
    add_sums(P.team, product + size, job.n_parts, size, product, P.n_threads)


cdef void rows_part(void* context, Py_ssize_t part) noexcept nogil:
    cdef Rows* job = <Rows*> context
    cdef const Problem* P = job.P
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t first = part_begin(X, part, job.n_parts), n = part_begin(X, part + 1, job.n_parts) - first
    cdef Py_ssize_t e = slice_start(X, first)
    cdef const void* starts = <const int64_t*> X.starts + first if X.wide_starts else \
        <const void*> (<const int32_t*> X.starts + first)
    cdef const double* s = P.sample_weight + first if P.sample_weight != NULL else NULL
    cdef double* product = job.product + part * job.size
    clear(product, job.size)
    if X.single:
        normal_rows_fi(<const float*> X.values + e, <const int32_t*> X.indices + e, starts, X.wide_starts, n, job.v,
                       job.b, s, product, job.sums + 2 * part)
    else:
        normal_rows_di(<const double*> X.values + e, <const int32_t*> X.indices + e, starts, X.wide_starts, n, job.v,
                       job.b, s, product, job.sums + 2 * part)


def gradient(object capsule, const Py_ssize_t[::1] features, const double[::1] q, double[::1] g):
    """g = X'q for the features of a problem stored by columns; q : n_samples (read)."""
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t k, i
    cdef double total = 0.0
    check_columns(P, features)
    if q.shape[0] != n_samples(&P.X) or g.shape[0] != features.shape[0]:
        raise ValueError("every vector must have its stated length")
    with nogil:
        if P.mean != NULL:
            for i in range(q.shape[0]):
                total += q[i]
        for k in range(features.shape[0]):
            g[k] = slice_dot(&P.X, features[k], &q[0])
            if P.mean != NULL:
                g[k] -= P.mean[features[k]] * total


def walk(object capsule, const Py_ssize_t[::1] features, const double[::1] d, const Py_ssize_t[::1] order,
         const double[::1] stop, double[::1] w, double[::1] q, double[::1] image):
    """Move w along d to the first minimum of the objective, at most all the way.

    capsule : the problem by columns. features : those that d speaks of; d : their direction (read).
    order : the places whose coefficient reaches zero, or a bound, on the way and stays there, the first first.
    stop : what each of these stops at (read).
    w : n_features, q = s (Xw + b - y) : n_samples; both read and written. image : n_samples (written).
    Returns (part of the way that was gone, coefficients that stopped).

    On the way q(t) = q + t image - s shift, where image = s X d for the coefficients that still move: one that stops
    changes q and image on the rows of its column alone.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t n = n_samples(X), a, i, k = 0, j, stopped = 0
    cdef double t = 0.0, end, slope = 0.0, curvature = 0.0, drift = 0.0, shift = 0.0, l1, l2, x, total
    check_columns(P, features)
    for a in range(order.shape[0]):
        if not 0 <= order[a] < features.shape[0]:
            raise ValueError("order names a place that does not exist")
    if w.shape[0] != n_features(X) or q.shape[0] != n or image.shape[0] != n or d.shape[0] != features.shape[0] \
            or stop.shape[0] != order.shape[0]:
        raise ValueError("every vector must have its stated length")
    with nogil:
        clear(&image[0], n)
        for k in range(features.shape[0]):
            if d[k] == 0.0:
                continue
            j = features[k]
            l1 = P.penalty.lam * weight_of(&P.penalty, j)
            l2 = P.penalty.l2 * weight_of(&P.penalty, j)
            slope += d[k] * (l2 * w[j] + (l1 if w[j] > 0.0 else -l1))
            curvature += d[k] * d[k] * l2
            add_column(P, j, d[k], &image[0])
            if P.mean != NULL:
                drift += P.mean[j] * d[k]
        for i in range(n):
            x = image[i]
            if P.sample_weight != NULL:
                x = x / P.sample_weight[i] if P.sample_weight[i] > 0.0 else drift
            x -= drift
            slope += x * q[i]
            curvature += x * x * (P.sample_weight[i] if P.sample_weight != NULL else 1.0)
        while slope < 0.0:                                  # slope and curvature at t, of what still moves
            end = 1.0
            if stopped < order.shape[0]:
                k = order[stopped]
                end = min(max((stop[stopped] - w[features[k]]) / d[k], t), 1.0)
            if slope + (end - t) * curvature >= 0.0:        # the minimum comes first
                end = min(end, t - slope / curvature)
                shift += (end - t) * drift
                t = end
                break
            shift += (end - t) * drift
            slope += (end - t) * curvature
            t = end
            if stopped == order.shape[0]:
                break
            j = features[k]
            l1 = P.penalty.lam * weight_of(&P.penalty, j)
            l2 = P.penalty.l2 * weight_of(&P.penalty, j)
            total = P.mean[j] * P.total_weight if P.mean != NULL else 0.0        # the column's weighted sum
            x = slice_dot(X, j, &image[0])
            slope -= d[k] * (slice_dot(X, j, &q[0]) + t * x - shift * total + l2 * stop[stopped]
                             + (l1 if w[j] > 0.0 or (w[j] == 0.0 and stop[stopped] > 0.0) else -l1))
            curvature = max(0.0, curvature - d[k] * (2.0 * (x - drift * total) - d[k] * P.norm2[j] + d[k] * l2))
            add_column(P, j, -d[k], &image[0])
            add_column(P, j, t * d[k], &q[0])
            if P.mean != NULL:
                drift -= d[k] * P.mean[j]
            stopped += 1
        for i in range(n):
            q[i] += t * image[i] - (shift * P.sample_weight[i] if P.sample_weight != NULL else shift)
        for k in range(features.shape[0]):
            w[features[k]] += t * d[k]
        for a in range(stopped):
            w[features[order[a]]] = stop[a]
    return t, stopped


cdef int check_columns(const Problem* P, const Py_ssize_t[::1] features) except -1:
    cdef Py_ssize_t k
    if P.X.by_rows:
        raise ValueError("X must be stored by columns")
    for k in range(features.shape[0]):
        if not 0 <= features[k] < P.X.n_slices:
            raise ValueError("features names one that X does not have")
    return 0
