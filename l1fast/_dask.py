"""Row blocks that lie with the workers of a Dask cluster: a pass is one graph of tasks, and one sum comes home.

    (job(block 0) + job(block 1)) + (job(block 2) + job(block 3))

The sums follow the binary tree of `tree_sum` over the numbers of the blocks, whoever adds them: the result is, bit for
bit, that of `RowBlocks.reduce` on the same blocks, wherever tasks run and whatever dies. Blocks, what belongs to their
rows, and the arguments of a pass are results of tasks: Dask makes anew what is lost with a worker.
"""

from __future__ import annotations

import pickle
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, ClassVar, NamedTuple, NoReturn
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

try:
    import distributed
    from dask import delayed, is_dask_collection
    from dask.delayed import Delayed
    from dask.sizeof import sizeof
except ImportError as error:
    raise ImportError(f"l1fast.from_dask needs Dask: python -m pip install 'l1fast[dask]' ({error})") from error

from l1fast import _blas
from l1fast._design import Design
from l1fast._row_blocks import Job, RowBlocks, Rows, Sums, add, is_operator, tree_sum
from l1fast._validation import as_design

__all__ = ["ClusterError", "DaskBlocks", "connected", "from_dask"]

Vector = NDArray[np.float64]
Key = tuple[str, int]
Graph = dict[Key, tuple[Any, ...]]


class ClusterError(RuntimeError):
    """A cluster lost what a solve needs, for good; the message says what, and the cure."""


# ------------------------------------------------------------------------------------------------- what workers do


@dataclass(frozen=True, eq=False)
class Block:
    """One block as a worker holds it, checked.

    X : a `Design`, a linear operator, or None where there are no rows.
    shape : rows and columns; UNKNOWN columns where a block without rows does not tell.
    """

    X: Any
    shape: tuple[int, int]
    name: str

    @property
    def nbytes(self) -> int:
        """Bytes of the stored parts; what a linear operator says of itself."""
        return self.X.nbytes if isinstance(self.X, Design) else int(sizeof(self.X))


UNKNOWN = -1


def size_of_block(block: Block) -> int:
    """What Dask reckons with when it chooses where a task runs, and when blocks are written to the disk.

    Dask's own answer for a CSR matrix of 5 MB is 56 bytes.
    """
    return block.nbytes + OBJECT_BYTES


OBJECT_BYTES = 1_000
"""About what the Python objects around the parts of a block take."""

sizeof.register(Block, size_of_block)

TOPIC = "l1fast-loads"
"""Where workers tell that they load a block."""


def load(token: str, k: int, name: str, read: Callable[[Any], Any], source: Any) -> Block:
    """Block k, read(source), checked as every X is."""
    distributed.get_worker().log_event(TOPIC, [token, k])
    try:
        made = read(source)
        if is_operator(made):
            return Block(made, (int(made.shape[0]), int(made.shape[1])), name)
        shape: tuple[int, ...] = getattr(made, "shape", None) or (len(made),)
        if shape[0] == 0:
            return Block(None, (0, int(shape[1]) if len(shape) == 2 else UNKNOWN), name)
        design = as_design(made)
        return Block(design, design.shape, name)
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError  # others may take no single text
        raise kind(f"{name}: {error}") from error


def as_made(made: Any) -> Any:
    """What a task of the user made: an array, a matrix, a data frame, or a list of rows or of blocks."""
    if hasattr(made, "__next__"):  # the partition of a bag may be lazy
        made = list(made)
    if isinstance(made, list | tuple) and made and all(getattr(part, "ndim", 1) == 2 for part in made):
        parts = [
            as_design(part).to_matrix() if part.shape[0] else part for part in made
        ]  # checked before it is followed
        return sparse.vstack(parts, "csr") if any(map(sparse.issparse, parts)) else np.vstack(parts)
    if hasattr(made, "iloc") and len(set(made.dtypes)) > 1 and all(dtype.kind in "fiub" for dtype in made.dtypes):
        return made.to_numpy(dtype=np.float64)  # columns of several types would become Python numbers on the way
    return made


