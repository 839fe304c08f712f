"""An interrupt after OpenVINO has compiled reaches Python instead of ending the process."""

import subprocess
import sys

import pytest

pytest.importorskip("openvino", reason="OpenVINO is not installed")

COMPILE_AND_INTERRUPT = """
import signal
import numpy as np
from SAMI2ILib.inference.back_ends.quiet_openvino import import_openvino
from SAMI2ILib.inference.back_ends.signal_stack import kept_signal_stack

openvino = import_openvino()
from openvino import opset13 as ops

entry = ops.parameter([1, 3, 64, 64], np.float32)
kernel = ops.constant(np.ones((8, 3, 3, 3), np.float32))
result = ops.convolution(entry, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
with kept_signal_stack():
    openvino.Core().compile_model(openvino.Model([result], [entry]), "CPU")
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_interrupt_after_compiling_is_a_keyboard_interrupt() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPILE_AND_INTERRUPT],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted"), done.stderr
