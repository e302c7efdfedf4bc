"""The penalty, coordinate by coordinate.

    v (lam |u| + l2/2 u^2),   u >= 0 when positive

with its own weight v >= 0 for each coefficient; v = 0 leaves a coefficient unpenalised.
"""

from libc.math cimport fabs

cdef struct Penalty:
    double lam
    double l2
    const double* weight        # v, length n_features; NULL: ones
    bint positive


cdef inline double weight_of(const Penalty* penalty, Py_ssize_t j) noexcept nogil:
    return penalty.weight[j] if penalty.weight != NULL else 1.0


cdef inline double penalty_value(const Penalty* penalty, Py_ssize_t j, double u) noexcept nogil:
    return weight_of(penalty, j) * (penalty.lam * fabs(u) + 0.5 * penalty.l2 * u * u)


cdef inline double minimise_coordinate(double l1, double l2, bint positive, double curvature,
                                       double slope) noexcept nogil:
    """argmin over u of curvature/2 u^2 - slope u + l1 |u| + l2/2 u^2, u >= 0 when positive.

    The proximal operator of the penalty for curvature 1.
    """
    if slope > l1:
        return (slope - l1) / (curvature + l2)
    if slope < -l1 and not positive:
        return (slope + l1) / (curvature + l2)
    return 0.0


cdef inline double subdifferential_distance(double l1, double l2, bint positive, double u, double c) noexcept nogil:
    """Distance of c = -gradient of the datafit to the subdifferential of the penalty at u."""
    if u > 0.0:
        return fabs(c - l1 - l2 * u)
    if u < 0.0:
        return fabs(c + l1 - l2 * u)
    if not positive:
        c = fabs(c)
    return c - l1 if c > l1 else 0.0


cdef inline double fenchel_gap(double l1, double l2, bint positive, double u, double c) noexcept nogil:
    """penalty(u) + conjugate(c) - u c >= 0, summed from terms that do not cancel.

    With l2 = 0 the conjugate is finite for |c| <= l1 only: the caller scales c into that range.
    """
    cdef double size, target
    if l2 > 0.0 and (c if positive else fabs(c)) > l1:
        size = fabs(c) - l1
        target = size / l2 if c > 0.0 else -size / l2           # where the conjugate is attained
        return l1 * (fabs(u) - (u if c > 0.0 else -u)) + 0.5 * l2 * (u - target) * (u - target)
    size = l1 * fabs(u) - u * c
    return (0.0 if size < 0.0 else size) + 0.5 * l2 * u * u     # NaN stays NaN
