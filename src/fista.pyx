"""Proximal gradient (ISTA) and its accelerated form (FISTA): one loop.

    v = w + beta (w - w_old),   w <- prox_(1/L)(v - grad(v) / L)

Sources: Beck and Teboulle (SIAM J. Imaging Sci. 2009); restart by the sign of (v - w_new)'(w_new - w), O'Donoghue and
Candes (Found. Comput. Math. 2015, eq. 12); a step constant L that may also fall, with the momentum that belongs to it,
Scheinberg, Goldfarb and Bai (Found. Comput. Math. 2014).

The datafit is quadratic, so its gradient is affine: grad(v) = g + beta (g - g_old), and X is read once for each
iteration, at w itself. The loss, the gap and the curvature along the last step, |X(w_new - v)|^2, then cost no further
read. Invariant: at the top of the loop g is the gradient at w, g_old the gradient at w_old.
"""

from libc.math cimport sqrt

from certificate cimport Certificate, certify
from matrix cimport n_features, n_samples
from problem cimport Problem, gradient, problem_of

cdef extern from "prox.h" nogil:
    void momentum_step "l1fast_momentum_step"(
        const double* w, double* w_old, const double* g, const double* g_old, double* v, double* dv, double beta,
        double lipschitz, double lam, double l2, const double* weight, const double* lower, const double* upper,
        Py_ssize_t n)
    void prox_step "l1fast_prox_step"(
        const double* v, const double* dv, double* w, double lipschitz, double lam, double l2, const double* weight,
        const double* lower, const double* upper, Py_ssize_t n)
    void step_products "l1fast_step_products"(
        const double* w_new, const double* w, const double* v, const double* g_new, const double* dv, Py_ssize_t n,
        double* out)

cdef double RISE = 1.5          # factor on L when a step was too long
cdef double FALL = 0.98         # factor on L after an accepted step, when L may fall
cdef double LOWEST = 1e-12      # L stays above this part of the proven bound
cdef double SLACK = 1e-10       # rounding of the curvature, relative


def iterate(object capsule, double[:, ::1] vectors, double[::1] q, double[::1] scratch, int n_threads,
            double lipschitz, double lipschitz_bound, bint accelerate, bint restart, bint adapt, long max_iter,
            long check_every, object check):
    """Iterate from vectors[0] until check(iteration, objective, gap, w) is true or max_iter is reached.

    vectors : 6 x p; row 0 is the start (read); all rows are written, and row 0 ends as the last iterate.
    q : n, written. scratch : as for `gradient`.
    lipschitz : first value of L; lipschitz_bound : a proven bound on |X|^2, above which L never rises.
    adapt : let L fall along the way (backtracking); otherwise it only rises when a step shows that it must.
    check : called with the GIL, at iterate 0 and every check_every iterations.

    Returns
    -------
    iterations : int
    """
    cdef const Problem* P = problem_of(capsule)
    cdef Py_ssize_t n = n_samples(&P.X), p = n_features(&P.X), j
    cdef double* w
    cdef double* w_old
    cdef double* g
    cdef double* g_old
    cdef double* v
    cdef double* dv
    cdef double* residual
    cdef double* parts
    cdef double product[3]
    cdef double t = 1.0, t_old = 1.0, beta = 0.0, beta_used = 0.0, loss, L = lipschitz, L_old = lipschitz
    cdef long iteration = 0
    cdef bint stop = False
    cdef Certificate now
    if vectors.shape[0] != 6 or vectors.shape[1] != p or p == 0 or q.shape[0] != n or n == 0:
        raise ValueError("vectors must be 6 x n_features and q n_samples long, both at least 1")
    if n_threads > 1 and scratch.shape[0] < n_threads * (p + 1):
        raise ValueError("scratch must have n_threads x (n_features + 1) entries")
    w, w_old, g, g_old, v, dv = (&vectors[0, 0], &vectors[1, 0], &vectors[2, 0], &vectors[3, 0], &vectors[4, 0],
                                 &vectors[5, 0])
    residual = &q[0]
    parts = &scratch[0] if scratch.shape[0] > 0 else NULL
    with nogil:
        loss = gradient(P, w, residual, g, parts, n_threads)
        for j in range(p):
            w_old[j] = w[j]
            g_old[j] = g[j]
        while True:
            if iteration % check_every == 0 or iteration >= max_iter:
                now = certify(&P.penalty, P.norm2, p, w, g, loss)
                with gil:
                    stop = check(iteration, now.objective, now.gap, vectors[(w - &vectors[0, 0]) // p])
                if stop or iteration >= max_iter:
                    break
            beta_used = beta
            momentum_step(w, w_old, g, g_old, v, dv, beta, L, P.penalty.lam, P.penalty.l2, P.penalty.weight,
                          P.penalty.lower, P.penalty.upper, p)
            w, w_old = w_old, w
            g, g_old = g_old, g
            while True:
                iteration += 1
                loss = gradient(P, w, residual, g, parts, n_threads)
                step_products(w, w_old, v, g, dv, p, product)
                if product[1] <= L * product[0] * (1.0 + SLACK) or L >= lipschitz_bound or iteration >= max_iter:
                    break
                L = min(max(RISE * L, product[1] / product[0]), lipschitz_bound)
                if accelerate:                              # the momentum that belongs to this L (Scheinberg et al.)
                    t = next_t(t_old, L / L_old)
                    beta = (t_old - 1.0) / t
                extrapolate(w_old, v, g_old, dv, beta / beta_used if beta_used > 0.0 else 1.0, p)
                beta_used = beta
                prox_step(v, dv, w, L, P.penalty.lam, P.penalty.l2, P.penalty.weight, P.penalty.lower,
                          P.penalty.upper, p)
            if restart and product[2] > 0.0:
                t = 1.0
            t_old = t
            L_old = L
            if adapt:
                L = max(FALL * L, LOWEST * lipschitz_bound)
            if accelerate:
                t = next_t(t_old, L / L_old)
                beta = (t_old - 1.0) / t
        if w != &vectors[0, 0]:
            for j in range(p):
                vectors[0, j] = w[j]
    return iteration


cdef inline double next_t(double t, double ratio) noexcept nogil:
    """The momentum sequence; ratio = new L / old L."""
    return 0.5 * (1.0 + sqrt(1.0 + 4.0 * t * t * ratio))


cdef inline void extrapolate(const double* w, double* v, const double* g, double* dv, double factor,
                             Py_ssize_t p) noexcept nogil:
    """v = w + factor (v - w) and the same for its gradient: another momentum from the same two iterates."""
    cdef Py_ssize_t j
    for j in range(p):
        v[j] = w[j] + factor * (v[j] - w[j])
        dv[j] = g[j] + factor * (dv[j] - g[j])
