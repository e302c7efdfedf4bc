"""Sparse matrices with a fault: valid ones, and spoilers that each spoil one of them in a way of their own."""

import numpy as np
import problems
import scipy.sparse

N, P = 12, 7


def compressed(kind, index=np.int32, precision=np.float64):
    """A valid matrix with room to spoil it; every slice holds an entry."""
    X, _ = problems.make(N, P, density=0.7)
    X[0] = X[:, 0] = 1
    return problems.with_index(problems.SPARSE[f"{kind} int32"](X.astype(precision)), index)


# Compressed rows and columns: each returns what the message must show


def index_equal_to_dimension(A):
    A.indices[5] = wide = A.shape[0] if A.format == "csc" else A.shape[1]
    return wide


def last_index_equal_to_dimension(A):
    A.indices[-1] = wide = A.shape[0] if A.format == "csc" else A.shape[1]
    return wide


def index_negative(A):
    A.indices[5] = -1
    return -1


def index_huge(A):
    A.indices[5] = 2**28
    return 2**28


def index_largest(A):
    A.indices[5] = largest = np.iinfo(A.indices.dtype).max
    return largest


def index_smallest(A):
    A.indices[5] = smallest = np.iinfo(A.indices.dtype).min
    return smallest


def indptr_decreasing(A):
    A.indptr[3], A.indptr[4] = A.indptr[4], A.indptr[3]
    return A.indptr[4]


def indptr_first_positive(A):
    A.indptr[0] = 1
    return 1


def indptr_first_negative(A):
    A.indptr[0] = -1
    return -1


def indptr_last_beyond_entries(A):
    A.indptr[-1] = beyond = len(A.data) + 1
    return beyond


def indptr_last_huge(A):
    A.indptr[-1] = huge = np.iinfo(A.indptr.dtype).max
    return huge


def indptr_inside_beyond_entries(A):
    A.indptr[3] = beyond = len(A.data) + 100
    return beyond


def indptr_negative_inside(A):
    A.indptr[3] = -5
    return -5


def indptr_wraps_at_the_end(A):
    A.indptr[-2], A.indptr[-1] = np.iinfo(A.indptr.dtype).max, -1
    return ""


def indptr_wraps_inside(A):
    bounds = np.iinfo(A.indptr.dtype)
    A.indptr[2], A.indptr[3] = bounds.max, bounds.min
    return ""


def indptr_too_short(A):
    A.indptr = A.indptr[:-1].copy()
    return len(A.indptr)


def indptr_too_long(A):
    A.indptr = np.append(A.indptr, A.indptr[-1])
    return len(A.indptr)


def indptr_empty(A):
    A.indptr = A.indptr[:0].copy()
    return ""


def indptr_two_dimensional(A):
    A.indptr = A.indptr[:, None].copy()
    return ""


def data_shorter_than_indices(A):
    A.data = A.data[:-1].copy()
    return len(A.data)


def indices_shorter_than_data(A):
    A.indices = A.indices[:-1].copy()
    return len(A.indices)


def data_empty(A):
    A.data = A.data[:0].copy()
    return ""


def indices_floating(A):
    A.indices = A.indices.astype(np.float64)
    return "float64"


def indptr_floating(A):
    A.indptr = A.indptr.astype(np.float64)
    return "float64"


def indices_two_dimensional(A):
    A.indices = A.indices[:, None].copy()
    return ""


MALFORMED = (
    *(index_equal_to_dimension, last_index_equal_to_dimension, index_negative, index_huge, index_largest),
    *(index_smallest, indptr_decreasing, indptr_first_positive, indptr_first_negative, indptr_last_beyond_entries),
    *(indptr_last_huge, indptr_inside_beyond_entries, indptr_negative_inside, indptr_wraps_at_the_end),
    *(indptr_wraps_inside, indptr_too_short, indptr_too_long, indptr_empty, indptr_two_dimensional),
    *(data_shorter_than_indices, indices_shorter_than_data, data_empty, indices_floating, indptr_floating),
    indices_two_dimensional,
)


# Other formats: each returns the matrix


def coo_row(A):
    A.coords[0][3] = N
    return A


def coo_column(A):
    A.coords[1][3] = -1
    return A


def coo_short(A):
    A.data = A.data[:-1]
    return A


def bsr_index(A):
    A.indices[0] = 2**20
    return A


def bsr_indptr(A):
    A.indptr[2] = 2**20
    return A


def dok_key(A):
    A._dict[(N + 3, 0)] = 1.0
    return A


def lil_column(A):
    A.rows[2][-1] = P + 40
    return A


def lil_ragged(A):
    A.data[2] = A.data[2][:-1]
    return A


OTHERS = (coo_row, coo_column, coo_short, bsr_index, bsr_indptr, dok_key, lil_column, lil_ragged)


def spoiled(spoil):
    """A matrix of the format in the spoiler's name, spoiled."""
    X, _ = problems.make(N, P, density=0.7)
    return spoil(getattr(scipy.sparse, f"{spoil.__name__.split('_')[0]}_array")(X))
