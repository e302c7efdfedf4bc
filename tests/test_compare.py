"""compare(): its numbers from the histories in plain Python, its answers before the referee, its printed forms."""

import importlib
import json
import math
import re
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import problems
import pytest
import referee
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import l1fast
from l1fast import _compare, _solvers
from l1fast._compare import best_so_far, reached, read_levels
from l1fast._solve import identified

LIMIT = 5.0  # seconds, for solvers that are done much earlier
SHORT = 0.3  # for all that there are
KNOWN = list(_solvers.SOLVERS)
FINE = ["cd", "fista", "homotopy"]


@pytest.fixture(scope="module")
def data():
    X, y = problems.make()
    return X, y, problems.strength(X, y)


@pytest.fixture(scope="module")
def comparison(data):
    return l1fast.compare(*data, solvers=[*FINE, l1fast.ISTA(step="lipschitz")], time_limit=LIMIT, tol=1e-9)


@pytest.fixture(scope="module")
def mixed():
    """One that converges, one that does not, one that refuses."""
    rng = np.random.default_rng(0)
    X, y = np.cumsum(rng.standard_normal((80, 160)), axis=1), rng.standard_normal(80)
    weights = np.r_[0.0, np.ones(159)]
    lam = 1e-4 * l1fast.lam_max(X, y)
    return l1fast.compare(
        X, y, lam, solvers=["ista", "homotopy", "cd"], time_limit=0.3, tol=1e-8, penalty_weights=weights
    )


def strict(report):
    return json.loads(json.dumps(report, allow_nan=False), parse_constant=pytest.fail)


# ---------------------------------------------------------------- numbers


def test_the_numbers_come_from_the_histories(comparison):
    assert comparison.levels == (1e-2, 1e-4, 1e-6, 1e-8, 1e-9)
    assert [row.name for row in comparison] == ["cd", "fista", "homotopy", "ista(step='lipschitz')"]
    for row in comparison:
        result, history = row.result, row.result.history
        assert (row.seconds, row.passes, row.n_iter) == (result.seconds, result.n_passes, result.n_iter)
        assert (row.dual_gap, row.status) == (result.dual_gap, result.status.name.lower())
        assert row.nonzeros == sum(w != 0 for w in result.coef.tolist())
        checks = [*zip(*(getattr(history, n).tolist() for n in ("seconds", "passes", "dual_gap")), strict=True)]
        checks.append((result.seconds, result.n_passes, result.dual_gap))
        for k, level in enumerate(comparison.levels):
            first = next(((s, p) for s, p, gap in checks if gap <= level), (None, None))
            assert (row.seconds_to[k], row.passes_to[k]) == first
        times = [t for t in row.seconds_to if t is not None]
        assert times == sorted(times)


def test_the_curve_falls_and_ends_with_the_certificate(comparison, mixed):
    for row in (*comparison, *mixed):
        seconds, passes, gap = row.curve
        assert len(seconds) == len(passes) == len(gap)
        if row.result is None:
            assert len(gap) == 0
            continue
        assert (np.diff(gap[:-1]) < 0).all()
        assert (np.diff(seconds) >= 0).all() and (np.diff(passes) >= 0).all()
        assert (seconds[-1], passes[-1], gap[-1]) == (row.seconds, row.passes, row.dual_gap)


GAPS = [math.nan, math.inf, 3.0, 1.0, 0.1, 1e-3, 1e-5, 1e-9, 1e-12, 0.0]


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from([math.nan, math.inf, 0.0]) | st.floats(1e-12, 10)), max_size=30
    ),
    st.floats(0, 10),
)
def test_best_so_far_against_plain_python(checks, final):
    times = np.cumsum([step for step, _ in checks] or [0.0])[: len(checks)]
    gaps = [gap for _, gap in checks]
    end = float(times[-1] if len(times) else 0.0)
    history = SimpleNamespace(seconds=times, passes=2 * times, dual_gap=np.array(gaps))
    curve = best_so_far(SimpleNamespace(history=history, seconds=end, n_passes=2 * end, dual_gap=final))
    levels = (1.0, 1e-3, 1e-9)
    seconds, passes = reached(curve, levels)
    for k, level in enumerate(levels):
        expected = None
        if final <= level:  # else the certificate does not confirm what the checks saw
            expected = next((float(t) for t, gap in zip(times, gaps, strict=True) if gap <= level), end)
        assert seconds[k] == expected
        assert passes[k] == (None if expected is None else 2 * expected)


