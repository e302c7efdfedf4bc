"""The verb compare: its table, its files, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import problems
import pytest

import l1fast
from l1fast import cli

COMMAND = [sys.executable, "-P", "-m", "l1fast"]  # -P: the installed package, whatever the working directory holds
HEED = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
FEW = ["--solvers", "cd,fista"]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A small problem as a file, in a folder of its own; the working directory is an empty one."""
    X, y = problems.make()
    (tmp_path / "data").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    np.savez(tmp_path / "data" / "small.v2.npz", X=X, y=y)
    return str(tmp_path / "data" / "small.v2.npz")


@pytest.fixture
def slow_file(file):
    """Columns so much alike that ISTA needs minutes."""
    rng = np.random.default_rng(0)
    path = os.path.join(os.path.dirname(file), "slow.npz")
    np.savez(path, X=np.cumsum(rng.standard_normal((200, 400)), axis=1), y=rng.standard_normal(200))
    return path


def strict(text):
    return json.loads(text, parse_constant=pytest.fail)


def test_the_report_and_its_files(file, capsys):
    pytest.importorskip("matplotlib")
    assert cli.main(["compare", file, "--lam-ratio", "0.05", "--tol", "1e-7", "--time-limit", "0.5"]) == 0
    printed = capsys.readouterr()
    assert sorted(os.listdir()) == ["small.v2-compare.json", "small.v2-compare.png"]
    with open("small.v2-compare.png", "rb") as picture:
        assert picture.read(8) == b"\x89PNG\r\n\x1a\n"
    with open("small.v2-compare.json", encoding="utf-8") as numbers:
        report = strict(numbers.read())
    names = [row["name"] for row in report["rows"]]
    assert {"cd", "homotopy", "fista", "ista"} <= set(names)
    assert printed.err.splitlines() == [
        "running the reference",
        *(f"running {name}, {k} of {len(names)}" for k, name in enumerate(names, 1)),
    ]
    X, y = problems.make()
    assert report["lam"] == pytest.approx(0.05 * abs(X.T @ y).max())
    assert (report["lam_ratio"], report["tol"], report["n_samples"]) == (pytest.approx(0.05), 1e-7, 60)
    rows = {row["name"]: row for row in report["rows"]}
    for name in ("cd", "homotopy", "fista"):
        assert rows[name]["status"] == "converged"
        assert rows[name]["dual_gap"] <= 1e-7
        assert (rows[name]["precision"], rows[name]["recall"]) == (1, 1)
        assert rows[name]["curve"]["dual_gap"][-1] == rows[name]["dual_gap"]
    table = printed.out.splitlines()
    for name in names:
        assert sum(line.startswith(f"{name} ") for line in table) == 1
    assert re.search(r"^written +small.v2-compare.png$", printed.out, re.MULTILINE)
    assert re.search(r"^X +60 x 24, float64, ", printed.out, re.MULTILINE)
    assert re.search(r"^lam +\S+ \(0.05 of lam_max ", printed.out, re.MULTILINE)


def test_nothing_is_overwritten_by_default(file, capsys):
    for name in ("small.v2-compare.json", "small.v2-compare.png"):
        with open(name, "w") as stream:
            stream.write("before")
        assert cli.main(["compare", file, *FEW]) == 2
        error = capsys.readouterr().err
        assert re.fullmatch(rf"l1fast: error: {name} is there already; --out small.v2-compare [^\n]+\n", error), error
        with open(name) as stream:
            assert stream.read() == "before"
        os.remove(name)
    assert os.listdir() == []


