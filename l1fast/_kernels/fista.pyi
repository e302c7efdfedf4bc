from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

def iterate(
    capsule: object,
    vectors: NDArray[np.float64],
    q: NDArray[np.float64],
    scratch: NDArray[np.float64],
    lipschitz: float,
    lipschitz_bound: float,
    accelerate: bool,
    restart: bool,
    adapt: bool,
    max_iter: int,
    check_every: int,
    check: Callable[[int, float, float, NDArray[np.float64], NDArray[np.float64]], object],
    smoothing: tuple[int, float, NDArray[np.float64]] | None = None,
) -> int: ...
