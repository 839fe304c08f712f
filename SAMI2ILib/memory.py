"""How this process takes memory from the operating system and how much it took."""

import re
import sys
from pathlib import Path
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK = 2**30


def keep_freed_memory() -> None:
    """Let the allocator keep what is freed; every slice asks for the same blocks again.

    The GNU C library hands each large block back to the kernel and gets it anew, page by page. That
    costs a sixth to a quarter of a network's time on a CPU. Elsewhere nothing is changed.
    """
    if sys.platform != "linux":
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # another C library: it has its own way
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def peak_memory_bytes() -> int | None:
    """The largest resident size of this process so far; None where the system does not say."""
    if sys.platform == "win32":
        return _peak_on_windows()
    # the peak that getrusage tells is also that of the process that started this one
    return _peak_on_linux() if sys.platform == "linux" else _peak_of_usage()


def peak_gpu_bytes() -> int | None:
    """What torch has held of all GPUs at most, in this process; None where it has used none."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return int(sum(torch.cuda.max_memory_reserved(n) for n in range(torch.cuda.device_count())))


def _peak_on_linux() -> int | None:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return 1024 * int(found[1]) if found else None


def _peak_of_usage() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def _peak_on_windows() -> int | None:
    import ctypes

    class Counters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS."""

        _fields_ = (
            ("cb", ctypes.c_uint32),
            ("PageFaultCount", ctypes.c_uint32),
            *((name, ctypes.c_size_t) for name in ("PeakWorkingSetSize", *"abcdefg")),
        )

    counters = Counters(cb=ctypes.sizeof(Counters))
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    ask = kernel.K32GetProcessMemoryInfo
    ask.argtypes = (ctypes.c_void_p, ctypes.POINTER(Counters), ctypes.c_uint32)
    if not ask(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb):
        return None
    return int(counters.PeakWorkingSetSize)
