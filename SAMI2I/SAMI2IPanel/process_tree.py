"""Ends a process with all that it started.

`PythonSlicer` is a launcher: the interpreter that works is its child, so killing the process that
Qt knows would leave the work running.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path


def killTree(pid: int) -> None:
    """Kill a process and its descendants at once; no error if they have gone already.

    Args:
        pid: Of the process that was started; 0 or less is ignored, because to the operating
            system that would mean this program's own group.
    """
    if pid <= 0:
        return
    if sys.platform == "win32":
        _taskkill(pid)
        return
    stopped: list[int] = []
    # Stopped first, so that none starts another while the list is made.
    while new := [p for p in (pid, *descendants(pid)) if p not in stopped]:
        for process in new:
            _signal(process, signal.SIGSTOP)
        stopped += new
    for process in stopped:
        _signal(process, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Process ids of the children of `pid`, of their children, and so on (not on Windows)."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents().items():
        children.setdefault(parent, []).append(child)
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def _parents() -> dict[int, int]:
    """Parent of every process that may be seen."""
    if Path("/proc/self/stat").exists():
        return _parentsFromProc()
    listing = subprocess.run(
        ["/bin/ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False
    )
    rows = [line.split() for line in listing.stdout.splitlines()]
    return {int(row[0]): int(row[1]) for row in rows if len(row) == 2}


def _parentsFromProc() -> dict[int, int]:
    parents = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has just ended
            # "pid (name) state ppid ...": the name may hold blanks and brackets.
            rest = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            parents[int(folder.name)] = int(rest[1])
    return parents


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _taskkill(pid: int) -> None:
    program = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "taskkill.exe"
    # Where it may not be run, whoever asks still ends the process that it has started.
    with contextlib.suppress(OSError):
        subprocess.run(
            [str(program), "/PID", str(pid), "/T", "/F"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            check=False,
        )