def test_levels():
    assert read_levels(None, 1e-6) == (1e-2, 1e-4, 1e-6)
    assert read_levels(None, 3e-5) == (1e-2, 1e-4, 3e-5)
    assert read_levels(None, 0.5) == (0.5,)
    assert read_levels(None, 0.0) == (1e-2, 1e-4, 1e-6, 1e-8, 1e-10)
    assert read_levels([1e-6, 0.1, 0.1], 1e-6) == (0.1, 1e-6)
    with pytest.raises(ValueError, match="stop at tol 1e-06"):
        read_levels([1e-2, 1e-7], 1e-6)
    with pytest.raises(ValueError, match="empty"):
        read_levels([], 1e-6)
    with pytest.raises(ValueError, match="levels has 0"):
        read_levels([0.0], 0.0)
    with pytest.raises(TypeError, match=r"levels\[1\]"):
        read_levels([0.1, "x"], 0.0)


@pytest.mark.parametrize("option", ["plain", "l2", "bounds", "free columns+bounds+intercept", "all"])
def test_the_referee_confirms_every_row(option):
    X, y = problems.make()
    options, lam = problems.options(option, *X.shape), problems.strength(X, y)
    before = problems.fingerprint(X, y, *options.values())
    found = l1fast.compare(X, y, lam, solvers=KNOWN, time_limit=SHORT, tol=1e-7, **options)
    assert problems.fingerprint(X, y, *options.values()) == before
    judge = referee.Problem(X, y, lam, **options)
    reference = found.reference
    assert reference.converged
    referee.check(reference, X, y, lam, **options)
    least = judge.objective(reference.coef, reference.intercept)
    for row in found:
        if row.status == "refused":
            assert row.name not in ("cd", "fista", "ista") and option not in ("plain", "l2")
            assert row.note
            continue
        referee.check(row.result, X, y, lam, **options)
        excess = (judge.objective(row.result.coef, row.result.intercept) - least) / judge.scale()
        assert row.excess == pytest.approx(float(excess), abs=1e-13)
        assert -reference.dual_gap - 1e-13 <= row.excess <= row.dual_gap + 1e-13
        if row.status == "converged":
            assert row.seconds_to[-1] is not None


# ---------------------------------------------------------------- support


@pytest.mark.parametrize("option", ["plain", "l2", "positive", "bounds", "penalty_weights", "free columns", "all"])
def test_the_support_found_is_that_of_the_best_step_along_each_coordinate(option):
    X, y = problems.make()
    options, lam = problems.options(option, *X.shape), problems.strength(X, y)
    judge = referee.Problem(X, y, lam, **options)
    problem = made_problem(X, y, lam, options)
    rng = np.random.default_rng(1)
    base = l1fast.solve(X, y, lam, tol=1e-10, **options).coef
    for size in (1e-9, 1e-3, 1.0):
        w = np.clip(base + size * rng.standard_normal(len(base)), judge.lower, judge.upper).astype(float)
        w[::5] = 0.0
        expected = []
        q = judge.s * judge.residual(w, judge.best_intercept(w))
        for j, x in enumerate(judge.X.T):
            if judge.fit_intercept:
                x = x - judge.s @ x / judge.s.sum()
            square = judge.s @ x**2
            best = square * w[j] + x @ q
            step = np.sign(best) * max(abs(best) - lam * judge.v[j], 0) / (square + judge.l2 * judge.v[j])
            expected += [j] * bool(w[j] and np.clip(step, judge.lower[j], judge.upper[j]))
        assert shown(problem, w).tolist() == expected


def shown(problem, w):
    return identified(problem, problem.at(w))


def made_problem(X, y, lam, options):
    return _compare._problem(X, y, lam, options, 1)


def test_an_answer_without_exact_zeros_still_tells_its_support(data):
    truth = l1fast.solve(*data, tol=1e-12)
    smooth = truth.coef + 1e-7 * np.random.default_rng(0).standard_normal(len(truth.coef))
    assert 0 < len(truth.support) < np.count_nonzero(smooth) == len(smooth)
    np.testing.assert_array_equal(shown(made_problem(*data, {}), smooth), truth.support)


