import numpy as np
from numpy.typing import NDArray

def panel_rows(n: int, size: int) -> int: ...
def extend_sparse(
    capsule: object,
    working_set: NDArray[np.intp],
    known: int,
    G: NDArray[np.float64],
    position: NDArray[np.int32],
    row_size: NDArray[np.int32],
    capacity: int,
) -> None: ...
def extend_dense(
    capsule: object,
    working_set: NDArray[np.intp],
    known: int,
    G: NDArray[np.float64],
    panel: NDArray[np.float64] | NDArray[np.float32],
    part: NDArray[np.float64] | NDArray[np.float32],
    rows: int,
    first: int,
    last: int,
) -> None: ...
def descend(
    capsule: object,
    G: NDArray[np.float64],
    product: NDArray[np.float64],
    kind: int,
    widths: NDArray[np.float64],
    gamma: NDArray[np.float64],
    steps: NDArray[np.float64],
    w: NDArray[np.float64],
    g: NDArray[np.float64],
    kept: NDArray[np.float64],
) -> tuple[float, float]: ...
