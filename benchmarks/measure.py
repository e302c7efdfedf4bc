"""How things are measured: interleaved rounds, the machine, the memory bandwidth, child processes."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np

HERE = Path(__file__).parent


def interleaved(
    calls: dict[str, Callable[[], float]], *, rounds: int, budget: float = float("inf")
) -> dict[str, list[float]]:
    """Run the calls in turn, A B A B, so that a slow spell of the machine hits all of them.

    Each call returns the seconds it took. It runs once, then up to ``rounds`` times as long as the next run should
    stay inside ``budget`` seconds for that call.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken = seconds[name]
            if not taken or sum(taken) + max(taken) <= budget:
                taken.append(call())
    return seconds


def clock(call: Callable[[], object]) -> Callable[[], float]:
    """A call that returns the seconds ``call`` takes."""

    def timed() -> float:
        start = perf_counter()
        call()
        return perf_counter() - start

    return timed


def import_milliseconds(pairs: int) -> dict[str, float]:
    """Import times, each in a fresh interpreter; ``extra`` is the median of the paired differences."""
    statements = {"numpy_scipy": "import numpy, scipy.sparse", "l1fast": "import l1fast"}

    def fresh(statement: str) -> Callable[[], float]:
        code = f"from time import perf_counter as now; start = now(); {statement}; print(now() - start)"
        command = [sys.executable, "-P", "-c", code]  # -P: the installed package, not the current folder's
        return lambda: float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    calls = {name: fresh(statement) for name, statement in statements.items()}
    interleaved(calls, rounds=1)  # fills the disk cache
    seconds = interleaved(calls, rounds=pairs)
    extra = [b - a for a, b in zip(seconds["numpy_scipy"], seconds["l1fast"], strict=True)]
    named = {**seconds, "extra": extra}
    return {name: 1e3 * statistics.median(values) for name, values in named.items()}


def bandwidth(threads: int, megabytes: int, rounds: int = 7) -> dict[str, float]:
    """Bytes per second that NumPy moves through arrays larger than the caches: the best run of each kind.

    ``sum`` and ``dot`` read one array; ``copy`` reads one and writes one; ``triad`` (a = b + s c) is two NumPy
    calls that together read three and write two. A write counts once. Each thread has its part; BLAS splits by itself.
    """
    length = megabytes * 2**20 // 8
    arrays = [np.full(length, value) for value in (1.0, 2.0, 3.0)]
    parts = list(zip(*(np.array_split(array, threads) for array in arrays), strict=True))

    def triad(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
        np.multiply(c, 1.5, out=a)
        np.add(a, b, out=a)

    with ThreadPoolExecutor(threads) as pool:

        def shared(move: Callable) -> Callable[[], float]:
            return clock(lambda: list(pool.map(lambda part: move(*part), parts)))

        moved = {"sum": 1, "dot": 1, "copy": 2, "triad": 5}
        calls = {
            "sum": shared(lambda a, b, c: b.sum()),
            "dot": clock(lambda: arrays[2] @ arrays[2]),
            "copy": shared(lambda a, b, c: np.copyto(a, b)),
            "triad": shared(triad),
        }
        seconds = interleaved(calls, rounds=rounds)
    return {name: moved[name] * 8 * length / min(seconds[name]) for name in calls}


def peak_memory(problem: str, solver: str, r: float, *, tol: float, time_limit: float, threads: int) -> dict:
    """Run memory_probe.py in a child process and read its answer."""
    settings = {"problem": problem, "solver": solver, "r": r, "tol": tol, "time_limit": time_limit, "threads": threads}
    command = [sys.executable, str(HERE / "memory_probe.py"), json.dumps(settings)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"memory probe of {solver} on {problem}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def machine(threads: int) -> dict:
    """What the figures depend on."""
    cpu = _first(r"model name\s*:\s*(.+)", "/proc/cpuinfo") or platform.processor() or platform.machine()
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "last_level_cache": _first(r"(\S+)", "/sys/devices/system/cpu/cpu0/cache/index3/size") or "unknown",
        "threads": threads,
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("l1fast", "numpy", "scipy")},
        "editable_install": any("editable" in type(finder).__module__ for finder in sys.meta_path),
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _first(pattern: str, path: str) -> str | None:
    try:
        found = re.search(pattern, Path(path).read_text())
    except OSError:
        return None
    return found.group(1).strip() if found else None
