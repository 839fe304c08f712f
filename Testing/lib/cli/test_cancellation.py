"""How a command notices that it should end."""

import runpy
import signal
import subprocess
import sys

from SAMI2ILib import stop_signals

STARTS_A_CHILD = """
import subprocess, sys
from SAMI2ILib.cli.cancellation import stop_on_stdin_close
stop_on_stdin_close()
code = "import os, stat; print('pipe:', stat.S_ISFIFO(os.fstat(0).st_mode), flush=True)"
child = [sys.executable, "-c", code]
try:
    subprocess.run(child, check=True)
    while True:
        pass
except KeyboardInterrupt:
    print("cancelled")
"""


def test_child_of_a_command_that_watches_stdin_does_not_share_it():
    command = [sys.executable, "-c", STARTS_A_CHILD]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "pipe: False\n"
        process.stdin.close()
        assert process.stdout.read() == "cancelled\n"


def test_windows_ctrl_break_asks_for_an_end_as_ctrl_c_does(monkeypatch):
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGABRT, raising=False)  # stands in for it
    found = runpy.run_path(stop_signals.__file__)
    assert found["INTERRUPTS"] == (signal.SIGINT, signal.SIGABRT)
    assert found["STOP_SIGNALS"] == (signal.SIGINT, signal.SIGABRT, signal.SIGTERM)
