"""A cluster of simulated workers under the real driver: ``python benchmarks/simulate_cluster.py``.

`solve` runs as it is, on row blocks whose `reduce` returns the true sums over a small real problem, so that every
decision of the driver (working sets, when to stop) is a real one. Meanwhile a clock advances by what the same pass
would take on the large problem: arrays keep their shape, but for an axis of n_features, which gets that of the large
one; time per stored entry is what was measured on one core.

A pass is a discrete-event simulation. Its arguments spread by doubling: whoever has them passes them on. A worker runs
as many blocks at a time as it has cores; times of tasks are log-normal. Sums follow the binary tree of `tree_sum` over
the numbers of the blocks, and what lies on two machines travels. A dead worker is missed after some seconds; its blocks
are loaded anew by the others, every sum that it held is made again from the blocks below it, and a new worker takes its
blocks over when it comes. No time is drawn from this machine's clock: a seed gives one result.

The shares of stragglers and of deaths are differences: the same passes again without a spread, or without deaths.
"""

from __future__ import annotations

import argparse
import heapq
import math
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from time import process_time
from typing import Any, ClassVar

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before NumPy is imported

import numpy as np  # noqa: E402
import problems  # noqa: E402
import scipy.sparse as sp  # noqa: E402

import l1fast  # noqa: E402
from l1fast._row_blocks import Job, RowBlocks, Sums  # noqa: E402
from l1fast._validation import as_design  # noqa: E402

NUMBER = 8
"""Bytes of a float64."""

DRIVER = -1
"""The driver's place among the machines."""

GIGABIT, DAY = 1e9 / 8, 86_400.0


@dataclass(frozen=True)
class Large:
    """The problem that the cluster is to have: X sparse, stored by rows."""

    n: int = 1_000_000_000
    p: int = 1_000_000
    entries_a_row: float = 100.0
    bytes_an_entry: int = 12  # a float64 and an int32
    blocks: int = 8000  # of 150 MB

    @property
    def entries(self) -> float:
        """Stored entries of a block."""
        return self.n * self.entries_a_row / self.blocks

    @property
    def block_bytes(self) -> float:
        """Bytes of a block."""
        return self.entries * self.bytes_an_entry


@dataclass(frozen=True)
class Costs:
    """Seconds of one core; the defaults are those of docs/measured/blocks.md (`--measure` tells those of this machine).

    statistics, gradient : an entry, when the columns are measured, and when X w and X'q are made.
    scan, product : an entry that is looked at for Gram rows, and a product of two that is added to them.
    add : a number added to another in a sum.
    """

    statistics: float = 15e-9
    gradient: float = 5.6e-9
    scan: float = 5.2e-9
    product: float = 2.4e-9
    add: float = 0.95e-9


@dataclass(frozen=True)
class Cluster:
    """What workers and network are assumed to be.

    memory : bytes of blocks that a worker can keep; the others are read for every pass.
    bandwidth, latency : of every machine, each way, and of every message.
    storage, storage_total : bytes a second that a worker can load, and all of them together.
    scheduler : seconds of the scheduler for each task, one after the other ("a few hundred microseconds": Dask).
    spread : standard deviation of the log of a task's time; its mean stays.
    lifetime : mean seconds until a worker dies.
    missed, replaced : seconds until its death is noticed, and until a new one is there.
    """

    workers: int = 100
    cores: int = 8
    memory: float = 32e9
    bandwidth: float = 10 * GIGABIT
    latency: float = 5e-4
    storage: float = 250e6
    storage_total: float = 25e9
    scheduler: float = 3e-4
    spread: float = 0.3
    lifetime: float = 30 * DAY
    missed: float = 10.0
    replaced: float = 120.0
    seed: int = 0


@dataclass(frozen=True)
class Pass:
    """What one pass asks of the cluster: seconds of a block, bytes down to each worker, of each sum, and by row."""

    job: str
    seconds: float
    down: float
    up: float
    rows_down: float = 0.0
    rows_up: float = 0.0


