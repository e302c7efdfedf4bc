"""The ways into l1fast, as `verdicts` asks them: functions, estimators, readers of files, the command line."""

from __future__ import annotations

import contextlib
import io as streams
import json
import os
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import referee
import referee_blocks
import scipy.sparse
import verdicts
from verdicts import Answer, Case, Entry, Given, Unfit, Value

import l1fast
from l1fast import cli, io

COUNTED_ROUNDING = 0.25  # part of tol that a compressed path may count for what its Gram matrix rounds
PROBLEM = frozenset({"X", "lam", "lam 0", "one row", "object"})
CORE = PROBLEM | {"fit_intercept", "sample_weight", "penalty_weights", "tol", "max_iter", "time_limit", "interrupt"}
OF_X_ALONE = (
    *("not finite", "malformed", "not canonical", "index types", "formats", "layouts", "number types"),
    *("not numbers", "frames", "shapes"),
)


def truth(given: Given) -> tuple[Any, Any]:
    """X and y as plain float64 arrays."""
    X = given.X if given.judge_X is None else given.judge_X
    y = given.y if given.judge_y is None else given.judge_y
    return referee.dense(X, np.float64), np.asarray(y, np.float64).reshape(-1)


def two_tasks(y: Any) -> Any:
    """Two targets where there is one; what is none is passed on."""
    if isinstance(y, np.ndarray) and y.ndim == 1 and not np.ma.isMaskedArray(y) and y.dtype.kind in "fiub":
        return np.c_[y, 0.5 * y[::-1]]
    return y


class Solve(Entry):
    """`l1fast.solve` with one of its solvers."""

    takes = CORE | {"start", "callback", "positive", "stops"}

    def __init__(self, solver: str, **settings: Any) -> None:
        self.name, self.solver, self.settings = f"solve {solver}", solver, settings
        self.modest = bool(settings) or solver in ("irls", "ista")
        if solver == "homotopy":
            self.takes = self.takes - {"lam 0"}

    def takes_case(self, case: Case) -> bool:
        once = case.late_import and self.solver != "auto"  # what X is read as does not depend on the solver
        return super().takes_case(case) and not once

    def call(self, given: Given) -> Any:
        return l1fast.solve(given.X, given.y, given.lam, solver=self.solver, **(self.settings | given.options))

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        yield from certified(raw, given, warned)


def certified(result: Any, given: Given, warned: bool) -> Iterable[Answer]:
    if warned == result.converged:
        raise Unfit(f"status {result.status.name}, but {'a' if warned else 'no'} warning")
    problem = given.problem()
    X, y = (given.X if given.judge_X is None else given.judge_X), (given.y if given.judge_y is None else given.judge_y)
    family = ("l2", "fit_intercept", "penalty_weights", "sample_weight", "positive")
    options = {name: given.options[name] for name in family if name in given.options}
    yield Answer(
        problem,
        result.coef,
        result.intercept,
        result.converged,
        lambda: referee.check(result, X, y, float(given.lam), **options),
        given.zero,
    )


class Path(Entry):
    name = "path"
    takes = CORE | {"positive", "callback", "stops"}

    def call(self, given: Given) -> Any:
        options = dict(given.options)
        options["on_progress"] = options.pop("callback", None)
        return l1fast.path(given.X, given.y, lams=[given.lam], **options)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        if warned == raw.converged:
            raise Unfit(f"status {raw.status.name}, but {'a' if warned else 'no'} warning")
        X, y = (
            (given.X if given.judge_X is None else given.judge_X),
            (given.y if given.judge_y is None else given.judge_y),
        )
        family = ("fit_intercept", "penalty_weights", "sample_weight", "positive")
        options = {name: given.options[name] for name in family if name in given.options}
        slack = COUNTED_ROUNDING if "compressed" in raw.reason else 0.0
        coef = raw.coef(0) if len(raw) else np.zeros(raw.coefs.shape[0])
        intercept = raw.intercepts[0] if len(raw) else 0.0
        yield Answer(
            given.problem(),
            coef,
            intercept,
            raw.converged,
            lambda: referee.check_path(raw, X, y, slack=slack, **options),
            given.zero,
        )


