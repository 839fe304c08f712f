"""Back ends: ways to run a network, each checked against torch in float32 before it is used."""

from SAMI2ILib.inference.back_ends.agreement import REQUIRED_DECIBELS, Agreement, compare
from SAMI2ILib.inference.back_ends.choice import (
    BACK_ENDS,
    make_predictor,
    select_inference_device,
)

__all__ = [
    "BACK_ENDS",
    "REQUIRED_DECIBELS",
    "Agreement",
    "compare",
    "make_predictor",
    "select_inference_device",
]
