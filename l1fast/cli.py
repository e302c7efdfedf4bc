"""The command line: `l1fast solve`, `l1fast path`, `l1fast convert`, `l1fast compare`, `l1fast bench`, `l1fast info`.

Results go to stdout, everything else to stderr. Exit codes: 0 solved to tol, 1 solved but not to tol, 2 wrong usage or
input, 130 interrupted, 141 the reader of the output has gone. Whatever needs NumPy is imported inside the verbs.
"""

from __future__ import annotations

import argparse
import difflib
import json
import math
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from l1fast import Comparison
    from l1fast._result import PathResult, Result
    from l1fast.io import Dataset

__all__ = ["main"]

CONVERGED, NOT_TO_TOL, BAD_INPUT, INTERRUPTED, CLOSED_PIPE = 0, 1, 2, 130, 141  # 128 + the number of the signal

LAM_RATIO = 0.01
TOL = 1e-6  # of solve()
TOP = 15
N_LAMS, PATH_RATIO = 100, 1e-3  # of path()
ROWS = 10
COMPARE_TIME_LIMIT = 10.0  # of compare()
BENCH_TIME_LIMIT = 60.0
BENCH_RUNS = 3  # the best of so many, for contenders that are done within BENCH_QUICK seconds
BENCH_QUICK = 1.0
SOLVERS = (
    *("auto", "cd", "homotopy", "fista", "ista", "accelerated_gradient", "gradient", "huber_descent"),
    *("irls", "lbfgs", "subgradient"),
)
BENCH_SOLVERS = ("cd", "fista", "ista")
PROGRESS_AFTER = 1.0  # seconds

SOLVE_EXAMPLE = """\
example:
  l1fast solve words.npz --lam-ratio 0.05 --top 5 --out coefficients.csv

The objective is 1/2 ||y - Xw - b||^2 + lam ||w||_1 + l2/2 ||w||^2. The gap is divided by the objective of the best
constant, so tol has no unit. l1fast.Result.load reads .npz output. Exit codes: 0 solved to tol, 1 not to tol, 2 wrong
usage or input, 130 interrupted."""
PATH_EXAMPLE = """\
example:
  l1fast path words.npz --n-lams 50 --lam-ratio 0.01 --out coefficients.npz

The strengths fall from lam_max, evenly spaced in the logarithm. explained is 1 - loss / loss of the best constant.
l1fast.PathResult.load reads the .npz file; scipy.sparse.load_npz its coefficients alone. Exit codes as of solve."""
CONVERT_EXAMPLE = """\
example:
  l1fast convert clicks.svm.xz clicks
  l1fast solve clicks --lam-ratio 0.05

FILE is svmlight text, .csv or .tsv, of any size: a part is in memory at a time. Interrupted or killed, the same command
goes on behind the last part that was written. solve and path take the folder in place of a file, and read it part by
part. Exit codes: 0 converted, 2 wrong usage or input, 130 interrupted."""
COMPARE_EXAMPLE = """\
examples:
  l1fast compare words.npz --lam-ratio 0.05 --solvers cd,fista,ista
  l1fast compare words.npz --time-limit 60 --tol 1e-9 --out words

Every solver gets the same problem, clock and limits: check, conversions and certificate count. Gaps are certified apart
from the solver; objective and support are held against coordinate descent to a gap of 1e-10. A solver that cannot do
the problem is shown with the reason. Without --out the files are FILE-compare.json and FILE-compare.png in the working
directory, and nothing that is there already is overwritten. Exit codes as of solve: 0 if one of them reached tol."""
BENCH_EXAMPLE = """\
example:
  l1fast bench words.npz --lam-ratio 0.05 --tol 1e-8

Every contender solves 1/2 ||y - Xw||^2 + lam ||w||_1 until the gap is at most tol; the gap shown is recomputed for all
of them by one function in plain NumPy."""


class _UsageError(Exception):
    """Wrong arguments; the message is for people."""


class _Parser(argparse.ArgumentParser):
    """Errors of one line, with the nearest valid word for a mistyped one."""

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if choice:
            message += _nearest(choice[1], re.findall(r"[\w-]+", choice[2]))
        raise _UsageError(f"{message}; see {self.prog} --help")