class Compare(Entry):
    name = "compare"
    takes = PROBLEM | {"fit_intercept", "sample_weight", "penalty_weights", "tol", "positive", "callback", "interrupt"}

    def call(self, given: Given) -> Any:
        options = {name: value for name, value in given.options.items() if name != "max_iter"}
        raiser = options.pop("callback", None)
        if raiser is not None:
            options["on_progress"] = lambda name, so_far: raiser(None)
        return l1fast.compare(given.X, given.y, given.lam, solvers=["cd", "fista", "irls"], time_limit=0.2, **options)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        for row in raw:
            if row.result is not None:
                yield from certified(row.result, given, not row.result.converged)


class CrossValidate(Entry):
    name = "cross_validate"
    takes = (CORE | {"positive", "callback"}) - {"one row"}
    calls_it: ClassVar[dict[str, str]] = {"lam": "strengths"}

    def folds(self, n: int) -> list[tuple[Any, Any]]:
        parts = np.arange(n) % 2
        return [(np.flatnonzero(parts != k), np.flatnonzero(parts == k)) for k in (0, 1)]

    def call(self, given: Given) -> Any:
        options = dict(given.options)
        options["on_progress"] = options.pop("callback", None)
        n = len(given.y) if hasattr(given.y, "__len__") else verdicts.N
        strengths = [([given.lam], [0.0])]
        return l1fast.cross_validate(given.X, given.y, self.folds(n), strengths, refit=lambda found: (0, 0), **options)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        yield from certified(raw.refit, given, not raw.refit.converged)
        X, y = truth(given)
        weight = np.asarray(given.options.get("sample_weight", np.ones(len(y))))
        for k, (train, test) in enumerate(self.folds(len(y))):
            path, share = raw.paths[0][k], weight[train].sum() / weight.sum()
            coef, b = path.coef(0), path.intercepts[0]
            options = {name: value for name, value in given.options.items() if name in ("fit_intercept", "positive")}
            options |= {name: given.options[name] for name in ("penalty_weights",) if name in given.options}
            problem = referee.Problem(X[train], y[train], share * given.lam, sample_weight=weight[train], **options)
            yield Answer(problem, coef, b, raw.converged)
            off = (y[test] - X[test] @ coef - b) ** 2
            rounding = 1e-12 * float(weight[test] @ y[test] ** 2)
            expected = float(weight[test] @ off / weight[test].sum())
            if not abs(raw.errors[0, 0, k] - expected) <= 1e-6 * expected + rounding:
                raise Unfit(f"the error of fold {k} is {raw.errors[0, 0, k]}, it should be {expected}")


class SolveTasks(Entry):
    name = "solve_tasks"
    takes = CORE | {"start", "callback", "stops"}
    calls_it: ClassVar[dict[str, str]] = {"y": "Y"}

    def call(self, given: Given) -> Any:
        return l1fast.solve_tasks(given.X, two_tasks(given.y), given.lam, **given.options)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        if warned == raw.converged:
            raise Unfit(f"status {raw.status.name}, but {'a' if warned else 'no'} warning")
        options = {
            name: given.options[name]
            for name in ("fit_intercept", "penalty_weights", "sample_weight")
            if name in given.options
        }
        X, y = truth(given)
        try:
            referee_blocks.check(raw, X, two_tasks(y), float(given.lam), **options)
        except AssertionError as error:
            raise Unfit(f"its certificate is not true: {error}") from error
        yield from blocks(given, raw.coef, raw.converged)


def blocks(given: Given, coef: Any, claims: bool) -> Iterable[Answer]:
    """What `judgement` needs to know of an answer whose certificate was judged already."""
    if not np.isfinite(coef).all():
        raise Unfit("coefficients that are not finite")
    if given.zero and np.any(coef):
        raise Unfit(f"coefficients of {np.abs(coef).max():.1e} must be exactly 0")
    if not claims:
        nothing = referee.Problem(np.zeros((1, 1)), np.zeros(1), 1.0)
        yield Answer(nothing, np.zeros(1), 0.0, claims=False)


