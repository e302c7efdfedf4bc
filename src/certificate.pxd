"""The certificate: how far w can be from optimal, from nothing but w, the gradient and the loss.

It knows no solver. The solvers call it at their checks; `solve` calls it once more on a gradient computed afresh.
"""

from libc.math cimport INFINITY, fabs, fmax, fmin

from penalty cimport (Penalty, fenchel_gap, lower_of, penalty_value, subdifferential_distance, upper_of, weight_of)

cdef extern from "certificate.h" nogil:
    double largest "l1fast_largest"(const double* v, Py_ssize_t n)
    void plain_sums "l1fast_plain_sums"(const double* w, const double* g, double lam, Py_ssize_t n, double* out)
    double plain_gap "l1fast_plain_gap"(const double* w, const double* g, double lam, double t, Py_ssize_t n)


cdef struct Certificate:
    double objective    # F(w)
    double gap          # F(w) - D(theta) >= 0, absolute
    double scale        # theta = -scale q
    double violation    # max_j distance of -g_j to the subdifferential


cdef inline Certificate certify(const Penalty* penalty, const double* norm2, Py_ssize_t p, const double* w,
                                const double* g, double loss) noexcept nogil:
    """Gap between w, within its bounds, and the dual point theta = -t q, t the best that keeps theta feasible.

        gap = (1 - t)^2 loss + sum_j (penalty_j(w_j) + conjugate_j(t c_j) - w_j t c_j),   c = -g

    Every term is >= 0, so nothing cancels (Fenchel-Young; Massias, Gramfort, Salmon, ICML 2018, for the scaling).
    t maximises the dual along q (with the l2 term as extra rows of X), clamped on both sides. A bound of 0, and one
    that w_j sits at, lets c_j be as large as it likes on its side; the other bounds are left out of this first gap:
    what bounds F from below without them does so with them, and their terms hi_j (t c_j - l1) would be large.
    With all bounds and with l2 > 0 more t are feasible, and t = 1 (clamped where there is no bound) is tried as well;
    so it is with unpenalised columns, where rounding may spoil the first. Such a column (v_j lam = 0) asks for c_j = 0
    where it has no bound: what is left counts |c_j w_j| + c_j^2 / (2 norm2_j), the decrease open in it.
    """
    cdef Py_ssize_t j
    cdef double inner = 0.0, value = 0.0, violation = 0.0
    cdef bint free = False
    cdef double forward = 0.0, backward = 0.0, unbounded = 0.0      # largest |c_j| / v_j that limit t > 0, t < 0, t = 1
    cdef double weight, distance, lower, upper, side, opposite
    cdef double l1, l2, c, t, one, other, residual2 = 2.0 * loss
    cdef Certificate out
    if penalty.lam > 0.0 and penalty.l2 == 0.0 and penalty.weight == NULL and penalty.lower == NULL:
        return certify_plain(penalty.lam, p, w, g, loss)
    for j in range(p):
        c = -g[j]
        weight = weight_of(penalty, j)
        lower = lower_of(penalty, j)
        upper = upper_of(penalty, j)
        l1 = penalty.lam * weight
        l2 = penalty.l2 * weight
        distance = subdifferential_distance(l1, l2, lower, upper, w[j], c)
        if distance > violation:
            violation = distance
        c -= l2 * w[j]
        side = upper if c > 0.0 else lower
        if w[j] != 0.0:
            value += penalty_value(penalty, j, w[j])
            if w[j] != side:
                inner += w[j] * c
                residual2 += l2 * w[j] * w[j]
        if l1 == 0.0:
            free = free or l2 == 0.0
            continue
        opposite = lower if c > 0.0 else upper
        c = fabs(c) if penalty.weight == NULL else fabs(c) / weight
        if c > forward and side != 0.0 and side != w[j]:
            forward = c
        if c > backward and opposite != 0.0 and opposite != w[j]:
            backward = c
        if c > unbounded and l2 == 0.0 and fabs(side) == INFINITY:
            unbounded = c
    t = 1.0 + inner / residual2 if residual2 > 0.0 else 1.0
    t = fmax(t, -penalty.lam / backward if backward > 0.0 else -INFINITY)
    t = fmin(t, penalty.lam / forward if forward > 0.0 else INFINITY)
    out.gap = gap_at(penalty, norm2, p, w, g, loss, t, True)
    if penalty.l2 > 0.0 or free or penalty.lower != NULL:
        one = fmin(1.0, penalty.lam / unbounded) if unbounded > 0.0 else 1.0
        other = gap_at(penalty, norm2, p, w, g, loss, one, False)
        if other <= out.gap:
            out.gap = other
            t = one
    out.objective = loss + value
    out.scale = t
    out.violation = violation
    return out


cdef inline Certificate certify_plain(double lam, Py_ssize_t p, const double* w, const double* g,
                                      double loss) noexcept nogil:
    """The same for lam ||w||_1 alone, in three passes of vector instructions."""
    cdef double sums[3]
    cdef double limit = largest(g, p), t
    cdef Certificate out
    plain_sums(w, g, lam, p, sums)
    t = 1.0 + sums[1] / (2.0 * loss) if loss > 0.0 else 1.0
    if limit > 0.0:
        t = fmin(fmax(t, -lam / limit), lam / limit)
    out.objective = loss + lam * sums[0]
    out.gap = (1.0 - t) * (1.0 - t) * loss + plain_gap(w, g, lam, t, p)
    out.scale = t
    out.violation = sums[2]
    return out


cdef inline double gap_at(const Penalty* penalty, const double* norm2, Py_ssize_t p, const double* w,
                          const double* g, double loss, double t, bint touched) noexcept nogil:
    """The gap of `certify` for one t; touched: only with the bounds that are 0 or that w sits at, where l2 = 0."""
    cdef double gap = (1.0 - t) * (1.0 - t) * loss
    cdef double l1, l2, c, lower, upper
    cdef bint feasible = penalty.lam > 0.0 and penalty.weight == NULL and penalty.l2 == 0.0 and touched
    cdef Py_ssize_t j
    for j in range(p):
        if w[j] == 0.0 and feasible:                    # feasible and zero: the term is zero
            continue
        l1 = penalty.lam * weight_of(penalty, j)
        l2 = penalty.l2 * weight_of(penalty, j)
        lower = lower_of(penalty, j)
        upper = upper_of(penalty, j)
        c = -t * g[j]
        if touched and l2 == 0.0:
            lower = lower if lower == 0.0 or lower == w[j] else -INFINITY
            upper = upper if upper == 0.0 or upper == w[j] else INFINITY
        if l1 > 0.0 or l2 > 0.0 or (upper < INFINITY if c > 0.0 else lower > -INFINITY):
            gap += fenchel_gap(l1, l2, lower, upper, w[j], c)
        else:
            gap += unpenalised_gap(norm2[j], w[j], c)
    return gap


cdef inline double unpenalised_gap(double norm2, double u, double c) noexcept nogil:
    """|u c| + c^2 / (2 norm2): what optimality in one unpenalised coefficient still lacks."""
    return fabs(u * c) + (0.5 * c * c / norm2 if norm2 > 0.0 else 0.0)
