"""The path of Lasso solutions over a few columns, from breakpoint to breakpoint.

    minimise over w   1/2 ||y - Z'w||^2 + sum_k (b_k(t) |w_k| + ridge_k/2 w_k^2),   b_k(t) = floor_k + t rise_k

as t falls from 1 to 0. The solution is piecewise linear in t: while the active set A and its signs stay,

    c_A = sign_A b_A(t)  with  c = Z(y - Z'w) - ridge w,   so   dw_A = (Z_A Z_A' + ridge_A)^-1 sign_A rise_A

for each unit that t falls. A piece ends where |c_k| outside A reaches b_k, and k enters, or where a coefficient reaches
zero, and leaves. At every line below: c_A = sign_A b_A(t), |c_k| <= b_k(t) outside A, L L' = Z_A Z_A' + ridge_A.

Osborne, Presnell and Turlach (IMA Journal of Numerical Analysis 2000); Efron et al. (Ann. Stat. 2004). A bound of its
own for each column lets the path start at any w that is optimal for some b, so columns may be added on the way.
"""

from libc.math cimport INFINITY, fabs, hypot, sqrt
from libc.stdint cimport int32_t

from matrix cimport (MatrixView, axpy_d, dot_d, dot_slices, entry_index, entry_value, n_features, n_samples, slice_axpy,
                     slice_start)
from problem cimport Problem, clear, problem_of

cdef double DEPENDENT = 1e-13   # a column with less than this part of its square outside the span of A lies in it
cdef double STILL = 1e-11       # c_k and its bound that approach each other more slowly than this part stay apart
cdef double NEGLIGIBLE = 1e-9   # a coefficient whose part in a combination is smaller is not exchanged
cdef double UNSURE = 8.0        # speeds below this many times the error on A are rounding
cdef double SKIPPED = 2.0       # in place of a sign: k lies in the span of A, on its bound, until A loses a column

cdef struct Path:
    MatrixView Z                # size slices of n_samples
    const double* ridge         # size
    double* w                   # size
    double* sign                # size: of w on A, 0 or SKIPPED outside
    Py_ssize_t* active          # size; the first m are A
    Py_ssize_t m
    double* L                   # rows of the factor, room for capacity x capacity
    Py_ssize_t capacity
    double* move                # dw_A, in the order of A
    double* row                 # of the factor, for the column that enters
    double* cosine              # of the rotations when a column leaves
    double* sine