class PathTasks(SolveTasks):
    name = "path_tasks"
    takes = CORE | {"callback", "stops"}

    def call(self, given: Given) -> Any:
        options = dict(given.options)
        options["on_progress"] = options.pop("callback", None)
        return l1fast.path_tasks(given.X, two_tasks(given.y), lams=[given.lam], **options)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        if warned == raw.converged:
            raise Unfit(f"status {raw.status.name}, but {'a' if warned else 'no'} warning")
        family = ("fit_intercept", "penalty_weights", "sample_weight")
        options = {name: given.options[name] for name in family if name in given.options}
        X, y = truth(given)
        if len(raw):
            problem = referee_blocks.Problem(X, two_tasks(y), float(given.lam), **options)
            W, b = raw.coef(0).astype(np.longdouble), raw.intercepts[0].astype(np.longdouble)
            objective, scale = problem.objective(W, b), problem.scale()
            if not referee.agrees(raw.objectives[0], objective, 1e-9 * scale + 1e-15 * y @ y + referee.SMALLEST):
                raise Unfit(f"objective {raw.objectives[0]}, it is {float(objective)}")
            yield from blocks(given, raw.coef(0), raw.converged)
        else:
            yield from blocks(given, np.zeros(1), claims=False)


class LamMax(Entry):
    name = "lam_max"
    takes = frozenset({"X", "fit_intercept", "sample_weight", "penalty_weights", "one row", "object"})

    def call(self, given: Given) -> Any:
        return l1fast.lam_max(given.X, given.y, **given.options)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        problem = given.problem(1.0)
        zero = np.zeros(problem.p, problem.X.dtype)
        slopes = np.abs(problem.gradient(zero, problem.best_intercept(zero)))
        in_slopes = problem.round_off(zero, problem.best_intercept(zero), problem.s * problem.null_residual())[2]
        if not abs(raw - slopes.max(initial=0)) <= 1e-9 * raw + in_slopes.max(initial=0):
            raise Unfit(f"lam_max {raw}, it is {float(slopes.max(initial=0))}")
        return ()


class LamMaxTasks(LamMax):
    name = "lam_max_tasks"
    calls_it: ClassVar[dict[str, str]] = {"y": "Y"}

    def call(self, given: Given) -> Any:
        return l1fast.lam_max_tasks(given.X, two_tasks(given.y), **given.options)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        X, y = truth(given)
        family = ("fit_intercept", "sample_weight")
        options = {name: given.options[name] for name in family if name in given.options}
        problem = referee_blocks.Problem(X, two_tasks(y), 1.0, **options)
        zero = np.zeros((problem.p, 2), np.longdouble)
        largest = problem.norms(problem.gradient(zero, problem.best_intercept(zero))).max(initial=0)
        rounding = 1e-13 * np.sqrt(problem.s @ problem.X**2).max(initial=0) * np.sqrt(2 * problem.scale() + y @ y)
        if not abs(raw - largest) <= 1e-9 * raw + rounding:
            raise Unfit(f"lam_max {raw}, it is {float(largest)}")
        return ()


class SoftThreshold(Entry):
    """On X, where it is dense."""

    name = "soft_threshold"
    takes = frozenset({"X", "one row", "object"})
    calls_it: ClassVar[dict[str, str]] = {"X": "x"}

    def takes_case(self, case: Case) -> bool:
        of_X = case.row in ("layouts", "number types", "not numbers", "frames", "repeats") and case.name[:2] != "y:"
        return super().takes_case(case) and of_X and "csr" not in case.name and "csc" not in case.name

    def call(self, given: Given) -> Any:
        return l1fast.soft_threshold(given.X, 0.25)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        X = truth(given)[0]
        yield Value(raw, np.sign(X) * np.maximum(np.abs(X) - 0.25, 0))


