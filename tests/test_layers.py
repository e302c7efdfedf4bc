"""The shape of the code: imports point down only, and importing the package stays cheap."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

# "python -P" below: the installed package, not the folder of that name in the working directory
ROOT = Path(__file__).parents[1]
PACKAGE, KERNELS = ROOT / "l1fast", ROOT / "src"

# from the top down; a module imports from lower lines only
LAYERS = (
    ("__main__",),
    ("__init__",),
    ("cli",),
    ("_compare",),
    ("plot", "_convert"),
    ("_stores",),
    ("_displays", "io"),
    ("estimators",),
    ("_cross_validation", "_tasks"),
    ("_path",),
    ("_solve", "_prox"),
    ("_block_problem",),
    ("_solvers", "_validation"),
    ("_homotopy", "_irls", "_descent", "_lbfgs"),
    ("_working_set",),
    ("_proximal",),
    ("_monitor", "_continuation"),
    ("_problem",),
    ("_smoothing",),
    ("_units",),
    ("_baselines", "_block_newton", "_row_blocks", "_design", "_datafits", "_penalties", "_result", "penalties"),
    ("_saved",),
    ("_threads", "_blas", "_files", "_patience", "_progress", "_figures", "_artists"),
    ("_kernels",),
)
HEIGHT = {name: -line for line, names in enumerate(LAYERS) for name in names}
CLIENTS = ("__main__", "cli", "estimators", "plot", "io")  # these may use the public names
MODULES = sorted([*PACKAGE.glob("*.py"), *PACKAGE.glob("estimators/*.py")])
OPTIONAL = ("matplotlib", "rich", "pandas", "sklearn", "numba", "cvxpy", "pytest", "narwhals", "pyarrow", "dask")


def imported_modules(source):
    """Names of the package's modules that the source imports, at any depth of nesting."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "l1fast" + (f".{node.module}" if node.module else "") if node.level else node.module
            names |= {f"{base}.{alias.name}" for alias in node.names} if base == "l1fast" else {base}
    parts = [name.split(".") for name in names]
    return {part[1] if len(part) > 1 and part[1] in HEIGHT else "__init__" for part in parts if part[0] == "l1fast"}


def test_the_reader_of_imports():
    assert imported_modules("from ._design import X") == {"_design"}
    assert imported_modules("from . import _design, solve") == {"_design", "__init__"}
    assert imported_modules("from ._kernels.check import f") == {"_kernels"}
    assert imported_modules("import l1fast._path\nimport numpy") == {"_path"}
    assert imported_modules("def f():\n    from l1fast import io, solve") == {"io", "__init__"}
    assert imported_modules("from l1fast.io import read") == {"io"}
    assert imported_modules("from numpy import l1fast") == set()


def named(path):
    """The name of a module in LAYERS: that of its folder, where it is in one."""
    return path.stem if path.parent == PACKAGE else path.parent.name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_imports_point_down(path):
    own = named(path)
    assert own in HEIGHT, f"{own} has no layer: give it a line in LAYERS"
    upward = {
        name
        for name in imported_modules(path.read_text(encoding="utf-8"))
        if HEIGHT[name] >= HEIGHT[own]
        and not (name == "__init__" and own in CLIENTS)
        and not (name == own and path.parent != PACKAGE)
        and not (own == "__init__" and name == "estimators")
    }
    assert not upward, f"{own} imports {sorted(upward)}, which is not below it"


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("estimators/*.py")), ids=lambda path: path.stem)
def test_the_estimators_use_public_names_of_scikit_learn_only(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert not [part for part in parts if part.startswith("_")]


def test_every_layer_rule_is_about_a_module():
    assert {path.stem for path in MODULES} >= {"__init__", "_solve", "_solvers", "_result", "_design"}


def cimports(source):
    """First names of what Cython source cimports."""
    found = re.findall(r"^\s*(?:from\s+([.\w]+)\s+cimport|cimport\s+([.\w]+))", source, re.MULTILINE)
    return {(first or second).lstrip(".").split(".")[0] for first, second in found}


def test_the_reader_of_cimports():
    assert cimports("from matrix cimport a\ncimport problem as p\n  from .prox cimport b\nfrom x import c") == {
        *("matrix", "problem", "prox")
    }


@pytest.mark.parametrize("path", sorted([*KERNELS.glob("*.pyx"), *KERNELS.glob("*.pxd")]), ids=lambda path: path.name)
def test_no_kernel_cimports_a_kernel(path):
    kernels = {kernel.stem for kernel in KERNELS.glob("*.pyx")}
    assert kernels
    assert not cimports(path.read_text(encoding="utf-8")) & kernels
    if path.suffix == ".pxd":
        assert path.stem not in kernels, "headers have no .pyx of the same name"


def test_import_is_cheap():
    code = f"import sys, l1fast; print(*[name for name in {OPTIONAL} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == []


def test_estimators_without_scikit_learn():
    """The package works without it, and says what to install when an estimator is asked for."""
    code = """if True:
        import sys
        sys.modules["sklearn"] = None
        import l1fast
        assert "Lasso" in dir(l1fast)
        try:
            l1fast.Lasso
        except ImportError as error:
            assert "l1fast[sklearn]" in str(error), error
        else:
            raise AssertionError("no error")
    """
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)


def test_public_names_exist():
    code = "import l1fast; assert l1fast.__all__; [getattr(l1fast, name) for name in l1fast.__all__]"
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", code], check=True, timeout=60)


def test_the_command_line_knows_every_solver():
    """Its list is its own, so that --help needs no NumPy."""
    code = "import l1fast.cli, l1fast._solvers as s; assert set(l1fast.cli.SOLVERS) == {'auto', *s.SOLVERS}"
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)


def test_the_promises_name_tests_that_exist():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/\w+\.py)(?:::(\w+))?`", text)
    assert len(named) > 10
    for file, function in named:
        assert not function or f"\ndef {function}(" in (ROOT / file).read_text(encoding="utf-8"), (file, function)
        assert (ROOT / file).is_file(), file
