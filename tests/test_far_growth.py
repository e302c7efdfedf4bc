"""Working sets where X is read block by block: few reads to a certified gap, and the answer of an X in memory."""

import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import l1fast
from l1fast._row_blocks import RowBlocks

WORDS = Path(__file__).parents[1] / "examples" / "data" / "debian-words.npz"
MOST_PASSES = {1e-6: 8, 1e-9: 15}


@pytest.fixture(scope="module")
def words():
    with np.load(WORDS, allow_pickle=False) as f:
        X = sp.csr_array((f["data"], f["indices"], f["indptr"]), shape=f["shape"])
        return X, f["y"] - f["y"].mean(dtype=np.float64)


def in_blocks(X, count):
    cuts = np.linspace(0, X.shape[0], count + 1).astype(np.int64)
    parts = [X[a:b] for a, b in pairwise(cuts)]
    reads = []

    def load(k):
        reads.append(k)
        return parts[k]

    return RowBlocks(load, cuts, X.shape[1], sp.issparse(X)), reads


@pytest.mark.parametrize("r", [0.1, 0.03, 0.01, pytest.param(0.003, marks=pytest.mark.slow)])
@pytest.mark.parametrize("tol", MOST_PASSES)
def test_few_reads_of_text(words, r, tol):
    X, y = words
    blocks, reads = in_blocks(X, 2)
    result = l1fast.solve(blocks, y, r * np.abs(X.T @ y).max(), tol=tol, n_threads=1)
    assert result.converged and result.solver == "cd" and "fista" not in result.conversion
    assert len(reads) == 2 * result.n_passes  # passes are counted as they are made
    assert result.n_passes <= MOST_PASSES[tol]


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("options", [{}, {"positive": True}, {"l2": 0.5}, {"penalty_weights": True}])
def test_the_answer_of_memory(dense, options):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((300, 500)) if dense else sp.random_array((300, 500), density=0.1, rng=rng, format="csr")
    y = X @ np.where(rng.random(500) < 0.05, rng.standard_normal(500), 0.0) + 0.1 * rng.standard_normal(300)
    if "penalty_weights" in options:
        options = {"penalty_weights": rng.uniform(0.5, 2.0, 500)}
    lam = 0.02 * l1fast.lam_max(X, y, **{name: value for name, value in options.items() if name != "l2"})
    whole = l1fast.solve(X, y, lam, tol=1e-10, **options)
    apart = l1fast.solve(in_blocks(X, 3)[0], y, lam, tol=1e-10, solver="cd", **options)
    assert apart.converged
    assert abs(apart.objective - whole.objective) <= 2e-10 * 0.5 * (y @ y)


def test_a_small_limit_drops_members_and_still_arrives():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((200, 600))
    y = X[:, :20] @ rng.standard_normal(20) + 0.1 * rng.standard_normal(200)
    lam = 0.05 * np.abs(X.T @ y).max()
    result = l1fast.solve(in_blocks(X, 2)[0], y, lam, tol=1e-9, solver=l1fast.CD(gram_limit=40))
    assert result.converged and "fista" not in result.conversion


def test_a_support_beyond_the_limit_is_left_to_fista():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((200, 300))
    y = rng.standard_normal(200)
    lam = 0.01 * np.abs(X.T @ y).max()
    result = l1fast.solve(in_blocks(X, 2)[0], y, lam, tol=1e-6, solver=l1fast.CD(gram_limit=5))
    assert result.converged and "fista" in result.conversion


def test_a_memory_limit_holds_with_the_sums_of_the_tree():
    rng = np.random.default_rng(7)
    X = sp.random_array((3000, 4000), density=0.01, rng=rng, format="csr")
    y = X @ np.where(rng.random(4000) < 0.03, rng.standard_normal(4000), 0.0) + 0.1 * rng.standard_normal(3000)
    blocks, _ = in_blocks(X, 16)
    lam, limit = 0.02 * np.abs(X.T @ y).max(), 6_000_000
    l1fast.solve(blocks, y, 10 * lam, solver="cd")  # imports
    peaks = []
    for memory_limit in (limit, None):
        tracemalloc.start()
        result = l1fast.solve(blocks, y, lam, solver="cd", memory_limit=memory_limit, n_threads=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert result.converged
    assert peaks[0] < limit + OTHERS < peaks[1]


OTHERS = 2_000_000
"""Bytes of a block, its check, and the vectors of a solve."""