class Penalties(Entry):
    """The prox, value and slopes of the penalties, on y."""

    name = "penalties"
    takes = frozenset({"X", "one row", "object"})
    calls_it: ClassVar[dict[str, str]] = {"X": "x", "y": "x"}

    def takes_case(self, case: Case) -> bool:
        of_y = case.row in ("layouts", "repeats") or (case.row == "not numbers" and case.name[:2] == "y:")
        finite = case.row == "not finite" and " in y" in case.name
        return (super().takes_case(case) and of_y) or finite

    def call(self, given: Given) -> Any:
        made = []
        for penalty in (l1fast.penalties.L1(), l1fast.penalties.Huber(0.1), l1fast.penalties.PowerNorm(0.1)):
            made += [penalty.prox(given.y, 0.5), penalty.value(given.y), penalty.subgradient(given.y)]
        return made

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        y = truth(given)[1]
        plain = self.call(Given(None, y))
        for seen, expected in zip(raw, plain, strict=True):
            yield Value(seen, expected, 1e-12)
        yield Value(raw[0], np.sign(y) * np.maximum(np.abs(y) - 0.5, 0))
        yield Value(raw[1], np.abs(y).sum())


# ---------------------------------------------------------------------------------------------------- estimators


class Estimator(Entry):
    """fit of an estimator whose answer is that of a Lasso at the strength asked for."""

    calls_it: ClassVar[dict[str, str]] = {"lam": "alpha", "penalty_weights": "penalty_factor"}
    takes = PROBLEM | {
        "fit_intercept",
        "sample_weight",
        "penalty_weights",
        "tol",
        "max_iter",
        "time_limit",
        "interrupt",
    }
    tasks = False
    grid = False

    def prepare(self) -> None:
        import pandas  # noqa: F401

        import l1fast.estimators  # noqa: F401

    def __init__(self, name: str, more: Iterable[str] = (), less: Iterable[str] = (), **own: Any) -> None:
        self.name, self.own = name, own
        self.takes = (self.takes | frozenset(more)) - frozenset(less)
        self.tasks, self.grid = name.startswith("MultiTask"), name.endswith("CV")

    def make(self, given: Given) -> Any:
        """The estimator, and the weights of its fit."""
        options, named = dict(given.options), {"penalty_weights": "penalty_factor"}
        weight = options.pop("sample_weight", None)
        options = {named.get(name, name): value for name, value in options.items()}
        options.setdefault("fit_intercept", False)
        alpha: Any = given.lam
        if isinstance(given.lam, (float, int, np.number)):
            alpha = given.lam / total(given, weight)
        strength = (
            {"alphas": [alpha] if not isinstance(alpha, (str, type(None))) else alpha}
            if self.grid
            else {"alpha": alpha}
        )
        return getattr(l1fast, self.name)(**(self.own | strength | options)), weight

    def call(self, given: Given) -> Any:
        made, weight = self.make(given)
        more = {} if weight is None else {"sample_weight": weight}
        return made.fit(given.X, two_tasks(given.y) if self.tasks else given.y, **more)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        if self.tasks:
            X, y = truth(given)
            family = ("fit_intercept", "penalty_weights", "sample_weight")
            options = {name: given.options[name] for name in family if name in given.options}
            problem = referee_blocks.Problem(X, two_tasks(y), float(given.lam), **options)
            W, b = raw.coef_.T.astype(np.longdouble), np.asarray(raw.intercept_, np.longdouble) * np.ones(2)
            if not warned and np.isfinite(W).all() and problem.p:
                off = problem.objective(W, b) - problem.objective(*problem.block_descent(400))
                if not off <= verdicts.GENEROUS * problem.scale():
                    raise Unfit(f"claims the optimum, is off by {float(off / problem.scale()):.1e} of F(0)")
            yield from blocks(given, raw.coef_, not warned)
            return
        yield Answer(given.problem(), raw.coef_, raw.intercept_, not warned, zero=given.zero)

    def refit(self, first: Given, second: Given) -> Any:
        made, _ = self.make(first)
        made.set_params(warm_start=True)
        made.fit(first.X, two_tasks(first.y) if self.tasks else first.y)
        made.set_params(alpha=second.lam / total(second))
        return made.fit(second.X, two_tasks(second.y) if self.tasks else second.y)


