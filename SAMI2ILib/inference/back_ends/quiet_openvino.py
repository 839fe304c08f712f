"""Imports OpenVINO without its telemetry, which its import would send to a server."""

import sys
from typing import Any

_CONVERTER = "openvino.tools.ovc"


def import_openvino() -> Any:
    """Import OpenVINO; the only way in which this library does.

    Its package imports its model converter, and that reports the import over the network. Nothing
    here converts models, so the converter is kept out; OpenVINO does without it.

    Raises:
        ImportError: OpenVINO is not installed, or does not load.
    """
    if "openvino" in sys.modules or _CONVERTER in sys.modules:
        import openvino

        return openvino
    sys.modules[_CONVERTER] = None  # type: ignore[assignment] # makes its import an ImportError
    try:
        import openvino

        return openvino
    finally:
        del sys.modules[_CONVERTER]
