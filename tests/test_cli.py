"""The command line: what it prints, what it writes, and how it ends."""

import importlib.metadata
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import referee
import scipy.sparse as sp

import l1fast
from l1fast import _baselines, cli

EXAMPLE = Path(__file__).parents[1] / "examples" / "data" / "debian-words.npz"
COMMAND = [sys.executable, "-P", "-m", "l1fast"]  # -P: the installed package, whatever the working directory holds
NAMES = ["height", "größe", "tab\tbed", "\x1b[31mred", *(f"column {j}" for j in range(4, 20))]
SLOW = ("--solver", "ista", "--tol", "1e-14", "--lam-ratio", "1e-5", "--max-iter", "100000000")
TIMED = ("--time-limit", 1.5)
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """A data set of 50 x 20 with names, as a file."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((50, 20)) * (rng.random((50, 20)) < 0.6)
    y = X[:, 1] * 3 - X[:, 3] * 2 + 0.1 * rng.standard_normal(50) + 1
    path = tmp_path_factory.mktemp("data") / "small.npz"
    matrix = sp.csr_array(X)
    arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": matrix.shape, "y": y}
    np.savez(path, **arrays, feature_names="\n".join(NAMES).encode())
    return path, X, y


@pytest.fixture(scope="module")
def slow_problem(tmp_path_factory):
    """Columns so much alike that ISTA needs minutes."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "slow.npz"
    np.savez(path, X=np.cumsum(rng.standard_normal((200, 400)), axis=1), y=rng.standard_normal(200))
    return path


