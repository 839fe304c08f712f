"""Looks at MetaImage and NRRD files before ITK does, for what ITK accepts without a word.

ITK returns a damaged compressed MetaImage as if it were whole, lets an image that says nothing of
its direction lie straight, reserves what a header promises before it looks at the data, and takes
the name of a data file for a format of `printf`. What it does to NIfTI is in `nifti_checks`.
"""

import bz2
import gzip
import io
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.header_grammar import (
    LONGEST_LINE,
    METAIMAGE,
    MOST_LINES,
    NRRD,
    check_field,
    check_line,
)
from SAMI2ILib.imaging.volume import check_voxel_count

Stream: TypeAlias = BinaryIO | gzip.GzipFile

# What may follow the voxels: some tools pad their files.
MOST_TRAILING_BYTES = 2**28
FETCH_AGAIN = "Copy or download the file again: it is damaged or was not written completely."

_CHUNK_BYTES = 2**20
_LONGEST_REMARK = 2**20
_ELEMENT_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4,
    "LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip
# Those that ITK turns to its own; it takes all others as they are.
_NRRD_SPACES = {
    "right-anterior-superior", "ras", "left-anterior-superior", "las", "left-posterior-superior",
    "lps",
}  # fmt: skip
_NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), 1),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int"), 2),
    **dict.fromkeys(("int16", "int16_t", "ushort", "unsigned short", "unsigned short int"), 2),
    **dict.fromkeys(("uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int"), 4),
    **dict.fromkeys(("uint32", "uint32_t", "float"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long"), 8),
    **dict.fromkeys(("signed long long int", "int64", "int64_t", "ulonglong"), 8),
    **dict.fromkeys(("unsigned long long", "unsigned long long int", "uint64", "uint64_t"), 8),
    "double": 8,
}
_METAIMAGE_DIRECTIONS = {"TransformMatrix", "Rotation", "Orientation"}


def refuse_excess(present: int, promised: int, name: str) -> None:
    """A few kilobytes that inflate to terabytes must not keep anybody busy.

    Raises:
        InputError: More than `MOST_TRAILING_BYTES` follow what was promised.
    """
    if present > promised + MOST_TRAILING_BYTES:
        raise InputError(
            f"{name} holds far more data than the {promised:,} bytes that its header promises.",
            FETCH_AGAIN,
        )


def is_dicom_file(path: Path) -> bool:
    """True for a file with the DICOM preamble."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def chunks(stream: Stream) -> Iterator[bytes]:
    """The rest of a stream, a megabyte at a time."""
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def check_metaimage(path: Path) -> None:
    """Refuse a MetaImage (.mha, .mhd) whose header or length is not right.

    Raises:
        InputError: Not MetaImage; truncated; a damaged compressed stream; its data file is
            missing; voxel sizes that are zero, negative or NaN; no direction; absurdly many
            voxels; far more data than the header promises.
        OSError: The file cannot be opened.
    """
    with path.open("rb") as stream:
        fields = _read_metaimage_fields(stream, path.name)
        _check_metaimage_fields(fields, path.name)
        data_file = fields["ElementDataFile"]
        if data_file.upper() == "LOCAL":
            _check_metaimage_data(stream, fields, path.name)
            return
    with _data_file(path, data_file).open("rb") as stream:
        _check_metaimage_data(stream, fields, data_file)


def _data_file(header: Path, name: str) -> Path:
    """Find the one data file that a header names.

    Raises:
        InputError: It names several, or the file is not there.
    """
    if name.upper().startswith("LIST") or "%" in name:
        raise InputError(
            f"{header.name} is spread over many data files, which is not read.",
            "Load it in 3D Slicer and save it as one NRRD.",
        )
    path = header.parent / name
    if "\0" in name or not path.is_file():  # a device would never end
        raise InputError(
            f"{header.name} names the data file {name[:200]!r}, which is not there.",
            "Keep the two files in one folder.",
        )
    return path


def _read_metaimage_fields(stream: Stream, name: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for _ in range(200):
        line = stream.readline(LONGEST_LINE + 1)
        check_line(line, name)
        key, equals, value = line.decode("utf-8", "replace").partition("=")
        if not equals:
            break
        if key.strip() in fields:
            raise InputError(f"{name} has a broken header: {key.strip()} twice.", FETCH_AGAIN)
        check_field(key.strip(), value.strip(), METAIMAGE, name)
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    if not {"DimSize", "ElementDataFile", "ElementType"} <= fields.keys():
        raise InputError(
            f"{name} is not a MetaImage.", "Give a NIfTI, NRRD or MHA file, or a DICOM folder."
        )
    return fields


def _check_metaimage_fields(fields: dict[str, str], name: str) -> None:
    try:
        sizes = tuple(int(n) for n in fields["DimSize"].split())
        text = fields.get("ElementSpacing", fields.get("ElementSize", "1"))
        spacing = tuple(float(s) for s in text.split())
        int(fields.get("HeaderSize", 0))
        channels = int(fields.get("ElementNumberOfChannels", 1))
    except ValueError as error:
        raise InputError(f"{name} has a broken header: {error}.", FETCH_AGAIN) from error
    if not sizes or min(*sizes, channels) < 1:
        raise InputError(
            f"{name} has a broken header: sizes {sizes}, {channels} channels.", FETCH_AGAIN
        )
    check_voxel_count(sizes, name)
    if not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(
            f"{name} has the voxel size {spacing} mm: zero, negative or not a number.",
            "Repair ElementSpacing in the header or export the image again.",
        )
    if not fields.keys() & _METAIMAGE_DIRECTIONS:
        raise _without_direction(name, "TransformMatrix")


def _without_direction(name: str, field: str) -> InputError:
    return InputError(
        f"{name} does not say how the patient lies in it (its header has no {field}).",
        "Load it in 3D Slicer, check where left, front and top are, and save it anew.",
    )


def _check_metaimage_data(stream: Stream, fields: dict[str, str], name: str) -> None:
    """The stream stands at the first byte of the data."""
    values = int(fields.get("ElementNumberOfChannels", 1))
    for size in fields["DimSize"].split():
        values *= int(size)
    element = fields["ElementType"].upper().removeprefix("MET_").removesuffix("_ARRAY")
    promised = values * _ELEMENT_BYTES.get(element, 1)
    if fields.get("BinaryData", "True").lower() in ("false", "f", "0"):
        _check_text(_count_bytes(stream), values, name)
        return
    if fields.get("CompressedData", "False").lower() in ("true", "t", "1"):
        _check_compressed_size(stream, int(fields.get("CompressedDataSize", 0)), name)
        present = _count_inflated_bytes(stream, promised, name)
    else:
        present = _count_bytes(stream)
    if present < promised:
        raise _less_than_promised(present, promised, name)


def _check_compressed_size(stream: Stream, promised: int, name: str) -> None:
    """ITK reserves this size before it reads."""
    here = stream.tell()
    present = stream.seek(0, io.SEEK_END) - here
    stream.seek(here)
    if promised > present:
        raise _less_than_promised(present, promised, name)


def _count_bytes(stream: Stream) -> int:
    """Length of a stream; read to its end so that the checksum of a gzip file is compared."""
    return sum(len(chunk) for chunk in chunks(stream))


def _count_inflated_bytes(stream: Stream, promised: int, name: str) -> int:
    # 32: zlib or gzip, whichever the stream starts with; both carry a checksum.
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    count = 0
    try:
        for chunk in chunks(stream):
            rest, produced = chunk, _CHUNK_BYTES
            # A full output may leave some behind, in the input or inside the inflater.
            while rest or produced == _CHUNK_BYTES:
                produced = len(inflater.decompress(rest, _CHUNK_BYTES))
                count += produced
                refuse_excess(count, promised, name)
                if inflater.eof:
                    return count
                rest = inflater.unconsumed_tail
    except zlib.error as error:
        raise InputError(f"{name} holds damaged compressed data.", FETCH_AGAIN) from error
    raise InputError(f"{name} is truncated: its compressed data end early.", FETCH_AGAIN)


def _check_text(present: int, values: int, name: str) -> None:
    """Numbers written as text take a digit and a blank each; ITK counts them."""
    if present + 1 < 2 * values:
        raise InputError(
            f"{name} is truncated: its header promises {values:,} numbers, it holds {present:,} "
            "bytes of text.",
            FETCH_AGAIN,
        )


def check_nrrd(path: Path) -> None:
    """Refuse an NRRD (.nrrd, .nhdr) whose header or length is not right.

    What is no NRRD at all, or of a type that ITK does not know, is left to ITK.

    Raises:
        InputError: No `space` that is anatomical, or no `space directions`; absurdly many voxels;
            its data file is missing; less data than the header promises, or far more; a damaged
            compressed stream.
        OSError: The file cannot be opened.
    """
    with path.open("rb") as stream:
        fields = _read_nrrd_fields(stream, path.name)
        if fields is None:
            return
        _check_nrrd_place(fields, path.name)
        values = _nrrd_values(fields, path.name)
        data_file = fields.get("data file", fields.get("datafile"))
        if data_file is None:
            _check_nrrd_data(stream, fields, values, path.name)
            return
    with _data_file(path, data_file).open("rb") as stream:
        _check_nrrd_data(stream, fields, values, data_file)


def _read_nrrd_fields(stream: Stream, name: str) -> dict[str, str] | None:
    """The header up to its empty line; None where this is no NRRD."""
    if not stream.readline(100).startswith(b"NRRD"):
        return None
    fields: dict[str, str] = {}
    for _ in range(MOST_LINES):
        # Remarks may be long: 3D Slicer writes down the UIDs of all slices.
        line = stream.readline(_LONGEST_REMARK)
        text = line.decode("utf-8", "replace").strip()
        if not text:
            return fields
        field, colon, value = text.partition(":")
        field = field.strip().lower()
        if text.startswith("#") or (colon and value.startswith("=")):
            continue  # a remark, or `key:=value`, which is one too
        check_line(line, name)
        if field in fields:
            raise InputError(f"{name} has a broken header: {field} twice.", FETCH_AGAIN)
        check_field(field, value.strip(), NRRD, name)
        fields[field] = value.strip()
    raise InputError(f"{name} has a header of more than {MOST_LINES} lines.", FETCH_AGAIN)


def _check_nrrd_place(fields: dict[str, str], name: str) -> None:
    if fields.get("space", "").lower() not in _NRRD_SPACES:
        raise _without_direction(name, "space such as left-posterior-superior")
    if "space directions" not in fields:
        raise _without_direction(name, "space directions")


def _nrrd_values(fields: dict[str, str], name: str) -> int:
    """How many numbers the header promises."""
    try:
        sizes = tuple(int(n) for n in fields.get("sizes", "").split())
    except ValueError as error:
        raise InputError(f"{name} has a broken header: {error}.", FETCH_AGAIN) from error
    if not sizes or min(sizes) < 1:
        raise InputError(f"{name} has a broken header: sizes {sizes}.", FETCH_AGAIN)
    check_voxel_count(sizes, name)
    return math.prod(sizes)


def _check_nrrd_data(stream: Stream, fields: dict[str, str], values: int, name: str) -> None:
    """The stream stands at the first byte behind the header, or of the data file."""
    promised = values * _NRRD_BYTES.get(fields.get("type", "").lower(), 1)
    encoding = fields.get("encoding", "raw").lower()
    skipped = fields.get("line skip", fields.get("lineskip", "0"))
    for _ in range(min(int(skipped), 1000) if skipped.isdecimal() else 0):
        stream.readline(65536)
    if encoding in ("gzip", "gz"):
        present = _count_inflated_bytes(stream, promised, name)
    elif encoding in ("bzip2", "bz2"):
        present = _count_bzip2_bytes(stream, promised, name)
    else:
        present = _count_bytes(stream)
        if encoding in ("ascii", "text", "txt"):
            _check_text(present, values, name)
            return
        if encoding == "hex":
            present //= 2
    if present < promised:
        raise _less_than_promised(present, promised, name)


def _count_bzip2_bytes(stream: Stream, promised: int, name: str) -> int:
    count = 0
    try:
        with bz2.open(stream) as inflated:
            while chunk := inflated.read(_CHUNK_BYTES):
                count += len(chunk)
                refuse_excess(count, promised, name)
    except (OSError, EOFError) as error:
        raise InputError(f"{name} holds damaged compressed data.", FETCH_AGAIN) from error
    return count


def _less_than_promised(present: int, promised: int, name: str) -> InputError:
    return InputError(
        f"{name} is truncated: its header promises {promised:,} bytes of voxels, it holds "
        f"{present:,}.",
        FETCH_AGAIN,
    )