def test_precision_and_recall(data, mixed):
    loose = l1fast.compare(*data, solvers=[*FINE, "ista"], time_limit=LIMIT, tol=0.03, max_iter=20)
    problem, truth = made_problem(*data, {}), set(loose.reference.support.tolist())
    assert truth
    for row in loose:
        found = set(shown(problem, row.result.coef).tolist())
        assert found <= set(row.result.support.tolist())
        assert row.precision == len(found & truth) / len(found)
        assert row.recall == len(found & truth) / len(truth)
    for row in l1fast.compare(*data, solvers=FINE, time_limit=LIMIT, tol=1e-10):
        assert (row.precision, row.recall) == (1.0, 1.0)
    X, y, _ = data
    nothing = l1fast.compare(X, y, l1fast.lam_max(X, y), solvers=FINE, time_limit=LIMIT)
    assert [(row.nonzeros, row.precision, row.recall) for row in nothing] == [(0, 1.0, 1.0)] * len(FINE)
    (row,) = l1fast.compare(*data, solvers=["fista"], time_limit=LIMIT, max_iter=0)
    assert (row.nonzeros, row.precision, row.recall, row.status) == (0, 1.0, 0.0, "iteration_limit")


# ---------------------------------------------------------------- solvers, options, limits


def test_every_known_solver_takes_part_by_default(data, monkeypatch):
    @dataclass(frozen=True)
    class Late(l1fast.FISTA):
        name: ClassVar[str] = "late"

    monkeypatch.setitem(_solvers.SOLVERS, "late", Late)
    found = l1fast.compare(*data, time_limit=SHORT, tol=1e-3)
    assert [row.name for row in found] == [*KNOWN, "late"]
    assert found["late"].solver.endswith("Late(step='backtracking', restart=True)")
    assert found["late"].result.solver == "late"


def test_a_solver_that_refuses_gets_a_row(mixed):
    row = mixed["homotopy"]
    assert (row.status, row.result, row.seconds_to, row.dual_gap) == ("refused", None, (), None)
    assert "penalty_weights > 0" in row.note
    assert mixed["cd"].status == "converged"
    assert mixed.ranked[-1] is row
    assert mixed.fastest[-1] is mixed["cd"]


def test_a_solver_that_runs_out_of_memory_gets_a_row(data):
    @dataclass(frozen=True)
    class Greedy(l1fast.ISTA):
        def run(self, *arguments):
            raise MemoryError("1 EB")

    found = l1fast.compare(*data, solvers={"greedy": Greedy(), "cd": "cd"}, time_limit=LIMIT)
    assert found["greedy"].note == "not enough memory (1 EB)"
    assert found["cd"].status == "converged"


def test_a_solver_that_would_take_too_much_memory_is_not_started(data):
    X, y, lam = data
    needed = 8 * (24 * 60 + 2 * 24**2)  # all columns, and two factors of them
    for limit, status in ((needed - 1, "refused"), (needed, "converged")):
        found = l1fast.compare(X, y, lam, solvers=FINE, time_limit=LIMIT, memory_limit=limit)
        assert [row.status for row in found] == ["converged", "converged", status]
    with_l2 = l1fast.compare(X.T, X[0], lam, solvers=["homotopy"], time_limit=LIMIT, memory_limit=0, l2=1.0)
    assert with_l2["homotopy"].note.startswith(f"it may take {8 * (60 * 24 + 2 * 60**2):,} bytes, more than 0;")
    X = sp.random_array((30_000, 30_000), density=1e-5, rng=np.random.default_rng(0))
    found = l1fast.compare(X, X @ np.ones(30_000), 1.0, solvers=["homotopy"], time_limit=LIMIT)
    assert found["homotopy"].note.startswith("it may take 21,600,000,000 bytes, more than 1,000,000,000")


def test_a_fault_of_a_solver_is_not_hidden(data):
    @dataclass(frozen=True)
    class Broken(l1fast.ISTA):
        def run(self, *arguments):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        l1fast.compare(*data, solvers=[Broken()], time_limit=LIMIT)


def test_labels(data):
    solvers = ["auto", "fista", l1fast.FISTA(restart=False), l1fast.CD(gram_limit=0)]
    found = l1fast.compare(*data, solvers=solvers, time_limit=LIMIT, tol=1e-3)
    assert [row.name for row in found] == ["auto", "fista", "fista(restart=False)", "cd(gram_limit=0)"]
    assert found["auto"].solver == "auto"
    named = l1fast.compare(*data, solvers={"a": "cd", "b": l1fast.CD()}, time_limit=LIMIT, tol=1e-3)
    assert [row.name for row in named] == ["a", "b"]
    assert [row.name for row in l1fast.compare(*data, solvers="cd", time_limit=LIMIT)] == ["cd"]
    assert len(named) == 2
    with pytest.raises(KeyError, match="there are a, b"):
        named["c"]


