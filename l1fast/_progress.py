"""Where a long computation stands, on stderr: a bar on a terminal, by rich; else single lines, or nothing.

`Progress` is what ``callback`` of `solve`, ``on_progress`` of `path` and `convert` and that of cross-validation take.
It reads from a state what is there: ``iteration``; ``bytes_read`` of ``n_bytes``; ``index`` and ``n_lams``, a strength
of a path; and ``fold`` and ``n_folds``, a strength of one path of many, which may be walked side by side in threads.
rich is imported when a bar is opened.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

Callback = Callable[[Any], object]

BAR_EVERY, BAR_WIDTH = 0.1, 12  # seconds, characters
LINE_AFTER = (
    0.5  # seconds at least until the second line; each further one comes after twice the time of the one before
)


def describe(state: Any) -> str:
    """Where a computation stands, in words; what the state does not have is left out."""
    words = []
    for name, place in (("fold", "fold"), ("strength", "index")):
        if hasattr(state, place):
            words.append(f"{name} {getattr(state, place) + 1:,}/{total(state, place):,}")
    if hasattr(state, "n_bytes"):
        share = state.bytes_read / max(state.n_bytes, 1)
        words.append(f"{share:.0%} of {state.n_bytes:,} bytes, row {state.n_samples:,}, part {state.n_parts + 1:,}")
    if hasattr(state, "iteration"):
        words.append(f"iteration {state.iteration:,}")
    for name, text in (("lam", "lam {:.3g}"), ("dual_gap", "gap {:.1e}"), ("support_size", "support {:,}")):
        if hasattr(state, name):
            words.append(text.format(getattr(state, name)))
    return ", ".join(words)


def total(state: Any, place: str) -> int:
    """How many there are of what is counted in a place."""
    return int(state.n_folds if place == "fold" else state.n_lams)


class Progress:
    """A context whose callback shows where a computation stands, and which leaves a terminal as it was.

    With a terminal and rich there is one bar, which vanishes at the end, be that an exception or Ctrl-C. Without rich,
    or on a terminal that cannot move its cursor, there are lines, further and further apart.

    Parameters
    ----------
    after : float
        Seconds in which nothing is shown: what is done by then needs no bar.
    lines : bool
        Lines also where stderr is no terminal. Nothing is shown there otherwise.
    then : callable, optional
        Called with every state too; what it returns is returned, so that it may stop the computation.
    """

    def __init__(self, *, after: float = 0.0, lines: bool = False, then: Callback | None = None) -> None:
        self.after, self.then = after, then
        self.stream = sys.stderr
        self.terminal = self.stream is not None and self.stream.isatty()
        self.off = self.stream is None or not (lines or self.terminal)
        self.lock = threading.Lock()
        self.due = after
        self.began = time.monotonic()
        self.steps = 0
        self.opened = False
        self.bar: Any = None
        self.task: Any = None

    def __enter__(self) -> Callback | None:
        self.began = time.monotonic()
        return self.then if self.off else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def __call__(self, state: Any) -> object:
        """Show the state, if it is time to."""
        with self.lock:
            self.steps += 1
            seconds = time.monotonic() - self.began
            if seconds >= self.due:
                self._show(state, seconds)
        return None if self.then is None else self.then(state)

    def _show(self, state: Any, seconds: float) -> None:
        if not self.opened:
            self.opened = True
            self._open(state)
        text = describe(state)
        if self.bar is None:
            print(f"{text}, {seconds:.1f} s", file=self.stream, flush=True)
            self.due = max(2.0 * seconds, LINE_AFTER)
            return
        done, out_of = self._count(state)
        self.bar.update(self.task, description=text, completed=done, total=out_of)
        self.due = seconds + BAR_EVERY

    def _count(self, state: Any) -> tuple[int, int | None]:
        """Steps done, and out of how many."""
        if hasattr(state, "n_bytes"):
            return state.bytes_read, state.n_bytes
        if not hasattr(state, "index"):
            return self.steps, None
        if not hasattr(state, "fold"):
            return state.index + 1, state.n_lams
        return self.steps, getattr(state, "n_sequences", 1) * state.n_folds * state.n_lams

    def _open(self, state: Any) -> None:
        """The bar, where there can be one."""
        if not self.terminal:
            return
        try:
            from rich import progress
            from rich.console import Console
            from rich.table import Column
        except ImportError as error:
            if self.after == 0.0:  # a bar was asked for
                hint = f'a progress bar needs rich: pip install "l1fast[cli]" ({error})'
                print(f"l1fast: {hint}", file=self.stream, flush=True)
            return
        console = Console(stderr=True)
        if not console.is_terminal or console.is_dumb_terminal:
            return
        elapsed = progress.TimeElapsedColumn()
        columns: list[Any] = [progress.SpinnerColumn("line"), elapsed]
        if hasattr(state, "index") or hasattr(state, "n_bytes"):
            columns = [progress.BarColumn(BAR_WIDTH), elapsed, "<", progress.TimeRemainingColumn(compact=True)]
        last = Column(no_wrap=True, overflow="ellipsis", ratio=1)  # a narrow terminal cuts this one
        columns.append(progress.TextColumn("{task.description}", markup=False, table_column=last))
        own_output = sys.stdout is not None and sys.stdout.isatty()  # what goes into a pipe or a file stays there
        self.bar = progress.Progress(
            *columns, console=console, transient=True, expand=True, redirect_stdout=own_output, refresh_per_second=10
        )
        self.bar.start()
        self.task = self.bar.add_task("", total=None)
        self.bar.tasks[0].start_time = self.began