def tree(count_: int) -> tuple[list[int], list[tuple[int, int]]]:
    """The parent of each node of the tree of `tree_sum`, and the children of those above the leaves."""
    parent, children = [-1] * count_, []
    held: list[tuple[int, int]] = []

    def join(left: int, right: int) -> int:
        node = len(parent)
        parent.append(-1)
        children.append((left, right))
        parent[left] = parent[right] = node
        return node

    for leaf in range(count_):
        level, node = 0, leaf
        while held and held[-1][0] == level:
            node, level = join(held.pop()[1], node), level + 1
        held.append((level, node))
    total = held.pop()[1]
    while held:
        total = join(held.pop()[1], total)
    return parent, children


@dataclass
class Machines:
    """The state of the cluster between passes, and the clock.

    sent, received : bytes by machine. loaded : bytes from storage. reloaded : blocks whose worker died.
    """

    cluster: Cluster
    large: Large
    now: float = 0.0
    deaths: int = 0
    reloaded: int = 0
    loaded: float = 0.0
    sent: dict[int, float] = field(default_factory=dict)
    received: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cluster, blocks = self.cluster, self.large.blocks
        self.lives = np.random.default_rng([cluster.seed, 0])
        self.count = 0
        self.ids = count()
        self.dies: dict[int, float] = {}
        self.kept: dict[int, set[int]] = {}
        self.arrivals: list[tuple[float, list[int]]] = []
        self.parent, self.children = tree(blocks)
        self.owner = [0] * blocks
        edges = np.linspace(0, blocks, cluster.workers + 1).astype(int)
        for first, last in pairwise(edges.tolist()):
            self.join(self.now, list(range(first, last)))

    def join(self, at: float, blocks: list[int]) -> int:
        """A new worker, which takes some blocks over."""
        w = next(self.ids)
        life = self.cluster.lifetime
        self.dies[w] = at + float(self.lives.exponential(life)) if math.isfinite(life) else math.inf
        self.kept[w] = set()
        for b in blocks:
            for kept in self.kept.values():
                kept.discard(b)
            self.owner[b] = w
        return w

    def note(self, source: int, target: int, size: float) -> None:
        """So many bytes went from one machine to another."""
        self.sent[source] = self.sent.get(source, 0.0) + size
        self.received[target] = self.received.get(target, 0.0) + size

    def run(self, asked: Pass) -> None:
        """One pass; the clock stands at its end."""
        for at, blocks in [one for one in self.arrivals if one[0] <= self.now]:
            self.arrivals.remove((at, blocks))
            self.join(at, blocks)
        self.count += 1
        self.now = Run(self, asked).end()

    @property
    def moved(self) -> float:
        """Bytes between machines."""
        return sum(self.sent.values())


