"""Pictures of paths and of cross-validation, as objects that hold what they show.

A path is w(lam), the minimiser of 1/2 ||X w - y||^2 + lam ||w||_1 for falling lam; cross-validation gives the error
of the same strengths on rows that were left out. The shape is that of scikit-learn's displays: the constructor takes
the numbers, `plot` draws them, and ``from_...`` does both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from l1fast._figures import axes_of, foreground, root_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from l1fast._result import CrossValidation, PathResult

Vector = NDArray[np.float64]

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
"""Told apart in every common form of colour blindness, and from black and white: Okabe and Ito (2008), less yellow."""
ON_LIGHT, ON_DARK = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY), (SKY, ORANGE, GREEN, PURPLE, VERMILION, BLUE)

LINE_STYLES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)))  # lines of one colour stay apart
N_NAMED = 10
AGAINST = ("strength", "l1_norm", "deviance")
SMALL = "small"  # of the fonts: names, marks, ticks of the support
INCHES_PER_TICK = 0.75
PLAIN = (1e-4, 1e5)  # numbers that are written without a power of ten


def number(value: float, digits: int = 3) -> str:
    """A number for people: 0.0123, 1.2 x 10^-7."""
    rounded = float(f"{value:.{digits}g}")
    if rounded == 0.0 or PLAIN[0] <= abs(rounded) < PLAIN[1]:
        return f"{rounded:.10g}".replace("-", "\N{MINUS SIGN}")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return rf"${float(mantissa):g}\times10^{{{int(exponent)}}}$"


def tick(value: float, position: int | None = None) -> str:
    """A tick of a logarithmic axis."""
    mantissa, exponent = f"{value:.2e}".split("e")
    if PLAIN[0] <= value < PLAIN[1] or float(mantissa) != 1.0:
        return number(value)
    return rf"$10^{{{int(exponent)}}}$"


def counted(value: int, noun: str) -> str:
    """How many there are: 1 feature, 1,234 features."""
    return f"{value:,} {noun}" + "s" * (value != 1)


def as_falling(strengths: ArrayLike) -> tuple[Vector, NDArray[np.intp]]:
    """Strengths above 0, from the largest down, and their places in what was given."""
    given = np.asarray(strengths, dtype=np.float64)
    if given.ndim != 1:
        raise ValueError(f"strengths must have one dimension, got shape {given.shape}")
    order = np.argsort(-given, kind="stable")
    order = order[given[order] > 0.0]
    if not order.size:
        raise ValueError("no strength is above 0, and a logarithmic axis has no place for others; give at least one")
    return given[order], order


def palette(ax: Axes) -> tuple[str, ...]:
    """Colours for lines, those that stand out most from the background first."""
    from matplotlib.colors import to_rgb

    return ON_DARK if sum(to_rgb(foreground(ax))) > 1.5 else ON_LIGHT  # half of the three channels


def width_in_inches(ax: Axes) -> float:
    """Of the axes, as they are before a layout."""
    return float(ax.get_window_extent().width / ax.figure.dpi)


def strength_axis(ax: Axes, strengths: Vector, label: str) -> None:
    """A logarithmic axis from strong to weak whose ticks have room."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    from l1fast._artists import StrengthTicks

    ax.set_xscale("log")
    strongest, weakest = float(strengths[0]), float(strengths[-1])
    if strongest == weakest:  # one strength
        strongest, weakest = 2.0 * strongest, weakest / 2.0
    ax.set_xlim(strongest, weakest)
    ax.xaxis.set_major_locator(StrengthTicks())
    ax.xaxis.set_major_formatter(FuncFormatter(tick))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel(label)


def same(values: Any) -> Any:
    """The identity."""
    return values


