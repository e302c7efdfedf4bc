"""Progress is shown where it helps, counts what was done, and leaves nothing behind."""

import os
import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from l1fast import _progress

POSIX = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals and signals of POSIX")
HIDDEN, SHOWN, ERASE = "\x1b[?25l", "\x1b[?25h", "\x1b[2K"


def strength(index, n_lams=4, **more):
    return SimpleNamespace(index=index, n_lams=n_lams, lam=0.5**index, dual_gap=1e-7, seconds=0.0, **more)


STATES = [
    (
        SimpleNamespace(iteration=1234, objective=1.0, dual_gap=1.2e-3, support_size=1000, seconds=1.0),
        "iteration 1,234, gap 1.2e-03, support 1,000",
    ),
    (strength(2, support_size=3), "strength 3/4, lam 0.25, gap 1.0e-07, support 3"),
    (strength(1, fold=2, n_folds=5), "fold 3/5, strength 2/4, lam 0.5, gap 1.0e-07"),
    (SimpleNamespace(index=0, n_lams=1000), "strength 1/1,000"),
]


@pytest.mark.parametrize(("state", "words"), STATES)
def test_words(state, words):
    assert _progress.describe(state) == words


def on_a_terminal(code, term="xterm", columns=100, blocked=(), interrupt=False):
    """What a program wrote to the terminal that is its stderr, to its stdout, and how it ended."""
    import fcntl
    import pty
    import signal
    import struct
    import termios

    terminal, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    head = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in blocked)
    environment = os.environ | {"TERM": term}
    environment = {name: value for name, value in environment.items() if name not in ("COLUMNS", "NO_COLOR", "CI")}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", head + code], stdout=subprocess.PIPE, stderr=side, env=environment, text=True
    )
    os.close(side)
    shown = b""
    try:
        while True:
            try:
                part = os.read(terminal, 1 << 16)
            except OSError:  # the end, on Linux
                break
            if not part:
                break
            shown += part
            if interrupt and b"strength 3" in shown:
                process.send_signal(signal.SIGINT)
                interrupt = False
        out = process.communicate(timeout=30)[0]
    finally:
        process.kill()
        os.close(terminal)
    return shown.decode().replace("\r\n", "\n"), out, process.returncode


HEAD = """
import time
from types import SimpleNamespace
from l1fast._progress import Progress

def strength(index, **more):
    time.sleep(0.11)
    return SimpleNamespace(index=index, n_lams=6, lam=0.5 ** index, dual_gap=1e-7, support_size=index, **more)
"""
WALK = """
with Progress() as progress:
    for index in range(6):
        progress(strength(index))
        print("out", index)
"""


