"""The Lasso estimators of scikit-learn, celer and skglm, and those of l1fast, as `tests/verdicts.py` asks them.

Each gets X, y and the weights of a case as they are, alpha = lam / n, a strict tolerance and otherwise its defaults;
nothing is converted for it. What its documentation does not have, or advises against, it is not asked for.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import verdicts
from verdicts import Answer, Entry, Given

TOL = 1e-8


class Peer(Entry):
    """``Lasso`` of a package.

    named : what it calls the options that it has under another name, and what none of its arguments is.
    """

    n_words = 0
    shared = frozenset(
        {"X", "lam", "one row", "object", "fit_intercept", "tol", "max_iter", "interrupt", "stops", "refit"}
    )

    def __init__(self, name: str, module: str, takes: Iterable[str] = (), **named: str) -> None:
        self.name, self.module, self.named = name, module, named
        self.takes = self.shared | frozenset(takes)

    def make(self, given: Given) -> tuple[Any, dict[str, Any]]:
        """The estimator, and what its fit takes beside X and y."""
        options = {self.named.get(name, name): value for name, value in given.options.items()}
        weight = options.pop("sample_weight", None)
        alpha: Any = given.lam / total(given, weight) if isinstance(given.lam, (float, int, np.number)) else given.lam
        settings = {"alpha": alpha, "fit_intercept": False, "tol": TOL} | options
        made = importlib.import_module(self.module).Lasso(**settings)
        return made, {} if weight is None else {"sample_weight": weight}

    def prepare(self) -> None:
        """Import, and compile for the usual types."""
        import scipy.sparse

        for dtype in (np.float64, np.float32):
            for convert in (np.asfortranarray, scipy.sparse.csc_array, scipy.sparse.csc_matrix):
                for fit_intercept in (False, True):
                    X, y = verdicts.data()
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        self.call(Given(convert(X.astype(dtype)), y, options={"fit_intercept": fit_intercept}))

    def call(self, given: Given) -> Any:
        made, weights = self.make(given)
        return made.fit(given.X, given.y, **weights)

    def refit(self, first: Given, second: Given) -> Any:
        made, _ = self.make(first)
        made.set_params(warm_start=True).fit(first.X, first.y)
        return made.set_params(alpha=second.lam / total(second, None)).fit(second.X, second.y)

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer]:
        yield Answer(given.problem(), raw.coef_, raw.intercept_, not warned)


class Solve(Entry):
    """`l1fast.solve` as it is, with the options of a case."""

    name = "l1fast.solve"
    n_words = 0
    takes = Peer.shared - {"refit"} | {
        *("lam 0", "sample_weight", "penalty_weights", "positive", "time_limit", "callback", "start"),
    }

    def call(self, given: Given) -> Any:
        import l1fast

        return l1fast.solve(given.X, given.y, given.lam, **({"tol": TOL} | given.options))

    def answers(self, raw: Any, given: Given, warned: bool) -> Iterable[Answer]:
        yield Answer(given.problem(), raw.coef, raw.intercept, not warned)


def total(given: Given, weight: Any) -> float:
    """The sum of the sample weights, n without them; 1 where that says nothing, since the input is to be refused."""
    size = np.shape(given.y if given.judge_y is None else given.judge_y)
    counted = np.sum(weight) if weight is not None and np.isrealobj(weight) else size[0] if size else 1.0
    return float(counted) if counted > 0 else 1.0


TOOLS = {
    "l1fast.solve": "l1fast",
    "l1fast Lasso": "l1fast",
    "scikit-learn Lasso": "scikit-learn",
    "celer Lasso": "celer",
    "skglm Lasso": "skglm",
}
"""The entries and the distributions whose versions are told."""

ENTRIES: list[Entry] = [
    Solve(),
    Peer(
        "l1fast Lasso",
        "l1fast",
        ("lam 0", "sample_weight", "penalty_weights", "positive", "time_limit", "callback"),
        penalty_weights="penalty_factor",
    ),
    Peer("scikit-learn Lasso", "sklearn.linear_model", ("sample_weight", "positive")),
    Peer("celer Lasso", "celer", ("sample_weight", "penalty_weights", "positive"), penalty_weights="weights"),
    Peer("skglm Lasso", "skglm", ("positive", "lam 0")),
]
