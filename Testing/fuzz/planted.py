"""Readers with a defect of each kind: the fuzzer is right only if it finds them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from Testing.fuzz.targets import Seed, Target


def _target(read: Callable[[Path], object]) -> Target:
    return Target(0, lambda _folder: [Seed("a.txt", b"x" * 64, "binary")], _on_damage(read))


def _on_damage(read: Callable[[Path], object]) -> Callable[[Path], object]:
    """Read a valid file well, so that the worker gets as far as its cases."""
    return lambda path: None if path.read_bytes() == b"x" * 64 else read(path)


def _hang(_path: Path) -> None:
    while True:
        time.sleep(1)


def _fail(_path: Path) -> None:
    raise KeyError("field")


PLANTED = {
    "planted hang": _target(_hang),
    "planted crash": _target(lambda _path: os.abort()),
    "planted defect": _target(_fail),
    "planted memory": _target(lambda _path: np.ones(2**30, np.uint8)),
    "planted escape": _target(lambda path: Path(path.parent.parent, "escaped").write_text("x")),
    "planted command": _target(lambda _path: subprocess.run([sys.executable, "-V"], check=False)),
    "planted slowness": _target(
        lambda _path: [n for n in range(10**9) if time.process_time() > 1e9]
    ),
}
