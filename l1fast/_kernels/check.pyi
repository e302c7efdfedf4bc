from typing import Any

import numpy as np
from numpy.typing import NDArray

FAULTS: tuple[str, ...]

def check_matrix(
    values: NDArray[Any],
    indices: NDArray[Any] | None,
    starts: NDArray[Any] | None,
    n_rows: int,
    n_columns: int,
    by_rows: bool,
    sample_weight: NDArray[np.float64] | None = None,
    v: NDArray[np.float64] | None = None,
    moments: NDArray[np.float64] | None = None,
    n_threads: int = 1,
) -> tuple[object | None, str, int]: ...
def in_runs(matrix: object) -> bool: ...
def pack_problem(
    matrix: object,
    y: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    mean: NDArray[np.float64] | None,
    total_weight: float,
    norm2: NDArray[np.float64],
    penalty_weight: NDArray[np.float64] | None,
    lam: float,
    l2: float,
    lower: NDArray[np.float64] | None,
    upper: NDArray[np.float64] | None,
    n_threads: int,
    oracle: object = None,
    oracle_rows: int = 0,
) -> object: ...
def all_finite(v: NDArray[np.float64]) -> bool: ...
