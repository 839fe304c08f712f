"""Looks at a NIfTI file before ITK does, for what ITK accepts without a word.

ITK fills the rest of a truncated file with zeros, makes NaN voxels 0, replaces a zero or NaN voxel
size by 1, takes the spacing from one half of the header and the direction from the other, and
chooses between two positions by rules of its own: wrong images without an error.
"""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.geometry import Matrix, axis_codes, check_ijk_to_ras
from SAMI2ILib.imaging.header_checks import (
    FETCH_AGAIN,
    MOST_TRAILING_BYTES,
    Stream,
    chunks,
    refuse_excess,
)
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.imaging.volume import check_voxel_count

_HEADER_BYTES = 348
_NIFTI_2_HEADER_BYTES = 540
_FLOATS = {16: "f4", 64: "f8"}
# sform and pixdim give the voxel size twice; float32 rounding explains 1e-6, not more than this.
_SPACING_AGREEMENT = 1e-3
# Of the smallest voxel side: nobody sees less, and the rounding of a quaternion is far below it.
_FORM_AGREEMENT = 0.5
# A registration that wrote only the sform moves a head by less; more is another place.
_FORM_LIMIT_MM = 20.0


@dataclass(frozen=True)
class Position:
    """Which of two positions counts, in an image that gives two.

    Attributes:
        ijk_to_ras: The position that counts.
        notice: What the user should hear of it.
    """

    ijk_to_ras: Matrix
    notice: Notice


@dataclass(frozen=True)
class _Header:
    """The fields that say size, place and length."""

    byte_order: str
    dim: tuple[int, ...]
    datatype: int
    bits_per_voxel: int
    pixdim: tuple[float, ...]
    data_offset: int
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]
    qoffset: tuple[float, ...]
    sform: tuple[float, ...]

    @property
    def voxel_count(self) -> int:
        """Product of all sizes, also along time."""
        return math.prod(self.dim[1 : self.dim[0] + 1])


def check_nifti(path: Path) -> Position | None:
    """Refuse a NIfTI file (.nii, .nii.gz) whose header or length is not right.

    Returns:
        Where the image lies, if it gives two positions that are close to each other; else None:
        ITK's position is the only one.

    Raises:
        InputError: Not NIfTI-1; truncated; a damaged gzip stream; voxel sizes that are zero,
            negative or NaN; voxels that are NaN or Inf; an sform that is sheared or disagrees with
            the voxel sizes, or with the qform about the sides or by much; no orientation at all;
            absurdly many voxels; far more data than the header promises.
        OSError: The file cannot be opened.
    """
    with path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if compressed else path.open("rb") as stream:
            header = _read_header(stream, path.name)
            position = _check_header(header, path.name)
            promised = header.data_offset + header.voxel_count * header.bits_per_voxel // 8
            stream.seek(header.data_offset)
            data_bytes, not_finite = _scan_data(stream, header)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path.name} is a damaged gzip file.", FETCH_AGAIN) from error
    present = header.data_offset + data_bytes
    refuse_excess(present, promised, path.name)
    if present < promised:
        raise InputError(
            f"{path.name} is truncated: its header promises {promised:,} bytes, it holds "
            f"{present:,}.",
            FETCH_AGAIN,
        )
    if not_finite:
        raise InputError(
            f"{path.name} holds {not_finite} voxels that are NaN or Inf.",
            "Replace them, for example by 0, and try again.",
        )
    return position


def _scan_data(stream: Stream, header: _Header) -> tuple[int, int]:
    """Length of the data, and how many voxels are not finite.

    Reads to the end of the stream, so that the checksum of a gzip file is compared.
    """
    kind = _FLOATS.get(header.datatype)
    wanted = header.voxel_count * header.bits_per_voxel // 8
    length = not_finite = 0
    for chunk in chunks(stream):
        if kind is not None and length < wanted:
            dtype = np.dtype(header.byte_order + kind)
            # Chunks are whole voxels but for a truncated end.
            count = min(len(chunk), wanted - length) // dtype.itemsize
            values = np.frombuffer(chunk, dtype, count)
            not_finite += count - int(np.count_nonzero(np.isfinite(values)))
        length += len(chunk)
        if length > wanted + MOST_TRAILING_BYTES:
            break
    return length, not_finite


