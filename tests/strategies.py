"""Hypothesis strategies: problems of every kind that the solvers take, and how each of them can be spoilt.

F(w, b) = 1/2 sum_i s_i (x_i'w + b - y_i)^2 + sum_j v_j (lam |w_j| + l2/2 w_j^2),   lower <= w <= upper

A `Case` is such a problem. Its X is held twice: as plain values, on which a law can work, and as the `Layout` that
stores values in one of the many ways in which a matrix arrives. A layout is deterministic: the same values are stored
the same way. Values are multiples of 1/8 times a power of two for each column, so that every layout holds them exactly.
"""

import dataclasses
import math
import tempfile

import hypothesis
import hypothesis.strategies as st
import numpy as np
import referee
import scipy.sparse

import l1fast

DENSE = ("C", "F", "strided", "backwards", "stride 0", "unaligned", "read-only", "memory-mapped", "list", "object")
FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")
COMPRESSED = ("csr", "csc")
SPARSE = tuple(f"{form}_{kind}" for form in FORMATS for kind in ("array", "matrix"))
REAL = ("f8", "f4", ">f8", ">f4", "g", "f2")
WHOLE = ("i1", "i8", "u1", "u8", "?")
INDEX = ("i4", "i8")


# ---------------------------------------------------------------- storage


