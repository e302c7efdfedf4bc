"""Newton steps on the sign pattern of a working set's problem.

With the signs of the non-zero coefficients S held fixed, and the coefficients at a bound where they are, the objective
is a quadratic, whose minimiser is one solve away:

    (G_SS + l2 V + damping diag(G_SS)) d = -(g_S + lam v sign(w_S) + l2 v w_S)

w moves along d and a coefficient that reaches zero or a bound on the way stays there; the walk ends at the first minimum of the
piecewise quadratic (the breakpoints are walked one by one, so the search is exact). Damping as in Levenberg (1944): it
falls when the whole step could be made, and rises when the walk ended early. Coordinate descent lets coefficients move
again: with those at a bound in S, even if F pushes them inwards, columns much alike would stop the walk at once.

A large system is factored in float32, at twice the speed, and its residual made in float64: a step need not be exact
to lead on. Where that residual is large, float64 follows.
"""

from libc.math cimport INFINITY
from scipy.linalg.cython_lapack cimport dpotrf, dpotrs, spotrf, spotrs

from matrix cimport axpy_d
from penalty cimport Penalty, lower_of, restricted, upper_of, weight_of
from problem cimport Problem, problem_of

ctypedef fused real:
    float
    double

cdef double LEAST_DAMPING = 1e-12, MOST_DAMPING = 1.0
cdef double SAME = 4e-15                    # breakpoints closer than this part of the way are one
cdef Py_ssize_t LARGE = 150                 # order of a system that is tried in float32
cdef double EXACT = 1e-4, USEFUL = 0.25     # squared residual of such a step, relative: enough, and enough to refine
cdef double WHOLE = 0.9, SHORT = 0.3        # parts of the step: as good as all of it, and too little


def step(object capsule, const double[:, ::1] G, const double[:, ::1] penalties, double[::1] w, double[::1] g,
         double loss, double damping, double[::1] factor, double[::1] direction, double[::1] product, Py_ssize_t[::1] support):
    """One damped Newton step.

    G : Gram matrix, at least size x size (read). penalties : as for `gram_descent` (read).
    w, g : coefficients and gradient of the datafit, size (read and written); loss : at w.
    factor : room for m x m numbers, m = coefficients that `may_move`, no more than
        the non-zero and unpenalised ones; direction, product, support : size (all written).
    Cost: m^3 / 3 + m size flops. Returns (loss, damping for the next step).
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Penalty penalty
    cdef Py_ssize_t size = w.shape[0], a, k, m = 0
    cdef int order, one = 1, info = 1, tries = 0
    cdef double done = 0.0
    if not (penalties.shape[1] == g.shape[0] == direction.shape[0] == product.shape[0] == support.shape[0] == size) \
            or penalties.shape[0] != 3 or G.shape[0] < size or G.shape[1] < size:
        raise ValueError("G must be size x size, penalties 3 x size and every vector size long")
    if size == 0:
        return loss, damping
    penalty = restricted(&P.penalty, &penalties[0, 0], size)
    for k in range(size):
        if may_move(&penalty, k, w[k]) and (w[k] != 0.0 or G[k, k] > 0.0):
            support[m] = k
            m += 1
    if m == 0:
        return loss, damping
    if factor.shape[0] < m * m:
        raise ValueError(f"factor must have {m * m} entries")
    order = <int> m
    with nogil:
        if m >= LARGE and solve_single(&penalty, G, &w[0], &g[0], size, damping, <float*> &factor[0], &direction[0],
                                       &product[0], &support[0], m):
            done = walk(&penalty, G, &w[0], &g[0], size, &direction[0], &product[0], &support[0], m, &loss)
            info = tries = 8
        while info != 0 and tries < 8:
            assemble(&penalty, G, damping, &factor[0], &support[0], m)
            for a in range(m):
                direction[a] = -slope_of(&penalty, support[a], w[support[a]], g[support[a]])
            dpotrf("U", &order, &factor[0], &order, &info)     # the lower rows are LAPACK's upper columns
            tries += 1
            if info != 0:
                damping = max(100.0 * damping, 1e-10)
        if info == 0:
            dpotrs("U", &order, &one, &factor[0], &order, &direction[0], &order, &info)
            multiply(G, size, &direction[0], &product[0], &support[0], m)
            done = walk(&penalty, G, &w[0], &g[0], size, &direction[0], &product[0], &support[0], m, &loss)
    if done >= WHOLE:
        damping = max(0.1 * damping, LEAST_DAMPING)
    elif done < SHORT:
        damping = min(10.0 * damping, MOST_DAMPING)
    return loss, damping


cdef bint solve_single(const Penalty* penalty, const double[:, ::1] G, const double* w, const double* g,
                       Py_ssize_t size, double damping, float* factor, double* d, double* product,
                       const Py_ssize_t* support, Py_ssize_t m) noexcept nogil:
    """d of the system of `step` by a float32 factor, refined once if need be; False where float32 is not enough.

    factor : room for 2 m^2 numbers. product = G d.
    """
    cdef Py_ssize_t a, k, _
    cdef int order = <int> m, one = 1, info = 0
    cdef float* right = factor + m * m
    cdef double residual, whole = 0.0, left, diagonal
    assemble(penalty, G, damping, factor, support, m)
    for a in range(m):
        k = support[a]
        residual = -slope_of(penalty, k, w[k], g[k])
        whole += residual * residual / G[k, k]
        right[a] = <float> residual
        d[a] = 0.0
    spotrf("U", &order, factor, &order, &info)
    if info != 0:
        return False
    for _ in range(2):
        spotrs("U", &order, &one, factor, &order, right, &order, &info)
        left = 0.0
        for a in range(m):
            d[a] += right[a]
        multiply(G, size, d, product, support, m)
        for a in range(m):
            k = support[a]
            diagonal = penalty.l2 * weight_of(penalty, k) + damping * G[k, k]
            residual = -slope_of(penalty, k, w[k], g[k]) - product[k] - diagonal * d[a]
            left += residual * residual / G[k, k]
            right[a] = <float> residual
        if left <= EXACT * whole:
            return True
        if not left <= USEFUL * whole:
            return False
    return False


cdef void assemble(const Penalty* penalty, const double[:, ::1] G, double damping, real* factor,
                   const Py_ssize_t* support, Py_ssize_t m) noexcept nogil:
    """The matrix of the system of `step`, its lower rows, in the precision of factor."""
    cdef Py_ssize_t a, b, k
    for a in range(m):
        k = support[a]
        for b in range(a + 1):
            factor[a * m + b] = <real> G[k, support[b]]
        factor[a * m + a] += <real> (penalty.l2 * weight_of(penalty, k) + damping * G[k, k])


cdef inline void multiply(const double[:, ::1] G, Py_ssize_t size, const double* d, double* product,
                          const Py_ssize_t* support, Py_ssize_t m) noexcept nogil:
    """product = G d."""
    cdef Py_ssize_t a, k
    for k in range(size):
        product[k] = 0.0
    for a in range(m):
        axpy_d(d[a], &G[support[a], 0], product, size)


cdef inline double slope_of(const Penalty* penalty, Py_ssize_t k, double u, double g) noexcept nogil:
    """Derivative of F by a coefficient u that is not at a kink."""
    cdef double l1 = penalty.lam * weight_of(penalty, k)
    return g + penalty.l2 * weight_of(penalty, k) * u + (l1 if u > 0.0 else -l1 if u < 0.0 else 0.0)


cdef inline bint may_move(const Penalty* penalty, Py_ssize_t k, double u) noexcept nogil:
    """Whether a coefficient u lies between its bounds and not at the kink."""
    return lower_of(penalty, k) < u < upper_of(penalty, k) and (u != 0.0 or penalty.lam * weight_of(penalty, k) == 0.0)


cdef inline double barrier(const Penalty* penalty, Py_ssize_t k, double u, double d) noexcept nogil:
    """Where a coefficient u that moves along d must stop: at the penalty's kink at zero, or at a bound."""
    if (u <= 0.0 < d or d < 0.0 <= u) and penalty.lam * weight_of(penalty, k) > 0.0:
        return 0.0
    return upper_of(penalty, k) if d > 0.0 else lower_of(penalty, k)


