"""Typed access to a parameter node: the part of Slicer's parameterNodeWrapper for flat types.

Types: a MRML node class, bool, int, float, str; with validators, `Default` and the widget hints
`Decimals` and `SingleStep` in `typing.Annotated`. Anything else is refused with a sentence.
"""

from .annotations import (
    Choice,
    Decimals,
    Default,
    Exclude,
    Maximum,
    Minimum,
    NotNone,
    SingleStep,
    Validator,
    WithinRange,
)
from .gui import findChildWidgetForParameter
from .wrapper import isParameterNodeWrapper, parameterNodeWrapper

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "Maximum",
    "Minimum",
    "NotNone",
    "SingleStep",
    "Validator",
    "WithinRange",
    "findChildWidgetForParameter",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]