def pack(object capsule, const Py_ssize_t[::1] members, int32_t[::1] position, double[:, ::1] Z):
    """Z[a] = sqrt(s) (x_j - mean_j) for column j = members[a] of X.

    position : n_features, -1 everywhere (used when X is stored by sparse rows, and left as it was).
    Z : at least len(members) x n_samples (written). Cost: the entries of these columns; of X when by sparse rows.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t size = members.shape[0], n = n_samples(X), a, i, e
    if Z.shape[0] < size or Z.shape[1] != n or position.shape[0] != n_features(X):
        raise ValueError("Z must be len(members) x n_samples, and position n_features long")
    for a in range(size):
        if not 0 <= members[a] < n_features(X) or position[members[a]] != -1:
            raise ValueError("members must name features of X, and position be -1")
    with nogil:
        if not X.by_rows:
            for a in range(size):
                clear(&Z[a, 0], n)
                slice_axpy(X, members[a], 1.0, &Z[a, 0])
        elif not X.sparse:
            for a in range(size):
                for i in range(n):
                    Z[a, i] = entry_value(X, i * X.stride + members[a])
        else:
            for a in range(size):
                clear(&Z[a, 0], n)
                position[members[a]] = <int32_t> a
            for i in range(n):
                for e in range(slice_start(X, i), slice_start(X, i + 1)):
                    if position[entry_index(X, e)] >= 0:
                        Z[position[entry_index(X, e)], i] = entry_value(X, e)
            for a in range(size):
                position[members[a]] = -1
        for a in range(size):
            if P.mean != NULL:
                for i in range(n):
                    Z[a, i] -= P.mean[members[a]]
            if P.sample_weight != NULL:
                for i in range(n):
                    Z[a, i] *= sqrt(P.sample_weight[i])


def follow(const double[:, ::1] Z, const double[::1] floor, const double[::1] rise, const double[::1] ridge,
           double[::1] w, double[::1] c, double[::1] sign, Py_ssize_t[::1] active, Py_ssize_t m, Py_ssize_t known,
           double t, bint positive, long max_steps, double[:, ::1] factor, double[:, ::1] room):
    """Follow the path from t down to 0, for max_steps breakpoints at most.

    Z : at least size x n (read). floor, rise, ridge : size (read).
    w, c : size, optimal for b(t) (read and written). sign : size, of w on A and 0 outside; active : size, its first m
    are A (both read and written). positive : only c_k = +b_k lets a column in.
    factor : L, capacity x capacity numbers, capacity at least min(size, n), and size if ridge > 0; its rows of the
    first known columns of A are there already (read and written). room : 6 x max(size, n) (written).
    Cost of a step: size n + 2 m n + 2 m^2 multiply-adds.
    Returns (t, m, steps): t > 0 after fewer than max_steps steps says that rounding has the last word here.
    """
    cdef Py_ssize_t size = w.shape[0], n = Z.shape[1], a
    cdef long steps = 0
    cdef Path path
    if not (floor.shape[0] == rise.shape[0] == ridge.shape[0] == c.shape[0] == sign.shape[0] == active.shape[0] == size
            and Z.shape[0] >= size and factor.shape[0] == factor.shape[1] >= m and 0 <= known <= m <= size
            and room.shape[0] >= 6 and room.shape[1] >= max(size, n)):
        raise ValueError("every array must have its stated shape")
    for a in range(m):
        if not 0 <= active[a] < size:
            raise ValueError("active names a column that is not there")
    if size == 0 or n == 0 or factor.shape[0] == 0:
        return 0.0, m, 0
    path.Z.n_slices, path.Z.length, path.Z.stride, path.Z.values = size, n, n, &Z[0, 0]
    path.Z.by_rows = path.Z.sparse = path.Z.single = False
    path.ridge, path.w, path.sign, path.active, path.m = &ridge[0], &w[0], &sign[0], &active[0], known
    path.L, path.capacity = &factor[0, 0], factor.shape[0]
    path.move, path.row, path.cosine, path.sine = &room[0, 0], &room[1, 0], &room[2, 0], &room[3, 0]
    with nogil:
        for a in range(known, m):
            if not append(&path, active[a]):
                break
        if path.m == m:
            while t > 0.0 and steps < max_steps:
                steps += 1
                if not step(&path, &floor[0], &rise[0], &c[0], positive, &t, &room[4, 0], &room[5, 0]):
                    break
    return t, path.m, steps


cdef bint step(Path* path, const double* floor, const double* rise, double* c, bint positive, double* t,
               double* along, double* slope) noexcept nogil:
    """Go to the next breakpoint, or to t = 0, and change A there; False if that cannot be done.

    along = Z_A'dw (n_samples), slope = Z along (size): -dc. Both are written.
    """
    cdef Py_ssize_t size = path.Z.n_slices, a, k, enters = -1, leaves = -1
    cdef double reach = t[0], bound, side = 1.0, at, noise = 0.0
    cdef double* w = path.w
    for a in range(path.m):
        path.move[a] = path.sign[path.active[a]] * rise[path.active[a]]
    forward(path, path.move)
    backward(path, path.move)
    clear(along, path.Z.length)
    for a in range(path.m):
        slice_axpy(&path.Z, path.active[a], path.move[a], along)
    dot_slices(&path.Z, 0, size, along, slope)
    for a in range(path.m):                         # on A the speeds are known: what the solve missed them by
        k = path.active[a]
        noise = max(noise, fabs(slope[k] + path.ridge[k] * path.move[a] - path.sign[k] * rise[k]))
    for k in range(size):
        if path.sign[k] != 0.0:
            continue
        bound = floor[k] + t[0] * rise[k]
        at = meeting(bound - c[k], rise[k] - slope[k], STILL * fabs(rise[k]) + UNSURE * noise)
        if at < reach:
            reach, enters, side = at, k, 1.0
        if not positive:
            at = meeting(bound + c[k], rise[k] + slope[k], STILL * fabs(rise[k]) + UNSURE * noise)
            if at < reach:
                reach, enters, side = at, k, -1.0
    for a in range(path.m):
        k = path.active[a]
        if path.sign[k] * path.move[a] < 0.0:
            at = -w[k] / path.move[a]
            if at <= reach:
                reach, leaves = at, a
    t[0] = t[0] - reach if reach < t[0] else 0.0
    for a in range(path.m):
        w[path.active[a]] += reach * path.move[a]
    for k in range(size):
        c[k] -= reach * slope[k]
    for a in range(path.m):
        k = path.active[a]
        c[k] = path.sign[k] * (floor[k] + t[0] * rise[k])
    if leaves >= 0:
        k = path.active[leaves]
        drop(path, leaves)
        if reach == 0.0:                            # it wanted in and out at the same place
            path.sign[k] = SKIPPED
    elif enters >= 0:
        path.sign[enters] = side
        c[enters] = side * (floor[enters] + t[0] * rise[enters])
        return append(path, enters) or exchange(path, enters)
    return True


cdef inline double meeting(double distance, double speed, double least) noexcept nogil:
    """When c_k and its bound meet: distance / speed, but never for those slower than the least that means something."""
    if speed <= least:
        return INFINITY
    return distance / speed if distance > 0.0 else 0.0


cdef void forward(const Path* path, double* v) noexcept nogil:
    """v = L^-1 v."""
    cdef Py_ssize_t a
    cdef const double* row = path.L
    for a in range(path.m):
        v[a] = (v[a] - dot_d(row, v, a)) / row[a]
        row += path.capacity


cdef void backward(const Path* path, double* v) noexcept nogil:
    """v = L^-T v."""
    cdef Py_ssize_t a = path.m
    cdef const double* row
    while a > 0:
        a -= 1
        row = path.L + a * path.capacity
        v[a] /= row[a]
        axpy_d(-v[a], row, v, a)


cdef bint append(Path* path, Py_ssize_t k) noexcept nogil:
    """Let k into A; False, with L^-1 Z_A z_k in path.row, if z_k lies in the span of Z_A."""
    cdef const double* Z = <const double*> path.Z.values
    cdef Py_ssize_t a, n = path.Z.length
    cdef double square = dot_d(Z + k * n, Z + k * n, n) + path.ridge[k], pivot
    cdef double* row = path.row
    for a in range(path.m):
        row[a] = dot_d(Z + path.active[a] * n, Z + k * n, n)
    forward(path, row)
    pivot = square - dot_d(row, row, path.m)
    if not pivot > DEPENDENT * square or path.m == path.capacity:
        return False
    row[path.m] = sqrt(pivot)
    for a in range(path.m + 1):
        path.L[path.m * path.capacity + a] = row[a]
    path.active[path.m] = k
    path.m += 1
    return True


cdef void drop(Path* path, Py_ssize_t leaves) noexcept nogil:
    """Take the column at that place out of A, its coefficient to zero: rotations make L lower triangular again."""
    cdef Py_ssize_t a, i, stride = path.capacity
    cdef double x, y
    cdef double* row
    path.w[path.active[leaves]] = 0.0
    path.sign[path.active[leaves]] = 0.0
    path.m -= 1
    for a in range(leaves, path.m):
        row = path.L + a * stride
        path.active[a] = path.active[a + 1]
        for i in range(a + 2):
            row[i] = row[i + stride]
        for i in range(leaves, a + 1):
            if i == a:
                y = hypot(row[a], row[a + 1])
                path.cosine[a] = row[a] / y
                path.sine[a] = row[a + 1] / y
            x, y = row[i], row[i + 1]
            row[i] = path.cosine[i] * x + path.sine[i] * y
            row[i + 1] = path.cosine[i] * y - path.sine[i] * x
    for a in range(path.Z.n_slices):
        if path.sign[a] == SKIPPED:
            path.sign[a] = 0.0


cdef bint exchange(Path* path, Py_ssize_t k) noexcept nogil:
    """Let k in, though z_k = Z_A'x for some x: w_k grows and w_A -= w_k x, which fits the same, till one reaches zero.

    path.row is what `append` left there. Without one that shrinks, k stays outside.
    """
    cdef Py_ssize_t a, leaves = -1
    cdef double side = path.sign[k], reach = INFINITY, most = 0.0
    cdef double* x = path.row
    backward(path, x)
    for a in range(path.m):
        x[a] *= side
        most = max(most, fabs(x[a]))
    for a in range(path.m):
        if path.sign[path.active[a]] * x[a] > NEGLIGIBLE * most and path.w[path.active[a]] / x[a] < reach:
            reach, leaves = path.w[path.active[a]] / x[a], a
    if leaves < 0:
        path.sign[k] = SKIPPED
        return True
    for a in range(path.m):
        path.w[path.active[a]] -= reach * x[a]
    path.w[k] = side * reach
    drop(path, leaves)
    return append(path, k)
