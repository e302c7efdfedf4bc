"""What unusual and bad input gets: cases as data, and verdicts on any tool that takes them.

A case belongs to a row of the table of required behaviour (ROWS), makes its input, and says which verdicts the row
allows. An `Entry` is one way into a tool. `Court` judges cases on an entry in processes of their own: a worker has
imported the tool and forks, and the child takes some cases one after the other. When it dies or hangs, the next child
goes on with the next case. So nothing is imported twice. A fork for every case would be cleaner still, and costs 2 to
30 ms, up to ten times as much as most cases: it is made where a verdict is not what the row allows, which is then found
again alone, and for the tools of others.

The judge of answers is `referee`, in longdouble, with the optimum by the naive solvers of `naive` where the dual point
that an answer gives is not good enough. Nothing in this file imports a tool: `verdict_entries` has those of l1fast.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import json
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import malformed
import naive
import numpy as np
import problems
import referee
import scipy.sparse

ROWS = {
    "not finite": "NaN/inf in X, y, weights, start; even when lam > lam_max would end early",
    "malformed": "malformed CSR/CSC and other sparse formats",
    "not canonical": "unsorted indices, duplicate entries (they add up), explicit zeros, trailing slack",
    "index types": "int32/int64 indices and indptr in any mix",
    "formats": "CSR, CSC, COO, BSR, DIA, LIL, DOK; `*_matrix` and `*_array`",
    "layouts": "C, F, strided, negative strides, stride 0, unaligned, read-only, memory-mapped, big-endian",
    "number types": "float16, float32, float64, longdouble, ints, bool, numeric object",
    "not numbers": "complex, strings, masked arrays with masked entries, pandas NA",
    "frames": "lists, pandas (also sparse frames), polars, pyarrow",
    "shapes": "n = 0, y of the wrong length, X 1-D or 3-D, p = 0",
    "degenerate": "n = 1, p = 1, n << p, zero / constant / duplicate / opposite columns, all-zero X or y",
    "scales": "X or y times 1e+-20, 1e+-150, 1e+-200, denormals, columns from 1e-8 to 1e8, y in units of 1e+-8",
    "strengths": "lam = 0, lam = lam_max, lam > lam_max",
    "arguments": "lam negative, NaN, str, None; tol < 0 or NaN; max_iter < 0 or 1.5",
    "small tol": "tol below what float32/float64 can reach",
    "sample weights": "zeros (dropped rows); all zero, negative, NaN, wrong length",
    "warm start": "start of the wrong shape or with NaN; a warm refit on another shape",
    "interrupt": "Ctrl-C during any kernel",
    "callback": "a callback that raises",
    "limits": "time_limit or max_iter reached",
    "processes": "fits in many threads at once, fork after a fit, spawn, pickle and copy",
    "repeats": "the same input twice, bitwise",
    "memory": "out of memory",
    "files": "truncated npz/mtx/svmlight, wrong magic, huge header counts, pickles",
}

RIGHT, HONEST, REFUSED = "right", "honest", "refused"
CRASH, HANG, MUTATED, WRONG, UNCLEAR = "CRASH", "HANG", "MUTATED", "WRONG", "UNCLEAR"
BAD = (CRASH, HANG, MUTATED, WRONG, UNCLEAR)

GENEROUS = 1e-3
"""Relative error of the objective, (F - F*) / F(0), up to which an answer of any tool counts as right."""

LAM = 2.0
SECONDS = 30.0  # for a case, before it counts as hung: far more than any takes on a busy machine
ADDRESS_SPACE = 16 * 2**30  # bytes: what a case may map, so that a wild allocation fails and does not swap
PROMPT = 2.0  # seconds from a signal to KeyboardInterrupt that count as prompt on a busy machine
SAYS_NOTHING = 120  # characters of a message that a verdict shows


@dataclass
class Given:
    """The input of a case.

    options : as `l1fast.solve` names them. judge_X, judge_y : what X and y stand for, if that is not plain from them.
    says : what the message of a refusal must hold. zero : the only answer is exactly 0. path : a file, for readers.
    """

    X: Any = None
    y: Any = None
    lam: Any = LAM
    options: dict[str, Any] = field(default_factory=dict)
    judge_X: Any = None
    judge_y: Any = None
    says: tuple[str, ...] = ()
    zero: bool = False
    path: Path | None = None

    def problem(self, lam: float | None = None, **changes: Any) -> referee.Problem:
        """The problem as the referee sees it."""
        kept = ("l2", "fit_intercept", "penalty_weights", "sample_weight", "positive")
        family = {name: self.options[name] for name in kept if name in self.options} | changes
        X = self.X if self.judge_X is None else self.judge_X
        y = self.y if self.judge_y is None else self.judge_y
        return referee.Problem(X, y, self.lam if lam is None else lam, **family)


class Answer(NamedTuple):
    """What a tool says: the problem it was asked, its coefficients, and whether it claims that they are the optimum.

    check : asserts that every number of the answer is true; for tools that certify theirs.
    """

    problem: referee.Problem
    coef: Any
    intercept: Any = 0.0
    claims: bool = True
    check: Callable[[], object] | None = None
    zero: bool = False  # it must be exactly 0


class Value(NamedTuple):
    """A number or an array that a tool computes, and what it is."""

    seen: Any
    expected: Any
    rtol: float = 1e-6


class Entry:
    """One way into a tool. takes : what it has of the options and abilities that a case may need."""

    name = ""
    takes: frozenset[str] = frozenset()
    calls_it: ClassVar[dict[str, str]] = {}  # what this tool calls an argument, where its name is another
    n_words: int | None = None  # a refusal must hold so many of what `Given.says`; None: all of them
    modest = False  # a method that seldom comes to the gap asked for: to say so is right

    def prepare(self) -> None:
        """Import and compile what a call needs; in the worker, before it forks."""

    def call(self, given: Given) -> Any:
        """Ask the tool. What it returns is pickled, copied and compared by some cases."""
        raise NotImplementedError

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer | Value]:
        """What is to be judged. warned : the tool said that it did not converge."""
        raise NotImplementedError

    def refit(self, first: Given, second: Given) -> Any:
        """Fit to the second what was fitted to the first, with a warm start."""
        raise NotImplementedError

    def takes_case(self, case: Case) -> bool:
        return case.needs <= self.takes

    def passes(self, case: Case, verdict: Verdict) -> bool:
        """Whether a verdict is one that the row allows."""
        return verdict.kind in case.allowed or (self.modest and verdict.kind == HONEST and RIGHT in case.allowed)


def plainly(entry: Entry, given: Given) -> Any:
    return entry.call(given)


@dataclass(frozen=True)
class Case:
    """One input, in a row of the table.

    make : runs in the process of the case. allowed : the verdicts that the row allows. errors : what a refusal may be.
    needs : what an entry must take. drive : how the entry is asked. core : judged on every entry in every run of the
    tests. late_import : the input needs a package that takes long to import. interrupt : seconds after which the
    process gets SIGINT.
    """

    row: str
    name: str
    make: Callable[[], Given]
    allowed: frozenset[str]
    errors: tuple[type[BaseException], ...] = (ValueError, TypeError)
    needs: frozenset[str] = frozenset({"X"})
    drive: Callable[[Entry, Given], Any] = plainly
    core: bool = False
    late_import: bool = False
    interrupt: float | None = None


class Verdict(NamedTuple):
    """What a case came to on an entry."""

    kind: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.why}" if self.why else self.kind


# ---------------------------------------------------------------------------------------------------- the judge


def fingerprint(given: Given) -> Any:
    """What must be the same before and after."""
    held = [given.X, given.y, *given.options.values()]
    return problems.fingerprint(*held), [repr(value) for value in held if isinstance(value, (list, dict))]


def one_line(text: object) -> str:
    return " ".join(str(text).split())[:SAYS_NOTHING]


def judged(case: Case, entry: Entry) -> Verdict:
    """The verdict on a case, in the process of the case. A crash or a hang is the court's to see."""
    given = case.make()
    before = fingerprint(given)
    error: BaseException | None = None
    raw = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            raw = case.drive(entry, given)
        except BaseException as raised:  # noqa: BLE001 - KeyboardInterrupt and SystemExit are to be judged, too
            error = raised
    if fingerprint(given) != before:
        return Verdict(MUTATED, f"the input was changed{f', {type(error).__name__}' if error else ''}")
    if error is not None:
        return refusal(case, entry, given, error)
    if case.allowed == {REFUSED}:
        return Verdict(WRONG, f"accepted, returned {one_line(type(raw).__name__)}")
    warned = any("ConvergenceWarning" in warning.category.__name__ for warning in caught)
    return judgement(entry.answers(raw, given, warned))


