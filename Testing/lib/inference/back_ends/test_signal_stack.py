"""An interrupt after OpenVINO has compiled reaches Python instead of ending the process."""

import re
import subprocess
import sys

import pytest

pytest.importorskip("openvino", reason="OpenVINO is not installed")

COMPILE_AND_INTERRUPT = """
import signal
import numpy as np
from SAMI2ILib.inference.back_ends.quiet_openvino import compile_graph, import_openvino

openvino = import_openvino()
from openvino import opset13 as ops

entry = ops.parameter([1, 3, 64, 64], np.float32)
kernel = ops.constant(np.ones((8, 3, 3, 3), np.float32))
result = ops.convolution(entry, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
compile_graph(openvino.Model([result], [entry]), {})
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


def test_nothing_else_in_the_library_calls_the_compiler(request: pytest.FixtureRequest) -> None:
    library = request.config.rootpath / "SAMI2ILib"
    calling = {
        path.name
        for path in library.rglob("*.py")
        if re.search(r"\.(compile_model|import_model)\(", path.read_text(encoding="utf-8"))
    }
    assert calling == {"quiet_openvino.py"}
