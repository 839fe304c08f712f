"""OpenVINO without what it does beside its work: its telemetry, and its stack for signals."""

import sys
from collections.abc import Mapping
from typing import Any

from SAMI2ILib.inference.back_ends.signal_stack import kept_signal_stack

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


def compile_graph(graph: Any, options: Mapping[str, Any]) -> Any:
    """Compile a graph for the CPU; the only way in which this library does.

    Args:
        graph: An `openvino.Model`.
        options: OpenVINO's properties.

    Raises:
        RuntimeError: OpenVINO cannot compile it.
    """
    with kept_signal_stack():
        return import_openvino().Core().compile_model(graph, "CPU", dict(options))


def read_compiled(content: bytes, options: Mapping[str, Any]) -> Any:
    """Read what an earlier `compile_graph` gave and `export_model` wrote.

    Raises:
        RuntimeError: It was compiled for another processor or by another version.
    """
    with kept_signal_stack():
        return import_openvino().Core().import_model(content, "CPU", dict(options))