def run(*arguments, cwd, **options):
    """The command in a process of its own."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True, timeout=60, **options)


HEED = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"


def start(*arguments, cwd, **options):
    """Heeding Ctrl-C: a shell lets its background jobs, and what they start, ignore it."""
    heed = [sys.executable, "-c", HEED] if os.name == "posix" else []
    return subprocess.Popen([*heed, *COMMAND, *map(str, arguments)], cwd=cwd, text=True, **options)


def on_a_terminal(*arguments, cwd):
    """What the command shows on a terminal that is its stderr, its stdout, and its exit code."""
    pytest.importorskip("rich")
    import pty

    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm"}
    process = start(*arguments, cwd=cwd, stdout=subprocess.PIPE, stderr=slave, env=environment)
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 1 << 16):
            shown += chunk
    except OSError:  # Linux tells the end of a terminal so
        pass
    finally:
        os.close(master)
    out = process.communicate(timeout=20)[0]
    return shown, out, process.returncode


def one_line(error, *fragments):
    """Whether stderr is one line of the command, with all fragments."""
    assert re.fullmatch(r"l1fast: (error|warning): [^\n]+\n", error), error
    assert all(fragment in error for fragment in fragments), error


# ---------------------------------------------------------------- solve


def test_report(problem, tmp_path):
    path, X, y = problem
    done = run("solve", path, "--lam", 3, "--top", 2, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    expected = l1fast.solve(X, y, 3.0)
    rows = dict(re.findall(r"^(\S.*?)  +(.*)$", done.stdout, re.MULTILINE))
    assert rows["X"].startswith("50 x 20, float64, ")
    assert float(rows["lam"].split()[0]) == 3
    assert float(rows["objective"]) == pytest.approx(expected.objective, rel=1e-6)
    assert float(rows["dual gap"].split()[0]) <= 1e-6
    assert rows["status"].startswith("converged")
    assert rows["support"] == f"{len(expected.support)} of 20 features"
    work = re.fullmatch(r"\w+, [\d,]+ iterations, [\d,]+ epochs, ([\d.]+) passes; .+", rows["solver"])
    assert float(work[1]) == pytest.approx(l1fast.solve(sp.csr_array(X), y, 3.0).n_passes, rel=0.01)
    for name in ("file", "violation", "solver", "seconds"):
        assert rows[name]
    strongest = np.argsort(-abs(expected.coef))[:2]
    assert strongest.tolist() == [1, 3]
    table = done.stdout.split("coefficient\n")[1].splitlines()
    assert table[0].startswith("größe ")
    assert "  +" in table[0]
    assert table[1].startswith(r"\x1b[31mred  -")  # a name cannot steer the terminal
    assert len({line.rindex("  ") for line in table}) == 1
    assert "\x1b" not in done.stdout


def test_json(problem, tmp_path):
    path, X, y = problem
    done = run("solve", path, "--json", "--intercept", "--l2", "0.5", "--positive", "--lam-ratio", "0.1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    lam_max = l1fast.lam_max(X, y, fit_intercept=True, positive=True)
    expected = l1fast.solve(X, y, 0.1 * lam_max, l2=0.5, fit_intercept=True, positive=True)
    assert (found["n_samples"], found["n_features"], found["dtype"]) == (50, 20, "float64")
    assert found["status"] == "converged"
    assert found["lam_max"] == pytest.approx(lam_max)
    assert found["lam_ratio"] == pytest.approx(0.1)
    assert found["objective"] == pytest.approx(expected.objective, rel=1e-5)
    assert found["intercept"] == pytest.approx(expected.intercept, abs=1e-2)
    assert found["n_passes"] >= 1
    assert found["support"]
    for one in found["support"]:
        assert one["feature"] == NAMES[one["index"]]
        assert one["coef"] > 0


def test_json_without_a_finite_ratio(tmp_path, capsys):
    np.savez(tmp_path / "zero.npz", X=np.ones((3, 2)), y=np.zeros(3))
    assert cli.main(["solve", str(tmp_path / "zero.npz"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (found["lam_max"], found["lam_ratio"], found["support"]) == (0, None, [])


def test_default_strength(problem, capsys):
    path, X, y = problem
    assert cli.main(["solve", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lam"] == pytest.approx(0.01 * abs(X.T @ y).max())
    assert found["intercept"] == 0


@pytest.mark.parametrize("solver", ["auto", "ista", "fista", "cd", "homotopy"])
def test_solvers(problem, capsys, solver):
    arguments = ["--json", "--solver", solver, "--threads", "1", "--lam-ratio", "0.1"]
    assert cli.main(["solve", str(problem[0]), *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["solver"] == ("homotopy" if solver == "auto" else solver)


def test_the_shipped_example(tmp_path):
    done = run("solve", EXAMPLE, "--lam-ratio", "0.05", "--threads", "1", "--json", "--out", "out.csv", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["dual_gap"] <= 1e-6
    assert (found["n_samples"], found["dtype"]) == (63540, "float32")
    assert any(one["feature"] == "dep_libc6" for one in found["support"])
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(found["support"])


@pytest.mark.parametrize("suffix", ["npz", "csv", "json"])
def test_output_files(problem, tmp_path, capsys, suffix):
    path, X, y = problem
    out = tmp_path / f"out.{suffix}"
    out.write_text("before")
    assert cli.main(["solve", str(path), "--lam", "3", "--quiet", "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    coef = np.zeros(20)
    if suffix == "npz":
        with np.load(out) as found:
            coef = found["coef"]
    elif suffix == "csv":
        for name, value in re.findall(r'^"?([^,"]+)"?,(.*)$', out.read_text(encoding="utf-8"), re.MULTILINE)[1:]:
            coef[NAMES.index(name)] = float(value)
    else:
        for one in json.loads(out.read_text())["support"]:
            coef[one["index"]] = one["coef"]
    expected = l1fast.solve(X, y, 3.0).coef
    np.testing.assert_array_equal(coef != 0, expected != 0)
    np.testing.assert_allclose(coef, expected, atol=1e-2)
    assert os.listdir(tmp_path) == [out.name]


def test_an_unknown_output_is_refused_before_anything_is_read(tmp_path, capsys):
    for name in ("out.txt", "out", "none/out.csv"):
        assert cli.main(["solve", "missing.npz", "--out", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        one_line(error, name)
        assert "missing.npz" not in error


def test_the_input_is_not_overwritten(problem, tmp_path, capsys):
    path = tmp_path / "small.npz"
    content = problem[0].read_bytes()
    path.write_bytes(content)
    assert cli.main(["solve", str(path), "--out", str(path)]) == 2
    one_line(capsys.readouterr().err, "overwrite the input")
    assert path.read_bytes() == content


def test_target_options(problem, tmp_path, capsys):
    _, X, y = problem
    np.save(tmp_path / "X.npy", X)
    np.savetxt(tmp_path / "y.txt", y)
    header = ",".join("yabcdefghijklmnopqrst")
    np.savetxt(tmp_path / "t.csv", np.column_stack([y, X]), delimiter=",", header=header, comments="")
    reports = []
    for name, *arguments in (("X.npy", "--target", str(tmp_path / "y.txt")), ("t.csv", "--target-column", "y")):
        assert cli.main(["solve", str(tmp_path / name), *arguments, "--json", "--lam", "3"]) == 0
        reports.append(json.loads(capsys.readouterr().out))
    first, second = ([(one["index"], one["coef"]) for one in report["support"]] for report in reports)
    np.testing.assert_allclose(first, second)
    assert second
    assert [one["feature"] for one in reports[1]["support"]] == ["abcdefghijklmnopqrst"[j] for j, _ in second]


# ---------------------------------------------------------------- path


def test_path_report(problem, tmp_path):
    path, X, y = problem
    done = run("path", path, "--n-lams", 7, "--lam-ratio", 0.01, "--rows", 4, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    expected = l1fast.path(X, y, n_lams=7, lam_min_ratio=0.01)
    head, table = done.stdout.split("\n\n")
    rows = dict(re.findall(r"^(\S.*?)  +(.*)$", head, re.MULTILINE))
    assert rows["lams"] == f"7 from lam_max {expected.lams[0]:.6g} to {expected.lams[-1]:.6g}"
    assert rows["status"].startswith("converged")
    assert float(rows["dual gap"].split()[2]) <= 1e-6
    assert rows["support"] == f"up to {expected.df.max()} of 20 features"
    for name in ("file", "X", "violation", "solver", "seconds"):
        assert rows[name]
    lines = table.splitlines()
    assert lines[0].split() == ["lam", "lam", "/", "lam_max", "support", "explained", "gap", "seconds"]
    assert len(set(map(len, lines))) == 1
    for line, k in zip(lines[1:], [0, 2, 4, 6], strict=True):
        lam, ratio, support, explained, gap, seconds = map(float, line.split())
        assert lam == pytest.approx(expected.lams[k], rel=1e-5)
        assert ratio == pytest.approx(lam / expected.lams[0], rel=1e-3)
        assert support == expected.df[k]
        assert explained == pytest.approx(expected.deviance_explained[k], abs=1e-4)
        assert gap <= 1e-6
        assert seconds > 0


def test_path_of_one_strength_and_no_rows(problem, capsys):
    for arguments, rows in (
        (["--n-lams", "1"], 1),
        (["--rows", "0"], 0),
        (["--rows", "1"], 1),
        (["--rows", "999"], 100),
    ):
        assert cli.main(["path", str(problem[0]), *arguments]) == 0
        table = capsys.readouterr().out.partition("\n\n")[2].splitlines()
        assert len(table) == (1 + rows if rows else 0)


@pytest.mark.parametrize("suffix", ["npz", "json"])
def test_path_files(problem, tmp_path, capsys, suffix):
    path, X, y = problem
    out = tmp_path / f"out.{suffix}"
    options = ["--n-lams", "6", "--intercept", "--positive", "--l2", "0.5", "--l2-ratio", "0.1", "--tol", "1e-9"]
    assert cli.main(["path", str(path), *options, "--quiet", "--out", str(out)]) == 0
    assert capsys.readouterr() == ("", "")
    expected = l1fast.path(X, y, n_lams=6, fit_intercept=True, positive=True, l2=0.5, l2_ratio=0.1, tol=1e-9)
    coefs = np.zeros((20, 6))
    if suffix == "npz":
        found = sp.load_npz(out)
        assert isinstance(found, sp.csc_array)
        coefs[:] = found.toarray()
        with np.load(out) as arrays:  # without pickle
            np.testing.assert_allclose(arrays["lams"], expected.lams)
            np.testing.assert_allclose(arrays["intercepts"], expected.intercepts, atol=1e-4)
            np.testing.assert_allclose(arrays["objectives"], expected.objectives)
            assert arrays["dual_gaps"].max() <= 1e-9
            assert json.loads(arrays["about"].item())["status"] == "converged"
            assert bytes(arrays["feature_names"]).decode().split("\n") == NAMES
            assert set(arrays) > {"violations", "deviance_explained", "seconds", "n_iter", "tol", "about"}
    else:
        found = json.loads(out.read_text(encoding="utf-8"), parse_constant=pytest.fail)
        assert (found["status"], found["n_features"], found["tol"]) == ("converged", 20, 1e-9)
        for k, strength in enumerate(found["strengths"]):
            assert strength["lam"] == pytest.approx(expected.lams[k])
            assert strength["support_size"] == len(strength["support"])
            assert strength["intercept"] == pytest.approx(expected.intercepts[k], abs=1e-4)
            assert strength["deviance_explained"] == pytest.approx(expected.deviance_explained[k], abs=1e-6)
            for one in strength["support"]:
                assert one["feature"] == NAMES[one["index"]]
                coefs[one["index"], k] = one["coef"]
    np.testing.assert_allclose(coefs, expected.coefs.toarray(), atol=1e-4)
    assert os.listdir(tmp_path) == [out.name]


def test_path_json(problem, capsys):
    path, X, y = problem
    assert cli.main(["path", str(path), "--json", "--n-lams", "3"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (found["n_samples"], found["n_features"], found["status"]) == (50, 20, "converged")
    assert found["lam_max"] == pytest.approx(abs(X.T @ y).max())
    assert [one["lam"] / found["lam_max"] for one in found["strengths"]] == pytest.approx([1, 1e-3**0.5, 1e-3])


# ---------------------------------------------------------------- folders of blocks


@pytest.fixture(scope="module")
def folder(problem, tmp_path_factory):
    """The data set as a table with names, and as the folder of blocks made from it."""
    _, X, y = problem
    place = tmp_path_factory.mktemp("blocks")
    header = ",".join([*(f"column {j}" for j in range(20)), "y"])
    np.savetxt(place / "small.csv", np.column_stack([X, y]), fmt="%.17g", delimiter=",", header=header, comments="")
    assert cli.main(["convert", str(place / "small.csv"), str(place / "blocks"), "--rows", "12", "--quiet"]) == 0
    return place / "blocks"


def test_convert(problem, tmp_path):
    X, y = problem[1], problem[2]
    rows = [" ".join(f"{j + 1}:{value!r}" for j, value in enumerate(row) if value) for row in X.tolist()]
    (tmp_path / "small.svm").write_text(
        "".join(f"{label!r} {row}\n" for label, row in zip(y.tolist(), rows, strict=True))
    )
    done = run("convert", "small.svm", "blocks", "--rows", 20, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    printed = dict(re.findall(r"^(\S.*?)  +(.*)$", done.stdout, re.MULTILINE))
    assert (printed["file"], printed["folder"]) == ("small.svm", "blocks")
    assert printed["X"].startswith(f"50 x 20, float64, {np.count_nonzero(X):,} stored entries")
    size = sum(path.stat().st_size for path in (tmp_path / "blocks").glob("*.npz"))
    assert printed["blocks"] == f"3 of {size:,} bytes in all"
    done = run("convert", "small.svm", "blocks", "--rows", 20, "--json", cwd=tmp_path)  # there already
    found = json.loads(done.stdout)
    assert (found["n_samples"], found["n_features"], found["n_blocks"], found["n_bytes"]) == (50, 20, 3, size)
    done = run("convert", "small.svm", "blocks", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, "another rows_per_part", "--restart")
    assert run("convert", "small.svm", "blocks", "--restart", cwd=tmp_path).returncode == 0
    assert len(list((tmp_path / "blocks").glob("*.npz"))) == 1


def test_convert_progress(folder, tmp_path, capsys):
    source = str(folder.with_name("small.csv"))
    assert cli.main(["convert", source, str(tmp_path / "blocks"), "--progress"]) == 0
    assert re.fullmatch(r"100% of [\d,]+ bytes, row 50, part 1, [\d.]+ s\n", capsys.readouterr().err)
    assert cli.main(["convert", source, str(tmp_path / "blocks"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@POSIX
def test_convert_on_a_terminal(tmp_path):
    (tmp_path / "long.svm").write_text("1 1:2 77:3 78:4\n-1 5:6\n" * 100_000)
    shown, out, code = on_a_terminal("convert", "long.svm", "blocks", "--progress", cwd=tmp_path)
    assert code == 0
    assert b"\x1b[" in shown
    assert re.search(rb"\d+% of 2,300,000 bytes, row [\d,]+, part 1", shown)
    assert "\x1b" not in out


@POSIX
def test_convert_interrupted(tmp_path):
    (tmp_path / "long.svm").write_text("1 1:2 77:3 78:4\n-1 5:6\n" * 2_000_000)  # some ten seconds of work
    command = ("convert", "long.svm", "blocks", "--rows", 20_000)
    process = start(*command, "--progress", cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        while "part 1" in process.stderr.readline():
            pass  # a part is written before the next line
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert error.splitlines()[-1].startswith("l1fast: interrupted; the same command goes on")
    assert (tmp_path / "blocks/unfinished.json").exists()
    done = run("solve", "blocks", cwd=tmp_path)
    assert done.returncode == 2
    one_line(done.stderr, "has not ended")


def test_solve_a_folder(problem, folder, tmp_path):
    _, X, y = problem
    done = run("solve", folder, "--lam", 3, "--top", 2, "--intercept", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    expected = l1fast.solve(X, y, 3.0, fit_intercept=True)
    rows = dict(re.findall(r"^(\S.*?)  +(.*)$", done.stdout, re.MULTILINE))
    assert rows["file"].endswith("blocks (blocks)")
    assert rows["X"].startswith("50 x 20, float64, 1,000 stored entries")
    assert float(rows["objective"]) == pytest.approx(expected.objective, rel=1e-6)
    assert rows["support"] == f"{len(expected.support)} of 20 features"
    size = sum(path.stat().st_size for path in folder.glob("*.npz"))
    blocks = re.fullmatch(rf"5 of {size:,} bytes in all, read ([\d.]+) times, .+", rows["blocks"])
    passes = re.fullmatch(r"\w+, [\d,]+ iterations, [\d,]+ epochs, ([\d.]+) passes; .+", rows["solver"])
    assert 2 < float(passes[1]) <= float(blocks[1]) <= 12
    assert done.stdout.split("coefficient\n")[1].startswith("column 1 ")


def test_solve_a_folder_as_json_with_another_target(problem, folder, tmp_path, capsys):
    _, X, y = problem
    np.save(tmp_path / "y.npy", -y)
    assert cli.main(["solve", str(folder), "--target", str(tmp_path / "y.npy"), "--lam", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (found["format"], found["n_blocks"], found["status"]) == ("blocks", 5, "converged")
    assert found["n_reads"] > 2
    assert found["objective"] == pytest.approx(l1fast.solve(X, -y, 3.0).objective, rel=1e-6)
    np.save(tmp_path / "y.npy", y[1:])
    assert cli.main(["solve", str(folder), "--target", str(tmp_path / "y.npy")]) == 2
    one_line(capsys.readouterr().err, "49", "50")


def test_path_of_a_folder(problem, folder, tmp_path, capsys):
    _, X, y = problem
    out = tmp_path / "out.json"
    assert cli.main(["path", str(folder), "--n-lams", "6", "--tol", "1e-9", "--out", str(out)]) == 0
    rows = dict(re.findall(r"^(\S.*?)  +(.*)$", capsys.readouterr().out, re.MULTILINE))
    assert rows["blocks"].startswith("5 of ")
    expected = l1fast.path(X, y, n_lams=6, tol=1e-9)
    for strength, lam, objective in zip(
        json.loads(out.read_text())["strengths"], expected.lams, expected.objectives, strict=True
    ):
        assert strength["lam"] == pytest.approx(lam)
        assert strength["objective"] == pytest.approx(objective, rel=1e-8)
        assert all(one["feature"] == f"column {one['index']}" for one in strength["support"])


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["solve", "--target-column", "y"], "drop --target-column"),
        (["solve", "--solver", "homotopy"], "homotopy needs X in memory"),
        (["solve", "--solver", "irls"], "irls"),
        (["bench"], "solve and path take"),
        (["compare"], "solve and path take"),
        (["path", "--target-column", "y"], "drop --target-column"),
    ],
)
def test_what_a_folder_cannot_do(folder, tmp_path, capsys, monkeypatch, arguments, fragment):
    monkeypatch.chdir(tmp_path)
    assert cli.main([arguments[0], str(folder), *arguments[1:]]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    one_line(printed.err, "error", fragment)


def test_a_folder_that_is_none(tmp_path, capsys):
    for verb in ("solve", "path"):
        assert cli.main([verb, str(tmp_path)]) == 2
        one_line(capsys.readouterr().err, "holds no manifest.json")


def test_path_with_nothing_to_fit(tmp_path, capsys):
    np.savez(tmp_path / "zero.npz", X=np.ones((3, 2)), y=np.zeros(3))
    assert cli.main(["path", str(tmp_path / "zero.npz")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:3] == ["0", "-", "0"]


def test_path_refuses_an_output_before_anything_is_read(problem, tmp_path, capsys):
    for name in ("out.csv", "out", "none/out.npz"):
        assert cli.main(["path", "missing.npz", "--out", str(tmp_path / name)]) == 2
        one_line(capsys.readouterr().err, name)
    assert cli.main(["path", str(problem[0]), "--out", str(problem[0])]) == 2
    one_line(capsys.readouterr().err, "overwrite the input")


def test_a_path_that_runs_out(problem, tmp_path):
    done = run("path", problem[0], "--max-iter", 0, "--n-lams", 3, "--out", "out.json", cwd=tmp_path)
    assert done.returncode == 1
    one_line(done.stderr, "warning", "2 of 3 strengths", "raise max_iter")
    assert re.search(r"^status +iteration limit", done.stdout, re.MULTILINE)
    assert json.loads((tmp_path / "out.json").read_text())["status"] == "iteration_limit"


def test_path_progress(slow_problem, monkeypatch, capsys):
    monkeypatch.setattr(cli, "PROGRESS_AFTER", 0.0)
    assert cli.main(["path", str(slow_problem), "--n-lams", "5"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"strength \d/5, lam \S+, gap \S+, support [\d,]+, [\d.]+ s", line), line
    assert cli.main(["path", str(slow_problem), "--n-lams", "5", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert cli.main(["path", str(slow_problem), "--n-lams", "5", "--no-progress"]) == 0
    assert capsys.readouterr().err == ""


def test_path_progress_from_the_start(problem, capsys):
    assert cli.main(["path", str(problem[0]), "--n-lams", "5"]) == 0
    assert capsys.readouterr().err == ""  # done within PROGRESS_AFTER
    assert cli.main(["path", str(problem[0]), "--n-lams", "5", "--progress"]) == 0
    assert capsys.readouterr().err.startswith("strength 1/5, lam ")


@POSIX
def test_path_progress_on_a_terminal(slow_problem, tmp_path):
    shown, out, code = on_a_terminal(
        "path", slow_problem, *SLOW[:4], "--n-lams", 100_000, *TIMED, "--rows", 0, cwd=tmp_path
    )
    assert code == 1
    assert b"\x1b[" in shown
    assert re.search(rb"strength [\d,]+/100,000, lam \S+, gap", shown)
    assert "\x1b" not in out


# ---------------------------------------------------------------- exit codes


def test_not_to_tol(slow_problem, tmp_path):
    done = run("solve", slow_problem, *SLOW[:-1], 10, "--out", "out.json", cwd=tmp_path)
    assert done.returncode == 1
    one_line(done.stderr, "warning", "above tol")
    assert re.search(r"^status +iteration limit", done.stdout, re.MULTILINE)
    assert json.loads((tmp_path / "out.json").read_text())["status"] == "iteration_limit"


def write_malformed(folder):
    """One malformed file of each kind, with what the message must name."""
    matrix = sp.csr_array(np.eye(3))
    arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": (3, 3), "y": np.ones(3)}
    np.savez(folder / "indices.npz", **arrays | {"indices": np.array([0, 1, 2**31 - 1])})
    np.savez(folder / "indptr.npz", **arrays | {"indptr": np.array([0, 2**31 - 1, -1, 3], dtype=np.int32)})
    np.savez(folder / "nan.npz", **arrays | {"data": np.array([1, np.nan, 1])})
    np.savez(folder / "pickle.npz", **arrays | {"y": np.array([1, None, 2], dtype=object)})
    (folder / "cut.npz").write_bytes((folder / "nan.npz").read_bytes()[:-9])
    np.save(folder / "lonely.npy", np.eye(3))
    (folder / "cut.npy").write_bytes((folder / "lonely.npy").read_bytes()[:-1])
    (folder / "huge.mtx").write_text("%%MatrixMarket matrix coordinate real general\n9 9 99999999\n1 1 1\n")
    (folder / "pair.svm").write_text("1 1:2\n2 3\n")
    (folder / "cell.csv").write_text("a,b\n1,2\n3,four\n")
    (folder / "cut.svm.gz").write_bytes(b"\x1f\x8b\x08\0")
    (folder / "noise.bin").write_bytes(bytes(range(256)))
    return {
        "indices.npz": "2147483647",
        "indptr.npz": "indptr",
        "nan.npz": "row 1, column 1",
        "pickle.npz": "pickled",
        "cut.npz": "cut.npz",
        "lonely.npy": "--target FILE",
        "cut.npy": "truncated",
        "huge.mtx": "line 2",
        "pair.svm": "line 2",
        "cell.csv": "line 3: column 2",
        "cut.svm.gz": "cut.svm.gz",
        "noise.bin": "noise.bin",
        "missing.npz": "no such file",
    }


@pytest.mark.parametrize("verb", ["solve", "path", "compare", "bench"])
def test_malformed_files(tmp_path, capsys, verb):
    for name, fragment in write_malformed(tmp_path).items():
        assert cli.main([verb, str(tmp_path / name)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        one_line(printed.err, "error", fragment)


def test_a_malformed_file_in_a_process(tmp_path):
    write_malformed(tmp_path)
    done = run("solve", "indptr.npz", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, "indptr")


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        ("", "give a verb: solve, path, convert, compare, bench, info"),
        ("slove x.npz", "did you mean solve?"),
        ("solve", "FILE"),
        ("solve x.npz --lam-ration 1", "did you mean --lam-ratio?"),
        ("solve x.npz --solver cdd", "did you mean cd?"),
        ("solve x.npz --intercpt", "did you mean --intercept?"),
        ("bench x.npz --tool=1", "did you mean --tol?"),
        ("solve x.npz y.npz", "'y.npz'"),
        ("--verson", "did you mean --version?"),
        ("solve x.npz --lam 1 --lam-ratio 1", "give one of them"),
        ("solve x.npz --lam x", "--lam: must be a number >= 0, not 'x'"),
        ("solve x.npz --lam nan", "'nan'"),
        ("solve x.npz --l2 -1", "'-1'"),
        ("solve x.npz --tol inf", "'inf'"),
        ("solve x.npz --time-limit 0", "> 0"),
        ("solve x.npz --max-iter 1.5", "an integer"),
        ("solve x.npz --threads 0", "an integer >= 1"),
        ("solve x.npz --top -1", "an integer >= 0"),
        ("path x.npz --n-lam 3", "did you mean --n-lams?"),
        ("path x.npz --n-lams 0", "--n-lams: must be an integer >= 1, not '0'"),
        ("path x.npz --lam-ratio 0", "--lam-ratio: must be a number > 0 and <= 1, not '0'"),
        ("path x.npz --lam-ratio 1.5", "'1.5'"),
        ("path x.npz --lam 1", "'--lam'"),
        ("convert x.svm", "DIR"),
        ("convert x.svm blocks --rows 0", "an integer >= 1"),
        ("convert x.svm blocks --restrat", "did you mean --restart?"),
        ("pth x.npz", "did you mean path?"),
    ],
)
def test_wrong_usage(capsys, arguments, fragment):
    assert cli.main(arguments.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    one_line(printed.err, "error", fragment, "--help" if "one of" not in fragment else "")


@POSIX
def test_interrupt_and_plain_progress(slow_problem, tmp_path):
    process = start("solve", slow_problem, *SLOW, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        first = process.stderr.readline()  # the solve is under way
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=20)
    finally:
        process.kill()
    assert re.fullmatch(r"iteration [\d,]+, gap \S+, support [\d,]+, [\d.]+ s\n", first), first
    assert (process.returncode, out, error) == (130, "", "l1fast: interrupted\n")


EARLY = """
import sys
import l1fast_command

class Tell:
    def find_spec(self, name, *_):
        if name == "l1fast":
            print("loading", flush=True)

sys.meta_path.insert(0, Tell())
raise SystemExit(l1fast_command.main())
"""


@POSIX
@pytest.mark.parametrize("after", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_interrupt_while_modules_are_loaded(slow_problem, tmp_path, after):
    heed = [sys.executable, "-c", HEED, sys.executable, "-P", "-c", EARLY, "solve", str(slow_problem), *SLOW, "--quiet"]
    process = subprocess.Popen(heed, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "loading\n"
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, error) == (130, "l1fast: interrupted\n")


@POSIX
def test_ctrl_c_that_is_ignored_stays_ignored(tmp_path):
    ignore = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{EARLY}"
    process = subprocess.Popen([sys.executable, "-P", "-c", ignore, "info"], cwd=tmp_path, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0


@POSIX
def test_progress_on_a_terminal(slow_problem, tmp_path):
    shown, out, code = on_a_terminal("solve", slow_problem, *SLOW, *TIMED, "--top", 0, cwd=tmp_path)
    assert code == 1
    assert b"\x1b[" in shown
    assert re.search(rb"iteration [\d,]+, gap \S+, support", shown)
    assert "\x1b" not in out


def test_quiet(slow_problem, tmp_path):
    done = run("solve", slow_problem, *SLOW, "--time-limit", 1.3, "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    one_line(done.stderr, "warning")


@POSIX
@pytest.mark.parametrize("option", ["--json", "--top=20"])
def test_closed_pipe(problem, tmp_path, option):
    reader, writer = os.pipe()
    os.close(reader)
    process = start("solve", problem[0], option, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    error = process.communicate(timeout=30)[1]
    assert (process.returncode, error) == (141, "")


@POSIX
def test_closed_streams(tmp_path):
    quoted = " ".join(f"'{word}'" for word in COMMAND)
    for arguments, code in (("info >&-", 0), ("solve missing.npz 2>&-", 2)):
        command = f"{quoted} {arguments}"
        done = subprocess.run(command, shell=True, check=False, cwd=tmp_path, capture_output=True, timeout=30)
        assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no device that is always full")
def test_full_device(problem, tmp_path):
    with open("/dev/full", "w") as full:
        process = start("solve", problem[0], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE)
        error = process.communicate(timeout=30)[1]
    assert process.returncode == 2
    one_line(error, "No space left")


def test_an_encoding_without_the_letters_of_a_name(problem, tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = run("solve", problem[0], "--lam", 3, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"gr\xf6\xdfe" in done.stdout


# ---------------------------------------------------------------- help, version, info


@pytest.mark.parametrize("verb", [[], ["solve"], ["path"], ["convert"], ["compare"], ["bench"], ["info"]])
def test_help(capsys, verb):
    assert cli.main([*verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^examples?:\n  l1fast ", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 120


def test_version_and_info(tmp_path):
    version = importlib.metadata.version("l1fast")
    done = run("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"l1fast {version}\n")
    done = run("info", cwd=tmp_path)
    assert done.returncode == 0
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert (rows["l1fast"], rows["numpy"]) == (version, np.__version__)
    assert int(rows["threads"].split(",")[0]) >= 1
    assert int(rows["cores"]) >= 1


# ---------------------------------------------------------------- bench


def test_bench(problem, tmp_path):
    path, X, y = problem
    done = run("bench", path, "--json", "--tol", "1e-5", "--lam-ratio", "0.1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    names = [row["solver"] for row in found["contenders"]]
    assert names == ["l1fast cd", "l1fast fista", "l1fast ista", "numpy fista", "numpy ista"]
    assert found["lam"] == pytest.approx(0.1 * abs(X.T @ y).max())
    for row in found["contenders"]:
        assert row["reached"]
        assert row["gap"] <= 1e-5
        assert row["seconds"] > 0
    assert found["contenders"][3]["speed_up"] == 1


def test_bench_table_says_who_was_too_slow(slow_problem, capsys):
    code = cli.main(["bench", str(slow_problem), "--tol", "1e-9", "--time-limit", "0.05", "--lam-ratio", "1e-3"])
    rows = {line[:14].strip(): line[14:] for line in capsys.readouterr().out.splitlines()}
    assert "not reached" in rows["numpy ista"]
    assert ">0.0" in rows["numpy ista"]
    assert rows["numpy ista"].endswith("-")
    assert code == (0 if any("reached tol" in text for name, text in rows.items() if name.startswith("l1fast")) else 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_matrix, sp.coo_array])
@pytest.mark.parametrize("baseline", [_baselines.numpy_fista, _baselines.numpy_ista])
def test_baselines_solve_the_problem(problem, baseline, kind, dtype):
    _, X, y = problem
    lam = 0.1 * abs(X.T @ y).max()
    tol = 1e-10  # float32 products cannot reach it: the baseline must go over to float64
    X, y = X.astype(dtype), y.astype(dtype)
    found = baseline(kind(X), y, lam, tol=tol, time_limit=30, max_iter=None)
    assert found.converged
    assert found.dual_gap <= tol
    assert found.seconds > 0
    judge = referee.Problem(X, y, lam)
    optimum = l1fast.solve(X.astype(float), y.astype(float), lam, tol=1e-12).coef
    excess = judge.objective(found.coef, 0) - judge.objective(optimum, 0)
    assert excess <= 2 * tol * judge.scale()
    np.testing.assert_allclose(found.coef, optimum, atol=1e-3)


def test_baselines_stop_where_they_are_told(problem):
    _, X, y = problem
    found = _baselines.numpy_ista(X, y, 0.1, tol=0, time_limit=math.inf, max_iter=7)
    assert (found.n_iter, found.converged) == (7, False)
    assert found.dual_gap == _baselines.relative_gap(X, y, found.coef, 0.1)
    assert found.dual_gap > 0
    found = _baselines.numpy_fista(X, y, 0.1, tol=-1, time_limit=0.05, max_iter=None)
    assert not found.converged
    assert found.seconds >= 0.05
    assert _baselines.numpy_fista(0 * X, y, 0.1, tol=1e-9, time_limit=9, max_iter=None).converged


@pytest.mark.parametrize("ratio", [0, 0.1, 0.9, 2])
def test_the_referee_bounds_the_excess_and_vanishes_at_the_optimum(problem, ratio):
    _, X, y = problem
    lam = ratio * abs(X.T @ y).max()
    judge = referee.Problem(X, y, lam)
    optimum = l1fast.solve(X, y, lam, tol=1e-13 if ratio else 1e-9).coef
    if ratio:
        assert abs(_baselines.relative_gap(X, y, optimum, lam)) <= 1e-12
    rng = np.random.default_rng(0)
    for size in (0, 0.1, 10):
        coef = optimum + size * rng.standard_normal(20)
        for matrix in (X, sp.csc_array(X)):
            excess = (judge.objective(coef, 0) - judge.objective(optimum, 0)) / judge.scale()
            assert _baselines.relative_gap(matrix, y, coef, lam) >= excess - 1e-12


def test_the_referee_clamps_the_dual_point_on_both_sides():
    X, y = np.array([[1.0], [0.0]]), np.array([1.0, 0.1])
    coef = np.array([-9.0])  # r'y > 0, yet |x'r| is far above lam
    assert _baselines.relative_gap(X, y, coef, 0.5) > 0
    assert _baselines.relative_gap(X, -y, coef, 0.5) > 0
    assert _baselines.relative_gap(X, 0 * y, 0 * coef, 0.5) == 0
    assert _baselines.relative_gap(X, 0 * y, coef, 0.5) == math.inf
