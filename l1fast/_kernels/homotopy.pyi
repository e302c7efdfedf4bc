import numpy as np
from numpy.typing import NDArray

def pack(capsule: object, members: NDArray[np.intp], position: NDArray[np.int32], Z: NDArray[np.float64]) -> None: ...
def follow(
    Z: NDArray[np.float64],
    floor: NDArray[np.float64],
    rise: NDArray[np.float64],
    ridge: NDArray[np.float64],
    w: NDArray[np.float64],
    c: NDArray[np.float64],
    sign: NDArray[np.float64],
    active: NDArray[np.intp],
    m: int,
    known: int,
    t: float,
    positive: bool,
    max_steps: int,
    factor: NDArray[np.float64],
    room: NDArray[np.float64],
) -> tuple[float, int, int]: ...
