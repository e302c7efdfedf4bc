"""Settings of the property tests: new examples at every run, but the same ones in CI, which must not depend on luck.

And what all tests share: Ctrl-C that is heeded, and which of them run.
"""

import os
import signal
from collections import Counter

import hypothesis
import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so it is in what a shell starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

SAME = "CI" in os.environ
GOLDEN = (5.0**0.5 - 1.0) / 2.0  # its multiples spread evenly, whatever the lengths of the lists in a product

hypothesis.settings.register_profile("default", deadline=None, max_examples=40, print_blob=not SAME, derandomize=SAME)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile("default")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Thin the large products, and leave out nightly tests where they are not asked for by name."""
    seen = Counter()
    for item in items:
        thinned = item.get_closest_marker("thinned")
        if thinned:
            case = item.nodeid.partition("[")[0]
            if seen[case] * GOLDEN % 1.0 * thinned.args[0] >= 1.0:
                item.add_marker(pytest.mark.slow)
            seen[case] += 1
    if "nightly" in config.option.markexpr:
        return
    nightly = [item for item in items if item.get_closest_marker("nightly")]
    if nightly:
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
