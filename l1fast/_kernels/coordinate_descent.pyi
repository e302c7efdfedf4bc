import numpy as np
from numpy.typing import NDArray

def scores(
    capsule: object,
    w: NDArray[np.float64],
    g: NDArray[np.float64],
    inside: NDArray[np.uint8],
    out: NDArray[np.float64],
) -> int: ...
def gram_descent(
    capsule: object,
    G: NDArray[np.float64],
    norm2: NDArray[np.float64],
    penalties: NDArray[np.float64],
    w: NDArray[np.float64],
    g: NDArray[np.float64],
    loss: float,
    target: float,
    max_epochs: int,
    n_tasks: int = 1,
    room: NDArray[np.float64] | None = None,
) -> tuple[int, float, float]: ...
def column_descent(
    capsule: object,
    working_set: NDArray[np.intp],
    w: NDArray[np.float64],
    q: NDArray[np.float64],
    target: float,
    max_epochs: int,
    g_set: NDArray[np.float64],
    w_set: NDArray[np.float64],
    norm2: NDArray[np.float64],
    penalties: NDArray[np.float64],
    n_tasks: int = 1,
    room: NDArray[np.float64] | None = None,
) -> tuple[int, float]: ...
