"""How results of other processes are waited for; see `test_parallel` for the processes."""

import os
import sys
import time
from concurrent.futures import Future, wait

import pytest

from SAMI2ILib.data import parallel
from SAMI2ILib.data.parallel import run_in_processes


class Started(Exception):  # noqa: N818 - it is no error
    """A pool would start with so many processes."""


def test_windows_gets_no_more_processes_than_it_can_wait_for(monkeypatch):
    def start(workers, *_options):
        raise Started(workers)

    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(parallel, "ProcessPoolExecutor", start)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(Started, match=r"^61$"):
        next(run_in_processes(time.sleep, [(0,)] * 200, None))
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(Started, match=r"^128$"):
        next(run_in_processes(time.sleep, [(0,)] * 200, None))


def test_results_come_as_they_are_ready_and_no_wait_is_without_an_end(monkeypatch):
    first, second = Future(), Future()
    limits = []

    def see(futures, limit, until):
        limits.append(limit)
        if len(limits) > 2:
            first.set_result("first")
        return wait(futures, 0.001, until)

    monkeypatch.setattr(parallel, "wait", see)
    second.set_result("second")
    assert list(parallel._as_they_finish([first, second])) == ["second", "first"]
    assert len(limits) == 3
    assert all(limit is not None and limit < 1 for limit in limits)
