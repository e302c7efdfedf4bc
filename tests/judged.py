"""Solve as a user would, and let the referee look at the input and at the answer."""

import pickle
import warnings

import problems
import pytest
import referee

import l1fast
import l1fast.io

FAMILY = ("l2", "fit_intercept", "penalty_weights", "sample_weight", "positive", "bounds")
COUNTED_ROUNDING = 0.25  # part of tol that a compressed path may count for what its Gram matrix rounds


def solve(X, y, lam, *, judge_X=None, **options):
    """`l1fast.solve`, judged on ``judge_X`` (X itself if None) and on leaving its input as it was."""
    result, asked = _watched(l1fast.solve, X, y, lam, **options)
    referee.check(result, X if judge_X is None else judge_X, y, lam, **asked)
    return result


def quiet(*arguments, **options):
    """A judged solve whose warning is of no interest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        return solve(*arguments, **options)


def path(X, y, *, judge_X=None, **options):
    """`l1fast.path`, judged in the same way at every strength."""
    result, asked = _watched(l1fast.path, X, y, **options)
    if "l2_ratio" in options:
        asked["l2_ratio"] = options["l2_ratio"]
    slack = COUNTED_ROUNDING if "compressed" in result.reason else 0.0
    referee.check_path(result, X if judge_X is None else judge_X, y, slack=slack, **asked)
    return result


def _watched(function, X, y, *arguments, **options):
    """The result, once its input was found unchanged, and the options that belong to the problem."""
    inputs = (X, y, *arguments, *options.values())
    before = problems.fingerprint(*inputs)
    result = function(X, y, *arguments, **options)
    assert problems.fingerprint(*inputs) == before, "the input was changed"
    return result, {name: options[name] for name in FAMILY if name in options}


def bits(seed, n_threads):
    """Two answers to one problem, in whatever process this is called in: a module of its own is found there."""
    X, y = problems.make(200, 100, seed=seed)
    lam = problems.strength(X, y, 0.05)
    results = [l1fast.solve(X, y, lam, solver=solver, n_threads=n_threads) for solver in ("cd", "fista")]
    return pickle.dumps([problems.fingerprint(result) for result in results])


def fails(call, *fragments):
    """The call must end in a FileError of one line that holds all fragments."""
    with pytest.raises(l1fast.io.FileError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert all(fragment in message for fragment in fragments), message
