"""Turns a valid file into a hostile one; the same random generator gives the same file."""

import gzip
import json
import random
import re
import struct
from collections.abc import Callable
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]

# What parsers stumble over, as words of a text header or as values of a JSON object.
WORDS = [
    "", "0", "-1", "1", "65536", "1000000", "2147483648", "9223372036854775808", "1e999", "nan",
    "-inf", "0x10", "1e6 1e6 1e6", "1000000 1000000 1000000", "../../escaped", "/dev/zero",
    "/etc/passwd", "C:\\escaped", "%s%n%d", "\x00", "A" * 5000, "B" * 30_000, "LIST", "LOCAL",
    "raw", "gzip", "bzip2", "hex", "<img src='file:///etc/passwd'>", "<a href='https://example.invalid'>x</a>",
    "\u202egnp.exe", "(nan,0,0) (0,1,0) (0,0,1)", "(0,0,0) (0,0,0) (0,0,0)", "none",
]  # fmt: skip
NUMBERS = [0, 1, -1, 127, 255, 32767, -32768, 65535, 10**6, 2**31 - 1, -(2**31), 2**32 - 1]
VALUES: list[Any] = [
    None, True, -1, 0, 1e308, 2**70, "", [], {}, [[[[]]]], {"a": {"a": {}}}, "x" * 300, *WORDS[-8:],
]  # fmt: skip
LARGEST = 200_000


def mutated(seed: bytes, kind: str, draw: random.Random) -> bytes:
    """Change a file in one to four ways that suit its kind.

    Args:
        seed: A valid file.
        kind: "binary", "text" or "json": what its header is; "gzip" for a compressed binary.
        draw: Decides everything.
    """
    if kind == "gzip" and draw.random() < 0.8:
        # Past the checksum of the container, to what reads the content.
        return gzip.compress(mutated(gzip.decompress(seed), "binary", draw), 1, mtime=0)
    data = seed
    for _ in range(draw.choice([1, 1, 1, 2, 3, 4])):
        if not data:
            break
        data = draw.choice(_FOR[kind if kind in _FOR else "binary"])(data, draw)
    return data[:LARGEST]


def flip_bit(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    changed[_place(data, draw)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def set_number(data: bytes, draw: random.Random) -> bytes:
    """Write an extreme number over some bytes, as integer or float of any size and order."""
    number = draw.choice(NUMBERS)
    order, kind = draw.choice("<>"), draw.choice("BHIQfd")
    if kind in "fd":
        number = draw.choice([float(number), float("nan"), float("inf"), 1e-40, 1e30])
    else:
        number %= 1 << 8 * struct.calcsize(kind)
    raw = struct.pack(order + kind, number)
    at = _place(data, draw)
    return data[:at] + raw + data[at + len(raw) :]


def cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data))]


def drop_piece(data: bytes, draw: random.Random) -> bytes:
    at = _place(data, draw)
    return data[:at] + data[at + draw.choice([1, 2, 4, 16, 256]) :]


def repeat_piece(data: bytes, draw: random.Random) -> bytes:
    at, length = _place(data, draw), draw.choice([1, 2, 4, 16, 256])
    return data[:at] + data[at : at + length] * draw.choice([2, 3, 50]) + data[at + length :]


def noise(data: bytes, draw: random.Random) -> bytes:
    at = _place(data, draw)
    return data[:at] + draw.randbytes(draw.choice([1, 4, 32])) + data[at:]


def set_word(data: bytes, draw: random.Random) -> bytes:
    """Put another value into one line of a text header, after its `=` or `:`."""
    found = list(re.finditer(rb"(?m)^[ -~]{2,40}?(?::=?|=)[ \t]*([^\r\n]{0,200})", data[:8192]))
    if not found:
        return flip_bit(data, draw)
    start, end = draw.choice(found).span(1)
    return data[:start] + draw.choice(WORDS).encode() + data[end:]


def move_line(data: bytes, draw: random.Random) -> bytes:
    lines = data.split(b"\n")
    line = lines.pop(draw.randrange(min(len(lines), 30)))
    if draw.random() < 0.5:
        for _ in range(draw.choice([1, 2])):
            lines.insert(draw.randrange(min(len(lines), 30) + 1), line)
    return b"\n".join(lines)


def set_value(data: bytes, draw: random.Random) -> bytes:
    """Replace, remove, add or wrap one value of the JSON object in a file.

    The object may stand alone, or in the header of a safetensors file, whose length is corrected;
    there the description, itself JSON in a string, is changed as often as the header.
    """
    try:
        if data[8:9] == b"{":
            length = int.from_bytes(data[:8], "little")
            document = json.loads(data[8 : 8 + length])
            _change_header(document, draw)
            raw = json.dumps(document).encode()
            return struct.pack("<Q", len(raw)) + raw + data[8 + length :]
        document = json.loads(data)
        _change(document, draw)
        return json.dumps(document).encode()
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError, StopIteration):
        return flip_bit(data, draw)


def _change_header(header: dict[str, Any], draw: random.Random) -> None:
    metadata = header["__metadata__"]
    key = next(iter(metadata))
    if draw.random() < 0.5:
        _change(header, draw)
        return
    description = json.loads(metadata[key])
    _change(description, draw)
    if draw.random() < 0.7:
        description.pop("content_sha256", None)  # or nothing behind its check is reached
    metadata[key] = json.dumps(description)


def _change(document: Any, draw: random.Random) -> None:
    places = list(_places(document))
    if not places:
        return
    holder, key = draw.choice(places)
    action = draw.randrange(5)
    if action == 0:
        del holder[key]
    elif action == 1 and isinstance(holder, dict):
        holder[draw.choice(WORDS)] = draw.choice(VALUES)
    elif action == 2:
        deep: Any = holder[key]
        for _ in range(draw.choice([1, 100, 900])):
            deep = [deep]
        holder[key] = deep
    elif action == 3 and isinstance(holder[key], int | float):
        holder[key] = draw.choice([*NUMBERS, -0.5, 1e-300, 2**63])
    else:
        holder[key] = draw.choice(VALUES)


def _places(value: Any) -> Any:
    items = (
        value.items() if isinstance(value, dict) else
        enumerate(value) if isinstance(value, list) else ()
    )  # fmt: skip
    for key, inner in items:
        yield value, key
        yield from _places(inner)


def _place(data: bytes, draw: random.Random) -> int:
    """Mostly in the header: the voxels behind it are all alike."""
    return draw.randrange(min(len(data), draw.choice([64, 400, 400, 2000, len(data)])))


_BYTES: list[Mutation] = [flip_bit, set_number, set_number, cut, drop_piece, repeat_piece, noise]
_FOR: dict[str, list[Mutation]] = {
    "binary": _BYTES,
    "text": [set_word, set_word, set_word, set_word, move_line, *_BYTES],
    "json": [set_value, set_value, set_value, set_value, set_value, *_BYTES],
}