def support_axis(ax: Axes, places: Vector, sizes: NDArray[np.int64]) -> Any:
    """An axis on top with the number of non-zero coefficients at some of the places, evenly apart."""
    from matplotlib.ticker import FixedLocator

    logarithmic = ax.get_xscale() == "log"
    scaled = np.log(places) if logarithmic else places
    n_ticks = max(2, int(width_in_inches(ax) / INCHES_PER_TICK))
    targets = np.linspace(scaled[0], scaled[-1], n_ticks)
    shown = np.unique([int(np.abs(scaled - target).argmin()) for target in targets])
    apart = abs(scaled[-1] - scaled[0]) / (2.0 * n_ticks)
    kept: list[int] = []
    for k in shown:
        if not kept or abs(scaled[k] - scaled[kept[-1]]) > apart:
            kept.append(int(k))
    top = ax.secondary_xaxis("top", functions=(same, same))  # with matplotlib's own identity no figure can be pickled
    top.set_xticks(places[kept], [f"{sizes[k]:,}" for k in kept], fontsize=SMALL)
    top.xaxis.set_minor_locator(FixedLocator([]))
    top.tick_params(which="minor", top=False, labeltop=False)
    top.set_xlabel("non-zero coefficients", fontsize=SMALL)
    return top


def as_names(feature_names: Sequence[str] | None, n_features: int) -> list[str]:
    """Names of all features: those given, or their indices."""
    if feature_names is None:
        return [f"feature {j}" for j in range(n_features)]
    names = [str(name) for name in feature_names]
    if len(names) != n_features:
        raise ValueError(f"feature_names must have {n_features} names, one for each coefficient, got {len(names)}")
    return names


def nearest(strengths: Vector, strength: float) -> int:
    """The place of a strength among falling ones, on a logarithmic scale."""
    if not strength > 0.0:
        raise ValueError(f"a strength to mark must be above 0, got {strength!r}")
    return int(np.abs(np.log(strengths / strength)).argmin())


def beside_zero(curve: Vector) -> Vector:
    """The curve without its stretches at 0, where it would lie on those of others: NaN there but for their ends."""
    moving = curve != 0.0
    moving[1:] |= curve[:-1] != 0.0
    moving[:-1] |= curve[1:] != 0.0
    return np.where(moving, curve, np.nan)


def of_ratio(estimator: Any, *tables: Any) -> list[Any]:
    """The part of each table, a row for each l1_ratio tried, that belongs to the one chosen."""
    ratios = np.atleast_1d(getattr(estimator, "l1_ratio", 1.0))
    if len(ratios) == 1:
        return list(tables)
    at = int(np.flatnonzero(ratios == estimator.l1_ratio_)[0])
    alphas, *others = tables
    return [alphas if np.ndim(alphas) == 1 else alphas[at], *(None if table is None else table[at] for table in others)]


def path_of(estimator: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Vector, NDArray[np.float64]]:
    """Alphas and coefficients, one column each: those the estimator has kept, or the path of its problem on X and y."""
    if X is None and hasattr(estimator, "coef_path_"):
        return estimator.path_alphas_, np.asarray(estimator.coef_path_, dtype=np.float64)
    if X is None or y is None:
        raise ValueError(
            f"{type(estimator).__name__} has kept no path (coef_path_); give the X and y to follow it on as well"
        )
    from sklearn.base import clone

    from l1fast.estimators._base import Fit, read_data

    bare = clone(estimator)  # the check of the data writes to it
    data = read_data(bare, X, y, sample_weight)
    ratio = float(getattr(estimator, "l1_ratio_", getattr(estimator, "l1_ratio", 1.0)))
    fit = Fit.of(bare, data, ratio)
    alphas = of_ratio(estimator, estimator.alphas_)[0] if hasattr(estimator, "alphas_") else None
    found = fit.path(data.y, fit.grid(data.y, SMALLEST_RATIO, N_STRENGTHS) if alphas is None else alphas)
    return found.alphas, np.asarray(found.coefs, dtype=np.float64)


def names_of(estimator: Any, X: Any) -> Sequence[str] | None:
    """Names of the features, where the estimator or a data frame knows them."""
    names = getattr(estimator, "feature_names_in_", None)
    columns = getattr(X, "columns", None)
    if names is None and columns is not None:
        names = [str(name) for name in columns]
    return None if names is None else list(names)


SMALLEST_RATIO, N_STRENGTHS = 1e-3, 100  # the path of an estimator without alphas_: as of l1fast.path


