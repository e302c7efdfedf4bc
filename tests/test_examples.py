"""The examples of the docstrings and of the README do what they show."""

import doctest
import importlib
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
README = ROOT / "README.md"


@pytest.mark.parametrize(
    "name",
    [
        f"l1fast.{name}"
        for name in (
            *("_compare", "_convert", "_cross_validation", "_formats", "_path", "_prox", "_result"),
            *("_solve", "_stores", "_tasks", "io"),
        )
    ]
    + ["l1fast.penalties"]
    + [f"l1fast.estimators.{name}" for name in ("_cv", "_linear", "_multitask", "_paths")],
)
def test_docstrings(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize("page", ["start.rst", "methods.rst", "blocks.md"])
def test_pages(page):
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / page), module_relative=False, optionflags=doctest.ELLIPSIS, encoding="utf-8"
    )
    assert tried > 0
    assert failed == 0


def test_reference_is_complete():
    listed = {}
    for line in (ROOT / "docs" / "api.rst").read_text(encoding="utf-8").splitlines():
        if module := re.fullmatch(r"\.\. (?:current)?module:: ([\w.]+)", line):
            names = listed.setdefault(module[1], set())
        elif re.fullmatch(r"   \w+", line):
            names.add(line.strip())
    for name in ("l1fast", "l1fast.penalties", "l1fast.plot"):
        module = importlib.import_module(name)
        public = {*module.__all__, *getattr(module, "ESTIMATORS", ()), *getattr(module, "DASK", ())}
        assert {item for item in public if f"{name}.{item}" not in listed} == listed[name]


def part(pattern):
    """What a pattern finds in the README."""
    return re.search(pattern, README.read_text(encoding="utf-8"), re.DOTALL).group(1)


def assert_prints(name, words, scope, capsys):
    """An example prints what stands below it, up to what differs from machine to machine."""
    exec(part(rf"<!-- example: {name} -->\n```python\n(.*?)```"), scope)
    steady = re.compile(rf"^  (?:{'|'.join(words)}) .*$", re.MULTILINE)
    printed = steady.findall(capsys.readouterr().out)
    assert printed == steady.findall(part(rf"<!-- output: {name} -->\n```text\n(.*?)```"))
    assert len(printed) == len(words)


def test_readme(capsys):
    scope = {}
    assert_prints("python", ["status", "lam", "support", "intercept", "reason"], scope, capsys)
    exec(part(r"for the plain Lasso:\n\n```python\n(.*?)```"), scope)
    bounded, certified = map(float, capsys.readouterr().out.split())
    assert bounded == pytest.approx(certified, abs=1e-9)
    assert_prints("path", ["status", "lams", "support", "deviance", "reason"], scope, capsys)
    exec(part(r"<!-- example: estimators -->\n```python\n(.*?)```"), scope)
    assert capsys.readouterr().out == part(r"<!-- output: estimators -->\n```text\n(.*?)```")
