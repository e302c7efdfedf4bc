"""Solve as a user would, and let the referee look at the input and at the answer."""

import problems
import referee

import l1fast


def solve(X, y, lam, *, judge_X=None, **options):
    """`l1fast.solve`, judged on ``judge_X`` (X itself if None) and on leaving its input as it was."""
    inputs = (X, y, *options.values())
    before = problems.fingerprint(*inputs)
    result = l1fast.solve(X, y, lam, **options)
    assert problems.fingerprint(*inputs) == before, "the input was changed"
    family = ("l2", "fit_intercept", "penalty_weights", "sample_weight", "positive", "bounds")
    asked = {name: options[name] for name in family if name in options}
    referee.check(result, X if judge_X is None else judge_X, y, lam, **asked)
    return result
