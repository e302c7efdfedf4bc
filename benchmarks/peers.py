"""The peers l1fast is timed against: one adapter each, for 1/2 ||y - Xw||^2 + lam ||w||_1 without an intercept.

An adapter says what storage its peer likes best (``prepare``, outside the clock), how to solve one strength
(``solve``) and, where the peer can, a whole path (``path``). A unit is converted here and nowhere else: most peers
minimise 1/(2n) ||y - Xw||^2 + alpha ||w||_1, so alpha = lam / n. Every limit on iterations is lifted as far as it goes:
the clock of the parent process stops what takes too long.

``settings`` is the ladder of tolerances from loose to strict, each in the peer's own meaning of the word.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import l1fast
from l1fast._baselines import numpy_fista

LADDER = tuple(10.0**-k for k in range(2, 15))
EXACT = (0.0,)  # the ladder of methods that end at the exact solution
KNOTS = 8  # of a homotopy, over the smaller side of X: what SPAMS has room for
UNLIMITED = 10**9  # iterations: more than any time limit allows
MEMORY = 2 * 10**9  # bytes a dense copy of a sparse X, or a Gram matrix, may take
LEAD = 10  # strengths of the short path that leads a peer made for paths to one strength
SMALL_P = 5000  # features up to which a Gram matrix is tried although there are fewer samples


class Refused(Exception):
    """The peer cannot take this problem, or is not there; the message says why."""


class Peer:
    """One way to solve the problem. ``own_seconds`` is set by a peer that keeps the clock itself."""

    name = ""
    package = ""  # the distribution whose version is told
    settings: tuple[float, ...] = LADDER
    threads = 1
    own_seconds: float | None = None

    def version(self) -> str:
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError as error:
            raise Refused(f"{self.package} is not installed") from error

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        """Keep X as columns of float64 (F order or CSC), which most peers like best."""
        self.X, self.y = as_columns(X), np.asarray(y, dtype=np.float64)
        self.n, self.p = X.shape
        self.lam_max = lam_max

    def solve(self, lam: float, setting: float) -> Any:
        """The coefficients, dense or sparse, at the strength lam."""
        raise NotImplementedError

    path: Callable[[np.ndarray, float], Any] | None = None
    """path(lams, setting): the coefficients as the columns of a matrix with a row per feature, lams falling."""

    def close(self) -> None:
        """End what the peer started."""


def as_columns(X: Any) -> Any:
    if sp.issparse(X):
        csc = sp.csc_matrix(X, dtype=np.float64)
        csc.sort_indices()
        return csc
    return np.asfortranarray(X, dtype=np.float64)


def need_dense(X: Any, who: str) -> np.ndarray:
    """X as a dense matrix by columns, if that is not too large."""
    if not sp.issparse(X):
        return as_columns(X)
    if 8 * X.shape[0] * X.shape[1] > MEMORY:
        raise Refused(f"{who} takes dense X only, here {8e-9 * X.shape[0] * X.shape[1]:.3g} GB")
    return np.asfortranarray(X.toarray(), dtype=np.float64)


def need_gram(X: Any) -> None:
    """Refuse a Gram matrix that is too large, or hopelessly larger than X."""
    n, p = X.shape
    if 8 * p * p > MEMORY:
        raise Refused(f"a Gram matrix of {8e-9 * p * p:.3g} GB")
    if p > max(n, SMALL_P):
        raise Refused(f"a Gram matrix of {p:,} features for {n:,} samples")


def lead(lam_max: float, lam: float) -> np.ndarray:
    """A short path from lam_max to lam."""
    return np.geomspace(max(lam_max, lam), lam, LEAD)


class Ours(Peer):
    """l1fast takes X as it is; what it converts is on its clock."""

    package = "l1fast"
    solver = "auto"

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        self.X, self.y, self.lam_max = X, y, lam_max

    def solve(self, lam: float, setting: float) -> Any:
        result = l1fast.solve(self.X, self.y, lam, solver=self.solver, tol=setting, n_threads=self.threads)
        return result.coef


class Auto(Ours):
    name = "l1fast"

    if hasattr(l1fast, "path"):

        def path(self, lams: np.ndarray, setting: float) -> Any:
            return l1fast.path(self.X, self.y, lams=lams, tol=setting, n_threads=self.threads).coefs


class Fista(Ours):
    name = "l1fast-fista"
    solver = "fista"


class NumpyFista(Peer):
    name = "numpy-fista"
    package = "numpy"

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        self.X, self.y = X, y

    def solve(self, lam: float, setting: float) -> Any:
        result = numpy_fista(self.X, self.y, lam, tol=setting, time_limit=np.inf, max_iter=None)
        self.own_seconds = result.seconds  # without the referee's
        return result.coef


class Celer(Peer):
    name = "celer"
    package = "celer"

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        import celer

        super().prepare(X, y, lam_max)
        self.celer = celer

    def solve(self, lam: float, setting: float) -> Any:
        limits = {"max_iter": 10_000, "max_epochs": UNLIMITED}
        return self.celer.Lasso(lam / self.n, fit_intercept=False, tol=setting, **limits).fit(self.X, self.y).coef_

    def path(self, lams: np.ndarray, setting: float) -> Any:
        limits = {"max_iter": 10_000, "max_epochs": UNLIMITED}
        return self.celer.celer_path(self.X, self.y, "lasso", alphas=lams / self.n, tol=setting, **limits)[1]


class Skglm(Peer):
    """Its tolerance bounds the violation of the optimality conditions; here it is in units of alpha_max."""

    name = "skglm"
    package = "skglm"

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        import skglm

        super().prepare(X, y, lam_max)
        self.skglm = skglm

    def estimator(self, lam: float, setting: float) -> Any:
        tol = setting * self.lam_max / self.n
        return self.skglm.Lasso(lam / self.n, fit_intercept=False, tol=tol, max_iter=10_000, max_epochs=UNLIMITED)

    def solve(self, lam: float, setting: float) -> Any:
        return self.estimator(lam, setting).fit(self.X, self.y).coef_

    def path(self, lams: np.ndarray, setting: float) -> Any:
        return self.estimator(lams[0], setting).path(self.X, self.y, alphas=lams / self.n)[1]


class SkglmGram(Skglm):
    """skglm's coordinate descent on the Gram matrix."""

    name = "skglm-gram"
    path = None

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        need_gram(X)
        super().prepare(X, y, lam_max)

    def solve(self, lam: float, setting: float) -> Any:
        from skglm.penalties import L1
        from skglm.solvers import GramCD

        tol = setting * self.lam_max / self.n
        solver = GramCD(max_iter=UNLIMITED, fit_intercept=False, tol=tol)
        return solver.solve(self.X, self.y, None, L1(lam / self.n))[0]


