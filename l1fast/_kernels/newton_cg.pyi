from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

def count_rows(
    capsule: object, features: NDArray[np.intp], position: NDArray[np.int32], row_size: NDArray[np.int32]
) -> None: ...
def fill_rows(
    capsule: object,
    features: NDArray[np.intp],
    position: NDArray[np.int32],
    cursor: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[Any],
) -> None: ...
def product_size(capsule: object, size: int) -> int: ...
def solve(
    capsule: object,
    columns: NDArray[np.intp],
    moving: NDArray[np.intp],
    shift: Vector,
    diagonal: Vector,
    d: Vector,
    r: Vector,
    p: Vector,
    product: Vector,
    image: Vector,
    rz: float,
    target: float,
    max_steps: int,
) -> tuple[int, float]: ...
def gradient(capsule: object, features: NDArray[np.intp], q: Vector, g: Vector) -> None: ...
def walk(
    capsule: object,
    features: NDArray[np.intp],
    d: Vector,
    order: NDArray[np.intp],
    stop: Vector,
    w: Vector,
    q: Vector,
    image: Vector,
) -> tuple[float, int]: ...