class Run:
    """One pass over the cluster, event after event."""

    def __init__(self, machines: Machines, asked: Pass) -> None:
        self.m, self.asked, self.cluster = machines, asked, machines.cluster
        self.events: list[tuple[float, int, str, tuple[Any, ...]]] = []
        self.order = count()
        n_nodes = len(machines.parent)
        self.place: list[int | None] = [None] * n_nodes  # where the sum of a node lies; None: not made, or handed on
        self.version = [0] * n_nodes
        self.queue: dict[int, deque[int]] = {w: deque() for w in machines.dies}
        self.running: dict[int, set[int]] = {w: set() for w in machines.dies}
        self.leaves: dict[int, int] = {}
        self.out: dict[int, float] = {}
        self.into: dict[int, float] = {}
        self.orphans: list[int] = []
        self.finished: float | None = None
        # a block takes as long whoever dies: the first time from one stream, again from another
        self.luck = np.random.default_rng([self.cluster.seed, 1, machines.count]).standard_normal(machines.large.blocks)
        self.again = np.random.default_rng([self.cluster.seed, 2, machines.count])

    def push(self, at: float, kind: str, *what: Any) -> None:
        heapq.heappush(self.events, (at, next(self.order), kind, what))

    def end(self) -> float:
        """Run it; the time of its end."""
        m, cluster, asked = self.m, self.cluster, self.asked
        for w, at in m.dies.items():
            if math.isfinite(at):
                self.push(max(at, m.now), "death", w)
        for at, blocks in m.arrivals:
            self.push(at, "arrival", at, blocks)
        workers = list(m.dies)
        start = m.now
        if asked.down:
            start += math.ceil(math.log2(len(workers) + 1)) * (cluster.latency + asked.down / cluster.bandwidth)
            for k, w in enumerate(workers):  # the first has it from the driver, the others from those who have it
                m.note(DRIVER if k == 0 else workers[k - 1], w, asked.down)
        if asked.rows_down:
            start += cluster.latency + asked.rows_down / cluster.bandwidth
            for w in workers:
                m.note(DRIVER, w, asked.rows_down / len(workers))
        mine: dict[int, list[int]] = {w: [] for w in workers}
        for b, w in enumerate(m.owner):
            mine.setdefault(w, []).append(b)
        self.loading = sum(any(b not in m.kept[w] for b in mine[w]) for w in workers)
        rank = 0
        for k in range(max(map(len, mine.values()))):  # the scheduler hands tasks out in turn
            for w in list(mine):
                if k < len(mine[w]):
                    rank += 1
                    self.push(start + rank * 2 * cluster.scheduler, "task", mine[w][k])  # with its sum: two tasks
        while self.finished is None:
            if not self.events:
                raise RuntimeError("the simulated cluster waits for nothing")
            at, _, kind, what = heapq.heappop(self.events)
            getattr(self, kind)(at, *what)
        done = self.finished
        if asked.rows_up:
            done += cluster.latency + asked.rows_up / cluster.bandwidth
            for w in m.dies:
                m.note(w, DRIVER, asked.rows_up / len(m.dies))
        return done

    def task(self, at: float, b: int) -> None:
        """Block b may be worked on."""
        w = self.m.owner[b]
        if w not in self.m.dies:
            self.orphans.append(b)
            return
        self.queue[w].append(b)
        self.fill(at, w)

    def fill(self, at: float, w: int) -> None:
        """Give idle cores of a worker something to do."""
        m, cluster = self.m, self.cluster
        while self.queue[w] and len(self.running[w]) < cluster.cores:
            b = self.queue[w].popleft()
            seconds = self.asked.seconds
            if cluster.spread:
                z = float(self.luck[b]) if self.version[b] == 0 else float(self.again.standard_normal())
                seconds *= math.exp(cluster.spread * z - cluster.spread**2 / 2)
            if b not in m.kept[w]:
                rate = min(cluster.storage, cluster.storage_total / max(1, self.loading))
                size = m.large.block_bytes
                seconds += size * cluster.cores / rate  # all cores share it
                m.loaded += size
                if (len(m.kept[w]) + 1) * size <= cluster.memory:
                    m.kept[w].add(b)
            self.running[w].add(b)
            self.push(at + seconds, "leaf", w, b, self.version[b])

    def leaf(self, at: float, w: int, b: int, version: int) -> None:
        """A block is done."""
        if w not in self.m.dies or version != self.version[b]:
            return
        self.running[w].discard(b)
        self.made(at, b, w)
        self.fill(at, w)

    def made(self, at: float, node: int, w: int) -> None:
        """The sum of a node lies on w."""
        self.place[node] = w
        above = self.m.parent[node]
        if above < 0:
            self.send(at, node, w, DRIVER, "home", node)
            return
        left, right = self.m.children[above - self.m.large.blocks]
        a, b = self.place[left], self.place[right]
        if a is None or b is None:
            return
        if a == b:  # the addition itself is counted with the block: there are as many of both, but for one
            self.place[left] = self.place[right] = None
            self.made(at, above, a)
        else:
            self.send(at, right, b, a, "merged", above, left, right, self.version[left], self.version[right])

    def send(self, at: float, node: int, source: int, target: int, kind: str, *what: Any) -> None:
        """A sum goes from one machine to another; each sends and receives one at a time."""
        begin = max(at, self.out.get(source, 0.0), self.into.get(target, 0.0))
        done = begin + self.cluster.latency + self.asked.up / self.cluster.bandwidth
        self.out[source] = self.into[target] = done
        self.push(done, kind, *what, (source, target, self.version[node]))

    def merged(self, at: float, above: int, left: int, right: int, a: int, b: int, trip: tuple[int, int, int]) -> None:
        """Two sums from two machines are one."""
        source, target, _ = trip
        if (a, b) != (self.version[left], self.version[right]) or not {source, target} <= self.m.dies.keys():
            return
        self.m.note(source, target, self.asked.up)
        self.place[left] = self.place[right] = None
        self.made(at, above, target)

    def home(self, at: float, node: int, trip: tuple[int, int, int]) -> None:
        """The sum is with the driver."""
        source, _, version = trip
        if version == self.version[node] and source in self.m.dies:
            self.m.note(source, DRIVER, self.asked.up)
            self.finished = at

    def death(self, at: float, w: int) -> None:
        """A worker is lost, with its blocks and all sums that lie on it."""
        m, cluster = self.m, self.cluster
        if w not in m.dies:
            return
        m.deaths += 1
        del m.dies[w]
        m.kept.pop(w)
        again = set(self.queue.pop(w)) | self.running.pop(w)
        for b in again:
            self.version[b] += 1
        for node, where in enumerate(self.place):
            if where == w:
                again |= self.forget(node)
        taken = [b for b, owner in enumerate(m.owner) if owner == w]
        heirs = sorted(m.dies)
        for k, b in enumerate(taken):
            if heirs:
                m.owner[b] = heirs[k % len(heirs)]
        m.reloaded += len(taken)
        self.loading = min(len(taken), len(heirs))
        for b in sorted(again):
            self.push(at + cluster.missed, "task", b)
        arrival = (at + cluster.replaced, taken)
        m.arrivals.append(arrival)
        self.push(arrival[0], "arrival", *arrival)

    def arrival(self, at: float, when: float, blocks: list[int]) -> None:
        """A new worker is there; it gets its blocks when the next pass begins, or now if nobody else is left."""
        if self.m.dies:
            return
        self.m.arrivals.remove((when, blocks))
        w = self.m.join(at, [b for b, owner in enumerate(self.m.owner) if owner not in self.m.dies])
        self.queue[w], self.running[w] = deque(), set()
        if math.isfinite(self.m.dies[w]):
            self.push(self.m.dies[w], "death", w)
        waiting, self.orphans = self.orphans, []
        for b in waiting:
            self.task(at, b)

    def forget(self, node: int) -> set[int]:
        """The blocks below a sum that is lost; every one of them has to be worked on again."""
        self.version[node] += 1
        self.place[node] = None
        if node < self.m.large.blocks:
            return {node}
        left, right = self.m.children[node - self.m.large.blocks]
        return self.forget(left) | self.forget(right)


