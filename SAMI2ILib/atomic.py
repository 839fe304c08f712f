"""Folders and files that appear whole or not at all; the one place that makes them."""

import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from SAMI2ILib.errors import OutputError
from SAMI2ILib.processes import birth, is_running, this_place

TEMPORARY_PREFIX = ".sami2i-"

# The holder of a lock renames a few files, which takes milliseconds: after this it must be dead.
_LOCK_SECONDS = 10.0
_LOCK_POLL_SECONDS = 0.01

# A virus scanner or an indexer holds a new file for a moment; Windows renames nothing meanwhile.
_PATIENCE_SECONDS = 2.0
_PATIENCE_POLL_SECONDS = 0.05

# What Windows takes unless long paths are switched on, and room for our temporary names.
_LONGEST_WINDOWS_PATH = 259
_LONGEST_TEMPORARY_NAME = 80

# Nothing is written for so long without a change: a leftover, wherever its process was.
_LEFTOVER_SECONDS = 24 * 3600

# Place, number and birth of the process whose a temporary name is; older names lack the birth.
_OWNER = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}([0-9a-f]{{8}})-(\d{{1,10}})-(?:(\d+)-)?")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; rename it to `path` if the block succeeds.

    The temporary file exists, empty and with the permissions of a new file; its name ends as
    `path` does, so that writers that choose a format by extension work. If the block fails in any
    way, Ctrl-C included, it is removed and `path` is as it was. Its content is on the disk before
    it gets its name: a loss of power leaves the old file or the new one.

    Raises:
        OutputError: The folder does not exist, cannot be written to, or the disk is full.
    """
    temporary = _temporary(path.parent, "".join(path.suffixes[-2:]))
    try:
        # Exclusive creation: a file or link that someone else put there is never written through.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        move_into_place(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # it has got its name, or `remove_leftovers` finds it
            temporary.unlink()


@contextmanager
def atomic_folder(folder: Path, *, replace: bool = True) -> Iterator[Path]:
    """Give an empty temporary folder; it becomes `folder` if the block succeeds.

    What `folder` held before is replaced. If the block fails in any way, it is as it was.

    Args:
        folder: The folder to make; the one that it lies in exists.
        replace: Whether `folder` may hold something, which is then lost.

    Raises:
        OutputError: The folder that it lies in does not exist or cannot be written to; `folder`
            holds something and may not be replaced, or another program has a file of it open.
    """
    try:
        with _temporary_folder(folder.parent) as temporary:
            staged, before = temporary / folder.name, temporary / f"{folder.name}-before"
            staged.mkdir()
            yield staged
            try:
                if folder.exists() and replace:
                    move_into_place(folder, before)
                elif folder.exists():
                    folder.rmdir()  # fails where it holds something
                move_into_place(staged, folder)
            except BaseException:
                with suppress(OSError):  # there was none, or it is where it was
                    move_into_place(before, folder)
                raise
    except OSError as error:
        raise _cannot_write(folder, error) from error


@contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """Give a new folder; it is removed afterwards with what is left in it.

    Not one of `tempfile`: those are for their owner alone, on Windows with all that moves out of
    them (since Python 3.11.10 and 3.12.4), and where Windows lets nobody write it looks for a free
    name without end.
    """
    temporary = _temporary(parent)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def move_into_place(source: Path, target: Path) -> None:
    """Rename a file or folder on one disk; a file that has the name is replaced.

    Raises:
        OSError: It cannot be renamed; on Windows also where another program has it or the target
            open, and does not let go of it within two seconds.
    """
    patience = _PATIENCE_SECONDS if sys.platform == "win32" else 0.0
    deadline = time.monotonic() + patience
    while True:
        try:
            source.replace(target)
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PATIENCE_POLL_SECONDS)
        else:
            return


def check_place(path: Path, makes_folder: bool = False) -> None:
    """Refuse, before work that takes long, a file that could not be written at its end.

    Args:
        path: Of the file.
        makes_folder: Whether the folder that it lies in is made where it is missing.

    Raises:
        OutputError: It is a folder, or the folder that it lies in is missing or not to be written.
    """
    folder = path.absolute().parent
    if makes_folder:
        folder = nearest_folder(path)
    if path.is_dir():
        trouble, hint = "it is a folder", "Name a file."
    elif not folder.is_dir():
        trouble, hint = f"there is no folder {str(folder)!r}", "Make it, or name another."
    elif not may_write(folder):
        trouble, hint = f"{str(folder)!r} may not be written to", "Name another folder."
    else:
        return
    raise OutputError(f"{path.name!r} cannot be written: {trouble}.", hint)


def nearest_folder(path: Path) -> Path:
    """The innermost of the places around a path that exists.

    Where none does, as on a drive or a server of Windows that is not connected, the outermost.
    """
    parents = path.absolute().parents
    return next((parent for parent in parents if parent.exists()), parents[-1])


def may_write(folder: Path) -> bool:
    """Whether files can be made in a folder; Windows tells only when one is made."""
    if sys.platform == "win32":
        try:
            try_writing(folder)
        except OSError:
            return False
        return True
    return os.access(folder, os.W_OK)


def try_writing(folder: Path) -> None:
    """Make a file in a folder and remove it.

    Not one of `tempfile`: where Windows lets nobody write, that looks for a free name without end.

    Raises:
        OSError: None can be made.
    """
    probe = _temporary(folder)
    os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    with suppress(OSError):
        probe.unlink()


@contextmanager
def exclusive(path: Path) -> Iterator[Callable[[], None]]:
    """Give a function that waits until no other process changes `path` and what belongs to it.

    From its call to the end of the block the others wait. Hold it for renames only: a lock that
    outlives `_LOCK_SECONDS` is taken for one that a killed process has left.

    Args:
        path: A file to be; its folder exists when the function is called.

    Raises:
        OutputError: The folder cannot be written to.
    """
    key = hashlib.sha256(path.name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    lock = path.with_name(f"{TEMPORARY_PREFIX}lock-{key}")
    is_held = False

    def take_turn() -> None:
        nonlocal is_held
        started = time.monotonic()
        while not is_held:
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
                is_held = True
            except OSError as error:
                # Windows refuses a name for a moment after its file has been removed.
                is_taken = isinstance(error, FileExistsError) or (
                    sys.platform == "win32" and isinstance(error, PermissionError)
                )
                is_late = time.monotonic() - started > _LOCK_SECONDS
                if not is_taken or (is_late and not lock.exists()):
                    raise _cannot_write(path, error) from error
                if is_late:
                    lock.unlink(missing_ok=True)
                    started = time.monotonic()
                time.sleep(_LOCK_POLL_SECONDS)

    try:
        yield take_turn
    finally:
        if is_held:
            with suppress(OSError):
                lock.unlink()


def write_text(text: str, path: Path) -> None:
    """Write a UTF-8 file with the line ends of `text`, whole or not at all.

    A file name that is not UTF-8 holds lone surrogates in Python. They are written as escapes,
    which in JSON are the same letters.

    Raises:
        OutputError: The folder does not exist, cannot be written to, or the disk is full.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, or keep the one that is there.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "Choose a place that you may write to."
        if folder.exists():
            hint = "A file has this name: choose another one."
        raise OutputError(
            f"The folder {str(folder)!r} cannot be made: {error.strerror or error}.", hint
        ) from error


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes have left in a folder; call it before writing there.

    A temporary file or folder of ours goes if its process ran on this machine and is gone, or, of
    a process that cannot be asked for, if nothing has touched it for a day. What cannot be removed
    stays.

    Args:
        folder: Need not exist.
    """
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if not _is_leftover(path):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def _is_leftover(path: Path) -> bool:
    owner = _OWNER.match(path.name)
    if owner and owner[1] == this_place():
        runs = is_running(int(owner[2]), owner[3] or "")
        if runs is not None:
            return not runs  # whatever the clock says
    try:
        return time.time() - path.lstat().st_mtime > _LEFTOVER_SECONDS
    except OSError:
        return False  # gone meanwhile


def _temporary(folder: Path, ending: str = "") -> Path:
    """A path in a folder that nobody has, by which `remove_leftovers` knows this process."""
    return folder / f"{own_prefix()}{secrets.token_hex(6)}{ending}"


def own_prefix() -> str:
    """What the names of this process's temporary files begin with; see `remove_leftovers`."""
    born = birth(os.getpid())
    return f"{TEMPORARY_PREFIX}{this_place()}-{os.getpid()}-{born}{'-' if born else ''}"


def _cannot_write(path: Path, error: OSError) -> OutputError:
    hint = "Choose an existing folder that you may write to and that has space left."
    if sys.platform == "win32":
        room = len(str(path.absolute().parent)) + max(len(path.name), _LONGEST_TEMPORARY_NAME)
        if isinstance(error, PermissionError) and path.exists():
            hint = "Close the programs that have it open, or choose another name or folder."
        elif room > _LONGEST_WINDOWS_PATH:
            hint = "Choose a folder whose path is shorter: Windows takes 259 letters in all."
    return OutputError(f"{path.name!r} cannot be written: {error.strerror or error}.", hint)
