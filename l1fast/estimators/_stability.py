"""StabilitySelection: the features that the Lasso selects on most halves of the data.

Pi_j(alpha) = share of the subsamples on which w_j != 0 at alpha;   selected: max over alpha of Pi_j(alpha) >= threshold

Source: Meinshausen and Buhlmann (J. R. Statist. Soc. B 2010); complementary pairs and bounds: Shah and Samworth
(J. R. Statist. Soc. B 2013).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from l1fast._path import path
from l1fast._result import PathResult, Status, quietly
from l1fast.estimators._base import (
    COMMON,
    NOTHING,
    Data,
    Fit,
    Units,
    check_parameters,
    choice,
    integer,
    located,
    plain_errors,
    read_data,
    real,
    sound,
    warn_unconverged,
)
from l1fast.estimators._cv import within
from l1fast.estimators._docs import documented
from l1fast.estimators._selection import SHARED, deadline_of, falling_alphas, in_threads, part, passed

Vector = NDArray[np.float64]

RULES = {
    **SHARED,
    "n_subsamples": integer(1),
    "sampling": choice("complementary", "half"),
    "threshold": real(0.5, 1, open_low=True),
    "weakness": real(0, 1, open_low=True),
    "max_false_positives": real(0, open_low=True) | NOTHING,
    "random_state": COMMON["random_state"],
}


def false_positives(q: float, p: int, threshold: float) -> float:
    """q^2 / ((2 threshold - 1) p), and never more than p (Meinshausen and Buhlmann 2010, theorem 1)."""
    return 0.0 if q == 0.0 else min(q * q / ((2.0 * threshold - 1.0) * p), float(p))


UNIMODAL_LIMIT = 1.0 / math.sqrt(3.0)
"""The largest share q / p for which theorem 2 of Shah and Samworth (2013) gives its constants."""

UNIMODAL_CHANGE = 0.75
"""The threshold at which these change."""


def unimodal_false_positives(q: float, p: int, threshold: float, n_pairs: int) -> float:
    """C q^2 / p with the constant of Shah and Samworth (2013, theorem 2); NaN where the theorem says nothing.

    With theta = q / p <= 1 / sqrt(3), B pairs and the threshold t, C = 1 / (2 (2 t - 1 - 1/(2 B))) up to 3/4, and
    4 (1 - t + 1/(2 B)) / (1 + 1/B) above. A threshold between two multiples of 1/(2 B) is the upper one of them.
    """
    half = 0.5 / n_pairs
    theta = q / p
    t = math.ceil(round(threshold / half, 6)) * half  # digits enough for any number of pairs, and none for rounding
    least = 0.5 + min(theta**2, half + UNIMODAL_CHANGE * theta**2)
    if theta > UNIMODAL_LIMIT or t < 0.5 + 2.0 * half or t <= least:
        return math.nan
    constant = (
        1.0 / (2.0 * (2.0 * t - 1.0 - half)) if t <= UNIMODAL_CHANGE else 4.0 * (1.0 - t + half) / (1.0 + 2.0 * half)
    )
    return min(constant * q * theta, float(p))


class Draw(NamedTuple):
    """A subsample: its rows, and the seed of the weights of a randomised Lasso."""

    rows: NDArray[np.intp]
    seed: int


@documented
class StabilitySelection(SelectorMixin, BaseEstimator):
    """Select the features that the Lasso selects on most of many random halves of the data.

    Pi_j(alpha) = share of subsamples with w_j(alpha) != 0;   selected: max over alpha in A of Pi_j(alpha) >= threshold

    where w(alpha) minimises 1/(2 S) sum_i s_i (y_i - x_i'w - b)^2 + alpha sum_j v_j |w_j| on the rows of a subsample
    (S is the sum of their weights), and A = ``alphas_[:n_alphas_used_]``.

    Parameters
    ----------
    {eps}
    n_subsamples : int, default=50
        Pairs of halves with sampling='complementary' (so twice as many fits), or halves.
    sampling : {{'complementary', 'half'}}, default='complementary'
        Two disjoint halves of one permutation each time (Shah and Samworth 2013), or one half (Meinshausen and
        Buhlmann 2010). Halves have floor(m / 2) rows of the m with a positive weight.
    threshold : float, default=0.6
        Above 0.5, at most 1.
    max_false_positives : float, default=None
        Make A as long as ``expected_false_positives_`` stays at most that; None for all alphas.
    weakness : float, default=1.0
        Below 1, the randomised Lasso: on every subsample the penalty of each feature is divided by a number of its own,
        uniform between weakness and 1, so that correlated features take turns.
    random_state : int, RandomState instance or None, default=None
        Draws the subsamples. With an int, the same result every time and for every n_jobs.
    n_jobs : int, default=None
        Subsamples fitted at once, in threads; -1 for as many as there are cores.
    {fit_intercept}
    {positive}
    {penalty_factor}
    {standardize}
    {tol}
    {max_iter}
    {time_limit}

    Attributes
    ----------
    stability_scores_ : ndarray of shape (n_features, n_alphas)
        Pi_j(alpha).
    alphas_ : ndarray of shape (n_alphas,)
        Falling. An automatic grid begins at the smallest alpha with no feature on all data.
    n_alphas_used_ : int
        A = ``alphas_[:n_alphas_used_]``.
    n_selected_path_ : ndarray of shape (n_alphas,)
        q for every length of A: the mean number of features selected at some alpha in A, on a subsample.
    expected_false_positives_ : float
        q^2 / ((2 threshold - 1) p), or p if that is less: see Notes.
    expected_false_positives_unimodal_ : float
        The sharper bound: see Notes. NaN where it does not hold (always with sampling='half').
    n_subsamples_ : int
        Pairs or halves done: fewer than n_subsamples only if time ran out.
    n_iter_ : int
        Outer steps of the solver, in all paths together.
    n_features_in_ : int
        Number of features seen by ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where X has names that are all strings.

    See Also
    --------
    LassoIC : A support from one fit.

    Notes
    -----
    ``expected_false_positives_`` bounds the expected number of features selected that are noise, under conditions: all
    noise features are selected by the Lasso on a half with the same probability, and no more often than by guessing
    (for 'half', theorem 1 of Meinshausen and Buhlmann also asks that they be exchangeable). For 'complementary' nothing
    is asked: the same number then bounds the expected number of selected features whose probability to be selected on a
    half is at most q / p (theorem 1 of Shah and Samworth). ``expected_false_positives_unimodal_`` bounds that too if
    the share of pairs with a feature selected on both halves has a unimodal distribution, for each such feature
    (theorem 2); it is about half as large. q is estimated by its mean over the subsamples. With
    max_false_positives, A is chosen from the same subsamples, which the theorems do not account for.

    Features with penalty_factor 0 are always selected, and count neither in q nor in p. With sample weights, rows are
    drawn alike, whatever their weight, if it is not 0: a row of weight 2 is not two rows.

    Cost: a path for each half, on X itself with the weights of the other half at 0; no copy of X is made.

    References
    ----------
    Meinshausen and Buhlmann, "Stability selection", J. R. Statist. Soc. B 72 (2010).
    Shah and Samworth, "Variable selection with error control: another look at stability selection", J. R. Statist.
    Soc. B 75 (2013).

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 200))
    >>> y = X[:, 3] - 2.0 * X[:, 7] + 0.5 * rng.standard_normal(100)
    >>> model = l1fast.StabilitySelection(max_false_positives=1, random_state=0).fit(X, y)
    >>> model.get_support(indices=True)
    array([3, 7])
    >>> model.expected_false_positives_ <= 1
    True
    """

    def __init__(
        self,
        *,
        eps: float = 0.1,
        alphas: Any = 30,
        n_subsamples: int = 50,
        sampling: str = "complementary",
        threshold: float = 0.6,
        max_false_positives: float | None = None,
        weakness: float = 1.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        fit_intercept: bool = True,
        positive: bool = False,
        penalty_factor: Any = None,
        standardize: bool = False,
        tol: float = 1e-4,
        max_iter: int | None = 1000,
        time_limit: float | None = None,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.n_subsamples = n_subsamples
        self.sampling = sampling
        self.threshold = threshold
        self.max_false_positives = max_false_positives
        self.weakness = weakness
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.penalty_factor = penalty_factor
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter
        self.time_limit = time_limit

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> StabilitySelection:
        """Fit a path on every subsample and count.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            s_i >= 0.

        Returns
        -------
        StabilitySelection
            Itself.
        """
        check_parameters(self, RULES)
        deadline = deadline_of(self.time_limit)
        data = read_data(self, X, y, sample_weight, parted=True)
        fit = Fit.of(self, data)
        alphas = falling_alphas(fit, data.y, self.alphas, self.eps)

        def selected(draws: tuple[Draw, ...]) -> list[PathResult] | None:
            """The paths on the halves of one draw; None if time ran out."""
            found = []
            for draw in draws:
                if passed(deadline):
                    return None
                found.append(self._path(within(fit, deadline, n_threads=1), part(data, draw.rows), alphas, draw.seed))
                if found[-1].status is Status.TIME_LIMIT:
                    return None
            return found

        results = in_threads(selected, self._draws(data), self.n_jobs)
        done = [one for pair in results if pair is not None for one in pair]
        counts, penalised = np.zeros((data.X.shape[1], len(alphas)), dtype=np.int64), self._penalised(data)
        together = np.zeros(len(alphas), dtype=np.int64)
        for one in done:
            seen = ~penalised
            for k, support in enumerate(one.supports):
                counts[support, k] += 1
                together[k:] += int(np.count_nonzero(~seen[support]))
                seen[support] = True
        counts[~penalised] = len(done)
        self.alphas_ = alphas
        self.n_subsamples_ = sum(pair is not None for pair in results)
        self.stability_scores_ = counts / max(1, len(done))
        self.n_selected_path_ = together / max(1, len(done))
        self.n_iter_ = max(1, sum(int(one.n_iter.sum()) for one in done))
        self._bound(int(np.count_nonzero(penalised)))
        gap = max((float(one.dual_gaps.max()) for one in done), default=0.0)
        late = self.n_subsamples - self.n_subsamples_
        status = f"{Status.TIME_LIMIT.value}; {late} of {self.n_subsamples} subsamples were not done" if late else ""
        warn_unconverged(
            gap, fit.tol, status or next((one.status.value for one in done if not one.converged), ""), late
        )
        return self

    def _draws(self, data: Data) -> Iterator[tuple[Draw, ...]]:
        """The subsamples, one or two at a time, drawn before any is fitted."""
        random = check_random_state(self.random_state)
        weight = data.sample_weight
        rows = np.arange(data.X.shape[0]) if weight is None else np.flatnonzero(weight > 0.0)
        half, halves = len(rows) // 2, 2 if self.sampling == "complementary" else 1
        if half == 0:
            raise ValueError(
                f"n_samples = {len(rows)} (with a positive weight); two halves need two at least: give more samples"
            )
        for _ in range(self.n_subsamples):
            order = random.permutation(rows)
            seeds = random.randint(np.iinfo(np.int32).max, size=halves)
            yield tuple(Draw(order[k * half : (k + 1) * half], int(seeds[k])) for k in range(halves))

    def _path(self, fit: Fit, data: Data, alphas: Vector, seed: int) -> PathResult:
        """The path on a subsample; one thread, so that the result does not depend on how many there are."""
        options = {**fit.options, "sample_weight": data.sample_weight}
        if self.weakness < 1.0:
            v, p = options["penalty_weights"], data.X.shape[1]
            share = np.random.RandomState(seed).uniform(self.weakness, 1.0, size=p)
            options["penalty_weights"] = (1.0 if v is None else v) / share
        lams = Units(data.total).strengths(alphas)[0]
        with quietly(), plain_errors(fit.X, fit.name):
            return path(fit.X, data.y, lams=lams, **options, **fit.controls)

    def _penalised(self, data: Data) -> NDArray[np.bool_]:
        """Which features have a penalty."""
        if self.penalty_factor is None:
            return np.ones(data.X.shape[1], dtype=bool)
        made: NDArray[np.bool_] = np.asarray(self.penalty_factor, dtype=np.float64) > 0.0
        return made

    def _bound(self, p: int) -> None:
        """Set A and the bounds that hold for it, for p penalised features."""
        bounds = np.array([false_positives(q, p, self.threshold) for q in self.n_selected_path_])
        used = len(bounds)
        if self.max_false_positives is not None:
            used = int(np.count_nonzero(bounds <= self.max_false_positives))  # they never fall
        self.n_alphas_used_ = used
        q = float(self.n_selected_path_[used - 1]) if used else 0.0
        self.expected_false_positives_ = float(bounds[used - 1]) if used else 0.0
        self.expected_false_positives_unimodal_ = math.nan
        if self.sampling == "complementary" and self.n_subsamples_ and p:
            self.expected_false_positives_unimodal_ = unimodal_false_positives(q, p, self.threshold, self.n_subsamples_)

    def transform(self, X: Any) -> Any:
        """The selected columns of X.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        array or sparse matrix, shape (n_samples, n_selected)
        """
        X = sound(X, type(self).__name__)
        with located(X, type(self).__name__):
            return super().transform(X)

    def inverse_transform(self, X: Any) -> Any:
        """X with columns of zeros where the features that were not selected have been.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_selected)

        Returns
        -------
        array or sparse matrix, shape (n_samples, n_features)
        """
        return super().inverse_transform(sound(X, type(self).__name__))

    def _get_support_mask(self) -> NDArray[np.bool_]:
        """What `SelectorMixin` asks of a selector."""
        check_is_fitted(self)
        scores = self.stability_scores_[:, : self.n_alphas_used_]
        made: NDArray[np.bool_] = scores.max(axis=1, initial=0.0) >= self.threshold
        return made

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags
