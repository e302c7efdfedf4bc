"""Proximal gradient (ISTA) and its accelerated form (FISTA), and the same on a smooth stand-in for |w|: one loop.

    v = w + beta (w - w_old),   w <- prox_(1/L)(v - grad(v) / L)

With a smoothing phi, lam v_j phi'(v_j) is part of the gradient, and the prox is that of l2 and the bounds alone.

Sources: Beck and Teboulle (SIAM J. Imaging Sci. 2009); restart by the sign of (v - w_new)'(w_new - w), O'Donoghue and
Candes (Found. Comput. Math. 2015, eq. 12); a step constant L that may also fall, with the momentum that belongs to it,
Scheinberg, Goldfarb and Bai (Found. Comput. Math. 2014).

The datafit is quadratic, so its gradient is affine: grad(v) = g + beta (g - g_old), and X is read once for each
iteration, at w itself. The loss, the gap and the curvature along the last step, |X(w_new - v)|^2, then cost no further
read. Invariant: at the top of the loop g is the gradient at w, g_old the gradient at w_old.
"""

from cpython.pycapsule cimport PyCapsule_CheckExact
from libc.math cimport sqrt

from certificate cimport Certificate, certify
from matrix cimport n_features
from passes cimport MOST_PARTS, sums_size
from penalty cimport Penalty
from problem cimport Problem, gradient, problem_of, residual_size
from smoothing cimport Smoothing, at_point, c_slope_rise, c_slope_step, smoothing_of
from team cimport Part, range_begin, range_parts, run

cdef extern from "prox.h" nogil:
    void momentum_step "l1fast_momentum_step"(
        const double* w, double* w_old, const double* g, const double* g_old, double* v, double* dv, double beta,
        double lipschitz, double lam, double l2, const double* weight, const double* lower, const double* upper,
        Py_ssize_t n)
    void momentum_point "l1fast_momentum_point"(
        const double* w, const double* w_old, const double* g, const double* g_old, double* v, double* dv, double beta,
        Py_ssize_t n)
    void prox_step "l1fast_prox_step"(
        const double* v, const double* dv, double* w, double lipschitz, double lam, double l2, const double* weight,
        const double* lower, const double* upper, Py_ssize_t n)
    void step_products "l1fast_step_products"(
        const double* w_new, const double* w, const double* v, const double* g_new, const double* dv, Py_ssize_t n,
        double* out)

cdef struct Steps:
    const Problem* P
    const Smoothing* S          # NULL: none
    Smoothing at_v              # the smoothing, with what it must know of v
    double norm                 # what it must know of the new iterate
    double* w
    double* w_old
    double* g
    double* g_old
    double* v
    double* dv
    double* target              # where a step from v goes
    double beta                 # v = w + beta (w - w_old)
    double stretch              # on beta, when L was too low
    double L
    Py_ssize_t n_parts
    double product[3 * MOST_PARTS]

cdef double RISE = 1.5          # factor on L when a step was too long
cdef double FALL = 0.98         # factor on L after an accepted step, when L may fall
cdef double LOWEST = 1e-12      # L stays above this part of the proven bound
cdef double SLACK = 1e-10       # rounding of the curvature, relative