def total(given: Given, weight: Any = None) -> float:
    """S, for well-formed weights; anything else leads to a refusal anyway."""
    with contextlib.suppress(TypeError, ValueError):
        if weight is not None and np.isrealobj(weight) and np.sum(weight) > 0:
            return float(np.sum(weight))
    y = given.y if given.judge_y is None else given.judge_y
    return float(max(np.shape(y)[0] if np.ndim(y) else 1, 1))


class Twin(Estimator):
    """fit of an estimator with another answer: it must be the one for the same numbers in a plain array."""

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        X, y = truth(given)
        plain = self.call(Given(X, y, given.lam, given.options))
        for name in ("coef_", "intercept_", "stability_scores_"):
            if hasattr(raw, name):
                seen, expected = np.asarray(getattr(raw, name)), np.asarray(getattr(plain, name))
                if not np.isfinite(seen).all():
                    raise Unfit(f"{name} is not finite")
                off, size = np.abs(seen - expected).max(initial=0), np.abs(expected).max(initial=0)
                if not off <= verdicts.GENEROUS * size:
                    raise Unfit(f"{name} differs by {off:.1e} from that for a plain array")
        yield from blocks(given, np.zeros(1), not warned)


class Without(Twin):
    """Twins that choose their strengths themselves."""

    def make(self, given: Given) -> Any:
        options, named = dict(given.options), {"penalty_weights": "penalty_factor"}
        weight = options.pop("sample_weight", None)
        options = {named.get(name, name): value for name, value in options.items()}
        return getattr(l1fast, self.name)(**(self.own | options)), weight


class EstimatorPath(Entry):
    """lasso_path and enet_path."""

    calls_it: ClassVar[dict[str, str]] = {"lam": "alphas"}
    takes = PROBLEM | {"tol", "max_iter", "interrupt"}

    prepare = Estimator.prepare

    def __init__(self, name: str, **own: Any) -> None:
        self.name, self.own = name, own

    def takes_case(self, case: Case) -> bool:
        return super().takes_case(case) and case.name != "y: sparse"  # as scikit-learn's, they take a sparse y

    def call(self, given: Given) -> Any:
        alpha = given.lam / total(given) if isinstance(given.lam, (float, int, np.number)) else given.lam
        options = {name: value for name, value in given.options.items() if name != "fit_intercept"}
        made = getattr(l1fast, self.name)(given.X, given.y, alphas=[alpha], **(self.own | options))
        return list(made)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        yield Answer(given.problem(fit_intercept=False), raw[1][:, 0], 0.0, not warned)


class Predict(Entry):
    """predict of a Lasso that was fitted to other data."""

    name = "predict"
    prepare = Estimator.prepare
    takes = frozenset({"X", "one row", "fit_intercept"})

    def takes_case(self, case: Case) -> bool:
        of_X = case.row in OF_X_ALONE and " in y" not in case.name and case.name[:2] != "y:" and case.name[:4] != "y of"
        return super().takes_case(case) and of_X and "without columns" not in case.name

    def fitted(self, given: Given) -> Any:
        X = given.X if given.judge_X is None else given.judge_X
        p = X.shape[1] if len(getattr(X, "shape", ())) == 2 else verdicts.P
        rng = np.random.default_rng(0)
        return l1fast.Lasso(alpha=0.01).fit(rng.standard_normal((20, p)), rng.standard_normal(20))

    def call(self, given: Given) -> Any:
        return self.fitted(given).predict(given.X)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        made = self.fitted(given)
        expected = truth(given)[0] @ made.coef_ + made.intercept_
        if not np.abs(raw - expected).max(initial=0) <= 1e-5 * np.abs(expected).max(initial=0):
            raise Unfit("another prediction than for a plain array")
        return ()


