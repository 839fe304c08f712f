"""The grammar of MetaImage and NRRD headers; ITK's own parsers write past their buffers.

A line that is not of its field's form, or longer than any of ours, is refused before ITK sees it.
"""

import re
from re import Pattern
from typing import Final

from SAMI2ILib.errors import InputError

LONGEST_LINE: Final = 10_000
MOST_LINES: Final = 1000

_INTEGER = r"[-+]?[0-9]{1,18}"
_NUMBER = r"[-+]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40}|nan|inf)(?:e[-+]?[0-9]{1,4})?"
_WORD = r"[A-Za-z0-9?_.+-]{1,60}"
_QUOTED = r'"[^"\\]{0,100}"'
_VECTOR = rf"(?:none|\(\s*{_NUMBER}(?:\s*,\s*{_NUMBER}){{0,3}}\s*\))"


def _several(one: str) -> Pattern[str]:
    return re.compile(rf"{one}(?:\s+{one}){{0,15}}", re.IGNORECASE)


def _one(pattern: str) -> Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


METAIMAGE: Final = {
    "NDims": _one("[1-9]"),
    "DimSize": _several(_INTEGER),
    "HeaderSize": _one(_INTEGER),
    "ElementNumberOfChannels": _one(r"[-+]?[0-9]{1,3}"),
    "CompressedDataSize": _one(_INTEGER),
    **dict.fromkeys(
        ("Offset", "Position", "Origin", "TransformMatrix", "Rotation", "Orientation",
         "CenterOfRotation", "ElementSpacing", "ElementSize", "ElementMin", "ElementMax",
         "ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset"),
        re.compile(rf"{_NUMBER}(?:\s+{_NUMBER}){{0,99}}", re.IGNORECASE),
    ),
    **dict.fromkeys(
        ("BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "CompressedData"),
        _one("true|false|t|f|0|1"),
    ),
    **dict.fromkeys(
        ("ObjectType", "ObjectSubType", "ElementType", "AnatomicalOrientation", "DistanceUnits"),
        _one(_WORD),
    ),
}  # fmt: skip
NRRD: Final = {
    "dimension": _one("[1-9]|1[0-6]"),
    "space dimension": _one("[1-8]"),
    "sizes": _several(_INTEGER),
    **dict.fromkeys(
        ("line skip", "lineskip", "byte skip", "byteskip", "number", "block size", "blocksize"),
        _one(_INTEGER),
    ),
    **dict.fromkeys(
        ("spacings", "thicknesses", "axis mins", "axismins", "axis maxs", "axismaxs", "min", "max",
         "old min", "oldmin", "old max", "oldmax"),
        _several(_NUMBER),
    ),
    **dict.fromkeys(("space directions", "space origin", "measurement frame"), _several(_VECTOR)),
    **dict.fromkeys(("kinds", "centers", "centerings", "encoding", "endian"), _several(_WORD)),
    **dict.fromkeys(("type", "space"), _several(_WORD)),
    **dict.fromkeys(("units", "space units", "labels"), _several(f"(?:{_QUOTED}|{_WORD})")),
}  # fmt: skip
# Also of other tools, such as the DICOM tags that ITK writes down: `0008|0060`.
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .|/()-]{0,127}")


def check_field(field: str, value: str, grammar: dict[str, Pattern[str]], name: str) -> None:
    """Refuse a field whose value is not of its form.

    Args:
        field: Its name, as the grammar has it.
        value: Without the blanks around it.
        grammar: `METAIMAGE` or `NRRD`; other fields may hold any text.
        name: Of the file.

    Raises:
        InputError: The value is of another form, or the field's name is none.
    """
    form = grammar.get(field)
    if not _KEY.fullmatch(field) or (form is not None and not form.fullmatch(value)):
        raise InputError(
            f"{name} has a broken header: {field[:40]!r} is {value[:60]!r}.",
            "Copy or export the file again.",
        )


def check_line(line: bytes, name: str) -> None:
    """Refuse a header line that is longer than any of ours.

    Raises:
        InputError: It is.
    """
    if len(line) > LONGEST_LINE:
        raise InputError(
            f"{name} has a broken header: a line of more than {LONGEST_LINE} bytes.",
            "Copy or export the file again.",
        )
