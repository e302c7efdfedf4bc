"""Coordinate descent over a working set, from its Gram matrix or from the columns of X.

    w_k <- argmin_u  h_k/2 u^2 - (c_k + h_k w_k) u + penalty(u),   c = -gradient of the datafit,  h_k = squared norm

(Friedman, Hastie and Tibshirani, J. Stat. Softw. 2010.) Both loops minimise the problem restricted to the working set,
whose own duality gap tells when to stop.

With several tasks, w_k is a block of numbers under one norm (blocks.pxd), and each loop has one branch for it.
"""

from libc.math cimport fabs

from blocks cimport Blocks, certify_blocks, is_zero, minimise_block, slice_axpy_tasks, slice_dot_tasks
from certificate cimport certify
from matrix cimport (MatrixView, axpy_d, entry_index, entry_value, n_features, n_samples, slice_dot, slice_size,
                     slice_start)
from passes cimport clear
from penalty cimport (Penalty, lower_of, minimise_coordinate, restricted, subdifferential_distance, upper_of,
                      weight_of)
from problem cimport Problem, add_column, centre, problem_of


def scores(object capsule, const double[::1] w, const double[::1] g, const unsigned char[::1] inside,
           double[::1] out):
    """out[j] = (violation of j)^2 / norm2_j, what one step in j could gain; 0 for j inside the working set.

    All have length n_features; w, g, inside are read, out is written. Returns how many are above 0.
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t p = n_features(&P.X), j, count = 0
    cdef double distance, settled = P.penalty.lam if P.penalty.weight == NULL else 0.0
    if not (w.shape[0] == g.shape[0] == inside.shape[0] == out.shape[0] == p):
        raise ValueError("all vectors must have n_features entries")
    with nogil:
        for j in range(p):
            out[j] = 0.0
            if inside[j] or P.norm2[j] == 0.0 or (fabs(g[j]) <= settled and w[j] == 0.0):
                continue
            distance = subdifferential_distance(P.penalty.lam * weight_of(&P.penalty, j),
                                                P.penalty.l2 * weight_of(&P.penalty, j), lower_of(&P.penalty, j),
                                                upper_of(&P.penalty, j), w[j], -g[j])
            out[j] = distance / P.norm2[j] * distance       # in this order it neither over- nor underflows early
            if out[j] > 0.0:
                count += 1
    return count


def gram_descent(object capsule, const double[:, ::1] G, const double[::1] norm2, const double[:, ::1] penalties,
                 double[::1] w, double[::1] g, double loss, double target, long max_epochs, Py_ssize_t n_tasks=1,
                 double[::1] room=None):
    """Descend on the quadratic of a working set until its gap is at most target.

    G : its Gram matrix (at least size x size, read); norm2 : its diagonal; penalties : as for `restricted` (read).
    w, g : coefficients and gradient of the datafit (n_tasks x size, read and written); loss : at w.
    room : 2 size + n_tasks numbers, written, where there are several tasks; bounds have no say then.
    Cost: size flops for each coefficient that moves. Returns (epochs, gap, loss).
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Penalty penalty
    cdef Py_ssize_t size = norm2.shape[0]
    cdef Blocks blocks = Blocks(size, n_tasks, 1, size)
    cdef double* step = NULL
    cdef long epochs = 0, _
    cdef double gap, gain
    if n_tasks < 1 or not w.shape[0] == g.shape[0] == n_tasks * size:
        raise ValueError("w and g must have n_tasks x size entries")
    if size == 0:
        return 0, 0.0, loss
    if G.shape[0] < size or G.shape[1] < size or not (penalties.shape[1] == size and penalties.shape[0] == 3):
        raise ValueError("G must be size x size, penalties 3 x size and every vector size long")
    if n_tasks > 1:
        if room is None or room.shape[0] < 2 * size + n_tasks:
            raise ValueError("room must have 2 size + n_tasks entries")
        step = &room[2 * size]
    penalty = restricted(&P.penalty, &penalties[0, 0], size)
    with nogil:
        while True:
            if n_tasks == 1:
                gap = certify(&penalty, &norm2[0], size, &w[0], &g[0], loss).gap
            else:
                gap = certify_blocks(&penalty, &norm2[0], &blocks, &w[0], &g[0], loss, &room[0]).gap
            if gap <= target or epochs >= max_epochs:
                break
            gain = gram_epoch(&penalty, &G[0, 0], G.shape[1], &norm2[0], &w[0], &g[0], size, False, &loss, n_tasks,
                              step)
            epochs += 1
            if gain <= STILL * loss:
                break
            for _ in range(SUPPORT_EPOCHS):
                gain = gram_epoch(&penalty, &G[0, 0], G.shape[1], &norm2[0], &w[0], &g[0], size, True, &loss, n_tasks,
                                  step)
                epochs += 1
                if gain <= IDLE * target:
                    break
    return epochs, gap, loss