@pytest.mark.parametrize(
    ("changed", "error", "fragment"),
    [
        ({"solvers": ["cd", "cdd"]}, ValueError, "'cdd'"),
        ({"solvers": {"x": 3}}, ValueError, "solver is 3"),
        ({"solvers": []}, ValueError, "empty"),
        ({"solvers": ["cd", l1fast.CD()]}, ValueError, "two solvers are called 'cd'"),
        ({"tolerance": 1e-3}, TypeError, "'tolerance'"),
        ({"fit_intercpt": True}, TypeError, "did you mean fit_intercept"),
        ({"callback": print}, TypeError, "'callback'"),
        ({"time_limit": None}, TypeError, "time_limit"),
        ({"tol": -1}, ValueError, "tol"),
        ({"on_progress": 1}, TypeError, "on_progress"),
        ({"penalty_weights": [-1.0] * 24}, ValueError, "penalty_weights"),
        ({"y": [1.0]}, ValueError, "y has shape"),
        ({"max_iter": -1}, ValueError, "max_iter"),
        ({"start": [1.0]}, ValueError, "start"),
    ],
)
def test_wrong_arguments(data, changed, error, fragment):
    X, y, lam = data
    arguments = {"y": y, "solvers": ["cd"], "time_limit": LIMIT} | changed
    with pytest.raises(error, match=re.escape(fragment)):
        l1fast.compare(X, arguments.pop("y"), lam, **arguments)


def test_a_start_and_the_limits_reach_the_solvers(data):
    truth = l1fast.solve(*data, tol=1e-12)
    for row in l1fast.compare(*data, solvers=["cd", "fista"], time_limit=LIMIT, start=truth, max_iter=3):
        assert (row.status, len(row.result.history)) == ("converged", 1)
    found = l1fast.compare(*data, solvers=["ista"], time_limit=LIMIT, tol=1e-12, max_iter=3, n_threads=2)
    assert (found["ista"].n_iter, found["ista"].status, found.n_threads) == (3, "iteration_limit", 2)


def test_a_time_limit_ends_a_solver(mixed):
    row = mixed["ista"]
    assert (row.status, row.note) == ("time_limit", l1fast.Status.TIME_LIMIT.value)
    assert row.seconds >= mixed.time_limit
    assert row.seconds_to[-1] is None and row.passes_to[-1] is None
    assert row.dual_gap > 1e-8


def test_short_runs_are_repeated_and_long_ones_are_not(data, monkeypatch):
    calls = []

    def counted(*arguments, **options):
        calls.append(options["solver"])
        return l1fast.solve(*arguments, **options)

    monkeypatch.setattr(_compare, "solve", counted)
    monkeypatch.setattr(_compare, "_warm_up", lambda solver: None)
    monkeypatch.setattr(_compare, "QUICK", math.inf)
    l1fast.compare(*data, solvers=["fista"], time_limit=LIMIT)
    assert calls == ["cd", "fista", "fista", "fista"]
    monkeypatch.setattr(_compare, "QUICK", 0.0)
    l1fast.compare(*data, solvers=["fista"], time_limit=LIMIT)
    assert calls[4:] == ["cd", "fista"]


@pytest.mark.parametrize("kind", [sp.coo_array, sp.csc_array, np.asfortranarray, np.ndarray.tolist])
def test_storages(data, comparison, kind):
    X, y, lam = data
    found = l1fast.compare(kind(X), y, lam, solvers=["cd", "ista"], time_limit=LIMIT, tol=1e-9)
    assert found.storage.startswith("sparse float64, CS" if kind in (sp.coo_array, sp.csc_array) else "dense float64, ")
    for row in found:
        np.testing.assert_allclose(row.result.coef, comparison["cd"].result.coef, atol=1e-3)
        if kind is sp.coo_array:
            assert "COO" in row.result.conversion


def test_nothing_to_fit(data):
    X, y, lam = data
    found = l1fast.compare(X, 0 * y, lam, time_limit=LIMIT)
    assert {(row.status, row.dual_gap, row.nonzeros) for row in found} == {("converged", 0.0, 0)}
    strict(found.as_dict())
    assert repr(found)
    found.plot()