class LassoPathDisplay:
    """Coefficients against the strength of the penalty, the largest by name.

    Parameters
    ----------
    strengths : array-like of shape (n_strengths,)
        In any order; those of 0 have no place on a logarithmic axis and are left out.
    coefs : array-like or sparse array of shape (n_features, n_strengths)
    feature_names : sequence of str, optional
        "feature 0", ... if left out.
    deviance : array-like of shape (n_strengths,), optional
        Part of the loss explained, for ``against="deviance"``.
    marks : mapping of str to float, optional
        Strengths to mark by a vertical line, by name: ``{"minimum": 0.1}``.
    strength_name : str
        "lam" or "alpha", whichever the strengths are.

    Attributes
    ----------
    ax_, figure_
        Where it was drawn last.
    lines_ : list of Line2D
        One for each named feature, the largest at the weak end first.
    rest_ : LineCollection or None
        All other features that are not 0 throughout.
    labels_ : EndLabels or None
        ``labels_.texts`` are the names at the ends of the lines.
    marks_ : dict of str to Line2D
    support_axis_ : axes
        The axis on top, with the numbers of non-zero coefficients.

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> from l1fast.plot import LassoPathDisplay
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> found = l1fast.path(X, [3.0, 0.5, 1.0], n_lams=20)
    >>> display = LassoPathDisplay.from_path(found, feature_names=["height", "width"])
    >>> [text.get_text() for text in display.labels_.texts]
    ['height', 'width']
    >>> display.figure_.savefig("path.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        strengths: ArrayLike,
        coefs: Any,
        *,
        feature_names: Sequence[str] | None = None,
        deviance: ArrayLike | None = None,
        marks: Mapping[str, float] | None = None,
        strength_name: str = "lam",
    ) -> None:
        self.strengths, order = as_falling(strengths)
        table = sparse.csr_array(coefs)
        if table.shape[1] != np.size(strengths):
            raise ValueError(
                f"coefs must have one column for each of the {np.size(strengths)} strengths, got shape {table.shape}"
            )
        self.coefs = sparse.csr_array(table[:, order])
        self.coefs.eliminate_zeros()
        self.feature_names = as_names(feature_names, table.shape[0])
        self.deviance = None if deviance is None else np.asarray(deviance, dtype=np.float64)[order]
        self.marks = {name: float(strength) for name, strength in (marks or {}).items()}
        for strength in self.marks.values():
            nearest(self.strengths, strength)
        self.strength_name = strength_name

    @classmethod
    def from_path(
        cls,
        path: PathResult,
        *,
        feature_names: Sequence[str] | None = None,
        marks: Mapping[str, float] | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> LassoPathDisplay:
        """Draw what `l1fast.path` found.

        Parameters
        ----------
        path : PathResult
        feature_names, marks
            As of the class.
        ax : axes, optional
            A new figure if left out.
        **options
            Of `plot`.

        Returns
        -------
        LassoPathDisplay
        """
        display = cls(path.lams, path.coefs, feature_names=feature_names, deviance=path.deviance_explained, marks=marks)
        display.plot(ax, **options)
        return display

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        sample_weight: Any = None,
        feature_names: Sequence[str] | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> LassoPathDisplay:
        """Draw the path of an estimator of `l1fast.estimators`, with what cross-validation chose.

        Parameters
        ----------
        estimator : estimator
            With ``alpha_min_`` and ``alpha_1se_``, these are marked.
        X, y, sample_weight
            The data to follow the path on, at ``alphas_`` where the estimator has them, else at 100 strengths. Not
            needed where the estimator has kept its path (``coef_path_``).
        feature_names : sequence of str, optional
            Default: ``feature_names_in_``, or the columns of a data frame X.
        ax, **options
            As of `from_path`.

        Returns
        -------
        LassoPathDisplay

        Raises
        ------
        ValueError
            The estimator has not kept a path, and there are no X and y; or it has several targets.
        """
        alphas, coefs = path_of(estimator, X, y, sample_weight)
        if coefs.ndim != 2:
            raise ValueError(
                f"coefs of several targets have shape {coefs.shape}; draw one: LassoPathDisplay(alphas, coefs[0])"
            )
        known = {"minimum": "alpha_min_", "1-SE": "alpha_1se_"}
        marks = {name: float(getattr(estimator, place)) for name, place in known.items() if hasattr(estimator, place)}
        display = cls(
            alphas,
            coefs,
            feature_names=names_of(estimator, X) if feature_names is None else feature_names,
            marks={name: alpha for name, alpha in marks.items() if alpha > 0.0},
            strength_name="alpha",
        )
        display.plot(ax, **options)
        return display

    @property
    def support_sizes(self) -> NDArray[np.int64]:
        """Non-zero coefficients at each strength."""
        return np.bincount(self.coefs.indices, minlength=len(self.strengths)).astype(np.int64)

    def ranking(self) -> NDArray[np.intp]:
        """Features that are not 0 throughout: by size at the weak end, then by the largest they were."""
        size = abs(self.coefs)
        last, most = size[:, [-1]].toarray().reshape(-1), size.max(axis=1).toarray().reshape(-1)
        there = np.flatnonzero(most)
        return np.asarray(there[np.lexsort((-most[there], -last[there]))])

    def places(self, against: str) -> tuple[Vector, str]:
        """Where each strength is on the horizontal axis, and the name of that."""
        if against not in AGAINST:
            raise ValueError(f"against is {against!r}; choose one of {', '.join(map(repr, AGAINST))}")
        if against == "strength":
            return self.strengths, f"{self.strength_name}, from strong to weak"
        if against == "l1_norm":
            return np.asarray(abs(self.coefs).sum(axis=0)).reshape(-1), "L1 norm of the coefficients"
        if self.deviance is None:
            raise ValueError('against="deviance" needs the deviance of each strength; give deviance=')
        return self.deviance, "deviance explained"

    def plot(
        self,
        ax: Axes | None = None,
        *,
        against: Literal["strength", "l1_norm", "deviance"] = "strength",
        n_named: int = N_NAMED,
        **line_options: Any,
    ) -> Axes:
        """Draw the path; no picture is shown, and no setting of matplotlib changes.

        Parameters
        ----------
        ax : axes, optional
            A new figure if left out.
        against : {"strength", "l1_norm", "deviance"}
            What the horizontal axis has: the strength on a logarithmic scale, from strong to weak, or what grows as
            it falls.
        n_named : int
            So many features with the largest coefficients at the weak end are coloured and named; fewer where there
            is no room for the names.
        **line_options
            Of their lines, as in ``Axes.plot``.

        Returns
        -------
        axes

        Raises
        ------
        ValueError
            `against` is none of the three, or there is no deviance.
        ImportError
            matplotlib is missing.
        """
        places, label = self.places(against)
        own_figure = ax is None
        ax = axes_of(ax)
        from matplotlib.collections import LineCollection

        from l1fast._artists import EndLabels

        ink, colours = foreground(ax), palette(ax)
        ranking = self.ranking()
        named, others = ranking[:n_named], ranking[n_named:]
        curves = {int(j): beside_zero(self.coefs[[j]].toarray()[0]) for j in named}
        self.rest_ = None
        if others.size:
            rows = map(beside_zero, self.coefs[others].toarray())
            width, alpha = (0.7, 0.35) if others.size <= CROWD else (0.4, 0.2)
            self.rest_ = LineCollection(
                [np.column_stack((places, row)) for row in rows], colors=[ink], linewidths=width, alpha=alpha, zorder=1
            )
            ax.add_collection(self.rest_)
            ax.autoscale_view()
        ax.axhline(0.0, color=ink, linewidth=0.8, alpha=0.5, zorder=0.5)
        self.lines_ = []
        for k, (j, curve) in enumerate(curves.items()):
            looks: dict[str, Any] = {
                "color": colours[k % len(colours)],
                "linewidth": 1.6,
                "zorder": 3.0 - k / (len(curves) + 1),
            }
            looks["linestyle"] = LINE_STYLES[k // len(colours) % len(LINE_STYLES)]
            (line,) = ax.plot(places, curve, **looks | line_options, label=self.feature_names[j])
            self.lines_.append(line)
        if against == "strength":
            strength_axis(ax, self.strengths, label)
        else:
            ax.set_xlabel(label)
            if places[-1] > places[0]:
                ax.set_xlim(places[0], places[-1])
        ax.set_ylabel("coefficient")
        self.marks_ = draw_marks(ax, {name: places[nearest(self.strengths, s)] for name, s in self.marks.items()})
        self.support_axis_ = support_axis(ax, places, self.support_sizes)
        self.labels_ = None
        if self.lines_:
            ends = self.coefs[named][:, [-1]].toarray().reshape(-1)
            names = [self.feature_names[j] for j in curves]
            self.labels_ = EndLabels(ax, ends, names, [line.get_color() for line in self.lines_], SMALL)
            if own_figure:
                figure = root_figure(ax)
                figure.set_figwidth(figure.get_figwidth() + self.labels_.width())
        self.ax_, self.figure_ = ax, ax.figure
        return ax


CROWD = 100  # lines, from which on each is still thinner


def draw_marks(ax: Axes, marks: Mapping[str, float]) -> dict[str, Any]:
    """Vertical lines with their names along them, at the bottom and at the top in turn."""
    from matplotlib.patheffects import withStroke

    ink, paper = foreground(ax), ax.get_facecolor()
    transform, lines = ax.get_xaxis_transform(), {}
    for k, (name, place) in enumerate(marks.items()):
        lines[name] = ax.axvline(place, color=ink, linestyle=(0, (4, 2)), linewidth=1.0, zorder=3.5)
        share = ax.transAxes.inverted().transform(ax.transData.transform((place, 0.0)))[0]
        left, top = share > NARROW, k % 2 == 1
        ax.annotate(
            name,
            (place, float(top)),
            (-3 if left else 3, -4 if top else 4),
            xycoords=transform,
            textcoords="offset points",
            rotation=90,
            ha="right" if left else "left",
            va="top" if top else "bottom",
            fontsize=SMALL,
            color=ink,
            zorder=5,
            path_effects=[withStroke(linewidth=3, foreground=paper)],
        )
    return lines


NARROW = 0.1  # of the width of the axes, left of which there is no room for the name of a line


class CVDisplay:
    """Errors of cross-validation against the strength of the penalty, with what they select.

    Parameters
    ----------
    strengths : array-like of shape (n_strengths,)
        In any order; those of 0 have no place on a logarithmic axis and are left out.
    errors : array-like of shape (n_strengths, n_folds)
        The error of each strength on the rows of each fold, as scikit-learn's ``mse_path_``.
    means, standard_errors : array-like of shape (n_strengths,), optional
        Of the folds, where they are not equally heavy; if left out, the plain mean and the standard deviation over the
        square root of n_folds.
    one_se : float, optional
        The strength to mark as the choice of the rule of one standard error.
    support_sizes : array-like of int, shape (n_strengths,), optional
        Non-zero coefficients of the fit to all rows at each strength.
    strength_name, error_name : str

    Attributes
    ----------
    ax_, figure_
        Where it was drawn last.
    line_ : Line2D
        The mean.
    band_ : PolyCollection or None
        One standard error on either side of it; None for a single fold.
    fold_lines_ : list of Line2D
    marks_ : dict of str to Line2D
        The points "minimum" and "1-SE" on the curve.
    mark_lines_ : dict of str to Line2D
        The vertical lines through them.
    support_axis_ : axes or None
        The axis on top, with the numbers of non-zero coefficients.
    legend_ : Legend

    Examples
    --------
    >>> from l1fast.plot import CVDisplay
    >>> display = CVDisplay([4.0, 2.0, 1.0], [[9.0, 7.0], [2.0, 4.0], [5.0, 4.0]])
    >>> display.means.tolist(), display.standard_errors.tolist(), display.minimum
    ([8.0, 3.0, 4.5], [1.0, 1.0, 0.5], 1)
    >>> display.plot().get_ylabel()
    'mean squared error'
    """

    def __init__(
        self,
        strengths: ArrayLike,
        errors: ArrayLike,
        *,
        means: ArrayLike | None = None,
        standard_errors: ArrayLike | None = None,
        one_se: float | None = None,
        support_sizes: ArrayLike | None = None,
        strength_name: str = "alpha",
        error_name: str = "mean squared error",
    ) -> None:
        self.strengths, order = as_falling(strengths)
        table = np.asarray(errors, dtype=np.float64)
        if table.ndim != 2 or len(table) != np.size(strengths) or not table.shape[1]:
            raise ValueError(
                f"errors must have a row for each of the {np.size(strengths)} strengths and a column for each fold, "
                f"got shape {table.shape}"
            )
        self.errors = table[order]
        n_folds = table.shape[1]
        self.means = self.errors.mean(axis=1) if means is None else np.asarray(means, dtype=np.float64)[order]
        if standard_errors is not None:
            self.standard_errors = np.asarray(standard_errors, dtype=np.float64)[order]
        elif n_folds > 1:
            self.standard_errors = self.errors.std(axis=1, ddof=1) / np.sqrt(n_folds)
        else:
            self.standard_errors = np.full(len(order), np.nan)
        self.minimum = int(np.nanargmin(self.means))
        self.one_se = None if one_se is None else nearest(self.strengths, one_se)
        self.support_sizes = None if support_sizes is None else np.asarray(support_sizes, dtype=np.int64)[order]
        self.strength_name, self.error_name = strength_name, error_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, y: Any = None, *, ax: Axes | None = None, **options: Any
    ) -> CVDisplay:
        """Draw the cross-validation of a fitted estimator.

        Parameters
        ----------
        estimator : LassoCV, ElasticNetCV or like them
            With ``alphas_`` and ``mse_path_``; those of ``l1_ratio_`` where there are several ratios.
        X, y : optional
            What it was fitted to, for the numbers of non-zero coefficients. Not needed where the estimator has kept its
            path (``coef_path_``).
        ax : axes, optional
            A new figure if left out.
        **options
            Of `plot`.

        Returns
        -------
        CVDisplay

        Raises
        ------
        ValueError
            The estimator has no ``mse_path_``: it is not fitted, or knows no cross-validation.
        """
        if not hasattr(estimator, "mse_path_"):
            raise ValueError(
                f"{type(estimator).__name__} has no mse_path_; fit an estimator with cross-validation first, as LassoCV"
            )
        alphas, errors, spread = of_ratio(
            estimator, estimator.alphas_, estimator.mse_path_, getattr(estimator, "mse_se_", None)
        )
        sizes = None
        if hasattr(estimator, "coef_path_") or X is not None:
            at, coefs = path_of(estimator, X, y, None)
            used = (coefs != 0.0).reshape(-1, *coefs.shape[-2:]).any(axis=0)
            sizes = used.sum(axis=0) if len(at) == len(alphas) else None
        one_se = getattr(estimator, "alpha_1se_", None)
        display = cls(alphas, errors, standard_errors=spread, one_se=one_se, support_sizes=sizes)
        display.plot(ax, **options)
        return display

    @classmethod
    def from_cv(
        cls,
        found: CrossValidation,
        sequence: int = 0,
        *,
        one_se: float | None = None,
        support_sizes: ArrayLike | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> CVDisplay:
        """Draw one sequence of strengths of a cross-validation by the core.

        Parameters
        ----------
        found : CrossValidation
            Of `l1fast.cross_validate`; its ``mean_errors()`` weighs the folds.
        sequence : int
        one_se, support_sizes
            As of the class.
        ax : axes, optional
            A new figure if left out.
        **options
            Of `plot`.

        Returns
        -------
        CVDisplay
        """
        display = cls(
            found.lams[sequence],
            found.errors[sequence],
            means=found.mean_errors()[sequence],
            one_se=one_se,
            support_sizes=support_sizes,
            strength_name="lam",
        )
        display.plot(ax, **options)
        return display

    def selected(self) -> dict[str, int]:
        """The places of the strengths to mark, by name."""
        return {"minimum": self.minimum} | ({} if self.one_se is None else {"1-SE": self.one_se})

    def describe(self, name: str, separator: str = ", ") -> str:
        """What the legend says of a selection: its strength, its error, its number of features."""
        k = self.selected()[name]
        first = f"{name}: {self.strength_name} {number(self.strengths[k])}"
        second = f"error {number(self.means[k], ERROR_DIGITS)}"
        if self.support_sizes is not None:
            second += f", {counted(int(self.support_sizes[k]), 'feature')}"
        return first + separator + second

    def plot(self, ax: Axes | None = None, **line_options: Any) -> Axes:
        """Draw the curve; no picture is shown, and no setting of matplotlib changes.

        Parameters
        ----------
        ax : axes, optional
            A new figure if left out.
        **line_options
            Of the line of the mean, as in ``Axes.plot``.

        Returns
        -------
        axes

        Raises
        ------
        ImportError
            matplotlib is missing.
        """
        ax = axes_of(ax)
        ink, colours, places = foreground(ax), palette(ax), self.strengths
        self.fold_lines_ = [
            ax.plot(places, fold, color=ink, linewidth=0.8, alpha=0.3, zorder=1)[0] for fold in self.errors.T
        ]
        n_folds = len(self.fold_lines_)
        self.fold_lines_[0].set_label("each fold" if n_folds > 1 else "the fold")
        looks: dict[str, Any] = {"color": colours[0], "linewidth": 2.0, "zorder": 3} | line_options
        (self.line_,) = ax.plot(places, self.means, label=f"mean of {n_folds} folds", **looks)
        self.band_ = None
        if np.isfinite(self.standard_errors).any():
            low, high = self.means - self.standard_errors, self.means + self.standard_errors
            self.band_ = ax.fill_between(places, low, high, color=self.line_.get_color(), alpha=0.3, lw=0, zorder=2)
            self.line_.set_label("mean \N{PLUS-MINUS SIGN} 1 standard error")
        self.marks_, self.mark_lines_ = {}, {}
        for (name, k), color, shape in zip(self.selected().items(), colours[1:], MARKS, strict=False):
            self.mark_lines_[name] = ax.axvline(places[k], color=color, linestyle=(0, (4, 2)), lw=1.2, zorder=2.5)
            (self.marks_[name],) = ax.plot(
                places[[k]], self.means[[k]], color=color, linestyle="", zorder=4, clip_on=False, **shape
            )
        strength_axis(ax, places, f"{self.strength_name}, from strong to weak")
        ax.set_ylabel(self.error_name)
        self.support_axis_ = None if self.support_sizes is None else support_axis(ax, places, self.support_sizes)
        self._add_legend(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return ax

    def _add_legend(self, ax: Axes) -> None:
        """A legend in the upper right corner, and so much room above the curves that it covers none."""
        from matplotlib.legend_handler import HandlerTuple

        root_figure(ax).draw_without_rendering()  # the layout tells how large the axes are
        mean: Any = self.line_ if self.band_ is None else (self.band_, self.line_)
        entries = [(mean, str(self.line_.get_label())), (self.fold_lines_[0], str(self.fold_lines_[0].get_label()))]

        def legend(separator: str, others: list[tuple[Any, str]], fontsize: str) -> Any:
            selections = [(mark, self.describe(name, separator)) for name, mark in self.marks_.items()]
            handles, labels = zip(*others, *selections, strict=True)
            one_band = {tuple: HandlerTuple(ndivide=1, pad=0)}
            looks: dict[str, Any] = {"loc": "upper right", "framealpha": 1.0, "fontsize": fontsize}
            self.legend_ = ax.legend(handles, labels, handler_map=one_band, **looks)
            return self.legend_.get_window_extent()

        box = legend(", ", entries, SMALL)
        if box.width > LEGEND_SHARE * ax.bbox.width:
            box = legend("\n", entries, SMALL)
        if box.height > LEGEND_SHARE * ax.bbox.height or box.width > ax.bbox.width:
            box = legend("\n", [], "x-small")
        left = ax.transData.inverted().transform((box.x0, box.y0))[0]
        below = self.strengths <= left
        below[:-1] |= below[1:]  # the curve comes from the left of it
        if below.any():
            upper = np.nanmax(np.vstack((self.errors.T, self.means + np.nan_to_num(self.standard_errors)))[:, below])
            bottom, top = ax.get_ylim()
            share = max((box.y0 - ax.bbox.y0) / ax.bbox.height - LEGEND_GAP, LEAST_SHARE)
            ax.set_ylim(bottom, max(top, bottom + (upper - bottom) / share))


ERROR_DIGITS = 4
LEGEND_SHARE = 0.6  # of width and height of the axes: a wider legend gets more lines, a higher one fewer entries
LEGEND_GAP = 0.04  # of the height of the axes, between legend and curves
LEAST_SHARE = 0.25  # of the height of the axes is left to the curves, however small a figure is
MARKS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "markersize": 7},
    {"marker": "s", "markersize": 11, "fillstyle": "none", "markeredgewidth": 1.8},  # seen around the other too
)
