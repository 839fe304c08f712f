"""Waits for what a process of a test says."""

import subprocess

import pytest


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process writes until a line holds a text; it fails if the process ends before."""
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(process.stderr.read())