def refusal(case: Case, entry: Entry, given: Given, error: BaseException) -> Verdict:
    told = f"{type(error).__name__}: {one_line(error)}"
    if isinstance(error, Unfit):
        return Verdict(WRONG, str(error))
    if not isinstance(error, case.errors):
        return Verdict(UNCLEAR, told)
    missing = [word for word in given.says[: entry.n_words] if entry.calls_it.get(word, word) not in str(error)]
    return Verdict(UNCLEAR, f"does not say {missing[0]!r}: {told}") if missing else Verdict(REFUSED, told)


class Unfit(AssertionError):
    """Raised by a drive that found something wrong by itself."""


def judgement(answers: Iterable[Answer | Value]) -> Verdict:
    """Right if all answers are, honest if all others say that they are not there."""
    with np.errstate(all="ignore"):
        try:
            return _judgement(answers)
        except Unfit as wrong:
            return Verdict(WRONG, one_line(wrong))


def _judgement(answers: Iterable[Answer | Value]) -> Verdict:
    kind = RIGHT
    for answer in answers:
        if isinstance(answer, Value):
            seen, expected = np.asarray(answer.seen, np.float64), np.asarray(answer.expected, np.float64)
            if seen.shape != expected.shape or not np.allclose(seen, expected, answer.rtol, 0.0, equal_nan=True):
                return Verdict(WRONG, one_line(f"returned {answer.seen}, it is {answer.expected}"))
            continue
        if answer.check is not None:
            try:
                answer.check()
            except AssertionError as error:
                return Verdict(WRONG, one_line(f"its certificate is not true: {error}"))
        if not answer.claims and finite(answer):
            kind = HONEST
        elif not (off := error_of(answer)) <= GENEROUS:
            return Verdict(WRONG, f"claims the optimum, is off by {off:.1e} of F(0)")
        elif answer.zero and np.any(answer.coef):
            return Verdict(WRONG, f"coefficients of {np.abs(answer.coef).max():.1e} must be exactly 0")
    return Verdict(kind)


def finite(answer: Answer) -> bool:
    return bool(np.isfinite(answer.coef).all() and np.isfinite(answer.intercept).all())


def error_of(answer: Answer) -> float:
    """(F - F*) / F(0) of an answer, or what bounds it if that is good enough; NaN or inf for no answer at all."""
    problem = answer.problem
    if np.size(answer.coef) != problem.p or not finite(answer):
        return np.nan
    coef = np.reshape(answer.coef, -1).astype(np.longdouble)
    intercept = np.longdouble(np.reshape(answer.intercept, -1)[0])
    objective, scale = problem.objective(coef, intercept), problem.scale()
    if not scale > 0:  # nothing to explain: what is more than rounding is a wrong answer
        return 0.0 if objective <= problem.round_off(coef, intercept, np.zeros(problem.n))[0] else np.inf
    gap = float(problem.gap(coef, intercept) / scale)
    if gap <= GENEROUS:
        return gap
    best = min(objective, *(problem.objective(*naive.cyclic_cd(problem, epochs)) for epochs in (100, EPOCHS)))
    return float((objective - best) / scale)


EPOCHS = 3000
"""Epochs of the naive solver whose answer counts as the optimum."""


# ---------------------------------------------------------------------------------------------------- the court


class Court:
    """Verdicts on the entries of a module, from processes forked from a worker that has imported it.

    seconds : for a case, before it counts as hung. paths : folders of modules, beside that of this file.
    """

    def __init__(self, module: str, seconds: float = SECONDS, paths: Iterable[str] = ()) -> None:
        self.seconds = seconds
        self.command = [sys.executable, os.fspath(Path(__file__)), module, *paths]
        self.process: subprocess.Popen[str] | None = None

    def verdicts(self, entry: Entry, cases: list[Case], *, apart: bool = False) -> list[Verdict]:
        """One verdict for each case. apart : each case in a process of its own from the start."""
        if self.process is None or self.process.poll() is not None:
            threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | threads
            )
        named = [(case.row, case.name) for case in cases]
        asked = {"entry": entry.name, "cases": named, "seconds": self.seconds, "apart": apart}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        told = self.process.stdout.readline()
        if not told:
            raise RuntimeError(f"the worker ended with {self.process.wait()} at {asked}")
        return [Verdict(*one) for one in json.loads(told)]

    def close(self) -> None:
        if self.process is not None:
            self.process.communicate()  # its input ends, and so does it
            self.process = None