class Sklearn(Peer):
    name = "sklearn"
    package = "scikit-learn"
    gram = False

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        from sklearn import linear_model

        super().prepare(X, y, lam_max)
        self.linear_model = linear_model
        warnings.simplefilter("ignore")

    def solve(self, lam: float, setting: float) -> Any:
        settings = {"fit_intercept": False, "precompute": self.gram, "copy_X": False, "max_iter": UNLIMITED}
        return self.linear_model.Lasso(lam / self.n, tol=setting, **settings).fit(self.X, self.y).coef_

    def path(self, lams: np.ndarray, setting: float) -> Any:
        settings = {"precompute": self.gram, "copy_X": False, "max_iter": UNLIMITED}
        return self.linear_model.lasso_path(self.X, self.y, alphas=lams / self.n, tol=setting, **settings)[1]


class SklearnGram(Sklearn):
    name = "sklearn-gram"
    gram = True

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        if sp.issparse(X):
            raise Refused("scikit-learn makes no Gram matrix of sparse X")
        need_gram(X)
        super().prepare(X, y, lam_max)


class SklearnLars(Sklearn):
    """The homotopy of the Lasso, exact in exact arithmetic."""

    name = "sklearn-lars"
    settings = EXACT

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        super().prepare(need_dense(X, "LARS"), y, lam_max)

    def solve(self, lam: float, setting: float) -> Any:
        return self.homotopy(lam, return_path=False)[2]

    def path(self, lams: np.ndarray, setting: float) -> Any:
        alphas, _, knots = self.homotopy(lams[-1], return_path=True)
        return between(alphas * self.n, knots, lams)

    def homotopy(self, lam: float, *, return_path: bool) -> tuple:
        options = {"method": "lasso", "Gram": "auto", "max_iter": UNLIMITED, "return_path": return_path}
        return self.linear_model.lars_path(self.X, self.y, alpha_min=lam / self.n, **options)


def between(knots: np.ndarray, coefs: np.ndarray, lams: np.ndarray) -> np.ndarray:
    """The piecewise linear path through the columns of coefs, at lams; knots fall."""
    right = np.clip(np.searchsorted(-knots, -lams), 1, len(knots) - 1)
    left = right - 1
    share = np.clip((knots[left] - lams) / np.maximum(knots[left] - knots[right], np.finfo(float).tiny), 0, 1)
    return coefs[:, left] * (1 - share) + coefs[:, right] * share


