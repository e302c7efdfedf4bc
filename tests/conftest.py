"""Settings of the property tests: new examples at every run, but the same ones in CI, which must not depend on luck."""

import os

import hypothesis

SAME = "CI" in os.environ

hypothesis.settings.register_profile("default", deadline=None, max_examples=40, print_blob=not SAME, derandomize=SAME)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile("default")


def pytest_collection_modifyitems(config, items):
    """Nightly tests run only where they are asked for by name."""
    if "nightly" in config.option.markexpr:
        return
    nightly = [item for item in items if item.get_closest_marker("nightly")]
    if nightly:
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
