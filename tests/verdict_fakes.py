"""Entries that do one thing wrong each, for the judge of `verdicts` to find."""

import os
import signal
import time

import naive
import numpy as np
from verdicts import Answer, Entry

EPOCHS = 300


class Fake(Entry):
    """A naive solver that refuses what is not finite, and does `wrong` on the way."""

    takes = frozenset({"X", "lam", "object", "interrupt", "tol", "max_iter"})

    def __init__(self, name, wrong=lambda given, coef: None, claims=True, check=None):
        self.name, self.wrong, self.claims, self.check = name, wrong, claims, check

    def call(self, given):
        coef = None
        if np.isfinite(given.X).all() and np.isfinite(given.y).all():
            coef = naive.cyclic_cd(given.problem(), EPOCHS)[0].astype(np.float64)
        changed = self.wrong(given, coef)
        if changed is None and coef is None:
            raise ValueError("X or y is not finite")
        return coef if changed is None else changed

    def answers(self, raw, given, warned):
        yield Answer(given.problem(), raw, claims=self.claims, check=self.check, zero=given.zero)


def mutate(given, coef):
    given.X[0, 0] = 7.0


def hang(given, coef):
    time.sleep(60)


def another_error(given, coef):
    raise KeyError("X or y is not finite")


def few_words(given, coef):
    raise ValueError("no")


def untrue():
    raise AssertionError("the gap is not what it says")


def crash_on_columns(given, coef):
    if given.X.flags.f_contiguous:
        os.kill(os.getpid(), signal.SIGSEGV)


def pretend(given, coef):
    """Hear no signal, and work on for longer than it takes to come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep(0.3)
    return np.zeros(1)


class Deaf(Fake):
    def call(self, given):
        return pretend(given, None)


ENTRIES = [
    Fake("sound"),
    Fake("wrong", lambda given, coef: coef + 1.0),
    Fake("nearly right", lambda given, coef: coef + 1e-9),
    Fake("no number", lambda given, coef: coef * np.nan),
    Fake("another length", lambda given, coef: coef[1:]),
    Fake("untrue certificate", check=untrue),
    Fake("modest", lambda given, coef: coef + 1.0, claims=False),
    Fake("takes anything", lambda given, coef: np.zeros(given.X.shape[1])),
    Fake("crashing", lambda given, coef: os.kill(os.getpid(), signal.SIGSEGV)),
    Fake("ending", lambda given, coef: os._exit(3)),
    Fake("hanging", hang),
    Fake("mutating", mutate),
    Fake("mutating and refusing", mutate),
    Fake("of another class", another_error),
    Fake("of few words", few_words),
    Fake("never the same", lambda given, coef: coef + 1e-12 * time.perf_counter()),
    Fake("crashing at times", crash_on_columns),
    Deaf("deaf"),
]
