"""scikit-learn's own tests of coordinate descent, run on our estimators.

The test files of the installed scikit-learn are loaded a second time, and in their namespace our classes and functions
stand in the place of scikit-learn's. Every test runs, but for those in SKIPPED, each with its reason.
`python tests/sklearn_counts.py` counts what passes, and what an empty package would pass.
"""

import contextlib
import importlib.util
import inspect
import os
import re

import pytest

linear_model = pytest.importorskip("sklearn.linear_model")

pytestmark = pytest.mark.filterwarnings("default")  # scikit-learn's tests expect warnings here and there

OLD = "n_alphas" in inspect.signature(linear_model.LassoCV).parameters

FILES = ("test_coordinate_descent", "test_sparse_coordinate_descent")
NAMES = (
    *("Lasso", "LassoCV", "ElasticNet", "ElasticNetCV"),
    *("MultiTaskLasso", "MultiTaskLassoCV", "MultiTaskElasticNet", "MultiTaskElasticNetCV"),
    *("lasso_path", "enet_path"),
)

PRIVATE = "a test of private functions of scikit-learn; none of our names takes part"
FASTER = "counts steps of scikit-learn's algorithm; ours needs fewer, or has converged already"
STEPS = "two fits of 5 steps are one of 10 for cyclic descent from coef_ alone; our steps are working sets, made anew"
SAME_STEPS = "asks for 7 digits at tol=1e-6 or 1e-7; scikit-learn has them since dense and sparse take the same steps"
SKIPPED = {
    "test_set_order_dense": PRIVATE,
    "test_set_order_sparse": PRIVATE,
    "test_cython_solver_equivalence": PRIVATE,
    "test_lassoCV_does_not_set_precompute": "replaces the Lasso in a private module of scikit-learn and counts calls",
    "test_enet_copy_X_False_check_input_False": "asks that X is overwritten; ours never is",
    "test_check_input_false": "asks for an error for X in C order, which ours solves as it is",
    "test_lasso_dual_gap": "compares 7 digits of a gap, which is 1e-15 here and so all rounding",
    "test_warm_start": STEPS,
    r"test_warm_start_convergence(\[True.*)?": FASTER,
    "test_warm_start_convergence_with_regularizer_decrement": FASTER,
    "test_enet_coordinate_descent_raises_convergence": FASTER,
    "test_enet_coordinate_descent": FASTER,
    "test_sparse_enet_coordinate_descent": FASTER,
    r"test_sparse_dense_equality\[.*-6-24-.*-ElasticNetCV\]": SAME_STEPS,
    "test_same_output_sparse_dense_lasso_and_enet_cv": SAME_STEPS,
}
"""Patterns of a test, or of test[parameters] -> why it cannot hold here. Those that match nothing are ignored."""

if OLD:
    SKIPPED |= {
        "test_multitask_cv_estimators_with_sample_weight": "sample weights were an error there before 1.9",
        "test_enet_l1_ratio": "asks for a warning at l1_ratio=0 that later versions do not give",
    }

GONE = "uses the argument n_alphas of estimators, which scikit-learn 1.9 does not have either"


def empty(one):
    """A class that stores the same parameters and does nothing else; a function that returns None."""
    if not inspect.isclass(one):
        return lambda *args, **kwargs: None
    from sklearn.base import BaseEstimator

    signature = inspect.signature(one.__init__)

    def store(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        vars(self).update({name: value for name, value in bound.arguments.items() if name != "self"})

    store.__signature__ = signature
    return type(one.__name__, (BaseEstimator,), {"__init__": store, "fit": lambda self, *args, **kwargs: self})


def ours():
    """Our object for each name; with L1FAST_EMPTY set, stand-ins without content."""
    import l1fast

    made = {name: getattr(l1fast, name) for name in NAMES}
    return {name: empty(one) for name, one in made.items()} if os.environ.get("L1FAST_EMPTY") else made


@contextlib.contextmanager
def substituted(objects):
    """While a file is executed sklearn.linear_model hands out these objects: for its parametrize lists too."""
    kept = {name: getattr(linear_model, name) for name in objects}
    try:
        for name, one in objects.items():
            setattr(linear_model, name, one)
        yield
    finally:
        for name, one in kept.items():
            setattr(linear_model, name, one)


def load(name):
    """A file of scikit-learn's tests as a new module with our objects in it."""
    spec = importlib.util.spec_from_file_location(
        f"retargeted_{name}", importlib.util.find_spec(f"sklearn.linear_model.tests.{name}").origin
    )
    module = importlib.util.module_from_spec(spec)
    with substituted(ours()):
        spec.loader.exec_module(module)
    return module


SLOW = ("test_enet_cv_sample_weight_consistency", "test_sparse_input_convergence_warning")
"""Tests of theirs that take minutes together."""


def collected(name):
    """A class whose methods are the tests of a file."""
    tests = {key: staticmethod(one) for key, one in vars(load(name)).items() if key.startswith("test_")}
    tests |= {key: staticmethod(pytest.mark.slow(one)) for key, one in vars(load(name)).items() if key in SLOW}
    return type("Test_" + name.removeprefix("test_"), (), tests)


for _name in FILES:
    _made = collected(_name)
    globals()[_made.__name__] = _made


@pytest.fixture(autouse=True)
def _skip_listed(request):
    for pattern, reason in SKIPPED.items():
        if any(re.fullmatch(pattern, name) for name in (request.node.originalname, request.node.name)):
            pytest.skip(reason)
    if OLD and re.search(r"\bn_alphas=", inspect.getsource(request.function)):
        pytest.skip(GONE)


@pytest.fixture
def global_random_seed():
    return 42  # scikit-learn's own default


def test_the_objects_are_ours():
    names = vars(load(FILES[0]))
    assert all(names[name] is one for name, one in ours().items())
    assert all(getattr(linear_model, name).__module__.startswith("sklearn.") for name in NAMES)
