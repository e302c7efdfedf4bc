"""RowBlocks: X as blocks of rows that are loaded one after the other, and sums over them.

Sums are taken along a binary tree over the numbers of the blocks: they do not depend on who did which part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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
"""job(rows, *arguments): what one block adds to the sums, a tuple of numbers and arrays."""


@dataclass(frozen=True, eq=False)
class RowBlocks:
    """X (n_samples x n_features) as blocks of rows.

    Attributes
    ----------
    load : callable
        load(k) gives block k: an array, or a sparse matrix. It may be called often, and must give the same each time.
    starts : ndarray of int64, shape (n_blocks + 1,)
        The first row of each block, and the number of all rows.
    n_features : int
    sparse : bool
        Whether blocks are sparse matrices.
    n_entries : int
        Stored entries of all blocks, as far as they are known.
    source : str
        What the blocks are, for people.
    """

    load: Callable[[int], Any]
    starts: NDArray[np.int64]
    n_features: int
    sparse: bool
    n_entries: int
    source: str = "memory"
    by_rows: bool = field(default=True, init=False)
    even: bool = field(default=True, init=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_samples, n_features)."""
        return int(self.starts[-1]), self.n_features

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return len(self.starts) - 1

    @property
    def conversion(self) -> str:
        """What was done to X on the way in."""
        return f"X read in {self.n_blocks} blocks of rows from {self.source}"

    def share(self, chosen: NDArray[np.intp]) -> float:
        """A read of some columns reads all of every block."""
        return 1.0

    def reduce(
        self,
        job: Job,
        arguments: tuple[Any, ...],
        y: Vector,
        sample_weight: Vector | None,
        stop: Callable[[], bool] = lambda: False,
        by_row: Vector | None = None,
    ) -> Sums | None:
        """The sum of job(rows, *arguments) over all blocks; None if stop() said so between two of them.

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
                name, shape = f"block {k} of {self.source}", (last - first, self.n_features)
                made = job(Rows(self.load(k), y[first:last], weight, shape, name), *arguments)
                if by_row is not None:
                    by_row[first:last] = made[-1]
                    made = made[:-1]
                yield made

        return tree_sum(parts(), self.n_blocks)


def tree_sum(parts: Iterable[Sums], count: int) -> Sums | None:
    """The sum of so many tuples, added up along a binary tree over their places; None if fewer came.

    Place k is added to its neighbour as soon as both halves of a branch are there: log2(count) sums are held. Arrays
    are added up in place. An empty tuple counts as nothing.
    """
    held: list[tuple[int, Sums]] = []
    seen = 0
    for part in parts:
        level, seen = 0, seen + 1
        while held and held[-1][0] == level:
            part, level = add(held.pop()[1], part), level + 1
        held.append((level, part))
    if seen < count or not held:
        return None
    total = held.pop()[1]
    while held:
        total = add(held.pop()[1], total)
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