def main(module: str) -> None:
    """The worker: answer questions from standard input until it ends."""
    held = importlib.import_module(module)
    entries = {entry.name: entry for entry in held.ENTRIES}
    cases = {(case.row, case.name): case for case in [*CASES, *getattr(held, "CASES", ())]}
    for line in sys.stdin:
        asked = json.loads(line)
        entry, chosen = entries[asked["entry"]], [cases[row, name] for row, name in asked["cases"]]
        entry.prepare()
        print(json.dumps(heard(entry, chosen, asked["seconds"], asked["apart"])), flush=True)


def heard(entry: Entry, cases: list[Case], seconds: float, apart: bool) -> list[Verdict]:
    """The verdicts on some cases: in one process as long as it lasts, what is not allowed there once more alone."""
    found: list[Verdict] = []
    while len(found) < len(cases):
        found += in_child(entry, cases[len(found) : len(found) + 1 if apart else None], seconds)
    if apart:
        return found
    for k, case in enumerate(cases):
        if entry.passes(case, found[k]) or len(cases) == 1:
            continue
        (alone,) = in_child(entry, [case], seconds)
        died = found[k].kind in (CRASH, HANG) and alone.kind not in (CRASH, HANG)
        found[k] = found[k]._replace(why=f"{found[k].why}, after other cases") if died else alone
    return found


