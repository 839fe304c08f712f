"""What took long to compute, kept in the user's cache; whatever is doubtful there is ignored."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from torch import nn

from SAMI2ILib.about import VERSION
from SAMI2ILib.atomic import atomic_path, make_folder
from SAMI2ILib.errors import OutputError

CACHE_VARIABLE: Final = "SAMI2I_CACHE_DIR"
ENTRIES_KEPT: Final = 16
"""The least recently written beyond these are removed: a large network's entry has 300 MB."""


def cache_folder() -> Path:
    """Find the cache: `SAMI2I_CACHE_DIR`, else `SAMI2I` in the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("SAMI2I", appauthor=False)


def weights_sha256(network: nn.Module) -> str:
    """Name the weights and the build of a network: equal ones compute the same."""
    digest = hashlib.sha256(repr(network).encode())
    for name, module in network.named_modules():  # heads, windows and shifts are in no repr
        plain = {
            key: value
            for key, value in vars(module).items()
            if key != "training" and isinstance(value, int | float | str | tuple | list)
        }
        digest.update(f"{name} {sorted(plain.items())}".encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().contiguous().numpy().data)
    return digest.hexdigest()


class CacheEntry:
    """One file and beside it a note of what it is; both fit, or the entry is not there.

    Args:
        kind: Short name of what is kept.
        key: What the entry depends on, JSON values; it names the file.
        made_by: Versions of what makes it. An entry of others is not read, and replaced.
    """

    def __init__(self, kind: str, key: dict[str, Any], made_by: dict[str, str]) -> None:
        text = json.dumps(key, sort_keys=True)
        self._path = cache_folder() / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}.bin"
        self._note = {"key": key, "made_by": {"SAMI2ILib": VERSION, **made_by}}

    def read(self) -> bytes | None:
        """The content; None if there is none, or it was made by another version, or is damaged."""
        try:
            note = json.loads(self._note_path.read_text(encoding="utf-8"))
            sha256 = note.pop("sha256")
            content = self._path.read_bytes() if note == self._note else None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None
        if content is None or hashlib.sha256(content).hexdigest() != sha256:
            return None
        return content

    def write(self, content: bytes) -> None:
        """Keep the content; a folder that cannot be written to keeps nothing."""
        note = {**self._note, "sha256": hashlib.sha256(content).hexdigest()}
        with suppress(OutputError):
            make_folder(self._path.parent)
            # Without a note the file counts for nothing; so the note comes last.
            with atomic_path(self._path) as path:
                path.write_bytes(content)
            with atomic_path(self._note_path) as path:
                path.write_text(json.dumps(note), encoding="utf-8")
            self._remove_oldest()

    @property
    def _note_path(self) -> Path:
        return self._path.with_suffix(".json")

    def _remove_oldest(self) -> None:
        with suppress(OSError):
            files = sorted(self._path.parent.glob("*-*.bin"), key=lambda file: file.stat().st_mtime)
            for file in files[:-ENTRIES_KEPT]:
                file.with_suffix(".json").unlink(missing_ok=True)
                file.unlink(missing_ok=True)