@dataclass(frozen=True, eq=False)
class SimulatedBlocks(RowBlocks):
    """Row blocks of a small problem whose passes take the time of the large one on a cluster.

    pattern : the small X, CSR, for counting the products of Gram rows. passes : those so far.
    machines : whose clock moves; None: passes are only taken down. driver : CPU seconds spent outside `reduce`.
    """

    large: Large = Large()
    costs: Costs = Costs()
    machines: Machines | None = None
    pattern: Any = None
    passes: list[Pass] = field(default_factory=list)
    driver: list[float] = field(default_factory=lambda: [0.0, process_time()])
    near: ClassVar[bool] = False

    @classmethod
    def of(cls, X: sp.csr_array, count_: int, large: Large, costs: Costs, machines: Machines | None) -> SimulatedBlocks:
        """A small X in so many blocks."""
        parts = plain_blocks(X, count_)
        return cls(parts.load, parts.starts, parts.n_features, True, "memory", 0, True, large, costs, machines, X)

    @property
    def recoveries(self) -> int:
        """Blocks loaded anew because a worker died."""
        return self.machines.reloaded if self.machines else 0

    def reduce(
        self,
        job: Job,
        arguments: tuple[Any, ...],
        y: Any,
        sample_weight: Any,
        stop: Callable[[], bool] = lambda: False,
        by_row: Any = None,
    ) -> Sums | None:
        """The true sums; the clock of the machines moves by what they would cost."""
        self.driver[0] += process_time() - self.driver[1]
        made = super().reduce(job, arguments, y, sample_weight, stop, by_row)
        if made is not None:
            self.passes.append(self.priced(job.__name__, arguments, made, by_row is not None))
            if self.machines is not None:
                self.machines.run(self.passes[-1])
        self.driver[1] = process_time()
        return made

    def priced(self, job: str, arguments: tuple[Any, ...], made: Sums, by_row: bool) -> Pass:
        """What the pass would ask of the cluster."""
        large, costs = self.large, self.costs
        up = sum(self.size(one) for one in made)
        seconds = costs.add * up / NUMBER
        if job == "statistics":
            seconds += costs.statistics * large.entries
        elif job == "grams":
            seconds += costs.scan * large.entries + costs.product * self.products(*arguments[:2])
        else:
            seconds += costs.gradient * large.entries
        first = not self.passes  # y goes out once, and stays
        rows = NUMBER * large.n
        return Pass(job, seconds, sum(map(self.size, arguments)), up, rows * first, rows * by_row)

    def size(self, value: Any) -> float:
        """Bytes of an argument or a sum, an axis of n_features being that of the large problem."""
        shape = np.shape(value)
        return NUMBER * math.prod(self.large.p if length == self.n_features else length for length in shape)

    def products(self, members: Any, known: int) -> float:
        """Products of two entries of a row that a block of the large problem adds to the Gram rows."""
        inside, new = np.zeros(self.n_features), np.zeros(self.n_features)
        inside[members], new[members[known:]] = 1.0, 1.0
        stored = sp.csr_array(
            (np.ones(self.pattern.nnz), self.pattern.indices, self.pattern.indptr), self.pattern.shape
        )
        n, large = self.shape[0], self.large
        a_row = float((stored @ inside) @ (stored @ new)) / n
        denser = large.entries_a_row / (self.pattern.nnz / n)
        return large.n / large.blocks * a_row * denser**2