def test_progress_and_stopping(data):
    seen = []

    def progress(name, so_far):
        seen.append((name, [row.name for row in so_far]))
        return name == "homotopy"

    found = l1fast.compare(*data, solvers=FINE, time_limit=LIMIT, on_progress=progress)
    assert seen == [("cd", []), ("fista", ["cd"]), ("homotopy", ["cd", "fista"])]
    assert [row.name for row in found] == ["cd", "fista"]

    def interrupt(name, so_far):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        l1fast.compare(*data, solvers=FINE, time_limit=LIMIT, on_progress=interrupt)


def test_a_reference_that_fell_short_is_told(data, monkeypatch):
    monkeypatch.setattr(_compare, "REFERENCE_SECONDS", 0.0)
    found = l1fast.compare(*data, solvers=["ista"], time_limit=0.0, tol=1e-9)
    assert not found.reference.converged
    assert "short of its tol" in repr(found)
    assert found.as_dict()["reference"]["converged"] is False


# ---------------------------------------------------------------- forms


def test_the_table(comparison, mixed):
    text = repr(comparison)
    lines = text.splitlines()
    assert lines[0].startswith("Comparison: 60 x 24, dense float64, C order; lam ")
    head = next(k for k, line in enumerate(lines) if line.startswith("solver "))
    body = lines[head + 1 : head + 5]
    assert lines[head].split()[:7] == ["solver", "1e-2", "1e-4", "1e-6", "1e-8", "1e-9", "ms"]
    assert " ms to gap " in lines[head - 1]
    assert [line.split()[0] for line in body] == [row.name for row in comparison.ranked]
    assert len({line.rindex("converged") for line in body}) == 1
    for k, level in enumerate(comparison.levels):
        starred = [line.split()[0] for line in body if line.split()[1 + k].endswith("*")]
        assert starred == [comparison.fastest[k].name], level
        quickest = min(row.seconds_to[k] for row in comparison)
        assert comparison.fastest[k].seconds_to[k] == quickest
    for line, row in zip(body, comparison.ranked, strict=True):
        shown = [float(cell.rstrip("*")) / 1e3 for cell in line.split()[1:6]]
        assert shown == pytest.approx(row.seconds_to, rel=0.01)
    times = [row.seconds_to[-1] for row in comparison.ranked]
    assert times == sorted(times)
    rows = {line.split()[0]: line for line in repr(mixed).splitlines() if line}
    assert re.search(r" - .*time limit$", rows["ista"])
    assert "refused: homotopy needs" in rows["homotopy"]
    steps = lines[head].split().index("steps")
    assert [line.split()[steps] for line in body] == [f"{row.n_iter:,}" for row in comparison.ranked]
    assert max(map(len, text.splitlines())) <= 150  # what a wide terminal shows


def test_the_table_for_notebooks(mixed):
    from html.parser import HTMLParser

    class Cells(HTMLParser):
        def __init__(self):
            super().__init__()
            self.rows, self.open = [], []

        def handle_starttag(self, tag, attributes):
            if tag == "br":
                return
            self.open.append(tag)
            span = int(dict(attributes).get("colspan", 1))
            if tag == "tr":
                self.rows.append(0)
            elif tag in ("td", "th"):
                self.rows[-1] += span

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    cells = Cells()
    cells.feed(mixed._repr_html_())
    assert cells.open == []
    assert len(cells.rows) == 5
    assert len(set(cells.rows)) == 1
    assert "<b>" in mixed._repr_html_()


def test_the_dictionary_is_json(comparison, mixed):
    for found in (comparison, mixed):
        report = strict(found.as_dict())
        assert report["levels"] == list(found.levels)
        assert (report["lam"], report["tol"], report["time_limit"]) == (found.lam, found.tol, found.time_limit)
        assert report["reference"]["nonzeros"] == len(found.reference.support)
        for one, row in zip(report["rows"], found, strict=True):
            for name in ("name", "status", "note", "seconds", "passes", "n_iter", "dual_gap", "excess", "nonzeros"):
                assert one[name] == getattr(row, name)
            assert one["seconds_to"] == list(row.seconds_to)
            assert one["passes_to"] == list(row.passes_to)
            assert one["objective"] == (None if row.result is None else row.result.objective)
            assert len({len(part) for part in one["curve"].values()}) == 1
            if row.result is not None:
                assert one["curve"]["dual_gap"][-1] == row.dual_gap


