"""Reads the header of a safetensors file and says in one sentence what is wrong with it.

Source: the format is an 8-byte little-endian length, a JSON header of that length, then the
tensors back to back; see the documentation of the `safetensors` library.
"""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from SAMI2ILib.errors import InputError, MissingError, ModelError

MAX_HEADER_BYTES: Final = 16 * 2**20
MAX_DESCRIPTION_BYTES: Final = 2**20

_LENGTH_BYTES: Final = 8
_GET_AGAIN: Final = "Get the file again."


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say in one sentence why a file cannot be read in this block.

    Raises:
        MissingError: There is no such file.
        InputError: It cannot be read.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise MissingError(f"There is no file {path}.", "Check the path.") from error
    except OSError as error:
        raise InputError(
            f"The file {path} cannot be read ({error.strerror}).", "Check the path."
        ) from error


def read_metadata(path: Path) -> dict[str, str]:
    """Read the string metadata of a safetensors file without reading its tensors.

    Args:
        path: The file.

    Returns:
        The metadata; empty where the file has none.

    Raises:
        MissingError: There is no such file.
        InputError: It cannot be opened.
        ModelError: It is not a safetensors file, or is shorter or longer than its header says.
    """
    with readable(path):
        size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(_LENGTH_BYTES + 1)
            length = _header_length(prefix, size, path)
            file.seek(_LENGTH_BYTES)
            raw = file.read(length)
    header = _parse(raw, path)
    _check_size(header, _LENGTH_BYTES + length, size, path)
    return _metadata(header, path)


def parse_metadata(content: bytes, path: Path) -> dict[str, str]:
    """Read the string metadata from the whole content of a safetensors file.

    Args:
        content: Of the file.
        path: Its path, for messages.

    Returns:
        As `read_metadata`.

    Raises:
        ModelError: As `read_metadata`.
    """
    length = _header_length(content[: _LENGTH_BYTES + 1], len(content), path)
    end = _LENGTH_BYTES + length
    header = _parse(content[_LENGTH_BYTES:end], path)
    _check_size(header, end, len(content), path)
    return _metadata(header, path)


def _header_length(prefix: bytes, size: int, path: Path) -> int:
    if size == 0:
        raise ModelError(f"The file {path} is empty.", _GET_AGAIN)
    if size <= _LENGTH_BYTES:
        raise _not_safetensors(path)
    length: int = struct.unpack("<Q", prefix[:_LENGTH_BYTES])[0]
    if prefix[_LENGTH_BYTES:] != b"{" or length < len("{}"):
        raise _not_safetensors(path)
    if length > MAX_HEADER_BYTES:
        raise ModelError(
            f"The header of {path} claims {length} bytes; at most {MAX_HEADER_BYTES} are allowed.",
            _GET_AGAIN,
        )
    if _LENGTH_BYTES + length > size:
        raise _truncated(path, _LENGTH_BYTES + length, size)
    return length


def _parse(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        # An object, not another JSON value: its first byte has been seen to be a brace.
        header: dict[str, Any] = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"The header of {path} is damaged: it is not JSON.", _GET_AGAIN) from error
    return header


def _check_size(header: dict[str, Any], header_end: int, size: int, path: Path) -> None:
    """Compare the file with the end of its last tensor."""
    ends = [0]
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if (
            not isinstance(offsets, list)
            or len(offsets) != 2
            or not all(type(offset) is int and offset >= 0 for offset in offsets)
        ):
            raise ModelError(
                f"The header of {path} is damaged: tensor {name[:80]!r} has no place.", _GET_AGAIN
            )
        ends.append(offsets[1])
    promised = header_end + max(ends)
    if size < promised:
        raise _truncated(path, promised, size)
    if size > promised:
        raise ModelError(
            f"The file {path} is damaged: it has {size} bytes, its header promises {promised}.",
            _GET_AGAIN,
        )


def _metadata(header: dict[str, Any], path: Path) -> dict[str, str]:
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise ModelError(f"The header of {path} is damaged: its metadata is no text.", _GET_AGAIN)
    for key, value in metadata.items():
        if len(value) > MAX_DESCRIPTION_BYTES:
            raise ModelError(
                f"The metadata {key[:80]!r} of {path} has {len(value)} characters; at most "
                f"{MAX_DESCRIPTION_BYTES} are allowed.",
                _GET_AGAIN,
            )
    return metadata


def _not_safetensors(path: Path) -> ModelError:
    return ModelError(
        f"The file {path} is not a safetensors file.",
        "A model is a .safetensors file; see `sami2i models list`.",
    )


def _truncated(path: Path, promised: int, size: int) -> ModelError:
    return ModelError(
        f"The file {path} is truncated: it has {size} bytes, its header promises {promised}.",
        "Copy or download it again.",
    )