def in_child(entry: Entry, cases: list[Case], seconds: float) -> list[Verdict]:
    """Fork, judge there one after the other, and see how that ends: at least one verdict, one for each if it lasts."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        serve(entry, cases, writing)
    os.close(writing)
    found: list[Verdict] = []
    told, deadline, signal_at, hung = b"", time.monotonic() + seconds, np.inf, False
    while len(found) < len(cases):
        ready, _, _ = select.select([reading], [], [], max(min(deadline, signal_at) - time.monotonic(), 0.0))
        now = time.monotonic()
        if ready:
            part = os.read(reading, 1 << 16)
            if not part:
                break
            *lines, told = (told + part).split(b"\n")
            for line in lines:
                if line == GO:
                    signal_at = now + (cases[len(found)].interrupt or 0.0)
                else:
                    found.append(Verdict(*json.loads(line)))
                    deadline, signal_at = now + seconds, np.inf
        elif now >= signal_at:
            signal_at = np.inf
            os.kill(child, signal.SIGINT)
        elif now >= deadline:
            os.kill(child, signal.SIGKILL)
            hung = True
            break
    os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if len(found) < len(cases):
        ended = f"the process ended with {code}" if code >= 0 else signal.Signals(-code).name
        found.append(Verdict(HANG, f"no end after {seconds:g} s") if hung else Verdict(CRASH, ended))
    return found


GO = b'"go"'
"""What the process of a case writes when its signal may come."""

TOLD = -1
"""Where it writes that."""


def serve(entry: Entry, cases: list[Case], writing: int) -> None:
    """The process of some cases: judge, write the verdict, end."""
    global TOLD
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    TOLD = writing
    with tempfile.TemporaryDirectory() as folder:
        for k, case in enumerate(cases):
            own = os.path.join(folder, str(k))
            os.mkdir(own)
            os.chdir(own)
            try:
                verdict = judged(case, entry)
            except BaseException:  # noqa: BLE001 - a fault of this file must be seen, too
                verdict = Verdict(UNCLEAR, "the judge failed: " + one_line(traceback.format_exc()[-SAYS_NOTHING:]))
            os.write(writing, json.dumps(verdict).encode() + b"\n")
        os.chdir("/")
    os._exit(0)


# ---------------------------------------------------------------------------------------------------- the cases

CASES: list[Case] = []


def add(
    row: str,
    name: str,
    make: Callable[[], Given],
    *allowed: str,
    needs: Iterable[str] = ("X",),
    **more: Any,
) -> None:
    CASES.append(Case(row, name, make, frozenset(allowed or (RIGHT,)), needs=frozenset({*needs}), **more))


N, P = malformed.N, malformed.P


def data() -> tuple[Any, Any]:
    return problems.make(N, P, density=0.7)


def given(convert: Callable[[Any], Any] = np.array, **options: Any) -> Given:
    """The usual problem, with X in another form."""
    X, y = data()
    return Given(convert(X), y, LAM, options, judge_X=X)


def stored(name: str) -> Callable[[], Given]:
    return lambda: given(problems.STORAGES[name])


# Not finite

WHERE = (7, 3)
PLACES = {"X in C order": "C", "X in F order": "F", "CSR": "csr_array int32", "CSC": "csc_array int64"}


def not_finite_X(storage: str, value: float, lam: float, dtype: Any = np.float64) -> Given:
    X, y = data()
    X[WHERE] = value
    return Given(problems.STORAGES[storage](X.astype(dtype)), y, lam, says=(f"row {WHERE[0]}", f"column {WHERE[1]}"))


def not_finite(name: str, value: float, lam: float = LAM) -> Given:
    X, y = data()
    if name == "y":
        y[WHERE[0]] = value
        return Given(X, y, lam, says=("y",))
    vector = np.ones(N if name == "sample_weight" else P)
    vector[5] = value
    return Given(X, y, lam, {name: vector}, says=(name,))


for _name, _storage in PLACES.items():
    for _value in (np.nan, np.inf, -np.inf):
        for _lam in (LAM, 1e300):
            add(
                "not finite",
                f"{_value} in {_name}, lam {_lam:g}",
                lambda s=_storage, v=_value, m=_lam: not_finite_X(s, v, m),
                REFUSED,
                needs=("X",) if _lam == LAM else ("X", "lam"),
                core=(_name, _value) in {("X in C order", np.inf), ("CSC", -np.inf)},
            )
    add("not finite", f"nan in {_name}, float32", lambda s=_storage: not_finite_X(s, np.nan, LAM, np.float32), REFUSED)
for _name in ("y", "sample_weight", "penalty_weights", "start"):
    for _value in (np.nan, np.inf):
        for _lam in (LAM, 1e300):
            add(
                "not finite",
                f"{_value} in {_name}, lam {_lam:g}",
                lambda k=_name, v=_value, m=_lam: not_finite(k, v, m),
                REFUSED,
                needs=({"X" if _name == "y" else _name} | ({"lam"} if _lam != LAM else set())),
                core=_lam == LAM,
            )

# Malformed

CORE_SPOILS = ("index_equal_to_dimension", "index_huge", "indptr_decreasing", "indptr_wraps_at_the_end", "data_empty")


def spoiled(spoil: Callable[[Any], Any], kind: str, index: Any) -> Given:
    X = malformed.compressed(kind, index)
    seen = spoil(X)
    return Given(X, data()[1], says=(str(seen),))


for _spoil in malformed.MALFORMED:
    for _kind in ("csr_array", "csc_array"):
        for _index in (np.int32, np.int64):
            add(
                "malformed",
                f"{_kind} {_index.__name__} {_spoil.__name__}",
                lambda s=_spoil, k=_kind, i=_index: spoiled(s, k, i),
                REFUSED,
                core=_spoil.__name__ in CORE_SPOILS and _index is np.int32,
            )
for _spoil in malformed.OTHERS:
    add("malformed", _spoil.__name__, lambda s=_spoil: Given(malformed.spoiled(s), data()[1]), REFUSED, core=True)

# Sound, but unusual

for _kind in ("csr_array", "csc_array"):
    for _variant in ("unsorted", "duplicates", "slack", "explicit zeros"):
        _storage = f"{_kind} {_variant}"
        add("not canonical", _storage, stored(_storage), core=_variant in ("duplicates", "slack"))
        add(
            "not canonical",
            f"{_storage}, intercept",
            lambda s=_storage: given(problems.STORAGES[s], fit_intercept=True),
            needs=("X", "fit_intercept"),
            core=_variant == "duplicates",
        )
    for _variant in ("int32", "int64", "int32 in int64", "int64 in int32"):
        add("index types", f"{_kind} {_variant}", stored(f"{_kind} {_variant}"), core=_variant == "int64 in int32")
for _format in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok"):
    for _form in ("matrix", "array"):
        add(
            "formats",
            f"{_format}_{_form}",
            lambda k=f"{_format}_{_form}": given(getattr(scipy.sparse, k)),
            core=_form == "array",
        )


def broadcast(axis: int) -> Given:
    X, y = data()
    return Given(np.broadcast_to(X[:1] if axis == 0 else X[:, :1], X.shape), y)


def mapped() -> Given:
    X, y = data()
    np.save("X.npy", X)
    return Given(np.load("X.npy", mmap_mode="r"), y)


def both(name: str) -> Given:
    """X in a dense layout, and y in the same."""
    X, y = data()
    made = problems.DENSE[name]
    return Given(made(X), made(np.c_[y, y])[:, 0], judge_X=X, judge_y=y)


def big_endian(kind: str) -> Callable[[Any], Any]:
    def convert(X: Any) -> Any:
        A = getattr(scipy.sparse, kind)(X)
        A.data, A.indices = A.data.astype(">f8"), A.indices.astype(">i4")
        return A

    return convert


for _name in problems.DENSE:
    add(
        "layouts", _name, lambda k=_name: both(k), core=_name in ("C read-only", "backwards", "unaligned", "big-endian")
    )
for _axis in (0, 1):
    add("layouts", f"stride 0 along axis {_axis}", lambda a=_axis: broadcast(a))
add("layouts", "memory-mapped", mapped, core=True)
for _kind in ("csr_array", "csc_array"):
    add("layouts", f"{_kind} read-only", stored(f"{_kind} read-only"), core=True)
    add("layouts", f"{_kind} big-endian", lambda k=_kind: given(big_endian(k)))


def typed(dtype: Any, kind: Callable[[Any], Any] = np.array) -> Given:
    """Whole numbers whose squares and sums are beyond the small types."""
    rng = np.random.default_rng(0)
    high = 2 if dtype == np.bool_ else 100
    X = rng.integers(0, high, (200, 10)).astype(dtype)
    y = np.round(3 * X[:, 0].astype(np.float64) - X[:, 1].astype(np.float64) + rng.standard_normal(200))
    return Given(kind(X), y, 20.0 * high, judge_X=X.astype(np.float64))


for _dtype in ("f2", "f4", "f8", "g", "i1", "i8", "u1", "u8", "?", "O"):
    add("number types", np.dtype(_dtype).name, lambda t=_dtype: typed(np.dtype(t)), core=_dtype in "f4 i1 O")
for _dtype in ("f4", "g", "i1", "u8", "?"):
    for _kind in ("csr_array", "csc_array"):
        add(
            "number types",
            f"{_kind} {np.dtype(_dtype).name}",
            lambda t=_dtype, k=_kind: typed(np.dtype(t), getattr(scipy.sparse, k)),
            core=_dtype == "i1",
        )


def offset32() -> Given:
    """float32 columns far from 0: sums in float32 lose what the fit is about."""
    X, y = data()
    X = (X + 4096.0).astype(np.float32)
    return Given(X, y, LAM, {"fit_intercept": True}, judge_X=X.astype(np.float64))


add("number types", "float32 far from 0, intercept", offset32, needs=("X", "fit_intercept"), core=True)

# Not numbers


def replaced(X: Any, value: Any) -> Any:
    held = X.astype(object)
    held.flat[5] = value
    return held


def masked(X: Any) -> Any:
    return np.ma.masked_array(X, np.arange(X.size).reshape(X.shape) == 5)


def pandas_na() -> Given:
    import pandas

    X, y = data()
    frame = pandas.DataFrame(X).astype("Float64")
    frame.iloc[3, 2] = pandas.NA
    return Given(frame, y)


NO_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "complex64": lambda X: X.astype(np.complex64),
    "complex128": lambda X: X.astype(np.complex128),
    "str": lambda X: np.array([["word"] * X.shape[1]] * len(X)) if X.ndim == 2 else np.array(["word"] * len(X)),
    "bytes": lambda X: X.astype(int).astype(np.bytes_),
    "datetime": lambda X: X.astype(int).astype("M8[s]"),
    "None in object": lambda X: replaced(X, None),
    "str in object": lambda X: replaced(X, "word"),
    "complex in object": lambda X: replaced(X, 1j),
    "masked entry": masked,
    "structured": lambda X: np.zeros(X.shape, [("a", float)]),
    "no array": lambda X: object(),
    "None": lambda X: None,
    "dict": lambda X: {"X": X},
}


def no_numbers(convert: Callable[[Any], Any], which: str) -> Given:
    X, y = data()
    return Given(convert(X), y) if which == "X" else Given(X, convert(y))


for _name, _convert in NO_NUMBERS.items():
    for _which in ("X", "y"):
        add(
            "not numbers",
            f"{_which}: {_name}",
            lambda c=_convert, w=_which: no_numbers(c, w),
            REFUSED,
            core=_name in ("complex128", "masked entry", "str in object"),
        )
add("not numbers", "X: pandas NA", pandas_na, REFUSED, core=True, late_import=True)
for _kind in ("csr_array", "coo_array"):
    add(
        "not numbers", f"X: complex {_kind}", lambda k=_kind: given(lambda X: getattr(scipy.sparse, k)(X * 1j)), REFUSED
    )
add("not numbers", "X: ragged lists", lambda: given(lambda X: [[1.0, 2.0], [3.0]]), REFUSED)
add(
    "not numbers",
    "y: sparse",
    lambda: replace(given(), y=scipy.sparse.csr_array(data()[1][:, None])),
    REFUSED,
)

# Frames


def pandas_frame(X: Any) -> Any:
    import pandas

    return pandas.DataFrame(X)


def pandas_sparse(X: Any) -> Any:
    import pandas

    return pandas.DataFrame.sparse.from_spmatrix(scipy.sparse.csr_matrix(X))


def polars_frame(X: Any) -> Any:
    import polars

    return polars.DataFrame(X, schema=[f"x{j}" for j in range(X.shape[1])])


def arrow_table(X: Any) -> Any:
    import pyarrow

    return pyarrow.table({f"x{j}": column for j, column in enumerate(X.T)})


FRAMES: dict[str, Callable[[Any], Any]] = {
    "lists": lambda X: X.tolist(),
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
    "pandas": pandas_frame,
    "pandas mixed": lambda X: pandas_frame(X).astype({0: np.float32, 1: np.int64}),
    "pandas Float64": lambda X: pandas_frame(X).astype("Float64"),
    "pandas sparse": pandas_sparse,
    "polars": polars_frame,
    "pyarrow": arrow_table,
}


def framed(name: str) -> Given:
    X, y = data()
    if name == "pandas mixed":
        X[:, 1] = np.round(X[:, 1])
    return Given(FRAMES[name](X), y, judge_X=X)


for _name in FRAMES:
    _late = _name not in ("lists", "tuples")
    if not _late or importlib.util.find_spec(_name.partition(" ")[0]):
        _core = _name in ("lists", "pandas", "pandas sparse")
        add("frames", _name, lambda k=_name: framed(k), core=_core, late_import=_late)

# Shapes


def shaped(shape: tuple[int, ...], y_shape: tuple[int, ...], kind: Callable[[Any], Any] = np.array) -> Given:
    return Given(kind(np.ones(shape)), np.ones(y_shape))


for _shape, _core in (((N,), True), ((N, P, 1), True), ((), False), ((0, P), True), ((0, 0), False)):
    add("shapes", f"X of shape {_shape}", lambda s=_shape: shaped(s, s[:1] or (N,)), REFUSED, core=_core)
for _y_shape in ((N - 1,), (N + 1,), (0,), (), (N, 2, 2)):
    add("shapes", f"y of shape {_y_shape}", lambda s=_y_shape: shaped((N, P), s), REFUSED, core=_y_shape == (N + 1,))
for _kind in ("csr_array", "csc_array"):
    add("shapes", f"{_kind} without rows", lambda k=_kind: shaped((0, P), (0,), getattr(scipy.sparse, k)), REFUSED)
    add(
        "shapes",
        f"{_kind} without columns",
        lambda k=_kind: shaped((N, 0), (N,), getattr(scipy.sparse, k)),
        RIGHT,
        REFUSED,
    )
add("shapes", "X without columns", lambda: shaped((N, 0), (N,)), RIGHT, REFUSED, core=True)
add("shapes", "1-D coo_array", lambda: Given(scipy.sparse.coo_array(np.ones(N)), np.ones(N)), REFUSED)

# Degenerate


def changed(change: Callable[[Any, Any], Any], n: int = N, p: int = P, **options: Any) -> Given:
    X, y = problems.make(n, p, density=0.7)
    return Given(*(change(X, y) or (X, y)), options=options)


def with_column(values: Callable[[Any], Any]) -> Callable[[Any, Any], None]:
    def change(X: Any, y: Any) -> None:
        X[:, 2] = values(X)

    return change


DEGENERATE: dict[str, Callable[..., Given]] = {
    "n = 1": lambda **o: changed(lambda X, y: None, 1, P, **o),
    "p = 1": lambda **o: changed(lambda X, y: None, N, 1, **o),
    "n = p = 1": lambda **o: changed(lambda X, y: (np.full((1, 1), 2.0), np.full(1, 3.0)), **o),
    "n << p": lambda **o: changed(lambda X, y: None, 5, 60, **o),
    "a zero column": lambda **o: changed(with_column(lambda X: 0.0), **o),
    "a constant column": lambda **o: changed(with_column(lambda X: 1e3), **o),
    "duplicate columns": lambda **o: changed(with_column(lambda X: X[:, 0]), **o),
    "opposite columns": lambda **o: changed(with_column(lambda X: -X[:, 0]), **o),
    "zero X": lambda **o: changed(lambda X, y: (0 * X, y), **o),
    "zero y": lambda **o: changed(lambda X, y: (X, 0 * y), **o),
    "constant y": lambda **o: changed(lambda X, y: (X, 0 * y + 3.0), **o),
}
for _name, _make in DEGENERATE.items():
    _needs = {"X", "one row"} if _name in ("n = 1", "n = p = 1") else {"X"}
    add("degenerate", _name, _make, needs=_needs, core=_name in ("n = 1", "n << p", "duplicate columns"))
    add(
        "degenerate",
        f"{_name}, intercept",
        lambda m=_make: m(fit_intercept=True),
        needs=_needs | {"fit_intercept"},
        core=_name in ("zero X", "constant y"),
    )
    add(
        "degenerate",
        f"{_name}, CSC",
        lambda m=_make: (lambda g: replace(g, X=scipy.sparse.csc_array(g.X), judge_X=g.X))(m()),
        needs=_needs,
        core=_name == "zero y",
    )

# Scales


def scaled(in_X: float, in_y: float, columns: bool = False, fit_intercept: bool = False) -> Given:
    """The usual problem in other units, at a tenth of lam_max as far as float64 has it."""
    X, y = (part.astype(np.longdouble) for part in data())
    X *= np.longdouble(in_X) * (np.longdouble(10) ** np.linspace(-8, 8, P) if columns else 1)
    y *= np.longdouble(in_y)
    with np.errstate(all="ignore"):
        centred = y - y.mean() if fit_intercept else y
        lam = float(min(np.abs(X.T @ centred).max() / 10, np.finfo(np.float64).max))
        return Given(X.astype(np.float64), y.astype(np.float64), lam, {"fit_intercept": fit_intercept})


SCALES = [(10.0**k, 1.0) for k in (20, -20, 150, -150, 200, -200, 300, -300, -310)]
SCALES += [(1.0, x) for x, _ in SCALES] + [(1.0, 1e8), (1.0, 1e-8), (1e150, 1e-150), (1e-150, 1e150), (1e100, 1e100)]
for _in_X, _in_y in SCALES:
    add(
        "scales",
        f"X times {_in_X:g}, y times {_in_y:g}",
        lambda a=_in_X, b=_in_y: scaled(a, b),
        RIGHT,
        HONEST,
        REFUSED,
        needs=("X", "lam"),
        core=(_in_X, _in_y) in {(1e20, 1.0), (1e-200, 1.0), (1.0, 1e200), (1.0, 10.0**-310)},
    )
add(
    "scales",
    "columns from 1e-8 to 1e8",
    lambda: scaled(1.0, 1.0, True),
    RIGHT,
    HONEST,
    REFUSED,
    needs=("X", "lam"),
    core=True,
)
for _in_X, _in_y in ((1e-20, 1.0), (1e20, 1.0), (1.0, 1e-8), (1.0, 1e-150)):
    add(
        "scales",
        f"X times {_in_X:g}, y times {_in_y:g}, intercept",
        lambda a=_in_X, b=_in_y: scaled(a, b, fit_intercept=True),
        RIGHT,
        HONEST,
        REFUSED,
        needs=("X", "lam", "fit_intercept"),
    )

# Strengths


def strengthened(factor: float, fit_intercept: bool = False) -> Given:
    """lam as a multiple of lam_max, exactly: all numbers are multiples of 1/8, and so few that no sum is rounded."""
    X, y = data()
    y = np.round(8 * y) / 8
    if fit_intercept:
        X, y = np.r_[X, -X], np.r_[y, -y]  # means of 0
    lam = factor * np.abs(X.T @ y).max()
    return Given(X, y, lam, {"fit_intercept": fit_intercept}, zero=factor >= 1)


for _factor in (0.0, 1.0, 2.0, 1e300):
    for _intercept in (False, True):
        add(
            "strengths",
            f"{_factor:g} lam_max{', intercept' if _intercept else ''}",
            lambda f=_factor, b=_intercept: strengthened(f, b),
            needs={"X", "lam"} | ({"fit_intercept"} if _intercept else set()) | ({"lam 0"} if not _factor else set()),
            core=not _intercept,
        )

# Arguments

for _name, _values in {
    "lam": (-1.0, np.nan, np.inf, "much", None),
    "tol": (-1e-6, np.nan, "tight"),
    "max_iter": (-1, 1.5, "many"),
}.items():
    for _value in _values:
        add(
            "arguments",
            f"{_name} = {_value!r}",
            lambda k=_name, v=_value: replace(given(), says=(k,), **({k: v} if k == "lam" else {"options": {k: v}})),
            REFUSED,
            needs=("X", _name),
            core=True,
        )


def tiny_tol(dtype: Any, tol: float) -> Given:
    X, y = problems.make(60, P)
    return Given(X.astype(dtype), y, problems.strength(X, y, 0.37), {"tol": tol}, judge_X=X.astype(dtype))


for _dtype in (np.float32, np.float64):
    for _tol in (1e-300, 0.0):
        add(
            "small tol",
            f"{_dtype.__name__}, tol {_tol:g}",
            lambda t=_dtype, v=_tol: tiny_tol(t, v),
            RIGHT,
            HONEST,
            needs=("X", "tol"),
            core=_tol == 1e-300,
        )

# Sample weights


def weighted(change: Callable[[Any], Any], fit_intercept: bool = False) -> Given:
    X, y = data()
    weights = np.random.default_rng(1).random(N) + 0.5
    return Given(X, y, LAM, {"sample_weight": change(weights), "fit_intercept": fit_intercept})


def zeroed(weights: Any) -> Any:
    return np.where(np.arange(N) % 4 == 1, 0.0, weights)


for _intercept in (False, True):
    _more = {"needs": {"X", "sample_weight"} | ({"fit_intercept"} if _intercept else set()), "core": True}
    _end = ", intercept" if _intercept else ""
    add("sample weights", f"zeros{_end}", lambda b=_intercept: weighted(zeroed, b), **_more)
    add("sample weights", f"all ones{_end}", lambda b=_intercept: weighted(np.ones_like, b), **_more)
    _more["needs"] = _more["needs"] | {"one row"}
    add(
        "sample weights", f"one row left{_end}", lambda b=_intercept: weighted(lambda s: s * (s == s.max()), b), **_more
    )
for _name, _change in {
    "all zero": np.zeros_like,
    "negative": lambda s: np.where(np.arange(N) == 3, -1.0, s),
    "NaN": lambda s: np.where(np.arange(N) == 3, np.nan, s),
    "too long": lambda s: np.r_[s, 1.0],
    "too short": lambda s: s[1:],
    "2-D": lambda s: np.c_[s, s],
    "complex": lambda s: s * 1j,
}.items():
    add("sample weights", _name, lambda c=_change: weighted(c), REFUSED, needs=("X", "sample_weight"), core=True)

# Warm starts

for _name, _start in {
    "too long": np.zeros(P + 1),
    "too short": np.zeros(P - 1),
    "2-D": np.zeros((P, 3)),
    "NaN": np.full(P, np.nan),
    "str": "cold",
    "complex": np.zeros(P) * 1j,
}.items():
    add(
        "warm start",
        f"start: {_name}",
        lambda s=_start: given(start=s),
        REFUSED,
        needs=("X", "start"),
        core=_name in ("too long", "NaN"),
    )


def refitted(n_first: int, p_first: int, kind: Callable[[Any], Any]) -> Callable[[Entry, Given], Any]:
    def drive(entry: Entry, given: Given) -> Any:
        X, y = problems.make(n_first, p_first, density=0.7, seed=1)
        return entry.refit(Given(kind(X), y, given.lam, given.options), given)

    return drive


for _n, _p in ((N, P + 400), (N, P - 3), (N + 9, P), (N, P)):
    for _name, _convert in (("dense", np.asfortranarray), ("CSC", scipy.sparse.csc_array)):
        add(
            "warm start",
            f"refit, {_name}: {_n} x {_p}, then {N} x {P}",
            lambda c=_convert: given(c),
            *((RIGHT,) if _p == P else (RIGHT, REFUSED)),
            needs=("X", "refit"),
            drive=refitted(_n, _p, _convert),
            core=True,
        )

# Ctrl-C, callbacks, limits

HARD = (500, 1500)


def hard(kind: str) -> Given:
    """Far more work than fits before the signal: neighbouring columns much alike, and hardly a penalty."""
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.standard_normal(HARD), axis=1)
    y = rng.standard_normal(HARD[0])
    lam = 1e-7 * np.abs(X.T @ y).max()
    if kind == "CSR":
        X = scipy.sparse.csr_array(X)
    return Given(np.asfortranarray(X) if kind == "F" else X, y, lam, {"tol": 0.0, "max_iter": 10**9})


def interrupted(entry: Entry, given: Given) -> Any:
    """KeyboardInterrupt soon after the signal, and a tool that works as before."""
    sent = time.monotonic() + INTERRUPT
    os.write(TOLD, GO + b"\n")
    try:
        entry.call(given)
    except KeyboardInterrupt:
        late = time.monotonic() - sent
        if late > PROMPT:
            raise Unfit(f"KeyboardInterrupt came {late:.1f} s after the signal") from None
        if late < 0:
            raise Unfit("KeyboardInterrupt came before the signal") from None
        told = judged(USUAL, entry)
        if told.kind not in (RIGHT, HONEST):
            raise Unfit(f"after the interrupt: {told}") from None
        raise
    raise Unfit("it ended without KeyboardInterrupt")


USUAL = Case("interrupt", "the usual problem", given, frozenset({RIGHT}))
INTERRUPT = 0.1
for _name in ("F", "CSR"):
    add(
        "interrupt",
        f"hard problem, {_name}",
        lambda k=_name: hard(k),
        REFUSED,
        errors=(KeyboardInterrupt,),
        needs=("X", "tol", "max_iter", "interrupt"),
        drive=interrupted,
        interrupt=INTERRUPT,
        core=_name == "F",
    )


class OwnError(Exception):
    """Raised by a callback."""


def raising(state: object) -> None:
    raise OwnError("the callback's own")


add(
    "callback",
    "a callback that raises",
    lambda: replace(given(callback=raising), says=("the callback's own",)),
    REFUSED,
    errors=(OwnError,),
    needs=("X", "callback"),
    core=True,
)


def limited(**options: Any) -> Given:
    """A problem that no solver is through with at once."""
    X, y = problems.make(60, 150)
    return Given(X, y, problems.strength(X, y, 1e-3), {"tol": 1e-12, **options})


for _name, _value in (("max_iter", 1), ("max_iter", 2), ("time_limit", 1e-9)):
    add(
        "limits",
        f"{_name} = {_value}",
        lambda k=_name, v=_value: limited(**{k: v}),
        HONEST,
        needs=("X", "tol", "lam", _name, "stops"),
        core=True,
    )

# Threads, processes, repeats

THREADS = 4


def bits(raw: Any) -> bytes:
    """The numbers of what a tool returned, to be compared bit for bit; clocks are left out."""
    if isinstance(raw, np.ndarray):
        return raw.tobytes()
    if scipy.sparse.issparse(raw):
        return bits(raw.toarray())
    if hasattr(raw, "rows"):
        raw = [row.result for row in raw.rows]
    if isinstance(raw, (list, tuple)):
        return b"".join(map(bits, raw))
    if isinstance(raw, (float, int, np.number)):
        return np.float64(raw).tobytes()
    names = ("coef", "coef_", "coefs", "values", "intercept", "intercept_", "intercepts", "dual_gap", "dual_gaps")
    names += ("errors", "stability_scores_")
    return b"".join(bits(getattr(raw, name)) for name in names if hasattr(raw, name))


def same(first: Any, second: Any, what: str) -> None:
    if bits(first) != bits(second) or not bits(first):
        raise Unfit(f"{what} gives another answer")


def at_once(entry: Entry, given: Given) -> Any:
    alone, found = entry.call(given), []
    threads = [threading.Thread(target=lambda: found.append(entry.call(given))) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(found) < THREADS:
        raise Unfit("a thread failed")
    for one in found:
        same(alone, one, "a thread")
    return alone


def forked(entry: Entry, given: Given) -> Any:
    before = entry.call(given)
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(BaseException):
            code = int(bits(entry.call(given)) != bits(before))
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        os.kill(os.getpid(), -code)
    if code:
        raise Unfit("a fork after a fit gives another answer")
    return before


def twice(entry: Entry, given: Given) -> Any:
    first = entry.call(given)
    same(first, entry.call(given), "the second call")
    return first


def duplicated(duplicate: Callable[[Any], Any]) -> Callable[[Entry, Given], Any]:
    def drive(entry: Entry, given: Given) -> Any:
        raw = entry.call(given)
        twin = duplicate(raw)
        same(raw, twin, "the copy")
        return twin

    return drive


for _name, _drive in {
    "many threads": at_once,
    "fork after a fit": forked,
    "pickle": duplicated(lambda raw: pickle.loads(pickle.dumps(raw))),
    "copy": duplicated(copy.copy),
    "deepcopy": duplicated(copy.deepcopy),
}.items():
    add(
        "processes",
        _name,
        given,
        needs=("X", "object"),
        drive=_drive,
        core=_name in ("many threads", "fork after a fit"),
    )
for _name in ("C", "F", "csr_array int32", "csc_array int32"):
    add("repeats", _name, stored(_name), needs=("X", "object"), drive=twice, core=_name in ("C", "csr_array int32"))

# Memory

SPARE = 64 * 2**20  # bytes that a case may map beyond what it has


def starved(entry: Entry, given: Given) -> Any:
    """Call with little memory left, after a call that needs none, for what is imported late."""
    small = globals()["given"]()
    entry.call(small)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + SPARE, ADDRESS_SPACE))
    try:
        return entry.call(given)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def eightfold() -> Given:
    """Eight bytes for one, in float64: 200 MB."""
    return Given(np.zeros((5000, 5000), np.int8), np.zeros(5000))


def endless() -> Given:
    """More columns than any memory has coefficients for."""
    kind = scipy.sparse.csr_array
    X = kind((np.ones(N), np.arange(N), np.arange(N + 1)), shape=(N, 10**13))
    return Given(X, np.ones(N))


if sys.platform == "linux":
    add("memory", "int8, to be converted", eightfold, REFUSED, errors=(MemoryError,), drive=starved, core=True)
add("memory", "CSR with 1e13 columns", endless, REFUSED, errors=(MemoryError, ValueError))

# Files


class Pickled:
    """Unpickling it ends the process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (77,)


