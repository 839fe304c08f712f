"""Looks at a DICOM file before GDCM does, which reserves whatever length a damaged file names."""

import struct
from pathlib import Path
from typing import BinaryIO

from SAMI2ILib.errors import InputError

_PREAMBLE_BYTES = 132
_UNDEFINED = 0xFFFFFFFF
_META_GROUP = 0x0002
_TRANSFER_SYNTAX = (0x0002, 0x0010)
_IMPLICIT = {"1.2.840.10008.1.2", "1.2.840.113619.5.2"}
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
# Value representations whose length has four bytes, after two that are reserved.
_LONG = {
    b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV",
}  # fmt: skip
_LONGEST_UID = 64


def check_dicom_lengths(path: Path) -> None:
    """Refuse a DICOM file in which an element is longer than the rest of the file.

    Only the outermost elements are looked at, up to the first of undefined length, and only in
    files that follow the standard so far; what this does not understand is left to GDCM.

    Args:
        path: A file with the DICOM preamble.

    Raises:
        InputError: An element claims more bytes than there are.
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(_PREAMBLE_BYTES)
        syntax = ""
        while element := _read_element(stream, syntax):
            tag, length = element
            if length == _UNDEFINED:
                return
            if stream.tell() + length > size:
                raise InputError(
                    f"{path.name} is damaged: its element ({tag[0]:04x},{tag[1]:04x}) claims "
                    f"{length:,} bytes, {size - stream.tell():,} are left.",
                    "Export the series again.",
                )
            if tag == _TRANSFER_SYNTAX and length <= _LONGEST_UID:
                syntax = stream.read(length).decode("ascii", "replace").rstrip("\0 ")
            else:
                stream.seek(length, 1)


def _read_element(stream: BinaryIO, syntax: str) -> tuple[tuple[int, int], int] | None:
    """The tag and length of the next element; None where the file ends or is not understood."""
    start = stream.read(8)
    if len(start) < 8:
        return None
    group = struct.unpack("<H", start[:2])[0]
    in_meta = group == _META_GROUP
    if not in_meta and syntax in ("", _DEFLATED):
        return None
    order = ">" if syntax == _BIG_ENDIAN and not in_meta else "<"
    tag = struct.unpack(f"{order}HH", start[:4])
    if syntax in _IMPLICIT and not in_meta:
        return tag, struct.unpack(f"{order}I", start[4:])[0]
    kind = start[4:6]
    if not (kind.isalpha() and kind.isupper()):
        return None
    if kind not in _LONG:
        return tag, struct.unpack(f"{order}H", start[6:])[0]
    rest = stream.read(4)
    return (tag, struct.unpack(f"{order}I", rest)[0]) if len(rest) == 4 else None