def plain_blocks(X: sp.csr_array, count_: int) -> RowBlocks:
    """X in so many blocks, in memory."""
    edges = np.linspace(0, X.shape[0], count_ + 1).astype(np.int64)
    parts = [as_design(X[a:b]) for a, b in pairwise(edges)]
    return RowBlocks(parts.__getitem__, edges, X.shape[1], True)


def replayed(passes: list[Pass], cluster: Cluster, large: Large) -> Machines:
    """The same passes on another cluster: the driver sees no clock, so it would ask for the same."""
    machines = Machines(cluster, large)
    for one in passes:
        machines.run(one)
    return machines


# --------------------------------------------------------------------------------------------------------- the tables


def solved(problem: Any, lam: float, solver: str, tol: float, blocks: RowBlocks) -> Any:
    """What the real driver makes of blocks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", l1fast.ConvergenceWarning)
        return l1fast.solve(blocks, problem.y, lam, solver=solver, tol=tol, n_threads=1)


SMALL_BLOCKS = 2
"""Blocks of the small problem: the large one has its own."""

SIMULATED = 20
"""Passes between the first and the last that are simulated; more of them take the mean, and are said to."""


@dataclass
class Totals:
    """What a run came to."""

    seconds: float
    moved: float
    driver: float
    loaded: float
    deaths: float
    reloaded: float

    @classmethod
    def of(cls, passes: list[Pass], cluster: Cluster, large: Large) -> Totals:
        """Of all passes; beyond SIMULATED of them by extrapolation."""

        def now(m: Machines) -> np.ndarray:
            driver = m.sent.get(DRIVER, 0.0) + m.received.get(DRIVER, 0.0)
            return np.array([m.now, m.moved, driver, m.loaded, m.deaths, m.reloaded])

        machines = replayed(passes[:1], cluster, large)
        first, middle = now(machines), passes[1:-1]
        for one in middle[:SIMULATED]:
            machines.run(one)
        rest = now(machines) - first
        machines.run(passes[-1])
        first, share = now(machines) - rest, max(1.0, len(middle) / SIMULATED)
        return cls(*(first + share * rest))


HEADER = (
    "solver | workers | seconds | passes | GB moved | of it by the driver | TB loaded | deaths | blocks reloaded | "
    "stragglers' share | deaths' share"
)


def row(solver: str, passes: list[Pass], cluster: Cluster, large: Large) -> str:
    """One line of a table: the passes on a cluster, and what stragglers and deaths cost of its time."""
    whole = Totals.of(passes, cluster, large)
    even = Totals.of(passes, replace(cluster, spread=0.0), large)
    safe = Totals.of(passes, replace(cluster, lifetime=math.inf), large)
    return (
        f"{solver} | {cluster.workers:,} | {whole.seconds:,.0f} | {len(passes):,} | {whole.moved / 1e9:,.0f} | "
        f"{whole.driver / 1e9:,.0f} | {whole.loaded / 1e12:,.1f} | {whole.deaths:,.0f} | {whole.reloaded:,.0f} | "
        f"{1 - even.seconds / whole.seconds:.0%} | {1 - safe.seconds / whole.seconds:.0%}"
    )


def table(title: str, header: str, rows: list[str]) -> None:
    """A table in Markdown."""
    columns = header.count(" | ") + 1
    print(f"\n**{title}**\n\n| {header} |\n|{'---|' * columns}")
    for one in rows:
        print(f"| {one} |", flush=True)


def kinds(passes: list[Pass], cluster: Cluster, large: Large) -> list[str]:
    """What each pass of a solve takes, without deaths."""
    machines, rows = Machines(replace(cluster, lifetime=math.inf), large), []
    for k, one in enumerate(passes):
        before, moved = machines.now, machines.moved
        machines.run(one)
        rows.append(
            f"{k} | {one.job} | {machines.now - before:,.1f} | {one.seconds:,.2f} | {one.down / 1e6:,.2f} | "
            f"{one.up / 1e6:,.1f} | {(machines.moved - moved) / 1e9:,.1f}"
        )
    return rows


FEWER = 5
"""Times fewer blocks, and larger ones."""


DASK = 2.7e-3
"""CPU seconds of scheduler and client for each task, measured: see blocks.py, scaling."""

FISTA_CHANGES = ("as above", "lifetime 1 h", "spread 1", "scheduler 0", f"scheduler {1e3 * DASK:g}")
"""Those that are told of fista: the others lead to the same, and take minutes."""


def adds(passes: list[Pass], costs: Costs) -> Iterator[tuple[Pass, float]]:
    """Each pass, and what part of the seconds of a block is the addition of its sums, which depends on no block."""
    for one in passes:
        yield one, costs.add * one.up / NUMBER


def limits(cluster: Cluster, large: Large, members: list[int]) -> list[str]:
    """What grows with what, by formula alone: no simulation."""
    rows = [
        f"the driver's y, and q at the end: 8 n bytes each | {NUMBER * large.n / 1e9:,.0f} GB each | "
        f"{NUMBER * large.n / cluster.bandwidth:,.0f} s each over its network"
    ]
    rows += [
        f"the driver's Gram matrix and its factor, {k:,} columns: {GRAM_BYTES} k^2 bytes | "
        f"{GRAM_BYTES * k * k / 1e9:,.1f} GB | {k**3 / 3 / FACTOR_RATE:,.0f} s for a factorisation on one core"
        for k in members
    ]
    sums, levels = NUMBER * large.p, math.ceil(math.log2(cluster.workers))
    rows.append(
        f"a gradient on its way home: 8 p bytes, log2(workers) + 1 trips one after the other | {sums / 1e6:,.0f} MB | "
        f"{(levels + 1) * (cluster.latency + sums / cluster.bandwidth):,.2f} s a pass"
    )
    tasks = 2 * large.blocks - 1
    rows.append(f"tasks of a pass: 2 blocks - 1 | {tasks:,} | {tasks * cluster.scheduler:,.1f} s of the scheduler")
    each = large.block_bytes * large.blocks / cluster.workers
    rate = min(cluster.storage, cluster.storage_total / cluster.workers)
    rows.append(f"the first load: bytes of X / storage | {each / 1e9:,.0f} GB a worker | {each / rate:,.0f} s")
    others = min(cluster.storage * max(1, cluster.workers - 1), cluster.storage_total)
    rows.append(
        f"a death: its blocks, loaded by all others | {each / 1e9:,.0f} GB | {cluster.missed + each / others:,.0f} s"
    )
    return rows


GRAM_BYTES, FACTOR_RATE = 20, 1e10
"""Bytes for each cell of a Gram matrix with its factor; multiply-adds a second of a factorisation on one core."""


def measured() -> Costs:
    """The costs on this machine; see blocks.py."""
    import blocks

    return Costs(**blocks.costs())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--problem", default="debian-words", help="the small one, sparse; see problems.py")
    parser.add_argument("--r", type=float, default=0.01, help="lam / lam_max")
    parser.add_argument("--tol", type=float, default=1e-6)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measure", action="store_true", help="costs of an entry on this machine, not the stored ones")
    parser.add_argument("--data", metavar="DIR", help="folder of the problems in files (or L1FAST_BENCH_DATA)")
    parser.add_argument("--smoke", action="store_true", help="a small cluster and problem: seconds")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.data:
        os.environ["L1FAST_BENCH_DATA"] = args.data
    large, cluster = Large(), Cluster(seed=args.seed)
    if args.smoke:
        large, args.problem, args.workers, args.r = Large(n=10**7, p=10**5, blocks=160), "smoke-zipf", [4, 10], 0.1
    problem, costs = problems.load(args.problem), measured() if args.measure else Costs()
    lam, size = args.r * problem.lam_max(), large.block_bytes * large.blocks
    print(f"small: {args.problem}, {problem.describe()}; lam = {args.r:g} lam_max, tol {args.tol:g}\n")
    print(f"large: {large.n:,} x {large.p:,}, {size / 1e12:.2g} TB in {large.blocks:,} blocks\n\n{cluster}\n\n{costs}")

    passes: dict[str, list[Pass]] = {}
    for solver in ("cd", "fista"):
        machines = Machines(cluster, large) if solver == "cd" else None
        blocks = SimulatedBlocks.of(problem.X, SMALL_BLOCKS, large, costs, machines)
        result = solved(problem, lam, solver, args.tol, blocks)
        passes[solver] = blocks.passes
        print(
            f"\n{solver}: gap {result.dual_gap:.1e}, {np.count_nonzero(result.coef):,} non-zeros, "
            f"{len(blocks.passes):,} passes; the driver itself took {blocks.driver[0]:.1f} CPU seconds here, which no "
            "table below counts"
        )
        if machines is None:
            continue
        plain = solved(problem, lam, solver, args.tol, plain_blocks(problem.X, SMALL_BLOCKS))
        if not np.array_equal(plain.coef, result.coef):
            raise SystemExit("the simulated blocks gave another answer than plain ones")
        if machines.now != replayed(blocks.passes, cluster, large).now:
            raise SystemExit("the same passes took another time when they were run again")

    both = list(passes.items())
    table(
        f"Each pass of cd, {cluster.workers} workers, no deaths",
        "pass | job | seconds | core seconds a block | MB down | MB of a sum | GB moved",
        kinds(passes["cd"], cluster, large),
    )
    table(
        f"To a gap of {args.tol:g} (of fista's passes the first, the last and {SIMULATED} between them are simulated)",
        HEADER,
        [row(name, made, replace(cluster, workers=w), large) for w in args.workers for name, made in both],
    )
    changes: list[tuple[str, dict[str, float]]] = [("as above", {})]
    changes += [(f"lifetime {life / 3600:g} h", {"lifetime": life}) for life in (DAY, 3600.0, 600.0)]
    changes += [(f"spread {spread:g}", {"spread": spread}) for spread in (0.0, 1.0, 1.5)]
    changes += [(f"bandwidth {rate:g} Gbit/s", {"bandwidth": rate * GIGABIT}) for rate in (1, 100)]
    changes += [(f"storage {rate:g} MB/s a worker", {"storage": 1e6 * rate}) for rate in (50, 1000)]
    changes += [(f"scheduler {1e3 * each:g} ms a task", {"scheduler": each}) for each in (0.0, 1e-3, DASK)]
    for name, made in both if not args.smoke else both[:1]:
        chosen = [one for one in changes if name == "cd" or one[0].startswith(FISTA_CHANGES)]
        rows = [f"{what} | {row(name, made, replace(cluster, **change), large)}" for what, change in chosen]
        few = replace(large, blocks=large.blocks // FEWER)
        coarse = [replace(one, seconds=FEWER * (one.seconds - added) + added) for one, added in adds(made, costs)]
        rows.append(f"{few.blocks:,} blocks of {few.block_bytes / 1e6:,.0f} MB | {row(name, coarse, cluster, few)}")
        table(f"{name}, {cluster.workers} workers, one thing changed at a time", f"change | {HEADER}", rows)
    table(
        f"What grows, {cluster.workers} workers",
        "what | size | time",
        limits(cluster, large, [1000, 10_000, 100_000]),
    )


if __name__ == "__main__":
    main()