cdef long SUPPORT_EPOCHS = 7        # epochs over the non-zero coefficients for each one over all
cdef double STILL = 1e-32           # an epoch over all that gains less than this part of the loss has moved nothing
cdef double IDLE = 0.01             # an epoch that gains less than this part of the target is the last of its round


cdef double gram_epoch(const Penalty* penalty, const double* G, Py_ssize_t stride, const double* norm2, double* w,
                       double* g, Py_ssize_t size, bint support_only, double* loss, Py_ssize_t n_tasks,
                       double* steps) noexcept nogil:
    """One epoch; g stays the gradient at w and loss its loss. Returns an upper bound on what it gained.

    w, g : n_tasks x size; steps : n_tasks, written, where there are several.
    """
    cdef Py_ssize_t k, t
    cdef double l1, l2, u, step, gained = 0.0
    for k in range(size):
        if norm2[k] == 0.0 or (support_only and w[k] == 0.0 and (n_tasks == 1 or is_zero(w + k, n_tasks, size))):
            continue
        l1 = penalty.lam * weight_of(penalty, k)
        l2 = penalty.l2 * weight_of(penalty, k)
        if n_tasks > 1:
            gained += minimise_block(l1, l2, norm2[k], g + k, n_tasks, size, w + k, steps, loss)
            for t in range(n_tasks):
                if steps[t] != 0.0:
                    axpy_d(steps[t], G + k * stride, g + t * size, size)
            continue
        u = minimise_coordinate(l1, l2, lower_of(penalty, k), upper_of(penalty, k), norm2[k], norm2[k] * w[k] - g[k])
        step = u - w[k]
        if step != 0.0:
            loss[0] += step * (g[k] + 0.5 * norm2[k] * step)
            gained += (norm2[k] + l2) * step * step
            w[k] = u
            axpy_d(step, G + k * stride, g, size)
    return gained


def column_descent(object capsule, const Py_ssize_t[::1] working_set, double[::1] w, double[::1] q, double target,
                   long max_epochs, double[::1] g_set, double[::1] w_set, const double[::1] norm2,
                   const double[:, ::1] penalties, Py_ssize_t n_tasks=1, double[::1] room=None):
    """The same descent without a Gram matrix: X stored by columns, q kept up to date.

    working_set : size features. w : n_features x n_tasks, q = s (Xw + b - y) : n_samples x n_tasks; both read and
    written. norm2, penalties : of the working set, as for `gram_descent` (read); g_set, w_set : size x n_tasks,
    written. room : 2 size + 3 n_tasks numbers, written, where there are several tasks; bounds have no say then.
    An update costs the stored entries of one column: with an intercept, b is settled by the running sum of q.
    Returns (epochs, gap).
    """
    cdef const Problem* P = problem_of(capsule)
    cdef const MatrixView* X = &P.X
    cdef Penalty penalty
    cdef Py_ssize_t size = working_set.shape[0], n = n_samples(X), k, t
    cdef Blocks blocks = Blocks(size, n_tasks, n_tasks, 1)
    cdef long epochs = 0, _
    cdef double gap = 0.0, single_total, gain, loss2
    cdef double* total = &single_total
    if size == 0:
        return 0, 0.0
    if X.by_rows or n_tasks < 1 or w.shape[0] != n_features(X) * n_tasks or q.shape[0] != n * n_tasks or not (
            g_set.shape[0] == w_set.shape[0] == size * n_tasks and norm2.shape[0] == penalties.shape[1] == size
            and penalties.shape[0] == 3):
        raise ValueError("X must be stored by columns and every vector have its stated length")
    if n_tasks > 1:
        if room is None or room.shape[0] < 2 * size + 3 * n_tasks:
            raise ValueError("room must have 2 size + 3 n_tasks entries")
        total = &room[2 * size]
    for k in range(size):
        if not 0 <= working_set[k] < X.n_slices:
            raise ValueError("working_set names a feature that X does not have")
    penalty = restricted(&P.penalty, &penalties[0, 0], size)
    with nogil:
        while True:
            settle(P, &q[0], &loss2, n_tasks, total)
            for k in range(size):
                for t in range(n_tasks):
                    w_set[k * n_tasks + t] = w[working_set[k] * n_tasks + t]
                if n_tasks == 1:
                    g_set[k] = slice_dot(X, working_set[k], &q[0])
                else:
                    slice_dot_tasks(X, working_set[k], &q[0], n_tasks, &g_set[k * n_tasks])
            if n_tasks == 1:
                gap = certify(&penalty, &norm2[0], size, &w_set[0], &g_set[0], 0.5 * loss2).gap
            else:
                gap = certify_blocks(&penalty, &norm2[0], &blocks, &w_set[0], &g_set[0], 0.5 * loss2, &room[0]).gap
            if gap <= target or epochs >= max_epochs:
                break
            gain = column_epoch(P, working_set, &norm2[0], &w[0], &q[0], total, False, n_tasks)
            epochs += 1
            if gain <= STILL * loss2:
                break
            for _ in range(SUPPORT_EPOCHS):
                gain = column_epoch(P, working_set, &norm2[0], &w[0], &q[0], total, True, n_tasks)
                epochs += 1
                if gain <= IDLE * target:
                    break
    return epochs, gap


