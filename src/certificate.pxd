"""The certificate: how far w can be from optimal, from nothing but w, the gradient and the loss.

It knows no solver. The solvers call it at their checks; `solve` calls it once more on a gradient computed afresh.
"""

from libc.math cimport INFINITY, fabs, fmax, fmin

from penalty cimport Penalty, fenchel_gap, penalty_value, subdifferential_distance, weight_of

cdef struct Certificate:
    double objective    # F(w)
    double gap          # F(w) - D(theta) >= 0, absolute
    double scale        # theta = -scale q
    double violation    # max_j distance of -g_j to the subdifferential


cdef inline Certificate certify(const Penalty* penalty, const double* norm2, Py_ssize_t p, const double* w,
                                const double* g, double loss) noexcept nogil:
    """Gap between w and the dual point theta = -t q, t the best that keeps theta feasible.

        gap = (1 - t)^2 loss + sum_j (penalty_j(w_j) + conjugate_j(t c_j) - w_j t c_j),   c = -g

    Every term is >= 0, so nothing cancels (Fenchel-Young; Massias, Gramfort, Salmon, ICML 2018, for the scaling).
    t maximises the dual along q (with the l2 term as extra rows of X), clamped on both sides. With l2 > 0 any t is
    feasible, and t = 1 is tried as well; so it is with unpenalised columns, where rounding may spoil the first. Such a
    column (v_j lam = 0) asks for c_j = 0: what is left counts |c_j w_j| + c_j^2 / (2 norm2_j), the decrease open in it.
    """
    cdef Py_ssize_t j
    cdef double low = -INFINITY, high = INFINITY, inner = 0.0, value = 0.0, violation = 0.0
    cdef bint free = False, curved = True
    cdef double most = 0.0, least = 0.0, weight, distance
    cdef double l1, l2, c, t, one, other, residual2 = 2.0 * loss
    cdef Certificate out
    for j in range(p):
        c = -g[j]
        weight = weight_of(penalty, j)
        l1 = penalty.lam * weight
        l2 = penalty.l2 * weight
        distance = subdifferential_distance(l1, l2, penalty.positive, w[j], c)
        if distance > violation:
            violation = distance
        if w[j] != 0.0:
            value += penalty_value(penalty, j, w[j])
            c -= l2 * w[j]
            inner += w[j] * c
            residual2 += l2 * w[j] * w[j]
        if l1 == 0.0 and l2 == 0.0:
            free = True
            continue
        curved = curved and l2 > 0.0
        if l1 == 0.0:
            continue
        if penalty.weight != NULL:
            c /= weight
        if c > most:
            most = c
        elif c < least:
            least = c
    if penalty.lam > 0.0:
        if not penalty.positive:
            most = fmax(most, -least)
            least = -most
        high = penalty.lam / most if most > 0.0 else INFINITY
        low = penalty.lam / least if least < 0.0 else -INFINITY
    t = 1.0 + inner / residual2 if residual2 > 0.0 else 1.0
    t = fmin(fmax(t, low), high)
    out.gap = gap_at(penalty, norm2, p, w, g, loss, t)
    if penalty.l2 > 0.0 or free:
        one = 1.0 if curved else fmin(fmax(1.0, low), high)
        other = gap_at(penalty, norm2, p, w, g, loss, one)
        if other <= out.gap:
            out.gap = other
            t = one
    out.objective = loss + value
    out.scale = t
    out.violation = violation
    return out


cdef inline double gap_at(const Penalty* penalty, const double* norm2, Py_ssize_t p, const double* w,
                          const double* g, double loss, double t) noexcept nogil:
    """The gap of `certify` for one t."""
    cdef double gap = (1.0 - t) * (1.0 - t) * loss
    cdef double l1, c
    cdef Py_ssize_t j
    for j in range(p):
        if w[j] == 0.0 and penalty.l2 == 0.0 and penalty.weight == NULL and penalty.lam > 0.0:
            continue                                    # feasible and zero: the term is zero
        l1 = penalty.lam * weight_of(penalty, j)
        c = -t * g[j]
        if l1 > 0.0 or penalty.l2 * weight_of(penalty, j) > 0.0:
            gap += fenchel_gap(l1, penalty.l2 * weight_of(penalty, j), penalty.positive, w[j], c)
        else:
            gap += unpenalised_gap(penalty.positive, norm2[j], w[j], c)
    return gap


cdef inline double unpenalised_gap(bint positive, double norm2, double u, double c) noexcept nogil:
    """|u c| + c^2 / (2 norm2): what optimality in one unpenalised coefficient still lacks."""
    if positive and u == 0.0 and c <= 0.0:
        return 0.0
    return fabs(u * c) + (0.5 * c * c / norm2 if norm2 > 0.0 else 0.0)
