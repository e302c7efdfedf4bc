"""Look for data races in the team of threads, with ThreadSanitizer: ``python tests/thread_sanitizer.py BUILD``.

BUILD is a folder of meson where the kernel `parallel` was compiled by GCC with -fsanitize=thread, see CONTRIBUTING.md.
Many callers share the team, and jobs run within jobs. A race that is made on purpose must be found, or the run fails.
"""

import importlib.util
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

RACES = 66  # exit code of a process in which there were some


def load(build):
    """The kernel as it was built."""
    (path,) = Path(build).rglob("parallel.*.so")
    spec = importlib.util.spec_from_file_location("l1fast._kernels.parallel", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def work(build, racing):
    """Four callers at once, half of them with jobs within jobs; racing: all of them write to the same numbers."""
    import numpy as np

    parallel, shared = load(build), np.zeros(40, np.int32)

    def call(number):
        count = shared if racing else np.zeros(40, np.int32)
        inner = np.zeros((40, 40), np.int32) if number % 2 and not racing else None
        for turn in range(1, 300):
            parallel.visit_parts(count, inner, 4)
            assert racing or (count == turn).all()
            if turn % 20 == 0:
                time.sleep(0.002)  # the workers fall asleep

    callers = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert parallel.n_workers() == 3


def main():
    build = sys.argv[1]
    if len(sys.argv) > 2:
        work(build, sys.argv[2] == "racing")
        return
    library = subprocess.run(["cc", "-print-file-name=libtsan.so"], capture_output=True, text=True, check=True)
    environment = os.environ | {"LD_PRELOAD": library.stdout.strip(), "TSAN_OPTIONS": f"exitcode={RACES}"}
    for how, expected in (("clean", 0), ("racing", RACES)):
        # setarch -R: the sanitizer does not bear random addresses of some kernels of Linux
        command = ["setarch", "-R", sys.executable, "-P", __file__, build, how]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        races = done.stderr.count("WARNING: ThreadSanitizer: data race")
        print(f"{how}: exit code {done.returncode}, {races} data races")
        if done.returncode != expected:
            sys.exit(done.stderr)


if __name__ == "__main__":
    main()