cdef void settle(const Problem* P, double* q, double* loss2, Py_ssize_t n_tasks, double* total) noexcept nogil:
    """Move b to its best value: q sums to 0 again, and so do its running sums in total. Fills 2 loss."""
    cdef Py_ssize_t n = n_samples(&P.X), i, t
    cdef double s
    clear(total, n_tasks)
    if P.mean != NULL:
        for i in range(n):
            for t in range(n_tasks):
                total[t] += q[i * n_tasks + t]
        if n_tasks == 1:
            centre(P, total[0], q)
        else:
            for i in range(n):
                s = P.sample_weight[i] if P.sample_weight != NULL else 1.0
                for t in range(n_tasks):
                    q[i * n_tasks + t] -= total[t] / P.total_weight * s
        clear(total, n_tasks)
    loss2[0] = 0.0
    for i in range(n):
        if P.sample_weight == NULL or P.sample_weight[i] > 0.0:
            s = P.sample_weight[i] if P.sample_weight != NULL else 1.0
            for t in range(n_tasks):
                loss2[0] += q[i * n_tasks + t] * q[i * n_tasks + t] / s


cdef double column_epoch(const Problem* P, const Py_ssize_t[::1] working_set, const double* norm2, double* w,
                         double* q, double* total, bint support_only, Py_ssize_t n_tasks) noexcept nogil:
    """One epoch over the columns; total = sum(q) as left by the updates. Returns a bound on what it gained.

    total : n_tasks numbers, followed by room for 2 n_tasks more where there are several.
    """
    cdef const MatrixView* X = &P.X
    cdef const Penalty* penalty = &P.penalty
    cdef Py_ssize_t k, j, t
    cdef double* slopes = total + n_tasks
    cdef double* steps = total + 2 * n_tasks
    cdef double l1, l2, u, step, slope, gained = 0.0, gain, mean, change = 0.0
    for k in range(working_set.shape[0]):
        j = working_set[k]
        if norm2[k] == 0.0 or (support_only and is_zero(w + j * n_tasks, n_tasks, 1)):
            continue
        l1 = penalty.lam * weight_of(penalty, j)
        l2 = penalty.l2 * weight_of(penalty, j)
        mean = P.mean[j] if P.mean != NULL else 0.0
        if n_tasks > 1:
            slice_dot_tasks(X, j, q, n_tasks, slopes)
            for t in range(n_tasks):
                slopes[t] -= mean * total[t]
            gain = minimise_block(l1, l2, norm2[k], slopes, n_tasks, 1, w + j * n_tasks, steps, &change)
            if gain > 0.0:
                gained += gain
                add_column_tasks(P, j, steps, n_tasks, q)
                for t in range(n_tasks):
                    total[t] += steps[t] * mean * P.total_weight
            continue
        slope = slice_dot(X, j, q) - mean * total[0]        # of the datafit, b at its best
        u = minimise_coordinate(l1, l2, lower_of(penalty, j), upper_of(penalty, j), norm2[k], norm2[k] * w[j] - slope)
        step = u - w[j]
        if step == 0.0:
            continue
        gained += (norm2[k] + l2) * step * step
        w[j] = u
        add_column(P, j, step, q)
        total[0] += step * mean * P.total_weight            # the column's weighted sum
    return gained


cdef void add_column_tasks(const Problem* P, Py_ssize_t j, const double* a, Py_ssize_t n_tasks,
                           double* q) noexcept nogil:
    """Q += s x_j a', for storage by columns."""
    cdef const MatrixView* X = &P.X
    cdef Py_ssize_t e, i, t
    cdef double u
    if P.sample_weight == NULL:
        slice_axpy_tasks(X, j, a, n_tasks, q)
        return
    for e in range(slice_start(X, j), slice_start(X, j) + slice_size(X, j)):
        i = entry_index(X, e) if X.sparse else e - slice_start(X, j)
        u = P.sample_weight[i] * entry_value(X, e)
        for t in range(n_tasks):
            q[i * n_tasks + t] += u * a[t]