def iterate(object capsule, double[:, ::1] vectors, double[::1] q, double[::1] scratch, double lipschitz,
            double lipschitz_bound, bint accelerate, bint restart, bint adapt, long max_iter,
            long check_every, object check, smoothing=None):
    """Iterate from vectors[0] until check(iteration, objective, gap, w, g) is true or max_iter is reached.

    vectors : 6 x p; row 0 is the start (read); all rows are written, and row 0 ends as the last iterate.
    q : n, written. scratch : as for `gradient`.
    lipschitz : first value of L; lipschitz_bound : a proven bound on it, above which L never rises.
    adapt : let L fall along the way (backtracking); otherwise it only rises when a step shows that it must.
    check : called with the GIL, at iterate 0 and every check_every iterations on; g is the gradient of the datafit.
        True to stop; a capsule to go on with the same problem, its rows in another order.
    smoothing : (kind, width, gamma) as in smoothing.pxd, or None.

    Returns
    -------
    iterations : int
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t n = residual_size(P), p = n_features(&P.X), j
    cdef Steps job
    cdef double* residual
    cdef double* parts
    cdef double product[3]
    cdef double t = 1.0, t_old = 1.0, beta = 0.0, loss, L_old = lipschitz
    cdef long iteration = 0, due = 0                        # steps that are tried twice pass over a multiple
    cdef bint stop = False
    cdef Certificate now
    cdef Smoothing smooth
    cdef object answer
    if vectors.shape[0] != 6 or vectors.shape[1] != p or p == 0 or q.shape[0] != n or (n == 0 and P.oracle == NULL):
        raise ValueError("vectors must be 6 x n_features and q n_samples long, both at least 1")
    if scratch.shape[0] < sums_size(&P.X, P.n_threads):
        raise ValueError("scratch must have scratch_size entries")
    job.P, job.S, job.beta, job.L = P, NULL, 0.0, lipschitz
    if smoothing is not None:
        smooth = smoothing_of(smoothing[0], smoothing[1], smoothing[2], p)
        job.S = &smooth
    job.w, job.w_old, job.g = &vectors[0, 0], &vectors[1, 0], &vectors[2, 0]
    job.g_old, job.v, job.dv = &vectors[3, 0], &vectors[4, 0], &vectors[5, 0]
    job.n_parts = min(range_parts(p, P.n_threads), MOST_PARTS)
    residual = &q[0] if n > 0 else NULL
    parts = &scratch[0] if scratch.shape[0] > 0 else NULL
    with nogil:
        loss = gradient(P, job.w, residual, job.g, parts)
        for j in range(p):
            job.w_old[j] = job.w[j]
            job.g_old[j] = job.g[j]
        while True:
            if iteration >= due or iteration >= max_iter:
                due = iteration - iteration % check_every + check_every
                now = certify(&P.penalty, P.norm2, p, job.w, job.g, loss)
                with gil:
                    answer = check(iteration, now.objective, now.gap, vectors[(job.w - &vectors[0, 0]) // p],
                                   vectors[(job.g - &vectors[0, 0]) // p])
                    if PyCapsule_CheckExact(answer):
                        capsule = answer
                        P = job.P = same_size(problem_of(capsule), n, p, scratch.shape[0])
                        stop = False
                    else:
                        stop = answer
                if stop or iteration >= max_iter:
                    break
            job.beta = beta
            if job.S == NULL:
                share(&job, momentum_part)
            else:
                share(&job, point_part)
                slope_step(&job, job.w_old)
            job.w, job.w_old = job.w_old, job.w
            job.g, job.g_old = job.g_old, job.g
            while True:
                iteration += 1
                loss = gradient(P, job.w, residual, job.g, parts)
                if job.S != NULL:
                    job.norm = at_point(job.S, &P.penalty, job.w, p).norm
                share(&job, products_part)
                add_products(&job, product)
                if product[1] <= job.L * product[0] * (1.0 + SLACK) or job.L >= lipschitz_bound \
                        or iteration >= max_iter:
                    break
                job.L = min(max(RISE * job.L, product[1] / product[0]), lipschitz_bound)
                if accelerate:                              # the momentum that belongs to this L (Scheinberg et al.)
                    t = next_t(t_old, job.L / L_old)
                    beta = (t_old - 1.0) / t
                job.stretch = beta / job.beta if job.beta > 0.0 else 1.0
                job.beta = beta
                share(&job, correct_part)
                if job.S == NULL:
                    share(&job, prox_part)
                else:
                    slope_step(&job, job.w)
            if restart and product[2] > 0.0:
                t = 1.0
            t_old = t
            L_old = job.L
            if adapt:
                job.L = max(FALL * job.L, LOWEST * lipschitz_bound)
            if accelerate:
                t = next_t(t_old, job.L / L_old)
                beta = (t_old - 1.0) / t
        if job.w != &vectors[0, 0]:
            for j in range(p):
                vectors[0, j] = job.w[j]
    return iteration


cdef const Problem* same_size(const Problem* P, Py_ssize_t n, Py_ssize_t p, Py_ssize_t scratch) except NULL:
    if residual_size(P) != n or n_features(&P.X) != p or sums_size(&P.X, P.n_threads) > scratch:
        raise ValueError("the problem to go on with has another shape")
    return P


cdef inline double next_t(double t, double ratio) noexcept nogil:
    """The momentum sequence; ratio = new L / old L."""
    return 0.5 * (1.0 + sqrt(1.0 + 4.0 * t * t * ratio))


cdef inline const double* shifted(const double* v, Py_ssize_t j) noexcept nogil:
    """v from entry j on; nothing when there is no v."""
    return v + j if v != NULL else NULL


cdef inline void share(Steps* job, Part function) noexcept nogil:
    run(job.P.team, function, job, job.n_parts, job.P.n_threads)


cdef void momentum_part(void* context, Py_ssize_t part) noexcept nogil:
    """v, dv and the new iterate, in the place of w_old, for a run of features."""
    cdef const Steps* job = <const Steps*> context
    cdef const Penalty* penalty = &job.P.penalty
    cdef Py_ssize_t p = n_features(&job.P.X), j = range_begin(p, part, job.n_parts)
    momentum_step(job.w + j, job.w_old + j, job.g + j, job.g_old + j, job.v + j, job.dv + j, job.beta, job.L,
                  penalty.lam, penalty.l2, shifted(penalty.weight, j), shifted(penalty.lower, j),
                  shifted(penalty.upper, j), range_begin(p, part + 1, job.n_parts) - j)


cdef void point_part(void* context, Py_ssize_t part) noexcept nogil:
    """v and dv alone, for a run of features."""
    cdef const Steps* job = <const Steps*> context
    cdef Py_ssize_t p = n_features(&job.P.X), j = range_begin(p, part, job.n_parts)
    momentum_point(job.w + j, job.w_old + j, job.g + j, job.g_old + j, job.v + j, job.dv + j, job.beta,
                   range_begin(p, part + 1, job.n_parts) - j)


cdef void correct_part(void* context, Py_ssize_t part) noexcept nogil:
    """Another momentum from the same two iterates: v = w_old + stretch (v - w_old)."""
    cdef const Steps* job = <const Steps*> context
    cdef Py_ssize_t p = n_features(&job.P.X), j
    for j in range(range_begin(p, part, job.n_parts), range_begin(p, part + 1, job.n_parts)):
        job.v[j] = job.w_old[j] + job.stretch * (job.v[j] - job.w_old[j])
        job.dv[j] = job.g_old[j] + job.stretch * (job.dv[j] - job.g_old[j])


cdef void prox_part(void* context, Py_ssize_t part) noexcept nogil:
    """The step w from v and dv, for a run of features."""
    cdef const Steps* job = <const Steps*> context
    cdef const Penalty* penalty = &job.P.penalty
    cdef Py_ssize_t p = n_features(&job.P.X), j = range_begin(p, part, job.n_parts)
    prox_step(job.v + j, job.dv + j, job.w + j, job.L, penalty.lam, penalty.l2, shifted(penalty.weight, j),
              shifted(penalty.lower, j), shifted(penalty.upper, j), range_begin(p, part + 1, job.n_parts) - j)


cdef inline void slope_step(Steps* job, double* w) noexcept nogil:
    """The step w from v and dv with the slope of the smoothing at v."""
    job.at_v = at_point(job.S, &job.P.penalty, job.v, n_features(&job.P.X))
    job.target = w
    share(job, slope_part)


cdef void slope_part(void* context, Py_ssize_t part) noexcept nogil:
    cdef const Steps* job = <const Steps*> context
    cdef const Penalty* penalty = &job.P.penalty
    cdef Py_ssize_t p = n_features(&job.P.X), j = range_begin(p, part, job.n_parts)
    cdef Smoothing here = shifted_smoothing(&job.at_v, j)
    c_slope_step(&here, job.v + j, job.dv + j, job.target + j, job.L, penalty.lam, penalty.l2,
                 shifted(penalty.weight, j), shifted(penalty.lower, j), shifted(penalty.upper, j),
                 range_begin(p, part + 1, job.n_parts) - j)


cdef inline Smoothing shifted_smoothing(const Smoothing* S, Py_ssize_t j) noexcept nogil:
    """The smoothing from feature j on."""
    cdef Smoothing here = S[0]
    here.gamma = shifted(S.gamma, j)
    return here


cdef void products_part(void* context, Py_ssize_t part) noexcept nogil:
    cdef Steps* job = <Steps*> context
    cdef const Penalty* penalty = &job.P.penalty
    cdef Py_ssize_t p = n_features(&job.P.X), j = range_begin(p, part, job.n_parts)
    cdef Py_ssize_t size = range_begin(p, part + 1, job.n_parts) - j
    cdef double* product = job.product + 3 * part
    cdef Smoothing at_v
    step_products(job.w + j, job.w_old + j, job.v + j, job.g + j, job.dv + j, size, product)
    if job.S != NULL:                                       # the curvature of the smoothing along the step
        at_v = shifted_smoothing(&job.at_v, j)
        product[1] += c_slope_rise(&at_v, job.norm, job.w + j, job.v + j, penalty.lam, shifted(penalty.weight, j), size)


cdef inline void add_products(const Steps* job, double* product) noexcept nogil:
    """The products of all parts, added up in order."""
    cdef Py_ssize_t part, k
    for k in range(3):
        product[k] = job.product[k]
        for part in range(1, job.n_parts):
            product[k] += job.product[3 * part + k]
