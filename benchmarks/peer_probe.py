"""One peer on one problem, in a process of its own that may hang or die. Started by contest.Child.

Reads a request a line from stdin and answers in JSON lines on stdout, which no peer can write to. First it tells that
it is ready, or why the peer refuses. A request {"r", "setting", "rounds", "budget"} is answered by: the solve began;
the seconds it took, a line a round as long as the rounds fit in the budget; and the referee's gap with the support (of
a path: the largest gap, and the last support).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter

import numpy as np
import peers
import problems
import scipy.sparse as sp

from l1fast._baselines import relative_gap

PATH_LENGTH = 100
PATH_RATIO = 1e-3  # the last strength of a path over lam_max
ADDRESS_SPACE = 16 * 2**30  # bytes: more would hurt the machine, not only the peer


def path_lams(lam_max: float) -> np.ndarray:
    return np.geomspace(lam_max, PATH_RATIO * lam_max, PATH_LENGTH)


def timed(peer: peers.Peer, call: Callable[[], object]) -> tuple[float, object]:
    peer.own_seconds = None
    start = perf_counter()
    answer = call()
    seconds = perf_counter() - start
    return (peer.own_seconds if peer.own_seconds is not None else seconds), answer


def columns(coefs: object, p: int) -> sp.csc_array:
    """Whatever a peer returned, as a column per strength."""
    if sp.issparse(coefs):
        return sp.csc_array(coefs)
    return sp.csc_array(np.asarray(coefs, dtype=np.float64).reshape(p, -1))


def warm_up(kind: type[peers.Peer], threads: int, sparse: bool, path: bool) -> float:
    """Solve a tiny problem twice; what the first call took beyond the second compiles, imports or allocates."""
    tiny = problems.load("smoke-zipf" if sparse else "smoke-wide")
    peer = kind()
    peer.threads = threads
    lam_max = tiny.lam_max()
    peer.prepare(tiny.X, tiny.y, lam_max)
    middle = peer.settings[len(peer.settings) // 2]

    def call() -> object:
        if path:
            return peer.path(path_lams(lam_max)[:50], middle)
        return peer.solve(0.01 * lam_max, middle)

    try:
        first, second = (timed(peer, call)[0] for _ in range(2))
    finally:
        peer.close()
    return max(first - second, 0.0)


def limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def serve(tell: Callable[..., None], peer: str, problem: str, threads: int, path: bool) -> None:
    limit_memory()
    kind = peers.ALL[peer]
    contender = kind()
    contender.threads = threads
    try:
        if path and kind.path is None:
            raise peers.Refused("no path function")
        version = contender.version()
        p = problems.load(problem)
        lam_max = p.lam_max()
        first_call = warm_up(kind, threads, sp.issparse(p.X), path)
        seconds, _ = timed(contender, lambda: contender.prepare(p.X, p.y, lam_max))
    except peers.Refused as reason:
        tell(refused=str(reason))
        return
    tell(version=version, prepare=seconds, first_call=first_call, settings=contender.settings)
    for line in sys.stdin:
        request = json.loads(line)
        lams = path_lams(lam_max) if path else np.array([request["r"] * lam_max])
        run = partial(contender.path, lams) if path else partial(contender.solve, lams[0])
        run = partial(run, request["setting"])
        tell(began=True)
        try:
            taken: list[float] = []
            while len(taken) < request["rounds"] and (not taken or sum(taken) + max(taken) <= request["budget"]):
                seconds, answer = timed(contender, run)
                taken.append(seconds)
                tell(seconds=seconds)
        except Exception as error:  # noqa: BLE001 - any error of a peer is an answer
            tell(raised=f"{type(error).__name__}: {error}")
            continue
        coefs = columns(answer, p.X.shape[1])
        each = zip(lams, range(coefs.shape[1]), strict=True)
        gaps = [relative_gap(p.X, p.y, coefs[:, [k]].toarray().ravel(), lam) for lam, k in each]
        tell(gap=max(gaps), support=int(np.count_nonzero(coefs[:, [-1]].toarray())))
    contender.close()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a peer prints goes to stderr

    def tell(**facts: object) -> None:
        print(json.dumps(facts), file=answers, flush=True)

    serve(tell, **json.loads(sys.argv[1]))


if __name__ == "__main__":
    main()
