"""What figures were measured on: processor, memory, GPUs, versions, without names of machines."""

import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from SAMI2ILib.about import VERSION

_PACKAGES = ("torch", "openvino", "onnxruntime", "numpy", "sam2", "open_clip_torch")
# those that decide how fast products are
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16")


def describe_software() -> dict[str, str]:
    """Versions of this software and of what computes; a package that is missing is left out."""
    own = {"sami2i": VERSION, "python": platform.python_version()}
    return own | installed_versions(_PACKAGES)


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions by the name of the package; one that is missing is left out."""
    found = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def describe_hardware() -> dict[str, Any]:
    """Processor, cores of this process, memory, GPUs and system, as far as the system tells."""
    facts = _cpu_of_proc(_read(Path("/proc/cpuinfo")))
    return {
        "cpu": facts["model"] or platform.processor() or platform.machine(),
        "cores": cpu_count(),
        "instructions": facts["instructions"],
        "memory_bytes": _memory(_read(Path("/proc/meminfo"))),
        "gpus": _gpus(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _gpus() -> list[str]:
    """Names of the CUDA devices; torch is not loaded for it unless a driver is there."""
    if shutil.which("nvidia-smi") is None:
        return []
    import torch

    return [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]


def cpu_count() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on Windows and macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _cpu_of_proc(text: str) -> Mapping[str, Any]:
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*:\s*(.+)$", text, re.MULTILINE)
    present = set(flags[1].split()) if flags else set()
    return {
        "model": model[1].strip() if model else "",
        "instructions": [name for name in _INSTRUCTIONS if name in present],
    }


def _memory(text: str) -> int | None:
    total = re.search(r"^MemTotal:\s+(\d+) kB$", text, re.MULTILINE)
    if total:
        return 1024 * int(total[1])
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None  # Windows has no sysconf
