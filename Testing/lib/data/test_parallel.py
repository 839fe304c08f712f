"""No process outlives the one that started it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from SAMI2ILib.data.parallel import run_in_processes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
# One short task, so that the workers are there, and two that never end by themselves.
TASKS = [(0.0,), (3600.0,), (3600.0,)]
SCRIPT = f"""
import time
from SAMI2ILib.data.parallel import run_in_processes
for _ in run_in_processes(time.sleep, {TASKS}, 2):
    print("started", flush=True)
"""


def workers_of(process: int) -> list[int]:
    """The processes that a process has started to work, without multiprocessing's tracker."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [child for child, command in commands.items() if b"spawn_main" in command]


def all_end(processes: list[int]) -> bool:
    """Whether they are gone, or will be within two minutes."""
    for _ in range(1200):
        if not any(is_running(process) for process in processes):
            return True
        time.sleep(0.1)
    return False


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_workers_end_in_their_task_when_nobody_wants_the_results_any_more():
    results = run_in_processes(time.sleep, TASKS, 2)
    next(results)
    workers = workers_of(os.getpid())
    assert len(workers) == 2
    results.close()
    assert all_end(workers)


@pytest.mark.fault("parent-killed")
def test_workers_end_in_their_task_when_their_parent_is_killed():
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        workers = workers_of(parent.pid)
        assert len(workers) == 2
        parent.kill()
    assert all_end(workers)
