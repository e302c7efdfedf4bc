"""stub."""

from dataclasses import dataclass


class Penalty:
    weights = None


@dataclass(frozen=True)
class Huber(Penalty):
    mu: float


@dataclass(frozen=True)
class PseudoHuber(Penalty):
    eps: float


@dataclass(frozen=True)
class L2(Penalty):
    pass


@dataclass(frozen=True)
class QuadraticBound(Penalty):
    gamma: float


@dataclass(frozen=True)
class PowerNorm(Penalty):
    eps: float
    separable: bool = False
