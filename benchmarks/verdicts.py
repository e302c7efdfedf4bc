"""What unusual and bad input gets from l1fast and from others: ``python benchmarks/verdicts.py --markdown FILE``.

The cases and the judge are those of the tests (`tests/verdicts.py`), and every case runs in a process of its own, so
that a crash or a hang becomes a verdict. `verdict_peers.py` has the tools. The exit code is 1 if l1fast fails a case.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests"
SECONDS = 60.0  # for a case: some compile first


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--tools", nargs="+", metavar="NAME", help="names, or parts of names, of tools (default: all)")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="rows of the table (default: all)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for a case, before it counts as a hang")
    parser.add_argument("--jobs", type=int, default=1, help="tools at a time")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables to this file")
    return parser.parse_args()


def cell(kinds: list[tuple[bool, str]]) -> str:
    """How many cases passed, and what became of the others."""
    if not kinds:
        return "n/a"
    passed = sum(good for good, _ in kinds)
    counted = Counter(kind.lower() for good, kind in kinds if not good)
    rest = ", ".join(f"{number} {kind}" for kind, number in counted.most_common())
    return f"{passed}/{len(kinds)}" + (f": {rest}" if rest else "")


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def main() -> int:
    asked = arguments()
    sys.path[:0] = [str(TESTS), str(Path(__file__).resolve().parent)]
    spec = importlib.util.spec_from_file_location("verdicts", TESTS / "verdicts.py")
    assert spec is not None
    assert spec.loader is not None
    verdicts = importlib.util.module_from_spec(spec)  # this file has the same name
    sys.modules["verdicts"] = verdicts
    spec.loader.exec_module(verdicts)
    import verdict_peers

    tools = [
        entry
        for entry in verdict_peers.ENTRIES
        if (not asked.tools or any(part in entry.name for part in asked.tools))
        and importlib.util.find_spec(getattr(entry, "module", "l1fast").partition(".")[0])
    ]
    rows = asked.rows or list(verdicts.ROWS)
    found: dict[tuple[str, str], list[tuple[bool, str]]] = {}
    failed: dict[str, list[str]] = {}

    def judge(entry: Any) -> None:
        court = verdicts.Court("verdict_peers", seconds=asked.seconds, paths=sys.path[:2])
        for row in rows:
            cases = [case for case in verdicts.by_name(row) if entry.takes_case(case)]
            print(f"{entry.name}: {row}, {len(cases)} cases", file=sys.stderr, flush=True)
            for case, verdict in zip(cases, court.verdicts(entry, cases, apart=True), strict=True):
                good = entry.passes(case, verdict)
                found.setdefault((row, entry.name), []).append((good, verdict.kind))
                if not good:
                    failed.setdefault(entry.name, []).append(f"{row}, {case.name}: {verdict}")
        court.close()

        done.append(entry.name)
        names = [tool.name for tool in tools if tool.name in done]
        text = tables(verdicts.ROWS, rows, names, found, failed)
        if asked.markdown:
            Path(asked.markdown).write_text(text)  # the tools that are through
        elif len(done) == len(tools):
            print(text)

    done: list[str] = []
    with ThreadPoolExecutor(asked.jobs) as pool:
        list(pool.map(judge, tools))
    return int(any(name.startswith("l1fast") for name in failed))


def tables(
    words: dict[str, str],
    rows: list[str],
    names: list[str],
    found: dict[tuple[str, str], list[tuple[bool, str]]],
    failed: dict[str, list[str]],
) -> str:
    """The table, and every case that a tool failed, in a line each."""
    from verdict_peers import TOOLS

    packages = [*dict.fromkeys(TOOLS[name] for name in names), "numpy", "scipy"]
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.system()} {platform.machine()}; "
        f"{versions}.",
        "",
        "| input | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for row in rows:
        cells = [cell(found.get((row, name), [])) for name in names]
        lines.append(f"| {escaped(words[row])} | " + " | ".join(cells) + " |")
    totals = [cell([one for row in rows for one in found.get((row, name), [])]) for name in names]
    lines.append("| **all** | " + " | ".join(totals) + " |")
    for name in names:
        lines += ["", f"**{name}**: " + ("the cases that failed" if failed.get(name) else "no case failed"), ""]
        lines += [f"- {escaped(line)}" for line in failed.get(name, [])]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