def _read_header(stream: Stream, name: str) -> _Header:
    data = stream.read(_HEADER_BYTES)
    for order in ("<", ">"):
        size = struct.unpack_from(order + "i", data)[0] if len(data) >= 4 else 0
        if size == _NIFTI_2_HEADER_BYTES:
            raise InputError(
                f"{name} is a NIfTI-2 file, which is not read.",
                "Save it as NIfTI-1 or NRRD, for example with nibabel or 3D Slicer.",
            )
        # Without the magic it is Analyze 7.5, which knows no orientation.
        is_nifti = len(data) == _HEADER_BYTES and data[344:348] == b"n+1\0"
        if size == _HEADER_BYTES and is_nifti:
            return _Header(
                byte_order=order,
                dim=struct.unpack_from(order + "8h", data, 40),
                datatype=struct.unpack_from(order + "h", data, 70)[0],
                bits_per_voxel=struct.unpack_from(order + "h", data, 72)[0],
                pixdim=struct.unpack_from(order + "8f", data, 76),
                data_offset=_offset(struct.unpack_from(order + "f", data, 108)[0], name),
                qform_code=struct.unpack_from(order + "h", data, 252)[0],
                sform_code=struct.unpack_from(order + "h", data, 254)[0],
                quaternion=struct.unpack_from(order + "3f", data, 256),
                qoffset=struct.unpack_from(order + "3f", data, 268),
                sform=struct.unpack_from(order + "12f", data, 280),
            )
    raise InputError(
        f"{name} is not a NIfTI image.", "Give a NIfTI, NRRD or MHA file, or a DICOM folder."
    )


def _offset(value: float, name: str) -> int:
    if not 0 <= value < 2**31:
        raise InputError(f"{name} has a broken header: its data offset is {value}.", FETCH_AGAIN)
    return max(int(value), _HEADER_BYTES)


def _check_header(header: _Header, name: str) -> Position | None:
    dimensions = header.dim[0]
    sizes = header.dim[1 : dimensions + 1]
    if not 1 <= dimensions <= 7 or min(sizes) < 1 or header.bits_per_voxel < 1:
        raise InputError(
            f"{name} has a broken header: sizes {header.dim}, {header.bits_per_voxel} bits per "
            "voxel.",
            FETCH_AGAIN,
        )
    check_voxel_count(sizes, name)
    spacing = header.pixdim[1 : min(dimensions, 3) + 1]
    if not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(
            f"{name} has the voxel size {spacing} mm: zero, negative or not a number.",
            "Repair pixdim in the header or export the image again.",
        )
    if header.sform_code > 0:
        return _check_sform(header, name)
    if header.qform_code <= 0:
        raise InputError(
            f"{name} does not say how the patient lies in it (its qform and sform codes are 0).",
            "Export it again with its orientation, or set the sform with the tool that wrote it.",
        )
    return None


def _check_sform(header: _Header, name: str) -> Position | None:
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
    # An sform of code 1 is what ITK reads, like all other programs.
    if header.qform_code > 0 and header.sform_code > 1:
        return _choose_form(header, matrix, name)
    return None


def _choose_form(header: _Header, sform: Matrix, name: str) -> Position | None:
    """Choose between the place for 3D Slicer and ITK and the place for all others.

    Raises:
        InputError: They disagree about the sides of the patient, or by much.
    """
    qform = _qform(header)
    last = np.array([*header.dim[1:4], 1, 1])[:3] - 1
    corners = np.array(list(product(*((0, n) for n in last))))  # (8, 3) ijk
    drift = corners @ (qform[:3, :3] - sform[:3, :3]).T + (qform[:3, 3] - sform[:3, 3])
    furthest = float(np.linalg.norm(drift, axis=1).max())
    if furthest <= _FORM_AGREEMENT * min(header.pixdim[1:4]):
        return None
    said = (
        f"{name} lies in two places, {furthest:.1f} mm apart: 3D Slicer reads its qform, most "
        "other programs its sform"
    )
    if not furthest <= _FORM_LIMIT_MM or axis_codes(qform) != axis_codes(sform):
        raise InputError(
            f"{said}.",
            "Load it in the program that shows it in the right place and save it anew, or set its "
            "sform code to 1 (scanner) for the sform, to 0 for the qform.",
        )
    by_sform = header.sform_code >= header.qform_code
    counts = "sform" if by_sform else "qform"
    notice = Notice("two-positions", f"{said}. The {counts} counts here, as its code is not lower.")
    return Position(sform if by_sform else qform, notice)


def _qform(header: _Header) -> Matrix:
    """The matrix of a quaternion, as the NIfTI-1 standard defines it."""
    b, c, d = header.quaternion
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handedness = -1.0 if header.pixdim[0] < 0 else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * header.pixdim[1:4] * (1.0, 1.0, handedness)
    matrix[:3, 3] = header.qoffset
    return matrix
