"""Smooth stand-ins for |u| in the L1 norm, as the kernels take them; the formulas are in smooth.h.

    sum_j v_j (lam phi(w_j) + l2/2 w_j^2)
"""

from libc.math cimport INFINITY

from penalty cimport Penalty

cdef extern from "smooth.h" nogil:
    ctypedef struct Smoothing "l1fast_smoothing":
        int kind
        double width
        double norm
        const double* gamma
    enum:
        QUADRATIC "L1FAST_QUADRATIC"
        POWER_NORM "L1FAST_POWER_NORM"
    double c_slopes "l1fast_slopes"(const Smoothing* s, const double* w, double* out, bint add, double lam, double l2,
                                    const double* weight, Py_ssize_t n)
    void c_slope_step "l1fast_slope_step"(
        const Smoothing* s, const double* v, const double* dv, double* w, double lipschitz, double lam, double l2,
        const double* weight, const double* lower, const double* upper, Py_ssize_t n)
    double c_slope_rise "l1fast_slope_rise"(const Smoothing* s, double norm_to, const double* to, const double* start,
                                            double lam, const double* weight, Py_ssize_t n)
    double c_power_norm "l1fast_power_norm"(double width, const double* w, const double* weight, Py_ssize_t n)


cdef inline Smoothing smoothing_of(int kind, double width, const double[::1] gamma, Py_ssize_t p) except *:
    """The numbers of a smoothing; its kind, the width and the length of gamma (p, or 0 for none) verified."""
    cdef Smoothing smoothing
    if not 0 <= kind <= POWER_NORM or (gamma.shape[0] != 0 and gamma.shape[0] != p):
        raise ValueError("no such smoothing, or gamma is not n_features long")
    if not 1.0 / INFINITY < 1.0 / width < INFINITY:
        raise ValueError("width must be > 0, with a finite inverse")
    smoothing.kind, smoothing.width, smoothing.norm, smoothing.gamma = kind, width, 0.0, NULL
    if kind == QUADRATIC and gamma.shape[0] > 0:
        smoothing.gamma = &gamma[0]
    return smoothing


cdef inline Smoothing at_point(const Smoothing* S, const Penalty* penalty, const double* w, Py_ssize_t p) noexcept nogil:
    """The smoothing with what it must know of all of w first."""
    cdef Smoothing there = S[0]
    if S.kind == POWER_NORM:
        there.norm = c_power_norm(S.width, w, penalty.weight, p)
    return there


cdef inline double slopes(const Smoothing* S, const Penalty* penalty, const double* w, double* out, bint add,
                          Py_ssize_t p) noexcept nogil:
    """out (+)= the slope of the smoothed penalty at w; returns its value."""
    cdef Smoothing there = at_point(S, penalty, w, p)
    return c_slopes(&there, w, out, add, penalty.lam, penalty.l2, penalty.weight, p)