class Adelie(Peer):
    """Its tolerance bounds the decrease of the objective, roughly the square of the gap: hence rungs of a hundred.

    A short path leads to one strength when X is dense, where that is faster by far; when X is sparse it is slower.
    """

    name = "adelie"
    package = "adelie"
    settings = tuple(10.0**-k for k in range(5, 28, 2))

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        import adelie

        super().prepare(X, y, lam_max)
        self.adelie = adelie
        matrix = adelie.matrix.sparse if sp.issparse(self.X) else adelie.matrix.dense
        self.matrix = matrix(self.X, method="naive", n_threads=self.threads)

    def options(self, lams: np.ndarray, setting: float) -> dict:
        limits = {"early_exit": False, "progress_bar": False, "max_iters": UNLIMITED}
        return {"lmda_path": lams / self.n, "tol": setting, "n_threads": self.threads, **limits}

    def solve(self, lam: float, setting: float) -> Any:
        lams = np.array([lam]) if sp.issparse(self.X) else lead(self.lam_max, lam)
        return self.path(lams, setting)[:, [-1]]

    def path(self, lams: np.ndarray, setting: float) -> Any:
        glm = self.adelie.glm.gaussian(y=self.y)
        state = self.adelie.grpnet(self.matrix, glm, intercept=False, **self.options(lams, setting))
        return columns_of(state.betas, len(lams))


class AdelieCov(Adelie):
    """adelie on the Gram matrix, made on the clock."""

    name = "adelie-cov"

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        need_gram(X)
        super().prepare(X, y, lam_max)

    def path(self, lams: np.ndarray, setting: float) -> Any:
        gram = self.X.T @ self.X
        gram = np.asfortranarray(gram.toarray() if sp.issparse(gram) else gram) / self.n
        matrix = self.adelie.matrix.dense(gram, method="cov", n_threads=self.threads)
        v = self.X.T @ self.y / self.n
        state = self.adelie.gaussian_cov(matrix, v, **self.options(lams, setting))
        return columns_of(state.betas, len(lams))


def columns_of(betas: Any, wanted: int) -> Any:
    """adelie gives a row per strength."""
    if betas.shape[0] != wanted:
        raise RuntimeError(f"{betas.shape[0]} strengths of {wanted} were solved")
    return betas.T


class Blitz(Peer):
    name = "blitzl1"
    package = "blitzl1"

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        import blitzl1

        super().prepare(X, y, lam_max)
        blitzl1._blitzl1.data_as = pointer_to
        self.blitz = blitzl1
        blitzl1.set_use_intercept(False)
        blitzl1.set_max_time(float(UNLIMITED))

    def solve(self, lam: float, setting: float) -> Any:
        self.blitz.set_tolerance(setting)
        return self.blitz.LassoProblem(self.X, self.y).solve(lam).x

    def path(self, lams: np.ndarray, setting: float) -> Any:
        self.blitz.set_tolerance(setting)
        problem = self.blitz.LassoProblem(self.X, self.y)
        coefs = np.zeros((len(lams), self.p))
        for before, lam, coef in zip([None, *coefs], lams, coefs, strict=False):
            coef[:] = problem.solve(lam, initial_x=None if before is None else before.copy()).x
        return coefs.T


def pointer_to(array: np.ndarray, pointer: type) -> tuple[np.ndarray, Any]:
    """What blitzl1 hands to its library; its own function fails with NumPy 2."""
    array = array.astype(pointer._type_, copy=False)
    return array, array.ctypes.data_as(pointer)


class SpamsLars(Peer):
    """SPAMS by the homotopy; it makes the Gram matrix first."""

    name = "spams-lars"
    package = "spams-bin"
    settings = EXACT
    cholesky = False

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        import spams

        if not self.cholesky:
            need_gram(X)
        super().prepare(need_dense(X, "LARS"), y, lam_max)
        self.spams, self.target = spams, np.asfortranarray(self.y[:, None])

    def solve(self, lam: float, setting: float) -> Any:
        return self.homotopy(lam)

    def path(self, lams: np.ndarray, setting: float) -> Any:
        room = KNOTS * min(self.n, self.p)
        _, knots = self.homotopy(lams[-1], return_reg_path=True, max_length_path=room)
        knots = knots[:, : 1 + np.flatnonzero(knots.any(axis=0))[-1]]
        residuals = self.y[:, None] - self.X @ knots
        return between(np.abs(self.X.T @ residuals).max(axis=0), knots, lams)

    def homotopy(self, lam: float, **options: Any) -> Any:
        options |= {"mode": 2, "cholesky": self.cholesky, "numThreads": self.threads}
        return self.spams.lasso(self.target, D=self.X, lambda1=lam, lambda2=0.0, **options)


class SpamsLarsCholesky(SpamsLars):
    """SPAMS by the homotopy with a Cholesky factor and no Gram matrix."""

    name = "spams-lars-chol"
    cholesky = True