class Transform(Predict):
    """transform of a StabilitySelection that was fitted to other data."""

    name = "transform"

    def takes_case(self, case: Case) -> bool:
        kept = "in object" not in case.name and "(0, 0)" not in case.name  # it picks columns, whatever they hold
        return super().takes_case(case) and kept

    def call(self, given: Given) -> Any:
        return self.fitted(given).transform(given.X)

    def fitted(self, given: Given) -> Any:
        X = given.X if given.judge_X is None else given.judge_X
        p = X.shape[1] if len(getattr(X, "shape", ())) == 2 else verdicts.P
        rng = np.random.default_rng(0)
        other = rng.standard_normal((20, p))
        made = l1fast.StabilitySelection(n_subsamples=2, alphas=2, eps=0.5, random_state=0, threshold=0.51)
        return made.fit(other, other[:, 0] + other[:, -1])

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        expected = truth(given)[0][:, self.fitted(given).get_support()]
        seen = referee.dense(raw, np.float64) if scipy.sparse.issparse(raw) else np.asarray(raw, np.float64)
        yield Value(seen, expected)


# ---------------------------------------------------------------------------------------------------- files


class Reader(Entry):
    """A function of a path."""

    takes = frozenset({"file"})

    def __init__(self, name: str, read: Any, n_words: int | None = None) -> None:
        self.name, self.read, self.n_words = name, read, n_words

    def takes_case(self, case: Case) -> bool:
        beside = self.name == "read_target" and case.name in ("csv with NaN", "npz of a huge sparse shape")
        return super().takes_case(case) and not beside

    def call(self, given: Given) -> Any:
        return self.read(given.path)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        return ()


class Command(Entry):
    """A verb of the command line, run as its `main`, on a file."""

    takes = frozenset({"X", "one row", "file", "tol", "interrupt"})
    calls_it: ClassVar[dict[str, str]] = {"max_iter": "max-iter"}
    exact = ("lam", "lam 0", "fit_intercept", "max_iter", "time_limit", "positive", "stops")

    def __init__(self, verb: str, *arguments: str) -> None:
        self.name, self.verb, self.arguments = f"l1fast {verb}", verb, arguments
        if verb == "solve":
            self.takes = self.takes | frozenset(self.exact)
        if verb in ("path", "compare"):
            self.takes = self.takes | {"fit_intercept"}

    def takes_case(self, case: Case) -> bool:
        if case.row == "files":
            return True
        rows = ("not finite", "malformed", "not canonical", "index types", "degenerate", "scales", "strengths")
        rows += ("arguments", "small tol", "interrupt", "limits")
        compressed = case.row != "malformed" or case.name[:3] in ("csr", "csc")
        stored = "two_dimensional" not in case.name and "floating" not in case.name
        said = self.verb == "solve" or case.row not in ("arguments",)
        lengths = not (
            case.row == "malformed" and ("shorter" in case.name or "empty" in case.name or "too_" in case.name)
        )
        stored = stored and "slack" not in case.name
        return super().takes_case(case) and case.row in rows and compressed and stored and said and lengths

    def call(self, given: Given) -> Any:
        path = given.path if given.path is not None else self.written(given)
        arguments = [self.verb, str(path), *self.arguments]
        if self.verb in ("solve", "compare"):
            arguments += [f"--lam={given.lam}"] if given.path is None else []
        for name, value in given.options.items():
            if name == "fit_intercept":
                arguments += ["--intercept"] if value else []
            elif name != "max_iter" or self.verb == "solve":
                arguments.append(f"--{name.replace('_', '-')}={value}")
        out, err = streams.StringIO(), streams.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main(arguments)
        told = err.getvalue().strip()
        if code == cli.INTERRUPTED:
            raise KeyboardInterrupt
        if code == cli.BAD_INPUT:
            raise (MemoryError if "not enough memory" in told else ValueError)(told)
        if code not in (cli.CONVERGED, cli.NOT_TO_TOL):
            raise RuntimeError(f"exit code {code}: {told}")
        return code, json.loads(out.getvalue())

    def written(self, given: Given) -> str:
        if scipy.sparse.issparse(given.X):
            parts = {name: getattr(given.X, name) for name in ("data", "indices", "indptr", "shape")}
            np.savez("given.npz", format=given.X.format.encode(), y=given.y, **parts)
        else:
            np.savez("given.npz", X=given.X, y=given.y)
        return os.path.abspath("given.npz")

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        code, report = raw
        if self.verb == "solve":
            coef = np.zeros(report["n_features"])
            for one in report["support"]:
                coef[one["index"]] = np.nan if one["coef"] is None else one["coef"]
            yield Answer(given.problem(), coef, report["intercept"], code == cli.CONVERGED, zero=given.zero)
        elif self.verb == "path":
            for one in report["strengths"]:
                coef = np.zeros(report["n_features"])
                for entry in one["support"]:
                    coef[entry["index"]] = np.nan if entry["coef"] is None else entry["coef"]
                yield Answer(given.problem(one["lam"]), coef, one["intercept"], code == cli.CONVERGED)
        elif code != cli.CONVERGED:
            yield from blocks(given, np.zeros(1), claims=False)


