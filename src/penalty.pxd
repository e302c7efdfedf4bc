"""The penalty, coordinate by coordinate.

    v (lam |u| + l2/2 u^2) + (0 if lower <= u <= upper else infinity),   lower <= 0 <= upper

with its own weight v >= 0 and its own bounds for each coefficient; v = 0 leaves a coefficient unpenalised. The functions
of one coefficient take l1 = v lam and l2 = v l2.
"""

from libc.math cimport INFINITY, fabs

cdef struct Penalty:
    double lam
    double l2
    const double* weight        # v, length n_features; NULL: ones
    const double* lower         # length n_features; NULL: -infinity
    const double* upper         # length n_features; NULL: infinity


cdef inline double weight_of(const Penalty* penalty, Py_ssize_t j) noexcept nogil:
    return penalty.weight[j] if penalty.weight != NULL else 1.0


cdef inline double lower_of(const Penalty* penalty, Py_ssize_t j) noexcept nogil:
    return penalty.lower[j] if penalty.lower != NULL else -INFINITY


cdef inline double upper_of(const Penalty* penalty, Py_ssize_t j) noexcept nogil:
    return penalty.upper[j] if penalty.upper != NULL else INFINITY


cdef inline Penalty restricted(const Penalty* penalty, const double* rows, Py_ssize_t size) noexcept nogil:
    """The penalty of a working set. rows : 3 x size, its weights, lower and upper bounds."""
    cdef Penalty part = penalty[0]
    part.weight, part.lower, part.upper = rows, rows + size, rows + 2 * size
    return part


cdef inline double penalty_value(const Penalty* penalty, Py_ssize_t j, double u) noexcept nogil:
    """For u within its bounds."""
    return weight_of(penalty, j) * (penalty.lam * fabs(u) + 0.5 * penalty.l2 * u * u)


cdef inline double minimise_coordinate(double l1, double l2, double lower, double upper, double curvature,
                                       double slope) noexcept nogil:
    """argmin over lower <= u <= upper of curvature/2 u^2 - slope u + l1 |u| + l2/2 u^2.

    The proximal operator of the penalty for curvature 1.
    """
    cdef double u = 0.0
    if slope > l1:
        u = (slope - l1) / (curvature + l2)
    elif slope < -l1:
        u = (slope + l1) / (curvature + l2)
    return upper if u > upper else lower if u < lower else u


cdef inline double subdifferential_distance(double l1, double l2, double lower, double upper, double u,
                                            double c) noexcept nogil:
    """Distance of c = -gradient of the datafit to the subdifferential of the penalty at u.

    At a bound the subdifferential holds all that pushes outwards.
    """
    cdef double up = c - l2 * u - (l1 if u >= 0.0 else -l1)     # > 0: F falls to the right of u
    cdef double down = c - l2 * u + (l1 if u <= 0.0 else -l1)   # < 0: F falls to the left of u
    if up > 0.0:
        return up if u < upper else 0.0
    if down < 0.0:
        return -down if u > lower else 0.0
    return 0.0


cdef inline double fenchel_gap(double l1, double l2, double lower, double upper, double u, double c) noexcept nogil:
    """penalty(u) + conjugate(c) - u c >= 0 for u within the bounds, summed from terms that do not cancel.

    The conjugate is attained at v = min((c - l1) / l2, upper) for c > l1, at 0 for |c| <= l1, and mirrored below. Where
    v would be infinite so is the conjugate: the caller scales c into the range of |c| <= l1.
    """
    cdef double size, value
    if c < 0.0:
        u, c, upper = -u, -c, -lower
    size = c - l1
    if size > 0.0 and (l2 > 0.0 or upper < INFINITY):
        value = l1 * (fabs(u) - u)
        if size < l2 * upper:
            return value + 0.5 * l2 * (u - size / l2) * (u - size / l2)
        return value + (upper - u) * (size - l2 * upper + 0.5 * l2 * (upper - u))
    size = l1 * fabs(u) - u * c
    return (0.0 if size < 0.0 else size) + 0.5 * l2 * u * u     # NaN stays NaN