class Facts(NamedTuple):
    """What the driver knows of a block. sparse : None where it has no rows."""

    shape: tuple[int, int]
    sparse: bool | None
    n_bytes: int


def describe(block: Block) -> Facts:
    """The facts of a block; a task for each, that runs where it is."""
    kind = None if block.X is None else isinstance(block.X, Design) and block.X.sparse
    return Facts(block.shape, kind, block.nbytes)


def listed(*facts: Facts) -> list[Facts]:
    """The facts of several blocks."""
    return list(facts)


def same(piece: bytes) -> bytes:
    """The piece, which is a result from now on."""
    return piece


def unpacked(anchor: Block | None, *pieces: bytes) -> Any:
    """What was sent in pieces. anchor : the block that it belongs to, so that it is made where that is."""
    return pickle.loads(b"".join(pieces))


def one_block(job: Job, block: Block, of_rows: tuple[Vector, Vector | None] | None, arguments: tuple[Any, ...]) -> Sums:
    """What a block adds to the sums. of_rows : y and the weights; None for a job that reads neither."""
    y, weight = usable(of_rows or (np.empty(block.shape[0]), None))
    with _blas.one_thread():
        return job(Rows(block.X, y, weight, block.shape, block.name), *usable(arguments))


def usable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same with arrays that kernels take: those that came from another worker are read-only, at any address."""
    return tuple(np.require(one, requirements=["A", "W"]) if isinstance(one, np.ndarray) else one for one in values)


def plus(a: Sums, b: Sums) -> Sums:
    """a + b; both stay as they are: a task may run once more, and what came from elsewhere is read-only."""
    return add(tuple(one.copy() if isinstance(one, np.ndarray) else one for one in a), b)


def summed_part(made: Sums) -> Sums:
    """All but the numbers by row."""
    return made[:-1]


def part_by_row(made: Sums) -> Any:
    """The numbers by row."""
    return made[-1]


# -------------------------------------------------------------------------------------------- what the driver does


class Loads(Counter[int]):
    """How often each block was loaded, as far as workers told."""


LOADS: WeakValueDictionary[str, Loads] = WeakValueDictionary()
"""The counts of all `DaskBlocks` that are still in use, by their tokens."""


def note_load(event: tuple[float, Any]) -> None:
    """Count what a worker told. It runs in the thread of the client."""
    message = event[1]
    token, k = message["msg"] if isinstance(message, dict) else message
    if (counts := LOADS.get(token)) is not None:
        counts[k] += 1


PIECE = 4_000_000
"""Bytes that one graph carries at most: Dask warns of graphs above 10 MB."""

LOOK = 0.1
"""Seconds between two looks at the clock, at signals and at the scheduler while tasks run."""

PAIRS = 2
"""Pairs of y and weights whose parts stay with the workers: those of a solve, and those of a question in between."""


@dataclass
class Sent:
    """The parts of y and the weights that lie with the workers, and what they are parts of."""

    y: Vector
    weight: Vector | None
    parts: list[Any]

    def fits(self, y: Vector, weight: Vector | None) -> bool:
        """Whether these are the same numbers."""
        if (weight is None) != (self.weight is None) or not np.array_equal(y, self.y):
            return False
        return weight is None or np.array_equal(weight, self.weight)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class DaskBlocks(RowBlocks):
    """Row blocks that lie with the workers of a Dask cluster; made by `from_dask`.

    `solve`, `path`, `lam_max`, `Lasso` and `ElasticNet` take it as X. It keeps the blocks with the workers while it
    lives.

    Attributes
    ----------
    shape : tuple of int
        (n_samples, n_features).
    starts : ndarray of int64, shape (n_blocks + 1,)
        The first row of each block, and the number of all rows.
    sizes : tuple of int
        Bytes of each block.
    recoveries : int
        How many blocks were loaded anew so far, because the worker that held them died.
    client : distributed.Client
    """

    client: Any = None
    held: tuple[Any, ...] = ()
    sizes: tuple[int, ...] = ()
    token: str = ""
    loads: Loads = field(default_factory=Loads, repr=False)
    near: ClassVar[bool] = False
    _sent: list[Sent] = field(default_factory=list, repr=False)
    _passes: Any = field(default_factory=lambda: count(1), repr=False)

    @property
    def recoveries(self) -> int:
        """How many blocks were loaded anew because the worker that held them died."""
        return sum(times - 1 for times in list(self.loads.values()))

    def reduce(
        self,
        job: Job,
        arguments: tuple[Any, ...],
        y: Vector,
        sample_weight: Vector | None,
        stop: Callable[[], bool] = lambda: False,
        by_row: NDArray[Any] | None = None,
    ) -> Sums | None:
        """The sum of ``job(rows, *arguments)`` over all blocks; None if stop() said so before it was there.

        y, sample_weight : of all rows. Each block gets its part at the first pass with them, and keeps it.
        by_row : filled with the last part of what the job returns, which comes home from every block then. Where it
        is y itself, the job does not read y.

        What is moved: the arguments, to each worker once; from worker to worker the sums of those branches of the tree
        whose halves lie with different ones; and one sum to the driver.
        """
        work = f"{job.__name__}-pass{next(self._passes)}-{self.token}"
        graph: Graph = {}
        sent = self._send([((f"l1fast_arguments_of_{work}", 0), None, arguments)], graph)[0]
        parts = [None] * self.n_blocks if by_row is y else self._parts(y, sample_weight)
        rows: dict[int, Key] = {}
        numbers = count()

        def leaf(k: int) -> Any:
            if self.starts[k] == self.starts[k + 1]:
                return ()
            key = (f"l1fast_{work}", k)
            graph[key] = (one_block, job, self.held[k], parts[k], sent)
            if by_row is None:
                return key
            rows[k], summed = (f"l1fast_rows_of_{work}", k), (f"l1fast_part_of_{work}", k)
            graph[rows[k]], graph[summed] = (part_by_row, key), (summed_part, key)
            return summed

        def branch(a: Any, b: Any) -> Any:
            if not a or not b:
                return a or b
            key = (f"l1fast_sum_of_{work}", next(numbers))
            graph[key] = (plus, a, b)
            return key

        root: Any = tree_sum(map(leaf, range(self.n_blocks)), self.n_blocks, branch)
        futures = self._submit(graph, [root, *rows.values()])
        if not self._wait(futures, stop):
            return None
        if by_row is not None:
            for k, numbers_of_rows in zip(rows, self._home(futures[1:]), strict=True):
                by_row[self.starts[k] : self.starts[k + 1]] = numbers_of_rows
        total: Sums = self._home(futures[:1])[0]
        return plus(total, ())  # of its own, to be written to

    def _parts(self, y: Vector, weight: Vector | None) -> list[Any]:
        """What belongs to the rows of each block, where the block is."""
        for place, sent in enumerate(self._sent):
            if sent.fits(y, weight):
                self._sent.insert(0, self._sent.pop(place))
                return sent.parts
        del self._sent[PAIRS - 1 :]
        y, weight = y.copy(), None if weight is None else weight.copy()
        name, values = f"l1fast_rows-{secrets.token_hex(4)}-{self.token}", []
        for k in range(self.n_blocks):
            rows = slice(self.starts[k], self.starts[k + 1])
            values.append(((name, k), self.held[k], (y[rows], None if weight is None else weight[rows])))
        self._sent.insert(0, Sent(y, weight, self._send(values)))
        return self._sent[0].parts

    def _send(self, values: Sequence[tuple[Key, Any, Any]], into: Graph | None = None) -> list[Any]:
        """Futures of values (key, block that it belongs to or None, value), in graphs that are small enough for Dask.

        into : a graph for the last of them, which are then told by their keys.
        """
        made: dict[Key, Any] = {}
        graph: Graph = {}
        wanted: list[Key] = []
        size = 0

        def flush() -> None:
            nonlocal graph, size
            made.update(zip(wanted, self._submit(graph, wanted), strict=True))
            graph, size = {}, 0
            wanted.clear()

        for key, anchor, value in values:
            packed, pieces = pickle.dumps(value, pickle.HIGHEST_PROTOCOL), []
            for i in range(0, len(packed), PIECE):
                if size + min(PIECE, len(packed) - i) > PIECE:
                    flush()
                piece = (f"{key[0]}_piece{key[1]}", i)
                graph[piece] = (same, packed[i : i + PIECE])
                size += min(PIECE, len(packed) - i)
                pieces.append(piece)
                wanted.append(piece)
            graph[key] = (unpacked, anchor, *(made.get(piece, piece) for piece in pieces))
            wanted.append(key)
            made[key] = key
        if into is not None:
            into.update(graph)
        elif graph:
            flush()
        return [made[key] for key, _, _ in values]

    # ------------------------------------------------------------------------------------ waiting, and what goes wrong

    def _submit(self, graph: Graph, keys: Sequence[Key]) -> list[Any]:
        """Futures of some keys of a graph."""
        if self.client.status != "running":
            self._gone()
        try:
            made: list[Any] = self.client.get(graph, list(keys), sync=False)
        except distributed.CancelledError as error:  # of a block
            self._cancelled(error)
        return made

    def _wait(self, futures: Sequence[Any], stop: Callable[[], bool] = lambda: False) -> bool:
        """Wait until all are done: False if stop() said so before. They are cancelled then, and on Ctrl-C."""
        try:
            for future in futures:
                ended = threading.Event()
                future.add_done_callback(lambda _, ended=ended: ended.set())
                while not (future.done() or ended.wait(LOOK)):
                    if self.client.status != "running":
                        self._gone()
                    if stop():
                        self.client.cancel(list(futures))
                        return False
                if future.status == "error":
                    self._failed(future.exception(timeout=LOOK))
                if future.status != "finished":
                    self._home([future])
        except BaseException:
            if self.client.status == "running":
                self.client.cancel(list(futures))
            raise
        return True

    def _home(self, futures: Sequence[Any]) -> list[Any]:
        """The results."""
        try:
            found: list[Any] = self.client.gather(list(futures))
        except distributed.CancelledError as error:
            self._cancelled(error)
        return found

    def _cancelled(self, error: BaseException) -> NoReturn:
        """Raise why tasks or blocks were cancelled."""
        lost = [k for k, block in enumerate(self.held) if block.status in ("cancelled", "lost")]
        reason = str(error)
        if lost:
            try:
                self.held[lost[0]].result(timeout=LOOK)
            except distributed.CancelledError as first:
                reason = f"{first}; {reason}"
        if self.client.status != "running" or "scheduler-" in reason:
            self._gone()
        if not lost:
            raise ClusterError(f"a task of {self.source} was cancelled ({reason}); solve again") from error
        raise ClusterError(
            f"{self.told(lost[0])} was lost with its worker ({len(lost)} of {self.n_blocks} blocks were), and nothing "
            "says how to make it again: so it is with data put in place by client.scatter; make blocks by tasks, such "
            "as dask.delayed(load)(k) or client.submit(load, k), and call from_dask again"
        ) from error

    def _gone(self) -> NoReturn:
        """Raise, as the scheduler is not there any more, or has forgotten everything."""
        raise ClusterError(
            f"the scheduler that knew {self.source} was closed or restarted (the client is {self.client.status!r}), "
            "and the blocks went with it; connect again, call from_dask again, and solve again: with resume=PATH a "
            "solve goes on from the last outer step that it had written there"
        )

    def _failed(self, error: BaseException) -> NoReturn:
        """Raise the error of a task; that of one that killed its workers says what is to be done."""
        if not isinstance(error, distributed.KilledWorker):
            raise error
        killer = [k for k, block in enumerate(self.held) if block.status == "error"]
        if not killer and isinstance(error.task, tuple) and not error.task[0].startswith("l1fast_sum"):
            killer = [error.task[1]]
        raise ClusterError(
            f"{self.told(killer[0]) if killer else f'task {error.task!r} of {self.source}'} killed "
            f"{error.allowed_failures + 1} workers one after the other, mostly a sign that it does not fit into their "
            "memory; make blocks of fewer rows, such as X.rechunk({0: n_rows}) of a dask array, or give workers more "
            "memory or fewer threads; the last that they said is in their logs"
        ) from error

    def told(self, k: int) -> str:
        """What errors call block k, with its size where that is known."""
        size = f" ({self.starts[k + 1] - self.starts[k]:,} rows in {self.sizes[k]:,} bytes)" if self.sizes else ""
        return self.name(k) + size


def from_dask(X: Any, *, client: Any = None) -> DaskBlocks:
    """Row blocks that stay with the workers of a Dask cluster, for `solve`, `path` and `lam_max`.

    Parameters
    ----------
    X : dask array, data frame or bag, list of delayed blocks or of futures, or row blocks of this package
        A block holds some rows and all columns: an array, or a SciPy sparse matrix, of any number of rows, none
        included. The chunks of a dask array are blocks, dense or sparse (it is used as a container only); so are the
        partitions of a data frame, whose columns must be numbers, and of a bag, whose items are rows or blocks. Row
        blocks of this package that read files are read by the workers, who must see the same files.
    client : distributed.Client, optional
        Default: that of the futures, else the one in use (``distributed.get_client()``).

    Returns
    -------
    DaskBlocks

    Raises
    ------
    ImportError
        Dask is not installed.
    ValueError, TypeError
        X is none of these, the chunks do not hold all columns, or a block is malformed. The message names the block.
    ClusterError
        Workers died of a block again and again, a block was lost, or the scheduler. The message says which, and what
        helps.

    Notes
    -----
    Every block is made, checked and kept by a worker here, once: this returns when all are there. Workers need l1fast.
    A pass over X sends the arguments (k numbers) to every worker, and sums of p numbers from worker to worker along a
    tree and home: log2(n_blocks) steps, whose order does not depend on who holds what; so the answer is the same, bit
    for bit, whatever dies. Blocks of a worker that died are made anew, and ``Result.recoveries`` counts them. y comes
    from the driver, n numbers once for each y: a dask array as y is brought to the driver first. The dual point comes
    home once, at the end.

    Examples
    --------
    >>> import dask.array, distributed, l1fast, numpy as np
    >>> with distributed.Client(processes=False, dashboard_address=":0") as client:
    ...     X = dask.array.from_array(np.eye(6), chunks=(2, 6))
    ...     result = l1fast.solve(l1fast.from_dask(X), [3.0, 0.0, 0.0, 0.0, 0.0, 1.0], lam=0.5)
    >>> result.coef
    array([2.5, 0. , 0. , 0. , 0. , 0.5])
    """
    if isinstance(X, DaskBlocks):
        return X
    source, sources = read_sources(X)
    client = client or client_of(sources)
    token = secrets.token_hex(4)
    blocks = DaskBlocks(
        load=lambda k: held[k].result().X,
        starts=np.arange(len(sources) + 1),  # until their sizes are known
        n_features=0,
        sparse=False,
        source=source,
        client=client,
        token=token,
    )
    LOADS[token] = blocks.loads
    client.subscribe_topic(TOPIC, note_load)
    make = delayed(load, pure=False)
    tasks = [
        make(token, k, blocks.name(k), *task, dask_key_name=f"l1fast_block-{token}-{k}")
        for k, task in enumerate(sources)
    ]
    held = client.compute(tasks, optimize_graph=False)
    blocks = replace(blocks, held=tuple(held))
    graph: Graph = {}
    described: list[Key] = []
    facts = [(f"l1fast_described-{token}", k) for k in range(len(held))]
    graph.update({key: (describe, block) for key, block in zip(facts, held, strict=True)})
    for first in range(0, len(held), DESCRIBED):
        described.append((f"l1fast_listed-{token}", first))
        graph[described[-1]] = (listed, *facts[first : first + DESCRIBED])
    futures = blocks._submit(graph, described)
    blocks._wait(futures)
    return agreed(blocks, [fact for part in blocks._home(futures) for fact in part], X)


@contextmanager
def connected(address: str | None, n_workers: int | None = None) -> Iterator[Any]:
    """A client of the scheduler at an address, or of so many processes of this machine, with a thread each."""
    if address is not None:
        try:
            client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {address!r} ({error}); start one with `dask scheduler`, and give the "
                "address that it prints, such as tcp://HOST:8786"
            ) from error
        with client:
            yield client
        return
    cluster = distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0")
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield client


CONNECT = 10
"""Seconds in which a scheduler must answer."""

DESCRIBED = 256
"""Blocks whose facts come home together."""


def read_sources(X: Any) -> tuple[str, list[tuple[Callable[[Any], Any], Any]]]:
    """What X is, for people, and (read, source) for each block: read(source) is to be run by a worker."""
    if isinstance(X, RowBlocks):
        return X.source, [(X.load, k) for k in range(X.n_blocks)]
    if isinstance(X, Delayed | distributed.Future):
        X = [X]
    if isinstance(X, list | tuple):
        wrong = [k for k, one in enumerate(X) if not isinstance(one, Delayed | distributed.Future)]
        if wrong or not X:
            what = f"entry {wrong[0]} of X is a {type(X[wrong[0]]).__name__}" if wrong else "X is an empty list"
            raise TypeError(f"{what}; give a list of delayed blocks or of futures, such as dask.delayed(load)(k)")
        return "a list of tasks", [(as_made, one) for one in X]
    if not is_dask_collection(X) or not hasattr(X, "to_delayed"):
        raise TypeError(
            f"X is a {type(X).__name__}; from_dask takes a dask array, data frame or bag, a list of delayed blocks or "
            "of futures, and row blocks of files"
        )
    source = f"a dask {type(X).__name__.lower()}"
    if getattr(X, "ndim", 2) != 2:
        raise ValueError(f"X must be two-dimensional, got {source} of {X.ndim} dimensions; one feature is X[:, None]")
    if hasattr(X, "numblocks") and X.numblocks[1] != 1:
        raise ValueError(
            f"X has {X.numblocks[1]} chunks along its {X.shape[1]} columns, but a block holds all columns of its rows; "
            "X.rechunk({1: -1}) joins them"
        )
    return source, [(as_made, one) for one in np.ravel(X.to_delayed()).tolist()]


def client_of(sources: Sequence[tuple[Any, Any]]) -> Any:
    """The client of the futures, else the one in use."""
    for _, source in sources:
        if isinstance(source, distributed.Future):
            return source.client
    try:
        return distributed.get_client()
    except ValueError:
        raise ValueError(
            "there is no Dask client that could run the blocks; make one before: client = distributed.Client()"
        ) from None


def agreed(blocks: DaskBlocks, facts: list[Facts], X: Any) -> DaskBlocks:
    """The blocks with what was found out of them, which must fit together, and with what X said before."""
    rows, columns = [shape[0] for shape, _, _ in facts], [shape[1] for shape, _, _ in facts]
    kinds = [kind for _, kind, _ in facts]
    first = next((k for k in range(len(facts)) if columns[k] != UNKNOWN), 0)
    for k in range(len(facts)):
        if columns[k] not in (columns[first], UNKNOWN):
            raise ValueError(
                f"{blocks.name(k)} has {columns[k]} columns, block {first} has {columns[first]}; all blocks hold the "
                "same columns"
            )
        if kinds[k] is not None and any(kind is not None and kind != kinds[k] for kind in kinds):
            other = kinds.index(not kinds[k])
            raise ValueError(f"blocks {k} and {other} of {blocks.source} are not both sparse; make them all alike")
    starts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
    if isinstance(X, RowBlocks) and (not np.array_equal(starts, X.starts) or columns[first] != X.n_features):
        raise ValueError(
            f"{blocks.source} has blocks of {rows} rows and {columns[first]} columns, expected {np.diff(X.starts)} and "
            f"{X.n_features}; the files have changed, or workers see others"
        )
    if not starts[-1]:
        raise ValueError(f"X has shape {(0, max(columns[first], 0))}: at least one row is needed")
    sizes = tuple(size for _, _, size in facts)
    return replace(
        blocks,
        starts=starts,
        n_features=columns[first],
        sparse=True in kinds,
        sizes=sizes,
        n_bytes=sum(sizes),
        has_columns=X.has_columns if isinstance(X, RowBlocks) else True,
    )
