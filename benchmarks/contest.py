"""l1fast against its peers: seconds to a gap, to a path, and in passes over X.

Each peer works on each problem in a child process, which is killed when a solve takes too long. A peer climbs its
ladder of tolerances until the referee finds the gap asked for; the loosest setting that gets there is then timed again.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from time import perf_counter

import measure
import numpy as np
import peers
import problems
import tables
from peer_probe import PATH_LENGTH, PATH_RATIO

from l1fast._validation import as_design

OURS = "l1fast"
PATH_GAP = 1e-6  # of every strength of a path
START_LIMIT = 600.0  # seconds to import, load, convert and compile
JUDGE_LIMIT = 600.0  # seconds for the referee
FARTHEST = 1e4  # no gap lets the climb skip more rungs than this one: 1e-2 on the way to 1e-6
SLOW = 0.05  # a solve longer than this fraction of the time limit is slow: the climb then skips rungs


class Ended(Exception):
    """The solve failed, and perhaps the child with it; the message is the verdict."""


class Late(Ended):
    """The time limit passed."""


@dataclass
class Point:
    """A rung of the ladder: its median time, and the referee's word on the last answer."""

    setting: float
    seconds: float
    gap: float
    support: int
    all_seconds: list[float]


@dataclass
class Verdict:
    """What a peer did for one gap: the median time of the loosest setting that got there, or why there is none."""

    seconds: float | None
    text: str = ""
    why: str = ""  # without seconds: "late", "failed", or "short" where the strictest setting does not get there
    setting: float | None = None
    gap: float | None = None
    support: int | None = None
    all_seconds: list[float] = field(default_factory=list)

    def cell(self) -> str:
        return self.text if self.seconds is None else f"{self.seconds:.3g}"


