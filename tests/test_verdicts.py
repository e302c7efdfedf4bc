"""Every way into the package gets, for every row of the table of required behaviour, what the row allows.

`verdicts` has the table, the cases and the judge, `verdict_entries` the ways in. A part of the cases is judged in every
run, everywhere; the rest nightly, but for the everyday cases of some entries, which are slow tests.
"""

import os

import pytest

if not hasattr(os, "fork"):
    pytest.skip("needs fork", allow_module_level=True)

import verdict_entries
import verdict_fakes
import verdicts
from verdicts import CASES, CRASH, HANG, HONEST, MUTATED, REFUSED, RIGHT, ROWS, UNCLEAR, WRONG

PENDING: set[tuple[str, str, str]] = set()
"""(row, entry, case) that fail today; each must go on failing until it is mended and taken off."""

EVERYWHERE = ("solve auto", "Lasso", "l1fast solve")
"""Entries on which the cases that need further packages are judged in every run."""

ENTRIES = {entry.name: entry for entry in verdict_entries.ENTRIES}


@pytest.fixture(scope="module")
def court():
    held = verdicts.Court("verdict_entries")
    yield held
    held.close()


@pytest.fixture(scope="module")
def everyday(court):
    """The failures of an entry in the everyday cases, by row: all from one process, as long as it lasts."""
    known = {}

    def of(entry):
        if entry.name not in known:
            chosen = [case for case in CASES if is_everyday(case, entry) and entry.takes_case(case)]
            known[entry.name] = failures(court, entry, chosen)
        return known[entry.name]

    return of


def is_everyday(case, entry):
    return case.core and (entry.name in EVERYWHERE or not case.late_import)


def failures(court, entry, cases):
    """{row: lines} of the verdicts that the row does not allow; a pending one that passes is a failure, too."""
    found = {}
    for case, verdict in zip(cases, court.verdicts(entry, cases), strict=True):
        pending = (case.row, entry.name, case.name) in PENDING
        if entry.passes(case, verdict) == pending:
            found.setdefault(case.row, []).append(f"{case.name}: {verdict}{' (no longer pending)' if pending else ''}")
    return found


QUICK = (
    *(
        "solve auto",
        "solve cd",
        "solve fista",
        "path",
        "compare",
        "solve_tasks",
        "lam_max",
        "soft_threshold",
        "penalties",
    ),
    *("Lasso", "MultiTaskLasso", "LassoCV", "predict", "read", "Result.load", "l1fast solve"),
)
"""Entries of each kind; the other entries are slow tests. One process judges all cases of an entry."""


def pairs(choose):
    return [
        pytest.param(entry, row, id=f"{entry.name}-{row}", marks=() if entry.name in QUICK else pytest.mark.slow)
        for entry in verdict_entries.ENTRIES
        for row in ROWS
        if any(choose(case, entry) and entry.takes_case(case) for case in verdicts.by_name(row))
    ]


@pytest.mark.parametrize(("entry", "row"), pairs(is_everyday))
def test_everyday_cases(entry, row, everyday):
    wrong = everyday(entry).get(row, [])
    assert not wrong, "\n".join([f"{entry.name}, {ROWS[row]}:", *wrong])


@pytest.mark.nightly
@pytest.mark.parametrize(("entry", "row"), pairs(lambda case, entry: not is_everyday(case, entry)))
def test_all_cases(entry, row, court):
    cases = [case for case in verdicts.by_name(row) if not is_everyday(case, entry) and entry.takes_case(case)]
    wrong = failures(court, entry, cases).get(row, [])
    assert not wrong, "\n".join([f"{entry.name}, {ROWS[row]}:", *wrong])


def test_the_quick_entries_are_entries():
    assert set(QUICK) <= {entry.name for entry in verdict_entries.ENTRIES}


def test_every_row_has_cases_and_every_entry_is_asked():
    assert {case.row for case in CASES} == set(ROWS)
    assert len({(case.row, case.name) for case in CASES}) == len(CASES)
    for entry in verdict_entries.ENTRIES:
        assert sum(map(entry.takes_case, CASES)) >= 10, entry.name
    for case in CASES:
        assert any(entry.takes_case(case) for entry in verdict_entries.ENTRIES), case


def test_pending_cases_are_cases():
    known = {
        (case.row, entry.name, case.name) for entry in ENTRIES.values() for case in CASES if entry.takes_case(case)
    }
    assert known >= PENDING


@pytest.mark.parametrize(
    ("name", "row", "case", "kind"),
    [
        ("sound", "layouts", "C", RIGHT),
        ("sound", "strengths", "2 lam_max", RIGHT),
        ("sound", "not finite", "nan in y, lam 2", REFUSED),
        ("wrong", "layouts", "C", WRONG),
        ("nearly right", "strengths", "2 lam_max", WRONG),
        ("no number", "layouts", "C", WRONG),
        ("another length", "layouts", "C", WRONG),
        ("untrue certificate", "layouts", "C", WRONG),
        ("modest", "layouts", "C", HONEST),
        ("takes anything", "not finite", "nan in y, lam 2", WRONG),
        ("crashing", "layouts", "C", CRASH),
        ("ending", "layouts", "C", CRASH),
        ("hanging", "layouts", "C", HANG),
        ("mutating", "layouts", "C", MUTATED),
        ("mutating and refusing", "not finite", "nan in y, lam 2", MUTATED),
        ("of another class", "not finite", "nan in y, lam 2", UNCLEAR),
        ("of few words", "not finite", "nan in y, lam 2", UNCLEAR),
        ("never the same", "repeats", "C", WRONG),
        ("deaf", "interrupt", "hard problem, F", WRONG),
    ],
)
def test_the_judge_can_fail(name, row, case, kind, fakes):
    entry = next(entry for entry in verdict_fakes.ENTRIES if entry.name == name)
    chosen = next(one for one in verdicts.by_name(row) if one.name == case)
    (verdict,) = fakes.verdicts(entry, [chosen])
    assert verdict.kind == kind, str(verdict)
    assert entry.passes(chosen, verdict) == (kind in (RIGHT, REFUSED))


def test_a_crash_does_not_end_the_others(fakes):
    entry = next(entry for entry in verdict_fakes.ENTRIES if entry.name == "crashing at times")
    cases = [case for case in verdicts.by_name("layouts") if case.name in ("C", "F", "C read-only")]
    assert [verdict.kind for verdict in fakes.verdicts(entry, cases)] == [RIGHT, CRASH, RIGHT]


@pytest.fixture(scope="module")
def fakes():
    held = verdicts.Court("verdict_fakes", seconds=8.0)
    yield held
    held.close()