def test_a_long_curve_is_thinned():
    gap = np.exp(-(np.linspace(0, 20, 100_001) ** 1.5) / 5)
    checks = {name: np.arange(float(len(gap))) for name in ("seconds", "passes")}
    history = SimpleNamespace(dual_gap=gap, **checks)
    result = SimpleNamespace(
        history=history, seconds=1e6, n_passes=1e6, dual_gap=float(gap[-1]), objective=math.inf, status=None
    )
    row = _compare.ComparisonRow("x", "x", "converged", "", result, excess=math.nan)
    report = strict(_compare._row_as_dict(row))
    assert (report["objective"], report["excess"]) == (None, None)
    kept = np.array(report["curve"]["dual_gap"])
    assert 200 <= len(kept) <= _compare.CURVE_POINTS
    assert (kept[0], kept[-1]) == (gap[0], gap[-1])
    steps = -np.diff(np.log(kept))
    assert steps.min() > 0 or steps[:-1].min() > 0
    assert steps.max() < 3 * np.log(gap[0] / gap[-1]) / _compare.CURVE_POINTS
    seconds = np.array(report["curve"]["seconds"][:-1]).astype(int)
    np.testing.assert_array_equal(gap[seconds], kept[:-1])


def test_pandas(comparison, mixed):
    pytest.importorskip("pandas")
    for found in (comparison, mixed):
        frame = found.to_pandas()
        assert frame.index.tolist() == [row.name for row in found]
        for row in found:
            line = frame.loc[row.name]
            assert line["status"] == row.status
            if row.result is None:
                assert math.isnan(line["seconds to 1e-2"]) and frame["nonzeros"].isna()[row.name]
                continue
            assert (line["n_iter"], line["nonzeros"], line["dual_gap"]) == (row.n_iter, row.nonzeros, row.dual_gap)
            for unit in ("seconds", "passes"):
                for level, value in zip(("1e-2", "1e-4", "1e-6", "1e-8"), getattr(row, f"{unit}_to"), strict=False):
                    shown = line[f"{unit} to {level}"]
                    assert math.isnan(shown) if value is None else shown == value


def test_without_pandas(comparison, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="needs pandas: pip install pandas"):
        comparison.to_pandas()


# ---------------------------------------------------------------- plot


def test_the_plot(comparison, mixed):
    pytest.importorskip("matplotlib")
    for found in (comparison, mixed):
        panels = found.plot()
        assert [ax.get_xlabel() for ax in panels] == ["seconds", "passes over X"]
        labels = panels[-1].get_legend_handles_labels()[1]
        solved = [row for row in found.ranked if row.result is not None]
        assert [label.split(" (")[0] for label in labels] == [row.name for row in solved]
        for ax, unit in zip(panels, ("seconds", "passes"), strict=True):
            assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
            curves = [line for line in ax.get_lines() if line.get_drawstyle() == "steps-post"]
            for line, row in zip(curves, solved, strict=True):
                np.testing.assert_array_equal(line.get_xdata(), getattr(row.curve, unit))
                np.testing.assert_allclose(line.get_ydata(), np.maximum(row.curve.dual_gap, 2.0**-52), rtol=1e-12)
                marked = line.get_ydata()[line.get_markevery()]
                levels = [level for level, t in zip(found.levels, row.seconds_to, strict=True) if t is not None]
                assert (marked <= np.array(levels) * (1 + 1e-12)).all()
            assert any(np.all(line.get_ydata() == found.tol) for line in ax.get_lines())
            looks = {(line.get_color(), line.get_marker()) for line in curves}
            assert len(looks) == len(curves)
        panels[0].figure.draw_without_rendering()
    open_ends = [line for line in panels[0].get_lines() if line.get_markerfacecolor() == "none"]
    assert {line.get_color() for line in open_ends if line.get_linestyle() == "None"} == {"C0"}


def test_one_panel_and_given_axes(comparison):
    pytest.importorskip("matplotlib")
    figure = importlib.import_module("matplotlib.figure").Figure()
    ax = figure.add_subplot()
    assert comparison.plot(against="passes", axes=[ax]) == [ax]
    assert ax.get_xlabel() == "passes over X"
    (ax,) = comparison.plot(against="seconds")
    assert ax.get_xlabel() == "seconds"
    with pytest.raises(ValueError, match="choose 'seconds', 'passes' or None"):
        comparison.plot(against="iterations")
    with pytest.raises(ValueError, match="must hold 2 axes"):
        comparison.plot(axes=[ax])


def test_without_matplotlib(comparison, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"l1fast\[plot\]"):
        comparison.plot()
