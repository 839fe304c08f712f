"""Files that appear whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from SAMI2ILib.errors import OutputError

TEMPORARY_PREFIX = ".sami2i-"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; rename it to `path` if the block succeeds.

    The temporary file exists, empty and with the permissions of a new file; its name ends as
    `path` does, so that writers that choose a format by extension work. If the block fails in any
    way, Ctrl-C included, it is removed and `path` is as it was.

    Raises:
        OutputError: The folder does not exist, cannot be written to, or the disk is full.
    """
    name = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{''.join(path.suffixes[-2:])}"
    temporary = path.with_name(name)
    try:
        # Exclusive creation: a file or link that someone else put there is never written through.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"The file {path.name!r} cannot be written: {error.strerror or error}.",
        "Choose an existing folder that you may write to and that has space left.",
    )
