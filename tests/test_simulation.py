"""The simulated cluster of benchmarks/simulate_cluster.py: true sums, an arithmetic clock, bytes that are kept."""

import math
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import l1fast
from l1fast._row_blocks import tree_sum

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def simulation():
    """The script as a module; what its import changes is put back."""
    environment, path = dict(os.environ), list(sys.path)
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import simulate_cluster
    finally:
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
    return simulate_cluster


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(8)
    X = sp.random_array((300, 120), density=0.1, rng=rng, format="csr")
    return X, X @ np.where(rng.random(120) < 0.2, 1.0, 0.0) + 0.1 * rng.standard_normal(300)


@pytest.fixture(scope="module")
def large(simulation):
    return simulation.Large(n=10**7, p=50_000, entries_a_row=20, blocks=64)


@pytest.fixture(scope="module")
def calm(simulation):
    """No spread, no deaths, no scheduler."""
    return simulation.Cluster(workers=8, cores=2, spread=0.0, lifetime=math.inf, scheduler=0.0)


def solved(simulation, problem, machines, **options):
    X, y = problem
    blocks = simulation.SimulatedBlocks.of(X, 3, machines.large, simulation.Costs(), machines)
    return l1fast.solve(blocks, y, 0.05 * np.abs(X.T @ y).max(), tol=1e-8, solver="cd", **options), blocks


@pytest.mark.parametrize("n_blocks", [1, 2, 3, 7, 8, 13, 64])
def test_the_tree_is_that_of_the_sums(simulation, n_blocks):
    parent, children = simulation.tree(n_blocks)
    words = [str(k) for k in range(n_blocks)]
    for left, right in children:
        words.append(f"({words[left]}+{words[right]})")

    class Word:
        def __init__(self, text):
            self.text = text

        def __add__(self, other):
            return Word(f"({self.text}+{other.text})")

    assert words[-1] == tree_sum(((Word(str(k)),) for k in range(n_blocks)), n_blocks)[0].text
    assert parent.count(-1) == 1


def test_the_answer_is_bitwise_that_of_plain_blocks(simulation, problem, large):
    storm = simulation.Cluster(workers=8, spread=1.0, lifetime=20.0, missed=0.5, replaced=1.0)
    machines = simulation.Machines(storm, large)
    result, blocks = solved(simulation, problem, machines)
    X, y = problem
    plain = l1fast.solve(simulation.plain_blocks(X, 3), y, 0.05 * np.abs(X.T @ y).max(), tol=1e-8, solver="cd")
    assert machines.deaths > 0 and blocks.recoveries > 0
    np.testing.assert_array_equal(result.coef, plain.coef)
    assert result.dual_gap == plain.dual_gap


def test_calm_passes_take_what_the_formula_says(simulation, large, calm):
    machines = simulation.Machines(calm, large)
    seconds, down, up = 3.0, 1e6, 4e6
    one = simulation.Pass("gradients", seconds, down, up)
    machines.run(one)
    first = machines.now
    machines.run(one)
    broadcast = math.ceil(math.log2(8 + 1)) * (calm.latency + down / calm.bandwidth)
    trips = (math.log2(8) + 1) * (calm.latency + up / calm.bandwidth)  # 8 workers with a whole branch each, and home
    rounds = 64 / 8 / calm.cores
    assert machines.now - first == pytest.approx(broadcast + rounds * seconds + trips, rel=1e-12)
    load = 8 * large.block_bytes / calm.storage  # the cores of a worker share its storage
    assert first == pytest.approx(machines.now - first + load, rel=1e-12)
    assert machines.loaded == pytest.approx(64 * large.block_bytes)