def _nearest(word: str, words: Sequence[str]) -> str:
    found = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _number(kind: type, minimum: float, *, open_end: bool = False, maximum: float = math.inf) -> Callable[[str], Any]:
    """A converter for argparse: a finite number not below (or, with open_end, above) the minimum."""
    noun = ("an integer" if kind is int else "a number") + (f" > {minimum:g}" if open_end else f" >= {minimum:g}")
    noun += f" and <= {maximum:g}" * (maximum < math.inf)

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and minimum <= value <= maximum) or (open_end and value == minimum):
            raise argparse.ArgumentTypeError(f"must be {noun}, not {text!r}")
        return value

    return convert


def _parser() -> tuple[_Parser, dict[str, argparse.ArgumentParser]]:
    """The parser, and those of the verbs by name."""
    parser = _Parser(
        prog="l1fast",
        description="Solve L1-regularised least squares (Lasso, elastic net), with a certificate of optimality.",
        epilog="example:\n  l1fast solve data.npz --lam-ratio 0.01",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=_Parser)

    def verb(
        name: str, run: Callable[[argparse.Namespace], int], summary: str, example: str
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=example,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        added.set_defaults(run=run)
        return added

    solve = verb("solve", _solve, "read a file, solve, print the strongest coefficients", SOLVE_EXAMPLE)
    path = verb("path", _path, "read a file, solve at many strengths, print how the fit grows", PATH_EXAMPLE)
    convert = verb("convert", _convert, "turn text of any size into a folder of blocks", CONVERT_EXAMPLE)
    compare = verb("compare", _compare, "run the solvers side by side: a table, a plot", COMPARE_EXAMPLE)
    bench = verb("bench", _bench, "time the solvers against FISTA and ISTA in plain NumPy", BENCH_EXAMPLE)
    info = verb("info", _info, "print versions and threads, for a bug report", "example:\n  l1fast info")

    for added in (solve, path, convert, compare, bench):
        add, text = added.add_argument, "svmlight text, .csv or .tsv; text may be .gz, .bz2 or .xz"
        folder = "; or a folder that convert made" * (added in (solve, path))
        add("file", metavar="FILE", help=text if added is convert else f".npz, .npy, .mtx, {text}{folder}")
        if added is convert:
            add("folder", metavar="DIR", help="where the blocks go: new, empty, or begun by the same command")
        add("--target", metavar="FILE", help="y: .npy, .csv, .txt or .mtx with one column, if FILE holds none")
        add("--target-column", metavar="NAME", help="column of a table that holds y (default: the last)")
    for added in (solve, compare):
        added.add_argument("--lam", type=_number(float, 0), metavar="L", help="strength, in units of X.T @ y")
    path.add_argument(
        "--n-lams", type=_number(int, 1), default=N_LAMS, metavar="N", help="number of strengths (default: %(default)s)"
    )
    path.add_argument(
        "--lam-ratio",
        type=_number(float, 0, open_end=True, maximum=1),
        default=PATH_RATIO,
        metavar="R",
        help="last strength as a fraction of lam_max, from where on all coefficients are 0 (default: %(default)s)",
    )
    for added in (solve, compare, bench):
        added.add_argument(
            "--lam-ratio",
            type=_number(float, 0),
            metavar="R",
            help=f"strength as a fraction of lam_max, from where on all coefficients are 0 (default: {LAM_RATIO})",
        )
    for added in (solve, path, compare, bench):
        add = added.add_argument
        add("--tol", type=_number(float, 0), default=TOL, metavar="T", help="relative gap (default: %(default)s)")
        add("--threads", type=_number(int, 1), metavar="N", help="threads to use" + " (default: 1)" * (added is bench))
        add("--json", action="store_true", help="print one JSON object in place of text")
    for added, seconds, noun in ((compare, COMPARE_TIME_LIMIT, "solver"), (bench, BENCH_TIME_LIMIT, "contender")):
        added.add_argument(
            "--time-limit",
            type=_number(float, 0, open_end=True),
            default=seconds,
            metavar="S",
            help=f"seconds for each {noun} (default: %(default)g)",
        )
    compare.add_argument(
        "--solvers", metavar="LIST", help="names of solvers, separated by commas (default: all of them)"
    )
    for added in (solve, path):
        add, each = added.add_argument, " for each strength" * (added is path)
        add("--time-limit", type=_number(float, 0, open_end=True), metavar="S", help="seconds of solving at most")
        add("--max-iter", type=_number(int, 0), metavar="N", help=f"iterations at most{each}")
        add("--solver", choices=SOLVERS, default="auto", metavar="NAME", help=f"{', '.join(SOLVERS)} (default: auto)")
    for added in (solve, path, compare):
        add = added.add_argument
        add("--l2", type=_number(float, 0), default=0.0, metavar="A", help="strength of the squared term (default: 0)")
        add("--intercept", action=argparse.BooleanOptionalAction, default=False, help="fit an unpenalised intercept")
        add("--positive", action="store_true", help="allow no negative coefficient")
        add("--quiet", action="store_true", help="print no text and no progress; errors and warnings remain")
    for added in (solve, compare):
        added.add_argument("--polish", action="store_true", help="finish by coordinate descent from the support found")
    add = solve.add_argument
    add("--top", type=_number(int, 0), default=TOP, metavar="K", help="coefficients to print (default: %(default)s)")
    add("--out", metavar="FILE", help="write the result to a .npz, .csv or .json file")
    add = path.add_argument
    add("--l2-ratio", type=_number(float, 0), default=0.0, metavar="A", help="squared term, times lam (default: 0)")
    add("--rows", type=_number(int, 0), default=ROWS, metavar="K", help="strengths to print (default: %(default)s)")
    add("--out", metavar="FILE", help="write all coefficients and gaps to a .npz or .json file")
    add = convert.add_argument
    add("--rows", type=_number(int, 1), metavar="N", help="rows of a part (default: as many as 64 MiB hold)")
    add("--restart", action="store_true", help="begin again, and replace what DIR holds of a conversion")
    add("--json", action="store_true", help="print one JSON object in place of text")
    add("--quiet", action="store_true", help="print no text and no progress; errors remain")
    for added in (path, convert):
        added.add_argument(
            "--progress",
            action=argparse.BooleanOptionalAction,
            help=f"show how far it is from the start on, or never (default: after {PROGRESS_AFTER:g} s)",
        )
    add = compare.add_argument
    add("--no-plot", action="store_true", help="write no .png, which needs matplotlib")
    add("--out", metavar="PREFIX", help="write PREFIX.json and PREFIX.png; with --json nothing is written without it")
    verbs_by_name = {"solve": solve, "path": path, "convert": convert, "compare": compare, "bench": bench, "info": info}
    return parser, verbs_by_name


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    if sys.stderr is None:  # it was closed before the start; print() would turn to stdout
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - stays open
    try:
        try:
            for stream in (sys.stdout, sys.stderr):
                if hasattr(stream, "reconfigure"):
                    stream.reconfigure(errors="backslashreplace")  # a feature name must not stop a report
            code = _run(argv)
            print(end="", flush=True)
            return code
        except _UsageError as error:
            return _fail(error)
        except SystemExit as error:  # --help
            return int(error.code or 0)
        except KeyboardInterrupt:
            _say("interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            raise
        except MemoryError as error:
            return _fail(f"not enough memory ({error}); use a sparse format, float32 or fewer columns")
        except (ValueError, TypeError, OSError, ImportError) as error:  # bad input, explained where it was found
            return _fail(error)
    except BrokenPipeError:
        return CLOSED_PIPE
    finally:
        _settle(sys.stdout)
        _settle(sys.stderr)


def _settle(stream: Any) -> None:
    """Flush; if that fails, let what is left go nowhere, so that the interpreter does not try again at its end."""
    if stream is None:  # as above
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(argv: Sequence[str] | None) -> int:
    parser, verbs = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    if arguments.version:
        from importlib.metadata import version

        print(f"l1fast {version('l1fast')}")
        return CONVERGED
    if unknown:
        known = re.findall(r"(?<![\w-])--[a-z0-9-]+", verbs.get(arguments.verb, parser).format_help())
        hint = _nearest(unknown[0].partition("=")[0], known)
        raise _UsageError(f"unrecognised argument {unknown[0]!r}{hint}; see l1fast {arguments.verb or ''} --help")
    if arguments.verb is None:
        raise _UsageError(f"give a verb: {', '.join(verbs)}; see l1fast --help")
    code: int = arguments.run(arguments)
    return code


def _fail(error: object) -> int:
    _say(f"error: {error}")
    return BAD_INPUT


def _say(text: str) -> None:
    """One line on stderr."""
    print(f"l1fast: {_printable(' '.join(text.split()))}", file=sys.stderr)


def _printable(text: str) -> str:
    """Text from a file, without characters that could steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Warnings become lines on stderr."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        _say(f"warning: {text}")


# ---------------------------------------------------------------- solve


def _progress(arguments: argparse.Namespace) -> AbstractContextManager[Any]:
    """A callback that shows on stderr where a long solve or path stands."""
    from l1fast._progress import Progress

    asked: bool | None = getattr(arguments, "progress", None)
    if arguments.quiet or asked is False:
        return nullcontext()
    return Progress(after=0.0 if asked else PROGRESS_AFTER, lines=True)


def _read(arguments: argparse.Namespace) -> tuple[Dataset, float]:
    """The data set and the seconds it took."""
    from l1fast.io import read

    start = time.perf_counter()
    if os.path.isdir(arguments.file):
        data = _read_folder(arguments)
    else:
        data = read(arguments.file, arguments.target, target_column=arguments.target_column)
    return data, time.perf_counter() - start


FOLDER_VERBS = ("solve", "path")


class _Counted:
    """load(k) of row blocks, and how often it was called."""

    def __init__(self, load: Callable[[int], Any]) -> None:
        self.load, self.calls = load, 0

    def __call__(self, k: int) -> Any:
        self.calls += 1
        return self.load(k)


def _read_folder(arguments: argparse.Namespace) -> Dataset:
    """The data set in a folder of blocks; X stays there."""
    from l1fast._stores import open_blocks
    from l1fast.io import read_target

    if arguments.verb not in FOLDER_VERBS:
        raise _UsageError(
            f"{arguments.file} is a folder of blocks, which {' and '.join(FOLDER_VERBS)} take; give a file"
        )
    if arguments.target_column is not None:
        raise _UsageError(f"{arguments.file} is a folder of blocks, which holds its target; drop --target-column")
    data = open_blocks(arguments.file)
    if arguments.target is not None:
        data = replace(data, y=read_target(arguments.target))
    return replace(data, X=replace(data.X, load=_Counted(data.X.load)))


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `solve`, `path` and `compare` are all asked for."""
    return {
        "l2": arguments.l2,
        "tol": arguments.tol,
        "time_limit": arguments.time_limit,
        "fit_intercept": arguments.intercept,
        "positive": arguments.positive,
        "n_threads": arguments.threads,
    }


def _choice(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `solve` and `path` are asked for beside that."""
    return {"solver": arguments.solver, "max_iter": arguments.max_iter}


def _design_and_strength(data: Dataset, arguments: argparse.Namespace) -> tuple[Any, float, float]:
    """X, converted once for all calls, lam_max and the strength asked for."""
    import l1fast
    from l1fast._row_blocks import RowBlocks
    from l1fast._validation import as_design, as_thread_count

    X = data.X if isinstance(data.X, RowBlocks) else as_design(data.X, as_thread_count(arguments.threads))
    lam_max = l1fast.lam_max(X, data.y, fit_intercept=arguments.intercept, positive=arguments.positive)
    ratio = LAM_RATIO if arguments.lam_ratio is None else arguments.lam_ratio
    return X, lam_max, ratio * lam_max if arguments.lam is None else arguments.lam


def _check_strength(arguments: argparse.Namespace) -> None:
    if arguments.lam is not None and arguments.lam_ratio is not None:
        raise _UsageError("both --lam and --lam-ratio are given; give one of them")


def _check_out(arguments: argparse.Namespace, suffixes: tuple[str, ...]) -> None:
    """Refuse, before anything is read, an --out that could not be written or would overwrite the input."""
    from l1fast.io import check_output

    if arguments.out is None:
        return
    check_output(arguments.out, suffixes)
    paths = (arguments.out, arguments.file)
    if all(map(os.path.exists, paths)) and os.path.samefile(*paths):
        raise _UsageError(f"--out {arguments.out} would overwrite the input; choose another name")


def _solve(arguments: argparse.Namespace) -> int:
    from l1fast.io import OUTPUT_SUFFIXES, result_as_dict, write_result

    _check_strength(arguments)
    _check_out(arguments, OUTPUT_SUFFIXES)
    data, read_seconds = _read(arguments)

    import l1fast

    with _one_line_warnings(), _progress(arguments) as progress:
        X, lam_max, lam = _design_and_strength(data, arguments)
        options = _options(arguments) | _choice(arguments) | {"polish": arguments.polish}
        result = l1fast.solve(X, data.y, lam, callback=progress, **options)
    if arguments.out is not None:
        write_result(result, arguments.out, data.feature_names)
    if arguments.json:
        report = _describe(data) | {"lam_max": lam_max, "lam_ratio": _fraction(result.lam, lam_max)}
        report |= {"read_seconds": read_seconds} | result_as_dict(result, data.feature_names)
        print(json.dumps(report, allow_nan=False))
    elif not arguments.quiet:
        _print_report(data, result, lam_max, read_seconds, arguments)
    return CONVERGED if result.converged else NOT_TO_TOL


def _describe(data: Dataset) -> dict[str, Any]:
    n, p = data.X.shape
    stored = getattr(data.X, "nnz", n * p)
    about = {
        "file": data.source,
        "format": data.format,
        "n_samples": n,
        "n_features": p,
        "stored": int(stored),
        "density": _fraction(stored, n * p),
        "dtype": str(data.X.dtype),
    }
    if data.format == "blocks":
        about |= {"n_blocks": data.X.n_blocks, "n_bytes": data.X.n_bytes}
        about["n_reads"] = data.X.load.calls / sum(data.X.starts[1:] > data.X.starts[:-1])
    return about


def _fraction(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _print_report(
    data: Dataset, result: Result, lam_max: float, read_seconds: float, arguments: argparse.Namespace
) -> None:
    from l1fast._result import rounded

    about = _describe(data)
    work = f"{result.n_iter:,} iterations, {result.n_epochs:,} epochs, {rounded(result.n_passes)} passes"
    rows = [
        *_data_rows(data, about),
        _lam_row(result.lam, lam_max),
        _status_row(result),
        ("objective", f"{result.objective:.9g}"),
        ("dual gap", f"{result.dual_gap:.2e} (certified, relative; tol {result.tol:g})"),
        ("violation", f"{result.violation:.2e} (distance to the optimality condition)"),
        ("support", f"{len(result.support):,} of {about['n_features']:,} features"),
        ("solver", f"{result.solver}, {work}; {result.reason}"),
        ("seconds", f"{read_seconds:.3g} reading, {result.seconds:.3g} solving"),
    ]
    if result.conversion:
        rows.append(("conversion", result.conversion))
    if arguments.intercept:
        rows.append(("intercept", f"{result.intercept:+.6g}"))
    if arguments.out is not None:
        rows.append(("written", arguments.out))
    _print_rows(rows)

    by_size = abs(result.coef[result.support]).argsort(kind="stable")[::-1][: arguments.top]
    if not len(by_size):
        return
    strongest = [(data.feature_names[j] if data.feature_names else str(j), j) for j in result.support[by_size]]
    names = [_printable(name) for name, _ in strongest]
    width = max(len("feature"), *map(len, names))
    print(f"\n{'feature':<{width}}  coefficient")
    for name, (_, j) in zip(names, strongest, strict=True):
        print(f"{name:<{width}}  {result.coef[j]:+.6g}")


def _data_rows(data: Dataset, about: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("file", f"{data.source} ({data.format})"),
        ("X", f"{about['n_samples']:,} x {about['n_features']:,}, {about['dtype']}, {_density(about)}"),
    ]
    if "n_blocks" in about:
        read = f"read {about['n_reads']:.3g} times, from the strength on to the certificate"
        rows.append(("blocks", f"{about['n_blocks']:,} of {about['n_bytes']:,} bytes in all, {read}"))
    return rows


def _lam_row(lam: float, lam_max: float) -> tuple[str, str]:
    ratio = _fraction(lam, lam_max)
    return ("lam", f"{lam:.6g}" + ("" if ratio is None else f" ({ratio:.4g} of lam_max {lam_max:.6g})"))


def _status_row(result: Result | PathResult) -> tuple[str, str]:
    return ("status", f"{result.status.name.lower().replace('_', ' ')}: {result.status.value}")


def _print_rows(rows: list[tuple[str, str]]) -> None:
    for name, text in rows:
        print(f"{name:<11}{_printable(text)}")


def _density(about: dict[str, Any]) -> str:
    density = about["density"]
    return f"{about['stored']:,} stored entries" + ("" if density is None else f" (density {density:.3g})")


# ---------------------------------------------------------------- path


def _path(arguments: argparse.Namespace) -> int:
    from l1fast.io import PATH_SUFFIXES, path_as_dict, write_path

    _check_out(arguments, PATH_SUFFIXES)
    data, read_seconds = _read(arguments)

    import l1fast

    with _one_line_warnings(), _progress(arguments) as progress:
        result = l1fast.path(
            data.X,
            data.y,
            n_lams=arguments.n_lams,
            lam_min_ratio=arguments.lam_ratio,
            l2_ratio=arguments.l2_ratio,
            on_progress=progress,
            **_options(arguments),
            **_choice(arguments),
        )
    if arguments.out is not None:
        write_path(result, arguments.out, data.feature_names)
    if arguments.json:
        report = _describe(data) | {"lam_max": float(result.lams[0]), "read_seconds": read_seconds}
        print(json.dumps(report | path_as_dict(result, data.feature_names), allow_nan=False))
    elif not arguments.quiet:
        _print_path(data, result, read_seconds, arguments)
    return CONVERGED if result.converged else NOT_TO_TOL


def _print_path(data: Dataset, result: PathResult, read_seconds: float, arguments: argparse.Namespace) -> None:
    import numpy as np

    about, count = _describe(data), len(result)
    df, lam_max = result.df, float(result.lams[0])
    rows = [
        *_data_rows(data, about),
        ("lams", f"{count:,} from lam_max {lam_max:.6g} to {result.lams[-1]:.6g}"),
        _status_row(result),
        ("dual gap", f"at most {result.dual_gaps.max():.2e} (certified, relative; tol {result.tol:g})"),
        ("violation", f"at most {result.violations.max():.2e} (distance to the optimality condition)"),
        ("support", f"up to {df.max():,} of {about['n_features']:,} features"),
        ("solver", f"{result.solver}, {result.n_iter.sum():,} iterations; {result.reason}"),
        ("seconds", f"{read_seconds:.3g} reading, {result.seconds[-1]:.3g} solving"),
    ]
    if result.conversion:
        rows.append(("conversion", result.conversion))
    if arguments.out is not None:
        rows.append(("written", arguments.out))
    _print_rows(rows)

    shown = np.unique(np.linspace(0, count - 1, min(arguments.rows, count)).round().astype(int)).tolist()
    if not shown:
        return
    print(f"\n{'lam':>11}  {'lam / lam_max':>13}  {'support':>9}  {'explained':>9}  {'gap':>8}  {'seconds':>8}")
    for k in shown:
        ratio = _fraction(float(result.lams[k]), lam_max)
        print(
            f"{result.lams[k]:>11.6g}  {'-' if ratio is None else f'{ratio:.4g}':>13}  {df[k]:>9,}  "
            f"{result.deviance_explained[k]:>9.4f}  {result.dual_gaps[k]:>8.1e}  {result.seconds[k]:>8.3g}"
        )


# ---------------------------------------------------------------- convert


def _convert(arguments: argparse.Namespace) -> int:
    from l1fast._convert import convert

    start = time.perf_counter()
    try:
        with _progress(arguments) as progress:
            made = convert(
                arguments.file,
                arguments.folder,
                target=arguments.target,
                target_column=arguments.target_column,
                rows_per_part=arguments.rows,
                on_progress=progress,
                resume=not arguments.restart,
            )
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on behind the last part that was written")
        return INTERRUPTED
    n, p = made.n_samples, made.n_features
    about = {
        "file": arguments.file,
        "folder": arguments.folder,
        "n_samples": n,
        "n_features": p,
        "stored": made.n_entries,
        "density": _fraction(made.n_entries, n * p),
        "dtype": made.dtype,
        "n_blocks": len(made.parts),
        "n_bytes": sum(part.bytes for part in made.parts),
        "seconds": time.perf_counter() - start,
    }
    if arguments.json:
        print(json.dumps(about, allow_nan=False))
    elif not arguments.quiet:
        rows = [
            ("file", arguments.file),
            ("folder", arguments.folder),
            ("X", f"{n:,} x {p:,}, {made.dtype}, {_density(about)}"),
            ("blocks", f"{about['n_blocks']:,} of {about['n_bytes']:,} bytes in all"),
            ("seconds", f"{about['seconds']:.3g}"),
        ]
        _print_rows(rows)
    return CONVERGED


# ---------------------------------------------------------------- compare


def _compare(arguments: argparse.Namespace) -> int:
    from l1fast.io import write_json, write_whole

    _check_strength(arguments)
    solvers = _solver_names(arguments.solvers)
    numbers, picture = _compare_outputs(arguments)
    data, read_seconds = _read(arguments)

    import l1fast

    finished: Comparison | None = None

    def progress(name: str, so_far: Comparison) -> None:
        nonlocal finished
        finished = so_far
        tell(f"{name}, {len(so_far) + 1} of {len(solvers)}")

    def tell(text: str) -> None:
        if not arguments.quiet:
            print(f"running {text}", file=sys.stderr, flush=True)

    with _one_line_warnings():
        X, lam_max, lam = _design_and_strength(data, arguments)
        tell("the reference")
        try:
            options = _options(arguments) | {"polish": arguments.polish}
            comparison = l1fast.compare(X, data.y, lam, solvers=solvers, on_progress=progress, **options)
        except KeyboardInterrupt:
            if finished and not (arguments.json or arguments.quiet):
                _print_comparison(data, finished, lam_max, [])
            raise
    report = _describe(data) | {"lam_max": lam_max, "lam_ratio": _fraction(lam, lam_max), "read_seconds": read_seconds}
    report |= comparison.as_dict()
    if numbers is not None:
        write_json(report, numbers)
    if picture is not None:
        figure = comparison.plot()[0].figure
        write_whole(picture, lambda stream: figure.savefig(stream, format="png", dpi=PICTURE_DPI))
    if arguments.json:
        print(json.dumps(report, allow_nan=False))
    elif not arguments.quiet:
        _print_comparison(data, comparison, lam_max, [path for path in (numbers, picture) if path is not None])
    return CONVERGED if any(row.status == "converged" for row in comparison) else NOT_TO_TOL


PICTURE_DPI = 150


def _solver_names(text: str | None) -> list[str]:
    """The names in --solvers, each known; all of them without it."""
    names = list(SOLVERS[1:]) if text is None else [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in SOLVERS:
            hint = _nearest(name, SOLVERS) or f"; there are {', '.join(SOLVERS)}"
            raise _UsageError(f"argument --solvers: {name!r} is not a solver{hint}")
    if not names:
        raise _UsageError(f"argument --solvers: give at least one of {', '.join(SOLVERS)}")
    return list(dict.fromkeys(names))


def _compare_outputs(arguments: argparse.Namespace) -> tuple[str | None, str | None]:
    """Where the numbers and the picture go, known to be possible before anything is read."""
    from l1fast.io import COMPRESSED_SUFFIXES, check_output

    if arguments.out is None and arguments.json:
        return None, None
    prefix = arguments.out
    if prefix is None:
        name = Path(arguments.file).name
        for suffix in COMPRESSED_SUFFIXES:
            name = name.removesuffix(suffix)
        prefix = f"{Path(name).stem}-compare"
    paths = [f"{prefix}.json", f"{prefix}.png"][: 1 if arguments.no_plot else 2]
    for path, suffix in zip(paths, (".json", ".png"), strict=False):
        check_output(path, (suffix,))
        if os.path.exists(path):
            if arguments.out is None:
                raise _UsageError(f"{path} is there already; --out {prefix} overwrites it, another name keeps it")
            if os.path.exists(arguments.file) and os.path.samefile(path, arguments.file):
                raise _UsageError(f"--out {prefix} would overwrite the input; choose another name")
    if arguments.no_plot:
        return paths[0], None
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        cure = 'pip install "l1fast[plot]", or add --no-plot'
        raise _UsageError(f"the plot needs matplotlib, which cannot be imported ({error}): {cure}") from None
    return paths[0], paths[1]


def _print_comparison(data: Dataset, comparison: Comparison, lam_max: float, written: list[str]) -> None:
    rows = [*_data_rows(data, _describe(data)), _lam_row(comparison.lam, lam_max)]
    rows += [("written", path) for path in written]
    _print_rows(rows)
    print(f"\n{comparison}")


# ---------------------------------------------------------------- bench


def _bench(arguments: argparse.Namespace) -> int:
    data, _ = _read(arguments)

    import l1fast
    from l1fast._baselines import numpy_fista, numpy_ista, relative_gap

    X, y, tol = data.X, data.y, arguments.tol
    threads = arguments.threads or 1
    lam_max = l1fast.lam_max(X, y)  # validates X before plain SciPy sees it
    lam = lam_max * (LAM_RATIO if arguments.lam_ratio is None else arguments.lam_ratio)
    limits = {"tol": tol, "time_limit": arguments.time_limit}
    contenders: dict[str, Callable[[], Any]] = {
        f"l1fast {name}": partial(l1fast.solve, X, y, lam, solver=name, n_threads=threads, **limits)
        for name in BENCH_SOLVERS
    }
    contenders["numpy fista"] = partial(numpy_fista, X, y, lam, max_iter=None, **limits)
    contenders["numpy ista"] = partial(numpy_ista, X, y, lam, max_iter=None, **limits)

    limited = _blas_threads(threads)
    rows = []
    with limited or nullcontext(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the status says what a ConvergenceWarning says
        for name, run in contenders.items():
            if not arguments.json and sys.stderr.isatty():
                print(f"running {name} ...", file=sys.stderr)
            outcome = _best(run)
            gap = relative_gap(X, y, outcome.coef, lam)
            rows.append({"solver": name, "reached": bool(gap <= tol), "seconds": outcome.seconds, "gap": gap})
    baseline = next(row["seconds"] for row in rows if row["solver"] == "numpy fista")
    for row in rows:
        row["speed_up"] = _fraction(baseline, row["seconds"])
    if arguments.json:
        report = _describe(data) | {"lam": lam, "lam_ratio": _fraction(lam, lam_max), "threads": threads}
        report |= {"blas_threads_set": limited is not None} | limits | {"contenders": [_finite(row) for row in rows]}
        print(json.dumps(report, allow_nan=False))
    else:
        _print_bench(data, lam, lam_max, threads, limited is not None, tol, rows)
    return CONVERGED if any(row["reached"] for row in rows if row["solver"].startswith("l1fast")) else NOT_TO_TOL


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}


def _best(run: Callable[[], Any]) -> Any:
    """The fastest of a few runs; of one, if it is slow."""
    outcome = run()
    for _ in range(BENCH_RUNS - 1):
        if outcome.seconds > BENCH_QUICK:
            break
        outcome = min(outcome, run(), key=lambda one: one.seconds)
    return outcome


def _blas_threads(threads: int) -> AbstractContextManager[Any] | None:
    """A context that holds the BLAS of NumPy at so many threads, if threadpoolctl is installed."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return None
    limit: AbstractContextManager[Any] = threadpool_limits(threads)
    return limit


def _print_bench(
    data: Dataset, lam: float, lam_max: float, threads: int, limited: bool, tol: float, rows: list[dict[str, Any]]
) -> None:
    about = _describe(data)
    print(f"file       {_printable(data.source)} ({data.format})")
    print(f"X          {about['n_samples']:,} x {about['n_features']:,}, {about['dtype']}, {_density(about)}")
    ratio = _fraction(lam, lam_max)
    print(f"lam        {lam:.6g}" + ("" if ratio is None else f" ({ratio:.4g} of lam_max)") + f", tol {tol:g}")
    blas = "" if limited else "; that of NumPy's BLAS as set outside (pip install threadpoolctl to set it here)"
    print(f"threads    {threads}{blas}\n")
    print(f"{'solver':<14}{'status':<13}{'seconds':>10}{'gap':>10}  against numpy fista")
    baseline_reached = next(row["reached"] for row in rows if row["solver"] == "numpy fista")
    for row in rows:
        status = "reached tol" if row["reached"] else "not reached"
        seconds = ("" if row["reached"] else ">") + f"{row['seconds']:.3g}"
        print(f"{row['solver']:<14}{status:<13}{seconds:>10}{row['gap']:>10.1e}  {_speed_up(row, baseline_reached)}")


def _speed_up(row: dict[str, Any], baseline_reached: bool) -> str:
    if not row["reached"] or row["speed_up"] is None:
        return "-"
    return ("" if baseline_reached else "more than ") + f"{row['speed_up']:.3g}x as fast"


# ---------------------------------------------------------------- info


def _info(arguments: argparse.Namespace) -> int:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from l1fast._threads import usable_cores
    from l1fast._validation import as_thread_count

    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    rows = [(package, installed(package)) for package in ("l1fast", "numpy", "scipy", "scikit-learn", "rich")]
    rows += [("python", platform.python_version()), ("platform", platform.platform()), ("cores", str(usable_cores()))]
    rows += [("threads", f"{as_thread_count(None)}, unless told otherwise")]
    for name, text in rows:
        print(f"{name:<13}{text}")
    return CONVERGED
