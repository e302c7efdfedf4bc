from typing import Any

import numpy as np
from numpy.typing import NDArray

def soft_threshold(x: NDArray[Any], threshold: float, out: NDArray[Any]) -> None: ...
def gradient(
    capsule: object,
    w: NDArray[np.float64],
    q: NDArray[np.float64],
    g: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> float: ...
def smooth_gradient(
    capsule: object,
    kind: int,
    width: float,
    gamma: NDArray[np.float64],
    w: NDArray[np.float64],
    q: NDArray[np.float64],
    g: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> tuple[float, float]: ...
def slopes(
    capsule: object,
    kind: int,
    width: float,
    gamma: NDArray[np.float64],
    w: NDArray[np.float64],
    out: NDArray[np.float64],
) -> float: ...
def descend(
    capsule: object,
    kind: int,
    widths: NDArray[np.float64],
    gamma: NDArray[np.float64],
    steps: NDArray[np.float64],
    w: NDArray[np.float64],
    q: NDArray[np.float64],
    g: NDArray[np.float64],
    scratch: NDArray[np.float64],
    kept: NDArray[np.float64],
) -> tuple[float, float]: ...
def certify(
    capsule: object, w: NDArray[np.float64], g: NDArray[np.float64], loss: float
) -> tuple[float, float, float, float]: ...
def scratch_size(matrix: object, n_threads: int) -> int: ...
def apply(
    matrix: object, w: NDArray[np.float64], out: NDArray[np.float64], scratch: NDArray[np.float64], n_threads: int
) -> None: ...
def correlate(
    matrix: object, v: NDArray[np.float64], out: NDArray[np.float64], scratch: NDArray[np.float64], n_threads: int
) -> None: ...
def column_norms2(
    matrix: object,
    sample_weight: NDArray[np.float64] | None,
    mean: NDArray[np.float64] | None,
    total_weight: float,
    out: NDArray[np.float64],
    scratch: NDArray[np.float64],
    n_threads: int,
) -> None: ...
