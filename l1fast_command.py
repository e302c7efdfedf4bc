"""The command `l1fast` until its modules are loaded: Ctrl-C then, too, ends in one line and the exit code 130.

It stands beside the package, because importing anything that is inside of it is what takes the time.
"""

import os
import signal
from types import FrameType

INTERRUPTED = 130  # 128 + the number of the signal


def leave(number: int, frame: FrameType | None) -> None:
    """End at once: nothing has been written yet, and an exception might be lost in the imports."""
    os.write(2, b"l1fast: interrupted\n")
    os._exit(INTERRUPTED)


def main() -> int:
    """Run the command line and return its exit code."""
    heed = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where Ctrl-C is to be ignored
    if heed:
        signal.signal(signal.SIGINT, leave)
    from l1fast.cli import main as run

    if heed:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return run()