class Child:
    """A peer on a problem, in a process that is started again after it had to be killed."""

    def __init__(self, peer: str, problem: str, threads: int, limit: float, *, path: bool) -> None:
        self.settings = {"peer": peer, "problem": problem, "threads": threads, "path": path}
        self.limit = limit
        self.process: subprocess.Popen | None = None
        self.facts: dict = {}

    def start(self) -> dict:
        """{"refused"} or {"version", "prepare", "first_call", "settings"}."""
        if self.process is None:
            command = [sys.executable, str(measure.HERE / "peer_probe.py"), json.dumps(self.settings)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            self.process = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
            self.lines: queue.Queue[str] = queue.Queue()
            self.errors: list[str] = []
            for work in (self._read_answers, self._read_errors):
                threading.Thread(target=work, args=(self.process,), daemon=True).start()
            self.facts = self._answer(START_LIMIT, "did not start")
        return self.facts

    def solve(self, r: float, setting: float, rounds: int, budget: float) -> Point:
        """Up to so many rounds of one setting, as long as they fit in the budget of seconds."""
        self.start()
        request = {"r": r, "setting": setting, "rounds": rounds, "budget": budget}
        with contextlib.suppress(BrokenPipeError):  # the missing answer tells
            print(json.dumps(request), file=self.process.stdin, flush=True)
        self._answer(START_LIMIT, "did not start")
        seconds = [self._answer(self.limit, f"> {self.limit:g}")["seconds"]]
        while "gap" not in (answer := self._answer(JUDGE_LIMIT, "could not be judged")):
            seconds.append(answer["seconds"])
        gap = answer["gap"] if math.isfinite(answer["gap"]) else math.inf
        return Point(setting, statistics.median(seconds), gap, answer["support"], seconds)

    def stop(self) -> None:
        """Kill the process and what it started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answer(self, limit: float, late: str) -> dict:
        try:
            line = self.lines.get(timeout=limit)
        except queue.Empty:
            self.stop()
            raise Late(late) from None
        if not line:
            code = self.process.wait()
            self.stop()
            last = " ".join("".join(self.errors).split()[-12:])
            raise Ended(f"crashed (signal {-code})" if code < 0 else f"ended: {last}")
        answer = json.loads(line)
        if "raised" in answer:
            raise Ended(answer["raised"][:80])
        return answer

    def _read_answers(self, process: subprocess.Popen) -> None:
        lines = self.lines
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    def _read_errors(self, process: subprocess.Popen) -> None:
        errors = self.errors
        for line in process.stderr:
            errors[:] = [*errors[-20:], line]


@dataclass
class Contender:
    """What one peer did on one problem: the points of its ladder and the verdicts, by strength and gap."""

    peer: str
    facts: dict = field(default_factory=dict)
    points: dict[float, list[Point]] = field(default_factory=dict)
    verdicts: dict[tuple[float, float], Verdict] = field(default_factory=dict)

    def cell(self, r: float, gap: float) -> str:
        return self.verdicts[r, gap].cell() if (r, gap) in self.verdicts else "-"

    def told(self, r: float, gap: float) -> dict:
        verdict = self.verdicts.get((r, gap), Verdict(None, self.facts.get("refused", "")))
        return {"r": r, "gap_wanted": gap} | asdict(verdict)

    def told_points(self) -> list[dict]:
        return [{"r": r} | asdict(point) for r, points in self.points.items() for point in points]


def contend(
    run: tables.Run, problem: str, peer: str, ratios: list[float], gaps: list[float], *, path: bool = False
) -> Contender:
    """Climb the ladder at every strength, from the strongest, and log it: a whole run takes hours.

    A path has one ladder, at the ratio of its last strength. A peer that runs out of time on the way to the first gap
    is not tried at weaker strengths, which are harder.
    """
    s, start = run.settings, perf_counter()
    child = Child(peer, problem, s.threads, s.time_limit, path=path)
    found = Contender(peer)
    hopeless = ""
    try:
        found.facts = child.start()
        for r in sorted(ratios, reverse=True) if "refused" not in found.facts else []:
            points = found.points.setdefault(r, [])
            for gap in sorted(gaps, reverse=True):
                verdict = Verdict(None, hopeless, "late") if hopeless else climb(child, r, gap, points, run.effort)
                found.verdicts[r, gap] = verdict
                if verdict.why == "late" and gap == max(gaps) and not hopeless:
                    hopeless = f"not tried: > {s.time_limit:g} at r = {r:g}"
    except Ended as reason:
        found.facts = {"refused": str(reason)}
    finally:
        child.stop()
    said = [v.cell() for v in found.verdicts.values()] or [found.facts.get("refused", "")]
    print(f"{problem} {peer}: {' | '.join(said)}  [{perf_counter() - start:.0f} s]", file=sys.stderr, flush=True)
    return found


def climb(child: Child, r: float, gap: float, points: list[Point], effort: tables.Effort) -> Verdict:
    """Go up from the last of points until the gap is reached, then time that setting again."""
    ladder = list(child.facts["settings"])
    rung = ladder.index(points[-1].setting) if points else -1
    ended, why = "", "short"
    while not (points and points[-1].gap <= gap):
        slow = points and points[-1].seconds > SLOW * child.limit
        rung += stride(points[-1].gap / gap) if slow else 1
        if rung >= len(ladder):
            break
        try:
            points.append(child.solve(r, ladder[rung], effort.rung_rounds, effort.rung_budget))
        except Ended as reason:
            ended, why = str(reason), "late" if isinstance(reason, Late) else "failed"
            break
    if not points or points[-1].gap > gap:
        best = f"best gap {min(point.gap for point in points):.0e}" if points else ""
        return Verdict(None, ", ".join(part for part in (ended, best) if part), why)
    reached = next(point for point in points if point.gap <= gap)
    with contextlib.suppress(Ended):  # then the times of the climb stand
        again = child.solve(r, reached.setting, effort.contest_rounds, effort.contest_budget)
        reached.seconds, reached.all_seconds = again.seconds, again.all_seconds
    return Verdict(reached.seconds, "", "", reached.setting, reached.gap, reached.support, reached.all_seconds)


def stride(ratio: float) -> int:
    """Rungs up to the first that may bring the gap down by ratio, which is at most a hundredfold a rung."""
    return max(1, math.floor(math.log10(min(ratio, FARTHEST)) / 2))


def contestants(run: tables.Run) -> Iterator[str]:
    """The names only: the children load what they work on."""
    chosen = run.settings.problems or (problems.SMOKE if run.settings.smoke else problems.CONTEST)
    for p in run.available(chosen):
        yield p.name


def everyone(run: tables.Run) -> list[str]:
    unknown = set(run.settings.peers or ()) - set(peers.ALL)
    if unknown:
        raise ValueError(f"unknown peers {', '.join(sorted(unknown))}; known: {', '.join(peers.ALL)}")
    return run.settings.peers or list(peers.ALL)


def time_to_gap(run: tables.Run, names: list[str]) -> list[tables.Table]:
    """The summary against the best peer, every peer's seconds a problem, and what a first call costs."""
    places = [(r, gap) for r in sorted(run.settings.ratios)[::-1] for gap in sorted(run.settings.gaps)[::-1]]
    summary = Summary("Seconds to a relative gap, against the best of all peers")
    firsts = First(names)
    whole = []
    for name in contestants(run):
        with run.guard(f"peers on {name}"):
            found = {peer: contend(run, name, peer, run.settings.ratios, run.settings.gaps) for peer in names}
            firsts.add(run, name, found)
            columns = [f"{r:g}, {gap:.0e}" for r, gap in places]
            table = tables.Table(f"{name}: seconds at r to a gap", ["peer", *columns])
            for peer, contender in found.items():
                row = {"problem": name, "peer": peer, "points": contender.told_points()}
                row["cells"] = [contender.told(*place) for place in places]
                table.add(row, peer, *(contender.cell(*place) for place in places))
            whole.append(table)
            for r, gap in places:
                summary.add(name, r, gap, {peer: c.verdicts.get((r, gap)) for peer, c in found.items()})
    return [summary.table(), *whole, firsts.table("solve")]


def paths(run: tables.Run, names: list[str]) -> list[tables.Table]:
    """The same for whole paths; the gap of a path is the largest of its gaps."""
    place = (PATH_RATIO, PATH_GAP)
    what = f"a path of {PATH_LENGTH} strengths down to {PATH_RATIO:g} lam_max, every gap at most {PATH_GAP:.0e}"
    summary = Summary(f"Seconds for {what}, against the best of all peers", path=True)
    firsts = First(names)
    rows: dict[str, dict] = {peer: {"peer": peer, "cells": [], "points": []} for peer in names}
    cells: dict[str, list[str]] = {peer: [] for peer in names}
    seen = []
    for name in contestants(run):
        with run.guard(f"paths on {name}"):
            found = {peer: contend(run, name, peer, [PATH_RATIO], [PATH_GAP], path=True) for peer in names}
            firsts.add(run, name, found)
            seen.append(name)
            for peer, contender in found.items():
                cells[peer].append(contender.cell(*place))
                rows[peer]["cells"].append({"problem": name} | contender.told(*place))
                rows[peer]["points"] += [{"problem": name} | point for point in contender.told_points()]
            summary.add(name, *place, {peer: c.verdicts.get(place) for peer, c in found.items()})
    whole = tables.Table("Seconds for the path, every peer", ["peer", *seen])
    for peer, row in rows.items():
        whole.add(row, peer, *cells[peer])
    return [summary.table(), whole, firsts.table("path")]


class Summary:
    """l1fast against the fastest of its peers, cell by cell."""

    def __init__(self, title: str, *, path: bool = False) -> None:
        self.title, self.path = title, path
        self.rows: list[dict] = []
        self.cells: list[list[str]] = []

    def add(self, problem: str, r: float, gap: float, verdicts: dict[str, Verdict | None]) -> None:
        there = {peer: v.seconds for peer, v in verdicts.items() if v is not None and v.seconds is not None}
        rivals = {peer: seconds for peer, seconds in there.items() if peer not in peers.OURS}
        best = min(rivals, key=rivals.__getitem__, default=None)
        ours = verdicts.get(OURS)
        ratio = rivals[best] / there[OURS] if best and OURS in there else None
        row = {"problem": problem, "r": r, "gap": gap, "path": self.path, OURS: there.get(OURS), "best": best}
        self.rows.append(row | {"best_seconds": rivals.get(best), "ratio": ratio})
        support = "-" if ours is None or ours.support is None else f"{ours.support:,}"
        told = ["-" if ours is None else ours.cell(), best or "none", f"{rivals[best]:.3g}" if best else "-"]
        self.cells.append([problem, f"{r:g}", f"{gap:.0e}", support, *told, f"{ratio:.2f}x" if ratio else "-"])

    def table(self) -> tables.Table:
        """The last row: the geometric mean of the ratios, and in how many cells a peer was faster."""
        headers = ["problem", "r", "gap", "support", OURS, "best peer", "seconds", f"best peer / {OURS}"]
        table = tables.Table(self.title, headers)
        for row, cells in zip(self.rows, self.cells, strict=True):
            table.add(row, *cells)
        ratios = [row["ratio"] for row in self.rows if row["ratio"] is not None]
        if ratios:
            mean = statistics.geometric_mean(ratios)
            lost = sum(row["best"] is not None and (row["ratio"] or 0) < 1 for row in self.rows)
            row = {"geometric_mean": mean, "cells": len(self.rows), "slower": lost}
            said = f"slower in {lost} of {len(self.rows)} cells"
            table.add(row, "geometric mean", "", "", "", said, "", "", f"{mean:.2f}x")
        return table


class First:
    """What is told once a peer: its version, its first call, its conversions, and the problems it refused."""

    def __init__(self, names: list[str]) -> None:
        self.facts: dict[str, list[dict]] = {name: [] for name in names}
        self.refusals: dict[str, dict[str, list[str]]] = {name: {} for name in names}

    def add(self, run: tables.Run, problem: str, found: dict[str, Contender]) -> None:
        """What raises in l1fast is a fault; in a smoke run also an adapter that does not bring its peer to the gap."""
        for name, contender in found.items():
            if "refused" in contender.facts:
                self.refusals[name].setdefault(contender.facts["refused"], []).append(problem)
                continue
            self.facts[name].append(contender.facts)
            wrong = ("failed", "short") if run.settings.smoke else ("failed",) if name in peers.OURS else ()
            for (r, gap), verdict in contender.verdicts.items():
                if verdict.why in wrong:
                    run.faults.append(f"{name} on {problem} at r = {r:g}, gap {gap:.0e}: {verdict.text}")

    def table(self, what: str) -> tables.Table:
        title = f"First {what}, conversions outside the clock, and refusals"
        table = tables.Table(title, ["peer", "version", f"first {what}", "longest conversion", "refused"])
        for name, facts in self.facts.items():
            version = facts[0]["version"] if facts else "-"
            first = statistics.median(f["first_call"] for f in facts) if facts else None
            longest = max((f["prepare"] for f in facts), default=None)
            row = {"peer": name, "version": version, "first_call": first, "longest_prepare": longest}
            refused = "; ".join(f"{', '.join(where)}: {why}" for why, where in self.refusals[name].items())
            times = ["-" if t is None else f"{t:.3g} s" for t in (first, longest)]
            table.add(row | {"refused": self.refusals[name]}, name, version, *times, refused)
        return table


def passes(run: tables.Run, summaries: list[dict]) -> tables.Table:
    """l1fast's seconds of every cell of the summaries over those of one pass by its own kernels."""
    headers = ["problem", "r", "gap", "one pass", OURS, "passes"]
    table = tables.Table(f"{OURS} in passes over X (one X w and one X'v)", headers)
    rows = [row for row in summaries if row.get(OURS)]
    for p in run.available(list(dict.fromkeys(row["problem"] for row in rows))):
        with run.guard(f"passes on {p.name}"):
            seconds = one_pass(p, run.effort.kernel_rounds)
            for row in (row for row in rows if row["problem"] == p.name):
                count = row[OURS] / seconds
                told = {key: row[key] for key in ("problem", "r", "gap", "path", OURS)}
                place = [p.name, "path" if row["path"] else f"{row['r']:g}", f"{row['gap']:.0e}"]
                times = [f"{1e3 * seconds:.3g} ms", f"{row[OURS]:.3g} s", f"{count:.3g}"]
                table.add(told | {"pass_seconds": seconds, "passes": count}, *place, *times)
    return table


def one_pass(p: problems.Problem, rounds: int) -> float:
    """The faster storage for each of the two products; medians of interleaved rounds, one thread."""
    design = as_design(p.X)
    w, v = np.ones(p.X.shape[1]), np.ones(p.X.shape[0])
    calls = {}
    for storage, stored in {"given": design, "columns": design.by_columns}.items():
        calls["apply", storage] = measure.clock(lambda stored=stored: stored.apply(w))
        calls["correlate", storage] = measure.clock(lambda stored=stored: stored.correlate(v))
    measure.interleaved(calls, rounds=1)
    medians = {key: statistics.median(taken) for key, taken in measure.interleaved(calls, rounds=rounds).items()}
    return sum(min(t for (verb, _), t in medians.items() if verb == wanted) for wanted in ("apply", "correlate"))
