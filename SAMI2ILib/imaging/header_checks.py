"""Looks at MetaImage and NRRD files before ITK does, for what ITK accepts without a word.

ITK returns a damaged compressed MetaImage as if it were whole, and lets an image that says nothing
of its direction lie straight: wrong images without an error. What it does to NIfTI is in
`nifti_checks`.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.volume import check_voxel_count

Stream: TypeAlias = BinaryIO | gzip.GzipFile

# What may follow the voxels: some tools pad their files.
MOST_TRAILING_BYTES = 2**28
FETCH_AGAIN = "Copy or download the file again: it is damaged or was not written completely."

_CHUNK_BYTES = 2**20
_ELEMENT_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4,
    "LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip
# Those that ITK turns to its own; it takes all others as they are.
_NRRD_SPACES = {
    "right-anterior-superior", "ras", "left-anterior-superior", "las", "left-posterior-superior",
    "lps",
}  # fmt: skip
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
    if data_file.upper().startswith("LIST") or "%" in data_file:
        return  # one file a slice: ITK refuses what is missing there
    if not (path.parent / data_file).is_file():  # a device would never end
        raise InputError(
            f"{path.name} names the data file {data_file}, which is not there.",
            "Keep the two files in one folder.",
        )
    with (path.parent / data_file).open("rb") as stream:
        _check_metaimage_data(stream, fields, data_file)


def _read_metaimage_fields(stream: Stream, name: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for _ in range(200):
        key, equals, value = stream.readline(4096).decode("utf-8", "replace").partition("=")
        if not equals:
            break
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
    if fields.get("BinaryData", "True").lower() == "false":
        return  # written as text, of any length; ITK counts the numbers
    if fields.get("CompressedData", "False").lower() == "true":
        present = _count_inflated_bytes(stream, promised, name)
    else:
        present = _count_bytes(stream)
    if present < promised:
        raise InputError(
            f"{name} is truncated: its header promises {promised:,} bytes of voxels, it holds "
            f"{present:,}.",
            FETCH_AGAIN,
        )


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


def check_nrrd(path: Path) -> None:
    """Refuse an NRRD (.nrrd, .nhdr) that does not say how the patient lies in it.

    Raises:
        InputError: No `space` that is anatomical, or no `space directions`. What is no NRRD at all
            is left to ITK.
        OSError: The file cannot be opened.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as stream:
        if not stream.readline(4096).startswith(b"NRRD"):
            return
        for _ in range(1000):
            line = stream.readline(65536).decode("utf-8", "replace").strip()
            if not line:
                break
            name, colon, value = line.partition(":")
            if colon and not value.startswith("="):  # `key:=value` is a remark
                fields[name.strip().lower()] = value.strip()
    if fields.get("space", "").lower() not in _NRRD_SPACES:
        raise _without_direction(path.name, "space such as left-posterior-superior")
    if "space directions" not in fields:
        raise _without_direction(path.name, "space directions")
