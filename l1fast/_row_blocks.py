"""RowBlocks: X as blocks of rows that are loaded one after the other, and sums over them.

Sums are taken along a binary tree over the numbers of the blocks: they do not depend on who did which part, or when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Sums = tuple[Any, ...]


class Rows(NamedTuple):
    """One block as it was loaded, with what belongs to its rows, and a name for people."""

    X: Any
    y: Vector
    sample_weight: Vector | None
    shape: tuple[int, int]
    name: str


Job = Callable[..., Sums]
"""job(rows, *arguments): what one block adds to the sums, a tuple of numbers and arrays; a function of a module."""


@dataclass(frozen=True, eq=False)
class RowBlocks:
    """X (n_samples x n_features) as blocks of rows that are loaded one after the other, in this process.

    Attributes
    ----------
    load : callable
        load(k) gives block k: an array, a sparse matrix or a linear operator. It is called for every pass, and must
        give the same each time.
    starts : ndarray of int64, shape (n_blocks + 1,)
        The first row of each block, and the number of all rows.
    n_features : int
    sparse : bool
        Whether blocks are sparse matrices.
    source : str
        What the blocks are, for people.
    n_bytes : int
        Bytes of all blocks, as far as they are known.
    has_columns : bool
        Whether the entries of a column are to be had: not those of a linear operator.

    Notes
    -----
    Memory: that of one block, and for cd the Gram matrix of the working set. Cost: every block is loaded, and a sparse
    one is checked, for each pass. A block that is not what was told raises a ValueError that names it; errors of
    ``load`` itself come through.

    Examples
    --------
    >>> import numpy as np, l1fast
    >>> rng = np.random.default_rng(0)
    >>> parts = [rng.standard_normal((100, 20)) for _ in range(3)]
    >>> X = l1fast.RowBlocks(parts.__getitem__, np.array([0, 100, 200, 300]), n_features=20, sparse=False)
    >>> y = np.vstack(parts)[:, :2].sum(axis=1)
    >>> l1fast.solve(X, y, 0.1 * l1fast.lam_max(X, y)).support
    array([0, 1])
    """

    load: Callable[[int], Any]
    starts: NDArray[np.int64]
    n_features: int
    sparse: bool
    source: str = "memory"
    n_bytes: int = 0
    has_columns: bool = True
    near: ClassVar[bool] = True
    """Whether numbers for each row come back from a pass at no cost."""

    def __post_init__(self) -> None:
        if not callable(self.load):
            raise TypeError(f"load must be callable, got {self.load!r}")
        starts = np.asarray(self.starts)
        if starts.ndim != 1 or starts.dtype.kind not in "iu" or len(starts) < 2:
            raise ValueError(
                f"starts must be whole numbers, the first row of each block and the number of rows; got {self.starts!r}"
            )
        if starts[0] != 0 or (np.diff(starts.astype(np.int64)) < 0).any() or starts[-1] == 0:
            raise ValueError(f"starts must begin at 0 and rise to the number of rows; got {starts}")
        if self.n_features < 0:
            raise ValueError(f"n_features must be at least 0, got {self.n_features}")
        object.__setattr__(self, "starts", starts.astype(np.int64))

    @property
    def shape(self) -> tuple[int, int]:
        """(n_samples, n_features)."""
        return int(self.starts[-1]), self.n_features

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return len(self.starts) - 1

    @property
    def recoveries(self) -> int:
        """How many blocks were loaded anew because whoever held them was lost."""
        return 0

    def name(self, k: int) -> str:
        """What errors call block k."""
        return f"block {k} of {self.source}"

    def reduce(
        self,
        job: Job,
        arguments: tuple[Any, ...],
        y: Vector,
        sample_weight: Vector | None,
        stop: Callable[[], bool] = lambda: False,
        by_row: NDArray[Any] | None = None,
    ) -> Sums | None:
        """The sum of ``job(rows, *arguments)`` over all blocks; None if stop() said so between two of them.

        y, sample_weight : of all rows; each block gets its part.
        by_row : filled, row by row, with the last part of what the job returns; that is then no part of the sum.
        """

        def parts() -> Iterator[Sums]:
            for k in range(self.n_blocks):
                first, last = int(self.starts[k]), int(self.starts[k + 1])
                if first == last:
                    yield ()
                    continue
                if k and stop():
                    return
                weight = None if sample_weight is None else sample_weight[first:last]
                shape = (last - first, self.n_features)
                made = job(Rows(self.load(k), y[first:last], weight, shape, self.name(k)), *arguments)
                if by_row is not None:
                    by_row[first:last] = made[-1]
                    made = made[:-1]
                yield made

        return tree_sum(parts(), self.n_blocks)


def is_operator(X: Any) -> bool:
    """Whether X is a linear operator as scipy.sparse.linalg has them: no entries, but products."""
    return hasattr(X, "matvec") and hasattr(X, "rmatvec")


def tree_sum(parts: Iterable[Any], count: int, plus: Callable[[Any, Any], Any] | None = None) -> Any | None:
    """The sum of so many tuples, added up along a binary tree over their places; None if fewer came.

    A sum is added to its neighbour as soon as both halves of a branch are there: log2(count) sums are held. Arrays are
    added up in place. An empty tuple counts as nothing.

    plus : what adds two of them, `add` by default; one that only notes what is to be added gets the tree itself.
    """
    plus = plus or add
    held: list[tuple[int, Any]] = []
    seen = 0
    for part in parts:
        level, seen = 0, seen + 1
        while held and held[-1][0] == level:
            part, level = plus(held.pop()[1], part), level + 1
        held.append((level, part))
    if seen < count or not held:
        return None
    total = held.pop()[1]
    while held:
        total = plus(held.pop()[1], total)
    return total


def add(a: Sums, b: Sums) -> Sums:
    """a + b, entry by entry, arrays in the place of those of a."""
    if not a or not b:
        return a or b
    made = []
    for one, other in zip(a, b, strict=True):
        if isinstance(one, np.ndarray):
            one += other
        made.append(one if isinstance(one, np.ndarray) else one + other)
    return tuple(made)