def test_no_byte_is_lost(simulation, large, calm):
    machines = simulation.Machines(calm, large)
    down, up, rows = 1e6, 4e6, 8e7
    machines.run(simulation.Pass("gradients", 1.0, down, up, rows, rows))
    assert sum(machines.sent.values()) == pytest.approx(sum(machines.received.values()))
    assert machines.moved == pytest.approx(8 * down + 8 * up + 2 * rows)  # 7 sums between 8 workers, and one home
    assert machines.sent[simulation.DRIVER] == pytest.approx(down + rows)
    assert machines.received[simulation.DRIVER] == pytest.approx(up + rows)


def test_bytes_are_kept_in_a_storm(simulation, large):
    machines = simulation.Machines(simulation.Cluster(workers=8, lifetime=20.0, missed=1.0, replaced=5.0), large)
    for _ in range(5):
        machines.run(simulation.Pass("gradients", 1.0, 1e6, 4e6))
    assert machines.deaths > 0
    assert sum(machines.sent.values()) == pytest.approx(sum(machines.received.values()))
    assert sorted(set(machines.owner)) == sorted(set(machines.dies) & set(machines.owner))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_deaths_only_add_time(simulation, large, seed, spread):
    calm = simulation.Cluster(workers=8, spread=spread, lifetime=math.inf, seed=seed)
    passes = [simulation.Pass("gradients", 1.0, 1e6, 4e6)] * 4
    safe = simulation.replayed(passes, calm, large)
    times = [simulation.replayed(passes, replace(calm, lifetime=life), large) for life in (400.0, 40.0)]
    assert times[-1].deaths > 0 and times[-1].now > safe.now
    for machines in times:
        assert machines.now >= safe.now
        assert machines.loaded >= safe.loaded and machines.deaths <= machines.reloaded


def test_all_workers_may_die(simulation, large):
    machines = simulation.Machines(simulation.Cluster(workers=1, lifetime=40.0, missed=1.0, replaced=5.0), large)
    for _ in range(4):
        machines.run(simulation.Pass("gradients", 1.0, 1e6, 4e6))
    assert machines.deaths > 0 and machines.loaded > 64 * large.block_bytes


def test_a_seed_gives_one_result(simulation, problem, large):
    cluster = simulation.Cluster(workers=8, lifetime=50.0, spread=0.5, missed=1.0, replaced=5.0, seed=4)
    runs = [simulation.Machines(cluster, large) for _ in range(2)]
    for machines in runs:
        _, blocks = solved(simulation, problem, machines)
    assert runs[0].now == runs[1].now and runs[0].sent == runs[1].sent and runs[0].deaths == runs[1].deaths
    assert simulation.replayed(blocks.passes, cluster, large).now == runs[0].now
    other = simulation.replayed(blocks.passes, replace(cluster, seed=5), large)
    assert other.now != runs[0].now


def test_shapes_are_those_of_the_large_problem(simulation, problem, large, calm):
    result, blocks = solved(simulation, problem, simulation.Machines(calm, large))
    statistics, grams, gradients = (next(one for one in blocks.passes if one.job == job) for job in JOBS)
    assert statistics.up == 8 * (3 * large.p + 1) and statistics.rows_down == 8 * large.n
    assert gradients.up == 8 * (large.p + 2)
    members = math.isqrt(round(grams.up / 8))
    assert grams.up == 8 * members**2 and grams.down == 8 * (members + large.p + 3)
    assert blocks.passes[-1].rows_up == 8 * large.n  # the dual point, once, at the end
    assert sum(one.rows_up > 0 for one in blocks.passes) == 1
    assert result.n_passes == len(blocks.passes)


JOBS = ("statistics", "grams", "gradients")


def test_more_than_memory_holds_is_read_in_every_pass(simulation, large, calm):
    half = replace(calm, memory=4 * large.block_bytes)  # of the 8 blocks of a worker
    machines = simulation.Machines(half, large)
    for _ in range(3):
        machines.run(simulation.Pass("gradients", 1.0, 0.0, 4e6))
    assert machines.loaded == pytest.approx((64 + 2 * 32) * large.block_bytes)
