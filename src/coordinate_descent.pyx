"""Coordinate descent over a working set, from its Gram matrix or from the columns of X.

    w_k <- argmin_u  h_k/2 u^2 - (c_k + h_k w_k) u + penalty(u),   c = -gradient of the datafit,  h_k = squared norm

(Friedman, Hastie and Tibshirani, J. Stat. Softw. 2010.) Both loops minimise the problem restricted to the working set,
whose own duality gap tells when to stop.
"""

from libc.math cimport fabs

from certificate cimport certify
from matrix cimport MatrixView, axpy_d, n_features, n_samples, slice_dot
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
                 double[::1] w, double[::1] g, double loss, double target, long max_epochs):
    """Descend on the quadratic of a working set until its gap is at most target.

    G : its Gram matrix (at least size x size, read); norm2 : its diagonal; penalties : as for `restricted` (read).
    w, g : coefficients and gradient of the datafit (size, read and written); loss : at w.
    Cost: size flops for each coefficient that moves. Returns (epochs, gap, loss).
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Penalty penalty
    cdef Py_ssize_t size = w.shape[0]
    cdef long epochs = 0, _
    cdef double gap, gain
    if size == 0:
        return 0, 0.0, loss
    if G.shape[0] < size or G.shape[1] < size or not (
            norm2.shape[0] == penalties.shape[1] == g.shape[0] == size and penalties.shape[0] == 3):
        raise ValueError("G must be size x size, penalties 3 x size and every vector size long")
    penalty = restricted(&P.penalty, &penalties[0, 0], size)
    with nogil:
        while True:
            gap = certify(&penalty, &norm2[0], size, &w[0], &g[0], loss).gap
            if gap <= target or epochs >= max_epochs:
                break
            gain = gram_epoch(&penalty, &G[0, 0], G.shape[1], &norm2[0], &w[0], &g[0], size, False, &loss)
            epochs += 1
            if gain <= STILL * loss:
                break
            for _ in range(SUPPORT_EPOCHS):
                gain = gram_epoch(&penalty, &G[0, 0], G.shape[1], &norm2[0], &w[0], &g[0], size, True, &loss)
                epochs += 1
                if gain <= IDLE * target:
                    break
    return epochs, gap, loss


cdef long SUPPORT_EPOCHS = 7        # epochs over the non-zero coefficients for each one over all
cdef double STILL = 1e-32           # an epoch over all that gains less than this part of the loss has moved nothing
cdef double IDLE = 0.01             # an epoch that gains less than this part of the target is the last of its round


cdef double gram_epoch(const Penalty* penalty, const double* G, Py_ssize_t stride, const double* norm2, double* w,
                       double* g, Py_ssize_t size, bint support_only, double* loss) noexcept nogil:
    """One epoch; g stays the gradient at w and loss its loss. Returns an upper bound on what it gained."""
    cdef Py_ssize_t k
    cdef double l1, l2, u, step, gained = 0.0
    for k in range(size):
        if norm2[k] == 0.0 or (support_only and w[k] == 0.0):
            continue
        l1 = penalty.lam * weight_of(penalty, k)
        l2 = penalty.l2 * weight_of(penalty, k)
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
                   const double[:, ::1] penalties):
    """The same descent without a Gram matrix: X stored by columns, q kept up to date.

    working_set : size features. w : n_features, q = s (Xw + b - y) : n_samples; both read and written.
    norm2, penalties : of the working set, as for `gram_descent` (read); g_set, w_set : size, written.
    An update costs the stored entries of one column: with an intercept, b is settled by the running sum of q.
    Returns (epochs, gap).
    """
    cdef const Problem* P = problem_of(capsule)
    cdef const MatrixView* X = &P.X
    cdef Penalty penalty
    cdef Py_ssize_t size = working_set.shape[0], n = n_samples(X), k
    cdef long epochs = 0, _
    cdef double gap = 0.0, total, gain, loss2
    if size == 0:
        return 0, 0.0
    if X.by_rows or w.shape[0] != n_features(X) or q.shape[0] != n or not (
            g_set.shape[0] == w_set.shape[0] == norm2.shape[0] == penalties.shape[1] == size
            and penalties.shape[0] == 3):
        raise ValueError("X must be stored by columns and every vector have its stated length")
    for k in range(size):
        if not 0 <= working_set[k] < X.n_slices:
            raise ValueError("working_set names a feature that X does not have")
    penalty = restricted(&P.penalty, &penalties[0, 0], size)
    with nogil:
        while True:
            settle(P, &q[0], &loss2)
            total = 0.0
            for k in range(size):
                w_set[k] = w[working_set[k]]
                g_set[k] = slice_dot(X, working_set[k], &q[0])
            gap = certify(&penalty, &norm2[0], size, &w_set[0], &g_set[0], 0.5 * loss2).gap
            if gap <= target or epochs >= max_epochs:
                break
            gain = column_epoch(P, working_set, &norm2[0], &w[0], &q[0], &total, False)
            epochs += 1
            if gain <= STILL * loss2:
                break
            for _ in range(SUPPORT_EPOCHS):
                gain = column_epoch(P, working_set, &norm2[0], &w[0], &q[0], &total, True)
                epochs += 1
                if gain <= IDLE * target:
                    break
    return epochs, gap


cdef void settle(const Problem* P, double* q, double* loss2) noexcept nogil:
    """Move b to its best value: q sums to 0 again. Fills 2 loss."""
    cdef Py_ssize_t i
    cdef double total = 0.0
    if P.mean != NULL:
        for i in range(n_samples(&P.X)):
            total += q[i]
        centre(P, total, q)
    loss2[0] = 0.0
    for i in range(n_samples(&P.X)):
        if P.sample_weight == NULL:
            loss2[0] += q[i] * q[i]
        elif P.sample_weight[i] > 0.0:
            loss2[0] += q[i] * q[i] / P.sample_weight[i]


cdef double column_epoch(const Problem* P, const Py_ssize_t[::1] working_set, const double* norm2, double* w,
                         double* q, double* total, bint support_only) noexcept nogil:
    """One epoch over the columns; total = sum(q) as left by the updates. Returns a bound on what it gained."""
    cdef const MatrixView* X = &P.X
    cdef const Penalty* penalty = &P.penalty
    cdef Py_ssize_t k, j
    cdef double l1, l2, u, step, slope, gained = 0.0, mean
    for k in range(working_set.shape[0]):
        j = working_set[k]
        if norm2[k] == 0.0 or (support_only and w[j] == 0.0):
            continue
        l1 = penalty.lam * weight_of(penalty, j)
        l2 = penalty.l2 * weight_of(penalty, j)
        mean = P.mean[j] if P.mean != NULL else 0.0
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