def plain(shown):
    """The text without colours and movements."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown)


def assert_clean(shown):
    """The cursor is back, and the last thing done to the line of the bar is to erase it."""
    assert shown.rindex(SHOWN) > shown.rindex(HIDDEN)
    assert plain(shown[shown.rindex(ERASE) :]).strip() == ""


@POSIX
def test_a_bar_for_a_path():
    shown, out, code = on_a_terminal(HEAD + WALK)
    assert code == 0
    assert out == "".join(f"out {index}\n" for index in range(6))  # a pipe is no place for a bar, nor it for the output
    text = plain(shown)
    assert re.search(r"━.* 0:00:0\d < \S+ +strength 3/6, lam 0.25, gap 1.0e-07, support 2", text)
    assert_clean(shown)


@POSIX
def test_a_bar_for_folds():
    loop = "with Progress() as p:\n    for f in range(3):\n        for i in range(6): p(strength(i, fold=f, n_folds=3))"
    shown, _, code = on_a_terminal(HEAD + loop, columns=120)
    assert code == 0
    bars = re.findall(r"(━*)[╸╺]?━* 0:00:0\d < \S+ +fold (\d)/3, strength (\d)/6", plain(shown))
    places = [(int(fold), int(index)) for _, fold, index in bars]
    assert places == sorted(places)
    assert {fold for fold, _ in places} == {1, 2, 3}
    assert_clean(shown)


@POSIX
def test_a_narrow_terminal_cuts_the_words():
    shown, _, code = on_a_terminal(HEAD + WALK, columns=45)
    assert code == 0
    assert re.search(r"0:00:0\d < \S+ +strength.*…", plain(shown))


@POSIX
@pytest.mark.parametrize("interrupt", [False, True])
def test_a_clean_terminal_after_a_fault(interrupt):
    fault = (
        WALK + ("" if interrupt else "        if index == 3: sys.exit(7)\n") + "        time.sleep(0.3 * (index > 2))\n"
    )
    code = HEAD + fault.replace("with", "try:\n  with", 1).replace("\n    ", "\n      ")
    code += "\nexcept KeyboardInterrupt:\n    sys.exit(9)\n"
    shown, _, returned = on_a_terminal(code, interrupt=interrupt)
    assert returned == (9 if interrupt else 7)
    assert_clean(shown)


@POSIX
@pytest.mark.parametrize(("term", "blocked"), [("dumb", ()), ("xterm", ("rich",))])
def test_lines_where_there_can_be_no_bar(term, blocked):
    shown, _, code = on_a_terminal(HEAD + WALK, term=term, blocked=blocked)
    assert code == 0
    assert "\x1b" not in shown
    lines = shown.splitlines()
    if blocked:
        assert 'a progress bar needs rich: pip install "l1fast[cli]"' in lines.pop(0)
    assert re.fullmatch(r"strength 1/6, lam 1, gap 1.0e-07, support 0, 0.\d s", lines[0])
    assert 2 <= len(lines) <= 3  # 0.1 s, 0.5 s, perhaps 1 s


@POSIX
def test_a_bar_for_a_solve():
    loop = "with Progress() as p:\n    for k in range(9):\n        strength(0)\n"
    loop += "        p(SimpleNamespace(iteration=k, dual_gap=0.5))"
    shown, _, code = on_a_terminal(HEAD + loop)
    assert code == 0
    assert re.search(r"0:00:0\d iteration 5, gap 5.0e-01", plain(shown))
    assert_clean(shown)


@POSIX
def test_nothing_for_what_is_quick():
    shown, _, code = on_a_terminal(HEAD + WALK.replace("Progress()", "Progress(after=30.0)"))
    assert (shown, code) == ("", 0)


# --- no terminal ---


def test_off_without_a_terminal(capsys):
    seen = []
    with _progress.Progress() as progress:
        assert progress is None
    with _progress.Progress(then=seen.append) as progress:
        progress(strength(0))
    assert seen == [strength(0)]
    assert capsys.readouterr() == ("", "")


def test_off_without_stderr(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with _progress.Progress(lines=True) as progress:
        assert progress is None


def test_lines_without_a_terminal(capsys):
    with _progress.Progress(lines=True, then=lambda state: state.index == 2) as progress:
        assert [progress(strength(index)) for index in range(3)] == [False, False, True]
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["strength 1/4, lam 1, gap 1.0e-07, 0.0 s"]  # the next one would come after half a second


def test_lines_come_further_and_further_apart(capsys, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(_progress.time, "monotonic", lambda: clock.now)
    with _progress.Progress(lines=True, after=1.0) as progress:
        for index in range(1000):
            clock.now = index / 10.0
            progress(strength(index, 1000))
    times = [float(line.split()[-2]) for line in capsys.readouterr().err.splitlines()]
    assert times == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]


def test_counts_of_folds_side_by_side(capsys):
    """Every state is a step, whichever thread it comes from."""
    progress = _progress.Progress(lines=True, after=1e9)

    def walk(fold):
        for sequence in range(2):
            for index in range(50):
                progress(strength(index, 50, fold=fold, n_folds=4, sequence=sequence, n_sequences=2))

    threads = [threading.Thread(target=walk, args=(fold,)) for fold in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert progress._count(strength(49, 50, fold=3, n_folds=4, sequence=1, n_sequences=2)) == (400, 400)
    assert progress._count(strength(6, 50)) == (7, 50)
    assert progress._count(SimpleNamespace(iteration=3)) == (400, None)