def test_out(file, capsys):
    pytest.importorskip("matplotlib")
    for _ in range(2):  # what is asked for by name is overwritten, as by the other verbs
        assert cli.main(["compare", file, *FEW, "--out", "run.1", "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")
        assert sorted(os.listdir()) == ["run.1.json", "run.1.png"]
    assert cli.main(["compare", file, *FEW, "--out", "none/run"]) == 2
    assert "there is no directory 'none'" in capsys.readouterr().err
    os.mkdir("taken.png")
    assert cli.main(["compare", file, *FEW, "--out", "taken"]) == 2
    assert "taken.png: is a directory" in capsys.readouterr().err


def test_an_input_is_not_overwritten(file, capsys):
    os.symlink(file, "numbers.json")
    assert cli.main(["compare", file, *FEW, "--out", "numbers"]) == 2
    assert "overwrite the input" in capsys.readouterr().err


def test_json_goes_to_stdout_and_to_no_file(file, capsys):
    arguments = ["--intercept", "--positive", "--l2", "0.5", "--lam", "3", "--threads", "2", "--solvers", "cd, auto,cd"]
    assert cli.main(["compare", file, *arguments, "--json"]) == 0
    report = strict(capsys.readouterr().out)
    assert os.listdir() == []
    assert [row["name"] for row in report["rows"]] == ["cd", "auto"]
    assert (report["lam"], report["n_threads"]) == (3, 2)
    X, y = problems.make()
    expected = l1fast.solve(X, y, 3.0, l2=0.5, fit_intercept=True, positive=True, tol=1e-10)
    assert report["reference"]["objective"] == pytest.approx(expected.objective)
    assert report["reference"]["nonzeros"] == len(expected.support)
    assert cli.main(["compare", file, *FEW, "--json", "--no-plot", "--out", "run"]) == 0
    with open("run.json", encoding="utf-8") as numbers:
        assert strict(numbers.read()) == strict(capsys.readouterr().out)
    assert os.listdir() == ["run.json"]


def test_without_matplotlib(file, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main(["compare", "missing.npz"]) == 2  # told before anything is read
    error = capsys.readouterr().err
    assert re.fullmatch(r"l1fast: error: the plot needs matplotlib, [^\n]+ or add --no-plot\n", error), error
    assert 'pip install "l1fast[plot]"' in error
    assert cli.main(["compare", file, *FEW, "--no-plot"]) == 0
    assert os.listdir() == ["small.v2-compare.json"]


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ("--solvers cd,fistta", "'fistta' is not a solver; did you mean fista?"),
        ("--solvers zzzzz", "'zzzzz' is not a solver; there are auto, cd, "),
        ("--solvers ,", "give at least one of auto, cd, "),
        ("--solver cd", "did you mean --solvers?"),
        ("--time-limit 0", "--time-limit: must be a number > 0"),
        ("--lam 1 --lam-ratio 1", "give one of them"),
        ("--top 3", "'--top'"),
    ],
)
def test_wrong_usage(file, capsys, arguments, fragment):
    assert cli.main(["compare", "missing.npz", *arguments.split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(r"l1fast: error: [^\n]+\n", printed.err), printed.err
    assert fragment in printed.err


def test_nobody_reaches_tol(slow_file, capsys):
    limits = ["--time-limit", "0.05", "--tol", "1e-14", "--lam-ratio", "1e-5"]
    assert cli.main(["compare", slow_file, "--solvers", "ista", *limits, "--no-plot"]) == 1
    assert re.search(r"^ista +- .* time limit$", capsys.readouterr().out, re.MULTILINE)
    with open("slow-compare.json", encoding="utf-8") as numbers:
        (row,) = strict(numbers.read())["rows"]
    assert (row["status"], row["seconds_to"][-1]) == ("time_limit", None)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupt_shows_what_is_done(slow_file):
    limits = ["--tol", "1e-12", "--lam-ratio", "1e-4", "--time-limit", "60"]
    heed = [sys.executable, "-c", HEED]  # a shell lets its background jobs, and what they start, ignore Ctrl-C
    process = subprocess.Popen(
        [*heed, *COMMAND, "compare", slow_file, "--solvers", "cd,ista", *limits, "--no-plot"],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        shown = [process.stderr.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=20)
    finally:
        process.kill()
    assert shown == ["running the reference\n", "running cd, 1 of 2\n", "running ista, 2 of 2\n"]
    assert (process.returncode, error) == (130, "l1fast: interrupted\n")
    assert re.search(r"^cd ", out, re.MULTILINE)
    assert not re.search(r"^ista ", out, re.MULTILINE)
    assert os.listdir() == []
