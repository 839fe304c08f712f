"""Errors that a user can act on: one sentence, one hint, one exit code each.

Every error that leaves the library on purpose is a `Sami2iError`. The command line prints
`message` and `hint` on one line and ends with `exit_code`; the Slicer panel shows the same two.
"""

import errno
from pathlib import Path
from typing import ClassVar, Final

_INTERNAL_ERROR_HINT = "This is a defect: please report it with the output of --debug."
_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LONGEST_PATH_QUOTED: Final = 60
# What libraries in C and C++, the dynamic linker and Python's threads say of it.
_MEMORY_WORDS: Final = (
    "Cannot allocate memory",
    "can't allocate memory",
    "Failed to allocate memory",
    "bad_alloc",
    "bad allocation",
    "failed to map segment",
    "can't start new thread",
)
# What torch says of it: on Windows, and of the memory of a GPU.
_TORCH_MEMORY_WORDS: Final = (
    "not enough memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
_GPU_WORDS: Final = ("CUDA", "CUBLAS", "CUDNN", "HIP")
# oneDNN's, where the code it makes finds no memory; more words behind it name another failure.
_ONEDNN_WORDS: Final = "could not create a primitive"


class Sami2iError(Exception):
    """Base of all deliberate errors.

    Args:
        message: What is wrong, with the argument's name, what was expected and what came.
        hint: What to change so that it works; empty where the message says it already.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(Sami2iError, ValueError):
    """The user's input or usage is wrong: a file, an option, a value."""

    exit_code = 2
    kind = "input"


class ShapeError(InputError):
    """An array or tensor has a shape that the callee cannot take."""

    kind = "shape"


class ModelError(Sami2iError):
    """A model file is corrupt, not ours, from a newer format, or for another contrast."""

    exit_code = 2
    kind = "model"


class MissingError(Sami2iError):
    """A dependency, encoder or model for this pair is not there; the hint says how to get it."""

    exit_code = 3
    kind = "missing"


class OutOfMemoryError(Sami2iError):
    """Memory ran out on every fallback."""

    exit_code = 4
    kind = "memory"


class OutputError(Sami2iError):
    """An output could not be written: disk full, no permission, folder gone."""

    kind = "output"


class NetworkError(Sami2iError):
    """A download failed; what had arrived is kept and continued the next time."""

    kind = "network"


class CancelledError(Sami2iError):
    """The user stopped the work; nothing was written."""

    exit_code = 130
    kind = "cancelled"

    def __init__(self, message: str = "Cancelled.", hint: str = "") -> None:
        super().__init__(message, hint)


def as_sami2i_error(error: BaseException) -> Sami2iError:
    """Say any exception as one of ours: what is not deliberate becomes an internal error."""
    if isinstance(error, Sami2iError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return CancelledError()
    if is_memory_failure(error):
        return _out_of_memory(error)
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("SAMI2ILib"):
        return MissingError(
            f"The Python package '{error.name}' is not installed.",
            "In 3D Slicer press Install in the panel; elsewhere install the software again.",
        )
    known = _of_the_system(error) if isinstance(error, OSError) else None
    return known or Sami2iError(
        f"Internal error: {type(error).__name__}: {error}.", _INTERNAL_ERROR_HINT
    )


def first_line(error: BaseException) -> str:
    """What an error says first, for a sentence of ours; its type where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def is_memory_failure(error: BaseException) -> bool:
    """Say whether memory ran out, in whichever words: only Python itself has a type for it."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    said = str(error)
    if isinstance(error, RuntimeError) and any(words in said for words in _TORCH_MEMORY_WORDS):
        return True
    return isinstance(error, RuntimeError | ImportError | OSError) and (
        said.strip() == _ONEDNN_WORDS or any(words in said for words in _MEMORY_WORDS)
    )


def _out_of_memory(error: BaseException) -> OutOfMemoryError:
    if isinstance(error, RuntimeError) and any(word in str(error) for word in _GPU_WORDS):
        return OutOfMemoryError(
            "The GPU's memory ran out.",
            "Close other programs on it, use --device cpu, or in a training raise "
            "optimization.accumulate, which divides the batch.",
        )
    return OutOfMemoryError("Memory ran out.", "Close other programs or use a smaller input.")


def _of_the_system(error: OSError) -> Sami2iError | None:
    """Say what the operating system refused, if the user can do something about it."""
    if error.errno in _DISK_FULL:
        return OutputError(f"The disk is full: {error}.", "Free some space and try again.")
    if error.errno == errno.ENAMETOOLONG:
        path = str(error.filename or "")
        shown = path if len(path) <= _LONGEST_PATH_QUOTED else f"...{path[-_LONGEST_PATH_QUOTED:]}"
        return InputError(
            f"The path {shown} is longer than this system allows.", "Choose a shorter name."
        )
    if isinstance(error, FileNotFoundError) and _folder_is_gone():
        return InputError(
            "The folder in which this was started is no longer there.", "Change to another one."
        )
    return None


def _folder_is_gone() -> bool:
    try:
        Path.cwd()
    except OSError:
        return True
    return False
