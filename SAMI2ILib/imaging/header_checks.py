"""Looks at NIfTI and MetaImage files before ITK does, for what ITK accepts without a word.

ITK fills the rest of a truncated NIfTI with zeros, makes its NaN voxels 0, replaces a zero or NaN
voxel size by 1, takes the spacing from one half of the header and the direction from the other,
and returns a damaged compressed MetaImage as if it were whole: wrong images without an error.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.geometry import check_ijk_to_ras
from SAMI2ILib.imaging.volume import check_voxel_count

_Stream: TypeAlias = BinaryIO | gzip.GzipFile

_CHUNK_BYTES = 2**20
_NIFTI_HEADER_BYTES = 348
_NIFTI_2_HEADER_BYTES = 540
_NIFTI_FLOATS = {16: "f4", 64: "f8"}
# sform and pixdim give the voxel size twice; float32 rounding explains 1e-6, not more than this.
_SPACING_AGREEMENT = 1e-3
_FETCH_AGAIN = "Copy or download the file again: it is damaged or was not written completely."


@dataclass(frozen=True)
class _NiftiHeader:
    """The fields that say size, place and length."""

    byte_order: str
    dim: tuple[int, ...]
    datatype: int
    bits_per_voxel: int
    pixdim: tuple[float, ...]
    data_offset: int
    qform_code: int
    sform_code: int
    sform: tuple[float, ...]

    @property
    def voxel_count(self) -> int:
        """Product of all sizes, also along time."""
        return math.prod(self.dim[1 : self.dim[0] + 1])


def check_nifti(path: Path) -> None:
    """Refuse a NIfTI file (.nii, .nii.gz) whose header or length is not right.

    Raises:
        InputError: Not NIfTI-1; truncated; a damaged gzip stream; voxel sizes that are zero,
            negative or NaN; voxels that are NaN or Inf; an sform that is sheared or disagrees with
            the voxel sizes; no orientation at all; absurdly many voxels.
        OSError: The file cannot be opened.
    """
    with path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if compressed else path.open("rb") as stream:
            header = _read_nifti_header(stream, path.name)
            _check_nifti_header(header, path.name)
            promised = header.data_offset + header.voxel_count * header.bits_per_voxel // 8
            stream.seek(header.data_offset)
            data_bytes, not_finite = _scan_nifti_data(stream, header)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path.name} is a damaged gzip file.", _FETCH_AGAIN) from error
    present = header.data_offset + data_bytes
    if present < promised:
        raise InputError(
            f"{path.name} is truncated: its header promises {promised:,} bytes, it holds "
            f"{present:,}.",
            _FETCH_AGAIN,
        )
    if not_finite:
        raise InputError(
            f"{path.name} holds {not_finite} voxels that are NaN or Inf.",
            "Replace them, for example by 0, and try again.",
        )


def _scan_nifti_data(stream: _Stream, header: _NiftiHeader) -> tuple[int, int]:
    """Length of the data, and how many voxels are not finite.

    Reads to the end of the stream, so that the checksum of a gzip file is compared.
    """
    kind = _NIFTI_FLOATS.get(header.datatype)
    wanted = header.voxel_count * header.bits_per_voxel // 8
    length = not_finite = 0
    for chunk in _chunks(stream):
        if kind is not None and length < wanted:
            dtype = np.dtype(header.byte_order + kind)
            # Chunks are whole voxels but for a truncated end.
            count = min(len(chunk), wanted - length) // dtype.itemsize
            values = np.frombuffer(chunk, dtype, count)
            not_finite += count - int(np.count_nonzero(np.isfinite(values)))
        length += len(chunk)
    return length, not_finite


def is_dicom_file(path: Path) -> bool:
    """True for a file with the DICOM preamble."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _read_nifti_header(stream: _Stream, name: str) -> _NiftiHeader:
    data = stream.read(_NIFTI_HEADER_BYTES)
    for order in ("<", ">"):
        size = struct.unpack_from(order + "i", data)[0] if len(data) >= 4 else 0
        if size == _NIFTI_2_HEADER_BYTES:
            raise InputError(
                f"{name} is a NIfTI-2 file, which is not read.",
                "Save it as NIfTI-1 or NRRD, for example with nibabel or 3D Slicer.",
            )
        # Without the magic it is Analyze 7.5, which knows no orientation.
        is_nifti = len(data) == _NIFTI_HEADER_BYTES and data[344:348] == b"n+1\0"
        if size == _NIFTI_HEADER_BYTES and is_nifti:
            return _NiftiHeader(
                byte_order=order,
                dim=struct.unpack_from(order + "8h", data, 40),
                datatype=struct.unpack_from(order + "h", data, 70)[0],
                bits_per_voxel=struct.unpack_from(order + "h", data, 72)[0],
                pixdim=struct.unpack_from(order + "8f", data, 76),
                data_offset=_offset(struct.unpack_from(order + "f", data, 108)[0], name),
                qform_code=struct.unpack_from(order + "h", data, 252)[0],
                sform_code=struct.unpack_from(order + "h", data, 254)[0],
                sform=struct.unpack_from(order + "12f", data, 280),
            )
    raise InputError(
        f"{name} is not a NIfTI image.", "Give a NIfTI, NRRD or MHA file, or a DICOM folder."
    )