def npz() -> bytes:
    X, y = data()
    A = scipy.sparse.csr_array(X)
    np.savez("made.npz", data=A.data, indices=A.indices, indptr=A.indptr, shape=A.shape, y=y)
    return Path("made.npz").read_bytes()


def npz_of(**arrays: Any) -> bytes:
    np.savez("made.npz", **arrays)
    return Path("made.npz").read_bytes()


def npy_header(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode()


def mtx(lines: str) -> bytes:
    return f"%%MatrixMarket matrix coordinate real general\n{lines}\n".encode()


def pickled(kind: str) -> bytes:
    held = np.empty((2, 2), object)
    held[...] = [[Pickled(), 1], [2, 3]]
    np.save("made.npy", held) if kind == "npy" else np.savez("made.npz", X=held, y=np.ones(2))
    return Path(f"made.{kind}").read_bytes()


def gzipped(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content)


SVM = b"1.5 1:0.5 3:1\n2 2:1 3:0.25\n" * 40
FILES: dict[str, tuple[str, Callable[[], bytes], tuple[str, ...]]] = {
    "truncated npz": ("x.npz", lambda: npz()[:-200], ()),
    "npz cut in a member": ("x.npz", lambda: npz()[:300], ()),
    "npz with flipped bytes": ("x.npz", lambda: npz()[:150] + b"\xff" * 40 + npz()[190:], ()),
    "truncated npy": ("x.npy", lambda: npy_header((N, P)) + b"\0" * 64, ()),
    "truncated mtx": ("x.mtx", lambda: mtx("2 2 3\n1 1 0.5\n2 2 1"), ("3",)),
    "mtx cut in a line": ("x.mtx", lambda: mtx("2 2 2\n1 1 0.5\n2 2"), ("line 4",)),
    "truncated svmlight": ("x.svm", lambda: b"1 1:0.5\n2 2:", ("line 2",)),
    "truncated gzip": ("x.svm.gz", lambda: gzipped(SVM)[:-12], ()),
    "npz that is text": ("x.npz", lambda: b"hello, world\n", ()),
    "npy that is text": ("x.npy", lambda: b"hello, world\n", ()),
    "mtx that is text": ("x.mtx", lambda: b"hello, world\n", ()),
    "binary of no format": ("x.bin", lambda: b"\x7fELF\0\0\0\1" * 20, ()),
    "empty": ("x.svm", lambda: b"", ()),
    "npy of a huge shape": ("x.npy", lambda: npy_header((10**15, 10**6)) + b"\0" * 800, ()),
    "npy of a negative shape": ("x.npy", lambda: npy_header((-1, 5)) + b"\0" * 800, ()),
    "mtx of a huge size": ("x.mtx", lambda: mtx("1000000000000 1000000000000 1\n1 1 1"), ()),
    "mtx with huge counts": ("x.mtx", lambda: mtx("9 9 999999999999\n1 1 1"), ("line 2",)),
    "mtx index beyond": ("x.mtx", lambda: mtx("2 2 2\n1 1 1\n3 1 1"), ("line 4",)),
    "mtx index 0": ("x.mtx", lambda: mtx("2 2 1\n0 1 1"), ("line 3",)),
    "mtx of no numbers": ("x.mtx", lambda: mtx("2 2 1\n1 1 one"), ("line 3", "one")),
    "svmlight of a huge index": ("x.svm", lambda: b"1 1:0.5\n2 999999999999999:1\n", ()),
    "svmlight of a negative index": ("x.svm", lambda: b"1 1:0.5\n2 -3:1\n", ("line 2", "-3")),
    "svmlight with NaN": ("x.svm", lambda: b"1 1:0.5\n2 3:nan\n", ("line 2", "nan")),
    "svmlight with an index twice": ("x.svm", lambda: b"1 1:0.5\n2 3:1 3:2\n", ("line 2", "3")),
    "csv with a word": ("x.csv", lambda: b"a,b,y\n1,2,3\n4,five,6\n", ("line 3", "five")),
    "csv with a short row": ("x.csv", lambda: b"a,b,y\n1,2,3\n4,6\n", ("line 3",)),
    "csv with NaN": ("x.csv", lambda: b"a,b,y\n1,2,3\n4,nan,6\n", ("line 3", "nan")),
    "pickles in npy": ("x.npy", lambda: pickled("npy"), ()),
    "pickles in npz": ("x.npz", lambda: pickled("npz"), ()),
    "npz of a huge sparse shape": (
        "x.npz",
        lambda: npz_of(data=np.ones(1), indices=[0], indptr=[0, 1], shape=[1, 10**15], y=np.ones(1)),
        (),
    ),
    "npz without indices": (
        "x.npz",
        lambda: npz_of(data=np.ones(1), indptr=[0, 1], shape=[1, 1], y=np.ones(1)),
        ("indices",),
    ),
}


def file(name: str, content: Callable[[], bytes], says: tuple[str, ...]) -> Given:
    path = Path(name).resolve()
    held = content()
    path.write_bytes(held)
    return Given(path=path, says=(name, *says))


for _name, (_file, _content, _says) in FILES.items():
    add(
        "files",
        _name,
        lambda f=_file, c=_content, s=_says: file(f, c, s),
        REFUSED,
        errors=(ValueError,),
        needs=("file",),
        core=_name in ("truncated npz", "truncated mtx", "svmlight with NaN", "pickles in npy", "npy of a huge shape"),
    )
add("files", "missing", lambda: Given(path=Path("none.npz"), says=("none.npz",)), REFUSED, needs=("file",))
add("files", "a directory", lambda: Given(path=Path.cwd(), says=(Path.cwd().name,)), REFUSED, needs=("file",))


def by_name(row: str) -> list[Case]:
    """The cases of a row."""
    return [case for case in CASES if case.row == row]


if __name__ == "__main__":
    sys.modules["verdicts"] = sys.modules["__main__"]  # one `Unfit`, one `Verdict`
    sys.path += sys.argv[2:]
    main(sys.argv[1])
