"""Make golub.npz, the leukaemia data of Golub et al. (1999), from the copy in the R package multtest.

    apt-get download r-bioc-multtest && dpkg-deb -x r-bioc-multtest_*.deb multtest
    python benchmarks/make_golub.py multtest/usr/lib/R/site-library/multtest/data/golub.RData DIR

Needs the PyPI package rdata. X: 38 patients x 3,051 genes, as the package gives them; y: 0 for ALL, 1 for AML.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rdata


def main(source: str, folder: str) -> None:
    read = rdata.read_rda(source, default_encoding="ascii")
    X = np.ascontiguousarray(np.asarray(read["golub"], dtype=np.float64).T)
    np.savez_compressed(Path(folder) / "golub.npz", X=X, y=np.asarray(read["golub.cl"], dtype=np.float64))


if __name__ == "__main__":
    main(*sys.argv[1:])
