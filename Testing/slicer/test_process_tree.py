"""Killing a launcher with all that it has started."""

import subprocess
import sys
import time

import pytest
from SAMI2IPanel.process_tree import descendants, killTree

# Each starts the next and waits for it: launcher, interpreter, worker.
CODE = (
    "import subprocess, sys, time; depth = int(sys.argv[1]); print(depth, flush=True)\n"
    "if depth: subprocess.run([sys.executable, '-c', sys.argv[2], str(depth - 1), sys.argv[2]])\n"
    "else: time.sleep(600)"
)


@pytest.fixture
def tree():
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "2", CODE], stdout=subprocess.PIPE, text=True
    )
    for _ in range(3):
        process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="taskkill walks the tree on Windows")
def test_descendants_are_all_generations(tree):
    below = descendants(tree.pid)
    assert len(below) == 2
    assert descendants(below[0]) == [below[1]]
    assert descendants(below[1]) == []


def test_nothing_of_the_tree_is_left(tree):
    killTree(tree.pid)
    tree.wait(timeout=10)
    # The pipe closes when the last process that holds it has gone.
    assert tree.stdout.read() == ""


def test_a_process_that_has_gone_is_no_error():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    killTree(process.pid)


@pytest.mark.parametrize("pid", [0, -1])
def test_own_group_is_never_meant(pid):
    killTree(pid)
    time.sleep(0.05)  # a signal would have arrived


def test_windows_that_lets_nobody_run_its_own_program_is_no_error(monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "This program is blocked by group policy")

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "run", refuse)
    killTree(4711)