SLOW = {"max_iter": 300}  # of solvers that seldom come to 1e-6

FIT = ("callback", "positive", "refit", "stops")
ENTRIES: list[Entry] = [
    *(Solve(solver) for solver in ("auto", "cd", "homotopy", "fista", "ista", "lbfgs", "irls")),
    *(Solve(solver, **SLOW) for solver in ("accelerated_gradient", "gradient", "huber_descent", "subgradient")),
    *(Path(), Compare(), CrossValidate(), SolveTasks(), PathTasks(), LamMax(), LamMaxTasks(), SoftThreshold()),
    Penalties(),
    Estimator("Lasso", FIT),
    Estimator("ElasticNet", FIT, l1_ratio=1.0),
    Estimator("LassoCV", ("callback",), ("one row", "lam 0"), cv=2),
    Estimator("ElasticNetCV", ("callback",), ("one row", "lam 0"), cv=2, l1_ratio=1.0),
    Estimator("MultiTaskLasso", ("callback", "refit", "stops"), ("sample_weight", "penalty_weights")),
    Estimator(
        "MultiTaskElasticNet", ("callback", "refit", "stops"), ("sample_weight", "penalty_weights"), l1_ratio=1.0
    ),
    Estimator("MultiTaskLassoCV", ("callback",), ("one row", "lam 0", "sample_weight", "penalty_weights"), cv=2),
    Estimator(
        "MultiTaskElasticNetCV",
        ("callback",),
        ("one row", "lam 0", "sample_weight", "penalty_weights"),
        cv=2,
        l1_ratio=1.0,
    ),
    Twin("AdaptiveLasso"),
    Twin("AdaptiveLassoCV", (), ("one row", "lam 0"), cv=2),
    Twin("RelaxedLasso"),
    Twin("RelaxedLassoCV", (), ("one row", "lam 0"), cv=2),
    # its few easy strengths are done before any signal
    Without("LassoIC", (), ("one row", "lam", "lam 0", "interrupt"), alphas=4, eps=0.1, noise_variance=1.0),
    Without("StabilitySelection", (), ("one row", "lam", "lam 0"), n_subsamples=2, alphas=2, eps=0.5, random_state=0),
    EstimatorPath("lasso_path"),
    EstimatorPath("enet_path", l1_ratio=1.0),
    *(Predict(), Transform()),
    Reader("read", io.read),
    Reader("read_target", io.read_target, 1),
    Reader("Result.load", l1fast.Result.load, 1),
    Reader("PathResult.load", l1fast.PathResult.load, 1),
    Command("solve", "--json"),
    Command("path", "--json", "--n-lams=3"),
    Command("compare", "--json", "--quiet", "--solvers=cd,fista"),
    Command("bench", "--json", "--time-limit=1"),
]
