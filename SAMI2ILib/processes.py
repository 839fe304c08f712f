"""Which process is meant, and whether it still runs: numbers are given again after a while."""

import ctypes
import functools
import hashlib
import os
import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

_GONE: Final = "gone"

# Of the Windows API: the right to ask for times, what GetExitCodeProcess says of a running process,
# and what OpenProcess says where no process has the number.
_PROCESS_QUERY_LIMITED_INFORMATION: Final = 0x1000
_STILL_ACTIVE: Final = 259
_ERROR_INVALID_PARAMETER: Final = 87


def birth(process: int) -> str:
    """When a process of this machine began, in digits that only compare with each other.

    Returns:
        Empty where that is not told, and "gone" for one that was killed but whose parent has not
        heard of it, so that it keeps its number.
    """
    return _birth_in_proc(process) if not hasattr(ctypes, "WinDLL") else _birth_on_windows(process)


def is_running(process: int, born: str = "") -> bool | None:
    """Whether a process of this machine runs.

    Args:
        process: Its number.
        born: What `birth` said of it; without, another process with its number passes for it.

    Returns:
        None where that is not told: on Windows without `born`, for asking by number ends a process.
    """
    now = birth(process)
    if now == _GONE:
        return False
    if born and now:
        return now == born
    if sys.platform == "win32":
        return None
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # another user's
    return True


@functools.cache
def this_place() -> str:
    """Where process numbers mean the same: this machine since it was started, this container."""
    parts = [platform.node()]
    if sys.platform == "darwin":
        # A name that Macs may share, and that changes with the network, does not tell them apart.
        asked = ("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")
        with suppress(OSError, subprocess.SubprocessError):
            parts = [subprocess.check_output(asked, stdin=subprocess.DEVNULL, encoding="ascii")]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
        parts.append(str(Path("/proc/self/ns/time").readlink()))  # what times of birth count from
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:8]


def _birth_in_proc(process: int) -> str:
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # the name, in parentheses, may hold spaces; fields 3 and 22 count from behind it
    state, *rest = text.rpartition(")")[2].split()
    return _GONE if state in "ZX" else rest[18]


def _birth_on_windows(process: int) -> str:
    # Microsoft, Win32 API: OpenProcess, GetExitCodeProcess, GetProcessTimes
    from ctypes import wintypes

    windows: Any = ctypes
    kernel = windows.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = wintypes.HANDLE
    kernel.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    handle = kernel.OpenProcess(_PROCESS_QUERY_LIMITED_INFORMATION, False, process)
    if not handle:
        return _GONE if windows.get_last_error() == _ERROR_INVALID_PARAMETER else ""
    handle = wintypes.HANDLE(handle)
    try:
        code, times = wintypes.DWORD(), [wintypes.FILETIME() for _ in range(4)]
        if not kernel.GetExitCodeProcess(handle, ctypes.byref(code)):
            return ""
        if code.value != _STILL_ACTIVE:
            return _GONE  # whoever holds a handle keeps the number
        if not kernel.GetProcessTimes(handle, *map(ctypes.byref, times)):
            return ""
        return str(times[0].dwHighDateTime << 32 | times[0].dwLowDateTime)
    finally:
        kernel.CloseHandle(handle)