@dataclasses.dataclass(frozen=True)
class Layout:
    """How values become a matrix; calling it makes one. Flags that a kind of storage has no use for do nothing."""

    kind: str = "C"
    dtype: str = "f8"
    indices: str = "i4"
    indptr: str = "i4"
    unsorted: bool = False
    zeros: bool = False
    split: str = ""
    slack: int = 0
    seed: int = 0

    @property
    def form(self):
        """csr, csc ... or "dense"."""
        return self.kind.partition("_")[0] if self.kind in SPARSE else "dense"

    @property
    def real(self):
        return self.dtype in REAL

    def __call__(self, values):
        """The matrix."""
        values = self.cast(values)
        if self.form == "dense":
            return self._dense(values)
        if self.form in ("dia", "lil", "dok"):
            return getattr(scipy.sparse, self.kind)(values)
        rng = np.random.default_rng(self.seed)
        if self.form == "bsr":
            return self._blocks(values, rng)
        rows, columns, data = self._triplets(values, rng)
        made = getattr(scipy.sparse, self.kind)(values.shape, dtype=np.float64)
        if self.form == "coo":
            rows, columns, made.data = rows.astype(self.indices), columns.astype(self.indices), data
            if self.kind == "coo_array":
                made.coords = rows, columns
            else:
                made.row, made.col = rows, columns
            return made
        slices, within = (rows, columns) if self.form == "csr" else (columns, rows)
        n_slices = values.shape[self.form == "csc"]
        made.data, made.indices, made.indptr = self._compress(slices, within, data, n_slices)
        return made

    def cast(self, values):
        """The values in the dtype: whole ones for integers, beyond the range of int8 if entries are split."""
        if self.real:
            return values.astype(self.dtype)
        if self.dtype == "?":
            return values != 0
        whole = np.abs(values) if self.dtype.startswith("u") else values
        wide = self.split and self.form in ("csr", "csc", "coo")
        return np.round(64 * whole).astype("i8") if wide else np.round(8 * whole).astype(self.dtype)

    def _dense(self, values):
        values = np.ascontiguousarray(values)
        if self.kind == "F":
            return np.asfortranarray(values)
        if self.kind == "strided":
            return _spread(values, 2, 3)
        if self.kind == "backwards":
            return _spread(values, -1, -2)
        if self.kind == "stride 0":
            return np.broadcast_to(values[:1] if self.seed % 2 else values[:, :1], values.shape)
        if self.kind == "unaligned":
            held = np.zeros(values.nbytes + 1, np.uint8)[1:].view(values.dtype).reshape(values.shape)
            held[...] = values
            return held
        if self.kind == "memory-mapped":
            with tempfile.TemporaryFile() as file:
                held = np.memmap(file, values.dtype, "w+", shape=values.shape)
            held[...] = values
            return held
        if self.kind in ("list", "object"):
            return values.tolist() if self.kind == "list" else values.astype(object)
        if self.kind == "read-only":
            values.flags.writeable = False
        return values

    def _triplets(self, values, rng):
        """Rows, columns and values of the entries, in the order in which they are stored within a slice."""
        rows, columns = np.nonzero(values)
        if self.zeros:
            more = np.nonzero((values == 0) & (rng.random(values.shape) < 0.3))
            rows, columns = np.concatenate([rows, more[0]]), np.concatenate([columns, more[1]])
        data = values[rows, columns]
        if self.split:
            part = data // 2 if not self.real else data / 2 if self.split == "halves" else 2 * data
            data, rows, columns = np.concatenate([part, data - part]), np.tile(rows, 2), np.tile(columns, 2)
        order = rng.permutation(len(data)) if self.unsorted else np.lexsort((columns, rows))
        return rows[order], columns[order], data[order].astype(self.dtype)

    def _compress(self, slices, within, data, n_slices):
        """data, indices, indptr; with room behind the last entry that would be wrong to read."""
        order = np.argsort(slices, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(slices, minlength=n_slices))])
        spare = np.full((self.slack, *data.shape[1:]), np.nan if data.dtype.kind == "f" else 1).astype(data.dtype)
        indices = np.concatenate([within[order], np.resize([-7, 2**30], self.slack)])
        return np.concatenate([data[order], spare]), indices.astype(self.indices), starts.astype(self.indptr)

    def _blocks(self, values, rng):
        """BSR with blocks of a size that divides the shape."""
        n, p = values.shape
        height, width = (math.gcd(size, int(rng.choice([1, 2, 3]))) for size in (n, p))
        blocks = values.reshape(n // height, height, p // width, width).swapaxes(1, 2)
        rows, columns = np.nonzero(blocks.any(axis=(2, 3)))
        data = blocks[rows, columns]
        if self.split and self.real:
            data, rows, columns = np.concatenate([data / 2, data / 2]), np.tile(rows, 2), np.tile(columns, 2)
        order = rng.permutation(len(rows)) if self.unsorted else np.arange(len(rows))
        parts = self._compress(rows[order], columns[order], data[order].astype(self.dtype), n // height)
        made = getattr(scipy.sparse, self.kind)(values.shape, blocksize=(height, width), dtype=np.float64)
        made.data, made.indices, made.indptr = parts
        return made


def _spread(values, row_step, column_step):
    """values as a strided view of a larger array; a negative step walks backwards."""
    n, p = values.shape
    held = np.full((abs(row_step) * n, abs(column_step) * p), 1, values.dtype)
    view = held[::row_step, ::column_step]
    view[...] = values
    return view


def layouts(kinds=DENSE + SPARSE, dtypes=REAL + WHOLE):
    """Every way to store a matrix; float32 and float64 in half of them, as many numbers are split as not."""
    often = [dtype for dtype in ("f8", "f4") if dtype in dtypes]
    return st.builds(
        Layout,
        kind=st.sampled_from(kinds),
        dtype=st.sampled_from(often) | st.sampled_from(dtypes),
        indices=st.sampled_from(INDEX),
        indptr=st.sampled_from(INDEX),
        unsorted=st.booleans(),
        zeros=st.booleans(),
        split=st.sampled_from(["", "halves", "overshoot"]),
        slack=st.sampled_from([0, 0, 3]),
        seed=st.integers(0, 99),
    ).map(possible)


def possible(layout):
    """SciPy has no float16 and no foreign byte order but in parts put in by hand; truth values do not add up."""
    changes = {}
    if layout.form not in ("dense", "csr", "csc", "bsr") and layout.dtype in ("f2", ">f8", ">f4"):
        changes["dtype"] = "f8"
    if layout.dtype == "?":
        changes["split"] = ""
    return dataclasses.replace(layout, **changes)


# ---------------------------------------------------------------- values

SHAPES = {
    "small": st.tuples(st.integers(2, 9), st.integers(2, 9)),
    "one row": st.tuples(st.just(1), st.integers(1, 9)),
    "one column": st.tuples(st.integers(1, 9), st.just(1)),
    "wide": st.tuples(st.integers(2, 8), st.integers(10, 40)),
    "tall": st.tuples(st.integers(10, 40), st.integers(1, 8)),
    "no column": st.tuples(st.integers(1, 9), st.just(0)),
}
shapes = st.sampled_from(["small", "small", "small", *SHAPES]).flatmap(SHAPES.get)
COLUMNS = ("zero", "constant", "copy", "opposite", "twice", "nearly a copy")


@st.composite
def picks(draw, table, shape):
    """Arrays of that shape with entries of the table: a byte for each, one draw in all, and the first is simplest."""
    table, size = np.array(table), math.prod(shape)
    drawn = draw(st.binary(min_size=size, max_size=size))
    return table[np.frombuffer(drawn, np.uint8) % len(table)].reshape(shape)


ENTRIES = np.concatenate([np.zeros(20), np.arange(-24, 25) / 8])


@st.composite
def matrices(draw, shape, reach=0):
    """Values with columns of every kind, at times with empty rows; column scales from 2^-reach to 2^reach."""
    values = draw(picks(ENTRIES, shape))
    n, p = shape
    if p and draw(st.booleans()):
        for j, kind in draw(st.dictionaries(st.integers(0, p - 1), st.sampled_from(COLUMNS), max_size=4)).items():
            other = values[:, draw(st.integers(0, p - 1))]
            values[:, j] = {
                "zero": 0 * other,
                "constant": np.full(n, 1.5),
                "copy": other,
                "opposite": -other,
                "twice": 2 * other,
                "nearly a copy": other + (np.arange(n) == n // 2) / 8,
            }[kind]
    if draw(st.integers(0, 4)) == 0:
        values[draw(picks([False, True], (n,)))] = 0
    if reach and draw(st.booleans()):
        values *= 2.0 ** draw(picks([0, *range(-reach, reach + 1)], (p,)))
    return values


REACH = {"f2": 0, "f4": 6, ">f4": 6}


@st.composite
def targets(draw, n, values):
    """Y of every kind: zero, constant, in the span of the columns or not, far from zero."""
    kind = draw(st.sampled_from(["drawn", "drawn", "drawn", "fitted", "shifted", "constant", "zero"]))
    if kind in ("zero", "constant"):
        return np.full(n, 0.0 if kind == "zero" else 2.5)
    y = draw(picks(ENTRIES, (n,)))
    if kind == "fitted":
        w = np.resize([1.0, -0.5, 0.0], values.shape[1])
        return values @ w
    return y + 40.0 if kind == "shifted" else y


# ---------------------------------------------------------------- problems

ROOM = (np.inf, 0.0, 0.125, 1.0, 50.0)
WEIGHTS = (1.0, 0.0, 0.5, 3.0)
STRENGTHS = {
    "zero": 0.0, "tiny": 1e-6, "small": 0.02, "middle": 0.25, "near the largest": 0.99, "largest": 1.0, "above": 2.0
}  # fmt: skip
EXACT = ("auto", "cd", "homotopy")
OFTEN = (*EXACT, "auto", "auto", "auto", "cd", "cd", "fista", "fista", "ista")
SELDOM = ("accelerated_gradient", "gradient", "huber_descent", "irls", "lbfgs", "subgradient")
MOST_ITERATIONS = 300  # of the solvers that creep; their answers need not be good, but honest


@dataclasses.dataclass(frozen=True)
class Case:
    """A problem; the entries of `options` are those of `l1fast.solve`."""

    values: np.ndarray
    y: np.ndarray
    lam: float
    options: dict
    layout: Layout = Layout()
    solver: str = "auto"
    start: np.ndarray | None = None

    @property
    def shape(self):
        return self.values.shape

    @property
    def X(self):
        return self.layout(self.values)

    @property
    def exact(self):
        """Whether the solver ends at the gap asked for, whatever the problem."""
        return self.solver in EXACT

    @property
    def asked(self):
        """All keyword arguments."""
        given = {} if self.start is None else {"start": self.start}
        return {"solver": self.solver, "max_iter": None if self.exact else MOST_ITERATIONS, **given, **self.options}

    @property
    def truth(self):
        """The problem as the referee sees it."""
        return referee.Problem(self.X, self.y, self.lam, **self.options)

    def option(self, name, default):
        """An option, or what stands for it when it is not given or None."""
        value = self.options.get(name)
        return default if value is None else value

    @property
    def s(self):
        return self.option("sample_weight", np.ones(self.shape[0]))

    @property
    def v(self):
        return self.option("penalty_weights", np.ones(self.shape[1]))

    @property
    def limits(self):
        """Lower and upper bounds as vectors."""
        lower, upper = (
            (0.0, np.inf) if self.option("positive", False) else self.option("bounds", None) or (-np.inf, np.inf)
        )
        return np.full(self.shape[1], lower), np.full(self.shape[1], upper)

    def changed(self, *, bounds=None, **changes):
        """The case with other fields or options; bounds take the place of positive."""
        if bounds is not None:
            changes["positive"] = not bounds[0].any() and bool(np.isposinf(bounds[1]).all())
            changes["bounds"] = None if changes["positive"] else bounds
        names = {field.name for field in dataclasses.fields(self)}
        mine = {name: value for name, value in changes.items() if name in names}
        options = self.options | {name: value for name, value in changes.items() if name not in names}
        return dataclasses.replace(self, options=options, **mine)


@st.composite
def options(draw, n, p):
    """Every option of the problem family on or off."""
    chosen = {"fit_intercept": draw(st.booleans()), "l2": draw(st.sampled_from([0.0, 0.0, 0.5, 1e-3]))}
    kind = draw(st.sampled_from(["free", "free", "bounds", "equal bounds", "positive"]))
    if kind == "bounds":
        chosen["bounds"] = tuple(sign * draw(picks(ROOM, (p,))) for sign in (-1.0, 1.0))
    elif kind == "equal bounds":
        chosen["bounds"] = (-0.25, 0.5)
    elif kind == "positive":
        chosen["positive"] = True
    if draw(st.booleans()):
        chosen["sample_weight"] = draw(picks(WEIGHTS, (n,)).filter(np.any))
    if draw(st.booleans()):
        chosen["penalty_weights"] = draw(picks(WEIGHTS, (p,)))
    return chosen


ANY = layouts()


@st.composite
def cases(draw, stored=None, solvers=None, reach=16, shapes=shapes):
    """Problems of every kind, X stored in any way; lam is a part of the largest useful one."""
    layout, shape = draw(ANY if stored is None else stored), draw(shapes)
    n, p = shape
    if p == 0 and layout.form != "csr":
        layout = dataclasses.replace(layout, kind="csc_array" if layout.form != "dense" else "C")
    values = draw(matrices(shape, min(reach, REACH.get(layout.dtype, 16)) if layout.real else 0))
    chosen = draw(options(n, p))
    y = draw(targets(n, values))
    solver = draw(st.sampled_from(solvers or OFTEN) if solvers or draw(st.integers(0, 9)) else st.sampled_from(SELDOM))
    strength = STRENGTHS[draw(st.sampled_from(list(STRENGTHS)))]
    if solver == "homotopy":
        chosen.pop("bounds", None)
        chosen.pop("penalty_weights", None)
        strength = strength or 0.1
    if solver == "irls":
        chosen = {name: value for name, value in chosen.items() if name not in ("bounds", "positive")}
    largest = {name: value for name, value in chosen.items() if name != "l2"}
    lam = strength * (l1fast.lam_max(layout(values), y, **largest) or 1.0)
    start = draw(st.none() | picks(ENTRIES, (p,)))
    return Case(values, y, lam, chosen, layout, solver, start)


def ways(layout):
    """How a matrix is stored, in words that can be counted."""
    yield f"storage {layout.kind}"
    yield f"dtype {layout.dtype}"
    yield from {f"index {layout.indices} in {layout.indptr}"} if layout.form in COMPRESSED else ()


def kinds(case):
    """What a case is, in words that can be counted."""
    n, p = case.shape
    truth, layout, given = case.truth, case.layout, case.options
    yield from ways(layout)
    yield f"solver {case.solver}"
    yield "shape " + ("no column" if p == 0 else "one row" if n == 1 else "one column" if p == 1 else
                      "wide" if p > n else "tall")  # fmt: skip
    if layout.form in COMPRESSED:
        X = case.X
        stored = X.indices[: X.indptr[-1]]
        inside = [stored[i:j] for i, j in zip(X.indptr[:-1], X.indptr[1:], strict=True)]
        yield from {"unsorted" for part in inside if (np.diff(part) < 0).any()}
        yield from {"repeated entries" for part in inside if len(set(part.tolist())) < len(part)}
        yield from {"explicit zeros"} if (X.data[: len(stored)] == 0).any() else ()
        yield from {"room behind the entries"} if len(X.data) > len(stored) else ()
    yield from {"empty row"} if p and not truth.X.any(axis=1).all() else ()
    yield from {"empty column"} if not truth.X.any(axis=0).all() else ()
    yield from {"constant column"} if n > 1 and (np.ptp(truth.X, axis=0) == 0)[truth.X.any(axis=0)].any() else ()
    _, counts = np.unique(np.abs(truth.X.T), axis=0, return_counts=True)
    yield from {"columns alike"} if n > 1 and (counts > 1).any() else ()
    sizes = np.abs(truth.X).max(axis=0, initial=0)
    yield from {"mixed scales"} if sizes.any() and sizes.max() > 1e4 * sizes[sizes > 0].min() else ()
    yield "y zero" if not case.y.any() else "y constant" if n > 1 and not np.ptp(case.y) else "y varied"
    yield from {f"option {name}" for name, value in given.items() if np.any(value)}
    yield from {"option zeros among sample_weight"} if not np.all(given.get("sample_weight", 1)) else ()
    yield from {"option zeros among penalty_weights"} if not np.all(given.get("penalty_weights", 1)) else ()
    yield "start" if case.start is not None else "no start"
    yield "lam zero" if case.lam == 0 else "lam above 0"


def plain():
    """(X, y, lam, options) of a problem in plain storage, with lam above 0."""
    made = cases(st.just(Layout()), ("auto",), reach=0, shapes=shapes.filter(lambda shape: shape[1] > 0))
    return made.filter(lambda case: case.lam > 0).map(lambda case: (case.values, case.y, case.lam, case.options))


# ---------------------------------------------------------------- spoilt

NOT_FINITE = (np.nan, np.inf, -np.inf)


def index_tokens(dtype, size):
    """Values that an index array may hold by mistake."""
    held = np.iinfo(dtype)
    return st.integers(-2, size + 2) | st.sampled_from([size, -1, 2**28, 2**31 - 1, held.max, held.min])


def sound(X):
    """Whether CSR or CSC parts stand for a matrix: by the definition, in Python's integers."""
    inner, n_slices = (X.shape[1], X.shape[0]) if X.format == "csr" else X.shape
    starts = X.indptr.tolist()
    if any(part.ndim != 1 for part in (X.data, X.indices, X.indptr)) or len(starts) != n_slices + 1:
        return False
    if starts[0] != 0 or starts != sorted(starts) or starts[-1] > min(len(X.indices), len(X.data)):
        return False
    return all(0 <= index < inner for index in X.indices[: starts[-1]].tolist())


def _write(draw, part, tokens):
    """One entry of an array replaced; the array is replaced itself if it is locked."""
    hypothesis.assume(part.size)
    made = part.copy()
    made.flat[draw(st.integers(0, part.size - 1))] = draw(tokens)
    return made


@st.composite
def spoilt_matrices(draw, case):
    """(X, words of which the error names one), or (X, None) when what was written happens to be sound."""
    X, form = case.X, case.layout.form
    n, p = case.shape
    if form in COMPRESSED:
        return draw(_spoilt_compressed(X))
    if form == "dense":
        hypothesis.assume(p and (case.layout.real or case.layout.kind in ("list", "object")))
        if case.layout.kind == "list":
            X[draw(st.integers(0, n - 1))][draw(st.integers(0, p - 1))] = draw(st.sampled_from(NOT_FINITE))
            return X, ("X has the value",)
        if not X.flags.writeable:
            X = np.array(X)
        X[draw(st.integers(0, n - 1)), draw(st.integers(0, p - 1))] = draw(st.sampled_from(NOT_FINITE))
        return X, ("X has the value",)
    return draw(_spoilt_other(X, form, draw(st.sampled_from(["index", "index", "length", "value"]))))


@st.composite
def _spoilt_compressed(draw, X):
    what = draw(st.sampled_from(["indices", "indices", "indptr", "indptr", "wrap", "length", "real", "2-D", "value"]))
    name = draw(st.sampled_from(["data", "indices", "indptr"]))
    words = ("X.indices", "X.indptr", "X.data", "entries are stored")
    if what in ("indices", "indptr"):
        part = getattr(X, what)
        inner = X.shape[1] if X.format == "csr" else X.shape[0]
        setattr(X, what, _write(draw, part, index_tokens(part.dtype, inner if what == "indices" else len(X.data))))
    elif what == "wrap":
        hypothesis.assume(len(X.indptr) > 1)
        held = np.iinfo(X.indptr.dtype)
        at = draw(st.integers(0, len(X.indptr) - 2))
        X.indptr = X.indptr.copy()
        X.indptr[at : at + 2] = draw(st.sampled_from([(held.max, -1), (held.max, held.min), (held.min, held.max)]))
    elif what == "length":
        part = getattr(X, name)
        count = draw(st.integers(0, len(part) - 1)) if len(part) else 0
        setattr(X, name, part[:count].copy() if draw(st.booleans()) else np.append(part, part[-1:]))
    elif what == "real":
        name = draw(st.sampled_from(["indices", "indptr"]))
        setattr(X, name, getattr(X, name).astype(draw(st.sampled_from(["f4", "f8", "c16", "?"]))))
        return X, words
    elif what == "2-D":
        setattr(X, name, getattr(X, name)[:, None].copy())
        return X, words
    else:
        hypothesis.assume(X.data.dtype.kind == "f" and X.indptr[-1])
        X.data = X.data.copy()
        X.data[draw(st.integers(0, int(X.indptr[-1]) - 1))] = draw(st.sampled_from(NOT_FINITE))
        return X, ("X has the value",)
    return X, None if sound(X) else words


@st.composite
def _spoilt_other(draw, X, form, what):
    """Formats that the package takes apart into triplets."""
    n, p = X.shape
    outside = draw(st.sampled_from([-1, -(2**31), 2**20, max(n, p)]))
    value = draw(st.sampled_from(NOT_FINITE))
    hypothesis.assume(X.nnz and (what != "value" or X.dtype.kind == "f"))
    if form == "coo":
        hypothesis.assume(len(X.data))
        if what == "index":
            (X.row if draw(st.booleans()) else X.col)[draw(st.integers(0, len(X.data) - 1))] = outside
        else:
            X.data = X.data[:-1] if what == "length" else _write(draw, X.data, st.just(value))
    elif form == "bsr":
        blocks = int(X.indptr[-1])
        if what == "index":
            name = draw(st.sampled_from(["indices", "indptr"]))
            part = getattr(X, name)
            if name == "indptr":  # a number of the size of the matrix could be right there
                outside = draw(st.sampled_from([-1, -(2**31), 2**20]))
            part[draw(st.integers(0, (blocks if name == "indices" else len(part)) - 1))] = outside
        elif what == "length":
            X.data = X.data[:-1]
        else:
            X.data[:blocks] = _write(draw, X.data[:blocks], st.just(value))
    elif form == "dia":
        if what == "index":
            X.offsets = X.offsets.astype(float)
        elif what == "length":
            X.offsets = X.offsets[:-1]
        else:
            k = draw(st.integers(0, len(X.offsets) - 1))
            columns = [j for j in range(min(p, X.data.shape[1])) if 0 <= j - X.offsets[k] < n]
            X.data[k, draw(st.sampled_from(columns))] = value
    elif form == "lil":
        i = draw(st.sampled_from([i for i in range(n) if X.rows[i]]))
        if what == "index":
            X.rows[i][-1] = outside
        elif what == "length":
            X.data[i] = X.data[i][:-1]
        else:
            X.data[i][0] = value
    else:
        key = draw(st.sampled_from(sorted(X.keys())))
        X._dict[(key[0], outside) if what != "value" else key] = value if what == "value" else X.dtype.type(1)
    return X, ("X has the value",) if what == "value" else ("rebuild the matrix",)


@st.composite
def spoilt_arguments(draw, case):
    """(name, value) of an argument other than X that must be refused, in a case that has it."""
    n, p = case.shape
    name = draw(st.sampled_from(["y", "sample_weight", "penalty_weights", "start", "bounds", "lam", "l2", "tol"]))
    length = n if name in ("y", "sample_weight") else p
    if name in ("lam", "l2", "tol"):
        return name, draw(st.sampled_from([np.nan, np.inf, -np.inf, -1.0, "1", None, 1j, True, [1.0], 10**400]))
    good = np.ones(length)
    what = draw(st.sampled_from(["value", "value", "value", "length", "type", "sign"]))
    if what == "length" or not length:
        return name, _as_side(draw, name, np.ones(length + draw(st.sampled_from([-1, 1, 5])) if length else 1))
    if what == "type":
        wrong = [
            good.astype(complex),
            good.astype("S3"),
            np.ma.masked_equal(good, 1.0),
            scipy.sparse.csr_array(good[:, None]),
        ]
        return name, _as_side(draw, name, draw(st.sampled_from(wrong)))
    at = draw(st.integers(0, length - 1))
    if what == "sign" and name in ("sample_weight", "penalty_weights"):
        good[at] = draw(st.sampled_from([-1.0, -5e-324, -np.inf]))
        return name, good
    good[at] = np.nan if name == "bounds" else draw(st.sampled_from(NOT_FINITE))
    return name, _as_side(draw, name, good)


def _as_side(draw, name, value):
    """A vector of bounds with its other side."""
    if name != "bounds":
        return value
    return (None, value) if draw(st.booleans()) else (value, None)
