"""Where a solve on row blocks stands, as a file: what the driver knows after an outer step of coordinate descent.

    w,   G = X_W'X_W and the members W,   the statistics of pass 0 (means, squared norms, X'y),   what the problem is

k^2 + 4 p numbers. The certificate of a solve that goes on is made from X itself, as always; G and the statistics are
held against X at the first read: X_W'(Xw - y) = G w - X_W'y.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l1fast._datafits import LeastSquares
from l1fast._files import Archive, FileError, check_output, explained, write_whole
from l1fast._monitor import Carry
from l1fast._penalties import ElasticNet
from l1fast._problem import Point, Problem
from l1fast._row_blocks import RowBlocks
from l1fast._working_set import WorkingSet

Vector = NDArray[np.float64]

VERSION = 1
"""Of the layout."""

SAME = 1e-6
"""Part of ||x_j|| ||y|| up to which a correlation made from G is that made from X: far above rounding."""

CURE = "delete the file, or give resume another path"


@dataclass(frozen=True)
class Statistics:
    """What pass 0 found: means (None without an intercept), squared norms and X'y of the columns; stored entries."""

    mean: Vector | None
    norm2: Vector
    product: Vector
    n_entries: int


@dataclass(frozen=True)
class Standing:
    """What the file holds."""

    about: dict[str, Any]
    statistics: Statistics
    w: Vector
    members: NDArray[np.intp]
    gram: NDArray[np.float64]
    damping: float


@dataclass
class Checkpoint:
    """The file of one solve.

    about : what the problem is, as far as it shows without a read of X.
    found : what the file held when the solve began; None without a file.
    """

    path: Path
    about: dict[str, Any] = field(default_factory=dict)
    found: Standing | None = None

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Read the file, if there is one."""
        check_output(path, (".npz",))
        return cls(Path(path), found=read(Path(path)) if Path(path).exists() else None)

    def fit(self, blocks: RowBlocks, datafit: LeastSquares, penalty: ElasticNet) -> Statistics | None:
        """Raise if the file is of another problem; else the statistics in it."""
        self.about = fingerprint(blocks, datafit, penalty)
        if self.found is None:
            return None
        for name, here in self.about.items():
            if self.found.about.get(name) != here:
                there = self.found.about.get(name)
                raise ValueError(f"{self.path}: is of another problem: {name} was {there}, and is {here}; {CURE}")
        if not self.found.w.any():  # nothing that the first read could be held against
            self.found = None
        return None if self.found is None else self.found.statistics

    def carry(self, problem: Problem) -> Carry:
        """What coordinate descent goes on from; one read of X, if there is a file."""
        carry = Carry(keep=lambda w, working: self.write(problem, w, working))
        if self.found is None:
            return carry
        w, members, gram = self.found.w, self.found.members, self.found.gram
        q, g = problem.blanks()
        carry.point = Point(w, q, g, problem.gradient(w, q, g, problem.scratch()))
        expected = gram @ w[members] - self.found.statistics.product[members]
        off = np.abs(g[members] - expected) > SAME * np.sqrt(problem.norm2[members] * 2.0 * problem.null_loss)
        if off.any() or w.any() != w[members].any():
            j = int(members[off.argmax()])
            raise ValueError(
                f"{self.path}: does not fit X: column {j} has changed since, or the file; its correlation with the "
                f"residual is {g[j]:g}, expected {expected[off.argmax()]:g}; {CURE}"
            )
        carry.working = WorkingSet(problem)
        carry.working.restore(members, gram, self.found.damping)
        return carry

    def write(self, problem: Problem, w: Vector, working: WorkingSet) -> None:
        """Put where the solve stands in the place of what was there, whole or not at all."""
        known, support = working.known, np.flatnonzero(w)
        product, entries = problem.product, problem.design.n_entries
        parts: dict[str, Any] = {
            "about": np.bytes_(json.dumps({"version": VERSION, "problem": self.about}).encode()),
            "norm2": problem.norm2,
            "product": np.zeros(len(w)) if product is None else product,
            "support": support,
            "values": w[support],
            "members": working.members[:known],
            "gram": working.gram[:known, :known],
            "numbers": np.array([working.damping, entries]),
        }
        if problem.mean is not None:
            parts["mean"] = problem.mean
        write_whole(self.path, lambda stream: np.savez(stream, allow_pickle=False, **parts))


def fingerprint(blocks: RowBlocks, datafit: LeastSquares, penalty: ElasticNet) -> dict[str, Any]:
    """What the problem is, in numbers that JSON carries and digests of arrays."""
    return {
        "the shape of X": list(blocks.shape),
        "the division into blocks": digest(blocks.starts),
        "y": digest(datafit.y),
        "sample_weight": digest(datafit.sample_weight),
        "fit_intercept": datafit.fit_intercept,
        "lam": penalty.lam,
        "l2": penalty.l2,
        "penalty_weights": digest(penalty.weights),
        "the lower bounds": digest(penalty.lower),
        "the upper bounds": digest(penalty.upper),
    }


def digest(values: NDArray[Any] | None) -> str:
    """A few letters that differ where the values do."""
    return "none" if values is None else hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()[:16]


def read(path: Path) -> Standing:
    """What a file holds; FileError for one that `Checkpoint.write` did not write."""
    cure = f"it is no checkpoint of solve; {CURE}"
    with explained(path):
        archive = Archive(path, cure)
        with archive.zip:
            about = json.loads(archive.array("about").item())
            if not isinstance(about, dict) or about.get("version") != VERSION or "problem" not in about:
                raise FileError(f"{path}: {cure}")
            norm2, product, values = (archive.numbers(name) for name in ("norm2", "product", "values"))
            mean = archive.numbers("mean") if "mean" in archive.keys else None
            support, members = (archive.indices(name).astype(np.intp) for name in ("support", "members"))
            gram, numbers = archive.numbers("gram"), archive.numbers("numbers")
    p, k = len(norm2), len(members)
    inside = all(np.all((part >= 0) & (part < p)) and len(np.unique(part)) == len(part) for part in (support, members))
    lengths = product.shape == (p,) == norm2.shape and gram.shape == (k, k) and values.shape == support.shape
    if not (inside and lengths and numbers.shape == (2,) and (mean is None or mean.shape == (p,))):
        raise FileError(f"{path}: its parts do not fit together; {cure}")
    if not all(np.isfinite(part).all() for part in (norm2, product, values, gram, numbers)):
        raise FileError(f"{path}: holds numbers that are not finite; {cure}")
    w = np.zeros(p)
    w[support] = values
    statistics = Statistics(mean, norm2, product, int(numbers[1]))
    return Standing(about["problem"], statistics, w, members, gram, float(numbers[0]))