class SpamsFista(Peer):
    name = "spams-fista"
    package = "spams-bin"

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        import spams

        super().prepare(X, y, lam_max)
        self.spams, self.target = spams, np.asfortranarray(self.y[:, None])

    def solve(self, lam: float, setting: float) -> Any:
        return self.warm(lam, setting, np.zeros((self.p, 1), order="F"))

    def warm(self, lam: float, setting: float, start: np.ndarray) -> np.ndarray:
        options = {"loss": "square", "regul": "l1", "max_it": UNLIMITED, "it0": 10, "numThreads": self.threads}
        return self.spams.fistaFlat(self.target, self.X, start, lambda1=lam, tol=setting, **options)

    def path(self, lams: np.ndarray, setting: float) -> Any:
        coefs = [np.zeros((self.p, 1), order="F")]
        for lam in lams:
            coefs.append(self.warm(lam, setting, coefs[-1]))
        return np.hstack(coefs[1:])


class Cyanure(Peer):
    """It walks the rows: C order or CSR."""

    name = "cyanure"
    package = "cyanure"

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        import cyanure.estimators

        self.estimators = cyanure.estimators
        self.n, self.p = X.shape
        self.y = np.asarray(y, dtype=np.float64)
        self.X = sp.csr_matrix(X, dtype=np.float64) if sp.issparse(X) else np.ascontiguousarray(X, dtype=np.float64)

    def solve(self, lam: float, setting: float) -> Any:
        options = {"max_iter": 10**8, "tol": setting, "n_threads": self.threads, "verbose": False}
        model = self.estimators.Regression("l1", fit_intercept=False, lambda_1=lam / self.n, **options)
        return model.fit(self.X, self.y).coef_


class Glmnet(Peer):
    """The R package, in an R process that keeps X; it is led to one strength by a short path, as its authors advise."""

    name = "glmnet"
    settings = tuple(10.0**-k for k in range(4, 25, 2))  # as adelie's, the square of a gap
    kind = ""  # type.gaussian; "" is glmnet's own choice

    process: subprocess.Popen | None = None
    folder: tempfile.TemporaryDirectory | None = None

    def version(self) -> str:
        if not shutil.which("Rscript"):
            raise Refused("Rscript is not installed")
        command = ["Rscript", "-e", "cat(as.character(packageVersion('glmnet')))"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused("the R package glmnet is not installed")
        return done.stdout.strip()

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        super().prepare(X, y, lam_max)
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        self.y.tofile(folder / "y")
        if sp.issparse(self.X):
            for name in ("data", "indices", "indptr"):
                array = getattr(self.X, name)
                array.astype(np.float64 if name == "data" else np.int32).tofile(folder / name)
        else:
            self.X.T.tofile(folder / "dense")
        command = ["Rscript", str(Path(__file__).with_name("glmnet.R")), str(folder), str(self.n), str(self.p)]
        self.process = subprocess.Popen([*command, self.kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self) -> float:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("R ended")
        return float(line)

    def solve(self, lam: float, setting: float) -> Any:
        return self.path(lead(self.lam_max, lam), setting)[:, [-1]]

    def path(self, lams: np.ndarray, setting: float) -> Any:
        alphas = " ".join(f"{alpha:.17g}" for alpha in lams / self.n)
        self.process.stdin.write(f"{setting:.17g} {alphas}\n")
        self.process.stdin.flush()
        self.own_seconds = self.answer()
        folder = Path(self.folder.name)
        parts = [np.fromfile(folder / f"coef-{name}", dtype) for name, dtype in (("x", "f8"), ("i", "i4"), ("p", "i4"))]
        return sp.csc_array(tuple(parts), shape=(self.p, len(lams)))

    def close(self) -> None:
        if self.process:
            self.process.stdin.close()
            self.process.wait()
        if self.folder:
            self.folder.cleanup()


class GlmnetCov(Glmnet):
    """glmnet with stored inner products of the columns."""

    name = "glmnet-cov"
    kind = "covariance"

    def prepare(self, X: Any, y: np.ndarray, lam_max: float) -> None:
        need_gram(X)
        super().prepare(X, y, lam_max)


ALL: dict[str, type[Peer]] = {
    peer.name: peer
    for peer in (
        Auto,
        Fista,
        NumpyFista,
        Celer,
        Skglm,
        SkglmGram,
        Sklearn,
        SklearnGram,
        SklearnLars,
        Adelie,
        AdelieCov,
        Blitz,
        SpamsLars,
        SpamsLarsCholesky,
        SpamsFista,
        Cyanure,
        Glmnet,
        GlmnetCov,
    )
}
OURS = tuple(name for name, peer in ALL.items() if issubclass(peer, Ours))
