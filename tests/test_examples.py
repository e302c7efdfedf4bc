"""The examples of the docstrings and of the README do what they show."""

import doctest
import importlib
import pathlib
import re

import pytest

README = pathlib.Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("name", ["l1fast._solve", "l1fast._prox", "l1fast.io"])
def test_docstrings(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0


def test_readme(capsys):
    """The example prints what stands below it, up to what differs from machine to machine, and certifies itself."""
    text = README.read_text(encoding="utf-8")
    example = re.search(r"<!-- example: python -->\n```python\n(.*?)```", text, re.DOTALL).group(1)
    shown = re.search(r"<!-- output: python -->\n```text\n(.*?)```", text, re.DOTALL).group(1)
    check = re.search(r"for the plain Lasso:\n\n```python\n(.*?)```", text, re.DOTALL).group(1)
    scope = {}
    exec(example, scope)
    printed = capsys.readouterr().out
    steady = re.compile(r"^  (?:status|lam|support|intercept|reason) .*$", re.MULTILINE)
    assert steady.findall(printed) == steady.findall(shown)
    assert len(steady.findall(shown)) == 5
    exec(check, scope)
    bounded, certified = map(float, capsys.readouterr().out.split())
    assert bounded == pytest.approx(certified, abs=1e-9)