def _offset(value: float, name: str) -> int:
    if not 0 <= value < 2**31:
        raise InputError(f"{name} has a broken header: its data offset is {value}.", _FETCH_AGAIN)
    return max(int(value), _NIFTI_HEADER_BYTES)


def _check_nifti_header(header: _NiftiHeader, name: str) -> None:
    dimensions = header.dim[0]
    sizes = header.dim[1 : dimensions + 1]
    if not 1 <= dimensions <= 7 or min(sizes) < 1 or header.bits_per_voxel < 1:
        raise InputError(
            f"{name} has a broken header: sizes {header.dim}, {header.bits_per_voxel} bits per "
            "voxel.",
            _FETCH_AGAIN,
        )
    check_voxel_count(sizes, name)
    spacing = header.pixdim[1 : min(dimensions, 3) + 1]
    if not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(
            f"{name} has the voxel size {spacing} mm: zero, negative or not a number.",
            "Repair pixdim in the header or export the image again.",
        )
    if header.sform_code > 0:
        _check_sform(header, name)
    elif header.qform_code <= 0:
        raise InputError(
            f"{name} does not say how the patient lies in it (its qform and sform codes are 0).",
            "Export it again with its orientation, or set the sform with the tool that wrote it.",
        )


def _check_sform(header: _NiftiHeader, name: str) -> None:
    matrix = np.eye(4)
    matrix[:3] = np.reshape(header.sform, (3, 4))
    matrix = check_ijk_to_ras(matrix, f"The sform of {name}")
    by_sform = np.linalg.norm(matrix[:3, :3], axis=0)
    count = min(header.dim[0], 3)
    by_pixdim = np.array(header.pixdim[1 : count + 1])
    if np.any(np.abs(by_sform[:count] / by_pixdim - 1.0) > _SPACING_AGREEMENT):
        raise InputError(
            f"{name} gives two voxel sizes: {by_sform.round(4).tolist()} mm by its sform, "
            f"{by_pixdim.round(4).tolist()} mm by its pixdim.",
            "Export the image again; one half of its header was changed without the other.",
        )


def _count_bytes(stream: _Stream) -> int:
    """Length of a stream; read to its end so that the checksum of a gzip file is compared."""
    return sum(len(chunk) for chunk in _chunks(stream))


def _chunks(stream: _Stream) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def check_metaimage(path: Path) -> None:
    """Refuse a MetaImage (.mha, .mhd) whose header or length is not right.

    Raises:
        InputError: Not MetaImage; truncated; a damaged compressed stream; its data file is
            missing; voxel sizes that are zero, negative or NaN; absurdly many voxels.
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
    try:
        with (path.parent / data_file).open("rb") as stream:
            _check_metaimage_data(stream, fields, data_file)
    except FileNotFoundError as error:
        raise InputError(
            f"{path.name} names the data file {data_file}, which is not there.",
            "Keep the two files in one folder.",
        ) from error


_ELEMENT_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4,
    "LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip


def _read_metaimage_fields(stream: _Stream, name: str) -> dict[str, str]:
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
        int(fields.get("HeaderSize", 0)), int(fields.get("ElementNumberOfChannels", 1))
    except ValueError as error:
        raise InputError(f"{name} has a broken header: {error}.", _FETCH_AGAIN) from error
    if not sizes or min(sizes) < 1:
        raise InputError(f"{name} has a broken header: sizes {sizes}.", _FETCH_AGAIN)
    check_voxel_count(sizes, name)
    if not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(
            f"{name} has the voxel size {spacing} mm: zero, negative or not a number.",
            "Repair ElementSpacing in the header or export the image again.",
        )


def _check_metaimage_data(stream: _Stream, fields: dict[str, str], name: str) -> None:
    """The stream stands at the first byte of the data."""
    values = int(fields.get("ElementNumberOfChannels", 1))
    for size in fields["DimSize"].split():
        values *= int(size)
    element = fields["ElementType"].upper().removeprefix("MET_").removesuffix("_ARRAY")
    promised = values * _ELEMENT_BYTES.get(element, 1)
    if fields.get("CompressedData", "False").lower() == "true":
        present = _count_inflated_bytes(stream, name)
    else:
        present = _count_bytes(stream)
    if present < promised:
        raise InputError(
            f"{name} is truncated: its header promises {promised:,} bytes of voxels, it holds "
            f"{present:,}.",
            _FETCH_AGAIN,
        )


def _count_inflated_bytes(stream: _Stream, name: str) -> int:
    # 32: zlib or gzip, whichever the stream starts with; both carry a checksum.
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    count = 0
    try:
        for chunk in _chunks(stream):
            count += len(inflater.decompress(chunk))
            if inflater.eof:
                return count
    except zlib.error as error:
        raise InputError(f"{name} holds damaged compressed data.", _FETCH_AGAIN) from error
    raise InputError(f"{name} is truncated: its compressed data end early.", _FETCH_AGAIN)
