"""Back ends: ways to run a network, each checked against torch in float32 before it is used."""

from SAMI2ILib.inference.back_ends.agreement import REQUIRED_DECIBELS, Agreement, compare
from SAMI2ILib.inference.back_ends.choice import (
    BACK_ENDS,
    expected_back_end,
    make_predictor,
    select_inference_device,
)
from SAMI2ILib.inference.back_ends.openvino_network import openvino_trouble

__all__ = [
    "BACK_ENDS",
    "REQUIRED_DECIBELS",
    "Agreement",
    "compare",
    "expected_back_end",
    "make_predictor",
    "openvino_trouble",
    "select_inference_device",
]
