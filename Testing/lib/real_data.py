"""The folder of real scans that some tests need, and the skip of those where it is not named."""

import os
from pathlib import Path

import pytest

REAL_DATA = Path(os.environ.get("SAMI2I_REAL_DATA", ""))
needs_real_data = pytest.mark.skipif(
    not os.environ.get("SAMI2I_REAL_DATA"), reason="SAMI2I_REAL_DATA names no folder of real scans"
)
