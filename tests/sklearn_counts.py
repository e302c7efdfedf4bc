"""How many of scikit-learn's own tests of coordinate descent pass on our estimators, and on an empty package.

    python tests/sklearn_counts.py

runs tests/test_sklearn_suite.py twice: with our names, and with classes in their place that store parameters and do
nothing else, which shows how many tests can tell the difference.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def counted(**environment):
    """The counts of pytest's closing line, as {"passed": ..., "failed": ..., "skipped": ...}."""
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_sklearn_suite.py"]
    run = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    closing = run.stdout.strip().splitlines()[-1]
    found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", closing)}
    if not found:
        sys.exit(f"pytest counted nothing:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return {"passed": 0, "failed": 0, "skipped": 0, **found}


if __name__ == "__main__":
    import sklearn

    print(f"scikit-learn {sklearn.__version__}, its tests of coordinate descent, dense and sparse:")
    for title, environment in (("l1fast", {}), ("an empty package", {"L1FAST_EMPTY": "1"})):
        counts = ", ".join(f"{number} {word}" for word, number in counted(**environment).items())
        print(f"  {title}: {counts}")
