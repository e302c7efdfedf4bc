import numpy as np
from numpy.typing import NDArray

team: object

def n_workers() -> int: ...
def visit_parts(count: NDArray[np.int32], inner: NDArray[np.int32] | None, n_threads: int) -> None: ...