cdef double walk(const Penalty* penalty, const double[:, ::1] G, double* w, double* g, Py_ssize_t size, double* d,
                 double* product, Py_ssize_t* support, Py_ssize_t m, double* loss) noexcept nogil:
    """Move w along d over the support, with g and loss; returns the part of the way that was gone, at most 1.

    product = G d, of the coefficients still moving. Frozen ones have d = 0.
    """
    cdef Py_ssize_t a, k
    cdef double t = 0.0, to_barrier, to_minimum, move, slope, curvature, datafit_slope, datafit_curvature, stop
    while t < 1.0:
        slope = curvature = datafit_slope = datafit_curvature = 0.0
        to_barrier = INFINITY
        for a in range(m):
            if d[a] == 0.0:
                continue
            k = support[a]
            datafit_slope += d[a] * g[k]
            datafit_curvature += d[a] * product[k]
            slope += d[a] * slope_of(penalty, k, w[k], 0.0)
            curvature += d[a] * d[a] * penalty.l2 * weight_of(penalty, k)
            to_barrier = min(to_barrier, (barrier(penalty, k, w[k], d[a]) - w[k]) / d[a])
        slope += datafit_slope
        curvature += datafit_curvature
        if slope >= 0.0:
            break
        to_minimum = -slope / curvature if curvature > 0.0 else INFINITY
        move = min(1.0 - t, min(to_barrier, to_minimum))
        for a in range(m):
            if d[a] == 0.0:
                continue
            k = support[a]
            stop = barrier(penalty, k, w[k], d[a])
            if move == to_barrier and (stop - w[k]) / d[a] <= to_barrier * (1.0 + SAME):
                w[k] = stop                                 # several may reach theirs together
            else:
                w[k] += move * d[a]
                if w[k] > stop if d[a] > 0.0 else w[k] < stop:
                    w[k] = stop                             # by rounding
        axpy_d(move, product, g, size)
        loss[0] += move * (datafit_slope + 0.5 * move * datafit_curvature)
        t += move
        if move < to_barrier:                               # the minimum, or the whole step
            break
        for a in range(m):
            k = support[a]
            if d[a] != 0.0 and w[k] == barrier(penalty, k, w[k], d[a]):
                axpy_d(-d[a], &G[k, 0], product, size)
                d[a] = 0.0
    return t
