"""Where figures come from: the software's commit, versions of what computed, the machine."""

import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from SAMI2ILib.about import VERSION
from SAMI2ILib.data.dataset import SPLITS
from SAMI2ILib.machine import describe_hardware, installed_versions
from SAMI2ILib.weights import file_sha256

_PACKAGES: Final = (
    "torch", "sam2", "open_clip_torch", "timm", "numpy", "scipy", "scikit-image", "SimpleITK",
)  # fmt: skip
_ROOT: Final = Path(__file__).resolve().parents[2]


def software() -> dict[str, str]:
    """The software's version and commit, Python's version, and those of the packages in use."""
    own = {"SAMI2ILib": VERSION, "commit": commit(), "Python": platform.python_version()}
    return own | dict.fromkeys(_PACKAGES, "not installed") | installed_versions(_PACKAGES)


def commit(root: Path = _ROOT) -> str:
    """The commit of the source tree, marked where files differ from it.

    Args:
        root: What would be the source tree.

    Returns:
        Empty where the software was installed without its history.
    """
    if not (root / ".git").exists():
        return ""
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + (" with changes" if changed else "")


def hardware(device: str) -> dict[str, str]:
    """The machine, without its name.

    Args:
        device: What the work runs on, for a person.
    """
    found = describe_hardware()
    memory = found["memory_bytes"]
    size = "" if memory is None else f", {memory / 1e9:.0f} GB"
    return {
        "device": device,
        "processor": f"{found['cpu']}, {found['cores']} cores{size}",
        "system": found["system"],
    }


def id_lists(dataset: Path) -> dict[str, str]:
    """SHA-256 of each list of subjects of a dataset folder, by its file's name."""
    hashes = {}
    for part in SPLITS:
        path = dataset / f"{part}.txt"
        if path.is_file():
            hashes[path.name] = file_sha256(path)
    return hashes


def distinct(facts: list[Mapping[str, str]]) -> list[dict[str, str]]:
    """Each set of facts once, in the order in which they came."""
    found: list[dict[str, str]] = []
    for one in facts:
        if dict(one) not in found:
            found.append(dict(one))
    return found


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", timeout=30, check=True
    )
    return done.stdout.strip()
