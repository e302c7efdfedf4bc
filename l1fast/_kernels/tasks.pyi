import numpy as np
from numpy.typing import NDArray

def scratch_size(capsule: object, n_tasks: int) -> int: ...
def gradient(
    capsule: object,
    Y: NDArray[np.float64],
    W: NDArray[np.float64],
    Q: NDArray[np.float64],
    G: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> float: ...
def norms(
    capsule: object,
    W: NDArray[np.float64],
    G: NDArray[np.float64],
    size: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> None: ...
def certify(
    capsule: object, W: NDArray[np.float64], G: NDArray[np.float64], loss: float, room: NDArray[np.float64]
) -> tuple[float, float, float, float]: ...
