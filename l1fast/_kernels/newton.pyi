import numpy as np
from numpy.typing import NDArray

def step(
    capsule: object,
    G: NDArray[np.float64],
    penalties: NDArray[np.float64],
    w: NDArray[np.float64],
    g: NDArray[np.float64],
    loss: float,
    damping: float,
    factor: NDArray[np.float64],
    direction: NDArray[np.float64],
    product: NDArray[np.float64],
    support: NDArray[np.intp],
) -> tuple[float, float]: ...
