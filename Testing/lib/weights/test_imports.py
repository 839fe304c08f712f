"""Listing models must not wait for torch, nor for the network library."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

SCRIPT = """
import sys
import SAMI2ILib.weights, SAMI2ILib.weights.fetch
import SAMI2ILib.cli.models, SAMI2ILib.cli.doctor
from SAMI2ILib.weights import Store
Store().list()
print([name for name in ("torch", "sam2", "requests", "SimpleITK") if name in sys.modules])
"""


def test_weights_import_neither_torch_nor_requests_when_listing():
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"
